"""The API key of a deployment: made on the operator's machine and put into a Modal Secret.

Nobody can log in to the web app's container to run ``vivant keys add`` there.
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

KEY_NAME = "secret"
"""The key's name in ``vivant keys list``."""

_KEY = re.compile(r"vk_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")


def new_key() -> str:
    """A new key: 256 random bits in the format of all API keys."""
    return f"vk_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


def install_key(database: Database, key: str | None) -> None:
    """Accept this key, and revoke the one that was installed before.

    Raises:
        OptionError: there is none, or it does not have the format of a key.
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
            .where(keys.c.name == KEY_NAME, keys.c.hash != digest, keys.c.revoked_at.is_(None))
            .values(revoked_at=time.time())
        )
        if known is None:
            connection.execute(
                keys.insert().values(
                    id=match[1], name=KEY_NAME, hash=digest, created_at=time.time()
                )
            )
        else:
            connection.execute(keys.update().where(keys.c.id == known).values(revoked_at=None))
