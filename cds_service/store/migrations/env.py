"""Alembic runs this to reach the database; the store hands over a connection whose transaction is already open."""

from __future__ import annotations

from alembic import context

from cds_service.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
