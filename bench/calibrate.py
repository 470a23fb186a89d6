"""Calibrate the checks: spoil clean clips in every listed way, measure, choose, report.

    python bench/calibrate.py CLIPS…           measure, choose the limits, write them and the page
    … --shipped --only DEFECTS…                nothing is chosen: how the limits that ship do
    python bench/calibrate.py CLIPS… --quick   only what must be caught and must not alarm
    … --held-out FOLDER                        tried in the same way, but nothing is chosen from it

One file in a folder is one person: its clean stretches are measured, the first one is spoiled.
Measured numbers are kept in ``--cache`` and a run goes on where the last one stopped; parts
(``--part 0/2``, ``--part 1/2``) fill one cache side by side, a run without ``--part`` reports.
Limits go to ``src/vivant/checks/limits.json``, the page to ``docs/calibration-first.md``.

    … --records CACHE [--seen CACHE]           writes docs/calibration.md from a run's values
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from calibration_checks import checks_page
from calibration_page import REQUIRED, page, summary
from calibration_shipped import shipped
from choose import CLEAN, Record, choose
from corruptions import Case, Material, cases, recode
from vivant.checks.face_tracker import faces_in_frame
from vivant.checks.frame import Reference
from vivant.checks.inspector import Inspector
from vivant.checks.metric import Metric
from vivant.checks.metrics.registry import all_metrics
from vivant.checks.registration import register
from vivant.grid import cover_crop
from vivant.picture.faces import FaceReader
from vivant.types import Box, ClipFacts, Face, Frames, Image, Portrait, Source
from vivant.video.probe import probe
from vivant.video.reader import open_clip

ROOT = Path(__file__).resolve().parent.parent
LIMITS = ROOT / "src" / "vivant" / "checks" / "limits.json"
PAGE = ROOT / "docs" / "calibration-first.md"
CHECKS = ROOT / "docs" / "calibration.md"
FRAMES = 97
HELD_OUT = "held-out"
"""Where the cache keeps what no limit is chosen from."""

STRETCHES = 4
"""Of every person, evenly over the clip."""

EVERYWHERE = ("clean/", "reencode/libx264@23")
"""Measured on every stretch: what must never alarm."""

Job = tuple[Case, str]
"""A case and the stretch it is made from."""

ENCODED_CRF = 18
"""Every case is encoded and decoded once, as a finished clip is."""

STILL = (
    "blur", "half_resolution", "noise", "saturation", "desaturation", "plastic", "cartoon",
    "ringing", "seams", "banding", "grid",
)  # fmt: skip
"""Defects of single frames: a third of the clip shows them as well."""

FAMILIES = {
    **dict.fromkeys(
        ("mouth", "eye", "skin", "skin_trend", "face_shape", "hair", "glasses", "face_slide"),
        ("mouth_detail", "mouth_shape", "plastic_skin", "nose_shape", "hair_shape",
         "face_deformation"),
    ),
    "face_glitch": ("identity_mean", "face_deformation"),
    "melt": ("identity_mean", "face_deformation"),
    "wobble": ("face_deformation",),
    "jelly": ("motion_speed",), "frozen": ("motion_speed",), "flicker": ("motion_speed",),
    "local_flicker": ("motion_speed",),
    **dict.fromkeys(
        ("freeze", "low_rate", "stutter", "jump", "reversed", "color_glitch", "odd_frame",
         "pumping"),
        ("motion_speed", "freeze", "color_glitch", "reversed_motion"),
    ),
    **dict.fromkeys(
        ("swim", "gibberish", "ghost", "torn"),
        ("motion_speed", "sharpness", "torn_layers", "ghost", "ghost_trail", "background_swim",
         "edge_rim"),
    ),
    "ending": ("motion_speed",), "cut": ("motion_speed",), "drift": ("saturation", "color_shift"),
    **dict.fromkeys(
        STILL,
        ("sharpness", "plastic_skin", "seams", "saturation", "grid", "grid_lines", "resolution"),
    ),
}  # fmt: skip
"""Checks that are run, by one of their scores, for defects that leave the rest alone."""


def segments(folder: Path, per_person: int) -> Iterator[tuple[str, str, Frames, float]]:
    """``(person, name, frames, fps)`` of up to ``per_person`` stretches of every clip."""
    for path in sorted(folder.glob("*.mp4"), key=lambda path: path.name):
        facts = probe(path)
        if facts.num_frames < FRAMES:
            continue
        starts = np.arange(0, facts.num_frames - FRAMES + 1, FRAMES)
        if len(starts) > per_person:
            starts = starts[np.linspace(0, len(starts) - 1, per_person).round().astype(int)]
        kept: dict[int, list[Image]] = {int(start): [] for start in starts}
        seen = 0
        for chunk in open_clip(path).chunks:
            for frame in chunk:
                for start, frames in kept.items():
                    if start <= seen < start + FRAMES:
                        frames.append(frame)
                seen += 1
        for start, frames in kept.items():
            yield path.stem, f"{path.stem}_{start:04d}", np.stack(frames), float(facts.fps)


def track(reader: FaceReader, frames: Frames, stride: int = 3) -> list[Face] | None:
    """The face in every frame: found on every third, in between on a straight line."""
    known: dict[int, Face] = {}
    for index in sorted({*range(0, len(frames), stride), len(frames) - 1}):
        faces = faces_in_frame(reader, frames[index])
        if faces:
            last = known[max(known)].box.center if known else faces[0].box.center
            known[index] = min(
                faces,
                key=lambda f: float(np.hypot(f.box.center[0] - last[0], f.box.center[1] - last[1])),
            )
    if not known:
        return None
    indices = sorted(known)
    rows = np.asarray(
        [
            [known[i].box.left, known[i].box.top, known[i].box.width, known[i].box.height,
             *np.ravel(known[i].landmarks)]
            for i in indices
        ]
    )  # fmt: skip
    out = []
    for index in range(len(frames)):
        row = [float(np.interp(index, indices, rows[:, column])) for column in range(rows.shape[1])]
        points = tuple((row[4 + 2 * i], row[5 + 2 * i]) for i in range(5))
        out.append(Face(Box(*row[:4]), 1.0, points))
    return out


def inspected(
    image: Image,
    faces: tuple[Face, ...],
    frames: Frames,
    fps: float,
    reader: FaceReader,
    metrics: Callable[[Reference, float], Sequence[Metric]],
) -> Inspector:
    """An inspector that has seen what a clip shows of ``image``, as ``vivant verify`` does."""
    height, width = frames.shape[1:3]
    rows, columns = image.shape[:2]
    found = register(
        Portrait(
            pixels=image,
            crop=cover_crop(columns, rows, width / height),
            faces=faces,
            source=Source("picture", "png", columns, rows, 0, ""),
        ),
        frames[0],
    )
    left, top, right, bottom = found.window
    inspector = Inspector(
        found.portrait,
        num_frames=len(frames),
        fps=Fraction(fps).limit_denominator(1001),
        width=right - left,
        height=bottom - top,
        reader=reader,
        metrics=metrics,
        pixels=found.pixels,
    )
    inspector.inspect(frames[:, top:bottom, left:right])
    return inspector


def measure(
    image: Image,
    faces: tuple[Face, ...],
    frames: Frames,
    fps: float,
    reader: FaceReader,
    *,
    only: Sequence[str],
) -> dict[str, object]:
    """Scores as ``name -> [value, verdict]``; plotted series as ``name:series``."""

    def chosen(reference: Reference, rate: float) -> Sequence[Metric]:
        found = all_metrics(reference, rate)
        return [m for m in found if not only or any(s.name in only for s in m.specs)]

    height, width = frames.shape[1:3]
    inspector = inspected(image, faces, frames, fps, reader, chosen)
    facts = ClipFacts(
        size_bytes=1, container="mp4", codec="h264", profile="High", pixel_format="yuv420p",
        width=width, height=height, fps=Fraction(24), num_frames=len(frames), seconds=4.0,
        bit_rate=8_000_000, color_primaries="bt709", color_transfer="bt709", color_space="bt709",
        color_range="tv", constant_rate=True, closed_gop=True, max_gop=97, moov_first=True,
        edit_list=False, audio=False,
    )  # fmt: skip
    out: dict[str, object] = {}
    for score in inspector.finish(facts).scores:
        if score.group not in ("delivery", "performance"):
            out[score.name] = [score.value, score.verdict]
            if len(score.series) <= 40:
                out[f"{score.name}:series"] = [[i, round(v, 4)] for i, v in score.series]
    return out


def material(
    folders: Sequence[Path], cache: Path, reader: FaceReader
) -> tuple[dict[str, Material], dict[str, str]]:
    """Every stretch with a face by name, every person's folder; tracks are kept in the cache."""
    found: dict[str, Material] = {}
    homes: dict[str, str] = {}
    stretches = ((home.name, *found) for home in folders for found in segments(home, STRETCHES))
    for home, person, name, frames, fps in stretches:
        if homes.setdefault(person, home) != home:
            raise SystemExit(f"{person}.mp4 is in two folders: one person, one file")
        kept = cache / f"{name}.track"
        if kept.exists():
            rows = json.loads(kept.read_text())
            faces = [Face(Box(*box), 1.0, tuple((x, y) for x, y in points)) for box, points in rows]
        else:
            faces = track(reader, frames) or []
            rows = [
                [[f.box.left, f.box.top, f.box.width, f.box.height], f.landmarks] for f in faces
            ]
            _write(kept, json.dumps(rows))
        if faces:
            found[name] = Material(person, name, frames, fps, faces)
        else:
            print(f"{name}: no face, left out")
    return found, homes


