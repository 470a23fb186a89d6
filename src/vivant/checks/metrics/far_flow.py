"""The flow from the first frame to a later one, computed once for all checks that ask for it."""

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
