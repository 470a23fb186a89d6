"""The command line as a user meets it: one line for a mistake, the right exit code, no debris."""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from vivant.version import __version__

Run = Callable[..., tuple[int, str, str]]

SMALL = ("--engine", "fake", "--size", "320x180", "--frames", "9")


def test_version(vivant: Run) -> None:
    assert vivant("--version") == (0, f"vivant {__version__}\n", "")


def test_without_arguments_help_is_shown(vivant: Run) -> None:
    code, out, _ = vivant()
    assert code == 2
    assert "animate" in out
    assert "doctor" in out


def test_a_group_without_a_command_shows_its_help(vivant: Run) -> None:
    code, _, err = vivant("weights")
    assert code == 2
    assert "\n" in err.strip()
    assert err.startswith("Usage: vivant weights")


def test_animate_prints_the_users_run_log(vivant: Run, portrait_file: Path) -> None:
    code, out, err = vivant("animate", portrait_file, *SMALL, "-o", "clip.mp4", "--seed", "4", "-v")
    assert code == 0
    headings = [line.split("]")[0] + "]" for line in out.splitlines() if line.startswith("[")]
    assert headings == [
        "[GENERATION SETTINGS]",
        "[STARTING GENERATION]",
        "[GENERATION COMPLETE]",
        "[CHARACTER FIDELITY VERIFICATION]",
        "[UPSCALING TO 180p]",
        "[FINAL VERIFICATION @ 180p]",
        "[COMPLETE]",
        "[PERFORMANCE]",
    ]
    assert "subtle motion" in out
    assert "Frame   0: diff=" in out
    assert "₩" in out
    assert "generate: 2/2 steps" in err
    assert Path("clip.mp4").is_file()


def test_json_is_the_report_and_nothing_else(vivant: Run, portrait_file: Path) -> None:
    code, out, _ = vivant("animate", portrait_file, *SMALL, "--json", "--currency", "usd")
    assert code == 0
    report = json.loads(out)
    assert report == json.loads(Path("portrait.report.json").read_text("utf-8"))
    assert report["bill"]["currency"] == "USD"
    assert {"name", "value", "limit", "unit", "verdict", "reason"} <= set(report["scores"][0])


def test_quiet_prints_nothing(vivant: Run, portrait_file: Path) -> None:
    assert vivant("animate", portrait_file, *SMALL, "--quiet") == (0, "", "")
    assert Path("portrait.mp4").is_file()


@pytest.mark.parametrize(
    ("arguments", "width", "height", "frames"),
    [
        (("--aspect", "9:16"), 1080, 1920, 97),
        (("--aspect", "1:1"), 1080, 1080, 97),
        (("--size", "64x64", "--seconds", "0.5"), 64, 64, 13),
        (("--size", "64x64", "--seconds", "1", "--fps", "29.97"), 64, 64, 31),
    ],
)
def test_shapes_and_lengths(
    vivant: Run,
    portrait_file: Path,
    arguments: tuple[str, ...],
    width: int,
    height: int,
    frames: int,
) -> None:
    if frames == 97:
        arguments, frames = (*arguments, "--frames", "5"), 5
    code, out, _ = vivant("animate", portrait_file, "--engine", "fake", "--json", *arguments)
    assert code == 0
    facts = json.loads(out)["facts"]
    assert (facts["width"], facts["height"], facts["num_frames"]) == (width, height, frames)


