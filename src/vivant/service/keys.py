"""API keys: random, shown once, kept as hashes.

A key has 256 random bits, so that one SHA-256 is as good as a slow hash.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from vivant.errors import OptionError
from vivant.service.database import Database
from vivant.service.tables import keys

CACHE_SECONDS = 2.0
"""Seconds for which keys are cached: a revoked key is refused after that at the latest."""

_KEY = re.compile(r"vk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One row, without the secret."""

    id: str
    name: str
    created_at: float
    revoked_at: float | None


class Keyring:
    """See the module. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hashes: dict[str, str] = {}
        self._read_at = -CACHE_SECONDS

    def add(self, name: str) -> str:
        """A new key. Its secret is returned only here.

        Raises:
            OptionError: no usable name.
        """
        if not name.strip() or len(name) > 100 or not name.isprintable():
            raise OptionError(
                f"key name {name[:40]!r} is not 1…100 printable characters", param="name"
            )
        key_id = secrets.token_hex(6)
        key = f"vk_{key_id}_{secrets.token_urlsafe(32)}"
        try:
            with self._database.write() as connection:
                connection.execute(
                    keys.insert().values(
                        id=key_id, name=name, hash=_hash(key), created_at=time.time()
                    )
                )
        except IntegrityError:
            return self.add(name)
        return key

    def all(self) -> list[ApiKey]:
        """All keys, oldest first, revoked ones too."""
        query = sa.select(keys).order_by(keys.c.created_at)
        with self._database.read() as connection:
            return [
                ApiKey(row["id"], row["name"], row["created_at"], row["revoked_at"])
                for row in connection.execute(query).mappings()
            ]

    def revoke(self, key_id: str) -> None:
        """Revoke a key.

        Raises:
            OptionError: there is none of that id.
        """
        with self._database.write() as connection:
            done = connection.execute(
                keys.update()
                .where(keys.c.id == key_id, keys.c.revoked_at.is_(None))
                .values(revoked_at=time.time())
            )
        if not done.rowcount:
            raise OptionError(
                f"there is no active key {key_id[:40]!r}: `vivant keys list` shows their ids",
                param="id",
            )

    def owner(self, presented: str) -> str | None:
        """The id of the presented key; None if there is no such key."""
        match = _KEY.fullmatch(presented)
        known = self._current().get(match[1], "") if match else ""
        # Compared even where the id is unknown, so that both take the same time.
        valid = hmac.compare_digest(_hash(presented), known or "0" * 64)
        return match[1] if match and valid and known else None

    def active(self, key_id: str) -> bool:
        """Whether what belongs to a key may be read: it has not been revoked.

        What was made while there were no keys belongs to none, and may be read.
        """
        return not key_id or key_id in self._current()

    def any(self) -> bool:
        """Whether there are active keys."""
        return bool(self._current())

    @property
    def fresh(self) -> bool:
        """Whether the answers need no look into the database now."""
        return time.monotonic() - self._read_at < CACHE_SECONDS

    def _current(self) -> dict[str, str]:
        now = time.monotonic()
        if now - self._read_at >= CACHE_SECONDS:
            query = sa.select(keys.c.id, keys.c.hash).where(keys.c.revoked_at.is_(None))
            with self._database.read() as connection:
                self._hashes = {row.id: row.hash for row in connection.execute(query)}
            self._read_at = now
        return self._hashes


def access_token(secret: bytes, job_id: str) -> str:
    """A token to read one job, for ``EventSource`` and ``<video>``, which send no headers."""
    return "va_" + hmac.new(secret, job_id.encode(), "sha256").hexdigest()[:40]


def access_allowed(secret: bytes, job_id: str, presented: str) -> bool:
    """Whether ``presented`` is the job's token, in constant time."""
    return hmac.compare_digest(access_token(secret, job_id).encode(), presented.encode())


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
