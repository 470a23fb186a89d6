"""All exceptions that Vivant raises on purpose.

::

    VivantError
    ├── InputError              the caller can fix it: exit code 2
    │   ├── ImageError          a picture that cannot be used
    │   ├── ClipError           a clip that cannot be verified
    │   ├── OptionError         an option value that is not possible
    │   ├── JobNotFoundError    no such job, or somebody else's
    │   ├── ConflictError       the same idempotency key with another request
    │   └── OutputExistsError   the target is there and --force was not given
    ├── MachineError            this machine cannot do it: exit code 3
    │   ├── OutputError         the target cannot be written (rights, disk full)
    │   ├── StorageError        the object store cannot be read or written
    │   ├── DatabaseError       the database of jobs cannot be reached or written
    │   ├── MissingPartError    a package, program or weight file is not installed
    │   ├── WeightsError        a weight file is corrupt, truncated or not the pinned one
    │   ├── CredentialsError    the key that signs clips cannot be used
    │   └── OutOfMemoryError    host or GPU memory is not enough
    ├── BusyError               the queue or a limit is full: try again later
    ├── EngineError             generation failed half-way: exit code 4
    └── Cancelled               somebody asked to stop: exit code 130

Each has a message of one sentence that names the value, the limit and the remedy, a stable
``code`` for programs, and ``param``, the field or option at fault, if there is one. Exit codes are
those of the command line; BusyError and EngineError end with 4.
"""

from __future__ import annotations

from typing import ClassVar


class VivantError(Exception):
    """Base of the tree.

    Args:
        message: one sentence for a person: the value, the limit, the remedy.
        code: stable snake_case identifier; the class's own where not given.
        param: name of the request field or option at fault.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 4

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = code or self.code
        self.param = param


class InputError(VivantError):
    """The caller can fix it."""

    code = "invalid_input"
    exit_code = 2


class ImageError(InputError):
    """A picture that cannot be used."""

    code = "invalid_image"


class ClipError(InputError):
    """A clip that cannot be verified."""

    code = "invalid_clip"


class OptionError(InputError):
    """An option value that is not possible."""

    code = "invalid_option"


class JobNotFoundError(InputError):
    """There is no such job, or it belongs to another owner."""

    code = "not_found"


class ConflictError(InputError):
    """The same idempotency key came with another request."""

    code = "idempotency_conflict"


class OutputExistsError(InputError):
    """The target exists and overwriting was not asked for."""

    code = "output_exists"


class MachineError(VivantError):
    """This machine cannot do it."""

    code = "machine"
    exit_code = 3


class OutputError(MachineError):
    """The target cannot be written."""

    code = "output_not_writable"


class StorageError(MachineError):
    """The object store cannot be read or written."""

    code = "storage_failed"


class DatabaseError(MachineError):
    """The database of jobs cannot be reached or written."""

    code = "database_failed"


class MissingPartError(MachineError):
    """A package, program or weight file is not installed."""

    code = "missing_part"


class WeightsError(MachineError):
    """A weight file is corrupt, truncated or not the pinned one."""

    code = "invalid_weights"


class CredentialsError(MachineError):
    """The key, certificate or remote signer of the content credentials cannot be used."""

    code = "credentials_unusable"


class OutOfMemoryError(MachineError):
    """Host or GPU memory is not enough."""

    code = "out_of_memory"


class BusyError(VivantError):
    """The queue or a limit is full.

    Args:
        message: one sentence.
        retry_after: seconds after which trying again makes sense.
        code: which limit.
    """

    code = "queue_full"

    def __init__(self, message: str, *, retry_after: float, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class EngineError(VivantError):
    """Generation failed half-way."""

    code = "engine_failed"


class Cancelled(VivantError):  # noqa: N818 - a state, not an error
    """The work was cancelled; nothing half-written is left."""

    code = "cancelled"
    exit_code = 130

    def __init__(self, message: str = "cancelled; nothing was written") -> None:
        super().__init__(message)


def printable(text: str) -> str:
    """Text from outside, for use in a message: unprintable characters are replaced by U+FFFD."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
