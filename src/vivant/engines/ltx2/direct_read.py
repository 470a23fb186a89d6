"""Weight files → tensors on the GPU, by several readers through pinned memory.

A mapped file is read page by page, and a copy from pageable memory passes through one thread of
the driver: together 2 to 3 GB/s. Here each reader asks for whole pieces, which the kernel copies
into pinned memory, and the GPU fetches one piece while the next is read.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from io import RawIOBase
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from vivant.errors import VivantError, WeightsError
from vivant.weights import read_header

READERS: Final = 8
"""Threads: one does not fill a fast disk, nor the bus."""

PIECE: Final = 16 << 20
"""Bytes of one read and one copy. Each reader pins two pieces: 256 MiB in all."""

SPAN: Final = 8 * PIECE
"""Bytes that one reader takes at once: each thing that Python does for a piece may have to wait for
the imports that run beside it."""

ALIGNMENT: Final = 16
"""Bytes that GPU kernels want tensors to begin at a multiple of. Where all tensors of a file do, it
is read as it lies: a piece for each tensor, and memory for each, take more of Python's time."""

DTYPES: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""Names in a safetensors header."""


@dataclass(slots=True)
class _Staging:
    """The pinned pieces of one reader, used in turn, and when the GPU has fetched each."""

    device: torch.device
    pieces: list[Tensor] = field(default_factory=list)
    fetched: list[Any] = field(default_factory=list)
    stream: Any = None
    turn: int = 0

    def __post_init__(self) -> None:
        cuda = self.device.type == "cuda"
        self.pieces = [torch.empty(PIECE, dtype=torch.uint8, pin_memory=cuda) for _ in range(2)]
        self.fetched = [None, None]
        self.stream = torch.cuda.Stream(self.device) if cuda else None

    def copy(self, path: Path, offset: int, target: Tensor) -> Any:
        """Bytes of ``path`` from ``offset`` on into ``target``; the event of their arrival."""
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            for part in target.split(PIECE):
                if not threading.main_thread().is_alive():
                    # Python waits for a pool's work before it ends: a command that has failed
                    # need not
                    raise WeightsError(f"{path} is not read: the process is ending")
                self._copy_piece(path, file, part)
        return self.fetched[self.turn]

    def _copy_piece(self, path: Path, file: RawIOBase, target: Tensor) -> None:
        self.turn = 1 - self.turn
        piece, before = self.pieces[self.turn][: target.numel()], self.fetched[self.turn]
        if before is not None:
            before.synchronize()
        view, done = memoryview(piece.numpy().data), 0
        while done < len(view):
            count = file.readinto(view[done:])
            if not count:
                raise WeightsError(f"{path} became shorter while it was read: fetch it again")
            done += count
        if self.stream is None:
            target.copy_(piece)
            return
        with torch.cuda.stream(self.stream):
            target.copy_(piece, non_blocking=True)
            self.fetched[self.turn] = self.stream.record_event()


class FilePrefetch:
    """Files on their way to the GPU before they are asked for: while libraries are imported."""

    def __init__(self, device: torch.device, files: list[Path]) -> None:
        self.device, self.files = device, files
        self._reading: _Reading | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="vivant-early", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        # whoever asks for the files reads them again, and says what is wrong
        with suppress(VivantError, RuntimeError):
            with closing(_Reading(self.device, self.files)) as reading:
                if not reading.wait(self._stop):
                    return
            self._reading = reading

    def take(self) -> _Reading | None:
        """What was read, once it all is; None where reading failed."""
        self._thread.join()
        reading, self._reading = self._reading, None
        return reading

    def stop(self) -> None:
        """End reading, and let go of what was read."""
        self._stop.set()
        self.take()


_early: list[FilePrefetch] = []
"""At most one."""


def read_early(device: torch.device, folder: Path) -> None:
    """Begin to read the safetensors files of ``folder`` to ``device``."""
    drop_early()
    if files := sorted(folder.glob("*.safetensors")):
        _early.append(FilePrefetch(device, files))


def drop_early(*, but: Path | None = None) -> None:
    """Let go of files that were read early, unless they are those of folder ``but``."""
    for early in list(_early):
        if early.files[0].parent != but:
            _early.remove(early)
            early.stop()


def read_to(
    device: torch.device, files: list[Path], wanted: Callable[[str], bool] | None = None
) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of ``files`` on ``device``, all of them allocated at once.

    Tensors of a file may share one allocation.

    Args:
        files: safetensors.
        wanted: which names; all, if None.

    Raises:
        MissingPartError: a file is not there.
        WeightsError: one is corrupt.
    """
    early = next((e for e in _early if (e.files, e.device.type) == (files, device.type)), None)
    if early is not None and wanted is None:
        _early.remove(early)
        reading = early.take()
        if reading is not None:
            yield from reading.tensors()
            return
    with closing(_Reading(device, files, wanted)) as reading:
        yield from reading.tensors()


