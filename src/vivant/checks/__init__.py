"""Proof: every line of the creator's checklist, measured.

``Inspector`` checks frames as they come, ``checks.live`` uses it while a clip is made, and
``checks.verify`` for a finished file. The package is not called ``verify`` because
``vivant.verify`` is the function. It imports no engine.

::

    metrics/            one file per family of checks
    metric.py           the one shape of every check
    frame.py            a frame, or the picture, with what several checks need of it
    frame_mesh.py       its face mesh, shared by the checks
    face_frame.py       the face upright and of one size
    face_tracker.py     follows the person through the clip
    flow.py             dense optical flow
    median.py           the median, faster than NumPy's
    oscillation.py      how far things keep swinging
    robust_fit.py       least squares that outliers do not pull
    registration.py     which part of a clip shows which part of the picture; captions, bars
    frame_analyzer.py   runs all metrics on frames, in any process
    worker_pool.py      several processes that measure segments of one clip
    worker_handle.py    the parent's side of one such process
    worker_process.py   the process itself
    worker_messages.py  what the two tell each other
    worker_frames.py    the frames, in memory that all of them share
    inspector.py        frames in, the verification out
    live.py             a clip while it is made
    verify.py           a finished file
    limits.py           limits.json: what the numbers are held against
    checklist.py        checklist.json: which scores answer which question
    sentences.py        sentences.json: what is said of a score, in English and Korean
    report/             the page for people
    models/             tables of how faces vary, as files
"""

from vivant.checks.inspector import Inspector
from vivant.checks.metrics.delivery import ExpectedFile
from vivant.checks.metrics.performance import Performance
from vivant.checks.worker_pool import keep_workers, worker_count

__all__ = [
    "ExpectedFile",
    "Inspector",
    "Performance",
    "keep_workers",
    "worker_count",
]
