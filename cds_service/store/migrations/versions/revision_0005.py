"""Switches of rules, how often each rule fired in a day, and the cards that budgets count."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the tables, and find feedback by when it came."""
    op.create_table(
        "switches",
        sa.Column("rule", sa.String(255), primary_key=True),
        sa.Column("client", sa.String(255), primary_key=True),
        sa.Column("state", sa.String(3), nullable=False),
        sa.Column("cause", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "rule_days",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("client", sa.String(255), primary_key=True),
        sa.Column("rule", sa.String(255), primary_key=True),
        sa.Column("evaluations", sa.Integer, nullable=False),
        sa.Column("firings", sa.Integer, nullable=False),
        sa.Column("slow", sa.Integer, nullable=False),
    )
    op.create_table(
        "counted_cards",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("client", sa.String(255), nullable=False),
        sa.Column("whom", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("shown_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_counted_cards_client_whom_shown_at", "counted_cards", ["client", "whom", "shown_at"])
    op.create_index("ix_feedback_received_at", "feedback", ["received_at"])


def downgrade() -> None:
    """Remove the tables and the index."""
    op.drop_index("ix_feedback_received_at", "feedback")
    op.drop_table("counted_cards")
    op.drop_table("rule_days")
    op.drop_table("switches")
