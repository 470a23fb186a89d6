"""Which errors pass, and what a client is told of the others."""

from __future__ import annotations

from typing import Any

from vivant.errors import DatabaseError, OutputError, StorageError, VivantError

PASSING = (StorageError, OutputError, DatabaseError)
"""Troubles of the surroundings, after which a stage is tried again."""


def explain(error: BaseException) -> dict[str, Any]:
    """What a client is told: our own sentence, and nothing about what nobody foresaw."""
    if isinstance(error, VivantError):
        return {"code": error.error_code, "message": error.message, "param": error.param}
    if isinstance(error, MemoryError):
        message = "the worker's memory is not enough: use smaller settings"
        return {"code": "out_of_memory", "message": message, "param": None}
    return {
        "code": "internal",
        "message": "the worker failed in a way that nobody foresaw; its log tells more",
        "param": None,
    }
