"""Measured strength and function: which value counts, and since when it is abnormal (A-12, A-15, A-23, B-93)."""

from __future__ import annotations

import pytest

from cds_service.coding import NOWHERE, Site
from cds_service.derive.findings import Finding
from tests.unit.rule_engine.charts import facts_of, on, result

LEFT_HAND, RIGHT_HAND = Site("left", "upper"), Site("right", "upper")
RIGHT_LEG, LEFT_ARM = Site("right", "lower"), Site("left", "upper")


def grade(value: float, ago: float, site: Site = NOWHERE) -> object:
    return result("mrc-grade", value, "{score}", ago, site=site)


def grip(kg: float, ago: float, site: Site = NOWHERE) -> object:
    return result("grip-strength", kg, "kg", ago, site=site)


def found(*entries: object, **more: object) -> tuple[Finding, ...]:
    return facts_of(*entries, **more).findings


@pytest.mark.parametrize("arm_ago", [2, 20, 40])
def test_b93_the_strength_of_one_muscle_says_nothing_of_another(arm_ago: float) -> None:
    entries = [grade(2, 20, RIGHT_LEG), grade(5, arm_ago, LEFT_ARM)]
    for order in (entries, entries[::-1]):
        assert [(f.site, f.measurement.value) for f in found(*order) if f.measurement] == [(RIGHT_LEG, 2)]


def test_every_weak_muscle_is_a_finding_of_its_own() -> None:
    assert {f.site for f in found(grade(3, 5, RIGHT_LEG), grade(4, 5, LEFT_ARM), grade(5, 5))} == {RIGHT_LEG, LEFT_ARM}


def test_the_latest_grade_of_a_muscle_counts_and_of_several_at_once_the_lowest() -> None:
    assert found(grade(2, 20, RIGHT_LEG), grade(5, 2, RIGHT_LEG)) == ()
    for values in ((2, 5), (5, 2)):
        assert [f.measurement.value for f in found(*(grade(v, 2, RIGHT_LEG) for v in values)) if f.measurement] == [2]


def test_the_better_hand_counts_as_it_was_last_measured() -> None:
    assert found(grip(14, 5, LEFT_HAND), grip(17, 5, RIGHT_HAND)) == ()
    assert len(found(grip(14, 5, LEFT_HAND), grip(17, 90, RIGHT_HAND), grip(15, 5, RIGHT_HAND))) == 1


@pytest.mark.parametrize(
    ("values", "since"),
    [
        ([(12, 20)], 20),
        ([(12, 700), (12, 20)], 700),  # beyond the window of the latest value
        ([(12, 700), (20, 300), (12, 20)], 20),  # normal in between
        ([(12, 300), (12, 100), (20, 200), (11, 20)], 100),
        ([(20, 700), (12, 20)], 20),
    ],
)
def test_a15_the_first_abnormal_value_since_the_last_normal_one_is_the_onset(
    values: list[tuple[float, float]], since: float
) -> None:
    (finding,) = found(*(grip(kg, ago) for kg, ago in values))
    assert finding.onset == on(since)


@pytest.mark.parametrize(("ago", "counts"), [(365, True), (366, False)])
def test_a23_the_latest_value_is_of_the_last_365_days(ago: float, counts: bool) -> None:
    assert bool(found(grip(12, ago), grip(12, 700))) is counts


def test_a_value_of_the_future_neither_counts_nor_hides() -> None:
    (finding,) = found(grip(12, 20), grip(30, -20))
    assert finding.onset == on(20)


@pytest.mark.parametrize(("comparator", "counts"), [("<", True), (">", False), (None, True)])
def test_a_written_comparator_proves_only_its_own_direction(comparator: str | None, counts: bool) -> None:
    assert bool(found(result("grip-strength", 15, "kg", 5, comparator=comparator))) is counts


def test_a12_the_onset_of_what_only_one_sex_would_have() -> None:
    facts = facts_of(grip(30, 200), grip(20, 100), grip(21, 20), gender=None)
    assert facts.findings == ()
    assert [f.onset for f in facts.findings_by_sex] == [on(100)]
