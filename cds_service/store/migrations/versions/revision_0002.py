"""Ids of tokens that were used, and how often each client called."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "token_ids",
        sa.Column("token_id", sa.String(64), primary_key=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_token_ids_expires_at", "token_ids", ["expires_at"])
    op.create_table(
        "calls",
        sa.Column("client", sa.String(255), primary_key=True),
        sa.Column("minute", sa.Integer, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    """Remove both tables."""
    op.drop_table("calls")
    op.drop_table("token_ids")
