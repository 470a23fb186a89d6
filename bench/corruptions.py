"""The defects of generated clips, made on purpose: fixed seeds, a ladder of doses for each.

Knows nothing of the checks. Every function takes frames ``[T, H, W, 3]`` uint8 and gives new
ones; those that work on a face take its track, one :class:`~vivant.types.Face` a frame.
Displacements are in inter-ocular distances, so that a dose means the same in any picture.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np
import numpy.typing as npt

from corruptions_edits import bars, cropped, faded, overlay
from corruptions_face import eye, glasses, hair, mouth, shape, skin, skin_trend, slide
from corruptions_layers import torn
from corruptions_scene import ghost, gibberish, grid, swim
from corruptions_time import (
    color_glitch,
    freeze,
    jump,
    local_flicker,
    low_rate,
    odd_frame,
    pumping,
    rate_converted,
    reversed_motion,
    stutter,
    zoomed,
)
from vivant.types import Face, Frames, Image
from vivant.video.reader import to_rgb

__all__ = ["LADDERS", "Case", "Material", "cases", "recode"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """A clean clip to spoil.

    Attributes:
        person: who it shows; the split goes by person.
        name: of the segment.
        frames: ``[T, H, W, 3]`` uint8.
        fps: of the clip.
        track: the face in every frame.
    """

    person: str
    name: str
    frames: Frames
    fps: float
    track: Sequence[Face]


@dataclass(frozen=True, slots=True)
class Case:
    """One entry of the suite: a defect, how it is made, how strong."""

    defect: str
    variant: str
    dose: float
    apply: Callable[[Material, Material, np.random.Generator], Frames]

    @property
    def label(self) -> str:
        """E.g. ``melt/droop@0.3``."""
        return f"{self.defect}/{self.variant}@{self.dose:g}"


# --- geometry -------------------------------------------------------------------------------


def _grid(height: int, width: int) -> tuple[Floats, Floats]:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return x, y


def _pose(face: Face) -> tuple[float, float, float, float]:
    """Middle of the eyes ``(x, y)``, inter-ocular distance, roll in radians."""
    points = np.asarray(face.landmarks, np.float64)
    right, left = points[0:2].mean(axis=0), points[2:4].mean(axis=0)
    middle = (right + left) / 2
    along = right - left
    if along[0] < 0:
        along = -along
    return (
        float(middle[0]),
        float(middle[1]),
        float(np.hypot(*along)),
        float(np.arctan2(along[1], along[0])),
    )


def smooth_track(track: Sequence[Face]) -> npt.NDArray[np.float64]:
    """Poses ``[T, 4]`` without the landmarks' jitter (a triangular window of nine frames)."""
    poses = np.asarray([_pose(face) for face in track])
    kernel = np.asarray([1, 2, 3, 4, 5, 4, 3, 2, 1], np.float64)
    kernel /= kernel.sum()
    padded = np.pad(poses, ((4, 4), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, i], kernel, "valid") for i in range(4)], axis=1)


REACH = 2.7
"""Inter-ocular distances from the eyes beyond which the window of a face is zero."""


def _window(u: Floats, v: Floats) -> Floats:
    """1 inside the face, 0 outside, smooth: u and v in inter-ocular distances from the eyes."""
    radius = np.sqrt((u / 1.35) ** 2 + ((v - 0.55) / 1.75) ** 2)
    return np.clip((1.15 - radius) / 0.35, 0, 1).astype(np.float32)


