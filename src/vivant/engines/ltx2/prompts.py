"""Text → what the transformer reads, kept on disk.

The text encoder is 24 GB and its answer to one prompt never changes. So the connectors' outputs
are cached (15 MB a prompt), keyed by the model's revision and the text; on a hit neither encoder
nor connectors are loaded, on a miss they are loaded, used and freed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from vivant.errors import EngineError
from vivant.types import Observer, Progress, ignore_progress

Embedding = tuple[Tensor, Tensor]
"""Connector outputs for video and audio, each ``[1, tokens, channels]``."""

MAX_TOKENS = 1024
"""Length every prompt is padded to (LTX-2: learnable registers take the padding's place)."""


class TextStack:
    """Tokenizer, text encoder and connectors, loaded and on their device.

    Args:
        tokenizer: of the text encoder.
        text_encoder: a transformers model that returns hidden states.
        connectors: diffusers' ``LTX2TextConnectors``.
        max_tokens: what prompts are padded to.
    """

    def __init__(
        self, tokenizer: Any, text_encoder: Any, connectors: Any, max_tokens: int = MAX_TOKENS
    ) -> None:
        self.tokenizer = tokenizer
        self.text_encoder = text_encoder
        self.connectors = connectors
        self.max_tokens = max_tokens

    @torch.no_grad()
    def encode(self, text: str) -> Embedding:
        """The transformer's view of ``text``, as diffusers' pipelines compute it.

        Raises:
            EngineError: the connectors mask tokens, which the cache has no room for.
        """
        self.tokenizer.padding_side = "left"  # Gemma's way
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        tokens = self.tokenizer(
            [text.strip()],
            padding="max_length",
            max_length=self.max_tokens,
            truncation=True,
            add_special_tokens=True,
            return_tensors="pt",
        )
        device = self.text_encoder.device
        mask = tokens.attention_mask.to(device)
        states = self.text_encoder(
            input_ids=tokens.input_ids.to(device), attention_mask=mask, output_hidden_states=True
        ).hidden_states
        embeds = torch.stack(states, dim=-1).flatten(2, 3)
        weight = next(self.connectors.parameters())
        video, audio, valid = self.connectors(
            embeds.to(weight.device, weight.dtype), mask.to(weight.device), padding_side="left"
        )
        if not bool(valid.bool().all()):
            raise EngineError("the connectors have no registers: not an LTX-2 checkpoint")
        return video, audio


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
    load: Callable[[], AbstractContextManager[TextStack]],
    observe: Observer = ignore_progress,
) -> tuple[list[Embedding], int]:
    """Embeddings of ``texts``; the encoder is loaded once, and only if one is not cached.

    Args:
        observe: told before the encoder is loaded, which takes long, and after every text.

    Returns:
        The embeddings in order, and how many came from the cache.
    """
    found = [cache.get(text) for text in texts]
    hits = sum(item is not None for item in found)
    new = [index for index, item in enumerate(found) if item is None]
    if new:
        observe(Progress("load", 0, len(new), "item"))
        with load() as stack:
            for done, index in enumerate(new, start=1):
                found[index] = embedding = stack.encode(texts[index])
                cache.put(texts[index], embedding)
                observe(Progress("load", done, len(new), "item"))
    return [item for item in found if item is not None], hits
