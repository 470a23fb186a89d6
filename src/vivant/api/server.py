"""Runs the service: the API in this process, workers in processes of their own."""

from __future__ import annotations

import ctypes
import ipaddress
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from vivant.api.app import create_app
from vivant.api.connections import LimitedConnection
from vivant.api.engine_options import check_options
from vivant.api.events import EventBroker
from vivant.api.state import build
from vivant.errors import MachineError, OptionError
from vivant.service import logs
from vivant.service.database import open_database
from vivant.service.keys import Keyring
from vivant.service.supervisor import Supervisor
from vivant.settings import Settings
from vivant.types import Request

GRACE_SECONDS = 3
"""Requests under way have that long when the service stops."""

KEEP_ALIVE_SECONDS = 75
"""An idle connection stays open for longer than most clients keep one, so that none is used in the
moment it is closed."""


M_MMAP_THRESHOLD = -3
"""glibc, malloc.h."""

MMAP_THRESHOLD_BYTES = 1 << 18


def run(
    settings: Settings, *, host: str, port: int, workers: int, ready: Callable[[str], None]
) -> None:
    """Serve until told to stop.

    Args:
        ready: called with the address once it accepts connections.

    Raises:
        OptionError: an address that others can reach, and no API key.
        MachineError: the address is taken.
    """
    logs.configure(settings.log_format)
    give_memory_back()
    if settings.default_engine not in settings.engines:
        raise OptionError(
            f"default_engine {settings.default_engine!r} is not one of engines "
            f"({', '.join(settings.engines)})",
            param="default_engine",
        )
    loopback = is_loopback(host)
    database = open_database(settings)
    database.migrate()
    if not loopback and not Keyring(database).any():
        raise OptionError(
            f"--host {host} lets others in, and there is no API key: make one with "
            "`vivant keys add NAME`, or leave --host out",
            param="host",
        )
    listener = listen(host, port)
    supervisors = [
        Supervisor(database, settings.data_dir, timeout=settings.frozen_seconds)
        for _ in range(workers)
    ]
    state = build(settings, database, loopback=loopback)
    server = Server(
        uvicorn.Config(
            create_app(state),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            http=LimitedConnection,
        )
    )
    server.events = state.events
    for supervisor in supervisors:
        supervisor.start()
    threading.Thread(target=warm_up, args=(settings,), daemon=True).start()
    try:
        ready(url(listener))
        server.run(sockets=[listener])
    finally:
        for supervisor in supervisors:
            supervisor.stop()


def give_memory_back() -> None:
    """Let glibc return every large block when it is freed.

    By default it raises the size above which it does so with every large block it sees, up to
    32 MB (mallopt(3), M_MMAP_THRESHOLD): after a few uploads nothing would go back any more.
    """
    if sys.platform != "linux":
        return
    try:
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
    except (OSError, AttributeError):
        return  # another C library, which does not have this


def warm_up(settings: Settings) -> None:
    """Import what the first upload needs: the signatures of pictures, options of engines."""
    import vivant.picture.source  # noqa: F401

    check_options(Request(image=b"", engine=settings.default_engine))


class Server(uvicorn.Server):
    """Ends event streams first: their clients would not."""

    events: EventBroker | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT and SIGTERM; uvicorn's own would raise them again, past our clean-up."""
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        if self.events is not None:
            await self.events.close()
        await super().shutdown(sockets)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        MachineError: the address is taken or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise MachineError(
            f"cannot listen on {host}:{port} ({error.strerror}): choose another --port"
        ) from error


def url(listener: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
