"""B-52: what is switched off or has tripped answers `suppressed` with its reason, in the answer, the log, the audit."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from cds_service.governance import switchboard
from cds_service.store import EVERY, RuleDay, Switch
from tests.http.governed import ADA, LIAM, NOON, Site, rules_of

STEROID = "steroid-myopathy"
REASON = "fired in 40.0 % of 200 evaluations of a day, 2.0 % is the median of 28 days before"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(switchboard, "LOOK_EVERY", 0.0)
    return Site(tmp_path)


def turn(site: Site, rule: str, state: str, client: str = EVERY, cause: str = "operator", reason: str = "x") -> None:
    assert site.store.governance.turn(Switch(rule, client, state, cause, reason, NOON))


def test_a_rule_goes_off_and_on_while_the_service_runs(site: Site) -> None:
    assert rules_of(site.ask(ADA))[STEROID][0] == "fired"
    turn(site, STEROID, "off", reason="words of the operator")
    answer = site.ask(ADA)
    assert rules_of(answer)[STEROID] == ("suppressed", "switched-off")
    assert "words of the operator" not in json.dumps(answer)
    turn(site, STEROID, "on")
    assert rules_of(site.ask(ADA))[STEROID][0] == "fired"


def test_a_trip_says_why_in_the_answer_the_log_and_the_audit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(tmp_path)
    turn(site, STEROID, "off", client="ehr", cause="firing", reason=REASON)
    assert rules_of(site.ask(ADA))[STEROID] == ("suppressed", f"tripped: {REASON}")
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert line["withheld"] == {STEROID: f"tripped: {REASON}"}
    assert site.audited()[-1]["withheld"] == line["withheld"]


def test_another_client_s_switch_is_not_ours(site: Site) -> None:
    turn(site, STEROID, "off", client="other")
    assert rules_of(site.ask(ADA))[STEROID][0] == "fired"


@pytest.mark.parametrize("patient", [ADA, LIAM])
def test_a_client_that_is_off_is_answered_and_every_rule_says_why(site: Site, patient: str) -> None:
    """Nothing of a chart is read: there are no sources, no tier, and no gap card."""
    turn(site, EVERY, "off", client="ehr")
    answer = site.ask(patient)
    assert answer["cards"] == []
    assert set(answer["extension"]["org.atrophy-cds.evaluation"]) == {"asOf", "rulePack", "rules"}
    assert len(rules_of(answer)) == 25
    assert set(rules_of(answer).values()) == {("suppressed", "switched-off")}
    (said,) = site.audited()
    assert set(said["withheld"].values()) == {"switched-off"}


def test_a_rule_that_is_off_is_not_counted(site: Site) -> None:
    turn(site, STEROID, "off")
    site.ask(ADA)
    site.app.extensions["atrophy_cds_service"].watch.keep()
    counted = {day.rule: day for day in site.store.governance.rule_days(NOON.date())}
    assert STEROID not in counted
    assert counted["falls"].evaluations == 1


def test_calls_are_counted_by_rule_and_by_nothing_of_a_patient(site: Site) -> None:
    site.ask(ADA)
    site.ask(LIAM)
    site.app.extensions["atrophy_cds_service"].watch.keep()
    counted = {day.rule: day for day in site.store.governance.rule_days(NOON.date())}
    assert len(counted) == 25
    assert {(day.day, day.client, day.evaluations) for day in counted.values()} == {(NOON.date(), "ehr", 2)}
    assert counted[STEROID].firings == 1


def usual_days(site: Site, rule: str) -> None:
    """28 days in which the rule fired in 2 % of its evaluations."""
    before = [RuleDay(NOON.date() - timedelta(days=ago), "ehr", rule, 1000, 20, 0) for ago in range(1, 29)]
    site.store.governance.add_rule_days(before)


def test_a_rule_that_suddenly_fires_for_everybody_trips_and_says_so(site: Site) -> None:
    """From calls to trip: 100 charts of a day, all with a card, where 2 % was usual."""
    usual_days(site, STEROID)
    for _ in range(100):
        site.ask(ADA)
    watch = site.app.extensions["atrophy_cds_service"].watch
    watch.look()
    status, reason = rules_of(site.ask(ADA))[STEROID]
    assert status == "suppressed"
    assert reason.startswith("tripped: fired in 100.0 % of 100 evaluations")


def test_an_emergency_that_suddenly_fires_for_everybody_is_still_shown(site: Site) -> None:
    """B-25."""
    usual_days(site, "rapidly-progressive-weakness")
    for _ in range(100):
        site.ask(LIAM)
    site.app.extensions["atrophy_cds_service"].watch.look()
    answer = site.ask(LIAM)
    assert rules_of(answer)["rapidly-progressive-weakness"][0] == "fired"
    assert answer["cards"][0]["indicator"] == "critical"


def test_what_a_rule_that_is_off_would_have_said_is_not_taken_for_so(tmp_path: Path) -> None:
    """Nobody asked it: another rule that builds on its pattern must not speak as if the pattern were there."""
    (tmp_path / "off").mkdir()
    live, off = Site(tmp_path), Site(tmp_path / "off", 'rules_off = ["malnutrition"]')
    before, after = (rules_of(site.ask("tomas-transplant-protocol")) for site in (live, off))
    assert before["malnutrition"][0] == "not-met"
    assert after["malnutrition"] == ("suppressed", "switched-off")
    assert {**before, "malnutrition": None} == {**after, "malnutrition": None}
