"""A job that goes on until a clip passes: what was tried survives the worker that tried it.

The ledger's newest event carries the list of attempts and where the best one lies in the object
store; whoever takes the job over goes on from there, and what a dead run had spent stays spent.
Knows nothing of how a clip is made or stored: the bench brings both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vivant.errors import Cancelled, OptionError, VivantError
from vivant.report import to_json
from vivant.runs.attempts import Attempt, Stop, as_json, best, following
from vivant.runs.budget import Budget, Meter, SpentError
from vivant.runs.remedies import Remedy
from vivant.service.job import REPORT, TRANSIENT, Job, attempt_key
from vivant.service.objects import Objects
from vivant.settings import Settings
from vivant.types import Observer, Request, Score, Verdict

RESULT = "result.json"
"""Beside the best clip so far: what the ledger will keep of it."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One finished clip: where it lies on this machine, and what is known of it."""

    folder: Path
    result: dict[str, Any]
    verdict: Verdict
    scores: tuple[Score, ...]


Make = Callable[[Request, Observer, int], Tried]
"""Makes attempt number so-and-so at a clip."""

Keep = Callable[[Tried, str], dict[str, int]]
"""Stores a clip's files under a name in the job's attempts; their sizes."""


class Gate:
    """The attempts of one run at one job.

    Args:
        job: with what earlier runs left in its newest event.
        request: the first attempt.
        token: of this run.
        device: that is paid for.
        elapsed: seconds since this run began.
        likely: seconds such a clip usually takes; None where nobody knows.
        settings: prices.
        objects: where the best clip so far lies.
    """

    def __init__(
        self,
        job: Job,
        request: Request,
        *,
        token: int,
        device: str,
        elapsed: Callable[[], float],
        likely: float | None,
        settings: Settings,
        objects: Objects,
    ) -> None:
        before = job.snapshot.get("gate") or {}
        self._id, self._request, self._token, self._objects = job.id, request, token, objects
        self._budget = Budget.parse(str(job.request["budget"]))
        self._attempts = [Attempt.from_json(entry) for entry in before.get("attempts", ())]
        self._stored: str | None = before.get("stored")
        self.spent = float(before.get("spent", 0.0)) + (job.snapshot.get("elapsed_seconds") or 0.0)
        self._meter = Meter(self._budget, lambda: device, settings, elapsed, self.spent + elapsed())
        if not self._attempts:
            self._meter.check_first(likely)

    def run(
        self, make: Make, keep: Keep, observe: Observer, tell: Callable[[Mapping[str, Any]], None]
    ) -> dict[str, Any]:
        """Try until a clip passes or the budget would not cover another.

        Args:
            make: makes a clip.
            keep: stores it.
            observe: of the run.
            tell: called before every attempt and at the end with what clients may know.

        Returns:
            What the ledger keeps of the best clip; its report has the story of all.

        Raises:
            OptionError: the budget is smaller than one clip.
            VivantError: the first attempt failed.
        """
        while isinstance(todo := self._next(), Remedy):
            tell(self._story(todo))
            self._try(todo, make, keep, observe)
        story = self._story(todo)
        tell(story)
        return self._deliver(story)

    def _next(self) -> Remedy | Stop:
        return following(self._request, self._attempts, self._meter)

    def _try(self, remedy: Remedy, make: Make, keep: Keep, observe: Observer) -> None:
        number = len(self._attempts) + 1
        begun = self._meter.elapsed()
        tried: Tried | None = None
        trouble = ""
        try:
            tried = make(remedy.request, self._meter.watched(observe), number)
        except SpentError:
            if self._stored is None:
                raise OptionError(
                    f"budget {self._budget} ended before the first clip was finished: give more, "
                    "or a shorter clip",
                    param="budget",
                ) from None
        except (Cancelled, *TRANSIENT):
            raise
        except VivantError as error:
            if self._stored is None:
                raise
            trouble = error.message  # the best clip so far is still worth delivering
        took = self._meter.elapsed() - begun
        attempt = Attempt.of(
            number,
            remedy,
            self._attempts[-1].failed if self._attempts else (),
            verdict=tried.verdict if tried else None,
            scores=tried.scores if tried else (),
            seconds=round(took, 3),
            usd=self._meter.usd(took),
            trouble=trouble,
        )
        if tried is not None and best([*self._attempts, attempt]) is attempt:
            name = f"{self._token}-{number}"
            sizes = keep(tried, name)
            note = tried.folder / RESULT
            kept = {**tried.result, "attempt": name, "sizes": sizes}
            note.write_text(json.dumps(kept), "utf-8")
            self._objects.put_file(attempt_key(self._id, name, RESULT), note)
            self._stored = name
        self._attempts.append(attempt)

    def _story(self, now: Remedy | Stop) -> dict[str, Any]:
        """What clients may know, and what a later run must."""
        told = as_json(self._budget, self._attempts, now if isinstance(now, Stop) else None)
        if isinstance(now, Remedy):
            why = self._attempts[-1].failed if self._attempts else ()
            told["trying"] = {"remedy": now.words, "code": now.code, "why": list(why)}
        return {**told, "stored": self._stored, "spent": round(self.spent, 3)}

    def _deliver(self, story: Mapping[str, Any]) -> dict[str, Any]:
        """The best clip's result, its report completed by the story."""
        if self._stored is None:  # attempts that end without one have raised
            raise AssertionError
        told = {name: story[name] for name in story if name not in ("stored", "spent")}
        result: dict[str, Any] = json.loads(self._fetch(RESULT))
        body = {**json.loads(self._fetch(REPORT)), "gate": told}
        data = to_json(body).encode()
        self._objects.put(attempt_key(self._id, self._stored, REPORT), data)
        return {**result, "sizes": {**result["sizes"], REPORT: len(data)}, "gate": told}

    def _fetch(self, name: str) -> bytes:
        return self._objects.get(attempt_key(self._id, self._stored or "", name))
