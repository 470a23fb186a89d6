"""The engine against diffusers' own pipelines, with the same weights, prompt, picture and seed.

Where diffusers departs from the official rules, ``ltx2_reference`` is the oracle, or corrects it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from torch import Tensor

import ltx2_tiny as small
from ltx2_reference import PartlyHeld, Reference, follow_timestep_rule
from vivant.engines.ltx2 import tiny
from vivant.engines.ltx2.architecture import TINY, TINY_2_0, TINY_2_3
from vivant.engines.ltx2.conditioning import Tokens, grid_pixels, statistics
from vivant.engines.ltx2.engine import UNGUIDED, LTX2Engine
from vivant.engines.ltx2.generation import Generation
from vivant.engines.ltx2.options import LTX2Options
from vivant.engines.ltx2.recipes import DISTILLED_SIGMAS, REFINE_SIGMAS, SEED_SIGMAS
from vivant.engines.ltx2.sampling import denoise
from vivant.engines.ltx2.transformer import Denoiser
from vivant.types import Frames, Portrait, Request, ignore_progress

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

TOLERANCE = 1e-4
VERSIONS = pytest.mark.parametrize("version", ["2.0", "2.3"])
COMMON: dict[str, Any] = {
    **UNGUIDED,
    "prompt": "subtle motion",
    "num_frames": small.FRAMES,
    "frame_rate": 24.0,
    "max_sequence_length": 16,
    "use_cross_timestep": False,
    "output_type": "latent",
    "return_dict": False,
}


def latents_of(
    engine: LTX2Engine, request: Request, portrait: Portrait | None = None
) -> tuple[Tensor, Generation]:
    """The engine's clean latents, denormalised as diffusers returns them."""
    shown = portrait or small.portrait()
    list(engine.generate(shown, request, ignore_progress).chunks)
    options = LTX2Options.from_request(request)
    generation = Generation(
        engine.loader, engine, shown, request, options, (request.seed,), ignore_progress
    )
    latents = generation._sample()
    mean, std = statistics(engine.loaded.parts.vae, torch.device("cpu"))
    return latents * std + mean, generation


def picture(width: int, height: int) -> PillowImage.Image:
    return PillowImage.fromarray(grid_pixels(small.portrait(), width, height))


