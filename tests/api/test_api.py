"""The API as its clients use it: the official client, forms, JSON, events, ranges."""

from __future__ import annotations

import base64
import io
import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from PIL import Image

from service_process import FAKE, Service, picture, sunset_ignored
from vivant.api.errors import from_job, from_vivant
from vivant.errors import (
    EngineError,
    ImageError,
    MissingPartError,
    OptionError,
    VivantError,
    WeightsError,
)
from vivant.service.job import error_json
from vivant.version import __version__


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("api") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def done(service: Service) -> dict[str, Any]:
    """A finished clip."""
    video = service.finished(service.submit(seed=5))
    assert video["status"] == "completed", video
    return video


def test_the_official_client_makes_a_clip(service: Service) -> None:
    client = service.openai()
    with sunset_ignored():
        video = client.videos.create_and_poll(
            model="fake",
            prompt="subtle motion",
            seconds="1",
            size="128x72",
            input_reference=("me.png", picture(), "image/png"),
            extra_body={"seed": 7, "options": {"steps": 3}, "negative_prompt": "warping"},
        )
        assert (video.status, video.progress, video.size) == ("completed", 100, "128x72")
        assert video.seconds == "1.0417"
        extra = video.model_dump()
        assert (extra["seed"], extra["num_frames"], extra["fps"]) == (7, 25, 24)
        assert extra["options"] == {"steps": "3"}
        assert extra["inference_time_s"] > 0
        assert extra["peak_memory_mb"] > 50
        assert extra["stage_durations"]["generate"] >= 0
        clip = client.videos.download_content(video.id).read()
        assert clip[4:8] == b"ftyp"
        sheet = client.videos.download_content(video.id, variant="spritesheet").read()
        assert sheet[:3] == b"\xff\xd8\xff"
        assert client.videos.retrieve(video.id).id == video.id
        ids = [item.id for item in client.videos.list(limit=1, order="desc")]
        assert video.id in ids
        gone = client.videos.delete(video.id)
        assert (gone.deleted, gone.object) == (True, "video.deleted")


def test_the_official_client_sees_errors(service: Service) -> None:
    import openai

    client = service.openai()
    with sunset_ignored():
        with pytest.raises(openai.BadRequestError) as refused:
            client.videos.create(prompt="x", size="321x180", input_reference=picture())
        assert (refused.value.code, refused.value.param) == ("invalid_option", "size")
        with pytest.raises(openai.NotFoundError) as missing:
            client.videos.retrieve("video_nope")
        assert missing.value.code == "not_found"


def test_json_as_the_users_page_sends_it(service: Service) -> None:
    image = base64.b64encode(picture()).decode()
    for value in (
        image,
        f"data:image/png;base64,{image}",
        {"image_url": f"data:image/png;base64,{image}"},
    ):
        answer = service.request(
            "POST", "/v1/videos", json={**FAKE, "num_frames": 9, "image": value, "seconds": None}
        )
        assert answer.status_code == 202, answer.text
        assert answer.json()["status"] == "queued"
    assert service.finished(answer.json()["id"])["status"] == "completed"


def test_the_video_object_says_all_that_is_promised(done: dict[str, Any]) -> None:
    assert done["object"] == "video"
    assert done["progress"] == 100
    assert done["verdict"] in ("pass", "warn", "fail", "not_measured")
    assert done["cost"]["final"] is True
    assert done["cost"]["currency"] == "KRW"
    assert done["expires_at"] - done["completed_at"] == pytest.approx(7 * 86_400, abs=2)
    assert set(done["variants"]) == {
        "video", "thumbnail", "contact_sheet", "spritesheet", "report", "report_html", "source",
        "reference",
    }  # fmt: skip
    assert done["error"] is None
    stages = [stage["stage"] for stage in done["stages"]]
    assert stages[0] == "image"
    assert {"generate", "encode", "verify", "store"} <= set(stages)


