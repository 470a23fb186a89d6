"""Weight files: which there are, how they get here, and whether they are what they should be.

::

    registry.py   models, each made of parts of repositories on the Hugging Face Hub
    hub.py        as little of the Hub's HTTP interface as is needed
    download.py   one file, resumed, hashed and checked
    library.py    pull, verify, find: one folder and one lock file per model
    header.py     what a safetensors file says of itself

Knows nothing of torch or of what the numbers mean.
"""

from vivant.weights.download import hash_file
from vivant.weights.header import read_header
from vivant.weights.hub import Hub
from vivant.weights.library import FP8_FOLDER, LOCK, SUMS, Library, ModelState
from vivant.weights.registry import (
    DEFAULT_MODEL,
    DEFAULT_MODELS,
    LICENCE,
    MODELS,
    Model,
    Part,
    find_model,
)

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_MODELS",
    "FP8_FOLDER",
    "LICENCE",
    "LOCK",
    "MODELS",
    "SUMS",
    "Hub",
    "Library",
    "Model",
    "ModelState",
    "Part",
    "find_model",
    "hash_file",
    "read_header",
]
