"""The models there are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from vivant.errors import OptionError

LICENCE = (
    "LTX-2 Community License (https://huggingface.co/Lightricks/LTX-2): free below 10 million "
    "US dollars of yearly revenue; clips must be marked as machine-generated"
)


LIGHTRICKS = "47da56e2ad66ce4125a9922b4a8826bf407f9d0a"
"""Commit of ``Lightricks/LTX-2`` (vllm-omni's accuracy tests pin the same). A commit holds the
SHA-256 of every large file, so it pins the bytes as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Files of one repository.

    Attributes:
        revision: a commit, or a branch that the first pull resolves and the lock file then pins.
        patterns: which of the repository's files, as shell patterns.
        sha256: file → hash, where it is known beforehand.
    """

    repo: str
    patterns: tuple[str, ...]
    revision: str = "main"
    sha256: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One entry of the registry.

    Attributes:
        version: of LTX-2: which parts and adapters go together.
        size: bytes to download, about; 0 where nobody said.
        kind: ``model``, or ``lora`` for an adapter.
        single_file: name of the file that holds everything but text encoder and upsampler, or
            the adapter.
        upsampler_file: name of the file of the latent upsampler, where it has no folder.
        image_crf: H.264 quality the model's training pictures had.
    """

    name: str
    parts: tuple[Part, ...]
    size: int = 0
    licence: str = LICENCE
    kind: str = "model"
    single_file: str | None = None
    image_crf: int = 33
    version: str = "2.0"
    upsampler_file: str | None = None


_TEXT = (
    "text_encoder/config.json",
    "text_encoder/generation_config.json",
    # beside it lies a stale copy under another name, 52 GB
    "text_encoder/model*",
    "tokenizer/*",
)
_SOUND = ("audio_vae/config.json", "audio_vae/*.safetensors", "vocoder/*")
"""0.2 GB; a model's single file holds them too."""

_BESIDE = ("vae/*", *_SOUND, "latent_upsampler/*", *_TEXT)
_NETWORK = ("transformer/*", "connectors/*")


def _official(*patterns: str) -> Part:
    return Part(repo="Lightricks/LTX-2", revision=LIGHTRICKS, patterns=patterns)


def _camera(move: str) -> Model:
    file = f"ltx-2-19b-lora-camera-control-{move.lower()}.safetensors"
    return Model(
        name=f"camera-{move.lower()}",
        parts=(Part(repo=f"Lightricks/LTX-2-19b-LoRA-Camera-Control-{move}", patterns=(file,)),),
        kind="lora",
        single_file=file,
    )


LTX_2_3_FILE = "ltx-2.3-22b-distilled-1.1.safetensors"
LTX_2_3_UPSAMPLER = "ltx-2.3-spatial-upscaler-x2-1.1.safetensors"
"""Version 1.1 of both: the upsampler's 1.0 leaves artefacts in the last frames."""

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        # one file of 46.1 GB, upsampler 1.0, and the text encoder of 2.0, 48.8
        Model(
            name="ltx-2.3-22b-distilled",
            parts=(
                Part(repo="Lightricks/LTX-2.3", patterns=(LTX_2_3_FILE, LTX_2_3_UPSAMPLER)),
                _official(*_TEXT),
            ),
            size=96_000_000_000,
            single_file=LTX_2_3_FILE,
            upsampler_file=LTX_2_3_UPSAMPLER,
            version="2.3",
        ),
        # transformer 37.8 GB, text encoder 48.8 (float32 on disk), connectors 2.9, VAE 2.4
        Model(
            name="ltx-2-19b-distilled",
            parts=(
                # converted by a third party from the official file: the Hub holds no other
                Part(repo="rootonchair/LTX-2-19b-distilled", patterns=_NETWORK),
                _official(*_BESIDE),
            ),
            size=93_000_000_000,
        ),
        Model(
            name="ltx-2-19b-distilled-file",
            parts=(
                _official(
                    "ltx-2-19b-distilled.safetensors",
                    "audio_vae/config.json",
                    "latent_upsampler/*",
                    *_TEXT,
                ),
            ),
            size=93_000_000_000,
            single_file="ltx-2-19b-distilled.safetensors",
        ),
        Model(
            name="ltx-2-19b-dev",
            parts=(_official(*_NETWORK, *_BESIDE),),
            size=93_000_000_000,
        ),
        Model(
            name="ltx-2-19b-distilled-lora-384",
            parts=(_official("ltx-2-19b-distilled-lora-384.safetensors"),),
            size=7_670_000_000,
            kind="lora",
            single_file="ltx-2-19b-distilled-lora-384.safetensors",
        ),
        *map(
            _camera,
            ("Static", "Dolly-In", "Dolly-Out", "Dolly-Left", "Dolly-Right", "Jib-Up", "Jib-Down"),
        ),
    )
}
"""The registry. Hashes are not written here: a pinned commit holds them, and where only a branch
is known, the first pull records commit and hashes in the lock file."""


DEFAULT_MODELS = ("ltx-2.3-22b-distilled", "ltx-2-19b-distilled")
"""What recipes use where they name no other: the first of these whose weights are here, and else
the last. The licence asks to use the latest version where that is reasonable."""

DEFAULT_MODEL = DEFAULT_MODELS[-1]
"""What is fetched and told of where nothing is here."""


_REPOSITORY = re.compile(
    r"(?P<repo>[\w-][\w.-]*/[\w-][\w.-]*)(?:/(?P<file>[^\\]+\.safetensors))?", re.ASCII
)


def find_model(name: str) -> Model:
    """The registry's entry, or the adapter in ``owner/repository`` or ``owner/repository/FILE``.

    Raises:
        OptionError: there is none of that name.
    """
    if name in MODELS:
        return MODELS[name]
    match = _REPOSITORY.fullmatch(name)
    if match is None or ".." in name or match["repo"].endswith(".safetensors"):
        known = ", ".join(other for other, model in MODELS.items() if model.kind == "model")
        raise OptionError(f"model {name!r} is unknown: choose one of {known}", param="model")
    # brackets are signs of their own in shell patterns
    wanted = re.sub(r"([*?[])", r"[\1]", match["file"]) if match["file"] else "*.safetensors"
    return Model(
        name=name,
        parts=(Part(repo=match["repo"], patterns=(wanted,)),),
        licence=f"see https://huggingface.co/{match['repo']}",
        kind="lora",
    )
