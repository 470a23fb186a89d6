"""Called by Alembic: run the migrations on the connection that :mod:`vivant.service.schema` has."""

from __future__ import annotations

from alembic import context

from vivant.service.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite changes columns by copying the table
)
with context.begin_transaction():
    context.run_migrations()
