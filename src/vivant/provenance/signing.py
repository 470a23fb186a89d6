"""Signs finished files with content credentials (C2PA).

The file is signed before it is hashed, stored or described: what is published is what was signed.
A signature holds random numbers, so two runs give different files. ``content_sha256`` is that of
the file before it was signed, and is the same for the same seed on the same machine.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vivant.errors import CredentialsError, OutputError
from vivant.provenance.facts import IPTC, ProvenanceFacts
from vivant.provenance.keys import SigningIdentity, load_identity, self_made_file
from vivant.provenance.manifest import (
    MEDIA_TYPES,
    OFFLINE,
    PICTURE_TYPES,
    definition,
    ingredient,
)
from vivant.provenance.remote import RemoteSigner
from vivant.provenance.xmp import add_xmp
from vivant.settings import Settings

if TYPE_CHECKING:
    import c2pa

FILE_BUFFER = 1 << 20
"""Bytes that are read and written at once."""

MAX_HISTORY = 1_000_000
"""Bytes that the credentials of the input picture may take in the clip."""

UNTRUSTED = (
    'Vivant made this certificate itself: readers will say "untrusted" until it is one of a '
    "trust list"
)

_EXPIRED = (
    "the signing certificate expired while the clip was made: use a new one (a self-made one: "
    "vivant credentials key --new)"
)

_TRIAL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415478da63606060"
    "0000000400012768100e0000000049454e44ae426082"
)
"""A PNG of one black pixel, to try the key with."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What became of one clip.

    Attributes:
        content_sha256: of the file before it was signed, hexadecimal.
        history: the picture's own credentials are inside.
        reason: why the file is not signed; empty if it is.
    """

    content_sha256: str
    history: bool = False
    reason: str = ""


class Signer:
    """Signs as one identity. Threads may use it side by side.

    Args:
        identity: who signs.
        remote: signs in place of the identity's key.
    """

    notes: tuple[str, ...] = ()
    """For the report."""

    def __init__(self, identity: SigningIdentity, remote: RemoteSigner | None = None) -> None:
        self.identity, self._remote = identity, remote

    def sign(
        self, path: Path, facts: ProvenanceFacts, picture: Path | bytes = b"", *, xmp: bool = True
    ) -> Signed:
        """Add XMP and credentials to a finished MP4 or JPEG file.

        Args:
            path: replaced by the signed file.
            facts: what it says.
            picture: the input picture; its own credentials become part of the file's.
            xmp: False where the file has XMP already.

        Raises:
            CredentialsError: the remote signer failed, or the certificate has expired meanwhile.
            OutputError: the disk is full or gone.
        """
        before = _prepared(path, facts if xmp else None)
        signed = path.with_name(f".signed{path.suffix}")
        manifest, ours = definition(path, facts), ingredient(facts)
        credentials = _own_credentials(picture, facts)
        try:
            if credentials and self._write(path, signed, manifest, ours, credentials, facts):
                return Signed(before, history=True)
            self._write(path, signed, {**manifest, "ingredients": [ours]}, None, b"", facts)
            return Signed(before)
        finally:
            signed.unlink(missing_ok=True)

    def _write(
        self,
        path: Path,
        signed: Path,
        manifest: dict[str, Any],
        ours: dict[str, Any] | None,
        picture: bytes,
        facts: ProvenanceFacts,
    ) -> bool:
        """Write the signed file and put it in place.

        Returns:
            False if the picture's credentials are damaged or too large to be kept.
        """
        import c2pa

        with c2pa.Builder(manifest, c2pa.Context.from_dict(OFFLINE)) as builder:
            if ours is not None:
                kind = PICTURE_TYPES[facts.picture_format]
                try:
                    builder.add_ingredient(ours, kind, io.BytesIO(picture))
                except c2pa.C2paError:
                    return False
            with self._signer() as (signer, failures):
                try:
                    # the library copies in pieces of 8 kB: far fewer reach the disk
                    with (
                        path.open("rb", buffering=FILE_BUFFER) as source,
                        signed.open("w+b", buffering=FILE_BUFFER) as copy,
                    ):
                        builder.sign(signer, MEDIA_TYPES[path.suffix], source, copy)
                except (c2pa.C2paError, OSError) as error:
                    if failures:
                        raise failures[0] from None
                    if "certificate was not valid" in str(error):
                        raise CredentialsError(_EXPIRED, code="credentials_expired") from None
                    raise _write_error(path, error) from None
        if ours is not None and signed.stat().st_size - path.stat().st_size > MAX_HISTORY:
            return False
        signed.replace(path)
        return True

    def sign_trial(self) -> None:
        """Sign a picture of one pixel, so that a bad key is found before any work.

        Raises:
            CredentialsError: the key, its certificate or the remote signer cannot be used.
        """
        import c2pa

        out = io.BytesIO()
        context = c2pa.Context.from_dict(OFFLINE)
        made = {"action": "c2pa.created", "digitalSourceType": f"{IPTC}algorithmicMedia"}
        manifest = {
            "format": "image/png",
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [made]}}],
        }
        with self._signer() as (signer, failures):
            try:
                with c2pa.Builder(manifest, context) as builder:
                    builder.sign(signer, "image/png", io.BytesIO(_TRIAL), out)
                out.seek(0)
                with c2pa.Reader("image/png", out, context=context) as reader:
                    found = json.loads(reader.json())
            except c2pa.C2paError as error:
                if failures:
                    raise failures[0] from None
                raise CredentialsError(_unusable(str(error))) from None
        if found["validation_state"] == "Invalid":
            failed = found["validation_results"]["activeManifest"]["failure"]
            codes = [one["code"] for one in failed if one["code"] != "signingCredential.untrusted"]
            raise CredentialsError(_unusable(", ".join(codes)))

    @contextmanager
    def _signer(self) -> Iterator[tuple[c2pa.Signer, list[CredentialsError]]]:
        """The library's signer, and what went wrong while the remote one was asked.

        The library tells only that a callback failed, so the error itself is kept here.
        """
        import c2pa

        failures: list[CredentialsError] = []
        identity, remote = self.identity, self._remote

        def ask(data: bytes) -> bytes:
            try:
                return remote.sign(data) if remote else b""
            except CredentialsError as error:
                failures.append(error)
                return b""

        try:
            if remote is None:
                info = c2pa.C2paSignerInfo(
                    identity.algorithm, identity.certificates.encode(), identity.key, None
                )
                signer = c2pa.Signer.from_info(info)
            else:
                algorithm = c2pa.C2paSigningAlg[identity.algorithm.upper()]
                signer = c2pa.Signer.from_callback(ask, algorithm, identity.certificates)
        except c2pa.C2paError as error:
            raise CredentialsError(_unusable(str(error))) from None
        with signer:
            yield signer, failures


class Unsigned:
    """Leaves files unsigned, but writes the facts as XMP.

    Args:
        reason: one sentence: why.
        wanted: a signature was wanted, so the report warns.
    """

    def __init__(self, reason: str, *, wanted: bool = True) -> None:
        self.reason = reason
        self.notes: tuple[str, ...] = (
            (f"The clip has no content credentials: {reason}.",) if wanted else ()
        )

    def sign(self, path: Path, facts: ProvenanceFacts, picture: Path | bytes = b"") -> Signed:
        """Add XMP to a finished file."""
        del picture
        return Signed(_prepared(path, facts), reason=self.reason)


_lock = threading.Lock()
_signers: dict[tuple[Any, ...], Signer] = {}


def signer_for(settings: Settings) -> Signer | Unsigned:
    """Who signs, tried out: everything that can be wrong with the key is found here.

    A key that worked once in this process is only checked for its date. A remote signer is asked
    again each time.

    Raises:
        CredentialsError: the key cannot be used, and the settings want every clip signed.
    """
    if settings.credentials == "off":
        return Unsigned("content credentials are switched off", wanted=False)
    try:
        return working_signer(settings)
    except CredentialsError as error:
        if settings.credentials == "optional":
            return Unsigned(error.message)
        raise


def prepare(settings: Settings) -> None:
    """Try the key out in another thread, while other work is done; errors come later."""

    def work() -> None:
        with suppress(CredentialsError):
            signer_for(settings)

    if settings.credentials != "off" and settings.credentials_signer_url is None:
        # no daemon: a process that ends while native code runs in such a thread is aborted
        threading.Thread(target=work, name="vivant-credentials").start()


def working_signer(settings: Settings) -> Signer:
    """The signer of these settings, tried out, whether clips are to be signed or not.

    Raises:
        CredentialsError: see :func:`signer_for`.
    """
    with _lock:
        identity = load_identity(settings)
        url = settings.credentials_signer_url
        known = identity.certificates, identity.key
        if url is None and known in _signers:
            return _signers[known]
        remote = None
        if url is not None:
            remote = RemoteSigner(url, settings.credentials_signer_token, identity.algorithm)
        signer = Signer(identity, remote)
        signer.sign_trial()
        if remote is None:
            _signers[known] = signer
        return signer


def credentials_json(signer: Signer | Unsigned, signed: Signed) -> dict[str, Any]:
    """What the report says of a clip's credentials."""
    facts: dict[str, Any] = {
        "signed": not signed.reason,
        "reason": signed.reason,
        "content_sha256": signed.content_sha256,
    }
    if isinstance(signer, Signer) and not signed.reason:
        identity = signer.identity
        facts |= {
            "signer": identity.name,
            "organization": identity.organization,
            "self_made": identity.self_made,
            "valid_until": identity.valid_until.date().isoformat(),
            "picture_history": signed.history,
        }
    return facts


