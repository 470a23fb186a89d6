"""The key that signs content credentials, with its certificates.

Either the operator's (a file or a setting), or a self-made one on first use. A self-made
certificate proves that a file was not changed, but not who signed it: readers say "untrusted".
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vivant.errors import CredentialsError
from vivant.settings import Settings

SELF_MADE = "Vivant (self-made certificate)"
"""Organization in the certificates that Vivant makes."""

SELF_MADE_YEARS = 10

CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
"""Elliptic curves that C2PA 2.2 allows (section 13.2), and the algorithm to sign with."""

MIN_RSA_BITS = 2048

KEY, CERTIFICATES = "VIVANT_CREDENTIALS_KEY", "VIVANT_CREDENTIALS_CERTIFICATES"


@dataclass(frozen=True, slots=True)
class SigningIdentity:
    """Who signs.

    Attributes:
        certificates: PEM, the signer's own first.
        key: PEM (PKCS #8); None where a remote signer holds it.
        algorithm: ``es256``, ``es384``, ``es512``, ``ps256`` or ``ed25519``.
        name: common name of the certificate.
        organization: its organization; empty if it has none.
        serial: serial number of the certificate.
        valid_until: UTC.
        self_made: Vivant made the certificate itself.
    """

    certificates: str
    key: bytes | None
    algorithm: str
    name: str
    organization: str
    serial: int
    valid_until: datetime
    self_made: bool


def self_made_file(settings: Settings) -> Path:
    """Where the self-made key with its certificates is kept."""
    return settings.data_dir / "credentials" / "self-made.pem"


def load_identity(settings: Settings, *, make: bool = True) -> SigningIdentity:
    """The operator's key and certificates, or the self-made ones.

    Args:
        settings: where the key is.
        make: a self-made one if there is none yet.

    Raises:
        CredentialsError: missing, unreadable, expired, or key and certificate do not fit.
    """
    remote = settings.credentials_signer_url is not None
    given = settings.credentials_key, settings.credentials_certificates
    if remote:
        if given[1] is None:
            raise CredentialsError(
                f"the remote signer needs its certificates here: set {CERTIFICATES} to a PEM file"
            )
        return checked(_text(given[1], CERTIFICATES), None)
    if given == (None, None):
        file = self_made_file(settings)
        if not make and not file.exists():
            raise CredentialsError("no key was made yet")
        text = self_made(file)
        return checked(text, text.encode())
    if given[0] is None or given[1] is None:
        raise CredentialsError(f"set {KEY} and {CERTIFICATES} together: one of them is missing")
    return checked(_text(given[1], CERTIFICATES), _text(given[0], KEY).encode())


def checked(certificates: str, key: bytes | None) -> SigningIdentity:
    """Key and certificates, after everything that can be checked without signing.

    Args:
        certificates: PEM, the signer's own first; other parts of the text are ignored.
        key: PEM; None where a remote signer holds it.

    Raises:
        CredentialsError: see :func:`load_identity`.
    """
    try:
        chain = x509.load_pem_x509_certificates(certificates.encode())
    except ValueError:
        raise CredentialsError(f"{CERTIFICATES} holds no PEM certificate") from None
    own = chain[0]
    now = datetime.now(UTC)
    if own.not_valid_after_utc <= now:
        raise CredentialsError(
            f"the signing certificate expired on {own.not_valid_after_utc:%Y-%m-%d}: set "
            f"{CERTIFICATES} to a new one (a self-made one: vivant credentials key --new)",
            code="credentials_expired",
        )
    if own.not_valid_before_utc > now:
        raise CredentialsError(
            f"the signing certificate is valid from {own.not_valid_before_utc:%Y-%m-%d} only: "
            "check the clock of this machine"
        )
    if own.issuer == own.subject:
        raise CredentialsError(
            "the signing certificate is signed by itself, which C2PA forbids: use one of a "
            "certificate authority, or Vivant's own (vivant credentials key)"
        )
    public = own.public_key()
    return SigningIdentity(
        certificates="".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in chain),
        key=None if key is None else _fitting(key, public),
        algorithm=_algorithm(public),
        name=_first(own.subject, NameOID.COMMON_NAME),
        organization=_first(own.subject, NameOID.ORGANIZATION_NAME),
        serial=own.serial_number,
        valid_until=own.not_valid_after_utc,
        self_made=_first(own.issuer, NameOID.ORGANIZATION_NAME) == SELF_MADE,
    )


def self_made(file: Path, *, renew: bool = False) -> str:
    """Key and certificates of Vivant's own making, as PEM; made when first asked for.

    Several processes may ask at the same time: all get the same key.

    Args:
        file: where they are kept, readable by its owner alone.
        renew: make new ones; the old file is kept as ``.old``.

    Raises:
        CredentialsError: the file cannot be read or written.
    """
    try:
        if file.exists() and not renew:
            return file.read_text("utf-8")
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = file.with_name(f".{secrets.token_hex(8)}.pem")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(_make())
        if renew and file.exists():
            file.replace(file.with_suffix(".old.pem"))
        try:
            os.link(fresh, file)  # unlike a rename, it never replaces another process's key
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            fresh.replace(file)
        finally:
            fresh.unlink(missing_ok=True)
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise CredentialsError(
            f"the key that signs clips cannot be kept in {file.parent.name}/{file.name} of the "
            f"data folder ({reason}): make the folder writable, or set {KEY} and {CERTIFICATES}"
        ) from None


def _make() -> str:
    """A new key, its certificate, and the certificate above it; the upper key is forgotten."""
    upper, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = f"Vivant {secrets.token_hex(3)}"
    root = _certificate(f"{name} root", f"{name} root", upper, upper, root=True)
    leaf = _certificate(name, f"{name} root", own, upper, root=False)
    key = own.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    pem = serialization.Encoding.PEM
    return (key + leaf.public_bytes(pem) + root.public_bytes(pem)).decode()


def _certificate(
    name: str,
    issuer: str,
    key: ec.EllipticCurvePrivateKey,
    upper: ec.EllipticCurvePrivateKey,
    *,
    root: bool,
) -> x509.Certificate:
    """A certificate as C2PA's certificate profile wants it (C2PA 2.2, section 14.5)."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks differ
        .not_valid_after(now + timedelta(days=365 * SELF_MADE_YEARS))
        .add_extension(x509.BasicConstraints(ca=root, path_length=0 if root else None), True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not root,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=root,
                crl_sign=root,
                encipher_only=False,
                decipher_only=False,
            ),
            True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(upper.public_key()), False
        )
    )
    if not root:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(usage, False)
    return builder.sign(upper, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, SELF_MADE),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _text(given: str, setting: str) -> str:
    """A setting that holds PEM, or the path of a PEM file."""
    if "-----BEGIN" in given:
        return given
    try:
        return Path(given).expanduser().read_text("utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise CredentialsError(
            f"the file that {setting} names cannot be read ({reason}): correct the path, or "
            "set VIVANT_CREDENTIALS=optional to go on without a signature"
        ) from None


