"""Revision 0001: cards shown and feedback."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "cards_shown",
        sa.Column("card", sa.String(36), primary_key=True),
        sa.Column("client", sa.String(255), nullable=False),
        sa.Column("patient", sa.String(64), nullable=False),
        sa.Column("rules", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("indicator", sa.String(8), nullable=False),
        sa.Column("suggestions", sa.Text, nullable=False),
        sa.Column("shown_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_cards_shown_client_patient", "cards_shown", ["client", "patient"])
    op.create_table(
        "feedback",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("card", sa.String(36), sa.ForeignKey("cards_shown.card"), nullable=False),
        sa.Column("client", sa.String(255), nullable=False),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("outcome_timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted", sa.Text, nullable=False),
        sa.Column("reason_code", sa.String(255)),
        sa.Column("reason_system", sa.String(255)),
        sa.Column("comment", sa.Text),
        sa.UniqueConstraint("card", "outcome", "outcome_timestamp", name="uq_feedback_card_outcome_time"),
    )


def downgrade() -> None:
    """Remove both tables and what they hold."""
    op.drop_table("feedback")
    op.drop_index("ix_cards_shown_client_patient", "cards_shown")
    op.drop_table("cards_shown")
