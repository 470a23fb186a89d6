"""Wall time and memory of the main job, as a user meets it: whole processes, start to files.

``uv run bench/demo.py`` runs ``vivant demo`` with 97 and with 481 frames, in turn, and prints for
each the median wall time, CPU time and peak resident memory. The bounds are the project's promise
for two cores, engine ``living``: 97 frames ≤ 8 s and ≤ 800 MB, 481 frames within 10 % of that
memory.
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
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One process: seconds and megabytes (10**6 bytes)."""

    frames: int
    wall: float
    cpu: float
    peak_mb: float
    verdict: str


def run(frames: int, folder: Path) -> Run:
    """``vivant demo`` once, measured by the kernel's own accounting of the finished process."""
    clip = folder / "clip.mp4"
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "vivant", "demo", "--quiet", "--force", "-o", str(clip),
         "--frames", str(frames)],
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"vivant demo --frames {frames} ended with {process.returncode}")
    report = json.loads(clip.with_name("clip.report.json").read_text("utf-8"))
    scale = 1 if sys.platform == "darwin" else 1024
    return Run(
        frames=frames,
        wall=wall,
        cpu=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss * scale / 1e6,
        verdict=report["verdict"],
    )


def commit() -> str:
    """Short hash of the checkout, with a mark if it is not clean."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def main() -> None:
    """Run, print a table, optionally write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=3, help="runs of each length")
    parser.add_argument("--json", type=Path, help="write every run here")
    arguments = parser.parse_args()
    runs: list[Run] = []
    with tempfile.TemporaryDirectory() as name:
        run(9, Path(name))  # warm the disk cache: "after installation"
        for _ in range(arguments.n):
            runs += [run(97, Path(name)), run(481, Path(name))]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
          f"commit {commit()}, median of {arguments.n}")  # fmt: skip
    print(f"{'frames':>6} {'wall s':>8} {'cpu s':>8} {'peak MB':>8}  bound")
    peaks: dict[int, float] = {}
    for frames, bound in ((97, "≤ 8 s, ≤ 800 MB"), (481, "≤ 1.10 × the peak of 97 frames")):
        mine = [r for r in runs if r.frames == frames]
        peaks[frames] = statistics.median(r.peak_mb for r in mine)
        print(f"{frames:>6} {statistics.median(r.wall for r in mine):>8.1f} "
              f"{statistics.median(r.cpu for r in mine):>8.1f} "
              f"{peaks[frames]:>8.0f}  {bound}")  # fmt: skip
    print(f"memory of 481 over 97 frames: {peaks[481] / peaks[97]:.3f}")
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"commit": commit(), "runs": [asdict(r) for r in runs]}, indent=2)
        )


if __name__ == "__main__":
    main()
