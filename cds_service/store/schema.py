"""The tables as the program sees them; store/migrations makes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)


class UtcDateTime(TypeDecorator[datetime]):
    """An instant, kept as UTC on every database; SQLite has no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        instant = value.astimezone(UTC)
        return instant.replace(tzinfo=None) if dialect.name == "sqlite" else instant

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

# `patient`, `evidence` and `cited` are keyed fingerprints (P-33): the tables name no patient and no resource.
# `rules`, `evidence`, `suggestions` and `cited` are JSON: [[id, version]], [fingerprint], {suggestion uuid: order key},
# [fingerprint of a resource in one version]; `trace` is a rule_engine.trace.CardTrace with fingerprints for facts, and
# none for cards shown before it was kept.
cards_shown = Table(
    "cards_shown",
    metadata,
    Column("card", String(36), primary_key=True),
    Column("client", String(255), nullable=False),
    Column("patient", String(64), nullable=False),
    Column("rules", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("indicator", String(8), nullable=False),
    Column("suggestions", Text, nullable=False),
    Column("shown_at", UtcDateTime, nullable=False),
    Column("cited", Text, nullable=False, server_default="[]"),
    Column("trace", Text),
    Index("ix_cards_shown_client_patient", "client", "patient"),
)

# A repeat is the same card, outcome and time (C67). `accepted` is JSON: [suggestion uuid].
feedback = Table(
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("card", String(36), ForeignKey("cards_shown.card"), nullable=False),
    Column("client", String(255), nullable=False),
    Column("outcome", String(10), nullable=False),
    Column("outcome_timestamp", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("accepted", Text, nullable=False),
    Column("reason_code", String(255)),
    Column("reason_system", String(255)),
    Column("comment", Text),
    UniqueConstraint("card", "outcome", "outcome_timestamp", name="uq_feedback_card_outcome_time"),
    Index("ix_feedback_received_at", "received_at"),
)

# Ids of tokens that were used (C77), as keyed fingerprints, until they expire.
token_ids = Table(
    "token_ids",
    metadata,
    Column("token_id", String(64), primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_token_ids_expires_at", "expires_at"),
)

# How often a client called in one minute (T30). `minute` counts since 1970.
calls = Table(
    "calls",
    metadata,
    Column("client", String(255), primary_key=True),
    Column("minute", Integer, primary_key=True),
    Column("number", Integer, nullable=False),
)

# The audit chain (P-33). `said` is JSON without anything of a patient; `seal` closes the entry over the one before.
audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("what", String(16), nullable=False),
    Column("client", String(255), nullable=False),
    Column("said", Text, nullable=False),
    Column("seal", String(64), nullable=False),
    Index("ix_audit_at", "at"),
)

# What a purge left: the seal of the last entry that it removed, proved with the key.
audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("seal", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("proof", String(64), nullable=False),
)

# What is switched off, or was and is on again. `rule` and `client` are ids, or * for every one.
switches = Table(
    "switches",
    metadata,
    Column("rule", String(255), primary_key=True),
    Column("client", String(255), primary_key=True),
    Column("state", String(3), nullable=False),
    Column("cause", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

# How often a rule was asked for a client in one day of the site, how often it fired, how often it was slow (B-52).
rule_days = Table(
    "rule_days",
    metadata,
    Column("day", Date, primary_key=True),
    Column("client", String(255), primary_key=True),
    Column("rule", String(255), primary_key=True),
    Column("evaluations", Integer, nullable=False),
    Column("firings", Integer, nullable=False),
    Column("slow", Integer, nullable=False),
)

# Cards that count in an alert budget (B-25). `whom` is a keyed fingerprint of a patient or of a user (P-33).
counted_cards = Table(
    "counted_cards",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("client", String(255), nullable=False),
    Column("whom", String(64), nullable=False),
    Column("number", Integer, nullable=False),
    Column("shown_at", UtcDateTime, nullable=False),
    Index("ix_counted_cards_client_whom_shown_at", "client", "whom", "shown_at"),
)
