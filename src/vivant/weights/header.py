"""What a safetensors file says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vivant.errors import MissingPartError, WeightsError


def read_header(path: Path) -> dict[str, Any]:
    """Names, dtypes and shapes in a safetensors file, after checking that it is whole.

    Costs one small read, whatever the file's size: done before anything is loaded.

    Raises:
        MissingPartError: there is no such file.
        WeightsError: it is no safetensors file, or truncated, or has bytes too many.
    """
    if not path.is_file():
        raise MissingPartError(f"weight file {path} is not there")
    size = path.stat().st_size
    with path.open("rb") as source:
        length = int.from_bytes(source.read(8), "little")
        if size < 8 or not 2 <= length <= min(size - 8, 100_000_000):
            raise WeightsError(f"{path} is not a safetensors file, or was cut off: fetch it again")
        try:
            header = json.loads(source.read(length))
            end = max(
                (entry["data_offsets"][1] for n, entry in header.items() if n != "__metadata__"),
                default=0,
            )
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise WeightsError(
                f"{path} has no readable safetensors header: fetch it again"
            ) from None
    if size != 8 + length + end:
        raise WeightsError(
            f"{path} has {size} bytes where its header promises {8 + length + end}: "
            "it was cut off or overwritten, fetch it again"
        )
    return dict(header)
