"""How much lives in clips of the engine ``living``: blink, turn and breath, measured with the mesh.

``python bench/living.py PICTURE… [--seed N] [--frames N]`` prints one line for each picture. With
no picture: the demonstration portrait.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from vivant.engines.living import LivingEngine
from vivant.picture.face_mesh import MeshReader
from vivant.picture.faces import FaceReader
from vivant.picture.framing import face_in_frame
from vivant.picture.intake import load_portrait
from vivant.picture.sample_picture import sample_picture
from vivant.types import Image, Request, ignore_progress

WIDTH, HEIGHT = 1280, 720


def measure(name: str, image: Path | bytes, *, seed: int, num_frames: int) -> str:
    portrait = load_portrait(image, width=WIDTH, height=HEIGHT, reader=FaceReader())
    engine = LivingEngine()
    # without the camera's move, which would be measured as breath
    request = Request(
        image=image, width=WIDTH, height=HEIGHT, num_frames=num_frames, seed=seed,
        options={"camera": 0},
    )  # fmt: skip
    started = time.process_time()
    clip = engine.generate(portrait, request, ignore_progress)
    if engine.info.moves != "person":
        return f"{name:24} camera: {engine.info.notes[0]}"
    reader, mesh, first = MeshReader(), None, None
    apertures, yaws, rises = [], [], []
    for chunk in clip.chunks:
        for frame in chunk:
            if mesh is None:
                face = face_in_frame(portrait.faces[0], portrait.crop, WIDTH, HEIGHT)
                mesh = reader.read(frame, face)
            mesh = reader.follow(frame, mesh)
            apertures.append(mesh.apertures)
            yaws.append(mesh.pose.yaw)
            below = _below(frame, mesh.points[152], mesh.box.height)
            first = below if first is None else first
            if below.shape == first.shape and min(below.shape) > 16:
                (_, dy), _ = cv2.phaseCorrelate(first, below)
                rises.append(-dy)
    lids = np.array(apertures) / apertures[0]
    turn = float(np.abs(np.array(yaws) - yaws[0]).max())
    rise = 100 * max(rises, default=0.0) / HEIGHT
    return (
        f"{name:24} lids {lids.min(axis=0).round(2)} then {lids[-1].round(2)}, turn {turn:.1f}°, "
        f"shoulders {rise:.2f} %, {(time.process_time() - started) / num_frames * 1000:.0f} "
        f"ms CPU a frame with the mesh  {' '.join(engine.info.notes[2:])}"
    )


def _below(frame: Image, chin: np.ndarray, size: float) -> np.ndarray:
    """Grey float32 patch of neck and shoulders; its place is that of the first frame's chin."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    x, top = round(float(chin[0]) / 16) * 16, round((float(chin[1]) + 0.4 * size) / 16) * 16
    reach = round(0.9 * size)
    return grey[min(top, HEIGHT - 1) : top + reach, max(0, x - reach) : x + reach]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path, nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frames", type=int, default=97)
    given = parser.parse_args()
    for path in given.pictures or [None]:
        image = path or sample_picture()
        name = path.name if path else "demonstration"
        print(measure(name, image, seed=given.seed, num_frames=given.frames), flush=True)


if __name__ == "__main__":
    main()