def _around(cx: float, cy: float, iod: float, height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns where the window of a face is not zero."""
    reach = REACH * iod
    return (
        slice(max(0, int(cy - reach)), max(0, min(height, int(cy + reach)))),
        slice(max(0, int(cx - reach)), max(0, min(width, int(cx + reach)))),
    )


def _warp(frame: Image, dx: Floats, dy: Floats) -> Image:
    x, y = _grid(*frame.shape[:2])
    return cv2.remap(frame, x + dx, y + dy, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT).astype(
        np.uint8, copy=False
    )


def _sine(a: float, b: float, phase: float, u: Floats, v: Floats) -> Floats:
    """``sin(a u + b v + phase)`` where u and v are linear in x and y: two outer products."""
    across = a * u[0] + b * v[0] + phase
    down = a * (u[:, 0] - u[0, 0]) + b * (v[:, 0] - v[0, 0])
    wave = np.outer(np.cos(down), np.sin(across)) + np.outer(np.sin(down), np.cos(across))
    return wave.astype(np.float32, copy=False)


def _smooth_field(rng: np.random.Generator, scale: float) -> Callable[[Floats, Floats], Floats]:
    """A smooth random function of the face's plane, |value| ≤ 1: a few waves longer than scale."""
    waves = [
        (rng.normal(size=2) / scale, rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1))
        for _ in range(5)
    ]

    def field(u: Floats, v: Floats) -> Floats:
        total = sum(a * _sine(k[0], k[1], p, u, v) for k, p, a in waves)
        return np.asarray(total, np.float32)

    probe_u, probe_v = np.meshgrid(np.linspace(-1.2, 1.2, 40), np.linspace(-1, 2.2, 40))
    top = float(np.abs(field(probe_u.astype(np.float32), probe_v.astype(np.float32))).max())
    return lambda u, v: field(u, v) / np.float32(top)


