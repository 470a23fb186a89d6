"""Vivant on Modal: ``modal deploy deploy/modal_app.py`` is the whole procedure (docs/modal.md).

::

    WebApp       the page and the API, on a fraction of a CPU, gone when nobody asks
    Distilled   GPU: the distilled model, recipes seed, fast and native
    Lora        GPU: the recipes with the distilled LoRA
    Camera      CPU: the embedded engine
    fill        brings weights into the Volume, once

What is chosen stands in ``[modal]`` of ``config.toml`` or in ``VIVANT_MODAL``, and is checked while
this file is read: a mistake ends here, before anything is deployed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import modal

from vivant.errors import VivantError
from vivant.modal.options import Options, carried
from vivant.settings import read_settings

try:
    settings = read_settings()
    options = Options.read(settings)
except VivantError as error:
    sys.exit(f"vivant: {error.message}")

ROOT = Path(__file__).resolve().parent.parent
STATE, WEIGHTS, CACHE = "/state", "/weights", "/cache"
PYTHON, UV = "3.12", "0.13.9"

app = modal.App(options.app, include_source=True)
secret = modal.Secret.from_name(options.secret)
weights = modal.Volume.from_name(f"{options.app}-weights", create_if_missing=True)
cache = modal.Volume.from_name(f"{options.app}-cache", create_if_missing=True)
state = modal.Volume.from_name(f"{options.app}-state", create_if_missing=True)


def image(*extras: str, packages: tuple[str, ...] = ()) -> modal.Image:
    """Debian, the locked dependencies, and this checkout's source with its data files."""
    if not modal.is_local():  # it is built already, and the lock file is not in it
        return modal.Image.debian_slim(PYTHON)
    base = modal.Image.debian_slim(PYTHON).apt_install(*packages)
    return base.uv_sync(str(ROOT), extras=["modal", *extras], uv_version=UV).add_local_dir(
        ROOT / "src" / "vivant", "/root/vivant", ignore=["**/__pycache__"]
    )


light = image()
heavy = image("ltx2", packages=("gcc", "libc6-dev"))  # Triton compiles with them

environment = carried(settings, options)
single = options.state == "single-container"
ON_FRONT = {"VIVANT_DATA_DIR": "/tmp/vivant"}  # noqa: S108 - the container's own disk
if single:
    # one courier: nobody else could take its jobs over, and a restart need not wait long
    ON_FRONT |= {"VIVANT_OBJECTS_URL": f"{STATE}/objects", "VIVANT_WORKER_TIMEOUT": "10"}
IN_STUDIO = {
    "VIVANT_WEIGHTS_DIR": WEIGHTS,
    "VIVANT_CACHE_DIR": CACHE,
    "VIVANT_DATA_DIR": "/tmp/vivant",  # noqa: S108 - the container's own disk
    "VIVANT_OFFLINE": "1",
}
ON_GPU: dict[str, Any] = {
    "image": heavy,
    "gpu": list(options.gpu),
    "cpu": options.cores,
    "memory": options.memory_gib * 1024,
    "env": {**environment, **IN_STUDIO},
    "volumes": {WEIGHTS: weights.with_mount_options(read_only=True), CACHE: cache},
    "max_containers": options.max_containers,
    "scaledown_window": options.scaledown_window,
    "timeout": options.timeout,
    "startup_timeout": 1800,
    "retries": options.retries,
    "enable_memory_snapshot": True,
    "experimental_options": {"enable_gpu_snapshot": True} if options.gpu_snapshot else {},
}


class Container:
    """A studio's life: built before the snapshot, woken after it, one clip at a time."""

    kind = ""

    @modal.enter(snap=True)
    def build(self) -> None:
        """What every start would repeat, and a snapshot keeps."""
        from vivant.engines import load_engine
        from vivant.modal.container import ModalContainer
        from vivant.modal.runner import board_for
        from vivant.service.engines import gpu_name
        from vivant.upscalers import load_upscaler

        self.studio = ModalContainer(
            self.kind,
            read_settings(),
            board_for(options),
            load_engine=load_engine,
            load_upscaler=load_upscaler,
            asked=() if self.kind == "camera" else options.gpu,
            gpu=lambda: None if self.kind == "camera" else gpu_name(),
        )
        self.studio.imports()
        if options.gpu_snapshot:
            self.studio.load()

    @modal.enter(snap=False)
    def wake(self) -> None:
        """The rest: the GPU is there only now."""
        if not options.gpu_snapshot:
            self.studio.load()

    @modal.method()
    def make(self, work: dict[str, Any]) -> dict[str, Any]:
        """One clip."""
        return dict(self.studio.make(work))  # type: ignore[arg-type]

    @modal.exit()
    def leave(self) -> None:
        """Keep what was compiled and encoded; a Volume takes it in the background too."""
        if options.backend == "modal":
            cache.commit()


@app.cls(**ON_GPU, min_containers=options.min_containers)
class Distilled(Container):
    """The distilled model."""

    kind = "distilled"


@app.cls(**ON_GPU)
class Lora(Container):
    """The recipes with the distilled LoRA: another model, so another container."""

    kind = "lora"


@app.cls(
    image=light,
    cpu=2.0,
    memory=2048,
    env={**environment, **IN_STUDIO},
    max_containers=options.max_containers,
    scaledown_window=options.scaledown_window,
    timeout=options.timeout,
    retries=options.retries,
    enable_memory_snapshot=True,
)
class Camera(Container):
    """The embedded engine: no GPU, no weights."""

    kind = "camera"


@app.cls(
    image=light,
    cpu=0.25,
    memory=1024,
    env={**environment, **ON_FRONT},
    secrets=[secret],
    volumes={STATE: state} if single else {},
    min_containers=1 if options.front_always_on else 0,
    max_containers=options.fronts,
    scaledown_window=options.front_window,
)
@modal.concurrent(max_inputs=options.front_requests)
class WebApp:
    """The page and the API."""

    @modal.enter()
    def open(self) -> None:
        """Bring the state back and start the courier."""
        from vivant.modal.web_app import WebApp as Service

        self.service = Service(
            read_settings(),
            options,
            kept=Path(STATE) if single else None,
            commit=state.commit if options.backend == "modal" else lambda: None,
        )
        self.application = self.service.start()

    @modal.exit()
    def close(self) -> None:
        """Hand jobs on, and save."""
        self.service.stop()

    @modal.asgi_app(label=options.app)
    def web(self) -> Any:
        """Everything under one address."""
        return self.application


@app.function(
    image=heavy,
    cpu=4.0,
    memory=65_536,
    env={**environment, **IN_STUDIO, "VIVANT_OFFLINE": "0"},
    secrets=[secret],
    volumes={WEIGHTS: weights},
    timeout=6 * 3600,
)
def fill(model: str = "ltx-2-19b-distilled", quantize: bool = True) -> None:
    """Bring a model into the Volume: once. Interrupted, it goes on where it was."""
    from vivant.modal.fill_volume import fill_volume

    fill_volume(read_settings(), model, quantize=quantize, commit=weights.commit)


@app.function(image=light, env={**environment, **ON_FRONT}, secrets=[secret])
def check() -> str:
    """Whether secret and settings fit together; says what would be used."""
    from vivant.modal.web_app import check_places

    check_places(read_settings(), options)
    return f"{options.app}: {', '.join(options.gpu)}, state: {options.state}"
