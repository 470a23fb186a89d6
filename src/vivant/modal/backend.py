"""What is asked of Modal, as a seam: :mod:`cloud` asks Modal, :mod:`fake` answers by itself."""

from __future__ import annotations

from typing import Any, Protocol

from vivant.modal.work import Made, Work


class UnreachableError(Exception):
    """Modal does not answer at the moment."""


class LostError(Exception):
    """Nothing will come of it: refused, forgotten, or its container died too often."""


class Board(Protocol):
    """Notes by name that all containers see. Each is small, and only the newest counts."""

    def get(self, name: str) -> Any:
        """The note, or None.

        Raises:
            UnreachableError: the board cannot be seen.
        """
        ...

    def put(self, name: str, note: Any) -> None:
        """Write it.

        Raises:
            UnreachableError: the board cannot be seen.
        """
        ...

    def remove(self, *names: str) -> None:
        """Take notes away; those that are not there are no error.

        Raises:
            UnreachableError: the board cannot be seen.
        """
        ...


class Backend(Protocol):
    """Calls of studios."""

    @property
    def board(self) -> Board:
        """Where studios tell how far they are, and are told to stop."""
        ...

    def spawn(self, studio: str, work: Work) -> str:
        """Ask a studio for a clip; the call's id, under which any front can ask for it later.

        Raises:
            UnreachableError: Modal does not answer.
            LostError: it refuses.
        """
        ...

    def poll(self, call: str) -> Made | None:
        """What came of it; None while it is waiting or under way.

        Raises:
            UnreachableError: Modal does not answer.
            LostError: nothing will come of it.
        """
        ...

    def cancel(self, call: str) -> None:
        """Take a call back that no studio has begun.

        Raises:
            UnreachableError: Modal does not answer.
        """
        ...


def stop_note(job_id: str) -> str:
    """Name of the note that tells a studio to stop."""
    return f"{job_id}/stop"
