"""What the process that makes a clip and those of its further GPUs tell each other.

Messages go through a pipe; tensors, much larger, through the group (``broadcast``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import torch
import torch.distributed as dist
from torch import Tensor

from vivant.engines.ltx2.options import LTX2Options
from vivant.settings import Settings, keep_collectives_local

START_TIMEOUT: Final = timedelta(minutes=10)
"""Until all processes have joined; also torch's limit for one exchange on a CPU."""

Spec = tuple[tuple[int, ...], torch.dtype]
"""Shape and dtype of a tensor that follows."""


@dataclass(frozen=True, slots=True)
class LoadModel:
    """Load the model of these options, answer :class:`ModelLoaded`, join the group at ``store``."""

    settings: Settings
    options: LTX2Options
    store: Path


@dataclass(frozen=True, slots=True)
class Denoise:
    """Do your share of a stage; its tensors follow. After each step comes :class:`NextStep`."""

    specs: tuple[Spec, ...]
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Decode:
    """Decode your share of latents, which follow, and send the frames."""

    specs: tuple[Spec, ...]


@dataclass(frozen=True, slots=True)
class NextStep:
    """After a step: take the next one, or leave the stage."""

    next_step: bool


@dataclass(frozen=True, slots=True)
class ModelLoaded:
    """The model is on this GPU."""


@dataclass(frozen=True, slots=True)
class Failed:
    """This GPU's process has failed, and ends.

    Attributes:
        no_memory: GPU memory ran out.
        reason: one line.
    """

    no_memory: bool
    reason: str


def join_group(rank: int, size: int, store: Path, device: torch.device) -> None:
    """Join torch's default process group: NCCL between GPUs, gloo between CPUs."""
    keep_collectives_local()
    cuda = device.type == "cuda"
    dist.init_process_group(
        "nccl" if cuda else "gloo",
        store=dist.FileStore(str(store), size),  # type: ignore[attr-defined]
        rank=rank,
        world_size=size,
        timeout=START_TIMEOUT,
        device_id=torch.device("cuda", device.index or 0) if cuda else None,
    )


def specs_of(tensors: Iterable[Tensor]) -> tuple[Spec, ...]:
    """Shapes and dtypes."""
    return tuple((tuple(tensor.shape), tensor.dtype) for tensor in tensors)


def broadcast(tensors: Iterable[Tensor], device: torch.device) -> list[Tensor]:
    """Send tensors to all other processes; returns them on ``device``."""
    sent = [tensor.to(device).contiguous() for tensor in tensors]
    for tensor in sent:
        dist.broadcast(tensor, 0)
    return sent


def received(specs: Iterable[Spec], device: torch.device) -> Iterator[Tensor]:
    """Tensors that the first process broadcasts."""
    for shape, dtype in specs:
        tensor = torch.empty(shape, dtype=dtype, device=device)
        dist.broadcast(tensor, 0)
        yield tensor
