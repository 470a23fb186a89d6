"""The process of one further GPU: it does its share of every stage and of decoding.

It ends when the pipe to the first process closes, however that one ends.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

import torch

from vivant.engines.ltx2.decode import decode_share, to_bytes
from vivant.engines.ltx2.denoising_stage import DenoisingStage
from vivant.engines.ltx2.first_uses import begin_first_uses
from vivant.engines.ltx2.gpu_messages import (
    Decode,
    Denoise,
    Failed,
    LoadModel,
    ModelLoaded,
    NextStep,
    join_group,
    received,
)
from vivant.engines.ltx2.loading import LoadedModel, ModelLoader
from vivant.engines.ltx2.ulysses import Ulysses
from vivant.errors import OutOfMemoryError
from vivant.types import ignore_progress


class _StageLeftError(Exception):
    """The first process has left the stage."""


class GpuWorker:
    """One further GPU.

    Args:
        rank: of this process in the group, from 1.
        size: of the group.
        kind: of device: ``cuda`` or ``cpu``.
    """

    def __init__(self, connection: Connection, rank: int, size: int, kind: str) -> None:
        self.connection = connection
        self.ulysses = Ulysses(rank, size)
        self.device = torch.device(kind, rank) if kind == "cuda" else torch.device(kind)
        if kind == "cuda":
            torch.cuda.set_device(self.device)
        else:
            torch.set_num_threads(1)
        self.orders: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=self._read, name="vivant-gpu-orders", daemon=True).start()

    def _read(self) -> None:
        """Take orders, also while this GPU waits for the others; end with the first process."""
        try:
            while True:
                self.orders.put(self.connection.recv())
        except (EOFError, OSError):
            os._exit(0)

    def run(self) -> None:
        """Load, then work until the pipe closes."""
        order: LoadModel = self.orders.get()
        begin_first_uses(self.device, order.settings.cache_dir / "compiled")
        loaded = ModelLoader(order.settings, self.device, ulysses=self.ulysses).load(
            order.options, ignore_progress
        )
        self.connection.send(ModelLoaded())
        join_group(self.ulysses.rank, self.ulysses.size, order.store, self.device)
        while True:
            self._obey(loaded, self.orders.get())

    def _obey(self, loaded: LoadedModel, order: Any) -> None:
        match order:
            case Denoise(specs, parameters):
                stage = DenoisingStage.from_tensors(received(specs, self.device), **parameters)
                with contextlib.suppress(_StageLeftError):
                    stage.run(loaded.transformer, loaded.denoiser, self._wait)
            case Decode(specs):
                (latents,) = received(specs, self.device)
                with loaded.vae.use() as vae:
                    self.ulysses.send_first(to_bytes(decode_share(vae, latents, self.ulysses)))

    def _wait(self, _: int) -> None:
        order: NextStep = self.orders.get()
        if not order.next_step:
            raise _StageLeftError


def main(descriptor: int, rank: int, size: int, kind: str) -> None:
    """Work until the connection on this file descriptor closes."""
    connection = Connection(descriptor)
    os.dup2(2, 1)  # what a library prints must not end in the first process's output
    try:
        GpuWorker(connection, rank, size, kind).run()
    except BaseException as error:  # noqa: BLE001 - told where the clip is made
        no_memory = isinstance(error, OutOfMemoryError | torch.OutOfMemoryError)
        lines = str(error).splitlines() or [type(error).__name__]
        with contextlib.suppress(OSError):
            connection.send(Failed(no_memory, lines[0]))
    sys.stderr.flush()
    os._exit(1)  # the group's other processes are not waited for
