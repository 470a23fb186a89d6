"""Settings from the environment and the configuration file. Only ``environment`` reads them, too.

Every field can be set as ``VIVANT_<FIELD>`` or in ``config.toml`` (``vivant doctor`` prints its
path); the environment wins. What belongs to one clip is a :class:`vivant.types.Request`.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from vivant.environment import CONFIG_FILE, read_config_file
from vivant.errors import OptionError
from vivant.field_errors import what_is_wrong
from vivant.types import DEFAULT_ENGINE

SHORTEST_WORKER_TIMEOUT = 4.0
"""Seconds. A heartbeat is due every second; on a busy machine it can come some seconds late."""

FROZEN_SECONDS = 10.0
"""A worker process is never killed for a missing heartbeat before this."""


class Settings(BaseSettings):
    """Limits, places and prices. The constructor reads the environment and the file.

    Attributes:
        max_image_bytes: size of a picture's file.
        max_image_pixels: width × height of a picture.
        max_image_side: the longer side of a picture, pixels.
        max_image_decoded_bytes: memory that a decoded picture may take.
        max_frames: frames of a clip.
        cache_dir: folder for what can be made again.
        data_dir: folder for weights and for the service's database, pictures and clips.
        currency: of the bills, three letters.
        rates: US dollars per second by device; replace entries of :data:`vivant.cost.RATES`.
        exchange: units per US dollar by currency; replace entries of
            :data:`vivant.cost.EXCHANGE`.
        device: name to bill by, if it is not the engine's own device that is paid for.
        gpus: that make one clip together where the request does not say (engine ``ltx2``); a worker
            takes as many.
        target_seconds: the user's target for making a whole clip.
        target_usd: the user's target for a whole clip: 57 s at the A10 rate, about ₩25.
        default_engine: engine of requests that name no model; the first of ``engines`` where
            ``living`` is not among them.
        engines: engines that the service offers; ``fake`` is for tests.
        database_url: database of the service; None: a SQLite file in ``data_dir``.
        objects_url: where the service keeps pictures and clips; None: a folder in ``data_dir``.
        objects_options: obstore's configuration of ``s3://``: endpoint, access_key_id, ….
        queue_limit: most jobs that wait or run at the same time; further ones are refused.
        jobs_per_key: the same for one API key.
        requests_per_minute: of one client; only requests that make something count.
        result_days: days for which finished clips are kept.
        cors_origins: other origins whose pages may use the API; ``null`` is a file on disk.
        url_fetch: whether a picture may be given as an https:// URL.
        webhooks: whether a request may name an https:// URL that is told when its job is over.
        lora_allow: adapters that a request to the service may name besides Vivant's own and those
            pulled already: shell patterns of ``owner/repository``, e.g. ``owner/*``.
        worker_timeout: seconds without a heartbeat after which other workers take a worker's jobs
            over; at least :data:`SHORTEST_WORKER_TIMEOUT`.
        drain_seconds: a worker that is told to stop may go on with its clip for so long.
        lang: language of the command line: ``ko``, ``en``, or ``auto``: the system's.
        log_format: ``json``, ``text``, or ``auto``: text on a terminal.
        modal: options of a deployment, see :class:`vivant.modal.options.DeploymentOptions`.
        api_key: key of a web app on Modal, from its secret. Elsewhere ``vivant keys add`` makes
            keys.
        weights_dir: folder of the models; None: ``data_dir/weights``.
        hub_url: the Hugging Face Hub, or a mirror of it.
        hub_token: for repositories whose licence must be accepted.
        offline: never open a connection for weights.
        label: visible label of every clip whose request names none: ``ko``, ``en`` or a text;
            empty: none.
        label_font: font file for labels in other letters than ASCII.
        credentials: content credentials of finished clips: ``on``; ``optional``: a clip is left
            unsigned, and its report says so, where the key cannot be used; ``off``.
        credentials_key: private key that signs, PEM: a path or the text itself; None: a key of
            Vivant's own making in ``data_dir``.
        credentials_certificates: its certificate and those above it, PEM: a path or the text.
        credentials_signer_url: of a remote signer that holds the key instead.
        credentials_signer_token: sent to the remote signer as a bearer token.
        credentials_trust: file of root certificates (PEM) whose signers are called trusted.
        credentials_prompt: whether the prompt goes into the credentials, for everyone to read.
    """

    model_config = SettingsConfigDict(
        env_prefix="VIVANT_", toml_file=CONFIG_FILE, extra="forbid", frozen=True
    )

    max_image_bytes: int = Field(default=50_000_000, gt=0)
    max_image_pixels: int = Field(default=100_000_000, gt=0)
    max_image_side: int = Field(default=16_384, gt=0)
    max_image_decoded_bytes: int = Field(default=640_000_000, gt=0)
    max_frames: int = Field(default=1_441, gt=0)
    cache_dir: Path = Path(platformdirs.user_cache_dir("vivant", appauthor=False))
    data_dir: Path = Path(platformdirs.user_data_dir("vivant", appauthor=False))
    currency: str = "KRW"
    rates: dict[str, float] = Field(default_factory=dict)
    exchange: dict[str, float] = Field(default_factory=dict)
    device: str | None = None
    gpus: Literal[1, 2, 4, 8] = 1
    target_seconds: float = Field(default=67.0, gt=0)
    target_usd: float = Field(default=0.0175, gt=0)
    default_engine: str = DEFAULT_ENGINE
    engines: tuple[str, ...] = ("living", "camera", "ltx2")
    database_url: str | None = None
    objects_url: str | None = None
    objects_options: dict[str, str] = Field(default_factory=dict)
    queue_limit: int = Field(default=200, gt=0)
    jobs_per_key: int = Field(default=50, gt=0)
    requests_per_minute: int = Field(default=1200, gt=0)
    result_days: float = Field(default=7.0, gt=0)
    cors_origins: tuple[str, ...] = ()
    url_fetch: bool = False
    webhooks: bool = False
    lora_allow: tuple[str, ...] = ()
    worker_timeout: float = 30.0
    drain_seconds: float = Field(default=0.0, ge=0)
    lang: Literal["auto", "en", "ko"] = "auto"
    log_format: Literal["auto", "json", "text"] = "auto"
    modal: dict[str, Any] = Field(default_factory=dict)
    api_key: str | None = None
    weights_dir: Path | None = None
    hub_url: str = "https://huggingface.co"
    hub_token: str | None = None
    offline: bool = False
    label: str = ""
    label_font: Path | None = None
    credentials: Literal["on", "optional", "off"] = "on"
    credentials_key: str | None = None
    credentials_certificates: str | None = None
    credentials_signer_url: str | None = None
    credentials_signer_token: str | None = None
    credentials_trust: Path | None = None
    credentials_prompt: bool = False

    @model_validator(mode="before")
    @classmethod
    def _offered_default(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A service that does not offer the usual engine begins with the first it does."""
        engines = values.get("engines")
        if (
            isinstance(engines, list | tuple)
            and engines
            and "default_engine" not in values
            and DEFAULT_ENGINE not in engines
        ):
            return {**values, "default_engine": engines[0]}
        return values

    @field_validator("worker_timeout")
    @classmethod
    def _not_too_short(cls, seconds: float) -> float:
        if not seconds >= SHORTEST_WORKER_TIMEOUT:
            raise ValueError(
                f"{seconds:g} s is below {SHORTEST_WORKER_TIMEOUT:g} s, so that a busy machine "
                "would lose healthy workers: 30 is the default, 10 is enough for a cluster"
            )
        return seconds

    @property
    def frozen_seconds(self) -> float:
        """Seconds without a heartbeat after which the server kills and restarts its worker.

        Longer than a short :attr:`worker_timeout`: a job that another worker takes over from a
        slow worker is made once more, but killing a slow worker ends all of its jobs.
        """
        return max(self.worker_timeout, FROZEN_SECONDS)

    @property
    def weights_path(self) -> Path:
        """Folder of the models."""
        return self.weights_dir or self.data_dir / "weights"

    @property
    def service_dir(self) -> Path:
        """Folder of the service on this machine."""
        return self.data_dir / "service"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, and that over the file; no ``.env`` is read."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, _ConfigFile(settings_cls)


def read_settings(**overrides: Any) -> Settings:
    """Settings from the environment and the file; ``overrides`` win over both.

    Raises:
        OptionError: a value that cannot be used; the message names the setting and its source.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        message = what_is_wrong(first)
        if first["type"] == "extra_forbidden":
            message = "there is no such setting; docs/service.md lists them"
        elif first["type"] != "value_error":  # those of this module name the value themselves
            message = f"{field} {message}"
        source = f"VIVANT_{field.split('.', 1)[0].upper()}"
        raise OptionError(
            f"setting {field} ({source} or {CONFIG_FILE}): {message}", param=field
        ) from None
    except ValueError as error:
        # broken TOML, or a variable whose JSON pydantic-settings could not parse
        broken = re.search(r'field "(\w+)" from source "EnvSettingsSource"', str(error))
        if broken:
            name = f"VIVANT_{broken[1].upper()}"
            raise OptionError(
                f"{name} is not JSON: {os.environ.get(name, '')!r} ({error.__cause__})",
                param=broken[1],
            ) from None
        raise OptionError(f"settings cannot be read ({CONFIG_FILE}): {error}") from None


class _ConfigFile(TomlConfigSettingsSource):
    """``config.toml``."""

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        return tomllib.loads(read_config_file(file_path))


@cache
def default_settings() -> Settings:
    """The settings of this process, read once."""
    return read_settings()


def keep_compiled(folder: Path) -> None:
    """Let torch's compiler keep its results in ``folder``, unless the user has set another one.

    The compiler can only be told by environment variables, so this is done here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder / "inductor"))
    os.environ.setdefault("TRITON_CACHE_DIR", str(folder / "triton"))


def use_gpus(first: int, count: int = 1) -> None:
    """Let this process see some GPUs only, unless the user has chosen; call it before CUDA loads.

    Args:
        first: in the order of ``nvidia-smi``, which is by PCI bus id.
        count: how many.
    """
    if "CUDA_VISIBLE_DEVICES" not in os.environ:
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, range(first, first + count)))


def keep_collectives_local() -> None:
    """Let torch's process groups use this machine only, and never end this process.

    They can only be told by environment variables. The process that started them notices when one
    is lost.
    """
    os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0")
    os.environ.setdefault("TORCH_NCCL_ENABLE_MONITORING", "0")
    if sys.platform == "linux":
        os.environ.setdefault("NCCL_SOCKET_IFNAME", "lo")
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
