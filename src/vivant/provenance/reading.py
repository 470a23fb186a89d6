"""Reads content credentials back: valid, tampered, missing, and by whom."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from vivant.errors import ClipError, CredentialsError, printable
from vivant.provenance.facts import IPTC
from vivant.provenance.keys import load_identity
from vivant.provenance.manifest import OFFLINE, PRODUCTION
from vivant.settings import Settings

State = Literal["valid", "expired", "tampered", "missing"]

UNTRUSTED = "signingCredential.untrusted"

EXPIRED = frozenset({"signingCredential.expired", "claimSignature.outsideValidity"})

SENTENCES: Mapping[State, str] = {
    "valid": "The file is as it was signed.",
    "expired": "The file is as it was signed, but the certificate was not valid at that time.",
    "tampered": "The file or its credentials were changed after signing.",
    "missing": "The file has no content credentials.",
}

REMUXED = (
    "The file has no content credentials, though its comment says that Vivant made it: it was "
    "copied by a program that removes them, or never signed."
)

MADE_WITH = b"Made with Vivant "


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a file says of its making, and whether that can be believed.

    Attributes:
        state: whether file and signature fit.
        trusted: the signer's certificate leads to a root in ``settings.credentials_trust``.
        own: signed with the key of these settings.
        signer: common name of the certificate; empty if nothing is signed.
        organization: of the signer.
        signed_at: ISO 8601; empty without a time stamp.
        software: that made the claim.
        source_type: IPTC's digital source type, e.g. ``trainedAlgorithmicMedia``.
        production: Vivant's own facts: engine, model, seed, picture.
        history: programs that made the ingredients, or their titles.
        problems: C2PA's status codes of what does not fit.
        sentence: the state in words.
    """

    state: State
    trusted: bool = False
    own: bool = False
    signer: str = ""
    organization: str = ""
    signed_at: str = ""
    software: str = ""
    source_type: str = ""
    production: Mapping[str, Any]
    history: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    sentence: str

    @property
    def picture_sha256(self) -> str:
        """SHA-256 of the input picture's file; empty if not told."""
        picture = self.production.get("picture")
        return str(picture.get("sha256", "")) if isinstance(picture, Mapping) else ""


def read_credentials(path: Path, settings: Settings) -> Credentials:
    """The credentials of a video or picture file. Opens no connection.

    Args:
        path: of the file.
        settings: whose signatures count as trusted, and as one's own.

    Raises:
        ClipError: the file cannot be read.
        CredentialsError: the file of trusted roots cannot be read.
    """
    roots = _roots(settings)
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except OSError as error:
        raise ClipError(f"{path.name} cannot be read: {error.strerror}", param="clip") from None
    kind = media_type(head)
    found = _read(path, kind, roots) if kind else None
    if isinstance(found, Credentials):
        return found
    if found is None:
        return _absent(path)
    trusted = own = found.get("validation_state") == "Trusted"
    certificates = _own_certificate(found, settings)
    if certificates and not trusted:  # anyone can write a serial number: only a root proves it
        again = _read(path, kind or "", certificates)
        own = isinstance(again, dict) and again.get("validation_state") == "Trusted"
    return _described(found, trusted=trusted, own=own and bool(certificates))


def read_back_json(found: Credentials) -> dict[str, Any]:
    """For ``--json``."""
    return asdict(found)


def media_type(head: bytes) -> str | None:
    """Media type by the first 32 bytes; None if such files cannot carry credentials."""
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand == b"qt  ":
            return "video/quicktime"
        if brand in (b"avif", b"avis"):
            return "image/avif"
        if brand in (b"heic", b"heix", b"mif1", b"msf1"):
            return "image/heic"
        return "video/mp4"
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"AVI ": "video/avi"}.get(head[8:12])
    for start, kind in (
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"\x89PNG", "image/png"),
        (b"GIF8", "image/gif"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
    ):
        if head.startswith(start):
            return kind
    return None


def _roots(settings: Settings) -> str:
    if settings.credentials_trust is None:
        return ""
    try:
        return settings.credentials_trust.expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise CredentialsError(
            f"the file that VIVANT_CREDENTIALS_TRUST names cannot be read ({reason})"
        ) from None


