"""A line between two processes that can be cut, refused, slowed or told to say it is full."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Literal, Self, TypeAlias

Mode: TypeAlias = Literal["open", "cut", "refuse", "slow", "full"]
"""``cut``: bytes are held back and no connection ends, as where a cable is out; ``refuse``: every
connection is reset; ``slow``: :data:`SLOW_RATE`; ``full``: HTTP requests are answered with 507."""

SLOW_RATE = 100_000
"""Bytes per second of each connection."""

FULL = (
    b"HTTP/1.1 507 Insufficient Storage\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s"
)
BODY = b"<Error><Code>StorageFull</Code><Message>No space left on device</Message></Error>"

CLONE_NEWNET = 0x40000000
"""sched.h."""


def listen(host: str, namespace: str | None) -> socket.socket:
    """A listening socket, in a network namespace where one is named."""
    found: list[socket.socket] = []

    def work() -> None:
        if namespace is not None:
            with Path(f"/run/netns/{namespace}").open("rb") as file:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(file.fileno(), CLONE_NEWNET):  # of this thread alone
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        found.append(socket.create_server((host, 0), backlog=200))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found[0]


class Relay:
    """TCP in, TCP or a Unix socket out.

    Args:
        target: ``(host, port)``, or the path of a Unix socket.
        host: to listen on.
        namespace: to listen in.
    """

    def __init__(
        self,
        target: tuple[str, int] | str,
        *,
        host: str = "127.0.0.1",
        namespace: str | None = None,
    ) -> None:
        self._target = target
        self._listener = listen(host, namespace)
        self.host, self.port = self._listener.getsockname()
        self.mode: Mode = "open"
        self._open: set[socket.socket] = set()
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def become(self, mode: Mode) -> None:
        """Change the line; where it is refused or full, connections there are end too."""
        self.mode = mode
        if mode in ("refuse", "full"):
            for connection in list(self._open):
                _reset(connection)

    def close(self) -> None:
        self._closed = True
        self.become("refuse")
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._wait()
        if self.mode == "refuse":
            return _reset(connection)
        if self.mode == "full":
            return self._answer_full(connection)
        unix = isinstance(self._target, str)
        other = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        try:
            other.connect(self._target)
        except OSError:
            other.close()
            return _reset(connection)
        self._open |= {connection, other}
        back = threading.Thread(target=self._pump, args=(other, connection), daemon=True)
        back.start()
        self._pump(connection, other)
        back.join()
        self._open -= {connection, other}
        connection.close()
        other.close()
        return None

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                self._wait()
                if self.mode == "slow":
                    time.sleep(len(data) / SLOW_RATE)
                sink.sendall(data)
        except OSError:
            pass
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _wait(self) -> None:
        while self.mode == "cut" and not self._closed:
            time.sleep(0.01)

    @staticmethod
    def _answer_full(connection: socket.socket) -> None:
        connection.settimeout(2)
        with contextlib.suppress(OSError), connection:
            connection.recv(65_536)
            connection.sendall(FULL % (len(BODY), BODY))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                continue


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
