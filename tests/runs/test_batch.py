"""Batches: rows from folders and CSVs, resuming, failures that stay in their row, the bill."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vivant.report import spreadsheet_text
from vivant.runs.timing_history import expected, remember
from vivant.settings import read_settings
from vivant.types import Request

Run = Callable[..., tuple[int, str, str]]

SMALL = ("--engine", "fake", "--size", "128x72", "--frames", "5")


def test_rows_of_a_csv_are_made_each_its_own_way(
    vivant: Run, tmp_path: Path, portrait_file: Path
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    (tmp_path / "rows.csv").write_text(
        "\ufeffImage, output, seed, frames, options\n"
        "portrait.png,,3,,\n"
        'portrait.png,,,9,"steps=1; shift=2"\n'
        "portrait.png,../../evil,,,\n"
        "bad.jpg,,,,\n"
        "portrait.png,,x,,\n"
        "none.png,,,,\n"
        "portrait.png,,,,stepz=1\n",
        "utf-8",
    )
    code, out, err = vivant("batch", "rows.csv", "-o", "out", *SMALL, "--json")
    assert code == 1  # some rows could not be made
    body = json.loads(out)
    rows = {row["row"]: row for row in body["rows"]}
    assert [row["state"] for row in rows.values()] == ["made"] * 3 + ["failed"] * 4
    assert [rows[n]["clip"] for n in (1, 2, 3)] == [
        "portrait.mp4",
        "portrait-2.mp4",
        "_.._evil.mp4",
    ]
    for number, word in ((4, "bad.jpg"), (5, "'x'"), (6, "none.png"), (7, "stepz")):
        assert word in rows[number]["reason"]
    reports = [
        json.loads(Path("out", f"{name}.report.json").read_text("utf-8"))
        for name in ("portrait", "portrait-2")
    ]
    assert [report["settings"]["seed"] for report in reports] == [3, 0]
    assert [report["facts"]["num_frames"] for report in reports] == [5, 9]
    assert reports[1]["settings"]["options"] == {"steps": 1, "shift": 2}
    page = Path("out/index.html").read_text("utf-8")
    assert "portrait-2.mp4" in page
    assert "stepz" in page
    assert body["seconds"] == pytest.approx(sum(row["seconds"] or 0 for row in rows.values()))

    # the same again: nothing is made; other settings: only that clip is
    stamps = {p.name: p.stat().st_mtime_ns for p in Path("out").glob("*.mp4")}
    code, out, err = vivant("batch", "rows.csv", "-o", "out", *SMALL)
    assert err.count("there already") == 3
    assert "[BILL] 0 clips made" in out
    (tmp_path / "rows.csv").write_text("image,seed\nportrait.png,4\n", "utf-8")
    code, out, _ = vivant("batch", "rows.csv", "-o", "out", *SMALL)
    assert code == 0
    assert "[BILL] 1 clips made" in out
    again = {p.name: p.stat().st_mtime_ns for p in Path("out").glob("*.mp4")}
    assert [name for name in again if again[name] != stamps[name]] == ["portrait.mp4"]


def test_a_mistake_in_the_command_is_said_once(
    vivant: Run, tmp_path: Path, portrait_file: Path
) -> None:
    for option, value in (("--engine", "warp"), ("--upscaler", "magic")):
        code, out, err = vivant("batch", portrait_file.parent, "-o", "out", option, value)
        assert (code, out) == (2, "")
        assert err.startswith(f"vivant: {option[2:]} '{value}' is unknown")
    assert not (tmp_path / "out").exists()


def test_a_small_clip_says_nothing_of_a_large_one(tmp_path: Path) -> None:
    settings = read_settings(cache_dir=tmp_path)
    small = Request(image=b"", width=320, height=180, num_frames=17)
    remember(small, {"seconds": 3.0, "engine": {"device": "cpu"}}, settings)
    assert expected(small, settings) == pytest.approx(3.0)
    assert expected(replace(small, num_frames=34), settings) == pytest.approx(6.0)
    assert expected(Request(image=b""), settings) is None


def test_the_bill_is_known_beforehand_once_something_was_measured(
    vivant: Run, tmp_path: Path, portrait_file: Path
) -> None:
    (tmp_path / "pictures").mkdir()
    for name in ("a.png", "b.PNG", "notes.txt"):
        shutil.copy(portrait_file, tmp_path / "pictures" / name)
    arguments = ("batch", "pictures", "-o", "out", *SMALL)
    code, out, _ = vivant(*arguments, "--estimate")
    assert code == 0
    assert "2 clips to make; time and cost are known once the first such clip by fake" in out
    assert not Path("out").exists()
    code, out, err = vivant(*arguments)
    assert code == 0
    assert "left: 1 clip to make: about" in err
    assert "[BILL] 2 clips made in" in out
    assert "₩" in out
    code, out, _ = vivant("batch", "pictures", "-o", "other", *SMALL, "--estimate")
    assert "2 clips to make: about" in out
    assert "₩" in out


def test_a_killed_batch_goes_on(tmp_path: Path, portrait_file: Path) -> None:
    (tmp_path / "rows.csv").write_text(
        "image,output,seed\n" + "".join(f"portrait.png,c{n},{n}\n" for n in range(2)), "utf-8"
    )
    command = [
        sys.executable, "-m", "vivant", "batch", "rows.csv", "-o", "out", "--quiet", *SMALL,
        "--set", "step_seconds=0.3",
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=tmp_path)
    out = tmp_path / "out"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and not (
        (out / "c0.mp4").exists() and list(out.glob(".vivant-*/clip.mp4"))
    ):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stamp = (out / "c0.mp4").stat().st_mtime_ns
    assert not (out / "c1.mp4").exists()
    subprocess.run(command, cwd=tmp_path, check=True)
    assert (out / "c0.mp4").stat().st_mtime_ns == stamp
    assert (out / "c1.mp4").is_file()
    assert not [p for p in out.glob(".vivant-*") if p.is_dir()]
    assert (out / "index.html").is_file()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("picture,seed\na.png,1\n", "no column 'image'"),
        ("image,sede\na.png,1\n", "sede"),
        ("image,image\na.png,1\n", "twice"),
        ("image\n", "0 rows"),
        ("", "no column 'image'"),
    ],
)
def test_bad_tables_are_one_line(vivant: Run, tmp_path: Path, content: str, word: str) -> None:
    (tmp_path / "rows.csv").write_text(content, "utf-8")
    code, _, err = vivant("batch", "rows.csv", "-o", "out")
    assert code == 2
    assert word in err
    assert len(err.splitlines()) == 1
    assert not Path("out").exists()


def test_tables_run_no_formula(vivant: Run, tmp_path: Path, portrait_file: Path) -> None:
    names = ["=1+1", "+1", "-1", "@a", "\t=1", " =1", "\uff1d1", "\uff20a", "plain"]
    (tmp_path / "in").mkdir()
    for name in names:
        (tmp_path / "in" / f"{name}.png").write_bytes(b"no picture")
    shutil.copy(portrait_file, tmp_path / "in" / "good.png")
    vivant("batch", "in", "-o", "out", *SMALL)
    with Path("out/batch.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["picture"]: row for row in csv.DictReader(file)}
    assert rows["good.png"]["reason"] == ""
    assert "plain.png" in rows
    assert sum(picture.startswith("'") for picture in rows) == len(names) - 2
    assert "\ufffd=1.png" in rows  # the tab is no tab any more
    assert spreadsheet_text("\t=1") == "'\t=1"
    assert all(row["reason"] for row in rows.values() if row["picture"] != "good.png")


def test_other_peoples_files_are_left_alone(
    vivant: Run, tmp_path: Path, portrait_file: Path
) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(portrait_file, tmp_path / "in")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "portrait.mp4").write_text("mine")
    code, _, err = vivant("batch", "in", "-o", "out", *SMALL)
    assert code == 1
    assert "not Vivant's" in err
    assert (tmp_path / "out" / "portrait.mp4").read_text() == "mine"
    code, _, err = vivant("batch", "none", "-o", "out")
    assert code == 2
    code, _, err = vivant("batch", "out", "-o", "out2")
    assert code == 2
    assert "no pictures" in err
