"""The database's layout and its changes, for Alembic; see :mod:`vivant.service.schema`."""
