"""Where the camera is at each frame: pure arithmetic.

The camera is two windows into the picture, one for the subject's plane and one for the
background's; each fills the clip. Both start as the crop, so frame 0 is the crop itself. A window
follows a quadratic Bézier curve whose three control windows lie inside the picture: by the convex
hull property of Bézier curves every window does, and no border can come into view.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from vivant.engines.camera.options import CameraOptions
from vivant.types import Box, Face

GOLDEN_64 = 0x9E3779B97F4A7C15
"""2**64 / golden ratio: Fibonacci hashing (Knuth, TAOCP 3, 6.4) parts neighbouring seeds."""

MAX_ZOOM = 0.12
"""Zoom an endless clip of strength 1 would come to."""

HALF_ZOOM_SECONDS = 4.0
"""Clip length that gets half of :data:`MAX_ZOOM`: 6 % in 4 s, 10 % in 20 s, 2.4 % in 1 s."""

RAMP_SECONDS = 0.7
"""Time to reach full speed, and to come to rest."""

DRIFT = {"push_in": 0.35, "drift": 0.8, "orbit": 0.5}
"""Sideways travel as a share of the zoom amount times the width."""

ZOOM = {"push_in": 1.0, "drift": 0.75, "orbit": 0.75}
"""Share of the zoom amount each move uses."""


def uniform(seed: int, stream: int) -> float:
    """A number in [0, 1) that depends on ``seed`` only; neighbours are far apart.

    Args:
        seed: 0 … 2**63 − 1.
        stream: which of several independent numbers.
    """
    mixed = (seed * GOLDEN_64 + stream * 0xD1B54A32D192ED03) % 2**64
    if stream:  # finaliser of SplitMix64 (Steele et al., 2014) decorrelates the later streams
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB % 2**64
        mixed ^= mixed >> 31
    return mixed / 2**64


def ease(u: float, ramp: float) -> float:
    """Travelled share of the way at share ``u`` of the time.

    The velocity rises as a raised cosine over ``ramp``, is constant, and falls likewise: position
    is twice continuously differentiable, at rest at both ends, and strictly increasing.

    Args:
        u: 0 … 1.
        ramp: 0 < ramp ≤ 0.5.
    """
    if u > 0.5:
        return 1.0 - ease(1.0 - u, ramp)
    speed = 1.0 / (1.0 - ramp)
    if u < ramp:
        x = math.pi * u / ramp
        # x - sin(x); near 0 the two terms cancel, so its series is used there
        way = x - math.sin(x) if x > 0.05 else x**3 / 6 - x**5 / 120 + x**7 / 5040
        return speed * ramp / (2 * math.pi) * way
    return speed * (u - ramp / 2)


@dataclass(frozen=True, slots=True)
class Curve:
    """A window's way: control windows of a quadratic Bézier curve, all of one aspect."""

    start: Box
    middle: Box
    end: Box

    def at(self, e: float) -> Box:
        """The window at share ``e`` of the way."""
        a, b, c = (1 - e) ** 2, 2 * e * (1 - e), e**2

        def mix(one: float, two: float, three: float) -> float:
            return a * one + b * two + c * three

        return Box(
            mix(self.start.left, self.middle.left, self.end.left),
            mix(self.start.top, self.middle.top, self.end.top),
            mix(self.start.width, self.middle.width, self.end.width),
            mix(self.start.height, self.middle.height, self.end.height),
        )


@dataclass(frozen=True, slots=True)
class CameraPath:
    """The whole move: :meth:`at` gives both windows of a frame, in pixels of the picture."""

    num_frames: int
    ramp: float
    move: Literal["push_in", "drift", "orbit"]
    subject: Curve
    background: Curve

    def at(self, frame: int) -> tuple[Box, Box]:
        """Windows ``(subject, background)`` of ``frame``, 0 … num_frames − 1."""
        e = ease(frame / max(1, self.num_frames - 1), self.ramp)
        return self.subject.at(e), self.background.at(e)

    def loop_at(self, frame: int) -> tuple[Box, Box]:
        """As :meth:`at`, but out and back: after ``num_frames`` it is where it began."""
        e = 0.5 - 0.5 * math.cos(2 * math.pi * frame / self.num_frames)
        return self.subject.at(e), self.background.at(e)


def zoom_amount(seconds: float, strength: float) -> float:
    """How much closer the camera gets, as a share of the scale; saturates with length."""
    return strength * MAX_ZOOM * seconds / (seconds + HALF_ZOOM_SECONDS)


