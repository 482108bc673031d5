"""The part of the store that says what may be shown: switches, counts of rules, budgets. No patient is in it (B-52)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, delete

from cds_service.store import counted_cards, rule_days, schema
from cds_service.store import switches as switching
from cds_service.store.connection import or_unavailable, writing
from cds_service.store.rule_days import Answered, RuleDay
from cds_service.store.switches import EVERY, Switch

WEEK = timedelta(days=7)  # the longest that a budget looks back
AuditEntry = tuple[datetime, str, str, Mapping[str, Any]]


class GovernanceStore:
    """Reads raise StoreUnavailable, as writes do; what is written during calls waits no longer than a call may."""

    def __init__(
        self,
        engines: tuple[Engine, Engine],
        own_turn: Callable[[], AbstractContextManager[Connection]],
        append: Callable[[Connection, AuditEntry], None],
    ) -> None:
        """``engines``: for what must not be lost, and for what a call does. ``append`` adds to the audit."""
        self._engine, self._calls = engines
        self._own_turn = own_turn
        self._append = append

    def switches(self) -> tuple[Switch, ...]:
        """Every switch that was ever turned, as it stands."""
        return switching.all_switches(self._calls)

    def turn(self, switch: Switch) -> bool:
        """Turn a switch and audit it; False when it stands so already."""
        said = {name: getattr(switch, name) for name in ("rule", "state", "cause", "reason")}
        with or_unavailable(), writing(self._engine) as connection:
            if not switching.turn(connection, switch):
                return False
            self._append(connection, (switch.at, "switch", switch.client, said))
        return True

    def note_rules(self, before: str, after: str, at: datetime) -> None:
        """Audit that the rules were exchanged, by the hashes of both packs."""
        with or_unavailable(), writing(self._engine) as connection:
            self._append(connection, (at, "rules", EVERY, {"before": before, "after": after}))

    def add_rule_days(self, days: Sequence[RuleDay]) -> None:
        """Add to the counts of rules."""
        with self._own_turn() as connection:
            rule_days.add(connection, days)

    def rule_days(self, first: date) -> tuple[RuleDay, ...]:
        """The counts of rules from that day on."""
        return rule_days.since(self._calls, first)

    def answered_cards(self, first: datetime) -> tuple[Answered, ...]:
        """The cards that were answered from that moment on, by client and lead rule."""
        return rule_days.answered_since(self._calls, first)

    def count_cards(self, client: str, whom: tuple[str, ...], number: int, shown_at: datetime) -> None:
        """Count shown cards in the budgets of a patient and a user, given as fingerprints."""
        with self._own_turn() as connection:
            counted_cards.add(connection, client, whom, number, shown_at)

    def counted_cards(self, client: str, whom: str, first: datetime) -> int:
        """How many cards of a patient or a user count from that moment on."""
        return counted_cards.since(self._calls, client, whom, first)


def purge(connection: Connection, before: datetime, now: datetime) -> dict[str, int]:
    """Remove counts from before a moment, and what no budget looks at any more; rows removed, by table."""
    old_days = delete(schema.rule_days).where(schema.rule_days.c.day < before.date())
    old_cards = delete(schema.counted_cards).where(schema.counted_cards.c.shown_at < now - WEEK)
    return {
        "rule_days": connection.execute(old_days).rowcount,
        "counted_cards": connection.execute(old_cards).rowcount,
    }
