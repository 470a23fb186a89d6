"""The sound of LTX-2: against diffusers' own pipelines, from its weights, in every tier."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from safetensors.torch import save_file

import ltx2_tiny as small
from vivant.engines.ltx2.architecture import TINY
from vivant.engines.ltx2.conditioning import grid_pixels
from vivant.engines.ltx2.engine import UNGUIDED
from vivant.engines.ltx2.recipes import DISTILLED_SIGMAS
from vivant.engines.ltx2.sound import (
    SoundDecoder,
    check_sound_parts,
    load_sound_decoder,
    random_sound_decoder,
)
from vivant.errors import MissingPartError, OptionError
from vivant.types import Sound, ignore_progress
from vivant.weights import find_model

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

VERSIONS = pytest.mark.parametrize(("version", "rate"), [("2.0", 24_000), ("2.3", 48_000)])
CPU = torch.device("cpu")


def sound_of(clip: Any) -> Sound:
    next(clip.chunks)
    clip.chunks.close()
    sound: Sound = clip.sound()
    return sound


@VERSIONS
def test_sound_equals_diffusers(tmp_path: Path, version: str, rate: int) -> None:
    from diffusers import LTX2ImageToVideoPipeline

    engine = small.engine(tmp_path)
    request = replace(small.request(version, recipe="fast", nag=False, image_crf=0), sound=True)
    ours = sound_of(engine.generate(small.portrait(), request, ignore_progress))
    assert ours.rate == rate
    assert abs(ours.seconds - request.seconds) <= 1 / float(request.fps)

    loaded = engine.loaded
    assert loaded.sound is not None
    pipe = small.stock(
        LTX2ImageToVideoPipeline, transformer=loaded.parts.transformer, vae=loaded.parts.vae
    )
    pipe.register_modules(audio_vae=loaded.sound.vae.module, vocoder=loaded.sound.vocoder.module)
    _, theirs = pipe(
        **UNGUIDED,
        image=PillowImage.fromarray(grid_pixels(small.portrait(), small.WIDTH, small.HEIGHT)),
        prompt=request.prompt,
        width=small.WIDTH,
        height=small.HEIGHT,
        num_frames=small.FRAMES,
        frame_rate=24.0,
        sigmas=list(DISTILLED_SIGMAS),
        image_crf=0,
        max_sequence_length=16,
        use_cross_timestep=False,
        generator=torch.Generator().manual_seed(request.seed),
        output_type="np",
        return_dict=False,
    )
    theirs = theirs[0].numpy()
    assert ours.samples.shape == theirs.shape
    assert np.abs(ours.samples - theirs).max() < 1e-4
    assert 0.01 < theirs.std() < 0.5  # neither silence nor all cut off


def lightricks_name(part: str, name: str) -> str:
    """The inverse of what is tested."""
    if part == "audio_vae":
        names = {"latents_mean": "mean-of-means", "latents_std": "std-of-means"}
        return (
            f"audio_vae.per_channel_statistics.{names[name]}" if name in names else f"{part}.{name}"
        )
    for ours, theirs in (
        ("upsamplers.", "ups."),
        ("resnets", "resblocks"),
        ("conv_in", "conv_pre"),
        ("conv_out", "conv_post"),
        ("act_out", "act_post"),
        ("downsample.filter", "downsample.lowpass.filter"),
    ):
        name = name.replace(ours, theirs)
    return f"vocoder.{name}"


def tokens() -> torch.Tensor:
    return torch.randn((2, 2, 4), generator=torch.Generator().manual_seed(5))


@VERSIONS
def test_sound_is_read_from_one_file_and_from_folders(
    tmp_path: Path, version: str, rate: int
) -> None:
    architecture = TINY[version]
    made = random_sound_decoder(architecture, device=CPU, swap=False)
    expected = made.decode(tokens())
    state: dict[str, torch.Tensor] = {}
    parts: dict[str, Any] = {"audio_vae": made.vae.module, "vocoder": made.vocoder.module}
    for part, module in parts.items():
        tensors = {name: tensor.contiguous() for name, tensor in module.state_dict().items()}
        state |= {lightricks_name(part, name): tensor for name, tensor in tensors.items()}
        (tmp_path / part).mkdir()
        save_file(tensors, tmp_path / part / "diffusion_pytorch_model.safetensors")
        module.save_config(tmp_path / part)
    state["audio_vae.encoder.conv_in.conv.weight"] = torch.ones(1)  # not needed
    state["audio_vae.per_channel_statistics.channel"] = torch.ones(1)
    state["model.diffusion_model.patchify_proj.weight"] = torch.ones(1)
    save_file(state, tmp_path / "one.safetensors")
    for single, swap in (("one.safetensors", False), (None, True)):
        model = replace(find_model(small.MODELS[version]), single_file=single)
        found = load_sound_decoder(model, tmp_path, architecture, device=CPU, swap=swap)
        assert found.rate == rate
        for ours, theirs in zip(found.decode(tokens()), expected, strict=True):
            np.testing.assert_allclose(ours.samples, theirs.samples, atol=1e-6)


def test_sound_that_was_not_pulled_is_missed_before_anything_is_loaded(tmp_path: Path) -> None:
    model = replace(find_model("ltx-2-19b-distilled"), single_file=None)
    with pytest.raises(MissingPartError, match=r"weights pull ltx-2-19b-distilled"):
        check_sound_parts(model, tmp_path)
    save_file({"vae.decoder.x": torch.ones(1)}, tmp_path / "one.safetensors")
    with pytest.raises(MissingPartError, match="without sound"):
        check_sound_parts(replace(model, single_file="one.safetensors"), tmp_path)


def test_every_seed_has_its_own_sound(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    request = replace(small.request(recipe="native", grid="192x128", steps=2), sound=True)
    clips = engine.generate_many(small.portrait(), request, (3, 4))
    sounds = [sound_of(clip) for clip in clips]
    alone = sound_of(engine.generate(small.portrait(), request, ignore_progress))
    np.testing.assert_allclose(sounds[0].samples, alone.samples, atol=1e-4)
    assert np.abs(sounds[0].samples - sounds[1].samples).max() > 0.01
    assert engine.info.provenance["sound"] is True


def test_without_sound_nothing_of_it_is_loaded(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    clip = engine.generate(small.portrait(), small.request(recipe="fast", steps=1), ignore_progress)
    assert clip.sound is None
    next(clip.chunks)
    assert engine.loaded.sound is None
    assert "sound" not in engine.info.provenance


def test_sound_of_a_lower_tier_waits_in_host_memory(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    request = replace(small.request(recipe="fast", steps=2, nag=False, tier="fp8"), sound=True)
    before = sound_of(engine.generate(small.portrait(), request, ignore_progress))
    engine.loader.lower_tier()
    options = _options(request)
    decoder: SoundDecoder = engine.loader.sound_decoder(options)
    assert decoder.vae.swap
    assert decoder.vocoder.swap
    assert engine.loader.sound_decoder(options) is decoder
    after = sound_of(engine.generate(small.portrait(), request, ignore_progress))
    assert before.samples.shape == after.samples.shape


def _options(request: Any) -> Any:
    from vivant.engines.ltx2.options import LTX2Options

    return LTX2Options.from_request(request)


def test_slower_motion_has_no_sound() -> None:
    with pytest.raises(OptionError, match="pitch"):
        _options(replace(small.request(motion_speed=0.5), sound=True))
