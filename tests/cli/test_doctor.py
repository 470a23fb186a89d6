"""What ``vivant doctor`` says of a GPU's memory and of the weights on disk."""

from __future__ import annotations

import importlib.util
import py_compile
from dataclasses import dataclass
from pathlib import Path

import pytest

from vivant.cli import inspection as doctor
from vivant.settings import Settings, default_settings
from vivant.weights import DEFAULT_MODEL, LOCK


@pytest.mark.parametrize(
    ("gib", "capability", "status", "words"),
    [
        (16, (9, 0), "limited", "too small"),
        (24, (8, 9), "ok", "tier swap"),
        (24, (8, 6), "ok", "computes in bf16"),
        (32, (7, 0), "limited", "7.0 has no bf16"),
        (48, (8, 9), "ok", "tier fp8"),
        (141, (9, 0), "ok", "tier resident"),
    ],
)
def test_a_gpu_is_told_its_tier(
    monkeypatch: pytest.MonkeyPatch,
    gib: int,
    capability: tuple[int, int],
    status: str,
    words: str,
) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: Memory(64 << 30))
    monkeypatch.setattr(doctor, "find_spec", lambda name: name if name == "triton" else None)
    found = doctor._gpu("NVIDIA X", gib << 30, capability)
    assert found.status == status
    assert words in found.detail


@dataclass
class Memory:
    total: int


def test_what_a_fine_gpu_may_still_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: Memory(16 << 30))
    monkeypatch.setattr(doctor, "find_spec", lambda _: None)
    small = doctor._gpu("NVIDIA X", 24 << 30, (8, 9))
    assert (small.status, "16 GiB of host memory" in small.detail) == ("limited", True)
    assert "30 GiB are needed" in small.remedy
    slow = doctor._gpu("NVIDIA X", 80 << 30, (9, 0))
    assert (slow.status, "no Triton" in slow.detail) == ("limited", True)
    monkeypatch.setattr(doctor, "find_spec", lambda name: name)
    assert "FlashAttention 3 is here" in doctor._gpu("NVIDIA X", 80 << 30, (9, 0)).detail


def test_imports_that_are_compiled_at_every_start_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "slow.py"
    source.write_text("")
    monkeypatch.setattr("sys.pycache_prefix", None)
    spec = importlib.util.spec_from_file_location("slow", source)
    assert spec is not None
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    assert not list(doctor._bytecode(spec))  # the next start writes it
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    (found,) = doctor._bytecode(spec)
    assert (found.status, "PYTHONDONTWRITEBYTECODE" in found.detail) == ("limited", True)
    assert "--compile-bytecode" in found.remedy
    py_compile.compile(str(source))
    assert not list(doctor._bytecode(spec))
    assert not list(doctor._bytecode(None))


def test_the_last_line_says_what_to_do() -> None:
    gpu = doctor.Finding("GPU", "ok", "")
    model = doctor.Finding(f"weights {DEFAULT_MODEL}", "ok", "")
    adapter = doctor.Finding("weights ltx-2-19b-distilled-lora-384", "ok", "")
    faces = doctor.Finding("face models", "missing", "", required=True)
    assert doctor.runnable(()) == "vivant demo (engine living)"
    assert doctor.runnable((model,)) == "vivant demo (engine living)"
    assert "once its weights are here" in doctor.runnable((gpu, adapter))
    assert "camera and ltx2" in doctor.runnable((gpu, model))
    assert doctor.runnable((gpu, model, faces)) == "nothing yet; see above"


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


def test_a_configuration_that_no_command_reads_is_not_ok(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.toml"
    file.write_text('max_frames = "many"\n', "utf-8")
    monkeypatch.setitem(Settings.model_config, "toml_file", file)
    default_settings.cache_clear()
    found = {finding.part: finding for finding in doctor.examine()}
    assert found["configuration"].status == "missing"
    assert "max_frames" in found["configuration"].detail
    assert doctor.runnable(tuple(found.values())).startswith("nothing")
    default_settings.cache_clear()