def test_engine_options_are_passed_on(vivant: Run, portrait_file: Path) -> None:
    code, _, err = vivant("animate", portrait_file, *SMALL, "--set", "steps=4", "-v")
    assert code == 0
    assert "4/4 steps" in err
    code, _, err = vivant("animate", portrait_file, *SMALL, "--set", "stepz=4", "-f")
    assert code == 2
    assert "stepz" in err


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims to be ``width`` × ``height``: valid chunks, almost no data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def jpeg(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    PillowImage.effect_noise((width, height), 60).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


BAD_PICTURES: dict[str, tuple[str, bytes]] = {
    "empty": ("a.jpg", b""),
    "truncated": ("a.jpg", jpeg(300, 300)[:5000]),
    "text": ("a.jpg", b"Dear reader, this is no picture.\n" * 50),
    "bomb": ("a.png", png_header(60_000, 60_000)),
    "one pixel": ("a.jpg", jpeg(1, 1)),
    "30,000 wide": ("a.png", png_header(30_000, 40)),
    "svg": ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
}


@pytest.mark.parametrize("case", BAD_PICTURES)
def test_bad_pictures_are_one_line(vivant: Run, tmp_path: Path, case: str) -> None:
    name, data = BAD_PICTURES[case]
    (tmp_path / name).write_bytes(data)
    refused(vivant, tmp_path, 2, "animate", name, *SMALL, "-o", "clip.mp4", keep=[name])


def test_pictures_that_are_not_there(vivant: Run, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    err = refused(vivant, tmp_path, 2, "animate", "no.jpg", *SMALL, keep=["folder"])
    assert "no.jpg" in err
    err = refused(vivant, tmp_path, 2, "animate", "folder", *SMALL, keep=["folder"])
    assert "directory" in err
    assert "vivant batch folder" in err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--size", "321x180"), "odd"),
        (("--frames", "0"), "0 frames"),
        (("--frames", "1000000"), "1000000"),
        (("--frames", "-3"), "-3"),
        (("--seconds", "nan"), "nan"),
        (("--seconds", "0"), "0 seconds"),
        (("--fps", "0"), "fps"),
        (("--fps", "1/0"), "fps"),
        (("--aspect", "4:3"), "4:3"),
        (("--engine", "warp"), "camera"),
        (("--upscaler", "magic"), "lanczos"),
        (("--quality", "best"), "draft"),
        (("--currency", "doubloon"), "doubloon"),
        (("--seed", "-1"), "seed"),
        (("--seed", "x"), "seed"),
        (("--set", "steps"), "KEY=VALUE"),
        (("--size", "320x180", "--aspect", "1:1"), "not 1:1"),
        (("-o", "clip.gif"), ".mp4"),
        (("-o", "."), "directory"),
        (("-o", "no/such/clip.mp4"), "does not exist"),
        (("--nonsense",), "nonsense"),
    ],
)
def test_bad_options_are_one_line(
    vivant: Run, tmp_path: Path, portrait_file: Path, arguments: tuple[str, ...], word: str
) -> None:
    base = ["--engine", "fake", "--size", "320x180", "--frames", "9"]
    for name in ("--engine", "--size", "--frames"):
        if name in arguments or (name == "--frames" and "--seconds" in arguments):
            at = base.index(name)
            del base[at : at + 2]
    code = 3 if "no/such/clip.mp4" in arguments else 2
    err = refused(
        vivant, tmp_path, code, "animate", portrait_file, *base, *arguments, keep=["portrait.png"]
    )
    assert word in err


def test_existing_output_needs_force(vivant: Run, tmp_path: Path, portrait_file: Path) -> None:
    (tmp_path / "clip.mp4").write_text("mine")
    arguments = ("animate", portrait_file, *SMALL, "-o", "clip.mp4")
    err = refused(vivant, tmp_path, 2, *arguments, keep=["clip.mp4", "portrait.png"])
    assert "--force" in err
    assert (tmp_path / "clip.mp4").read_text() == "mine"
    assert vivant(*arguments, "--force")[0] == 0


def refused(run: Run, folder: Path, status: int, *arguments: object, keep: list[str]) -> str:
    """The command fails with ``status`` and one line, and leaves only ``keep`` behind."""
    code, out, err = run(*arguments)
    assert out == "", "a mistake is one line, with no settings above it"
    complaint = [line for line in err.splitlines() if not line.startswith("  ")]
    assert code == status, err
    assert len(complaint) == 1, err
    assert complaint[0].startswith("vivant: ")
    assert "Traceback" not in err
    assert sorted(path.name for path in folder.iterdir()) == sorted(keep)
    return complaint[0]