def _fitting(key: bytes, public: CertificatePublicKeyTypes) -> bytes:
    """The private key as PKCS #8, if it belongs to the certificate."""
    try:
        private = serialization.load_pem_private_key(_only_key(key), None)
    except TypeError:
        raise CredentialsError(
            f"the key in {KEY} is protected by a password: store it without, or use a remote signer"
        ) from None
    except ValueError:
        raise CredentialsError(f"{KEY} holds no PEM private key") from None
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if private.public_key().public_bytes(*form) != public.public_bytes(*form):
        raise CredentialsError(
            f"{KEY} and {CERTIFICATES} do not belong together: the first certificate must be "
            "that of the key"
        )
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _only_key(text: bytes) -> bytes:
    """``text`` from its private key on: certificates may stand in the same file."""
    for line in text.splitlines():
        if line.startswith(b"-----BEGIN") and b"PRIVATE KEY" in line:
            return text[text.index(line) :]
    return text


def _algorithm(public: CertificatePublicKeyTypes) -> str:
    """How a key of this kind signs.

    Raises:
        CredentialsError: C2PA knows no such signature.
    """
    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name in CURVES:
        return CURVES[public.curve.name]
    if isinstance(public, ed25519.Ed25519PublicKey):
        return "ed25519"
    if isinstance(public, rsa.RSAPublicKey) and public.key_size >= MIN_RSA_BITS:
        return "ps256"
    raise CredentialsError(
        "the signing key is of a kind that C2PA does not allow: use EC P-256, P-384 or P-521, "
        f"Ed25519, or RSA of {MIN_RSA_BITS} bits or more"
    )


def _first(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    found = name.get_attributes_for_oid(oid)
    return str(found[0].value) if found else ""