@dataclass(slots=True)
class _Region:
    """Bytes of a file that follow each other, in memory of one allocation, and what they hold.

    Attributes:
        start: of the bytes in the file.
        memory: where they go, uint8.
        tensors: name, dtype, shape, and first and last byte in ``memory``.
        parts: the copies that are on their way, :data:`SPAN` bytes each.
    """

    path: Path
    start: int
    memory: Tensor
    tensors: list[tuple[str, torch.dtype, tuple[int, ...], int, int]]
    parts: list[Future[Any]] = field(default_factory=list)


def _regions(
    path: Path, device: torch.device, wanted: Callable[[str], bool] | None
) -> Iterator[_Region]:
    """The whole file as one region where all of it is wanted and lies well; or one per tensor."""
    with path.open("rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
    tensors = sorted(
        (*entry["data_offsets"], name, *_kind(path, name, entry))
        for name, entry in read_header(path).items()
        if name != "__metadata__" and (wanted is None or wanted(name))
    )
    if wanted is None and tensors and all(begin % ALIGNMENT == 0 for begin, *_ in tensors):
        memory = torch.empty(tensors[-1][1], dtype=torch.uint8, device=device)
        found = [(name, dtype, shape, begin, end) for begin, end, name, shape, dtype in tensors]
        yield _Region(path, start, memory, found)
        return
    for begin, end, name, shape, dtype in tensors:
        memory = torch.empty(end - begin, dtype=torch.uint8, device=device)
        yield _Region(path, start + begin, memory, [(name, dtype, shape, 0, end - begin)])


class _Reading:
    """Files on their way: all memory is allocated, and readers have begun.

    Raises:
        MissingPartError: a file is not there.
        WeightsError: one is corrupt.
    """

    def __init__(
        self,
        device: torch.device,
        files: list[Path],
        wanted: Callable[[str], bool] | None = None,
    ) -> None:
        self.device, self.files = device, files
        self._regions = [region for path in files for region in _regions(path, device, wanted)]
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # what was freed before is written to by other streams
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(READERS, "vivant-weights")
        for region in self._regions:
            region.parts = [
                self._pool.submit(
                    self._read, region.path, region.start + at, region.memory[at : at + SPAN]
                )
                for at in range(0, region.memory.numel(), SPAN)
            ]

    def _read(self, path: Path, offset: int, target: Tensor) -> Any:
        if not hasattr(self._local, "staging"):
            self._local.staging = _Staging(self.device)
        return self._local.staging.copy(path, offset, target)

    def wait(self, stop: threading.Event) -> bool:
        """Until all is read, or ``stop`` is set; whether all is.

        Raises:
            WeightsError: a file cannot be read.
        """
        for region in self._regions:
            for part in region.parts:
                self._result(part)
                if stop.is_set():
                    return False
        return True

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Names and tensors, each once its bytes are there.

        Raises:
            WeightsError: a file cannot be read.
        """
        for region in self._regions:
            waited = 0
            for name, dtype, shape, begin, end in region.tensors:
                while waited * SPAN < end:
                    event = self._result(region.parts[waited])
                    if event is not None:
                        event.wait(torch.cuda.current_stream(self.device))
                    waited += 1
                yield name, region.memory[begin:end].view(dtype).reshape(shape)

    def _result(self, part: Future[Any]) -> Any:
        try:
            return part.result()
        except OSError as error:
            raise WeightsError(f"{self.files[0].parent} cannot be read: {error}") from None

    def close(self) -> None:
        """End reading; what was read stays."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _kind(path: Path, name: str, entry: Any) -> tuple[tuple[int, ...], torch.dtype]:
    """Shape and dtype of one tensor of a header."""
    dtype, shape = DTYPES.get(entry["dtype"]), tuple(entry["shape"])
    begin, end = entry["data_offsets"]
    if dtype is None or math.prod(shape) * dtype.itemsize != end - begin:
        raise WeightsError(
            f"{path} holds {name} as {entry['dtype']} of {end - begin} bytes for {shape}: "
            "it is corrupt, or of a kind this version does not read; fetch it again"
        )
    return shape, dtype
