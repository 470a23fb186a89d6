"""Write a small network as an ONNX model, which OpenCV can run.

Only what a plain convolutional network needs: float32 tensors, nodes with one output, integer
attributes. The encoding is Protocol Buffers', the field numbers are those of ``onnx.proto3``
(ONNX 1.8, opset 13).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

OPSET: Final = 13
IR_VERSION: Final = 7
"""Of ONNX 1.8, the first with this opset."""

_FLOAT: Final = 1
_INT64: Final = 7
"""``TensorProto.DataType``."""

_INTS: Final = 7
"""``AttributeProto.AttributeType``."""


class Graph:
    """A network under construction; values are known by name, the input's is ``input``."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._tensors: list[bytes] = []

    def constant(self, values: npt.NDArray[np.float32] | Sequence[int]) -> str:
        """Name of a constant: float32 as given, integers as int64 ``[N]``."""
        name = f"c{len(self._tensors)}"
        array = values if isinstance(values, np.ndarray) else np.asarray(values, "<i8")
        kind = _FLOAT if array.dtype == np.float32 else _INT64
        shape = b"".join(_number(1, side) for side in array.shape)
        data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        head = shape + _number(2, kind) + _bytes(8, name.encode()) + _head(9, len(data))
        self._tensors += [_head(5, len(head) + len(data)) + head, data]
        return name

    def node(self, operator: str, *inputs: str, **attributes: Sequence[int]) -> str:
        """Name of the value that ``operator`` computes from ``inputs``."""
        name = f"v{len(self._nodes)}"
        parts = [_bytes(1, value.encode()) for value in inputs]
        parts += [_bytes(2, name.encode()), _bytes(3, name.encode()), _bytes(4, operator.encode())]
        for key, numbers in attributes.items():
            listed = b"".join(_number(8, number) for number in numbers)
            parts.append(_bytes(5, _bytes(1, key.encode()) + listed + _number(20, _INTS)))
        self._nodes.append(_bytes(1, b"".join(parts)))
        return name

    def model(self, shape: Sequence[int], output: str, output_shape: Sequence[int]) -> bytes:
        """The serialised ``ModelProto``, from an input of ``shape`` to the value ``output``."""
        graph = [
            *self._nodes, _bytes(2, b"graph"), *self._tensors,
            _bytes(11, _value("input", shape)), _bytes(12, _value(output, output_shape)),
        ]  # fmt: skip
        opset = _bytes(8, _bytes(1, b"") + _number(2, OPSET))
        # joined once: a network is tens of megabytes
        head = _number(1, IR_VERSION) + _head(7, sum(len(part) for part in graph))
        return b"".join([head, *graph, opset])


def _value(name: str, shape: Sequence[int]) -> bytes:
    """A ``ValueInfoProto`` of a float32 tensor."""
    sides = b"".join(_bytes(1, _number(1, side)) for side in shape)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, _number(1, _FLOAT) + _bytes(2, sides)))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _head(field: int, size: int) -> bytes:
    return _varint(field << 3 | 2) + _varint(size)


def _bytes(field: int, data: bytes) -> bytes:
    return _head(field, len(data)) + data
