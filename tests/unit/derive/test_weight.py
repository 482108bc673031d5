"""Weight loss, body mass index, stability and intent (section 5, A-11, A-56, B-40, B-75)."""

from __future__ import annotations

import pytest

from cds_service.derive.weight import WeightTrend
from cds_service.partial_date import PartialDate
from cds_service.record import ActivityEntry, ObservationEntry, SourceState
from tests.unit.rule_engine.charts import ask, condition, facts_of, on, result


def kg(value: float, ago: float, unit: str = "kg") -> object:
    return result("weight", value, unit, ago)


def trend(*entries: object, **more: object) -> WeightTrend:
    return facts_of(*entries, **more).weight


@pytest.mark.parametrize(
    ("reference_ago", "latest_ago", "loss"),
    [(32, 2, 10), (31, 2, None), (185, 2, 10), (186, 2, None), (90, 60, 10), (121, 61, None)],
)
def test_the_reference_lies_30_to_183_days_before_a_latest_weight_of_60_days(
    reference_ago: float, latest_ago: float, loss: float | None
) -> None:
    assert trend(kg(80, reference_ago), kg(72, latest_ago)).loss_percent == loss


def test_the_highest_weight_of_those_days_is_the_reference() -> None:
    found = trend(kg(75, 180), kg(80, 120), kg(70, 60), kg(72, 2))
    assert (found.reference_kg, found.loss_percent) == (80, 10)


def test_with_a_disease_that_moves_fluid_it_is_the_median() -> None:
    found = trend(kg(72, 150), kg(80, 120), kg(74, 60), kg(72, 2), condition("fluid-shifting-disease"))
    assert (found.reference_kg, found.by_median) == (74, True)


def test_pounds_are_read_as_pounds() -> None:
    assert trend(kg(176.37, 120, "[lb_av]"), kg(72, 2)).loss_percent == pytest.approx(10, abs=0.01)
    assert trend(kg(176.37, 120, "stone"), kg(72, 2)).loss_percent is None


def test_a_pound_number_written_as_kilograms_is_left_out() -> None:
    """R15-N2: 62 kg, then 137 "kg", then 61 kg is no loss of half the body, whatever the days between."""
    found = trend(kg(62, 180), kg(137, 120), kg(61, 2))
    assert found.loss_percent == pytest.approx(1.61, abs=0.01)
    assert trend(kg(62, 180), kg(110, 120), kg(61, 2)).reference_kg == 110


@pytest.mark.parametrize(("value", "days", "kept"), [(81, 30, False), (80.5, 30, True), (81, 31, True)])
def test_an_outlier_differs_from_both_near_neighbours(value: float, days: float, kept: bool) -> None:
    found = trend(kg(70, 100 + days), kg(value, 100), kg(70, 100 - days), kg(70, 2))
    assert (found.reference_kg == value) is kept


def test_a_weight_with_one_near_neighbour_is_kept() -> None:
    """A-56."""
    assert trend(kg(81, 100), kg(70, 90), kg(70, 2)).reference_kg == 81


@pytest.mark.parametrize(("value", "kept"), [(217.8, True), (217.9, False)])
def test_a_body_mass_index_over_80_is_an_error(value: float, kept: bool) -> None:
    found = trend(kg(value, 100), kg(70, 2), result("height", 165, "cm", 1000))
    assert (found.reference_kg == value) is kept


@pytest.mark.parametrize("kind", ["amputation", "delivery"])
def test_weights_before_an_amputation_or_a_birth_are_not_compared(kind: str) -> None:
    assert trend(kg(80, 120), kg(70, 40), kg(69, 2), condition(kind, onset=60)).reference_kg == 70
    assert trend(kg(80, 120), kg(70, 40), kg(69, 2), condition(kind, recorded=60)).reference_kg == 80


LOSS = [kg(80, 120), kg(75, 20), kg(72, 2)]


@pytest.mark.parametrize(
    ("question", "holds"),
    [
        ({"weight_loss_above": 10}, False), ({"weight_loss_above": 9.9}, True),
        ({"weight_loss_at_least": 10}, True), ({"weight_loss_at_least": 10.1}, False),
        ({"weight_loss_above": 5, "two_low_weights": True}, True),
    ],
)  # fmt: skip
def test_both_sides_of_a_loss(question: dict[str, object], holds: bool) -> None:
    assert ask(facts_of(*LOSS), **question).value is holds


@pytest.mark.parametrize(
    ("second", "ago", "holds"), [(76, 16, True), (76.1, 16, False), (76, 15, False), (76, 130, False)]
)
def test_two_low_weights_lie_14_days_apart_and_after_the_reference(second: float, ago: float, holds: bool) -> None:
    facts = facts_of(kg(80, 120), kg(second, ago), kg(75, 2))
    assert ask(facts, weight_loss_above=5, two_low_weights=True).value is holds


def test_the_facts_name_both_weights() -> None:
    facts = ask(facts_of(*LOSS), weight_loss_above=5).facts
    assert [(f.value, f.threshold) for f in facts] == [
        ("80 kg", "highest of its half year"),
        ("72 kg", "10.0 % below the weight of 80 kg"),
    ]


