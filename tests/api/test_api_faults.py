"""A clip that is not whole, a key that was revoked, a disk that is full."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service_process import Service
from vivant.service.database import open_database
from vivant.service.keys import Keyring, access_token
from vivant.settings import read_settings


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("faults") / "data") as running:
        yield running


def test_a_clip_that_is_not_whole_is_not_served(service: Service) -> None:
    video_id = service.finished(service.submit())["id"]
    clip = service.folder / "service" / "objects" / "jobs" / video_id / "clip.mp4"
    path = f"/v1/videos/{video_id}/content"
    assert service.get(path).is_success
    clip.write_bytes(clip.read_bytes()[:-10])
    answer = service.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "damaged")


def test_a_token_ends_with_its_key(service: Service) -> None:
    database = open_database(read_settings(data_dir=service.folder))
    ring = Keyring(database)
    key = ring.add("studio")
    with httpx.Client(base_url=service.url, timeout=60) as client:
        headers = {"Authorization": f"Bearer {key}"}
        service.wait(
            lambda: client.get("/v1/videos", headers=headers).status_code == 200, "the key"
        )
        service.wait(lambda: client.get("/v1/videos").status_code == 401, "no way without it")
        video = service.post(headers=headers).json()
        token = access_token(database.secret(), video["id"])
        path = f"/v1/videos/{video['id']}?access={token}"
        assert client.get(path).status_code == 200
        ring.revoke(key.split("_")[1])
        service.wait(lambda: client.get(path).status_code == 401, "the end of the token")
    database.close()


def test_a_full_disk_allows_deleting(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    service = Service(small / "data")
    try:
        service.start(ready=False)  # /ready says that the disk is small
        service.wait(
            lambda: service.get("/ready").json()["checks"]["worker"] == "ok",
            "a worker",
            seconds=120,
        )
        video_id = service.finished(service.submit())["id"]
        ballast = small / "ballast"
        with pytest.raises(OSError, match="space"), ballast.open("wb", 0) as file:
            while True:
                file.write(bytes(4_096))
        assert service.post().status_code == 503
        answer = service.request("DELETE", f"/v1/videos/{video_id}")
        assert answer.status_code == 200, answer.text
        ballast.unlink()
        assert service.get(f"/v1/videos/{video_id}").status_code == 404
    finally:
        service.stop()
        subprocess.run(["umount", "-l", str(small)], check=True)
