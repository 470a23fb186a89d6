"""Weight files → tensors on the GPU, by several readers through pinned memory.

A mapped file is read page by page, and a copy from pageable memory passes through one thread of
the driver: together 2 to 3 GB/s. Here each reader asks for whole pieces, which the kernel copies
into pinned memory, and the GPU fetches one piece while the next is read.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
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
        if not threading.main_thread().is_alive():
            # Python waits for a pool's work before it ends: a command that has failed need not
            raise WeightsError(f"{path} is not read: the process is ending")
        self.turn = 1 - self.turn
        piece, before = self.pieces[self.turn][: target.numel()], self.fetched[self.turn]
        if before is not None:
            before.synchronize()
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            view, done = memoryview(piece.numpy().data), 0
            while done < len(view):
                count = file.readinto(view[done:])
                if not count:
                    raise WeightsError(f"{path} became shorter while it was read: fetch it again")
                done += count
        if self.stream is None:
            target.copy_(piece)
            return None
        with torch.cuda.stream(self.stream):
            target.copy_(piece, non_blocking=True)
            self.fetched[self.turn] = self.stream.record_event()
        return self.fetched[self.turn]


class FilePrefetch:
    """Files on their way to the GPU before they are asked for: while libraries are imported."""

    def __init__(self, device: torch.device, files: list[Path]) -> None:
        self.device, self.files = device, files
        self._tensors: list[tuple[str, Tensor]] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="vivant-early", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        # whoever asks for the files reads them again, and says what is wrong
        with (
            suppress(VivantError, RuntimeError),
            closing(_read_to(self.device, self.files)) as all_,
        ):
            tensors = []
            for item in all_:
                tensors.append(item)
                if self._stop.is_set():
                    return
            if self.device.type == "cuda":
                torch.cuda.current_stream(self.device).synchronize()
            self._tensors = tensors

    def take(self) -> list[tuple[str, Tensor]] | None:
        """What was read, once it all is; None where reading failed."""
        self._thread.join()
        tensors, self._tensors = self._tensors, None
        return tensors

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
        tensors = early.take()
        if tensors is not None:
            yield from tensors
            return
    yield from _read_to(device, files, wanted)


def _read_to(
    device: torch.device, files: list[Path], wanted: Callable[[str], bool] | None = None
) -> Generator[tuple[str, Tensor]]:
    found: list[tuple[str, Path, int, Tensor]] = []
    for path in files:
        header = read_header(path)
        with path.open("rb") as file:
            start = 8 + int.from_bytes(file.read(8), "little")
        for name, entry in header.items():
            if name != "__metadata__" and (wanted is None or wanted(name)):
                tensor = _allocated(path, name, entry, device)
                found.append((name, path, start + entry["data_offsets"][0], tensor))
    if device.type == "cuda":
        torch.cuda.synchronize(device)  # what was freed before is written to from other streams
    local = threading.local()

    def read(path: Path, offset: int, target: Tensor) -> Any:
        if not hasattr(local, "staging"):
            local.staging = _Staging(device)
        return local.staging.copy(path, offset, target)

    pool = ThreadPoolExecutor(READERS, "vivant-weights")
    try:
        waiting = []
        for name, path, offset, tensor in found:
            flat = tensor.reshape(-1).view(torch.uint8) if tensor.numel() else tensor[:0]
            parts: list[Future[Any]] = [
                pool.submit(read, path, offset + at, flat[at : at + PIECE])
                for at in range(0, flat.numel(), PIECE)
            ]
            waiting.append((name, tensor, parts))
        for name, tensor, parts in waiting:
            for part in parts:
                arrived = part.result()
                if arrived is not None:
                    arrived.wait(torch.cuda.current_stream(device))
            yield name, tensor
    except OSError as error:
        raise WeightsError(f"{files[0].parent} cannot be read: {error}") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _allocated(path: Path, name: str, entry: Any, device: torch.device) -> Tensor:
    """Memory for one tensor of a header."""
    dtype, shape = DTYPES.get(entry["dtype"]), tuple(entry["shape"])
    begin, end = entry["data_offsets"]
    if dtype is None or math.prod(shape) * dtype.itemsize != end - begin:
        raise WeightsError(
            f"{path} holds {name} as {entry['dtype']} of {end - begin} bytes for {shape}: "
            "it is corrupt, or of a kind this version does not read; fetch it again"
        )
    return torch.empty(shape, dtype=dtype, device=device)
