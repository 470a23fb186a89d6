"""Studios and their board on Modal, by Modal's own client. Nothing else imports it here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import modal

from vivant.modal.backend import LostError, UnreachableError
from vivant.modal.work import Made, Work

CLASSES = {"distilled": "Distilled", "lora": "Lora", "camera": "Camera"}
"""Kind of studio → its class in ``deploy/modal_app.py``."""


def board_name(app: str) -> str:
    """Of the app's Dict."""
    return f"{app}-board"


class ModalBoard:
    """A Modal Dict; entries that nobody touches for seven days go away by themselves."""

    def __init__(self, app: str) -> None:
        self._notes = modal.Dict.from_name(board_name(app), create_if_missing=True)

    def get(self, name: str) -> Any:
        """See :class:`vivant.modal.backend.Board`."""
        with answering():
            return self._notes.get(name)

    def put(self, name: str, note: Any) -> None:
        """See the protocol."""
        with answering():
            self._notes.put(name, note)

    def remove(self, *names: str) -> None:
        """See the protocol."""
        with answering():
            for name in names:
                self._notes.pop(name, None)


class ModalBackend:
    """See the module.

    Args:
        app: name of the deployed app.
    """

    def __init__(self, app: str) -> None:
        self._app = app
        self.board = ModalBoard(app)

    def spawn(self, studio: str, work: Work) -> str:
        """See :class:`vivant.modal.backend.Backend`."""
        with answering():
            call = _studio(self._app, CLASSES[studio])().make.spawn(work)
            return str(call.object_id)

    def poll(self, call: str) -> Made | None:
        """See the protocol."""
        try:
            with answering():
                made: Made = modal.FunctionCall.from_id(call).get(timeout=0)
                return made
        except TimeoutError:  # the built-in one: not finished
            return None
        except (LostError, UnreachableError):
            raise
        except Exception as error:  # what ended the container comes through as it was
            raise LostError(f"{type(error).__name__}: {_first_line(error)}") from error

    def cancel(self, call: str) -> None:
        """See the protocol."""
        with answering():
            modal.FunctionCall.from_id(call).cancel()


@cache
def _studio(app: str, name: str) -> Any:
    return modal.Cls.from_name(app, name)


@contextmanager
def answering() -> Iterator[None]:
    """Troubles of the line become :class:`UnreachableError`, refusals :class:`LostError`."""
    try:
        yield
    except TimeoutError:
        raise
    except (modal.exception.ConnectionError, modal.exception.ServiceError, OSError) as error:
        raise UnreachableError(_first_line(error)) from error
    except modal.exception.Error as error:
        raise LostError(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