@VERSIONS
def test_one_stage_equals_diffusers_image_to_video(tmp_path: Path, version: str) -> None:
    from diffusers import LTX2ImageToVideoPipeline

    engine = small.engine(tmp_path)
    request = small.request(version, recipe="seed", nag=False, image_crf=0)
    ours, _ = latents_of(engine, request)
    parts = engine.loaded.parts
    pipe = small.stock(LTX2ImageToVideoPipeline, transformer=parts.transformer, vae=parts.vae)
    theirs, _ = pipe(
        image=picture(small.WIDTH, small.HEIGHT),
        width=small.WIDTH,
        height=small.HEIGHT,
        sigmas=list(SEED_SIGMAS),
        image_crf=0,
        generator=torch.Generator().manual_seed(request.seed),
        **COMMON,
    )
    assert (ours - theirs).abs().max() < TOLERANCE
    assert theirs.std() > 0.3  # not equal for want of anything to differ in

    frames = np.concatenate(
        list(engine.generate(small.portrait(), request, ignore_progress).chunks)
    )
    with torch.no_grad():
        pixels = parts.vae.decode(theirs, None, return_dict=False)[0]
    expected = pipe.video_processor.postprocess_video(pixels, output_type="np")[0]
    assert frames.shape == expected.shape
    difference = np.abs(frames.astype(int) - (expected * 255).round().astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


def test_one_stage_recompresses_the_picture_as_diffusers_does(tmp_path: Path) -> None:
    from diffusers.pipelines.ltx2.utils import apply_image_conditioning_crf

    from vivant.engines.ltx2.conditioning import recompress

    pixels = small.portrait().pixels
    np.testing.assert_array_equal(recompress(pixels, 33), apply_image_conditioning_crf(pixels, 33))
    np.testing.assert_array_equal(recompress(pixels, 0), pixels)


def condition_pipeline(engine: LTX2Engine) -> Any:
    """Diffusers' condition pipeline, its keyframes moved to the clip's last pixel frame.

    It counts keyframes in latents, and cannot name that frame; the rest is its own.
    """
    from diffusers import LTX2ConditionPipeline

    class LastFrame(PartlyHeld, LTX2ConditionPipeline):  # type: ignore[misc]
        def _prepare_keyframe_coords(self, *args: Any, **kwargs: Any) -> Tensor:
            kwargs["pixel_frame_idx"] = small.FRAMES - 1
            coords: Tensor = super()._prepare_keyframe_coords(*args, **kwargs)
            return coords

    parts = engine.loaded.parts
    return small.stock(LastFrame, transformer=parts.transformer, vae=parts.vae)


@pytest.mark.parametrize(
    ("version", "strength", "speed"), [("2.0", 1.0, 1.0), ("2.0", 0.8, 0.5), ("2.3", 0.8, 0.5)]
)
def test_end_anchor_equals_a_keyframe_on_the_last_frame(
    tmp_path: Path, version: str, strength: float, speed: float
) -> None:
    from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition

    engine = small.engine(tmp_path)
    request = small.request(
        version,
        recipe="fast",
        nag=False,
        image_crf=0,
        image_strength=strength,
        end_anchor=0.6,
        motion_speed=speed,
    )
    ours, _ = latents_of(engine, request)
    image = picture(small.WIDTH, small.HEIGHT)
    theirs, _ = condition_pipeline(engine)(
        conditions=[
            LTX2VideoCondition(frames=image, index=0, strength=strength, crf=0),
            LTX2VideoCondition(frames=image, index=-1, strength=0.6, crf=0),
        ],
        width=small.WIDTH,
        height=small.HEIGHT,
        sigmas=list(DISTILLED_SIGMAS),
        generator=torch.Generator().manual_seed(request.seed),
        # diffusers' motion_speed leaves the sound as long as before, out of step with the picture
        **{**COMMON, "frame_rate": 24 / speed},
    )
    assert (ours - theirs).abs().max() < TOLERANCE


@VERSIONS
def test_a_last_picture_equals_a_keyframe_of_another_picture(tmp_path: Path, version: str) -> None:
    from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition

    engine = small.engine(tmp_path)
    first = small.portrait()
    last = replace(first, pixels=np.ascontiguousarray(first.pixels[::-1, :, ::-1]))
    request = replace(
        small.request(version, recipe="fast", nag=False, image_crf=0), last=b"", engine="ltx2"
    )
    ours, _ = latents_of(engine, request, replace(first, last=last))
    end = PillowImage.fromarray(grid_pixels(last, small.WIDTH, small.HEIGHT))
    theirs, _ = condition_pipeline(engine)(
        conditions=[
            LTX2VideoCondition(
                frames=picture(small.WIDTH, small.HEIGHT), index=0, strength=1.0, crf=0
            ),
            LTX2VideoCondition(frames=end, index=-1, strength=1.0, crf=0),
        ],
        width=small.WIDTH,
        height=small.HEIGHT,
        sigmas=list(DISTILLED_SIGMAS),
        generator=torch.Generator().manual_seed(request.seed),
        **COMMON,
    )
    assert (ours - theirs).abs().max() < TOLERANCE
    same, _ = latents_of(engine, request)
    assert (ours - same).abs().max() > 100 * TOLERANCE  # the other picture matters


@VERSIONS
@pytest.mark.parametrize("anchor", [0.0, 0.5])
def test_two_stages_equal_diffusers_three_pipelines(
    tmp_path: Path, version: str, anchor: float
) -> None:
    from diffusers import LTX2ImageToVideoPipeline
    from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition
    from diffusers.pipelines.ltx2.pipeline_ltx2_latent_upsample import LTX2LatentUpsamplePipeline

    engine = small.engine(tmp_path)
    request = small.request(version, recipe="native", nag=False, image_crf=0, end_anchor=anchor)
    ours, _ = latents_of(engine, request)
    parts = engine.loaded.parts
    generator = torch.Generator().manual_seed(request.seed)
    half = (small.WIDTH // 2, small.HEIGHT // 2)

    def conditions(width: int, height: int) -> list[Any]:
        image = picture(width, height)
        keyframe = LTX2VideoCondition(frames=image, index=-1, strength=anchor, crf=0)
        first = LTX2VideoCondition(frames=image, index=0, strength=1.0, crf=0)
        return [first, keyframe] if anchor else [first]

    refine = condition_pipeline(engine)
    if anchor:
        latents, audio = refine(
            conditions=conditions(*half),
            width=half[0],
            height=half[1],
            sigmas=list(DISTILLED_SIGMAS),
            generator=generator,
            **COMMON,
        )
    else:
        pipe = small.stock(LTX2ImageToVideoPipeline, transformer=parts.transformer, vae=parts.vae)
        latents, audio = pipe(
            image=picture(*half),
            width=half[0],
            height=half[1],
            sigmas=list(DISTILLED_SIGMAS),
            image_crf=0,
            generator=generator,
            **COMMON,
        )
    upsample = LTX2LatentUpsamplePipeline(vae=parts.vae, latent_upsampler=parts.upsampler)
    (latents,) = upsample(latents=latents, output_type="latent", return_dict=False)
    theirs, _ = refine(
        conditions=conditions(small.WIDTH, small.HEIGHT),
        latents=latents,
        audio_latents=audio,
        width=small.WIDTH,
        height=small.HEIGHT,
        sigmas=list(REFINE_SIGMAS),
        generator=generator,
        **COMMON,
    )
    assert (ours - theirs).abs().max() < TOLERANCE
    assert theirs.std() > 0.3


def continued(engine: LTX2Engine, request: Request, prefix: Frames, **portrait: Any) -> Tensor:
    """Latents of a pass that continues ``prefix``, denormalised."""
    shown = replace(small.portrait(), **portrait)
    engine.generate(shown, request, ignore_progress)  # loads the weights
    options = LTX2Options.from_request(request)
    generation = Generation(
        engine.loader, engine, shown, request, options, (request.seed,), ignore_progress,
        prefix=prefix,
    )  # fmt: skip
    mean, std = statistics(engine.loaded.parts.vae, torch.device("cpu"))
    return generation._sample() * std + mean


def moving(count: int) -> Frames:
    """Frames to continue: the picture, moved; every 2 × 2 pixels are equal."""
    pixels = grid_pixels(small.portrait(), small.WIDTH, small.HEIGHT)[::2, ::2]
    moved = np.stack([np.roll(pixels, index, axis=1) for index in range(count)])
    return moved.repeat(2, axis=1).repeat(2, axis=2)


@pytest.mark.parametrize(("version", "recipe"), [("2.3", "fast"), ("2.0", "native")])
def test_a_continued_segment_equals_a_condition_of_several_frames(
    tmp_path: Path, version: str, recipe: str
) -> None:
    """Nine frames held at the beginning, in both stages, and another picture at the end."""
    from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition
    from diffusers.pipelines.ltx2.pipeline_ltx2_latent_upsample import LTX2LatentUpsamplePipeline

    engine = small.engine(tmp_path)
    last = replace(small.portrait(), pixels=small.portrait().pixels[::-1].copy())
    request = replace(
        small.request(version, recipe=recipe, nag=False, image_crf=0, image_strength=0.7), last=b""
    )
    prefix = moving(9)
    ours = continued(engine, request, prefix, last=last)
    pipe = condition_pipeline(engine)
    generator = torch.Generator().manual_seed(request.seed)

    def run(shrink: int, **arguments: Any) -> Any:
        width, height = small.WIDTH // shrink, small.HEIGHT // shrink
        end = PillowImage.fromarray(grid_pixels(last, width, height))
        shown = [PillowImage.fromarray(frame) for frame in prefix]
        return pipe(
            conditions=[
                LTX2VideoCondition(frames=shown, index=0, strength=1.0),
                LTX2VideoCondition(frames=end, index=-1, strength=1.0, crf=0),
            ],
            width=width,
            height=height,
            generator=generator,
            **arguments,
            **COMMON,
        )

    theirs, audio = run(2 if recipe == "native" else 1, sigmas=list(DISTILLED_SIGMAS))
    if recipe == "native":
        parts = engine.loaded.parts
        upsample = LTX2LatentUpsamplePipeline(vae=parts.vae, latent_upsampler=parts.upsampler)
        (theirs,) = upsample(latents=theirs, output_type="latent", return_dict=False)
        theirs, _ = run(1, sigmas=list(REFINE_SIGMAS), latents=theirs, audio_latents=audio)
    assert (ours - theirs).abs().max() < TOLERANCE
    assert theirs.std() > 0.3
    other = continued(engine, request, prefix[:, ::-1].copy(), last=last)
    assert (ours - other).abs().max() > 100 * TOLERANCE  # what it continues matters


@pytest.mark.parametrize("setting", [(5.0, 2.5, 0.25), (11.0, 1.5, 1.0)])
def test_nag_equals_its_formula_inside_diffusers_attention(
    tmp_path: Path, setting: tuple[float, float, float]
) -> None:
    """The published formula, in float64, around diffusers' own text attention."""
    from diffusers import LTX2ImageToVideoPipeline

    scale, tau, alpha = setting
    engine = small.engine(tmp_path)
    request = small.request(
        recipe="fast",
        image_crf=0,
        nag_scale=scale,
        nag_tau=tau,
        nag_alpha=alpha,
        nag_from_sigma=0,
    )
    ours, _ = latents_of(engine, request)
    parts = engine.loaded.parts
    pipe = small.stock(LTX2ImageToVideoPipeline, transformer=parts.transformer, vae=parts.vae)
    embeds, mask, _, _ = pipe.encode_prompt(
        request.negative_prompt, do_classifier_free_guidance=False, max_sequence_length=16
    )
    with torch.no_grad():
        video, audio, _ = pipe.connectors(embeds, mask)
        negatives = {
            "attn2": parts.transformer.caption_projection(video),
            "audio_attn2": parts.transformer.audio_caption_projection(audio),
        }

    def attended(attn: Any, hidden: Tensor, text: Tensor) -> Tensor:
        split = [
            part.unflatten(-1, (attn.heads, -1)).transpose(1, 2).double()
            for part in (
                attn.norm_q(attn.to_q(hidden)),
                attn.norm_k(attn.to_k(text)),
                attn.to_v(text),
            )
        ]
        query, key, value = split
        weight = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(-1)
        joined: Tensor = (weight @ value).transpose(1, 2).flatten(2)
        return joined

    class Guided:
        def __init__(self, negative: Tensor) -> None:
            self.negative = negative

        def __call__(
            self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor, *_: Any
        ) -> Tensor:
            plus = attended(attn, hidden_states, encoder_hidden_states)
            minus = attended(attn, hidden_states, self.negative)
            guided = scale * plus - (scale - 1) * minus
            ratio = guided.abs().sum(-1, keepdim=True) / plus.abs().sum(-1, keepdim=True)
            guided = torch.where(ratio > tau, guided * tau / ratio, guided)
            mixed = alpha * guided + (1 - alpha) * plus
            out: Tensor = attn.to_out[0](mixed.float())
            return out

    for block in parts.transformer.transformer_blocks:
        for name, negative in negatives.items():
            getattr(block, name).processor = Guided(negative)
    theirs, _ = pipe(
        image=picture(small.WIDTH, small.HEIGHT),
        width=small.WIDTH,
        height=small.HEIGHT,
        sigmas=list(DISTILLED_SIGMAS),
        image_crf=0,
        generator=torch.Generator().manual_seed(request.seed),
        **COMMON,
    )
    assert (ours - theirs).abs().max() < TOLERANCE
    plain, _ = latents_of(engine, small.request(recipe="fast", image_crf=0, nag=False))
    assert (ours - plain).abs().max() > 100 * TOLERANCE


def test_all_guidance_off_is_one_forward_per_step(tmp_path: Path) -> None:
    from diffusers import LTX2ImageToVideoPipeline

    engine = small.engine(tmp_path)
    list(engine.generate(small.portrait(), small.request(recipe="seed"), ignore_progress).chunks)
    assert engine.loaded.denoiser.forwards == 10

    transformer = engine.loaded.parts.transformer
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1

    handle = transformer.register_forward_hook(count)
    pipe = small.stock(
        LTX2ImageToVideoPipeline, transformer=transformer, vae=engine.loaded.parts.vae
    )
    arguments = {
        "image": picture(64, 64),
        "width": 64,
        "height": 64,
        "image_crf": 0,
        "sigmas": list(DISTILLED_SIGMAS[:2]),
    }
    pipe(**arguments, **COMMON)
    assert calls == 2
    # what setting guidance_scale alone would have cost
    calls = 0
    rest = {key: value for key, value in COMMON.items() if key not in UNGUIDED}
    pipe(**arguments, guidance_scale=1.0, spatio_temporal_guidance_blocks=[0], **rest)
    assert calls > 2 * 2
    handle.remove()


@VERSIONS
@pytest.mark.parametrize("text", ["subtle motion", "x", "눈을 깜빡인다", "a" * 100])
def test_prompts_are_encoded_as_diffusers_encodes_them(
    tmp_path: Path, version: str, text: str
) -> None:
    from diffusers import LTX2ImageToVideoPipeline

    engine = small.engine(tmp_path)
    request = small.request(version, recipe="fast")
    engine.generate(small.portrait(), request, ignore_progress)
    parts = engine.loaded.parts
    pipe = small.stock(LTX2ImageToVideoPipeline, transformer=parts.transformer, vae=parts.vae)
    embeds, mask, _, _ = pipe.encode_prompt(
        text, do_classifier_free_guidance=False, max_sequence_length=16
    )
    with torch.no_grad():
        video, audio, valid = pipe.connectors(embeds, mask)
    # beside another one: all new texts of a call go through the encoder together
    ours, _ = parts.text((text, "another"))
    assert valid.all()
    torch.testing.assert_close(ours[0], video, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours[1], audio, atol=1e-5, rtol=0)


# -- against the official rules, in float64 ---------------------------------------------------


def relative(ours: Tensor, theirs: Tensor) -> float:
    """Size of the difference, relative to ``theirs``."""
    return float((ours.double() - theirs.double()).norm() / theirs.double().norm())


def drawn_inputs(model: Any, strengths: tuple[float, ...], batch: int = 1) -> dict[str, Any]:
    """Random tokens of a grid of 3 × 2 × 3 latents and as many kinds of held frames as given."""
    from vivant.engines.ltx2.conditioning import clip_coords

    generator = torch.Generator().manual_seed(5)
    frames, rows, columns = 3, 2, 3

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    held = torch.zeros(frames, rows * columns)
    for index, strength in enumerate(strengths):
        held[-index] = strength
    widths = (TINY_2_0 if model.config.use_prompt_embeddings else TINY_2_3).text
    return {
        "latents": draw(batch, frames * rows * columns, 4),
        "clean": draw(batch, frames * rows * columns, 4),
        "audio": draw(batch, 5, 4),
        "text": (draw(1, 6, widths[0]), draw(1, 6, widths[1])),
        "negative": (draw(1, 6, widths[0]), draw(1, 6, widths[1])),
        "strengths": held.flatten(),
        "coords": clip_coords(model.rope, frames, rows, columns, 24.0),
        "audio_coords": model.audio_rope.prepare_audio_coords(1, 5, torch.device("cpu")),
    }


STRENGTHS = [(1.0,), (0.8,), (1.0, 0.6), (0.0,)]
"""Of the first frame and of the last: pinned, held in part, both, free."""


def transformer(version: str) -> Any:
    from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformer3DModel

    return tiny.build(LTX2VideoTransformer3DModel, TINY[version].transformer)


@VERSIONS
@pytest.mark.parametrize("strengths", STRENGTHS)
@pytest.mark.parametrize("guided", [False, True])
def test_one_forward_follows_the_official_rules(
    version: str, strengths: tuple[float, ...], guided: bool
) -> None:
    """The scale and shift that a token's sound attention gets is that of its own timestep."""
    model = transformer(version)
    drawn = drawn_inputs(model, strengths, batch=2)
    setting = (5.0, 2.5, 0.25) if guided else None
    theirs = Reference(model)(
        drawn["latents"],
        drawn["audio"],
        drawn["text"],
        drawn["strengths"],
        0.725,
        drawn["coords"],
        drawn["audio_coords"],
        negative=drawn["negative"],
        nag=setting,
    )
    ours = forward(Denoiser(model), drawn, 0.725, setting)
    for mine, yours in zip(ours, theirs, strict=True):
        assert relative(mine, yours) < 1e-5


def forward(
    denoiser: Denoiser, drawn: dict[str, Any], sigma: float, nag: tuple[float, ...] | None
) -> tuple[Tensor, Tensor]:
    levels, kind = torch.unique(drawn["strengths"], return_inverse=True)
    batch = len(drawn["latents"])
    with torch.no_grad():
        return denoiser(
            drawn["latents"],
            drawn["audio"],
            denoiser.text_context(drawn["text"], drawn["negative"] if nag else None),
            denoiser.modulations((sigma,), levels, kind, batch)[0],
            denoiser.rotaries(drawn["coords"], drawn["audio_coords"]),
            None if nag is None else torch.tensor(nag),
        )


@VERSIONS
def test_the_corrections_of_diffusers_are_the_official_rules(version: str) -> None:
    """What the pipelines above run is the reference's forward pass, to rounding."""
    model = transformer(version)
    drawn = drawn_inputs(model, (1.0, 0.6))
    theirs = Reference(model)(
        drawn["latents"], drawn["audio"], drawn["text"], drawn["strengths"], 0.725,
        drawn["coords"], drawn["audio_coords"],
    )  # fmt: skip
    follow_timestep_rule(model)
    time = torch.tensor([725.0])
    with torch.no_grad():
        corrected = model(
            hidden_states=drawn["latents"],
            audio_hidden_states=drawn["audio"],
            encoder_hidden_states=drawn["text"][0],
            audio_encoder_hidden_states=drawn["text"][1],
            timestep=time * (1 - drawn["strengths"])[None],
            audio_timestep=time,
            sigma=time,
            video_coords=drawn["coords"],
            audio_coords=drawn["audio_coords"],
            use_cross_timestep=False,
            return_dict=False,
        )
    for mine, yours in zip(corrected, theirs, strict=True):
        assert relative(mine, yours) < 1e-5


@VERSIONS
@pytest.mark.parametrize("strengths", STRENGTHS)
def test_the_loop_follows_the_official_rules(version: str, strengths: tuple[float, ...]) -> None:
    """The estimate of a token held with strength s uses the noise level σ·(1 - s)."""
    model = transformer(version)
    drawn = drawn_inputs(model, strengths)
    sigmas = (1.0, 0.975, 0.725, 0.421875)
    hold = drawn["strengths"][None, :, None]
    clean = drawn["clean"] * (hold > 0)
    start = drawn["latents"] * (1 - hold) + clean * hold
    theirs = Reference(model).denoise(
        start, clean, drawn["audio"], drawn["text"], drawn["strengths"], sigmas,
        drawn["coords"], drawn["audio_coords"],
    )  # fmt: skip
    denoiser = Denoiser(model)
    ours = denoise(
        denoiser,
        Tokens(start, hold, clean, drawn["coords"], start.shape[1]),
        drawn["audio"],
        drawn["audio_coords"],
        denoiser.text_context(drawn["text"]),
        sigmas,
        nag=None,
        after_step=lambda _: None,
    )
    for mine, yours in zip(ours, theirs, strict=True):
        assert relative(mine, yours) < 1e-5
