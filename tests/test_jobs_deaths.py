"""What counts as the death of a worker at a job, what does not, and what a job leaves behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from test_jobs_gate import Shop
from test_jobs_queue import until
from vivant.errors import StorageError
from vivant.service.job import ATTEMPTS, PORTRAIT, SOURCE, key
from vivant.service.ledger import Lease
from vivant.service.rows import MAX_STARTS
from vivant.service.stages import SoloLock


@pytest.fixture
def shop(tmp_path: Path, portrait_bytes: bytes) -> Iterator[Shop]:
    made = Shop(tmp_path, portrait_bytes)
    yield made
    made.close()


def left(shop: Shop, job_id: str) -> set[str]:
    """What only a render needs, as far as it is still there."""
    names = {stored.key for stored in shop.objects.walk(f"jobs/{job_id}")}
    return {name for name in names if PORTRAIT in name or f"/{ATTEMPTS}/" in name}


def test_a_picture_that_cannot_be_read_now_kills_nobody(shop: Shop) -> None:
    job_id = shop.submit(None, prepare=False)
    source = shop.objects.get(key(job_id, SOURCE))
    shop.objects.delete(key(job_id, SOURCE))
    for _ in range(MAX_STARTS + 2):
        with pytest.raises(StorageError):
            shop.stages.prepare(job_id)
    assert shop.ledger.get(job_id).prepare_starts == 0
    shop.objects.put(key(job_id, SOURCE), source)
    shop.stages.prepare(job_id)
    assert shop.finish(job_id).status == "completed"


def test_a_worker_that_stops_while_it_reads_a_picture_has_not_died(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = shop.submit(None, prepare=False)
    reading, over = threading.Event(), threading.Event()

    def read(*_: Any) -> None:
        reading.set()
        over.wait(30)
        raise StorageError("cut off")

    monkeypatch.setattr(shop.stages._preparation, "prepare", read)

    def prepare() -> None:
        with pytest.raises(StorageError):
            shop.stages.prepare(job_id)

    thread = threading.Thread(target=prepare)
    thread.start()
    assert reading.wait(10)
    assert shop.ledger.get(job_id).prepare_starts == 1
    shop.stages.give_back_pictures()
    assert shop.ledger.get(job_id).prepare_starts == 0
    over.set()
    thread.join()
    assert shop.ledger.get(job_id).prepare_starts == 0


def test_three_real_deaths_end_a_job_and_nothing_of_it_is_left(shop: Shop) -> None:
    picture, clip = shop.submit(None, prepare=False), shop.submit(None)
    for _ in range(MAX_STARTS):
        assert shop.ledger.preparing(picture) is not None
        assert shop.ledger.begin(clip) is not None
    shop.stages.prepare(picture)
    assert not shop.stages.render(clip)
    for job_id in (picture, clip):
        error = shop.ledger.get(job_id).error
        assert error is not None
        assert error["code"] == "poison_job"
        assert left(shop, job_id) == set()


def test_a_cancel_while_the_clip_is_stored_leaves_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = shop.submit(None)
    rendered = shop.ledger.rendered

    def late(lease: Lease, result: dict[str, Any]) -> bool:
        assert any(ATTEMPTS in name for name in left(shop, job_id))
        shop.ledger.cancel(job_id, None, keep_seconds=60)
        return rendered(lease, result)

    monkeypatch.setattr(shop.stages._ledger, "rendered", late)
    assert not shop.stages.render(job_id)
    assert left(shop, job_id) == set()


def test_a_cancel_before_the_clip_is_published_leaves_nothing(shop: Shop) -> None:
    job_id = shop.submit(None)
    assert shop.stages.render(job_id)
    shop.ledger.cancel(job_id, None, keep_seconds=60)
    shop.stages.publish(job_id)
    assert left(shop, job_id) == set()


def test_a_cancel_while_the_picture_is_read_leaves_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = shop.submit(None, prepare=False)
    prepared = shop.ledger.prepared

    def late(*arguments: Any) -> None:
        shop.ledger.cancel(job_id, None, keep_seconds=60)
        prepared(*arguments)

    monkeypatch.setattr(shop.stages._ledger, "prepared", late)
    shop.stages.prepare(job_id)
    assert left(shop, job_id) == set()


def test_a_suspect_picture_and_its_own_render_do_not_wait_for_each_other(shop: Shop) -> None:
    """Two of them, at both stages, beside an honest job."""
    ids = [shop.submit(None, prepare=False) for _ in range(3)]
    for job_id in ids[:2]:
        assert shop.ledger.preparing(job_id) is not None  # and the worker died
    stages = [
        threading.Thread(target=work, args=(job_id,))
        for job_id in ids
        for work in (shop.stages.render, shop.stages.prepare)
    ]
    for thread in stages:
        thread.start()
    for thread in stages:
        thread.join(60)
    for job_id in ids:
        shop.stages.publish(job_id)
        assert shop.ledger.get(job_id).status == "completed"


def test_who_works_alone_waits_for_the_others_and_they_for_him() -> None:
    lock = SoloLock()
    at_work: list[str] = []
    go_on = threading.Event()

    def work(name: str, alone: bool) -> None:
        with lock.hold(alone=alone):
            at_work.append(name)
            go_on.wait(30)
            at_work.remove(name)

    def start(name: str, *, alone: bool = False) -> threading.Thread:
        thread = threading.Thread(target=work, args=(name, alone))
        thread.start()
        return thread

    threads = [start("a"), start("b")]
    until(lambda: sorted(at_work) == ["a", "b"])
    threads += [start("alone", alone=True), start("alone too", alone=True)]
    time.sleep(0.05)
    threads.append(start("c"))
    time.sleep(0.05)
    assert sorted(at_work) == ["a", "b"]
    seen: set[tuple[str, ...]] = set()
    go_on.set()
    while any(thread.is_alive() for thread in threads):
        seen.add(tuple(at_work))
    assert not any("alone" in " ".join(names) and len(names) > 1 for names in seen)
    for thread in threads:
        thread.join()
    assert at_work == []
