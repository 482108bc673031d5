"""A result against its limit: both sides of it, units, ranges, medians, series (A-34, A-54, A-55, B-24, B-74, G14)."""

from __future__ import annotations

import pytest

from cds_service.record import SourceState
from cds_service.rule_engine.criterion import Criterion
from tests.unit.rule_engine.charts import ask, condition, facts_of, on, result


def potassium(value: float, ago: float | str | None = 1, unit: str | None = "mmol/L", **more: object) -> object:
    return result("potassium", value, unit, ago, **more)


@pytest.mark.parametrize(
    ("word", "value", "holds"),
    [
        ("below", 2.4, True), ("below", 2.5, False),
        ("at_most", 2.5, True), ("at_most", 2.6, False),
        ("above", 2.6, True), ("above", 2.5, False),
        ("at_least", 2.5, True), ("at_least", 2.4, False),
    ],
)  # fmt: skip
def test_both_sides_of_each_limit(word: str, value: float, holds: bool) -> None:
    verdict = ask(facts_of(potassium(value)), result=("potassium",), unit="mmol/L", within_days=7, **{word: 2.5})
    assert verdict.value is holds


@pytest.mark.parametrize(("value", "holds"), [(2.4, False), (2.5, True), (3.0, True), (3.1, False)])
def test_two_limits_make_a_band(value: float, holds: bool) -> None:
    verdict = ask(facts_of(potassium(value)), result=("potassium",), unit="mmol/L", at_least=2.5, at_most=3.0)
    assert verdict.value is holds


def test_the_fact_shows_the_value_and_the_limit() -> None:
    fact = ask(facts_of(potassium(2.3)), result=("potassium",), unit="mmol/L", below=2.5).facts[0]
    assert (fact.value, fact.threshold, fact.date) == ("2.3 mmol/L", "below 2.5 mmol/L", "2026-11-26")


def test_the_newest_result_counts_alone_unless_any_is_asked() -> None:
    facts = facts_of(potassium(2.0, 5), potassium(4.0, 1))
    question = {"result": ("potassium",), "unit": "mmol/L", "within_days": 7, "below": 2.5}
    assert ask(facts, **question).value is False
    assert ask(facts, **question, any_result=True).value is True


@pytest.mark.parametrize(("ago", "holds"), [(7, True), (8, False), (None, False), (-2, False)])
def test_the_window_is_counted_in_days_and_needs_a_date(ago: float | None, holds: bool) -> None:
    verdict = ask(facts_of(potassium(2.0, ago)), result=("potassium",), unit="mmol/L", within_days=7, below=2.5)
    assert verdict.value is holds


def test_a_source_not_seen_whole_leaves_it_unknown_but_never_hides_a_find() -> None:
    states = {"observations": SourceState.INCOMPLETE}
    question = {"result": ("potassium",), "unit": "mmol/L", "below": 2.5}
    assert ask(facts_of(potassium(4.0), states=states), **question).value is None
    assert ask(facts_of(potassium(2.0), states=states), **question).value is True


@pytest.mark.parametrize(
    ("kind", "value", "unit", "wanted", "limit", "holds"),
    [
        ("potassium", 2.4, "meq/L", "mmol/L", {"below": 2.5}, True),
        ("potassium", 2.4, "mg/dL", "mmol/L", {"below": 2.5}, False),  # A-54
        ("potassium", 2.4, None, "mmol/L", {"below": 2.5}, False),
        ("oxygen-saturation", 0.91, "1", "%", {"below": 92}, True),
        ("oxygen-saturation", 0.92, "1", "%", {"below": 92}, False),
        ("oxygen-saturation", 91, "1", "%", {"below": 92}, False),  # 91 of unit 1 is no saturation
        ("vitamin-d-25-oh", 10, "ng/mL", "nmol/L", {"below": 25}, False),  # 24.96 rounds to 25 (A-55)
        ("vitamin-d-25-oh", 9.8, "ng/mL", "nmol/L", {"below": 25}, True),
        ("vitamin-d-25-oh", 24.96, "nmol/L", "nmol/L", {"below": 25}, True),  # B-74: not converted, not rounded
        ("phosphate", 0.97, "mg/dL", "mmol/L", {"below": 0.32}, True),
        ("phosphate", 1.0, "mg/dL", "mmol/L", {"below": 0.32}, False),
        ("calcium", 11.1, "mg/dL", "mmol/L", {"above": 2.75}, True),
        ("calcium", 11.0, "mg/dL", "mmol/L", {"above": 2.75}, False),
        ("carbon-dioxide-arterial", 49, "mm[Hg]", "kPa", {"at_least": 6.5}, True),
        ("carbon-dioxide-arterial", 48, "mm[Hg]", "kPa", {"at_least": 6.5}, False),
    ],
)  # fmt: skip
def test_units_are_converted_and_converted_values_rounded_to_the_limit(
    kind: str, value: float, unit: str | None, *, wanted: str, limit: dict[str, float], holds: bool
) -> None:
    assert ask(facts_of(result(kind, value, unit)), result=(kind,), unit=wanted, **limit).value is holds


