"""Comparisons by the service: accepted whole or not at all, and the same findings as the CLI's."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from service_process import Service, picture
from vivant.compare.clips import ComparedClip, Comparison, InputPicture, LocalClip
from vivant.compare.exports import as_json
from vivant.compare.findings import evaluate
from vivant.compare.plan_file import build_plan, restore_plan
from vivant.compare.runner import compare
from vivant.runs.run import Runner
from vivant.service.comparisons import Comparisons
from vivant.service.database import Database
from vivant.service.job_store import JobStore
from vivant.service.keys import Keyring
from vivant.service.objects import open_objects
from vivant.service.queue import JobQueue
from vivant.service.sweeper import Sweeper
from vivant.service.tables import comparisons, jobs
from vivant.settings import read_settings

TWO: dict[str, Any] = {
    "compare": {
        "title": {"en": "Moving or not", "ko": "움직임 비교"},
        "engine": "fake",
        "seeds": 2,
        "frames": 5,
        "size": "128x72",
        "scores": ["identity_mean", "flicker", "motion"],
    },
    "variant": [{"name": "moving"}, {"name": "still", "options": {"shift": 0.0}}],
}
"""Two variants, two seeds."""

TOML = """
[compare]
engine = "fake"
seeds = 1
frames = 5
size = "128x72"
[[variant]]
name = "moving"
[[variant]]
name = "still"
options = { shift = 0.0 }
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """With three keys and narrow limits."""
    running = Service(
        tmp_path_factory.mktemp("comparisons") / "data",
        "--host", "127.0.0.1", jobs_per_key=12, queue_limit=20, default_engine="camera",
    )  # fmt: skip
    database = Database(f"sqlite:///{running.folder / 'service' / 'vivant.db'}")
    database.migrate(stages=False)
    for name in ("ann", "bob"):
        setattr(running, name, Keyring(database).add(name))
    database.close()
    running.key = running.ann  # type: ignore[attr-defined]
    with running:
        yield running


def slow(seconds: float) -> dict[str, Any]:
    return {**TWO, "compare": {**TWO["compare"], "options": {"step_seconds": seconds}}}


def send(service: Service, *pictures: bytes, headers: Any = None, **fields: Any) -> httpx.Response:
    """As a form."""
    files = [("input_reference", (f"{n}.png", one, "image/png")) for n, one in enumerate(pictures)]
    data = {k: v if isinstance(v, str) else json.dumps(v) for k, v in fields.items()}
    return service.request("POST", "/v1/comparisons", data=data, files=files, headers=headers or {})


