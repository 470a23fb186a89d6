"""The text path: Gemma layer by layer from files of any layout, its tokens, what is held when."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vivant.engines.ltx2 import tiny
from vivant.engines.ltx2.architecture import TINY_2_0
from vivant.engines.ltx2.prompts import PromptEncoder, tokenize
from vivant.engines.ltx2.text_encoder import streamed_text_encoder
from vivant.errors import MissingPartError, WeightsError

CPU = torch.device("cpu")
LAYOUTS = {
    "text alone": ("", False),
    "text model": ("model.", False),
    "before transformers 4.52": ("language_model.model.", True),
    "since transformers 4.52": ("model.language_model.", True),
}
"""Prefix of the tensors' names, and whether vision tower and LM head lie beside them."""


def write_text_encoder(folder: Path, layout: str = "since transformers 4.52") -> Any:
    """A tiny Gemma 3 on disk, in two files; the model it was made of."""
    from transformers import Gemma3Config

    model = tiny.tiny_text_encoder()
    with torch.no_grad():
        for index, parameter in enumerate(model.parameters()):
            parameter.normal_(generator=torch.Generator().manual_seed(index), std=0.2)
    prefix, whole = LAYOUTS[layout]
    state = {prefix + name: value.clone() for name, value in model.state_dict().items()}
    config: Any = model.config
    if whole:
        config = Gemma3Config(text_config=config.to_dict())
        head = "language_model.lm_head.weight" if "before" in layout else "lm_head.weight"
        beside = "" if "before" in layout else "model."
        state[head] = torch.ones(64, 16)
        state[f"{beside}vision_tower.vision_model.post_layernorm.weight"] = torch.ones(3)
        state[f"{beside}multi_modal_projector.mm_input_projection_weight"] = torch.ones(3)
    config.save_pretrained(folder)
    names = sorted(state)
    for number, some in enumerate((names[::2], names[1::2])):
        save_file({name: state[name] for name in some}, folder / f"model-{number}.safetensors")
    return model


def hidden_states(model: Any) -> tuple[Tensor, ...]:
    ids = torch.tensor([[0, 2, 9, 11], [2, 7, 8, 30]])
    mask = torch.tensor([[0, 1, 1, 1], [1, 1, 1, 1]])
    with torch.no_grad():
        out = model(input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False)
    states: tuple[Tensor, ...] = out.hidden_states
    return states


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layer_by_layer_is_the_whole_model(tmp_path: Path, layout: str) -> None:
    whole = write_text_encoder(tmp_path, layout)
    with streamed_text_encoder(tmp_path, torch.float32, CPU) as model:
        for ours, theirs in zip(hidden_states(model), hidden_states(whole), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
        hidden_states(model)  # and again


def test_one_layer_is_in_memory_at_a_time(tmp_path: Path) -> None:
    write_text_encoder(tmp_path)
    most = 0
    with streamed_text_encoder(tmp_path, torch.float32, CPU) as model:

        def count(*_: Any) -> None:
            nonlocal most
            there = [i for i, layer in enumerate(model.layers) if not on_meta(layer)]
            most = max(most, len(there))

        for layer in model.layers:
            layer.mlp.register_forward_hook(count)
        hidden_states(model)
        assert all(on_meta(layer) for layer in model.layers)
    assert most == 1
    assert on_meta(model)


def on_meta(module: Any) -> bool:
    return all(parameter.is_meta for parameter in module.parameters())


def rewrite(folder: Path, change: Any) -> None:
    """Both files as one, changed."""
    paths = sorted(folder.glob("*.safetensors"))
    state = {name: value for path in paths for name, value in load_file(path).items()}
    change(state)
    for path in paths:
        path.unlink()
    save_file(state, paths[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda s: s.pop("model.language_model.embed_tokens.weight"),
            "lacks tensors: embed_tokens.weight",
        ),
        (lambda s: s.update({"model.extra.weight": torch.ones(2)}), "has not: model.extra.weight"),
        (
            lambda s: s.update({"model.language_model.embed_tokens.weight": torch.ones(64, 8)}),
            r"another shape: model.language_model.embed_tokens.weight \(64, 8\), not \(64, 16\)",
        ),
        # a third layout, which transformers would fill with random weights
        (
            lambda s: s.update({f"text.{name}": s.pop(name) for name in list(s)}),
            r"has not: text\.lm_head\.weight, text\.model\..* and \d+ more",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path: Path, change: Any, words: str) -> None:
    write_text_encoder(tmp_path)
    rewrite(tmp_path, change)
    with (
        pytest.raises(WeightsError, match=words),
        streamed_text_encoder(tmp_path, torch.float32, CPU),
    ):
        pass


def test_folders_that_hold_no_gemma_3(tmp_path: Path) -> None:
    def refused(kind: type[Exception], words: str) -> None:
        with (
            pytest.raises(kind, match=words),
            streamed_text_encoder(tmp_path, torch.float32, CPU),
        ):
            pass

    refused(MissingPartError, "a prompt is new: pull the model again")
    (tmp_path / "config.json").write_text("{}")
    refused(WeightsError, "is no configuration of a text encoder")
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    refused(WeightsError, "is a llama: LTX-2.0 and 2.3 use Gemma 3")
    write_text_encoder(tmp_path)
    path = tmp_path / "model-1.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    refused(WeightsError, "cut off")


# -- tokens --------------------------------------------------------------------------------


class NoBos(tiny.TinyTokenizer):
    """A tokenizer that leaves the first token out, as Gemma 4's does."""

    def __call__(self, texts: Any, **options: Any) -> Any:
        out = super().__call__(texts, **{**options, "max_length": 100})
        return type(out)({"input_ids": out.input_ids[1:][: options["max_length"]]})


@pytest.mark.parametrize("text", ["", "ab", "a" * 40])
def test_every_prompt_begins_with_bos(text: str) -> None:
    ids, mask = tokenize(NoBos(), (text, "x"), 16)
    own, own_mask = tokenize(tiny.TinyTokenizer(), (text, "x"), 16)
    assert torch.equal(ids, own)
    assert torch.equal(mask, own_mask)
    for row, valid in zip(ids, mask, strict=True):
        assert row[valid.bool()][0] == tiny.TinyTokenizer.bos_token_id
        assert not row[~valid.bool()].any()
        assert mask.shape == (2, 16)


def test_a_tokenizer_without_bos_is_refused() -> None:
    tokenizer = tiny.TinyTokenizer()
    tokenizer.bos_token_id = None  # type: ignore[assignment]
    with pytest.raises(WeightsError, match="no BOS token"):
        tokenize(tokenizer, ("a",), 16)


# -- what is held when ---------------------------------------------------------------------


def test_text_encoder_and_connectors_are_never_there_together() -> None:
    from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors

    events: list[str] = []

    @contextmanager
    def text_encoder() -> Iterator[Any]:
        events.append("text encoder")
        yield tiny.tiny_text_encoder()
        events.append("freed")

    def connectors() -> Any:
        events.append("connectors")
        return tiny.build(LTX2TextConnectors, TINY_2_0.connectors)

    encode = PromptEncoder(
        tokenizer=tiny.TinyTokenizer,
        text_encoder=text_encoder,
        connectors=connectors,
        device=CPU,
        max_tokens=16,
    )
    both = list(encode(("a", "b")))
    # once each, for both texts
    assert events == ["text encoder", "freed", "connectors"]
    for text, together in zip(("a", "b"), both, strict=True):
        (alone,) = encode((text,))
        torch.testing.assert_close(alone, together, atol=1e-6, rtol=0)
