"""What the page shows when something is wrong: in view, beside its cause, and true."""

from __future__ import annotations

import io
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route, expect, sync_playwright

from vivant.picture.sample_picture import sample_picture
from vivant.web import single_file
from web_server import launch, open_more_settings, serving

WAIT = 90_000

SCREENS = [("ko-KR", 360, 740), ("en-US", 390, 844), ("ko-KR", 1360, 768)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(
        tmp_path_factory.mktemp("service"), workers=0, engines='["camera"]', queue_limit="1"
    ) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=WAIT)
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "eileen.jpg"
    Image.open(io.BytesIO(sample_picture())).save(path, quality=92)
    return path


def opened(browser: Browser, url: str, locale: str = "ko-KR", *size: int, **options: Any) -> Page:
    width, height = size or (1280, 800)
    context = browser.new_context(
        locale=locale,
        viewport={"width": width, "height": height},
        reduced_motion="reduce",
        **options,
    )
    page = context.new_page()
    page.set_default_timeout(WAIT)
    page.goto(url)
    expect(page.locator("#go")).to_be_visible()
    return page


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


@pytest.mark.parametrize(("locale", "width", "height"), SCREENS)
def test_an_error_is_in_view_beside_its_cause_and_focused(
    browser: Browser,
    server: str,
    portrait: Path,
    tmp_path: Path,
    locale: str,
    width: int,
    height: int,
) -> None:
    page = opened(browser, f"{server}/?size=160x90&num_frames=9", locale, width, height)
    expect(page.locator("#connect-word")).to_have_text(re.compile("연결됨|Connected"))
    error = page.locator("#form-error")

    def told(words: str, place: str) -> None:
        expect(error).to_have_text(re.compile(words))
        expect(error).to_be_focused()
        assert page.locator(f"{place} #form-error").count() == 1
        assert seen(error), words

    # the button is at the bottom of the window; what is missing is the picture
    page.click("#go")
    told("먼저 사진|Choose a picture first", "#frame")
    note = tmp_path / "notes.txt"
    note.write_text("no picture")
    page.set_input_files("#file", note)
    told("사진 파일이 아닙니다|is not a picture", "#frame")
    empty, huge, torn = (tmp_path / f"{name}.jpg" for name in ("empty", "huge", "torn"))
    empty.touch()
    page.set_input_files("#file", empty)
    told("빈 파일입니다|file is empty", "#frame")
    with huge.open("wb") as file:
        file.truncate(50_000_001)
    page.set_input_files("#file", huge)
    told("50 MB", "#frame")
    torn.write_bytes(b"\xff\xd8\xff\xe0" + bytes(500))
    page.set_input_files("#file", torn)
    told("쓸 수 없습니다|cannot be|not a picture|No picture", "#frame")
    page.set_input_files("#file", portrait)
    expect(error).to_be_hidden()
    # a server that has no place left is a problem of the button, not of the picture
    page.click("#go")
    expect(page.locator("#run-title")).to_be_visible()
    page.click("#another")
    page.click("#go")
    told("가득 찼습니다|server is full", "#action-bar")
    # a clip that is not there any more: the message is at the top, wherever the page stands
    page.evaluate("scrollTo(0, document.body.scrollHeight); location.hash = 'video_gone'")
    banner = page.locator("#banner")
    expect(banner).to_contain_text(re.compile("영상이 없습니다|does not have this clip"))
    assert seen(banner.locator("p"))
    page.context.close()
    clear(server)


def clear(server: str) -> None:
    """Delete what waits, so that the queue is empty again."""
    for job in httpx.get(f"{server}/v1/videos").json()["data"]:
        httpx.delete(f"{server}/v1/videos/{job['id']}").raise_for_status()


@pytest.mark.parametrize(("locale", "width", "height"), SCREENS)
def test_time_and_price_are_beside_the_button(
    browser: Browser, server: str, locale: str, width: int, height: int
) -> None:
    page = opened(browser, server, locale, width, height)
    expect(page.locator("#estimate dd")).to_have_count(2)
    for part in ("#estimate", "#action-note", "#go"):
        assert seen(page.locator(part)), part
    expect(page.locator("#action-note")).to_contain_text(re.compile("카메라가|camera moves"))
    for folded in ("#seed", "input[name=model]", "input[name=again_if]"):
        expect(page.locator(folded).first).to_be_hidden()
    open_more_settings(page)
    for folded in ("#seed", "input[name=model]", "input[name=again_if]"):
        expect(page.locator(folded).first).to_be_visible()
    assert seen(page.locator("#go"))
    page.context.close()


def test_the_lamp_tells_that_the_server_is_gone(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, workers=0) as address:
        page = opened(browser, address)
        word = page.locator("#connect-word")
        expect(word).to_have_text("연결됨")
    # nothing is clicked: the page notices by itself
    expect(word).to_have_text("연결 안 됨")
    banner = page.locator("#banner")
    expect(banner).to_contain_text("서버가 응답하지 않습니다")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    assert seen(banner.locator("p"))
    with serving(tmp_path, "--file-pages", workers=0, port=urlsplit(address).port or 0):
        expect(word).to_have_text("연결됨")
        expect(banner).to_be_hidden()
        page.context.close()
        # this server lets in a page that is opened from a file
        kept = tmp_path / "vivant.html"
        kept.write_text(single_file(address), encoding="utf-8")
        page = opened(browser, kept.as_uri())
        expect(page.locator("#connect-word")).to_have_text("연결됨")
    page.context.close()


def test_a_page_from_a_file_says_why_it_is_refused(
    browser: Browser, server: str, tmp_path: Path
) -> None:
    kept = tmp_path / "vivant.html"
    kept.write_text(single_file(server), encoding="utf-8")
    page = opened(browser, kept.as_uri())
    banner = page.locator("#banner")
    expect(banner).to_contain_text("vivant serve --file-pages")
    assert seen(banner.locator("p"))
    page.click("#connect")
    page.click("#save-connection")
    expect(page.locator("#connection")).to_contain_text("vivant serve --file-pages")
    # without a server the cause is another one
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        page.fill("#endpoint", f"http://127.0.0.1:{unused.getsockname()[1]}")
        page.click("#save-connection")
        expect(page.locator("#connection")).to_contain_text("응답이 없습니다")
    page.context.close()


def test_a_module_that_is_lost_on_the_way_is_fetched_again(browser: Browser, server: str) -> None:
    page = browser.new_context(locale="ko-KR").new_page()
    page.set_default_timeout(WAIT)
    lost: list[str] = []

    def lose(route: Route) -> None:
        lost.append(route.request.url)
        if len(lost) == 1:
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/form/estimate.js", lose)
    page.goto(server)
    expect(page.locator("#connect-word")).to_have_text("연결됨")
    assert len(lost) == 2
    assert page.evaluate("history.state") is None

    page.route("**/form/estimate.js", lambda route: route.abort("connectionreset"))
    page.reload()
    banner = page.locator("#banner")
    expect(banner).to_contain_text("일부를 불러오지 못했습니다")
    assert seen(banner)
    page.unroute_all()
    page.reload()
    expect(page.locator("#connect-word")).to_have_text("연결됨")
    expect(banner).to_be_hidden()
    page.context.close()
