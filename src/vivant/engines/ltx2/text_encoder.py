"""Gemma 3's language model, one layer in memory at a time.

It has 12 billion parameters and is run once per prompt, so its layers are read from disk one after
another, applied to all texts, and let go: it needs about 2 GB beside the weights of the layer, on
any GPU. The vision tower and the LM head of the files are not read. Names and shapes of all tensors
are checked against the model before the first one is loaded.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vivant.engines.ltx2.checkpoint import files_of, put_tensor
from vivant.engines.ltx2.memory import release
from vivant.errors import MissingPartError, WeightsError
from vivant.weights import read_header

READERS = 8
"""Threads that read the next layer while the current one computes."""

_NOT_READ = re.compile(
    r"(?:model\.)?(?:vision_tower|multi_modal_projector)\..+|(?:language_model\.)?lm_head\.weight"
)
"""Parts of Gemma 3's files that encode no text."""

_PREFIX = re.compile(r"^(?:model\.language_model\.|language_model\.model\.|model\.)?")
"""Before a tensor's own name: layouts of transformers since 4.52, before it, of text alone."""


class LayerFiles:
    """Where every tensor of the language model lies.

    Args:
        folder: of the text encoder, in transformers' layout.
        model: the language model, on the meta device.

    Raises:
        MissingPartError: a file is not there.
        WeightsError: a tensor is missing, unexpected or of another shape; or a broken file.
    """

    def __init__(self, folder: Path, model: Any) -> None:
        self.folder = folder
        self._places: dict[str, tuple[Path, str]] = {}
        shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        unexpected, misshapen = [], []
        for path in files_of(folder):
            for key, entry in read_header(path).items():
                if key == "__metadata__" or _NOT_READ.fullmatch(key):
                    continue
                name = _PREFIX.sub("", key)
                if name not in shapes or name in self._places:
                    unexpected.append(key)
                elif tuple(entry["shape"]) != shapes[name]:
                    misshapen.append(f"{key} {tuple(entry['shape'])}, not {shapes[name]}")
                else:
                    self._places[name] = (path, key)
        missing = sorted(shapes.keys() - self._places.keys())
        for what, names in (
            ("holds tensors that Gemma 3 has not", unexpected),
            ("holds tensors of another shape", misshapen),
            ("lacks tensors", missing),
        ):
            if names:
                more = f" and {len(names) - 5} more" if len(names) > 5 else ""
                raise WeightsError(
                    f"text encoder {folder} {what}: {', '.join(names[:5])}{more}. It is another "
                    "model's, or was cut off: pull the model again"
                )

    def names(self, prefix: str) -> list[str]:
        """Tensors whose names begin with ``prefix``."""
        return [name for name in self._places if name.startswith(prefix)]

    def read(self, name: str, dtype: torch.dtype) -> Tensor:
        """One tensor, in host memory.

        Raises:
            WeightsError: its file cannot be read.
        """
        path, key = self._places[name]
        try:
            with safe_open(path, framework="pt") as file:
                value: Tensor = file.get_tensor(key)
                # the copy is what reads the file
                return value.clone() if value.dtype == dtype else value.to(dtype)
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"{path} cannot be read: {error}") from None


@contextmanager
def streamed_text_encoder(folder: Path, dtype: torch.dtype, device: torch.device) -> Iterator[Any]:
    """Gemma 3's language model, whose layers are on ``device`` only while they compute.

    Yields:
        A ``Gemma3TextModel``, to be called as one that is loaded whole.

    Raises:
        MissingPartError: the folder, or a file of it, is not there.
        WeightsError: the files are another model's, or broken.
    """
    model = _empty(folder)
    files = LayerFiles(folder, model)
    with ExitStack() as stack, torch.no_grad():
        # first, so that it runs last: what was read is freed before the memory is given back
        stack.callback(release, device)
        pool = stack.enter_context(ThreadPoolExecutor(READERS))
        waiting: dict[int, dict[str, Future[Tensor]]] = defaultdict(dict)

        def request(index: int) -> None:
            if index < len(model.layers) and not waiting[index]:
                waiting[index] = {
                    name: pool.submit(files.read, name, dtype)
                    for name in files.names(f"layers.{index}.")
                }

        def load(index: int) -> None:
            request(index)
            for name, value in waiting.pop(index).items():
                put_tensor(model, name, value.result().to(device))
            request(index + 1)

        for name in (*files.names("embed_tokens."), *files.names("norm.")):
            put_tensor(model, name, files.read(name, dtype).to(device))
        for index, layer in enumerate(model.layers):
            before = layer.register_forward_pre_hook(lambda *_, at=index: load(at))
            after = layer.register_forward_hook(lambda it, *_: it.to("meta") and None)
            stack.callback(before.remove)
            stack.callback(after.remove)
        model.rotary_emb.to(device)
        try:
            yield model
        finally:
            for futures in waiting.values():
                for future in futures.values():
                    future.cancel()
            model.to("meta")


def _empty(folder: Path) -> Any:
    """The language model on the meta device, its few computed buffers in host memory."""
    from transformers import AutoConfig, Gemma3TextConfig, Gemma3TextModel

    if not (folder / "config.json").is_file():
        raise MissingPartError(f"{folder} is not there, and a prompt is new: pull the model again")
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True).get_text_config()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{folder / 'config.json'} is no configuration of a text encoder: {error}"
        ) from None
    if not isinstance(config, Gemma3TextConfig):
        raise WeightsError(
            f"text encoder {folder} is a {config.model_type}: LTX-2.0 and 2.3 use Gemma 3"
        )
    with torch.device("meta"):
        model = Gemma3TextModel(config)
    # computed, in no file
    model.rotary_emb = type(model.rotary_emb)(config)
    model.embed_tokens.embed_scale = torch.tensor(config.hidden_size**0.5)
    left = [name for name, buffer in model.named_buffers() if buffer.is_meta]
    if left:
        raise WeightsError(f"this release of transformers keeps {left[0]} in no file")
    return model.eval().requires_grad_(requires_grad=False)
