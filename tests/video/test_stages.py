from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vivant.video.cores import usable_cores
from vivant.video.stages import Deferred, ParallelStage, StageThread


def test_items_arrive_in_order_and_all_of_them() -> None:
    seen: list[int] = []
    lane: StageThread[int] = StageThread("t", seen.append)
    for item in range(200):
        lane.put(item)
    lane.finish()
    assert seen == list(range(200))


def test_what_the_consumer_raises_is_raised_at_the_caller() -> None:
    def consume(item: int) -> None:
        if item == 3:
            raise ValueError("three")

    lane: StageThread[int] = StageThread("t", consume)
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

    lane: StageThread[int] = StageThread("t", wait, depth=2)
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

    lane: StageThread[int] = StageThread("t", consume, depth=10)
    for item in range(10):
        lane.put(item)
    lane.abort()
    assert len(seen) < 5


def test_a_fan_works_side_by_side_and_delivers_in_order() -> None:
    seen: list[int] = []

    def work(item: int) -> int:
        time.sleep(0.02 if item % 3 else 0.06)
        return item * 10

    fan: ParallelStage[int, int] = ParallelStage("t", work, seen.append, threads=4, depth=6)
    for item in range(30):
        fan.put(item)
    fan.finish()
    assert seen == [item * 10 for item in range(30)]
    assert fan.busy > 30 * 0.02


def test_what_a_fan_raises_reaches_the_caller_and_nothing_is_left() -> None:
    def work(item: int) -> int:
        if item == 5:
            raise ValueError("five")
        return item

    threads = threading.active_count()
    fan: ParallelStage[int, int] = ParallelStage("t", work, lambda _: None, threads=3, depth=4)
    with pytest.raises(ValueError, match="five"):
        for item in range(1000):
            fan.put(item)
            time.sleep(0.001)
    fan.abort()
    assert threading.active_count() == threads


def test_aborting_a_fan_drops_what_waits() -> None:
    seen: list[int] = []

    def work(item: int) -> int:
        time.sleep(0.05)
        return item

    fan: ParallelStage[int, int] = ParallelStage("t", work, seen.append, threads=1, depth=20)
    for item in range(20):
        fan.put(item)
    fan.abort()
    assert len(seen) < 10


@pytest.mark.parametrize(
    ("quota", "most"), [("50000 100000", 1), ("150000 100000", 2), ("max 100000", None), ("", None)]
)
def test_cores_are_those_that_a_container_pays_for(
    tmp_path: Path, quota: str, most: int | None
) -> None:
    (tmp_path / "cpu.max").write_text(quota, "ascii")
    everywhere = usable_cores(tmp_path / "none")
    assert everywhere >= 1
    found = usable_cores(tmp_path / "cpu.max")
    assert found == (everywhere if most is None else min(most, everywhere))


def test_what_is_made_later_is_made_once_when_it_is_asked_for() -> None:
    made: list[str] = []

    def make() -> int:
        made.append(threading.current_thread().name)
        return len(made)

    with ThreadPoolExecutor(1, "aside") as pool:
        later = Deferred(make, pool)
        assert not later.started
        assert not made
        later.start()
        assert later.result() == later.result() == 1
        assert later.started
        assert made == ["aside_0"]
        failing: Deferred[float] = Deferred(lambda: 1 / 0, pool)
        failing.start()
        with pytest.raises(ZeroDivisionError):
            failing.result()
