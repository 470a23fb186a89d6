"""The page in a real browser against a real server: what a person does, and what they see."""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import imageio_ffmpeg
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, Route, expect

from vivant.service.database import Database
from vivant.service.keys import Keyring
from vivant.web import single_file
from web_server import (
    PERCENT,
    flawless,
    open_more_settings,
    overflow,
    percent,
    send,
    serving,
    until,
)

NUMBERS = f"""() => {{
  window.numbers = [];
  new MutationObserver(() => window.numbers.push({PERCENT}))
    .observe(document.body, {{subtree: true, childList: true, characterData: true}});
}}"""
"""Keeps every number that is shown while a clip is made, however busy the machine is."""

QUICK = "?size=320x180&num_frames=17&until_pass=false"
"""A clip that takes a second or two."""

TINY = "?size=160x90&num_frames=5&until_pass=false"
"""For tests that need a clip, whatever it shows."""

SLOW = "?size=160x90&num_frames=9&options[steps]=40&options[step_seconds]=0.15&until_pass=false"
"""Six seconds of pretended denoising, for the fake engine."""

LONG = SLOW.replace("steps]=40", "steps]=100")

ENDLESS = SLOW.replace("steps]=40", "steps]=4000")
"""The fake engine works until it is cancelled, however slow the page is meanwhile."""

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def server(page_server: str) -> str:
    return page_server


@pytest.fixture(scope="module")
def clip(server: str, portrait: Path) -> str:
    """Id of a finished clip of 320×180, 17 frames, for tests that only look at one."""
    fields = {"size": "320x180", "num_frames": "17", "model": "camera", "seed": "3"}
    files = {"input_reference": (portrait.name, portrait.read_bytes())}
    job = httpx.post(f"{server}/v1/videos", data=fields, files=files).raise_for_status().json()
    address = f"{server}/v1/videos/{job['id']}"
    until(lambda: httpx.get(address).json()["status"] == "completed")
    return str(job["id"])


