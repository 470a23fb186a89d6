"""What counts as the death of a worker at a job, what does not, and what a job leaves behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inline_service import InlineService, until
from vivant.errors import DatabaseError, StorageError
from vivant.service.database import Database, open_database
from vivant.service.job import ATTEMPTS, PORTRAIT, SOURCE, key
from vivant.service.job_store import JobStore, Lease
from vivant.service.keys import Keyring
from vivant.service.queue import JobQueue
from vivant.service.rows import MAX_STARTS
from vivant.service.shared_exclusive_lock import SharedExclusiveLock
from vivant.service.sweeper import Sweeper
from vivant.settings import read_settings


@pytest.fixture
def service(tmp_path: Path, portrait_bytes: bytes) -> Iterator[InlineService]:
    made = InlineService(tmp_path, portrait_bytes)
    yield made
    made.close()


def left(service: InlineService, job_id: str) -> set[str]:
    """What only a render needs, as far as it is still there."""
    names = {stored.key for stored in service.objects.walk(f"jobs/{job_id}")}
    return {name for name in names if PORTRAIT in name or f"/{ATTEMPTS}/" in name}


def test_a_picture_that_cannot_be_read_now_kills_nobody(service: InlineService) -> None:
    job_id = service.submit(None, prepare=False)
    source = service.objects.get(key(job_id, SOURCE))
    service.objects.delete(key(job_id, SOURCE))
    for _ in range(MAX_STARTS + 2):
        with pytest.raises(StorageError):
            service.stages.prepare(job_id)
    assert service.job_store.get(job_id).prepare_starts == 0
    service.objects.put(key(job_id, SOURCE), source)
    service.stages.prepare(job_id)
    assert service.finish(job_id).status == "completed"


def test_a_worker_that_stops_while_it_reads_a_picture_has_not_died(
    service: InlineService, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = service.submit(None, prepare=False)
    reading, over = threading.Event(), threading.Event()

    def read(*_: Any) -> None:
        reading.set()
        over.wait(30)
        raise StorageError("cut off")

    monkeypatch.setattr(service.stages._preparation, "prepare", read)

    def prepare() -> None:
        with pytest.raises(StorageError):
            service.stages.prepare(job_id)

    thread = threading.Thread(target=prepare)
    thread.start()
    assert reading.wait(10)
    assert service.job_store.get(job_id).prepare_starts == 1
    service.stages.give_back_pictures()
    assert service.job_store.get(job_id).prepare_starts == 0
    over.set()
    thread.join()
    assert service.job_store.get(job_id).prepare_starts == 0


def test_three_real_deaths_end_a_job_and_nothing_of_it_is_left(service: InlineService) -> None:
    picture, clip = service.submit(None, prepare=False), service.submit(None)
    for _ in range(MAX_STARTS):
        assert service.job_store.preparing(picture) is not None
        assert service.job_store.begin(clip) is not None
    service.stages.prepare(picture)
    assert not service.stages.render(clip)
    for job_id in (picture, clip):
        error = service.job_store.get(job_id).error
        assert error is not None
        assert error["code"] == "poison_job"
        assert left(service, job_id) == set()


def test_a_cancel_while_the_clip_is_stored_leaves_nothing(
    service: InlineService, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = service.submit(None)
    rendered = service.job_store.rendered

    def late(lease: Lease, result: dict[str, Any]) -> bool:
        assert any(ATTEMPTS in name for name in left(service, job_id))
        service.job_store.cancel(job_id, None, keep_seconds=60)
        return rendered(lease, result)

    monkeypatch.setattr(service.stages._job_store, "rendered", late)
    assert not service.stages.render(job_id)
    assert left(service, job_id) == set()


def test_a_cancel_before_the_clip_is_published_leaves_nothing(service: InlineService) -> None:
    job_id = service.submit(None)
    assert service.stages.render(job_id)
    service.job_store.cancel(job_id, None, keep_seconds=60)
    service.stages.publish(job_id)
    assert left(service, job_id) == set()


def test_a_cancel_while_the_picture_is_read_leaves_nothing(
    service: InlineService, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = service.submit(None, prepare=False)
    prepared = service.job_store.prepared

    def late(*arguments: Any) -> None:
        service.job_store.cancel(job_id, None, keep_seconds=60)
        prepared(*arguments)

    monkeypatch.setattr(service.stages._job_store, "prepared", late)
    service.stages.prepare(job_id)
    assert left(service, job_id) == set()


def test_a_suspect_picture_and_its_own_render_do_not_wait_for_each_other(
    service: InlineService,
) -> None:
    """Two of them, at both stages, beside an honest job."""
    ids = [service.submit(None, prepare=False) for _ in range(3)]
    for job_id in ids[:2]:
        assert service.job_store.preparing(job_id) is not None  # and the worker died
    stages = [
        threading.Thread(target=work, args=(job_id,))
        for job_id in ids
        for work in (service.stages.render, service.stages.prepare)
    ]
    for thread in stages:
        thread.start()
    for thread in stages:
        thread.join(60)
    for job_id in ids:
        service.stages.publish(job_id)
        assert service.job_store.get(job_id).status == "completed"


def test_who_works_alone_waits_for_the_others_and_they_for_him() -> None:
    lock = SharedExclusiveLock()
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


# -- what is swept, and what never -----------------------------------------------------------


def sweeper_of(service: InlineService, database: Database | None = None) -> Sweeper:
    database = database or service.database
    settings = read_settings(data_dir=service.worker._settings.data_dir)
    return Sweeper(
        JobStore(database), service.objects, JobQueue(database), settings, orphan_seconds=-1
    )


def test_objects_without_a_job_are_set_aside_before_they_go(service: InlineService) -> None:
    sweeper = sweeper_of(service)
    assert sweeper.owns_store()
    mine = service.submit(None)
    service.objects.put("jobs/video_nobody/clip.mp4", b"orphan")
    assert sweeper.collect_orphans() == 1
    assert service.objects.get("set-aside/video_nobody/clip.mp4") == b"orphan"
    assert service.objects.folders("jobs") == [mine]
    assert sweeper.collect_orphans() == 0
    sweeper._wall += 4 * 86_400
    sweeper.collect_orphans()
    assert service.objects.folders("set-aside") == []


def test_a_lost_database_removes_nothing(service: InlineService, tmp_path: Path) -> None:
    kept = service.submit(None)
    assert sweeper_of(service).owns_store()
    lost = Database(f"sqlite:///{tmp_path / 'other.db'}")
    lost.migrate()
    stranger = sweeper_of(service, lost)
    assert stranger.collect_orphans() == 0
    assert service.objects.head(key(kept, SOURCE)) is not None
    # nor from a store of before it had an id
    service.objects.delete("service/id")
    assert stranger.collect_orphans() == 0
    assert sweeper_of(service).collect_orphans() == 0
    lost.close()


def test_a_store_from_before_it_had_an_id_belongs_to_who_knows_its_jobs(
    service: InlineService,
) -> None:
    service.submit(None)
    service.objects.put("jobs/video_nobody/clip.mp4", b"orphan")
    assert sweeper_of(service).collect_orphans() == 1


def test_what_a_killed_upload_leaves_goes_with_its_folder(service: InlineService) -> None:
    """A local store lists no such file."""
    job_id = service.submit(None)
    folder = service.worker._settings.service_dir / "objects" / "jobs" / job_id
    staged = folder / ATTEMPTS / "1" / "clip.mp4#1"
    staged.parent.mkdir(parents=True)
    staged.write_bytes(b"half")
    assert service.objects.newest(f"jobs/{job_id}") >= staged.stat().st_mtime
    assert service.finish(job_id).status == "completed"
    assert not staged.exists()
    assert not (folder / ATTEMPTS).exists()


def test_no_folder_that_can_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "service").write_text("a file where the folder should be")
    with pytest.raises(DatabaseError, match="cannot be written"):
        open_database(read_settings(data_dir=tmp_path)).migrate()


def test_a_key_that_is_revoked_shuts_its_tokens(service: InlineService) -> None:
    ring = Keyring(service.database)
    presented = ring.add("studio")
    owner = ring.owner(presented)
    assert owner is not None
    job_id = service.submit(None, owner=owner)
    assert service.job_store.owner_of(job_id) == owner
    assert service.job_store.owner_of("video_none") is None
    assert ring.active(owner)
    assert ring.active("")
    ring.revoke(owner)
    assert not Keyring(service.database).active(owner)