def test_a_converted_value_is_shown_both_ways() -> None:
    fact = ask(facts_of(result("calcium", 12, "mg/dL")), result=("calcium",), unit="mmol/L", above=2.75).facts[0]
    assert fact.value == "12 mg/dL (2.99 mmol/L)"


@pytest.mark.parametrize(
    ("gender", "value", "holds"),
    [
        ("male", 3.5, False), ("male", 4, True), ("female", 3, True),
        (None, 2.9, False), (None, 3, None), ("other", 3.9, None), (None, 4, True),
    ],
)  # fmt: skip
def test_a12_a_limit_by_sex(gender: str | None, value: float, holds: bool | None) -> None:
    """Where the sex is not known and decides, the answer is not known either, and the sex is what is missing."""
    facts = facts_of(result("audit-c", value, "{score}"), gender=gender)
    verdict = ask(facts, result=("audit-c",), unit="{score}", at_least={"male": 4, "female": 3})
    assert (verdict.value, verdict.missing) == (holds, ("gender",) if holds is None else ())


@pytest.mark.parametrize(
    ("gender", "kg", "holds"),
    [
        ("female", 20, False), ("male", 20, True),
        (None, 15.4, True), (None, 16, None), ("unknown", 26.4, None), (None, 27, False),
    ],
)  # fmt: skip
def test_a12_a_measured_finding_between_the_cut_offs_of_the_sexes(
    gender: str | None, kg: float, holds: bool | None
) -> None:
    facts = facts_of(result("grip-strength", kg, "kg", 10), gender=gender)
    verdict = ask(facts, finding=("grip-strength",))
    assert (verdict.value, verdict.missing) == (holds, ("gender",) if holds is None else ())
    assert facts.finding_level == (2 if holds else 0)


def test_a12_what_is_narrowed_away_or_of_another_kind_needs_no_sex() -> None:
    facts = facts_of(result("grip-strength", 20, "kg", 100), gender=None)
    assert ask(facts, finding=("grip-strength",), within_days=99).value is False
    assert ask(facts, finding=("weakness",)).value is False


CK = {"result": ("creatine-kinase",), "unit": "U/L", "within_days": 7, "above": 10, "times_upper_limit": True}


def ck(value: float, ago: float = 1, high: float | None = 200, **more: object) -> object:
    return result("creatine-kinase", value, more.pop("unit", "U/L"), ago, high=high, **more)


@pytest.mark.parametrize(("value", "holds"), [(2000, False), (2001, True)])
def test_multiples_of_the_upper_limit(value: float, holds: bool) -> None:
    verdict = ask(facts_of(ck(value)), **CK)
    assert verdict.value is holds
    if holds:
        assert verdict.facts[0].threshold == "above 10 times the upper limit of 200 U/L"


def test_without_an_upper_limit_it_is_unknown_and_says_what_is_missing() -> None:
    verdict = ask(facts_of(ck(5000, high=None)), **CK)
    assert verdict.value is None
    assert verdict.missing == ("the upper limit of normal of the creatine kinase result",)
    assert ask(facts_of(ck(5000, high=0)), **CK).value is None


@pytest.mark.parametrize(("value", "answer"), [(499, False), (500, None)])
def test_a_small_value_without_a_range_is_no_gap(value: float, answer: bool | None) -> None:
    assert ask(facts_of(ck(value, high=None)), **CK, no_range_false_below=500).value is answer


@pytest.mark.parametrize(("value", "high", "holds"), [(10001, None, True), (10000, None, False), (10001, 200, False)])
def test_an_absolute_limit_for_results_without_a_range(value: float, high: float | None, holds: bool) -> None:
    question = {**CK, "times_upper_limit": False, "above": 10000, "no_upper_limit": True}
    assert ask(facts_of(ck(value, high=high)), **question).value is holds


