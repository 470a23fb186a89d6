"""How long signing a finished clip takes: milliseconds of wall time and of CPU.

    VIVANT_CREDENTIALS=off vivant animate portrait.jpg -o clip.mp4
    python bench/signing.py clip.mp4

The first signature of the process is told apart: it loads what the others find in memory.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

from vivant.provenance.facts import GENERATED, ProvenanceFacts
from vivant.provenance.signing import working_signer
from vivant.settings import default_settings

FACTS = ProvenanceFacts(
    engine="ltx2",
    source_type=GENERATED,
    seed=1,
    picture_sha256="0" * 64,
    picture_format="JPEG",
    model="ltx-2.3",
    revision="0" * 40,
)


def main() -> None:
    """Sign copies of a clip."""
    parser = argparse.ArgumentParser()
    parser.add_argument("clip", type=Path, help="an MP4 without credentials")
    parser.add_argument("-n", type=int, default=15, help="signatures")
    given = parser.parse_args()
    signer = working_signer(default_settings())
    walls, busy = [], []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "clip.mp4"
        for _ in range(given.n):
            shutil.copy(given.clip, copy)
            started, cpu = time.perf_counter(), time.process_time()
            signer.sign(copy, FACTS)
            walls.append(1000 * (time.perf_counter() - started))
            busy.append(1000 * (time.process_time() - cpu))
        added = copy.stat().st_size - given.clip.stat().st_size
    print(
        f"first {walls[0]:.0f} ms; median {median(walls):.0f} ms, {min(walls):.0f} to "
        f"{max(walls):.0f}; CPU {median(busy):.0f} ms; {added} bytes added"
    )


if __name__ == "__main__":
    main()
