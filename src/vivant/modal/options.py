"""What the operator of a deployment on Modal chooses, checked before anything is deployed.

Given as ``[modal]`` in ``config.toml`` or as JSON in ``VIVANT_MODAL``. Knows nothing of Modal's
client. Secrets are not among them: they live in a Modal Secret, which is named here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from vivant.cost import RATES
from vivant.errors import OptionError
from vivant.modal import gpus
from vivant.settings import Settings

CPU_RATE = 0.0000131
"""US dollars per physical core and second: Modal's list price of mid-2026."""

MEMORY_RATE = 0.00000222
"""US dollars per GiB and second: Modal's list price of mid-2026."""

CARRIED = (
    "cors_origins",
    "currency",
    "exchange",
    "jobs_per_key",
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
)
"""Settings of the deploying machine that go along. None of them is a secret."""


class Options(BaseModel):
    """One deployment.

    Attributes:
        app: name of the Modal app, and prefix of its Volumes and its Dict.
        secret: name of the Modal Secret with ``VIVANT_API_KEY`` and, for Postgres,
            ``VIVANT_DATABASE_URL``, ``VIVANT_OBJECTS_URL`` and ``VIVANT_OBJECTS_OPTIONS``.
        state: where jobs and clips are kept. ``single-container``: SQLite and a Volume, and never
            more than one front. ``postgres``: the database and the bucket of the secret.
        engines: those offered; the first one is the default.
        gpu: GPU types in order of preference.
        cores: physical CPU cores of a GPU container; encoding and checking run on them.
        memory_gib: of a GPU container; the 24 GB tier keeps the model in it.
        max_containers: GPU containers side by side, for each of the two models.
        min_containers: GPU containers of the distilled model kept waiting, and paid for, always.
        scaledown_window: seconds a GPU container waits for the next clip, and is paid for.
        timeout: seconds after which a clip is given up.
        retries: how often a clip is begun again whose container died.
        gpu_snapshot: keep the GPU's memory in the snapshot too; Modal calls it experimental.
        front_containers: fronts side by side, with Postgres.
        front_always_on: keep one front waiting; where False, one that nobody asks goes away.
        front_window: seconds a front stays after the last request.
        front_requests: requests a front answers at once.
        backend: ``modal``, or ``fake`` for a rehearsal.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    app: str = Field(default="vivant", pattern=r"^[a-z][a-z0-9-]{0,40}$")
    secret: str = Field(default="vivant", min_length=1)
    state: Literal["single-container", "postgres"] = "single-container"
    engines: tuple[Literal["ltx2", "camera", "fake"], ...] = Field(
        default=("ltx2", "camera"), min_length=1
    )
    gpu: tuple[str, ...] = Field(default=("H100",), min_length=1)
    cores: float = Field(default=8.0, ge=1, le=64)
    memory_gib: int = Field(default=32, ge=8, le=336)
    max_containers: int = Field(default=1, ge=1, le=100)
    min_containers: int = Field(default=0, ge=0, le=100)
    scaledown_window: int = Field(default=60, ge=2, le=3600)
    timeout: int = Field(default=900, ge=60, le=86_400)
    retries: int = Field(default=2, ge=0, le=10)
    gpu_snapshot: bool = False
    front_containers: int = Field(default=4, ge=1, le=100)
    front_always_on: bool = False
    front_window: int = Field(default=300, ge=60, le=3600)
    front_requests: int = Field(default=100, ge=1, le=1000)
    backend: Literal["modal", "fake"] = "modal"

    @field_validator("gpu", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("gpu")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(gpus.check(name) for name in value)

    @classmethod
    def read(cls, settings: Settings) -> Self:
        """The options in the settings.

        Raises:
            OptionError: one that cannot be used, with the limit and the remedy.
        """
        try:
            options = cls(**settings.modal)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
            told = first["msg"]
            if first["type"] == "extra_forbidden":
                told = f"there is no such option: it has {', '.join(cls.model_fields)}"
            raise OptionError(
                f"modal.{field} {first.get('input')!r}: {told}", param=f"modal.{field}"
            ) from None
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
    def fronts(self) -> int:
        """Fronts side by side: SQLite allows one."""
        return self.front_containers if self.state == "postgres" else 1


def carried(settings: Settings, options: Options) -> dict[str, str]:
    """Environment of the containers: the options, and settings that differ from the defaults."""
    fields = Settings.model_fields
    given: dict[str, Any] = {
        name: getattr(settings, name)
        for name in CARRIED
        if getattr(settings, name) != fields[name].get_default(call_default_factory=True)
    }
    given |= {"modal": options.model_dump(mode="json"), "log_format": "json"}
    return {
        f"VIVANT_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
    }


def offering(settings: Settings, options: Options) -> Settings:
    """The settings, with the deployment's engines."""
    return settings.model_copy(
        update={"engines": options.engines, "default_engine": options.engines[0]}
    )


def gpu_rates(options: Options, rates: Mapping[str, float]) -> dict[str, float]:
    """US dollars per second of each GPU that may be used, by Modal's name.

    Args:
        options: with the GPUs.
        rates: laid over :data:`vivant.cost.RATES`.
    """
    table = {**RATES, **rates}
    return {name: table[gpus.GPUS[name].row] for name in options.gpu}


def besides(options: Options) -> float:
    """US dollars per second of a GPU container's CPU cores and memory, which Modal bills extra."""
    return options.cores * CPU_RATE + options.memory_gib * MEMORY_RATE
