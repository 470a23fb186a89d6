"""Request bodies, answers and errors for the OpenAPI schema, with examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAS"
    "cY42YAAAAASUVORK5CYII="
)

_FIELDS: dict[str, Any] = {
    "prompt": {"type": "string", "maxLength": 2000, "example": "subtle motion"},
    "negative_prompt": {"type": "string", "maxLength": 2000},
    "model": {"type": "string", "example": "camera"},
    "recipe": {"type": "string"},
    "seconds": {"type": "string", "example": "4"},
    "num_frames": {"type": "integer", "minimum": 1, "example": 97},
    "fps": {"type": "string", "example": "24"},
    "aspect": {"type": "string", "enum": ["16:9", "9:16", "1:1"]},
    "size": {"type": "string", "example": "1920x1080"},
    "width": {"type": "integer", "minimum": 64, "maximum": 4096},
    "height": {"type": "integer", "minimum": 64, "maximum": 4096},
    "seed": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1, "example": 7},
    "quality": {"type": "string", "enum": ["draft", "standard", "high"]},
    "upscaler": {"type": "string", "example": "auto"},
    "guidance_scale": {"type": "number", "example": 1.0},
    "num_inference_steps": {"type": "integer", "minimum": 1},
    "lora": {},
    "options": {"type": "object", "example": {}},
    "currency": {"type": "string", "example": "KRW"},
    "priority": {"type": "string", "enum": ["high", "normal", "low"]},
    "until_pass": {"type": "boolean", "default": False},
    "budget": {"type": "string", "example": "120s"},
    "batch": {"type": "string", "maxLength": 64, "pattern": "^[A-Za-z0-9_-]{1,64}$"},
}

_PICTURE_TEXT = {
    "type": "string",
    "description": "base64 or a data URL",
    "example": _PIXEL,
}
_PICTURE_FILE = {"type": "string", "format": "binary"}


def _either(schema: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """A body as a form with picture files, or as JSON with pictures in text."""
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": schema(_PICTURE_FILE),
                "application/json": schema(_PICTURE_TEXT),
            },
        }
    }


def _body(fields: dict[str, Any]) -> dict[str, Any]:
    def schema(picture: dict[str, Any]) -> dict[str, Any]:
        return {
            "schema": {
                "type": "object",
                "required": ["input_reference"],
                "additionalProperties": False,
                "properties": {"input_reference": picture, **fields},
            }
        }

    return _either(schema)


IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": 200,
        "pattern": "^[!-~][ -~]{0,199}$",
    },
}

CREATE: dict[str, Any] = {**_body(_FIELDS), "parameters": [IDEMPOTENCY]}

CROP: dict[str, Any] = _body(
    {name: _FIELDS[name] for name in ("aspect", "size", "width", "height")}
)

_COMPARED: dict[str, Any] = {
    "preset": {"type": "string", "example": "upscalers"},
    "variants": {
        "description": "instead of a preset: a TOML file's text, or the same as an object",
        "anyOf": [{"type": "string"}, {"type": "object"}],
        "example": {
            "compare": {"engine": "camera", "seeds": 5, "options": {"scale": 0.5}},
            "variant": [
                {"name": "cubic", "upscaler": "cubic"},
                {"name": "lanczos", "upscaler": "lanczos"},
            ],
        },
    },
    "seeds": {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 1000},
            {"type": "array", "items": {"type": "integer", "minimum": 0}},
        ],
        "example": 5,
    },
    **{name: _FIELDS[name] for name in ("num_frames", "size", "currency", "priority")},
}


def _comparison(*, pictures: bool) -> dict[str, Any]:
    def schema(picture: dict[str, Any]) -> dict[str, Any]:
        several: dict[str, Any] = {
            "anyOf": [picture, {"type": "array", "items": picture, "maxItems": 20}]
        }
        if picture is _PICTURE_FILE:
            several = {"type": "array", "items": picture, "maxItems": 20}
        own: dict[str, Any] = (
            {"input_reference": several}
            if pictures
            else {"pictures": {"type": "integer", "minimum": 1, "maximum": 20, "example": 1}}
        )
        return {
            "schema": {
                "type": "object",
                "required": ["input_reference"] if pictures else [],
                "additionalProperties": False,
                "properties": {**own, **_COMPARED},
            }
        }

    return _either(schema)


COMPARISON: dict[str, Any] = {**_comparison(pictures=True), "parameters": [IDEMPOTENCY]}

COMPARISON_ESTIMATE: dict[str, Any] = _comparison(pictures=False)

_VIDEO = {
    "id": "video_0123456789abcdef0123456789abcdef",
    "object": "video",
    "model": "camera",
    "status": "in_progress",
    "progress": 41,
    "created_at": 1780000000,
    "seconds": "4.0417",
    "size": "1920x1080",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Responses of the one error shape."""
    example = {
        "error": {
            "message": "width 321 is odd, and 4:2:0 video needs even sides: use 320 or 322",
            "type": "invalid_request_error",
            "code": "invalid_option",
            "param": "size",
        }
    }
    return {
        status: {
            "description": "error",
            "content": {"application/json": {"schema": {"type": "object"}, "example": example}},
        }
        for status in statuses
    }


VIDEO: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"schema": {"type": "object"}, "example": _VIDEO}}},
    **errors(404),
}
LIST: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {
                    "object": "list",
                    "data": [_VIDEO],
                    "first_id": _VIDEO["id"],
                    "last_id": _VIDEO["id"],
                    "has_more": False,
                },
            }
        }
    },
    **errors(400),
}

COMPARED: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {
                    "id": "comparison_0123456789abcdef0123456789abcdef",
                    "object": "comparison",
                    "batch": "comparison_0123456789abcdef0123456789abcdef",
                    "status": "in_progress",
                    "progress": 60,
                    "title": {"en": "Two upscalers", "ko": "업스케일러 두 가지"},
                    "created_at": 1780000000,
                    "clips": 20,
                    "counts": {"completed": 12, "queued": 8},
                    "data": [
                        {
                            "video": _VIDEO["id"],
                            "variant": "cubic",
                            "picture": "me.jpg",
                            "seed": 0,
                            "status": "completed",
                            "verdict": "pass",
                        }
                    ],
                    "findings": {"final": False, "recommendations": [], "scores": []},
                },
            }
        }
    },
    **errors(404),
}
