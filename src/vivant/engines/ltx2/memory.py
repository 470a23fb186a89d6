"""What stays on the GPU, and what waits beside it.

Three tiers. ``resident`` and ``fp8`` keep every component on the GPU (the transformer in bf16 or
fp8 by the option; ``fp8`` insists on it). ``swap`` keeps one component at a time there; the others
wait in pinned host memory, and since weights never change, leaving the GPU is forgetting the copy.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from vivant.engines.ltx2.direct_read import read_early
from vivant.engines.ltx2.first_uses import begin_first_uses
from vivant.engines.ltx2.tiers import tier_of


def choose_tier(device: torch.device, wanted: str = "auto") -> str:
    """The tier for ``device``'s memory; ``wanted`` where it is one."""
    if wanted != "auto":
        return wanted
    if device.type != "cuda":
        return "resident"
    return tier_of(torch.cuda.get_device_properties(device).total_memory)


def begin_loading(folder: Path, compiled: Path) -> None:
    """Begin to read an fp8 checkpoint to the GPU, where it would stay and there is room for it.

    The GPU's libraries are used a first time beside that. A model that is asked for later and is
    another one makes it go again.

    Args:
        compiled: folder of compiled kernels.
    """
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    if not size or not torch.cuda.is_available():
        return
    device = torch.device("cuda")
    if choose_tier(device) != "swap" and torch.cuda.mem_get_info(device)[0] > 2 * size:
        read_early(device, folder)
        begin_first_uses(device, compiled)


class OffloadedModule:
    """A component that is on the GPU all the time, or only while it is used.

    Args:
        module: the component; its tensors are moved, the object stays the same.
        device: where it computes.
        swap: keep it in (pinned) host memory between uses.
    """

    def __init__(self, module: nn.Module, device: torch.device, *, swap: bool) -> None:
        self.module = module
        self.device = device
        self.swap = swap
        self._host: dict[str, Tensor] = {}
        if swap:
            # loading has put them there already; what comes from elsewhere is moved one by one
            for name, tensor in self._tensors():
                self._host[name] = pinned(tensor.detach().to("cpu"), device)
                tensor.data = self._host[name]
        else:
            # not diffusers' own method, which imports its hooks, and with them all of PEFT
            nn.Module.to(module, device)

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        yield from self.module.named_parameters()
        yield from self.module.named_buffers()

    def _point(self, tensors: dict[str, Tensor]) -> None:
        for name, tensor in self._tensors():
            tensor.data = tensors[name]

    @contextmanager
    def use(self) -> Iterator[nn.Module]:
        """The component on its device; away again afterwards where it is swapped."""
        if not self.swap:
            yield self.module
            return
        try:
            self._point(
                {name: host.to(self.device, non_blocking=True) for name, host in self._host.items()}
            )
            yield self.module
        finally:
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            self._point(self._host)
            release(self.device)


def pinned(tensor: Tensor, device: torch.device) -> Tensor:
    """``tensor`` in host memory that copies run beside computing from, if there is enough."""
    if device.type != "cuda" or tensor.is_pinned():
        return tensor
    try:
        return tensor.pin_memory()
    except RuntimeError:  # the system allows no more: slower, and right
        return tensor


def release(device: torch.device) -> None:
    """Give cached memory back, so that the next component finds it whole."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
