"""Checks of a clip while it is being made: every frame of the written file is looked at.

The contact sheet and the thumbnail are taken from the same frames.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from vivant.checks.inspector import Inspector
from vivant.checks.metrics.delivery import ExpectedFile
from vivant.checks.metrics.last_picture import last_picture_score
from vivant.checks.metrics.performance import Performance
from vivant.checks.worker_pool import worker_count
from vivant.picture.faces import FaceReader
from vivant.picture.framing import crop_pixels, face_in_frame
from vivant.types import (
    Box,
    ClipFacts,
    Image,
    Observer,
    Portrait,
    Progress,
    Request,
    Verification,
)
from vivant.version import __version__
from vivant.video.files import COMPANIONS
from vivant.video.probe import probe
from vivant.video.sheet import SheetCollector
from vivant.video.stages import Deferred


def _eyes(portrait: Portrait, width: int, height: int) -> Box | None:
    """Where the eyes of the largest face are in the clip, with room for a turn of the head."""
    if not portrait.faces:
        return None
    face = face_in_frame(portrait.faces[0], portrait.crop, width, height).box
    return Box(face.left, face.top + 0.2 * face.height, face.width, 0.35 * face.height)


class LiveChecks:
    """All checks of one clip, fed frame by frame. A context manager: leaving it ends the workers.

    Args:
        portrait: the input picture.
        request: what is being made.
        folder: where contact sheet and thumbnail are written.
        reader: used by one thread at a time.
        cores: that may be used.
        observe: called after every checked frame.
        on_picture: called in another thread with contact sheet and thumbnail once they are written.
    """

    def __init__(
        self,
        portrait: Portrait,
        request: Request,
        folder: Path,
        reader: FaceReader,
        *,
        cores: int,
        observe: Observer,
        on_picture: Callable[[Path], None],
    ) -> None:
        width, height = request.width, request.height
        self._portrait = portrait
        self._request, self._folder, self._observe = request, folder, observe
        self._reader = reader
        self._last_frame: Image | None = None
        self._on_picture = on_picture
        self._pictures: list[Future[None]] = []
        self._sheet: SheetCollector | None = None
        self._seen = self._told = 0
        self._workers = worker_count(cores, request.num_frames, width, height)
        self._pool = ThreadPoolExecutor(1, "vivant-checks")
        self._facts: Future[ClipFacts] | None = None
        self._inspector = Deferred(
            lambda: Inspector(
                portrait,
                num_frames=request.num_frames,
                fps=request.fps,
                width=width,
                height=height,
                reader=reader,
                workers=self._workers,
                pixels=self.reference,
            ),
            self._pool,
        )

    @cached_property
    def reference(self) -> Image:
        """The picture as the clip should show it, ``[height, width, 3]``.

        Drawn by the thread that starts the inspector: the engine does not wait for it.
        """
        return crop_pixels(self._portrait, self._request.width, self._request.height)

    def kept_frame(self, index: int) -> Image | None:
        """Frame ``index`` as it was inspected, where it is still in memory."""
        return self._inspector.result().kept_frame(index)

    @property
    def busy(self) -> float:
        """Seconds that worker processes have computed."""
        return self._inspector.result().busy

    def start(self) -> None:
        """Start the workers in another thread, if they were not yet."""
        self._inspector.start()

    def inspect(self, pixels: Image, *, shown: Image) -> None:
        """See the next frame, ``[height, width, 3]`` uint8 sRGB.

        Args:
            pixels: what is judged.
            shown: as a viewer sees it: with the label, if there is one.
        """
        request, inspector = self._request, self._inspector.result()
        inspector.inspect(pixels[None])
        if self._sheet is None:
            eyes = _eyes(self._portrait, request.width, request.height)
            self._sheet = SheetCollector(self.reference, request, eyes)
        self._sheet.add(self._seen, shown)
        self._seen += 1
        if self._seen == request.num_frames:
            if self._portrait.last is not None:
                self._last_frame = pixels.copy()
            # pictures and page are prepared while workers still check the last frames
            self._pictures.append(self._pool.submit(self._write_pictures, self._sheet))
            inspector.wait()
        while self._told < inspector.done:
            self._told += 1
            self._observe(Progress("verify", self._told, request.num_frames))

    def _write_pictures(self, sheet: SheetCollector) -> None:
        request = self._request
        title = f"Vivant {__version__}, engine {request.engine}, seed {request.seed}"
        sheet.write(self._folder, title=title)
        for role in ("thumbnail", "contact_sheet"):
            self._on_picture(self._folder / COMPANIONS[role])

    def probe(self, path: Path) -> None:
        """Read what the finished file says of itself, in another thread."""
        self._facts = self._pool.submit(probe, path)

    def finish(self, performance: Performance) -> Verification:
        """The answer, after :meth:`probe` and the last frame.

        Args:
            performance: what making the clip took.

        Raises:
            ClipError: no frame was seen, or the file cannot be read.
            MachineError: a worker has died.
            VivantError: contact sheet or thumbnail could not be written.
        """
        request = self._request
        if self._facts is None:
            raise AssertionError("probe comes before finish")
        found = self._inspector.result().finish(
            self._facts.result(),
            expected=ExpectedFile(
                width=request.width,
                height=request.height,
                fps=request.fps,
                num_frames=request.num_frames,
            ),
            performance=performance,
        )
        for written in self._pictures:
            written.result()
        last, frame = self._portrait.last, self._last_frame
        if last is None or frame is None:
            return found
        score = last_picture_score(frame, self._seen - 1, last, self._reader)
        return replace(found, scores=(*found.scores, score))

    def __enter__(self) -> Self:
        if not self._workers:  # all is computed here: loading must not hold up the first frames
            try:
                self._inspector.result()
            except BaseException:
                self._pool.shutdown()
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._inspector.started:
                self._inspector.result().close()
        finally:
            self._pool.shutdown()
