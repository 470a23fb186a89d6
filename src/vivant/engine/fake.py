"""An engine for tests and for measuring queues: it draws nothing worth watching, but obeys.

It ships with the package so that whoever builds on Vivant can test without a GPU. Its frames are
the picture shifted sideways by a sine, its steps take as long as they are told to, and it can be
told to fail.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from vivant.errors import EngineError, OptionError
from vivant.framing import crop_pixels
from vivant.types import Clip, EngineInfo, Frames, Observer, Portrait, Progress, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeOptions:
    """What the fake does.

    Attributes:
        steps: pretended denoising steps before the first frame.
        step_seconds: how long each takes; slept in short naps so that a cancel is not late.
        fail_at_step: raise ``EngineError`` at this step; −1 never.
        fail_at_frame: raise ``EngineError`` at this frame; −1 never.
        die_at_step: kill the whole process at this step, as a crash in a driver would; −1 never.
        shift: amplitude of the sideways motion, pixels.
        scale: frames leave this much smaller than asked, to be upscaled.
        chunk: frames per chunk.
    """

    steps: int = 2
    step_seconds: float = 0.0
    fail_at_step: int = -1
    fail_at_frame: int = -1
    die_at_step: int = -1
    shift: float = 6.0
    scale: float = 1.0
    chunk: int = 4

    @classmethod
    def from_request(cls, request: Request) -> FakeOptions:
        """Options of a request.

        Raises:
            OptionError: a key the fake does not have.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(request.options) - known)
        if unknown:
            raise OptionError(
                f"engine fake has no option {unknown[0]!r}: it has {', '.join(sorted(known))}",
                param=unknown[0],
            )
        kinds: dict[str, Any] = {field.name: type(field.default) for field in fields(cls)}
        try:  # forms bring text
            return cls(**{name: kinds[name](value) for name, value in request.options.items()})
        except (TypeError, ValueError) as error:
            raise OptionError(f"engine fake: an option is not a number: {error}") from None


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
        options = FakeOptions.from_request(request)
        width = round(request.width * options.scale / 2) * 2
        height = round(request.height * options.scale / 2) * 2
        return Clip(
            num_frames=request.num_frames,
            fps=request.fps,
            width=width,
            height=height,
            chunks=self._draw(portrait, request, options, width, height, observe),
        )

    def _draw(
        self,
        portrait: Portrait,
        request: Request,
        options: FakeOptions,
        width: int,
        height: int,
        observe: Observer,
    ) -> Iterator[Frames]:
        for step in range(options.steps):
            if step == options.fail_at_step:
                raise EngineError(f"the fake engine was told to fail at step {step}")
            if step == options.die_at_step:
                os.kill(os.getpid(), signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
            until = time.monotonic() + options.step_seconds
            while (left := until - time.monotonic()) > 0:
                time.sleep(min(0.05, left))
            observe(Progress("generate", step + 1, options.steps, "step"))
        picture = crop_pixels(portrait, width, height)
        for first in range(0, request.num_frames, options.chunk):
            indices = range(first, min(first + options.chunk, request.num_frames))
            if options.fail_at_frame in indices:
                raise EngineError(
                    f"the fake engine was told to fail at frame {options.fail_at_frame}"
                )
            shifts = [
                round(options.shift * math.sin(math.tau * (i + request.seed) / 48))
                - round(options.shift * math.sin(math.tau * request.seed / 48))
                for i in indices
            ]
            yield np.stack([np.roll(picture, shift, axis=1) for shift in shifts])