def _deform(
    material: Material,
    amount: Callable[[int], float],
    field: Callable[[Floats, Floats], tuple[Floats, Floats]],
) -> Frames:
    """Warp the face of every frame by ``amount(t)`` inter-ocular distances times ``field``."""
    poses = smooth_track(material.track)
    height, width = material.frames.shape[1:3]
    x, y = _grid(height, width)
    out = material.frames.copy()
    for t, frame in enumerate(material.frames):
        cx, cy, iod, roll = (np.float32(value) for value in poses[t])
        part = _around(float(cx), float(cy), float(iod), height, width)
        across, down = x[part], y[part]
        if not across.size:
            continue
        c, s = np.cos(roll), np.sin(roll)
        u = ((across - cx) * c + (down - cy) * s) / iod
        v = (-(across - cx) * s + (down - cy) * c) / iod
        du, dv = field(u, v)
        scale = np.float32(amount(t)) * iod * _window(u, v)
        dx, dy = scale * (du * c - dv * s), scale * (du * s + dv * c)
        out[t][part] = cv2.remap(
            frame, across + dx, down + dy, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
    return out


def _melt(variant: str, dose: float) -> Callable[..., Frames]:
    """Displacement growing from nothing to ``dose`` inter-ocular distances at its largest."""

    def apply(material: Material, _: Material, rng: np.random.Generator) -> Frames:
        last = len(material.frames) - 1
        one, two = _smooth_field(rng, 0.45), _smooth_field(rng, 0.45)
        phase = rng.uniform(0, 2 * np.pi)

        def field(u: Floats, v: Floats) -> tuple[Floats, Floats]:
            if variant == "droop":  # the lower, the more it hangs
                fall = np.clip((v + 0.4) / 2.0, 0, 1)
                return 0.25 * _sine(2.5, 0, phase, u, v) * fall, -fall * (
                    0.75 + 0.25 * _sine(2, 0, phase + np.pi / 2, u, v)
                )
            if variant == "sine":
                return _sine(0, 2.2, phase, u, v), _sine(2.2, 0, phase, u, v)
            return one(u, v), two(u, v)

        return _deform(material, lambda t: dose * t / last, field)

    return apply


def _wobble(variant: str, dose: float) -> Callable[..., Frames]:
    """A standing non-rigid wave of ``dose`` inter-ocular distances at 2.5-6 Hz."""

    def apply(material: Material, _: Material, rng: np.random.Generator) -> Frames:
        one, two = _smooth_field(rng, 0.4), _smooth_field(rng, 0.4)
        hertz = {"slow": 2.5, "fast": 6.0}.get(variant, 4.0)
        phase = rng.uniform(0, 2 * np.pi)

        def field(u: Floats, v: Floats) -> tuple[Floats, Floats]:
            if variant == "sine":
                return _sine(0, 3, phase, u, v), _sine(3, 0, phase + np.pi / 2, u, v)
            return one(u, v), two(u, v)

        omega = 2 * np.pi * hertz / material.fps
        return _deform(material, lambda t: dose * float(np.sin(omega * t)), field)

    return apply


def _jelly(variant: str, dose: float) -> Callable[..., Frames]:
    """The whole frame sways: waves of ``dose`` of the frame's height."""

    def apply(material: Material, _: Material, rng: np.random.Generator) -> Frames:
        height, width = material.frames.shape[1:3]
        x, y = _grid(height, width)
        hertz = {"slow": 2.0, "fast": 6.0}.get(variant, 3.5)
        length = rng.uniform(0.35, 0.7) * height
        a, b = rng.uniform(0, 2 * np.pi, size=2)
        out = np.empty_like(material.frames)
        for t, frame in enumerate(material.frames):
            swing = 2 * np.pi * hertz * t / material.fps
            if variant == "standing":
                wave = np.sin(swing)
                dx = dose * height * wave * np.sin(2 * np.pi * y[:, :1] / length + a)
                dy = dose * height * wave * np.sin(2 * np.pi * x[:1] / length + b)
            else:
                dx = dose * height * np.sin(2 * np.pi * y[:, :1] / length + a + swing)
                dy = dose * height * np.sin(2 * np.pi * x[:1] / length + b + swing)
            out[t] = _warp(frame, dx.astype(np.float32), dy.astype(np.float32))
        return out

    return apply


# --- somebody else --------------------------------------------------------------------------


def _fit_size(frames: Frames, height: int, width: int) -> Frames:
    """Cover-crop and resize to another clip's size."""
    rows, columns = frames.shape[1:3]
    factor = max(height / rows, width / columns)
    out = np.empty((len(frames), height, width, 3), np.uint8)
    for t, frame in enumerate(frames):
        size = (max(width, round(columns * factor)), max(height, round(rows * factor)))
        method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        large = cv2.resize(frame, size, interpolation=method)
        top, left = (size[1] - height) // 2, (size[0] - width) // 2
        out[t] = large[top : top + height, left : left + width]
    return out


def _similarity(source: Face, target: Face) -> npt.NDArray[np.float64]:
    """2x3 matrix that puts one face's eyes and nose onto another's."""
    one = np.asarray(source.landmarks, np.float64)
    two = np.asarray(target.landmarks, np.float64)
    a, b = one - one.mean(axis=0), two - two.mean(axis=0)
    z = ((a[:, 0] + 1j * a[:, 1]).conj() * (b[:, 0] + 1j * b[:, 1])).sum()
    z /= (a**2).sum()
    linear = np.asarray([[z.real, -z.imag], [z.imag, z.real]])
    return np.column_stack([linear, two.mean(axis=0) - linear @ one.mean(axis=0)])


def _paste(alpha: float, start: float = 0.0, count: int | None = None) -> Callable[..., Frames]:
    """Another person's face laid over this one, in its place, pose and colours.

    From ``start`` of the length on, for ``count`` frames or to the end.
    """

    def apply(material: Material, other: Material, _: np.random.Generator) -> Frames:
        out = material.frames.copy()
        poses = smooth_track(material.track)
        height, width = out.shape[1:3]
        x, y = _grid(height, width)
        first = round(start * len(out))
        for t in range(first, len(out) if count is None else min(len(out), first + count)):
            donor = t % len(other.frames)
            matrix = _similarity(other.track[donor], material.track[t])
            placed = cv2.warpAffine(
                other.frames[donor], matrix, (width, height), flags=cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REFLECT,
            )  # fmt: skip
            cx, cy, iod, roll = (np.float32(value) for value in poses[t])
            part = _around(float(cx), float(cy), float(iod), height, width)
            across, down = x[part], y[part]
            c, s = np.cos(roll), np.sin(roll)
            u = ((across - cx) * c + (down - cy) * s) / iod
            v = (-(across - cx) * s + (down - cy) * c) / iod
            mask = _window(u, v)
            inside = mask > 0.5
            here, there = out[t][part].astype(np.float32), placed[part].astype(np.float32)
            if inside.any():
                there += here[inside].mean(axis=0) - there[inside].mean(axis=0)
            weight = (alpha * mask)[..., None]
            mixed = here * (1 - weight) + np.clip(there, 0, 255) * weight
            out[t][part] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
        return out

    return apply


def _other_clip(start: float) -> Callable[..., Frames]:
    """Another person's clip, from ``start`` of the length on."""

    def apply(material: Material, other: Material, _: np.random.Generator) -> Frames:
        out = material.frames.copy()
        first = round(start * len(out))
        there = other.frames[[t % len(other.frames) for t in range(len(out))]]
        out[first:] = _fit_size(there, *out.shape[1:3])[first:]
        return out

    return apply


# --- time -----------------------------------------------------------------------------------


def _frozen(material: Material, _: Material, __: np.random.Generator) -> Frames:
    return np.repeat(material.frames[:1], len(material.frames), axis=0)


def _frozen_noise(material: Material, _: Material, rng: np.random.Generator) -> Frames:
    still = np.repeat(material.frames[:1], len(material.frames), axis=0).astype(np.float32)
    still += rng.normal(0, 1.5, still.shape).astype(np.float32)
    return np.clip(np.rint(still), 0, 255).astype(np.uint8)


def _cut(variant: str, dose: float) -> Callable[..., Frames]:
    """A jump: the second part starts ``dose`` seconds away, or is mirrored, or larger."""

    def apply(material: Material, _: Material, __: np.random.Generator) -> Frames:
        frames = material.frames
        half = len(frames) // 2
        if variant == "mirror":
            return np.concatenate([frames[:half], frames[half:, :, ::-1]])
        if variant == "zoom":
            out = frames.copy()
            height, width = frames.shape[1:3]
            matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0, 1 + dose)
            for t in range(half, len(frames)):
                out[t] = cv2.warpAffine(frames[t], matrix, (width, height))
            return out
        skip = round(dose * material.fps)
        order = [*range(half), *range(half + skip, len(frames))]
        order += [*range(len(frames) - 1, 0, -1)][: len(frames) - len(order)]
        return frames[order]

    return apply


