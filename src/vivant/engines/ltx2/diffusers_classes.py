"""The classes of diffusers that LTX-2 is made of, without the rest of diffusers.

``diffusers.models.autoencoders`` imports every autoencoder there is, and those import every U-Net
and transformer; mix-ins for LoRA and for
quantizing import transformers and SciPy. A clip needs none of that, and it
takes seconds of every start. So their files are imported while the packages they lie in are
bare: known by their folder, with nothing of their ``__init__`` run. Afterwards the bare packages
are taken away again, so that whoever imports them later gets the real ones.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

from vivant.engines.ltx2.without_compiler import without_compiler

BARE: Final = (
    "diffusers.loaders",
    "diffusers.models.autoencoders",
    "diffusers.models.transformers",
    "diffusers.models.unets",
    "diffusers.pipelines",
    "diffusers.pipelines.ltx2",
    "diffusers.quantizers",
)
"""Packages whose ``__init__`` is not run."""

PLACEHOLDERS: Final = {
    "diffusers.loaders": ("FromOriginalModelMixin", "PeftAdapterMixin"),
    "diffusers.quantizers": ("DiffusersAutoQuantizer", "DiffusersQuantizer"),
}
"""Classes that these files take from bare packages: they serve methods Vivant does not call."""


@contextmanager
def _no_distributions() -> Iterator[None]:
    """Spare diffusers the question which distribution each package is of.

    From Python 3.12 on the answer looks for every file that is installed, for 1.3 s. Diffusers
    needs it for three packages alone, by which it can quantize: Vivant does not.
    """
    ask = importlib.metadata.packages_distributions
    importlib.metadata.packages_distributions = dict
    try:
        yield
    finally:
        importlib.metadata.packages_distributions = ask


@contextmanager
def _bare_packages() -> Iterator[None]:
    """Packages of :data:`BARE` that are not imported yet are bare inside the block."""
    with _no_distributions():
        import diffusers

    added: dict[str, ModuleType] = {}
    for name in BARE:
        if name in sys.modules:
            continue
        package = ModuleType(name)
        folder = Path(diffusers.__file__).parent.joinpath(*name.split(".")[1:])
        package.__path__ = [str(folder)]
        added[name] = sys.modules[name] = package
    for name in PLACEHOLDERS.keys() & added.keys():
        for placeholder in PLACEHOLDERS[name]:
            setattr(added[name], placeholder, type(placeholder, (), {"__module__": name}))
    try:
        yield
    finally:
        for name, package in added.items():
            if sys.modules.get(name) is package:
                del sys.modules[name]
            parent, _, leaf = name.rpartition(".")
            owner = sys.modules.get(parent)
            if owner is not None and owner.__dict__.get(leaf) is package:
                delattr(owner, leaf)


def _classes() -> tuple[Any, ...]:
    with _bare_packages():
        return tuple(
            getattr(importlib.import_module(f"diffusers.{module}"), name)
            for module, name in (
                ("models.autoencoders.autoencoder_kl_ltx2", "AutoencoderKLLTX2Video"),
                ("models.transformers.transformer_ltx2", "LTX2VideoTransformer3DModel"),
                ("pipelines.ltx2.connectors", "LTX2TextConnectors"),
                ("pipelines.ltx2.latent_upsampler", "LTX2LatentUpsamplerModel"),
            )
        )


(
    AutoencoderKLLTX2Video,
    LTX2VideoTransformer3DModel,
    LTX2TextConnectors,
    LTX2LatentUpsamplerModel,
) = without_compiler(_classes)


class SoundClasses(NamedTuple):
    """Classes of the sound of one version; ``resampler`` is a layer of 2.3's vocoder."""

    vae: Any
    vocoder: Any
    resampler: Any


def sound_classes(version: str) -> SoundClasses:
    """Imported only when a clip has sound."""

    def found() -> SoundClasses:
        with _bare_packages():
            name = "diffusers.models.autoencoders.autoencoder_kl_ltx2_audio"
            vae = importlib.import_module(name).AutoencoderKLLTX2Audio
            vocoders = importlib.import_module("diffusers.pipelines.ltx2.vocoder")
        vocoder = vocoders.LTX2Vocoder if version == "2.0" else vocoders.LTX2VocoderWithBWE
        return SoundClasses(vae, vocoder, vocoders.UpSample1d)

    return without_compiler(found)
