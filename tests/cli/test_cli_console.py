"""Consoles and names of all kinds: output never raises, and the exit code tells the truth."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]

SMALL = ("--engine", "fake", "--size", "128x72", "--frames", "5")
FAILING = (*SMALL, "--set", "flaw=hopeless", "--frames", "9")


def vivant_process(
    folder: Path, *arguments: str | bytes, encoding: str = "utf-8"
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "vivant", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        timeout=240,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["cp949", "cp1252", "ascii"])
def test_a_console_that_knows_few_characters(
    tmp_path: Path, portrait_file: Path, encoding: str
) -> None:
    picture = tmp_path / "얼굴–né.png"
    shutil.copy(portrait_file, picture)
    done = vivant_process(tmp_path, "animate", picture.name, *SMALL, encoding=encoding)
    assert b"Traceback" not in done.stderr, done.stderr.decode("ascii", "replace")
    assert done.returncode == 0
    assert (tmp_path / "얼굴–né.mp4").is_file()
    shown = done.stdout.decode(encoding)
    assert "KRW" in shown or "₩" in shown
    refused = vivant_process(tmp_path, "animate", "없다–né.png", *SMALL, encoding=encoding)
    assert refused.returncode == 2
    assert refused.stderr.count(b"\n") == 1


def test_longer_answers_on_a_console_that_knows_ascii_only(
    tmp_path: Path, portrait_file: Path
) -> None:
    shutil.copy(portrait_file, tmp_path / "얼굴–né.png")
    for command in (("doctor",), ("batch", ".", "-o", "out", *SMALL)):
        done = vivant_process(tmp_path, *command, encoding="ascii")
        assert b"Traceback" not in done.stderr
        assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_text(tmp_path: Path, portrait_file: Path) -> None:
    name = b"me-\xff\xe9.png"
    (tmp_path / "in").mkdir()
    shutil.copy(portrait_file, tmp_path / "in" / os.fsdecode(name))
    shutil.copy(portrait_file, tmp_path / "in" / "other.png")
    done = vivant_process(tmp_path, "animate", b"in/" + name, *SMALL, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert Path(tmp_path, report["files"]["clip"]).is_file()
    done = vivant_process(tmp_path, "batch", "in", "-o", "out", *SMALL, "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert [row["state"] for row in rows] == ["made", "made"]
    assert all((tmp_path / "out" / row["clip"]).is_file() for row in rows)
    done = vivant_process(tmp_path, "animate", "in/other.png", "-o", b"clip-\xff.mp4", *SMALL)
    assert done.returncode == 2
    assert b"UTF-8" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_names_cannot_steer_the_terminal(vivant: Run, tmp_path: Path, portrait_file: Path) -> None:
    evil = "\x1b]0;title\x07\x1b[31mme"
    (tmp_path / "in").mkdir()
    shutil.copy(portrait_file, tmp_path / "in" / f"{evil}.png")
    (tmp_path / "in" / f"{evil}2.png").write_bytes(b"no picture")
    for arguments in (
        ("animate", f"in/{evil}.png", *SMALL),
        ("animate", f"in/{evil}2.png", *SMALL),
        ("animate", f"in/{evil}3.png", *SMALL),
        ("animate", f"in/{evil}.png", "--engine", evil),
        ("batch", "in", "-o", "out", *SMALL),
        ("compare", f"in/{evil}2.png", "--preset", "upscalers"),
        ("verify", f"in/{evil}.png", "--image", f"in/{evil}.png"),
    ):
        _, out, err = vivant(*arguments)
        assert "\x1b" not in out + err, arguments
        assert "\x07" not in out + err


def test_a_failed_check_is_an_error_where_that_is_asked_for(
    vivant: Run, portrait_file: Path
) -> None:
    code, out, _ = vivant("animate", portrait_file, *FAILING, "--json")
    assert (code, json.loads(out)["verdict"]) == (0, "fail")
    assert vivant("animate", portrait_file, *FAILING, "-f", "-q", "--strict")[0] == 1
    assert Path("portrait.mp4").is_file()
    assert vivant("animate", portrait_file, *FAILING, "--seeds", "1,2", "-q", "--strict")[0] == 1
    code, _, _ = vivant(
        "animate", portrait_file, *FAILING, "-f", "-q", "--strict", "--until-pass",
        "--budget", "4s",
    )  # fmt: skip
    assert code == 1
    assert vivant("batch", portrait_file.parent, "-o", "out", *FAILING, "-q", "--strict")[0] == 1
