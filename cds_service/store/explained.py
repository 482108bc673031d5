"""A card that was shown, as it is kept for whoever asks why."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import Engine, bindparam, select

from cds_service.rule_engine.trace import CardTrace
from cds_service.store.connection import or_unavailable
from cds_service.store.schema import cards_shown


class KeptCard(msgspec.Struct, frozen=True):
    """``patient`` is a fingerprint (P-33), ``shown_at`` in UTC."""

    card: str
    patient: str
    shown_at: datetime
    trace: CardTrace


def kept_card(engine: Engine, client: str, card: str) -> KeptCard | None:
    """A card of this client; None when it has none of that uuid, or none of which a trace was kept."""
    with or_unavailable(), engine.connect() as connection:
        row = connection.execute(_SHOWN_CARD, {"of_client": client, "of_card": card}).first()
    if row is None or row.trace is None:
        return None
    return KeptCard(row.card, row.patient, row.shown_at, msgspec.json.decode(row.trace, type=CardTrace))


_SHOWN_CARD = select(cards_shown.c.card, cards_shown.c.patient, cards_shown.c.shown_at, cards_shown.c.trace).where(
    cards_shown.c.client == bindparam("of_client"), cards_shown.c.card == bindparam("of_card")
)
