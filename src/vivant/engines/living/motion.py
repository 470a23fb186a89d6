"""Which movement happens when: pure arithmetic, from the seed alone.

Every curve is 0 at the first frame, with speed 0, so that the clip starts as the picture; with
``loop`` it is 0 at the end as well. Turns and gazes go from one resting place to the next, as
people do, along minimum-jerk curves (Flash and Hogan, 1985).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from vivant.engines.living.options import LivingOptions, MotionAmounts

BREATH_SECONDS: Final = 4.0
"""An adult at rest takes 12 to 18 breaths a minute; the slow end, 0.25 Hz."""

INHALE: Final = 0.42
"""Share of a breath that goes in; out is slower."""

BLINK_CLOSE, BLINK_SHUT, BLINK_OPEN = 0.11, 0.15, 0.22
"""Seconds of a blink: the lids fall, stay down, rise (VanderWerf et al., 2003)."""

TURN_SECONDS: Final = 1.25
"""A slow turn of the head from one place to the next."""

SACCADE_SECONDS: Final = 0.06
"""A shift of the gaze; eyes jump, they do not glide."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Where everything is at one time. Angles in degrees, the rest as in ``MotionAmounts``.

    Attributes:
        breath: 0 (out) … ``MotionAmounts.breath``.
        closed: 0 … 1, how far the lids are down.
        gaze: shift of the irises to the right, and down.
        brow: rise of the brows.
        smile: rise of the mouth's corners.
        sway: shift of the head to the right, share of the face's height.
    """

    yaw: float
    pitch: float
    roll: float
    breath: float
    closed: float
    gaze: tuple[float, float]
    brow: float
    smile: float
    sway: float


@dataclass(frozen=True, slots=True)
class KeyframeTrack:
    """A value that rests, then goes to its next place.

    Attributes:
        starts: seconds at which it leaves for each place, rising.
        values: what it becomes.
        seconds: how long each way takes.
    """

    starts: tuple[float, ...]
    values: tuple[float, ...]
    seconds: float

    def at(self, time: float) -> float:
        """The value at ``time`` seconds; 0 before the first start."""
        value, here = 0.0, 0.0
        for start, place in zip(self.starts, self.values, strict=True):
            value += (place - here) * minimum_jerk((time - start) / self.seconds)
            here = place
        return value


def minimum_jerk(u: float) -> float:
    """Travelled share of the way at share ``u`` of the time; clamped to 0 … 1."""
    u = min(1.0, max(0.0, u))
    return u * u * u * (10.0 - 15.0 * u + 6.0 * u * u)


@dataclass(frozen=True, slots=True)
class Motion:
    """One person's movement through a clip; ``turn`` multiplies the angles of ``amounts``."""

    seconds: float
    amounts: MotionAmounts
    turn: float
    breath: float
    breath_seconds: float
    first_breath: float
    yaw: KeyframeTrack
    pitch: KeyframeTrack
    roll: KeyframeTrack
    gaze_x: KeyframeTrack
    gaze_y: KeyframeTrack
    brow: KeyframeTrack
    smile: KeyframeTrack
    blinks: tuple[float, ...]
    phases: tuple[float, ...]
    loop: bool

    def at(self, time: float) -> Pose:
        """Where everything is ``time`` seconds after the first frame."""
        drift = self._drift(time)
        wander = 0.16 * self.turn
        yaw = self.yaw.at(time) + wander * self.amounts.yaw * drift[0]
        return Pose(
            yaw=yaw,
            pitch=self.pitch.at(time) + wander * self.amounts.pitch * drift[1],
            roll=self.roll.at(time) + wander * self.amounts.roll * drift[2],
            breath=self.breath * self._breath(time),
            closed=max((blink_shape(time - start) for start in self.blinks), default=0.0),
            gaze=(self.gaze_x.at(time), self.gaze_y.at(time)),
            brow=self.brow.at(time),
            smile=self.smile.at(time),
            sway=0.005 * yaw,
        )

    def widest(self) -> Pose:
        """The pose with the largest turn of the head."""
        times = np.arange(0.0, self.seconds, 1 / 12)
        return max((self.at(float(time)) for time in times), key=lambda pose: abs(pose.yaw))

    def _breath(self, time: float) -> float:
        """0 … 1: in for :data:`INHALE` of the time, then out, with rests between."""
        u = ((time - self.first_breath) / self.breath_seconds) % 1.0
        if time < self.first_breath:
            return 0.0
        if u < INHALE:
            return 0.5 - 0.5 * math.cos(math.pi * u / INHALE)
        return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (u - INHALE) / (0.93 - INHALE)))

    def _drift(self, time: float) -> tuple[float, float, float]:
        """Slow wander: two sines each, of periods that have no common multiple in a clip."""
        fade = minimum_jerk(time / 1.0)
        if self.loop:
            fade *= minimum_jerk((self.seconds - time) / 1.0)
        a, b, c, d, e, f = self.phases
        return (
            fade * 0.5 * (math.sin(1.31 * time + a) + math.sin(2.23 * time + b)),
            fade * 0.5 * (math.sin(1.13 * time + c) + math.sin(1.97 * time + d)),
            fade * 0.5 * (math.sin(0.97 * time + e) + math.sin(1.73 * time + f)),
        )


