"""When the queues are asked: told of work, room made, and seldom otherwise."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from vivant.errors import DatabaseError
from vivant.service import claims
from vivant.service.claims import Claims
from vivant.service.news import ALL

LONG = 60.0


class Town:
    """Queues in memory, and whoever brings news of them."""

    def __init__(self) -> None:
        self.heard = True
        self.waiting: dict[str, list[Future[Any]]] = {"cpu": [], "render": []}
        self.taken: list[Future[Any]] = []
        self.looks: dict[str, int] = {"cpu": 0, "render": 0}
        self.broken = False
        self._told: Callable[[str], None] | None = None

    def follow(self, told: Callable[[str], None], stopping: threading.Event) -> None:
        self._told = told
        stopping.wait()

    def tell(self, queue: str) -> None:
        until(lambda: self._told is not None)
        assert self._told is not None
        self._told(queue)

    def claim(self, queue: str, running: int) -> list[Future[Any]]:
        self.looks[queue] += 1
        if self.broken:
            raise DatabaseError("away")
        room = {"cpu": 2, "render": 1}[queue] - running
        found = self.waiting[queue][:room]
        del self.waiting[queue][:room]
        self.taken += found
        return found

    def put(self, queue: str, number: int = 1) -> list[Future[Any]]:
        made: list[Future[Any]] = [Future() for _ in range(number)]
        self.waiting[queue] += made
        return made


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.fixture
def town(monkeypatch: pytest.MonkeyPatch) -> Town:
    monkeypatch.setattr(claims, "SELDOM_SECONDS", LONG)
    return Town()


@pytest.fixture
def asking(town: Town) -> Iterator[Claims]:
    """Has looked once into each, and found nothing."""
    found = Claims(town, {"cpu": 2, "render": 1}, town.claim, lambda _: 0.01)  # type: ignore[arg-type]
    found.start()
    until(lambda: town.looks == {"cpu": 1, "render": 1})
    yield found
    found.stop(5)


def test_without_news_nothing_is_asked_and_with_it_at_once(town: Town, asking: Claims) -> None:
    (stage,) = town.put("render")
    time.sleep(0.1)
    assert town.looks == {"cpu": 1, "render": 1}
    town.tell("render")
    until(lambda: stage in town.taken)
    assert town.looks == {"cpu": 1, "render": 2}
    town.tell(ALL)
    until(lambda: town.looks["cpu"] == 2)


def test_there_is_never_more_under_way_than_room(town: Town, asking: Claims) -> None:
    stages = town.put("cpu", 5)
    town.tell("cpu")
    until(lambda: len(town.taken) == 2)
    looks = town.looks["cpu"]
    for _ in range(3):
        town.tell("cpu")
        time.sleep(0.02)
    assert (town.taken, town.looks["cpu"]) == (stages[:2], looks)


def test_where_a_stage_ends_all_queues_are_asked_at_once(town: Town, asking: Claims) -> None:
    first, second = town.put("render", 2)
    town.tell("render")
    until(lambda: first in town.taken)
    (following,) = town.put("cpu")
    first.set_result(None)
    until(lambda: {second, following} <= set(town.taken))
    second.set_exception(RuntimeError("a stage may fail as well"))
    until(lambda: town.looks["render"] == 4)


def test_the_deaf_ask_at_the_pace(town: Town, asking: Claims) -> None:
    town.heard = False
    town.tell("nothing of ours")
    until(lambda: town.looks["cpu"] > 5)
    assert town.looks["cpu"] < 1_000


def test_news_again_and_again_does_not_hurry(monkeypatch: pytest.MonkeyPatch, town: Town) -> None:
    found = Claims(town, {"cpu": 2}, town.claim, lambda _: LONG)  # type: ignore[arg-type]
    found.start()
    until(lambda: town.looks["cpu"] == 1)
    for _ in range(5):
        town.tell("cpu")
        time.sleep(0.01)
    assert town.looks["cpu"] == 1
    found.stop(5)


def test_a_lost_database_is_asked_again_after_a_pause(
    monkeypatch: pytest.MonkeyPatch, town: Town, asking: Claims
) -> None:
    monkeypatch.setattr(claims, "OUTAGE_SECONDS", 0.05)
    town.broken = True
    (stage,) = town.put("render")
    town.tell("render")
    until(lambda: town.looks["render"] > 2)
    town.broken = False
    until(lambda: stage in town.taken)


def test_nothing_is_taken_after_the_end_and_only_some_before_it(town: Town, asking: Claims) -> None:
    asking.narrow(["cpu"])
    (unwanted,), (wanted,) = town.put("render"), town.put("cpu")
    town.tell(ALL)
    until(lambda: wanted in town.taken)
    assert unwanted not in town.taken
    asking.stop(5)
    town.put("cpu")
    town.tell("cpu")
    wanted.set_result(None)
    time.sleep(0.05)
    assert town.taken == [wanted]
