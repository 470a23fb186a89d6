"""The facts as a C2PA manifest, the form in which content credentials are signed.

C2PA 2.2: https://spec.c2pa.org/specifications/specifications/2.2/specs/C2PA_Specification.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vivant.provenance.facts import IPTC, ProvenanceFacts, relationship
from vivant.version import __version__

PRODUCTION = "video.vivant.production"
"""Label of Vivant's own assertion, which holds the facts as JSON."""

PICTURE = "picture"
"""Label by which the actions name the ingredient."""

MEDIA_TYPES = {
    ".mp4": "video/mp4",
    ".jpg": "image/jpeg",
}

PICTURE_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WebP": "image/webp",
    "AVIF": "image/avif",
    "HEIC": "image/heic",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
}
"""Formats of input pictures that can carry content credentials."""

OFFLINE: dict[str, Any] = {
    "version": 1,
    "core": {"allowed_network_hosts": []},
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": False},
    "builder": {"thumbnail": {"enabled": False}},
}
"""Settings of the C2PA library: it opens no connection, whatever a file asks for."""


def definition(path: Path, facts: ProvenanceFacts) -> dict[str, Any]:
    """The manifest of a file, without its ingredient."""
    return {
        "claim_generator_info": [{"name": "Vivant", "version": __version__}],
        "title": path.name,
        "format": MEDIA_TYPES[path.suffix],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": actions(facts)}},
            {"label": PRODUCTION, "kind": "Json", "data": facts.as_json()},
        ],
    }


def actions(facts: ProvenanceFacts) -> list[dict[str, Any]]:
    """What was done, in order.

    A generated clip was *created*, with the picture as an input of the model. A clip of the other
    engines is the picture, *opened* and *edited*.
    """
    source_type = IPTC + facts.source_type
    with_picture = {"parameters": {"ingredientIds": [PICTURE]}}
    if facts.generated:
        agent = {"name": facts.model, **({"version": facts.revision} if facts.revision else {})}
        created = {
            "action": "c2pa.created",
            "digitalSourceType": source_type,
            "softwareAgent": agent,
            **with_picture,
        }
        done = [created]
    else:
        edited = {
            "action": "c2pa.edited",
            "digitalSourceType": source_type,
            "softwareAgent": {"name": f"Vivant {facts.engine}", "version": __version__},
        }
        done = [{"action": "c2pa.opened", **with_picture}, edited]
    if facts.label:
        done.append({"action": "c2pa.addedText"})
    return done


def ingredient(facts: ProvenanceFacts) -> dict[str, Any]:
    """The input picture. Its name is left out: the clip will be published."""
    kind = PICTURE_TYPES.get(facts.picture_format)
    return {
        "title": "input picture",
        **({"format": kind} if kind else {}),
        "relationship": relationship(facts),
        "label": PICTURE,
        "description": f"SHA-256 of the file: {facts.picture_sha256}",
    }
