"""Upscalers on torch: against OpenCV's, and from files whole and broken."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from vivant.errors import MissingPartError, OptionError, VivantError, WeightsError
from vivant.types import Clip, Frames, ignore_progress
from vivant.upscale import load_upscaler
from vivant.upscale.edsr import EDSR
from vivant.upscale.torch_resize import TorchLanczosUpscaler, weights

torch.set_num_threads(1)


def picture() -> Frames:
    rows, columns = np.mgrid[0:88, 0:160] / 9.0
    waves = [
        127 + 100 * np.sin(rows),
        127 + 90 * np.cos(columns),
        127 + 60 * np.sin(rows + columns),
    ]
    return np.stack(waves, -1).astype(np.uint8)[None].repeat(3, 0)


def clip() -> Clip:
    frames = picture()
    return Clip(3, Fraction(24), 160, 88, iter([frames[:2], frames[2:]]))


def test_lanczos_on_torch_is_lanczos() -> None:
    sizes = {"width": 240, "height": 136, "observe": ignore_progress}
    ours = TorchLanczosUpscaler("cpu").upscale(clip(), **sizes)  # type: ignore[arg-type]
    theirs = load_upscaler("lanczos").upscale(clip(), **sizes)  # type: ignore[arg-type]
    a, b = (np.concatenate(list(made.chunks)).astype(int) for made in (ours, theirs))
    assert a.shape == (3, 136, 240, 3)
    assert np.abs(a - b).max() <= 3
    same = weights(7, 0, 7, 7)
    torch.testing.assert_close(same, torch.eye(7), atol=1e-6, rtol=0)
    assert weights(50, 3, 40, 17).sum(1) == pytest.approx(np.ones(17), abs=1e-5)


@pytest.mark.parametrize("scale", [2, 4])
def test_edsr_files_are_read_by_their_shapes(tmp_path: Path, scale: int) -> None:
    path = tmp_path / "net.pt"
    torch.save(EDSR(8, 2, scale).state_dict(), path)
    upscaler = load_upscaler(str(path))
    assert upscaler.name == "edsr (net)"
    made = upscaler.upscale(clip(), width=240, height=136, observe=ignore_progress)
    assert sum(len(chunk) for chunk in made.chunks) == 3


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("none.pth", None, MissingPartError),
        ("text.pth", b"hello", WeightsError),
        ("EDSR_x2.pb", b"hello", WeightsError),
        ("network.pb", b"hello", OptionError),
        ("bad.safetensors", b"hello", WeightsError),
    ],
)
def test_files_that_are_no_upscalers(
    tmp_path: Path, name: str, content: bytes | None, kind: type[VivantError]
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(kind):
        load_upscaler(str(tmp_path / name))
