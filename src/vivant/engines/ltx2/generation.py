"""One call's work on a loaded model: latents once, then the frames of each clip.

Embed the prompts, encode the picture, denoise in one or two stages, decode chunk by chunk; one
tier lower where GPU memory runs out.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from vivant.engines.ltx2.conditioning import statistics, unpack
from vivant.engines.ltx2.decode import can_share, decode, to_bytes, to_frames
from vivant.engines.ltx2.denoising_stage import DenoisingStage
from vivant.engines.ltx2.loading import LoadedModel, ModelLoader
from vivant.engines.ltx2.memory import release
from vivant.engines.ltx2.options import LTX2Options
from vivant.engines.ltx2.prompts import Embedding, embed
from vivant.engines.ltx2.sampling import Nag
from vivant.engines.ltx2.stage_inputs import Refinement, StageInputs, StagePlan
from vivant.errors import EngineError, VivantError
from vivant.types import Frames, Observer, Portrait, Progress, Request, Sound

T = TypeVar("T")


class ReportSink(Protocol):
    """What the engine tells of a call while it runs."""

    def record(self, **facts: object) -> None:
        """Add to what the report says of where a clip comes from."""

    def tier_lowered(self, before: str, after: LoadedModel) -> None:
        """Memory ran out in tier ``before``: the clip is started again."""


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
        self.request = request
        self.options = options
        self.seeds = seeds
        self.observe = observe
        self.texts = texts
        self._inputs = StageInputs(loader, portrait, request, options, prefix)
        self._latents: Tensor | None = None
        self._audio_tokens: list[Tensor] = []
        self._sounds: list[Sound] = []
        self._batch_size = len(seeds)

    def frames(self, index: int) -> Generator[Frames]:
        """Frames of clip ``index``."""
        try:
            if self._latents is None:
                self._latents = self._retry_lower_tier(self._sample)
                if self.options.sound:
                    self._sounds = self._retry_lower_tier(self._decode_sound)
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

    def _retry_lower_tier(self, work: Callable[[], T]) -> T:
        """``work``, again one tier lower if GPU memory runs out."""
        try:
            return work()
        except torch.OutOfMemoryError:
            pass  # the frames of the failed attempt are freed when this block is left
        self._lower_tier()
        return work()

    def _lower_tier(self) -> None:
        before = self.loader.loaded.tier
        self.report.tier_lowered(before, self.loader.lower_tier())

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
        texts = self._text()
        if self.loader.loaded.tier == "swap":
            self._batch_size = 1  # there is room for no more beside the weights
        while True:
            size = self._batch_size
            batches = [self.seeds[at : at + size] for at in range(0, len(self.seeds), size)]
            self._audio_tokens = []
            try:
                return torch.cat(
                    [
                        self._denoise_batch(seeds, texts, number, len(batches))
                        for number, seeds in enumerate(batches)
                    ]
                )
            except torch.OutOfMemoryError:
                if size == 1:
                    raise
            # here, where the tensors of the failed attempt are freed
            release(self.loader.device)
            self._batch_size = (size + 1) // 2

    def _denoise_batch(
        self, seeds: tuple[int, ...], texts: Texts, number: int, batches: int
    ) -> Tensor:
        """Clean latents of ``seeds``, which are batch ``number`` of ``batches``."""
        recipe = self.options.recipe
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        steps = len(recipe.sigmas) + len(recipe.refine_sigmas)

        def count(offset: int) -> Callable[[int], None]:
            base = number * steps + offset
            return lambda step: self.observe(
                Progress("generate", base + step, batches * steps, "step")
            )

        with ThreadPoolExecutor(1, "vivant-refine") as pool:
            refinement: Future[Refinement] | None = None

            def prepare_second(tokens: Tensor, audio: Tensor) -> None:
                """Prepare the second stage while the first one is denoised."""
                nonlocal refinement
                if recipe.refine_sigmas:
                    # only now: the generators' next numbers belong to the second stage, or a seed
                    # gives another clip
                    refinement = pool.submit(self._inputs.refinement, tokens, audio, generators)

            first = StagePlan(shrink=recipe.stages, sigmas=recipe.sigmas, generators=generators)
            latents, audio = self._run_stage(first, texts, count(0), prepare_second)
        if refinement is not None:
            second = StagePlan(
                shrink=1,
                sigmas=recipe.refine_sigmas,
                generators=generators,
                latents=self._upsample(latents),
                audio=audio,
                prepared=refinement.result(),
            )
            latents, audio = self._run_stage(second, texts, count(len(recipe.sigmas)))
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

    def _run_stage(
        self,
        stage: StagePlan,
        texts: Texts,
        after_step: Callable[[int], None],
        on_noise: Callable[[Tensor, Tensor], None] = lambda *_: None,
    ) -> tuple[Tensor, Tensor]:
        """Clean latents ``[B, C, F, H, W]`` and audio tokens of a stage, on the CPU.

        ``on_noise`` is called with the noisy tokens before they are denoised.
        """
        tokens, audio = self._inputs.video(stage), self._inputs.audio(stage)
        on_noise(tokens.latents, audio)
        loaded = self.loader.loaded
        rope = loaded.parts.transformer.audio_rope
        inputs = DenoisingStage(
            tokens=tokens,
            audio=audio,
            audio_coords=rope.prepare_audio_coords(1, audio.shape[1], torch.device("cpu")),
            sigmas=stage.sigmas,
            positive=texts[0],
            negative=texts[1],
            nag=self._nag,
        )
        run = inputs.run if loaded.group is None else partial(loaded.group.denoise, inputs)
        latents, audio = run(loaded.transformer, loaded.denoiser, after_step)
        shape = self._inputs.latent_shape(stage.shrink)
        return unpack(latents[:, : tokens.count].cpu(), *shape), audio.cpu()

    @property
    def _nag(self) -> Nag | None:
        options = self.options
        if not options.nag:
            return None
        return Nag(
            scale=options.nag_scale,
            tau=options.nag_tau,
            alpha=options.nag_alpha,
            from_sigma=options.nag_from_sigma,
            to_sigma=options.nag_to_sigma,
        )

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
