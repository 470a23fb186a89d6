"""A real server and a real browser for the tests of the page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, Playwright

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


def launch(playwright: Playwright) -> Browser:
    """Debian's Chromium; its absence fails the tests, with the remedy."""
    path = os.environ.get(CHROMIUM) or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise RuntimeError(
            f"no Chromium was found: apt-get install chromium, or name one in {CHROMIUM}"
        )
    return playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))


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
    data: Path, *arguments: str, workers: int = 1, port: int = 0, **settings: str
) -> Iterator[str]:
    """``vivant serve`` as its users start it; yields its address once it can take work."""
    log = (data / "serve.log").open("wb")
    command = [sys.executable, "-m", "vivant", "serve", "--port", str(port), *arguments]
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
        found = re.search(r"Vivant is at (http://\S+)", text)
        if process.poll() is not None:
            raise RuntimeError(f"the server ended at once:\n{text}")
        if found and _answers(f"{found[1]}/{'ready' if ready else 'health'}"):
            return found[1]
        time.sleep(0.1)
    raise RuntimeError(f"the server did not get ready in 60 s:\n{log.read_text('utf-8')}")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def open_more_settings(page: Page) -> None:
    """Show the settings that are folded away: engine, retries, seed and more."""
    if page.locator("details.more").get_attribute("open") is None:
        page.click("details.more summary")


def percent(page: Page) -> int:
    """The big number of a run; −1 while there is none."""
    shown: str = page.evaluate(
        "document.querySelector('#stages li') ? document.querySelector('#percent').textContent : ''"
    )
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


WIDTHS = (360, 390, 768, 1360, 1920)
"""Of windows, pixels: small and usual telephone, tablet, laptop, large screen."""

MISPLACED = """() => {
  const found = [];
  const name = (element) => {
    const { id, className, tagName } = element;
    const own = (element.textContent ?? "").trim().slice(0, 30);
    return `${tagName.toLowerCase()}${id ? "#" + id : ""}.${className} “${own}”`;
  };
  const beyond = document.documentElement.scrollWidth - innerWidth;
  if (beyond > 0) found.push(`the page is ${beyond} px too wide`);
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const element = node.parentElement;
    const unread = "script, style, noscript, .unseen, .skip, option";
    if (!node.data.trim() || element.closest(unread)) continue;
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width < 1 || box.height < 1) continue;
      let inside = true;
      for (let up = element; up && up !== document.body; up = up.parentElement) {
        const { overflowX, overflowY, textOverflow } = getComputedStyle(up);
        const area = up.getBoundingClientRect();
        if (/auto|scroll/.test(overflowX + overflowY)) { inside = false; break; }
        if (textOverflow === "ellipsis") { inside = false; break; }
        if (overflowX !== "hidden" && overflowY !== "hidden") continue;
        const out = Math.max(area.left - box.left, box.right - area.right, area.top - box.top,
          box.bottom - area.bottom);
        if (out > 2) found.push(`${name(element)} is cut by ${name(up)}`);
      }
      if (inside && !element.closest(".action-bar, .banner, dialog")) texts.push([element, box]);
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
      if (across > 2 && down > 5) found.push(`${name(one)} lies on ${name(other)}`);
    }
  }
  return [...new Set(found)];
}"""


def misplaced(page: Page, sizes: Sequence[int] = WIDTHS) -> dict[int, list[str]]:
    """Window width → what is too wide, cut, or on top of another text there; nothing is good."""
    found = {}
    before = page.viewport_size or {"width": 1280, "height": 800}
    for width in sizes:
        page.set_viewport_size({"width": width, "height": before["height"]})
        if wrong := page.evaluate(MISPLACED):
            found[width] = wrong
    page.set_viewport_size(before)
    return found
