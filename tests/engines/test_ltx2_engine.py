"""The engine as a whole, on tiny models: caching, cancelling, seeds, tiers, what it reports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import ltx2_tiny as small
from vivant.engines.ltx2.attention import nag_mix
from vivant.engines.ltx2.block import TransformerBlock
from vivant.engines.ltx2.conditioning import grid_pixels
from vivant.engines.ltx2.memory import OffloadedModule, choose_tier
from vivant.engines.ltx2.prompts import PromptCache
from vivant.engines.ltx2.step_graphs import StepGraphs
from vivant.engines.ltx2.tiers import next_tier, tier_of
from vivant.errors import (
    Cancelled,
    EngineError,
    MissingPartError,
    OptionError,
    OutOfMemoryError,
)
from vivant.grid import cover_crop
from vivant.runs.run import Runner
from vivant.runs.seeds import run_series
from vivant.types import Clip, Frames, Observer, Progress, Request, ignore_progress
from vivant.video.reader import open_clip

FAST: dict[str, Any] = {"recipe": "fast", "steps": 3}


def frames(engine: Any, request: Request, observe: Observer = ignore_progress) -> Frames:
    clip = engine.generate(small.portrait(), request, observe)
    return np.concatenate(list(clip.chunks))


# -- NAG -----------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.integers(0, 2**31),
    st.floats(1, 20),
    st.floats(1, 10),
    st.floats(0, 1),
)
def test_nag_is_its_formula(seed: int, scale: float, tau: float, alpha: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    positive = torch.randn(2, 3, 8, generator=generator, dtype=torch.float64)
    negative = torch.randn(2, 3, 8, generator=generator, dtype=torch.float64)
    setting = torch.tensor([scale, tau, alpha], dtype=torch.float64)
    ours = nag_mix(positive, negative, setting)
    guided = scale * positive - (scale - 1) * negative
    ratio = guided.abs().sum(-1, keepdim=True) / positive.abs().sum(-1, keepdim=True)
    capped = guided * ratio.clamp(max=tau) / ratio
    torch.testing.assert_close(ours, alpha * capped + (1 - alpha) * positive, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(nag_mix(positive, positive, setting), positive)
    off = torch.tensor([1.0, tau, alpha], dtype=torch.float64)
    torch.testing.assert_close(nag_mix(positive, negative, off), positive)


def test_nag_makes_the_negative_prompt_act(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    plain = frames(engine, small.request(**FAST, nag=False))
    other = frames(engine, small.request(**FAST, nag=False, negative_prompt="x"))
    np.testing.assert_array_equal(plain, other)
    assert any("has no effect" in note for note in engine.info.notes)
    assert engine.info.provenance["nag"] is None

    guided = frames(engine, small.request(**FAST, nag_scale=20, nag_alpha=1, nag_from_sigma=0))
    assert (guided != plain).mean() > 0.05
    assert not any("has no effect" in note for note in engine.info.notes)
    again = frames(
        engine,
        small.request(**FAST, nag_scale=20, nag_alpha=1, nag_from_sigma=0, negative_prompt="x"),
    )
    assert (guided != again).any()
    one = frames(engine, small.request(**FAST, nag_scale=1))
    assert np.abs(one.astype(int) - plain).max() <= 1


def test_nag_only_above_its_sigma(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    frames(engine, small.request(**FAST))
    denoiser = engine.loaded.denoiser
    seen: list[bool] = []
    block = denoiser.blocks[0]

    def watched(*args: Any) -> Any:
        seen.append(args[-1] is not None)
        return block(*args)

    denoiser.blocks[0] = watched
    frames(engine, small.request(recipe="seed"))
    assert seen == [True] * 8 + [False] * 2  # σ ≥ 0.725
    seen.clear()
    frames(engine, small.request(recipe="seed", nag_from_sigma=0.5, nag_to_sigma=0.95))
    assert seen == [False] * 5 + [True] * 4 + [False]
    assert engine.info.provenance["nag"]["steps"] == 4
    frames(engine, small.request(recipe="fast", sigmas="0.5,0.2"))
    assert any("no step lies between" in note for note in engine.info.notes)
    frames(engine, small.request(recipe="fast", sigmas="0.5,0.2", negative_prompt=" "))
    assert not any("negative prompt" in note for note in engine.info.notes)


def test_a_negative_prompt_equal_to_the_prompt_changes_nothing(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    plain = frames(engine, small.request(**FAST, nag=False))
    same = small.request(**FAST, negative_prompt="subtle motion", nag_scale=20, nag_alpha=1)
    assert same.prompt == same.negative_prompt
    assert np.abs(frames(engine, same).astype(int) - plain).max() <= 1


# -- prompts -------------------------------------------------------------------------------


def test_cached_prompts_give_the_same_clip_without_the_encoder(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    first = frames(engine, small.request(**FAST))
    assert engine.info.provenance["prompts_from_cache"] == 0

    def forbidden(_: tuple[str, ...]) -> Any:
        raise AssertionError("the text encoder was loaded on a cache hit")

    engine.loaded.parts.text = forbidden
    second = frames(engine, small.request(**FAST))
    assert engine.info.provenance["prompts_from_cache"] == 2
    np.testing.assert_array_equal(first, second)
    with pytest.raises(AssertionError, match="was loaded"):
        frames(engine, small.request(**FAST, prompt="another"))


CACHED = """
import importlib.metadata
import sys
from pathlib import Path

