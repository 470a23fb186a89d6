"""The page's colours and fonts for pages that stand alone: reports, comparisons, batches."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def report_theme() -> str:
    """Style rules: the page's own, and the names by which reports use them.

    It has no ``<``, so it may stand in a ``<style>`` element as it is.
    """
    here = files("vivant.web")
    parts = (here / "assets" / "css" / "theme.css", here / "report_theme.css")
    return "\n".join(part.read_text(encoding="utf-8") for part in parts)
