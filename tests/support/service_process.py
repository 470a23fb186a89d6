"""A real ``vivant serve`` on a free loopback port, for tests and benches; always stopped."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import numpy as np
import psutil
from PIL import Image as PillowImage

FAKE = {"model": "fake", "size": "128x72", "num_frames": "9"}
"""The smallest clip."""

OVER = ("completed", "failed")

PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For ``verify`` of httpx: without it every call reads the certificates of all authorities first,
50 ms of processor time, and a test that waits asks ten times a second."""

PATIENCE = 240.0
"""Seconds until something is taken for stuck: a worker that is started three times on a machine
with twenty other things to do needs minutes."""


def picture(width: int = 160, height: int = 90, seed: int = 1) -> bytes:
    """A PNG with texture and no face."""
    noise = np.random.default_rng(seed).integers(0, 255, (height // 10 + 1, width // 10 + 1, 3))
    image = PillowImage.fromarray(noise.astype(np.uint8)).resize((width, height))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def bulky(size: int) -> bytes:
    """A valid PNG of ``size`` bytes: the rest is a chunk that decoders skip."""
    import zlib

    image = picture()
    kind, data = b"teSt", bytes(size - len(image) - 12)
    chunk = len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
    end = image.index(b"IEND") - 4
    return image[:end] + chunk + image[end:]


class Service:
    """One server process with its workers.

    Args:
        folder: its data.
        arguments: of ``vivant serve`` besides the port.
        settings: fields of the settings, as environment variables.
    """

    def __init__(self, folder: Path, *arguments: str, **settings: Any) -> None:
        self.folder, self._arguments = folder, arguments
        self._settings = {"engines": ["camera", "ltx2", "fake"], "log_format": "json", **settings}
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.key = ""
        self.log = folder.parent / f"{folder.name}.log"

    @property
    def environment(self) -> dict[str, str]:
        found = {k: v for k, v in os.environ.items() if not k.startswith("VIVANT_")}
        found |= {"OMP_NUM_THREADS": "1", "XDG_RUNTIME_DIR": str(self.folder.parent)}
        for name, value in self._settings.items():
            text = value if isinstance(value, str) else json.dumps(value)
            found[f"VIVANT_{name.upper()}"] = text
        return found

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "vivant", *arguments, "--data", str(self.folder)]

    def start(self, *, ready: bool = True) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command("serve", "--port", "0", *self._arguments),
                stdout=subprocess.PIPE,
                stderr=log,
                env=self.environment,
                cwd=self.folder.parent,
            )
        assert self.process.stdout is not None
        # a sentence comes before the line with the address
        lines = iter(self.process.stdout.readline, b"")
        line = next((found.decode() for found in lines if b"http://" in found), "")
        assert line, self.tail()
        self.url = next(word for word in line.split() if word.startswith("http://"))
        if ready:
            self.wait(lambda: self.get("/ready").status_code == 200, "ready", seconds=PATIENCE)
        return self

    def tail(self) -> str:
        return self.log.read_text("utf-8", "replace")[-3000:] if self.log.exists() else ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {**self.headers, **options.pop("headers", {})}
        return httpx.request(
            method, self.url + path, headers=headers, timeout=60, verify=PLAIN, **options
        )

    def post(
        self, picture_bytes: Any = None, *, headers: Any = None, **fields: Any
    ) -> httpx.Response:
        """``POST /v1/videos`` of the smallest clip as a form."""
        return self.request(
            "POST",
            "/v1/videos",
            headers=headers or {},
            data={**FAKE, **{k: str(v) for k, v in fields.items()}},
            files={"input_reference": ("me.png", picture_bytes or picture(), "image/png")},
        )

    def submit(self, picture_bytes: Any = None, **fields: Any) -> str:
        answer = self.post(picture_bytes, **fields)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def video(self, video_id: str) -> dict[str, Any]:
        answer = self.get(f"/v1/videos/{video_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def finished(self, video_id: str, seconds: float = PATIENCE) -> dict[str, Any]:
        self.wait(
            lambda: self.video(video_id)["status"] in OVER,
            lambda: f"end of {self.video(video_id)}",
            seconds=seconds,
        )
        return self.video(video_id)

    def running(self, video_id: str, seconds: float = PATIENCE) -> None:
        """Wait until a worker is at it and has told of a step."""
        self.wait(lambda: bool(self.video(video_id)["stages"]), "steps", seconds=seconds)

    def wait(
        self, condition: Callable[[], bool], what: str | Callable[[], str], *, seconds: float = 30
    ) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(httpx.TransportError):
                if condition():
                    return
            time.sleep(0.05)
        told = what if isinstance(what, str) else what()
        raise AssertionError(f"waited {seconds} s for {told}\n{self.tail()}")

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        assert self.process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            return [
                child.pid
                for child in psutil.Process(self.process.pid).children()
                if "worker" in child.cmdline()
            ]
        return []

    def kill(self) -> None:
        """As a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        children = self.workers()
        for pid in children:  # a stopped process hears nothing else
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
        for pid in children:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
                psutil.Process(pid).wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    def openai(self) -> Any:
        """The official client."""
        from openai import OpenAI

        return OpenAI(base_url=f"{self.url}/v1", api_key=self.key or "none", max_retries=0)

    def events(
        self, video_id: str, headers: dict[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """The stream to its end."""
        with httpx.stream(
            "GET",
            f"{self.url}/v1/videos/{video_id}/events",
            headers={**self.headers, **(headers or {})},
            timeout=60,
            verify=PLAIN,
        ) as answer:
            assert answer.status_code == 200
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))


@contextlib.contextmanager
def sunset_ignored() -> Iterator[None]:
    """OpenAI ends its own service; the client's shape lives on in this field's servers."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The Sora API", category=DeprecationWarning)
        yield


