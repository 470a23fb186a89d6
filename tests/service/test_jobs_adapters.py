"""Strangers' requests and LoRA adapters: what is accepted, and what a worker loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from service_process import picture
from vivant.engines.ltx2.lora import find_file
from vivant.errors import MissingPartError, OptionError
from vivant.modal.options import DeploymentOptions, container_environment
from vivant.service.adapters import check_adapters
from vivant.service.admission import Admission, Limits
from vivant.service.database import open_database
from vivant.service.job import SOURCE, JobSpec, key, new_id
from vivant.service.job_store import JobStore
from vivant.service.objects import open_objects
from vivant.service.worker import Worker
from vivant.settings import Settings, read_settings
from vivant.types import Engine, Request
from vivant.upscalers import load_upscaler
from vivant.weights import LOCK, Library


def asking(loras: Any, engine: str = "ltx2") -> Request:
    return Request(image=b"", engine=engine, options={"loras": loras})


def pull(settings: Settings, name: str, *, size: int = 4) -> None:
    """What ``vivant weights pull`` leaves of an adapter of four bytes."""
    folder = Library(settings.weights_path).folder(name)
    folder.mkdir(parents=True)
    (folder / "a.safetensors").write_bytes(b"1234")
    entry = {"repo": name, "commit": "c0ffee", "size": size, "sha256": "0"}
    lock = {"model": name, "files": {"a.safetensors": entry}}
    (folder / LOCK).write_text(json.dumps(lock))


@pytest.mark.parametrize(
    "loras",
    [
        "camera-static",
        "camera-static:0.5,camera-jib-up",
        [{"source": "ltx-2-19b-distilled-lora-384", "scale": 0.65}],
        [["camera-dolly-in", 1]],
        "",
        [],
    ],
)
def test_vivants_own_adapters_are_allowed(loras: Any) -> None:
    check_adapters(asking(loras), read_settings())


@pytest.mark.parametrize(
    ("loras", "words"),
    [
        ("stranger/style", "VIVANT_LORA_ALLOW"),
        ("stranger/style:0.3", "VIVANT_LORA_ALLOW"),
        ("camera-static,stranger/style", "'stranger/style' is not allowed"),
        ("Lightricks/LTX-2-19b-LoRA-Camera-Control-Static", "VIVANT_LORA_ALLOW"),
        ("stranger/style/deep/one.safetensors", "VIVANT_LORA_ALLOW"),
        ([{"source": "stranger/style"}], "VIVANT_LORA_ALLOW"),
        ([["stranger/style", 1]], "VIVANT_LORA_ALLOW"),
        ("mine.safetensors", "files of the server"),
        ("folder/mine.safetensors", "files of the server"),
        ("/srv/mine.safetensors", "files of the server"),
        ("~/mine.safetensors", "files of the server"),
        ("~nobody/mine.safetensors", "files of the server"),
        ("a/../b/c.safetensors", "files of the server"),
        ("a/" + "b" * 300, "files of the server"),
        ("a/b\0", "files of the server"),
        ("ltx-2-19b-dev", "files of the server"),
    ],
)
@pytest.mark.parametrize("allow", [(), ("other/*",)])
def test_others_are_refused(loras: Any, words: str, allow: tuple[str, ...]) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        check_adapters(asking(loras), read_settings(lora_allow=allow))
    assert (caught.value.error_code, caught.value.param) == ("lora_not_allowed", "loras")
    assert "camera-static" in caught.value.message


@pytest.mark.parametrize("pattern", ["*", "friend/*", "friend/style", "*/style"])
def test_what_the_operator_lists_is_allowed(pattern: str) -> None:
    settings = read_settings(lora_allow=(pattern,))
    check_adapters(asking("friend/style:0.5"), settings)
    check_adapters(asking("friend/style/deep/one.safetensors"), settings)
    with pytest.raises(OptionError, match="files of the server"):
        check_adapters(asking("friend/style.safetensors"), settings)
    if pattern != "*":
        with pytest.raises(OptionError, match="not allowed"):
            check_adapters(asking("friends/other"), settings)


def test_the_setting_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVANT_LORA_ALLOW", '["friend/*"]')
    settings = read_settings()
    check_adapters(asking("friend/style"), settings)
    # what all containers on Modal get
    given = container_environment(settings, DeploymentOptions.read(settings))
    assert json.loads(given["VIVANT_LORA_ALLOW"]) == ["friend/*"]


def test_what_is_pulled_here_is_allowed(tmp_path: Path) -> None:
    settings = read_settings(weights_dir=tmp_path)
    pull(settings, "friend/style")
    pull(settings, "friend/partly", size=5)
    pull(settings, "friend/broken")
    (tmp_path / "friend--broken" / LOCK).write_text("rubbish")
    check_adapters(asking("friend/style"), settings)
    for name in ("friend/partly", "friend/broken", "friend/style/a.safetensors"):
        with pytest.raises(OptionError, match="not allowed"):
            check_adapters(asking(name), settings)


def test_a_file_in_the_servers_own_folder_is_not_taken_for_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"")
    settings = read_settings(lora_allow=("*",))
    check_adapters(asking("a/c"), settings)
    with pytest.raises(OptionError, match="files of the server"):
        check_adapters(asking("a/b"), settings)


def test_other_engines_have_their_own_words_for_options() -> None:
    check_adapters(asking("stranger/style", engine="camera"), read_settings())


@pytest.mark.parametrize("source", ["x" * 300, "~nobody-of-that-name/x.safetensors"])
def test_a_name_that_can_be_no_file_is_a_sentence(tmp_path: Path, source: str) -> None:
    with pytest.raises(MissingPartError, match="is not there"):
        find_file(source, Library(tmp_path))


@pytest.mark.parametrize("allow", [(), ("stranger/*",)])
def test_a_worker_asks_again_before_it_loads(tmp_path: Path, allow: tuple[str, ...]) -> None:
    """The job may have been accepted under other settings, or by an older server."""
    settings = read_settings(data_dir=tmp_path, engines=("ltx2",), lora_allow=allow)
    loads: list[str] = []

    def load(name: str, _: Settings) -> Engine:
        loads.append(name)
        raise MissingPartError("no weights in this test")

    worker = Worker(settings, load_engine=load, load_upscaler=load_upscaler)
    database = open_database(settings)
    job_store, objects = JobStore(database), open_objects(settings)
    job_id = new_id()
    objects.put(key(job_id, SOURCE), picture())
    spec = JobSpec(request=asking("stranger/style"), picture={"name": "me.png"})
    Admission(database, Limits()).accept(job_id, spec, "")
    worker.stages.prepare(job_id)
    assert not worker.stages.render(job_id)
    error = job_store.get(job_id).error
    assert error is not None
    if allow:
        assert (loads, error["code"]) == (["ltx2"], "missing_part")
    else:
        assert (loads, error["code"], error["param"]) == ([], "lora_not_allowed", "loras")
        assert "VIVANT_LORA_ALLOW" in error["message"]
    database.close()
    worker.close()
