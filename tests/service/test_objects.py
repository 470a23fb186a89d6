from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from service_process import s3_server
from vivant.errors import OptionError, StorageError
from vivant.service.objects import CHUNK_BYTES, Objects


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with s3_server(tmp_path_factory.mktemp("s3")) as options:
        yield options


@pytest.fixture(params=["folder", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "folder":
        return Objects.open(tmp_path / "objects")
    options = request.getfixturevalue("s3")
    return Objects.open(f"s3://vivant/{tmp_path.name}", options)


def test_what_is_put_is_got(objects: Objects, tmp_path: Path) -> None:
    data = os.urandom(2 * CHUNK_BYTES + 17)
    file = tmp_path / "file"
    file.write_bytes(data)
    objects.put_file("jobs/a/clip", file)
    stored = objects.head("jobs/a/clip")
    assert stored is not None
    assert stored.size == len(data)
    assert stored.etag
    assert objects.get("jobs/a/clip") == data
    assert b"".join(objects.read("jobs/a/clip", 5, len(data) - 3)) == data[5:-3]
    objects.get_file("jobs/a/clip", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data


def test_a_file_that_is_taken_is_all_there(objects: Objects, tmp_path: Path) -> None:
    data = os.urandom(CHUNK_BYTES + 1)
    for name in ("jobs/a/source", "jobs/a/source"):  # again: a repeated step replaces
        file = tmp_path / "upload"
        file.write_bytes(data)
        objects.take_file(name, file)
        assert objects.get(name) == data
        assert [stored.key for stored in objects.walk("jobs/a")] == ["jobs/a/source"]
    with pytest.raises(StorageError, match="cannot be stored"):
        objects.take_file("jobs/a/other", tmp_path / "nowhere")


def test_a_file_of_another_disk_is_taken_too(tmp_path: Path) -> None:
    other = Path("/dev/shm")  # noqa: S108 - a second file system, where there is one
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("this machine has no second file system at /dev/shm")
    objects = Objects.open(tmp_path / "objects")
    with tempfile.NamedTemporaryFile(dir=other) as file:
        file.write(b"picture")
        file.flush()
        objects.take_file("jobs/a/source", Path(file.name))
    assert objects.get("jobs/a/source") == b"picture"


def test_putting_again_replaces(objects: Objects) -> None:
    for data in (b"one", b"two!"):
        objects.put("jobs/a/x", data)
    assert objects.get("jobs/a/x") == b"two!"
    assert [stored.key for stored in objects.walk("jobs")] == ["jobs/a/x"]


def test_folders_are_listed_and_removed_whole(objects: Objects) -> None:
    for name in ("jobs/a/1", "jobs/a/2", "jobs/b/1"):
        objects.put(name, b"x")
    assert sorted(objects.folders("jobs")) == ["a", "b"]
    assert objects.delete_folder("jobs/a") == 2
    assert list(objects.walk("jobs/a")) == []
    assert "b" in objects.folders("jobs")
    assert objects.delete_folder("jobs/a") == 0


def test_what_is_not_there(objects: Objects, tmp_path: Path) -> None:
    assert objects.head("nope") is None
    objects.delete("nope")
    assert list(objects.walk("nope")) == []
    with pytest.raises(StorageError) as caught:
        objects.get("nope")
    assert caught.value.error_code == "object_missing"
    with pytest.raises(StorageError):
        objects.get_file("nope", tmp_path / "back")


def test_the_probe_works(objects: Objects) -> None:
    objects.check()


def test_a_wrong_secret_is_refused(s3: dict[str, str]) -> None:
    with pytest.raises(StorageError, match="403"):
        Objects.open("s3://vivant/x", {**s3, "secret_access_key": "wrong"}).check()


@pytest.mark.parametrize("where", ["ftp://x/y", "s3://"])
def test_places_that_are_none(where: str) -> None:
    with pytest.raises(OptionError, match="objects_url"):
        Objects.open(where)


def test_a_file_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OptionError, match="objects_url"):
        Objects.open(tmp_path / "file" / "objects")
