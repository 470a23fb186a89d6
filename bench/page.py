"""From `vivant serve` to a finished clip in a real Chromium, timed as a user would.

    python bench/page.py [--out FILE]

A fresh data folder, and the page's defaults after a click at its first example: engine living, 97
frames at 1080p. Wall seconds, and what the browser was sent until the first screen stood.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from web_server import launch, serving

PATIENCE_MS = 120_000

FRAMED = re.compile("around the face|얼굴을 중심으로")


PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
SENT = """performance.getEntriesByType('navigation')
  .concat(performance.getEntriesByType('resource'))
  .filter(({ name }) => !name.includes('/examples/')).reduce((sum, e) => sum + e.transferSize, 0)"""
"""Bytes; without the clips of the examples, for which nothing waits."""


MOODS_MOVE = """(() => {
  const clips = [...document.querySelectorAll(".mood-clip video")];
  return clips.length === 4 && clips.every((v) => !v.paused && v.currentTime > 0);
})()"""
"""All four play."""


def wait_for(page: Page, truth: str) -> None:
    while not page.evaluate(truth):
        page.wait_for_timeout(10)


def another_crop(page: Page, address: str) -> dict[str, float]:
    """Seconds from another shape being chosen, and from its crop, until its moods move."""
    page.goto(address)
    page.click("#example-calm")
    wait_for(page, MOODS_MOVE)
    seen = {}
    for aspect in ("9:16", "1:1"):
        pressed = time.monotonic()
        page.check(f"input[name=aspect][value='{aspect}']")
        wait_for(page, "!document.querySelector('.mood-clip')")  # the new crop is known
        framed = time.monotonic()
        wait_for(page, MOODS_MOVE)
        seen[f"pressed_to_moods_{aspect}"] = round(time.monotonic() - pressed, 2)
        seen[f"framed_to_moods_{aspect}"] = round(time.monotonic() - framed, 2)
    return seen


def run(page: Page, address: str, began: float) -> dict[str, float]:
    """Seconds from ``began`` to each thing that the user sees."""
    seen: dict[str, float] = {}

    def note(name: str) -> None:
        seen[name] = round(time.monotonic() - began, 2)

    note("server_ready")
    page.goto(address)
    expect(page.locator("#example-calm")).to_be_visible()
    seen["first_paint"] = round(page.evaluate(PAINT) / 1000, 2)
    seen["kilobytes"] = round(page.evaluate(SENT) / 1000)
    note("examples_shown")
    page.locator("#example-calm").click()
    note("example_chosen")
    expect(page.locator("#crop-word")).to_have_text(FRAMED)
    note("framed")
    wait_for(page, MOODS_MOVE)
    note("moods_move")
    seen["framed_to_moods"] = round(seen["moods_move"] - seen["framed"], 2)
    seen["chosen_to_moods"] = round(seen["moods_move"] - seen["example_chosen"], 2)
    page.click("#go")
    pressed = time.monotonic()
    expect(page.locator("#stages li").first).to_be_visible()
    note("first_progress")
    expect(page.locator("#download")).to_be_visible()
    note("clip_shown")
    while not page.locator("#art video").evaluate("v => !v.paused && v.currentTime > 0"):
        page.wait_for_timeout(20)
    note("clip_plays")
    seen["pressed_to_clip"] = round(time.monotonic() - pressed, 2)
    expect(page.locator(".question").first).to_be_visible()
    note("checklist_shown")
    return seen


def main() -> None:
    """Two clips, the first one and one when everything is warm; then other crops."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    expect.set_options(timeout=PATIENCE_MS)
    found = []
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = launch(playwright)
        began = time.monotonic()
        with serving(Path(folder)) as address:
            for _ in range(2):
                page = browser.new_page()
                page.set_default_timeout(PATIENCE_MS)
                found.append(run(page, address, began))
                page.close()
                began = time.monotonic()
            page = browser.new_page()
            found.append(another_crop(page, address))
        browser.close()
    print(json.dumps(found, indent=2))
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
