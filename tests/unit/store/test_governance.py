"""B-25, B-52: switches are kept and audited; what is counted of rules and budgets names no patient."""

from __future__ import annotations

import json
from datetime import timedelta

from cds_service.cds_hooks.feedback import FeedbackItem
from cds_service.store import EVERY, Answered, RuleDay, Store, Switch
from tests.http.stand_in import CARD, NOW, Shown
from tests.unit.store.conftest import OpenStore

OFF = Switch("falls", EVERY, "off", "operator", "it misfires", NOW)


def test_a_switch_is_kept_with_its_reason_and_audited(store: Store) -> None:
    assert store.governance.turn(OFF)
    assert store.governance.switches() == (OFF,)
    (entry,) = store.audit_entries()
    assert (entry.what, entry.client) == ("switch", EVERY)
    assert json.loads(entry.said) == {"rule": "falls", "state": "off", "cause": "operator", "reason": "it misfires"}
    assert store.verify_audit().problem is None


def test_a_switch_that_stands_so_already_is_not_turned_again(store: Store) -> None:
    """Two workers that see the same band left make one trip; nothing that was never off is switched on."""
    assert not store.governance.turn(OFF._replace(state="on"))
    assert store.governance.turn(OFF)
    assert not store.governance.turn(OFF._replace(cause="firing", reason="too often"))
    assert store.governance.switches() == (OFF,)
    assert len(list(store.audit_entries())) == 1


def test_what_is_on_again_is_remembered(store: Store) -> None:
    lifted = OFF._replace(state="on", reason="repaired", at=NOW + timedelta(hours=1))
    store.governance.turn(OFF)
    assert store.governance.turn(lifted)
    assert store.governance.switches() == (lifted,)


def test_one_client_s_switch_is_not_another_s(store: Store) -> None:
    store.governance.turn(OFF)
    store.governance.turn(OFF._replace(client="ehr"))
    assert {s.client for s in store.governance.switches()} == {EVERY, "ehr"}


def test_a_switch_outlives_the_process(store: Store, open_store: OpenStore) -> None:
    store.governance.turn(OFF)
    assert open_store().governance.switches() == (OFF,)


def test_counts_of_a_day_add_up_over_workers(store: Store) -> None:
    day = RuleDay(NOW.date(), "ehr", "falls", 10, 2, 1)
    store.governance.add_rule_days([day, day._replace(rule="malnutrition")])
    store.governance.add_rule_days([day._replace(evaluations=5, firings=1, slow=0)])
    assert set(store.governance.rule_days(NOW.date())) == {
        RuleDay(NOW.date(), "ehr", "falls", 15, 3, 1),
        RuleDay(NOW.date(), "ehr", "malnutrition", 10, 2, 1),
    }
    assert store.governance.rule_days(NOW.date() + timedelta(days=1)) == ()


def test_answers_count_for_the_rule_that_leads_the_card_once_per_card(store: Store) -> None:
    rules = (("falls", "1.0.0"), ("sarcopenia-frailty", "1.0.0"))
    store.note_shown("ehr", "patient", [Shown(CARD, rules=rules)], NOW)
    store.note_shown("ehr", "patient", [Shown("11111111-1111-4111-8111-111111111111", rules=rules[:1])], NOW)
    items = [
        FeedbackItem(CARD, "overridden", NOW),
        FeedbackItem(CARD, "overridden", NOW + timedelta(minutes=1)),
        FeedbackItem("11111111-1111-4111-8111-111111111111", "accepted", NOW),
    ]
    store.record_feedback("ehr", items, NOW)
    assert store.governance.answered_cards(NOW) == (Answered("ehr", "falls", 2, 1),)
    assert store.governance.answered_cards(NOW + timedelta(seconds=1)) == ()


def test_cards_are_counted_by_whom_and_since_when(store: Store) -> None:
    store.governance.count_cards("ehr", ("patient", "user"), 2, NOW)
    store.governance.count_cards("ehr", ("other", "user"), 1, NOW + timedelta(hours=1))
    count = store.governance.counted_cards
    assert (count("ehr", "patient", NOW), count("ehr", "user", NOW), count("other", "user", NOW)) == (2, 3, 0)
    assert count("ehr", "user", NOW + timedelta(minutes=1)) == 1


def test_purge_forgets_old_counts_and_keeps_every_switch(store: Store) -> None:
    store.governance.turn(OFF._replace(at=NOW - timedelta(days=900)))
    store.governance.add_rule_days(
        [RuleDay((NOW - timedelta(days=days)).date(), "e", "r", 1, 0, 0) for days in (0, 800)]
    )
    store.governance.count_cards("ehr", ("user",), 1, NOW - timedelta(days=8))
    store.governance.count_cards("ehr", ("user",), 1, NOW - timedelta(days=6))
    gone = store.purge(NOW - timedelta(days=730), NOW)
    assert (gone["rule_days"], gone["counted_cards"]) == (1, 1)
    assert len(store.governance.switches()) == 1
