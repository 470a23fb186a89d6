"""A deployment on Modal, without Modal: the fake backend ships with the package."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import uvicorn

from service_process import FAKE, PLAIN, picture, sunset_ignored
from vivant.api.estimates import rare_clip
from vivant.api.server import listen, url
from vivant.cost import container_rate
from vivant.engines import load_engine
from vivant.engines.fake import FakeEngine
from vivant.errors import EngineError, MissingPartError, OptionError
from vivant.modal import api_key, gpus
from vivant.modal.backend import CallFailedError, ModalUnreachableError, stop_key
from vivant.modal.client import MODAL_CLASSES
from vivant.modal.container import ModalContainer
from vivant.modal.fake import FakeBackend, FakeDict
from vivant.modal.messages import CONTAINER_KINDS, RenderRequest, container_kind
from vivant.modal.options import (
    DeploymentOptions,
    container_environment,
    gpu_container,
    gpu_rates,
)
from vivant.modal.runner import POLL_SECONDS, ModalRunner
from vivant.modal.sqlite_backup import SqliteBackup
from vivant.modal.web_app import check_state
from vivant.service.admission import Admission, Limits
from vivant.service.database import Database
from vivant.service.job import (
    CALL,
    CLIP,
    REPORT,
    REPORT_HTML,
    SOURCE,
    JobSpec,
    key,
    new_id,
    remove_unfinished,
    request_json,
)
from vivant.service.job_store import JobStore
from vivant.service.keys import Keyring
from vivant.service.objects import Objects
from vivant.settings import read_settings
from vivant.types import Request
from vivant.upscalers import load_upscaler

APP = Path(__file__).parents[2] / "deploy" / "modal_app.py"

REHEARSAL = {"backend": "fake", "engines": ["fake", "camera"], "app": "vivant-test"}


def load_app() -> ModuleType:
    """``deploy/modal_app.py``, as Modal loads it."""
    spec = importlib.util.spec_from_file_location("modal_app", APP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["modal_app"] = module  # Modal looks its classes up there
    spec.loader.exec_module(module)
    return module


def spec(**options: Any) -> JobSpec:
    """The smallest clip of the fake engine."""
    request = Request(image=b"", engine="fake", width=128, height=72, num_frames=9, options=options)
    return JobSpec(request=request, picture={"name": "me.png", "size": 1, "sha256": "0"})


def message(
    job_id: str | None = None, source: bytes | None = None, **options: Any
) -> RenderRequest:
    wanted = spec(**options)
    return {
        "job_id": job_id or new_id(),
        "request": request_json(wanted),
        "picture": dict(wanted.picture),
        "source": picture() if source is None else source,
    }


SHARED = FakeDict()


@cache
def container() -> ModalContainer:
    """One container for all tests, as one would be for all clips."""
    return ModalContainer(
        "camera",
        read_settings(),
        SHARED,
        load_engine=load_engine,
        load_upscaler=load_upscaler,
        asked=("H200", "A100-80GB"),
        gpu=lambda: "NVIDIA A100-SXM4-80GB",
        paid=partial(gpu_container, DeploymentOptions(gpu=("H200", "A100-80GB")), {}),
    )


# -- options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"gpu": "H1000"}, ("H1000", "L40S", "H200")),
        ({"gpu": "T4"}, ("16 GB", "24 GB")),
        ({"gpu": "H100:3"}, ("1, 2, 4 or 8 GPUs", "max_containers")),
        ({"gpu": "L4:2"}, ("48 GB", "24")),
        ({"gpu": ["H200:4", "H100"]}, ("same number",)),
        ({"gpu": ["H200", "A99"]}, ("A99",)),
        ({"gpus": "H100"}, ("no such option", "scaledown_window")),
        ({"scaledown_window": 0}, ("scaledown_window",)),
        ({"max_containers": 0}, ("max_containers",)),
        ({"min_containers": 3, "max_containers": 2}, ("min_containers 3", "2")),
        ({"state": "sqlite"}, ("state", "postgres")),
        ({"app": "My App"}, ("app",)),
        ({"engines": []}, ("engines",)),
    ],
)
def test_a_wrong_option_is_refused_in_a_sentence(
    options: dict[str, Any], told: tuple[str, ...]
) -> None:
    with pytest.raises(OptionError) as refused:
        DeploymentOptions.read(read_settings(modal=options))
    assert all(word in refused.value.message for word in told), refused.value.message


def test_a_rate_that_is_none_is_refused() -> None:
    with pytest.raises(OptionError, match=r"rates\.H100 is -1"):
        DeploymentOptions.read(read_settings(rates={"H100": -1.0}))


def test_options_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVANT_MODAL", json.dumps({"gpu": "a100-80gb", "max_containers": 3}))
    options = DeploymentOptions.read(read_settings())
    assert options.gpu == ("A100-80GB",)
    assert options.max_web_containers == 1, "SQLite allows one web container"
    assert DeploymentOptions(state="postgres", web_containers=3).max_web_containers == 3


def test_the_former_names_of_options_are_read() -> None:
    given = {"state": "postgres", "front_containers": 2, "front_always_on": True}
    options = DeploymentOptions.read(read_settings(modal=given))
    assert options.web_containers == 2
    assert options.web_always_on
    assert DeploymentOptions.model_validate_json(options.model_dump_json()) == options
    both = DeploymentOptions.read(read_settings(modal={"front_window": 60, "web_window": 90}))
    assert both.web_window == 90
    with pytest.raises(OptionError, match=r"modal\.web_requests 0"):
        DeploymentOptions.read(read_settings(modal={"front_requests": 0}))


def test_the_containers_get_the_options_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings(
        modal={"gpu": "H200"},
        rates={"H200": 0.002},
        hub_token="hf_secret",  # noqa: S106
        api_key="vk_secret",
        database_url="postgresql://u:secret@h/d",
        objects_options={"secret_access_key": "secret"},
    )
    given = container_environment(settings, DeploymentOptions.read(settings))
    assert "secret" not in json.dumps(given).replace('\\"secret\\": \\"vivant\\"', "")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    arrived = read_settings()
    assert DeploymentOptions.read(arrived) == DeploymentOptions.read(settings)
    assert gpu_rates(DeploymentOptions.read(arrived), arrived.rates) == {"H200": 0.002}


def test_what_a_second_costs() -> None:
    options = DeploymentOptions(gpu=("A10", "H200"), cores=4, memory_gib=10)
    assert gpu_rates(options, {}) == {"A10": 0.000306, "H200": 0.001261}
    four = DeploymentOptions(gpu=("h100:4",))
    assert four.gpu == ("H100:4",)
    assert gpu_rates(four, {}) == {"H100:4": 4 * 0.001097}
    assert container_environment(read_settings(), four)["VIVANT_GPUS"] == "4"
    assert "VIVANT_GPUS" not in container_environment(read_settings(), options)


@pytest.mark.parametrize(
    ("asked", "actual", "row"),
    [
        (("H100",), "NVIDIA H100 80GB HBM3", "H100"),
        (("H100",), "NVIDIA H200", "H100"),  # given instead, at the price of what was asked for
        (("H200", "H100"), "NVIDIA H200", "H200"),
        (("H200", "A100-80GB"), "NVIDIA A100-SXM4-80GB", "A100-80"),
        (("A100",), "NVIDIA A100-SXM4-80GB", "A100-40"),
        (("A100-40GB",), "NVIDIA A100-SXM4-40GB", "A100-40"),
        (("A10",), "NVIDIA A10", "A10"),
        (("L40S", "L4"), "NVIDIA L4", "L4"),
        (("RTX-PRO-6000",), "NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX PRO 6000"),
        (("B200+",), "NVIDIA B300 SXM6 AC", "B200"),
        (("B200",), "NVIDIA B300 SXM6 AC", "NVIDIA B300 SXM6 AC"),  # no rate is known
    ],
)
def test_the_gpu_that_is_there_is_billed(asked: tuple[str, ...], actual: str, row: str) -> None:
    assert gpus.billed_as(asked, actual) == row


def test_state_is_where_the_options_say() -> None:
    single, postgres = DeploymentOptions(), DeploymentOptions(state="postgres")
    url = "postgresql://u:p@h/d"
    check_state(read_settings(), single)
    check_state(read_settings(database_url=url, objects_url="s3://b/p"), postgres)
    for settings, options, told in (
        (read_settings(database_url=url), single, "single-container"),
        (read_settings(), postgres, "VIVANT_DATABASE_URL"),
        (read_settings(database_url=url), postgres, "VIVANT_OBJECTS_URL"),
    ):
        with pytest.raises(OptionError, match=told):
            check_state(settings, options)


def test_modal_deploy_refuses_a_wrong_gpu_before_it_does_anything() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("modal"), "deploy", APP],
        env={**os.environ, "VIVANT_MODAL": '{"gpu": "H1000"}'},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("vivant: modal.gpu 'H1000'")
    assert "H200" in lines[0]


def test_the_web_app_and_the_deployment_load_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import modal_app;"
        "from vivant.modal.web_app import WebApp; from vivant.settings import read_settings;"
        "from vivant.modal.api_key import new_key;"
        "WebApp(read_settings(api_key=new_key()), modal_app.options);"
        "print({'torch', 'diffusers', 'transformers', 'cv2', 'dlib'} & set(sys.modules))\n"
        "from vivant.modal.client import ModalBackend\n"
        "from vivant.modal.backend import CallFailedError\n"
        "try: ModalBackend('vivant-test').spawn('camera', {})\n"
        "except CallFailedError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, APP.parent],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("MODAL_")},
            "MODAL_CONFIG_PATH": str(tmp_path / "no.toml"),
            "VIVANT_DATA_DIR": str(tmp_path),
            "VIVANT_MODAL": json.dumps(REHEARSAL),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    modules, refusal = done.stdout.strip().splitlines()
    assert modules == "set()"
    assert refusal.startswith("Token missing"), "Modal's own refusals arrive as sentences"


# -- a render container ----------------------------------------------------------------------------


def test_a_container_makes_a_clip_and_bills_the_gpu_that_is_there() -> None:
    here = container()
    job_id = new_id()
    made = here.render(message(job_id))
    assert made["files"][CLIP][4:8] == b"ftyp"
    assert set(made["files"]) == set(made["result"]["sizes"])
    cost = made["result"]["cost"]
    assert cost["device"] == "A100-80"
    assert cost["usd"] == pytest.approx(made["result"]["seconds"] * 0.000694, abs=1e-6)
    assert SHARED.keys == [], "a container removes its progress"
    rare = json.loads(made["files"][REPORT])["rare_clip"]
    rate = container_rate(0.000694, cores=8, memory_gib=32)
    held = made["result"]["seconds"] + rare["start_seconds"] + rare["waiting_seconds"]
    assert rare["usd"] == pytest.approx(rate * held, abs=1e-4), "the A100's rate, not the H200's"
    page = made["files"][REPORT_HTML].decode()
    assert f"its start ({rare['start_seconds']:.0f} s)" in page
    assert "컨테이너를 켰다면" in page
    assert "error" not in here.render(message(job_id)), "rendered again"


def test_errors_come_back_as_data() -> None:
    here = container()
    bad = here.render(message(source=b"no picture at all"))
    assert bad["error"]["code"].startswith("image_")
    failed = here.render(message(fail_at_step=1))
    assert failed["error"]["code"] == "engine_failed"
    refused = here.render(message(flaw="none such"))
    assert refused["error"]["code"] == "invalid_option"


def test_a_container_loads_no_strangers_adapter() -> None:
    wanted = message()
    wanted["request"] |= {"engine": "ltx2", "options": {"loras": "stranger/style"}}
    told = container().render(wanted)["error"]
    assert (told["code"], told["param"]) == ("lora_not_allowed", "loras")


def test_a_container_loads_its_own_model_before_the_first_clip() -> None:
    asked: list[Any] = []

    class Loads(FakeEngine):
        def generate(self, portrait: Any, request: Request, observe: Any) -> Any:
            asked.append((request.engine, dict(request.options)))
            return super().generate(portrait, Request(image=b""), observe)

    class Missing(FakeEngine):
        def generate(self, *_: Any) -> Any:
            raise MissingPartError("model ltx-2-19b-dev is not here")

    def container_with(kind: str, engine: FakeEngine) -> ModalContainer:
        return ModalContainer(
            kind,
            read_settings(),
            FakeDict(),
            load_engine=lambda _, __: engine,
            load_upscaler=load_upscaler,
        )

    for kind in CONTAINER_KINDS:
        container_with(kind, Loads()).load_model()
    assert asked == [("ltx2", {}), ("ltx2", {"recipe": "dev-lora"}), ("camera", {})]
    empty = container_with("lora", Missing())
    empty.load_model()  # a container without weights starts; its clips fail with a clear message
    told = empty.render(message())["error"]
    assert told["code"] == "missing_part"
    assert "modal run deploy/modal_app.py::fill" in told["message"]


def test_a_container_stops_when_the_shared_dict_says_so() -> None:
    job_id = new_id()
    found: list[Any] = []
    thread = threading.Thread(
        target=lambda: found.append(
            container().render(message(job_id, steps=200, step_seconds=0.1))
        )
    )
    thread.start()
    wait(lambda: (SHARED.get(job_id) or {}).get("event") == "progress")
    SHARED.put(stop_key(job_id), True)
    stopped = time.monotonic()
    thread.join(10)
    assert time.monotonic() - stopped < 5, "200 steps are 20 s"
    assert found[0]["error"]["code"] == "cancelled"


def test_requests_go_to_the_container_with_their_model() -> None:
    def kind(engine: str, **options: Any) -> str:
        return container_kind({"engine": engine, "options": options})

    assert kind("camera") == kind("fake") == "camera"
    assert kind("ltx2") == kind("ltx2", recipe="native") == "distilled"
    assert kind("ltx2", recipe="dev-lora") == kind("ltx2", recipe="seed-lora") == "lora"


def test_the_classes_of_the_deployment_run_locally(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVANT_MODAL", json.dumps(REHEARSAL))
    app = load_app()
    made = app.Camera().render.local(message())
    assert made["files"][CLIP][4:8] == b"ftyp"
    assert made["gpu"] is None
    assert made["result"]["cost"]["device"] == "cpu"
    for name, kind in MODAL_CLASSES.items():
        assert getattr(app, kind)._get_user_cls().kind == name


# -- the runner ------------------------------------------------------------------------------------


class JobPlace:
    """A job store and an object store with one job."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.database = Database(f"sqlite:///{folder / 'jobs.db'}")
        self.database.migrate()
        self.job_store, self.objects = JobStore(self.database), Objects.open(folder / "objects")
        self.folder = folder
        self.job_id = new_id()
        self.objects.put(key(self.job_id, SOURCE), picture())
        Admission(self.database, Limits()).accept(self.job_id, spec(**options), "")

    def runner(self, backend: FakeBackend, stopping: threading.Event | None = None) -> ModalRunner:
        def none_here(name: str) -> Any:
            raise AssertionError(name)

        runner = ModalRunner(
            backend,
            self.job_store,
            self.objects,
            read_settings(),
            self.folder / "scratch",
            engines=none_here,
            upscalers=none_here,
            stopping=stopping or threading.Event(),
        )
        runner.prepare(self.job_id)
        return runner