def test_verify_passes_a_good_clip_and_fails_a_bad_one(vivant: Run, portrait_file: Path) -> None:
    code, _, err = vivant(
        "animate", portrait_file, "--size", "640x360", "--frames", "25", "-o", "clip.mp4"
    )
    assert code == 0, err
    code, out, _ = vivant("verify", "clip.mp4", "--image", portrait_file, "--json")
    verdicts = {score["name"]: score["verdict"] for score in json.loads(out)["scores"]}
    assert code == 0, {name: verdict for name, verdict in verdicts.items() if verdict == "fail"}
    assert verdicts["identity_mean"] == "pass"
    credentials = json.loads(out)["credentials"]
    assert (credentials["state"], credentials["own"]) == ("valid", True)
    # the same clip against another person's picture
    code, out, _ = vivant("verify", "clip.mp4", "--image", flipped_colours(portrait_file), "--json")
    assert json.loads(out)["verdict"] in ("fail", "warn", "not_measured")


def flipped_colours(picture: Path) -> Path:
    """The same picture upside down: no face the detector knows."""
    path = picture.with_name("other.png")
    with PillowImage.open(picture) as image:
        image.transpose(PillowImage.Transpose.FLIP_TOP_BOTTOM).save(path)
    return path


def test_verify_refuses_what_is_no_clip(vivant: Run, tmp_path: Path, portrait_file: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + b"\0" * 500)
    (tmp_path / "empty.mp4").write_bytes(b"")
    for name in ("broken.mp4", "empty.mp4", "none.mp4", "."):
        refused(
            vivant,
            tmp_path,
            2,
            "verify",
            name,
            "--image",
            portrait_file,
            keep=["broken.mp4", "empty.mp4", "portrait.png"],
        )


def test_a_page_never_replaces_a_clip_or_a_picture(
    vivant: Run, tmp_path: Path, portrait_file: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"precious")
    before = portrait_file.read_bytes()
    verify = ("verify", clip, "--image", portrait_file, "--html")
    for page, status in ((clip, 2), (portrait_file, 2), ("page", 2), ("none/page.html", 3)):
        code, _, err = vivant(*verify, page)
        assert code == status
        assert ".html" in err
    assert (clip.read_bytes(), portrait_file.read_bytes()) == (b"precious", before)


def test_weights_are_listed_and_missing_ones_are_one_line(vivant: Run, tmp_path: Path) -> None:
    code, out, _ = vivant("weights", "list")
    assert code == 0
    assert "ltx-2-19b-distilled" in out
    refused(vivant, tmp_path, 2, "weights", "pull", "no-such-model", keep=[])


def test_doctor_says_what_runs(vivant: Run) -> None:
    code, out, _ = vivant("doctor")
    assert code == 0
    assert "engine camera" in out
    assert "vivant demo" in out
    code, out, _ = vivant("doctor", "--json")
    parts = {finding["part"]: finding["status"] for finding in json.loads(out)}
    assert parts["face models"] == "ok"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "vivant", *arguments]


def test_ctrl_c_stops_at_once_and_leaves_nothing(tmp_path: Path, portrait_file: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    process = subprocess.Popen(
        command("animate", str(portrait_file), "--frames", "1000", "-o", "clip.mp4"),
        cwd=work,
        env={**os.environ, "PYTHONFAULTHANDLER": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(work.glob(".vivant-*/clip.mp4")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    try:
        _, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # faulthandler tells where every thread is
        _, err = process.communicate()
        pytest.fail(err[-20_000:])
    assert process.returncode == 130
    assert "cancelled" in err
    assert "Traceback" not in err
    assert list(work.iterdir()) == []


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, portrait_file: Path) -> None:
    """A file-size limit makes the kernel refuse writes exactly where a full disk would."""
    work = tmp_path / "work"
    work.mkdir()
    script = (
        "import resource, signal, sys;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "from vivant.cli.main import main; main()"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            script,
            "animate",
            str(portrait_file),
            "--frames",
            "49",
            "-o",
            "c.mp4",
        ],
        cwd=work,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "no space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(work.iterdir()) == []


def test_importing_vivant_is_light() -> None:
    script = (
        "import sys, vivant;"
        "heavy = {'torch', 'cv2', 'dlib', 'av', 'numpy', 'fastapi'} & set(sys.modules);"
        "sys.exit(f'import vivant loads {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    script = script.replace("import sys, vivant;", "import sys, vivant.cli.main;").replace(
        "'numpy'", "'pydantic'"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_python_dash_m_works() -> None:
    done = subprocess.run(
        command("--version"), capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout == f"vivant {__version__}\n"