@pytest.fixture
def open_page(browser: Browser, server: str) -> Iterator[Open]:
    """Open the page; at the end it must not have complained or asked anybody else."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    allowed = [server, "blob:", "data:", "file:"]

    def opened(
        query: str = "",
        *,
        language: str = "ko-KR",
        theme: Any = "light",
        width: int = 1280,
        height: int = 800,
        url: str | None = None,
        routes: Mapping[str, Callable[[Route], None]] | None = None,
        **options: Any,
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            locale=language,
            color_scheme=theme,
            **options,
        )
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        for pattern, answer in (routes or {}).items():
            page.route(pattern, answer)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked(request.url))
        page.on("requestfailed", lost)
        if url is not None:
            allowed.append(url)
        page.goto(url or f"{server}/{query}")
        expect(page.locator("#go")).to_be_visible()
        return page

    def lost(request: Request) -> None:
        sys.stderr.write(f"{request.url}: {request.failure}\n")  # shown if the test fails

    def asked(url: str) -> None:
        if not url.startswith(tuple(allowed)):
            complaints.append(f"asked {url}")

    yield opened
    for context in contexts:
        for page in context.pages:
            page.unroute_all(behavior="ignoreErrors")  # of an answer that is under way
        context.close()
    for job in httpx.get(f"{server}/v1/videos").json()["data"]:
        if job["status"] not in ("completed", "failed"):
            httpx.delete(f"{server}/v1/videos/{job['id']}").raise_for_status()
    assert not complaints


def start(page: Page, picture: Path, *, engine: str = "camera") -> None:
    """Choose a picture and an engine, and press the button."""
    page.set_input_files("#file", picture)
    expect(page.locator("#crop-word")).to_contain_text(re.compile("얼굴|face"))
    open_more_settings(page)
    page.check(f"input[name=model][value={engine}]")
    page.click("#go")
    expect(page.locator("#run-title")).to_be_visible()


def job_of(page: Page) -> str:
    """The id in the address."""
    page.wait_for_url(re.compile("#video_"))
    return page.url.split("#", 1)[1]


def test_from_a_picture_to_a_checked_clip(open_page: Open, portrait: Path, server: str) -> None:
    page = open_page(QUICK)
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    expect(page.get_by_role("button", name="사진 고르기")).to_be_visible()
    page.evaluate(NUMBERS)
    start(page, portrait)
    expect(page.locator("#download")).to_be_visible()
    seen = {text.strip("%") for text in page.evaluate("window.numbers")}
    assert len({int(text) for text in seen if text.isdigit()} - {100}) >= 3, seen

    expect(page.locator("#done-title")).to_be_focused()
    video = page.locator("#art video")
    before = video.evaluate("v => v.currentTime")
    until(lambda: video.evaluate("v => v.currentTime") != before)
    assert video.evaluate("v => [v.videoWidth, v.videoHeight]") == [320, 180]

    expect(page.locator("#proof")).to_be_visible()
    for question in ("입력 사진과 같은 사람인가요?", "얼굴이 녹거나 일그러지지 않나요?"):
        expect(page.locator(".question", has_text=question)).to_be_visible()
    unmeasured = page.locator(".question", has_text="실사 같은가요?")
    expect(unmeasured).to_have_attribute("data-verdict", "not_measured")
    expect(unmeasured.locator(".word")).to_have_text("측정 안 함")
    expect(page.locator(".lines svg.plot").first).to_be_visible()
    sized = page.locator(".question .ask", has_text="320×180인가요?")
    expect(sized).to_be_visible()
    expect(page.locator("#proof")).not_to_contain_text(re.compile(r"[{}]|constant"))
    expect(page.locator("#done")).to_contain_text("사람이 아니라 카메라가 움직입니다")

    with page.context.expect_page() as opened:
        page.click("#open-report")
    whole = opened.value
    expect(whole.locator("html")).to_have_attribute("data-lang", "ko")
    until(lambda: whole.locator("video").evaluate("v => v.readyState") >= 2)
    assert whole.evaluate("origin") == "null", "the report's script could reach the page's storage"
    whole.close()

    with page.expect_download() as download:
        page.click("#download")
    clip = Path(download.value.path()).read_bytes()
    assert clip[4:8] == b"ftyp"
    assert download.value.suggested_filename == "eileen-0.mp4"
    report = httpx.get(f"{server}/v1/videos/{job_of(page)}/content?variant=report").json()
    shown = page.locator(".question details .measure").count()
    assert shown == len(report["scores"]), "a score that is not shown"

    page.click("#language")
    expect(page.locator(".question", has_text="Same person as the input?")).to_be_visible()
    expect(page.locator("#download")).to_have_text("Download the clip")
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#download")).to_be_visible()


def test_compare_picture_and_any_frame(open_page: Open, clip: str) -> None:
    page = open_page(language="en-US", reduced_motion="reduce")
    page.evaluate("id => { location.hash = id }", clip)
    expect(page.locator("#download")).to_be_visible()
    video = page.locator("#art video")
    assert video.evaluate("v => v.paused"), "reduced motion was asked for"

    expect(page.locator("#frame-number")).to_contain_text("frame 1 of 17")
    page.locator("#main").focus()
    page.keyboard.press("Space")
    until(lambda: video.evaluate("v => !v.paused"))
    page.keyboard.press("Space")
    until(lambda: video.evaluate("v => v.paused"))
    page.keyboard.press("f")
    until(lambda: page.evaluate("document.fullscreenElement?.className === 'inside'"))
    page.keyboard.press("f")
    until(lambda: page.evaluate("document.fullscreenElement === null"))
    page.fill("#scrub", "16")
    expect(page.locator("#frame-number")).to_contain_text("frame 17 of 17")
    page.fill("#scrub", "8")
    expect(page.locator("#frame-number")).to_contain_text("frame 9 of 17")
    until(lambda: abs(video.evaluate("v => v.currentTime") - 8.5 / 24) < 0.02)
    page.get_by_role("button", name="One frame on").click()
    expect(page.locator("#frame-number")).to_contain_text("frame 10 of 17")

    page.check("input[name=view][value=wipe]")
    wipe = page.locator("#wipe")
    wipe.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    expect(wipe).to_have_attribute("aria-valuetext", "60 percent picture")
    cut = page.locator(".over").evaluate("e => getComputedStyle(e).clipPath")
    assert "40%" in cut
    box = page.locator("#art").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)
    expect(wipe).to_have_attribute("aria-valuetext", re.compile("^2[456] percent"))
    # both are drawn, and the left part is the picture
    until(lambda: page.locator(".over img").evaluate("i => i.naturalWidth") == 320)

    page.check("input[name=view][value=beside]")
    expect(page.locator(".beside img")).to_be_visible()
    expect(page.locator(".beside video")).to_be_visible()
    page.locator(".lines svg.plot").first.click(position={"x": 2, "y": 20})
    expect(page.locator("#frame-number")).to_contain_text("frame 1 of 17")


def test_an_example_fills_the_form_and_its_crop_is_moved_by_hand(
    open_page: Open, server: str
) -> None:
    page = open_page("?num_frames=5&until_pass=false")
    expect(page.locator(".example video")).to_have_count(3)
    expect(page.locator("#sample")).to_have_count(0)
    page.click("#example-warm")
    for name, value in (("mood", "warm"), ("aspect", "9:16"), ("model", "living")):
        expect(page.locator(f"input[name={name}][value='{value}']")).to_be_checked()
    expect(page.locator(".plaque .name")).to_have_text("christophe-henner.jpg")
    clips = page.locator(".mood-clip video")
    expect(clips).to_have_count(4)
    until(lambda: clips.nth(3).evaluate("v => v.currentTime > 0"))

    def crop() -> list[float]:
        """Left, top, width and height of the crop, in per cent, as the overview draws it."""
        window = page.locator(".inset .window")
        return [float(window.get_attribute(name) or 0) for name in ("x", "y", "width", "height")]

    page.check("input[name=aspect][value='16:9']")
    expect(page.locator("#crop-word")).to_contain_text("얼굴")
    own = crop()
    area = page.locator(".cropped")
    area.focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#crop-word")).to_have_text("직접 맞춘 구도입니다.")
    near = crop()
    assert near[2] == pytest.approx(own[2] / 1.15, rel=0.01)
    box = area.bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] - box["width"] / 20, middle[1], steps=3)
    page.mouse.up()
    assert crop()[0] == pytest.approx(near[0] + near[2] / 20, rel=0.05)
    page.keyboard.press("0")
    expect(page.locator("#crop-word")).to_contain_text("얼굴")
    assert crop() == own


def test_four_takes_and_one_is_taken_over(open_page: Open, portrait: Path, server: str) -> None:
    page = open_page("?size=128x72&num_frames=5&until_pass=false", language="en-US")
    page.set_input_files("#file", portrait)
    page.check("input[name=aim][value=compare]")
    expect(page.locator("input[name=preset][value=moods]")).to_be_checked()
    page.click("#go")
    page.wait_for_url(re.compile("#batch_takes_"))
    expect(page.locator(".take")).to_have_count(4)
    expect(page.locator("#batch-title")).to_have_text("Four takes: choose one")
    page.reload()
    expect(page.locator(".takes figcaption")).to_have_text(["Calm", "Alert", "Warm", "Still"])
    flawless(page, "takes")
    page.click("#language")
    expect(page.locator(".takes figcaption")).to_have_text(["차분", "또렷", "따뜻", "가만히"])
    page.click("#language")
    card = page.locator(".piece.stacked")
    expect(card).to_have_count(1)
    expect(card).to_contain_text("4 clips")
    page.click("#take-attentive")
    expect(page.get_by_text("One of four takes")).to_be_visible()
    expect(page.locator("#download")).to_be_visible()
    with page.expect_download() as download:
        page.click("#download-thumbnail")
    assert download.value.suggested_filename == "eileen-attentive-0-thumbnail.jpg"
    page.click("#new")
    expect(page.locator("input[name=mood][value=attentive]")).to_be_checked()
    # one card is marked, found and deleted as a whole
    card.locator(".heart").click()
    page.check("#gallery-favourites")
    page.fill("#gallery-search", "warm")
    expect(page.locator(".piece")).to_have_count(1)
    page.fill("#gallery-search", "")
    takes = card.get_attribute("data-id")
    card.locator(".remove").click()
    expect(page.locator("#confirm")).to_contain_text("Delete these 4 clips?")
    page.click("#sure")
    expect(card).to_have_count(0)
    assert httpx.get(f"{server}/v1/batches/{takes}").status_code == 404


def test_a_file_that_is_no_picture_is_said_to_be_none(open_page: Open, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("no picture")
    page = open_page(QUICK)
    page.set_input_files("#file", tmp_path / "notes.jpg")
    expect(page.locator("#crop-word")).to_have_text("서버가 이 사진을 읽지 못합니다.")
    expect(page.locator("#art")).to_contain_text("쓸 수 없는 사진입니다")
    expect(page.locator("#art")).not_to_contain_text("HEIC")
    page.click("#language")
    expect(page.locator("#art")).to_contain_text("Not a picture that can be used")


def test_the_clips_own_crop_is_shown_also_if_the_face_was_not_found_yet(
    open_page: Open, portrait: Path
) -> None:
    page = open_page(LONG, routes={"**/v1/crops": lambda _: None})  # it never answers
    open_more_settings(page)
    page.check("input[name=model][value=fake]")
    page.set_input_files("#file", portrait)
    page.click("#go")
    expect(page.locator("#art img.whole")).to_be_visible()
    page.click("#cancel")
    expect(page.locator("#done-title")).to_have_text("취소됨")


def test_cancel_stops_the_work(open_page: Open, portrait: Path, server: str) -> None:
    page = open_page(LONG)
    start(page, portrait, engine="fake")
    until(lambda: percent(page) > 5)
    expect(page.locator("#stages")).to_contain_text("단계")
    job = job_of(page)
    page.click("#cancel")
    expect(page.locator("#done-title")).to_have_text("취소됨")
    found = httpx.get(f"{server}/v1/videos/{job}").json()
    assert found["status"] == "failed"
    assert found["error"]["code"] == "cancelled"
    expect(page.locator(f'.piece[data-id="{job}"]')).to_contain_text("취소됨")
    page.click("#new")
    expect(page.locator("#form")).to_be_visible()
    expect(page.locator(".plaque")).to_contain_text("eileen.jpg")
    # there is nothing to see in it, so it does not stay
    expect(page.locator(f'.piece[data-id="{job}"]')).to_have_count(0)


def test_reload_and_network_loss_in_mid_run(open_page: Open, portrait: Path) -> None:
    page = open_page(LONG, language="en-US")
    start(page, portrait, engine="fake")
    until(lambda: percent(page) > 3)
    job = job_of(page)
    page.reload()
    until(lambda: percent(page) > 6)
    assert job_of(page) == job
    expect(page.locator("#art img")).to_be_visible()

    page.context.set_offline(True)
    page.evaluate("window.dispatchEvent(new Event('offline'))")
    stopped = percent(page)
    page.context.set_offline(False)
    until(lambda: percent(page) > stopped + 5)
    expect(page.locator("#download")).to_be_visible()

    # and without the address: the gallery knows it
    page.goto(page.url.split("?")[0].split("#")[0])
    piece = page.locator(f'.piece[data-id="{job}"] a')
    expect(piece).to_contain_text("eileen.jpg")
    piece.hover()
    expect(piece.locator("video")).to_be_visible()
    until(lambda: piece.evaluate("(a) => a.querySelector('video')?.currentTime > 0"))
    page.mouse.move(0, 0)
    expect(piece.locator("video")).to_have_count(0)
    # marked here, and found by words
    card = page.locator(f'.piece[data-id="{job}"]')
    card.locator(".heart").click()
    page.fill("#gallery-search", "nothing like this")
    expect(page.locator(".piece")).to_have_count(0)
    expect(page.locator("#gallery-note")).to_contain_text("matches")
    page.fill("#gallery-search", "EILEEN")
    page.check("#gallery-favourites")
    expect(page.locator(".piece")).to_have_count(1)
    expect(card.locator(".heart")).to_have_attribute("aria-pressed", "true")
    piece.click()
    expect(page.locator("#download")).to_be_visible()


def test_several_runs_are_shown_as_they_are(open_page: Open, portrait: Path, server: str) -> None:
    page = open_page(ENDLESS)
    start(page, portrait, engine="fake")
    job_of(page)
    for _ in range(2):
        send(server, portrait)
    page.click("#another")
    expect(page.locator("#gallery-note")).to_contain_text("3개")
    page.click("#go")
    # a fourth is one too many for this server
    expect(page.locator("#form-error")).to_contain_text("작업이 가득 찼습니다")
    page.locator(".piece a").first.click()
    expect(page.locator("#run-title")).to_contain_text("앞에 1개가 있습니다")
    page.click("#cancel")
    expect(page.locator("#done-title")).to_have_text("취소됨")


def test_keyboard_alone(open_page: Open, portrait: Path) -> None:
    page = open_page(TINY)
    # from the start: switched on at the last moment, the browser may open its own dialog first
    page.on("filechooser", lambda chooser: chooser.set_files(portrait))

    def tab_to(selector: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("s => document.activeElement?.matches(s) ?? false", selector):
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none", f"the focus on {selector} is not seen"
                return
        raise AssertionError(f"{selector} cannot be reached with Tab")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    tab_to("#choose")
    page.keyboard.press("Enter")
    expect(page.locator("#go")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#done-title")).to_be_focused()
    tab_to("#download")
    tab_to("#delete")
    page.keyboard.press("Enter")
    expect(page.locator("#confirm")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#download")).to_be_visible()


def test_the_focus_stays_when_the_buttons_are_made_anew(open_page: Open) -> None:
    held: list[Route] = []
    page = open_page(routes={"**/v1/models": lambda route: held.append(route)})
    page.focus("#choose")
    until(lambda: bool(page.title() and held))  # a call lets Playwright hand the route over
    expect(page.locator("#sample, .example").first).to_be_hidden()  # the server has not answered
    held.pop().continue_()
    expect(page.locator("#sample, .example").first).to_be_visible()
    expect(page.locator("#choose")).to_be_focused()


def test_hostile_names_and_prompts_stay_text(
    open_page: Open, portrait: Path, server: str, tmp_path: Path
) -> None:
    attack = "<img src=x onerror=document.title='taken'>"
    named = tmp_path / f"{attack.replace('/', '')}.jpg"
    named.write_bytes(portrait.read_bytes())
    job = send(
        server,
        portrait,
        prompt=f"{attack}<script>document.title='taken'</script>",
        **{"options[steps]": "0"},
    )
    page = open_page(TINY)
    expect(page.locator(f'.piece[data-id="{job}"]')).to_contain_text("<img src=x")
    page.set_input_files("#file", named)
    expect(page.locator(".plaque .name")).to_have_text(named.name)
    page.evaluate("id => { location.hash = id }", job)
    expect(page.locator("#download, #retry").first).to_be_visible()
    page.click(".provenance summary")
    expect(page.locator(".provenance")).to_contain_text("<script>")
    assert page.locator("img[src='x']").count() == 0
    assert "taken" not in page.title()


def test_bad_pictures_in_plain_words(open_page: Open, tmp_path: Path) -> None:
    page = open_page(TINY)
    note = tmp_path / "notes.txt"
    note.write_text("no picture")
    page.set_input_files("#file", note)
    expect(page.locator("#form-error")).to_contain_text("사진 파일이 아닙니다")
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(b"\xff\xd8\xff\xe0" + bytes(500))
    page.set_input_files("#file", torn)
    expect(page.locator("#form-error")).to_contain_text("이 사진은 쓸 수 없습니다")
    huge = tmp_path / "huge.png"
    with huge.open("wb") as file:
        file.truncate(50_000_001)
    page.set_input_files("#file", huge)
    expect(page.locator("#form-error")).to_contain_text("50 MB까지")
    page.click("#remove")
    page.click("#go")
    expect(page.locator("#form-error")).to_have_text("먼저 사진을 골라 주세요.")


def test_a_picture_that_browsers_cannot_draw_is_sent_all_the_same(open_page: Open) -> None:
    page = open_page(TINY, language="en-US")
    page.set_input_files("#file", Path(__file__).parents[1] / "data" / "plain.heic")
    expect(page.locator("#art")).to_contain_text("cannot draw this kind of picture")
    expect(page.locator("#crop-word")).to_contain_text("No face found")
    page.click("#go")
    expect(page.locator("#download")).to_be_visible()
    expect(page.locator(".question", has_text="Same person as the input?")).to_have_attribute(
        "data-verdict", "not_measured"
    )


def test_paste_drop_seed_and_shape(open_page: Open, portrait: Path) -> None:
    page = open_page()
    give = """async ([kind, encoded]) => {
      const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
      const file = new File([bytes], kind + ".jpg", {type: "image/jpeg"});
      const data = new DataTransfer();
      data.items.add(file);
      const event = kind === "paste"
        ? new ClipboardEvent("paste", {clipboardData: data, bubbles: true})
        : new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
      document.body.dispatchEvent(event);
    }"""
    for kind in ("paste", "drop"):
        page.evaluate(give, [kind, b64encode(portrait.read_bytes()).decode()])
        expect(page.locator(".plaque .name")).to_have_text(f"{kind}.jpg")
    page.check("input[name=aspect][value='9:16']")
    expect(page.locator("#crop-word")).to_contain_text("얼굴")
    art = page.locator("#art").bounding_box()
    assert art is not None
    assert art["height"] / art["width"] == pytest.approx(16 / 9, rel=0.02)
    inset = page.locator(".inset .window")
    assert float(inset.get_attribute("width") or 0) < 60, "a tall crop of a square picture"
    open_more_settings(page)
    page.click("#dice")
    seed = page.input_value("#seed")
    page.fill("#seed", "-1")
    expect(page.locator("#seed-error")).to_be_visible()
    page.fill("#seed", seed)
    page.reload()
    expect(page.locator("#seed")).to_have_value(seed)
    expect(page.locator("input[name=aspect][value='9:16']")).to_be_checked()


def test_what_only_some_servers_have(open_page: Open) -> None:
    """The price of a rare clip, and sound: this server's answers, with what another one adds."""

    def rare(route: Route) -> None:
        answer = route.fetch()
        costs = [{"currency": "KRW", "amount": 54.6}, {"currency": "USD", "amount": 0.0377}]
        first = {"start_seconds": 14.0, "waiting_seconds": 10.0, "costs": costs}
        route.fulfill(response=answer, json={**answer.json(), "seconds": 5, "rare_clip": first})

    def sounding(route: Route) -> None:
        answer = route.fetch()
        extra = {"sound": True, "sound_max_frames": 257, "generative": True}
        models = [one | (extra if one["id"] == "fake" else {}) for one in answer.json()["data"]]
        route.fulfill(response=answer, json={"data": models})

    def fields() -> Any:
        return page.evaluate("import('/assets/js/form/draft.js').then((m) => m.clipRequest())")

    page = open_page(routes={"**/v1/estimate?*": rare, "**/v1/models": sounding})
    basis = page.locator("#estimate-basis")
    expect(basis).to_contain_text("첫 영상은 약 ₩55입니다.")
    expect(basis).to_contain_text("켜는 시간(14초)과 끝난 뒤 기다리는 시간(10초)")
    page.click("#language")
    expect(basis).to_contain_text("A first clip after a pause costs about ₩55")

    open_more_settings(page)
    expect(page.locator("input[name=sound]")).to_have_count(0)
    page.check("input[name=label][value=ko]")
    expect(page.locator(".more-inside")).to_contain_text("“사진을 움직인 영상”")
    assert (fields()["label"], "generate_audio" in fields()) == ("ko", False)
    page.check("input[name=model][value=fake]")
    expect(page.locator(".more-inside")).to_contain_text("“AI로 만든 영상”")
    page.check("input[name=sound][value=on]")
    assert fields()["generate_audio"] == "true"
    page.fill("#seconds", "11")  # this engine's sound ends before
    expect(page.locator("#sound-limit")).to_have_text(
        "This engine makes sound for clips of up to 10.5 s."
    )
    expect(page.locator("input[name=sound]")).to_have_count(0)
    assert "generate_audio" not in fields()
    page.fill("#seconds", "10.5")
    expect(page.locator("input[name=sound][value=on]")).to_be_checked()
    page.check("input[name=model][value=camera]")
    expect(page.locator("input[name=sound]")).to_have_count(0)
    assert "generate_audio" not in fields()


