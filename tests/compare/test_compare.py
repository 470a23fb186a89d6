"""Comparisons from file to page: plans, resuming, failures, and the demo's own parts."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from vivant.compare.findings import Findings, Spending, evaluate
from vivant.compare.page import render
from vivant.compare.plan import ComparisonPlan
from vivant.compare.plan_file import PRESETS, parse_plan, preset, read_plan
from vivant.compare.recommendation import Recommendation
from vivant.compare.runner import compare
from vivant.compare.sentences import price
from vivant.engines.camera.options import CameraOptions
from vivant.errors import InputError, OptionError
from vivant.runs.run import Runner
from vivant.settings import read_settings
from vivant.types import Clip, Request, ignore_progress
from vivant.upscalers import load_upscaler

Run = Callable[..., tuple[int, str, str]]

PLAN = """
[compare]
title = "<b>Still</b> or moving"
engine = "fake"
seeds = 2
frames = 5
size = "128x72"
scores = ["identity_mean", "flicker", "motion"]
[[variant]]
name = "moving"
[[variant]]
name = "still"
options = { shift = 0.0 }
"""


def timeless(page: str) -> str:
    """A page without its times and prices."""
    return re.sub(r'<span class="time">.*?</span>(?=</p>|</td>)', "", page, flags=re.DOTALL)


def test_the_cheaper_one_is_named_where_nothing_else_tells_them_apart() -> None:
    def findings(seconds: float, amount: float | None) -> Findings:
        spent = {
            name: Spending(clips=9, seconds=2.0, amount=0.5 if amount else None, currency="KRW")
            for name in ("cubic", "lanczos")
        }
        return Findings(
            look=1,
            evidence="",
            tables=(),
            spending=spent,
            seconds={"lanczos": seconds},
            amounts={"lanczos": amount} if amount else {},
            recommendations=(),
            pictures=1,
        )

    def said(advice: Any, seconds: float, amount: float | None) -> str:
        found = Recommendation(
            variant="lanczos", advice=advice, judged=(), pairs=9, fails=(0, 0), more=0
        )
        return price(findings(seconds, amount), found, preset("upscalers"))["en"]

    assert "+0.0 s" in said("wait", -0.01, None)
    assert "−2.0 s" in said("wait", -2.0, None)
    assert said("same", 1.0, 0.04) == "Per clip +1.0 s, +₩0.04 (medians): take cubic."
    assert said("same", 1.0, -0.04).endswith("(medians): take lanczos.")
    assert said("same", -1.0, None).endswith("(medians): take lanczos.")
    assert said("same", 1.0, 0.02).endswith("(medians).")  # too close to call
    assert said("keep", 1.0, 0.04).endswith("(medians).")


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_plans_their_engine_understands(name: str) -> None:
    plan = preset(name)
    assert len(plan.variants) >= 2
    for variant in plan.variants:
        request = plan.request(variant, Path("x.png"), 0)
        if variant.engine == "camera":
            CameraOptions.parse(request.options)
        else:
            from vivant.engines.ltx2.options import LTX2Options

            LTX2Options.from_request(request)


def test_the_users_pair_is_ten_steps_against_the_lora() -> None:
    from vivant.engines.ltx2.options import LTX2Options

    plan = preset("lora")
    before, after = (
        LTX2Options.from_request(plan.request(v, Path("x.png"), 0)) for v in plan.variants
    )
    assert (len(before.recipe.sigmas), before.recipe.distilled_lora) == (10, 0.0)
    assert (len(after.recipe.sigmas), after.recipe.distilled_lora) == (10, 0.65)
    assert plan.num_frames == 97


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (('title = "<b>', 'titel = "<b>'), "titel"),
        (("[[variant]]", "[[variants]]"), "variants"),
        (('name = "still"', 'name = "still"\nsteps = 3'), "steps"),
        (('name = "still"', 'name = "moving"'), "two variants are called 'moving'"),
        (("options = { shift = 0.0 }", ""), "do not differ"),
        (("options = { shift = 0.0 }", 'upscaler = "lanczos"'), "do not differ"),
        (('engine = "fake"', 'engine = "warp"'), "warp"),
        (("seeds = 2", "seeds = [1, 1]"), "none twice"),
        (("seeds = 2", "seeds = 0"), "0 seeds"),
        (("frames = 5", 'frames = "5"'), "frames"),
        (('size = "128x72"', 'size = "127x72"'), "odd"),
        (('"flicker"', '"flick"'), "flick"),
        (("options = { shift = 0.0 }", "options = 3"), "options"),
        (("[compare]", "[compare"), "not TOML"),
    ],
)
def test_bad_plans_are_one_sentence(change: tuple[str, str], word: str) -> None:
    assert change[0] in PLAN
    with pytest.raises(OptionError, match=re.escape(word)):
        parse_plan(PLAN.replace(*change), "plan.toml")


def test_a_comparison_from_file_to_page(vivant: Run, tmp_path: Path, portrait_file: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN, "utf-8")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    arguments = ("compare", portrait_file, "broken.jpg", "none.png", "--variants", "plan.toml")
    code, out, err = vivant(*arguments, "-o", "out", "--json")
    assert code == 0, err
    body = json.loads(out)
    assert body == json.loads(Path("out/compare.json").read_text("utf-8"))
    # the bad pictures failed with their reasons, the rest went on
    assert [f["picture"] for f in body["failures"]] == ["broken.jpg", "none.png"]
    assert all(f["reason"] for f in body["failures"])
    assert len(body["clips"]) == 4
    rows = list(csv.DictReader(Path("out/compare.csv").read_text("utf-8").splitlines()))
    assert [row["variant"] for row in rows] == ["moving", "still", "still", "moving"]
    assert all(Path("out", row["clip"]).is_file() for row in rows)
    advice = body["recommendations"][0]
    assert advice["text"]["en"].endswith(
        "This rests on 2 pairs of one picture and says little about others."
    )
    assert "So few pairs prove nothing" in advice["text"]["en"]
    assert not any(
        "left out" in line or line.endswith("broken.jpg · seed 1") for line in err.splitlines()
    )
    motion = next(s for s in body["scores"] if s["score"] == "motion")
    assert motion["losses"] == 2
    assert body["recommendations"][0]["advice"] == "more"
    page = Path("out/compare.html").read_text("utf-8")
    assert "<b>Still</b>" not in page  # escaped
    assert "&lt;b&gt;Still" in page
    assert "http" not in re.sub(r"http-equiv", "", page.split("<script")[0])

    # once more: nothing is made again, and the page is the same
    stamps = {p: p.stat().st_mtime_ns for p in Path("out/clips").iterdir()}
    code, _, err = vivant(*arguments, "-o", "out")
    assert code == 0
    assert err.count("there already") == 4
    assert {p: p.stat().st_mtime_ns for p in Path("out/clips").iterdir()} == stamps
    assert Path("out/compare.html").read_text("utf-8") == page
    assert len(json.loads(Path("out/compare.json").read_text("utf-8"))["looks"]) == 1

    # more seeds: only the new ones are made, and it is the second look
    code, _, err = vivant(*arguments, "-o", "out", "--seeds", "3")
    assert code == 0
    assert err.count("there already") == 4
    body = json.loads(Path("out/compare.json").read_text("utf-8"))
    assert (body["look"], len(body["clips"])) == (2, 6)


def test_nothing_is_left_where_nothing_could_be_made(
    vivant: Run, tmp_path: Path, portrait_file: Path
) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(PLAN.replace("seeds = 2", "seeds = 2\noptions = { shiftt = 1.0 }"), "utf-8")
    code, _, err = vivant("compare", portrait_file, "--variants", wrong, "-o", "out")
    assert code == 2
    assert "shiftt" in err
    assert not (tmp_path / "out").exists()


def test_a_kill_and_a_resume_give_the_same_page(
    tmp_path: Path, portrait_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVANT_CREDENTIALS", "off")  # no two signatures are alike
    slow = PLAN.replace('engine = "fake"', 'engine = "fake"\noptions = { step_seconds = 0.3 }')
    slow = slow.replace("seeds = 2", "seeds = 1")
    (tmp_path / "plan.toml").write_text(slow, "utf-8")

    def command(folder: str) -> list[str]:
        return [
            sys.executable, "-m", "vivant", "compare", str(portrait_file),
            "--variants", "plan.toml", "-o", folder, "--quiet",
        ]  # fmt: skip

    process = subprocess.Popen(command("killed"), cwd=tmp_path)
    clips = tmp_path / "killed" / "clips"
    deadline = time.monotonic() + 90
    # one clip is finished and the next one has begun
    while time.monotonic() < deadline and not (
        len(list(clips.glob("*.mp4"))) == 1 and list(clips.glob(".vivant-*"))
    ):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (first,) = clips.glob("*.mp4")
    stamp = first.stat().st_mtime_ns
    for folder in ("killed", "whole"):
        subprocess.run(command(folder), cwd=tmp_path, check=True)
    assert first.stat().st_mtime_ns == stamp
    assert not list(clips.glob(".vivant-*"))
    pages = [(tmp_path / f / "compare.html").read_text("utf-8") for f in ("killed", "whole")]
    assert timeless(pages[0]) == timeless(pages[1])
    assert timeless(pages[0]) != pages[0]


def test_a_mistake_in_the_plan_stops_at_the_first_clip(
    vivant: Run, tmp_path: Path, portrait_file: Path
) -> None:
    (tmp_path / "plan.toml").write_text(PLAN.replace("shift = 0.0", "shif = 0.0"), "utf-8")
    code, _, err = vivant("compare", portrait_file, "--variants", "plan.toml", "-o", "out")
    assert code == 2
    assert err.splitlines()[-1].startswith("vivant: the fake engine has no option 'shif'")
    assert len(list(Path("out/clips").glob("*.mp4"))) == 1


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "no picture"),
        (("p.png",), "--variants FILE"),
        (("--demo", "p.png"), "brings its own picture"),
        (("p.png", "--preset", "magic"), "magic"),
        (("p.png", "--preset", "lora", "--variants", "x.toml"), "not both"),
        (("p.png", "--variants", "none.toml"), "none.toml"),
        (("empty", "--preset", "upscalers"), "no pictures"),
        (("none.png", "--preset", "upscalers"), "no clip could be made"),
    ],
)
def test_bad_commands_are_one_line(
    vivant: Run, tmp_path: Path, arguments: tuple[str, ...], word: str
) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = vivant("compare", *arguments, "-o", "out")
    assert code == 2
    assert err.startswith("vivant: ")
    assert word in err
    assert len(err.splitlines()) == 1


def test_a_failing_engine_leaves_a_gap_and_the_rest_goes_on(
    tmp_path: Path, portrait_bytes: bytes
) -> None:
    plan = parse_plan(PLAN.replace("shift = 0.0", "fail_at_frame = 3"), "plan")
    done = compare(plan, [("p", portrait_bytes)], tmp_path, Runner(read_settings()))
    assert [f.variant for f in done.failures] == ["still", "still"]
    assert "frame 3" in done.failures[0].reason
    findings = evaluate(done)
    assert findings.recommendations[0].advice == "nothing"
    assert "frame 3" in render(done, findings)


def test_the_same_picture_twice_is_one_picture(tmp_path: Path, portrait_bytes: bytes) -> None:
    plan = parse_plan(PLAN, "plan")
    with pytest.raises(InputError, match="no clip could be made"):
        compare(plan, [], tmp_path, Runner(read_settings()))
    one_seed = replace(plan, seeds=(0,))
    done = compare(
        one_seed, [("a", portrait_bytes), ("b", portrait_bytes)], tmp_path, Runner(read_settings())
    )
    assert [p.name for p in done.pictures] == ["a"]
    assert "same picture as a" in done.failures[0].reason


def test_variants_without_effect_are_called_identical(
    tmp_path: Path, portrait_bytes: bytes
) -> None:
    # the fake draws at the target's size, so no upscaler is asked
    text = PLAN.replace("options = { shift = 0.0 }", 'upscaler = "cubic"')
    plan: ComparisonPlan = replace(parse_plan(text, "plan"), seeds=(0,))
    done = compare(plan, [("p", portrait_bytes)], tmp_path, Runner(read_settings()))
    (found,) = evaluate(done).recommendations
    assert found.advice == "identical"


def test_the_camera_draws_smaller_when_told(portrait_file: Path, vivant: Run) -> None:
    assert CameraOptions(scale=0.5).size(1920, 1080) == (960, 540)
    assert CameraOptions(scale=0.33).size(64, 64) == (22, 22)
    for bad in (0.1, 1.5, "half"):
        with pytest.raises(OptionError, match="scale"):
            CameraOptions.parse({"scale": bad})
    code, out, err = vivant(
        "animate", portrait_file, "--size", "160x90", "--frames", "3",
        "--set", "scale=0.5", "--upscaler", "cubic", "--json",
    )  # fmt: skip
    assert code == 0, err
    report = json.loads(out)
    assert report["upscaler"] == "cubic"
    assert (report["facts"]["width"], report["facts"]["height"]) == (160, 90)


def test_cubic_is_opencvs_cubic_on_pixel_centres() -> None:
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    small = cv2.GaussianBlur(noise, (0, 0), 1.5).astype(np.uint8)
    clip = Clip(
        num_frames=1, fps=preset("lora").fps, width=30, height=20, chunks=iter([small[None]])
    )
    made = load_upscaler("cubic").upscale(clip, width=60, height=40, observe=ignore_progress)
    (frame,) = next(iter(made.chunks))
    expected = cv2.resize(small, (60, 40), interpolation=cv2.INTER_CUBIC)
    inner = np.s_[6:-6, 6:-6]
    assert np.abs(frame[inner].astype(int) - expected[inner].astype(int)).max() <= 2
    ideal = PillowImage.fromarray(small).resize((60, 40), PillowImage.Resampling.BICUBIC)
    assert np.abs(frame[inner].astype(int) - np.asarray(ideal)[inner].astype(int)).mean() < 1.5


def test_a_plan_that_names_no_engine_has_the_usual_one(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text('[[variant]]\nname = "a"\n[[variant]]\nname = "b"\nquality = "draft"\n')
    plan = read_plan(path)
    engines = {plan.request(variant, tmp_path, 0).engine for variant in plan.variants}
    assert engines == {Request(image=b"").engine}
