"""Everything a request may ask of the LTX-2 engine, and everything it may not. No torch."""

from __future__ import annotations

import itertools
import subprocess
import sys
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivant.engines import ENGINES, OPTIONS, options_of
from vivant.engines.ltx2.options import Lora, LTX2Fields, LTX2Options
from vivant.engines.ltx2.recipes import (
    DISTILLED_SIGMAS,
    RECIPES,
    SEED_SIGMAS,
    check_grid,
    grid_for,
    sigmas_for,
)
from vivant.errors import OptionError
from vivant.types import Request


def read(num_frames: int = 97, width: int = 1920, height: int = 1080, **options: Any) -> Any:
    return LTX2Options.from_request(
        Request(image=b"", num_frames=num_frames, width=width, height=height, options=options)
    )


def test_the_seed_recipe_is_the_users() -> None:
    options = read()
    assert (options.width, options.height) == (1280, 704)
    assert options.recipe.sigmas == SEED_SIGMAS
    assert len(SEED_SIGMAS) == 10
    assert options.nag
    assert options.recipe.stages == 1
    assert read(grid="1280x736").height == 736


@pytest.mark.parametrize(
    ("recipe", "size", "expected"),
    [
        ("fast", (1920, 1080), (1280, 704)),
        ("fast", (1080, 1920), (704, 1280)),
        ("fast", (1080, 1080), (960, 960)),
        ("native", (1920, 1080), (1920, 1088)),
        ("native", (1080, 1920), (1088, 1920)),
        ("native", (1080, 1080), (1088, 1088)),
    ],
)
def test_grids(recipe: str, size: tuple[int, int], expected: tuple[int, int]) -> None:
    options = read(recipe=recipe, width=size[0], height=size[1])
    assert (options.width, options.height) == expected


@given(
    st.integers(32, 1024).map(lambda n: 2 * n),
    st.integers(32, 1024).map(lambda n: 2 * n),
    st.sampled_from(sorted(RECIPES)),
)
def test_every_size_has_a_grid(width: int, height: int, name: str) -> None:
    recipe = RECIPES[name]
    grid = grid_for(recipe, width, height)
    check_grid(*grid, recipe.stages)
    if recipe.stages == 2:
        assert 0 <= grid[0] - width < 64
        assert 0 <= grid[1] - height < 64
    elif 0.4 < width / height < 2.5:
        assert abs(grid[0] / grid[1] / (width / height) - 1) < 0.08


@given(st.integers(1, 50))
def test_any_number_of_steps_falls_from_one(steps: int) -> None:
    sigmas = sigmas_for(steps)
    assert len(sigmas) == steps
    assert sigmas[0] == 1.0
    assert all(a > b > 0 for a, b in itertools.pairwise(sigmas))
    assert sigmas_for(8) == pytest.approx(DISTILLED_SIGMAS)
    assert sigmas_for(10) == SEED_SIGMAS


