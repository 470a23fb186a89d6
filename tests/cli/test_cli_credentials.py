"""``vivant credentials``: show, sign and key."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from vivant.provenance.reading import read_credentials
from vivant.settings import default_settings

Run = Callable[..., tuple[int, str, str]]

SMALL = ("--size", "320x180", "--frames", "2", "--engine", "fake", "-q")


def test_the_key(vivant: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = vivant("credentials", "key")
    assert (code, err) == (0, "")
    assert "self-made.pem" in out
    assert "untrusted" in out
    code, renewed, _ = vivant("credentials", "key", "--new")
    assert code == 0
    assert renewed != out
    monkeypatch.setenv("VIVANT_CREDENTIALS_KEY", "/nowhere.pem")
    default_settings.cache_clear()
    code, out, err = vivant("credentials", "key")
    assert (code, out) == (3, "")
    assert "VIVANT_CREDENTIALS_CERTIFICATES" in err
    assert vivant("credentials", "key", "--new")[0] == 2


def test_a_clip_is_shown_and_signed_later(
    vivant: Run, portrait_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVANT_CREDENTIALS", "off")
    assert vivant("animate", portrait_file, *SMALL, "-o", "clip.mp4")[0] == 0
    monkeypatch.delenv("VIVANT_CREDENTIALS")
    default_settings.cache_clear()
    code, out, _ = vivant("credentials", "show", "clip.mp4")
    assert code == 0
    assert out.startswith("missing: ")
    code, out, err = vivant("credentials", "sign", "clip.mp4")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "signed clip.mp4",
        "signed clip.thumbnail.jpg",
        "signed clip.contact_sheet.jpg",
    ]
    assert json.loads(Path("clip.report.json").read_text("utf-8"))["credentials"]["signed"]
    code, out, _ = vivant("credentials", "show", "clip.mp4")
    assert code == 0
    assert out.startswith("valid: ")
    assert "signed with the key of this machine" in out
    assert read_credentials(tmp_path / "clip.thumbnail.jpg", default_settings()).own
    # once more, a changed one, one without a report, and what is no clip
    assert vivant("credentials", "sign", "clip.mp4")[0] == 2
    whole = Path("clip.mp4").read_bytes()
    Path("clip.mp4").write_bytes(whole[:-9] + b"x" + whole[-8:])
    code, out, _ = vivant("credentials", "show", "clip.mp4", "--json")
    assert (code, json.loads(out)["state"]) == (1, "tampered")
    Path("other.mp4").write_bytes(whole)
    assert "other.report.json is not beside" in vivant("credentials", "sign", "other.mp4")[2]
    assert vivant("credentials", "show", "none.mp4")[0] == 2
