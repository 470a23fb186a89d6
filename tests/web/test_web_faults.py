"""What the page shows when something is wrong: in view, beside its cause, focused, and true."""

from __future__ import annotations

import io
import re
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from vivant.service.database import open_database
from vivant.service.job_store import JobStore
from vivant.service.keys import Keyring
from vivant.settings import read_settings
from vivant.web import single_file
from web_server import open_more_settings, seen, send, serving, told, until

WAIT = 90_000

SCREENS = [("ko-KR", 360, 740), ("en-US", 390, 844), ("ko-KR", 1360, 768)]

SMALL = "?size=160x90&num_frames=9"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def server(data: Path) -> Iterator[str]:
    """Nothing is made by it: its jobs end as a test tells its database."""
    with serving(data, workers=0, engines='["camera"]', queue_limit="1") as address:
        yield address


def opened(
    browser: Browser, url: str, locale: str = "ko-KR", *size: int, clock: bool = False
) -> Page:
    """The page; with ``clock`` its time can be moved forward."""
    width, height = size or (1280, 800)
    context = browser.new_context(
        locale=locale,
        viewport={"width": width, "height": height},
        reduced_motion="reduce",
    )
    page = context.new_page()
    if clock:
        page.clock.install()
    page.set_default_timeout(WAIT)
    page.goto(url)
    expect(page.locator("#go")).to_be_visible()
    return page


@pytest.fixture(scope="module")
def screens(browser: Browser, server: str) -> Iterator[list[Page]]:
    """The page on three screens; each test leaves them without a picture."""
    pages = [opened(browser, f"{server}/{SMALL}", *screen) for screen in SCREENS]
    for page in pages:
        expect(page.locator("#connect-word")).to_have_text(re.compile("연결됨|Connected"))
    yield pages
    for page in pages:
        page.context.close()


def ended(page: Page, words: str, jobs: JobStore, error: dict[str, Any] | None) -> None:
    """Start a clip and end it with this error (None: cancel it); the card tells it, in view."""
    page.click("#go")
    expect(page.locator("#run-title")).to_be_visible()
    page.wait_for_url(re.compile("#video_"))
    page.evaluate("scrollTo(0, document.body.scrollHeight)")  # wherever the page stands
    if error is None:
        page.click("#cancel")
    else:
        jobs.fail(page.url.split("#")[1], error, keep_seconds=600)
    expect(page.locator("#done-title")).to_be_focused()
    message = page.locator("#done .message p").first
    expect(message).to_have_text(re.compile(words))
    assert seen(page.locator("#done-title"))
    assert seen(message), words
    page.click("#new")


def altered(page: Page, path: str, old: bytes, new: bytes, action: Callable[[], None]) -> None:
    """What the page sends to ``path`` while it acts is changed on its way."""

    def change(route: Route) -> None:
        sent = route.request.post_data_buffer or b""
        changed, count = re.subn(old, new, sent)
        assert count == 1, sent[-800:]
        route.continue_(post_data=changed)

    page.route(path, change)
    action()


