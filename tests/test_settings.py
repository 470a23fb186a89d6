from __future__ import annotations

from pathlib import Path

import pytest

from vivant import settings
from vivant.errors import OptionError
from vivant.settings import read_settings


def test_the_environment_wins_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    path.write_text('currency = "EUR"\nmax_frames = 50\n[exchange]\nEUR = 0.9\n')
    monkeypatch.setitem(settings.Settings.model_config, "toml_file", path)
    assert read_settings().currency == "EUR"
    assert read_settings().exchange == {"EUR": 0.9}
    monkeypatch.setenv("VIVANT_CURRENCY", "USD")
    assert read_settings().currency == "USD"
    assert read_settings(currency="KRW").currency == "KRW"


def test_tables_are_json_in_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVANT_RATES", '{"cpu": 0.5}')
    assert read_settings().rates == {"cpu": 0.5}


@pytest.mark.parametrize(
    ("name", "value"),
    [("VIVANT_MAX_FRAMES", "many"), ("VIVANT_MAX_FRAMES", "0"), ("VIVANT_RATES", "{")],
)
def test_bad_values_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(OptionError, match=f"{name}|{name.removeprefix('VIVANT_').lower()}"):
        read_settings()


def test_json_that_is_none_blames_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVANT_MODAL", '{"gpu"')
    with pytest.raises(OptionError, match="VIVANT_MODAL is not JSON") as caught:
        read_settings()
    assert "config.toml" not in caught.value.message


def test_a_broken_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    monkeypatch.setitem(settings.Settings.model_config, "toml_file", path)
    path.write_text("max_frames = = 3")
    with pytest.raises(OptionError, match="cannot be read"):
        read_settings()
    path.write_text("max_framez = 3")
    with pytest.raises(OptionError, match="max_framez"):
        read_settings()


def test_a_file_of_notepad_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.toml"
    monkeypatch.setitem(settings.Settings.model_config, "toml_file", file)
    file.write_text('\ufeffcurrency = "USD"\n', "utf-8")
    assert read_settings().currency == "USD"
    file.write_bytes('currency = "USD"\n'.encode("utf-16"))
    with pytest.raises(OptionError, match="UTF-8"):
        read_settings()


@pytest.mark.parametrize("value", ["3.9", "0", "-1", "nan"])
def test_a_worker_timeout_that_kills_healthy_workers_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("VIVANT_WORKER_TIMEOUT", value)
    with pytest.raises(OptionError, match=f"VIVANT_WORKER_TIMEOUT.*{value} s is below 4 s.*30 is"):
        read_settings()


def test_a_slow_worker_is_not_killed_early() -> None:
    assert read_settings(worker_timeout=4.0).frozen_seconds == 10.0
    assert read_settings(worker_timeout=30.0).frozen_seconds == 30.0
