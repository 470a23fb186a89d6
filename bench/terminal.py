"""From Enter to the first line of the command line, as a user at a terminal sees it.

    python bench/terminal.py [--runs N]

Each command runs in a terminal of its own and is ended after its first line. Wall seconds: the
median of the runs, after one that is not counted (it compiles and fills the page cache).
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from vivant.picture.sample_picture import sample_picture

ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
"""What steers the terminal and shows nothing."""


def first_line(arguments: list[str], folder: Path) -> tuple[float, float, str]:
    """Wall and processor seconds until the first words, and their line."""
    before = used()
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "vivant", *arguments]
    began = time.monotonic()
    process = subprocess.Popen(
        command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown = b""
    while not lines(shown):
        shown += os.read(ours, 4096)
    seconds = time.monotonic() - began
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    os.close(ours)
    return seconds, used() - before, lines(shown)[0]


def lines(shown: bytes) -> list[str]:
    """Those with words."""
    text = ANSI.sub("", shown.decode(errors="ignore"))
    return [line.strip() for line in text.splitlines() if re.search(r"\w{2}", line)]


def used() -> float:
    """Processor seconds of all processes that were started and have ended."""
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime


def main() -> None:
    """The commands of a newcomer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "portrait.png").write_bytes(sample_picture())
        for arguments in (
            ["animate", "portrait.png"],
            ["--lang", "ko", "animate", "portrait.png"],
            ["demo"],
            ["verify", "nothing.mp4", "portrait.png"],
            ["--help"],
        ):
            times = [first_line(arguments, folder) for _ in range(runs + 1)]
            found[" ".join(arguments)] = {
                "seconds": round(statistics.median(wall for wall, _, _ in times[1:]), 2),
                "cpu": round(statistics.median(busy for _, busy, _ in times[1:]), 2),
                "line": times[-1][2],
            }
    print(json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
