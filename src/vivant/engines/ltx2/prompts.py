"""Text → what the transformer reads, kept on disk.

The text encoder is 24 GB and its answer to one prompt never changes. So the connectors' outputs
are cached (15 MB a prompt), keyed by the model's revision and the text. On a hit neither encoder
nor connectors are loaded. On a miss the encoder runs for all new texts and is freed, and then the
connectors are loaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from vivant.engines.ltx2.memory import release
from vivant.errors import EngineError, WeightsError
from vivant.types import Observer, Progress, ignore_progress

Embedding = tuple[Tensor, Tensor]
"""Connector outputs for video and audio, each ``[1, tokens, channels]``."""

MAX_TOKENS = 1024
"""Length every prompt is padded to (LTX-2: learnable registers take the padding's place)."""


EncodeTexts = Callable[[tuple[str, ...]], Generator[Embedding]]
"""Embeddings of texts, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptEncoder:
    """Texts → connector outputs. Text encoder and connectors are never in memory together.

    Attributes:
        tokenizer: loads the text encoder's tokenizer.
        text_encoder: gives a transformers model that returns hidden states, and takes it away.
        connectors: loads diffusers' ``LTX2TextConnectors``.
        device: where both compute.
        max_tokens: what prompts are padded to.
    """

    tokenizer: Callable[[], Any]
    text_encoder: Callable[[], AbstractContextManager[Any]]
    connectors: Callable[[], Any]
    device: torch.device
    max_tokens: int = MAX_TOKENS

    @torch.no_grad()
    def __call__(self, texts: tuple[str, ...]) -> Generator[Embedding]:
        """The transformer's view of ``texts``, as the official pipelines compute it.

        Yields:
            One embedding per text, in order.

        Raises:
            EngineError: the connectors mask tokens, which the cache has no room for.
            WeightsError: the tokenizer has no BOS token.
        """
        ids, mask = tokenize(self.tokenizer(), texts, self.max_tokens)
        states = self._hidden_states(ids, mask)
        connectors = self.connectors()
        try:
            weight = next(connectors.parameters())
            for one, valid_tokens in zip(states, mask.split(1), strict=True):
                video, audio, valid = connectors(
                    one.to(weight.device, weight.dtype),
                    valid_tokens.to(weight.device),
                    padding_side="left",
                )
                if not bool(valid.bool().all()):
                    raise EngineError("the connectors have no registers: not an LTX-2 checkpoint")
                yield video, audio
        finally:
            del connectors
            release(self.device)

    def _hidden_states(self, ids: Tensor, mask: Tensor) -> list[Tensor]:
        """All hidden states of each text, ``[1, tokens, channels · states]``, in host memory."""
        with self.text_encoder() as model:
            states = model(
                input_ids=ids.to(self.device),
                attention_mask=mask.to(self.device),
                output_hidden_states=True,
                use_cache=False,
            ).hidden_states
            return [
                torch.stack([state[row : row + 1].cpu() for state in states], dim=-1).flatten(2, 3)
                for row in range(len(ids))
            ]


def tokenize(tokenizer: Any, texts: tuple[str, ...], max_tokens: int) -> tuple[Tensor, Tensor]:
    """Ids and mask ``[texts, max_tokens]``, padded on the left, beginning with BOS.

    Gemma 3's tokenizer writes BOS itself. One that does not gets it here, as in Lightricks' code.

    Raises:
        WeightsError: the tokenizer has no BOS token.
    """
    bos = tokenizer.bos_token_id
    if bos is None:
        raise WeightsError(
            "the tokenizer has no BOS token, which every prompt begins with: pull the model again"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    ids = torch.full((len(texts), max_tokens), int(tokenizer.pad_token_id), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, text in enumerate(texts):
        tokens = tokenizer(
            text.strip(), truncation=True, max_length=max_tokens, add_special_tokens=True
        ).input_ids
        if tokens[:1] != [bos]:
            tokens = [bos, *tokens][:max_tokens]
        ids[row, -len(tokens) :] = torch.tensor(tokens)
        mask[row, -len(tokens) :] = 1
    return ids, mask


class PromptCache:
    """Connector outputs on disk.

    Args:
        folder: where files go; made when the first one is written.
        identity: names the weights the outputs come from: repository, commit, hash.
    """

    def __init__(self, folder: Path, identity: dict[str, str]) -> None:
        self.folder = folder
        self.identity = identity

    def path(self, text: str) -> Path:
        """Where ``text``'s outputs lie."""
        key = json.dumps({**self.identity, "text": text.strip()}, sort_keys=True)
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"

    def get(self, text: str) -> Embedding | None:
        """The outputs, or None. A file that cannot be read is thrown away."""
        path = self.path(text)
        if not path.is_file():
            return None
        try:
            tensors = load_file(path)
            return tensors["video"], tensors["audio"]
        except (SafetensorError, KeyError, OSError):
            path.unlink(missing_ok=True)
            return None

    def put(self, text: str, embedding: Embedding) -> None:
        """Keep the outputs; a full disk loses the cache, not the clip."""
        path = self.path(text)
        draft = path.with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file(
                {
                    "video": embedding[0].cpu().contiguous(),
                    "audio": embedding[1].cpu().contiguous(),
                },
                draft,
                metadata={**self.identity, "text": text.strip()},
            )
            draft.replace(path)
        except (OSError, SafetensorError):
            with suppress(OSError):
                draft.unlink()


def embed(
    texts: tuple[str, ...],
    cache: PromptCache,
    encode: EncodeTexts,
    observe: Observer = ignore_progress,
) -> tuple[list[Embedding], int]:
    """Embeddings of ``texts``; the encoder is run once, and only if one is not cached.

    Args:
        observe: told before the encoder is run, which takes long, and after every text.

    Returns:
        The embeddings in order, and how many came from the cache.
    """
    found = [cache.get(text) for text in texts]
    hits = sum(item is not None for item in found)
    new = [index for index, item in enumerate(found) if item is None]
    if new:
        observe(Progress("load", 0, len(new), "item"))
        with closing(encode(tuple(texts[index] for index in new))) as encoded:
            for done, (index, embedding) in enumerate(zip(new, encoded, strict=True), start=1):
                found[index] = embedding
                cache.put(texts[index], embedding)
                observe(Progress("load", done, len(new), "item"))
    return [item for item in found if item is not None], hits
