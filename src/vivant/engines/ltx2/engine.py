"""LTX2Engine: loads a model once, keeps it, and makes clips with it (``job.py``).

Knows nothing of upscaling, encoding or checks.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from vivant.engines.ltx2 import lora
from vivant.engines.ltx2.attention import choose_backend
from vivant.engines.ltx2.components import Components, load_components
from vivant.engines.ltx2.fp8 import has_fp8_matmul, quantize_linears
from vivant.engines.ltx2.job import Job
from vivant.engines.ltx2.memory import Berth, choose_tier, release
from vivant.engines.ltx2.options import LTX2Options
from vivant.engines.ltx2.prompts import PromptCache
from vivant.engines.ltx2.random_components import random_components
from vivant.engines.ltx2.tiers import TIERS, next_tier
from vivant.engines.ltx2.transformer import Denoiser
from vivant.errors import EngineError, OptionError, OutOfMemoryError
from vivant.grid import check_seeds
from vivant.settings import Settings, keep_compiled
from vivant.types import (
    Clip,
    EngineInfo,
    Observer,
    Portrait,
    Request,
    ignore_progress,
)
from vivant.weights import LOCK, Hub, Library, Model, find_model, hash_file

log = logging.getLogger(__name__)

DISTILLED_LORA = "ltx-2-19b-distilled-lora-384"
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


@dataclass(slots=True)
class _Loaded:
    """Components at their places, and what they were loaded for."""

    key: tuple[Any, ...]
    parts: Components
    tier: str
    transformer: Berth
    vae: Berth
    upsampler: Berth | None
    denoiser: Denoiser
    adapters: tuple[str, ...]


class LTX2Engine:
    """See the package.

    Args:
        settings: where weights and caches are; offline or not.
        device: the GPU; the first one, or the CPU (for tiny models), where None.
    """

    def __init__(self, settings: Settings, device: torch.device | str | None = None) -> None:
        self._settings = settings
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device)
        self._loaded: _Loaded | None = None
        self._fallen: str | None = None
        self._info = EngineInfo(name="ltx2", moves="person", device=self._device_name())

    @property
    def info(self) -> EngineInfo:
        """See :class:`vivant.types.Engine`."""
        return self._info

    def _device_name(self) -> str:
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"

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
        decoded is a few megabytes of latents per clip, in host memory.
        """
        check_seeds(seeds)
        options = LTX2Options.from_request(request)
        if options.weights == "hub" and self.device.type != "cuda":
            raise OptionError(
                "the ltx2 engine needs an NVIDIA GPU with 24 GB or more, and there is none: "
                "use --engine camera, or weights=tiny to rehearse",
                param="engine",
            )
        loaded = self._load(options, observe)
        self._describe(loaded, options, request, seeds)
        job = Job(self, portrait, request, options, seeds, observe)
        return [
            Clip(
                num_frames=request.num_frames,
                fps=request.fps,
                width=options.width,
                height=options.height,
                chunks=job.frames(index),
            )
            for index in range(len(seeds))
        ]

    # -- loading ---------------------------------------------------------------------------

    def _load(self, options: LTX2Options, observe: Observer) -> _Loaded:
        tier = self._tier(options)
        precision = self._precision(options, tier)
        two_stages = options.recipe.stages == 2
        files = self._adapter_files(options, observe)
        stamps = [(path, path.stat()) for path, _ in files]
        key = (
            options.recipe.model,
            options.recipe.distilled_lora,
            (options.loras, *((path, at.st_size, at.st_mtime_ns) for path, at in stamps)),
            options.weights,
            tier,
            precision,
            options.attention,
            options.compile,
        )
        kept = self._loaded
        if kept is not None and kept.key == key and (not two_stages or kept.upsampler is not None):
            return kept
        # whatever can be found wrong is, while the model that is loaded still is
        adapters = self._adapters(options, files)
        choose_backend(self.device, options.attention)
        if options.weights == "hub":
            self._model(options)
        kept = self._loaded = None
        release(self.device)
        try:
            return self._fetch(options, key, tier, precision, adapters, observe)
        except torch.OutOfMemoryError:
            lower = _lower(tier, precision)
        # here, where the frames of the failed attempt are freed
        release(self.device)
        if lower is None or self._fallen is not None:
            raise self.no_memory(tier)
        self._fallen = lower
        log.warning("GPU memory ran out while tier %s was loaded: tier %s is used", tier, lower)
        key = (*key[:4], lower, "fp8", *key[6:])
        try:
            return self._fetch(options, key, lower, "fp8", adapters, observe)
        except torch.OutOfMemoryError:
            raise self.no_memory(lower) from None

    def _fetch(
        self,
        options: LTX2Options,
        key: tuple[Any, ...],
        tier: str,
        precision: str,
        adapters: tuple[lora.Adapter, ...],
        observe: Observer,
    ) -> _Loaded:
        """Read the components and put them in their places."""
        places: dict[str, Any] = {
            "device": self.device,
            "store": torch.device("cpu") if tier == "swap" else self.device,
            "precision": precision,
            "two_stages": options.recipe.stages == 2,
            "adapters": adapters,
        }
        if options.weights != "hub":
            parts = random_components(small=options.weights == "tiny", **places)
        else:
            model, library = self._model(options)
            parts = load_components(
                model,
                library.folder(model.name),
                commits=library.state(model.name).commits,
                observe=observe,
                **places,
            )
        hashes = tuple(_sha256(adapter.path) for adapter in adapters)
        self._loaded = self._place(parts, key, tier, options, hashes)
        return self._loaded

    def _tier(self, options: LTX2Options) -> str:
        """What is asked for; no higher than where memory once ran out."""
        tier = choose_tier(self.device, options.tier)
        if self._fallen is None:
            return tier
        names = list(TIERS)
        return max(tier, self._fallen, key=names.index)

    def _library(self) -> Library:
        settings = self._settings
        hub = None if settings.offline else Hub(settings.hub_url, settings.hub_token)
        return Library(settings.weights_path, hub)

    def _model(self, options: LTX2Options) -> tuple[Model, Library]:
        """The model asked for, which is here."""
        model = find_model(options.recipe.model)
        library = self._library()
        library.need(model.name)
        return model, library

    def _adapter_files(
        self, options: LTX2Options, observe: Observer
    ) -> tuple[tuple[Path, float], ...]:
        """Files and scales of every adapter asked for; those of the Hub are fetched."""
        library = self._library()
        files = [
            (lora.find_file(item.source, library, observe), item.scale) for item in options.loras
        ]
        if options.recipe.distilled_lora and options.weights == "hub":
            library = Library(self._settings.weights_path)  # 8 GB are not fetched unasked
            path = lora.find_file(DISTILLED_LORA, library)
            files.insert(0, (path, options.recipe.distilled_lora))
        return tuple(files)

    @staticmethod
    def _adapters(
        options: LTX2Options, files: tuple[tuple[Path, float], ...]
    ) -> tuple[lora.Adapter, ...]:
        """Adapters, checked before any GPU work."""
        if not files:
            return ()
        shapes, text_shapes = _skeleton(small=options.weights == "tiny")
        return tuple(lora.inspect(path, scale, shapes, text_shapes) for path, scale in files)

    def _precision(self, options: LTX2Options, tier: str) -> str:
        if tier != "resident":
            return "fp8"
        if options.precision == "auto":
            return "fp8" if has_fp8_matmul(self.device) else "bf16"
        return options.precision

    def _place(
        self,
        parts: Components,
        key: tuple[Any, ...],
        tier: str,
        options: LTX2Options,
        adapters: tuple[str, ...],
    ) -> _Loaded:
        swap = tier == "swap"
        # compiled code is Triton's, which Windows has not
        compiled = (
            options.compile and self.device.type == "cuda" and find_spec("triton") is not None
        )
        if compiled:
            keep_compiled(self._settings.cache_dir / "compiled")
        transformer = Berth(parts.transformer, self.device, swap=swap)
        return _Loaded(
            key=key,
            parts=parts,
            tier=tier,
            transformer=transformer,
            vae=Berth(parts.vae, self.device, swap=swap),
            upsampler=(
                None if parts.upsampler is None else Berth(parts.upsampler, self.device, swap=swap)
            ),
            denoiser=Denoiser(
                parts.transformer,
                device=self.device,
                attention=options.attention,
                compile_blocks=compiled,
                cache_text=not swap,
            ),
            adapters=adapters,
        )

    def fall(self, options: LTX2Options) -> _Loaded:
        """Go down one tier, once; the components stay loaded.

        Raises:
            OutOfMemoryError: this was the second time, or the last tier.
        """
        loaded = self._loaded
        assert loaded is not None  # noqa: S101 - called from a running job
        lower = _lower(loaded.tier, loaded.parts.precision)
        if lower is None or self._fallen is not None:
            raise self.no_memory(loaded.tier)
        self._loaded = None
        release(self.device)
        if loaded.parts.precision != "fp8":
            for block in loaded.parts.transformer.transformer_blocks:
                quantize_linears(block)
            loaded.parts.precision = "fp8"
        self._fallen = lower
        key = (*loaded.key[:4], lower, "fp8", *loaded.key[6:])
        self._loaded = self._place(loaded.parts, key, lower, options, loaded.adapters)
        note = (
            f"GPU memory ran out in tier {loaded.tier}: the clip was started again in tier {lower}."
        )
        self._info = replace(
            self._info,
            notes=(*self._info.notes, note),
            provenance={**self._info.provenance, "tier": lower, "precision": "fp8"},
        )
        log.warning(note)
        return self._loaded

    def no_memory(self, tier: str) -> OutOfMemoryError:
        """What to say when a tier does not fit."""
        return OutOfMemoryError(
            f"GPU memory is not enough in tier {tier}: use tier=swap, fewer frames or a smaller "
            "grid, or free the GPU of other programs"
        )

    def record(self, **facts: object) -> None:
        """Add to what the report says of where a clip comes from."""
        self._info = replace(self._info, provenance={**self._info.provenance, **facts})

    # -- reporting -------------------------------------------------------------------------

    def _describe(
        self, loaded: _Loaded, options: LTX2Options, request: Request, seeds: tuple[int, ...]
    ) -> None:
        notes = list(loaded.parts.notes)
        recipe = options.recipe
        walked = (*recipe.sigmas, *recipe.refine_sigmas)
        guided = [s for s in walked if options.nag_from_sigma <= s <= options.nag_to_sigma]
        if not request.negative_prompt.strip():
            pass  # nothing to guide away from, and nobody expects it
        elif not options.nag or options.nag_scale == 1 or options.nag_alpha == 0:
            notes.append(
                "The negative prompt has no effect: the model runs without guidance, and NAG is "
                "off (nag=on, nag_scale above 1)."
            )
        elif not guided:
            notes.append(
                "The negative prompt has no effect: no step lies between nag_from_sigma "
                f"{options.nag_from_sigma:g} and nag_to_sigma {options.nag_to_sigma:g}."
            )
        if recipe.distilled_lora and recipe.model.startswith("ltx-2-19b-distilled"):
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
        if self._fallen:
            notes.append(f"GPU memory ran out before: tier {loaded.tier} is used.")
        self._info = EngineInfo(
            name="ltx2",
            moves="person",
            device=self._device_name(),
            notes=tuple(notes),
            provenance={
                **loaded.parts.identity,
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
                        "steps": len(guided),
                    }
                    if options.nag
                    else None
                ),
                "image_strength": options.image_strength,
                "image_crf": self.image_crf(loaded, options),
                "end_anchor": options.end_anchor,
                "motion_speed": options.motion_speed,
                "loras": [[item.source, item.scale] for item in options.loras],
                "lora_sha256": list(loaded.adapters),
                "distilled_lora": recipe.distilled_lora,
                "tier": loaded.tier,
                "precision": loaded.parts.precision,
                "attention": loaded.denoiser.backend,
            },
        )

    @staticmethod
    def image_crf(loaded: _Loaded, options: LTX2Options) -> int:
        """The option, or the model's own."""
        return loaded.parts.image_crf if options.image_crf is None else options.image_crf

    @property
    def loaded(self) -> _Loaded:
        """What is loaded now.

        Raises:
            EngineError: nothing is.
        """
        if self._loaded is None:
            raise EngineError("the ltx2 engine has nothing loaded")
        return self._loaded

    @property
    def prompt_cache(self) -> PromptCache:
        """Embeddings of the loaded model's prompts."""
        return PromptCache(self._settings.cache_dir / "prompts", self.loaded.parts.identity)


def _sha256(path: Path) -> str:
    """Hash of an adapter's file: the lock file's where it was pulled."""
    lock = path.parent / LOCK
    if lock.is_file():
        with suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(lock.read_text("utf-8"))["files"][path.name]["sha256"])
    return hash_file(path)


def _lower(tier: str, precision: str) -> str | None:
    """The next tier that needs less memory: of fp8 weights, "fp8" does not."""
    lower = next_tier(tier)
    return next_tier(lower) if lower == "fp8" and precision == "fp8" else lower


def _skeleton(*, small: bool) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]]:
    """Shapes of the linear layers of transformer and text connectors."""
    from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformer3DModel
    from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors

    from vivant.engines.ltx2 import tiny

    with torch.device("meta"):
        transformer = LTX2VideoTransformer3DModel(
            **(tiny.TINY_TRANSFORMER if small else tiny.TRANSFORMER_2_0)
        )
        connectors = LTX2TextConnectors(**(tiny.TINY_CONNECTORS if small else tiny.CONNECTORS_2_0))
    return lora.linear_shapes(transformer), lora.linear_shapes(connectors)
