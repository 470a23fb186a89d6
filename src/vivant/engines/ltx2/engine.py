"""LTX2Engine: makes clips (``generation.py``) with a loaded model (``loading.py``), and reports."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import Final

import torch

from vivant.engines.ltx2.extension import ExtendedGeneration
from vivant.engines.ltx2.generation import Generation
from vivant.engines.ltx2.loading import LoadedModel, ModelLoader
from vivant.engines.ltx2.options import LTX2Options
from vivant.engines.ltx2.prompts import PromptCache
from vivant.engines.ltx2.segments import segments_of
from vivant.errors import OptionError
from vivant.grid import check_seeds
from vivant.settings import Settings
from vivant.types import (
    Clip,
    EngineInfo,
    Observer,
    Portrait,
    Request,
    ignore_progress,
    several,
)

log = logging.getLogger(__name__)

UNGUIDED = {
    "guidance_scale": 1.0,
    "stg_scale": 0.0,
    "modality_scale": 1.0,
    "guidance_rescale": 0.0,
    "audio_guidance_scale": 1.0,
    "audio_stg_scale": 0.0,
    "audio_modality_scale": 1.0,
    "audio_guidance_rescale": 0.0,
}
"""diffusers' names for what this engine does: one forward pass per step, no guidance at all.
(diffusers reads an audio scale of 0 as "same as video": harmless, those are off as well.)"""


CPU_THREADS: Final = 4
"""For torch's work on the CPU beside a GPU."""


