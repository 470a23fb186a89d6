"""Which LoRA adapters a request to the service may name.

On your own machine any adapter can be loaded. A request from a stranger must not make a server
fetch and load any file of the Hub, or read the server's files. This is checked when a job is
accepted, and again before a worker loads the adapter: the job may have been accepted by another
server, or under other settings.
"""

from __future__ import annotations

from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from vivant.errors import OptionError, WeightsError
from vivant.settings import Settings
from vivant.types import Request
from vivant.weights import MODELS, Library, find_model

CODE = "lora_not_allowed"

MAX_NAME = 200
"""Characters; the Hub's own limit of a repository's name is 96."""


def check_adapters(request: Request, settings: Settings) -> None:
    """Refuse adapters that are neither Vivant's own, nor pulled on this machine, nor allowed.

    Args:
        request: of the service; options of its engine must be possible ones.
        settings: ``lora_allow``, and where weights are.

    Raises:
        OptionError: ``lora_not_allowed``, naming the adapter and the setting.
    """
    if request.engine != "ltx2" or not request.options.get("loras"):
        return
    from vivant.engines.ltx2.options import LTX2Options

    for lora in LTX2Options.from_request(request).loras:
        _check(lora.source, settings)


def _check(name: str, settings: Settings) -> None:
    repository = _repository(name)
    if repository is None:
        raise OptionError(
            f"adapter {name[:80]!r} is no owner/repository of the Hub, and files of the server are "
            f"not loaded for a request: choose {_own()}",
            code=CODE,
            param="loras",
        )
    if name in MODELS or _pulled(name, settings):
        return
    if not any(
        fnmatchcase(asked, pattern)
        for pattern in settings.lora_allow
        for asked in (name, repository)
    ):
        raise OptionError(
            f"adapter {name[:80]!r} is not allowed on this server: choose {_own()}, or let its "
            "operator add it to VIVANT_LORA_ALLOW (or pull it there)",
            code=CODE,
            param="loras",
        )


def _repository(name: str) -> str | None:
    """``owner/repository`` of an adapter, or its own name; None where it would be a file."""
    try:
        model = find_model(name)
    except OptionError:
        return None
    # the engine looks for a file first
    if len(name) > MAX_NAME or model.kind != "lora" or Path(name).exists():
        return None
    return model.parts[0].repo


def _pulled(name: str, settings: Settings) -> bool:
    """Whether all of it is on this machine: nothing is fetched for it."""
    with suppress(WeightsError, OSError):
        return Library(settings.weights_path).state(name).status == "complete"
    return False


def _own() -> str:
    return ", ".join(name for name, model in MODELS.items() if model.kind == "lora")
