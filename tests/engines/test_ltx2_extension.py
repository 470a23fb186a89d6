"""Clips longer than one pass of LTX-2: how they are divided, continued, joined and refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ltx2_tiny as small
import vivant
from vivant.checks.frame import AnalyzedFrame, Reference
from vivant.checks.metrics.timing import Cadence
from vivant.engines.ltx2.engine import LTX2Engine
from vivant.engines.ltx2.extension import (
    ExtendedGeneration,
    all_but_last,
    cross_faded,
    segment_seed,
)
from vivant.engines.ltx2.options import LTX2Options
from vivant.engines.ltx2.segments import longest, segments_of
from vivant.errors import Cancelled, OptionError
from vivant.picture.faces import FaceReader
from vivant.types import EngineInfo, Frames, Observer, Progress, Request, ignore_progress

FRAMES = 265
"""Shortest clip of two segments: 145 frames each, 25 of them shared."""


def long_request(**options: Any) -> Request:
    given: dict[str, Any] = {"recipe": "fast", "steps": 1, "nag": False, "grid": "64x64"}
    return replace(small.request(**{**given, **options}), num_frames=FRAMES, width=64, height=64)


def made(engine: Any, request: Request, observe: Observer = ignore_progress) -> Frames:
    return np.concatenate(list(engine.generate(small.portrait(), request, observe).chunks))


# -- the division -----------------------------------------------------------------------------


@given(st.integers(1, 250).map(lambda k: 8 * k + 1))
def test_segments_cover_a_clip_and_overlap(num_frames: int) -> None:
    segments = segments_of(num_frames)
    assert segments[0].first == segments[0].overlap == 0
    assert segments[-1].first + segments[-1].num_frames == num_frames
    assert len({segment.num_frames for segment in segments}) == 1
    assert segments[0].num_frames <= 257
    assert segments[0].num_frames % 8 == 1
    for before, after in pairwise(segments):
        assert after.first + after.overlap == before.first + before.num_frames
        assert 25 <= after.overlap < after.num_frames
        assert after.overlap % 8 == 1
    assert (len(segments) == 1) == (num_frames <= 257)


def test_twenty_seconds_are_two_passes() -> None:
    assert longest(Fraction(24)) == 481
    assert longest(Fraction(30)) == 601
    assert longest(Fraction(30000, 1001)) == 593
    assert longest(Fraction(8)) == 257
    first, second = segments_of(481)
    assert (first.num_frames, second.first, second.overlap) == (257, 224, 33)


@pytest.mark.parametrize(
    ("num_frames", "fps", "words"),
    [
        (489, 24, "489 frames are 20.33 s: LTX-2 makes at most 20 s, 481 frames at 24 fps"),
        (482, 24, "482 frames are 20.04 s"),
        (300, 24, "(9…481), not 300: use 297 or 305"),
        (478, 24, "use 473 or 481"),
        (594, Fraction(30000, 1001), "594 frames are 19.79 s"),
        (1, 24, "use 9 or 17"),
    ],
)
def test_lengths_that_cannot_be_made(num_frames: int, fps: Any, words: str) -> None:
    request = replace(small.request(), num_frames=num_frames, fps=Fraction(fps))
    with pytest.raises(OptionError) as refused:
        LTX2Options.from_request(request)
    assert words in str(refused.value)
    assert refused.value.param == "num_frames"


def test_the_models_own_sound_ends_with_one_pass() -> None:
    LTX2Options.from_request(replace(small.request(), num_frames=257, sound=True))
    with pytest.raises(OptionError, match="one pass of at most 257 frames, not of 265") as refused:
        LTX2Options.from_request(replace(small.request(), num_frames=265, sound=True))
    assert refused.value.param == "num_frames"
    LTX2Options.from_request(replace(small.request(), num_frames=481, sound=Path("a.mp3")))


@pytest.mark.parametrize(
    ("num_frames", "sound", "words"),
    [(505, False, "at most 20 s, 481 frames"), (481, True, "at most 257 frames, not of 481")],
)
def test_they_are_refused_before_any_weights_are_looked_for(
    tmp_path: Path, portrait_bytes: bytes, num_frames: int, sound: bool, words: str
) -> None:
    with pytest.raises(OptionError, match=words):
        vivant.animate(
            portrait_bytes, tmp_path / "a.mp4", engine="ltx2", num_frames=num_frames, sound=sound
        )
    assert not list(tmp_path.iterdir())


# -- the joins --------------------------------------------------------------------------------


def gray(*levels: int) -> Frames:
    return np.stack([np.full((2, 2, 3), level, np.uint8) for level in levels])


@pytest.mark.parametrize("sizes", [(7,), (1, 6), (3, 1, 3), (1,) * 7])
def test_frames_are_held_back_and_faded_in(sizes: tuple[int, ...]) -> None:
    def chunks() -> Any:
        yield from np.split(gray(0, 10, 20, 30, 40, 50, 60), np.cumsum(sizes)[:-1])

    shown = []
    holding = all_but_last(chunks(), 3)
    while True:
        try:
            shown.append(next(holding))
        except StopIteration as end:
            kept = end.value
            break
    np.testing.assert_array_equal(np.concatenate(shown), gray(0, 10, 20, 30))
    np.testing.assert_array_equal(kept, gray(40, 50, 60))
    faded = np.concatenate(list(cross_faded(gray(100, 100, 100), chunks())))
    # a quarter, a half and three quarters of the new 0, 10 and 20
    np.testing.assert_array_equal(faded, gray(75, 55, 40, 30, 40, 50, 60))


@dataclass
class Made:
    engine: LTX2Engine
    request: Request
    clip: Frames
    info: EngineInfo
    progress: list[Progress]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A clip of two segments."""
    engine = small.engine(tmp_path_factory.mktemp("extension"))
    request = long_request(end_anchor=0.5)
    seen: list[Progress] = []
    clip = made(engine, request, seen.append)
    return Made(engine, request, clip, engine.info, seen)


