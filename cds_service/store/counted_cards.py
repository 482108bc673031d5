"""How many cards a patient or a user was shown, for alert budgets: keyed fingerprints and times only (P-33)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Engine, bindparam, func, select

from cds_service.store.connection import or_unavailable
from cds_service.store.schema import counted_cards


def add(connection: Connection, client: str, whom: tuple[str, ...], number: int, shown_at: datetime) -> None:
    """``number`` cards were shown to or about each of ``whom``, inside a transaction that may write."""
    rows = [{"client": client, "whom": one, "number": number, "shown_at": shown_at} for one in whom]
    connection.execute(counted_cards.insert(), rows)


def since(engine: Engine, client: str, whom: str, first: datetime) -> int:
    """How many were shown from that moment on."""
    with or_unavailable(), engine.connect() as connection:
        total: int = connection.execute(_SINCE, {"of_client": client, "of_whom": whom, "first": first}).scalar_one()
    return total


_SINCE = select(func.coalesce(func.sum(counted_cards.c.number), 0)).where(
    counted_cards.c.client == bindparam("of_client"),
    counted_cards.c.whom == bindparam("of_whom"),
    counted_cards.c.shown_at >= bindparam("first"),
)