class Faults:
    """Each method lets one thing go wrong on a page, and says what must be seen of it."""

    def __init__(self, folder: Path, data: Path, portrait: Path, server: str) -> None:
        self.folder, self.data, self.portrait, self.server = folder, data, portrait, server
        self.database = open_database(read_settings(data_dir=data))
        self.jobs = JobStore(self.database)

    def _file(self, name: str, content: bytes = b"", size: int | None = None) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        if size is not None:
            with path.open("r+b") as file:
                file.truncate(size)
        return path

    def _chosen(self, page: Page) -> None:
        page.set_input_files("#file", self.portrait)
        expect(page.locator("#crop-word")).to_have_text(re.compile("얼굴을 중심|around the face"))
        expect(page.locator("#form-error")).to_be_hidden()

    def no_picture(self, page: Page) -> None:
        page.click("#go")  # at the bottom of the window; what is missing is the picture
        told(page, "먼저 사진|Choose a picture first", "#frame")

    def wrong_file(self, page: Page) -> None:
        page.set_input_files("#file", self._file("notes.txt", b"no picture"))
        told(page, "사진 파일이 아닙니다|is not a picture", "#frame")

    def empty_file(self, page: Page) -> None:
        page.set_input_files("#file", self._file("empty.jpg"))
        told(page, "빈 파일입니다|file is empty", "#frame")

    def torn_file(self, page: Page) -> None:
        page.set_input_files("#file", self._file("torn.jpg", b"\xff\xd8\xff\xe0" + bytes(500)))
        told(page, "쓸 수 없습니다|cannot be|not a picture|No picture", "#frame")

    def too_large(self, page: Page) -> None:
        page.set_input_files("#file", self._file("huge.jpg", size=50_000_001))
        told(page, "50 MB", "#frame")

    def too_small(self, page: Page) -> None:
        buffer = io.BytesIO()
        Image.new("RGB", (20, 20), "gray").save(buffer, "PNG")
        page.set_input_files("#file", self._file("tiny.png", buffer.getvalue()))
        told(page, "^사진이 너무 작습니다.*골라 주세요.$|20×20 pixels.*larger picture", "#frame")

    def no_face(self, page: Page) -> None:
        buffer = io.BytesIO()
        Image.linear_gradient("L").resize((640, 360)).save(buffer, "PNG")
        page.set_input_files("#file", self._file("plain.png", buffer.getvalue()))
        word = page.locator("#crop-word")
        expect(word).to_have_text(re.compile("얼굴을 찾지 못해|No face found"))
        assert seen(word), page.viewport_size
        note = page.locator("#action-note")  # beside the button, wherever the page stands
        expect(note).to_contain_text(re.compile("같은 사람인지는 확인할 수|cannot be checked"))
        assert seen(note)

    def invalid_crop(self, page: Page) -> None:
        self._chosen(page)
        area = page.locator(".cropped")
        altered(
            page, "**/v1/crops", rb"([\d.]+%,){3}[\d.]+%", b"90%,0%,40%,40%",
            lambda: area.press("+"),
        )  # fmt: skip
        told(page, "쓸 수 없는 값.*crop 90%|[Cc]rop 90%.*outside", "#frame")

    def engine_missing(self, page: Page) -> None:
        self._chosen(page)
        altered(
            page, "**/v1/videos", rb"(?<=\r\n\r\n)camera(?=\r\n)", b"ltx9",
            lambda: page.click("#go"),
        )  # fmt: skip
        told(page, "서버에 없는 엔진|does not have this engine", "#action-bar")

    def quota(self, page: Page) -> None:
        self._chosen(page)
        page.click("#go")
        expect(page.locator("#run-title")).to_be_visible()
        page.click("#another")
        page.click("#go")
        told(page, "가득 찼습니다|server is full", "#action-bar")

    def storage_gone(self, page: Page) -> None:
        self._chosen(page)
        objects = self.data / "service" / "objects"
        away = objects.rename(objects.with_name("away"))
        objects.write_bytes(b"a file where the folder should be")
        try:
            page.click("#go")
            told(page, "작업을 받을 수 없습니다|cannot take work", "#action-bar")
        finally:
            objects.unlink()
            away.rename(objects)

    def server_gone(self, page: Page) -> None:
        self._chosen(page)
        page.context.set_offline(True)
        try:
            page.click("#go")
            told(page, "서버가 응답하지 않습니다|server does not answer", "#action-bar")
            assert seen(page.locator("#banner p"))
        finally:
            page.context.set_offline(False)  # the page connects again by itself
            expect(page.locator("#banner")).to_be_hidden()

    def cancelled(self, page: Page) -> None:
        self._chosen(page)
        ended(page, "작업을 취소했습니다|work was stopped", self.jobs, None)

    def clip_failed(self, page: Page) -> None:
        self._chosen(page)
        error = {"code": "engine_failed", "message": "out of luck", "param": None}
        ended(page, "엔진이 중간에 멈췄습니다|engine stopped", self.jobs, error)

    def bad_seed(self, page: Page) -> None:
        self._chosen(page)
        open_more_settings(page)
        page.fill("#seed", "-1")
        page.evaluate("scrollTo(0, 0)")
        page.click("#go")
        expect(page.locator("#seed")).to_be_focused()
        expect(page.locator("#seed-error")).to_have_text(re.compile("0 이상의 정수|0 or above"))
        assert seen(page.locator("#seed-error"))
        page.fill("#seed", "0")

    def other_ends(self, page: Page) -> None:
        for code, words in ENDS.items():
            job = send(self.server, self.portrait, model="camera")
            if code == "expired":
                assert self.jobs.begin(job) is not None
                made = {"device": "cpu", "seconds": 1.0, "labels": {}, "verdict": "pass"}
                made |= {"cost": None, "stages": []}
                self.jobs.complete(job, keep_seconds=600, result=made)
                self.jobs.swept(job)
            else:
                self.jobs.fail(job, {"code": code, "message": "so", "param": None}, keep_seconds=9)
            page.evaluate("scrollTo(0, document.body.scrollHeight)")
            page.evaluate("id => { location.hash = id }", job)
            expect(page.locator("#done-title")).to_be_focused()
            message = page.locator("#done .message p").first
            expect(message).to_have_text(re.compile(words))
            assert seen(page.locator("#done-title"))
            assert seen(message), code

    def part_missing(self, page: Page) -> None:
        self._chosen(page)
        error = {"code": "missing_part", "message": "no weights", "param": None}
        ended(page, "구성 요소가 없습니다|lacks a part", self.jobs, error)

    def clip_gone(self, page: Page) -> None:
        # wherever the page stands, this message is at the top of the window
        page.evaluate("scrollTo(0, document.body.scrollHeight); location.hash = 'video_gone'")
        banner = page.locator("#banner")
        expect(banner).to_contain_text(re.compile("영상이 없습니다|does not have this clip"))
        assert seen(banner.locator("p"))


