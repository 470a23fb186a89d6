"""Attempts at one clip until it passes, or until the budget would not cover another.

:class:`UntilPass` is the loop's one step; the command line (:func:`animate_until_pass`) and the
service use the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vivant.checks import keep_workers
from vivant.errors import Cancelled, OptionError, VivantError
from vivant.picture.faces import lend_reader
from vivant.pipeline import result_at
from vivant.report import report_json, to_json
from vivant.runs.attempts import Attempt, Stop, attempts_json, best, next_attempt, rank
from vivant.runs.budget import Budget, BudgetEndedError, BudgetMeter
from vivant.runs.remedies import Remedy
from vivant.runs.run import Runner
from vivant.runs.timing_history import expected, remember
from vivant.types import Progress, Report, Request, Result, Verification
from vivant.video.files import COMPANIONS, Target, check_target, publish, workspace

Make = Callable[[Request, int], Verification]
"""Makes the clip of the attempt with this number, and returns what its checks found."""

Keep = Callable[[int], None]
"""Keeps the clip of that attempt: it is the best so far."""


class UntilPass:
    """The attempts at one request.

    Args:
        request: the first attempt.
        meter: of the budget.
        attempts: that were made before.
        transient: errors that are not the clip's fault; they are raised and nothing is noted.
    """

    def __init__(
        self,
        request: Request,
        meter: BudgetMeter,
        attempts: Sequence[Attempt] = (),
        transient: tuple[type[VivantError], ...] = (),
    ) -> None:
        self.attempts = list(attempts)
        self._request, self._meter, self._transient = request, meter, transient

    @property
    def best(self) -> Attempt | None:
        """The one to deliver; None where none was finished."""
        return best(self.attempts)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Failed checks of the last attempt: what the next one is against."""
        return self.attempts[-1].failed if self.attempts else ()

    def next(self) -> Remedy | Stop:
        """What to try now, or why nothing more is tried."""
        return next_attempt(self._request, self.attempts, self._meter)

    def attempt(self, remedy: Remedy, make: Make, keep: Keep) -> Attempt:
        """Try once, and note what came of it.

        Raises:
            OptionError: the budget ended before the first clip was finished.
            Cancelled: the observer said so.
            VivantError: the first attempt failed, or a transient error.
        """
        number, begun = len(self.attempts) + 1, self._meter.elapsed()
        found: Verification | None = None
        trouble = ""
        try:
            found = make(remedy.request, number)
        except BudgetEndedError:
            if self.best is None:
                raise OptionError(
                    f"budget {self._meter.budget} ended before the first clip was finished: give "
                    "more, or a shorter clip",
                    param="budget",
                ) from None
        except VivantError as error:
            if isinstance(error, (Cancelled, *self._transient)) or self.best is None:
                raise
            trouble = error.message  # the best clip so far is still worth delivering
        seconds = self._meter.elapsed() - begun
        scores = found.scores if found else ()
        attempt = Attempt(
            number=number,
            remedy=remedy.words,
            code=remedy.code,
            why=self.reasons,
            seed=remedy.request.seed,
            options=dict(remedy.request.options),
            verdict=found.verdict if found else None,
            failed=tuple(score.name for score in scores if score.verdict == "fail"),
            rank=rank(scores),
            seconds=round(seconds, 3),
            usd=self._meter.usd(seconds),
            trouble=trouble,
        )
        if found is not None and best([*self.attempts, attempt]) is attempt:
            keep(number)
        self.attempts.append(attempt)
        return attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class UntilPassResult:
    """The best clip, and what it took to get it.

    Attributes:
        passed: no check of it fails.
        stopped: why no further attempt was made; a plain sentence.
        chosen: number of the attempt that was delivered.
        seconds: of all attempts, with everything between them.
    """

    result: Result
    passed: bool
    stopped: str
    chosen: int
    attempts: tuple[Attempt, ...]
    seconds: float


@keep_workers()
def animate_until_pass(
    request: Request,
    output: Path,
    budget: Budget,
    runner: Runner,
    *,
    tell: Callable[[Attempt], None] = lambda _: None,
    force: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> UntilPassResult:
    """Make clips until one passes or the budget would not cover another; deliver the best.

    The longest attempt so far predicts the next one, which is not begun where it would not fit.
    One that takes longer than predicted is ended when the budget is.

    Args:
        request: the first attempt.
        output: path of the MP4; appears once, with the best clip.
        budget: of all attempts together.
        runner: makes the clips; its engine stays loaded between the attempts.
        tell: called after every attempt.
        force: replace existing files.
        clock: seconds, for tests.

    Raises:
        OptionError: the budget is smaller than one clip, or cannot be counted on this device.
        Cancelled: the observer said so; the best of the clips that were finished stays.
        VivantError: the first attempt failed; see :meth:`vivant.pipeline.ClipJob.run`.
    """
    target = check_target(output, force=force)
    engine, settings = runner.engine(request.engine), runner.settings
    meter = BudgetMeter(budget, lambda: engine.info.device, settings, clock)
    meter.check_first(expected(request, settings, engine.info.device))
    loop = UntilPass(request, meter)
    with workspace(target) as folder:
        clips = _LocalClips(target, folder, runner, meter)
        try:
            while isinstance(todo := loop.next(), Remedy):
                tell(loop.attempt(todo, clips.make, clips.keep))
        except (Cancelled, KeyboardInterrupt):
            if (kept := loop.best) is None:
                raise
            stop = Stop("cancelled", f"cancelled during attempt {len(loop.attempts) + 1}")
            clips.deliver(attempts_json(budget, loop.attempts, stop))
            raise Cancelled(
                f"{stop.words}; the best of those before is kept in {target.clip}: "
                f"attempt {kept.number}, which "
                + (f"fails {', '.join(kept.failed)}" if kept.failed else "passed")
            ) from None
        chosen = loop.best
        if chosen is None:  # the loop runs at least once and raises where it has nothing
            raise AssertionError
        return UntilPassResult(
            result=clips.deliver(attempts_json(budget, loop.attempts, todo)),
            passed=not chosen.failed,
            stopped=todo.words,
            chosen=chosen.number,
            attempts=tuple(loop.attempts),
            seconds=meter.elapsed(),
        )


class _LocalClips:
    """Clips of the attempts, each in a folder of its own until the best one is published."""

    def __init__(self, target: Target, folder: Path, runner: Runner, meter: BudgetMeter) -> None:
        self._target, self._folder = target, folder
        self._runner, self._meter = runner, meter
        self._reports: dict[int, Report] = {}
        self._best = 0

    def make(self, request: Request, number: int) -> Verification:
        """Make a clip."""
        job = self._runner.job(request)
        job.observe = self._meter.observer(job.observe)
        job.check()
        place = self._folder / str(number)
        place.mkdir()
        with lend_reader() as reader:
            report = job.render(place, self._target, reader)
        job.observe(Progress("store", 1, 1, "item"))
        remember(request, report_json(report), self._runner.settings)
        self._reports[number] = report
        return report.verification

    def keep(self, number: int) -> None:
        """Note which clip is the best so far."""
        self._best = number

    def deliver(self, attempts: Mapping[str, Any]) -> Result:
        """Publish the best clip, with all attempts in its report."""
        report, place = self._reports[self._best], self._folder / str(self._best)
        body = {**report_json(report), "gate": attempts}
        (place / COMPANIONS["report"]).write_text(to_json(body), "utf-8")
        publish(place, self._target)
        return result_at(self._target, report)
