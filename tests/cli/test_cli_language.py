"""The command line in Korean and English: complete tables, the short summary, help, errors."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, get_args

import pytest
from PIL import Image as PillowImage
from rich.cells import cell_len
from typer.main import get_command

import vivant
from vivant.api.schemas import ComparisonFields, VideoFields
from vivant.checks.sentences import reason, translated
from vivant.cli import language
from vivant.cli.clip_meter import ClipMeter
from vivant.cli.language import localized
from vivant.cli.main import app, split_language
from vivant.environment import user_language
from vivant.errors import OptionError
from vivant.modal.options import DeploymentOptions
from vivant.request_fields import CommandFields
from vivant.settings import default_settings
from vivant.types import Progress, Verdict

Run = Callable[..., tuple[int, str, str]]

ROOT = Path(vivant.__file__).parent
PYDANTIC = re.compile(
    r"Input should|[Vv]alid (integer|number|string)|Field required|Value error|Unable to parse"
)
SMALL = ("--engine", "fake", "--size", "128x72", "--frames", "5")


@pytest.fixture(autouse=True)
def _english_afterwards() -> Iterator[None]:
    yield
    language.use("en")


def table(name: str) -> dict[str, Any]:
    folder = ROOT if name == "known_sentences.json" else ROOT / "cli"
    found: dict[str, Any] = json.loads((folder / name).read_text("utf-8"))
    return found


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@cache
def strings(under: str = "") -> frozenset[str]:
    """All string constants of the source, parts of f-strings included."""
    return frozenset(
        node.value
        for path in (ROOT / under).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@pytest.mark.parametrize("name", ["messages.json", "known_sentences.json"])
def test_both_languages_say_the_same(name: str) -> None:
    for key, words in table(name).items():
        assert set(words) == {"en", "ko"}, key
        # "rest", "verb" and the like stand for English words only
        assert places(words["ko"]) <= places(words["en"]) | {"count"}, key
        assert re.search("[가-힣]", words["ko"]) or not re.search("[a-z]{3}", words["ko"]), key
    if name == "messages.json":
        for key, words in table(name).items():
            missing = places(words["en"]) - places(words["ko"])
            assert not missing, f"{key}: {missing}"


def test_no_sentence_is_missing_and_none_is_left_over() -> None:
    known = set(table("messages.json"))
    called = {
        node.args[0].value
        for path in (ROOT / "cli").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "say"
        and isinstance(node.args[0], ast.Constant)
    }
    assert called <= known
    said = strings("cli")
    stems = tuple(text for text in said if text.endswith("_") and len(text) > 4)
    verdicts = {f"{what}_{v}" for what in ("made", "verified") for v in get_args(Verdict)}
    unused = {key for key in known if key.removesuffix("_one") not in said | verdicts}
    assert {key for key in unused if not key.startswith(stems)} == set()


def test_known_sentences_are_those_of_the_source() -> None:
    said = "\n".join(strings())
    typers = ("no_option", "no_command", "missing_", "needs_", "bad_extra")  # sentences of Typer
    composed = ("doctor_config_", "note_upside_down", "note_on_side")
    for key, words in table("known_sentences.json").items():
        parts = [part.strip() for part, *_ in Formatter().parse(words["en"])]
        assert key.startswith(typers + composed) or max(parts, key=len) in said, key


def test_every_help_text_has_its_korean() -> None:
    known = table("help.json")
    said: set[str] = set()

    def walk(command: Any) -> None:
        texts = [command.help, *(getattr(p, "help", None) for p in command.params)]
        said.update(" ".join(text.split()) for text in texts if text)
        for inner in getattr(command, "commands", {}).values():
            walk(inner)

    walk(get_command(app))
    assert said <= set(known), sorted(said - set(known))
    assert set(known) - said <= {"Show this message and exit."}


@pytest.mark.parametrize("width", [60, 80])
def test_help_fits_into_the_terminal(
    vivant: Run, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for command in ((), ("animate",), ("batch",), ("jobs", "purge")):
        code, out, _ = vivant(*command, "--help", "--lang", "ko")
        assert code == 0
        assert out.startswith("사용법: vivant")
        assert "Options" not in out
        assert max(map(cell_len, out.splitlines())) <= width


def test_the_language_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VIVANT_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value, spoken in (
        ("LANG", "kok_IN.UTF-8", "en"),  # Konkani
        ("LANG", "ko_KR.UTF-8", "ko"),
        ("LC_MESSAGES", "en_US.UTF-8", "en"),
        ("LC_ALL", "ko_KR.eucKR", "ko"),
        ("VIVANT_LANG", "en", "en"),
        ("VIVANT_LANG", "ko", "ko"),
    ):
        monkeypatch.setenv(name, value)
        assert user_language() == spoken


def test_the_language_may_stand_anywhere() -> None:
    for line in (["--lang", "ko", "a"], ["a", "--lang=KO"], ["a", "--lang", "ko"]):
        assert split_language(line) == (["a"], "ko")
    assert split_language(["a"]) == (["a"], None)
    for wrong in (["--lang", "de"], ["--lang"], ["--lang="]):
        with pytest.raises(OptionError, match="choose ko or en"):
            split_language(wrong)


def test_a_clip_is_told_in_about_ten_lines_with_the_verdict_first(
    vivant: Run, portrait_file: Path
) -> None:
    for spoken, words, label in (
        ("ko", "통과|주의|미통과", "품질 확인"),
        ("en", "PASS|LOOK|FAIL", "Checks"),
    ):
        code, out, err = vivant("animate", portrait_file, *SMALL, "-f", "--lang", spoken)
        assert code == 0, err
        lines = [line for line in out.splitlines() if line.strip()]
        assert re.match(rf"  ({words})  ", lines[0])
        assert len(lines) <= 12
        assert any(line.startswith(f"  {label}") for line in lines)
        assert any("portrait.mp4 (128×72" in line for line in lines)
        assert bool(re.search("[가-힣]", out + err)) == (spoken == "ko")
        assert "50 %" in err


@pytest.mark.parametrize("key", ["nobody", "several_people", "frames_differ"])
def test_what_a_verification_warns_of_is_known_to_page_and_terminal(key: str) -> None:
    facts: dict[str, float | str] = {"message": key, "others": 3.0, "announced": 97.0, "seen": 90.0}
    english = reason(facts)
    assert translated(english, "ko") == reason(facts, "ko") != english
    notes = (ROOT / "web/assets/js/shared/server_notes.js").read_text(encoding="utf-8")
    patterns = re.findall(r"^ *\[?/(\^.+?)/,", notes, re.MULTILINE)
    assert any(re.match(pattern, english) for pattern in patterns)


def test_notes_of_a_verification_are_told_in_korean(vivant: Run, tmp_path: Path) -> None:
    picture = tmp_path / "wall.png"
    PillowImage.effect_noise((320, 180), 40).convert("RGB").save(picture)
    clip = tmp_path / "a.mp4"
    assert vivant("animate", picture, "-o", clip, *SMALL)[0] in (0, 1)
    _, out, _ = vivant("verify", clip, "--image", picture, "--lang", "ko")
    assert "입력 사진에서 얼굴을 찾지 못했습니다" in out


def test_common_mistakes_are_told_in_korean(vivant: Run, portrait_file: Path) -> None:
    for arguments, words in (
        (("animate", "none.jpg"), "none.jpg: 파일이 없습니다"),
        (("animate", portrait_file, "--aspect", "4:3"), "가능한 값: 16:9, 9:16 또는 1:1"),
        (("animate", portrait_file, "--size", "321x180"), "짝수"),
        (("animate", portrait_file, "--crop", "1,2"), "10%,5%,80%,60%처럼 적어 주세요"),
        (("animate", portrait_file, "-o", "clip.gif"), ".mp4로 끝나야"),
        (("animate", portrait_file, "--engine", "warp"), "알 수 없는 값"),
        (("animate", portrait_file, "--nonsense"), "없는 옵션입니다: --nonsense"),
        (("animate", portrait_file, "--seed", "x"), "0 이상의 정수로 적어 주세요"),
        (("nothing",), "없는 명령입니다"),
        (("animate",), "값이 필요합니다"),
        (("verify", "none.mp4", "--image", portrait_file), "영상 파일이 없습니다"),
        (("compare",), "사진이 없습니다"),
    ):
        code, out, err = vivant(*arguments, "--lang", "ko")
        assert (code, out) == (2, ""), arguments
        assert err.startswith("vivant: ")
        assert words in err
        assert err.count("\n") == 1


@pytest.mark.parametrize(("encoding", "word"), [("ascii", "does not exist"), ("cp949", "없습니다")])
def test_korean_where_the_console_has_its_letters(tmp_path: Path, encoding: str, word: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vivant", "animate", "없다.png"],
        cwd=tmp_path,
        env={**os.environ, "VIVANT_LANG": "ko", "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), done.stderr
    assert word in done.stderr.decode(encoding)


def test_one_estimate_for_all_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("vivant.cli.clip_meter.time.monotonic", lambda: now[0])
    meter = ClipMeter({"generate": 1.0, "encode": 1.0}, None, clips=2)
    assert (meter.fraction, meter.seconds_left) == (0.0, None)
    now[0] += 4
    meter.take(Progress("generate", 10, 10))
    assert meter.fraction == pytest.approx(0.25)
    now[0] += 4
    meter.take(Progress("encode", 10, 10))
    meter.next_clip()
    assert meter.fraction == pytest.approx(0.5)
    assert meter.seconds_left == pytest.approx(8.0)
    before = meter.fraction
    meter.next_clip()
    meter.next_clip()  # more clips than were announced
    assert before < meter.fraction <= 1.0


@pytest.mark.parametrize(
    ("line", "english", "korean"),
    [
        ("animate P --frames x", "'x' is not possible: give a whole number, for example 97",
         "--frames 'x': 정수로 적어 주세요. 예: 97"),
        ("animate P --seed -1", "give a whole number, 0 or more", "0 이상의 정수로"),
        ("animate P --seconds 4초", "give a number, for example 4", "--seconds '4초': 숫자로"),
        ("serve --port 99999", "from 0 to 65535", "0에서 65535 사이의 정수로"),
        ("jobs purge --older-than -1", "give a number, 0 or more", "0 이상의 숫자로"),
        (f"animate P --seed {'9' * 30}", f"at most {2**63 - 1}", "너무 큽니다"),
        ("animate P --quality best", "draft, standard or high", "draft, standard 또는 high"),
        ("animate P --engine fake --set steps=x", "use a whole number", "정수로 적어 주세요"),
        ("animate P --last P", "cannot end with another picture", "다른 사진으로 끝낼 수 없습니다"),
    ],
)  # fmt: skip
def test_a_wrong_number_is_told_with_its_value_and_limits(
    vivant: Run, portrait_file: Path, line: str, english: str, korean: str
) -> None:
    arguments = [portrait_file if part == "P" else part for part in line.split()]
    for spoken, words in (("en", english), ("ko", korean)):
        code, out, err = vivant(*arguments, "--lang", spoken)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert words in err
        assert not PYDANTIC.search(err)


def test_a_wrong_setting_is_told_in_korean(vivant: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVANT_QUEUE_LIMIT", "x")
    code, _, err = vivant("jobs", "list", "--lang", "ko")
    assert code == 2
    assert "VIVANT_QUEUE_LIMIT" in err
    assert "queue_limit 'x': 정수가 아닙니다" in err


BAD_VALUES: tuple[Any, ...] = (
    "x",
    "",
    "\0",
    "-1",
    "1e400",
    "nan",
    3.5,
    -7,
    10**30,
    True,
    None,
    [],
    {},
    b"\xff",
    "9" * 200,
)


@pytest.mark.parametrize("model", [CommandFields, VideoFields, ComparisonFields, DeploymentOptions])
def test_no_value_is_refused_in_the_words_of_pydantic(model: Any) -> None:
    """Of any field of command line, CSV and HTTP API, and of a deployment's options."""
    language.use("ko")
    refused = 0
    for field, about in model.model_fields.items():
        for value in BAD_VALUES:
            name = about.alias or field
            try:
                if model is DeploymentOptions:
                    model.read(default_settings().model_copy(update={"modal": {name: value}}))
                else:
                    model.read({name: value})
            except OptionError as error:
                refused += 1
                assert not PYDANTIC.search(error.message), (name, value, error.message)
                if model is CommandFields:  # the others are not for the command line
                    assert re.search("[가-힣]", localized(error.message)), error.message
    assert refused > 20