@pytest.mark.parametrize(
    ("comparator", "value", "holds"), [(">", 2000, True), (">=", 2000, False), ("<", 4000, False), (">", 1999, False)]
)
def test_a_comparator_proves_only_its_own_direction(comparator: str, value: float, holds: bool) -> None:
    assert ask(facts_of(ck(value, comparator=comparator)), **CK).value is holds


CREATININE = {
    "result": ("creatinine",),
    "unit": "mg/dL",
    "within_days": 7,
    "at_least": 1.5,
    "times_median_between": (8, 365),
}


def creatinine(value: float, ago: float, **more: object) -> object:
    return result("creatinine", value, more.pop("unit", "mg/dL"), ago, **more)


@pytest.mark.parametrize(("value", "holds"), [(1.2, True), (1.19, False)])
def test_a_rise_over_the_patients_own_median(value: float, holds: bool) -> None:
    earlier = [
        creatinine(0.8, 8),
        creatinine(0.7, 100),
        creatinine(9, 366),
        creatinine(5, 7),
        creatinine(88.42, 365, unit="umol/L"),
    ]
    verdict = ask(facts_of(creatinine(value, 1), *earlier), **CREATININE)
    assert verdict.value is holds
    if holds:
        assert verdict.facts[0].threshold == "at least 1.5 times the patient's own median of 0.8 mg/dL"


def test_without_earlier_results_the_upper_limit_stands_in_only_where_the_rule_says_so() -> None:
    facts = facts_of(creatinine(1.8, 1, high=1.2))
    assert ask(facts, **CREATININE).value is False
    assert ask(facts, **CREATININE, else_upper_limit=True).value is True
    assert ask(facts_of(creatinine(1.8, 1)), **CREATININE, else_upper_limit=True).value is None


def test_the_judged_result_is_not_in_its_own_median() -> None:
    question = {**CK, "above": None, "times_upper_limit": False, "at_least": 2, "times_median_between": (0, 365)}
    assert ask(facts_of(ck(2000)), **question).value is False
    assert ask(facts_of(ck(2000), ck(1000, 40)), **question).value is True
    assert ask(facts_of(ck(1999), ck(1000, 40)), **question).value is False


SERIES = {
    "result": ("creatine-kinase",), "unit": "U/L", "within_days": 180, "above": 1.5, "times_upper_limit": True,
    "results_needed": 2, "results_apart_days": 7,
}  # fmt: skip


@pytest.mark.parametrize(
    ("results", "answer"),
    [
        ([(1400, 3, 170), (1100, 20, 170)], True),
        ([(1400, 3, 170), (1100, 10, 170)], True),
        ([(1400, 3, 170), (1100, 9, 170)], False),
        ([(220, 3, 170), (1100, 20, 170)], False),
        ([(1400, 3, 170), (1100, 181, 170)], False),
        ([(1400, 3, 170), (1100, 9, 170), (1000, 12, 170)], True),
        ([(1400, 3, None), (1100, 20, 170)], None),
    ],
)  # fmt: skip
def test_several_results_apart(results: list[tuple[float, float, float | None]], answer: bool | None) -> None:
    verdict = ask(facts_of(*(ck(value, ago, high) for value, ago, high in results)), **SERIES)
    assert verdict.value is answer
    if answer:
        assert len(verdict.facts) == 2


@pytest.mark.parametrize(("value", "low", "answer"), [(3.4, 3.5, True), (3.5, 3.5, False), (3.4, None, None)])
def test_low_by_the_laboratorys_own_range(value: float, low: float | None, answer: bool | None) -> None:
    facts = facts_of(potassium(value, low=low))
    assert ask(facts, result=("potassium",), low_by_range=True, within_days=90).value is answer


def test_pressures_written_as_negative_numbers() -> None:
    facts = facts_of(result("maximal-inspiratory-pressure", -28, "cm[H2O]"))
    question = {"result": ("maximal-inspiratory-pressure",), "unit": "cm[H2O]", "below": 30}
    assert ask(facts, **question, absolute=True).facts[0].value == "-28 cm[H2O]"
    strong = facts_of(result("maximal-inspiratory-pressure", -80, "cm[H2O]"))
    assert ask(strong, **question, absolute=True).value is False


