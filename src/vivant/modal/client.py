"""Implements :mod:`vivant.modal.backend` with Modal's client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import modal

from vivant.modal.backend import CallFailedError, ModalUnreachableError
from vivant.modal.messages import RenderRequest, RenderResult

MODAL_CLASSES = {"distilled": "Distilled", "lora": "Lora", "camera": "Camera"}
"""Kind of container → its class in ``deploy/modal_app.py``."""


def dict_name(app: str) -> str:
    """Name of the app's Modal Dict."""
    return f"{app}-progress"


class ModalDict:
    """A Modal Dict. Modal deletes entries that nobody has used for seven days."""

    def __init__(self, app: str) -> None:
        self._entries = modal.Dict.from_name(dict_name(app), create_if_missing=True)

    def get(self, key: str) -> Any:
        """See :class:`vivant.modal.backend.SharedDict`."""
        with translated_errors():
            return self._entries.get(key)

    def put(self, key: str, value: Any) -> None:
        """See :class:`vivant.modal.backend.SharedDict`."""
        with translated_errors():
            self._entries.put(key, value)

    def remove(self, *keys: str) -> None:
        """See :class:`vivant.modal.backend.SharedDict`."""
        with translated_errors():
            for key in keys:
                self._entries.pop(key, None)


class ModalBackend:
    """Calls the classes of a deployed app.

    Args:
        app: name of the app.
    """

    def __init__(self, app: str) -> None:
        self._app = app
        self.shared = ModalDict(app)

    def spawn(self, kind: str, request: RenderRequest) -> str:
        """See :class:`vivant.modal.backend.Backend`."""
        with translated_errors():
            call = _modal_class(self._app, MODAL_CLASSES[kind])().render.spawn(request)
            return str(call.object_id)

    def poll(self, call: str) -> RenderResult | None:
        """See :class:`vivant.modal.backend.Backend`."""
        try:
            with translated_errors():
                result: RenderResult = modal.FunctionCall.from_id(call).get(timeout=0)
                return result
        except TimeoutError:  # the built-in one: the call has not finished
            return None
        except (CallFailedError, ModalUnreachableError):
            raise
        except Exception as error:  # Modal re-raises the exception that ended the container
            raise CallFailedError(f"{type(error).__name__}: {_first_line(error)}") from error

    def cancel(self, call: str) -> None:
        """See :class:`vivant.modal.backend.Backend`."""
        with translated_errors():
            modal.FunctionCall.from_id(call).cancel()


@cache
def _modal_class(app: str, name: str) -> Any:
    return modal.Cls.from_name(app, name)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Connection errors become ModalUnreachableError, Modal's refusals CallFailedError."""
    try:
        yield
    except TimeoutError:
        raise
    except (modal.exception.ConnectionError, modal.exception.ServiceError, OSError) as error:
        raise ModalUnreachableError(_first_line(error)) from error
    except modal.exception.Error as error:
        raise CallFailedError(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
