"""LTX-2's own classes with random weights: tiny for tests and rehearsals, real size for timing.

Random weights draw noise, not people; they are as fast as trained ones. Every weight is scaled
so that activations keep their size through the layers.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vivant.engines.ltx2.fp8 import quantize_linears
from vivant.engines.ltx2.without_compiler import without_compiler


@torch.no_grad()
def randomize(module: nn.Module, seed: int = 0) -> nn.Module:
    """Fill parameters in place: matrices and kernels N(0, 1/fan-in), tables small, norms 1."""
    for index, (name, parameter) in enumerate(module.named_parameters()):
        generator = torch.Generator(parameter.device).manual_seed(seed * 1_000_003 + index)
        if parameter.ndim >= 2 and "table" not in name:
            fan_in = math.prod(parameter.shape[1:])
            parameter.normal_(0.0, 1.0 / math.sqrt(fan_in), generator=generator)
        elif "norm" in name and name.endswith("weight"):
            parameter.fill_(1.0)
        else:
            parameter.normal_(0.0, 0.1, generator=generator)
    return module


def build(
    cls: Any,
    config: Mapping[str, Any],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    quantize: bool = False,
) -> Any:
    """A random ``cls(**config)``, allocated on ``device`` directly: 19 B parameters in seconds.

    With ``quantize`` (a transformer) its blocks' linear layers are fp8 from the start.
    """

    def made() -> Any:
        with torch.device("meta"):
            return cls(**config)

    module = without_compiler(made)
    buffers = {
        name: tuple(buffer.shape)
        for name, buffer in module.named_buffers()
        if name.endswith(("latents_mean", "latents_std"))
    }
    kernels = [name for name, _ in module.named_buffers() if name.endswith("kernel")]
    logging.getLogger("diffusers").setLevel(logging.ERROR)
    module = nn.Module.to(module, dtype)
    # one block at a time, so that fp8 and bf16 hold the same weights, and fp8 never needs more
    for index, block in enumerate(getattr(module, "transformer_blocks", ())):
        block.to_empty(device=device)
        randomize(block, seed + index)
        if quantize:
            quantize_linears(block)
    _materialize(module, torch.device(device), seed)
    generator = torch.Generator().manual_seed(seed)
    for name, shape in buffers.items():
        values: Tensor = torch.randn(shape, generator=generator) * 0.1
        if name.endswith("std"):
            values = values.abs() + 0.9
        module.get_buffer(name).copy_(values)
    if kernels:
        # the upsampler's fixed blur: not a weight, so taken from a module built for real
        blur = torch.tensor([math.comb(4, k) for k in range(5)], dtype=torch.float32)
        for name in kernels:
            kernel = blur[:, None] * blur[None, :] / blur.sum() ** 2
            module.get_buffer(name).copy_(kernel[None, None])
    return module.eval().requires_grad_(requires_grad=False)


@torch.no_grad()
def _materialize(module: nn.Module, device: torch.device, seed: int) -> None:
    """Give what is still on the meta device a place and random values."""
    for child in module.modules():
        own = list(child.parameters(recurse=False)) + list(child.buffers(recurse=False))
        if own and all(tensor.is_meta for tensor in own):
            child.to_empty(device=device, recurse=False)
            randomize_own(child, seed)


@torch.no_grad()
def randomize_own(module: nn.Module, seed: int) -> None:
    """:func:`randomize`, for a module's own parameters only."""
    holder = nn.Module()
    for name, parameter in module.named_parameters(recurse=False):
        holder.register_parameter(name, parameter)
    randomize(holder, seed)


class TinyTokenizer:
    """Bytes as tokens, padded on the left: what a text encoder needs of a tokenizer."""

    padding_side = "left"
    pad_token: str | None = "\0"  # noqa: S105 - a token of text
    pad_token_id = 0
    bos_token_id = 2
    eos_token = "\0"  # noqa: S105 - a token of text
    model_max_length = 16

    def __call__(self, texts: str | list[str], *, max_length: int = 16, **_: Any) -> Any:
        """Ids of one text; or ``[batch, max_length]``, padded, of several, and their mask."""
        from transformers import BatchEncoding

        if isinstance(texts, str):
            codes = [self.bos_token_id, *(byte % 60 + 3 for byte in texts.encode())]
            return BatchEncoding({"input_ids": codes[:max_length]})
        ids = torch.zeros(len(texts), max_length, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, text in enumerate(texts):
            codes = self(text, max_length=max_length).input_ids
            ids[row, -len(codes) :] = torch.tensor(codes)
            mask[row, -len(codes) :] = 1
        return BatchEncoding({"input_ids": ids, "attention_mask": mask})


def tiny_text_encoder(seed: int = 0) -> Any:
    """A Gemma 3 text model of two layers, 16 channels wide."""
    from transformers import Gemma3TextConfig, Gemma3TextModel

    torch.manual_seed(seed)
    config = Gemma3TextConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        sliding_window=16,
    )
    return Gemma3TextModel(config).eval()
