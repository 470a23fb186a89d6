"""What the page says when the server has reached one of its limits: in view, and focused."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from vivant.service.database import open_database
from vivant.service.keys import Keyring
from vivant.settings import read_settings
from web_server import seen, serving, told

CONNECTIONS = 12
"""Most of one address; a browser opens six."""

REFUSALS_IN_TURN = 40

PROGRAM = f"""
from vivant.__main__ import main
from vivant.api.connections import LimitedConnection
LimitedConnection.max_per_address = LimitedConnection.max_idle_per_address = {CONNECTIONS}
main()
"""
"""Vivant, with a limit that has no setting."""


class Server:
    """A server with low limits, which makes nothing, and a client with its key."""

    def __init__(self, address: str, key: str, data: Path, portrait: Path) -> None:
        self.address, self.data, self.portrait = address, data, portrait
        self.client = httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"})

    def send(self) -> str:
        """One more job of this key."""
        files = {"input_reference": (self.portrait.name, self.portrait.read_bytes())}
        fields = {"model": "camera", "num_frames": "5", "size": "160x90"}
        answer = self.client.post("/v1/videos", data=fields, files=files).raise_for_status()
        return str(answer.json()["id"])

    def clear(self) -> None:
        """Delete all jobs."""
        for job in self.client.get("/v1/videos").json()["data"]:
            self.client.delete(f"/v1/videos/{job['id']}").raise_for_status()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, portrait: Path) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("service")
    (data / "service").mkdir()
    database = open_database(read_settings(data_dir=data))
    database.migrate(stages=False)
    key = Keyring(database).add("creator")
    database.close()
    with serving(
        data,
        workers=0,
        program=("-c", PROGRAM),
        jobs_per_key="2",
        requests_per_minute="10",
        engines='["camera"]',
    ) as address:
        found = Server(address, key, data, portrait)
        yield found
        found.client.close()


@pytest.fixture(scope="module")
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """One page for all refusals, on a small telephone, with the key."""
    context = browser.new_context(
        locale="ko-KR", viewport={"width": 360, "height": 740}, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(f"{server.address}/?size=160x90&num_frames=9")
    page.fill("#key", server.client.headers["Authorization"].removeprefix("Bearer "))
    page.click("#save-connection")
    expect(page.locator("#connection")).to_be_hidden()
    yield page
    context.close()


def refused(page: Page, server: Server, korean: str, english: str) -> None:
    """The button is pressed; what is wrong stands beside it, in both languages."""
    page.click("#go")
    told(page, korean, "#action-bar")
    page.click("#language")
    expect(page.locator("#form-error")).to_have_text(re.compile(english))
    assert seen(page.locator("#form-error"))
    page.click("#language")


def sample(page: Page, server: Server) -> None:
    page.context.set_offline(True)
    page.click("#sample")
    told(page, "서버가 응답하지 않습니다", "#frame")
    page.context.set_offline(False)
    expect(page.locator("#banner")).to_be_hidden()


def key_limit(page: Page, server: Server) -> None:
    for _ in range(2):
        server.send()
    refused(page, server, "이 키로 만들 수 있는 만큼", "already has as many clips in work")


def storage_full(page: Page, server: Server) -> None:
    objects = server.data / "service" / "objects"
    with small_disk(objects):
        with pytest.raises(OSError, match="space"), (objects / "ballast").open("wb", 0) as file:
            while True:
                file.write(bytes(1_024))
        refused(page, server, "저장 공간이 가득 찼습니다", "disk is full")


def too_many_connections(page: Page, server: Server) -> None:
    job = server.send()
    with ExitStack() as stack:
        refusals = 0  # in turn: a request of the page that was under way is over, too
        while refusals < REFUSALS_IN_TURN:
            events = server.client.stream("GET", f"/v1/videos/{job}/events")
            busy = stack.enter_context(events).status_code == 200
            refusals = 0 if busy else refusals + 1
        refused(page, server, "연결이 너무 많습니다", "Too many connections")


def rate_limited(page: Page, server: Server) -> None:
    while server.client.post("/v1/crops").status_code != 429:
        pass
    refused(page, server, "짧은 시간에 요청이 너무 많았습니다", "Too many requests")


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of 64 kB stands at this folder."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


REFUSALS = [sample, key_limit, storage_full, too_many_connections, rate_limited]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda one: one.__name__)
def test_a_refusal_is_in_view_and_focused(
    page: Page, server: Server, portrait: Path, refusal: Callable[[Page, Server], None]
) -> None:
    if refusal is not sample and not page.locator("#remove").is_visible():
        page.set_input_files("#file", portrait)
        expect(page.locator("#crop-word")).to_contain_text("얼굴을 중심")
    refusal(page, server)
    server.clear()
