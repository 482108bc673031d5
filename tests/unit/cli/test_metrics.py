"""``atrophy-cds metrics``: what the rules did, as Prometheus reads it (B-52)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from cds_service.cds_hooks.feedback import FeedbackItem
from cds_service.cli.commands import commands
from cds_service.store import EVERY, RuleDay, Store, Switch
from tests.http.stand_in import CARD, Shown

NOW = datetime(2026, 11, 27, 10, tzinfo=UTC)
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def store(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    key = tmp_path / "cds.key"
    monkeypatch.setenv("ATROPHY_CDS_DATABASE_URL", database_url)
    monkeypatch.setenv("ATROPHY_CDS_KEY_FILE", str(key))
    store = Store(database_url, key_file=key)
    store.migrate()
    yield store
    store.close()


def printed() -> Samples:
    answer = CliRunner().invoke(commands, ["metrics"], catch_exceptions=False)
    assert answer.exit_code == 0
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.output)
        for sample in family.samples
    }


def labels(rule: str, client: str, **more: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({"rule": rule, "client": client, **more}.items()))


def test_counts_of_all_days_are_summed_by_rule_and_client(store: Store) -> None:
    store.governance.add_rule_days(
        [
            RuleDay(date(2026, 11, 26), "ehr", "falls", 100, 3, 1),
            RuleDay(date(2026, 11, 27), "ehr", "falls", 50, 2, 0),
            RuleDay(date(2026, 11, 27), "other", "falls", 7, 0, 0),
        ]
    )
    found = printed()
    assert found["atrophy_cds_rule_evaluations_total", labels("falls", "ehr")] == 150
    assert found["atrophy_cds_rule_firings_total", labels("falls", "ehr")] == 5
    assert found["atrophy_cds_rule_slow_total", labels("falls", "ehr")] == 1
    assert found["atrophy_cds_rule_evaluations_total", labels("falls", "other")] == 7


def test_answers_count_for_the_rule_that_leads_the_card(store: Store) -> None:
    store.note_shown("ehr", "patient", [Shown(CARD)], NOW)
    store.record_feedback("ehr", [FeedbackItem(CARD, "overridden", NOW)], NOW)
    found = printed()
    assert found["atrophy_cds_cards_answered_total", labels("steroid-myopathy", "ehr")] == 1
    assert found["atrophy_cds_cards_overridden_total", labels("steroid-myopathy", "ehr")] == 1


def test_a_trip_is_there_while_the_rule_is_off_and_its_words_are_not(store: Store) -> None:
    """The reason of an operator is free text: it stays in the audit."""
    store.governance.turn(Switch("falls", "ehr", "off", "firing", "3.4 times the median", NOW))
    store.governance.turn(Switch(EVERY, "other", "off", "operator", "about Mrs Canary", NOW))
    found = printed()
    assert found["atrophy_cds_rule_off", labels("falls", "ehr", cause="firing")] == 1
    assert found["atrophy_cds_rule_off", labels("all", "other", cause="operator")] == 1
    store.governance.turn(Switch("falls", "ehr", "on", "operator", "looked at", NOW))
    assert ("atrophy_cds_rule_off", labels("falls", "ehr", cause="firing")) not in printed()
    assert "Canary" not in str(printed())


def test_a_new_store_has_nothing_to_tell(store: Store) -> None:
    assert printed() == {}
