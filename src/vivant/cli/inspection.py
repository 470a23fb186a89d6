"""What this machine can run, what is missing, and how to get it.

Looks without loading: torch is imported only when it is installed, and only to ask for GPUs.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import psutil
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vivant.cli.language import localized, say
from vivant.environment import CONFIG_FILE

STATUS_STYLES = {"ok": "bold green", "missing": "bold red", "limited": "bold yellow"}

CLIP_BYTES = 100_000_000
"""Disk that one job needs at most, with room to spare."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination.

    Attributes:
        required: without it not even the embedded engine runs.
        remedy: how to get it; empty where nothing is wrong.
    """

    part: str
    status: Literal["ok", "limited", "missing"]
    detail: str
    remedy: str = ""
    required: bool = False


def examine() -> tuple[Finding, ...]:
    """Everything worth knowing, in reading order."""
    return tuple(_findings())


def _findings() -> Iterator[Finding]:
    yield Finding("Python", "ok", platform.python_version())
    yield _machine()
    yield _disk()
    yield _encoder()
    yield _faces()
    yield Finding(
        "engine living",
        "ok",
        "ready: the person breathes, blinks and turns; needs no GPU, no weights, no server",
    )
    yield Finding(
        "engine camera",
        "ok",
        "ready: moves the camera, not the person; needs no GPU, no weights, no server",
    )
    configuration = _configuration()
    yield from _ltx2(weights=configuration.status == "ok")
    yield configuration


def _configuration() -> Finding:
    """Whether the settings can be read: where they cannot, no command runs."""
    from vivant.errors import OptionError
    from vivant.settings import default_settings

    try:
        default_settings()
    except OptionError as error:
        return Finding(
            "configuration", "missing", error.message, f"correct or remove {CONFIG_FILE}, or the "
            "environment variable", required=True,
        )  # fmt: skip
    there = "read" if CONFIG_FILE.is_file() else "not there: defaults"
    return Finding("configuration", "ok", f"{CONFIG_FILE} ({there})", required=True)


def _machine() -> Finding:
    memory = psutil.virtual_memory().total / 1e9
    detail = f"{os.cpu_count()} cores, {memory:.0f} GB memory, {platform.machine()}"
    if memory < 2:
        return Finding("machine", "limited", detail, "a 1080p clip needs about 0.8 GB of memory")
    return Finding("machine", "ok", detail)


def _disk() -> Finding:
    folder = Path.cwd()
    free = shutil.disk_usage(folder).free
    detail = f"{free / 1e9:.1f} GB free in the current directory"
    if not os.access(folder, os.W_OK):
        return Finding(
            "disk", "missing", f"no permission to write in {folder}", "change to another directory"
        )
    if free < CLIP_BYTES:
        return Finding("disk", "missing", detail, f"free {CLIP_BYTES / 1e6:.0f} MB, or use -o")
    return Finding("disk", "ok", detail)


def _encoder() -> Finding:
    import av

    if "libx264" not in av.codecs_available:
        return Finding(
            "encoder",
            "missing",
            f"PyAV {av.__version__} without libx264",
            "install PyAV from its own wheels: uv sync --reinstall-package av",
            required=True,
        )
    return Finding("encoder", "ok", f"PyAV {av.__version__} with libx264", required=True)


def _faces() -> Finding:
    from vivant.errors import MissingPartError
    from vivant.picture.faces import FaceReader

    try:
        FaceReader()
    except MissingPartError as error:
        return Finding("face models", "missing", error.message, "uv sync", required=True)
    return Finding("face models", "ok", "dlib HOG, five points, ResNet embedding", required=True)


def _ltx2(*, weights: bool) -> Iterator[Finding]:
    remedy = "uv sync --extra ltx2"
    missing = [name for name in ("torch", "diffusers", "transformers") if find_spec(name) is None]
    if missing:
        yield Finding("engine ltx2", "missing", f"not installed: {', '.join(missing)}", remedy)
        return
    yield Finding(
        "engine ltx2",
        "ok",
        ", ".join(f"{name} {_version(name)}" for name in ("torch", "diffusers", "transformers")),
    )
    yield from _bytecode(find_spec("torch"))
    import torch

    if not torch.cuda.is_available():
        built = torch.version.cuda is not None
        yield Finding(
            "GPU",
            "missing",
            "no CUDA device: the ltx2 engine needs one with 24 GB or more"
            if built
            else f"torch {torch.__version__} is built without CUDA, and uses no GPU",
            "run it on a GPU machine (nvidia-smi shows the driver's view); the camera engine "
            "needs none"
            if built
            else "install torch's CUDA build: pytorch.org/get-started/locally",
        )
        yield from _weights() if weights else ()
        return
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        capability = (properties.major, properties.minor)
        yield _gpu(properties.name, properties.total_memory, capability)
    yield from _weights() if weights else ()


def _bytecode(spec: ModuleSpec | None) -> Iterator[Finding]:
    """Where Python compiles what the engine imports, 4,000 modules, anew at every start.

    Nothing to say where the bytecode is there, or will be written by the next start.
    """
    if spec is None or spec.cached is None or spec.origin is None or Path(spec.cached).exists():
        return
    folder = Path(spec.origin).parent
    if sys.dont_write_bytecode:
        why = "PYTHONDONTWRITEBYTECODE is set"
    elif not os.access(folder, os.W_OK):
        why = f"{folder} cannot be written"
    else:
        return
    yield Finding(
        "bytecode",
        "limited",
        f"{spec.name} is installed without, and {why}: imports take three times as long",
        "uv sync --extra ltx2 --compile-bytecode",
    )


def _gpu(name: str, memory: int, capability: tuple[int, int]) -> Finding:
    """A GPU, and how the ltx2 engine would lie in its memory."""
    from vivant.engines.ltx2.tiers import (
        BF16_CAPABILITY,
        FA3_MODULES,
        FP8_CAPABILITY,
        SWAP_BYTES,
        SWAP_HOST_BYTES,
        TIERS,
        tier_of,
    )

    detail = f"{name}, {memory / 1e9:.0f} GB"
    if memory < SWAP_BYTES:
        return Finding(
            "GPU",
            "limited",
            f"{detail}: too small for the ltx2 engine",
            f"it needs {SWAP_BYTES / 2**30:.0f} GiB; the camera engine needs no GPU",
        )
    if capability < BF16_CAPABILITY:
        return Finding(
            "GPU",
            "limited",
            f"{detail}: compute capability {capability[0]}.{capability[1]} has no bf16",
            "the ltx2 engine needs Ampere (8.0) or later; the camera engine needs no GPU",
        )
    tier = tier_of(memory)
    detail = f"{detail}: ltx2 tier {tier} ({TIERS[tier]})"
    if capability < FP8_CAPABILITY:
        detail += "; no fp8 products before Ada, so it computes in bf16"
    host = psutil.virtual_memory().total
    if tier == "swap" and host < SWAP_HOST_BYTES:
        return Finding(
            "GPU",
            "limited",
            f"{detail}; {host / 2**30:.0f} GiB of host memory",
            f"tier swap keeps the weights there: {SWAP_HOST_BYTES / 2**30:.0f} GiB are needed",
        )
    if find_spec("triton") is None:
        return Finding(
            "GPU",
            "limited",
            f"{detail}; no Triton: blocks run uncompiled, which is slower",
            "use Linux, where torch brings Triton",
        )
    if capability[0] == 9:
        if any(find_spec(name) is not None for name in FA3_MODULES):
            detail += "; FlashAttention 3 is here"
        else:
            detail += "; uv sync --extra ltx2 --extra hopper makes its steps faster"
    return Finding("GPU", "ok", detail)


def _weights() -> Iterator[Finding]:
    """Every model of the registry that is here, and the default one."""
    from vivant.errors import WeightsError
    from vivant.settings import default_settings
    from vivant.weights import DEFAULT_MODEL, MODELS, Library

    library = Library(default_settings().weights_path)
    for name, model in MODELS.items():
        try:
            state = library.state(name)
        except WeightsError as error:
            yield Finding(f"weights {name}", "limited", error.message)
            continue
        pull = f"vivant weights pull {name}"
        if state.status == "complete":
            quantized = ", fp8 checkpoint" if state.fp8 else ""
            yield Finding(f"weights {name}", "ok", f"{state.size / 1e9:.0f} GB{quantized}")
        elif state.status == "partial":
            of = f" of about {model.size / 1e9:.0f}" if model.size else ""
            have = f"{state.size / 1e9:.0f}{of} GB are here"
            yield Finding(f"weights {name}", "limited", have, f"{pull} goes on")
        elif name == DEFAULT_MODEL == library.default_model():
            place = state.folder
            while not place.exists():
                place = place.parent
            free = shutil.disk_usage(place).free
            more = "" if free > model.size else "; set VIVANT_WEIGHTS_DIR to a larger disk"
            yield Finding(
                f"weights {name}",
                "missing",
                f"not here ({state.folder}, {free / 1e9:.0f} GB free)",
                f"{pull} (about {model.size / 1e9:.0f} GB){more}",
            )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"


def print_table(console: Console, findings: tuple[Finding, ...]) -> None:
    """A table for people."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for finding in findings:
        detail = Text(localized(finding.detail))
        if finding.remedy:
            detail.append(f"\n→ {localized(finding.remedy)}", style="cyan")
        table.add_row(
            Text(localized(finding.part), style="bold"),
            Text(say(f"doctor_{finding.status}"), style=STATUS_STYLES[finding.status]),
            detail,
        )
    console.print(table)
    console.print(f"\n{say('doctor_runs', what=runnable(findings))}", style="bold")
    sys.stdout.flush()


def runnable(findings: tuple[Finding, ...]) -> str:
    """What can be done now, in a sentence, and what the next step to more is."""
    from vivant.weights import MODELS

    if any(finding.status == "missing" and finding.required for finding in findings):
        return say("runs_nothing")
    gpu = any(finding.part == "GPU" and finding.status == "ok" for finding in findings)
    models = {f"weights {name}" for name, model in MODELS.items() if model.kind == "model"}
    weights = any(finding.part in models and finding.status == "ok" for finding in findings)
    if gpu and weights:
        return say("runs_all")
    if gpu:
        return say("runs_without_weights")
    return say("runs_living")
