"""A server and two workers on a network, Postgres and S3: killed, cut off, frozen, upgraded.

Three network namespaces where the system allows them; loopback lines that are cut run everywhere.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Any, Literal

import pytest

import cluster_machine
from cluster_machine import Cluster, Namespaces, WorkerProcess
from vivant.service.worker import EXIT_DECLARED_DEAD

TAKE_OVER = 6.0
"""Seconds from a worker's end to its clip's next start elsewhere."""

WHY_NOT = Namespaces.why_not()
KIND: Literal["namespaces", "lines"] = "lines" if WHY_NOT else "namespaces"

SLOW: dict[str, Any] = {"options[steps]": 25, "options[step_seconds]": 0.1}
SHORT: dict[str, Any] = {"options[steps]": 5, "options[step_seconds]": 0.1}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, dict[str, str]]]:
    with cluster_machine.stores(tmp_path_factory.mktemp("stores")) as found:
        yield found


def test_the_network_is_real() -> None:
    """Only told where it is not: everything below runs over loopback lines then."""
    if WHY_NOT:
        pytest.skip(f"no network namespaces ({WHY_NOT}): loopback lines are cut instead")
    assert KIND == "namespaces"


@pytest.fixture(scope="module")
def cluster(
    stores: tuple[str, str, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    found = cluster_machine.start(tmp_path_factory.mktemp("cluster"), *stores, KIND)
    try:
        yield found
    finally:
        found.close()


def both(cluster: Cluster) -> list[WorkerProcess]:
    """A living worker at each host; one that has ended is started anew, as systems do."""
    found = []
    for host in ("one", "two"):
        here = [w for w in cluster.workers if w.host == host and w.process.poll() is None]
        found.append(here[-1] if here else cluster.worker(host))
    cluster.ready(*found)
    return found


def second_start(cluster: Cluster, video_id: str, since: float) -> float:
    """Seconds from ``since`` to the next attempt."""

    def starts() -> list[dict[str, Any]]:
        return [e for e in cluster.events(video_id) if e["event"] == "started"]

    cluster.server.wait(lambda: len(starts()) > 1, "another worker", seconds=30)
    return float(starts()[1]["at"]) - since


def test_a_killed_workers_clip_is_taken_over(cluster: Cluster) -> None:
    both(cluster)
    ids = [cluster.server.submit(**SLOW), cluster.server.submit(**SHORT)]
    at = cluster.at(ids[0])
    at.signal(signal.SIGKILL)
    at.ended(5)
    killed = time.time()
    took = second_start(cluster, ids[0], killed)
    cluster.worker(at.host)  # is up by the time the next test needs it
    assert took <= TAKE_OVER
    for video_id in ids:
        cluster.judge(video_id)


def test_a_worker_that_is_cut_off_is_replaced_and_ends_when_it_is_back(cluster: Cluster) -> None:
    both(cluster)
    video_id = cluster.server.submit(**SLOW)
    at = cluster.at(video_id)
    cluster.network.cut(at.host)
    try:
        took = second_start(cluster, video_id, time.time())
    finally:
        cluster.network.mend(at.host)
    cluster.worker(at.host)
    assert took <= TAKE_OVER
    assert cluster.judge(video_id)["attempt"] == 2
    assert at.ended(30) == EXIT_DECLARED_DEAD


def test_a_frozen_worker_cannot_write_any_more(cluster: Cluster) -> None:
    both(cluster)
    video_id = cluster.server.submit(**SLOW)
    at = cluster.at(video_id)
    at.signal(signal.SIGSTOP)
    try:
        took = second_start(cluster, video_id, time.time())
        cluster.worker(at.host)
        before = cluster.judge(video_id)
        events = cluster.events(video_id)
    finally:
        at.signal(signal.SIGCONT)
    assert took <= TAKE_OVER
    assert at.ended(30) == EXIT_DECLARED_DEAD
    assert cluster.server.video(video_id) == before
    assert cluster.events(video_id) == events
    cluster.judge(video_id)


def test_what_a_vanished_worker_has_claimed_is_taken_back(cluster: Cluster) -> None:
    """It was declared dead, woke up, claimed one more stage and ended."""
    both(cluster)
    ids = [cluster.server.submit(seed=seed, **SHORT) for seed in range(4)]
    cluster.change(
        "update dbos.workflow_status set status = 'PENDING', executor_id = 'nobody' "
        "where workflow_uuid = %s and status = 'ENQUEUED'",
        ids[-1],
    )
    for video_id in ids:
        cluster.judge(video_id)


@pytest.mark.parametrize("mode", ["refuse", "slow", "full"])
def test_storage_that_fails_for_a_while_costs_no_clip(cluster: Cluster, mode: str) -> None:
    both(cluster)
    video_id = cluster.server.submit(**SHORT)
    cluster.server.running(video_id)
    cluster.network.store_becomes(mode)
    try:
        time.sleep(2)
        if mode != "slow":
            answer = cluster.server.post()
            assert answer.status_code == 503, answer.text
            assert cluster.server.video(video_id)["status"] == "in_progress"
    finally:
        cluster.network.store_becomes("open")
    assert cluster.judge(video_id)["attempt"] == 1


def test_a_new_version_takes_over_while_jobs_run(cluster: Cluster) -> None:
    old = both(cluster)
    new = cluster.worker("one", version="3")
    cluster.ready(new)
    ids = [cluster.server.submit(seed=seed, **SHORT) for seed in range(8)]
    at = cluster.at(ids[0])
    for worker in old:
        worker.signal(signal.SIGTERM)
    ids.append(cluster.server.submit(**SHORT))  # of the old version, which has no worker any more
    for worker in old:
        assert worker.ended(30) == 0
    cluster.serve(version="3")
    ids.append(cluster.server.submit(**SHORT))
    for video_id in ids:
        assert cluster.judge(video_id)["attempt"] == 1
    made = cluster.rows("select executor_id from dbos.workflow_status where name = 'render'")
    ours = {worker_id for (worker_id,) in made} & set(cluster.known().values())
    assert len(ours) == 1
    assert at in old
