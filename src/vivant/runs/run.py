"""Several requests on this machine: engines stay loaded, and each request has one outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vivant.engines import load_engine
from vivant.errors import Cancelled, VivantError
from vivant.pipeline import ClipJob
from vivant.report import report_json
from vivant.runs.clip_cache import cached_report
from vivant.runs.timing_history import remember
from vivant.settings import Settings
from vivant.types import Engine, Observer, Request, Result, Upscaler, ignore_progress
from vivant.upscalers import load_upscaler, upscaler_name

State = Literal["made", "cached", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one request.

    Attributes:
        report: the finished clip's ``report.json``; None where there is no clip.
        result: where the files are; None where the clip was not made now.
        error: why there is no clip.
        seconds: that were spent on it now.
    """

    report: Mapping[str, Any] | None = None
    result: Result | None = None
    error: VivantError | None = None
    seconds: float = 0.0

    @property
    def state(self) -> State:
        """``made`` now, ``cached`` from before, or ``failed``."""
        if self.report is None:
            return "failed"
        return "cached" if self.result is None else "made"

    @property
    def reason(self) -> str:
        """Why there is no clip; empty where there is one."""
        return self.error.message if self.error else ""


class Runner:
    """Makes clips one after another; engines and upscalers stay loaded between them.

    Args:
        settings: limits and prices.
        observe: called after every unit of work; may raise ``Cancelled``.
        currency: of the bills; the settings' own where None.
        engines: by name; others are loaded when a request first asks for them.
        upscalers: by name, like ``engines``.
    """

    def __init__(
        self,
        settings: Settings,
        observe: Observer = ignore_progress,
        currency: str | None = None,
        *,
        engines: Mapping[str, Engine] | None = None,
        upscalers: Mapping[str, Upscaler] | None = None,
    ) -> None:
        self.settings, self.observe, self.currency = settings, observe, currency
        self._engines, self._upscalers = dict(engines or {}), dict(upscalers or {})

    def engine(self, name: str) -> Engine:
        """The engine, loaded once.

        Raises:
            OptionError: no engine of that name.
            MissingPartError: its packages or weights are not installed.
        """
        if name not in self._engines:
            self._engines[name] = load_engine(name, self.settings)
        return self._engines[name]

    def job(self, request: Request) -> ClipJob:
        """A clip that can be made now.

        Raises:
            VivantError: its engine or upscaler cannot be loaded.
        """
        engine = self.engine(request.engine)  # first: ``auto`` looks for the engine's GPU
        name = upscaler_name(request.upscaler)  # another one for another engine where it is auto
        if name not in self._upscalers:
            self._upscalers[name] = load_upscaler(name)
        upscaler = self._upscalers[name]
        return ClipJob(request, engine, upscaler, self.settings, self.observe, self.currency)

    def run(
        self,
        request: Request,
        output: Path,
        *,
        reuse: bool = False,
        force: bool = False,
        prepare: Callable[[ClipJob], None] = lambda _: None,
    ) -> Outcome:
        """Make one clip; what goes wrong is in the outcome.

        Args:
            request: what to make.
            output: path of the MP4.
            reuse: take the clip that is there, if it was made from this picture and request.
            force: replace existing files.
            prepare: called with the job before it begins.

        Raises:
            Cancelled: the observer said so.
        """
        if reuse and (report := cached_report(output, request)) is not None:
            return Outcome(report=report)
        job: ClipJob | None = None
        try:
            job = self.job(request)
            prepare(job)
            result = job.run(output, force=force)
        except Cancelled:
            raise
        except VivantError as error:
            return Outcome(error=error, seconds=job.seconds if job else 0.0)
        report = report_json(result.report)
        remember(request, report, self.settings)
        return Outcome(report=report, result=result, seconds=result.report.seconds)