def key_location(settings: Settings) -> str:
    """Where the key is, for people."""
    if settings.credentials_signer_url is not None:
        return f"remote signer {settings.credentials_signer_url}"
    if settings.credentials_key is None:
        return str(self_made_file(settings))
    return "VIVANT_CREDENTIALS_KEY"


def _prepared(path: Path, facts: ProvenanceFacts | None) -> str:
    """Add the facts as XMP; the SHA-256 of the file then."""
    try:
        if facts is not None:
            add_xmp(path, facts)
        return sha256_of(path)
    except OSError as error:
        raise _write_error(path, error) from None


def sha256_of(path: Path) -> str:
    """Of a whole file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def may_have_credentials(data: bytes) -> bool:
    """Whether a picture's file holds what looks like content credentials."""
    return b"jumb" in data and b"c2pa" in data


def with_credentials(picture: Path | bytes) -> bytes:
    """The bytes of a picture's file, if it seems to have credentials; else nothing.

    For :meth:`Signer.sign`: clip, thumbnail and contact sheet then share one look at a large file.
    """
    try:
        data = picture.read_bytes() if isinstance(picture, Path) else picture
    except OSError:
        return b""
    return data if may_have_credentials(data) else b""


def _own_credentials(picture: Path | bytes, facts: ProvenanceFacts) -> bytes:
    """The input picture's bytes, if it has credentials that can be read here; else nothing."""
    if facts.picture_format not in PICTURE_TYPES:
        return b""
    data = with_credentials(picture)
    same = bool(data) and hashlib.sha256(data).hexdigest() == facts.picture_sha256
    return data if same else b""


def _unusable(reason: str) -> str:
    return (
        f"the key that signs clips cannot be used ({reason[:200]}): see `vivant credentials key`, "
        "or set VIVANT_CREDENTIALS=optional to go on without a signature"
    )


def _write_error(path: Path, error: Exception) -> OutputError:
    reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
    return OutputError(
        f"cannot sign {path.name} ({str(reason)[:200]}): free some space, or choose another place"
    )
