"""Pictures that are looked at beforehand: a slow one stops only itself, and waiting is told."""

from __future__ import annotations

import asyncio
import io
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PillowImage

from service_process import picture
from vivant.api.crop_worker import CropWorker
from vivant.errors import BusyError, ImageError
from vivant.settings import read_settings
from vivant.types import Request

CLIP = Request(image=b"", width=128, height=72)


def slow_jpeg(scans: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    buffer = io.BytesIO()
    flat = PillowImage.new("L", (8000, 8000), 90)  # a scan of 1,000,000 blocks in few bytes
    flat.save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + b"\xff\xd9"


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


def test_the_process_is_started_before_the_time_is_measured(tmp_path: Path) -> None:
    worker = CropWorker(read_settings(), decode_seconds=30.0)
    try:
        started = time.monotonic()
        found = asyncio.run(worker.crop(write(tmp_path, "a.png", picture()), CLIP))
        assert found["picture"]["format"] == "PNG"
        assert time.monotonic() - started < 120
    finally:
        worker.close()
