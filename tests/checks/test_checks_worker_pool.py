"""Workers: the same answer to the bit, nothing left behind, and a sentence when one dies."""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from checks_clips import FACTS, FPS, SHORT, material, portrait, reader
from vivant.checks import Inspector, keep_workers, worker_count
from vivant.checks.worker_frames import SharedFrames
from vivant.checks.worker_handle import WorkerHandle, end_workers
from vivant.checks.worker_messages import Answer, WorkerFailed
from vivant.errors import MachineError
from vivant.types import Frames, Portrait


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


@contextmanager
def inspector(
    frames: Frames, count: int, given: Portrait | None = None, *, parallel: bool = False
) -> Iterator[Inspector]:
    with Inspector(
        given or portrait(),
        num_frames=len(frames),
        fps=FPS,
        width=frames.shape[2],
        height=frames.shape[1],
        reader=reader(),
        workers=count,
        parallel=parallel,
    ) as made:
        yield made


def answer(
    frames: Frames, count: int, given: Portrait | None = None, *, parallel: bool = False
) -> object:
    with inspector(frames, count, given, parallel=parallel) as made:
        for start in range(0, len(frames), 7):
            made.inspect(frames[start : start + 7])
        found = made.finish(FACTS)
        assert made.done == len(frames)
        return found.scores, found.warnings


@contextmanager
def several_threads() -> Iterator[None]:
    """NumPy's BLAS and OpenCV with threads of their own, which workers do not have."""
    folder = Path(np.__file__).parents[1] / "numpy.libs"
    blas = [ctypes.CDLL(str(file)) for file in folder.glob("libscipy_openblas*")]
    before = cv2.getNumThreads()
    own = [library.scipy_openblas_get_num_threads64_() for library in blas]
    for library in blas:
        library.scipy_openblas_set_num_threads64_(4)
        assert library.scipy_openblas_get_num_threads64_() > 1
    cv2.setNumThreads(4)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
        for library, threads in zip(blas, own, strict=True):
            library.scipy_openblas_set_num_threads64_(threads)


def lost() -> Frames:
    """The face is gone from the middle on, and comes late."""
    frames = material(SHORT).frames.copy()
    frames[:5, 40:260] = 100
    frames[18:, 40:260] = 128
    return frames


@pytest.fixture(scope="module")
def alone() -> tuple[object, object]:
    """Of the clean clip and of :func:`lost`, without workers."""
    with several_threads():
        return answer(material(SHORT).frames, 0), answer(lost(), 0)


def test_the_answer_is_the_same_to_the_bit_and_nothing_is_left(
    alone: tuple[object, object],
) -> None:
    before = children()
    clips = ((material(SHORT).frames, 3), (lost(), 2))
    for (frames, count), expected in zip(clips, alone, strict=True):
        assert answer(frames, count) == expected
        assert answer(frames, 0, parallel=True) == expected
    assert children() == before
    assert not [t for t in threading.enumerate() if t.name.startswith("vivant-measure")]


def test_kept_workers_watch_the_next_clip_and_end_with_the_block(
    alone: tuple[object, object],
) -> None:
    before = children()
    exact, late = alone
    with keep_workers():
        assert answer(material(SHORT).frames, 2) == exact
        kept = children() - before
        assert len(kept) == 2
        assert answer(lost(), 3) == late
        assert kept < children() - before
        assert len(children() - before) == 3
        with inspector(material(SHORT).frames, 3) as made:
            made.inspect(material(SHORT).frames[:9])
        assert children() == before  # they were in the middle of something
        assert answer(lost(), 2) == late
        (first, _) = children() - before
        os.kill(first, signal.SIGKILL)
        with suppress(psutil.NoSuchProcess):
            while psutil.Process(first).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.01)
        with keep_workers():
            assert answer(lost(), 2) == late
        assert len(children() - before) == 2
        assert first not in children()
    assert children() == before


