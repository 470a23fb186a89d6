"""Low-rank adapters: read, checked against the model, then added to its weights.

Added, an adapter costs nothing at any step. It may change the transformer and what stands between
text encoder and transformer (the distilled adapter does both).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from vivant.engines.ltx2.architecture import Architecture
from vivant.engines.ltx2.fp8 import Float8Linear, quantize_rows
from vivant.engines.ltx2.names import renamed_in_connectors, renamed_in_transformer
from vivant.engines.ltx2.versions import version_of_adapter
from vivant.errors import MissingPartError, OptionError, WeightsError
from vivant.types import Observer, ignore_progress
from vivant.weights import MODELS, Library, find_model, read_header

_PREFIX = r"^(?:model\.diffusion_model\.|diffusion_model\.|transformer\.|base_model\.model\.)?"
_KEY = re.compile(
    _PREFIX + r"(?P<module>.+?)\."
    r"(?P<side>lora_A|lora_B|lora_down|lora_up)(?:\.default)?\.weight$"
)
_ALPHA = re.compile(_PREFIX + r"(?P<module>.+?)\.alpha$")


@dataclass(frozen=True, slots=True)
class LowRankPair:
    """``down`` ``[rank, in]`` and ``up`` ``[out, rank]`` of one linear layer, by their keys.

    ``alpha`` is a key or a value; the pair's scale is alpha / rank, and 1 without.
    """

    down: str
    up: str
    rank: int
    alpha: str | float | None


@dataclass(frozen=True, slots=True)
class Adapter:
    """A checked file: module name → its pair, in the transformer and in the text connectors.

    ``skipped`` names modules of which the file holds ``lora_A`` alone: they change nothing.
    ``version`` is that of LTX-2 it is made for, None where nothing tells.
    """

    path: Path
    scale: float
    pairs: dict[str, LowRankPair]
    text: dict[str, LowRankPair] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    version: str | None = None

    def notes(self) -> list[str]:
        """What the report says of this adapter."""
        notes = []
        if self.skipped:
            notes.append(
                f"{self.path.name} holds only lora_A of {', '.join(self.skipped)}, which changes "
                "nothing without its lora_B: it was skipped."
            )
        if self.version is None:
            notes.append(
                f"Nothing in {self.path.name} or its name tells which version of LTX-2 it is made "
                "for: adapters of one version do not transfer to another."
            )
        return notes


def find_file(source: str, library: Library, observe: Observer = ignore_progress) -> Path:
    """The file of ``source``, fetched if need be.

    Args:
        source: a path; a registered adapter (``camera-static``); or ``owner/repository`` with one
            safetensors file, or ``owner/repository/FILE``.

    Raises:
        MissingPartError: neither a file nor an adapter that can be had.
        OptionError: the repository holds several.
    """
    with suppress(
        OSError, RuntimeError
    ):  # the name is too long for a path, or ~USER does not exist
        path = Path(source).expanduser()
        if path.is_file():
            return path
    try:
        model = find_model(source)
    except OptionError:
        model = None
    if model is None or model.kind != "lora":
        named = ", ".join(name for name, one in MODELS.items() if one.kind == "lora")
        raise MissingPartError(
            f"LoRA file {source} is not there: give a file, owner/repository on the Hub, or one "
            f"of {named}"
        )
    if library.state(source).status == "complete" or library.hub is None:
        folder = library.need(source)
    else:
        folder = library.pull(source, observe).folder
    (name,) = library.lock(source)["files"]
    return folder / str(name)


def inspect(
    path: Path,
    scale: float,
    shapes: dict[str, tuple[int, int]],
    text_shapes: dict[str, tuple[int, int]] | None = None,
    *,
    version: str = "2.0",
    source: str = "",
) -> Adapter:
    """Read an adapter's header and hold it against the model's linear layers.

    Args:
        shapes: module name of the transformer → ``(out, in)``.
        text_shapes: the same of the text connectors.
        version: of the model.
        source: the adapter's name, of the registry or the Hub.

    Raises:
        WeightsError: not an adapter, for another model or version, of a kind that is not
            low-rank pairs alone, or ranks that do not match.
    """
    header = read_header(path)
    metadata = header.pop("__metadata__", None) or {}
    sides, alphas = _sides(path, header)
    told = version_of_adapter(
        {"__metadata__": metadata}, (name for name, _ in sides), f"{source} {path.name}"
    )
    if told is not None and told[0] != version:
        raise WeightsError(
            f"{path.name} is made for LTX-{told[0]} ({told[1]} tells), and the model is "
            f"LTX-{version}: adapters of one version do not transfer to another"
        )
    general = _general_alpha(metadata)
    pairs: dict[str, LowRankPair] = {}
    text: dict[str, LowRankPair] = {}
    skipped: list[str] = []
    for (name, of_text), found in sides.items():
        wide = ((text_shapes or {}) if of_text else shapes).get(name)
        if wide is None:
            raise WeightsError(
                f"{path.name} is made for another model: it changes {name}, which LTX-{version} "
                "has not"
            )
        if set(found) == {"down"} and len(sides) > 1:
            # the official distilled adapter may hold such halves: they add nothing
            skipped.append(name)
            continue
        if set(found) != {"up", "down"}:
            raise WeightsError(f"{path.name} has only one half of {name}: it was cut off")
        rank = _rank(path, name, header[found["down"]], header[found["up"]], wide)
        alpha = alphas.get((name, of_text), general(rank))
        (text if of_text else pairs)[name] = LowRankPair(found["down"], found["up"], rank, alpha)
    if not pairs and not text:
        raise WeightsError(f"{path.name} has only one half of {skipped[0]}: it was cut off")
    return Adapter(path, scale, pairs, text, tuple(skipped), told[0] if told else None)


def _sides(
    path: Path, header: Mapping[str, Any]
) -> tuple[dict[tuple[str, bool], dict[str, str]], dict[tuple[str, bool], str]]:
    """Names of the weights by module and side (``up``, ``down``), and of the alphas by module.

    Raises:
        WeightsError: the file is no LoRA, or more than that.
    """
    sides: dict[tuple[str, bool], dict[str, str]] = {}
    alphas: dict[tuple[str, bool], str] = {}
    strange = None
    for key in header:
        if match := _KEY.match(key):
            side = "down" if match["side"] in ("lora_A", "lora_down") else "up"
            sides.setdefault(_rename(match["module"]), {})[side] = key
        elif match := _ALPHA.match(key):
            alphas[_rename(match["module"])] = key
        else:
            strange = key
    if not sides:
        raise WeightsError(f"{path.name} is not a LoRA: it has no lora_A and lora_B weights")
    if strange is not None:
        raise WeightsError(
            f"{path.name} holds {strange}, which is no part of a LoRA: adapters of other kinds "
            "(DoRA, LoKr, changed biases) would be added only in part, and are refused"
        )
    return sides, alphas


def _rank(
    path: Path,
    name: str,
    down: Mapping[str, Any],
    up: Mapping[str, Any],
    wanted: tuple[int, int],
) -> int:
    """The rank of a pair that fits a layer of ``wanted`` weights.

    Raises:
        WeightsError: it does not fit.
    """
    low, high = tuple(down["shape"]), tuple(up["shape"])
    if len(low) != 2 or len(high) != 2 or (high[0], low[1]) != wanted:
        raise WeightsError(
            f"{path.name} does not fit {name}: it would change {high[0]}×{low[-1]} weights, "
            f"the model has {wanted[0]}×{wanted[1]}"
        )
    if low[0] != high[1]:
        raise WeightsError(
            f"{path.name} has mismatched ranks at {name}: {low[0]} down, {high[1]} up"
        )
    return int(low[0])


def _general_alpha(metadata: Any) -> Any:
    """Rank → the alpha that peft and diffusers write once for a whole file, or None."""
    try:
        config = json.loads(metadata["lora_adapter_metadata"])
        alpha = float(config["transformer.lora_alpha"])
    except (KeyError, ValueError, TypeError):
        return lambda _: None
    # rank-stabilised: scaled by alpha / √rank (arXiv 2312.03732)
    stable = bool(config.get("transformer.use_rslora"))
    return lambda rank: alpha * math.sqrt(rank) if stable else alpha


def _rename(module: str) -> tuple[str, bool]:
    """Diffusers' name, and whether it is one of the text connectors'."""
    name = renamed_in_connectors(module)
    if name is not None:
        return name, True
    return renamed_in_transformer(module), False


def model_shapes(
    architecture: Architecture,
) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]]:
    """Shapes of the linear layers of transformer and text connectors, for :func:`inspect`."""
    from vivant.engines.ltx2.diffusers_classes import (
        LTX2TextConnectors,
        LTX2VideoTransformer3DModel,
    )

    with torch.device("meta"):
        transformer = LTX2VideoTransformer3DModel(**architecture.transformer)
        connectors = LTX2TextConnectors(**architecture.connectors)
    return linear_shapes(transformer), linear_shapes(connectors)


def linear_shapes(transformer: nn.Module) -> dict[str, tuple[int, int]]:
    """Name → ``(out, in)`` of every linear layer; works on the meta device."""
    return {
        name: (module.out_features, module.in_features)
        for name, module in transformer.named_modules()
        if isinstance(module, nn.Linear | Float8Linear)
    }


class WeightDeltas:
    """What adapters add to the layers they change; their files stay open meanwhile.

    Args:
        adapters: in any order: what they add is summed before it is rounded.
        text: what they add to the text connectors, not to the transformer.
    """

    def __init__(self, adapters: Iterable[Adapter], *, text: bool = False) -> None:
        self._adapters = [(one, one.text if text else one.pairs) for one in adapters]
        self._files: list[Any] = []
        self._open = ExitStack()

    def __enter__(self) -> Self:
        for adapter, _ in self._adapters:
            try:
                self._files.append(
                    self._open.enter_context(safe_open(adapter.path, framework="pt"))
                )
            except (SafetensorError, OSError) as error:
                raise WeightsError(f"{adapter.path.name} cannot be read: {error}") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def layers(self) -> list[str]:
        """Names of the layers that are changed."""
        return list(dict.fromkeys(name for _, pairs in self._adapters for name in pairs))

    def of(self, name: str, device: torch.device) -> Tensor | None:
        """Sum of ``scale · alpha / rank · up @ down``, float32, or None where nothing is changed.

        Raises:
            WeightsError: a value is not finite, or a file cannot be read.
        """
        total: Tensor | None = None
        for (adapter, pairs), file in zip(self._adapters, self._files, strict=True):
            pair = pairs.get(name)
            if pair is None:
                continue
            try:
                down: Tensor = file.get_tensor(pair.down).to(device, torch.float32)
                up: Tensor = file.get_tensor(pair.up).to(device, torch.float32)
                alpha = pair.alpha
                if isinstance(alpha, str):
                    alpha = float(file.get_tensor(alpha))
            except SafetensorError as error:
                raise WeightsError(f"{adapter.path.name} cannot be read: {error}") from None
            share = 1.0 if alpha is None else alpha / pair.rank
            delta = (up @ down) * (adapter.scale * share)
            if not bool(torch.isfinite(delta).all()):
                raise WeightsError(
                    f"{adapter.path.name} holds values at {name} that are not finite"
                )
            total = delta if total is None else total + delta
        return total


@torch.no_grad()
def fuse(module: nn.Module, adapters: Iterable[Adapter], *, text: bool = False) -> None:
    """Add what ``adapters`` say to a transformer, or with ``text`` to text connectors.

    Where a layer is fp8 already, it is widened, changed and rounded again.

    Raises:
        WeightsError: a weight is not finite, or a file cannot be read.
    """
    with WeightDeltas(adapters, text=text) as deltas:
        for name in deltas.layers():
            layer: Any = module.get_submodule(name)
            delta = deltas.of(name, layer.weight.device)
            assert delta is not None  # noqa: S101 - the layer is one of those changed
            if isinstance(layer, Float8Linear):
                weight, scale = quantize_rows(layer.dequantized(torch.float32) + delta)
                layer.weight.copy_(weight)
                layer.weight_scale.copy_(scale)
            else:
                layer.weight.copy_((layer.weight.float() + delta).to(layer.weight.dtype))


def text_digest(adapters: Iterable[Adapter]) -> str:
    """SHA-256 of all that ``adapters`` change in the text connectors; empty where they do not."""
    digest = hashlib.sha256()
    changed = False
    for adapter in adapters:
        if not adapter.text or not adapter.scale:
            continue
        changed = True
        digest.update(f"{adapter.scale!r}".encode())
        with safe_open(adapter.path, framework="pt") as file:
            for name, pair in sorted(adapter.text.items()):
                digest.update(f"{name} {pair.rank}".encode())
                for key in (pair.down, pair.up, pair.alpha):
                    value = file.get_tensor(key) if isinstance(key, str) else torch.tensor(key or 0)
                    digest.update(value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest() if changed else ""
