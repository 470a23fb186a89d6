"""Produce the next items in another thread while the last one is being used.

Decoding and checking overlap with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Final, Generic, Self, TypeVar

from vivant.types import ClipFacts, Frames
from vivant.video.reader import CHUNK_BYTES, open_clip

T = TypeVar("T")

DEPTH: Final = 6
"""Items that wait at most."""

WAITING_BYTES: Final = 100_000_000
"""Of decoded frames that wait: what is decoded while the picture is read and measured."""

POLL_SECONDS: Final = 0.1
"""Between two looks at whether the consumer has gone."""


class Prefetch(Iterator[T], Generic[T]):
    """The same items in the same order, at most ``depth`` of them produced in advance.

    The thread starts at once. An exception of ``items`` is raised by the iteration, in its place.
    """

    def __init__(self, items: Iterator[T], depth: int = DEPTH) -> None:
        self._items = items
        self._queue: Queue[tuple[T] | BaseException | None] = Queue(depth)
        self._gone = Event()
        self._thread = Thread(target=self._work, name="vivant-decode", daemon=True)
        self._thread.start()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        """The next item.

        Raises:
            StopIteration: there is none, or :meth:`close` was called.
            BaseException: whatever ``items`` raised.
        """
        if self._gone.is_set():
            raise StopIteration
        found = self._queue.get()
        if isinstance(found, tuple):
            return found[0]
        self.close()
        if found is None:
            raise StopIteration
        raise found

    def close(self) -> None:
        """Stop the thread, close ``items``, and drop what waits."""
        self._gone.set()
        while True:
            try:
                self._queue.get_nowait()
            except Empty:
                break
        self._thread.join()

    def _work(self) -> None:
        try:
            for item in self._items:
                if not self._offer((item,)):
                    break
            else:
                self._offer(None)
        except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
            self._offer(error)
        finally:
            close = getattr(self._items, "close", None)
            if close is not None:
                close()

    def _offer(self, item: tuple[T] | BaseException | None) -> bool:
        while not self._gone.is_set():
            try:
                self._queue.put(item, timeout=POLL_SECONDS)
            except Full:
                continue
            return True
        return False


def frames_ahead(path: Path, facts: ClipFacts) -> Prefetch[Frames]:
    """The frames of a clip, see :func:`vivant.video.reader.open_clip`, decoded from now on.

    Args:
        path: of the file.
        facts: what :func:`vivant.video.probe.probe` says of it.
    """
    depth = WAITING_BYTES // max(CHUNK_BYTES, 3 * facts.width * facts.height)
    return Prefetch(open_clip(path, facts=facts).chunks, max(2, depth))
