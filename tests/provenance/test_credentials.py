"""Content credentials: what is signed, and how every kind of change is told."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import av
import c2pa
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from PIL import Image as PillowImage

from vivant.engines import ENGINES
from vivant.engines.fake import FakeEngine
from vivant.errors import CredentialsError, OutputError
from vivant.pipeline import ClipJob
from vivant.provenance import keys
from vivant.provenance.facts import ALTERED, GENERATED, IPTC, SOURCE_TYPES, ProvenanceFacts
from vivant.provenance.manifest import OFFLINE
from vivant.provenance.reading import REMUXED, read_credentials
from vivant.provenance.signing import Signer, Unsigned, signer_for
from vivant.settings import Settings, read_settings
from vivant.types import Request
from vivant.upscalers import load_upscaler
from vivant.version import __version__
from vivant.video.encoder import Encoder, to_yuv
from vivant.video.probe import probe

FACTS = ProvenanceFacts(
    engine="ltx2",
    source_type=GENERATED,
    seed=7,
    picture_sha256="ab" * 32,
    picture_format="JPEG",
    model="ltx-2.3",
    revision="0123abc",
)
C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def write_clip(path: Path, seed: int = 0) -> Path:
    """A clip of nine frames, as the pipeline writes it."""
    noise = np.random.default_rng(seed)
    with Encoder(path, width=64, height=64, fps=Fraction(24), comment=FACTS.comment) as encoder:
        for _ in range(9):
            pixels = noise.integers(0, 255, (64, 64, 3), dtype=np.uint8)
            list(encoder.write(to_yuv(pixels)))
        list(encoder.flush())
        encoder.close()
    return path


def boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    """Top-level boxes: ``(type, whole box)``; a ``uuid`` box by its UUID."""
    found, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        box = data[at : at + size]
        found.append((box[8:24] if kind == b"uuid" else kind, box))
        at += size
    return found


def joined(parts: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(box for _, box in parts)


def without(data: bytes, kind: bytes) -> bytes:
    return joined([one for one in boxes(data) if one[0] != kind])


@dataclass(frozen=True)
class Signed:
    """A signed clip and thumbnail, a second clip, and whose settings signed them."""

    clip: bytes
    thumbnail: bytes
    other: bytes
    settings: Settings


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    folder = tmp_path_factory.mktemp("signed")
    settings = read_settings(data_dir=folder / "data")
    signer = signer_for(settings)
    thumbnail = folder / "thumbnail.jpg"
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    PillowImage.fromarray(pixels).save(thumbnail, "JPEG")
    paths = write_clip(folder / "clip.mp4"), thumbnail, write_clip(folder / "other.mp4", 1)
    for path in paths:
        signer.sign(path, FACTS)
    clip, picture, other = (path.read_bytes() for path in paths)
    return Signed(clip, picture, other, settings)


def official(path: Path) -> dict[str, Any] | None:
    """What the reader of the C2PA project itself says; None without credentials."""
    try:
        with c2pa.Reader(path, context=c2pa.Context.from_dict(OFFLINE)) as reader:
            found: dict[str, Any] = json.loads(reader.json())
            return found
    except c2pa.C2paError.ManifestNotFound:
        return None


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def swap(old: bytes, new: bytes, kind: bytes = C2PA_BOX) -> Callable[[Signed], bytes]:
    """Replace text in a box, with text as long."""

    def change(signed: Signed) -> bytes:
        parts = boxes(signed.clip)
        assert old in dict(parts)[kind]
        assert len(old) == len(new)
        return joined([(k, box.replace(old, new) if k == kind else box) for k, box in parts])

    return change


def broken_signature(signed: Signed) -> bytes:
    at = signed.clip.index(b"\x58\x40", signed.clip.index(b"c2pa.signature"))
    end = len(dict(boxes(signed.clip))[C2PA_BOX])
    while (following := signed.clip.find(b"\x58\x40", at + 1, end)) > 0:
        at = following  # the last string of 64 bytes
    return flip(signed.clip, at + 9)


def in_box(kind: bytes, offset: int) -> Callable[[Signed], bytes]:
    """Flip a bit of a box."""

    def change(signed: Signed) -> bytes:
        parts = boxes(signed.clip)
        assert kind in dict(parts)
        return joined([(k, flip(box, offset) if k == kind else box) for k, box in parts])

    return change


def of_another_clip(signed: Signed) -> bytes:
    """This clip with the credentials of the other one."""
    foreign = dict(boxes(signed.other))[C2PA_BOX]
    return joined([(k, foreign if k == C2PA_BOX else box) for k, box in boxes(signed.clip)])


def with_frames_of_another(signed: Signed) -> bytes:
    frames = dict(boxes(signed.other))[b"mdat"]
    return joined([(k, frames if k == b"mdat" else box) for k, box in boxes(signed.clip)])


def remuxed(signed: Signed) -> bytes:
    """The same packets in a new file, as ``ffmpeg -c copy`` writes it."""
    out = io.BytesIO()
    with (
        av.open(io.BytesIO(signed.clip), "r") as source,
        av.open(out, "w", format="mp4") as target,
    ):
        target.metadata["comment"] = source.metadata["comment"]
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return out.getvalue()


def resaved(signed: Signed) -> bytes:
    out = io.BytesIO()
    PillowImage.open(io.BytesIO(signed.thumbnail)).save(out, "JPEG")
    return out.getvalue()


def signed_by_a_stranger(signed: Signed, chain: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The credentials are removed, and the file is signed again, with what it said before."""
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    signer = Signer(keys.checked(chain, pem))
    out = io.BytesIO()
    with c2pa.Builder({"format": "video/mp4", "assertions": []}, c2pa.Context()) as builder:
        builder.set_intent(
            c2pa.C2paBuilderIntent.CREATE, c2pa.C2paDigitalSourceType.DIGITAL_CAPTURE
        )
        with signer._signer() as (native, _):
            builder.sign(native, "video/mp4", io.BytesIO(without(signed.clip, C2PA_BOX)), out)
    return out.getvalue()