class Busy(FakeBackend):
    """A Modal with a bad line, and a count of what it was asked for."""

    spawned, troubles = 0, 2

    def spawn(self, kind: str, request: RenderRequest) -> str:
        if self.troubles:  # at first
            self.troubles -= 1
            raise ModalUnreachableError("connection reset")
        self.spawned += 1
        return super().spawn(kind, request)


def test_a_restarted_runner_asks_for_the_same_clip_and_pays_for_no_other(tmp_path: Path) -> None:
    place = JobPlace(tmp_path, steps=30, step_seconds=0.05)
    backend = Busy(lambda _: container(), SHARED)
    stopping = threading.Event()
    first = threading.Thread(
        target=place.runner(backend, stopping).render, args=(place.job_id,), daemon=True
    )
    first.start()
    wait(lambda: place.job_store.get(place.job_id).progress > 0)
    stopping.set()  # the web app's container stops; the clip goes on
    wait(lambda: place.job_store.get(place.job_id).render_starts == 0)
    second = place.runner(backend)
    assert second.render(place.job_id)
    second.publish(place.job_id)
    job = place.job_store.get(place.job_id)
    assert job.status == "completed"
    assert backend.spawned == 1
    stored = {item.key.rsplit("/", 1)[-1] for item in place.objects.walk(f"jobs/{job.id}")}
    assert "call" not in stored
    assert CLIP in stored
    backend.close()
    place.database.close()