def jobs(names: Mapping[str, Material], *, quick: bool, only: Sequence[str]) -> list[Job]:
    """What is measured on which stretch, what matters most first."""
    firsts: dict[str, str] = {}
    for name, item in names.items():
        firsts.setdefault(item.person, name)
    must = (*CLEAN, *(label for _, labels, _ in REQUIRED for label in labels))
    out = []
    for case in cases(only):
        rank = next((i for i, label in enumerate(must) if case.label.startswith(label)), len(must))
        if quick and rank == len(must):
            continue
        everywhere = case.label.startswith(EVERYWHERE)
        out += [(rank, case, name) for name in names if everywhere or name in firsts.values()]
    out.sort(key=lambda job: job[0])
    return [(case, name) for _, case, name in out]


def run(
    folders: Sequence[Path], cache: Path, *, quick: bool, only: Sequence[str], part: tuple[int, int]
) -> None:
    """Fill the cache."""
    cache.mkdir(parents=True, exist_ok=True)
    reader = FaceReader()
    names, homes = material(folders, cache, reader)
    for case, name in jobs(names, quick=quick, only=only)[part[0] :: part[1]]:
        target = cache / f"{name}__{case.label.replace('/', '_')}.json"
        if target.exists():
            continue
        item = names[name]
        if case.defect in STILL:
            third = FRAMES // 3 + 1
            item = Material(item.person, name, item.frames[:third], item.fps, item.track[:third])
        seed = zlib.crc32(f"{name} {case.label}".encode())
        others = [n for n in sorted(names) if names[n].person != item.person]
        spoiled = case.apply(item, names[others[seed % len(others)]], np.random.default_rng(seed))
        crf = 0 if case.defect == "reencode" else ENCODED_CRF
        finished = recode(spoiled, item.fps, crf=crf) if crf else spoiled
        values = measure(
            item.frames[0], (item.track[0],), finished, item.fps, reader,
            only=FAMILIES.get(case.defect, ()),
        )  # fmt: skip
        record = {"person": item.person, "folder": homes[item.person], "segment": name,
                  "defect": case.defect, "variant": case.variant, "dose": case.dose,
                  "values": values}  # fmt: skip
        _write(target, json.dumps(record))