def plan_path(
    *,
    crop: Box,
    area: Box,
    num_frames: int,
    fps: float,
    focus: tuple[float, float],
    keep: Box | None,
    options: CameraOptions,
    seed: int,
    strength: float | None = None,
) -> CameraPath:
    """Lay the way through the picture.

    Args:
        crop: the first window.
        area: what the windows may show; contains ``crop``.
        num_frames: at least 1.
        fps: frames per second.
        focus: where the camera looks, in pixels of the picture.
        keep: what must stay in view (the head); None where there is none.
        options: move, strength and parallax.
        seed: picks direction, size and, with ``auto``, the move.
        strength: in place of the options', and down to 0.
    """
    seconds = (num_frames - 1) / fps
    strength = options.strength if strength is None else strength
    amount = zoom_amount(seconds, strength) * (0.85 + 0.3 * uniform(seed, 1))
    parallax = options.parallax * min(1.0, amount / 0.05)
    move: Literal["push_in", "drift", "orbit"]
    if options.move == "auto":
        pick = uniform(seed, 2)
        move = "push_in" if pick < 0.5 else "orbit" if pick < 0.75 and parallax else "drift"
    else:
        move = options.move
    angle = 2 * math.pi * uniform(seed, 0)
    side = 1.0 if math.cos(angle) >= 0 else -1.0
    zoom = amount * ZOOM[move]
    travel = amount * DRIFT[move]

    cx, cy = crop.center
    dx = travel * crop.width * (math.cos(angle) if move == "push_in" else side)
    dy = travel * crop.height * math.sin(angle) * (1.0 if move == "push_in" else 0.4)
    pull = 0.5 * zoom
    x = cx + dx + pull * (focus[0] - cx)
    y = cy + dy + pull * (focus[1] - cy)
    end = _inside(_window(crop, x, y, 1 + zoom), area)
    if keep is not None:
        end = _inside(_shifted_to_show(end, keep), area)

    back = _background_end(crop, end, zoom, parallax, move, side)
    bend = 0.0
    if move == "orbit":  # an arc, over or under
        bend = crop.height * zoom * (0.12 if uniform(seed, 3) < 0.5 else -0.12)
    return CameraPath(
        num_frames=num_frames,
        ramp=min(0.3, RAMP_SECONDS / seconds) if seconds else 0.3,
        move=move,
        subject=_curve(crop, end, bend, area),
        background=_curve(crop, _inside(back, area), bend, area),
    )


def head_in(face: Face, crop: Box) -> Box:
    """The face with hair and chin, as far as ``crop`` shows it."""
    box = face.box
    left = max(crop.left, box.left - 0.25 * box.width)
    top = max(crop.top, box.top - 0.9 * box.height)
    right = min(crop.right, box.right + 0.25 * box.width)
    bottom = min(crop.bottom, box.bottom + 0.25 * box.height)
    return Box(left, top, max(0.0, right - left), max(0.0, bottom - top))


def _background_end(
    crop: Box, end: Box, zoom: float, parallax: float, move: str, side: float
) -> Box:
    """The background's last window: it shifts less than the subject, by ``parallax`` at most."""
    cx, cy = crop.center
    ex, ey = end.center
    if not parallax:
        return end
    shift = parallax * crop.width
    if move == "orbit":  # the subject stays, what is behind it passes
        return _window(crop, ex - side * shift, ey, 1 + max(zoom - parallax / 2, zoom / 4))
    way = math.hypot(ex - cx, ey - cy)
    lag = min(0.5, (shift if move == "drift" else shift / 2) / way) if way else 0.0
    less = parallax / 2 if move == "drift" else 2 * parallax
    return _window(crop, ex - lag * (ex - cx), ey - lag * (ey - cy), 1 + max(zoom - less, zoom / 4))


def _window(crop: Box, x: float, y: float, scale: float) -> Box:
    """A window of the crop's aspect, ``scale`` times closer, centred on ``(x, y)``."""
    width, height = crop.width / scale, crop.height / scale
    return Box(x - width / 2, y - height / 2, width, height)


def _inside(box: Box, area: Box) -> Box:
    """``box`` shifted into ``area``."""
    left = max(area.left, min(box.left, area.right - box.width))
    top = max(area.top, min(box.top, area.bottom - box.height))
    return Box(left, top, box.width, box.height)


def _shifted_to_show(window: Box, keep: Box) -> Box:
    """``window`` shifted to show ``keep``, or its middle where it is too large."""
    left = _shifted_start(window.left, window.width, keep.left, keep.width)
    top = _shifted_start(window.top, window.height, keep.top, keep.height)
    return Box(left, top, window.width, window.height)


def _shifted_start(start: float, length: float, keep: float, keep_length: float) -> float:
    if keep_length >= length:
        return keep + keep_length / 2 - length / 2
    return max(keep + keep_length - length, min(start, keep))


def _curve(start: Box, end: Box, bend: float, area: Box) -> Curve:
    middle = Box(
        (start.left + end.left) / 2,
        (start.top + end.top) / 2 + bend,
        (start.width + end.width) / 2,
        (start.height + end.height) / 2,
    )
    return Curve(start, _inside(middle, area), end)
