"""The engine ``living`` beside ``camera`` and ffmpeg's ``zoompan``: what moves, and what it costs.

``uv run bench/living_beside.py`` makes the demonstration clip with each, one after the other, as
whole processes: 97 frames at 1920×1080, and 481 with ``living``. The face mesh measures the
finished clips. Vivant's processes check the clip and write the report as well; ffmpeg only draws
and encodes, with the same x264 preset.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from living import clip_meshes
from vivant.picture.faces import FaceReader
from vivant.picture.intake import load_portrait
from vivant.picture.sample_picture import demo_picture

ZOOMPAN = "zoompan=z='1+0.08*on/96':x='iw/2-iw/zoom/2':y='ih/3-ih/zoom/3':d=97:s=1920x1080:fps=24"


@dataclass(frozen=True)
class Made:
    """One finished clip and its process."""

    name: str
    wall: float
    cpu: float
    peak_mb: float
    verdict: str


def process(name: str, command: list[str], clip: Path) -> Made:
    """Run ``command``, which writes ``clip``; times and memory as the kernel accounts for them."""
    started = time.perf_counter()
    running = subprocess.Popen(command)
    _, status, usage = os.wait4(running.pid, 0)
    wall = time.perf_counter() - started
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"{name} ended with {running.returncode}")
    report = clip.with_suffix(".report.json")
    verdict = json.loads(report.read_text("utf-8"))["verdict"] if report.exists() else "–"
    scale = 1 if sys.platform == "darwin" else 1024
    cpu = usage.ru_utime + usage.ru_stime
    return Made(name, wall, cpu, usage.ru_maxrss * scale / 1e6, verdict)


def moved(clip: Path) -> str:
    """Smallest gap of the lids over the first frame's, and largest turn of the head."""
    portrait = load_portrait(demo_picture(), width=1920, height=1080, reader=FaceReader())
    meshes = list(clip_meshes(clip, portrait))
    lids = np.array([mesh.lid_gaps for mesh in meshes])
    yaws = np.array([mesh.pose.yaw for mesh in meshes])
    low = (lids / lids[0]).min(axis=0)
    return f"lids {low[0]:.2f} / {low[1]:.2f}, turn {np.abs(yaws - yaws[0]).max():.1f}°"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true", help="481 frames with living, nothing else")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        picture = folder / "picture.jpg"
        picture.write_bytes(demo_picture())
        vivant = [sys.executable, "-m", "vivant", "demo", "--quiet", "--force", "-o"]
        clips = {one: folder / f"{one}.mp4" for one in ("living", "camera", "zoompan", "long")}
        commands = {
            "living": [*vivant, str(clips["living"])],
            "camera": [*vivant, str(clips["camera"]), "--engine", "camera"],
            "zoompan": [
                imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", "-i",
                str(picture), "-vf", f"crop=iw:iw*9/16:0:0,{ZOOMPAN}", "-frames:v", "97",
                "-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p",
                str(clips["zoompan"]),
            ],
            "long": [*vivant, str(clips["long"]), "--frames", "481"],
        }  # fmt: skip
        for one in ("long",) if given.long else ("living", "camera", "zoompan"):
            made = process(one, commands[one], clips[one])
            what = "" if given.long else f", {moved(clips[one])}"
            print(
                f"{made.name}: {made.wall:.1f} s, CPU {made.cpu:.1f} s, "
                f"{made.peak_mb:.0f} MB, {made.verdict}{what}",
                flush=True,
            )


if __name__ == "__main__":
    main()
