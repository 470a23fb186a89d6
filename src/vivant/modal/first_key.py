"""The API key of a front that nobody can log in to: made at home, given as a secret.

Knows nothing of where the secret comes from.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time

import sqlalchemy as sa

from vivant.errors import OptionError
from vivant.service.database import Database
from vivant.service.tables import keys

NAME = "secret"
"""Under which ``vivant keys list`` shows it."""

_KEY = re.compile(r"vk_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")


def new_key() -> str:
    """256 random bits in the form that keys have."""
    return f"vk_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


def adopt(database: Database, key: str | None) -> None:
    """Let this key in, and the one that was given before out.

    Raises:
        OptionError: there is none, or it is not a key.
    """
    match = _KEY.fullmatch(key or "")
    if match is None:
        raise OptionError(
            "VIVANT_API_KEY "
            + ("is not set" if not key else "is not a key of Vivant")
            + ": make one with `vivant modal key` and put it into the Modal Secret",
            param="api_key",
        )
    digest = hashlib.sha256(match[0].encode()).hexdigest()
    with database.write(exclusive=True) as connection:
        known = connection.execute(sa.select(keys.c.id).where(keys.c.hash == digest)).scalar()
        connection.execute(
            keys.update()
            .where(keys.c.name == NAME, keys.c.hash != digest, keys.c.revoked_at.is_(None))
            .values(revoked_at=time.time())
        )
        if known is None:
            connection.execute(
                keys.insert().values(id=match[1], name=NAME, hash=digest, created_at=time.time())
            )
        else:
            connection.execute(keys.update().where(keys.c.id == known).values(revoked_at=None))
