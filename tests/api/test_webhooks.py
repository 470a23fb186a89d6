"""Webhooks: signed as the field does it, delivered in spite of every kind of failure."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from dbos import DBOS

from vivant.api.schemas import VideoFields
from vivant.errors import OptionError
from vivant.service import queue, webhooks
from vivant.service.admission import Admission, Limits
from vivant.service.database import Database
from vivant.service.executor import Executor
from vivant.service.job import JobSpec, new_id, request_json
from vivant.service.job_store import JobStore
from vivant.service.public_address import connected
from vivant.service.queue import WEBHOOK_QUEUE, JobQueue
from vivant.service.webhooks import Webhooks, send, signing_secret
from vivant.settings import read_settings
from vivant.types import Request

URL = "https://studio.example/hook"


class Receiver(BaseHTTPRequestHandler):
    """A client's server: each request gets the next of ``answers``; the last one stays."""

    answers: ClassVar[list[str]] = ["200"]
    seen: ClassVar[list[tuple[dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append(({k.lower(): v for k, v in self.headers.items()}, body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer == "drop":
            self.connection.close()
        elif answer == "garbage":
            self.wfile.write(b"\0\1\2 nothing like HTTP\r\n\r\n")
        elif answer == "drip":
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b"x")
                    time.sleep(0.02)
        else:
            self.send_response(int(answer))
            if answer == "302":
                self.send_header("Location", "https://127.0.0.1/inside")
            self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def connect() -> Iterator[Callable[[str], tuple[http.client.HTTPConnection, str]]]:
    """``studio.example`` leads to the receiver; all else is checked as ever."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()

        def to(url: str) -> tuple[http.client.HTTPConnection, str]:
            if not url.startswith("https://studio.example"):
                return connected(url)
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
            return connection, "/hook"

        yield to
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path_factory.mktemp('hooks') / 'vivant.db'}")
    found.migrate()
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Receiver.answers[:] = ["200"]
    Receiver.seen.clear()


def accept(database: Database, url: str | None = URL) -> str:
    spec = JobSpec(
        request=Request(image=b"", engine="fake"),
        picture={"name": "x", "size": 1, "sha256": "0"},
        webhook_url=url,
    )
    return Admission(database, Limits()).accept(new_id(), spec, "owner-1")[0].id


def fail(database: Database, job_id: str) -> None:
    error = {"code": "engine_failed", "message": "no", "param": None}
    assert JobStore(database).fail(job_id, error, keep_seconds=60)


def waiting(database: Database, job_id: str) -> list[str]:
    """Deliveries of a job that DBOS keeps."""
    client = JobQueue(database)._client
    found = client.list_workflows(name="webhook", load_input=False)
    return [one.workflow_id for one in found if one.workflow_id.startswith(job_id)]


def test_the_openai_client_believes_the_signature(database: Database, connect: Any) -> None:
    import openai  # half a second of every process that collects this file

    job_id = accept(database)
    fail(database, job_id)
    assert Webhooks(database, connect).deliver(job_id, 0) is None
    ((headers, body),) = Receiver.seen
    secret = signing_secret(database.secret(), "owner-1")
    client = openai.OpenAI(api_key="x", webhook_secret=secret)
    event: Any = client.webhooks.unwrap(body, headers)
    assert (event.type, event.data.id) == ("video.failed", job_id)
    assert headers["webhook-id"] == json.loads(body)["id"]
    assert secret != signing_secret(database.secret(), "owner-2")
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.unwrap(body.replace(b"failed", b"passed"), headers)
    late = headers | {"webhook-timestamp": str(int(time.time()) - 3600)}
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.unwrap(body, late)


@pytest.mark.parametrize(
    ("answer", "again", "reason"),
    [
        ("500", True, "500"),
        ("404", True, "404"),
        ("429", True, "429"),
        ("302", True, "302"),
        ("410", False, "410"),
        ("drop", True, "RemoteDisconnected"),
        ("garbage", True, "BadStatusLine"),
        ("drip", True, ""),
    ],
)
def test_every_failure_is_tried_again_but_gone(
    connect: Any, monkeypatch: pytest.MonkeyPatch, answer: str, again: bool, reason: str
) -> None:
    monkeypatch.setattr(webhooks, "TIMEOUT", 0.2)
    Receiver.answers[:] = [answer]
    found = send(URL, b"{}", {}, connect)
    assert (found.done, found.again) == (False, again)
    assert reason in found.reason
    assert len(Receiver.seen) == 1  # a redirect is not followed


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/", "https://10.0.0.1/",
     "https://localhost/", "http://studio.test/", "https://a:b@studio.test/"],
)  # fmt: skip
def test_nothing_inside_is_reached(url: str) -> None:
    found = send(url, b"{}", {}, connected)
    assert not found.done
    assert "public internet" in found.reason or "https://" in found.reason


def test_a_job_without_a_webhook_or_that_is_gone_sends_nothing(
    database: Database, connect: Any
) -> None:
    silent = accept(database, None)
    fail(database, silent)
    assert waiting(database, silent) == []
    assert "webhook_url" not in JobStore(database).get(silent).request
    job_id = accept(database)
    fail(database, job_id)
    assert len(waiting(database, job_id)) == 1
    JobStore(database).delete(job_id, None)
    JobQueue(database).forget(job_id)
    assert waiting(database, job_id) == []
    assert Webhooks(database, connect).deliver(job_id, 0) is None
    assert Receiver.seen == []


def test_it_is_given_up_after_the_last_pause(database: Database, connect: Any) -> None:
    job_id = accept(database)
    fail(database, job_id)
    Receiver.answers[:] = ["500"]
    told = [Webhooks(database, connect).deliver(job_id, n) for n in range(8)]
    assert told == [*webhooks.PAUSES, None]
    assert len({headers["webhook-id"] for headers, _ in Receiver.seen}) == 1
    assert len({body for _, body in Receiver.seen}) == 1


def test_the_durable_queue_delivers_after_failures(
    tmp_path: Path, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'vivant.db'}")
    database.migrate()
    monkeypatch.setattr(webhooks, "PAUSES", (0.01, 0.01, 0.01))
    Receiver.answers[:] = ["500", "drop", "200"]
    job_id = accept(database)
    fail(database, job_id)  # no worker is there yet
    assert Receiver.seen == []
    executor = Executor(
        database, "worker-1", _Stages(), {WEBHOOK_QUEUE: (2, 0.02)}, Webhooks(database, connect)
    )
    executor.set_pace(1)
    executor.launch()
    try:
        end = time.monotonic() + 20
        while len(Receiver.seen) < 3:
            assert time.monotonic() < end
            time.sleep(0.02)
    finally:
        DBOS.destroy(workflow_completion_timeout_sec=2)
        database.close()
    assert len({body for _, body in Receiver.seen}) == 1


class _Stages:
    """No stage is run here."""

    def prepare(self, job_id: str) -> None:
        raise AssertionError(job_id)

    def render(self, job_id: str) -> bool:
        raise AssertionError(job_id)

    def publish(self, job_id: str) -> None:
        raise AssertionError(job_id)

    def fail(self, job_id: str, error: BaseException) -> None:
        raise AssertionError(job_id) from error


def test_only_where_the_operator_allows_it_and_only_https() -> None:
    fields = VideoFields.read({"webhook_url": URL})
    with pytest.raises(OptionError, match="sends no webhooks"):
        fields.to_request(b"", read_settings())
    allowed = read_settings(webhooks=True)
    fields.to_request(b"", allowed)
    spec = JobSpec(request=Request(image=b""), picture={}, webhook_url=URL)
    assert request_json(spec)["webhook_url"] == URL
    for url in ("http://studio.example/", "https://studio.example:8443/", "https://[/", "x"):
        with pytest.raises(OptionError, match="webhook_url"):
            VideoFields.read({"webhook_url": url}).to_request(b"", allowed)


def test_the_delivery_belongs_to_its_job() -> None:
    assert queue.job_of("video_1-webhook-3") == "video_1"
