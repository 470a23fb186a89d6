"""A job that goes on until its clip passes: attempts survive their worker, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inline_service import InlineService
from vivant.api.schemas import VideoFields
from vivant.api.video_answer import batch_json, video_json
from vivant.errors import EngineError, OptionError
from vivant.service.job import ATTEMPTS, JobSpec, key, request_json
from vivant.settings import Settings, read_settings
from vivant.types import Request


def read_fields(values: dict[str, Any], settings: Settings) -> VideoFields:
    fields = VideoFields.read(values)
    fields.to_request(b"", settings)
    return fields


class Killed(BaseException):
    """The end of the process, as far as the code in it can tell."""


@pytest.fixture
def service(tmp_path: Path, portrait_bytes: bytes) -> Iterator[InlineService]:
    made = InlineService(tmp_path, portrait_bytes)
    yield made
    made.close()


def test_what_was_tried_survives_the_worker(service: InlineService) -> None:
    job_id = service.submit("600s", flaw="unlucky")
    service.engine.events[2] = Killed()
    with pytest.raises(Killed):
        service.stages.render(job_id)
    told = service.job_store.get(job_id).snapshot["gate"]
    assert [a["seed"] for a in told["attempts"]] == [2]
    assert told["stop"] is None

    job = service.finish(job_id)
    assert (job.status, job.verdict != "fail") == ("completed", True)
    assert service.engine.seeds == [2, 3, 3]  # the first clip was not made again
    shown = video_json(job, b"secret")
    assert (shown["until_pass"], shown["budget"]) == (True, "600s")
    gate = shown["gate"]
    assert (gate["chosen"], gate["passed"], gate["stop"]) == (2, True, "passed")
    assert {"generate", "encode", "verify", "store"} <= {s["stage"] for s in shown["stages"]}
    assert [a["code"] for a in gate["attempts"]] == ["", "seed"]
    assert "flicker" in gate["attempts"][1]["why"]
    assert job.snapshot["gate"]["spent"] > 0  # of the run that was killed
    total = sum(a["seconds"] for a in gate["attempts"])
    assert shown["inference_time_s"] >= total - 0.01
    assert shown["cost"]["usd"] == pytest.approx(shown["inference_time_s"] * 0.0000262, rel=0.01)
    report = service.report(job_id)
    assert report["settings"]["seed"] == 3
    assert report["gate"]["chosen"] == 2
    assert "stored" not in report["gate"]
    # the estimate of the next clip rests on one clip, not on all attempts
    (measured,) = service.job_store.measured("fake")
    assert measured["seconds"] == pytest.approx(report["seconds"], abs=0.2)
    assert list(service.objects.walk(key(job_id, ATTEMPTS))) == []


def test_the_best_clip_is_delivered_though_a_later_attempt_fails(service: InlineService) -> None:
    job_id = service.submit("600s", flaw="hopeless", size=(128, 72))
    service.engine.events[2] = EngineError("the engine gave up")
    job = service.finish(job_id)
    assert (job.status, job.verdict) == ("completed", "fail")
    gate = service.report(job_id)["gate"]
    assert (gate["chosen"], gate["passed"], gate["stop"]) == (1, False, "failed")
    assert "the engine gave up" in gate["stopped"]
    assert [a["verdict"] for a in gate["attempts"]] == ["fail", None]
    assert service.report(job_id)["settings"]["seed"] == 2


def test_a_budget_smaller_than_one_clip_fails_the_job_with_its_reason(
    service: InlineService,
) -> None:
    job = service.finish(service.submit("0.001s", size=(128, 72)))
    assert job.status == "failed"
    assert job.error is not None
    assert (job.error["code"], job.error["param"]) == ("invalid_option", "budget")
    assert "before the first clip was finished" in job.error["message"]
    # once such a clip was measured it is refused before anything is drawn
    assert service.finish(service.submit("600s", size=(128, 72))).status == "completed"
    drawn = len(service.engine.seeds)
    job = service.finish(service.submit("0.001s", size=(128, 72)))
    assert job.error is not None
    assert "smaller than one clip" in job.error["message"]
    assert len(service.engine.seeds) == drawn


def test_until_pass_is_off_unless_it_is_asked_for() -> None:
    settings = read_settings(engines=("fake",), default_engine="fake")
    assert read_fields({}, settings).budget is None
    assert read_fields({"until_pass": "false"}, settings).budget is None
    for wanted in (True, "true"):
        assert read_fields({"until_pass": wanted, "budget": "₩100"}, settings).budget == "₩100"
    bad: list[tuple[dict[str, Any], str]] = [
        ({"until_pass": "true"}, "write 120s"),
        ({"budget": "5s"}, "give both"),
        ({"until_pass": "yes", "budget": "5s"}, "neither true nor false"),
        ({"until_pass": "true", "budget": "5"}, "write 120s"),
        ({"until_pass": "true", "budget": "5 XAU"}, "XAU"),
    ]
    for fields, word in bad:
        with pytest.raises(OptionError, match=word) as refused:
            read_fields(fields, settings)
        assert refused.value.param in ("budget", "until_pass")


def test_orders_without_a_budget_are_kept_as_before() -> None:
    request = Request(image=b"")
    assert "budget" not in request_json(JobSpec(request=request, picture={}))
    assert request_json(JobSpec(request=request, picture={}, budget="5s"))["budget"] == "5s"


def test_a_batch_goes_on_past_a_bad_picture_and_adds_up(service: InlineService) -> None:
    good = service.submit(None, size=(128, 72), batch="holiday")
    torn = service.submit(None, size=(128, 72), batch="holiday", image=b"\xff\xd8\xff" + bytes(90))
    later = service.submit(None, size=(128, 72), batch="holiday")
    other = service.submit(None, size=(128, 72), batch="holiday", owner="somebody")
    alone = service.submit(None, size=(128, 72))
    for job_id in (good, torn):
        service.finish(job_id)
    jobs = service.job_store.batch("holiday", "")
    assert [job.id for job in jobs] == [good, torn, later]
    assert [job.status for job in jobs] == ["completed", "failed", "queued"]
    assert jobs[1].error is not None
    assert jobs[1].error["code"].startswith(("invalid_image", "image_"))
    told = batch_json("holiday", jobs, b"secret")
    assert told["counts"] == {"completed": 1, "failed": 1, "queued": 1}
    assert told["progress"] == 66
    made = told["data"][0]
    assert (told["inference_time_s"], told["cost"]["usd"]) == (
        pytest.approx(made["inference_time_s"], abs=0.001), made["cost"]["usd"]
    )  # fmt: skip
    assert [video["batch"] for video in told["data"]] == ["holiday"] * 3
    assert {job.id for job in service.job_store.batch("holiday", None)} == {
        good,
        torn,
        later,
        other,
    }
    assert video_json(service.job_store.get(alone), b"secret")["batch"] is None
    assert service.job_store.batch("none", "") == []


def test_names_of_batches_are_plain() -> None:
    settings = read_settings(engines=("fake",), default_engine="fake")
    assert read_fields({"batch": "b-1_x"}, settings).batch == "b-1_x"
    for bad in ("", "a b", "x" * 65, "../a", "é", 5):
        with pytest.raises(OptionError, match="batch"):
            read_fields({"batch": bad}, settings)