SOUND = """async (video) => {
  const file = await (await fetch(video.src)).arrayBuffer();
  const sound = await new OfflineAudioContext(2, 1, 48000).decodeAudioData(file);
  const peak = sound.getChannelData(0).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return { tracks: video.captureStream().getAudioTracks().length, seconds: sound.duration, peak };
}"""
"""What the browser makes of the sound of a clip, without a loudspeaker."""


def test_a_clip_with_sound_is_heard_when_its_button_is_pressed(
    open_page: Open, portrait: Path, server: str, tmp_path: Path
) -> None:
    fields = {"size": "160x90", "num_frames": "25", "model": "fake", "generate_audio": "true"}
    files = {"input_reference": (portrait.name, portrait.read_bytes())}
    slow = httpx.Timeout(30)  # a busy machine
    answer = httpx.post(f"{server}/v1/videos", data=fields, files=files, timeout=slow)
    job = answer.raise_for_status().json()
    address = f"{server}/v1/videos/{job['id']}"
    until(lambda: httpx.get(address, timeout=slow).json()["status"] == "completed")

    page = open_page(f"#{job['id']}", language="en-US")
    video = page.locator("#art video")
    until(lambda: video.evaluate("v => v.currentTime > 0"))
    assert video.evaluate("v => v.muted")
    page.click("#sound")
    expect(page.locator("#sound")).to_have_attribute("aria-label", "Sound off")
    assert not video.evaluate("v => v.muted")
    until(lambda: video.evaluate("v => v.webkitAudioDecodedByteCount > 0"))
    until(lambda: not video.evaluate("v => v.paused"))
    found = video.evaluate(SOUND)
    assert found["tracks"] == 1
    assert found["seconds"] == pytest.approx(25 / 24, abs=1 / 24)
    assert found["peak"] == pytest.approx(0.1, abs=0.03)  # of the fake engine's tone

    clip = tmp_path / "clip.mp4"
    clip.write_bytes(httpx.get(f"{address}/content", timeout=slow).raise_for_status().content)
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    decoded = subprocess.run(
        [ffmpeg, "-v", "warning", "-i", str(clip), "-f", "null", "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert decoded.stderr == ""


def test_again_with_another_seed_and_delete(open_page: Open, clip: str) -> None:
    page = open_page()
    page.evaluate("id => { location.hash = id }", clip)
    page.click("#again")  # this page has not sent the picture: it is the server's
    page.wait_for_url(lambda url: "#video_" in url and clip not in url)
    expect(page.locator("#download")).to_be_visible()
    second = job_of(page)
    page.locator(f'.piece[data-id="{second}"] .remove').click()
    page.click("#sure")
    expect(page.locator(f'.piece[data-id="{second}"]')).to_have_count(0)
    expect(page.locator("#form")).to_be_visible()
    page.reload()
    expect(page.locator(f'.piece[data-id="{clip}"]')).to_be_visible()
    expect(page.locator(f'.piece[data-id="{second}"]')).to_have_count(0)


def test_one_file_from_the_disk(
    open_page: Open, portrait: Path, tmp_path: Path, server: str
) -> None:
    kept = tmp_path / "vivant.html"
    kept.write_text(single_file(), encoding="utf-8")
    page = open_page(url=f"{kept.as_uri()}{TINY}", width=390, height=844)
    dialog = page.locator("#connection")
    expect(dialog).to_be_visible()
    page.fill("#endpoint", "not an address at all")
    page.click("#save-connection")
    expect(dialog).to_contain_text("주소 형식이 아닙니다")
    page.fill("#endpoint", server.removeprefix("http://") + "/v1/")
    page.click("#save-connection")
    expect(dialog).to_be_hidden()
    start(page, portrait)
    expect(page.locator("#download")).to_be_visible()
    until(lambda: page.locator("#art video").evaluate("v => v.readyState") >= 1)
    page.click("#checklist > summary")
    expect(page.locator(".question").first).to_be_visible()
    assert overflow(page) == 0
    page.reload()
    expect(page.locator("#download")).to_be_visible()


def test_a_server_with_keys_asks_for_one(open_page: Open, tmp_path: Path, page_cache: str) -> None:
    service = tmp_path / "service"
    database = Database(f"sqlite:///{service / 'vivant.db'}")
    database.migrate(stages=False)
    key = Keyring(database).add("creator")
    database.close()
    with serving(tmp_path, workers=0, cache_dir=page_cache) as address:
        page = open_page(language="en-US", url=address)
        dialog = page.locator("#connection")
        expect(dialog).to_be_visible()
        page.fill("#key", "vk_wrong")
        page.click("#save-connection")
        expect(dialog).to_contain_text("does not know this API key")
        page.fill("#key", key)
        page.click("#save-connection")
        expect(dialog).to_be_hidden()
        expect(page.locator("#connect-word")).to_have_text("Connected")
        page.reload()
        expect(page.locator("#connect-word")).to_have_text("Connected")
        assert key not in page.content()

        # the engine by default lets the person live: its moods stand where others have a prompt
        page.check("input[name=mood][value=warm]")
        fields = page.evaluate("import('/assets/js/form/draft.js').then((m) => m.clipRequest())")
        assert (fields["model"], fields["options[preset]"]) == ("living", "warm")

        # A page from the disk needs nothing but the key: no setting at the server.
        kept = tmp_path / "vivant.html"
        kept.write_text(single_file(address), encoding="utf-8")
        page.goto(kept.as_uri())
        expect(dialog).to_be_visible()
        page.fill("#key", key)
        page.click("#save-connection")
        expect(dialog).to_be_hidden()
        expect(page.locator("#connect-word")).to_have_text("Connected")
