"""Upscalers on torch: against OpenCV's, and from files whole and broken."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from vivant.errors import (
    MissingPartError,
    OptionError,
    OutOfMemoryError,
    VivantError,
    WeightsError,
)
from vivant.types import Clip, Frames, YuvUpscaler, ignore_progress
from vivant.upscalers import load_upscaler, torch_yuv
from vivant.upscalers.edsr import EDSR
from vivant.upscalers.torch_resize import TorchLanczosUpscaler, weights
from vivant.video import encoder
from vivant.video.writer import VideoWriter

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


@pytest.mark.parametrize("size", [(64, 96), (8, 12), (1080, 1920)])
def test_yuv_by_torch_is_the_encoders(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    noise[: size[0] // 2, : size[1] // 2] = noise[0, 0] // 200 * 255  # an edge of full contrast
    made = torch_yuv.to_yuv(torch.from_numpy(noise)[None])[0].numpy()
    np.testing.assert_array_equal(made, encoder.to_yuv(noise).to_ndarray())


def test_a_clip_converted_by_the_upscaler_has_the_same_bytes(tmp_path: Path) -> None:
    upscaler = TorchLanczosUpscaler("cpu")
    assert isinstance(upscaler, YuvUpscaler)
    assert not upscaler.yuv  # on a CPU the encoder's own conversion is faster
    how: dict[str, Any] = {"width": 240, "height": 136, "observe": ignore_progress}
    plain, converted = upscaler.upscale(clip(), **how), upscaler.upscale_to_yuv(clip(), **how)
    assert converted.num_frames == 3
    files: list[Path] = []
    for made in (plain, converted):
        files.append(tmp_path / f"{len(files)}.mp4")
        with VideoWriter(
            files[-1],
            width=240,
            height=136,
            fps=Fraction(24),
            quality="standard",
            comment="",
            cores=1,
            on_written=lambda _: None,
            on_decoded=None,
        ) as writer:
            for chunk in made.chunks:
                writer.put(chunk)
            writer.close()
            writer.finish()
    assert files[0].read_bytes() == files[1].read_bytes()


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


def graph(weights: npt.NDArray[np.float64]) -> bytes:
    """A frozen TensorFlow graph of ESPCN's kind, by hand: one convolution, depth to space."""

    def varint(value: int) -> bytes:
        more = value >> 7
        return bytes([value & 127 | (128 if more else 0)]) + (varint(more) if more else b"")

    def field(number: int, data: bytes) -> bytes:
        return varint(number << 3 | 2) + varint(len(data)) + data

    def plain(number: int, value: int) -> bytes:
        return varint(number << 3) + varint(value)

    def node(name: str, op: str, inputs: tuple[str, ...] = (), **attributes: bytes) -> bytes:
        body = field(1, name.encode()) + field(2, op.encode())
        body += b"".join(field(3, one.encode()) for one in inputs)
        for key, value in attributes.items():
            body += field(5, field(1, key.encode()) + field(2, value))
        return field(1, body)

    float32 = plain(6, 1)
    shape = b"".join(field(2, plain(1, side)) for side in weights.shape)
    tensor = plain(1, 1) + field(2, shape) + field(4, weights.astype("<f4").tobytes())
    ones = field(1, field(3, b"\1\1\1\1"))
    nhwc = field(2, b"NHWC")
    return (
        node("input", "Placeholder", dtype=float32)
        + node("w", "Const", dtype=float32, value=field(8, tensor))
        + node(
            "conv", "Conv2D", ("input", "w"),
            T=float32, strides=ones, padding=field(2, b"SAME"), data_format=nhwc,
        )
        + node(
            "out", "DepthToSpace", ("conv",),
            T=float32, block_size=plain(3, 2), data_format=nhwc,
        )
    )  # fmt: skip


def test_a_dnn_superres_file_enlarges(tmp_path: Path) -> None:
    weights = np.zeros((3, 3, 1, 4))
    weights[1, 1] = 1  # every pixel becomes four
    path = tmp_path / "ESPCN_x2.pb"
    path.write_bytes(graph(weights))
    upscaler = load_upscaler(str(path))
    assert upscaler.name == "dnn ESPCN_x2"
    made = upscaler.upscale(clip(), width=320, height=176, observe=ignore_progress)
    larger = np.concatenate(list(made.chunks)).astype(int)
    doubled = picture().repeat(2, 1).repeat(2, 2).astype(int)
    # brightness is the network's, colours are OpenCV's own cubic
    luma = np.array([0.299, 0.587, 0.114])
    assert larger.shape == doubled.shape
    assert np.abs((larger - doubled) @ luma).mean() < 2


def test_a_file_that_spandrel_knows(tmp_path: Path) -> None:
    from importlib import import_module

    compact = import_module("spandrel.architectures.Compact.__arch.SRVGG").SRVGGNetCompact
    path = tmp_path / "2x_tiny.pth"
    torch.save({"params": compact(num_feat=4, num_conv=1, upscale=2).state_dict()}, path)
    upscaler = load_upscaler(str(path))
    assert upscaler.name == "2x_tiny"
    made = upscaler.upscale(clip(), width=320, height=176, observe=ignore_progress)
    assert [chunk.shape for chunk in made.chunks] == [(2, 176, 320, 3), (1, 176, 320, 3)]


def test_networks_that_want_other_sizes_are_given_them(tmp_path: Path) -> None:
    from importlib import import_module

    safmn = import_module("spandrel.architectures.SAFMN.__arch.safmn").SAFMN
    path = tmp_path / "2x_safmn.pth"
    torch.save({"params": safmn(dim=8, n_blocks=1, upscaling_factor=2).state_dict()}, path)
    upscaler = load_upscaler(str(path))
    # its coarsest level has an eighth of the rows: none of six
    small = Clip(1, Fraction(24), 12, 6, iter([picture()[:1, :6, :12]]))
    made = upscaler.upscale(small, width=24, height=12, observe=ignore_progress)
    assert [chunk.shape for chunk in made.chunks] == [(1, 12, 24, 3)]


def test_a_network_that_fails_is_named() -> None:
    from vivant.upscalers.network import NetworkUpscaler

    def broken(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("shapes do not fit\nmore")

    def full(_: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError

    for network, kind, words in (
        (broken, WeightsError, "upscaler x failed on a frame of 160x88: shapes do not fit$"),
        (full, OutOfMemoryError, "does not fit into GPU memory at 160x88: use upscaler lanczos"),
    ):
        upscaler = NetworkUpscaler(network, 2, "x", torch.device("cpu"))
        made = upscaler.upscale(clip(), width=320, height=176, observe=ignore_progress)
        with pytest.raises(kind, match=words):
            list(made.chunks)