class LTX2Engine:
    """See the package.

    Args:
        settings: where weights and caches are; offline or not.
        device: the GPU; the first one, or the CPU (for tiny models), where None.
    """

    def __init__(self, settings: Settings, device: torch.device | str | None = None) -> None:
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device)
        if self.device.type == "cuda":
            # what is left to the CPU is small, and seen to take longer with 64 threads
            torch.set_num_threads(min(CPU_THREADS, torch.get_num_threads()))
        self.loader = ModelLoader(settings, self.device)
        self._info = EngineInfo(name="ltx2", moves="person", device=self._device_name())

    @property
    def info(self) -> EngineInfo:
        """See :class:`vivant.types.Engine`."""
        return self._info

    @property
    def loaded(self) -> LoadedModel:
        """What is loaded now.

        Raises:
            EngineError: nothing is.
        """
        return self.loader.loaded

    @property
    def prompt_cache(self) -> PromptCache:
        """Embeddings of the loaded model's prompts."""
        return self.loader.prompt_cache

    def _device_name(self, gpus: int = 1) -> str:
        if self.device.type != "cuda":
            return "cpu"
        return several(gpus, torch.cuda.get_device_name(self.device))

    def generate(self, portrait: Portrait, request: Request, observe: Observer) -> Clip:
        """See :class:`vivant.types.Engine`. Weights are loaded here, the rest in the chunks."""
        return self.generate_many(portrait, request, (request.seed,), observe)[0]

    def generate_many(
        self,
        portrait: Portrait,
        request: Request,
        seeds: tuple[int, ...],
        observe: Observer = ignore_progress,
    ) -> list[Clip]:
        """See :class:`vivant.types.EngineOfMany`.

        All are denoised together, in as few rounds as GPU memory has room for; what waits to be
        decoded is a few megabytes of latents per clip, in host memory. Clips of several segments
        are made one after another.
        """
        check_seeds(seeds)
        options = LTX2Options.from_request(request)
        if options.weights == "hub" and self.device.type != "cuda":
            raise OptionError(
                "the ltx2 engine needs an NVIDIA GPU with 24 GB or more, and there is none: "
                "use --engine camera, or weights=tiny to rehearse",
                param="engine",
            )
        loaded = self.loader.load(options, observe)
        self._describe(loaded, options, request, seeds)
        clip = partial(
            Clip,
            num_frames=request.num_frames,
            fps=request.fps,
            width=options.width,
            height=options.height,
        )
        if len(segments_of(request.num_frames)) > 1:
            made = [
                ExtendedGeneration(self.loader, self, portrait, request, options, seed, observe)
                for seed in seeds
            ]
            return [clip(chunks=one.frames()) for one in made]
        generation = Generation(self.loader, self, portrait, request, options, seeds, observe)
        return [
            clip(
                chunks=generation.frames(index),
                sound=partial(generation.sound, index) if options.sound else None,
            )
            for index in range(len(seeds))
        ]

    # -- reporting -----------------------------------------------------------------------------

    def record(self, **facts: object) -> None:
        """Add to what the report says of where a clip comes from."""
        self._info = replace(self._info, provenance={**self._info.provenance, **facts})

    def tier_lowered(self, before: str, after: LoadedModel) -> None:
        """Report that memory ran out in tier ``before``, and the clip is started again."""
        note = (
            f"GPU memory ran out in tier {before}: the clip was started again in tier {after.tier}."
        )
        self._info = replace(self._info, notes=(*self._info.notes, note))
        self.record(tier=after.tier, precision=after.parts.precision)
        log.warning(note)

    def _describe(
        self, loaded: LoadedModel, options: LTX2Options, request: Request, seeds: tuple[int, ...]
    ) -> None:
        recipe = options.recipe
        self._info = EngineInfo(
            name="ltx2",
            moves="person",
            device=self._device_name(loaded.key.gpus),
            notes=tuple(self._notes(loaded, options, request)),
            provenance={
                **loaded.parts.identity,
                "version": loaded.model.version,
                "recipe": recipe.name,
                "grid": f"{options.width}x{options.height}",
                "sigmas": list(recipe.sigmas),
                "refine_sigmas": list(recipe.refine_sigmas),
                "steps": len(recipe.sigmas) + len(recipe.refine_sigmas),
                "seeds": list(seeds),
                "guidance": dict(UNGUIDED),
                "nag": (
                    {
                        "scale": options.nag_scale,
                        "tau": options.nag_tau,
                        "alpha": options.nag_alpha,
                        "from_sigma": options.nag_from_sigma,
                        "to_sigma": options.nag_to_sigma,
                        "steps": options.guided_steps,
                    }
                    if options.nag
                    else None
                ),
                "image_strength": options.image_strength,
                "image_crf": loaded.image_crf(options),
                "end_anchor": options.end_anchor,
                "motion_speed": options.motion_speed,
                "loras": [[item.source, item.scale] for item in options.loras],
                "lora_sha256": list(loaded.adapters),
                "distilled_lora": recipe.distilled_lora,
                "tier": loaded.tier,
                "precision": loaded.parts.precision,
                "attention": loaded.denoiser.backend,
                "gpus": loaded.key.gpus,
                **({"sound": True} if options.sound else {}),
                **_joins(request),
            },
        )

    def _notes(self, loaded: LoadedModel, options: LTX2Options, request: Request) -> list[str]:
        """What a reader of the report should know of this call."""
        notes = list(loaded.parts.notes)
        recipe = options.recipe
        if not request.negative_prompt.strip():
            pass  # there is nothing to guide away from
        elif not options.nag or options.nag_scale == 1 or options.nag_alpha == 0:
            notes.append(
                "The negative prompt has no effect: the model runs without guidance, and NAG is "
                "off (nag=on, nag_scale above 1)."
            )
        elif not options.guided_steps:
            notes.append(
                "The negative prompt has no effect: no step lies between nag_from_sigma "
                f"{options.nag_from_sigma:g} and nag_to_sigma {options.nag_to_sigma:g}."
            )
        if recipe.distilled_lora and loaded.model.name.startswith("ltx-2-19b-distilled"):
            notes.append(
                "The distilled LoRA was added to the model that is distilled already: it is made "
                "for the dev model (recipe dev-lora), and here it distils twice."
            )
        if not request.prompt.strip():
            notes.append("The prompt is empty: clips without a named motion tend to stand still.")
        if options.precision == "bf16" and loaded.parts.precision == "fp8":
            notes.append(
                f"bf16 was asked for, and tier {loaded.tier} has room for fp8 only: tier=resident "
                "keeps bf16 where it fits."
            )
        later = segments_of(request.num_frames)[1:]
        if later:
            where = ", ".join(f"{one.first}–{one.first + one.overlap - 1}" for one in later)
            notes.append(
                f"The clip is longer than one pass of the model: {len(later) + 1} passes are "
                f"joined in frames {where}."
            )
        if self.loader.lowered_to:
            notes.append(f"GPU memory ran out before: tier {loaded.tier} is used.")
        return notes


def _joins(request: Request) -> dict[str, list[list[int]]]:
    """First and last frame of every part that two segments share."""
    later = segments_of(request.num_frames)[1:]
    return {"joins": [[one.first, one.first + one.overlap - 1] for one in later]} if later else {}
