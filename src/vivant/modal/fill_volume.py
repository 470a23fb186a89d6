"""Downloads weights into a Volume, with the code of ``vivant weights pull``."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from vivant.service import logs
from vivant.settings import Settings
from vivant.types import Observer, Progress
from vivant.weights import Hub, Library, find_model

MODEL_SETS = {
    "distilled": ("ltx-2-19b-distilled",),
    "lora": ("ltx-2-19b-dev", "ltx-2-19b-distilled-lora-384"),
}
"""Kind of container → the models it needs. A model's own name is accepted too."""

LOG_SECONDS = 10.0
"""Seconds between two lines of progress."""

log = logging.getLogger("vivant.modal.fill_volume")


def fill_volume(
    settings: Settings, wanted: str, *, quantize: bool, commit: Callable[[], None]
) -> None:
    """Download what is missing, hash it, and write the fp8 transformer that containers load.

    Args:
        settings: with ``weights_dir`` on the Volume.
        wanted: a key of :data:`MODEL_SETS`, or a model's name.
        quantize: write the fp8 transformer if it is missing.
        commit: makes the Volume's changes permanent, e.g. ``Volume.commit``.

    Raises:
        OptionError: no such model.
        MachineError: the Hub does not answer, or the Volume cannot be written.
    """
    logs.configure(settings.log_format)
    names = MODEL_SETS.get(wanted, (wanted,))
    models = [find_model(name) for name in names]
    library = Library(settings.weights_path, Hub(settings.hub_url, settings.hub_token))
    for model in models:
        log.info("licence: %s", model.licence)
        state = library.pull(model.name, progress_logger(f"pulling {model.name}"))
        commit()
        if quantize and model.kind == "model" and not state.fp8:
            from vivant.engines.ltx2.fp8_checkpoint import quantize_folder

            quantize_folder(model, state.folder, progress_logger(f"quantizing {model.name}"))
            commit()
        log.info("%s is complete: %.1f GB", model.name, state.size / 1e9)


def progress_logger(what: str) -> Observer:
    """An observer that logs the progress every :data:`LOG_SECONDS` and at the end."""
    last = time.monotonic()

    def observe(progress: Progress) -> None:
        nonlocal last
        if progress.done == progress.total or time.monotonic() - last > LOG_SECONDS:
            last = time.monotonic()
            log.info("%s: %.0f %%", what, 100 * progress.done / max(1, progress.total))

    return observe