def postgres_folder() -> Path:
    """For a server's data, not among pytest's folders.

    Where root runs the tests, Postgres is another user, and every pytest that starts shuts the
    folder above its own, ``pytest-of-root``, to other users: a server that another run was about to
    make failed with "Permission denied", and each test of that process that needed it.
    """
    return Path(tempfile.mkdtemp(prefix="vivant-postgres-"))


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[dict[str, str]]:
    """A real S3 server that checks signatures; its obstore options."""
    import socket

    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(9)]
        ports = [str(s.getsockname()[1]) for s in sockets]
    config = folder / "s3.json"
    identity = {
        "name": "test",
        "credentials": [{"accessKey": "vivantkey", "secretKey": "vivantsecret"}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    config.write_text(json.dumps({"identities": [identity]}))
    (folder / "weed").mkdir()
    command = [
        str(Path(sys.executable).with_name("weed")), "server", "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1", f"-dir={folder / 'weed'}", "-s3", f"-s3.port={ports[0]}",
        f"-s3.config={config}", f"-master.port={ports[1]}", f"-volume.port={ports[2]}",
        f"-filer.port={ports[3]}", f"-master.port.grpc={ports[4]}",
        f"-volume.port.grpc={ports[5]}", f"-filer.port.grpc={ports[6]}",
        f"-s3.port.grpc={ports[7]}", "-volume.max=20", "-master.volumeSizeLimitMB=64",
        "-s3.port.iceberg=0", "-s3.port.lance=0",
    ]  # fmt: skip
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        options = {
            "endpoint": f"http://127.0.0.1:{ports[0]}",
            "access_key_id": "vivantkey",
            "secret_access_key": "vivantsecret",
            "region": "us-east-1",
            "virtual_hosted_style_request": "false",
            "allow_http": "true",
        }
        _make_bucket(options, folder)
        yield options
    finally:
        process.kill()  # it takes 30 s to say goodbye
        process.wait()


def _make_bucket(options: dict[str, str], folder: Path) -> None:
    """The first object makes its bucket, once the server is up."""
    import obstore
    from obstore.store import S3Store

    config = {k: v for k, v in options.items() if k != "allow_http"}
    client = {"allow_http": True}
    store = S3Store("vivant", config=config, client_options=client)  # type: ignore[arg-type]
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(obstore.exceptions.BaseError):
            obstore.put(store, "probe", b"probe")
            return
        time.sleep(0.3)
    raise AssertionError((folder / "weed.log").read_text("utf-8", "replace")[-2000:])