def test_a_call_that_waits_is_stopped_though_its_job_ended_while_no_runner_was_there(
    tmp_path: Path,
) -> None:
    place = JobPlace(tmp_path)
    free, rendered = threading.Event(), []

    class OneByOne:
        def render(self, request: RenderRequest) -> Any:
            rendered.append(request["job_id"])
            free.wait(30)
            return {"error": {"code": "cancelled", "message": "", "param": None}}

    backend = FakeBackend(lambda _: OneByOne())
    backend.spawn("camera", message("another"))
    stopping = threading.Event()
    first = threading.Thread(
        target=place.runner(backend, stopping).render, args=(place.job_id,), daemon=True
    )
    first.start()
    call = key(place.job_id, CALL)
    wait(lambda: place.objects.head(call) is not None)
    stopping.set()
    time.sleep(2 * POLL_SECONDS)  # its last look at the job is over
    place.job_store.cancel(place.job_id, None, keep_seconds=60)
    remove_unfinished(place.objects, place.job_id)  # as the API does
    assert place.objects.head(call) is not None, "only who stops the call may forget it"
    assert not place.runner(backend).render(place.job_id)
    assert place.objects.head(call) is None
    free.set()
    backend.close()
    assert rendered == ["another"]
    place.database.close()


def test_a_container_that_is_gone_fails_its_job_with_a_reason(tmp_path: Path) -> None:
    place = JobPlace(tmp_path)

    class Broken:
        def render(self, request: RenderRequest) -> Any:  # noqa: ARG002
            raise SystemError("exit code 137")

    backend = FakeBackend(lambda _: Broken())
    assert not place.runner(backend).render(place.job_id)
    job = place.job_store.get(place.job_id)
    assert job.error is not None
    assert job.error["code"] == EngineError.code
    assert "137" in job.error["message"]
    with pytest.raises(CallFailedError):
        backend.poll("fc-unknown")
    backend.close()
    place.database.close()