def another_key(signed: Signed) -> bytes:
    text = keys._make()
    key = serialization.load_pem_private_key(text.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return signed_by_a_stranger(signed, text, key)


def copied_name(signed: Signed) -> bytes:
    """A stranger's certificate with the same names and the same serial number as ours."""
    ours = x509.load_pem_x509_certificates(keys.self_made_file(signed.settings).read_bytes())
    made = []
    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    for certificate, key in zip(ours, (leaf, root), strict=True):
        builder = (
            x509.CertificateBuilder()
            .subject_name(certificate.subject)
            .issuer_name(certificate.issuer)
            .serial_number(certificate.serial_number)
            .public_key(key.public_key())
            .not_valid_before(certificate.not_valid_before_utc)
            .not_valid_after(certificate.not_valid_after_utc)
        )
        for extension in certificate.extensions:
            value: x509.ExtensionType = extension.value
            if isinstance(value, x509.SubjectKeyIdentifier):
                value = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
            if isinstance(value, x509.AuthorityKeyIdentifier):
                value = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key())
            builder = builder.add_extension(value, extension.critical)
        made.append(builder.sign(root, hashes.SHA256()))
    chain = "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in made)
    return signed_by_a_stranger(signed, chain, leaf)


XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
FREE, EXTRA = b"\0\0\0\x10free12345678", b"\0\0\0\x10abcd12345678"

