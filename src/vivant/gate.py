"""Try again until the clip passes: the remedy that fits what failed, within a budget.

Knows what each engine's options are good for, and nothing of how a clip is made or a check
computed. A clip passes where no check fails; warnings are for people.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vivant.cost import EXCHANGE, SYMBOLS, bill, money, no_rate
from vivant.errors import Cancelled, OptionError, OutputError, VivantError
from vivant.pace import device, expected, remember
from vivant.pipeline import run
from vivant.report import report_json, to_json
from vivant.settings import Settings
from vivant.store import COMPANIONS, Target, check_target, publish
from vivant.types import Engine, Observer, Progress, Request, Result, Score, Upscaler, Verdict

MARGIN = 1.1
"""The next attempt is counted this much longer than the longest one: an end anchor adds 10 %."""

MOST_ATTEMPTS = 12
"""However large the budget: who failed so often has another problem."""

IDENTITY = (
    "identity_mean",
    "identity_min",
    "identity_first_last",
    "identity_first_frame",
    "identity_drift",
    "face_presence",
)
SHAPE = ("face_deformation", "face_stretch", "face_wobble", "face_jitter", "global_jelly")
TEXTURE = ("plastic_skin", "cartoon")
SHARPNESS = ("sharpness", "face_sharpness", "detail", "sharpness_end")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What all attempts together may take; one of the two.

    Attributes:
        seconds: wall time.
        amount: in ``currency``.
    """

    seconds: float | None = None
    amount: float | None = None
    currency: str = "KRW"

    @classmethod
    def parse(cls, text: str) -> Budget:
        """``"120s"``, ``"₩100"``, ``"100 KRW"``, ``"$0.10"``.

        Raises:
            OptionError: neither seconds nor money, or not above zero.
        """
        plain = text.strip().replace(",", "").replace("원", "KRW")
        for code, symbol in SYMBOLS.items():
            plain = plain.replace(symbol, code)
        found = re.fullmatch(
            r"(?P<before>[A-Za-z]{3})?\s*(?P<number>\d+\.?\d*|\.\d+)\s*(?P<after>[A-Za-z]{1,3})?",
            plain,
        )
        unit = (found["before"] or found["after"] or "") if found else ""
        both = bool(found and found["before"] and found["after"])
        value = float(found["number"]) if found else 0.0
        if not found or both or value <= 0 or not (unit.lower() == "s" or len(unit) == 3):
            raise OptionError(
                f"budget {text!r} is neither seconds nor money: write 120s, ₩100 or $0.10",
                param="budget",
            )
        if unit.lower() == "s":
            return cls(seconds=value)
        return cls(amount=value, currency=unit.upper())

    def __str__(self) -> str:
        if self.seconds is not None:
            return f"{self.seconds:g} s"
        return money(self.amount or 0.0, self.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One clip that was tried.

    Attributes:
        remedy: what was changed since the attempt it followed; empty for the first.
        why: the failed checks that asked for it.
        verdict: None where it was not finished: the budget ended, or it failed.
        failed: names of the checks that failed.
        usd: None where the device has no rate.
    """

    number: int
    remedy: str
    why: tuple[str, ...]
    seed: int
    options: Mapping[str, Any]
    verdict: Verdict | None
    failed: tuple[str, ...]
    seconds: float
    usd: float | None


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


@dataclass(frozen=True, slots=True)
class Remedy:
    """A changed request and the words for what was changed."""

    words: str
    request: Request


class _Spent(Exception):  # noqa: N818 - a state
    """The budget ended in the middle of an attempt."""


def remedies(request: Request, failed: tuple[str, ...]) -> list[Remedy]:
    """What could help against ``failed``, best first; empty where nothing can.

    Another seed is always last: it costs the same and promises the least.
    """
    curable = [name for name in failed if _curable(name)]
    if not curable:
        return []
    changes = _camera if request.engine == "camera" else _generative
    found = [
        Remedy(words, replace(request, options={**request.options, **options}))
        for words, options in changes(dict(request.options), frozenset(curable))
    ]
    return [*found, Remedy("another seed", replace(request, seed=request.seed + 1))]


def _curable(name: str) -> bool:
    """Whether another clip could do better: sizes, codecs, times and prices stay what they are."""
    return name not in {
        "size", "fps", "num_frames", "codec", "pixel_format", "color_tags", "faststart",
        "edit_list", "gop", "bit_rate", "seconds", "cost",
    }  # fmt: skip


def _generative(
    options: dict[str, Any], failed: frozenset[str]
) -> list[tuple[str, dict[str, Any]]]:
    """Changes of LTX-2's options, the person first."""
    found: list[tuple[str, dict[str, Any]]] = []

    def number(name: str, default: float) -> float:
        try:
            return float(options.get(name, default))
        except (TypeError, ValueError):
            return default

    if failed & {*IDENTITY}:
        if number("image_strength", 1.0) < 1.0:
            found.append(("the first frame pinned to the picture", {"image_strength": 1.0}))
        # strengths of a keyframe that anchors without freezing: about .5 to .8
        found += [
            (f"the picture as last frame, strength {anchor:g}", {"end_anchor": anchor})
            for anchor in (0.5, 0.8)
            if number("end_anchor", 0.0) < anchor
        ]
    if "motion" in failed:
        if number("end_anchor", 0.0) > 0.5:
            found.append(("a weaker end anchor", {"end_anchor": 0.5}))
        speed = number("motion_speed", 1.0)
        if speed < 2:
            found.append(("more motion", {"motion_speed": round(speed * 1.5, 3)}))
    # before NAG: a soft clip fails the texture checks as well
    if failed & {*SHARPNESS} and number("image_crf", 33) > 18:
        found.append(("the picture shown less compressed", {"image_crf": 18}))
    if failed & {*TEXTURE, *SHAPE} and not options.get("nag", "nag_scale" in options):
        found.append(("the negative prompt by NAG", {"nag": True}))
    if failed & {*TEXTURE} and number("nag_scale", 5.0) < 11 and options.get("nag"):
        # 11 is the setting of KJNodes for LTX-2, 5 the NAG authors' own
        found.append(("a stronger negative prompt", {"nag_scale": 11.0}))
    return found


def _camera(options: dict[str, Any], failed: frozenset[str]) -> list[tuple[str, dict[str, Any]]]:
    """Changes of the camera engine's options."""
    found: list[tuple[str, dict[str, Any]]] = []
    strength = float(options.get("strength", 1.0))
    if "motion" in failed and strength < 2:
        found.append(("a longer way for the camera", {"strength": min(2.0, strength * 1.6)}))
    if failed & {*SHARPNESS} and float(options.get("scale", 1.0)) < 1:
        found.append(("drawn at full size", {"scale": 1.0}))
    if failed & {*SHARPNESS, *IDENTITY, "motion_speed"} and strength > 0.4:
        found.append(("a shorter way for the camera", {"strength": max(0.25, strength * 0.6)}))
    if failed & {*SHAPE, *IDENTITY, "seams"} and options.get("parallax", 0.012):
        found.append(("no parallax", {"parallax": 0.0}))
    return found


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
        VivantError: the first attempt failed; see :func:`vivant.pipeline.run`.
    """
    target = check_target(output, force=force)
    meter = _Meter(budget, engine, settings, clock)
    meter.check_first(request)
    attempts: list[Attempt] = []
    best: tuple[tuple[int, int, int], Result, int] | None = None
    tried = {_key(request)}
    todo: Remedy | None = Remedy("", request)
    why: tuple[str, ...] = ()
    stopped = ""
    folder = Path(_scratch(target))
    try:
        while todo is not None:
            number = len(attempts) + 1
            begun = meter.elapsed()
            place = folder / str(number)
            place.mkdir()
            result: Result | None = None
            trouble = ""
            try:
                result = run(
                    todo.request,
                    place / target.clip.name,
                    engine=engine,
                    upscaler=upscaler,
                    settings=settings,
                    observe=meter.watched(observe),
                    currency=currency,
                )
            except _Spent:
                if best is None:
                    raise OptionError(
                        f"budget {budget} ended before the first clip was finished: nothing was "
                        "written; give more, or a shorter clip",
                        param="budget",
                    ) from None
            except Cancelled:
                raise
            except VivantError as error:
                if best is None:
                    raise
                trouble = error.message  # the best clip so far is still worth delivering
            took = meter.elapsed() - begun
            failed = _failed(result) if result else ()
            attempts.append(
                Attempt(
                    number=number,
                    remedy=todo.words,
                    why=why,
                    seed=todo.request.seed,
                    options=dict(todo.request.options),
                    verdict=result.verdict if result else None,
                    failed=failed,
                    seconds=took,
                    usd=meter.usd(took),
                )
            )
            tell(attempts[-1])
            if result is None:
                stopped = (
                    f"attempt {number} could not be made: {trouble}"
                    if trouble
                    else f"the budget of {budget} ended during attempt {number}"
                )
                break
            remember(todo.request, report_json(result.report), settings)
            rank = _rank(result.report.verification.scores)
            if best is None or rank < best[0]:
                best = (rank, result, number)
            if not failed:
                stopped = "it passed"
                break
            why = failed
            todo, stopped = _next(todo.request, failed, tried, attempts, meter)
        if best is None:  # the loop runs at least once and raises where it has nothing
            raise AssertionError
        _, result, chosen = best
        gated = Gated(
            result=_deliver(result, target, attempts, chosen, stopped, budget),
            passed=not _failed(result),
            stopped=stopped,
            chosen=chosen,
            attempts=tuple(attempts),
            seconds=meter.elapsed(),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return gated


def _next(
    request: Request,
    failed: tuple[str, ...],
    tried: set[str],
    attempts: list[Attempt],
    meter: _Meter,
) -> tuple[Remedy | None, str]:
    """What to try next, or why nothing more is tried."""
    if len(attempts) >= MOST_ATTEMPTS:
        return None, f"{MOST_ATTEMPTS} attempts are enough"
    offers = [r for r in remedies(request, failed) if _key(r.request) not in tried]
    if not offers:
        return None, f"no remedy is known for {', '.join(failed)}"
    predicted = MARGIN * max(attempt.seconds for attempt in attempts)
    if not meter.covers(predicted):
        return None, (
            f"another attempt takes about {predicted:.0f} s, more than is left of {meter.budget}"
        )
    tried.add(_key(offers[0].request))
    return offers[0], ""


class _Meter:
    """Counts what was spent."""

    def __init__(
        self, budget: Budget, engine: Engine, settings: Settings, clock: Callable[[], float]
    ) -> None:
        self.budget, self._engine, self._settings, self._clock = budget, engine, settings, clock
        self._started = clock()
        if budget.amount is not None:
            known = {**EXCHANGE, **settings.exchange}
            if budget.currency not in known:
                raise OptionError(
                    f"no exchange rate for {budget.currency!r} (known: {', '.join(sorted(known))})",
                    param="budget",
                )
            if self.usd(1.0) is None:
                raise OptionError(
                    f"{no_rate(self._device())}; or give the budget in seconds", param="budget"
                )

    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._started

    def _device(self) -> str:
        # before its first clip an engine may not know; what it last ran on is remembered
        name = self._engine.info.name
        return self._settings.device or device(name, self._settings) or self._engine.info.device

    def usd(self, seconds: float) -> float | None:
        """US dollars of ``seconds``; None where the device has no rate."""
        found = bill(
            self._device(),
            seconds,
            currency="USD",
            rates=self._settings.rates,
            exchange=self._settings.exchange,
        )
        return found.usd if found else None

    def covers(self, more: float) -> bool:
        """Whether ``more`` seconds still fit."""
        seconds = self.elapsed() + more
        if self.budget.seconds is not None:
            return seconds <= self.budget.seconds
        usd = self.usd(seconds)
        rate = {**EXCHANGE, **self._settings.exchange}[self.budget.currency]
        return usd is not None and usd * rate <= (self.budget.amount or 0.0)

    def check_first(self, request: Request) -> None:
        """Refuse a budget that one clip like those made here before would not fit in."""
        likely = expected(request, self._settings)
        if likely is not None and not self.covers(likely):
            usd = self.usd(likely)
            cost = ""
            if usd is not None and self.budget.amount is not None:
                rate = {**EXCHANGE, **self._settings.exchange}[self.budget.currency]
                cost = f", {money(usd * rate, self.budget.currency)}"
            raise OptionError(
                f"budget {self.budget} is smaller than one clip (about {likely:.0f} s{cost} on "
                "this machine): give more, or a shorter clip",
                param="budget",
            )

    def watched(self, observe: Observer) -> Observer:
        """``observe``, ending the attempt when the budget ends."""

        def look(progress: Progress) -> None:
            observe(progress)
            if progress.stage != "store" and not self.covers(0.0):
                raise _Spent

        return look


def _failed(result: Result) -> tuple[str, ...]:
    return tuple(s.name for s in result.report.verification.scores if s.verdict == "fail")


def _rank(scores: tuple[Score, ...]) -> tuple[int, int, int]:
    """Smaller is better: failed fidelity checks, failed checks, warnings."""
    failed = [score for score in scores if score.verdict == "fail"]
    return (
        sum(score.group == "fidelity" for score in failed),
        len(failed),
        sum(score.verdict == "warn" for score in scores),
    )


def _key(request: Request) -> str:
    return json.dumps([request.seed, dict(request.options)], sort_keys=True, default=str)


def _scratch(target: Target) -> str:
    try:
        return tempfile.mkdtemp(prefix=".vivant-", dir=target.clip.parent)
    except OSError as error:
        raise OutputError(
            f"cannot write in {target.clip.parent}: {error.strerror}; choose another place with -o"
        ) from error


def _deliver(
    result: Result,
    target: Target,
    attempts: list[Attempt],
    chosen: int,
    stopped: str,
    budget: Budget,
) -> Result:
    """Move the best clip to the target, with the story of all attempts in its report."""
    ready = result.clip.parent / "ready"
    ready.mkdir()
    for suffix in COMPANIONS.values():
        result.clip.with_name(f"{result.clip.stem}.{suffix}").replace(ready / suffix)
    result.clip.replace(ready / "clip.mp4")
    body = {
        **report_json(result.report),
        "gate": {
            "budget": str(budget),
            "chosen": chosen,
            "stopped": stopped,
            "attempts": [
                {**{f: getattr(a, f) for f in a.__dataclass_fields__}, "failed": list(a.failed)}
                for a in attempts
            ],
        },
    }
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
