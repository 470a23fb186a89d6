# mypy: disable-error-code="no-untyped-call,attr-defined,assignment"
"""What a clip costs after the engine: encoding, decoding again, verifying, the report.

Two engines: ``camera`` itself, and its frames delivered at once, as a GPU does. Each with and
without verification in turn, medians; peak memory is that of all processes together.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from vivant import pipeline
from vivant.checks import keep_workers
from vivant.engines import load_engine
from vivant.image_limits import image_limits
from vivant.picture.faces import lend_reader
from vivant.picture.intake import load_portrait
from vivant.picture.sample_picture import sample_picture
from vivant.pipeline import ClipJob
from vivant.settings import Settings
from vivant.types import (
    Clip,
    Engine,
    EngineInfo,
    Frames,
    Observer,
    Portrait,
    Progress,
    Request,
    ignore_progress,
)
from vivant.upscalers import load_upscaler
from vivant.video.writer import VideoWriter


class AtOnce:
    """Frames that are there: only what follows an engine takes time.

    Workers are made after the first step, so they are given two seconds to start, as denoising
    would.
    """

    info = EngineInfo(name="at once", moves="camera", device="cpu")

    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self.started = 0.0

    def generate(self, _: Portrait, request: Request, observe: Observer) -> Clip:
        """The frames, in chunks of 16, after a step of two seconds."""

        def chunks() -> Iterator[Frames]:
            observe(Progress("generate", 1, 2, "step"))
            time.sleep(2)
            self.started = time.perf_counter()
            for index in range(0, len(self.frames), 16):
                yield self.frames[index : index + 16]

        count, height, width = self.frames.shape[:3]
        return Clip(count, request.fps, width, height, chunks())


class Peak:
    """Most memory of this process and its children, MB."""

    def __init__(self) -> None:
        self.value = 0.0
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        me = psutil.Process()
        while True:
            total = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.Error:
                    continue
            self.value = max(self.value, total / 1e6)
            time.sleep(0.1)


def verified(request: Request, engine: Engine, folder: Path, settings: Settings) -> float:
    """Picture → clip and report; seconds from the start, or from the first frame."""
    began = time.perf_counter()
    job = ClipJob(request, engine, load_upscaler("auto"), settings)
    job.run(folder / "clip.mp4", force=True)
    return time.perf_counter() - (engine.started if isinstance(engine, AtOnce) else began)


def unverified(request: Request, engine: Engine, folder: Path, settings: Settings) -> float:
    """Picture → clip, nothing looked at."""
    began = time.perf_counter()
    with lend_reader() as reader:  # the same for both: it is kept from clip to clip
        portrait = ClipJob(request, engine, load_upscaler("auto"), settings).read_picture(reader)
    clip = engine.generate(portrait, request, ignore_progress)
    with VideoWriter(
        folder / "plain.mp4",
        width=request.width,
        height=request.height,
        fps=request.fps,
        quality=request.quality,
        comment="",
        cores=pipeline.usable_cores(),
        on_written=lambda _: None,
        on_decoded=None,
    ) as film:
        for chunk in clip.chunks:
            film.put(chunk)
        film.close()
        film.finish()
    return time.perf_counter() - (engine.started if isinstance(engine, AtOnce) else began)


@keep_workers()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--cores", type=int, help="pretend to have so many")
    parser.add_argument("--engines", default="camera,at once")
    args = parser.parse_args()
    if args.cores:
        pipeline.usable_cores = partial(int, args.cores)
    settings = Settings()
    request = Request(image=sample_picture())
    camera = load_engine("camera", settings)
    portrait = load_portrait(
        io.BytesIO(sample_picture()).getvalue(),
        width=request.width,
        height=request.height,
        limits=image_limits(settings),
    )
    frames = np.concatenate(list(camera.generate(portrait, request, ignore_progress).chunks))
    folder = Path(tempfile.mkdtemp())
    for name in args.engines.split(","):
        engine: Engine = AtOnce(frames) if name == "at once" else camera
        peak = Peak()
        rows: dict[str, list[float]] = {"verified": [], "unverified": []}
        for rep in range(args.reps):
            rows["unverified"].append(unverified(request, engine, folder, settings))
            rows["verified"].append(verified(replace(request, seed=rep), engine, folder, settings))
        medians = {key: round(statistics.median(values), 2) for key, values in rows.items()}
        share = medians["verified"] / medians["unverified"] - 1
        print(
            json.dumps(
                {
                    "engine": name,
                    "cores": pipeline.usable_cores(),
                    **medians,
                    "verification": f"{share:+.0%}",
                    "peak_mb": round(peak.value),
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
