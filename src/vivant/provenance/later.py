"""Signs clips that were made without a signature, e.g. because there was no key yet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vivant.errors import ClipError, OutputError
from vivant.provenance.facts import GENERATED, SOURCE_TYPES, ProvenanceFacts
from vivant.provenance.reading import read_credentials
from vivant.provenance.signing import credentials_json, sha256_of, working_signer
from vivant.settings import Settings

PICTURES = ("thumbnail", "contact_sheet")
"""Files beside the clip that are signed too, as the report calls them."""


def sign_later(clip: Path, settings: Settings) -> tuple[Path, ...]:
    """Sign a clip and its pictures with the facts of its report.

    Args:
        clip: an MP4 of Vivant's, with its report beside it.
        settings: whose key.

    Returns:
        The files that are signed now.

    Raises:
        ClipError: not a clip of Vivant's, changed since, or signed already.
        CredentialsError: the key cannot be used.
        OutputError: a file cannot be written.
    """
    report_file = clip.with_name(f"{clip.stem}.report.json")
    report = _report(clip, report_file)
    if read_credentials(clip, settings).state != "missing":
        raise ClipError(f"{clip.name} has content credentials already", param="clip")
    if sha256_of(clip) != report["credentials"]["content_sha256"]:
        raise ClipError(
            f"{clip.name} is not the file that {report_file.name} describes: it was changed since",
            param="clip",
        )
    signer = working_signer(settings)
    facts = _facts(report)
    pictures = [clip.with_name(report["files"][role]) for role in PICTURES]
    files = [clip, *(path for path in pictures if path.is_file())]
    signed = [signer.sign(path, facts, xmp=False) for path in files]
    report["credentials"] = credentials_json(signer, signed[0])
    report["facts"]["size_bytes"] = clip.stat().st_size
    try:
        report_file.write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {report_file.name}: {error.strerror}") from None
    return tuple(files)


def _report(clip: Path, file: Path) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(file.read_text("utf-8"))
        needed = report["credentials"]["content_sha256"], report["engine"]["name"], report["files"]
    except OSError:
        raise ClipError(
            f"{file.name} is not beside {clip.name}: only clips of Vivant's with their report "
            "can be signed",
            param="clip",
        ) from None
    except (ValueError, KeyError, TypeError):
        raise ClipError(
            f"{file.name} tells too little: it is of an earlier version of Vivant", param="clip"
        ) from None
    del needed
    return report


def _facts(report: Mapping[str, Any]) -> ProvenanceFacts:
    engine, source = report["engine"], report["source"]
    provenance: Mapping[str, Any] = engine.get("provenance", {})
    source_type = SOURCE_TYPES.get(engine["name"], GENERATED)
    generated = source_type == GENERATED
    return ProvenanceFacts(
        engine=engine["name"],
        source_type=source_type,
        seed=report["settings"]["seed"],
        picture_sha256=source["sha256"],
        picture_format=source["format"],
        model=str(provenance.get("model", engine["name"])) if generated else "",
        revision=str(provenance.get("commits", "")) if generated else "",
    )
