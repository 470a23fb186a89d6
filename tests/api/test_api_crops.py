"""Pictures that are looked at beforehand: a slow one stops only itself, and waiting is told."""

from __future__ import annotations

import asyncio
import base64
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from image_files import slow_jpeg
from service_process import picture
from vivant.api.crop_worker import CropWorker
from vivant.api.examples import Examples
from vivant.engines.living.options import PRESETS
from vivant.errors import BusyError, ImageError
from vivant.picture.sample_picture import sample_picture
from vivant.settings import read_settings
from vivant.types import Request
from vivant.version import __version__
from vivant.video.reader import frames_at

CLIP = Request(image=b"", width=128, height=72)


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_a_slow_picture_stops_only_itself(tmp_path: Path) -> None:
    slow = write(tmp_path, "slow.jpg", slow_jpeg(9_000))
    honest = [write(tmp_path, f"{n}.png", picture(seed=n)) for n in range(6)]
    worker = CropWorker(read_settings(), decode_seconds=12.0, wait_seconds=200.0)

    async def all_at_once() -> list[Any]:
        crops = (worker.crop(path, CLIP) for path in (slow, *honest))
        return list(await asyncio.gather(*crops, return_exceptions=True))

    try:
        found = asyncio.run(all_at_once())
    finally:
        worker.close()
    assert isinstance(found[0], ImageError)
    assert found[0].error_code == "image_too_slow"
    assert "12 s" in found[0].message
    assert all(isinstance(one, dict) and one["object"] == "crop" for one in found[1:]), found


def test_who_waits_too_long_is_told_so(tmp_path: Path) -> None:
    slow = write(tmp_path, "slow.jpg", slow_jpeg(9_000))
    honest = write(tmp_path, "honest.png", picture())
    worker = CropWorker(read_settings(), decode_seconds=6.0, wait_seconds=1.0)

    async def both() -> tuple[Any, Any]:
        first = asyncio.create_task(worker.crop(slow, CLIP))
        await asyncio.sleep(0.1)
        with pytest.raises(BusyError, match="before yours") as busy:
            await worker.crop(honest, CLIP)
        with pytest.raises(ImageError):
            await first
        return busy.value.retry_after, await worker.crop(honest, CLIP)

    try:
        retry_after, crop = asyncio.run(both())
    finally:
        worker.close()
    assert retry_after >= 1
    assert crop["object"] == "crop"


def test_examples_of_another_sample_picture_are_not_shown(tmp_path: Path) -> None:
    """Between two releases the sample may change, and with it whose picture it is."""
    settings = read_settings().model_copy(update={"cache_dir": tmp_path})
    (tmp_path / "examples" / __version__).mkdir(parents=True)
    (tmp_path / "examples" / __version__ / "calm.mp4").write_bytes(b"of another picture")
    assert Examples(settings, CropWorker(settings)).file("calm.mp4") is None


def test_a_picture_is_looked_at_and_each_preset_is_shown_on_it(tmp_path: Path) -> None:
    settings = read_settings()
    worker = CropWorker(settings, decode_seconds=30.0)
    examples = Examples(settings.model_copy(update={"cache_dir": tmp_path}), worker)

    async def all_in_one_process() -> tuple[dict[str, Any], ...]:
        started = time.monotonic()  # the start of the process is not counted
        found = await worker.crop(write(tmp_path, "a.png", picture()), CLIP)
        assert time.monotonic() - started < 120
        portrait = write(tmp_path, "portrait.png", sample_picture())
        living = await worker.previews(portrait, Request(image=b"", width=1280, height=720))
        no_face = await worker.previews(tmp_path / "a.png", CLIP)
        assert examples.file("calm.mp4") is None
        examples.start()
        while examples.file("calm.mp4") is None:
            await asyncio.sleep(0.05)
        await examples.close()
        return found, living, no_face

    try:
        found, living, no_face = asyncio.run(all_in_one_process())
    finally:
        worker.close()
    assert found["picture"]["format"] == "PNG"
    assert no_face["data"] == []
    assert [one["preset"] for one in living["data"]] == list(PRESETS)
    drawn = []
    for one in living["data"]:
        clip = tmp_path / f"{one['preset']}.mp4"
        clip.write_bytes(base64.b64decode(one["clip"].removeprefix("data:video/mp4;base64,")))
        frames = frames_at(clip, {0, 12})
        assert frames[0].shape == (144, 256, 3)
        drawn.append(frames[12])
    assert all((drawn[0] != other).any() for other in drawn[1:]), "presets look the same"
    poster = cv2.imread(str(examples.file("calm.jpg")))
    first = frames_at(examples.file("calm.mp4") or tmp_path, {0})[0]
    assert poster is not None
    assert poster.shape == first.shape == (270, 480, 3)
    assert np.abs(poster[..., ::-1].astype(int) - first).mean() < 6, "the clip begins otherwise"
    assert examples.file("../calm.mp4") is None