def test_every_variant_is_what_it_says(service: Service, done: dict[str, Any]) -> None:
    types = {
        "video": "video/mp4",
        "thumbnail": "image/jpeg",
        "contact_sheet": "image/jpeg",
        "reference": "image/jpeg",
        "source": "image/png",
        "report": "application/json",
        "report_html": "text/html; charset=utf-8",
    }
    for variant, kind in types.items():
        answer = service.get(f"/v1/videos/{done['id']}/content?variant={variant}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == kind
        assert len(answer.content) == int(answer.headers["content-length"])
    assert service.get(f"/v1/videos/{done['id']}/content?variant=source").content == picture()
    report = service.get(f"/v1/videos/{done['id']}/content?variant=report").json()
    assert report["settings"]["seed"] == 5
    page = service.get(f"/v1/videos/{done['id']}/content?variant=report_html")
    assert "<video" in page.text
    # it may show itself and nothing else: no network, no storage, no frame around it
    policy = page.headers["content-security-policy"].split("; ")
    sandbox = "sandbox allow-scripts allow-downloads allow-modals"  # save the clip, print
    assert {"default-src 'none'", "frame-ancestors 'none'", sandbox} <= set(policy)
    assert report["source"]["name"] == "me.png"
    attached = service.get(f"/v1/videos/{done['id']}/content?download=1")
    assert attached.headers["content-disposition"] == 'attachment; filename="me-5.mp4"'


def test_ranges_and_etags(service: Service, done: dict[str, Any]) -> None:
    path = f"/v1/videos/{done['id']}/content"
    whole = service.get(path)
    body, etag = whole.content, whole.headers["etag"]
    assert whole.headers["accept-ranges"] == "bytes"
    for header, expected in (
        ("bytes=0-9", body[:10]),
        ("bytes=10-", body[10:]),
        ("bytes=-7", body[-7:]),
        (f"bytes=5-{10**12}", body[5:]),
    ):
        part = service.get(path, headers={"Range": header})
        assert part.status_code == 206
        assert part.content == expected
        assert part.headers["content-range"].endswith(f"/{len(body)}")
    for header in ("bytes=0-1,3-4", "bytes=9-2", "lines=1-2", "bytes=-"):
        assert service.get(path, headers={"Range": header}).status_code == 200
    beyond = service.get(path, headers={"Range": f"bytes={len(body)}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(body)}"
    assert service.get(path, headers={"If-None-Match": etag}).status_code == 304
    assert service.get(path, headers={"If-None-Match": f'"x", W/{etag}'}).status_code == 304
    stale = service.get(path, headers={"Range": "bytes=0-1", "If-Range": '"old"'})
    assert (stale.status_code, stale.content) == (200, body)
    head = service.request("HEAD", path, headers={"Range": "bytes=0-1"})
    assert (head.status_code, head.content) == (200, b"")
    assert (head.headers["content-length"], head.headers["etag"]) == (str(len(body)), etag)
    for path in ("/health", "/ready"):
        assert service.request("HEAD", path).status_code == 200


def test_events_tell_every_step_and_end(service: Service) -> None:
    steps = {"options[steps]": 4, "options[step_seconds]": 0.3}
    video_id = service.submit(**steps)
    events = list(service.events(video_id))
    names = [event["event"] for event in events]
    assert names[0] in ("queued", "started", "progress")
    assert names[-1] == "completed"
    assert {event["step"] for event in events} >= {1, 2, 3, 4}
    told = [event["progress"] for event in events]
    assert told == sorted(told)
    assert len({value for value in told if 0 < value < 100}) >= 3  # shares follow the machine
    assert told[-1] == 100
    seqs = [event["seq"] for event in events]
    assert seqs == sorted(seqs)
    assert events[-1]["cost"]["final"]
    assert any(event["eta_seconds"] for event in events)
    # resumed in the middle: exactly what was missed
    middle = seqs[len(seqs) // 2]
    missed = list(service.events(video_id, {"Last-Event-ID": str(middle)}))
    assert [event["seq"] for event in missed] == list(range(middle + 1, seqs[-1] + 1))
    late = list(service.events(video_id))
    assert [event["event"] for event in late] == ["completed"]


def test_a_job_is_queued_until_a_worker_is_at_it(service: Service) -> None:
    slow = {"options[steps]": 5, "options[step_seconds]": 0.3}
    first, second, third = (service.submit(**slow) for _ in range(3))
    service.running(first)
    waiting = [service.video(video_id) for video_id in (second, third)]
    assert [video["status"] for video in waiting] == ["queued", "queued"]
    assert [video["queue_position"] for video in waiting] == [0, 1]
    assert waiting[0]["started_at"] is None
    urgent = service.submit(priority="high")
    assert service.video(urgent)["queue_position"] == 0
    for video_id in (second, first):
        assert service.request("POST", f"/v1/videos/{video_id}/cancel").status_code == 200
    assert service.finished(urgent)["status"] == "completed"
    assert service.finished(third)["completed_at"] >= service.video(urgent)["completed_at"]


def test_cancel_frees_the_worker_within_one_step(service: Service) -> None:
    video_id = service.submit(**{"options[steps]": 200, "options[step_seconds]": 0.25})
    service.running(video_id)
    answer = service.request("POST", f"/v1/videos/{video_id}/cancel").json()
    assert (answer["status"], answer["error"]["code"]) == ("failed", "cancelled")
    assert service.finished(service.submit())["status"] == "completed"
    assert service.video(video_id)["status"] == "failed"
    again = service.request("POST", f"/v1/videos/{video_id}/cancel").json()
    assert again["error"]["code"] == "cancelled"
    events = [event["event"] for event in service.events(video_id, {"Last-Event-ID": "0"})]
    assert events[-1] == "cancelled"


def test_deleting_while_it_runs_leaves_nothing(service: Service) -> None:
    video_id = service.submit(**{"options[steps]": 200, "options[step_seconds]": 0.1})
    service.running(video_id)
    ended: list[str] = []
    listener = threading.Thread(
        target=lambda: ended.extend(event["event"] for event in service.events(video_id))
    )
    listener.start()
    time.sleep(0.3)
    assert service.request("DELETE", f"/v1/videos/{video_id}").json()["deleted"] is True
    listener.join(15)
    assert ended[-1] in ("cancelled", "deleted")
    assert service.get(f"/v1/videos/{video_id}").status_code == 404
    assert service.request("DELETE", f"/v1/videos/{video_id}").status_code == 404
    assert service.finished(service.submit())["status"] == "completed"
    assert not (service.folder / "service" / "objects" / "jobs" / video_id).exists()


def test_the_same_idempotency_key_is_the_same_job(service: Service) -> None:
    key = {"Idempotency-Key": "one two"}
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda: answers.append(service.post(seed=11, headers=key)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    other = service.post(seed=12, headers=key)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert service.post(picture(seed=9), seed=11, headers=key).status_code == 409


def test_sync_answers_with_the_clip(service: Service) -> None:
    answer = service.request(
        "POST", "/v1/videos/sync", data=FAKE, files={"input_reference": ("a.png", picture())}
    )
    assert answer.status_code == 200
    assert answer.content[4:8] == b"ftyp"
    video = service.video(answer.headers["x-vivant-video-id"])
    assert video["status"] == "completed"
    failing = service.request(
        "POST",
        "/v1/videos/sync",
        data={**FAKE, "options[fail_at_frame]": "3"},
        files={"input_reference": ("a.png", picture())},
    )
    assert (failing.status_code, failing.json()["error"]["code"]) == (500, "engine_failed")


@pytest.mark.parametrize(
    "error",
    [
        ImageError("the picture is empty", code="image_empty"),
        OptionError("steps must be 1 or more", param="steps"),
        MissingPartError("weights are not installed"),
        EngineError("it stopped half-way"),
        WeightsError("a weight file is torn"),
    ],
)
def test_a_job_that_fails_answers_as_the_request_would(error: VivantError) -> None:
    told = from_job(error_json(error), {})
    assert told.status == from_vivant(error).status_code
    assert (told.code, told.message, told.param) == (error.error_code, error.message, error.param)


def test_a_client_that_leaves_sync_cancels_it(service: Service) -> None:
    logged = len(service.log.read_bytes())
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{service.url}/v1/videos/sync",
            data={**FAKE, "options[steps]": "300", "options[step_seconds]": "0.1"},
            files={"input_reference": ("a.png", picture())},
            timeout=2,
        )
    newest = service.get("/v1/videos?limit=1").json()["data"][0]["id"]
    assert service.finished(newest, 15)["error"]["code"] == "cancelled"
    assert b"Traceback" not in service.log.read_bytes()[logged:]


def test_a_failed_job_says_why(service: Service) -> None:
    video = service.finished(service.submit(**{"options[fail_at_step]": 1}))
    assert video["status"] == "failed"
    assert video["error"]["code"] == "engine_failed"
    answer = service.get(f"/v1/videos/{video['id']}/content")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_ready")


def test_pages_of_the_list(service: Service) -> None:
    made = [service.submit() for _ in range(5)]
    found: list[str] = []
    after = ""
    while True:
        page = service.get(f"/v1/videos?limit=2&order=asc{after}").json()
        found += [video["id"] for video in page["data"]]
        if not page["has_more"]:
            break
        assert page["last_id"] == page["data"][-1]["id"]
        after = f"&after={page['last_id']}"
    assert len(found) == len(set(found))
    assert [video_id for video_id in found if video_id in made] == made
    newest = service.get("/v1/videos?limit=5").json()["data"]
    assert [video["id"] for video in newest] == made[::-1]
    for video_id in made:
        service.request("DELETE", f"/v1/videos/{video_id}")


def test_what_is_needed_before_making_a_clip(service: Service, done: dict[str, Any]) -> None:
    config = service.get("/v1/config").json()
    assert config["version"] == __version__
    assert config["defaults"]["prompt"] == "subtle motion"
    assert config["aspects"]["9:16"] == [1080, 1920]
    page = (Path(__file__).parents[2] / "docs" / "labels.md").read_text("utf-8")
    assert all(rule["source"] in page for rule in config["label_rules"])
    assert {rule["where"] for rule in config["label_rules"]} == {
        "Korea",
        "European Union",
        "YouTube",
    }
    models = {model["id"]: model for model in service.get("/v1/models").json()["data"]}
    assert models["camera"]["available"]
    assert models["camera"]["default"]
    assert models["ltx2"]["moves"] == "person"
    assert "seed" in models["ltx2"]["recipes"]
    assert {name for name, model in models.items() if model["sound"]} == {"ltx2", "fake"}
    assert {name for name, model in models.items() if model["generative"]} == {"ltx2"}
    told = service.get("/openapi.json").json()["paths"]["/v1/models/{model_id}"]["get"]
    schema = told["responses"]["200"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]) == set(models["ltx2"]), "the schema names every field"
    assert models["ltx2"]["available"] or models["ltx2"]["reason"]
    assert service.get("/v1/models/camera").json() == models["camera"]
    assert service.get("/v1/models/nope").status_code == 404
    guess = service.get("/v1/estimate?model=fake&num_frames=9&size=128x72").json()
    assert guess["seconds_low"] <= guess["seconds"] <= guess["seconds_high"]
    assert guess["basis"].startswith("measured here")
    assert {cost["currency"] for cost in guess["costs"]} == {"KRW", "USD"}
    unknown = service.get("/v1/estimate?model=camera").json()
    assert unknown["seconds"] is None
    assert "not measured" in unknown["basis"]
    assert service.get("/v1/estimate?seconds=x").json()["error"]["param"] == "seconds"
    assert {name: model["sound_max_frames"] for name, model in models.items()} == {
        "camera": None, "ltx2": 257, "fake": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": "ltx2", "seconds": "25"}, "LTX-2 makes at most 20 s"),
        ({"model": "ltx2", "num_frames": "265", "generate_audio": "true"}, "without its own sound"),
        ({"model": "camera", "generate_audio": "true"}, "makes no sound of its own"),
        ({"model": "camera", "recipe": "fast"}, "has no option 'recipe'"),
        ({"num_frames": "0"}, "0 frames is outside"),
    ],
)
def test_an_estimate_refuses_what_a_clip_would(
    service: Service, fields: dict[str, str], words: str
) -> None:
    refused = service.request(
        "POST", "/v1/videos", data=fields, files={"input_reference": picture()}
    )
    assert refused.status_code == 400
    assert words in refused.json()["error"]["message"]
    estimate = service.get(f"/v1/estimate?{urlencode(fields)}")
    assert (estimate.status_code, estimate.json()) == (400, refused.json())


def test_lists_of_clips_get_small_pictures(service: Service, portrait_bytes: bytes) -> None:
    image = ("me.png", portrait_bytes, "image/png")
    fields = {"model": "fake", "size": "960x540", "num_frames": "1", "options[steps]": "0"}
    video = service.request(
        "POST", "/v1/videos", data=fields, files={"input_reference": image}
    ).json()
    assert service.finished(video["id"])["status"] == "completed"
    stored = service.folder / "service" / "objects" / "jobs" / video["id"]
    for variant in ("thumbnail", "reference"):
        path = f"/v1/videos/{video['id']}/content?variant={variant}"
        whole, small = service.get(path), service.get(f"{path}&small=1")
        assert small.headers["content-type"] == "image/jpeg"
        with Image.open(io.BytesIO(small.content)) as drawn:
            assert drawn.size == (256, 144)
        assert len(small.content) < min(15_000, len(whole.content) / 3)
        kept = stored / f"{variant}-256.jpg"
        made_at = kept.stat().st_mtime_ns
        again = service.get(f"{path}&small=1", headers={"If-None-Match": small.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert kept.stat().st_mtime_ns == made_at, "it is made once"
    refused = service.get(f"/v1/videos/{video['id']}/content?variant=report&small=1")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "small")
    (stored / "thumbnail-256.jpg").unlink()
    (stored / "thumbnail.jpg").write_bytes(b"\xff\xd8\xff damaged")
    damaged = service.get(f"/v1/videos/{video['id']}/content?variant=thumbnail&small=1")
    assert damaged.json()["error"]["code"] == "damaged"
    assert service.request("DELETE", f"/v1/videos/{video['id']}").json()["deleted"] is True
    assert not stored.exists()


def test_the_crop_is_shown_before(service: Service, portrait_bytes: bytes) -> None:
    def crop(image: bytes, **fields: str) -> httpx.Response:
        return service.request(
            "POST", "/v1/crops", data=fields, files={"input_reference": ("a", image)}
        )

    found = crop(portrait_bytes, aspect="9:16").json()
    assert len(found["faces"]) == 1
    face, box = found["faces"][0], found["crop"]
    assert box["left"] <= face["left"]
    assert face["left"] + face["width"] <= box["left"] + box["width"]
    picture_ = found["picture"]
    assert box["width"] * picture_["width"] / (box["height"] * picture_["height"]) == (
        pytest.approx(9 / 16, abs=0.01)
    )
    assert crop(picture()).json()["faces"] == []
    cut = crop(portrait_bytes[: len(portrait_bytes) // 2])
    assert (cut.status_code, cut.json()["error"]["code"]) == (400, "image_truncated")


def test_the_crop_that_is_shown_before_is_the_clips_own(
    service: Service, portrait_bytes: bytes, done: dict[str, Any]
) -> None:
    def crop(image: bytes, **fields: str) -> dict[str, Any]:
        found: dict[str, Any] = service.request(
            "POST", "/v1/crops", data=fields, files={"input_reference": ("a", image)}
        ).json()
        return found

    def made(video: dict[str, Any], picture_: dict[str, int]) -> dict[str, float]:
        box = service.get(f"/v1/videos/{video['id']}/content?variant=report").json()["crop"]
        sides = ("width", "height")
        return {
            name: box[name] / picture_["width" if name in ("left", sides[0]) else sides[1]]
            for name in ("left", "top", *sides)
        }

    no_face = crop(picture(), size="128x72", seed="99", batch="other")
    assert made(done, no_face["picture"]) == pytest.approx(no_face["crop"], abs=1e-5)
    for fields in (
        {"crop": "20%,10%,30%,30%", "rotate": "0", "size": "72x128"},
        {"focus": "80%,90%", "batch": "some", "seed": "4", "size": "128x72"},
    ):
        before = crop(portrait_bytes, **fields)
        video = service.finished(service.submit(portrait_bytes, **fields))
        assert video["status"] == "completed", video
        assert {name: video[name] for name in ("crop", "focus")} == {
            name: fields.get(name) for name in ("crop", "focus")
        }
        assert made(video, before["picture"]) == pytest.approx(before["crop"], abs=1e-5)
        assert before["warnings"] == video["warnings"][: len(before["warnings"])]
    refused = crop(portrait_bytes, crop="0,0,9000,90")["error"]
    assert (refused["param"], refused["code"]) == ("crop", "invalid_option")
    assert crop(portrait_bytes, crop="0,0,90,90", focus="1,1")["error"]["param"] == "focus"


def test_operators_see_what_is_going_on(service: Service, done: dict[str, Any]) -> None:
    assert service.get("/health").json() == {"status": "ok"}
    ready = service.get("/ready").json()
    assert ready["status"] == "ready"
    assert set(ready["checks"].values()) == {"ok"}
    text = service.get("/metrics").text
    assert 'vivant_jobs{status="completed"}' in text
    assert "vivant_workers 1.0" in text
    assert 'route="/v1/videos"' in text
    log = service.log.read_text("utf-8")
    assert done["id"] in log
    assert "subtle motion" not in log
    assert "me.png" not in log


def test_the_page_and_its_headers(service: Service) -> None:
    page = service.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "'unsafe-inline'" not in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert service.get("/", headers={"If-None-Match": page.headers["etag"]}).status_code == 304
    docs = service.get("/docs").text
    assert "/v1/videos/{video_id}/cancel" in docs
    assert "http://" not in docs
    assert "https://" not in docs
    assert service.get("/assets/../index.html").status_code == 404
    schema = service.get("/openapi.json").json()
    assert "multipart/form-data" in schema["paths"]["/v1/videos"]["post"]["requestBody"]["content"]


def test_without_keys_a_page_from_a_disk_is_a_stranger(service: Service) -> None:
    # Its origin, null, is that of a sandboxed frame of any site, too.
    path = f"{service.url}/v1/videos"
    assert "access-control-allow-origin" not in httpx.get(path, headers={"Origin": "null"}).headers
    asked = httpx.options(path, headers={"Origin": "null", "Access-Control-Request-Method": "POST"})
    assert "access-control-allow-origin" not in asked.headers
    posted = httpx.post(path, headers={"Origin": "null"}, json=FAKE)
    assert posted.status_code == 403
    assert posted.json()["error"]["code"] == "origin_not_allowed"
    assert "VIVANT_CORS_ORIGINS" in posted.json()["error"]["message"]


HOSTS = (
    "evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example",
    "127.0.0.2", "0.0.0.0", "[::]", "evil.example@127.0.0.1", "",  # noqa: S104
)  # fmt: skip

READS = (("GET", "/v1/videos"), ("GET", "/v1/models"), ("GET", "/health"), ("GET", "/"))

CHANGES = (
    ("POST", "/v1/videos"), ("POST", "/v1/videos/a/cancel"), ("DELETE", "/v1/videos/a"),
    ("POST", "/v1/crops"), ("POST", "/v1/comparisons"), ("DELETE", "/v1/comparisons/a"),
    ("POST", "/v1/batches/a/cancel"),
)  # fmt: skip


def test_no_name_but_this_machine_s_own_is_answered(service: Service) -> None:
    """DNS rebinding: a page whose name has come to mean this machine."""
    with httpx.Client(base_url=service.url) as client:
        for host, (method, path) in itertools.product(HOSTS, READS + CHANGES[:3]):
            answer = client.request(method, path, headers={"Host": host})
            assert answer.status_code in (400, 403), (host, method, path)


ORIGINS = (
    "https://evil.example", "http://evil.example:8000", "null", "http://localhost.evil.example",
    "file://", "https://127.0.0.1:1", "chrome-extension://a", "http://[",
)  # fmt: skip


def test_pages_of_other_origins_change_and_read_nothing(service: Service) -> None:
    with httpx.Client(base_url=service.url) as client:
        for origin, (method, path) in itertools.product(ORIGINS, READS[:2] + CHANGES):
            answer = client.request(method, path, headers={"Origin": origin})
            assert "access-control-allow-origin" not in answer.headers, (origin, method, path)
            assert answer.status_code == 403 or (method, path) in READS, (origin, method, path)