def _read(path: Path, kind: str, roots: str) -> dict[str, Any] | Credentials | None:
    """The reader's answer; None without credentials."""
    import c2pa

    trust = {"trust": {"user_anchors": roots}} if roots else {}
    context = c2pa.Context.from_dict({**OFFLINE, **trust})
    try:
        with (
            path.open("rb") as file,
            c2pa.Reader(kind, file, context=context) as reader,
        ):
            found: dict[str, Any] = json.loads(reader.json())
            return found
    except c2pa.C2paError.ManifestNotFound:
        return None
    except c2pa.C2paError as error:
        # there is a store, but it cannot be parsed; or the media around it cannot
        damaged = printable(str(error))[:200]
        return Credentials(
            state="tampered", production={}, problems=(damaged,), sentence=SENTENCES["tampered"]
        )


def _absent(path: Path) -> Credentials:
    """No credentials; the comment may still tell who made the file."""
    with path.open("rb") as file:
        text = file.read(1_000_000)
        with suppress(OSError):  # a file shorter than this
            file.seek(-1_000_000, 2)
            text += file.read()
    sentence = REMUXED if MADE_WITH in text else SENTENCES["missing"]
    return Credentials(state="missing", production={}, sentence=sentence)


def _described(found: Mapping[str, Any], *, trusted: bool, own: bool) -> Credentials:
    manifests = found.get("manifests", {})
    manifest = manifests.get(found.get("active_manifest"), {})
    problems = _problems(found)
    state: State = "valid"
    if problems:
        state = "expired" if set(problems) <= EXPIRED else "tampered"
    signature = manifest.get("signature_info") or {}
    assertions = {one.get("label", ""): one.get("data") for one in manifest.get("assertions", [])}
    production = assertions.get(PRODUCTION)
    generator = (manifest.get("claim_generator_info") or [{}])[0]
    return Credentials(
        state=state,
        trusted=trusted and state == "valid",
        own=own and state == "valid",
        signer=_text(signature.get("common_name")),
        organization=_text(signature.get("issuer")),
        signed_at=_text(signature.get("time")),
        software=_text(f"{generator.get('name', '')} {generator.get('version', '')}".strip()),
        source_type=_source_type(assertions),
        production=production if isinstance(production, Mapping) else {},
        history=_history(manifest, manifests),
        problems=problems,
        sentence=SENTENCES[state],
    )


def _problems(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Status codes of failures, without those that only say that the signer is not known."""
    results = found.get("validation_results") or {}
    failures = list((results.get("activeManifest") or {}).get("failure", []))
    for delta in results.get("ingredientDeltas") or []:
        failures += (delta.get("validationDeltas") or {}).get("failure", [])
    codes = dict.fromkeys(_text(one.get("code")) for one in failures)
    codes.pop(UNTRUSTED, None)
    if not codes and found.get("validation_state") == "Invalid":
        return ("invalid",)
    return tuple(codes)


def _own_certificate(found: Mapping[str, Any], settings: Settings) -> str:
    """The certificates of these settings, if the file claims to be signed with them."""
    manifest = found.get("manifests", {}).get(found.get("active_manifest"), {})
    serial = _text((manifest.get("signature_info") or {}).get("cert_serial_number"))
    with suppress(CredentialsError):
        identity = load_identity(settings, make=False)
        if serial == str(identity.serial):
            return identity.certificates
    return ""


def _source_type(assertions: Mapping[str, Any]) -> str:
    data = next((v for k, v in assertions.items() if k.startswith("c2pa.actions")), None) or {}
    for action in data.get("actions", []):
        if kind := action.get("digitalSourceType"):
            return _text(kind).removeprefix(IPTC)
    return ""


def _history(manifest: Mapping[str, Any], manifests: Mapping[str, Any]) -> tuple[str, ...]:
    """Programs that made the ingredients, and theirs in turn; the nearest first."""
    found: list[str] = []
    seen: set[str] = set()
    waiting = list(manifest.get("ingredients", []))
    while waiting:
        one = waiting.pop(0)
        label = one.get("active_manifest")
        earlier = manifests.get(label)
        if not earlier or label in seen:
            continue
        seen.add(label)
        generator = (earlier.get("claim_generator_info") or [{}])[0]
        name = f"{generator.get('name', '')} {generator.get('version', '')}".strip()
        changed = " (changed after it was signed)" if _problems(one) else ""
        found.append(_text(name or earlier.get("claim_generator") or "unknown") + changed)
        waiting += earlier.get("ingredients", [])
    return tuple(found)


def _text(value: object) -> str:
    """Text out of a stranger's file."""
    return printable(str(value))[:200] if value else ""
