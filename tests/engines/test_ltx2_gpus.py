"""Several GPUs that make one clip, on the CPU: processes, gloo and tiny models."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ltx2_tiny as small
from vivant.engines.ltx2.engine import LTX2Engine
from vivant.errors import Cancelled, EngineError, OptionError
from vivant.types import Frames, Observer, Progress, Request, ignore_progress

SHORT: dict[str, Any] = {"sigmas": "1.0,0.9,0.5", "num_frames": 25}
"""Three steps; four latent frames; 6 × 4 × 4 tokens."""


def frames(engine: LTX2Engine, request: Request, observe: Observer = ignore_progress) -> Frames:
    return np.concatenate(list(engine.generate(small.portrait(), request, observe).chunks))


def difference(one: Frames, other: Frames) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> LTX2Engine:
    return small.engine(tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LTX2Engine]:
    engine = small.engine(tmp_path_factory.mktemp("pair"), gpus=2)
    yield engine
    engine.loader.forget()


def test_two_make_the_clip_of_one(pair: LTX2Engine, alone: LTX2Engine) -> None:
    """Both stages with guidance, tokens that do not divide, several seeds; then cancelled."""
    request = small.request(recipe="native", grid="192x192", num_frames=17, end_anchor=0.5)
    assert difference(frames(pair, request), frames(alone, request)) <= 1
    assert pair.info.provenance["gpus"] == 2
    clips = pair.generate_many(small.portrait(), request, (4, 5), ignore_progress)
    both = [np.concatenate(list(clip.chunks)) for clip in clips]
    assert difference(both[1], frames(alone, small.request(**vars_of(request), seed=5))) <= 1

    def cancel(progress: Progress) -> None:
        if progress.unit == "step" and progress.done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        frames(pair, request, cancel)
    assert not pair.loaded.group.closed  # type: ignore[union-attr]
    assert difference(frames(pair, request), frames(alone, request)) <= 1


def vars_of(request: Request) -> dict[str, Any]:
    options = {k: v for k, v in request.options.items() if k != "weights"}
    return {**options, "num_frames": request.num_frames}


def test_a_lost_gpu_is_one_error_and_the_next_clip_starts_anew(pair: LTX2Engine) -> None:
    request = small.request(**SHORT)
    frames(pair, request)
    lost = pair.loaded.group._members[0].process  # type: ignore[union-attr]

    def kill(progress: Progress) -> None:
        if progress.unit == "step" and progress.done == 1:
            os.kill(lost.pid, signal.SIGKILL)

    with pytest.raises(EngineError, match=r"GPU 2 of 2 was lost.*exit code -9"):
        frames(pair, request, kill)
    assert lost.poll() == -signal.SIGKILL
    assert not torch.distributed.is_initialized()
    assert pair.loaded.group.closed  # type: ignore[union-attr]


def test_four_make_the_clip_of_one(alone: LTX2Engine, tmp_path: Path) -> None:
    request = small.request("2.3", **SHORT, gpus=4)
    engine = small.engine(tmp_path)
    try:
        made = frames(engine, request)
    finally:
        engine.loader.forget()
    assert engine.info.provenance["gpus"] == 4
    assert difference(made, frames(alone, small.request("2.3", **SHORT))) <= 1


def test_numbers_of_gpus_that_cannot_share_a_clip(alone: LTX2Engine) -> None:
    for gpus in (3, 0, "all"):
        with pytest.raises(OptionError, match="gpus"):
            frames(alone, small.request(**SHORT, gpus=gpus))
    with pytest.raises(OptionError, match="tier"):
        frames(alone, small.request(**SHORT, gpus=2, tier="swap"))