def _flicker(variant: str, dose: float) -> Callable[..., Frames]:
    def apply(material: Material, _: Material, rng: np.random.Generator) -> Frames:
        count = len(material.frames)
        t = np.arange(count)
        gains = {
            "alternate": np.where(t % 2 == 0, 1 + dose, 1 - dose),
            "random": 1 + dose * rng.uniform(-1, 1, count) * np.sqrt(3),
            "sine": 1 + dose * np.sin(2 * np.pi * 8 * t / material.fps) * np.sqrt(2),
        }[variant]
        table = np.arange(256)
        out = np.empty_like(material.frames)
        for i, frame in enumerate(material.frames):
            out[i] = np.clip(np.rint(table * gains[i]), 0, 255).astype(np.uint8)[frame]
        return out

    return apply


def _ending(variant: str, dose: float) -> Callable[..., Frames]:
    """The last quarter second fades to black, or flashes."""

    def apply(material: Material, _: Material, __: np.random.Generator) -> Frames:
        out = material.frames.copy()
        count = max(2, round(material.fps / 4))
        ramp = np.linspace(0, 1, count, dtype=np.float32)[:, None, None, None] * dose
        tail = out[-count:].astype(np.float32)
        tail = tail * (1 - ramp) if variant == "fade" else tail + (255 - tail) * ramp
        out[-count:] = np.clip(np.rint(tail), 0, 255).astype(np.uint8)
        return out

    return apply


# --- pixels ---------------------------------------------------------------------------------


def _each(
    change: Callable[[Image, Material, int, np.random.Generator], npt.NDArray[np.generic]],
) -> Callable[..., Frames]:
    """Spoil every frame by itself."""

    def apply(material: Material, _: Material, rng: np.random.Generator) -> Frames:
        out = np.empty_like(material.frames)
        for t, frame in enumerate(material.frames):
            changed = change(frame, material, t, rng)
            out[t] = np.clip(np.rint(changed), 0, 255).astype(np.uint8)
        return out

    return apply


def _blur(dose: float) -> Callable[..., Frames]:
    return _each(lambda frame, *_: cv2.GaussianBlur(frame, (0, 0), dose))


def _lower(variant: str, dose: float) -> Callable[..., Frames]:
    methods = {
        "area": (cv2.INTER_AREA, cv2.INTER_LINEAR),
        "cubic": (cv2.INTER_AREA, cv2.INTER_CUBIC),
        "lanczos": (cv2.INTER_AREA, cv2.INTER_LANCZOS4),
    }
    down, up = methods[variant]

    def change(frame: Image, *_: object) -> Image:
        height, width = frame.shape[:2]
        small = cv2.resize(frame, (round(width * dose), round(height * dose)), interpolation=down)
        return cv2.resize(small, (width, height), interpolation=up).astype(np.uint8, copy=False)

    return _each(change)


