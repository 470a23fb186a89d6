"""Make clips on this machine until one passes. Knows neither what helps nor what is best."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from vivant.checks import keep_workers
from vivant.errors import Cancelled, OptionError, OutputError, VivantError
from vivant.pipeline import run
from vivant.report import report_json, to_json
from vivant.runs.attempts import Attempt, Stop, as_json, best, following
from vivant.runs.budget import Budget, Meter, SpentError
from vivant.runs.remedies import Remedy
from vivant.runs.timing_history import expected, remember
from vivant.settings import Settings
from vivant.types import Engine, Observer, Request, Result, Upscaler
from vivant.video.files import COMPANIONS, Target, check_target, publish


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
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
    *,
    engine: Engine,
    upscaler: Upscaler,
    settings: Settings,
    observe: Observer,
    tell: Callable[[Attempt], None] = lambda _: None,
    currency: str | None = None,
    force: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> Gated:
    """Make clips until one passes or the budget would not cover another; deliver the best.

    The next attempt is predicted from the longest so far and not begun where it would not fit;
    one that takes longer than predicted is ended when the budget is.

    Args:
        request: the first attempt.
        output: path of the MP4; appears once, with the best clip.
        budget: of all attempts together.
        engine: stays loaded between the attempts.
        upscaler: of all attempts.
        settings: limits and prices.
        observe: called after every unit of work; may raise ``Cancelled``.
        tell: called after every attempt.
        currency: of the bills.
        force: replace existing files.
        clock: seconds, for tests.

    Raises:
        OptionError: the budget is smaller than one clip, or cannot be counted on this device.
        Cancelled: the observer said so; the best of the clips that were finished stays.
        VivantError: the first attempt failed; see :func:`vivant.pipeline.run`.
    """
    target = check_target(output, force=force)
    meter = Meter(budget, lambda: engine.info.device, settings, clock)
    meter.check_first(expected(request, settings, engine.info.device))
    attempts: list[Attempt] = []
    results: dict[int, Result] = {}
    folder = _scratch(target)

    def make(remedy: Remedy, why: tuple[str, ...]) -> None:
        number = len(attempts) + 1
        begun = meter.elapsed()
        place = folder / str(number)
        place.mkdir()
        result: Result | None = None
        trouble = ""
        try:
            result = run(
                remedy.request,
                place / target.clip.name,
                engine=engine,
                upscaler=upscaler,
                settings=settings,
                observe=meter.watched(observe),
                currency=currency,
            )
        except SpentError:
            if not results:
                raise OptionError(
                    f"budget {budget} ended before the first clip was finished: nothing was "
                    "written; give more, or a shorter clip",
                    param="budget",
                ) from None
        except Cancelled:
            raise
        except VivantError as error:
            if not results:
                raise
            trouble = error.message  # the best clip so far is still worth delivering
        took = meter.elapsed() - begun
        attempts.append(
            Attempt.of(
                number,
                remedy,
                why,
                verdict=result.verdict if result else None,
                scores=result.report.verification.scores if result else (),
                seconds=took,
                usd=meter.usd(took),
                trouble=trouble,
            )
        )
        if result is not None:
            results[number] = result
            remember(remedy.request, report_json(result.report), settings)
        tell(attempts[-1])

    try:
        try:
            while isinstance(todo := following(request, attempts, meter), Remedy):
                make(todo, attempts[-1].failed if attempts else ())
        except (Cancelled, KeyboardInterrupt):
            if (kept := best(attempts)) is None:
                raise
            stop = Stop("cancelled", f"cancelled during attempt {len(attempts) + 1}")
            _deliver(results[kept.number], target, attempts, stop, budget)
            raise Cancelled(
                f"{stop.words}; the best of those before is kept in {target.clip}: "
                f"attempt {kept.number}, which "
                + (f"fails {', '.join(kept.failed)}" if kept.failed else "passed")
            ) from None
        chosen = best(attempts)
        if chosen is None:  # the loop runs at least once and raises where it has nothing
            raise AssertionError
        return Gated(
            result=_deliver(results[chosen.number], target, attempts, todo, budget),
            passed=not chosen.failed,
            stopped=todo.words,
            chosen=chosen.number,
            attempts=tuple(attempts),
            seconds=meter.elapsed(),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _scratch(target: Target) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=".vivant-", dir=target.clip.parent))
    except OSError as error:
        raise OutputError(
            f"cannot write in {target.clip.parent}: {error.strerror}; choose another place with -o"
        ) from error


def _deliver(
    result: Result, target: Target, attempts: list[Attempt], stop: Stop, budget: Budget
) -> Result:
    """Move the best clip to the target, with the story of all attempts in its report."""
    ready = result.clip.parent / "ready"
    ready.mkdir()
    for suffix in COMPANIONS.values():
        result.clip.with_name(f"{result.clip.stem}.{suffix}").replace(ready / suffix)
    result.clip.replace(ready / "clip.mp4")
    body = {**report_json(result.report), "gate": as_json(budget, attempts, stop)}
    (ready / COMPANIONS["report"]).write_text(to_json(body), "utf-8")
    publish(ready, target)
    return replace(
        result,
        clip=target.clip,
        thumbnail=target.companion(COMPANIONS["thumbnail"]),
        contact_sheet=target.companion(COMPANIONS["contact_sheet"]),
        page=target.companion(COMPANIONS["page"]),
        report_file=target.companion(COMPANIONS["report"]),
    )
