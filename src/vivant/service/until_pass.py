"""A job that goes on until its clip passes: its attempts survive the worker that made them.

The job store's newest event carries the list of attempts and where the best clip lies in the object
store. Whichever worker takes the job over goes on from there; what a dead run had spent of the
budget stays spent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vivant.report import to_json
from vivant.runs.attempts import Attempt, Stop, attempts_json
from vivant.runs.budget import Budget, BudgetMeter
from vivant.runs.remedies import Remedy
from vivant.runs.until_pass import UntilPass
from vivant.service.clips import JobClip, JobClips
from vivant.service.job import REPORT, TRANSIENT, attempt_key
from vivant.service.objects import Objects
from vivant.types import Observer, Request, Verification

RESULT = "result.json"
"""Beside the best clip so far: what the job store will keep of it."""


class JobUntilPass:
    """The attempts of one run at one job.

    Args:
        clips: of the run; its job has what earlier runs left in its newest event.
        objects: where the best clip so far lies.
        elapsed: seconds since this run began.
        expected: seconds such a clip usually takes; None where that is not known.

    Attributes:
        spent: seconds of earlier runs.

    Raises:
        OptionError: the budget is smaller than one clip.
    """

    def __init__(
        self,
        clips: JobClips,
        objects: Objects,
        *,
        elapsed: Callable[[], float],
        expected: float | None,
    ) -> None:
        self._clips, self._objects, self._job = clips, objects, clips.lease.job
        before = self._job.snapshot.get("gate") or {}
        attempts = [Attempt.from_json(entry) for entry in before.get("attempts", ())]
        self._stored: str | None = before.get("stored")
        self._newest: JobClip | None = None
        self.spent = float(before.get("spent", 0.0)) + (
            self._job.snapshot.get("elapsed_seconds") or 0.0
        )
        self._budget = Budget.parse(str(self._job.request["budget"]))
        first = clips.first
        self._meter = BudgetMeter(
            self._budget, lambda: first.device, first.settings, elapsed, self.spent + elapsed()
        )
        self._loop = UntilPass(first.request, self._meter, attempts, TRANSIENT)
        if not attempts:
            self._meter.check_first(expected)

    def run(
        self, folder: Path, observe: Observer, tell: Callable[[Mapping[str, Any]], None]
    ) -> dict[str, Any]:
        """Try until a clip passes or the budget would not cover another.

        Args:
            folder: an empty one.
            observe: of the run.
            tell: called before every attempt and at the end with what clients may know.

        Returns:
            What the job store keeps of the best clip; its report lists all attempts.

        Raises:
            OptionError: the budget ended before the first clip was finished.
            VivantError: the first attempt failed.
        """

        def make(request: Request, number: int) -> Verification:
            place = folder / str(number)
            place.mkdir()
            watched = self._meter.observer(observe)
            self._newest = self._clips.make(request, watched, place, number)
            return self._newest.verification

        while isinstance(todo := self._loop.next(), Remedy):
            tell(self._snapshot(todo))
            self._loop.attempt(todo, make, self._keep)
        snapshot = self._snapshot(todo)
        tell(snapshot)
        return self._deliver(snapshot)

    def _keep(self, number: int) -> None:
        """Store the newest clip: it is the best so far."""
        if self._newest is None:
            raise AssertionError
        name = f"{self._clips.lease.token}-{number}"
        result = self._clips.store(self._newest, name)
        note = self._newest.folder / RESULT
        note.write_text(json.dumps(result), "utf-8")
        self._objects.put_file(attempt_key(self._job.id, name, RESULT), note)
        self._stored = name

    def _snapshot(self, now: Remedy | Stop) -> dict[str, Any]:
        """What clients may know, and what a later run must."""
        stop = now if isinstance(now, Stop) else None
        snapshot = attempts_json(self._budget, self._loop.attempts, stop)
        if isinstance(now, Remedy):
            why = list(self._loop.reasons)
            snapshot["trying"] = {"remedy": now.words, "code": now.code, "why": why}
        return {**snapshot, "stored": self._stored, "spent": round(self.spent, 3)}

    def _deliver(self, snapshot: Mapping[str, Any]) -> dict[str, Any]:
        """The best clip's result; the list of attempts is added to its report."""
        if self._stored is None:  # attempts that end without one have raised
            raise AssertionError
        gate = {name: snapshot[name] for name in snapshot if name not in ("stored", "spent")}
        result: dict[str, Any] = json.loads(self._fetch(RESULT))
        body = {**json.loads(self._fetch(REPORT)), "gate": gate}
        data = to_json(body).encode()
        self._objects.put(attempt_key(self._job.id, self._stored, REPORT), data)
        return {**result, "sizes": {**result["sizes"], REPORT: len(data)}, "gate": gate}

    def _fetch(self, name: str) -> bytes:
        return self._objects.get(attempt_key(self._job.id, self._stored or "", name))
