"""The GPU's libraries are used once while weights are read, so that a first clip need not wait.

cuDNN, cuBLAS and Triton take 1 to 2 s when they are first called: they load their parts, and
Triton hashes its own files.
"""

from __future__ import annotations

import logging
from pathlib import Path
from threading import Thread

import torch

from vivant.engines.ltx2 import block_kernels
from vivant.engines.ltx2.attention import attend, using
from vivant.engines.ltx2.fp8 import Float8Linear, quantize_rows
from vivant.settings import keep_compiled

log = logging.getLogger(__name__)

WIDTH = 4096
"""Channels of the transformer: Triton's kernels are made for a width."""

HEADS = 32


def begin_first_uses(device: torch.device, cache: Path) -> Thread | None:
    """Do so in a thread; it ends by itself.

    Args:
        cache: folder of compiled kernels, see :func:`vivant.settings.keep_compiled`.

    Returns:
        The thread; None where ``device`` runs no fp8 kernels.
    """
    if not block_kernels.available(device):
        return None
    keep_compiled(cache)
    # no daemon: a process must not end inside of a library
    thread = Thread(target=_use, args=(device,), name="vivant-first-uses")
    thread.start()
    return thread


def _use(device: torch.device) -> None:
    """Use each library; what fails here will fail again, and be told, where it is needed."""
    try:
        with torch.inference_mode(), torch.cuda.stream(torch.cuda.Stream(device)):
            use_libraries(device, torch.bfloat16)
    except Exception as error:  # noqa: BLE001
        log.debug("a library could not be used before the first clip: %s", error)


def use_libraries(device: torch.device, dtype: torch.dtype) -> None:
    """One small call of each kind that a clip makes: convolution, products, attention, kernels."""
    frames = torch.zeros(1, 16, 3, 8, 8, device=device, dtype=dtype)
    torch.nn.functional.conv3d(frames, frames.new_zeros(16, 16, 3, 3, 3))
    rows = frames.new_zeros(16, WIDTH)
    weight = frames.new_zeros(128, WIDTH)
    torch.nn.functional.linear(rows, weight)
    layer = Float8Linear(*quantize_rows(weight), None)
    if block_kernels.available(device):
        layer.kernel = block_kernels.quantize
    layer(rows)
    heads = rows.view(1, 16, HEADS, WIDTH // HEADS)
    with using("cudnn"):
        attend(heads, heads, heads)
