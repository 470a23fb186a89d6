"""A decoded portrait as one object, so that preparing and rendering may be different machines.

Knows nothing of jobs or stores.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from vivant.errors import StorageError
from vivant.types import Box, Face, Portrait, Source


def write_portrait(path: Path, portrait: Portrait) -> None:
    """Pixels as they are, and the rest as JSON beside them: an uncompressed ``.npz``."""
    facts = json.dumps(
        {
            "crop": asdict(portrait.crop),
            "faces": [asdict(face) for face in portrait.faces],
            "source": asdict(portrait.source),
            "warnings": portrait.warnings,
        }
    )
    with path.open("wb") as file:
        np.savez(file, pixels=portrait.pixels, facts=np.frombuffer(facts.encode(), np.uint8))


def read_portrait(path: Path) -> Portrait:
    """The inverse of :func:`write_portrait`.

    Raises:
        StorageError: the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            pixels = file["pixels"]
            facts: dict[str, Any] = json.loads(file["facts"].tobytes())
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise StorageError(f"the prepared picture is damaged ({error}): send it again") from error
    return Portrait(
        pixels=pixels,
        crop=Box(**facts["crop"]),
        faces=tuple(
            Face(
                box=Box(**face["box"]),
                score=face["score"],
                landmarks=tuple((x, y) for x, y in face["landmarks"]),
            )
            for face in facts["faces"]
        ),
        source=Source(**facts["source"]),
        warnings=tuple(facts["warnings"]),
    )