def _noise(variant: str, dose: float) -> Callable[..., Frames]:
    def change(
        frame: Image, _: Material, __: int, rng: np.random.Generator
    ) -> npt.NDArray[np.generic]:
        shape = frame.shape if variant == "color" else (*frame.shape[:2], 1)
        return frame + rng.normal(0, dose, shape).astype(np.float32)

    return _each(change)


def _saturate(variant: str, dose: float) -> Callable[..., Frames]:
    def change(frame: Image, *_: object) -> npt.NDArray[np.generic]:
        if variant == "hsv":
            hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV).astype(np.float32)
            hsv[..., 1] = np.clip(hsv[..., 1] * dose, 0, 255)
            return cv2.cvtColor(np.rint(hsv).astype(np.uint8), cv2.COLOR_HSV2RGB)
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
        return grey + dose * (frame - grey)

    return _each(change)


def _skin_mask(frame: Image, face: Face) -> Floats:
    """Soft mask of the skin of the face by colour (Chai and Ngan, 1999) inside its ellipse."""
    x, y = _grid(*frame.shape[:2])
    cx, cy, iod, _ = _pose(face)
    window = _window((x - np.float32(cx)) / iod, (y - np.float32(cy)) / iod)
    chroma = cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb)
    skin = cv2.inRange(chroma, (0, 133, 77), (255, 180, 135)).astype(np.float32) / 255
    soft: Floats = cv2.GaussianBlur(skin, (0, 0), 3).astype(np.float32)
    return window * soft


def _plastic(variant: str, dose: float) -> Callable[..., Frames]:
    """Skin smoothed, edges kept."""

    def change(frame: Image, material: Material, t: int, _: np.random.Generator) -> Floats:
        if variant == "bilateral":
            smooth = cv2.bilateralFilter(frame, 9, dose, 7)
        elif variant == "guided":
            radius = max(3, round(frame.shape[0] / 64))
            smooth = cv2.ximgproc.guidedFilter(frame, frame, radius, dose * dose)
        else:
            smooth = cv2.edgePreservingFilter(frame, flags=1, sigma_s=20, sigma_r=dose / 100)
        mask = _skin_mask(frame, material.track[t])[..., None]
        return np.asarray(frame * (1 - mask) + smooth * mask, np.float32)

    return _each(change)


def _cartoon(dose: float) -> Callable[..., Frames]:
    """Flat areas, hard edges."""

    def change(frame: Image, *_: object) -> Image:
        smooth = frame
        for _step in range(3):
            smooth = cv2.bilateralFilter(smooth, 9, 40 * dose, 7).astype(np.uint8, copy=False)
        return smooth

    return _each(change)


def _ringing(dose: float) -> Callable[..., Frames]:
    """Over-sharpening: an unsharp mask of radius 2 px."""

    def change(frame: Image, *_: object) -> Floats:
        blurred = cv2.GaussianBlur(frame, (0, 0), 2.0).astype(np.float32)
        return frame + np.float32(dose) * (frame - blurred)

    return _each(change)