asked = []
importlib.metadata.packages_distributions = lambda: asked.append("distributions") or {}
from vivant.engines.ltx2.architecture import TINY
from vivant.engines.ltx2.checkpoint import empty
from vivant.engines.ltx2.diffusers_classes import LTX2VideoTransformer3DModel
from vivant.engines.ltx2.fp8 import skeleton

skeleton(empty(LTX2VideoTransformer3DModel, TINY["2.0"].transformer, Path("config.json")))
print(*{"sympy"} & sys.modules.keys(), *asked)
import ltx2_tiny as small

engine = small.engine(Path(sys.argv[1]))
clip = engine.generate(small.portrait(), small.request(recipe="fast", steps=1), lambda _: None)
assert sum(len(chunk) for chunk in clip.chunks) == small.FRAMES
assert engine.info.provenance["prompts_from_cache"] == 2
unwanted = {"transformers", "scipy", "diffusers.hooks", "torch._dynamo", "torch._inductor"}
print(*unwanted & sys.modules.keys())
"""


def test_a_start_imports_only_what_a_clip_of_cached_prompts_needs(tmp_path: Path) -> None:
    frames(small.engine(tmp_path), small.request(recipe="fast", steps=1))
    done = subprocess.run(
        [sys.executable, "-c", CACHED, str(tmp_path)],
        cwd=Path(small.__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stdout.split()


def test_damaged_or_foreign_cache_entries_are_not_used(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path, {"model": "a"})
    value = (torch.randn(1, 4, 8), torch.randn(1, 4, 8))
    cache.put("text ", value)
    found = cache.get("text")
    assert found is not None
    assert torch.equal(found[0], value[0])
    assert cache.get("other") is None
    assert PromptCache(tmp_path, {"model": "b"}).get("text") is None
    cache.path("text").write_bytes(b"rubbish")
    assert cache.get("text") is None
    assert not cache.path("text").exists()
    blocked = PromptCache(tmp_path / "file" / "x", {"model": "a"})
    (tmp_path / "file").write_text("")
    blocked.put("text", value)  # cannot be written: no harm
    assert blocked.get("text") is None


# -- progress, cancelling, seeds -----------------------------------------------------------


def test_progress_counts_every_step_and_frame(tmp_path: Path) -> None:
    seen: list[Progress] = []
    frames(small.engine(tmp_path), small.request(recipe="native"), seen.append)
    steps = [p.done for p in seen if p.stage == "generate" and p.unit == "step"]
    assert steps == list(range(1, 12))
    # prompts that are new: the encoder takes long to load, so that is told, and can be cancelled
    assert [(p.done, p.total) for p in seen if p.stage == "load"] == [(0, 2), (1, 2), (2, 2)]
    decoded = [p.done for p in seen if p.unit == "frame"]
    assert decoded[-1] == small.FRAMES
    assert decoded == sorted(decoded)


@pytest.mark.parametrize("step", [1, 2, 9])
def test_cancel_at_a_step_stops_there(tmp_path: Path, step: int) -> None:
    engine = small.engine(tmp_path)

    def observe(progress: Progress) -> None:
        if progress.unit == "step" and progress.done == step:
            raise Cancelled

    with pytest.raises(Cancelled):
        frames(engine, small.request(recipe="native"), observe)
    assert engine.loaded.denoiser.forwards == step
    assert len(frames(engine, small.request(**FAST))) == small.FRAMES


def test_cancel_while_decoding_and_closing_early(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)

    def observe(progress: Progress) -> None:
        if progress.unit == "frame":
            raise Cancelled

    with pytest.raises(Cancelled):
        frames(engine, small.request(**FAST, tier="swap"), observe)
    clip = engine.generate(small.portrait(), small.request(**FAST, tier="swap"), ignore_progress)
    next(clip.chunks)
    clip.chunks.close()  # type: ignore[attr-defined]
    assert len(frames(engine, small.request(**FAST))) == small.FRAMES


def test_nothing_is_generated_before_frames_are_asked_for(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    clip = engine.generate(small.portrait(), small.request(**FAST), ignore_progress)
    assert engine.loaded.denoiser.forwards == 0
    assert (clip.width, clip.height, clip.num_frames) == (192, 128, 17)


MANY: list[dict[str, Any]] = [
    {**FAST, "end_anchor": 0.5},
    {"recipe": "native", "nag_scale": 20, "nag_alpha": 1},
    {**FAST, "tier": "swap"},
]
"""Keyframes, two stages with a negative prompt, one clip at a time."""


@pytest.mark.parametrize("options", MANY)
def test_a_seed_does_not_depend_on_its_companions(tmp_path: Path, options: dict[str, Any]) -> None:
    engine = small.engine(tmp_path)
    request = small.request(**options)
    seen: list[Progress] = []
    clips: list[Clip] = engine.generate_many(small.portrait(), request, (3, 4, 5), seen.append)
    together = [np.concatenate(list(clip.chunks)) for clip in clips]
    steps = 11 if options["recipe"] == "native" else 3
    rounds = 3 if options.get("tier") == "swap" else 1
    assert engine.loaded.denoiser.forwards == rounds * steps
    told = [(p.done, p.total) for p in seen if p.unit == "step"]
    assert told == [(step, rounds * steps) for step in range(1, rounds * steps + 1)]
    for seed, batch in zip((3, 4, 5), together, strict=True):
        alone = frames(engine, replace(request, seed=seed))
        assert np.abs(alone.astype(int) - batch).max() <= 1
    assert (together[0] != together[1]).mean() > 0.1


@pytest.mark.parametrize("seeds", [(), tuple(range(9)), (1, 2, 1), (-1,)])
def test_seeds_that_cannot_be_made_together(tmp_path: Path, seeds: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match="seed"):
        small.engine(tmp_path).generate_many(small.portrait(), small.request(**FAST), seeds)


def test_clips_of_a_call_come_in_any_order_and_one_may_be_left_out(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    request = small.request(**FAST)
    clips = engine.generate_many(small.portrait(), request, (3, 4, 5))
    last = np.concatenate(list(clips[2].chunks))
    next(clips[1].chunks)
    clips[1].chunks.close()  # type: ignore[attr-defined]
    first = np.concatenate(list(clips[0].chunks))
    assert engine.loaded.denoiser.forwards == 3
    for seed, made in ((3, first), (5, last)):
        alone = frames(engine, replace(request, seed=seed))
        assert np.abs(alone.astype(int) - made).max() <= 1


def test_the_text_is_held_once_for_all_clips_of_a_call(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    engine.generate(small.portrait(), small.request(**FAST), ignore_progress)
    block = engine.loaded.denoiser.blocks[0]
    seen: list[tuple[int, int]] = []

    def watched(x: torch.Tensor, audio: torch.Tensor, keys: Any, *rest: Any) -> Any:
        seen.append((len(x), len(keys.key)))
        return block(x, audio, keys, *rest)

    engine.loaded.denoiser.blocks[0] = watched
    clips = engine.generate_many(small.portrait(), small.request(**FAST), (1, 2))
    next(clips[0].chunks)
    assert seen == [(2, 1)] * 3


def test_memory_for_fewer_clips_than_asked_takes_more_rounds(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    request = small.request(**FAST)
    engine.generate(small.portrait(), request, ignore_progress)
    block = engine.loaded.denoiser.blocks[0]
    room = 2
    seen: list[int] = []

    def tight(x: torch.Tensor, *rest: Any) -> Any:
        if len(x) > room:
            raise torch.OutOfMemoryError
        seen.append(len(x))
        return block(x, *rest)

    engine.loaded.denoiser.blocks[0] = tight
    told: list[Progress] = []
    clips = engine.generate_many(small.portrait(), request, (1, 2, 3, 4, 5), told.append)
    made = [np.concatenate(list(clip.chunks)) for clip in clips]
    assert seen == [2] * 3 + [2] * 3 + [1] * 3
    assert engine.info.provenance["tier"] == "resident"
    assert not any("ran out" in note for note in engine.info.notes)
    assert [p.done for p in told if p.unit == "step"] == list(range(1, 10))
    engine.loaded.denoiser.blocks[0] = block
    alone = frames(engine, replace(request, seed=5))
    assert np.abs(alone.astype(int) - made[4]).max() <= 1


def test_cancelling_several_stops_at_the_step(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)

    def observe(progress: Progress) -> None:
        if progress.unit == "step" and progress.done == 2:
            raise Cancelled

    clips = engine.generate_many(small.portrait(), small.request(**FAST), (1, 2), observe)
    with pytest.raises(Cancelled):
        next(clips[0].chunks)
    assert engine.loaded.denoiser.forwards == 2


def test_a_series_is_the_clips_one_by_one(tmp_path: Path, portrait_bytes: bytes) -> None:
    """Through the whole pipeline: read once, denoised together, a report each."""
    engine = small.engine(tmp_path)
    request = replace(small.request(**FAST), image=portrait_bytes)
    runner = Runner(small.settings(tmp_path), engines={request.engine: engine})
    made = run_series(request, (7, 8), tmp_path / "clips", runner)
    assert engine.loaded.denoiser.forwards == 3
    for take in made.takes:
        assert take.result is not None
        assert take.result.report.engine.provenance["seeds"] == [7, 8]
        assert take.result.report.settings["seed"] == take.seed
        alone = runner.job(replace(request, seed=take.seed)).run(tmp_path / f"{take.seed}.mp4")
        ours, theirs = pixels(take.result.clip), pixels(alone.clip)
        # a grey level before the encoder may be two or three after it
        assert np.abs(ours.astype(int) - theirs).mean() < 0.2
    first, second = (pixels(tmp_path / f"{seed}.mp4") for seed in (7, 8))
    assert np.abs(first.astype(int) - second).mean() > 2


def pixels(clip: Path) -> Frames:
    return np.concatenate(list(open_clip(clip).chunks))


# -- tiers ---------------------------------------------------------------------------------


def test_every_tier_makes_the_same_clip(tmp_path: Path) -> None:
    made = {}
    for tier in ("resident", "fp8", "swap"):
        engine = small.engine(tmp_path)
        made[tier] = frames(engine, small.request(**FAST, tier=tier, precision="fp8"))
        assert engine.info.provenance["tier"] == tier
        assert engine.info.provenance["precision"] == "fp8"
    frames(engine, small.request(**FAST, tier="swap", precision="bf16"))
    assert any("bf16 was asked for" in note for note in engine.info.notes)
    np.testing.assert_array_equal(made["resident"], made["fp8"])
    assert np.abs(made["resident"].astype(int) - made["swap"]).max() <= 1


def test_swapped_components_come_back_unchanged() -> None:
    module = torch.nn.Linear(4, 4)
    before = module.weight.detach().clone()
    offloaded = OffloadedModule(module, torch.device("cpu"), swap=True)
    with offloaded.use() as inside:
        assert inside is module
        assert torch.equal(module.weight, before)
    with pytest.raises(RuntimeError), offloaded.use():
        raise RuntimeError
    assert torch.equal(module.weight, before)


@pytest.mark.parametrize("step", [0, 2])
def test_memory_that_runs_out_costs_one_tier(tmp_path: Path, step: int) -> None:
    engine = small.engine(tmp_path)
    request = small.request(recipe="fast", tier="resident", precision="bf16")
    engine.generate(small.portrait(), request, ignore_progress)
    block = engine.loaded.denoiser.blocks[0]
    calls = 0

    def full(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > step:
            raise torch.OutOfMemoryError
        return block(*args)

    engine.loaded.denoiser.blocks[0] = full
    assert len(frames(engine, request)) == small.FRAMES
    assert engine.info.provenance["tier"] == "fp8"
    assert engine.info.provenance["precision"] == "fp8"
    assert any("ran out" in note for note in engine.info.notes)

    engine.loaded.denoiser.blocks[0] = full
    with pytest.raises(OutOfMemoryError, match="GPU memory is not enough"):
        frames(engine, request)


def test_memory_that_runs_out_while_decoding(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    request = small.request(**FAST, tier="resident", precision="bf16")
    engine.generate(small.portrait(), request, ignore_progress)
    failed = False
    original = type(engine.loaded.vae).use

    def use(self: OffloadedModule) -> Any:
        nonlocal failed
        decoding = self.module is engine.loaded.parts.vae and engine.loaded.denoiser.forwards >= 3
        if decoding and not failed:
            failed = True
            raise torch.OutOfMemoryError
        return original(self)

    type(engine.loaded.vae).use = use  # type: ignore[method-assign]
    try:
        assert len(frames(engine, request)) == small.FRAMES
    finally:
        type(engine.loaded.vae).use = original  # type: ignore[method-assign]
    assert engine.info.provenance["tier"] == "fp8"


def test_the_model_stays_loaded_between_clips_until_another_is_asked_for(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    frames(engine, small.request(**FAST))
    kept = engine.loaded
    for seed in (1, 2):
        frames(engine, replace(small.request(**FAST), seed=seed))
        assert engine.loaded is kept
    frames(engine, small.request(**{**FAST, "nag": False}))
    assert engine.loaded is kept
    engine.generate(small.portrait(), small.request(**FAST, attention="math"), ignore_progress)
    assert engine.loaded is not kept


def test_tiers_by_device() -> None:
    assert [tier_of(size << 30) for size in (24, 48, 80, 141)] == [
        "swap", "fp8", "resident", "resident",
    ]  # fmt: skip
    assert choose_tier(torch.device("cpu")) == "resident"
    assert choose_tier(torch.device("cpu"), "swap") == "swap"
    assert [next_tier(tier) for tier in ("resident", "fp8", "swap")] == ["fp8", "swap", None]


# -- errors and reports --------------------------------------------------------------------


def test_values_that_are_not_finite_are_not_drawn(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    request = small.request(**FAST)
    engine.generate(small.portrait(), request, ignore_progress)
    engine.loaded.parts.transformer.proj_out.bias.fill_(float("nan"))
    with pytest.raises(EngineError, match="not finite"):
        frames(engine, request)


def test_real_weights_need_a_gpu_and_to_be_there(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    with pytest.raises(OptionError, match="needs an NVIDIA GPU"):
        engine.generate(small.portrait(), small.request(weights="hub"), ignore_progress)
    from vivant.weights import Library

    with pytest.raises(MissingPartError, match="vivant weights pull ltx-2-19b-dev"):
        Library(tmp_path).need("ltx-2-19b-dev")


@pytest.mark.parametrize("where", ["random_components", "OffloadedModule"])
def test_memory_that_runs_out_while_loading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    from vivant.engines.ltx2 import loading as module

    engine = small.engine(tmp_path)
    full = getattr(module, where)
    calls = 0

    def once(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise torch.OutOfMemoryError
        return full(*args, **options)

    monkeypatch.setattr(module, where, once)
    short: dict[str, Any] = {"recipe": "fast", "steps": 1, "num_frames": 9, "grid": "64x64"}
    request = small.request(**short, tier="resident", precision="bf16")
    assert len(frames(engine, request)) == 9
    assert engine.info.provenance["tier"] == "fp8"
    assert any("ran out" in note for note in engine.info.notes)
    # what is asked for is not more than what fitted, but may be less
    frames(engine, small.request(**short, tier="swap"))
    assert engine.info.provenance["tier"] == "swap"

    def never(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(module, where, never)
    for again in (engine, small.engine(tmp_path / "other")):
        again.loader.forget()
        with pytest.raises(OutOfMemoryError, match="GPU memory is not enough"):
            frames(again, request)


def test_the_report_says_what_was_done(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    frames(engine, small.request(recipe="native", end_anchor=0.5, motion_speed=0.8, seed=9))
    info = engine.info
    assert info.name == "ltx2"
    assert info.moves == "person"
    facts = info.provenance
    assert json.loads(json.dumps(facts)) == facts
    assert facts["sigmas"][0] == 1.0
    assert facts["refine_sigmas"] == [0.909375, 0.725, 0.421875]
    assert facts["guidance"]["modality_scale"] == 1.0
    assert facts["guidance"]["stg_scale"] == 0.0
    assert facts["seeds"] == [9]
    assert facts["image_crf"] == 33
    assert facts["nag"] == {
        "scale": 5.0, "tau": 2.5, "alpha": 0.25, "from_sigma": 0.725, "to_sigma": 1.0, "steps": 9,
    }  # fmt: skip


def test_the_distilled_adapter_on_the_distilled_model_is_warned_of(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    frames(engine, small.request(recipe="seed-lora", steps=1))
    assert any("distils twice" in note for note in engine.info.notes)
    frames(engine, small.request(recipe="dev-lora", steps=1))
    assert not any("distils twice" in note for note in engine.info.notes)


def test_a_worker_meets_any_number_of_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch compiles one graph a size, and refuses to go on at a limit of its own."""
    from vivant.engines.ltx2 import transformer as module

    engine = small.engine(tmp_path)
    frames(engine, small.request(**FAST))
    monkeypatch.setattr(module, "MAX_SHAPES", 2)
    before = torch._dynamo.config.recompile_limit
    try:
        model = engine.loaded.parts.transformer
        # the limit is dynamo's: any backend meets it, and this one is fast
        compiled = TransformerBlock.compile
        monkeypatch.setattr(
            TransformerBlock,
            "compile",
            lambda block, **how: compiled(block, backend="eager", **how),
        )
        engine.loaded.denoiser = module.Denoiser(model, compile_blocks=True)
        assert torch._dynamo.config.recompile_limit == 4
        for count in (9, 17, 25, 33, 41):
            request = small.request(
                recipe="fast", steps=1, nag=False, num_frames=count, grid="64x64"
            )
            assert len(frames(engine, request)) == count
    finally:
        torch._dynamo.config.recompile_limit = before
        torch._dynamo.reset()


