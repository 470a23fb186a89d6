"""One call's work on a loaded model: latents once, then the frames of each clip.

Embed the prompts, encode the picture, denoise in one or two stages, decode chunk by chunk; one
tier lower where GPU memory runs out.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from vivant.engines.ltx2.conditioning import (
    Tokens,
    clip_coords,
    conditioned,
    encode_frames,
    first_frame,
    grid_pixels,
    keyframe_coords,
    noise_like,
    pack_audio,
    shrunk,
    statistics,
    unpack,
)
from vivant.engines.ltx2.decode import can_share, decode, to_bytes, to_frames
from vivant.engines.ltx2.denoising_stage import DenoisingStage
from vivant.engines.ltx2.loading import LoadedModel, ModelLoader
from vivant.engines.ltx2.memory import release
from vivant.engines.ltx2.options import LTX2Options
from vivant.engines.ltx2.prompts import Embedding, embed
from vivant.engines.ltx2.recipes import SPATIAL_FACTOR, TEMPORAL_FACTOR
from vivant.engines.ltx2.sampling import Nag
from vivant.errors import EngineError, VivantError
from vivant.types import Frames, Image, Observer, Portrait, Progress, Request, Sound

T = TypeVar("T")


class ReportSink(Protocol):
    """What the engine tells of a call while it runs."""

    def record(self, **facts: object) -> None:
        """Add to what the report says of where a clip comes from."""

    def lowered(self, before: str, after: LoadedModel) -> None:
        """Memory ran out in tier ``before``: the clip is started again."""


class _Refinement(NamedTuple):
    """What the second stage needs that the first one has no part in."""

    beginning: Frames
    noise: Tensor
    audio_noise: Tensor


Texts = tuple[Embedding, Embedding | None]
"""Of the prompt and of the negative prompt, where that is used."""


class Generation:
    """One pass of the model: latents of all clips once, then frames of each.

    Args:
        portrait: frame 0, where there is no ``prefix``.
        request: ``num_frames`` are those of this pass.
        prefix: frames ``[8k + 1, height, width, 3]`` that the clips begin with, on the grid.
        texts: the prompts' embeddings, where they are known.
    """

    def __init__(
        self,
        loader: ModelLoader,
        report: ReportSink,
        portrait: Portrait,
        request: Request,
        options: LTX2Options,
        seeds: tuple[int, ...],
        observe: Observer,
        *,
        prefix: Frames | None = None,
        texts: Texts | None = None,
    ) -> None:
        self.loader = loader
        self.report = report
        self.portrait = portrait
        self.request = request
        self.options = options
        self.seeds = seeds
        self.observe = observe
        self.prefix = prefix
        self.texts = texts
        self._latents: Tensor | None = None
        self._audio_tokens: list[Tensor] = []
        self._sounds: list[Sound] = []
        self._together = len(seeds)

    def frames(self, index: int) -> Generator[Frames]:
        """Frames of clip ``index``."""
        try:
            if self._latents is None:
                self._latents = self._or_lower(self._sample)
                if self.options.sound:
                    self._sounds = self._or_lower(self._decode_sound)
            yield from self._decoded(self._latents[index : index + 1])
        except VivantError:
            raise
        except torch.OutOfMemoryError:
            raise self.loader.no_memory(self.loader.loaded.tier) from None
        except RuntimeError as error:
            raise EngineError(f"generation failed: {str(error).splitlines()[0]}") from error

    def sound(self, index: int) -> Sound:
        """Sound of clip ``index``, once its first frames were taken."""
        return self._sounds[index]

    def _decode_sound(self) -> list[Sound]:
        decoder = self.loader.sound_decoder(self.options)
        return decoder.decode(torch.cat(self._audio_tokens))

    def _or_lower(self, work: Callable[[], T]) -> T:
        """``work``, again one tier lower if GPU memory runs out."""
        try:
            return work()
        except torch.OutOfMemoryError:
            pass  # the frames of the failed attempt are freed when this block is left
        self._lower_tier()
        return work()

    def _lower_tier(self) -> None:
        before = self.loader.loaded.tier
        self.report.lowered(before, self.loader.lower_tier())

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
        self._lower_tier()
        yield from self._decode_once(latents)

    def _decode_once(self, latents: Tensor) -> Iterator[Frames]:
        loaded, total, done = self.loader.loaded, self.request.num_frames, 0
        chunk = max(1, self.options.chunk // (8 if loaded.tier == "swap" else 2))
        with loaded.vae.use() as vae, closing(_pieces(loaded, vae, latents, chunk)) as pieces:
            for frames in pieces:
                done += len(frames)
                yield frames
                self.observe(Progress("generate", done, total))

    def _sample(self) -> Tensor:
        """Clean latents ``[seeds, C, F, H, W]``, normalised, on the CPU.

        Where GPU memory runs out with several clips side by side, half as many are tried.
        """
        positive, negative = self._text()
        if self.loader.loaded.tier == "swap":
            self._together = 1  # there is room for no more beside the weights
        while True:
            size = self._together
            rounds = [self.seeds[at : at + size] for at in range(0, len(self.seeds), size)]
            self._audio_tokens = []
            try:
                return torch.cat(
                    [
                        self._round(seeds, positive, negative, number, len(rounds))
                        for number, seeds in enumerate(rounds)
                    ]
                )
            except torch.OutOfMemoryError:
                if size == 1:
                    raise
            # here, where the tensors of the failed attempt are freed
            release(self.loader.device)
            self._together = (size + 1) // 2

    def _round(
        self,
        seeds: tuple[int, ...],
        positive: Embedding,
        negative: Embedding | None,
        number: int,
        rounds: int,
    ) -> Tensor:
        """Clean latents of ``seeds``, which are round ``number`` of ``rounds``."""
        recipe = self.options.recipe
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        steps = len(recipe.sigmas) + len(recipe.refine_sigmas)

        def count(offset: int) -> Callable[[int], None]:
            base = number * steps + offset
            return lambda step: self.observe(
                Progress("generate", base + step, rounds * steps, "step")
            )

        scale = recipe.stages
        with ThreadPoolExecutor(1, "vivant-refine") as pool:
            refine: Future[_Refinement] | None = None

            def drawn(tokens: Tensor, audio: Tensor) -> None:
                """The first stage has drawn its noise: prepare the second while it is denoised."""
                nonlocal refine
                if recipe.refine_sigmas:
                    # only now: the generators' next numbers belong to the second stage, or a seed
                    # gives another clip
                    refine = pool.submit(self._refinement, tokens, audio, generators)

            latents, audio = self._stage(
                None, None, scale, recipe.sigmas, generators, positive, negative, count(0), drawn
            )
        if refine is not None:
            latents = self._upsample(latents)
            latents, audio = self._stage(
                latents,
                audio,
                1,
                recipe.refine_sigmas,
                generators,
                positive,
                negative,
                count(len(recipe.sigmas)),
                prepared=refine.result(),
            )
        if not bool(torch.isfinite(latents).all()):
            raise EngineError(
                "the transformer returned values that are not finite: the weights or an adapter "
                "are broken (precision=bf16 tells whether fp8 is to blame)"
            )
        self._audio_tokens.append(audio)
        return latents

    def _text(self) -> Texts:
        if self.texts is not None:
            return self.texts
        options, request = self.options, self.request
        texts = [request.prompt]
        if options.nag:
            texts.append(request.negative_prompt)
        loaded = self.loader.loaded
        embeddings, hits = embed(
            tuple(texts), self.loader.prompt_cache, loaded.parts.text, self.observe
        )
        self.report.record(prompts_from_cache=hits)
        self.texts = embeddings[0], embeddings[1] if options.nag else None
        return self.texts

    def _encoded(self, frames: Frames) -> Tensor:
        """Latents of frames on a grid."""
        with self.loader.loaded.vae.use() as vae:
            return encode_frames(vae, frames).cpu()

    def _beginning(self, shrink: int) -> Frames:
        """What the clips begin with, on the grid or a part of its size."""
        if self.prefix is None:
            return self._pixels(self.portrait, shrink)[None]
        return shrunk(self.prefix, shrink)

    def _pixels(self, portrait: Portrait, shrink: int) -> Image:
        """A picture on the grid, or a part of its size."""
        options = self.options
        width, height = options.width // shrink, options.height // shrink
        crf = self.loader.loaded.image_crf(options)
        return grid_pixels(portrait, width, height, crf=crf)

    def _refinement(
        self, tokens: Tensor, audio: Tensor, generators: list[torch.Generator]
    ) -> _Refinement:
        """What the second stage needs of the CPU, in another thread while the first one runs.

        Args:
            tokens: of the first stage.
            audio: likewise.
            generators: whose next numbers are the second stage's.
        """
        options = self.options
        # the first stage's tokens cover as many frames, at a part of the size
        full = options.width // SPATIAL_FACTOR * (options.height // SPATIAL_FACTOR)
        shrink = options.recipe.stages
        small = (options.width // shrink // SPATIAL_FACTOR) * (
            options.height // shrink // SPATIAL_FACTOR
        )
        count = tokens.shape[1] // small * full
        shape = (tokens.shape[0], count, tokens.shape[2])
        noise = noise_like(shape, generators)
        return _Refinement(self._beginning(1), noise, noise_like(tuple(audio.shape), generators))

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
        drawn: Callable[[Tensor, Tensor], None] = lambda *_: None,
        prepared: _Refinement | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One walk down ``sigmas``: latents ``[B, C, F, H, W]`` and audio tokens, on the CPU.

        ``drawn`` is called with the noisy tokens before they are denoised.
        """
        loaded, options, request = self.loader.loaded, self.options, self.request
        width, height = options.width // shrink, options.height // shrink
        rows, columns = height // SPATIAL_FACTOR, width // SPATIAL_FACTOR
        frames = (request.num_frames - 1) // TEMPORAL_FACTOR + 1
        # motion slower than real time: the same frames, said to be closer together in time
        fps = float(request.fps) / options.motion_speed
        image = self._encoded(self._beginning(shrink) if prepared is None else prepared.beginning)
        model = loaded.parts.transformer
        coords = clip_coords(model.rope, frames, rows, columns, fps)
        batch = len(generators)
        # frames made before are kept: what would change in them is not shown
        strength = options.image_strength if self.prefix is None else 1.0
        plain = latents is None and self.prefix is None and strength == 1 and not options.end_anchor
        if plain:
            tokens = first_frame(image, frames, coords, generators)
        else:
            anchor = None
            if options.end_anchor:
                where = keyframe_coords(rows, columns, request.num_frames - 1, fps, SPATIAL_FACTOR)
                end = image
                if self.portrait.last is not None or self.prefix is not None:
                    last = self.portrait.last or self.portrait
                    end = self._encoded(self._pixels(last, shrink)[None])
                anchor = (end, options.end_anchor, where)
            start = latents
            if start is None:
                start = torch.zeros(batch, image.shape[1], frames, rows, columns)
            tokens = conditioned(
                start,
                image,
                strength,
                coords,
                sigmas[0],
                generators,
                anchor=anchor,
                noise=None if prepared is None else prepared.noise,
            )
        audio_tokens = self._audio(
            audio,
            sigmas[0],
            generators,
            packed=not plain,
            noise=None if prepared is None else prepared.audio_noise,
        )
        drawn(tokens.latents, audio_tokens)
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
        loaded, options = self.loader.loaded, self.options
        nag = None
        if options.nag:
            nag = Nag(
                scale=options.nag_scale,
                tau=options.nag_tau,
                alpha=options.nag_alpha,
                from_sigma=options.nag_from_sigma,
                to_sigma=options.nag_to_sigma,
            )
        stage = DenoisingStage(
            tokens=tokens,
            audio=audio,
            audio_coords=audio_coords,
            sigmas=sigmas,
            positive=positive,
            negative=negative,
            nag=nag,
        )
        run = stage.run if loaded.group is None else partial(loaded.group.denoise, stage)
        return run(loaded.transformer, loaded.denoiser, after_step)

    def _audio(
        self,
        audio: Tensor | None,
        sigma: float,
        generators: list[torch.Generator],
        *,
        packed: bool,
        noise: Tensor | None = None,
    ) -> Tensor:
        """Noisy audio tokens: the picture's model always makes sound too, and listens to it."""
        loaded = self.loader.loaded
        if audio is not None:
            if noise is None:
                noise = noise_like(tuple(audio.shape), generators)
            return noise * sigma + audio * (1 - sigma)
        config = loaded.parts.transformer.config
        channels, bins = loaded.parts.audio
        rate = (
            config.audio_sampling_rate / config.audio_hop_length / float(config.audio_scale_factor)
        )
        # of the same model time as the picture, which motion_speed stretches
        seconds = float(self.request.num_frames / self.request.fps) * self.options.motion_speed
        length = round(seconds * rate)
        batch = len(generators)
        if packed:
            return noise_like((batch, length, channels * bins), generators)
        return pack_audio(noise_like((batch, channels, length, bins), generators))

    @torch.no_grad()
    def _upsample(self, latents: Tensor) -> Tensor:
        """Normalised latents at twice the size."""
        loaded = self.loader.loaded
        assert loaded.upsampler is not None  # noqa: S101 - two stages load it
        device = self.loader.device
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


def _pieces(loaded: LoadedModel, vae: Any, latents: Tensor, chunk: int) -> Any:
    group = loaded.group
    if group is not None and can_share(vae, latents.shape[2], group.ulysses.size):
        return to_frames(group.decode(vae, latents, chunk=2 * chunk))
    return to_frames(map(to_bytes, decode(vae, latents, chunk=chunk)))
