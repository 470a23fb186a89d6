"""A picture that is slow to decode, or kills its decoder, holds no worker and no other job."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from PIL import Image as PillowImage

from image_files import slow_jpeg
from inline_service import InlineService, until
from service_process import picture
from vivant.picture.decode import Decoded
from vivant.picture.decode import decode as decode_here
from vivant.picture.source import ImageLimits
from vivant.provenance.facts import GENERATED, ProvenanceFacts
from vivant.provenance.signing import signer_for
from vivant.service.job import SOURCE, key
from vivant.service.picture_decoder import AT_ONCE, PictureDecoder
from vivant.settings import read_settings


@pytest.fixture(scope="module")
def slow() -> bytes:
    return slow_jpeg(600)


@pytest.fixture
def service(tmp_path: Path, portrait_bytes: bytes) -> Iterator[InlineService]:
    made = InlineService(tmp_path, portrait_bytes)
    yield made
    made.close()


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureDecoder]:
    """With one process that has started."""
    folder = tmp_path_factory.mktemp("decoder")
    (folder / "source").write_bytes(picture())
    made = PictureDecoder()
    decode(made, folder)
    yield made
    made.close()


def decode(decoder: PictureDecoder, folder: Path) -> Decoded:
    """The picture ``source`` of ``folder``."""
    source = folder / "source"
    return decoder.decode(source, 128, 72, ImageLimits(), folder=folder, check=lambda: None)


def decode_with(service: InlineService, decoder: PictureDecoder, seconds: float) -> None:
    decoder._seconds = seconds
    service.stages._preparation._decoder = decoder


def decoders() -> set[int]:
    """Processes of this one that decode."""
    found = set()
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # it has just ended
            if any("spawn_main" in part for part in child.cmdline()):
                found.add(child.pid)
    return found


def test_a_process_that_died_while_it_waited_is_not_the_next_pictures_fault(
    tmp_path: Path, portrait_bytes: bytes
) -> None:
    (tmp_path / "source").write_bytes(portrait_bytes)
    own = PictureDecoder()
    before = decoders()
    decode(own, tmp_path)
    for pid in decoders() - before:
        os.kill(pid, 9)
    until(lambda: not decoders() - before)
    time.sleep(0.1)  # the pool hears of it
    assert decode(own, tmp_path).pixels.size
    own.close()


def test_a_slow_picture_fails_by_itself(
    service: InlineService, decoder: PictureDecoder, slow: bytes
) -> None:
    decode_with(service, decoder, 0.3)
    job = service.job_store.get(service.submit(None, image=slow))
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["code"] == "image_too_slow"
    assert "more than 0.3 s to decode" in job.error["message"]
    assert "PNG" in job.error["message"]


@pytest.mark.parametrize("stage", ["prepare", "render"])
def test_beside_a_slow_picture_others_go_on_and_a_cancel_ends_it_at_once(
    service: InlineService, decoder: PictureDecoder, slow: bytes, stage: str
) -> None:
    decode_with(service, decoder, 300.0)
    hostile = service.submit(None, image=slow, prepare=False)
    thread = threading.Thread(target=getattr(service.stages, stage), args=(hostile,))
    thread.start()
    until(lambda: decoder._turns._value == AT_ONCE - 1)
    honest = service.submit(None)
    assert service.job_store.get(honest).prepared is not None
    assert service.job_store.get(hostile).active

    service.job_store.cancel(hostile, None, keep_seconds=60)
    cancelled = time.monotonic()
    thread.join(30)
    assert time.monotonic() - cancelled < 2
    left = [stored.key for stored in service.objects.walk(f"jobs/{hostile}")]
    assert left == [f"jobs/{hostile}/source"]


def test_a_picture_that_kills_its_decoder_fails_alone(
    service: InlineService, decoder: PictureDecoder, tmp_path: Path, slow: bytes
) -> None:
    decode_with(service, decoder, 300.0)
    (tmp_path / "source").write_bytes(picture())
    decode(decoder, tmp_path)  # a process has started
    hostile = service.submit(None, image=slow, prepare=False)
    thread = threading.Thread(target=service.stages.prepare, args=(hostile,))
    thread.start()
    until(lambda: service.job_store.get(hostile).prepare_starts == 1)
    time.sleep(0.1)
    for pid in decoders():
        os.kill(pid, 9)
    thread.join(30)
    error = service.job_store.get(hostile).error
    assert error is not None
    assert error["code"] == "image_damaged"
    assert "cannot be decoded safely" in error["message"]
    assert decode(decoder, tmp_path).format == "PNG"


def test_pictures_come_back_as_they_are_decoded_here(
    decoder: PictureDecoder, tmp_path: Path, portrait_bytes: bytes
) -> None:
    (tmp_path / "source").write_bytes(portrait_bytes)
    there = decode(decoder, tmp_path)
    here = decode_here(portrait_bytes, "the picture", 128, 72, ImageLimits())
    assert (there.pixels == here.pixels).all()
    assert replace(there, pixels=here.pixels).__dict__ == here.__dict__


def test_only_a_picture_with_credentials_is_fetched_again_to_render(
    service: InlineService, portrait_bytes: bytes, tmp_path: Path
) -> None:
    plain = service.submit(None, size=(256, 144))
    signed = tmp_path / "ours.jpg"
    PillowImage.open(io.BytesIO(portrait_bytes)).convert("RGB").save(signed, quality=90)
    digest = hashlib.sha256(signed.read_bytes()).hexdigest()
    facts = ProvenanceFacts(
        engine="ltx2", source_type=GENERATED, seed=1, picture_sha256=digest, picture_format="PNG"
    )
    signer_for(read_settings()).sign(signed, facts)
    ours = service.submit(None, size=(256, 144), image=signed.read_bytes())
    service.objects.delete(key(plain, SOURCE))  # rendering does not miss it
    for job_id, history in ((plain, False), (ours, True)):
        job = service.finish(job_id)
        assert job.status == "completed", job.error
        assert service.report(job_id)["credentials"]["picture_history"] is history