# -- recorded steps ------------------------------------------------------------------------


class Rerun(StepGraphs):
    """Records as CUDA does: replaying reads and writes the tensors of the recording."""

    def record(self, work: Any) -> Any:
        outputs = work()

        def replay() -> None:
            for kept, new in zip(outputs, work(), strict=True):
                kept.copy_(new)

        return outputs, replay


@pytest.mark.parametrize("version", ["2.0", "2.3"])
def test_recorded_steps_give_the_same_clips(
    tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = small.engine(tmp_path)
    short: dict[str, Any] = {"recipe": "native", "num_frames": 9}
    asked = [
        small.request(version, **short, **more)
        for more in ({"seed": 4}, {"seed": 4, "prompt": "another"}, {"nag": False, "seed": 5})
    ]
    plain = [frames(engine, request) for request in asked]
    denoiser = engine.loaded.denoiser
    assert denoiser.graphs is None  # only on a GPU
    denoiser.graphs = graphs = Rerun()
    for request, expected in zip(asked, plain, strict=True):
        np.testing.assert_array_equal(frames(engine, request), expected)
    # all but the first step of each size; guided and unguided steps are sizes of their own
    assert graphs.replays == 7 + 11 + 9
    shared = [{id(item) for item in size.inputs} for size in graphs._sizes.values() if size.replay]
    assert len(set.intersection(*shared[:2])) > 8  # text keys and embeddings are held once

    # large sizes are not recorded during their first clip
    monkeypatch.setattr("vivant.engines.ltx2.transformer.AT_ONCE_TOKENS", 1)
    denoiser.graphs = later = Rerun()
    for replays in (0, 11):
        np.testing.assert_array_equal(frames(engine, asked[0]), plain[0])
        assert later.replays == replays


def test_steps_are_recorded_no_more_where_memory_runs_out(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    plain = frames(engine, small.request(**FAST))

    class Full(StepGraphs):
        def record(self, work: Any) -> Any:
            del work
            raise torch.OutOfMemoryError("GPU memory is full")

    engine.loaded.denoiser.graphs = graphs = Full()
    for _ in range(2):
        np.testing.assert_array_equal(frames(engine, small.request(**FAST)), plain)
    assert graphs.replays == 0


# -- framing -------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.sampled_from([(1280, 704), (1280, 736), (960, 960), (1920, 1088), (704, 1280)]))
def test_the_centre_of_the_grid_is_the_portraits_crop(grid: tuple[int, int]) -> None:
    from vivant.picture.framing import crop_pixels

    portrait = small.portrait()
    aspect = portrait.crop.width / portrait.crop.height
    whole = grid_pixels(portrait, *grid)
    assert whole.shape == (grid[1], grid[0], 3)
    inner = cover_crop(grid[0], grid[1], aspect)
    left, top = round(inner.left), round(inner.top)
    centre = whole[top : top + round(inner.height), left : left + round(inner.width)]
    wanted = crop_pixels(portrait, centre.shape[1], centre.shape[0])
    difference = np.abs(centre.astype(int) - wanted)
    assert difference.mean() < 1.5
    recompressed = grid_pixels(portrait, *grid, crf=18)
    assert np.abs(recompressed.astype(int) - whole).mean() < 6


# -- kernels -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def interpreted() -> dict[str, dict[str, list[float]]]:
    """Version → case → relative differences. One process: its imports take 8 s."""
    script = Path(__file__).parents[1] / "support" / "interpreted_block.py"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script)],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, dict[str, list[float]]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.skipif(
    sys.platform != "linux", reason="not measured: Triton, the kernels' language, is Linux only"
)
@pytest.mark.parametrize("version", ["2.0", "2.3"])
def test_fused_kernels_compute_what_plain_torch_does(
    version: str, interpreted: dict[str, dict[str, list[float]]]
) -> None:
    found = interpreted[version]
    assert len(found) == (3 if version == "2.0" else 1)
    for case, differences in found.items():
        assert max(differences) < 1e-5, case
