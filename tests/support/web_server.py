"""A real server and a real browser for the tests of the page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Locator, Page, Playwright, expect

from service_process import PLAIN

CHROMIUM = "VIVANT_TEST_CHROMIUM"
"""Environment variable: a Chromium to use instead of the one on the PATH."""

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
)


PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")
"""Looked for on the PATH in this order. The first is the same browser without windows and menus: it
decodes, plays and asks as the others do, and needs less processor time."""


def launch(playwright: Playwright) -> Browser:
    """The system's Chromium, or else Playwright's; its absence fails the tests, with the remedy."""
    found = (os.environ.get(CHROMIUM), *map(shutil.which, PROGRAMS))
    path = next((Path(program) for program in found if program), None)
    own = Path(playwright.chromium.executable_path)
    if path is None and not own.exists():
        raise RuntimeError(
            "no Chromium was found: apt-get install chromium-headless-shell, "
            f"playwright install chromium, or name one in {CHROMIUM}"
        )
    return playwright.chromium.launch(executable_path=path or own, args=list(ARGUMENTS))


def environment(data: Path, **settings: str) -> dict[str, str]:
    """The environment of a server that keeps everything under ``data``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VIVANT_")}
    return {
        **kept,
        "VIVANT_DATA_DIR": str(data),
        "VIVANT_CACHE_DIR": str(data / "cache"),
        **{f"VIVANT_{name.upper()}": value for name, value in settings.items()},
    }


@contextmanager
def serving(
    data: Path,
    *arguments: str,
    workers: int = 1,
    port: int = 0,
    program: Sequence[str] = ("-m", "vivant"),
    **settings: str,
) -> Iterator[str]:
    """``vivant serve`` as its users start it; yields its address once it can take work.

    Args:
        program: arguments of Python that start Vivant's command line.
    """
    log = (data / "serve.log").open("wb")
    command = [sys.executable, *program, "serve", "--port", str(port), *arguments]
    command += ["--workers", str(workers)]
    process = subprocess.Popen(
        command, env=environment(data, **settings), stdout=log, stderr=subprocess.STDOUT
    )
    try:
        yield _address(process, data / "serve.log", ready=workers > 0)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def _address(process: subprocess.Popen[bytes], log: Path, *, ready: bool) -> str:
    for _ in range(600):
        text = log.read_text("utf-8", "replace")
        found = re.search(r"^(http://\S+)$", text, re.MULTILINE)
        if process.poll() is not None:
            raise RuntimeError(f"the server ended at once:\n{text}")
        if found and _answers(f"{found[1]}/{'ready' if ready else 'health'}"):
            return found[1]
        time.sleep(0.1)
    raise RuntimeError(f"the server did not get ready in 60 s:\n{log.read_text('utf-8')}")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, verify=PLAIN).status_code == 200
    except httpx.HTTPError:
        return False


def open_more_settings(page: Page) -> None:
    """Show the settings that are folded away: engine, retries, seed and more."""
    if page.locator("details.more").get_attribute("open") is None:
        page.click("details.more summary")


PERCENT = (
    "document.querySelector('#stages li') ? document.querySelector('#percent').textContent : ''"
)
"""The big number of a run, nothing while there is none."""


def percent(page: Page) -> int:
    """The big number of a run; −1 while there is none."""
    shown: str = page.evaluate(PERCENT)
    return int(shown.strip("%")) if shown.strip("%").isdigit() else -1


def overflow(page: Page) -> int:
    """Pixels that the page is wider than the window."""
    found: int = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return found


def widths(page: Page, sizes: Sequence[int]) -> dict[int, int]:
    """Window width → horizontal overflow, where there is some."""
    found = {}
    height = (page.viewport_size or {"height": 800})["height"]
    for width in sizes:
        page.set_viewport_size({"width": width, "height": height})
        if (beyond := overflow(page)) > 0:
            found[width] = beyond
    return found


WIDTHS = (360, 390, 768, 1024, 1360, 1440, 1920)
"""Of windows, pixels: small and usual telephone, tablet upright and not, laptops, large screen."""

