"""A job's picture: decoded, framed, and kept where the render stage finds it.

May be repeated at any time, like every stage. Knows nothing of who asks for it when.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from vivant.picture.faces import lend_reader
from vivant.picture.framing import crop_pixels
from vivant.picture.intake import load_portrait
from vivant.pipeline import image_limits
from vivant.service.job import PORTRAIT, REFERENCE, SOURCE, Job, key, request_from_json
from vivant.service.ledger import Ledger
from vivant.service.objects import Objects
from vivant.service.portrait_file import read_portrait, write_portrait
from vivant.service.scratch import Scratch
from vivant.settings import Settings
from vivant.types import Portrait
from vivant.video.sheet import write_jpeg


class Preparation:
    """See the module.

    Args:
        ledger: of the jobs.
        objects: where pictures are.
        settings: limits of pictures.
        scratch: for files on their way.
    """

    def __init__(
        self,
        ledger: Ledger,
        objects: Objects,
        settings: Settings,
        scratch: Scratch,
    ) -> None:
        self._ledger, self._objects, self._settings = ledger, objects, settings
        self._scratch = scratch
        self._guard = threading.Lock()
        self._at_it: dict[str, threading.Lock] = {}

    @contextmanager
    def once(self, job_id: str) -> Iterator[None]:
        """One thread at a time prepares a job; the second one finds it done."""
        with self._guard:
            lock = self._at_it.setdefault(job_id, threading.Lock())
        try:
            with lock:
                yield
        finally:
            with self._guard:
                self._at_it.pop(job_id, None)

    def prepare(self, job: Job) -> Portrait:
        """Decode the picture and choose its framing.

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
            portrait = load_portrait(
                source.read_bytes(),
                width=request.width,
                height=request.height,
                limits=image_limits(self._settings),
                reader=reader,
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
        self._ledger.prepared(
            job.id,
            {"seconds": time.perf_counter() - started, "warnings": list(portrait.warnings)},
        )
        return portrait

    def portrait(self, job_id: str) -> tuple[Portrait, float]:
        """The prepared picture and the seconds it took; prepared here if nobody has yet."""
        with self.once(job_id):
            job = self._ledger.get(job_id)
            if job.prepared is None:
                portrait = self.prepare(job)
                prepared = self._ledger.get(job_id).prepared or {}
                return portrait, float(prepared.get("seconds", 0.0))
        with self._scratch.folder() as folder:
            path = folder / PORTRAIT
            self._objects.get_file(key(job_id, PORTRAIT), path)
            return read_portrait(path), float(job.prepared["seconds"])
