"""Which tier a GPU's memory allows. No torch: ``vivant doctor`` asks too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TIERS: Final[Mapping[str, str]] = {
    "resident": "everything stays on the GPU",
    "fp8": "everything stays on the GPU, rounded to fp8",
    "swap": "fp8, one component at a time on the GPU",
}
"""From most memory to least, and what is kept where."""

RESIDENT_BYTES: Final = 70 * 2**30
FP8_BYTES: Final = 40 * 2**30
"""Smallest GPU memory of the tiers above ``swap``. bf16 resident peaks near 55 GiB at 1080p,
fp8 near 33 (docs/benchmarks.md); cards come with 24, 48, 80 and more."""

SWAP_BYTES: Final = 22 * 2**30
"""Least GPU memory the engine runs in."""

SWAP_HOST_BYTES: Final = 30 * 2**30
"""Host memory of the tier ``swap``: it peaks at 25 GiB, 20 of them weights (docs/benchmarks.md).
Machines sold with 32 GB show a little less."""

BF16_CAPABILITY: Final = (8, 0)
"""Ampere: bf16 in hardware."""

FP8_CAPABILITY: Final = (8, 9)
"""Ada, Hopper and later multiply e4m3 in hardware."""

FA3_MODULES: Final = ("flash_attn_interface", "fa3_fwd_interface")
"""FlashAttention 3: its own package, built from source, or ``fa3-fwd`` of the package index."""


def tier_of(memory: int) -> str:
    """The tier for ``memory`` bytes in all."""
    if memory >= RESIDENT_BYTES:
        return "resident"
    return "fp8" if memory >= FP8_BYTES else "swap"


def next_tier(tier: str) -> str | None:
    """The tier that needs less memory, None below the last."""
    names = list(TIERS)
    index = names.index(tier) + 1
    return names[index] if index < len(names) else None
