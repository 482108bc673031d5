"""B-52: a rule that leaves its band is switched off for that client; an emergency or critical rule only alarms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from cds_service.cds_hooks.feedback import FeedbackItem
from cds_service.errors import StoreUnavailable
from cds_service.governance.bands import load_bands
from cds_service.governance.watch import RuleWatch
from cds_service.rule_engine.loader import load_knowledge
from cds_service.store import EVERY, RuleDay, Store, Switch
from tests.http.stand_in import Shown
from tests.unit.cards.builders import AS_OF, evaluation, fired

RULES = Path(__file__).parents[3] / "rules"
BOOK = load_knowledge(RULES, date(2026, 11, 27)).rules
BANDS = load_bands(RULES)
NOW = datetime(2026, 11, 27, 15, tzinfo=UTC)


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path}/cds.db")
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(store: Store, clock: Clock) -> RuleWatch:
    return RuleWatch(store, BANDS, BOOK, clock)


def fire(store: Store, rule: str, firings: int = 100, client: str = "ehr", day: datetime = NOW) -> None:
    """So many firings in 1000 evaluations of a day, after 28 days with 20 each."""
    before = [RuleDay(day.date() - timedelta(days=ago), client, rule, 1000, 20, 0) for ago in range(1, 29)]
    store.governance.add_rule_days([*before, RuleDay(day.date(), client, rule, 1000, firings, 0)])


def override(store: Store, rule: str, overridden: int, accepted: int = 0, at: datetime = NOW) -> None:
    for number in range(overridden + accepted):
        card = f"{number:08x}-{at:%d%H}-4000-8000-{abs(hash(rule)) % 10**12:012}"
        store.note_shown("ehr", "patient", [Shown(card, rules=((rule, "1.0.0"),))], at)
        outcome = "overridden" if number < overridden else "accepted"
        store.record_feedback("ehr", [FeedbackItem(card, outcome, at)], at)


def off(store: Store) -> list[tuple[str, str, str]]:
    return [(s.rule, s.client, s.cause) for s in store.governance.switches() if s.state == "off"]


def test_a_rule_that_fires_too_often_trips_for_that_client(store: Store, watch: RuleWatch) -> None:
    fire(store, "falls")
    with structlog.testing.capture_logs() as logs:
        watch.look()
    assert off(store) == [("falls", "ehr", "firing")]
    assert [(line["event"], line["rule"], line["client"]) for line in logs] == [("rule-tripped", "falls", "ehr")]
    assert "10.0 % of 1000 evaluations" in logs[0]["reason"]
    entry = next(e for e in store.audit_entries() if e.what == "switch")
    assert (entry.client, json.loads(entry.said)["cause"]) == ("ehr", "firing")


def test_an_overridden_rule_trips(store: Store, watch: RuleWatch) -> None:
    override(store, "falls", 46, 4)
    override(store, "malnutrition", 45, 5)
    watch.look()
    assert off(store) == [("falls", "ehr", "override")]


@pytest.mark.parametrize("rule", sorted(BOOK.named(["emergency"])))
def test_an_emergency_never_trips_it_alarms_once_a_day(store: Store, watch: RuleWatch, clock: Clock, rule: str) -> None:
    """B-25: R01-R05."""
    fire(store, rule)
    with structlog.testing.capture_logs() as logs:
        watch.look()
        watch.look()
    assert off(store) == []
    assert [(line["event"], line["log_level"], line["rule"]) for line in logs] == [
        ("rule-out-of-band", "warning", rule)
    ]
    clock.now += timedelta(days=1)
    fire(store, rule, day=clock.now)
    with structlog.testing.capture_logs() as logs:
        watch.look()
    assert len(logs) == 1


def test_a_rule_that_can_be_critical_never_trips(store: Store, watch: RuleWatch) -> None:
    """B-25: its critical card would be lost with it. Here by overrides."""
    critical = BOOK.urgent - BOOK.named(["emergency"])
    assert critical, "the papers have critical rules beside R01-R05"
    for rule in sorted(critical):
        override(store, rule, 50)
        fire(store, rule)
    watch.look()
    assert off(store) == []


def test_a_second_worker_does_not_trip_it_again(store: Store, watch: RuleWatch, clock: Clock) -> None:
    fire(store, "falls")
    watch.look()
    RuleWatch(store, BANDS, BOOK, clock).look()
    assert sum(entry.what == "switch" for entry in store.audit_entries()) == 1


def test_what_an_operator_switched_off_does_not_trip_as_well(store: Store, watch: RuleWatch) -> None:
    store.governance.turn(Switch("falls", EVERY, "off", "operator", "it misfires", NOW))
    fire(store, "falls")
    watch.look()
    assert off(store) == [("falls", EVERY, "operator")]


def test_lifted_it_stays_on_that_day_and_is_watched_from_the_next(store: Store, watch: RuleWatch, clock: Clock) -> None:
    fire(store, "falls")
    watch.look()
    store.governance.turn(Switch("falls", "ehr", "on", "operator", "the feed was repaired", clock.now))
    watch.look()
    assert off(store) == []
    clock.now += timedelta(days=1)
    store.governance.add_rule_days([RuleDay(clock.now.date(), "ehr", "falls", 1000, 100, 0)])
    watch.look()
    assert off(store) == [("falls", "ehr", "firing")]


def test_lifted_only_answers_since_then_count(store: Store, watch: RuleWatch, clock: Clock) -> None:
    override(store, "falls", 60)
    watch.look()
    clock.now += timedelta(hours=1)
    store.governance.turn(Switch("falls", "ehr", "on", "operator", "reworded", clock.now))
    override(store, "falls", 49, at=clock.now)
    watch.look()
    assert off(store) == []
    override(store, "falls", 50, at=clock.now + timedelta(hours=1))
    watch.look()
    assert off(store) == [("falls", "ehr", "override")]


def test_the_gap_card_is_no_rule(store: Store, watch: RuleWatch) -> None:
    """P-04: however often it is dismissed."""
    override(store, "record-gaps", 60)
    watch.look()
    assert off(store) == []


def test_evaluations_firings_and_slow_ones_are_counted(store: Store, watch: RuleWatch) -> None:
    said = evaluation(fired("R11"))
    watch.count("ehr", said, {"r11": 0.001, "r12": 0.021})
    watch.count("ehr", said, {"r11": 0.0199})
    watch.keep()
    watch.keep()
    day = AS_OF.date()
    assert set(store.governance.rule_days(day)) == {
        RuleDay(day, "ehr", "r11", 2, 2, 0),
        RuleDay(day, "ehr", "r12", 1, 0, 1),
    }


def test_what_a_busy_store_does_not_take_is_not_lost(
    store: Store, watch: RuleWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_days: object) -> None:
        raise StoreUnavailable("busy")

    watch.count("ehr", evaluation(fired("R11")), {"r11": 0.0})
    with monkeypatch.context() as patched:
        patched.setattr(store.governance, "add_rule_days", refuse)
        watch.keep()
    watch.count("ehr", evaluation(fired("R11")), {"r11": 0.0})
    watch.keep()
    (day,) = store.governance.rule_days(AS_OF.date())
    assert day.evaluations == 2


def test_a_store_in_trouble_does_not_end_the_watch(store: Store, watch: RuleWatch, tmp_path: Path) -> None:
    store.close()
    (tmp_path / "cds.db").write_bytes(b"no database at all" * 100)
    with structlog.testing.capture_logs() as logs:
        watch.look()
    assert [line["event"] for line in logs] == ["bands-not-looked-at"]
