"""An engine for tests and for measuring queues: simple clips, controlled by options.

It ships with the package so that code built on Vivant can be tested without a GPU. Its frames are
the picture shifted sideways by a sine, its steps take as long as an option says, its sound is a
tone, and an option makes it fail.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import ClassVar, Literal, TypeAlias

import cv2
import numpy as np

from vivant.engines.engine_options import EngineOptions, Number
from vivant.errors import EngineError
from vivant.grid import check_seeds
from vivant.picture.framing import crop_pixels
from vivant.types import (
    Clip,
    EngineInfo,
    Frames,
    Image,
    Observer,
    Portrait,
    Progress,
    Request,
    Sound,
)

Flaw: TypeAlias = Literal["", "drift", "frozen", "plastic", "soft", "unlucky", "hopeless"]
"""``drift``: the face dissolves; ``frozen``: nothing moves; ``plastic``: skin without texture;
``soft``: everything blurred; ``unlucky`` and ``hopeless``: the picture flickers."""


class FakeOptions(EngineOptions):
    """What the fake does.

    Attributes:
        steps: pretended denoising steps before the first frame.
        step_seconds: how long each takes; slept in short naps so that a cancel is not late.
        fail_at_step: raise ``EngineError`` at this step; −1 never.
        fail_at_frame: raise ``EngineError`` at this frame; −1 never.
        fail_at_seed: raise it at the last frame of the clip of this seed; −1 never.
        die_at_step: kill the whole process at this step, as a crash in a driver would; −1 never.
        shift: amplitude of the sideways motion, pixels.
        scale: frames leave this much smaller than asked, to be upscaled.
        chunk: frames per chunk.
        flaw: a defect the clip has, see :data:`Flaw`; empty for none. Each has the remedy that
            LTX-2's option of the same name is for, and goes away with it.
        end_anchor: heals ``drift`` from 0.5 on.
        motion_speed: heals ``frozen`` above 1.
        nag: heals ``plastic``.
        nag_scale: changes nothing.
        image_crf: heals ``soft`` at 20 or less.
        lucky_seed: seeds that leave this remainder by 4 heal ``unlucky``.
    """

    engine: ClassVar[str] = "fake"

    steps: int = 2
    step_seconds: Number = 0.0
    fail_at_step: int = -1
    fail_at_frame: int = -1
    fail_at_seed: int = -1
    die_at_step: int = -1
    shift: Number = 6.0
    scale: Number = 1.0
    chunk: int = 4
    flaw: Flaw = ""
    end_anchor: Number = 0.0
    motion_speed: Number = 1.0
    nag: bool = False
    nag_scale: Number = 5.0
    image_crf: int = 33
    lucky_seed: int = 3

    def defect(self, seed: int) -> str:
        """The flaw, unless its remedy was given."""
        healed = {
            "drift": self.end_anchor >= 0.5,
            "frozen": self.motion_speed > 1,
            "plastic": self.nag,
            "soft": self.image_crf <= 20,
            "unlucky": seed % 4 == self.lucky_seed,
        }
        return "" if healed.get(self.flaw, False) else self.flaw


class FakeEngine:
    """See the module."""

    info = EngineInfo(
        name="fake",
        moves="camera",
        device="cpu",
        notes=("The fake engine only shifts the picture: it is for tests.",),
    )

    def generate(self, portrait: Portrait, request: Request, observe: Observer) -> Clip:
        """See :class:`vivant.types.Engine`."""
        return self.generate_many(portrait, request, (request.seed,), observe)[0]

    def generate_many(
        self, portrait: Portrait, request: Request, seeds: tuple[int, ...], observe: Observer
    ) -> list[Clip]:
        """See :class:`vivant.types.EngineOfMany`: the steps are taken once for all."""
        options = FakeOptions.parse(request.options)
        check_seeds(seeds)
        width = round(request.width * options.scale / 2) * 2
        height = round(request.height * options.scale / 2) * 2
        denoise = _Steps(options, observe)
        return [
            Clip(
                num_frames=request.num_frames,
                fps=request.fps,
                width=width,
                height=height,
                chunks=_draw(
                    portrait, replace(request, seed=seed), options, width, height, denoise
                ),
                sound=partial(_tone, request.seconds, seed) if request.sound else None,
            )
            for seed in seeds
        ]


SOUND_RATE = 24_000
"""Samples per second of the tone."""


def _tone(seconds: float, seed: int) -> Sound:
    """A quiet tone, of another pitch for every seed."""
    at = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    wave = 0.1 * np.sin(math.tau * (220 + 20 * (seed % 32)) * at)
    return Sound(np.stack([wave, wave]).astype(np.float32), SOUND_RATE)


class _Steps:
    """The pretended denoising, once for all clips of a call."""

    def __init__(self, options: FakeOptions, observe: Observer) -> None:
        self._options, self._observe = options, observe
        self._done = False

    def __call__(self) -> None:
        options = self._options
        for step in range(0 if self._done else options.steps):
            if step == options.fail_at_step:
                raise EngineError(f"the fake engine was told to fail at step {step}")
            if step == options.die_at_step:
                os.kill(os.getpid(), signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
            until = time.monotonic() + options.step_seconds
            while (left := until - time.monotonic()) > 0:
                time.sleep(min(0.05, left))
            self._observe(Progress("generate", step + 1, options.steps, "step"))
        self._done = True


def _draw(
    portrait: Portrait,
    request: Request,
    options: FakeOptions,
    width: int,
    height: int,
    denoise: Callable[[], None],
) -> Iterator[Frames]:
    denoise()
    picture = crop_pixels(portrait, width, height)
    for first in range(0, request.num_frames, options.chunk):
        indices = range(first, min(first + options.chunk, request.num_frames))
        if options.fail_at_frame in indices:
            raise EngineError(f"the fake engine was told to fail at frame {options.fail_at_frame}")
        if options.fail_at_seed == request.seed and request.num_frames - 1 in indices:
            raise EngineError(f"the fake engine was told to fail with seed {request.seed}")
        defect = options.defect(request.seed)
        if defect == "frozen":
            yield np.stack([picture] * len(indices))
            continue
        shifts = [
            round(options.shift * math.sin(math.tau * (i + request.seed) / 48))
            - round(options.shift * math.sin(math.tau * request.seed / 48))
            for i in indices
        ]
        yield np.stack(
            [
                np.roll(_spoiled(picture, defect, i, request.num_frames), shift, axis=1)
                for i, shift in zip(indices, shifts, strict=True)
            ]
        )


def _spoiled(picture: Image, defect: str, index: int, num_frames: int) -> Image:
    """One frame with the defect; nothing worth watching, but seen by the check it is for."""
    if defect == "drift":
        share = min(1.0, 6 * index / max(1, num_frames - 1))
        mixed = picture * (1 - share) + picture[:, ::-1][::-1] * share
        return mixed.astype(np.uint8)
    if defect == "plastic":
        return cv2.bilateralFilter(picture, 9, 40, 9).astype(np.uint8)
    if defect == "soft":
        return cv2.GaussianBlur(picture, (0, 0), 1.3).astype(np.uint8)
    if defect in ("unlucky", "hopeless") and index % 2:
        return (picture * 0.8).astype(np.uint8)
    return picture