MISPLACED = """(themes) => {
  const root = document.documentElement;
  const all = themes.flatMap((theme) => {
    root.dataset.theme = theme;
    return look().map((problem) => `${theme}: ${problem}`);
  });
  return all;

  function look() {
    const found = new Set();
    const name = (element) => {
      const { id, className, tagName } = element;
      const own = (element.textContent ?? "").trim().slice(0, 30);
      return `${tagName.toLowerCase()}${id ? "#" + id : ""}.${className} “${own}”`;
    };
    const beyond = document.documentElement.scrollWidth - innerWidth;
    if (beyond > 0) found.add(`the page is ${beyond} px too wide`);
    // what an element is cut by; scrolls: it may be moved or shortened, so that it hides nothing
    const cutters = new Map([[document.body, { scrolls: false, by: [] }]]);
    const cutter = (element) => {
      const known = cutters.get(element);
      if (known) return known;
      const { overflowX, overflowY, textOverflow } = getComputedStyle(element);
      const above = cutter(element.parentElement);
      const scrolls = /auto|scroll/.test(overflowX + overflowY) || textOverflow === "ellipsis";
      const hides = overflowX === "hidden" || overflowY === "hidden";
      const by = scrolls ? [] : hides ? [...above.by, element] : above.by;
      const own = { scrolls: scrolls || above.scrolls, by };
      cutters.set(element, own);
      return own;
    };
    const texts = [];
    const range = document.createRange();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode;
      const element = node.parentElement;
      if (!node.data.trim() || element.closest("script, style, noscript, .unseen, .skip, option")) {
        continue;
      }
      if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
      if (/\\b(null|undefined|NaN)\\b/.test(node.data)) found.add(`${name(element)} is no text`);
      range.selectNodeContents(node);
      const { scrolls, by } = cutter(element);
      const floats = element.closest(".action-bar, .banner, dialog");
      for (const box of range.getClientRects()) {
        if (box.width < 1 || box.height < 1) continue;
        for (const one of by) {
          const area = one.getBoundingClientRect();
          const out = Math.max(area.left - box.left, box.right - area.right, area.top - box.top,
            box.bottom - area.bottom);
          if (out > 2) found.add(`${name(element)} is cut by ${name(one)}`);
        }
        if (!scrolls && !floats) texts.push([element, box]);
      }
    }
    texts.sort((one, other) => one[1].top - other[1].top);
    for (let i = 0; i < texts.length; i++) {
      const [one, a] = texts[i];
      for (let j = i + 1; j < texts.length && texts[j][1].top < a.bottom - 3; j++) {
        const [other, b] = texts[j];
        if (one === other || one.contains(other) || other.contains(one)) continue;
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 2 && down > 5) found.add(`${name(one)} lies on ${name(other)}`);
      }
    }
    return [...found];
  }
}"""
"""What is cut, hidden, too wide, on top of another text, or no text; the last theme stays set."""


def flawless(
    page: Page,
    state: str,
    *,
    prepare: Callable[[], object] = lambda: None,
    switch: str = "#language",
    axe: bool = True,
    before_axe: Callable[[], object] = lambda: None,
) -> None:
    """Nothing is cut, hidden or too wide, in both languages and themes at every width; axe agrees.

    Axe looks at each language and at each theme once.

    Args:
        prepare: called after the language was changed, for example to unfold what should be seen.
        switch: what changes the language when it is clicked; the page is left in its own.
        axe: whether axe looks at it, after ``before_axe``.
    """
    before = page.viewport_size or {"width": 1280, "height": 800}
    for themes in (["dark", "light"], ["light", "dark"]):
        page.locator(switch).evaluate("button => button.click()")  # a dialog may lie over it
        prepare()
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": before["height"]})
            wrong = page.evaluate(MISPLACED, themes)
            assert not wrong, f"{state}, {language(page)}, {width} px: {wrong}"
        page.set_viewport_size(before)
        if axe:
            before_axe()
            accessible(page, f"{state}, {language(page)}, {themes[-1]}")
    page.evaluate("delete document.documentElement.dataset.theme")


def language(page: Page) -> str:
    """Of the page: ``en`` or ``ko``."""
    found: str = page.evaluate(
        "document.documentElement.dataset.lang ?? document.documentElement.lang"
    )
    return found


def accessible(page: Page, state: str) -> None:
    """Axe finds nothing, in the language and theme that are shown."""
    if page.evaluate("typeof axe") == "undefined":  # half a megabyte, once for each document
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate(
        "axe.run({ resultTypes: ['violations'] }).then((result) => result.violations)"
    )
    assert not found, f"{state}: {[(f['id'], [n['target'] for n in f['nodes']]) for f in found]}"


def seen(found: Locator) -> bool:
    """Whether all four corners are in the window, with nothing over them."""
    corners: bool = found.evaluate(
        """(element) => {
          const { left, top, right, bottom } = element.getBoundingClientRect();
          const corners = [left + 3, right - 3].flatMap((x) => [[x, top + 3], [x, bottom - 3]]);
          return corners.every(([x, y]) => element.contains(document.elementFromPoint(x, y)));
        }"""
    )
    return corners


def told(page: Page, words: str, place: str) -> None:
    """The form's error has these words, is in view at its place, and has the focus."""
    error = page.locator("#form-error")
    expect(error).to_have_text(re.compile(words))
    expect(error).to_be_focused()
    assert page.locator(f"{place} #form-error").count() == 1
    assert seen(error), words


def until(what: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something outside of what ``expect`` can see."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def send(server: str, picture: Path, **fields: str) -> str:
    """A slow job of somebody else, unless ``fields`` say something else; returns its id."""
    fields = {"size": "160x90", "num_frames": "9", "model": "fake", **fields}
    slow = {"options[steps]": "60", "options[step_seconds]": "0.15"}
    answer = httpx.post(
        f"{server}/v1/videos",
        data={**(slow if fields["model"] == "fake" else {}), **fields},
        files={"input_reference": (picture.name, picture.read_bytes())},
    )
    answer.raise_for_status()
    return str(answer.json()["id"])
