"""One process from its start to a finished, verified clip of the ``fast`` recipe.

Run by ``bench/ltx2.py``. The weights are random, so the frames of a real picture's ``camera`` clip
take the place of the engine's. Prints, as JSON, seconds since the start of this script.
"""

from __future__ import annotations

import time

BEGIN = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from dataclasses import replace  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

MARKS: dict[str, float] = {}


def mark(name: str) -> None:
    """Note the time, the first time it is called with ``name``."""
    MARKS.setdefault(name, round(time.perf_counter() - BEGIN, 2))


class WithFrames:
    """The engine, its frames replaced; see ``Cadence`` in ``bench/ltx2.py``."""

    def __init__(self, inner: Any, frames: Any) -> None:
        self.inner, self.frames = inner, frames

    @property
    def info(self) -> Any:
        """The inner engine's."""
        return self.inner.info

    def generate(self, portrait: Any, request: Any, observe: Any) -> Any:
        """The inner engine's clip, its frames replaced."""
        mark("picture")
        clip = self.inner.generate(portrait, request, observe)
        mark("model")

        def chunks() -> Iterator[Any]:
            done = 0
            for chunk in clip.chunks:
                yield self.frames[done : done + len(chunk)]
                done += len(chunk)
            mark("frames")

        return replace(clip, chunks=chunks())


def main() -> None:
    """Make one clip, or several for the later ones' times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--frames", type=Path, required=True, help="of the engine's grid, .npy")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", default="hub")
    parser.add_argument("--grid", default="")
    args = parser.parse_args()
    from vivant.settings import Settings

    settings = Settings(cache_dir=args.cache, data_dir=args.data)
    mark("settings")
    if "start_engine" in dir(__import__("vivant.engines").engines):  # absent in older versions
        from vivant.engines import start_engine

        start_engine("ltx2", settings)
    from vivant.engines import load_engine
    from vivant.pipeline import ClipJob
    from vivant.types import Request
    from vivant.upscalers import load_upscaler

    mark("pipeline imported")
    import numpy as np

    engine = load_engine("ltx2", settings)
    mark("engine imported")
    frames = np.load(args.frames, mmap_mode="r")
    options: dict[str, Any] = {"recipe": "fast", "weights": args.weights}
    if args.grid:
        options["grid"] = args.grid
    width, height = (1920, 1080) if not args.grid else (192, 108)
    request = Request(
        image=args.picture,
        num_frames=len(frames),
        width=width,
        height=height,
        engine="ltx2",
        options=options,
    )

    def observe(progress: Any) -> None:
        if progress.unit == "step":
            mark(f"step {progress.done} issued")

    def make() -> Any:
        job = ClipJob(request, WithFrames(engine, frames), load_upscaler("auto"), settings, observe)
        return job.run(args.cache / "clip.mp4", force=True)

    verdict = make().verdict
    mark("verified MP4")
    begin = time.perf_counter()
    make()
    MARKS["second clip takes"] = round(time.perf_counter() - begin, 2)
    names = ("scipy", "transformers", "torch._inductor", "torch._dynamo")
    print("PROCESS", json.dumps({**MARKS, "verdict": verdict}))
    print("IMPORTED", [name for name in names if name in sys.modules])


if __name__ == "__main__":
    main()
