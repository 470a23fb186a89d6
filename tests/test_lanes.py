from __future__ import annotations

import threading
import time

import pytest

from vivant.lanes import Lane


def test_items_arrive_in_order_and_all_of_them() -> None:
    seen: list[int] = []
    lane: Lane[int] = Lane("t", seen.append)
    for item in range(200):
        lane.put(item)
    lane.finish()
    assert seen == list(range(200))


def test_what_the_consumer_raises_is_raised_at_the_caller() -> None:
    def consume(item: int) -> None:
        if item == 3:
            raise ValueError("three")

    lane: Lane[int] = Lane("t", consume)
    with pytest.raises(ValueError, match="three"):
        for item in range(1000):
            lane.put(item)
            time.sleep(0.001)
    with pytest.raises(ValueError, match="three"):
        lane.finish()
    lane.abort()


def test_memory_is_bounded_by_the_depth() -> None:
    gate = threading.Event()

    def wait(_: int) -> None:
        gate.wait(10)

    lane: Lane[int] = Lane("t", wait, depth=2)
    accepted = 0

    def produce() -> None:
        nonlocal accepted
        for item in range(10):
            lane.put(item)
            accepted += 1

    producer = threading.Thread(target=produce)
    producer.start()
    time.sleep(0.3)
    assert accepted <= 3  # one in hand, two waiting
    gate.set()
    producer.join()
    lane.finish()
    assert accepted == 10


def test_abort_drops_what_waits() -> None:
    seen: list[int] = []

    def consume(item: int) -> None:
        time.sleep(0.1)
        seen.append(item)

    lane: Lane[int] = Lane("t", consume, depth=10)
    for item in range(10):
        lane.put(item)
    lane.abort()
    assert len(seen) < 5
