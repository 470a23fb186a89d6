"""How the page looks in each state: nothing cut, hidden or too wide, and no barrier.

Each state is looked at in both languages and themes, at seven widths.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from web_server import flawless, open_more_settings, send, until

SMALL = "?size=320x180&num_frames=17&until_pass=false"

LONG = {"options[steps]": "2000", "options[step_seconds]": "0.1"}
"""The fake engine works until it is cancelled."""


MOST_BYTES = 250_000
"""Of the first screen, over the wire, without the looping clips of the examples."""


WHITE = "rgb(255, 255, 255)"


@pytest.fixture(scope="module")
def faceless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "plain.png"
    Image.linear_gradient("L").resize((640, 360)).save(path)
    return path


def bytes_of(browser: Browser, address: str, cards: int) -> int:
    """What a first visit loads until nothing more comes, with so many cards in the gallery."""
    context = browser.new_context()
    page = context.new_page()
    sizes: list[int] = []
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    clips: set[str] = set()

    def asked(event: dict[str, Any]) -> None:
        if event["request"]["url"].endswith(".mp4"):
            clips.add(event["requestId"])

    def came(event: dict[str, Any]) -> None:
        if event["requestId"] not in clips:
            sizes.append(event["encodedDataLength"])

    wire.on("Network.requestWillBeSent", asked)
    wire.on("Network.loadingFinished", came)
    page.goto(address)
    expect(page.locator(".example video")).to_have_count(3)
    expect(page.locator(".piece .thumb img")).to_have_count(cards)
    page.wait_for_load_state("networkidle")
    loaded = "all => all.every((image) => image.complete && image.naturalWidth)"
    until(lambda: page.locator(".piece .thumb img").evaluate_all(loaded))
    context.close()
    return round(sum(sizes))


def test_the_first_screen_is_small_whatever_was_made_before(
    browser: Browser, page_server: str, portrait: Path
) -> None:
    fields = {"size": "640x360", "num_frames": "1", "options[steps]": "0"}
    for cards in range(1, 7):
        ended(page_server, send(page_server, portrait, **fields))
        if cards in (1, 6):
            sent = bytes_of(browser, page_server, cards)
            assert 100_000 < sent <= MOST_BYTES


@pytest.fixture(scope="module")
def jobs(page_server: str, portrait: Path) -> Iterator[dict[str, str]]:
    """What is looked at → its id: a clip, one that did not pass, one that was not made."""
    wanted = {
        "done": {"model": "camera", "size": "320x180", "num_frames": "17"},
        "tall": {"model": "camera", "size": "180x320", "num_frames": "5"},
        "missed": {
            "size": "480x270", "num_frames": "7", "seed": "2", "options[steps]": "0",
            "options[flaw]": "unlucky", "options[chunk]": "9",
        },
        "error": {"options[fail_at_step]": "0"},
        "look": {
            "size": "160x90", "num_frames": "5", "fps": "120", "options[steps]": "0",
            "options[shift]": "20",
        },
    }  # fmt: skip
    made = {}
    for name, fields in wanted.items():
        made[name] = send(page_server, portrait, **fields)
        ended(page_server, made[name])
    for name, verdict in (("missed", "fail"), ("look", "warn")):
        assert httpx.get(f"{page_server}/v1/videos/{made[name]}").json()["verdict"] == verdict
    yield made
    for job in httpx.get(f"{page_server}/v1/videos").json()["data"]:
        httpx.delete(f"{page_server}/v1/videos/{job['id']}").raise_for_status()


def ended(server: str, job: str) -> None:
    address = f"{server}/v1/videos/{job}"
    until(lambda: httpx.get(address).json()["status"] in ("completed", "failed"))


@pytest.fixture(scope="module")
def page(browser: Browser, page_server: str, jobs: dict[str, str]) -> Iterator[Page]:
    """One page for all states, in Korean at first."""
    complaints: list[str] = []
    context = browser.new_context(locale="ko-KR", reduced_motion="reduce")
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{page_server}/{SMALL}")
    expect(page.locator("#connect-word")).to_have_text("연결됨")
    expect(page.locator(".example img")).to_have_count(3)
    yield page
    context.close()
    assert not complaints


def show(page: Page, name: str = "") -> None:
    """Open what has this id; nothing: a new clip."""
    page.evaluate("id => { location.hash = id }", name)


def unfold(page: Page) -> None:
    """Everything of the checklist is to be seen."""
    expect(page.locator(".question").first).to_be_attached()
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")


def fold_most(page: Page) -> None:
    """One answer of each kind stays unfolded: the contrast of hundreds of numbers takes seconds."""
    page.evaluate(
        """() => {
          for (const one of document.querySelectorAll(".question details")) one.open = false;
          for (const verdict of ["pass", "warn", "fail"]) {
            const one = document.querySelector(`.question[data-verdict=${verdict}] details`);
            if (one) one.open = true;
          }
        }"""
    )


def test_a_new_clip(page: Page, portrait: Path, faceless: Path) -> None:
    show(page)
    flawless(page, "empty")
    page.click("#go")
    flawless(page, "no picture")
    error = page.locator("#form-error")
    for words in ("Choose a picture first.", "먼저 사진을 골라 주세요."):
        page.click("#language")
        expect(error).to_have_text(words)
    page.set_input_files("#file", faceless)
    expect(page.locator("#crop-word")).to_contain_text("얼굴을 찾지 못해")
    assert page.locator(".plaque .notes").count() == 0, "it is said once, and beside the button"
    flawless(page, "no face")
    page.set_input_files("#file", portrait)
    expect(page.locator("#crop-word")).to_contain_text("얼굴")
    flawless(page, "chosen", prepare=lambda: open_more_settings(page))


def test_the_connection(page: Page) -> None:
    def reopen() -> None:
        page.keyboard.press("Escape")
        page.click("#connect")

    show(page)
    flawless(page, "connection", prepare=reopen)
    page.keyboard.press("Escape")


def test_a_clip_that_is_made(page: Page, page_server: str, portrait: Path) -> None:
    running = send(page_server, portrait, **LONG)
    show(page, running)
    expect(page.locator("#stages li").first).to_be_visible()
    flawless(page, "running")
    # another one waits behind it
    waiting = send(page_server, portrait, **LONG)
    show(page, waiting)
    expect(page.locator("#run-title")).to_have_text("바로 다음 차례입니다")
    flawless(page, "queued")
    page.click("#cancel")
    expect(page.locator("#retry")).to_be_visible()
    show(page, running)
    page.click("#cancel")
    expect(page.locator("#retry")).to_be_visible()
    flawless(page, "cancelled")


def test_a_picture_that_is_sent(page: Page, portrait: Path) -> None:
    show(page)
    page.set_input_files("#file", portrait)
    expect(page.locator("#crop-word")).to_contain_text("얼굴")
    wire = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 2_000}
    wire.send("Network.emulateNetworkConditions", slow)
    page.click("#go")
    expect(page.locator("#run-title")).to_contain_text("사진을 보내고 있습니다")
    flawless(page, "uploading")
    expect(page.locator("#run-title")).to_contain_text("사진을 보내고 있습니다")
    page.click("#cancel")
    expect(page.locator("#form")).to_be_visible()
    wire.detach()


@pytest.mark.parametrize("view", ["clip", "beside", "wipe"])
def test_a_finished_clip(page: Page, jobs: dict[str, str], view: str) -> None:
    show(page, jobs["done"])
    page.check(f"input[name=view][value={view}]")
    last = view == "wipe"
    flawless(page, view, prepare=lambda: unfold(page), before_axe=lambda: fold_most(page), axe=last)
    page.check("input[name=view][value=clip]")


def test_a_tall_clip_beside_its_picture(page: Page, jobs: dict[str, str]) -> None:
    show(page, jobs["tall"])
    page.check("input[name=view][value=beside]")
    flawless(page, "tall", axe=False)
    page.check("input[name=view][value=clip]")


@pytest.mark.parametrize("name", ["missed", "error", "look"])
def test_what_did_not_go_well(page: Page, jobs: dict[str, str], name: str) -> None:
    show(page, jobs[name])
    expect(page.locator("#retry" if name == "error" else "#five")).to_be_visible()
    # what should be looked at is amber, and no cross
    if name == "look":
        expect(page.locator(".seal")).to_have_attribute("data-is", "warn")
    flawless(page, name)


def test_the_checklist_is_folded_on_a_telephone(page: Page, jobs: dict[str, str]) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    show(page)
    show(page, jobs["missed"])
    expect(page.locator("#five li")).to_have_count(5)
    expect(page.locator("#checklist")).not_to_have_attribute("open", "")
    end = page.locator("#proof").evaluate("e => e.getBoundingClientRect().bottom + scrollY")
    assert end < 2200, "from the clip to the end of its result"
    page.locator("#five button").click()  # it shows the moment, in view
    expect(page.locator("#frame-number")).not_to_contain_text(re.compile("중 1 "))
    top = page.locator("#frame").evaluate("e => e.getBoundingClientRect().top")
    assert 0 <= top < 400
    page.set_viewport_size({"width": 1280, "height": 800})


def test_the_gallery(page: Page, jobs: dict[str, str]) -> None:
    show(page)
    page.locator(f".piece[data-id={jobs['done']}] .heart").click()
    flawless(page, "gallery")
    page.fill("#gallery-search", "nothing like this")
    flawless(page, "nothing found", axe=False)
    page.fill("#gallery-search", "")

    def reopen() -> None:
        page.keyboard.press("Escape")
        page.locator(".piece .remove").first.click()

    flawless(page, "delete", prepare=reopen)
    page.keyboard.press("Escape")


TARGETS = """() => [...document.querySelectorAll("button, .link, summary, .choices label")]
  .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 44)
  .map((one) => `${one.id || one.className}: ${one.getBoundingClientRect().height}`)"""
"""What is lower than a finger needs, CSS pixels."""


def test_fingers_find_room(
    browser: Browser, page_server: str, portrait: Path, jobs: dict[str, str]
) -> None:
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.goto(f"{page_server}/{SMALL}")
    expect(page.locator(".piece .heart").first).to_be_visible()
    assert page.evaluate(TARGETS) == []
    page.set_input_files("#file", portrait)
    expect(page.locator("#crop-word")).to_contain_text("face")
    assert page.evaluate(TARGETS) == []
    context.close()


def test_without_the_server(page: Page, jobs: dict[str, str]) -> None:
    show(page)
    page.context.set_offline(True)
    page.check("input[name=aspect][value='1:1']")  # its estimate is asked for
    expect(page.locator("#banner")).to_contain_text("서버가 응답하지 않습니다")
    flawless(page, "offline")
    page.context.set_offline(False)
    expect(page.locator("#banner")).to_be_hidden()
    page.check("input[name=aspect][value='16:9']")


def test_the_report(page: Page, jobs: dict[str, str]) -> None:
    show(page, jobs["missed"])
    with page.context.expect_page() as opened:
        page.click("#open-report")
    report = opened.value
    expect(report.locator(".five li")).to_have_count(5)
    report.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    flawless(report, "report", switch="#lang", before_axe=lambda: fold_report(report))
    # on paper it is dark on white, whatever theme is chosen
    report.emulate_media(media="print", color_scheme="dark")
    report.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert report.evaluate("getComputedStyle(document.body).color") == "rgb(37, 32, 29)"
    assert report.evaluate("getComputedStyle(document.body).backgroundColor") == WHITE
    report.close()


def fold_report(report: Page) -> None:
    report.evaluate("document.querySelectorAll('.card > details').forEach(d => { d.open = false })")
