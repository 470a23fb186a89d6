"""Which version of LTX-2 a file is of, told from its header or configuration. No torch.

Parts of two versions are refused before anything is loaded: most of their tensors have the same
shapes, so that a wrong pair loads and draws nonsense.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from vivant.errors import WeightsError
from vivant.weights import FP8_FOLDER, Model, read_header

MISSING: Final[Mapping[str, tuple[str, ...]]] = {
    "2.5": (
        "the Gemma 4 text encoder",
        "the ancestral Euler sampler of stage 1 with noise of its own",
        "feed-forward layers without bias",
        "the keyframe embedding of the first latent frame",
        "the diffusion decoder",
    )
}
"""What a later version has and this engine has not. An empty entry here, with an architecture of
its own, is a version that is supported."""


def check_parts(model: Model, folder: Path, *, two_stages: bool) -> None:
    """Refuse a folder whose parts are not all of the model's version.

    Files that are not there are not judged: they are missed where they are read.

    Raises:
        WeightsError: naming both parts and both versions; or a version that is not supported.
    """
    found: dict[str, tuple[Path, str]] = {}
    for part, path, version in _versions(model, folder):
        if version is None or (part == "upsampler" and not two_stages):
            continue
        refuse_unsupported(version, path)
        found.setdefault(part, (path, version))
    main, wanted = found.get("transformer", (Path(model.name), model.version))
    if wanted != model.version:
        raise WeightsError(
            f"{main} is of LTX-{wanted}, and {model.name} is LTX-{model.version}: pull the model "
            "again"
        )
    for part, (path, version) in found.items():
        if version != wanted:
            raise WeightsError(
                f"{path} is the {part} of LTX-{version}, and {main} the transformer of "
                f"LTX-{wanted}: parts of two versions do not work together; pull the model again"
            )


def refuse_unsupported(version: str, path: Path) -> None:
    """Refuse what is of a later version.

    Raises:
        WeightsError: with what is missing to run it.
    """
    if version in MISSING:
        raise WeightsError(
            f"{path} is of LTX-{version}, which is not supported yet. Missing are: "
            f"{', '.join(MISSING[version])}. Choose a model of LTX-2.0 or 2.3"
        )


def _versions(model: Model, folder: Path) -> Iterable[tuple[str, Path, str | None]]:
    """Part, file or folder, and version where that can be told."""
    if model.single_file and (folder / model.single_file).is_file():
        path = folder / model.single_file
        header = read_header(path)
        yield "transformer", path, version_of_header(header)
    for part, name, judge in (
        ("transformer", "transformer", _of_transformer),
        ("transformer", FP8_FOLDER, _of_transformer),
        ("connectors", "connectors", _of_connectors),
        ("vae", "vae", _of_vae),
        ("upsampler", "latent_upsampler", _of_upsampler),
        ("text encoder", "text_encoder", _of_text_encoder),
    ):
        config = _config(folder / name / "config.json")
        if config is not None:
            yield part, folder / name, judge(config)
    if model.upsampler_file and (folder / model.upsampler_file).is_file():
        path = folder / model.upsampler_file
        yield "upsampler", path, _of_upsampler_tensors(read_header(path))


def _config(path: Path) -> dict[str, Any] | None:
    """A configuration; None where there is none, or where it is none: its reader will say so."""
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return config if isinstance(config, dict) else None


def _of_transformer(config: Mapping[str, Any]) -> str:
    if config.get("use_keyframes_abs_pos_embedding") or not config.get("ff_bias", True):
        return "2.5"
    return "2.3" if config.get("cross_attn_mod") and config.get("gated_attn") else "2.0"


def _of_connectors(config: Mapping[str, Any]) -> str:
    return "2.3" if config.get("per_modality_projections") else "2.0"


def _of_vae(config: Mapping[str, Any]) -> str:
    # the fourth level of the decoder
    return "2.3" if len(config.get("decoder_block_out_channels", ())) > 3 else "2.0"


def _of_upsampler(config: Mapping[str, Any]) -> str:
    return "2.0" if config.get("use_rational_resampler", True) else "2.3"


def _of_upsampler_tensors(header: Mapping[str, Any]) -> str | None:
    if "upsampler.0.weight" in header:
        return "2.3"
    return "2.0" if "upsampler.conv.weight" in header else None


def _of_text_encoder(config: Mapping[str, Any]) -> str | None:
    # one Gemma 3 serves both versions
    return "2.5" if str(config.get("model_type", "")).startswith("gemma4") else None


def version_of_header(header: Mapping[str, Any]) -> str:
    """The version of a file that holds all parts.

    By its parts, not by what it calls itself: ``model_version`` is kept by files that were changed.
    """
    names = [name for name in header if name.startswith("model.diffusion_model.")]
    if any(name.endswith("keyframes_abs_pos_embedding") for name in names):
        return "2.5"
    blocks = {name for name in names if ".transformer_blocks.0." in name}
    bias = [name for name in blocks if name.endswith(".transformer_blocks.0.ff.net.2.bias")]
    if blocks and not bias:
        return "2.5"
    return "2.3" if any("prompt_adaln_single" in name for name in names) else "2.0"


_FILE_NAME = re.compile(r"ltx[-_. ]?2?[-_. ]?(?P<version>2[._]3|2[._]5|(?:19|22)b)", re.IGNORECASE)
_SIZES = {"19b": "2.0", "22b": "2.3"}


def version_of_adapter(
    header: Mapping[str, Any], modules: Iterable[str], name: str
) -> tuple[str, str] | None:
    """The version an adapter is made for, and what tells it; None where nothing does.

    Args:
        modules: diffusers' names of what it changes.
        name: of the registry, the repository or the file.
    """
    modules = list(modules)
    if any("to_gate_logits" in m or "prompt_adaln" in m or "_text_proj_in" in m for m in modules):
        return "2.3", "the layers it changes"
    if any(m == "text_proj_in" or "caption_projection" in m for m in modules):
        return "2.0", "the layers it changes"
    metadata = header.get("__metadata__") or {}
    for key in ("model_version", "base_model_version", "ss_base_model_version"):
        if match := re.search(r"2\.(\d)", str(metadata.get(key, ""))):
            return f"2.{match[1]}", f"its field {key}"
    if match := _FILE_NAME.search(name):
        told = match["version"].lower().replace("_", ".")
        return _SIZES.get(told, told), "its name"
    return None
