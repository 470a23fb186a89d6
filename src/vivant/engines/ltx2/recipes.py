"""Sigmas, stages and grids.

Sigmas are noise levels in 0 … 1 of the rectified flow ``x_σ = (1 − σ)·x₀ + σ·noise``; every
list runs downwards and ends, implicitly, at 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

from vivant.errors import OptionError

DISTILLED_SIGMAS = (1.0, 0.99375, 0.9875, 0.98125, 0.975, 0.909375, 0.725, 0.421875)
"""The eight the distilled model was trained for (Lightricks/LTX-2, ltx_pipelines constants)."""

SEED_SIGMAS = (
    1.0,
    0.99375,
    0.9875,
    0.98125,
    0.975,
    0.909375,
    0.8171875,
    0.725,
    0.5734375,
    0.421875,
)
"""The user's ten steps: the eight, with two midpoints where noise is low and detail is made."""

REFINE_SIGMAS = (0.909375, 0.725, 0.421875)
"""Second stage (Lightricks/LTX-2, ltx_pipelines constants): re-noise to the first, then denoise."""

TEMPORAL_FACTOR = 8
"""Frames per latent frame after the first; a clip has 8k + 1 frames."""

SPATIAL_FACTOR = 32
"""Pixels per latent, each way."""

MAX_FRAMES = 257
"""Most frames of one pass: what the temporal position embedding was trained for, 10 s at 25 fps and
a bit. Longer clips are several passes (``segments.py``)."""

SINGLE_STAGE_PIXELS = 1280 * 704
"""What one stage is sized for where no usual grid fits the aspect."""

GRIDS: dict[tuple[int, int], tuple[int, int]] = {
    (16, 9): (1280, 704),
    (9, 16): (704, 1280),
    (1, 1): (960, 960),
}
"""Aspect → grid of a single stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a clip is denoised.

    Attributes:
        sigmas: of the first, or only, stage.
        refine_sigmas: of the second stage at twice the size; empty for a single stage.
        model: name in the registry of models; None for the newest that is here.
        distilled_lora: scale of the distilled LoRA fused onto the model; 0 for none.
    """

    name: str
    sigmas: tuple[float, ...]
    refine_sigmas: tuple[float, ...] = ()
    model: str | None = None
    distilled_lora: float = 0.0

    @property
    def stages(self) -> int:
        """1 or 2."""
        return 2 if self.refine_sigmas else 1


SEED = Recipe(name="seed", sigmas=SEED_SIGMAS)
FAST = replace(SEED, name="fast", sigmas=DISTILLED_SIGMAS)
NATIVE = replace(FAST, name="native", refine_sigmas=REFINE_SIGMAS)
SEED_LORA = replace(SEED, name="seed-lora", model="ltx-2-19b-distilled", distilled_lora=0.65)
DEV_LORA = replace(SEED_LORA, name="dev-lora", model="ltx-2-19b-dev")

RECIPES = {recipe.name: recipe for recipe in (SEED, FAST, NATIVE, SEED_LORA, DEV_LORA)}


def check_sigmas(sigmas: tuple[float, ...], param: str = "sigmas") -> None:
    """Refuse lists no sampler can walk.

    Raises:
        OptionError: empty, too long, outside 0 … 1, or not strictly falling.
    """
    if not 1 <= len(sigmas) <= 100:
        raise OptionError(f"{param} has {len(sigmas)} values: give 1…100", param=param)
    for sigma in sigmas:
        if not (math.isfinite(sigma) and 0 < sigma <= 1):
            raise OptionError(
                f"{param} contains {sigma:g}: every sigma is above 0 and at most 1 "
                "(the last step to 0 is implied)",
                param=param,
            )
    for before, after in pairwise(sigmas):
        if after >= before:
            raise OptionError(
                f"{param} must fall from step to step, but {after:g} follows {before:g}",
                param=param,
            )


def sigmas_for(steps: int) -> tuple[float, ...]:
    """Distilled sigmas, resampled to ``steps``; 8 and 10 are the known lists.

    Other counts interpolate the eight over the step index, so that the trained levels keep
    their density (ours: no source publishes such lists).

    Raises:
        OptionError: outside 1 … 50.
    """
    if not 1 <= steps <= 50:
        raise OptionError(
            f"{steps} steps is outside 1…50: the distilled model is made for 8, the user takes 10",
            param="steps",
        )
    if steps == len(SEED_SIGMAS):
        return SEED_SIGMAS
    knots = (*DISTILLED_SIGMAS, 0.0)
    sigmas = []
    for step in range(steps):
        position = step * (len(knots) - 1) / steps
        low = int(position)
        share = position - low
        sigmas.append(knots[low] * (1 - share) + knots[low + 1] * share)
    return tuple(sigmas)


def check_grid(width: int, height: int, stages: int) -> None:
    """Refuse grids the model cannot denoise.

    Raises:
        OptionError: sides that are no multiple of 32 (64 for two stages) or out of 64 … 2048.
    """
    unit = SPATIAL_FACTOR * stages
    for name, side in (("width", width), ("height", height)):
        if side % unit or not 64 <= side <= 2048:
            low = max(64, side // unit * unit)
            raise OptionError(
                f"grid {name} {side} is not a multiple of {unit} in 64…2048 "
                f"({'two stages' if stages == 2 else 'one stage'}): use {min(low, 2048)} or "
                f"{min(low + unit, 2048)}",
                param="grid",
            )


def grid_for(recipe: Recipe, width: int, height: int) -> tuple[int, int]:
    """The size to generate at for a clip of ``width`` × ``height``.

    One stage takes the usual grid of the aspect, or the multiples of 32 nearest to it with as
    many pixels; two stages generate at the clip's own size, rounded up to multiples of 64.
    """
    if recipe.stages == 2:
        unit = 2 * SPATIAL_FACTOR
        return -(-width // unit) * unit, -(-height // unit) * unit
    divisor = math.gcd(width, height)
    usual = GRIDS.get((width // divisor, height // divisor))
    if usual is not None:
        return usual
    aspect = width / height
    columns = math.sqrt(SINGLE_STAGE_PIXELS * aspect) / SPATIAL_FACTOR
    rows = math.sqrt(SINGLE_STAGE_PIXELS / aspect) / SPATIAL_FACTOR
    return (
        min(2048, max(64, round(columns) * SPATIAL_FACTOR)),
        min(2048, max(64, round(rows) * SPATIAL_FACTOR)),
    )
