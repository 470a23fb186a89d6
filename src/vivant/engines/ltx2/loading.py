"""Loads a model, puts its components in their places, and keeps it for the next call.

Where GPU memory runs out, while loading or later, it goes one tier lower, once.
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

from vivant.engines.ltx2 import block_kernels, lora
from vivant.engines.ltx2.architecture import ARCHITECTURES, TINY, Architecture
from vivant.engines.ltx2.attention import choose_backend
from vivant.engines.ltx2.components import Components, load_components
from vivant.engines.ltx2.direct_read import drop_early
from vivant.engines.ltx2.fp8 import has_fp8_matmul, quantize_linears
from vivant.engines.ltx2.gpu_group import GpuGroup
from vivant.engines.ltx2.memory import OffloadedModule, choose_tier, release
from vivant.engines.ltx2.options import Lora, LTX2Options
from vivant.engines.ltx2.prompts import PromptCache
from vivant.engines.ltx2.random_components import random_components
from vivant.engines.ltx2.sound import (
    SoundDecoder,
    check_sound_parts,
    load_sound_decoder,
    random_sound_decoder,
)
from vivant.engines.ltx2.tiers import TIERS, next_tier
from vivant.engines.ltx2.transformer import Denoiser
from vivant.engines.ltx2.ulysses import Ulysses
from vivant.engines.ltx2.versions import check_parts
from vivant.errors import EngineError, OptionError, OutOfMemoryError
from vivant.settings import Settings, keep_compiled
from vivant.types import Observer
from vivant.weights import DEFAULT_MODEL, LOCK, Hub, Library, Model, find_model, hash_file

log = logging.getLogger(__name__)

DISTILLED_LORA = "ltx-2-19b-distilled-lora-384"


@dataclass(frozen=True, slots=True)
class LoadKey:
    """What a model was loaded for: equal keys need no loading."""

    model: str
    weights: str
    adapters: tuple[Any, ...]
    tier: str
    precision: str
    attention: str
    compile: bool | None
    gpus: int


@dataclass(slots=True)
class LoadedModel:
    """Components in their places, and what they were loaded for.

    Attributes:
        adapters: SHA-256 of every adapter's file.
        group: the GPUs that make a clip together, where there are several.
        sound: decodes audio latents, once a clip with sound was asked for.
    """

    key: LoadKey
    model: Model
    parts: Components
    transformer: OffloadedModule
    vae: OffloadedModule
    upsampler: OffloadedModule | None
    denoiser: Denoiser
    adapters: tuple[str, ...]
    group: GpuGroup | None = None
    sound: SoundDecoder | None = None

    @property
    def tier(self) -> str:
        """Where components live; one of ``tiers.TIERS``."""
        return self.key.tier

    def image_crf(self, options: LTX2Options) -> int:
        """H.264 quality the picture is shown with: the option's, or the model's own."""
        return self.parts.image_crf if options.image_crf is None else options.image_crf


class ModelLoader:
    """Loads models on one device and keeps the last one.

    Args:
        settings: where weights and caches are; offline or not.
        ulysses: in the process of a further GPU, its part in the group.
    """

    def __init__(
        self, settings: Settings, device: torch.device, *, ulysses: Ulysses | None = None
    ) -> None:
        self.settings = settings
        self.device = device
        self._ulysses = ulysses
        self._group: GpuGroup | None = None
        self._loaded: LoadedModel | None = None
        self.lowered_to: str | None = None
        """The tier that memory ran out for, once: no higher one is tried again."""

    @property
    def loaded(self) -> LoadedModel:
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
        return PromptCache(self.settings.cache_dir / "prompts", self.loaded.parts.identity)

    def forget(self) -> None:
        """Let go of what is loaded, and of further GPUs."""
        if self._group is not None:
            self._group.close()
            self._group = None
        self._loaded = None
        release(self.device)

    def load(self, options: LTX2Options, observe: Observer) -> LoadedModel:
        """The model of ``options``: the one that is loaded where it is the same.

        Raises:
            VivantError: it is not here, or broken, or memory does not suffice; what can be found
                wrong beforehand is found while the model loaded before is still there.
        """
        model = self.model_of(options)
        if options.sound and options.weights == "hub":
            check_sound_parts(model, self._library().need(model.name))
        files = self._adapter_files(options, observe)
        tier = self._tier(options)
        key = LoadKey(
            model=model.name,
            weights=options.weights,
            adapters=(
                options.loras,
                options.recipe.distilled_lora,
                *((path, path.stat().st_size, path.stat().st_mtime_ns) for path, _ in files),
            ),
            tier=tier,
            precision=self._precision(options, tier),
            attention=options.attention,
            compile=options.compile,
            gpus=1 if self._ulysses else options.gpus or self.settings.gpus,
        )
        two_stages = options.recipe.stages == 2
        kept = self._loaded
        if kept is not None and kept.group is not None and kept.group.closed:
            kept = None  # a GPU was lost
        if kept is not None and kept.key == key and (not two_stages or kept.upsampler is not None):
            return kept
        if key.gpus > 1 and tier == "swap":
            raise OptionError(
                f"gpus={key.gpus} needs GPUs with 40 GB or more each, since the model stays on "
                "all of them (tier=resident or tier=fp8)",
                param="gpus",
            )
        architecture = (TINY if options.weights == "tiny" else ARCHITECTURES)[model.version]
        adapters = self._inspected(files, architecture)
        choose_backend(self.device, options.attention)
        if options.weights == "hub":
            check_parts(model, self._library().need(model.name), two_stages=two_stages)
        kept = None
        if self._loaded is not None or self._group is not None:
            self.forget()  # where nothing is loaded, that would only look for garbage, for 0.3 s
        if key.gpus > 1:
            return self._read_together(options, model, architecture, key, adapters, observe)
        try:
            return self._read(options, model, architecture, key, adapters, observe)
        except torch.OutOfMemoryError:
            lower = _lower(key)
        # here, where the frames of the failed attempt are freed
        self.forget()
        if lower is None or self.lowered_to is not None:
            raise self.no_memory(key.tier)
        self.lowered_to = lower.tier
        log.warning(
            "GPU memory ran out while tier %s was loaded: tier %s is used", tier, lower.tier
        )
        try:
            return self._read(options, model, architecture, lower, adapters, observe)
        except torch.OutOfMemoryError:
            raise self.no_memory(lower.tier) from None

    def _read_together(
        self,
        options: LTX2Options,
        model: Model,
        architecture: Architecture,
        key: LoadKey,
        adapters: tuple[lora.Adapter, ...],
        observe: Observer,
    ) -> LoadedModel:
        """Start the processes of further GPUs, which load beside this one."""
        self._group = group = GpuGroup(key.gpus, self.device)
        try:
            group.load(self.settings, options)
            loaded = self._read(options, model, architecture, key, adapters, observe)
            group.join()
        except BaseException as error:
            self.forget()
            if isinstance(error, torch.OutOfMemoryError):
                raise self.no_memory(key.tier) from None
            raise
        loaded.group = group
        return loaded

    def sound_decoder(self, options: LTX2Options) -> SoundDecoder:
        """What decodes the loaded model's audio latents, read when it is first asked for.

        Raises:
            VivantError: its weights are not here, or broken.
        """
        loaded = self.loaded
        if loaded.sound is None:
            place: dict[str, Any] = {"device": self.device, "swap": loaded.tier == "swap"}
            if options.weights == "hub":
                folder = self._library().need(loaded.model.name)
                architecture = ARCHITECTURES[loaded.model.version]
                loaded.sound = load_sound_decoder(loaded.model, folder, architecture, **place)
            else:
                sizes = TINY if options.weights == "tiny" else ARCHITECTURES
                loaded.sound = random_sound_decoder(sizes[loaded.model.version], **place)
        return loaded.sound

    def lower_tier(self) -> LoadedModel:
        """Go down one tier, once; the components stay loaded.

        Raises:
            OutOfMemoryError: this was the second time, or the last tier.
        """
        loaded = self.loaded
        lower = _lower(loaded.key)
        if lower is None or self.lowered_to is not None or loaded.group is not None:
            raise self.no_memory(loaded.tier)
        self.forget()
        if loaded.parts.precision != "fp8":
            for block in loaded.parts.transformer.transformer_blocks:
                quantize_linears(block)
            loaded.parts.precision = "fp8"
        self.lowered_to = lower.tier
        self._loaded = self._placed(loaded.parts, loaded.model, lower, loaded.adapters)
        return self._loaded

    def no_memory(self, tier: str) -> OutOfMemoryError:
        """What to say when a tier does not fit."""
        return OutOfMemoryError(
            f"GPU memory is not enough in tier {tier}: use tier=swap, fewer frames or a smaller "
            "grid, or free the GPU of other programs"
        )

    def model_of(self, options: LTX2Options) -> Model:
        """The registry's model that ``options`` mean; the newest that is here by default."""
        name = options.recipe.model
        if name is None:
            name = self._library().default_model() if options.weights == "hub" else DEFAULT_MODEL
        return find_model(name)

    def _read(
        self,
        options: LTX2Options,
        model: Model,
        architecture: Architecture,
        key: LoadKey,
        adapters: tuple[lora.Adapter, ...],
        observe: Observer,
    ) -> LoadedModel:
        """Read the components and put them in their places."""
        places: dict[str, Any] = {
            "device": self.device,
            "store": torch.device("cpu") if key.tier == "swap" else self.device,
            "precision": key.precision,
            "two_stages": options.recipe.stages == 2,
            "adapters": adapters,
        }
        if options.weights != "hub":
            drop_early()
            parts = random_components(architecture, small=options.weights == "tiny", **places)
        else:
            library = self._library()
            parts = load_components(
                model,
                library.need(model.name),
                commits=library.state(model.name).commits,
                observe=observe,
                **places,
            )
        hashes = tuple(_sha256(adapter.path) for adapter in adapters)
        self._loaded = self._placed(parts, model, key, hashes)
        return self._loaded

    def _placed(
        self, parts: Components, model: Model, key: LoadKey, adapters: tuple[str, ...]
    ) -> LoadedModel:
        swap = key.tier == "swap"
        # compiled code is Triton's, which Windows has not
        triton = self.device.type == "cuda" and find_spec("triton") is not None
        if triton:
            keep_compiled(self.settings.cache_dir / "compiled")
        fused = parts.precision == "fp8" and block_kernels.available(self.device)
        # blocks that have kernels of their own gain little by compiling, which takes 5 to 15 s
        compiled = not fused if key.compile is None else key.compile
        transformer = OffloadedModule(parts.transformer, self.device, swap=swap)
        return LoadedModel(
            key=key,
            model=model,
            parts=parts,
            transformer=transformer,
            vae=OffloadedModule(parts.vae, self.device, swap=swap),
            upsampler=(
                None
                if parts.upsampler is None
                else OffloadedModule(parts.upsampler, self.device, swap=swap)
            ),
            denoiser=Denoiser(
                parts.transformer,
                device=self.device,
                attention=key.attention,
                compile_blocks=triton and compiled,
                record=fused and key.compile is None and not swap,
                fused=fused,
                cache_text=not swap,
                ulysses=self._ulysses if self._group is None else self._group.ulysses,
            ),
            adapters=adapters,
        )

    def _tier(self, options: LTX2Options) -> str:
        """What is asked for; no higher than where memory once ran out."""
        tier = choose_tier(self.device, options.tier)
        if self.lowered_to is None:
            return tier
        return max(tier, self.lowered_to, key=list(TIERS).index)

    def _precision(self, options: LTX2Options, tier: str) -> str:
        if tier != "resident":
            return "fp8"
        if options.precision == "auto":
            return "fp8" if has_fp8_matmul(self.device) else "bf16"
        return options.precision

    def _library(self) -> Library:
        settings = self.settings
        hub = None if settings.offline else Hub(settings.hub_url, settings.hub_token)
        return Library(settings.weights_path, hub)

    def _adapter_files(self, options: LTX2Options, observe: Observer) -> list[tuple[Path, Lora]]:
        """Files of every adapter asked for, with source and scale; those of the Hub are fetched."""
        library = self._library()
        files = [(lora.find_file(item.source, library, observe), item) for item in options.loras]
        if options.recipe.distilled_lora and options.weights == "hub":
            library = Library(self.settings.weights_path)  # 8 GB are not fetched unasked
            path = lora.find_file(DISTILLED_LORA, library)
            files.insert(0, (path, Lora(DISTILLED_LORA, options.recipe.distilled_lora)))
        return files

    @staticmethod
    def _inspected(
        files: list[tuple[Path, Lora]], architecture: Architecture
    ) -> tuple[lora.Adapter, ...]:
        """Adapters, checked before any GPU work."""
        if not files:
            return ()
        shapes, text_shapes = lora.model_shapes(architecture)
        return tuple(
            lora.inspect(
                path,
                item.scale,
                shapes,
                text_shapes,
                version=architecture.version,
                source=item.source,
            )
            for path, item in files
        )


def _sha256(path: Path) -> str:
    """Hash of an adapter's file: the lock file's where it was pulled."""
    lock = path.parent / LOCK
    if lock.is_file():
        with suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(lock.read_text("utf-8"))["files"][path.name]["sha256"])
    return hash_file(path)


def _lower(key: LoadKey) -> LoadKey | None:
    """The next tier that needs less memory: of fp8 weights, "fp8" does not."""
    lower = next_tier(key.tier)
    if lower == "fp8" and key.precision == "fp8":
        lower = next_tier(lower)
    return None if lower is None else replace(key, tier=lower, precision="fp8")
