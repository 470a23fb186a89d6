"""The only reader of the environment and of the configuration file.

Every field can be set as ``VIVANT_<FIELD>`` or in ``config.toml`` (``vivant doctor`` prints
where); the environment wins. Knows nothing of requests: what one clip should be is a
:class:`vivant.types.Request`.
"""

from __future__ import annotations

import os
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from vivant.errors import OptionError

CONFIG_FILE = Path(platformdirs.user_config_dir("vivant", appauthor=False)) / "config.toml"


class Settings(BaseSettings):
    """Limits, places, prices. Constructing it reads the environment.

    Attributes:
        rates: US dollars per second by device, laid over :data:`vivant.cost.RATES`.
        exchange: units per US dollar by currency, laid over :data:`vivant.cost.EXCHANGE`.
        device: the name to bill by, where the engine's own is not what is paid for.
        weights_dir: where models are kept; ``data_dir/weights`` where None.
        hub_url: the Hugging Face Hub, or a mirror of it.
        hub_token: for repositories whose licence must be accepted.
        offline: never open a connection for weights.
        target_seconds: the user's target for a whole clip.
        target_usd: the user's target for a whole clip; 57 s at the A10 rate, about ₩25.
        default_engine: of requests that name no model.
        engines: those the service offers; ``fake`` is for tests.
        database_url: of the service; a SQLite file in ``data_dir`` where not given.
        objects_url: where the service keeps pictures and clips; a folder in ``data_dir``.
        objects_options: obstore's configuration of ``s3://``: endpoint, access_key_id, ….
        queue_limit: jobs that may wait or run; more are refused for a while.
        jobs_per_key: the same for one API key.
        requests_per_minute: of one client, for requests that make something.
        result_days: how long finished clips are kept.
        cors_origins: pages of other origins that may use the API; ``null`` is a file on disk.
        lora_allow: adapters a request to the service may name besides Vivant's own and those pulled
            already: shell patterns of ``owner/repository``, e.g. ``owner/*``.
        url_fetch: whether a picture may be given as an https:// URL.
        worker_timeout: seconds without a heartbeat after which a worker counts as dead.
        drain_seconds: a worker that is told to stop may go on with its clip for so long.
        log_format: json, text, or auto: text where somebody is looking.
        modal: how to run on Modal, see :class:`vivant.modal.options.Options`.
        api_key: of a front on Modal, from its secret; elsewhere `vivant keys add` makes keys.
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
    target_seconds: float = Field(default=67.0, gt=0)
    target_usd: float = Field(default=0.0175, gt=0)
    default_engine: str = "camera"
    engines: tuple[str, ...] = ("camera", "ltx2")
    database_url: str | None = None
    objects_url: str | None = None
    objects_options: dict[str, str] = Field(default_factory=dict)
    queue_limit: int = Field(default=200, gt=0)
    jobs_per_key: int = Field(default=50, gt=0)
    requests_per_minute: int = Field(default=1200, gt=0)
    result_days: float = Field(default=7.0, gt=0)
    cors_origins: tuple[str, ...] = ()
    url_fetch: bool = False
    lora_allow: tuple[str, ...] = ()
    worker_timeout: float = Field(default=30.0, gt=0)
    drain_seconds: float = Field(default=0.0, ge=0)
    log_format: Literal["auto", "json", "text"] = "auto"
    modal: dict[str, Any] = Field(default_factory=dict)
    api_key: str | None = None
    weights_dir: Path | None = None
    hub_url: str = "https://huggingface.co"
    hub_token: str | None = None
    offline: bool = False

    @property
    def weights_path(self) -> Path:
        """Where models are kept."""
        return self.weights_dir or self.data_dir / "weights"

    @property
    def service_dir(self) -> Path:
        """What the service keeps on this machine."""
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
        """Arguments, then the environment, then the file. No ``.env``: surprises live there."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, _ConfigFile(settings_cls)


def read_settings(**overrides: Any) -> Settings:
    """Settings from the environment and the file, with ``overrides`` on top.

    Raises:
        OptionError: a value that cannot be used, named with where it came from.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise OptionError(
            f"setting {field} (VIVANT_{field.split('.', 1)[0].upper()} or {CONFIG_FILE}): "
            f"{first['msg']}, not {first.get('input')!r}",
            param=field,
        ) from None
    except ValueError as error:
        # broken TOML, or JSON that pydantic-settings could not parse from a variable
        broken = re.search(r'field "(\w+)" from source "EnvSettingsSource"', str(error))
        if broken:
            name = f"VIVANT_{broken[1].upper()}"
            raise OptionError(
                f"{name} is not JSON: {os.environ.get(name, '')!r} ({error.__cause__})",
                param=broken[1],
            ) from None
        raise OptionError(f"settings cannot be read ({CONFIG_FILE}): {error}") from None


class _ConfigFile(TomlConfigSettingsSource):
    """``config.toml``; editors of Windows put a byte-order mark before it."""

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        try:
            return tomllib.loads(file_path.read_bytes().decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise ValueError("it is not UTF-8 text: save it as UTF-8") from None


@cache
def default_settings() -> Settings:
    """The process-wide settings, read once."""
    return read_settings()


def keep_compiled(folder: Path) -> None:
    """Let torch's compiler keep its results in ``folder``, unless the user says where.

    It listens to the environment only, and this module is the one that speaks with it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder / "inductor"))
    os.environ.setdefault("TRITON_CACHE_DIR", str(folder / "triton"))


def use_gpu(index: int) -> None:
    """Let this process see one GPU only, unless the user says which; before CUDA is loaded.

    Args:
        index: as ``nvidia-smi`` counts, which is by place on the bus.
    """
    if "CUDA_VISIBLE_DEVICES" not in os.environ:
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        os.environ["CUDA_VISIBLE_DEVICES"] = str(index)