def _seams(variant: str, dose: float) -> Callable[..., Frames]:
    """Tiles of different brightness, fixed over time, or one row of pixels between them."""

    def apply(material: Material, _: Material, rng: np.random.Generator) -> Frames:
        height, width = material.frames.shape[1:3]
        side = max(32, height // 4)
        rows, columns = -(-height // side), -(-width // side)
        if variant == "offset":
            tiles = rng.choice([-1.0, 1.0], (rows, columns)) * dose
            field = np.kron(tiles, np.ones((side, side)))[:height, :width, None]
        else:
            field = np.zeros((height, width, 1))
            field[side::side] = dose
            field[:, side::side] = dose
        out = np.rint(material.frames + field)
        return np.clip(out, 0, 255).astype(np.uint8)

    return apply


def _drift(variant: str, dose: float) -> Callable[..., Frames]:
    """Colours wander, growing to ``dose`` levels at the end. ``brighter``: to 1 + dose times."""
    directions = {"warm": (1, 0, -1), "green": (-0.7, 1, -0.7), "dark": (-1, -1, -1)}

    def change(frame: Image, material: Material, t: int, _: np.random.Generator) -> Floats:
        share = t / (len(material.frames) - 1)
        if variant == "brighter":
            return np.asarray(frame * np.float32(1 + dose * share), np.float32)
        shift = np.asarray(directions[variant], np.float32) * np.float32(dose * share)
        return np.asarray(frame + shift, np.float32)

    return _each(change)


def _banding(dose: float) -> Callable[..., Frames]:
    """Fewer levels: steps of ``dose``."""
    return _each(lambda frame, *_: np.floor(frame / dose) * dose + dose / 2)


def _resize(variant: str, dose: float) -> Callable[..., Frames]:
    methods = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA, "cubic": cv2.INTER_CUBIC,
               "lanczos": cv2.INTER_LANCZOS4}  # fmt: skip

    def apply(material: Material, _: Material, __: np.random.Generator) -> Frames:
        height, width = material.frames.shape[1:3]
        size = (round(width * dose / 2) * 2, round(height * dose / 2) * 2)
        return np.stack(
            [cv2.resize(f, size, interpolation=methods[variant]) for f in material.frames]
        ).astype(np.uint8, copy=False)

    return apply


def _as_is(material: Material, _: Material, __: np.random.Generator) -> Frames:
    return material.frames


# --- encoding -------------------------------------------------------------------------------


def recode(frames: Frames, fps: float, *, crf: int = 18, codec: str = "libx264") -> Frames:
    """The frames after an encoder and a decoder, BT.709-tagged 4:2:0, as a player gets them."""
    buffer = io.BytesIO()
    height, width = frames.shape[1] // 2 * 2, frames.shape[2] // 2 * 2
    with av.open(buffer, "w", format="mp4") as container:
        options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}
        if codec == "mpeg4":
            options = {"qscale": str(crf), "flags": "+qscale"}
        rate = Fraction(fps).limit_denominator(1001)
        stream = container.add_stream(codec, rate=rate, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = context.color_range = 1
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(pixels[:height, :width]), format="rgb24"
            ).reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer, "r") as container:
        return np.stack([to_rgb(frame) for frame in container.decode(video=0)])


def _recoded(variant: str, dose: float) -> Callable[..., Frames]:
    def apply(material: Material, _: Material, __: np.random.Generator) -> Frames:
        return recode(material.frames, material.fps, crf=int(dose), codec=variant)

    return apply


# --- the suite ------------------------------------------------------------------------------

Maker = Callable[[str, float], Callable[..., Frames]]


def _each_of(variants: tuple[str, ...], *doses: float) -> dict[str, tuple[float, ...]]:
    return dict.fromkeys(variants, doses)


