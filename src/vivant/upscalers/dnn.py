"""OpenCV's ``dnn_superres`` networks (EDSR, ESPCN, FSRCNN, LapSRN) on the CPU.

The user's own way to 1080p. A frame takes from a part of a second (FSRCNN) to minutes (EDSR): the
first one is timed, and what the rest will take is said before the hours are spent.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from vivant.errors import MissingPartError, OptionError, WeightsError
from vivant.grid import cover_crop
from vivant.types import Clip, Frames, Image, Observer, Progress

log = logging.getLogger(__name__)

SLOW_SECONDS = 300
"""An estimate above this is worth a warning."""

SECONDS_PER_MEGAPIXEL = {"edsr": 60.0, "lapsrn": 12.0, "espcn": 0.3, "fsrcnn": 0.3}
"""One frame's input on one CPU, order of magnitude, for an estimate before the first frame."""


def estimate(kind: str, clip: Clip) -> float:
    """Seconds a clip will take, by order of magnitude."""
    return SECONDS_PER_MEGAPIXEL[kind] * clip.width * clip.height / 1e6 * clip.num_frames


def _name(path: Path) -> tuple[str, int]:
    match = re.fullmatch(r"(?i)(edsr|espcn|fsrcnn(?:-small)?|lapsrn)_x([2348])", path.stem)
    if match is None:
        raise OptionError(
            f"{path.name} does not say what it is: dnn_superres files are named like EDSR_x2.pb",
            param="upscaler",
        )
    return match[1].lower().removesuffix("-small"), int(match[2])


class DnnUpscaler:
    """A ``dnn_superres`` file, e.g. ``EDSR_x2.pb``.

    Args:
        path: the network; its name says kind and factor.

    Raises:
        MissingPartError: no such file.
        OptionError: its name says nothing.
        WeightsError: OpenCV cannot read it.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise MissingPartError(f"upscaler file {path} is not there")
        self.kind, self.scale = _name(path)
        self.name = f"dnn {path.stem}"
        self._network = cv2.dnn_superres.DnnSuperResImpl.create()
        try:
            self._network.readModel(str(path))
            self._network.setModel(self.kind, self.scale)
            # OpenCV reads anything; only using it tells
            self._network.upsample(np.zeros((16, 16, 3), np.uint8))
        except cv2.error:
            raise WeightsError(f"{path.name} is not a network OpenCV can read") from None

    def upscale(self, clip: Clip, *, width: int, height: int, observe: Observer) -> Clip:
        """See :class:`vivant.types.Upscaler`. Warns beforehand where it will take minutes."""
        guess = estimate(self.kind, clip)
        if guess > SLOW_SECONDS:
            log.warning(
                "upscaler %s will take about %.0f minutes for %d frames on a CPU: "
                "lanczos takes seconds",
                self.name,
                guess / 60,
                clip.num_frames,
            )
        return Clip(
            num_frames=clip.num_frames,
            fps=clip.fps,
            width=width,
            height=height,
            chunks=self._enlarge(clip, width, height, observe),
        )

    def _enlarge(self, clip: Clip, width: int, height: int, observe: Observer) -> Iterator[Frames]:
        done = 0
        for chunk in clip.chunks:
            out = np.empty((len(chunk), height, width, 3), np.uint8)
            for source, target in zip(chunk, out, strict=True):
                started = time.perf_counter()
                target[:] = fit(self._one(source), width, height)
                if not done and clip.num_frames > 1:
                    left = (time.perf_counter() - started) * (clip.num_frames - 1)
                    if left > SLOW_SECONDS:
                        log.warning(
                            "upscaler %s: %.0f minutes to go, by the first frame",
                            self.name,
                            left / 60,
                        )
                done += 1
                observe(Progress("upscale", done, clip.num_frames))
            yield out

    def _one(self, frame: Image) -> Image:
        try:
            larger = self._network.upsample(np.ascontiguousarray(frame[:, :, ::-1]))
        except cv2.error:
            raise WeightsError(
                f"{self.name} failed on a frame: not a network of its name"
            ) from None
        return np.asarray(larger[:, :, ::-1], dtype=np.uint8)


def fit(frame: Image, width: int, height: int) -> Image:
    """Centre-cropped to the aspect, and resampled: averaged when shrinking, else Lanczos."""
    crop = cover_crop(frame.shape[1], frame.shape[0], width / height)
    left, top = round(crop.left), round(crop.top)
    inner = frame[top : top + round(crop.height), left : left + round(crop.width)]
    kind = cv2.INTER_AREA if crop.width > width else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(inner, (width, height), interpolation=kind), dtype=np.uint8)
