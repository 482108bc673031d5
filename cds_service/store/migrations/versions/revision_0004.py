"""Which resources, in which version, a card cites: keyed fingerprints (B-51, P-33)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Cards that were shown before cite nothing that could be recognised."""
    op.add_column("cards_shown", sa.Column("cited", sa.Text, nullable=False, server_default="[]"))


def downgrade() -> None:
    """Remove the column."""
    op.drop_column("cards_shown", "cited")
