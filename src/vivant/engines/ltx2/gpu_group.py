"""Several GPUs of one machine that make a clip together: one process for each.

This process is the first of the group. It starts the others, tells each what to do, and does its
own share. Where one fails or is lost, all of them are ended, the exchange that this process may be
waiting for is broken off, and the clip fails with one error.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
import torch.distributed as dist
from torch import Tensor

from vivant.child_process import start_child
from vivant.engines.ltx2.decode import decode_share, to_bytes
from vivant.engines.ltx2.denoising_stage import DenoisingStage
from vivant.engines.ltx2.gpu_messages import (
    Decode,
    Denoise,
    Failed,
    LoadModel,
    ModelLoaded,
    NextStep,
    broadcast,
    join_group,
    specs_of,
)
from vivant.engines.ltx2.memory import OffloadedModule
from vivant.engines.ltx2.options import LTX2Options
from vivant.engines.ltx2.recipes import TEMPORAL_FACTOR
from vivant.engines.ltx2.step_graphs import StepGraphs
from vivant.engines.ltx2.transformer import Denoiser
from vivant.engines.ltx2.ulysses import Ulysses
from vivant.errors import EngineError, OptionError, OutOfMemoryError, VivantError
from vivant.settings import Settings

LEAVE_SECONDS: Final = 10.0
"""How long the end of a group is waited for."""


class _GpuProcess:
    """A further process, and a thread that reads what it says."""

    def __init__(
        self, rank: int, size: int, kind: str, receive: Callable[[int, Any], None]
    ) -> None:
        self.rank = rank
        self._receive = receive
        self.process, self.connection = start_child(
            "vivant.engines.ltx2.gpu_worker", rank, size, kind
        )
        self._thread = threading.Thread(target=self._read, name="vivant-gpu", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while True:
                self._receive(self.rank, self.connection.recv())
        except (EOFError, OSError):
            code = self.process.wait()
            self._receive(self.rank, Failed(False, f"its process ended (exit code {code})"))

    def end(self) -> None:
        """Kill the process and wait until it is gone."""
        self.process.kill()
        self.process.wait()
        self._thread.join()
        self.connection.close()


class GpuGroup:
    """The group, from when its processes are started until it is closed.

    Args:
        size: GPUs, this process's own included.
        device: this process's.

    Raises:
        OptionError: fewer GPUs are here.
        EngineError: a process cannot be started, or torch has a group already.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        if device.type == "cuda" and torch.cuda.device_count() < size:
            raise OptionError(
                f"gpus={size}, and this process sees {torch.cuda.device_count()}: use fewer, or "
                "let it see more (CUDA_VISIBLE_DEVICES, the setting gpus of a worker)",
                param="gpus",
            )
        if dist.is_initialized():
            raise EngineError(
                "this process has a torch.distributed group already: use gpus=1 in it"
            )
        self.ulysses = Ulysses(0, size)
        self.device = device
        self.closed = False
        self._failure: VivantError | None = None
        self._stopped_by: BaseException | None = None
        self._changed = threading.Condition()
        self._loaded = 0
        self._graphs: StepGraphs | None = None
        self._leaving: threading.Thread | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="vivant-gpus-"))
        self._members: list[_GpuProcess] = []
        try:
            for rank in range(1, size):
                self._members.append(_GpuProcess(rank, size, device.type, self._receive))
        except OSError as error:
            self.close()
            raise EngineError(f"the process of a further GPU cannot be started: {error}") from None

    # -- life ----------------------------------------------------------------------------------

    def load(self, settings: Settings, options: LTX2Options) -> None:
        """Let the other processes begin to load the model."""
        self._send(LoadModel(settings, options, self._folder / "store"))

    def join(self) -> None:
        """Wait until all have loaded it, and connect them.

        Raises:
            VivantError: one could not.
        """
        with self._collective():
            with self._changed:
                while self._loaded < len(self._members) and self._failure is None:
                    self._changed.wait()
            if self._failure is None:
                join_group(0, self.ulysses.size, self._folder / "store", self.device)

    def close(self) -> None:
        """End the other processes and leave the group."""
        if self.closed:
            return
        self.closed = True
        for member in self._members:
            member.process.kill()
        if self._graphs is not None:
            self._graphs.forget()  # NCCL waits for graphs that hold its exchanges
        self._leave().join(LEAVE_SECONDS)
        for member in self._members:
            member.end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _leave(self) -> threading.Thread:
        """Leave torch's group, once; what this process waits for inside it returns or raises."""
        with self._changed:
            if self._leaving is None:
                self._leaving = threading.Thread(
                    target=self._abort, name="vivant-gpu-leave", daemon=True
                )
                self._leaving.start()
            return self._leaving

    def _abort(self) -> None:
        with contextlib.suppress(Exception):
            if not dist.is_initialized():
                return
            if self.device.type == "cuda":
                dist.distributed_c10d._abort_process_group()
            else:
                dist.destroy_process_group()

    def _receive(self, rank: int, message: Any) -> None:
        """Called by the members' threads."""
        with self._changed:
            if isinstance(message, ModelLoaded):
                self._loaded += 1
            failed = isinstance(message, Failed) and self._failure is None and not self.closed
            if failed:
                self._failure = self._error(rank, message)
            self._changed.notify_all()
        if failed and self.device.type == "cuda":
            self._leave()  # gloo notices by itself that a process has gone; NCCL waits for ever

    def _error(self, rank: int, failed: Failed) -> VivantError:
        where = f"GPU {rank + 1} of {self.ulysses.size}"
        if failed.no_memory:
            return OutOfMemoryError(
                f"memory of {where} is not enough: use tier=fp8, fewer frames, a smaller grid, or "
                f"free it of other programs ({failed.reason})"
            )
        return EngineError(
            f"{where} was lost, and the clip with it: try again, or use gpus=1 ({failed.reason})"
        )

    def check(self) -> None:
        """Raise the error of a member that has failed.

        Raises:
            VivantError: it.
        """
        if self._failure is not None:
            raise self._failure

    def _send(self, message: Any) -> None:
        for member in self._members:
            with contextlib.suppress(OSError):  # it has gone: its thread says why
                member.connection.send(message)

    @contextmanager
    def _collective(self) -> Iterator[None]:
        """Inside, whatever goes wrong ends the group, and is one error of Vivant's.

        What the caller's own ``after_step`` raises passes, and the group goes on.
        """
        try:
            yield
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            self.check()
        except BaseException as error:
            if error is self._stopped_by:
                self._stopped_by = None
                raise
            if isinstance(error, RuntimeError) and self._failure is None:
                # a member that has gone is noticed here first: its thread knows why
                with self._changed:
                    self._changed.wait_for(lambda: self._failure is not None, timeout=2.0)
            self.close()
            if self._failure is not None:
                raise self._failure from None
            if isinstance(error, torch.OutOfMemoryError):
                raise self._error(0, Failed(True, str(error).splitlines()[0])) from None
            raise

    # -- work ----------------------------------------------------------------------------------

    def denoise(
        self,
        stage: DenoisingStage,
        transformer: OffloadedModule,
        denoiser: Denoiser,
        after_step: Callable[[int], None],
    ) -> tuple[Tensor, Tensor]:
        """``stage.run`` by all GPUs.

        Raises:
            VivantError: one has failed; the group is closed.
        """

        def after(step: int) -> None:
            self.check()
            try:
                after_step(step)
            except BaseException as error:
                self._stopped_by = error
                self._send(NextStep(False))
                raise
            self._send(NextStep(True))

        self._graphs = denoiser.graphs
        with self._collective():
            tensors = stage.tensors()
            self._send(Denoise(specs_of(tensors), stage.parameters()))
            everywhere = iter(broadcast(tensors, self.device))
            return DenoisingStage.from_tensors(everywhere, **stage.parameters()).run(
                transformer, denoiser, after
            )

    def decode(self, vae: Any, latents: Tensor, *, chunk: int) -> Iterator[Tensor]:
        """Frames ``[T, H, W, 3]`` uint8 on this GPU, in pieces of about ``chunk`` frames.

        Raises:
            VivantError: a GPU has failed; the group is closed.
        """
        with self._collective():
            self._send(Decode(specs_of([latents])))
            (everywhere,) = broadcast([latents], self.device)
            own = to_bytes(decode_share(vae, everywhere, self.ulysses))
            shares = [own]
            for rank in range(1, self.ulysses.size):
                frames = Ulysses(rank, self.ulysses.size).frames(latents.shape[2])
                count = len(frames) * TEMPORAL_FACTOR
                shares.append(own.new_empty((count, *own.shape[1:])))
            self.ulysses.receive(shares)
        for share in shares:
            yield from share.split(chunk)