ENDS = {
    "out_of_memory": "메모리가 부족|too little memory",
    "internal": "서버에서 문제|went wrong",
    "poison_job": "세 번 멈춰|stopped the server three times",
    "output_not_writable": "저장하지 못했습니다|could not store",
    "image_damaged": "손상된 것|damaged",
    "image_too_slow": "너무 오래|too long to read",
    "expired": "보관 기간이 지나|has expired",
}
"""How a job may end → what its card says."""

FAULTS = [name for name in vars(Faults) if not name.startswith("_")]


@pytest.mark.parametrize("name", FAULTS)
def test_an_error_is_in_view_beside_its_cause_and_focused(
    name: str, screens: list[Page], data: Path, portrait: Path, tmp_path: Path, server: str
) -> None:
    faults = Faults(tmp_path, data, portrait, server)
    for page in screens:
        getattr(faults, name)(page)
        page.unroute_all()
        clear(server)
        page.evaluate("location.hash = ''")
        if page.locator("#remove").is_visible():
            page.click("#remove")
    faults.database.close()


def test_a_refused_key_is_told_in_the_dialog(screens: list[Page], data: Path, server: str) -> None:
    database = open_database(read_settings(data_dir=data))
    keys = Keyring(database)
    key = keys.add("creator")
    until(lambda: httpx.get(f"{server}/v1/videos").status_code == 401)
    for page in screens:
        page.reload()
        dialog = page.locator("#connection")
        expect(dialog).to_be_visible()
        page.fill("#key", "vk_wrong")
        page.click("#save-connection")
        error = dialog.locator(".error")
        expect(error).to_have_text(re.compile("등록되지 않은 API 키|does not know this API key"))
        expect(error).to_be_focused()
        assert seen(error)
    keys.revoke(key.split("_")[1])
    database.close()
    until(lambda: httpx.get(f"{server}/v1/videos").status_code == 200)
    for page in screens:
        page.reload()
        expect(page.locator("#connect-word")).to_have_text(re.compile("연결됨|Connected"))


def clear(server: str) -> None:
    """Delete what waits, so that the queue is empty again."""
    answer = httpx.get(f"{server}/v1/videos")
    for job in answer.json()["data"]:
        httpx.delete(f"{server}/v1/videos/{job['id']}").raise_for_status()


def test_time_and_price_are_beside_the_button(screens: list[Page]) -> None:
    for page in screens:
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


OPENED = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"


def test_the_lamp_tells_that_the_server_is_gone(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = tmp_path / "opened"
    program = tmp_path / "browser.py"
    program.write_text(OPENED)
    monkeypatch.setenv("BROWSER", f"{sys.executable} {program} {noted} %s")
    with serving(tmp_path, "--browser", workers=0, engines='["camera"]') as address:
        page = opened(browser, address, clock=True)
        word = page.locator("#connect-word")
        expect(word).to_have_text("연결됨")
        assert noted.read_text() == address, "serve opens the page"
    # nothing is clicked: the page notices by itself, within the 10 s that pass here at once
    page.clock.fast_forward(10_000)
    expect(word).to_have_text("연결 안 됨")
    banner = page.locator("#banner")
    expect(banner).to_contain_text("서버가 응답하지 않습니다")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    assert seen(banner.locator("p"))
    port = urlsplit(address).port or 0
    with serving(tmp_path, "--file-pages", workers=0, port=port, engines='["camera"]'):
        page.clock.fast_forward(5_000)
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