@pytest.mark.parametrize(
    ("kind", "specimen", "holds"),
    [
        ("carbon-dioxide", "", False), ("carbon-dioxide", "venous blood", False),
        ("carbon-dioxide", "arterial blood", True), ("carbon-dioxide-arterial", "", True),
    ],
)  # fmt: skip
def test_a_specimen_is_asked_for_unless_the_code_says_it(kind: str, specimen: str, holds: bool) -> None:
    facts = facts_of(result(kind, 7, "kPa", specimen=specimen))
    verdict = ask(
        facts, result=("carbon-dioxide", "carbon-dioxide-arterial"), unit="kPa", at_least=6.5,
        specimen_words=("arterial", "capillary"), specimen_not_needed_for=("carbon-dioxide-arterial",),
    )  # fmt: skip
    assert verdict.value is holds


@pytest.mark.parametrize(("onset", "holds"), [(4, True), (3, True), (2, False), (7, False)])
def test_something_just_before_a_result(onset: float, holds: bool) -> None:
    """A-35: surgery, injection or seizure within 72 h before the CK."""
    facts = facts_of(ck(9600, 3), condition("seizure", onset=onset))
    high = {"ck_high": Criterion(says="CK", **CK)}
    verdict = ask(facts, others=high, condition=("seizure",), before="ck_high", at_most_days_before=3)
    assert verdict.value is holds


@pytest.mark.parametrize(
    "half", [{"unit": "U/L"}, {"above": 3}, {"above": 3, "unit": "U/L", "times_median_between": (8,)}]
)
def test_half_a_question_is_refused(half: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"result needs|two ages"):
        ask(facts_of(), result=("creatine-kinase",), **half)


@pytest.mark.parametrize(
    ("calcium", "albumin", "ago", "low"),
    [
        (1.9, 40, 5, True), (1.9, 35, 5, False), (1.85, 34, 5, True), (1.9, 35, 90, False),
        (1.9, 35, 91, None), (1.9, None, 5, None), (1.9, 0, 5, None), (1.9, 4.0, 5, None), (1.9, 9.9, 5, None),
        (1.3, 10, 5, True), (1.41, 10, 5, False), (2.1, None, 5, False), (1.99, 40, 5, True), (2.0, 40, 5, False),
    ],
)  # fmt: skip
def test_calcium_is_read_beside_albumin(calcium: float, albumin: float | None, ago: float, low: bool | None) -> None:
    """B-34: + 0.02 mmol/L for each g/L below 40; without a plausible albumin (10 g/L) a low calcium is unknown."""
    entries = [result("calcium", calcium, "mmol/L")]
    if albumin is not None:
        entries.append(result("albumin", albumin / 10, "g/dL", ago))
    verdict = ask(facts_of(*entries), result=("calcium",), unit="mmol/L", below=2.0, albumin_adjusted=True)
    assert verdict.value is low
    if low is None:
        assert verdict.missing == ("a recent albumin result",)


def test_a_high_calcium_needs_no_albumin() -> None:
    question = {"result": ("calcium",), "unit": "mmol/L", "above": 2.75, "albumin_adjusted": True}
    assert ask(facts_of(result("calcium", 2.8, "mmol/L")), **question).value is True
    raised = facts_of(result("calcium", 2.7, "mmol/L"), result("albumin", 36, "g/L"))
    assert ask(raised, **question).facts[0].threshold == "above 2.75 mmol/L (albumin-adjusted: 2.78)"
    slip = facts_of(result("calcium", 2.4, "mmol/L"), result("albumin", 4.2, "g/L"))
    assert ask(slip, **question).value is False


@pytest.mark.parametrize(("between", "dated"), [(None, 80), (0.6, 80), (1.0, 5)])
def test_the_first_of_the_present_run_of_low_results_dates_them(between: float | None, dated: int) -> None:
    """A-15."""
    low = [result("phosphate", 0.6, "mmol/L", ago, low=0.8, high=1.5) for ago in (80, 5)]
    others = [] if between is None else [result("phosphate", between, "mmol/L", 40, low=0.8, high=1.5)]
    verdict = ask(facts_of(*low, *others), result=("phosphate",), low_by_range=True, first_of_run=True)
    assert [entry.effective for entry in verdict.entries] == [on(dated)]
    assert [fact.date for fact in verdict.facts] == [on(5).text]