CHANGES: dict[str, tuple[str, str, Callable[[Signed], bytes]]] = {
    "nothing": ("mp4", "valid own", lambda s: s.clip),
    "a frame": ("mp4", "tampered", in_box(b"mdat", 2000)),
    "all frames": ("mp4", "tampered", with_frames_of_another),
    "the index": ("mp4", "tampered", in_box(b"moov", 300)),
    "the comment": ("mp4", "tampered", swap(b"engine ltx2", b"engine none", b"moov")),
    "the XMP": ("mp4", "tampered", in_box(XMP_BOX, 900)),
    "the XMP is gone": ("mp4", "tampered", lambda s: without(s.clip, XMP_BOX)),
    "a box more": ("mp4", "tampered", lambda s: s.clip + EXTRA),
    "more empty space": ("mp4", "valid own", lambda s: s.clip + FREE),
    "cut in half": ("mp4", "tampered", lambda s: s.clip[: len(s.clip) // 2]),
    "cut in the credentials": ("mp4", "tampered", lambda s: s.clip[:1500]),
    "credentials of another clip": ("mp4", "tampered", of_another_clip),
    "the signature": ("mp4", "tampered", broken_signature),
    "the certificate": ("mp4", "tampered", swap(b"Vivant (self-made", b"Someone (self-mad")),
    "the seed": ("mp4", "tampered", swap(b'"seed":7', b'"seed":8')),
    "the source type": ("mp4", "tampered", swap(b"trainedAlgor", b"explainAlgor")),
    "a swapped ingredient": ("mp4", "tampered", swap(b"the file: abab", b"the file: cdcd")),
    "another key": ("mp4", "valid", another_key),
    "another key under our name": ("mp4", "valid", copied_name),
    "the credentials are gone": ("mp4", "missing", lambda s: without(s.clip, C2PA_BOX)),
    "a re-mux": ("mp4", "missing", remuxed),
    "a picture as it was": ("jpg", "valid own", lambda s: s.thumbnail),
    "a picture's pixels": ("jpg", "tampered", lambda s: flip(s.thumbnail, len(s.thumbnail) - 500)),
    "a picture's end": ("jpg", "tampered", lambda s: s.thumbnail[:-400] + b"\xff\xd9"),
    "a picture saved anew": ("jpg", "missing", resaved),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_told(tmp_path: Path, signed: Signed, name: str) -> None:
    suffix, expected, change = CHANGES[name]
    path = tmp_path / f"file.{suffix}"
    path.write_bytes(change(signed))
    found = read_credentials(path, signed.settings)
    assert f"{found.state}{' own' if found.own else ''}" == expected, found
    assert not found.trusted
    if name != "cut in the credentials":  # the official reader gives an error there
        theirs = official(path)
        assert (theirs is None) == (found.state == "missing")
        assert theirs is None or (theirs["validation_state"] == "Valid") == (found.state == "valid")
    if expected == "valid":
        assert found.source_type == "digitalCapture"
    if name in ("a re-mux", "the credentials are gone"):
        assert found.sentence == REMUXED


def manifest_of(path: Path) -> dict[str, Any]:
    found = official(path)
    assert found is not None
    active: dict[str, Any] = found["manifests"][found["active_manifest"]]
    return active


def actions_of(path: Path) -> list[dict[str, Any]]:
    data = {one["label"]: one["data"] for one in manifest_of(path)["assertions"]}
    found: list[dict[str, Any]] = data["c2pa.actions.v2"]["actions"]
    return found


def test_a_generated_clip_says_so(tmp_path: Path, signed: Signed) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(signed.clip)
    done = actions_of(path)
    assert len(done) == 1
    action = done[0]
    assert action["action"] == "c2pa.created"
    assert action["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert action["softwareAgent"] == {"name": "ltx-2.3", "version": "0123abc"}
    (ingredient,) = manifest_of(path)["ingredients"]
    assert ingredient["relationship"] == "inputTo"
    assert "ab" * 32 in ingredient["description"]
    found = read_credentials(path, signed.settings)
    assert dict(found.production) == FACTS.as_json()
    assert "prompt" not in found.production


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_only_a_generative_model_is_called_generative(tmp_path: Path, engine: str) -> None:
    assert (SOURCE_TYPES[engine] == GENERATED) == (engine == "ltx2")
    path = write_clip(tmp_path / "clip.mp4")
    facts = replace(FACTS, engine=engine, source_type=ALTERED, model="", revision="")
    signer_for(read_settings()).sign(path, facts)
    opened, edited = actions_of(path)
    assert opened["action"] == "c2pa.opened"
    assert (edited["action"], edited["digitalSourceType"]) == ("c2pa.edited", IPTC + ALTERED)
    assert manifest_of(path)["ingredients"][0]["relationship"] == "parentOf"
    assert b"rainedAlgorithmic" not in path.read_bytes()


def test_a_signed_clip_is_small_plays_and_keeps_its_layout(tmp_path: Path, signed: Signed) -> None:
    before, after = write_clip(tmp_path / "before.mp4"), tmp_path / "after.mp4"
    after.write_bytes(signed.clip)
    assert after.stat().st_size - before.stat().st_size <= 10_000
    facts = probe(after)
    assert facts.moov_first
    assert not facts.edit_list
    with av.open(str(before)) as one, av.open(str(after)) as two:
        pairs = zip(one.decode(video=0), two.decode(video=0), strict=True)
        assert all((a.to_ndarray() == b.to_ndarray()).all() for a, b in pairs)
        assert two.metadata["comment"] == FACTS.comment
    assert f'DigitalSourceType="{IPTC}{GENERATED}"'.encode() in signed.clip
    with PillowImage.open(io.BytesIO(signed.thumbnail)) as picture:
        assert "trainedAlgorithmicMedia" in str(picture.info["xmp"])


def test_the_content_is_the_same_and_the_signature_is_not(tmp_path: Path) -> None:
    signer = signer_for(read_settings())
    paths = [write_clip(tmp_path / name) for name in ("1.mp4", "2.mp4")]
    results = [signer.sign(path, FACTS) for path in paths]
    assert results[0] == results[1]
    one, two = (path.read_bytes() for path in paths)
    assert one != two
    assert without(one, C2PA_BOX) == without(two, C2PA_BOX)


def test_a_clip_of_our_own_thumbnail_keeps_the_history(tmp_path: Path, signed: Signed) -> None:
    picture = tmp_path / "thumbnail.jpg"
    picture.write_bytes(signed.thumbnail)
    digest = hashlib.sha256(signed.thumbnail).hexdigest()
    facts = replace(FACTS, engine="living", source_type=ALTERED, picture_sha256=digest)
    path = write_clip(tmp_path / "clip.mp4")
    assert signer_for(signed.settings).sign(path, facts, picture).history
    found = read_credentials(path, signed.settings)
    assert (found.state, found.history) == ("valid", (f"Vivant {__version__}",))
    # the picture's own manifest, which says that it was generated, is inside
    told = official(path)
    assert told is not None
    assert len(told["manifests"]) == 2
    assert "trainedAlgorithmicMedia" in json.dumps(told)
    # another picture, and one whose credentials are damaged: only the hash is kept
    assert not signer_for(signed.settings).sign(path, FACTS, picture).history
    assert read_credentials(path, signed.settings).state == "valid"


def test_a_picture_that_was_changed_keeps_a_history_that_says_so(
    tmp_path: Path, signed: Signed
) -> None:
    changed = flip(signed.thumbnail, len(signed.thumbnail) - 500)
    facts = replace(FACTS, picture_sha256=hashlib.sha256(changed).hexdigest())
    path = write_clip(tmp_path / "clip.mp4")
    assert signer_for(signed.settings).sign(path, facts, changed).history
    found = read_credentials(path, signed.settings)
    assert found.state == "valid"
    assert found.history == (f"Vivant {__version__} (changed after it was signed)",)


def test_a_signature_of_an_expired_certificate_says_so(tmp_path: Path) -> None:
    path = Path(__file__).parent.parent / "data" / "expired_certificate.jpg"
    found = read_credentials(path, read_settings(data_dir=tmp_path))
    assert (found.state, found.trusted, found.own) == ("expired", False, False)
    assert "certificate was not valid" in found.sentence
    changed = tmp_path / "changed.jpg"
    changed.write_bytes(flip(path.read_bytes(), path.stat().st_size - 100))
    assert read_credentials(changed, read_settings(data_dir=tmp_path)).state == "tampered"


def test_a_certificate_that_expires_meanwhile_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "SELF_MADE_YEARS", -0.002)
    key, certificates = chain()
    own = x509.load_pem_x509_certificates(certificates.encode())[0]
    identity = keys.SigningIdentity(
        certificates, key.encode(), "es256", "x", "", 1, own.not_valid_after_utc, True
    )
    path = write_clip(tmp_path / "clip.mp4")
    with pytest.raises(CredentialsError, match="expired while the clip was made"):
        Signer(identity).sign(path, FACTS)
    assert [left.name for left in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are POSIX's")
@pytest.mark.parametrize("room", [50, 3_000])
def test_a_disk_that_fills_up_while_signing(tmp_path: Path, signed: Signed, room: int) -> None:
    """The XMP does not fit, or only the credentials do not."""
    import resource

    path = write_clip(tmp_path / "clip.mp4")
    signer = signer_for(signed.settings)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + room, before[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot sign clip\.mp4 .*free some space"):
            signer.sign(path, FACTS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [left.name for left in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_root_makes_a_signer_trusted(tmp_path: Path, signed: Signed) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_bytes(keys.self_made_file(signed.settings).read_bytes())
    path = tmp_path / "clip.mp4"
    path.write_bytes(signed.clip)
    assert read_credentials(path, read_settings(credentials_trust=roots)).trusted
    with pytest.raises(CredentialsError, match="VIVANT_CREDENTIALS_TRUST"):
        read_credentials(path, read_settings(credentials_trust=tmp_path / "none.pem"))


# -- keys ------------------------------------------------------------------------------------


def test_the_self_made_key_is_made_once_and_private(tmp_path: Path) -> None:
    file = tmp_path / "data" / "credentials" / "self-made.pem"
    with ThreadPoolExecutor(8) as pool:
        texts = set(pool.map(lambda _: keys.self_made(file), range(8)))
    assert len(texts) == 1
    assert [path.name for path in file.parent.iterdir()] == ["self-made.pem"]
    if sys.platform != "win32":
        assert file.stat().st_mode & 0o777 == 0o600
    renewed = keys.self_made(file, renew=True)
    assert renewed not in texts
    assert {file.with_suffix(".old.pem").read_text("utf-8")} == texts


def chain(days: int = 30, **changes: Any) -> tuple[str, str]:
    """A key and its certificates, as an authority gives them: two PEM texts."""
    text = keys._make(**changes)
    at = text.index("-----BEGIN CERTIFICATE")
    return text[:at], text[at:]


def expired() -> tuple[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "SELF_MADE_YEARS", 0)
        return chain()


def self_signed() -> tuple[str, str]:
    key, certificates = chain()
    root = certificates[certificates.rindex("-----BEGIN") :]
    return key, root


BAD_KEYS: dict[str, tuple[Callable[[], tuple[str | None, str | None]], str]] = {
    "no such file": (lambda: ("/nowhere/key.pem", chain()[1]), "No such file"),
    "no certificate": (lambda: (chain()[0], None), "together"),
    "not PEM": (lambda: (chain()[0], "-----BEGIN nothing"), "no PEM certificate"),
    "no key": (lambda: ("-----BEGIN nothing", chain()[1]), "no PEM private key"),
    "expired": (expired, "expired on"),
    "of another certificate": (lambda: (chain()[0], chain()[1]), "do not belong together"),
    "signed by itself": (self_signed, "signed by itself"),
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_a_bad_key_is_an_error_before_any_work(
    tmp_path: Path, portrait_bytes: bytes, name: str
) -> None:
    make, message = BAD_KEYS[name]
    key, certificates = make()

    class Idle(FakeEngine):
        def generate(self, *_: Any) -> Any:
            raise AssertionError("the engine was started")

    settings = read_settings(credentials_key=key, credentials_certificates=certificates)
    request = Request(image=portrait_bytes, width=320, height=180, num_frames=9, engine="fake")
    job = ClipJob(request, Idle(), load_upscaler("auto"), settings)
    with pytest.raises(CredentialsError, match=message):
        job.run(tmp_path / "clip.mp4")
    assert not list(tmp_path.iterdir())
    # where the operator says so, the clip is made, and says what it lacks
    signer = signer_for(settings.model_copy(update={"credentials": "optional"}))
    assert isinstance(signer, Unsigned)
    assert message in signer.notes[0]


def test_keys_of_other_kinds(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="P-256"):
        keys._algorithm(ec.generate_private_key(ec.SECP256K1()).public_key())
    assert keys._algorithm(ec.generate_private_key(ec.SECP384R1()).public_key()) == "es384"
    assert keys._algorithm(ed25519.Ed25519PrivateKey.generate().public_key()) == "ed25519"
    key, certificates = chain()
    files = tmp_path / "key.pem", tmp_path / "certificates.pem"
    for file, text in zip(files, (key, certificates), strict=True):
        file.write_text(text)
    settings = read_settings(credentials_key=str(files[0]), credentials_certificates=str(files[1]))
    signer = signer_for(settings)
    assert isinstance(signer, Signer)
    assert signer_for(settings) is signer  # it was tried once


class RemoteKey(BaseHTTPRequestHandler):
    """A key service; ``answer`` is what it does with the bytes to sign."""

    key: ec.EllipticCurvePrivateKey
    answer: Callable[[bytes], tuple[int, bytes]]
    sent: str | None

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).sent = self.headers["Authorization"]
        status, body = type(self).answer(data)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def remote() -> Iterator[tuple[str, str]]:
    """URL and certificates of a running key service."""
    key, certificates = chain()
    loaded = serialization.load_pem_private_key(key.encode(), None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    RemoteKey.key = loaded
    with HTTPServer(("127.0.0.1", 0), RemoteKey) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/sign", certificates
        server.shutdown()
        thread.join()


def der(data: bytes) -> bytes:
    return RemoteKey.key.sign(data, ec.ECDSA(hashes.SHA256()))


def test_a_remote_signer(tmp_path: Path, remote: tuple[str, str]) -> None:
    url, certificates = remote
    settings = read_settings(
        credentials_signer_url=url,
        credentials_certificates=certificates,
        credentials_signer_token="secret",  # noqa: S106
    )
    path = write_clip(tmp_path / "clip.mp4")
    RemoteKey.answer = lambda data: (200, der(data))
    signer = signer_for(settings)
    signer.sign(path, FACTS)
    assert RemoteKey.sent == "Bearer secret"
    assert read_credentials(path, settings).state == "valid"
    wrong = {
        "answered 503": lambda _: (503, b""),
        "is no signature": lambda _: (200, b""),
        "something that is no signature": lambda _: (200, b"{}"),
        "cannot be used": lambda _: (200, bytes(64)),
    }
    before = path.read_bytes()
    for message, answer in wrong.items():
        RemoteKey.answer = answer
        with pytest.raises(CredentialsError, match=message):
            signer_for(settings)
    RemoteKey.answer = wrong["answered 503"]
    with pytest.raises(CredentialsError, match="answered 503"):
        signer.sign(path, FACTS)  # it worked when the clip was begun
    assert path.read_bytes().startswith(before)  # only XMP was added
    assert [one.name for one in tmp_path.iterdir()] == ["clip.mp4"]
    with pytest.raises(CredentialsError, match="cannot be reached"):
        signer_for(settings.model_copy(update={"credentials_signer_url": "http://127.0.0.1:9/"}))
    with pytest.raises(CredentialsError, match="no http"):
        signer_for(settings.model_copy(update={"credentials_signer_url": "file:///etc/passwd"}))
