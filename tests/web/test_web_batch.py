"""The page's choice to try again, and several pictures in one go, in a real browser."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from web_server import flawless, open_more_settings, serving

WAIT = 60_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(
        tmp_path_factory.mktemp("service"), engines='["fake"]', default_engine="fake"
    ) as address:
        yield address


def opened(browser: Browser, url: str, locale: str, complaints: list[str]) -> Page:
    page = browser.new_context(locale=locale, reduced_motion="reduce").new_page()
    page.set_default_timeout(WAIT)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    expect(page.locator("#go")).to_be_visible(timeout=WAIT)
    return page


def test_a_clip_is_tried_again_and_the_story_is_told(
    browser: Browser, server: str, portrait: Path
) -> None:
    complaints: list[str] = []
    flaw = "?size=480x270&num_frames=7&options[flaw]=unlucky&options[chunk]=9"
    page = opened(browser, f"{server}/{flaw}", "ko-KR", complaints)
    # off, until somebody asks; what it may take is said
    expect(page.locator("input[name=again_if][value=off]")).to_be_checked()
    open_more_settings(page)
    page.check("input[name=again_if][value='300']")
    expect(page.locator("#again-if-hint")).to_contain_text("최대 5분")
    # no ready comparison is for this server's engine, so that none is offered
    assert page.locator("input[name=aim]").count() == 0
    page.set_input_files("#file", portrait)
    open_more_settings(page)
    page.fill("#seed", "2")
    page.click("#go")
    tries = page.locator("#done .tries li")
    expect(tries).to_have_count(2, timeout=WAIT)
    expect(tries.nth(0)).to_contain_text("요청한 그대로")
    expect(tries.nth(1)).to_contain_text("움직임을 바꿔 다시")
    expect(tries.nth(1)).to_contain_text("이 영상을 골랐습니다")
    expect(page.locator("#done .tries")).to_contain_text("통과했습니다.")
    expect(page.locator("#done .tries")).to_contain_text("$0.00")
    flawless(page, "tried again", axe=False)
    job = page.url.split("#", 1)[1]
    told = httpx.get(f"{server}/v1/videos/{job}").json()
    assert [a["seed"] for a in told["gate"]["attempts"]] == [2, 3]
    assert told["gate"]["passed"]
    # and it can be left alone
    page.click("#new")
    open_more_settings(page)
    page.check("input[name=again_if][value=off]")
    page.click("#go")
    page.wait_for_url(re.compile(rf"#(?!{job})video_"))
    expect(page.locator("#download")).to_be_visible(timeout=WAIT)
    assert page.locator(".tries").count() == 0
    other = httpx.get(f"{server}/v1/videos/{page.url.split('#', 1)[1]}").json()
    assert (other["until_pass"], other["verdict"]) == (False, "fail")
    # what failed is made again on request, with what helps
    page.click("#mend")
    expect(tries).to_have_count(2, timeout=WAIT)
    assert page.locator("#mend").count() == 0
    assert not complaints, complaints
    page.context.close()


def test_a_bad_picture_fails_in_its_row_and_the_rest_goes_on(
    browser: Browser, server: str, portrait: Path, tmp_path: Path
) -> None:
    complaints: list[str] = []
    small = "?size=128x72&num_frames=5&until_pass=false"
    page = opened(browser, f"{server}/{small}", "en-US", complaints)
    torn, late = tmp_path / "torn.jpg", tmp_path / "late.png"
    torn.write_bytes(b"no picture at all")
    late.write_bytes(portrait.read_bytes()[:3000])  # begins well, and ends too early
    page.set_input_files("#file", [portrait, torn, late])
    expect(page.locator(".plaque .notes")).to_contain_text("And 2 more")
    open_more_settings(page)
    page.check("input[name=takes][value='2']")
    page.click("#go")
    page.wait_for_url(re.compile("#batch_"))
    title = page.locator("#batch-title")
    expect(title).to_contain_text("of 6 clips are ready", timeout=WAIT)
    expect(page.locator("#batch")).to_contain_text("4 could not be made.")
    rows = page.locator("#batch .rows li")
    expect(rows).to_have_count(6)
    assert [rows.nth(n).get_attribute("data-is") == "fail" for n in (2, 3, 4, 5)] == [True] * 4
    expect(rows.nth(1)).to_contain_text("seed 1")
    expect(rows.nth(1).locator("a")).to_have_attribute("href", re.compile("#video_"))
    flawless(page, "batch")
    # all that is there comes as one file, under names that people understand
    with page.expect_download() as download:
        page.click("#batch-zip")
    with zipfile.ZipFile(download.value.path()) as packed:
        assert packed.testzip() is None
        assert packed.namelist() == ["eileen-0.mp4", "eileen-1.mp4"]
    batch = page.url.split("#", 1)[1]
    told = httpx.get(f"{server}/v1/batches/{batch}").json()
    assert told["counts"]["completed"] == 2
    usable = [v for v in told["data"] if v["status"] == "completed" and v["verdict"] != "fail"]
    expect(title).to_have_text(f"{len(usable)} of 6 clips are ready")
    assert [v["seed"] for v in told["data"] if v["status"] == "completed"] == [0, 1]
    assert told["cost"]["usd"] == pytest.approx(
        sum(v["cost"]["usd"] for v in told["data"] if v["cost"])
    )
    # what the server took is found again, and each clip opens
    page.reload()
    expect(page.locator("#batch")).to_contain_text("What the server has taken", timeout=WAIT)
    page.locator("#batch .rows a").first.click()
    expect(page.locator("#download")).to_be_visible(timeout=WAIT)
    missing = httpx.get(f"{server}/v1/batches/none")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    assert not complaints, complaints
    page.context.close()
