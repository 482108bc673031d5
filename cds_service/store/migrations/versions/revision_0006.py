"""Why a card was shown."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column; cards shown before have nothing in it."""
    op.add_column("cards_shown", sa.Column("trace", sa.Text))


def downgrade() -> None:
    """Remove the column and what it holds."""
    op.drop_column("cards_shown", "trace")