def test_a_clip_is_its_segments_joined(whole: Made) -> None:
    clip = whole.clip
    extended = ExtendedGeneration(
        whole.engine.loader,
        whole.engine,
        small.portrait(),
        whole.request,
        LTX2Options.from_request(whole.request),
        whole.request.seed,
        ignore_progress,
    )
    first = extended.generation(0)
    assert first.options.end_anchor == 0  # the clip's last frame is in the other segment
    before = np.concatenate(list(first.frames(0)))
    np.testing.assert_array_equal(clip[:120], before[:120])
    second = extended.generation(1, prefix=before[120:])
    assert second.options.end_anchor == 0.5
    after = np.concatenate(list(second.frames(0)))
    np.testing.assert_array_equal(clip[145:], after[25:])
    middle = np.abs(clip[132].astype(float) - (before[132] / 2.0 + after[12] / 2.0))
    assert middle.max() <= 1


def test_a_clip_of_two_passes_is_told_and_counted_as_one(whole: Made) -> None:
    assert len(whole.clip) == FRAMES
    assert whole.info.provenance["joins"] == [[120, 144]]
    assert whole.info.provenance["prompts_from_cache"] == 0
    assert any("2 passes are joined in frames 120–144" in note for note in whole.info.notes)
    made = [progress for progress in whole.progress if progress.stage == "generate"]
    assert [(p.done, p.total) for p in made if p.unit == "step"] == [(1, 2), (2, 2)]
    frames = [p.done for p in made if p.unit == "frame"]
    assert frames == sorted(frames)
    assert frames[-1] == FRAMES
    assert {p.total for p in made if p.unit == "frame"} == {FRAMES}


def test_every_seed_of_a_call_is_the_clip_it_is_alone(whole: Made) -> None:
    seeds = (whole.request.seed, whole.request.seed + 1)
    clips = whole.engine.generate_many(small.portrait(), whole.request, seeds)
    np.testing.assert_array_equal(np.concatenate(list(clips[0].chunks)), whole.clip)
    chunk = next(clips[1].chunks)
    assert (chunk != whole.clip[: len(chunk)]).mean() > 0.1


def test_segments_have_seeds_of_their_own() -> None:
    seeds = [segment_seed(seed, number) for seed in (0, 1, 2**63 - 1) for number in range(4)]
    assert len(set(seeds)) == len(seeds)
    assert segment_seed(7, 0) == 7
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert segment_seed(0, 1) == segment_seed(0, 1)


def test_cancel_in_the_second_segment_stops_there(whole: Made) -> None:
    denoiser = whole.engine.loaded.denoiser
    before = denoiser.forwards
    last: list[Progress] = []

    def observe(progress: Progress) -> None:
        last.append(progress)
        if progress.unit == "step" and progress.done == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        made(whole.engine, long_request(steps=2), observe)
    assert denoiser.forwards == before + 3
    assert (last[-1].done, last[-1].total) == (3, 4)


@pytest.mark.parametrize(("shift", "verdict"), [(0, "pass"), (7, "fail")])
def test_a_jump_at_a_join_is_found(shift: int, verdict: str) -> None:
    """Two segments of a slow pan whose second one begins ``shift`` pixels off."""
    picture = small.portrait().pixels
    join = 25
    frames = np.stack(
        [picture[30:150, (at := index + shift * (index >= join)) : at + 160] for index in range(50)]
    )
    reader = FaceReader()
    cadence = Cadence(24.0)
    before: AnalyzedFrame | None = None
    for index, pixels in enumerate(frames):
        now = AnalyzedFrame(
            index, pixels, searched=False, sparse=False, rare=False, checked=False, reader=reader
        )
        step = None if before is None else cadence.measure_step(before, now, None)
        cadence.add(index, step, cadence.measure_frame(now, None))
        before = now
    reference = Reference(frames[0], None, 1.0, len(frames), 24.0, reader)
    (jump,) = (score for score in cadence.finish(reference) if score.name == "jump")
    assert jump.verdict == verdict
    if shift:
        assert jump.frame == join
