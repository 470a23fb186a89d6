"""The face embedding of dlib (King, 2017), run by OpenCV: the same network from the same weights.

dlib's wheel has no BLAS and takes 76 ms a face on one core; OpenCV takes 7, and the embeddings
are 2e-6 apart (bench/embedding.py), where two people are at 0.6. The weight file is dlib's own:
its serialised layers are read in their order, every convolution takes up the scaling that follows
it, and the network is handed to OpenCV as an ONNX model.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vivant.errors import MissingPartError
from vivant.picture.onnx_graph import Graph
from vivant.types import Image

Embedding = npt.NDArray[np.float64]
"""``[128]`` float64, unit-like; compared by their Euclidean distance."""

SIDE: Final = 150
"""Pixels; the network's input."""

SIZE: Final = 128
"""Numbers of an embedding."""

STAGES: Final = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))
"""Channels and residual blocks; every stage but the first starts by halving the picture. This is
``anet_type`` of dlib's ``dnn_face_recognition_ex.cpp``."""

MEAN: Final = np.asarray([122.782, 117.001, 104.298], np.float32)
"""Levels of red, green and blue that ``input_rgb_image_sized`` takes off."""

SCALE: Final = 256.0
"""It divides by this afterwards."""

Weights = npt.NDArray[np.float32]


class EmbeddingNetwork:
    """The network, ready to run. Not thread-safe.

    Args:
        weights: ``dlib_face_recognition_resnet_model_v1.dat``.

    Raises:
        MissingPartError: that is not the network this module knows.
    """

    def __init__(self, weights: Path) -> None:
        model = np.frombuffer(_onnx(weights), np.uint8)
        self._net = cv2.dnn.readNetFromONNX(model)

    def embed(self, chip: Image) -> Embedding:
        """Embedding of an aligned face, ``[150, 150, 3]`` uint8 sRGB (7 ms on one core)."""
        values = (chip.astype(np.float32) - MEAN) / SCALE
        self._net.setInput(np.ascontiguousarray(values.transpose(2, 0, 1)[None]))
        return np.asarray(self._net.forward(), np.float64).reshape(SIZE)


def _onnx(weights: Path) -> bytes:
    """The network as an ONNX model."""
    layers = _layers(weights)
    graph = Graph()

    def convolve(
        value: str, inputs: int, outputs: int, side: int, stride: int, *, alone: bool = False
    ) -> str:
        """A convolution with the scaling after it; strided ones have no border, as in dlib.

        ``alone``: of a picture of one pixel.
        """
        found, scaling = next(layers), next(layers)
        count = outputs * inputs * side**2
        if found.size != count + outputs or scaling.size != 2 * outputs:
            raise _unknown(weights)
        gain, shift = scaling[:outputs], scaling[outputs:]
        kernel = found[:count].reshape(outputs, inputs, side, side) * gain[:, None, None, None]
        bias = found[count:] * gain + shift
        border = side // 2 if stride == 1 else 0
        if alone:  # the other places of the kernel lie on the border: a ninth of the work
            kernel, side, border = kernel[:, :, 1:2, 1:2], 1, 0
        return graph.node(
            "Conv",
            value,
            graph.constant(kernel),
            graph.constant(bias),
            kernel_shape=(side, side),
            strides=(stride, stride),
            pads=(border,) * 4,
        )

    value = graph.node("Relu", convolve("input", 3, STAGES[0][0], 7, 2))
    value = graph.node("MaxPool", value, kernel_shape=(3, 3), strides=(2, 2))
    side, channels = ((SIDE - 7) // 2 + 1 - 3) // 2 + 1, STAGES[0][0]
    for stage, (outputs, blocks) in enumerate(STAGES):
        for block in range(blocks):
            halves = stage > 0 and block == 0
            inner = graph.node("Relu", convolve(value, channels, outputs, 3, 2 if halves else 1))
            left = (side - 3) // 2 + 1 if halves else side
            inner = convolve(inner, outputs, outputs, 3, 1, alone=left == 1)
            if halves:
                value = graph.node("AveragePool", value, kernel_shape=(2, 2), strides=(2, 2))
                # dlib's add_prev fills the smaller one up with zeros.
                more, short = outputs - channels, side // 2 - left
                if more:
                    filled = graph.constant((0, 0, 0, 0, 0, more, 0, 0))
                    value = graph.node("Pad", value, filled)
                if short:
                    filled = graph.constant((0, 0, 0, 0, 0, 0, short, short))
                    inner = graph.node("Pad", inner, filled)
                side //= 2
            value = graph.node("Relu", graph.node("Add", inner, value))
            channels = outputs
    value = graph.node("GlobalAveragePool", value)
    last = next(layers)
    if last.size != channels * SIZE:
        raise _unknown(weights)
    kernel = np.ascontiguousarray(last.reshape(channels, SIZE).T)
    value = graph.node(
        "Conv",
        value,
        graph.constant(kernel.reshape(SIZE, channels, 1, 1)),
        kernel_shape=(1, 1),
        strides=(1, 1),
        pads=(0, 0, 0, 0),
    )
    return graph.model((1, 3, SIDE, SIDE), value, (1, SIZE, 1, 1))


MARKS: Final = (b"\x05con_4", b"\x07affine_", b"\x04fc_2")
"""What the layers with parameters start with: the length of their name, and the name."""


def _layers(weights: Path) -> Iterator[Weights]:
    """Parameters of every layer that has some, in the order they are computed in."""
    data = weights.read_bytes()
    convolution, scaling, matrix = MARKS
    convolutions = 1 + 2 * sum(blocks for _, blocks in STAGES)
    at = 0
    for mark in (*(convolution, scaling) * convolutions, matrix):
        at = data.find(mark, at)
        if at < 0:
            raise _unknown(weights)
        at += len(mark)
        if mark == matrix:
            for _ in range(2):  # outputs and inputs
                _, at = _integer(data, at)
        values, at = _tensor(data, at, weights)
        yield values


def _tensor(data: bytes, at: int, weights: Path) -> tuple[Weights, int]:
    """A ``tensor`` of dlib, version 2: four sides, then little-endian floats."""
    version, at = _integer(data, at)
    count = 1
    for _ in range(4):
        side, at = _integer(data, at)
        count *= side
    if version != 2 or at + 4 * count > len(data):
        raise _unknown(weights)
    values = np.frombuffer(data, "<f4", count, at).astype(np.float32, copy=False)
    return values, at + 4 * count


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """An integer of dlib: the number of bytes, then those, little-endian."""
    size = data[at] & 0x0F
    return int.from_bytes(data[at + 1 : at + 1 + size], "little"), at + 1 + size


def _unknown(weights: Path) -> MissingPartError:
    return MissingPartError(
        f"{weights.name} is not the network of face-recognition-models 0.3.0: "
        "reinstall Vivant, it depends on that version"
    )