LADDERS: dict[str, tuple[Maker, dict[str, tuple[float, ...]]]] = {
    "clean": (lambda _, __: _as_is, {"as_is": (0,)}),
    "reencode": (_recoded, {"libx264": (18, 23, 28)}),
    "resize": (
        _resize,
        {"area": (0.5, 0.667, 0.75), "linear": (0.5, 1.5), "cubic": (0.75, 1.25)},
    ),
    "swap": (
        lambda v, d: _other_clip(d) if v == "clip" else _paste(1.0, d),
        {"clip": (0, 0.5), "paste": (0,)},
    ),
    "face_glitch": (lambda _, d: _paste(1.0, 0.5, int(d)), {"frames": (4, 10)}),
    "blend": (lambda _, d: _paste(d), {"paste": (0.3, 0.5)}),
    "melt": (
        _melt,
        {**_each_of(("sine", "random"), 0.1, 0.15, 0.3), "droop": (0.15, 0.3)},
    ),
    "wobble": (
        _wobble,
        {
            **_each_of(("sine", "random"), 0.01, 0.015),
            **_each_of(("slow", "fast"), 0.015),
        },
    ),
    "jelly": (
        _jelly,
        {"standing": (0.003, 0.006), "travelling": (0.003,)},
    ),
    "frozen": (lambda v, d: {"still": _frozen, "noisy": _frozen_noise}.get(v) or zoomed(d),
               {**_each_of(("still", "noisy"), 1), "zoomed": (0.01, 0.05)}),
    "cut": (_cut, {"skip": (0.25,), "mirror": (0.25,), "zoom": (0.1,)}),
    "flicker": (
        _flicker,
        _each_of(("random", "sine"), 0.01, 0.02),
    ),
    "ending": (_ending, _each_of(("fade", "flash"), 0.4)),
    "blur": (lambda _, d: _blur(d), {"gauss": (0.8, 1.2, 2)}),
    "half_resolution": (_lower, {"area": (0.75, 0.5), "cubic": (0.5,), "lanczos": (0.5,)}),
    "noise": (_noise, _each_of(("color", "luma"), 3, 6)),
    "saturation": (_saturate, _each_of(("hsv", "linear"), 1.1, 1.25)),
    "desaturation": (_saturate, {"linear": (0.6,)}),
    "plastic": (_plastic, {"bilateral": (40, 75), "guided": (25, 40), "edge": (25,)}),
    "ringing": (lambda _, d: _ringing(d), {"unsharp": (2,)}),
    "seams": (_seams, {"offset": (4,)}),
    "drift": (_drift, {"warm": (4, 8, 16), "dark": (8, 16, 32), "brighter": (0.05, 0.1)}),
    "banding": (lambda _, d: _banding(d), {"levels": (16,)}),
    "cartoon": (lambda _, d: _cartoon(d), {"bilateral": (1,)}),
    "mouth": (mouth, {"smear": (0.04, 0.08), "streak": (0.25,), "melt": (0.04, 0.08)}),
    "eye": (eye, {"crossed": (0.06, 0.1), "lid": (0.05, 0.09), "iris": (0.5, 1)}),
    "face_shape": (shape, {"nose": (0.06, 0.1), "jaw": (0.09, 0.15), "brow": (0.07, 0.12)}),
    "skin": (skin, {"lighter": (12, 25), "beautified": (0.6, 1), "eyes": (0.25,)}),
    "skin_trend": (skin_trend, {"smoother": (0.04,), "edges": (1,)}),
    "hair": (hair, {"outline": (0.08, 0.15)}),
    "glasses": (glasses, {"bent": (0.045, 0.08)}),
    "face_slide": (slide, {"aside": (0.1, 0.18)}),
    "rate_converted": (rate_converted, {"repeated": (1.2, 1.25)}),
    "overlay": (overlay, {"subtitle": (0, 1), "strip": (0, 1), "logo": (0,)}),
    "bars": (bars, {"letterbox": (0.12,), "window": (0.08,)}),
    "cropped": (cropped, {"upright": (0.5625,)}),
    "faded": (faded, _each_of(("in", "out"), 0.5)),
    "freeze": (freeze, {"start": (0.62,), "middle": (0.15,), "end": (0.15, 0.62)}),
    "low_rate": (low_rate, _each_of(("repeated", "mixed"), 2, 4)),
    "stutter": (stutter, {"held": (2, 3, 4)}),
    "odd_frame": (odd_frame, _each_of(("garbage", "rows"), 0.12, 0.25)),
    "local_flicker": (local_flicker, {"face": (0.05, 0.1), "rows": (0.03, 0.08)}),
    "jump": (jump, {"skip": (0.3, 1), "snap_back": (0.6,)}),
    "reversed": (reversed_motion, {"half": (1,)}),
    "color_glitch": (color_glitch, {"tint": (0.05, 0.1), "dark": (0.07, 0.15)}),
    "pumping": (pumping, {"exposure": (0.02, 0.03, 0.1), "contrast": (0.03, 0.05, 0.15)}),
    "swim": (swim, {"water": (0.005, 0.01), "breathing": (0.006, 0.012)}),
    "gibberish": (gibberish, {"melting": (0.008, 0.02)}),
    "ghost": (ghost, _each_of(("trail", "contour"), 0.15, 0.35)),
    "grid": (grid, _each_of(("lines", "cells"), 2, 5)),
    "torn": (torn, {**_each_of(("cut", "layer", "outline"), 0.004, 0.01), "rim": (0.35, 0.7)}),
}  # fmt: skip
"""Defect → how it is made, its variants and their doses (see each maker for the unit)."""


def cases(only: Sequence[str] = ()) -> tuple[Case, ...]:
    """Every entry of the suite, or those of the named defects."""
    return tuple(
        Case(defect, variant, dose, maker(variant, dose))
        for defect, (maker, variants) in LADDERS.items()
        if not only or defect in only
        for variant, doses in variants.items()
        for dose in doses
    )
