"""Bodies, answers and examples of the OpenAPI document, made from the fields of requests."""

from __future__ import annotations

from typing import Any

from vivant.api.schemas import (
    IDEMPOTENCY_PATTERN,
    MAX_PICTURES,
    ComparisonFields,
    VideoFields,
)
from vivant.request_fields import RequestFields


def properties(model: type[RequestFields], *only: str) -> dict[str, Any]:
    """A model's fields as JSON schemas: all of them, or ``only`` those named."""
    found: dict[str, Any] = {}
    for name, schema in model.model_json_schema()["properties"].items():
        kinds = schema.get("anyOf", [])
        if {"type": "null"} in kinds:  # a field may be left out; a form has no null
            kinds.remove({"type": "null"})
            if len(kinds) == 1:
                schema |= schema.pop("anyOf")[0]
        del schema["title"]
        if schema.get("default") in (None, ""):
            schema.pop("default", None)
        if "examples" in schema:
            schema["example"] = schema.pop("examples")[0]
        found[name] = schema
    return {name: found[name] for name in only or found}


_PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAS"
    "cY42YAAAAASUVORK5CYII="
)
_PICTURE_TEXT = {
    "type": "string",
    "description": "base64 or a data URL",
    "example": _PIXEL,
}
_PICTURE_FILE = {"type": "string", "format": "binary"}


def _either(form: dict[str, Any], json: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """A body as a form with picture files, or as JSON with pictures in text."""
    content = {}
    for media_type, fields in (("multipart/form-data", form), ("application/json", json)):
        content[media_type] = {
            "schema": {
                "type": "object",
                "required": required,
                "additionalProperties": False,
                "properties": fields,
            }
        }
    return {"requestBody": {"required": True, "content": content}}


def _one_picture(fields: dict[str, Any]) -> dict[str, Any]:
    return _either(
        {"input_reference": _PICTURE_FILE, **fields},
        {"input_reference": _PICTURE_TEXT, **fields},
        ["input_reference"],
    )


IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": 200,
        "pattern": IDEMPOTENCY_PATTERN,
    },
}

CREATE: dict[str, Any] = {**_one_picture(properties(VideoFields)), "parameters": [IDEMPOTENCY]}

CROP: dict[str, Any] = _one_picture(
    properties(VideoFields, "aspect", "size", "width", "height", "crop", "focus", "rotate")
)

_COMPARED = properties(ComparisonFields)
_LISTED: dict[str, Any] = {"type": "array", "maxItems": MAX_PICTURES}

COMPARISON: dict[str, Any] = {
    **_either(
        {"input_reference": {**_LISTED, "items": _PICTURE_FILE}, **_COMPARED},
        {
            "input_reference": {"anyOf": [_PICTURE_TEXT, {**_LISTED, "items": _PICTURE_TEXT}]},
            **_COMPARED,
        },
        ["input_reference"],
    ),
    "parameters": [IDEMPOTENCY],
}

_PICTURES = {"pictures": {"type": "integer", "minimum": 1, "maximum": MAX_PICTURES, "example": 1}}
COMPARISON_ESTIMATE: dict[str, Any] = _either(
    {**_PICTURES, **_COMPARED}, {**_PICTURES, **_COMPARED}, []
)

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

_MODEL_FIELDS: dict[str, Any] = {
    "id": {"type": "string", "example": "living"},
    "object": {"const": "model"},
    "created": {"type": "integer", "description": "for clients of OpenAI's API; means nothing"},
    "owned_by": {"const": "vivant"},
    "moves": {"enum": ["camera", "person"], "description": "what moves"},
    "generative": {
        "type": "boolean",
        "description": "whether a generative model makes the frames; "
        "if not, the picture's own pixels are moved",
    },
    "sound": {"type": "boolean", "description": "whether it can make sound"},
    "sound_max_frames": {
        "type": ["integer", "null"],
        "description": "most frames of a clip with sound; null: as many as without",
    },
    "available": {"type": "boolean", "description": "whether a worker can run it now"},
    "reason": {"type": "string", "description": "why it is not available; empty if it is"},
    "default": {"type": "boolean", "description": "whether jobs that name no model get it"},
    "recipes": {"type": "array", "items": {"type": "string"}},
    "device": {"type": ["string", "null"], "example": "cpu"},
    "usd_per_second": {"type": ["number", "null"]},
}
_MODEL = {
    "type": "object",
    "properties": _MODEL_FIELDS,
    "required": list(_MODEL_FIELDS),
}
MODEL: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"schema": _MODEL}}},
    **errors(404),
}
_MODEL_LIST = {
    "type": "object",
    "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": _MODEL}},
    "required": ["object", "data"],
}
MODELS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"schema": _MODEL_LIST}}},
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
