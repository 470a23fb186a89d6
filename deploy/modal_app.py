"""Vivant on Modal: ``modal deploy deploy/modal_app.py`` is the whole procedure (docs/modal.md).

::

    WebApp      the page and the API, on a fraction of a CPU; stopped when it is idle
    Distilled   GPU: the distilled model, recipes seed, fast and native
    Lora        GPU: the recipes with the distilled LoRA
    Camera      CPU: the embedded engine
    fill        downloads weights into the Volume, once

Options come from ``[modal]`` in ``config.toml`` or from ``VIVANT_MODAL``. They are checked while
this file is imported, so that a mistake is reported before anything is deployed.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import modal

from vivant.errors import VivantError
from vivant.modal.options import DeploymentOptions, container_environment, gpu_container
from vivant.settings import read_settings

try:
    settings = read_settings()
    options = DeploymentOptions.read(settings)
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
    """Debian, the dependencies of uv.lock, and this checkout's source with its data files."""
    if not modal.is_local():  # in a container the image is built, and the lock file is not there
        return modal.Image.debian_slim(PYTHON)
    base = modal.Image.debian_slim(PYTHON).apt_install(*packages)
    return base.uv_sync(str(ROOT), extras=["modal", *extras], uv_version=UV).add_local_dir(
        ROOT / "src" / "vivant", "/root/vivant", ignore=["**/__pycache__"]
    )


cpu_image = image()
# H100 and H200 get FlashAttention 3; Triton compiles kernels with the packages
hopper = ("hopper",) if any(name.startswith("H") for name in options.gpu) else ()
gpu_image = image("ltx2", *hopper, packages=("gcc", "libc6-dev"))

environment = container_environment(settings, options)
single = options.state == "single-container"
WEB_ENVIRONMENT = {"VIVANT_DATA_DIR": "/tmp/vivant"}  # noqa: S108 - the container's own disk
if single:
    # there is one worker only, so a restarted one need not wait long before it takes its jobs back
    WEB_ENVIRONMENT |= {"VIVANT_OBJECTS_URL": f"{STATE}/objects", "VIVANT_WORKER_TIMEOUT": "10"}
RENDER_ENVIRONMENT = {
    "VIVANT_WEIGHTS_DIR": WEIGHTS,
    "VIVANT_CACHE_DIR": CACHE,
    "VIVANT_DATA_DIR": "/tmp/vivant",  # noqa: S108 - the container's own disk
    "VIVANT_OFFLINE": "1",
}
GPU_CONTAINER: dict[str, Any] = {
    "image": gpu_image,
    "gpu": list(options.gpu),
    "cpu": options.cores,
    "memory": options.memory_gib * 1024,
    "env": {**environment, **RENDER_ENVIRONMENT},
    "volumes": {WEIGHTS: weights.with_mount_options(read_only=True), CACHE: cache},
    "max_containers": options.max_containers,
    "scaledown_window": options.scaledown_window,
    "timeout": options.timeout,
    "startup_timeout": 1800,
    "retries": options.retries,
    "enable_memory_snapshot": True,
    "experimental_options": {"enable_gpu_snapshot": True} if options.gpu_snapshot else {},
}


class RenderContainer:
    """Built before Modal's memory snapshot, woken after it, then one clip at a time."""

    kind = ""

    @modal.enter(snap=True)
    def build(self) -> None:
        """Import libraries; the snapshot keeps them for later starts."""
        from vivant.engines import load_engine
        from vivant.modal.container import ModalContainer
        from vivant.modal.runner import open_shared_dict
        from vivant.service.engines import gpu_name
        from vivant.upscalers import load_upscaler

        self.container = ModalContainer(
            self.kind,
            read_settings(),
            open_shared_dict(options),
            load_engine=load_engine,
            load_upscaler=load_upscaler,
            asked=() if self.kind == "camera" else options.gpu,
            gpu=lambda: None if self.kind == "camera" else gpu_name(),
            paid=partial(gpu_container, options, settings.rates),
        )
        self.container.import_libraries()
        if options.gpu_snapshot:
            self.container.load_model()

    @modal.enter(snap=False)
    def wake(self) -> None:
        """Load the model: there is no GPU before the snapshot."""
        if not options.gpu_snapshot:
            self.container.load_model()

    @modal.method()
    def render(self, request: dict[str, Any]) -> dict[str, Any]:
        """Render one clip, see :meth:`vivant.modal.container.ModalContainer.render`."""
        return dict(self.container.render(request))  # type: ignore[arg-type]

    @modal.exit()
    def leave(self) -> None:
        """Keep compiled kernels and encoded prompts. Modal commits in the background too."""
        if options.backend == "modal":
            cache.commit()


@app.cls(**GPU_CONTAINER, min_containers=options.min_containers)
class Distilled(RenderContainer):
    """The distilled model."""

    kind = "distilled"


@app.cls(**GPU_CONTAINER)
class Lora(RenderContainer):
    """The recipes with the distilled LoRA: another model, so another kind of container."""

    kind = "lora"


@app.cls(
    image=cpu_image,
    cpu=2.0,
    memory=2048,
    env={**environment, **RENDER_ENVIRONMENT},
    max_containers=options.max_containers,
    scaledown_window=options.scaledown_window,
    timeout=options.timeout,
    retries=options.retries,
    enable_memory_snapshot=True,
)
class Camera(RenderContainer):
    """The camera engine: no GPU, no weights."""

    kind = "camera"


@app.cls(
    image=cpu_image,
    cpu=0.25,
    memory=1024,
    env={**environment, **WEB_ENVIRONMENT},
    secrets=[secret],
    volumes={STATE: state} if single else {},
    min_containers=1 if options.web_always_on else 0,
    max_containers=options.max_web_containers,
    scaledown_window=options.web_window,
)
@modal.concurrent(max_inputs=options.web_requests)
class WebApp:
    """The page and the API."""

    @modal.enter()
    def open(self) -> None:
        """Restore the state and start the runner."""
        from vivant.modal.web_app import WebApp as Service

        self.service = Service(
            read_settings(),
            options,
            volume=Path(STATE) if single else None,
            commit=state.commit if options.backend == "modal" else lambda: None,
        )
        self.application = self.service.start()

    @modal.exit()
    def close(self) -> None:
        """Give jobs back to the queue, and save the state."""
        self.service.stop()

    @modal.asgi_app(label=options.app)
    def web(self) -> Any:
        """The page and the API under one address."""
        return self.application


@app.function(
    image=gpu_image,
    cpu=4.0,
    memory=65_536,
    env={**environment, **RENDER_ENVIRONMENT, "VIVANT_OFFLINE": "0"},
    secrets=[secret],
    volumes={WEIGHTS: weights},
    timeout=6 * 3600,
)
def fill(model: str = "ltx-2-19b-distilled", quantize: bool = True) -> None:
    """Download a model into the Volume, once. An interrupted download is resumed."""
    from vivant.modal.fill_volume import fill_volume

    fill_volume(read_settings(), model, quantize=quantize, commit=weights.commit)


@app.function(image=cpu_image, env={**environment, **WEB_ENVIRONMENT}, secrets=[secret])
def check() -> str:
    """Check that the secret and the options fit together; returns what would be used."""
    from vivant.modal.web_app import check_state

    check_state(read_settings(), options)
    return f"{options.app}: {', '.join(options.gpu)}, state: {options.state}"