def blink_shape(time: float) -> float:
    """How far the lids are down ``time`` seconds after a blink began: 0 … 1."""
    if time <= 0:
        return 0.0
    if time < BLINK_CLOSE:
        return minimum_jerk(time / BLINK_CLOSE)
    time -= BLINK_CLOSE + BLINK_SHUT
    return 1.0 if time <= 0 else 1.0 - minimum_jerk(time / BLINK_OPEN)


def plan_motion(
    options: LivingOptions, amounts: MotionAmounts, *, seconds: float, seed: int, person: int
) -> Motion:
    """One person's movement; two people of one picture move differently.

    Args:
        seconds: from the first frame to the last, or to where the loop begins again.
        seed: 0 … 2**63 − 1.
        person: which of the picture's people.
    """
    rng = np.random.default_rng([seed, person])
    turn_seconds = min(TURN_SECONDS, 0.45 * seconds)
    starts, yaws, pitches, rolls = _head_turns(options, amounts, seconds, person, rng)
    if options.loop:
        starts, (yaws, pitches, rolls) = _return_to_rest(
            starts, (yaws, pitches, rolls), seconds, turn_seconds
        )
    gaze_x, gaze_y = _gaze(options, amounts, starts, yaws, seconds, rng)
    brow, smile = _expression(options, amounts, starts, turn_seconds)
    breath_seconds = BREATH_SECONDS * (0.95 + 0.1 * rng.random())
    if options.loop:
        breath_seconds = seconds / max(1, round(seconds / breath_seconds))
    later = (*(start + 0.05 for start in starts[:-1]), starts[-1])
    return Motion(
        seconds=seconds,
        amounts=amounts,
        turn=options.strength * options.turn,
        breath=options.strength * options.breath * amounts.breath,
        breath_seconds=breath_seconds,
        first_breath=0.0 if options.loop else 0.2 * rng.random(),
        yaw=KeyframeTrack(tuple(starts), tuple(yaws), turn_seconds),
        pitch=KeyframeTrack(later, tuple(pitches), turn_seconds),
        roll=KeyframeTrack(tuple(starts), tuple(rolls), turn_seconds),
        gaze_x=gaze_x,
        gaze_y=gaze_y,
        brow=brow,
        smile=smile,
        blinks=_blinks(amounts, seconds, rng) if options.blink else (),
        phases=tuple(2 * math.pi * rng.random(6)),
        loop=options.loop,
    )


def _head_turns(
    options: LivingOptions,
    amounts: MotionAmounts,
    seconds: float,
    person: int,
    rng: np.random.Generator,
) -> tuple[list[float], list[float], list[float], list[float]]:
    """When the head turns, and the yaw, pitch and roll of each turn in degrees.

    Turns far to one side alternate with short ones, nearly back to the viewer. The second person
    begins a little after the first.
    """
    turn = options.strength * options.turn
    side = 1.0 if rng.random() < 0.5 else -1.0
    nod = 1.0 if rng.random() < 0.5 else -1.0
    starts = [0.12 + 0.2 * rng.random() + 0.15 * person]
    while starts[-1] + amounts.pause < seconds:
        starts.append(starts[-1] + amounts.pause * (0.8 + 0.4 * rng.random()))
    yaws, pitches, rolls = [], [], []
    for index in range(len(starts)):
        far = 1.0 if index % 2 == 0 else 0.25
        size = far * (0.9 + 0.2 * rng.random())
        yaws.append(turn * amounts.yaw * side * size)
        pitches.append(turn * amounts.pitch * nod * far * (0.6 + 0.5 * rng.random()))
        rolls.append(turn * amounts.roll * side * far * (0.4 + 0.6 * rng.random()))
        if far < 1 and rng.random() < 0.6:
            side = -side
        nod = nod if rng.random() < 0.6 else -nod
    return starts, yaws, pitches, rolls


