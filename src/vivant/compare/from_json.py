"""Findings and page of a comparison that a service keeps, given as plain values.

Runs in a process of its own (:mod:`vivant.api.comparison.worker`), so that the process that
answers clients does not load SciPy and the checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vivant.compare.clips import ComparedClip, Comparison, Failure, InputPicture
from vivant.compare.exports import as_json
from vivant.compare.findings import Findings, evaluate
from vivant.compare.page import ClipsLocation, render
from vivant.compare.plan_file import restore_plan


@dataclass(frozen=True, slots=True)
class RemoteClip:
    """A clip that is fetched from elsewhere, see :class:`vivant.compare.clips.ClipFile`."""

    link: str
    size: int
    sha256: str
    there: bool


def findings_json(told: Mapping[str, Any]) -> dict[str, Any]:
    """``compare.json``'s findings.

    Args:
        told: ``plan``, ``pictures``, ``clips`` and ``failures`` as
            :class:`vivant.service.comparisons.Kept` and ``Gathered`` have them, one clip at
            least, each with its ``link`` and whether it is ``there``; ``earlier`` evidence; and
            ``final``: no clip is still being made.
    """
    comparison, findings = _found(told)
    body = as_json(comparison, findings, ())
    return {
        "final": told["final"],
        "pairs_planned": findings.planned,
        **{name: body[name] for name in ("look", "recommendations", "scores", "spending")},
    }


def page(told: Mapping[str, Any], mark: str, home: ClipsLocation) -> str:
    """The page, with ``mark`` + key + ``mark`` where a clip's base64 belongs.

    Args:
        told: as for :func:`findings_json`.
        mark: a text that occurs nowhere else on the page.
        home: where the clips are.
    """
    comparison, findings = _found(told)
    return render(comparison, findings, home=home, embed=lambda cell: f"{mark}{cell.key}{mark}")


def _found(told: Mapping[str, Any]) -> tuple[Comparison, Findings]:
    comparison = Comparison(
        restore_plan(told["plan"]),
        tuple(InputPicture(one["name"], one["sha256"], b"") for one in told["pictures"]),
        failures=[Failure(**one) for one in told["failures"]],
    )
    for clip in told["clips"]:
        comparison.cells[clip["variant"], clip["picture"], clip["seed"]] = ComparedClip(
            clip["variant"],
            clip["picture"],
            clip["seed"],
            clip["key"],
            RemoteClip(clip["link"], clip["size"], clip["sha256"], clip["there"]),
            clip["report"],
        )
    return comparison, evaluate(comparison, told["earlier"], final=told["final"])
