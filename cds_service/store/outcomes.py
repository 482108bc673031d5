"""What became of each card that was shown, card by card: what a report counts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Engine, select

from cds_service.cds_hooks.feedback import Outcome
from cds_service.store.connection import or_unavailable
from cds_service.store.schema import cards_shown, feedback

_AT_ONCE = 1_000  # rows


class CardOutcome(NamedTuple):
    """One card. ``outcome`` is the newest that was reported, None without any; ``rules`` are ids, the lead first."""

    client: str
    rules: tuple[str, ...]
    outcome: Outcome | None
    reason_code: str | None


def outcomes(engine: Engine, since: datetime | None) -> Iterator[CardOutcome]:
    """Every card that was shown since a moment (None: ever). Raises StoreUnavailable."""
    shown = _SHOWN if since is None else _SHOWN.where(cards_shown.c.shown_at >= since)
    with or_unavailable(), engine.connect() as connection:
        rows = connection.execution_options(yield_per=_AT_ONCE).execute(shown)
        for _, of_card in itertools.groupby(rows, key=lambda row: row.card):
            *_, newest = of_card
            rules = msgspec.json.decode(newest.rules, type=list[tuple[str, str]])
            yield CardOutcome(newest.client, tuple(rule_id for rule_id, _ in rules), newest.outcome, newest.reason_code)


_SHOWN = (
    select(cards_shown.c.card, cards_shown.c.client, cards_shown.c.rules, feedback.c.outcome, feedback.c.reason_code)
    .join_from(cards_shown, feedback, isouter=True)
    .order_by(cards_shown.c.card, feedback.c.outcome_timestamp, feedback.c.id)
)
