"""Counts what the rules do, and switches off one that leaves its band; an emergency only raises the alarm (B-52)."""

from __future__ import annotations

import atexit
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from threading import Lock

import structlog

from cds_service.errors import StoreUnavailable
from cds_service.every_minute import every_minute
from cds_service.governance.bands import Bands, Left, left_by_answers, left_by_counts
from cds_service.rule_engine.model import Evaluation, Status
from cds_service.rule_engine.rulebook import RuleBook
from cds_service.store import EVERY, RuleDay, Store, Switch


class RuleWatch:
    """One per worker. Counts are kept in memory and added to the store every minute, then looked at."""

    def __init__(self, store: Store, bands: Bands, book: RuleBook, now: Callable[[], datetime]) -> None:
        """``now`` is the time at the site, with its zone."""
        self._store = store.governance
        self._bands = bands
        self._rules, self._urgent = book.ids, book.urgent
        self._now = now
        self._lock = Lock()
        self._counts: dict[tuple[date, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
        self._alarmed: set[tuple[date, Left]] = set()
        self._log = structlog.get_logger("cds_service")

    def count(self, client: str, evaluation: Evaluation, spent: dict[str, float]) -> None:
        """Count an evaluation for every rule that was asked; ``spent`` are its seconds of processor time."""
        day = evaluation.facts.as_of.date()
        limit = self._bands.latency.slower_than_ms / 1000
        fired = {a.rule.id for a in evaluation.assessments if a.status is Status.FIRED}
        with self._lock:
            for rule, seconds in spent.items():
                counts = self._counts[day, client, rule]
                counts[0] += 1
                counts[1] += rule in fired
                counts[2] += seconds > limit

    def begin(self) -> None:
        """From now on look every minute, and keep the counts at the end of the process. To be called after forking."""
        atexit.register(self.keep)
        every_minute(self.look)

    def keep(self) -> None:
        """Add the counts to the store. What it cannot take now it is given the next time."""
        with self._lock:
            counts, self._counts = self._counts, defaultdict(lambda: [0, 0, 0])
        days = [RuleDay(day, client, rule, *numbers) for (day, client, rule), numbers in counts.items()]
        if not days:
            return
        try:
            self._store.add_rule_days(days)
        except StoreUnavailable:
            with self._lock:
                for key, numbers in counts.items():
                    self._counts[key] = [a + b for a, b in zip(self._counts[key], numbers, strict=True)]

    def look(self) -> None:
        """Keep the counts, then act on every band that was left."""
        self.keep()
        try:
            switches = self._store.switches()
            for left in (*self._by_counts(switches), *self._by_answers(switches)):
                if left.rule in self._rules and not any(_covers(s, left) for s in switches if s.state == "off"):
                    self._act(left)
        except StoreUnavailable:
            self._log.warning("bands-not-looked-at")

    def _by_counts(self, switches: Iterable[Switch]) -> Iterator[Left]:
        """Firing and latency of today, unless the rule was switched on again today: what was before is settled."""
        now = self._now()
        days = self._store.rule_days(now.date() - timedelta(days=self._bands.firing.median_days))
        for left in left_by_counts(days, now.date(), self._bands):
            lifted = _lifted(switches, left)
            if lifted is None or lifted.astimezone(now.tzinfo).date() < now.date():
                yield left

    def _by_answers(self, switches: Iterable[Switch]) -> Iterator[Left]:
        """Answers of the last weeks, but only those since the rule was switched on again."""
        begin = self._now() - timedelta(days=self._bands.override.days)
        for left in left_by_answers(self._store.answered_cards(begin), self._bands):
            lifted = _lifted(switches, left)
            if lifted is None or lifted < begin:
                yield left
                continue
            since = left_by_answers(self._store.answered_cards(lifted), self._bands)
            yield from (one for one in since if (one.client, one.rule) == (left.client, left.rule))

    def _act(self, left: Left) -> None:
        if left.rule in self._urgent:
            alarm = (self._now().date(), left._replace(reason=""))
            if alarm not in self._alarmed:  # once a day: its figures change by the minute
                self._alarmed = {one for one in self._alarmed if one[0] == alarm[0]} | {alarm}
                self._log.warning("rule-out-of-band", **left._asdict())
            return
        if self._store.turn(Switch(left.rule, left.client, "off", left.cause, left.reason, self._now())):
            self._log.warning("rule-tripped", **left._asdict())


def _covers(switch: Switch, left: Left) -> bool:
    return switch.rule in (left.rule, EVERY) and switch.client in (left.client, EVERY)


def _lifted(switches: Iterable[Switch], left: Left) -> datetime | None:
    """When somebody last switched the rule on, for this client or for every one."""
    return max((s.at for s in switches if s.state == "on" and _covers(s, left)), default=None)
