"""Modal's GPU names, and the row of the price list that each is billed by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vivant.cost import RATES, rate_name
from vivant.errors import OptionError

LTX2_GIB = 24
"""Least GPU memory of the ltx2 engine, GiB (docs/ltx2.md)."""


SHARED_GIB = 48
"""Least GPU memory of each of several GPUs that share a clip, GiB (docs/ltx2.md)."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """What one of Modal's names stands for.

    Attributes:
        gib: GPU memory in GiB, as marketed.
        row: key of :data:`vivant.cost.RATES`.
    """

    gib: int
    row: str


GPUS: dict[str, Gpu] = {
    "T4": Gpu(16, "T4"),
    "L4": Gpu(24, "L4"),
    "A10": Gpu(24, "A10"),
    "L40S": Gpu(48, "L40S"),
    "A100": Gpu(40, "A100-40"),
    "A100-40GB": Gpu(40, "A100-40"),
    "A100-80GB": Gpu(80, "A100-80"),
    "RTX-PRO-6000": Gpu(96, "RTX PRO 6000"),
    "H100": Gpu(80, "H100"),
    "H100!": Gpu(80, "H100"),
    "H200": Gpu(141, "H200"),
    "B200": Gpu(180, "B200"),
    "B200+": Gpu(180, "B200"),
}
"""Names that Modal's ``gpu=`` takes (modal.com/docs/guide/gpu, read in November 2026)."""

UPGRADES: dict[str, tuple[str, ...]] = {
    "A100": ("A100-80",),
    "H100": ("H200",),
    "B200+": ("B300",),
}
"""Larger GPUs that Modal may give at the price of the one asked for. For ``H100!`` and
``A100-40GB`` it gives exactly those (modal.com/docs/guide/gpu, read in November 2026)."""


def check_gpu(name: str) -> str:
    """The name in Modal's spelling.

    Raises:
        OptionError: Modal has no such GPU, a clip cannot be shared by so many, or it is too small
            for LTX-2.
    """
    base, _, count = name.strip().partition(":")
    found = next((known for known in GPUS if known.upper() == base.upper()), None)
    if found is None:
        raise OptionError(
            f"modal.gpu {name[:40]!r} is not a GPU of Modal: choose one of "
            f"{', '.join(n for n, gpu in GPUS.items() if gpu.gib >= LTX2_GIB)}",
            param="modal.gpu",
        )
    if count not in ("", "1", "2", "4", "8"):
        raise OptionError(
            f"modal.gpu {name[:40]!r}: a clip is shared by 1, 2, 4 or 8 GPUs; for several clips at "
            "the same time raise modal.max_containers",
            param="modal.gpu",
        )
    if count not in ("", "1") and GPUS[found].gib < SHARED_GIB:
        raise OptionError(
            f"modal.gpu {name[:40]!r}: GPUs that share a clip need {SHARED_GIB} GB each, and "
            f"{found} has {GPUS[found].gib}: leave out {':' + count!r}",
            param="modal.gpu",
        )
    if GPUS[found].gib < LTX2_GIB:
        raise OptionError(
            f"modal.gpu {found} has {GPUS[found].gib} GB, and LTX-2 needs {LTX2_GIB} GB: choose "
            f"one of {', '.join(n for n, gpu in GPUS.items() if gpu.gib >= LTX2_GIB)}",
            param="modal.gpu",
        )
    return found if count in ("", "1") else f"{found}:{count}"


def split_count(name: str) -> tuple[str, int]:
    """``H100:4`` → ``H100`` and 4."""
    base, _, count = name.partition(":")
    return base, int(count or 1)


def billed_as(asked: Sequence[str], actual: str) -> str:
    """The row of the price list by which Modal charges the GPU that was given.

    Args:
        asked: Modal's names from the options, in order of preference; without counts.
        actual: the name that the driver gives, e.g. ``NVIDIA H100 80GB HBM3``.

    Returns:
        A key of :data:`vivant.cost.RATES`; ``actual`` if there is none for it, so that the clip
        has no bill rather than a wrong one.
    """
    row = rate_name(actual, {**RATES, "B300": 0.0}) or actual
    if any(GPUS[name].row == row for name in asked):
        return row
    for name in asked:
        if row in UPGRADES.get(name, ()):
            return GPUS[name].row
    return actual if row == "B300" else row