def test_a_worker_that_dies_between_two_clips_tells_the_next_one_as_well() -> None:
    before: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    after: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    worker = WorkerHandle()
    worker.assign(lambda _, answer: before.put(answer))
    worker._process.kill()
    assert isinstance(before.get(timeout=20), WorkerFailed)
    worker.assign(lambda _, answer: after.put(answer))
    assert isinstance(after.get(timeout=20), WorkerFailed)
    end_workers([worker])


def test_a_picture_without_a_face_and_a_number_of_frames_that_fits_no_run() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (320, 512, 3), np.uint8)
    frames = material(SHORT).frames[:10]
    assert answer(frames, 2, portrait(noise)) == answer(frames, 0, portrait(noise))


def test_workers_that_were_given_nothing_have_taken_no_time() -> None:
    with inspector(material(SHORT).frames, 2) as made:
        assert made.busy == 0
        made.inspect(material(SHORT).frames[:1])
        made.wait()
        made.finish(FACTS)
    assert made.busy > 0


def test_frames_stay_in_memory_until_it_is_used_again() -> None:
    frames = material(SHORT).frames
    with inspector(frames, 1) as made:
        made.inspect(frames)
        made.finish(FACTS)
        kept = [made.kept_frame(index) for index in range(len(frames))]
    assert kept[0] is None  # there is room for eight frames in flight, and some
    assert kept[-1] is not None
    for frame, pixels in zip(frames, kept, strict=True):
        assert pixels is None or (pixels == frame).all()
    with inspector(frames, 0) as made:
        made.inspect(frames[:1])
        assert made.kept_frame(0) is None


def test_shared_memory_goes_with_the_last_process_that_has_it() -> None:
    before = psutil.Process().num_fds()
    ours, theirs = Pipe()
    with ours, theirs:
        frames = SharedFrames.create((4, 6, 3), 5)
        frames.send(ours)
        seen = SharedFrames.receive(theirs, (4, 6, 3)).pixels
        frames.pixels[3] = 7
        assert seen.shape == (5, 4, 6, 3)
        assert (seen[3] == 7).all()
        del frames, seen
    assert psutil.Process().num_fds() == before


def test_leaving_early_ends_the_workers_at_once() -> None:
    before = children()
    frames = material(SHORT).frames
    with inspector(frames, 2) as made:
        made.inspect(frames)
        started = time.monotonic()
    assert children() == before
    assert time.monotonic() - started < 5


def test_a_worker_that_dies_is_one_sentence() -> None:
    before = children()
    frames = material(SHORT).frames
    with inspector(frames, 2) as made:
        (victim, _) = children() - before
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(MachineError, match=r"verification stopped: a worker ended .*-9"):
            for _ in range(3):
                made.inspect(frames)
                made.wait()
    assert children() == before


ORPHANS = """
import sys; sys.path[:0] = {path!r}
import numpy as np
from checks_clips import portrait
from test_checks_worker_pool import inspector
frames = np.zeros((41, 80, 120, 3), np.uint8)
with inspector(frames, 2, portrait(frames[0])) as made:
    made.inspect(frames[:10])
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_workers_end_when_their_parent_is_killed() -> None:
    path = [str(Path(__file__).parent), *(entry for entry in sys.path if entry)]
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHANS.format(path=path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    assert parent.stdin is not None
    try:
        assert parent.stdout.readline() == b"ready\n"
        family = psutil.Process(parent.pid).children()
        assert len(family) == 2
    finally:
        parent.kill()
        parent.wait()
        parent.stdin.close()
        parent.stdout.close()
    _, alive = psutil.wait_procs(family, timeout=20)  # they may still be starting
    assert alive == []


def test_workers_are_used_where_they_pay() -> None:
    assert worker_count(2, 97, 1920, 1080) == 0  # encoding needs both cores
    assert worker_count(2, 97, 1920, 1080, alone=True) == 0  # over before two are ready
    assert worker_count(2, 481, 1920, 1080, alone=True) == 2
    assert worker_count(1, 481, 1920, 1080, alone=True) == 0
    assert worker_count(16, 97, 1920, 1080) == 12
    assert worker_count(64, 97, 1920, 1080) == 16
    assert worker_count(64, 25, 320, 180) == 0
