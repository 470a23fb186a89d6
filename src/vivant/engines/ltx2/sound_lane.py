"""Where the sound's work of a block is queued: beside the picture's, on a CUDA stream of its own.

The sound has a hundredth of the picture's tokens. Its kernels are short and many, and leave the GPU
idle where they come in turn. In a recorded step they fill the gaps of the picture's.

Memory that one stream has freed is reused on the same stream without waiting. So what the other
stream may still read is kept until the next join.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Lane:
    """Work in turn, on the caller's stream."""

    @contextmanager
    def queue(self, keep: Any = None) -> Iterator[None]:  # noqa: ARG002 - for the stream
        """Inside, work is queued in the lane; it waits for what the caller has queued so far.

        Args:
            keep: what this work reads of the caller's memory, kept until the next :meth:`join`.
        """
        yield

    def join(self) -> None:
        """What the caller queues from now on waits for the lane."""


SAME_STREAM = Lane()


class StreamLane(Lane):
    """A CUDA stream of its own; recorded with the step where steps are recorded as graphs."""

    def __init__(self, device: torch.device) -> None:
        # its kernels are short: first where both have work
        self._stream = torch.cuda.Stream(device, priority=-1)
        self._kept: Any = None

    @contextmanager
    def queue(self, keep: Any = None) -> Iterator[None]:
        """See :class:`Lane`."""
        if keep is not None:
            self._kept = keep
        self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))
        with torch.cuda.stream(self._stream):
            yield

    def join(self) -> None:
        """See :class:`Lane`."""
        torch.cuda.current_stream(self._stream.device).wait_stream(self._stream)
        self._kept = None
