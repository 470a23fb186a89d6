"""Tells a client's server that a job is over, by the rules of Standard Webhooks.

https://github.com/standard-webhooks/standard-webhooks, which the ``openai`` client can check. The
event is queued in the transaction that ends the job, so that none is lost; it is delivered at
least once, and its ``webhook-id`` is the same each time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vivant.errors import InputError, JobNotFoundError
from vivant.service import public_address
from vivant.service.database import Database
from vivant.service.job import Job
from vivant.service.queries import JobQueries

PAUSES = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 36_000.0)
"""Seconds before the second, third, … attempt, as Standard Webhooks recommends: 30 hours in all."""

TIMEOUT = 15.0
"""Seconds for one attempt, from the first byte sent to the answer."""

GONE = 410
"""The receiver wants no more."""

Connect = Callable[[str], tuple[http.client.HTTPConnection, str]]

log = logging.getLogger("vivant.service")


@dataclass(frozen=True, slots=True)
class Delivery:
    """The outcome of one attempt; ``again``: whether another attempt can help."""

    done: bool
    again: bool
    reason: str = ""


def signing_secret(secret: bytes, owner: str) -> str:
    """The secret with which an owner's server checks signatures: ``whsec_`` and base64.

    Args:
        secret: of the service.
        owner: id of the API key; empty without keys.
    """
    derived = hmac.new(secret, f"webhook {owner}".encode(), hashlib.sha256).digest()
    return f"whsec_{base64.b64encode(derived).decode()}"


def event_id(job_id: str) -> str:
    """The event's id, the same for every attempt: receivers drop repeated deliveries."""
    return f"evt_{job_id.removeprefix('video_')}"


def event_of(job: Job) -> bytes:
    """The body: an event as OpenAI's Videos API sends it, as compact JSON."""
    event = {
        "id": event_id(job.id),
        "object": "event",
        "created_at": int(job.completed_at or 0),
        "type": f"video.{job.status}",
        "data": {"id": job.id},
    }
    return json.dumps(event, separators=(",", ":")).encode()


def headers_of(secret: str, event: str, body: bytes, at: int) -> dict[str, str]:
    """Headers with the signature of id, time and body.

    Args:
        secret: see :func:`signing_secret`.
        event: its id.
        body: as it is sent.
        at: time of the attempt, seconds since 1970; receivers refuse old ones.
    """
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{event}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "User-Agent": "vivant",
        "webhook-id": event,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def send(url: str, body: bytes, headers: dict[str, str], connect: Connect) -> Delivery:
    """One attempt. Redirects are not followed, and nothing of the answer but its status is used."""
    until = time.monotonic() + TIMEOUT
    try:
        connection, path = connect(url)
    except InputError as error:
        return Delivery(done=False, again=True, reason=error.message)
    try:
        if connection.sock is None:
            connection.connect()
        with public_address.ended(connection.sock, until):
            connection.request("POST", path, body, headers)
            status = connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Delivery(done=False, again=True, reason=type(error).__name__)
    finally:
        connection.close()
    done = 200 <= status < 300
    return Delivery(done, again=not done and status != GONE, reason="" if done else str(status))


class Webhooks:
    """Delivers events, for a worker.

    Args:
        database: of the jobs.
        connect: URL → connection and path; only to public addresses where not given.
    """

    def __init__(self, database: Database, connect: Connect = public_address.connected) -> None:
        self._jobs, self._connect = JobQueries(database), connect
        self._database = database

    def deliver(self, job_id: str, attempt: int) -> float | None:
        """Try once.

        Args:
            job_id: of a job that is over.
            attempt: from 0 on.

        Returns:
            Seconds until the next attempt; None after the last one.
        """
        try:
            job = self._jobs.get(job_id)
        except JobNotFoundError:  # deleted meanwhile: there is nothing to deliver
            return None
        url = str(job.request.get("webhook_url") or "")
        if not url:
            return None
        body = event_of(job)
        secret = signing_secret(self._database.secret(), job.owner)
        headers = headers_of(secret, event_id(job_id), body, int(time.time()))
        found = send(url, body, headers, self._connect)
        facts: dict[str, Any] = {"attempt": attempt + 1, "reason": found.reason}
        if found.done:
            log.info("webhook delivered", extra=facts)
            return None
        if not found.again or attempt >= len(PAUSES):
            log.warning("webhook given up", extra=facts)
            return None
        log.info("webhook not delivered yet", extra=facts)
        return PAUSES[attempt]
