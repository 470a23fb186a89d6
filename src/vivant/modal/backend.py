"""The calls that Vivant makes to Modal, as protocols.

:mod:`vivant.modal.client` implements them with Modal's client, :mod:`vivant.modal.fake` in this
process.
"""

from __future__ import annotations

from typing import Any, Protocol

from vivant.modal.messages import RenderRequest, RenderResult


class ModalUnreachableError(Exception):
    """Modal does not answer at the moment. Trying again makes sense."""


class CallFailedError(Exception):
    """The call has no result and will have none.

    Modal refused it, does not know it, or its container died more often than it is retried.
    """


class SharedDict(Protocol):
    """Small values by key that all containers see. The last write counts."""

    def get(self, key: str) -> Any:
        """The value, or None.

        Raises:
            ModalUnreachableError: Modal does not answer.
            CallFailedError: Modal refuses.
        """
        ...

    def put(self, key: str, value: Any) -> None:
        """Write a value.

        Raises:
            ModalUnreachableError: Modal does not answer.
            CallFailedError: Modal refuses.
        """
        ...

    def remove(self, *keys: str) -> None:
        """Remove values; a key that is not there is no error.

        Raises:
            ModalUnreachableError: Modal does not answer.
            CallFailedError: Modal refuses.
        """
        ...


class Backend(Protocol):
    """Calls of render containers."""

    @property
    def shared(self) -> SharedDict:
        """Where containers write their progress and read whether to stop."""
        ...

    def spawn(self, kind: str, request: RenderRequest) -> str:
        """Start a render without waiting for it.

        Args:
            kind: one of :data:`vivant.modal.messages.CONTAINER_KINDS`.
            request: the clip.

        Returns:
            The call's id. Any process can ask for the result with it.

        Raises:
            ModalUnreachableError: Modal does not answer.
            CallFailedError: Modal refuses.
        """
        ...

    def poll(self, call: str) -> RenderResult | None:
        """The call's result; None while it waits or runs.

        Raises:
            ModalUnreachableError: Modal does not answer.
            CallFailedError: there will be no result.
        """
        ...

    def cancel(self, call: str) -> None:
        """Cancel a call that no container has started.

        Raises:
            ModalUnreachableError: Modal does not answer.
        """
        ...


def stop_key(job_id: str) -> str:
    """Key in the shared dict that tells the container to stop this job."""
    return f"{job_id}/stop"