def _gaze(
    options: LivingOptions,
    amounts: MotionAmounts,
    starts: list[float],
    yaws: list[float],
    seconds: float,
    rng: np.random.Generator,
) -> tuple[KeyframeTrack, KeyframeTrack]:
    """Shifts of the irises to the right and down; the eyes move before the head turns."""
    gaze = options.strength * options.gaze * amounts.gaze
    times = [start - 0.1 if start > 0.3 else start for start in starts]
    xs = [gaze * (math.copysign(1.0, yaw) if yaw else 0.0) for yaw in yaws]
    ys = [0.35 * gaze * (2 * rng.random() - 1) if yaw else 0.0 for yaw in yaws]
    if not options.loop and seconds > 2:  # they come back to the viewer before the head does
        times, xs, ys = _back_to_viewer(times, xs, ys)
    return (
        KeyframeTrack(tuple(times), tuple(xs), SACCADE_SECONDS),
        KeyframeTrack(tuple(times), tuple(ys), SACCADE_SECONDS),
    )


def _expression(
    options: LivingOptions, amounts: MotionAmounts, starts: list[float], turn_seconds: float
) -> tuple[KeyframeTrack, KeyframeTrack]:
    """Rise of brows and mouth corners, a little after each turn begins."""
    strength = options.strength * options.expression
    times = [start + 0.25 for start in starts]
    far = [index % 2 == 0 for index in range(len(starts))]
    brow = [strength * amounts.brow * (1.0 if one else 0.3) for one in far]
    smile = [strength * amounts.smile * (1.0 if one else 0.7) for one in far]
    if options.loop:
        brow[-1] = smile[-1] = 0.0
        times[-1] = starts[-1]
    return (
        KeyframeTrack(tuple(times), tuple(brow), turn_seconds),
        KeyframeTrack(tuple(times), tuple(smile), turn_seconds),
    )


def _return_to_rest(
    starts: list[float], tracks: tuple[list[float], ...], seconds: float, turn_seconds: float
) -> tuple[list[float], tuple[list[float], ...]]:
    """End every track at 0, in time for the loop."""
    last = seconds - turn_seconds
    keep = [i for i, start in enumerate(starts) if start + 0.6 * turn_seconds < last] or [0]
    found = [starts[i] for i in keep]
    return [*found, max(last, found[-1])], tuple([*(t[i] for i in keep), 0.0] for t in tracks)


def _back_to_viewer(
    starts: list[float], xs: list[float], ys: list[float]
) -> tuple[list[float], list[float], list[float]]:
    """A look aside lasts about 0.9 s."""
    back = [start + 0.9 for start in starts]
    order = np.argsort([*starts, *back], kind="stable")
    times = np.array([*starts, *back])[order]
    x = np.array([*xs, *(0.0 for _ in xs)])[order]
    y = np.array([*ys, *(0.0 for _ in ys)])[order]
    return [float(v) for v in times], [float(v) for v in x], [float(v) for v in y]


def _blinks(amounts: MotionAmounts, seconds: float, rng: np.random.Generator) -> tuple[float, ...]:
    """When blinks begin; the first comes early enough to be seen in a short clip."""
    lasts = BLINK_CLOSE + BLINK_SHUT + BLINK_OPEN
    found = []
    start = min(0.9 + 0.7 * rng.random(), 0.3 * seconds)
    while start + lasts + 0.15 < seconds:
        if start > 0.1:
            found.append(start)
        start += amounts.blink * (0.7 + 0.6 * rng.random())
    return tuple(found)