@pytest.mark.parametrize(("last_before", "dated"), [(False, on(20)), (True, on(120))])
def test_a_loss_is_dated_by_the_first_low_weight_or_the_last_one_before_it(
    last_before: bool, dated: PartialDate
) -> None:
    """A-15."""
    (entry,) = ask(facts_of(*LOSS), weight_loss_above=5, last_before=last_before).entries
    assert isinstance(entry, ObservationEntry)
    assert entry.effective == dated


def test_no_body_mass_index_comes_before_one_that_was_always_low() -> None:
    low = [result("bmi", 17, "kg/m2", 90), result("bmi", 17, "kg/m2", 5)]
    assert ask(facts_of(result("bmi", 19, "kg/m2", 200), *low), bmi_below=18.5, last_before=True).entries != ()
    assert ask(facts_of(*low), bmi_below=18.5, last_before=True).entries == ()


def test_weights_not_seen_leave_the_loss_unknown() -> None:
    failed = facts_of(states={"observations": SourceState.FAILED})
    assert ask(failed, weight_loss_above=5).value is None
    assert ask(failed, bmi_below=18.5).value is None
    assert ask(facts_of(), weight_loss_above=5).value is False


@pytest.mark.parametrize(("value", "holds"), [(18.4, True), (18.5, False)])
def test_a_measured_body_mass_index(value: float, holds: bool) -> None:
    facts = facts_of(result("bmi", value, "kg/m2", 5))
    assert ask(facts, bmi_below=18.5).value is holds
    assert ask(facts, bmi_at_least=18.5).value is not holds


@pytest.mark.parametrize(("ago", "holds"), [(365, True), (366, False)])
def test_a_body_mass_index_holds_for_a_year(ago: float, holds: bool) -> None:
    assert ask(facts_of(result("bmi", 17, "kg/m2", ago)), bmi_below=18.5).value is holds


def test_the_index_is_computed_from_the_latest_weight_and_an_adult_height() -> None:
    facts = facts_of(kg(50, 3), result("height", 170, "cm", 3000), result("bmi", 22, "kg/m2", 200))
    assert facts.weight.bmi is not None
    assert facts.weight.bmi.value == 17.3
    assert ask(facts, bmi_below=18.5).facts[0].threshold == "body mass index 17.3 kg/m2, below 18.5 kg/m2"


def test_a_newer_observation_wins_over_the_computed_index() -> None:
    found = trend(kg(50, 3), result("height", 170, "cm", 3000), result("bmi", 22, "kg/m2", 3)).bmi
    assert found is not None
    assert found.value == 22


@pytest.mark.parametrize(("age", "ago", "used"), [(25, 2000, True), (17, 400, False), (17, 300, True)])
def test_a_childs_height_holds_for_a_year_only(age: float, ago: float, used: bool) -> None:
    found = trend(kg(50, 3), result("height", 170, "cm", ago), age=age)
    assert (found.bmi is not None) is used


@pytest.mark.parametrize(
    ("age", "height_ago", "below", "holds"),
    [(None, 3000, 18.5, None), (None, 3000, 17, False), (None, 300, 18.5, True), (40, 3000, 18.5, True)],
)
def test_a12_an_old_height_without_an_age_may_be_a_childs(
    age: float | None, height_ago: float, below: float, holds: bool | None
) -> None:
    """50 kg and 170 cm are 17.3 kg/m2, if the height still holds."""
    facts = facts_of(kg(50, 3), result("height", 170, "cm", height_ago), age=age)
    verdict = ask(facts, bmi_below=below)
    assert (verdict.value, verdict.missing) == (holds, ("birthDate",) if holds is None else ())


@pytest.mark.parametrize(
    ("weights", "stable"),
    [
        ([(45, 302), (45.5, 100), (45, 2)], True),
        ([(45, 301), (45, 2)], False),
        ([(45, 330), (42.75, 2)], True),
        ([(45, 330), (42.7, 2)], False),
        ([(45, 2)], False),
    ],
)
def test_stable_over_300_days(weights: list[tuple[float, float]], stable: bool) -> None:
    assert ask(facts_of(*(kg(v, ago) for v, ago in weights)), weight_stable=True).value is stable


def plan(status: str = "active") -> ActivityEntry:
    sets = frozenset({"weight-programme"})
    return ActivityEntry("CarePlan/1", "CarePlan", sets, None, "Weight programme", status=status, date=on(30))


@pytest.mark.parametrize(
    ("entries", "intent"),
    [
        ([], "unknown"),
        ([condition("injected-glucose-lowering-drug")], "intentional"),
        ([condition("bariatric-surgery", onset=730)], "intentional"),
        ([condition("bariatric-surgery", onset=731)], "unknown"),
        ([condition("bariatric-surgery", recorded=20), condition("bariatric-surgery", recorded=900)], "unknown"),
        ([condition("bariatric-surgery")], "unknown"),
        ([plan()], "intentional"),
        ([plan("completed")], "unknown"),
        ([condition("injected-glucose-lowering-drug"), condition("weight-loss-finding")], "unintentional"),
    ],
)
def test_intent(entries: list[object], intent: str) -> None:
    facts = facts_of(*LOSS, *entries)
    assert facts.weight.intent == intent
    for one in ("unknown", "intentional", "unintentional"):
        assert ask(facts, weight_intent=one).value is (one == intent)


def test_a_comparator_is_no_weight() -> None:
    assert trend(result("weight", 80, "kg", 120, comparator=">"), kg(72, 2)).loss_percent is None
