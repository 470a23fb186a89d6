"""Produce the next items in another thread while the last one is being used.

Decoding and checking overlap with it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Final, TypeVar

T = TypeVar("T")

DEPTH: Final = 6
"""Items that wait at most."""

POLL_SECONDS: Final = 0.1
"""Between two looks at whether the consumer has gone."""


def prefetch(items: Iterator[T], depth: int = DEPTH) -> Generator[T, None, None]:
    """The same items in the same order, at most ``depth`` of them produced in advance.

    An exception of ``items`` is raised here, in its place. Closing this generator stops the
    thread and closes ``items`` before it returns.
    """
    queue: Queue[tuple[T] | BaseException | None] = Queue(depth)
    gone = Event()

    def offer(item: tuple[T] | BaseException | None) -> bool:
        while not gone.is_set():
            try:
                queue.put(item, timeout=POLL_SECONDS)
            except Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not offer((item,)):
                    break
            else:
                offer(None)
        except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
            offer(error)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    thread = Thread(target=work, name="vivant-decode", daemon=True)
    thread.start()
    try:
        while True:
            found = queue.get()
            if found is None:
                return
            if isinstance(found, BaseException):
                raise found
            yield found[0]
    finally:
        gone.set()
        while True:
            try:
                queue.get_nowait()
            except Empty:
                break
        thread.join()
