"""How true the camera's path is, and what it costs, beside ffmpeg's ``zoompan`` on the same move.

``uv run bench/camera_path.py`` draws the same eased push-in with the camera engine and with the
``zoompan`` filter of the ffmpeg that ``imageio-ffmpeg`` carries, 97 frames at 1920×1080, and
measures from the pixels where each frame really is. The promise: path error ≤ 0.05 px RMS,
zoompan's at least ten times that, at no more than twice its CPU time.

The picture is a sum of cosines, so the ideal frame is known exactly at any position. Where a
patch really is follows from a least-squares fit (Lucas and Kanade, 1981) with that sum's own
gradient. The estimator is first measured itself, on ideal frames shifted by known amounts.
Times are those of whole processes, start-up included, as the kernel accounts for them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from vivant.engines.camera import CameraEngine, CameraOptions
from vivant.engines.camera.path import CameraPath, plan_path
from vivant.types import Box, Clip, Image, Portrait, Request, Source, ignore_progress

WIDTH, HEIGHT, FPS, SEED = 1920, 1080, 24, 4
OPTIONS: dict[str, str | float] = {"move": "push_in", "parallax": 0.0}
PATCH = 64
X264 = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p"]

Values = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Error:
    """Pixels of the clip.

    Attributes:
        rms: distance from the ideal path over all patches and frames.
        centred: the same after taking away the path's mean offset, to zoompan's advantage.
        jitter: RMS change of the error from one frame to the next.
        worst: largest error of a whole frame.
    """

    rms: float
    centred: float
    jitter: float
    worst: float


@dataclass(frozen=True)
class Cost:
    """Seconds and megabytes (10**6 bytes) of whole processes, medians.

    A peak below this process's own is not seen: a child starts as a copy of it.
    """

    cpu: float
    wall: float
    peak_mb: float


class Texture:
    """A picture known between its pixels: 48 cosines of wavelengths 12 … 60 px."""

    def __init__(self) -> None:
        rng = np.random.default_rng(20)
        length = rng.uniform(12, 60, 48)
        angle = rng.uniform(0, 2 * np.pi, 48)
        self._kx = 2 * np.pi / length * np.cos(angle)
        self._ky = 2 * np.pi / length * np.sin(angle)
        self._phase = rng.uniform(0, 2 * np.pi, 48)
        self._gain = 100 / np.sqrt(48 / 2) / 3

    def at(self, x: Values, y: Values) -> tuple[Values, Values, Values]:
        """Value and both derivatives at columns ``x`` and rows ``y``, each ``[rows, columns]``."""
        value, dx, dy = (np.full((len(y), len(x)), v) for v in (128.0, 0.0, 0.0))
        for kx, ky, phase in zip(self._kx, self._ky, self._phase, strict=True):
            # cos(a+b) from the outer products of its parts: no cosine per pixel
            ca, sa = np.cos(kx * x + phase), np.sin(kx * x + phase)
            cb, sb = np.cos(ky * y)[:, None], np.sin(ky * y)[:, None]
            sine = sb * ca + cb * sa
            value += self._gain * (cb * ca - sb * sa)
            dx -= self._gain * kx * sine
            dy -= self._gain * ky * sine
        return value, dx, dy

    def picture(self) -> Image:
        """The texture at every pixel's centre."""
        value, _, _ = self.at(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
        grey = np.clip(np.rint(value), 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)


def patch_corners() -> list[tuple[int, int]]:
    """Where the patches are: 6 × 3 over the frame, clear of its border."""
    return [
        (int(x), int(y))
        for y in np.linspace(40, HEIGHT - 40 - PATCH, 3)
        for x in np.linspace(40, WIDTH - 40 - PATCH, 6)
    ]


def displacement(
    texture: Texture, patch: npt.NDArray[np.uint8], x: int, y: int, window: Box
) -> Values:
    """Pixels of the clip by which ``patch`` at ``(x, y)`` is away from where it should be."""
    scale = window.width / WIDTH
    columns = window.left + (np.arange(x, x + PATCH) + 0.5) * scale
    rows = window.top + (np.arange(y, y + PATCH) + 0.5) * scale
    shift = np.zeros(2)
    seen = patch.astype(np.float64)
    for _ in range(6):
        value, dx, dy = texture.at(columns + shift[0], rows + shift[1])
        # a gain absorbs what the resampling filter takes from the contrast
        system = np.stack([dx.ravel(), dy.ravel(), value.ravel() - 128, np.ones(value.size)], 1)
        step = np.linalg.lstsq(system, (seen - value).ravel(), rcond=None)[0]
        shift += step[:2]
        if np.abs(step[:2]).max() < 1e-5:
            break
    return -shift / scale


def path_error(texture: Texture, frames: Iterator[Image], path: CameraPath) -> Error:
    """Measure every frame against ``path``."""
    corners = patch_corners()
    errors = np.array(
        [
            [
                displacement(
                    texture, frame[y : y + PATCH, x : x + PATCH, 1], x, y, path.at(index)[0]
                )
                for x, y in corners
            ]
            for index, frame in enumerate(frames)
        ]
    )  # [frames, patches, 2]
    if len(errors) != path.num_frames:
        raise SystemExit(f"{len(errors)} frames came instead of {path.num_frames}")
    whole = errors.mean(axis=1)

    def rms(vectors: Values) -> float:
        return float(np.sqrt((vectors**2).sum(axis=-1).mean()))

    return Error(
        rms=rms(errors),
        centred=rms(errors - whole.mean(axis=0)),
        jitter=rms(np.diff(whole, axis=0)),
        worst=float(np.linalg.norm(whole, axis=1).max()),
    )


def estimator_error(texture: Texture) -> float:
    """RMS error of :func:`displacement` on ideal 8-bit patches shifted by up to 1.5 px."""
    rng = np.random.default_rng(7)
    window = Box(31.7, 18.3, WIDTH / 1.043, HEIGHT / 1.043)
    scale = window.width / WIDTH
    squares = []
    for x, y in patch_corners():
        known = rng.uniform(-1.5, 1.5, 2)
        columns = window.left + (np.arange(x, x + PATCH) + 0.5 - known[0]) * scale
        rows = window.top + (np.arange(y, y + PATCH) + 0.5 - known[1]) * scale
        patch = np.clip(np.rint(texture.at(columns, rows)[0]), 0, 255).astype(np.uint8)
        squares.append(((displacement(texture, patch, x, y, window) - known) ** 2).sum())
    return float(np.sqrt(np.mean(squares)))


def the_path(num_frames: int) -> CameraPath:
    """The move both draw."""
    whole = Box(0.0, 0.0, float(WIDTH), float(HEIGHT))
    return plan_path(
        crop=whole, area=whole, num_frames=num_frames, fps=FPS, focus=whole.center, keep=None,
        options=CameraOptions.parse(OPTIONS), seed=SEED,
    )  # fmt: skip


def zoompan_filter(path: CameraPath) -> str:
    """The same move in ffmpeg's expression language."""
    end, ramp, last = path.subject.end, path.ramp, path.num_frames - 1
    near = f"min(on/{last},1-on/{last})"
    speed = 1 / (1 - ramp)
    half = (
        f"{speed}*if(lt({near},{ramp}),{near}/2-{ramp}*sin(PI*{near}/{ramp})/(2*PI),"
        f"{near}-{ramp / 2})"
    )
    e = f"if(gt(on/{last},0.5),1-{half},{half})"
    return (
        f"zoompan=z='1/(1-{1 - end.width / WIDTH}*({e}))':x='{end.left}*({e})':"
        f"y='{end.top}*({e})':d={path.num_frames}:s={WIDTH}x{HEIGHT}:fps={FPS}"
    )


def ffmpeg() -> list[str]:
    """The named peer."""
    return [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"]


def start(portrait: Portrait, num_frames: int, options: dict[str, str | float]) -> Clip:
    """The camera engine on ``portrait``."""
    request = Request(image=b"", num_frames=num_frames, seed=SEED, options=options)
    return CameraEngine().generate(portrait, request, ignore_progress)


def textured(pixels: Image) -> Portrait:
    """A portrait without a face: its whole area is the crop."""
    source = Source("texture.ppm", "PPM", WIDTH, HEIGHT, pixels.size, "0" * 64)
    return Portrait(pixels=pixels, crop=Box(0, 0, WIDTH, HEIGHT), faces=(), source=source)


def astronaut() -> Portrait:
    """The demonstration portrait, for the move with parallax."""
    import skimage.data

    from vivant.grid import cover_crop
    from vivant.picture.faces import FaceReader

    pixels = np.ascontiguousarray(skimage.data.astronaut())  # type: ignore[no-untyped-call]
    source = Source("astronaut.png", "PNG", 512, 512, pixels.size, "0" * 64)
    crop = cover_crop(512, 512, WIDTH / HEIGHT)
    faces = FaceReader().detect(pixels)
    return Portrait(pixels=pixels, crop=Box(0, 6, 512, crop.height), faces=faces, source=source)


def child(kind: str, picture: Path, num_frames: int) -> None:
    """What is timed on our side: a process that draws, and throws away or encodes."""
    if kind == "parallax":
        clip = start(astronaut(), num_frames, {})
    else:
        clip = start(textured(np.array(PillowImage.open(picture))), num_frames, OPTIONS)
    if kind == "x264":
        encode = [
            *ffmpeg()[:-2], "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}",
            "-r", str(FPS), "-i", "-", *X264, "-f", "null", "-",
        ]  # fmt: skip
        with subprocess.Popen(encode, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            for chunk in clip.chunks:
                process.stdin.write(chunk.data)
        if process.returncode:
            raise SystemExit("ffmpeg failed")
        return
    with Path(os.devnull).open("wb") as sink:
        for chunk in clip.chunks:
            sink.write(chunk.data)


def measured(command: list[str]) -> Cost:
    """One process to its end, by the kernel's accounting (its own children included)."""
    started = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    scale = 1 if sys.platform == "darwin" else 1024
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * scale / 1e6)


def median(runs: list[Cost]) -> Cost:
    """Field by field."""
    return Cost(
        *(statistics.median(getattr(r, name) for r in runs) for name in ("cpu", "wall", "peak_mb"))
    )


def zoompan_frames(picture: Path, path: CameraPath, form: str) -> Iterator[Image]:
    """Frames of the peer, as RGB."""
    command = [
        *ffmpeg(), "-i", str(picture), "-vf", f"format={form},{zoompan_filter(path)}",
        "-frames:v", str(path.num_frames), "-f", "rawvideo", "-pix_fmt", "rgb24", "-",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        size = WIDTH * HEIGHT * 3
        while len(raw := process.stdout.read(size)) == size:
            yield np.frombuffer(raw, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)


def commit() -> str:
    """Short hash of the checkout, with a mark if it is not clean."""
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def main() -> None:
    """Measure, print, and say whether the promise is kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="timed runs of each; medians count")
    parser.add_argument("--frames", type=int, default=97)
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    parser.add_argument("--child", nargs=2, metavar=("KIND", "PICTURE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], Path(given.child[1]), given.frames)
        return

    texture, path = Texture(), the_path(given.frames)
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "texture.ppm"
        pixels = texture.picture()
        PillowImage.fromarray(pixels).save(picture)

        own = estimator_error(texture)
        clip = start(textured(pixels), given.frames, OPTIONS)
        errors = {
            "camera": path_error(texture, (f for chunk in clip.chunks for f in chunk), path),
            "zoompan gbrp": path_error(texture, zoompan_frames(picture, path, "gbrp"), path),
            "zoompan yuv420p": path_error(texture, zoompan_frames(picture, path, "yuv420p"), path),
        }

        ours = [sys.executable, str(Path(__file__).resolve()), "--frames", str(given.frames)]
        count = ["-frames:v", str(given.frames)]
        source = [*ffmpeg(), "-i", str(picture), "-vf"]
        zoom = zoompan_filter(path)
        raw = [*count, "-f", "rawvideo", "-pix_fmt", "rgb24", os.devnull]
        commands = {
            "camera": [*ours, "--child", "raw", str(picture)],
            "zoompan gbrp": [*source, f"format=gbrp,{zoom}", *raw],
            "zoompan yuv420p": [*source, f"format=yuv420p,{zoom}", *raw],
            "camera + x264": [*ours, "--child", "x264", str(picture)],
            "zoompan yuv420p + x264": [
                *source, f"format=yuv420p,{zoom}", *count, *X264, "-f", "null", "-",
            ],
            "camera, parallax": [*ours, "--child", "parallax", str(picture)],
            "camera, parallax, 5x longer": [
                *ours[:2], "--frames", str(5 * (given.frames - 1) + 1),
                "--child", "parallax", str(picture),
            ],
        }  # fmt: skip
        runs: dict[str, list[Cost]] = {name: [] for name in commands}
        for turn in range(given.runs):  # in turns, so that a busy spell hits all alike
            for name, command in commands.items():
                if turn and "longer" in name:
                    continue
                runs[name].append(measured(command))
        costs = {name: median(taken) for name, taken in runs.items()}

    print(f"{given.frames} frames, {WIDTH}x{HEIGHT}, {given.runs} runs, medians; "
          f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
          f"commit {commit()}")  # fmt: skip
    print(f"the estimator's own error: {own:.5f} px RMS\n")
    print(f"{'path error, px':30}{'rms':>9}{'centred':>9}{'jitter':>9}{'worst':>9}")
    for name, error in errors.items():
        print(f"{name:30}" + "".join(f"{value:9.4f}" for value in asdict(error).values()))
    print(f"\n{'cost':30}{'CPU s':>9}{'wall s':>9}{'peak MB':>9}")
    for name, cost in costs.items():
        print(f"{name:30}{cost.cpu:9.2f}{cost.wall:9.2f}{cost.peak_mb:9.0f}")

    peer = min(errors["zoompan gbrp"].centred, errors["zoompan yuv420p"].centred)
    ratios = {
        "path error, zoompan / camera": peer / errors["camera"].rms,
        "CPU, camera / zoompan gbrp": costs["camera"].cpu / costs["zoompan gbrp"].cpu,
        "CPU, camera / zoompan yuv420p": costs["camera"].cpu / costs["zoompan yuv420p"].cpu,
        "CPU with x264, camera / zoompan": (
            costs["camera + x264"].cpu / costs["zoompan yuv420p + x264"].cpu
        ),
        "wall with x264, camera / zoompan": (
            costs["camera + x264"].wall / costs["zoompan yuv420p + x264"].wall
        ),
        "memory, 5x longer / once": (
            costs["camera, parallax, 5x longer"].peak_mb / costs["camera, parallax"].peak_mb
        ),
    }
    print()
    for name, ratio in ratios.items():
        print(f"{name:36}{ratio:8.2f}")
    kept = {
        "path error <= 0.05 px RMS": errors["camera"].rms <= 0.05,
        "zoompan's at least ten times that": ratios["path error, zoompan / camera"] >= 10,
        "at most twice zoompan's CPU time": ratios["CPU, camera / zoompan gbrp"] <= 2,
        "memory within 10 %": ratios["memory, 5x longer / once"] <= 1.1,
    }
    print()
    for name, holds in kept.items():
        print(f"{'kept' if holds else 'MISSED':8}{name}")
    if given.json:
        numbers = {
            "commit": commit(), "cores": os.cpu_count(), "frames": given.frames,
            "estimator_px": own, "errors": {k: asdict(v) for k, v in errors.items()},
            "costs": {k: asdict(v) for k, v in costs.items()}, "ratios": ratios, "kept": kept,
        }  # fmt: skip
        given.json.write_text(json.dumps(numbers, indent=2) + "\n", "utf-8")
    if not all(kept.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
