"""A job's picture: decoded, framed, and kept as an object where the render stage finds it.

Preparing and rendering may happen on different machines. Either may be repeated at any time.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from vivant.errors import OutputError, StorageError
from vivant.image_limits import image_limits
from vivant.picture.decode import Decoded
from vivant.picture.faces import lend_reader
from vivant.picture.framing import crop_pixels
from vivant.picture.intake import load_portrait
from vivant.provenance.signing import may_have_credentials
from vivant.service.job import PORTRAIT, REFERENCE, SOURCE, Job, key, request_from_json
from vivant.service.job_store import JobStore
from vivant.service.objects import Objects
from vivant.service.picture_decoder import PictureDecoder
from vivant.settings import Settings
from vivant.types import Box, Face, Portrait, Source
from vivant.video.sheet import write_jpeg


class TemporaryFolders:
    """Folders that are gone after use.

    Args:
        root: of this process alone; made where it is missing.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A new folder.

        Raises:
            OutputError: the disk does not take it, or what is written into it.
        """
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=self._root))
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield folder
        except OSError as error:
            raise self._unwritable(error) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write in {self._root}: {error.strerror}")


class Preparation:
    """See the module.

    Args:
        job_store: of the jobs.
        objects: where pictures are.
        settings: limits of pictures.
        scratch: for files on their way.
        decoder: of pictures.
    """

    def __init__(
        self,
        job_store: JobStore,
        objects: Objects,
        settings: Settings,
        scratch: TemporaryFolders,
        decoder: PictureDecoder,
    ) -> None:
        self._job_store, self._objects, self._settings = job_store, objects, settings
        self._scratch, self._decoder = scratch, decoder
        self._guard = threading.Lock()
        self._preparing: dict[str, threading.Lock] = {}

    @contextmanager
    def once(self, job_id: str) -> Iterator[None]:
        """One thread at a time prepares a job; the second one finds it done."""
        with self._guard:
            lock = self._preparing.setdefault(job_id, threading.Lock())
        try:
            with lock:
                yield
        finally:
            with self._guard:
                self._preparing.pop(job_id, None)

    def warm_up(self) -> None:
        """Start the process that decodes; does not wait."""
        self._decoder.start()

    def prepare(self, job: Job, check: Callable[[], None]) -> Portrait:
        """Decode the picture and choose its framing.

        Args:
            job: whose picture.
            check: called every quarter of a second while the picture is decoded; raises where it
                is not wanted any more.

        Raises:
            ImageError: the picture cannot be used.
            StorageError: the object store does not work.
            OutputError: the disk does not.
        """
        started = time.perf_counter()
        request = request_from_json(job.request)
        with self._scratch.folder() as folder, lend_reader() as reader:
            source = folder / SOURCE
            self._objects.get_file(key(job.id, SOURCE), source)

            def decode(_data: bytes, _name: str, *size_and_limits: Any) -> Decoded:
                return self._decoder.decode(source, *size_and_limits, folder=folder, check=check)

            data = source.read_bytes()
            portrait = load_portrait(
                data,
                width=request.width,
                height=request.height,
                limits=image_limits(self._settings, timed=True),
                reader=reader,
                decoder=decode,
                framing=request.framing,
            )
            portrait = replace(
                portrait, source=replace(portrait.source, name=job.picture.get("name", ""))
            )
            reference = folder / REFERENCE
            write_jpeg(reference, crop_pixels(portrait, request.width, request.height))
            self._objects.put_file(key(job.id, REFERENCE), reference)
            decoded = folder / PORTRAIT
            write_portrait(decoded, portrait)
            self._objects.put_file(key(job.id, PORTRAIT), decoded)
        self._job_store.prepared(
            job.id,
            {
                "seconds": time.perf_counter() - started,
                "warnings": list(portrait.warnings),
                # only then does rendering need the file again
                "credentials": may_have_credentials(data),
            },
        )
        return portrait

    def portrait(self, job_id: str, check: Callable[[], None]) -> tuple[Portrait, float]:
        """The prepared picture and the seconds it took; prepared here if that was not done yet.

        ``check`` and what is raised: as of :meth:`prepare`.
        """
        with self.once(job_id):
            job = self._job_store.get(job_id)
            if job.prepared is None:
                portrait = self.prepare(job, check)
                prepared = self._job_store.get(job_id).prepared or {}
                return portrait, float(prepared.get("seconds", 0.0))
        with self._scratch.folder() as folder:
            path = folder / PORTRAIT
            self._objects.get_file(key(job_id, PORTRAIT), path)
            return read_portrait(path), float(job.prepared["seconds"])


def write_portrait(path: Path, portrait: Portrait) -> None:
    """Pixels as they are, and the rest as JSON beside them: an uncompressed ``.npz``."""
    facts = json.dumps(
        {
            "crop": asdict(portrait.crop),
            "faces": [asdict(face) for face in portrait.faces],
            "source": asdict(portrait.source),
            "warnings": portrait.warnings,
        }
    )
    with path.open("wb") as file:
        np.savez(file, pixels=portrait.pixels, facts=np.frombuffer(facts.encode(), np.uint8))


def read_portrait(path: Path) -> Portrait:
    """The inverse of :func:`write_portrait`.

    Raises:
        StorageError: the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            pixels = file["pixels"]
            facts: dict[str, Any] = json.loads(file["facts"].tobytes())
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise StorageError(f"the prepared picture is damaged ({error}): send it again") from error
    return Portrait(
        pixels=pixels,
        crop=Box(**facts["crop"]),
        faces=tuple(
            Face(
                box=Box(**face["box"]),
                score=face["score"],
                landmarks=tuple((x, y) for x, y in face["landmarks"]),
                covered=face.get("covered", False),
            )
            for face in facts["faces"]
        ),
        source=Source(**facts["source"]),
        warnings=tuple(facts["warnings"]),
    )
