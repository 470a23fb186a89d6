"""The models there are. Knows nothing of networks or disks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vivant.errors import OptionError

LICENCE = (
    "LTX-2 Community License (https://huggingface.co/Lightricks/LTX-2): free below 10 million "
    "US dollars of yearly revenue; clips must be marked as machine-generated"
)


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
        size: bytes to download, about, for the disk check before the Hub is asked.
        single_file: name of the file that holds everything but the text encoder.
        image_crf: H.264 quality the model's training pictures had.
        family: which engine code runs it; ``ltx-2.0`` is the only one today.
        runs: what is known to run; others are the seam for what comes.
    """

    name: str
    parts: tuple[Part, ...]
    size: int
    licence: str = LICENCE
    kind: str = "model"
    single_file: str | None = None
    image_crf: int = 33
    family: str = "ltx-2.0"


_TEXT = ("text_encoder/*", "tokenizer/*")
_LAYOUT = (
    "model_index.json",
    "scheduler/*",
    "transformer/*",
    "connectors/*",
    "vae/*",
    "audio_vae/*",
    *_TEXT,
)
_UPSAMPLER = Part(repo="Lightricks/LTX-2", patterns=("latent_upsampler/*",))

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(
            name="ltx-2-19b-distilled",
            parts=(Part(repo="rootonchair/LTX-2-19b-distilled", patterns=_LAYOUT), _UPSAMPLER),
            size=70_000_000_000,
        ),
        Model(
            name="ltx-2-19b-distilled-file",
            parts=(
                Part(
                    repo="Lightricks/LTX-2",
                    patterns=("ltx-2-19b-distilled.safetensors", "latent_upsampler/*", *_TEXT),
                ),
            ),
            size=69_000_000_000,
            single_file="ltx-2-19b-distilled.safetensors",
        ),
        Model(
            name="ltx-2-19b-dev",
            parts=(Part(repo="Lightricks/LTX-2", patterns=(*_LAYOUT, "latent_upsampler/*")),),
            size=70_000_000_000,
        ),
        Model(
            name="ltx-2-19b-distilled-lora-384",
            parts=(
                Part(
                    repo="Lightricks/LTX-2",
                    patterns=("ltx-2-19b-distilled-lora-384.safetensors",),
                ),
            ),
            size=7_670_000_000,
            kind="lora",
            single_file="ltx-2-19b-distilled-lora-384.safetensors",
        ),
    )
}
"""The registry. No hash is known beforehand: the first pull records them in the lock file."""


DEFAULT_MODEL = "ltx-2-19b-distilled"
"""What recipes use where they name no other."""


def find_model(name: str) -> Model:
    """The registry's entry.

    Raises:
        OptionError: there is none of that name.
    """
    if name not in MODELS:
        raise OptionError(
            f"model {name!r} is unknown: choose one of {', '.join(MODELS)}", param="model"
        )
    return MODELS[name]
