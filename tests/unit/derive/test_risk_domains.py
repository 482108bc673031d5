"""The twelve risk domains (B-06, B-81): codes, age, drugs, and what is measured."""

from __future__ import annotations

import pytest

from cds_service.record import MedicationEntry, SourceState
from tests.unit.rule_engine.charts import ask, condition, facts_of, on, result


def domains(*entries: object, **more: object) -> dict[str, str]:
    return {d.name: d.strength for d in facts_of(*entries, **more).risk_domains}


def weights(first: float, latest: float) -> list[object]:
    return [result("weight", first, "kg", 120), result("weight", latest, "kg", 2)]


def activity(days: float, minutes: float) -> list[object]:
    return [result("exercise-days-per-week", days, "d/wk", 5), result("exercise-minutes-per-day", minutes, "min/d", 5)]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], {}),
        ([condition("joint-disease")], {"joint": "plain"}),
        ([condition("joint-disease", clinical_status="resolved")], {}),
        ([condition("immobility")], {"inactivity": "strong"}),
        (activity(5, 29), {"inactivity": "plain"}),
        (activity(5, 30), {}),
        (weights(80, 76), {"nutrition": "plain"}),
        (weights(80, 76.1), {}),
        (weights(80, 72), {"nutrition": "plain"}),
        (weights(80, 71.9), {"nutrition": "strong"}),
        ([*weights(80, 71.9), condition("pregnancy", onset=100)], {}),
        ([*weights(80, 71.9), condition("pregnancy", onset=301)], {"nutrition": "strong"}),
        ([*weights(80, 71.9), condition("delivery", onset=180, clinical_status="resolved")], {}),
        ([result("bmi", 18.4, "kg/m2", 5)], {"nutrition": "plain"}),
        ([result("bmi", 18.5, "kg/m2", 5)], {}),
        ([result("audit-c", 3, None, 5)], {"alcohol": "plain"}),
        ([result("audit-c", 2, None, 5)], {}),
        ([condition("alcohol", "alcohol-dependence")], {"alcohol": "strong"}),
        ([result("tsh", 10.1, "m[IU]/L", 365)], {"endocrine": "plain"}),
        ([result("tsh", 10, "m[IU]/L", 365)], {}),
        ([result("tsh", 0.09, "m[IU]/L", 365)], {"endocrine": "plain"}),
        ([result("tsh", 0.1, "m[IU]/L", 365)], {}),
        ([result("vitamin-d-25-oh", 24, "nmol/L", 365)], {"endocrine": "plain"}),
        ([result("vitamin-d-25-oh", 25, "nmol/L", 365)], {}),
        ([result("calcium", 2.76, "mmol/L", 90)], {"endocrine": "plain"}),
        ([result("calcium", 2.75, "mmol/L", 90)], {}),
        ([result("calcium", 1.89, "mmol/L", 90)], {"endocrine": "plain"}),
        ([result("calcium", 1.9, "mmol/L", 90)], {}),
        ([result("potassium", 3.0, "mmol/L", 90)], {"endocrine": "plain"}),
        ([result("potassium", 3.1, "mmol/L", 90)], {}),
        ([result("potassium", 3.0, "mmol/L", 91)], {}),
        ([condition("burns", onset=730)], {"injury": "plain"}),
        ([condition("burns", onset=731)], {}),
        ([condition("injury", onset=180)], {"injury": "plain"}),
        ([condition("injury", onset=181)], {}),
    ],
)
def test_both_sides_of_every_domain(entries: list[object], expected: dict[str, str]) -> None:
    assert domains(*entries) == expected


@pytest.mark.parametrize(
    ("more", "unjudged"),
    [
        ({"age": 64}, {}),
        ({"age": None}, {"age-frailty": ("birthDate",)}),
        ({"born": "1961"}, {"age-frailty": ("birthDate",)}),  # 64 or 65 years
        ({"born": "1960"}, {}),  # 65 or 66: present
        ({"born": "1962"}, {}),  # 63 or 64: absent
    ],
)
def test_a12_an_age_that_cannot_be_told(more: dict[str, object], unjudged: dict[str, tuple[str, ...]]) -> None:
    assert dict(facts_of(**more).unjudged_domains) == unjudged


def test_t23_a_domain_of_results_that_were_not_read_cannot_be_judged() -> None:
    states = {"observations": SourceState.FAILED}
    unjudged = facts_of(states=states).unjudged_domains
    assert {name for name, missing in unjudged.items() if "observations" in missing} >= {
        "inactivity",
        "nutrition",
        "alcohol",
    }
    assert "alcohol" not in facts_of(condition("alcohol"), states=states).unjudged_domains


def test_a12_a_drinking_score_that_is_positive_for_one_sex_only() -> None:
    assert dict(facts_of(result("audit-c", 3, "{score}"), gender=None).unjudged_domains) == {"alcohol": ("gender",)}


@pytest.mark.parametrize(("least", "holds"), [(1, True), (2, None), (3, False)])
def test_domains_that_cannot_be_judged_count_only_where_they_decide(least: int, holds: bool | None) -> None:
    verdict = ask(facts_of(condition("alcohol"), age=None), risk_domains_at_least=least)
    assert (verdict.value, verdict.missing) == (holds, ("birthDate",) if holds is None else ())


@pytest.mark.parametrize(("age", "expected"), [(64, {}), (65, {"age-frailty": "plain"}), (None, {})])
def test_age(age: float | None, expected: dict[str, str]) -> None:
    assert domains(age=age) == expected


@pytest.mark.parametrize(("ended", "expected"), [(30, {"myotoxin": "plain"}), (31, {})])
def test_a_drug_that_can_harm_muscle(ended: float, expected: dict[str, str]) -> None:
    sets = frozenset({"myotoxic-medication"})
    drug = MedicationEntry(
        "M/1", "MedicationStatement", sets, None, "statin", status="completed", start=on(300), end=on(ended)
    )
    assert domains(drug) == expected


def test_what_cannot_be_read_takes_no_domain_away() -> None:
    """A pregnancy that could not be looked for does not switch the weight off."""
    states = {"conditions": SourceState.INCOMPLETE}
    assert domains(*weights(80, 71.9), states=states) == {"nutrition": "strong"}
