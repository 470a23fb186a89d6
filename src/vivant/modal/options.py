"""The options of a deployment on Modal, checked before anything is deployed.

They are given as ``[modal]`` in ``config.toml`` or as JSON in ``VIVANT_MODAL``. Secrets are not
among them: they belong into the Modal Secret that ``secret`` names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from vivant.cost import RATES, PaidContainer, bill, container_rate
from vivant.errors import OptionError
from vivant.field_errors import what_is_wrong
from vivant.modal import gpus
from vivant.settings import Settings

START_SECONDS = 7.0
"""From a stopped GPU container until it can make a clip, without Modal's own scheduling.

Measured: a process on an H100 with its files in the page cache finished its first verified ``fast``
clip after 12.0 to 12.7 s, 5.5 of which a clip takes later (docs/benchmarks.md). A Volume's speed is
not known.
"""

COLD_START_SECONDS = 20.0
"""The same with cold files: 26.3 s until the first clip, 6.4 of which the second took."""

FORWARDED_SETTINGS = (
    "cors_origins",
    "credentials",
    "credentials_prompt",
    "currency",
    "exchange",
    "jobs_per_key",
    "label",
    "lora_allow",
    "max_frames",
    "max_image_bytes",
    "queue_limit",
    "rates",
    "requests_per_minute",
    "result_days",
    "target_seconds",
    "target_usd",
    "url_fetch",
    "webhooks",
)
"""Settings of the deploying machine that the containers get too. None of them is a secret."""


FORMER_NAMES = {
    "front_containers": "web_containers",
    "front_always_on": "web_always_on",
    "front_window": "web_window",
    "front_requests": "web_requests",
}
"""Options that had another name before; both are read."""


class DeploymentOptions(BaseModel):
    """The options of one deployment.

    Attributes:
        app: name of the Modal app, and prefix of its Volumes and its Dict.
        secret: name of the Modal Secret with ``VIVANT_API_KEY`` and, for Postgres,
            ``VIVANT_DATABASE_URL``, ``VIVANT_OBJECTS_URL`` and ``VIVANT_OBJECTS_OPTIONS``.
        state: where jobs and clips are kept. ``single-container``: SQLite and a Volume, with
            one web container. ``postgres``: the database and the bucket of the secret.
        engines: those that clients can choose; the first one is the default.
        gpu: GPU types in order of preference; ``H100:4`` lets four of them make each clip.
        cores: physical CPU cores of a GPU container; encoding and checking run on them.
        memory_gib: host memory of a GPU container, GiB. With a 24 GB GPU the model is kept in it.
        max_containers: GPU containers at the same time, for each of the two models.
        min_containers: GPU containers of the distilled model that always run and are paid for.
        scaledown_window: seconds that an idle GPU container waits for the next clip, paid for. A
            second of waiting costs what a second of start does: waiting pays where clips usually
            come in less time than a start takes, and costs at most one more start where it is
            no longer than that.
        timeout: seconds after which Modal ends a clip.
        retries: how often a clip is rendered again after its container died.
        gpu_snapshot: keep the GPU's memory in the snapshot too; Modal calls it experimental.
        web_containers: web containers at the same time, with Postgres.
        web_always_on: always keep one web container. Otherwise Modal stops it when it is idle.
        web_window: seconds that a web container stays after the last request.
        web_requests: requests that a web container answers at the same time.
        backend: ``modal``, or ``fake`` for a rehearsal.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    app: str = Field(default="vivant", pattern=r"^[a-z][a-z0-9-]{0,40}$")
    secret: str = Field(default="vivant", min_length=1)
    state: Literal["single-container", "postgres"] = "single-container"
    engines: tuple[Literal["ltx2", "living", "camera", "fake"], ...] = Field(
        default=("ltx2", "camera"), min_length=1
    )
    gpu: tuple[str, ...] = Field(default=("H100",), min_length=1)
    cores: float = Field(default=8.0, ge=1, le=64)
    memory_gib: int = Field(default=32, ge=8, le=336)
    max_containers: int = Field(default=1, ge=1, le=100)
    min_containers: int = Field(default=0, ge=0, le=100)
    scaledown_window: int = Field(default=10, ge=2, le=3600)
    timeout: int = Field(default=900, ge=60, le=86_400)
    retries: int = Field(default=2, ge=0, le=10)
    gpu_snapshot: bool = False
    web_containers: int = Field(default=4, ge=1, le=100)
    web_always_on: bool = False
    web_window: int = Field(default=300, ge=60, le=3600)
    web_requests: int = Field(default=100, ge=1, le=1000)
    backend: Literal["modal", "fake"] = "modal"

    @model_validator(mode="before")
    @classmethod
    def _read_former_names(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {
            FORMER_NAMES.get(name, name): value
            for name, value in given.items()
            if FORMER_NAMES.get(name) not in given  # the new name wins
        }

    @field_validator("gpu", mode="before")
    @classmethod
    def _list_of_gpus(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("gpu")
    @classmethod
    def _known_gpus(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(gpus.check_gpu(name) for name in value)
        if len({gpus.split_count(name)[1] for name in names}) > 1:
            raise OptionError(
                f"modal.gpu {', '.join(names)}: ask for the same number of each", param="modal.gpu"
            )
        return names

    @property
    def gpus(self) -> int:
        """GPUs that make one clip together."""
        return gpus.split_count(self.gpu[0])[1]

    @classmethod
    def read(cls, settings: Settings) -> Self:
        """The options that the settings hold under ``modal``.

        Raises:
            OptionError: an option or a rate that cannot be used, with the limit and the remedy.
        """
        try:
            options = cls(**settings.modal)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
            message = what_is_wrong(first)
            if first["type"] == "extra_forbidden":
                message = f"there is no such option: choose from {', '.join(cls.model_fields)}"
            raise OptionError(f"modal.{field} {message}", param=f"modal.{field}") from None
        except TypeError as error:
            raise OptionError(f"the modal options cannot be read: {error}", param="modal") from None
        wrong = next((name for name, rate in settings.rates.items() if not rate > 0), None)
        if wrong is not None:
            raise OptionError(
                f"rates.{wrong} is {settings.rates[wrong]}: give US dollars a second, above 0",
                param="rates",
            )
        if options.min_containers > options.max_containers:
            raise OptionError(
                f"modal.min_containers {options.min_containers} is more than modal.max_containers "
                f"{options.max_containers}",
                param="modal.min_containers",
            )
        return options

    @property
    def max_web_containers(self) -> int:
        """Web containers at the same time: with SQLite there can only be one."""
        return self.web_containers if self.state == "postgres" else 1


def container_environment(settings: Settings, options: DeploymentOptions) -> dict[str, str]:
    """Environment variables of the containers: the options, and settings that are not default."""
    fields = Settings.model_fields
    given: dict[str, Any] = {
        name: getattr(settings, name)
        for name in FORWARDED_SETTINGS
        if getattr(settings, name) != fields[name].get_default(call_default_factory=True)
    }
    given |= {"modal": options.model_dump(mode="json"), "log_format": "json"}
    if options.gpus > 1:
        given["gpus"] = options.gpus
    return {
        f"VIVANT_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
    }


def with_engines(settings: Settings, options: DeploymentOptions) -> Settings:
    """The settings, with the engines of the deployment's options."""
    return settings.model_copy(
        update={"engines": options.engines, "default_engine": options.engines[0]}
    )


def gpu_rates(options: DeploymentOptions, rates: Mapping[str, float]) -> dict[str, float]:
    """US dollars per second of each GPU that may be used, by Modal's name.

    Args:
        options: names the GPUs.
        rates: replace entries of :data:`vivant.cost.RATES`.
    """
    table = {**RATES, **rates}
    parts = {name: gpus.split_count(name) for name in options.gpu}
    return {name: count * table[gpus.GPUS[base].row] for name, (base, count) in parts.items()}


def gpu_container(
    options: DeploymentOptions, rates: Mapping[str, float], device: str | None = None
) -> PaidContainer:
    """What a GPU container costs.

    Args:
        options: size and waiting of the container.
        rates: replace entries of :data:`vivant.cost.RATES`.
        device: that is billed, as :func:`vivant.cost.bill` takes it; the GPU that is asked for
            first where None or without a rate.
    """
    charged = bill(device, 1.0, rates=rates) if device else None
    gpu = charged.rate if charged else next(iter(gpu_rates(options, rates).values()))
    return PaidContainer(
        engine="ltx2",
        rate=container_rate(gpu, cores=options.cores, memory_gib=options.memory_gib),
        start_seconds=START_SECONDS,
        idle_seconds=options.scaledown_window,
    )