# -- the web app -----------------------------------------------------------------------------------


class Running:
    """The deployment's own web app, on a real socket."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.key = api_key.new_key()
        self.folder = folder
        patch.setenv("VIVANT_MODAL", json.dumps(REHEARSAL))
        patch.setenv("VIVANT_DATA_DIR", str(folder / "disk"))
        patch.setenv("VIVANT_API_KEY", self.key)
        app = load_app()
        patch.setattr(app, "STATE", str(folder / "volume"))
        self.served = app.WebApp()
        with pytest.warns(UserWarning, match="will not have access to the mounted Volume"):
            application = self.served.web.local()
        self.listener = listen("127.0.0.1", 0)
        self.url = url(self.listener)
        config = uvicorn.Config(application, log_config=None, access_log=False)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, args=([self.listener],))
        self.thread.start()

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.served.service.stop()

    def get(self, path: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.get(self.url + path, headers=headers, timeout=30, verify=PLAIN)

    def openai(self) -> Any:
        from openai import OpenAI

        return OpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=0)


@pytest.fixture(scope="module")
def web_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    names = ("vivant", "dbos", "uvicorn.error")
    before = {name: (logging.getLogger(name).handlers[:], logging.getLogger(name).propagate)
              for name in names}  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        running = Running(tmp_path_factory.mktemp("web_app"), patch)
    try:
        try:
            wait(lambda: running.get("/ready").status_code == 200, seconds=120)
        except AssertionError:
            pytest.fail(running.get("/ready").text)  # it says what is missing
        yield running
    finally:
        running.stop()
        for name, (handlers, propagate) in before.items():
            logging.getLogger(name).handlers[:] = handlers
            logging.getLogger(name).propagate = propagate


def create(client: Any, **options: Any) -> Any:
    return client.videos.create(
        model="fake",
        prompt="subtle motion",
        size=FAKE["size"],
        input_reference=("me.png", picture(), "image/png"),
        extra_body={"num_frames": FAKE["num_frames"], "options": options},
    )


def test_the_openai_client_makes_a_clip_on_modal(web_app: Running) -> None:
    client = web_app.openai()
    with sunset_ignored():
        video = create(client, steps=6, step_seconds=0.3)
        assert video.status == "queued"
        with closing(sqlite3.connect(web_app.folder / "volume" / "vivant.db")) as kept:
            known = kept.execute("SELECT id FROM vivant_jobs").fetchall()
        assert (video.id,) in known, "what is accepted outlives the container"
        seen = set()
        while video.status in ("queued", "in_progress"):
            seen.add((video.status, video.progress))
            time.sleep(0.2)
            video = client.videos.retrieve(video.id)
        assert video.status == "completed", video.error
        assert any(status == "in_progress" and 0 < percent < 100 for status, percent in seen), seen
        clip = client.videos.download_content(video.id).read()
        assert clip[4:8] == b"ftyp"
        assert video.cost["device"] == "cpu"
        assert video.cost["final"]
        assert web_app.get(f"/v1/videos/{video.id}/content?variant=report").json()["verdict"]
        assert client.videos.delete(video.id).deleted
    assert web_app.get("/v1/estimate?model=fake").json()["rare_clip"] is None  # starts no GPU
    assert web_app.get(f"/v1/videos/{video.id}").status_code == 404


def test_the_estimate_tells_what_a_rare_clip_pays_for(web_app: Running) -> None:
    state = web_app.served.service._state
    paid = state.container
    assert (paid.engine, paid.idle_seconds) == ("ltx2", 10)
    found = rare_clip(state, "ltx2", 5.46, None)
    assert found is not None
    assert (found["start_seconds"], found["waiting_seconds"]) == (7.0, 10)
    won, usd = found["costs"]
    assert won["amount"] == pytest.approx(usd["amount"] * 1450, rel=1e-3)
    unknown = rare_clip(state, "ltx2", None, None)
    assert unknown is not None
    assert unknown["costs"] == []


def test_a_cancel_frees_the_gpu_and_a_waiting_clip_never_takes_one(web_app: Running) -> None:
    client = web_app.openai()
    with sunset_ignored():
        long = create(client, steps=400, step_seconds=0.1)
        wait(lambda: client.videos.retrieve(long.id).progress > 0)
        waiting = create(client, die_at_step=0)  # would end the worker's process
        call = web_app.folder / "disk" / "service" / "objects" / key(waiting.id, CALL)
        wait(call.exists)
        assert client.videos.retrieve(waiting.id).status == "queued", "no container has started it"
        cancelled = httpx.post(
            f"{web_app.url}/v1/videos/{waiting.id}/cancel",
            headers={"Authorization": f"Bearer {web_app.key}"},
        ).json()
        assert cancelled["error"]["code"] == "cancelled"
        wait(lambda: not call.exists())  # the runner has seen it and cancelled the call
        assert client.videos.delete(long.id).deleted
        after = create(client)
        wait(lambda: client.videos.retrieve(after.id).status == "completed", seconds=20)


def test_page_models_and_health(web_app: Running) -> None:
    assert httpx.get(f"{web_app.url}/health").json() == {"status": "ok"}
    assert "<!doctype html>" in httpx.get(web_app.url).text.lower()
    assert httpx.get(f"{web_app.url}/v1/videos").status_code == 401
    models = {model["id"]: model for model in web_app.get("/v1/models").json()["data"]}
    assert models["fake"]["available"]
    assert models["fake"]["default"]


# -- the backup ------------------------------------------------------------------------------------


def test_a_saved_database_is_restored_in_a_new_container(tmp_path: Path) -> None:
    disk, kept = tmp_path / "disk" / "v.db", tmp_path / "volume" / "v.db"
    disk.parent.mkdir()
    committed: list[bool] = []
    with closing(sqlite3.connect(disk)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (x)")
        connection.commit()
        backup = SqliteBackup(disk, kept, lambda: committed.append(True))
        backup.start()
        wait(lambda: bool(committed))
        connection.execute("INSERT INTO t VALUES (7)")
        connection.commit()
    backup.stop()
    other = tmp_path / "other" / "v.db"
    assert SqliteBackup(other, kept, lambda: None).restore()
    with closing(sqlite3.connect(other)) as connection:
        assert connection.execute("SELECT x FROM t").fetchall() == [(7,)]
    assert not SqliteBackup(other, kept, lambda: None).restore(), "what is there is newer"


def test_the_key_of_the_secret_opens_and_the_one_before_no_longer(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'keys.db'}")
    database.migrate()
    old, new = api_key.new_key(), api_key.new_key()
    for given in (old, old, new):
        api_key.install_key(database, given)
    ring = Keyring(database)
    assert ring.owner(new)
    assert ring.owner(old) is None
    api_key.install_key(database, old)
    again = Keyring(database)
    assert again.owner(old)
    assert again.owner(new) is None
    for wrong in (None, "", "secret"):
        with pytest.raises(OptionError, match="vivant modal key"):
            api_key.install_key(database, wrong)
    database.close()


def test_the_command_line_prepares_a_deployment(
    vivant: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = vivant("modal", "key")
    assert code == 0
    assert out.startswith("vk_")
    monkeypatch.setenv("VIVANT_MODAL", '{"gpu": ["A10"], "cores": 4, "memory_gib": 10}')
    code, out, _ = vivant("modal", "check")
    assert code == 0
    assert "A10: $0.000306 a second" in out
    assert "10 s of waiting after a clip: ₩5.5" in out
    assert "one rare clip, 7 s of start and the waiting included: ₩15" in out
    monkeypatch.setenv("VIVANT_MODAL", '{"gpu": "T4"}')
    from vivant.settings import default_settings

    default_settings.cache_clear()
    code, _, err = vivant("modal", "check")
    assert code == 2
    assert "16 GB" in err


def wait(condition: Callable[[], bool], *, seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if condition():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s")