@pytest.mark.parametrize(
    ("options", "param", "words"),
    [
        ({"recipe": "best"}, "recipe", "choose seed, fast, native"),
        ({"recipe": ["fast"]}, "recipe", "choose seed, fast, native"),
        ({"steps": None}, "steps", "has no value"),
        ({"nag_skale": 3}, "nag_skale", "has no option 'nag_skale'"),
        ({"nag_scale": 0.5}, "nag_scale", "outside 1…20"),
        ({"nag_tau": "high"}, "nag_tau", "not a number"),
        ({"nag_tau": 0.9}, "nag_tau", "outside 1…10"),
        ({"nag_alpha": 1.1}, "nag_alpha", "outside 0…1"),
        ({"nag_alpha": float("nan")}, "nag_alpha", "outside"),
        ({"nag_to_sigma": 2}, "nag_to_sigma", "outside 0…1"),
        ({"nag_to_sigma": 0.5}, "nag_to_sigma", "below nag_from_sigma 0.725"),
        ({"model": "sora"}, "model", "choose one of ltx-2.3-22b-distilled, ltx-2-19b-distilled, "),
        ({"model": "camera-static"}, "model", "is an adapter"),
        ({"model": "owner/repository"}, "model", "is an adapter"),
        ({"nag": "maybe"}, "nag", "neither on nor off"),
        ({"steps": 0}, "steps", "outside 1…50"),
        ({"steps": 8.5}, "steps", "whole number"),
        ({"steps": True}, "steps", "outside 1…50"),
        ({"gpus": 3}, "gpus", "choose 1, 2, 4, 8"),
        ({"compile": "maybe"}, "compile", "neither on nor off"),
        ({"steps": 8, "sigmas": "1,0.5"}, "sigmas", "not both"),
        ({"sigmas": "1,0.5,0.7"}, "sigmas", "must fall"),
        ({"sigmas": "1,0.5,0"}, "sigmas", "above 0"),
        ({"sigmas": [1.5, 1]}, "sigmas", "at most 1"),
        ({"sigmas": []}, "sigmas", "0 values"),
        ({"sigmas": "1,x"}, "sigmas", "not a number"),
        ({"sigmas": {"a": 1}}, "sigmas", "not a list"),
        ({"grid": "1280x720"}, "grid", "use 704 or 736"),
        ({"grid": "1280"}, "size", "WIDTHxHEIGHT"),
        ({"grid": "1248x704", "recipe": "native"}, "grid", "multiple of 64"),
        ({"grid": "4096x704"}, "grid", "64…2048"),
        ({"image_crf": 52}, "image_crf", "outside 0…51"),
        ({"image_crf": 3.5}, "image_crf", "whole number"),
        ({"image_strength": -1}, "image_strength", "outside 0…1"),
        ({"end_anchor": 2}, "end_anchor", "outside 0…1"),
        ({"motion_speed": 0}, "motion_speed", "outside 0.1…4"),
        ({"tier": "12gb"}, "tier", "choose auto, resident, fp8, swap"),
        ({"precision": "int4"}, "precision", "choose auto, bf16, fp8"),
        ({"attention": "sage"}, "attention", "choose auto"),
        ({"weights": "mine"}, "weights", "choose hub"),
        ({"loras": 3}, "loras", "not a list"),
        ({"loras": [3]}, "loras", "not a file or owner/repository"),
        ({"loras": [("a.safetensors", "big")]}, "lora scale", "not a number"),
        ({"loras": "a.safetensors:9"}, "lora scale", "outside -4…4"),
    ],
)
def test_impossible_options(options: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        read(**options)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("count", "words"), [(96, "89 or 97"), (100, "97 or 105"), (1, "9"), (1000, "481")]
)
def test_impossible_frame_counts(count: int, words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        read(num_frames=count)
    assert caught.value.param == "num_frames"


def test_strings_of_a_command_line_are_understood() -> None:
    options = read(
        nag="off",
        compile="no",
        image_crf="18",
        loras="/a b/c:d.safetensors:0.5,owner/repo,x.safetensors:-1",
        sigmas="1,0.5",
    )
    assert not options.nag
    assert not options.compile
    assert options.image_crf == 18
    assert options.recipe.sigmas == (1.0, 0.5)
    assert options.loras == (
        Lora("/a b/c:d.safetensors", 0.5),
        Lora("owner/repo", 1.0),
        Lora("x.safetensors", -1.0),
    )
    assert read(sigmas=0.5).recipe.sigmas == (0.5,)
    assert read(steps="1e1").recipe.sigmas == SEED_SIGMAS
    assert read(compile="auto").compile is None


def test_every_form_of_an_adapter() -> None:
    assert read(loras=[["a", 0.5], {"source": "b", "scale": 2}, "c:1e-1"]).loras == (
        Lora("a", 0.5),
        Lora("b", 2.0),
        Lora("c", 0.1),
    )


def test_without_a_negative_prompt_there_is_no_guidance() -> None:
    request = Request(image=b"", negative_prompt="  ", fps=Fraction(24))
    assert not LTX2Options.from_request(request).nag


def test_option_names_are_the_fields_people_set() -> None:
    assert {"recipe", "steps", "sigmas", "grid", "nag_scale", "loras", "model"} <= set(
        LTX2Fields.model_fields
    )


def test_options_and_registry_load_no_torch() -> None:
    code = (
        "import sys, vivant, vivant.engines, vivant.upscalers, vivant.weights, vivant.cli.weights;"
        "import vivant.engines.ltx2.options, vivant.engines.ltx2.recipes;"
        "assert 'torch' not in sys.modules and 'diffusers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_registry_knows_the_options_of_every_engine() -> None:
    assert list(OPTIONS) == list(ENGINES)
    assert [options_of(name).engine for name in ENGINES] == list(ENGINES)
    with pytest.raises(OptionError, match="choose one of living, camera, ltx2, fake"):
        options_of("sora")
