"""Frames of one clip in memory that the pool writes and its workers read: nothing is sent."""

from __future__ import annotations

import math
import mmap
import os
import socket
import sys
import tempfile
import weakref
from multiprocessing.connection import Connection

import numpy as np

from vivant.types import Frames


class SharedFrames:
    """Room for frames of one shape. Its memory goes when all processes have let go of it.

    Args:
        descriptor: of an open file of whole frames; taken over.
        shape: of one frame, ``(height, width, 3)``.

    Attributes:
        pixels: ``[count, height, width, 3]`` uint8.
    """

    def __init__(self, descriptor: int, shape: tuple[int, ...]) -> None:
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)
        linux = sys.platform == "linux"
        # entered into this process's page tables now, not at the first touch of every page
        flags = mmap.MAP_SHARED | (mmap.MAP_POPULATE if linux else 0)
        memory = mmap.mmap(descriptor, 0, flags=flags)
        self.pixels: Frames = np.frombuffer(memory, np.uint8).reshape(-1, *shape)

    @classmethod
    def create(cls, shape: tuple[int, ...], count: int) -> SharedFrames:
        """Room for ``count`` frames.

        Raises:
            OSError: there is no room.
        """
        size = count * math.prod(shape)
        if sys.platform == "linux":
            descriptor = os.memfd_create("vivant-frames")
        else:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        try:
            os.ftruncate(descriptor, size)
            if sys.platform == "linux":
                # taken now: a frame of fresh memory is written five times more slowly
                os.posix_fallocate(descriptor, 0, size)
        except OSError:
            os.close(descriptor)
            raise
        return cls(descriptor, shape)

    def send(self, connection: Connection) -> None:
        """Give another process access; it calls :meth:`receive` at this place of the stream.

        Raises:
            OSError: the other side has gone.
        """
        with _socket(connection) as link:
            socket.send_fds(link, [b"f"], [self._descriptor])

    @classmethod
    def receive(cls, connection: Connection, shape: tuple[int, ...]) -> SharedFrames:
        """What the other side sends.

        Raises:
            EOFError: the other side has gone.
        """
        with _socket(connection) as link:
            _, descriptors, _, _ = socket.recv_fds(link, 1, 1)
        if not descriptors:
            raise EOFError
        return cls(descriptors[0], shape)


def _socket(connection: Connection) -> socket.socket:
    """A ``Connection`` of ``Pipe()`` is a Unix socket; this is a copy of it, to be closed."""
    return socket.socket(fileno=os.dup(connection.fileno()))
