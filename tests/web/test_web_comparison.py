"""Which settings are better? asked on the page, in a real browser against a real server."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from vivant.picture.sample_picture import sample_picture
from vivant.service.database import Database
from vivant.service.keys import Keyring
from vivant.web import single_file
from web_server import flawless, serving, until

WAIT = 60_000

SMALL = "?num_frames=5&size=192x108"
"""Clips of a second: what is compared is the ready comparison all the same."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address and key of a server whose engines are the camera and one it cannot run."""
    folder = tmp_path_factory.mktemp("service")
    database = Database(f"sqlite:///{folder / 'service' / 'vivant.db'}")
    database.migrate(stages=False)
    key = Keyring(database).add("creator")
    database.close()
    with serving(folder, engines='["camera", "ltx2"]') as address:
        yield address, key


@pytest.fixture(scope="module")
def portraits(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    image = Image.open(io.BytesIO(sample_picture()))
    for number in range(2):
        image.crop((number, 0, 500 + number, 500)).save(folder / f"{number}.jpg", quality=90)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def finished() -> dict[str, Any]:
    """Id and clips of the first comparison that a test has made: the next looks at it, too."""
    return {}


def opened(browser: Browser, url: str, key: str, complaints: list[str], **context: Any) -> Page:
    page = browser.new_context(reduced_motion="reduce", **context).new_page()
    page.set_default_timeout(WAIT)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    expect(page.locator("#connection")).to_be_visible(timeout=WAIT)
    page.fill("#key", key)
    page.click("#save-connection")
    expect(page.locator("#connection")).to_be_hidden(timeout=WAIT)
    expect(page.locator("input[name=aim][value=compare]")).to_be_visible(timeout=WAIT)
    return page


@pytest.mark.parametrize(
    ("locale", "size", "scheme"),
    [("en-US", (1280, 800), "dark"), ("ko-KR", (390, 844), "light")],
    ids=["desktop-en", "phone-ko"],
)
def test_from_a_picture_to_a_recommendation(
    browser: Browser,
    server: tuple[str, str],
    portraits: list[Path],
    locale: str,
    size: tuple[int, int],
    scheme: Any,
    finished: dict[str, Any],
) -> None:
    address, key = server
    clips = 2 * 3
    korean = locale == "ko-KR"
    complaints: list[str] = []
    page = opened(
        browser, f"{address}/{SMALL}", key, complaints, locale=locale, color_scheme=scheme,
        viewport={"width": size[0], "height": size[1]},
    )  # fmt: skip
    # by keyboard: the question, then the one comparison that this server can make
    page.focus("input[name=aim][value=clip]")
    page.keyboard.press("ArrowRight")
    expect(page.locator("input[name=aim][value=compare]")).to_be_checked()
    expect(page.locator("input[name=preset]")).to_have_count(1)
    expect(page.locator("#form")).to_contain_text(
        "업스케일러 두 가지" if korean else "Two upscalers"
    )
    page.check("input[name=repeats][value='3']")
    # every picture counts, before anything is pressed
    for pictures in (portraits, portraits[:1]):
        page.set_input_files("#file", pictures)
        all_clips = clips * len(pictures)
        expect(page.locator("#estimate")).to_contain_text(
            f"모두 {all_clips}개" if korean else f"{all_clips} clips in all", timeout=WAIT
        )
    if not finished:
        flawless(page, "form")
    page.click("#go")
    page.wait_for_url(re.compile("#comparison_"))
    found = page.url.split("#", 1)[1]
    expect(page.locator("#comparison .bar")).to_be_visible(timeout=WAIT)
    title = page.locator("#comparison-title")
    if finished:  # its findings are looked at in the other language
        page.click("#comparison-end")
        page.click("#comparison-delete")
        page.click("#sure")
        expect(page.locator("#form")).to_be_visible()
        found, clips = finished["id"], finished["clips"]
        page.evaluate("id => { location.hash = id }", found)
    else:
        finished |= {"id": found, "clips": clips}
        flawless(page, "running")
    expect(title).to_have_text(
        f"영상 {clips}개의 비교 결과" if korean else f"What {clips} clips show", timeout=WAIT
    )
    told = httpx.get(
        f"{address}/v1/comparisons/{found}", headers={"Authorization": f"Bearer {key}"}
    ).json()
    (advice,) = told["findings"]["recommendations"]
    code = "ko" if korean else "en"
    expect(page.locator("#comparison .advice h4")).to_have_text(advice["heading"][code])
    expect(page.locator("#comparison .advice")).to_contain_text(advice["text"][code])
    page.click("#comparison-all summary")
    expect(page.locator("#comparison .rows li")).to_have_count(clips)
    if not korean:
        flawless(page, "done", prepare=lambda: unfold(page))
    # its clips share one card of the gallery
    card = page.locator(f'.piece.stacked[data-id="{found}"]')
    expect(card).to_contain_text(f"영상 {clips}개" if korean else f"{clips} clips")
    # an estimate of the next one rests on these
    page.click("#comparison-new")
    page.check("input[name=repeats][value='5']")
    expect(page.locator("#estimate dd").first).to_contain_text(re.compile("약|about"))
    # it is found again, from the wall as well
    page.locator(f'#compared a[href="#{found}"]').click()
    expect(title).to_contain_text(str(clips), timeout=WAIT)

    # the page of the clips opens without a key, in the same language, and plays
    with page.context.expect_page() as popup:
        page.click("#comparison-page")
    beside = popup.value
    beside.on("pageerror", lambda error: complaints.append(str(error)))
    expect(beside.locator("html")).to_have_attribute("data-lang", code)
    until(lambda: beside.evaluate("document.querySelector('#va').readyState") >= 2)
    until(lambda: beside.evaluate("document.querySelector('#vb').videoWidth") == 192)
    expect(beside.locator("header .file")).to_have_text(told["title"][code], use_inner_text=True)
    if not korean:
        beside.evaluate("document.querySelector('.scores').open = true")
        flawless(beside, "side by side", switch="#lang")
    beside.click("#lang")
    other = told["title"]["en" if korean else "ko"]
    expect(beside.locator("header .file")).to_have_text(other, use_inner_text=True)
    assert beside.title() == f"{other} – Vivant"
    beside.close()

    if korean:
        page.locator("#comparison-delete").click()
        page.click("#sure")
        expect(page.locator("#form")).to_be_visible()
        expect(page.locator("#compared a")).to_have_count(0)
    else:
        page.click("#comparison-all summary")
        page.locator("#comparison .rows a").first.click()
        page.locator("a", has_text="Part of a comparison").click()
        expect(title).to_be_visible()
    assert not complaints, complaints
    page.context.close()


def unfold(page: Page) -> None:
    page.evaluate(
        "document.querySelectorAll('#comparison details').forEach(d => { d.open = true })"
    )


def test_from_a_file_on_the_disk(
    browser: Browser, server: tuple[str, str], portraits: list[Path], tmp_path: Path
) -> None:
    address, key = server
    complaints: list[str] = []
    kept = tmp_path / "vivant.html"
    kept.write_text(single_file(address), encoding="utf-8")
    page = opened(
        browser, f"{kept.as_uri()}{SMALL}", key, complaints, locale="en-US",
        viewport={"width": 390, "height": 844},
    )  # fmt: skip
    page.check("input[name=aim][value=compare]")
    page.check("input[name=repeats][value='10']")
    page.set_input_files("#file", portraits[0])
    expect(page.locator("#crop-word")).to_contain_text(
        re.compile("framed", re.IGNORECASE), timeout=WAIT
    )
    page.click("#go")
    page.click("#comparison-end")
    expect(page.locator("#comparison-delete")).to_be_visible(timeout=WAIT)
    left_out = page.locator("#comparison details", has_text="Left out")
    left_out.locator("summary").click()
    expect(left_out).to_contain_text("cancelled on request")
    assert not complaints, complaints
    page.context.close()
