"""Logs as lines of JSON with the job's id, or as text on a terminal.

No picture, no prompt, no key and no address of a client is ever logged.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

job_id: ContextVar[str | None] = ContextVar("job_id", default=None)
"""Set while something is done for a job."""

FIELDS = ("job", "stage", "seconds", "status", "method", "path", "bytes", "worker", "error", "code")
"""What a record's ``extra`` may add."""

_ID = re.compile(r"video_[0-9a-f]{32}")

LOGGERS = ("vivant", "dbos", "uvicorn.error")


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, job, and :data:`FIELDS`."""

    def format(self, record: logging.LogRecord) -> str:
        """See the class."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        job = line.get("job") or job_id.get() or getattr(record, "operationUUID", None)
        found = _ID.search(str(job)) or _ID.search(line["message"])
        if found:
            line["job"] = found[0]
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class Text(logging.Formatter):
    """The same as text: time, level, message, and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """See the class."""
        known = [f"{name}={getattr(record, name)}" for name in FIELDS if hasattr(record, name)]
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        text = " ".join([at, record.levelname.lower(), record.getMessage(), *known])
        return text + ("\n" + self.formatException(record.exc_info) if record.exc_info else "")


def drop_cancelled(record: logging.LogRecord) -> bool:
    """Leave out what DBOS reports as an error although a client only cancelled its job."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not kind.__name__.endswith("CancelledError")


def configure(form: Literal["auto", "json", "text"], *, quiet: bool = False) -> None:
    """Send Vivant's, DBOS's and uvicorn's records to standard error in one form."""
    handler = logging.StreamHandler(sys.stderr)
    text = form == "text" or (form == "auto" and sys.stderr.isatty())
    handler.addFilter(drop_cancelled)
    handler.setFormatter(Text() if text else JsonLines())
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(logging.WARNING if quiet or name != "vivant" else logging.INFO)
