"""What ``vivant doctor`` says of a GPU's memory and of the weights on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from vivant import doctor
from vivant.settings import default_settings
from vivant.weights import DEFAULT_MODEL, LOCK


@pytest.mark.parametrize(
    ("gib", "status", "words"),
    [
        (16, "limited", "too small"),
        (24, "ok", "tier swap"),
        (48, "ok", "tier fp8"),
        (141, "ok", "tier resident"),
    ],
)
def test_a_gpu_is_told_its_tier(gib: int, status: str, words: str) -> None:
    found = doctor._gpu("NVIDIA X", gib << 30)
    assert found.status == status
    assert words in found.detail


def test_the_state_of_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVANT_WEIGHTS_DIR", str(tmp_path))
    default_settings.cache_clear()
    (missing,) = doctor._weights()
    assert (missing.part, missing.status) == (f"weights {DEFAULT_MODEL}", "missing")
    assert f"vivant weights pull {DEFAULT_MODEL}" in missing.remedy

    folder = tmp_path / DEFAULT_MODEL
    (folder / "transformer-fp8").mkdir(parents=True)
    entry = '{"repo": "a/b", "commit": "c", "size": 3, "sha256": ""}'
    (folder / LOCK).write_text(f'{{"files": {{"a.bin": {entry}}}}}', "utf-8")
    (partial,) = doctor._weights()
    assert partial.status == "limited"
    (folder / "a.bin").write_bytes(b"abc")
    (complete,) = doctor._weights()
    assert complete.status == "ok"
    assert "fp8 checkpoint" in complete.detail
    (folder / LOCK).write_text("[]", "utf-8")
    (broken,) = doctor._weights()
    assert "lock" in broken.detail
