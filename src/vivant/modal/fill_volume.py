"""Brings weights into a Volume, by the code of ``vivant weights pull``."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from vivant.service import logs
from vivant.settings import Settings
from vivant.types import Observer, Progress
from vivant.weights import Hub, Library, find_model

SETS = {
    "distilled": ("ltx-2-19b-distilled",),
    "lora": ("ltx-2-19b-dev", "ltx-2-19b-distilled-lora-384"),
}
"""Kind of studio → models it needs. Any model's own name is understood too."""

TELL_SECONDS = 10.0

log = logging.getLogger("vivant.filling")


def fill_volume(
    settings: Settings, wanted: str, *, quantize: bool, commit: Callable[[], None]
) -> None:
    """Fetch what is missing, hash it, and write the fp8 transformer that starts read.

    Args:
        settings: with ``weights_dir`` on the Volume.
        wanted: a key of :data:`SETS`, or a model's name.
        quantize: write the fp8 transformer, once.
        commit: makes what was written last.

    Raises:
        OptionError: no such model.
        MachineError: the Hub or the Volume does not do its part.
    """
    logs.configure(settings.log_format)
    names = SETS.get(wanted, (wanted,))
    models = [find_model(name) for name in names]
    library = Library(settings.weights_path, Hub(settings.hub_url, settings.hub_token))
    for model in models:
        log.info("licence: %s", model.licence)
        state = library.pull(model.name, teller(f"pulling {model.name}"))
        commit()
        if quantize and model.kind == "model" and not state.fp8:
            from vivant.engines.ltx2.fp8_checkpoint import quantize_folder

            quantize_folder(model, state.folder, teller(f"quantizing {model.name}"))
            commit()
        log.info("%s is here: %.1f GB", model.name, state.size / 1e9)


def teller(what: str) -> Observer:
    """An observer that logs how far it is, now and then."""
    told = time.monotonic()

    def observe(progress: Progress) -> None:
        nonlocal told
        if progress.done == progress.total or time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            log.info("%s: %.0f %%", what, 100 * progress.done / max(1, progress.total))

    return observe