def accepted(answer: httpx.Response) -> str:
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def told(service: Service, comparison_id: str) -> dict[str, Any]:
    answer = service.get(f"/v1/comparisons/{comparison_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ended(service: Service, comparison_id: str) -> dict[str, Any]:
    service.wait(
        lambda: told(service, comparison_id)["status"] in ("completed", "failed"),
        lambda: str(told(service, comparison_id)["counts"]),
        seconds=240,
    )
    return told(service, comparison_id)


def refused(answer: httpx.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "code", "param"}
    return answer.status_code, error["code"], error["param"]


def count(service: Service) -> int:
    """Jobs of this key."""
    return len(service.get("/v1/videos?limit=100").json()["data"])


@pytest.fixture(scope="module")
def done(service: Service, portrait_bytes: bytes) -> dict[str, Any]:
    """Two pictures, two variants, two seeds, through."""
    answer = send(service, portrait_bytes, picture(), variants=TWO)
    body = answer.json()
    assert (body["clips"], body["status"]) == (8, "queued")
    assert answer.headers["openai-poll-after-ms"] == "2000"
    return ended(service, accepted(answer))


def test_the_findings_are_those_of_the_command_line(
    service: Service, done: dict[str, Any], tmp_path: Path, portrait_bytes: bytes
) -> None:
    """The same code over the same clips and reports, fetched as any client would."""
    (tmp_path / "clips").mkdir()
    comparison = Comparison(
        restore_plan(done["plan"]),
        tuple(InputPicture(p["name"], p["sha256"], b"") for p in done["pictures"]),
    )
    for row in done["data"]:
        content = f"/v1/videos/{row['video']}/content"
        path = tmp_path / "clips" / f"{row['video']}.mp4"
        path.write_bytes(service.get(content).content)
        report = service.get(f"{content}?variant=report").json()
        comparison.cells[row["variant"], row["picture"], row["seed"]] = ComparedClip(
            row["variant"], row["picture"], row["seed"], row["video"], LocalClip(path), report
        )
    body = json.loads(json.dumps(as_json(comparison, evaluate(comparison), ())))
    for name in ("look", "recommendations", "scores", "spending"):
        assert done["findings"][name] == body[name], name
    assert done["findings"]["final"]

    # and the command's own clips of the same plan have the same scores, to the last digit
    made = compare(
        build_plan(TWO, "two"), [("0.png", portrait_bytes), ("1.png", picture())], tmp_path / "cli",
        Runner(read_settings()),
    )  # fmt: skip
    own = as_json(made, evaluate(made), ())
    assert own["scores"] == done["findings"]["scores"]
    assert [r["advice"] for r in own["recommendations"]] == [
        r["advice"] for r in done["findings"]["recommendations"]
    ]


def test_what_is_told_of_a_comparison(service: Service, done: dict[str, Any]) -> None:
    assert (done["status"], done["progress"], done["error"]) == ("completed", 100, None)
    assert (done["clips"], done["clips_kept"], done["counts"]) == (8, 8, {"completed": 8})
    assert done["title"] == {"en": "Moving or not", "ko": "움직임 비교"}
    assert done["clips_expire_at"] > done["completed_at"] >= done["created_at"]
    assert done["cost"]["usd"] > 0
    cells = {(row["variant"], row["picture"], row["seed"]) for row in done["data"]}
    assert cells == set(product(("moving", "still"), ("0.png", "1.png"), (0, 1)))
    batch = service.get(f"/v1/batches/{done['batch']}").json()
    assert [video["id"] for video in batch["data"]] == [row["video"] for row in done["data"]]
    assert batch["cost"]["usd"] == done["cost"]["usd"]
    (advice,) = done["findings"]["recommendations"]
    assert advice["advice"] == "more"  # four pairs prove nothing
    assert "4쌍" in advice["text"]["ko"]
    listed = service.get("/v1/comparisons?limit=1").json()
    assert (listed["data"][0]["id"], listed["data"][0]["status"]) == (done["id"], "completed")
    assert "findings" not in listed["data"][0]


def test_the_page_holds_the_clips(service: Service, done: dict[str, Any]) -> None:
    where = f"/v1/comparisons/{done['id']}/page"
    answer = service.get(where)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "sandbox allow-scripts" in answer.headers["content-security-policy"]
    assert "움직임 비교" in answer.text
    inside = re.findall(r'data-clip="(\w+)">([^<]*)</script>', answer.text)
    assert len(inside) == 8
    clips = {service.get(f"/v1/videos/{row['video']}/content").content for row in done["data"]}
    assert {base64.b64decode(text) for _, text in inside} == clips
    # with its token it opens without the key, and nothing else does
    bare = f"{service.url}{where}?access={done['access']}"
    assert httpx.get(bare).status_code == 200
    assert httpx.get(bare.replace("/page", "")).is_success
    other = httpx.get(f"{service.url}/v1/videos/{done['data'][0]['video']}?access={done['access']}")
    assert other.status_code == 401
    kept = service.get(f"{where}?download=1").headers["content-disposition"]
    assert kept == f'attachment; filename="{done["id"]}.html"'


def test_others_see_nothing_of_it(service: Service, done: dict[str, Any]) -> None:
    bob = {"Authorization": f"Bearer {service.bob}"}  # type: ignore[attr-defined]
    where = f"/v1/comparisons/{done['id']}"
    for method, path in (("GET", where), ("GET", f"{where}/page"), ("DELETE", where)):
        answer = service.request(method, path, headers=bob)
        assert refused(answer) == (404, "not_found", "comparison_id")
    assert service.get("/v1/comparisons", headers=bob).json()["data"] == []
    assert service.get(f"/v1/batches/{done['id']}", headers=bob).status_code == 404
    assert told(service, done["id"])["clips_kept"] == 8


def test_the_estimate_is_of_all_clips(service: Service, done: dict[str, Any]) -> None:
    answer = service.request(
        "POST", "/v1/comparisons/estimate", json={"variants": TWO, "pictures": 3, "seeds": 4}
    )
    body = answer.json()
    assert (body["clips"], body["max_clips"], body["fits"]) == (24, 12, False)
    each = {v["name"]: (v["clips"], v["seconds_per_clip"]) for v in body["variants"]}
    assert body["seconds"] == pytest.approx(sum(n * s for n, s in each.values()), abs=0.3)
    assert [cost["currency"] for cost in body["costs"]] == ["KRW", "USD"]
    assert body["costs"][1]["amount"] == pytest.approx(body["seconds"] * 0.0000262, rel=0.05)
    assert body["basis"].startswith("measured here")
    unknown = service.request("POST", "/v1/comparisons/estimate", json={"preset": "upscalers"})
    assert (unknown.json()["seconds"], unknown.json()["costs"]) == (None, [])


def test_presets_are_those_the_engines_can_run(service: Service) -> None:
    found = {p["id"]: p for p in service.get("/v1/comparisons/presets").json()["data"]}
    assert found["upscalers"]["available"]
    assert found["upscalers"]["title"]["ko"] == "업스케일러 두 가지"
    assert (found["upscalers"]["size"], found["upscalers"]["num_frames"]) == ("960x540", 25)
    assert not found["lora"]["available"]
    assert found["lora"]["reason"]


def toml(old: str, new: str) -> dict[str, str]:
    """The TOML plan with one thing changed."""
    assert old in TOML
    return {"variants": TOML.replace(old, new)}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (400, "missing_field", "preset")),
        ({"preset": "magic"}, (400, "invalid_option", "preset")),
        ({"preset": "upscalers", "variants": TWO}, (400, "invalid_option", "preset")),
        ({"preset": "upscalers", "seedz": 2}, (400, "unknown_field", "seedz")),
        ({"preset": "upscalers", "seeds": 0}, (400, "invalid_option", "seeds")),
        ({"preset": "upscalers", "seeds": [1, 1]}, (400, "invalid_option", "seeds")),
        ({"preset": "upscalers", "seeds": "many"}, (400, "invalid_option", "seeds")),
        ({"preset": "upscalers", "size": "127x72"}, (400, "invalid_option", "size")),
        ({"preset": "upscalers", "num_frames": 10**6}, (400, "invalid_option", "num_frames")),
        ({"preset": "upscalers", "currency": "XXX"}, (400, "invalid_option", "currency")),
        (
            {**toml('"fake"', '"ltx2"\noptions = { loras = "a/b" }'), "num_frames": 9},
            (400, "lora_not_allowed", "loras"),
        ),
        ({"preset": "upscalers", "seeds": 7}, (400, "too_many_clips", "seeds")),
        ({"variants": "[compare"}, (400, "invalid_option", "variants")),
        ({"variants": "[[" * 5000}, (400, "invalid_option", "variants")),
        ({"variants": 3}, (400, "invalid_option", "variants")),
        (toml("shift", "shif"), (400, "invalid_option", "shif")),
        (toml('"fake"', '"warp"'), (400, "invalid_option", "engine")),
        (toml("shift = 0.0", ""), (400, "invalid_option", "variants")),
        (toml('"still"', '"still"\nsteps = 3'), (400, "invalid_option", "steps")),
        (
            toml('"still"', '"still"\nupscaler = "/etc/net.pth"'),
            (400, "invalid_option", "upscaler"),
        ),
        (toml("shift = 0.0", 'flaw = "/etc/x"'), (400, "invalid_option", "flaw")),
        (toml("shift = 0.0", "shift = 1979-05-27"), (400, "invalid_option", "shift")),
        (toml("seeds = 1", "seeds = " + "9" * 5000), (400, "invalid_option", "variants")),
        (
            {"variants": {**TWO, "compare": {**TWO["compare"], "scores": [["flicker"]]}}},
            (400, "invalid_option", "scores"),
        ),
    ],
)  # fmt: skip
def test_plans_that_cannot_be(
    service: Service, fields: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    before = count(service)
    answer = send(service, picture(seed=9), **fields)
    assert refused(answer) == expected, answer.text
    assert len(answer.json()["error"]["message"]) < 400
    # JSON is understood the same
    image = base64.b64encode(picture(seed=9)).decode()
    again = service.request("POST", "/v1/comparisons", json={**fields, "input_reference": [image]})
    assert refused(again) == expected, again.text
    assert count(service) == before


def test_pictures_that_cannot_be(service: Service) -> None:
    one, two = picture(seed=1), picture(seed=2)
    none = service.request("POST", "/v1/comparisons", json={"variants": TWO})
    assert refused(none) == (400, "missing_field", "input_reference")
    twice = send(service, one, two, one, variants=TWO)
    assert refused(twice) == (400, "invalid_image", "input_reference")
    assert "2.png is the same picture as 0.png" in twice.json()["error"]["message"]
    torn = send(service, one, b"no picture", variants=TWO)
    assert refused(torn)[0] == 400
    assert torn.json()["error"]["message"].startswith("1.png: ")
    many = send(service, *(picture(seed=n) for n in range(21)), variants=TWO)
    assert refused(many) == (400, "too_many_pictures", "input_reference")
    surrogate = '{"variants": {"compare": {"\\ud800": 1}}, "input_reference": "aGk="}'
    odd = service.request(
        "POST", "/v1/comparisons", content=surrogate, headers={"Content-Type": "application/json"}
    )
    assert refused(odd)[0] == 400


def test_it_is_accepted_whole_or_not_at_all(service: Service) -> None:
    """Of twelve clips that this key may have waiting, eight do: four more fit, and eight do not."""
    key = {"Idempotency-Key": "once"}
    held = slow(2.0)
    first = accepted(send(service, picture(), picture(seed=2), variants=held, headers=key))
    try:
        before = count(service)
        full = send(service, picture(), picture(seed=2), variants=held)
        assert refused(full) == (429, "key_limit", None)
        assert "8 clips do not fit" in full.json()["error"]["message"]
        assert int(full.headers["Retry-After"]) >= 1
        assert count(service) == before
        # the same again is the same one, though it would not fit
        again = send(service, picture(), picture(seed=2), variants=held, headers=key)
        assert accepted(again) == first
        assert count(service) == before
        other = send(service, picture(), variants=held, headers=key)
        assert refused(other) == (409, "idempotency_conflict", "Idempotency-Key")
        fits = accepted(send(service, picture(), variants=held))
        assert count(service) == before + 4
        service.request("POST", f"/v1/batches/{fits}/cancel")
    finally:
        service.request("POST", f"/v1/batches/{first}/cancel")
    body = ended(service, fits)
    if not body["findings"]:  # cancelled before its first clip
        assert (body["status"], body["error"]["code"]) == ("failed", "nothing_made")
        assert refused(service.get(f"/v1/comparisons/{fits}/page")) == (404, "not_ready", None)
    assert any(f["reason"] == "cancelled on request" for f in body["failures"])
    gone = service.request("DELETE", f"/v1/comparisons/{fits}").json()
    assert gone == {"id": fits, "object": "comparison.deleted", "deleted": True}
    assert service.get(f"/v1/comparisons/{fits}").status_code == 404
    assert service.get(f"/v1/batches/{fits}").status_code == 404
    ended(service, first)


def test_failed_clips_are_left_out_with_their_reason(
    service: Service, portrait_bytes: bytes
) -> None:
    failing = {
        **TWO,
        "compare": {**TWO["compare"], "seeds": [3]},
        "variant": [{"name": "good"}, {"name": "bad", "options": {"fail_at_frame": 3}}],
    }
    late = portrait_bytes[:3000]  # begins well, and ends too early
    body = ended(service, accepted(send(service, portrait_bytes, late, variants=failing)))
    assert body["status"] == "completed"
    reasons = {(f["picture"], f["variant"], f["seed"]): f["reason"] for f in body["failures"]}
    assert set(reasons) == {("0.png", "bad", 3), ("1.png", "", None)}
    assert "frame 3" in reasons["0.png", "bad", 3]
    assert body["findings"]["recommendations"][0]["advice"] == "nothing"
    assert "frame 3" in service.get(f"/v1/comparisons/{body['id']}/page").text


def test_nothing_is_decided_on_the_way_and_a_kill_changes_nothing(
    service: Service, portrait_bytes: bytes, done: dict[str, Any]
) -> None:
    running = accepted(send(service, portrait_bytes, picture(), variants=slow(0.25)))
    service.wait(
        lambda: told(service, running)["counts"].get("completed", 0) >= 3,
        "three clips",
        seconds=240,
    )
    before = told(service, running)
    assert (before["status"], before["findings"]["final"]) == ("in_progress", False)
    (advice,) = before["findings"]["recommendations"]
    assert advice["advice"] == "wait"
    assert "of 4 pairs are made" in advice["text"]["en"]
    assert all(score["finding"] is None for score in before["findings"]["scores"])
    children = service.workers()
    service.kill()
    for pid in children:
        end = time.monotonic() + 30
        while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
            time.sleep(0.05)
    service.start()
    after = ended(service, running)
    assert after["counts"] == {"completed": 8}
    assert [row["video"] for row in after["data"]] == [row["video"] for row in before["data"]]
    # what it waits before each clip is not seen in them
    assert after["findings"]["scores"] == done["findings"]["scores"]
    # it was asked differently, so that it is no second look; the same once more is none either
    assert after["findings"]["look"] == 1
    again = ended(service, accepted(send(service, portrait_bytes, picture(), variants=TWO)))
    assert again["findings"]["look"] == 1
    more = ended(service, accepted(send(service, portrait_bytes, variants=TWO, seeds=[0, 1, 2])))
    assert more["findings"]["look"] == 2


def test_what_is_left_when_the_clips_have_expired(
    service: Service, done: dict[str, Any], portrait_bytes: bytes
) -> None:
    """Sealed although nobody asked; told of while a row of its clips is known; then forgotten."""
    asked = accepted(send(service, portrait_bytes, variants=TOML))
    settings = read_settings(data_dir=service.folder, engines=("fake",))
    database = Database(f"sqlite:///{service.folder / 'service' / 'vivant.db'}")
    job_store, objects = JobStore(database), open_objects(settings)
    sweeper = Sweeper(job_store, objects, JobQueue(database), settings)
    batch = f"/v1/batches/{asked}"
    service.wait(
        lambda: service.get(batch).json()["counts"] == {"completed": 2}, "two clips", seconds=240
    )
    expire = jobs.update().where(jobs.c.id.in_([row["video"] for row in done["data"]]))
    own = [video["id"] for video in service.get(batch).json()["data"]]
    with database.write() as connection:
        connection.execute(expire.values(expires_at=1.0))
        connection.execute(jobs.update().where(jobs.c.id.in_(own)).values(expires_at=1.0))
    try:
        sweeper._comparisons.seal_all()
        assert sweeper.expire() >= 10
        for comparison_id, clips in ((done["id"], 8), (asked, 2)):
            left = told(service, comparison_id)
            assert (left["status"], left["clips_kept"], left["clips_expire_at"]) == (
                "completed", 0, None,
            )  # fmt: skip
            assert left["counts"] == {"completed": clips}
            assert left["findings"]["recommendations"]
        kept = told(service, done["id"])
        assert kept["findings"] == done["findings"]
        page = service.get(f"/v1/comparisons/{done['id']}/page").text
        assert "The clips have expired" in page
        assert '<script type="text/plain"' not in page
        for job_id in own:
            job_store.delete(job_id, None)
        assert Comparisons(database, job_store, objects).forget() == 1
        assert service.get(f"/v1/comparisons/{asked}").status_code == 404
        with database.read() as connection:
            known = connection.execute(sa.select(comparisons.c.id)).scalars().all()
        assert done["id"] in known
    finally:
        database.close()


def test_large_clips_are_linked(service: Service, portrait_bytes: bytes) -> None:
    """Above the limit the page has addresses with the clips' own tokens, and they open from it."""
    from vivant.compare.from_json import RemoteClip
    from vivant.compare.page import EMBED_LIMIT, render

    plan = build_plan(TWO, "two")
    comparison = Comparison(plan, (InputPicture("p", "0" * 64, b""),))
    report = {"verdict": "pass", "seconds": 1.0, "bill": None, "scores": []}
    for variant in plan.variants:
        link = f"../../videos/video_{variant.name}/content?access=va_1"
        clip = RemoteClip(link, EMBED_LIMIT, "", there=True)
        cell = ComparedClip(variant.name, "p", 0, variant.name, clip, report)
        comparison.cells[variant.name, "p", 0] = cell
    page = render(comparison, evaluate(comparison), home="service")
    assert "../../videos/video_still/content?access=va_1" in page
    assert "they come from the service" in page
    # a clip with its token may be shown by a page that has no origin
    video = service.finished(service.submit(portrait_bytes))
    content = f"{service.url}/v1/videos/{video['id']}/content"
    opened = httpx.get(f"{content}?access={video['access']}")
    assert opened.headers["cross-origin-resource-policy"] == "cross-origin"
    assert (
        service.get(f"/v1/videos/{video['id']}/content").headers["cross-origin-resource-policy"]
        == "same-origin"
    )