def _write(path: Path, text: str) -> None:
    """Whole or not at all: parts run side by side."""
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(text)
    partial.rename(path)


def finish(cache: Path) -> None:
    """Choose the limits from everything measured; write them and the page."""
    records, held = map(known_records, (cache, cache / HELD_OUT))
    limits = choose(records)
    text = json.dumps({"limits": limits}, indent=4, ensure_ascii=False) + "\n"
    LIMITS.write_text(text, encoding="utf-8")
    PAGE.write_text(page(records, limits, held), encoding="utf-8")
    print(summary(records))


def known_records(path: Path | None) -> list[Record]:
    """Records of a cache's folder, or of a gzipped JSON list."""
    if path is None or not path.exists():
        return []
    if path.is_dir():
        return [json.loads(file.read_text()) for file in sorted(path.glob("*.json"))]
    found: list[Record] = json.loads(gzip.decompress(path.read_bytes()))
    return found


def main() -> None:
    """Parse, measure, choose, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, nargs="*")
    parser.add_argument("--records", type=Path, help="a cache, or a gzipped JSON list of values")
    parser.add_argument(
        "--seen", type=Path, help="records of people whose clips were seen while limits were set"
    )
    parser.add_argument(
        "--changed", nargs="*", default=[], help="scores that were changed after the run"
    )
    parser.add_argument("--held-out", type=Path, nargs="*", default=[])
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "calibration")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", default=[], help="defects to measure")
    parser.add_argument("--part", default="0/1", help="k/n: the k-th of n parallel runs")
    parser.add_argument(
        "--shipped", action="store_true", help="choose nothing: print how the limits that ship do"
    )
    parser.add_argument("--no-measure", action="store_true", help="from the cache alone")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for path in (options.records, options.seen):
        if path and not path.exists():
            parser.error(f"{path} does not exist: name a cache, or a gzipped JSON list")
    if options.records:
        limits = json.loads(LIMITS.read_text(encoding="utf-8"))["limits"]
        records, seen = map(known_records, (options.records, options.seen))
        CHECKS.write_text(checks_page(records, limits, options.changed, seen), encoding="utf-8")
        return
    if not options.clips:
        parser.error("name a folder of clips, or a file of --records")
    first, of = (int(text) for text in options.part.split("/"))
    if not options.no_measure:
        run(
            options.clips,
            options.cache,
            quick=options.quick,
            only=options.only,
            part=(first, of),
        )
        if options.held_out:
            run(
                options.held_out,
                options.cache / HELD_OUT,
                quick=True,
                only=options.only,
                part=(first, of),
            )
    if of == 1 and options.shipped:
        records = known_records(options.cache)
        print(shipped(records, json.loads(LIMITS.read_text(encoding="utf-8"))["limits"]))
    elif of == 1:
        finish(options.cache)


if __name__ == "__main__":
    main()
