"""The blind test: pairs, judgements that survive, agreement with the checks, and the page."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright
from scipy import stats

from vivant.api.server import listen, url
from vivant.checks.limits import limits
from vivant.compare.plan_file import parse_plan
from vivant.compare.rating.agreement import FEWEST, verdicts
from vivant.compare.rating.journal import JOURNAL, Answer, Journal, Judgement
from vivant.compare.rating.pairs import ClipPair, RatedClip, read_pairs
from vivant.compare.rating.results import summary, write_results
from vivant.compare.rating.server import RatingSession, create_app, make_server
from vivant.compare.recommendation import better_when, margin
from vivant.compare.runner import compare
from vivant.errors import InputError
from vivant.runs.run import Runner
from vivant.settings import read_settings
from web_server import launch, overflow, widths

Run = Callable[..., tuple[int, str, str]]

HIDDEN = "the secret variant"

PLAN = f"""
[compare]
title = "Moving or not"
engine = "fake"
seeds = 2
frames = 9
size = "160x90"
[[variant]]
name = "plain baseline"
[[variant]]
name = "{HIDDEN}"
options = {{ shift = 0.0 }}
"""


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, portrait_bytes: bytes) -> Path:
    """A folder of two pairs, as ``vivant compare`` leaves it."""
    from vivant.compare.exports import JSON_NAME, as_json
    from vivant.compare.findings import evaluate
    from vivant.report import to_json

    folder = tmp_path_factory.mktemp("compared")
    done = compare(
        parse_plan(PLAN, "plan"), [("face.png", portrait_bytes)], folder, Runner(read_settings())
    )
    (folder / JSON_NAME).write_text(to_json(as_json(done, evaluate(done), ())), "utf-8")
    return folder


@pytest.fixture
def folder(compared: Path, tmp_path: Path) -> Path:
    """The same, without judgements."""
    for path in compared.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def made_up(number: int, scores: dict[str, tuple[float, float]], picture: str = "p") -> ClipPair:
    sides = tuple(
        RatedClip(
            name, Path(f"{name}{number}.mp4"), {key: value[i] for key, value in scores.items()}
        )
        for i, name in enumerate(("first", "second"))
    )
    return ClipPair(f"pair{number}", picture, (sides[0], sides[1]))


def said(pair: ClipPair, answer: Answer, a: int = 0) -> tuple[str, Judgement]:
    return pair.id, Judgement(pair=pair.id, answer=answer, a=a, seconds=1, looked=False, at="")


def gap(name: str, steps: float) -> tuple[float, float]:
    """Values whose second is better by ``steps`` of the smallest difference that matters."""
    sign = 1 if better_when(name) == "higher" else -1
    return 1.0, 1.0 + sign * steps * margin(name)


# -- pairs -------------------------------------------------------------------------------------


def test_pairs_of_a_comparison_are_shuffled_and_stay_where_they_are(compared: Path) -> None:
    pairs = read_pairs(compared)
    assert [(p.sides[0].name, p.sides[1].name) for p in pairs.all] == [
        ("plain baseline", HIDDEN)
    ] * 2
    assert all(side.scores.keys() & limits().keys() for p in pairs.all for side in p.sides)
    many = [made_up(n, {}) for n in range(200)]
    swapped = sum(pair.shown("seed") == (1, 0) for pair in many)
    assert 60 < swapped < 140
    assert [p.shown("seed") for p in many] == [p.shown("seed") for p in many]
    assert [p.shown("other") for p in many] != [p.shown("seed") for p in many]


def test_pairs_of_a_batch_are_rows_of_the_same_picture(
    vivant: Run, tmp_path: Path, portrait_file: Path
) -> None:
    (tmp_path / "rows.csv").write_text(
        "image,output,seed\nportrait.png,a,0\nportrait.png,b,1\nnone.png,c,2\n", "utf-8"
    )
    vivant("batch", "rows.csv", "-o", "out", "--engine", "fake", "--size", "64x64", "--frames", "2")
    (pair,) = read_pairs(tmp_path / "out").all
    assert (pair.picture, pair.sides[0].name, pair.sides[1].name) == ("portrait.png", "a", "b")


def test_folders_that_hold_no_pairs_are_one_sentence(vivant: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither compare"):
        read_pairs(tmp_path)
    for text, word in (
        ("{", "cannot be read"),
        ("[]", "not what"),
        ('{"plan": {"variants": [{"name": "a"}]}, "clips": [], "title": "t"}', "no two finished"),
    ):
        (tmp_path / "compare.json").write_text(text, "utf-8")
        code, _, err = vivant("rate", tmp_path, "--report")
        assert (code, len(err.splitlines())) == (2, 1)
        assert word in err
        assert not (tmp_path / JOURNAL).exists()


# -- journal -----------------------------------------------------------------------------------


def test_a_torn_line_is_left_out_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL
    journal = Journal(path)
    journal.judge("one", "first", a=0, seconds=3.14159)
    journal.judge("two", "tie", a=1, seconds=1)
    whole = path.read_bytes()
    path.write_bytes(whole + whole.splitlines()[-1][:40])  # killed in the middle of a write
    again = Journal(path)
    assert again.judgements == journal.judgements
    assert again.seed == journal.seed
    again.judge("one", "second", a=0, seconds=2)
    last = Journal(path)
    assert {name: j.answer for name, j in last.judgements.items()} == {
        "one": "second",
        "two": "tie",
    }
    assert path.read_bytes().startswith(whole)  # it only grows
    assert not last.looked
    last.look()
    assert Journal(path).judge("two", "first", a=1, seconds=1).looked


# -- agreement ---------------------------------------------------------------------------------


def test_agreement_is_counted_and_its_interval_is_scipys() -> None:
    pairs: list[ClipPair] = []
    judgements: dict[str, Judgement] = {}
    for n in range(20):
        pair = made_up(n, {"detail": gap("detail", 3), "noise": gap("noise", -3)}, f"picture{n}")
        pairs.append(pair)
        judgements.update([said(pair, "second" if n < 17 else "first", a=n % 2)])
    pairs += [made_up(n, {"detail": gap("detail", 0.5)}) for n in (30, 31)]
    pairs += [made_up(32, {"detail": gap("detail", 3)}), made_up(33, {})]
    judgements.update([said(pairs[20], "first"), said(pairs[22], "tie"), said(pairs[23], "first")])
    found = verdicts(pairs, judgements)
    assert (found.judged, found.pairs) == (23, 24)
    by_name = {a.name: a for a in found.agreements}
    detail, noise = by_name["detail"], by_name["noise"]
    assert (detail.agreed, detail.disagreed, detail.unseen, detail.extra) == (17, 3, 1, 1)
    expected = stats.binomtest(17, 20).proportion_ci(0.95, "exact")
    assert (detail.low, detail.high) == pytest.approx((expected.low, expected.high))
    # two checks are tested, so p is doubled
    assert detail.p == pytest.approx(2 * stats.binomtest(17, 20).pvalue)
    assert (detail.finding, noise.finding) == ("agrees", "disagrees")
    assert (noise.agreed, noise.disagreed) == (3, 17)
    assert found.worst == "noise"
    assert "noise" in summary(found)[0]["en"].lower()
    assert "3 of 20" in summary(found)[0]["en"]
    (preference,) = found.preferences
    assert (preference.wins, preference.losses, preference.ties) == (17, 5, 1)


def test_little_is_said_of_few_and_of_habits() -> None:
    few = [made_up(n, {"detail": gap("detail", -3)}) for n in range(FEWEST - 1)]
    found = verdicts(few, dict(said(pair, "second") for pair in few))
    assert found.agreements[0].finding == "few"
    assert found.worst is None
    assert "judge more pairs" in summary(found)[0]["en"]
    # enough decisions, and checks that see nothing in these clips: said as it is
    same = [made_up(n, {"detail": gap("detail", 0.1)}) for n in range(FEWEST)]
    found = verdicts(same, dict(said(pair, "second") for pair in same))
    assert "see no difference that matters" in summary(found)[0]["en"]
    assert verdicts(few, {}).at_a is None
    assert summary(verdicts(few, {}))[0]["en"].startswith("Nothing")
    # always A, whichever clip stood there
    many = [made_up(n, {"detail": gap("detail", 3)}) for n in range(20)]
    always = dict(said(p, "second" if n % 2 else "first", a=n % 2) for n, p in enumerate(many))
    found = verdicts(many, always)
    assert found.at_a == 1.0
    assert any("chose the clip at A in 100 %" in words["en"] for words in summary(found))


def test_a_check_that_is_chance_is_not_called_out_falsely() -> None:
    pairs = [made_up(n, {"detail": gap("detail", 3 if n % 2 else -3)}) for n in range(20)]
    found = verdicts(pairs, dict(said(pair, "second") for pair in pairs))
    assert found.agreements[0].finding == "unclear"
    assert "may be chance" in summary(found)[0]["en"]


# -- server and page ---------------------------------------------------------------------------


@contextmanager
def rating(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """``vivant rate`` as its users start it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "vivant", "rate", str(folder), "--no-browser"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        found = re.search(r"http://\S+", line := process.stdout.readline())
        assert found, line
        yield found[0], process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_judgements_survive_a_kill_and_nothing_tells_which_is_which(folder: Path) -> None:
    with rating(folder) as (address, process):
        with httpx.Client(base_url=address) as client:
            listed = client.get("/pairs")
            assert HIDDEN not in listed.text
            assert set(listed.json()["pairs"][0]) == {"id", "judged"}
            first, second = (pair["id"] for pair in listed.json()["pairs"])
            clip = client.get(f"/clips/{first}/a", headers={"Range": "bytes=0-99"})
            assert (clip.status_code, len(clip.content)) == (206, 100)
            assert not {"content-disposition", "location"} & set(clip.headers)
            for path in ("/", "/rate/rate.js", "/assets/css/theme.css", f"/clips/{first}/b"):
                got = client.get(path)
                assert got.status_code == 200, path
                assert "default-src 'none'" in got.headers["content-security-policy"]
                assert got.headers["x-content-type-options"] == "nosniff"
            for path in (
                f"/clips/{first}/c",
                "/clips/none/a",
                "/rate/../server.py",
                "/compare.json",
            ):
                assert client.get(path).status_code == 404, path

            def post(headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
                return client.post("/judgements", json=body, headers=headers)

            answer = {"pair": first, "answer": "a", "seconds": 2.5}
            assert post(**answer).json() == {"judged": 1, "pairs": 2}
            for bad in (
                {**answer, "pair": "x"}, {**answer, "answer": "c"}, {**answer, "seconds": "soon"},
                {"pair": first},
            ):  # fmt: skip
                assert post(**bad).status_code == 400
            assert client.post("/judgements", content=b"[" * 5000).status_code == 415
            kind = {"content-type": "application/json"}
            assert client.post("/judgements", content=b"[" * 900, headers=kind).status_code == 400
            assert client.post("/judgements", content=b" " * 5000, headers=kind).status_code == 413
            assert post({"Origin": "https://evil.example"}, **answer).status_code == 403
            assert post({"Host": "evil.example"}, **answer).status_code == 403
        process.send_signal(signal.SIGKILL)
        process.wait()
    with rating(folder) as (address, process):
        listed = httpx.get(f"{address}/pairs").json()["pairs"]
        assert [(p["id"], p["judged"]) for p in listed] == [(first, True), (second, False)]
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        told = process.stdout.read()
        assert process.wait(20) == 0
        assert "1 of 2 pairs are judged" in told
    body = json.loads((folder / "rate.json").read_text("utf-8"))
    assert body["judged"] == 1
    (kept,) = body["judgements"]
    pair = next(p for p in read_pairs(folder).all if p.id == first)
    # "a" is the side that stood at A
    assert kept["answer"] == ("first", "second")[kept["a"]]
    assert kept["a"] == pair.shown(Journal(folder / JOURNAL).seed)[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium for the whole module."""
    with sync_playwright() as playwright, launch(playwright) as started:
        yield started


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The same in a thread of this process, which starts at once."""
    session = RatingSession(folder, read_pairs(folder), Journal(folder / JOURNAL))
    app = create_app(session, read_settings())
    listener, server = listen("127.0.0.1", 0), make_server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield url(listener)
    finally:
        server.should_exit = True
        thread.join()


def opened(browser: Browser, address: str, **context: Any) -> tuple[Page, list[str]]:
    """A page, and every problem it reports; requests to elsewhere are problems."""
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(20_000)
    problems: list[str] = []
    page.on(
        "console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: problems.append(str(error)))

    def elsewhere(route: Route) -> None:
        problems.append(route.request.url)
        route.abort()

    page.route(re.compile(rf"^(?!{re.escape(address)}|blob:|data:)"), elsewhere)
    page.goto(address)
    return page, problems


def clean(page: Page, state: str) -> None:
    found = Axe().run(page).response["violations"]
    assert not found, f"{state}: {[(f['id'], [n['target'] for n in f['nodes']]) for f in found]}"


def test_a_person_judges_by_keyboard_and_sees_what_disagrees(
    browser: Browser, folder: Path
) -> None:
    with served(folder) as address:
        page, problems = opened(
            browser, address, locale="en-US", viewport={"width": 1280, "height": 800}
        )
        expect(page.locator("#answers")).to_be_visible()
        expect(page.locator("#count")).to_have_text("0 of 2 pairs")
        assert HIDDEN not in page.content()
        clean(page, "judging")
        deadline = time.monotonic() + 20
        # asked from here: the page's policy forbids what waits inside it
        while page.evaluate("document.querySelector('#a').currentTime") <= 0.1:
            assert time.monotonic() < deadline
            page.wait_for_timeout(50)
        apart = page.evaluate(
            "Math.abs(document.querySelector('#a').currentTime - "
            "document.querySelector('#b').currentTime)"
        )
        assert apart < 0.12  # three frames
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#count")).to_have_text("1 of 2 pairs")
        expect(page.locator("#answers")).to_be_visible()
        page.keyboard.press("Backspace")
        expect(page.locator("#back")).to_be_disabled()
        expect(page.locator("#answers")).to_be_visible()
        page.keyboard.press("ArrowRight")  # another opinion about the same pair
        expect(page.locator("#back")).to_be_enabled()
        expect(page.locator("#answers")).to_be_visible()
        page.keyboard.press("ArrowDown")
        expect(page.locator("#question")).to_have_text("All pairs are judged. Thank you.")
        clean(page, "done")
        page.click("#results")
        expect(page.locator("h1")).to_have_text("Moving or not")
        expect(page.get_by_text(HIDDEN).first).to_be_visible()
        clean(page, "results")
        page.click("#language")
        expect(page.locator(".said .first")).to_contain_text("검사가 없습니다")
        assert not (wide := widths(page, (360, 390, 768, 1280))), wide
        assert not problems, problems
        page.context.close()
    journal = Journal(folder / JOURNAL)
    assert sorted(j.answer == "tie" for j in journal.judgements.values()) == [False, True]
    assert journal.lines == 3
    assert journal.looked
    # the page that is kept is the one that was seen, and its policy lets its script run
    kept, problems = opened(browser, (folder / "rate.html").as_uri(), locale="ko-KR")
    expect(kept.locator(".said .first")).to_be_visible()
    kept.click("#language")
    assert kept.evaluate("document.documentElement.lang") == "en"
    assert not problems, problems
    kept.context.close()


def test_on_a_phone_in_korean(browser: Browser, folder: Path) -> None:
    with served(folder) as address:
        page, problems = opened(
            browser, address, locale="ko-KR", viewport={"width": 390, "height": 844},
            has_touch=True, color_scheme="dark",
        )  # fmt: skip
        expect(page.locator("#answers")).to_be_visible()
        expect(page.locator("#question")).to_have_text("어느 영상을 올리고 싶으세요?")
        clean(page, "phone")
        assert overflow(page) == 0
        tie = page.locator("[data-answer=tie]")
        box = tie.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 844  # within reach without scrolling
        tie.tap()
        expect(page.locator("#count")).to_have_text("2쌍 중 1쌍")
        expect(page.locator("#answers")).to_be_visible()
        assert not problems, problems
        page.route(
            "**/judgements", lambda route: route.abort()
        )  # nobody there to keep the answer: said
        page.locator("[data-answer=a]").tap()
        expect(page.locator("#banner")).to_contain_text("저장하지 못했습니다")
        expect(page.locator("#count")).to_have_text("2쌍 중 1쌍")
        page.context.close()


def test_the_results_can_be_written_without_a_browser(vivant: Run, folder: Path) -> None:
    code, out, err = vivant("rate", folder, "--report")
    assert code == 0, err
    assert "0 of 2 pairs are judged" in out
    assert write_results(folder, read_pairs(folder), Journal(folder / JOURNAL)).judged == 0
    assert (folder / "rate.html").is_file()
