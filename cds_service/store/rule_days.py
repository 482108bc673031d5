"""Counts of rules, no patient among them: asked, fired and slow by day, and how their cards were answered (B-52)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, bindparam, case, distinct, func, select
from sqlalchemy.dialects import postgresql, sqlite

from cds_service.store.connection import or_unavailable
from cds_service.store.schema import cards_shown, feedback, rule_days


class RuleDay(NamedTuple):
    """One rule in one day of the site at one client. ``slow``: evaluations that took longer than the band's limit."""

    day: date
    client: str
    rule: str
    evaluations: int
    firings: int
    slow: int


class Answered(NamedTuple):
    """How many cards that a rule led were answered at one client, and how many of them with ``overridden``."""

    client: str
    rule: str
    cards: int
    overridden: int


def add(connection: Connection, days: Sequence[RuleDay]) -> None:
    """Add to what is counted, inside a transaction that may write."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    row = dialect.insert(rule_days)
    counted = ("evaluations", "firings", "slow")
    added = {name: rule_days.c[name] + row.excluded[name] for name in counted}
    statement = row.on_conflict_do_update(index_elements=["day", "client", "rule"], set_=added)
    connection.execute(statement, [day._asdict() for day in sorted(days)])  # one order: no two writers wait in a ring


def since(engine: Engine, first: date) -> tuple[RuleDay, ...]:
    """Every count from that day on."""
    with or_unavailable(), engine.connect() as connection:
        return tuple(RuleDay(*row) for row in connection.execute(_SINCE, {"first": first}))


def answered_since(engine: Engine, first: datetime) -> tuple[Answered, ...]:
    """The cards that were answered from that moment on, by client and lead rule; the first rule of a card leads it."""
    with or_unavailable(), engine.connect() as connection:
        rows = connection.execute(_ANSWERED, {"first": first}).all()
    return _by_lead((row.client, msgspec.json.decode(row.rules)[0][0], row.cards, row.overridden) for row in rows)


def _by_lead(rows: Iterable[tuple[str, str, int, int]]) -> tuple[Answered, ...]:
    sums: dict[tuple[str, str], Answered] = {}
    for client, rule, cards, overridden in rows:
        before = sums.get((client, rule), Answered(client, rule, 0, 0))
        sums[client, rule] = Answered(client, rule, before.cards + cards, before.overridden + overridden)
    return tuple(sums.values())


_SINCE = select(
    rule_days.c.day,
    rule_days.c.client,
    rule_days.c.rule,
    rule_days.c.evaluations,
    rule_days.c.firings,
    rule_days.c.slow,
).where(rule_days.c.day >= bindparam("first"))
_ANSWERED = (
    select(
        cards_shown.c.client,
        cards_shown.c.rules,
        func.count(distinct(feedback.c.card)).label("cards"),
        func.count(distinct(case((feedback.c.outcome == "overridden", feedback.c.card)))).label("overridden"),
    )
    .join_from(feedback, cards_shown)
    .where(feedback.c.received_at >= bindparam("first"))
    .group_by(cards_shown.c.client, cards_shown.c.rules)
)
