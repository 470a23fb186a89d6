"""Flows to a frame, each computed once for all checks of one thread that ask for it."""

from __future__ import annotations

from vivant.checks.flow import Field, Flow
from vivant.checks.frame import AnalyzedFrame, Luma


def far_flow(flow: Flow, first: Luma, frame: AnalyzedFrame) -> Field:
    """Where the first frame's pixels are in ``frame``, in pixels of ``small_luma``.

    Kept in the frame's cache; ``flow`` computes it if it is not there.
    """
    if "far_flow" not in frame.cache:
        frame.cache["far_flow"] = flow.between(first, frame.small_luma)
    field: Field = frame.cache["far_flow"]
    return field


def step_flow(flow: Flow, before: AnalyzedFrame, now: AnalyzedFrame) -> Field:
    """Where the pixels of the frame before are, as :func:`far_flow`; for steps."""
    if "step_flow" not in now.cache:
        now.cache["step_flow"] = flow.between(before.small_luma, now.small_luma)
    field: Field = now.cache["step_flow"]
    return field
