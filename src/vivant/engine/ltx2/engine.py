"""LTX2Engine: picture in, frames out.

Load (once), embed the prompts, encode the picture, denoise in one or two stages, decode chunk by
chunk. Knows nothing of upscaling, encoding or checks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vivant.engine.ltx2 import lora
from vivant.engine.ltx2.components import Components, load_components, random_components
from vivant.engine.ltx2.conditioning import (
    Tokens,
    clip_coords,
    conditioned,
    encode_image,
    first_frame,
    keyframe_coords,
    noise_like,
    pack_audio,
    recompress,
    statistics,
    unpack,
)
from vivant.engine.ltx2.decode import decode, to_frames
from vivant.engine.ltx2.fp8 import has_fp8_matmul, quantize_linears
from vivant.engine.ltx2.memory import Berth, choose_tier, release
from vivant.engine.ltx2.options import LTX2Options
from vivant.engine.ltx2.prompts import Embedding, PromptCache, embed
from vivant.engine.ltx2.recipes import SPATIAL_FACTOR, TEMPORAL_FACTOR
from vivant.engine.ltx2.sampling import Nag, denoise
from vivant.engine.ltx2.tiers import next_tier
from vivant.engine.ltx2.transformer import Denoiser
from vivant.errors import EngineError, OptionError, OutOfMemoryError, VivantError
from vivant.framing import crop_pixels, framed
from vivant.settings import Settings, keep_compiled
from vivant.types import (
    Box,
    Clip,
    EngineInfo,
    Frames,
    Image,
    Observer,
    Portrait,
    Progress,
    Request,
    ignore_progress,
)
from vivant.weights import Library, find_model

log = logging.getLogger(__name__)

DISTILLED_LORA = "ltx-2-19b-distilled-lora-384"
MAX_SEEDS = 8
"""Clips in one call: more do not run faster, and cost memory."""

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
        """Clips of one picture that differ by their seed, denoised together.

        A seed's clip does not depend on its companions. The first chunk taken from any of them
        denoises all; each is decoded as it is read.

        Raises:
            OptionError: no seed, or more than eight.
        """
        if not 1 <= len(seeds) <= MAX_SEEDS:
            raise OptionError(f"{len(seeds)} seeds: give 1…{MAX_SEEDS}", param="seed")
        options = LTX2Options.from_request(request)
        if options.weights == "hub" and self.device.type != "cuda":
            raise OptionError(
                "the ltx2 engine needs an NVIDIA GPU with 24 GB or more, and there is none: "
                "use --engine camera, or weights=tiny to rehearse",
                param="engine",
            )
        loaded = self._load(options, observe)
        self._describe(loaded, options, request, seeds)
        job = _Job(self, portrait, request, options, seeds, observe)
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
        tier = self._fallen or choose_tier(self.device, options.tier)
        precision = self._precision(options, tier)
        two_stages = options.recipe.stages == 2
        key = (
            options.recipe.model,
            options.recipe.distilled_lora,
            options.loras,
            options.weights,
            tier,
            precision,
            options.attention,
            options.compile,
        )
        kept = self._loaded
        if kept is not None and kept.key == key and (not two_stages or kept.upsampler is not None):
            return kept
        self._loaded = None
        release(self.device)
        swap = tier == "swap"
        store = torch.device("cpu") if swap else self.device
        places: dict[str, Any] = {
            "device": self.device,
            "store": store,
            "precision": precision,
            "two_stages": two_stages,
        }
        try:
            parts = self._components(options, places, observe)
        except torch.OutOfMemoryError:
            raise self._no_memory(tier) from None
        self._loaded = self._place(parts, key, tier, options)
        return self._loaded

    def _components(
        self, options: LTX2Options, places: dict[str, Any], observe: Observer
    ) -> Components:
        if options.weights != "hub":
            small = options.weights == "tiny"
            adapters: tuple[lora.Adapter, ...] = ()
            if options.loras:
                skeleton = _skeleton(small=small)
                adapters = self._adapters(options, skeleton)
            return random_components(small=small, adapters=adapters, **places)
        model = find_model(options.recipe.model)
        if model.kind != "model":
            raise OptionError(f"model {model.name} is an adapter, not a model", param="model")
        library = Library(self._settings.weights_path)
        folder = library.need(model.name)
        adapters = self._adapters(options, _skeleton(small=False))
        return load_components(
            model,
            folder,
            adapters=adapters,
            commits=library.state(model.name).commits,
            observe=observe,
            **places,
        )

    def _adapters(self, options: LTX2Options, skeleton: Any) -> tuple[lora.Adapter, ...]:
        """Every adapter asked for, checked; before any GPU work."""
        shapes = lora.linear_shapes(skeleton)
        wanted = [
            (lora.find_file(item.source, offline=self._settings.offline), item.scale)
            for item in options.loras
        ]
        if options.recipe.distilled_lora and options.weights == "hub":
            folder = Library(self._settings.weights_path).need(DISTILLED_LORA)
            file = find_model(DISTILLED_LORA).single_file
            assert file is not None  # noqa: S101
            wanted.insert(0, (folder / file, options.recipe.distilled_lora))
        return tuple(lora.inspect(path, scale, shapes) for path, scale in wanted)

    def _precision(self, options: LTX2Options, tier: str) -> str:
        if tier != "resident":
            return "fp8"
        if options.precision == "auto":
            return "fp8" if has_fp8_matmul(self.device) else "bf16"
        return options.precision

    def _place(
        self, parts: Components, key: tuple[Any, ...], tier: str, options: LTX2Options
    ) -> _Loaded:
        swap = tier == "swap"
        if self.device.type == "cuda" and options.compile:
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
                compile_blocks=options.compile and self.device.type == "cuda",
                cache_text=not swap,
            ),
        )

    def fall(self, options: LTX2Options) -> _Loaded:
        """Go down one tier, once; the components stay loaded.

        Raises:
            OutOfMemoryError: this was the second time, or the last tier.
        """
        loaded = self._loaded
        assert loaded is not None  # noqa: S101 - called from a running job
        lower = next_tier(loaded.tier)
        if lower == "fp8" and loaded.parts.precision == "fp8":
            lower = next_tier(lower)
        if lower is None or self._fallen is not None:
            raise self._no_memory(loaded.tier)
        self._loaded = None
        release(self.device)
        if loaded.parts.precision != "fp8":
            for block in loaded.parts.transformer.transformer_blocks:
                quantize_linears(block)
            loaded.parts.precision = "fp8"
        self._fallen = lower
        key = (*loaded.key[:4], lower, "fp8", *loaded.key[6:])
        self._loaded = self._place(loaded.parts, key, lower, options)
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

    def _no_memory(self, tier: str) -> OutOfMemoryError:
        return OutOfMemoryError(
            f"GPU memory is not enough in tier {tier}: use tier=swap, fewer frames or a smaller "
            "grid, or free the GPU of other programs"
        )

    # -- reporting -------------------------------------------------------------------------

    def _describe(
        self, loaded: _Loaded, options: LTX2Options, request: Request, seeds: tuple[int, ...]
    ) -> None:
        notes = list(loaded.parts.notes)
        recipe = options.recipe
        if not options.nag or options.nag_scale == 1 or options.nag_alpha == 0:
            notes.append(
                "The negative prompt has no effect: the model runs without guidance, and NAG is "
                "off (nag=on, nag_scale above 1)."
            )
        if recipe.distilled_lora and recipe.model.startswith("ltx-2-19b-distilled"):
            notes.append(
                "The distilled LoRA was added to the model that is distilled already: it is made "
                "for the dev model (recipe dev-lora), and here it distils twice."
            )
        if not request.prompt.strip():
            notes.append("The prompt is empty: clips without a named motion tend to stand still.")
        if self._fallen:
            notes.append(f"An earlier clip ran out of GPU memory: tier {loaded.tier} is used.")
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
                    }
                    if options.nag
                    else None
                ),
                "image_strength": options.image_strength,
                "image_crf": self.image_crf(loaded, options),
                "end_anchor": options.end_anchor,
                "motion_speed": options.motion_speed,
                "loras": [[item.source, item.scale] for item in options.loras],
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


class _Job:
    """One call's work: latents once, then frames of each clip."""

    def __init__(
        self,
        engine: LTX2Engine,
        portrait: Portrait,
        request: Request,
        options: LTX2Options,
        seeds: tuple[int, ...],
        observe: Observer,
    ) -> None:
        self.engine = engine
        self.portrait = portrait
        self.request = request
        self.options = options
        self.seeds = seeds
        self.observe = observe
        self._latents: Tensor | None = None

    def frames(self, index: int) -> Iterator[Frames]:
        """Frames of clip ``index``."""
        try:
            if self._latents is None:
                self._latents = self._laddered(self._sample)
            yield from self._decoded(self._latents[index : index + 1])
        except VivantError:
            raise
        except torch.OutOfMemoryError:
            raise self.engine._no_memory(self.engine.loaded.tier) from None
        except RuntimeError as error:
            raise EngineError(f"generation failed: {str(error).splitlines()[0]}") from error

    def _laddered(self, work: Callable[[], Tensor]) -> Tensor:
        """``work``, again one tier lower if GPU memory runs out."""
        try:
            return work()
        except torch.OutOfMemoryError:
            pass  # the frames of the failed attempt are freed when this block is left
        self.engine.fall(self.options)
        return work()

    def _decoded(self, latents: Tensor) -> Iterator[Frames]:
        done = 0
        try:
            for chunk in self._decode_once(latents):
                done += len(chunk)
                yield chunk
        except torch.OutOfMemoryError:
            if done:
                raise
        else:
            return
        self.engine.fall(self.options)
        yield from self._decode_once(latents)

    def _decode_once(self, latents: Tensor) -> Iterator[Frames]:
        loaded, total, done = self.engine.loaded, self.request.num_frames, 0
        chunk = max(1, self.options.chunk // (8 if loaded.tier == "swap" else 2))
        with loaded.vae.use() as vae, closing(_pieces(vae, latents, chunk)) as pieces:
            for frames in pieces:
                done += len(frames)
                yield frames
                self.observe(Progress("generate", done, total))

    def _sample(self) -> Tensor:
        """Clean latents ``[seeds, C, F, H, W]``, normalised, on the CPU."""
        recipe = self.options.recipe
        generators = [torch.Generator().manual_seed(seed) for seed in self.seeds]
        positive, negative = self._text()
        steps = len(recipe.sigmas) + len(recipe.refine_sigmas)

        def count(offset: int) -> Callable[[int], None]:
            return lambda step: self.observe(Progress("generate", offset + step, steps, "step"))

        scale = recipe.stages
        latents, audio = self._stage(
            None, None, scale, recipe.sigmas, generators, positive, negative, count(0)
        )
        if recipe.refine_sigmas:
            latents = self._upsample(latents)
            latents, _ = self._stage(
                latents,
                audio,
                1,
                recipe.refine_sigmas,
                generators,
                positive,
                negative,
                count(len(recipe.sigmas)),
            )
        if not bool(torch.isfinite(latents).all()):
            raise EngineError(
                "the transformer returned values that are not finite: the weights or an adapter "
                "are broken (precision=bf16 tells whether fp8 is to blame)"
            )
        return latents

    def _text(self) -> tuple[Embedding, Embedding | None]:
        options, request = self.options, self.request
        texts = [request.prompt]
        if options.nag:
            texts.append(request.negative_prompt)
        loaded = self.engine.loaded
        embeddings, hits = embed(tuple(texts), self.engine.prompt_cache, loaded.parts.text)
        self.engine._info = replace(
            self.engine._info,
            provenance={**self.engine._info.provenance, "prompts_from_cache": hits},
        )
        return embeddings[0], embeddings[1] if options.nag else None

    def _picture(self, width: int, height: int) -> Tensor:
        """Latents of the portrait on a grid."""
        loaded = self.engine.loaded
        pixels = grid_pixels(
            self.portrait, width, height, crf=self.engine.image_crf(loaded, self.options)
        )
        with loaded.vae.use() as vae:
            return encode_image(vae, pixels).cpu()

    def _stage(
        self,
        latents: Tensor | None,
        audio: Tensor | None,
        shrink: int,
        sigmas: tuple[float, ...],
        generators: list[torch.Generator],
        positive: Embedding,
        negative: Embedding | None,
        after_step: Callable[[int], None],
    ) -> tuple[Tensor, Tensor]:
        """One walk down ``sigmas``: latents ``[B, C, F, H, W]`` and audio tokens, on the CPU."""
        loaded, options, request = self.engine.loaded, self.options, self.request
        width, height = options.width // shrink, options.height // shrink
        rows, columns = height // SPATIAL_FACTOR, width // SPATIAL_FACTOR
        frames = (request.num_frames - 1) // TEMPORAL_FACTOR + 1
        # motion slower than real time: the same frames, said to be closer together in time
        fps = float(request.fps) / options.motion_speed
        image = self._picture(width, height)
        model = loaded.parts.transformer
        coords = clip_coords(model.rope, frames, rows, columns, fps)
        batch = len(generators)
        plain = latents is None and options.image_strength == 1 and not options.end_anchor
        if plain:
            tokens = first_frame(image, frames, coords, generators)
        else:
            anchor = None
            if options.end_anchor:
                where = keyframe_coords(rows, columns, request.num_frames - 1, fps, SPATIAL_FACTOR)
                anchor = (image, options.end_anchor, where)
            start = latents
            if start is None:
                start = torch.zeros(batch, image.shape[1], frames, rows, columns)
            tokens = conditioned(
                start,
                image,
                options.image_strength,
                coords,
                sigmas[0],
                generators,
                anchor=anchor,
            )
        audio_tokens = self._audio(audio, sigmas[0], generators, packed=not plain)
        length = audio_tokens.shape[1]
        audio_coords = model.audio_rope.prepare_audio_coords(1, length, torch.device("cpu"))
        out, audio_out = self._denoised(
            tokens, audio_tokens, audio_coords, sigmas, positive, negative, after_step
        )
        clean = unpack(out[:, : tokens.count].cpu(), frames, rows, columns)
        return clean, audio_out.cpu()

    def _denoised(
        self,
        tokens: Tokens,
        audio: Tensor,
        audio_coords: Tensor,
        sigmas: tuple[float, ...],
        positive: Embedding,
        negative: Embedding | None,
        after_step: Callable[[int], None],
    ) -> tuple[Tensor, Tensor]:
        loaded, options = self.engine.loaded, self.options
        batch = tokens.latents.shape[0]
        nag = None
        if options.nag:
            nag = Nag(
                scale=options.nag_scale,
                tau=options.nag_tau,
                alpha=options.nag_alpha,
                from_sigma=options.nag_from_sigma,
            )
        with loaded.transformer.use(), torch.no_grad():
            context = loaded.denoiser.text_context(
                _repeat(positive, batch), None if negative is None else _repeat(negative, batch)
            )
            return denoise(
                loaded.denoiser,
                tokens,
                audio,
                audio_coords,
                context,
                sigmas,
                nag=nag,
                after_step=after_step,
            )

    def _audio(
        self,
        audio: Tensor | None,
        sigma: float,
        generators: list[torch.Generator],
        *,
        packed: bool,
    ) -> Tensor:
        """Noisy audio tokens: the picture's model always makes sound too, and listens to it."""
        loaded = self.engine.loaded
        if audio is not None:
            noise = noise_like(tuple(audio.shape), generators)
            return noise * sigma + audio * (1 - sigma)
        config = loaded.parts.transformer.config
        channels, bins = loaded.parts.audio
        rate = (
            config.audio_sampling_rate / config.audio_hop_length / float(config.audio_scale_factor)
        )
        length = round(float(self.request.num_frames / self.request.fps) * rate)
        batch = len(generators)
        if packed:
            return noise_like((batch, length, channels * bins), generators)
        return pack_audio(noise_like((batch, channels, length, bins), generators))

    @torch.no_grad()
    def _upsample(self, latents: Tensor) -> Tensor:
        """Normalised latents at twice the size."""
        loaded = self.engine.loaded
        assert loaded.upsampler is not None  # noqa: S101 - two stages load it
        device = self.engine.device
        mean, std = statistics(loaded.parts.vae, device)
        factor = loaded.parts.vae.config.scaling_factor
        out = []
        with loaded.upsampler.use() as upsampler:
            weight: Any = next(upsampler.parameters())
            for one in latents.split(1):
                raw = one.to(device) * std / factor + mean
                larger = upsampler(raw.to(weight.dtype)).float()
                out.append(((larger - mean) * factor / std).cpu())
        return torch.cat(out)


def _pieces(vae: Any, latents: Tensor, chunk: int) -> Any:
    return to_frames(decode(vae, latents, chunk=chunk))


def _repeat(embedding: Embedding, batch: int) -> Embedding:
    return embedding[0].expand(batch, -1, -1), embedding[1].expand(batch, -1, -1)


def _skeleton(*, small: bool) -> Any:
    from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformer3DModel

    from vivant.engine.ltx2 import tiny

    with torch.device("meta"):
        return LTX2VideoTransformer3DModel(
            **(tiny.TINY_TRANSFORMER if small else tiny.TRANSFORMER_2_0)
        )


def grid_pixels(portrait: Portrait, width: int, height: int, *, crf: int = 0) -> Image:
    """The portrait on a grid, ``[height, width, 3]``: its centre, cut back, is the crop.

    Where the grid's aspect is not the crop's, the frame shows more of the real picture. The
    re-compression comes before the resize, as in Lightricks' own pipeline: what the model sees
    of it depends on the picture's size.
    """
    if crf:
        region = framed(portrait.crop, width, height)
        rows, columns = portrait.pixels.shape[:2]
        margin = 16
        left = max(0, int(region.left) - margin)
        top = max(0, int(region.top) - margin)
        right = min(columns, int(np.ceil(region.right)) + margin)
        bottom = min(rows, int(np.ceil(region.bottom)) + margin)
        part = recompress(portrait.pixels[top:bottom, left:right], crf)
        crop = portrait.crop
        portrait = replace(
            portrait,
            pixels=part,
            crop=Box(crop.left - left, crop.top - top, crop.width, crop.height),
        )
    return crop_pixels(portrait, width, height)
