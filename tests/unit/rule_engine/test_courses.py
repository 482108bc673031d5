"""Drugs, habits, falls, worsening and trends: A-43, A-62, A-70, B-06, B-10, B-47, B-78, B-88."""

from __future__ import annotations

import msgspec
import pytest

from cds_service.coding import Site
from cds_service.record import ActivityEntry, MedicationEntry, SourceState
from cds_service.rule_engine.criterion import Criterion
from tests.unit.rule_engine.charts import ask, condition, facts_of, on, result

LEFT, RIGHT = Site("left", "lower"), Site("right", "lower")


def drug(status: str = "active", kind: str = "MedicationStatement", **dates: object) -> MedicationEntry:
    days = {name: on(value) if name in ("start", "end", "written") else value for name, value in dates.items()}
    return MedicationEntry(f"{kind}/{status}", kind, frozenset({"statin"}), None, "atorvastatin", status=status, **days)


@pytest.mark.parametrize(
    ("entry", "holds"),
    [
        (drug(start=900), True), (drug(), True),
        (drug(start=900, end=30), True), (drug(start=900, end=31), False),
        (drug("completed", start=900, end=30), True), (drug("completed", start=900, end=31), False),
        (drug("stopped", written=30), True), (drug("stopped", written=31), False), (drug("stopped"), False),
        (drug("not-taken", start=3), False), (drug("entered-in-error", start=3), False), (drug("intended"), False),
        (drug(kind="MedicationRequest", intent="proposal", written=3), False),
        (drug(kind="MedicationRequest", do_not_perform=True, written=3), False),
        (drug("completed", "MedicationDispense", written=60, supply_days=30), True),
        (drug("completed", "MedicationDispense", written=61, supply_days=30), False),
    ],
)  # fmt: skip
def test_a_drug_that_is_taken(entry: MedicationEntry, holds: bool) -> None:
    assert ask(facts_of(entry), medication=("statin",)).value is holds


def test_medications_are_one_source_and_unknown_when_none_was_seen() -> None:
    names = ("medicationStatements", "medicationRequests", "medicationDispenses", "medicationAdministrations")
    states = dict.fromkeys(names, SourceState.NOT_OFFERED)
    verdict = ask(facts_of(states=states), medication=("statin",))
    assert (verdict.value, verdict.missing) == (None, ("medications",))


def activity(days: float, minutes: float | None, ago: float = 5) -> list[object]:
    found = [result("exercise-days-per-week", days, "d/wk", ago)]
    return found if minutes is None else [*found, result("exercise-minutes-per-day", minutes, "min/d", ago)]


@pytest.mark.parametrize(
    ("entries", "below_150", "none_at_all"),
    [
        (activity(5, 30), False, False), (activity(5, 29), True, False), (activity(0, None), True, True),
        (activity(3, None), False, False), (activity(0, 0, 365), True, True), (activity(0, 0, 366), False, False),
        ([], False, False),
    ],
)  # fmt: skip
def test_minutes_of_activity(entries: list[object], below_150: bool, none_at_all: bool) -> None:
    assert ask(facts_of(*entries), activity_minutes_below=150).value is below_150
    assert ask(facts_of(*entries), activity_minutes_at_most=0).value is none_at_all


def test_a_limit_of_no_minutes_is_shown() -> None:
    verdict = ask(facts_of(*activity(0, None)), activity_minutes_at_most=0)
    assert verdict.facts[0].threshold == "0 minutes a week, at most 0"


def audit(total: float, q2: float | None = None, q3: float | None = None, ago: float = 30) -> list[object]:
    items = [("audit-c", total), ("audit-c-q2", q2), ("audit-c-q3", q3)]
    return [result(name, value, None, ago) for name, value in items if value is not None]


@pytest.mark.parametrize(
    ("entries", "gender", "holds"),
    [
        (audit(4), "male", True), (audit(3), "male", False), (audit(3), "female", True), (audit(2), "female", False),
        (audit(2), None, False), (audit(3), None, None), (audit(3), "other", None), (audit(4), None, True),
        (audit(4, 0, 0), "female", False), (audit(4, 1, 0), "female", True), (audit(4, 0), "female", True),
        ([*audit(4), *audit(9, 0, 0, 200)[1:]], "female", True),
        (audit(8, ago=365), "male", True), (audit(8, ago=366), "male", False),
    ],
)  # fmt: skip
def test_the_alcohol_score(entries: list[object], gender: str | None, holds: bool | None) -> None:
    """A-12: None where it is positive for one sex only, and the patient's is not known."""
    verdict = ask(facts_of(*entries, gender=gender), audit_c_positive=True)
    assert (verdict.value, verdict.missing) == (holds, ("gender",) if holds is None else ())


@pytest.mark.parametrize(
    ("entries", "falls"),
    [
        ([], 0),
        ([condition("fall-event", onset=20)], 1),
        ([condition("fall-event", onset=20), condition("fall-event", onset=20, recorded=3)], 1),
        ([condition("fall-event", onset=20), condition("fall-event", onset=365)], 2),
        ([condition("fall-event", onset=20), condition("fall-event", onset=366)], 1),
        ([condition("fall-event", onset=20, clinical_status="resolved"), condition("fall-event", recorded=3)], 2),
        ([condition("fall-event", onset=20), condition("fall-event", onset=9, verification_status="refuted")], 1),
        ([condition("fall-event")], 0),
        ([condition("repeated-falls", recorded=100)], 2),
        ([condition("history-of-falling", recorded=100)], 1),
        ([condition("history-of-falling", recorded=2000)], 0),
        ([condition("history-of-falling", recorded=10), condition("fall-event", onset=40)], 1),
        ([result("falls-past-year", 3, None, 100)], 3),
        ([result("falls-past-year", 3, "{#}", 366)], 0),
    ],
)
def test_falls_of_a_year(entries: list[object], falls: int) -> None:
    facts = facts_of(*entries)
    for least in (1, 2, 3):
        assert ask(facts, falls_at_least=least).value is (falls >= least)


SETS = ("weakness", "muscle-wasting", "foot-drop")


@pytest.mark.parametrize(
    ("entries", "holds"),
    [
        ([condition("weakness", onset=180), condition("foot-drop", onset=152)], True),
        ([condition("weakness", onset=180), condition("foot-drop", onset=153)], False),
        ([condition("weakness", onset=180), condition("weakness", onset=20)], False),
        ([condition("weakness", onset=180, site=LEFT), condition("weakness", onset=20, site=RIGHT)], True),
        ([condition("weakness", onset=180, site=LEFT), condition("weakness", onset=20, site=LEFT)], False),
        ([condition("weakness", onset=180), condition("weakness", onset=20, site=LEFT)], False),
        ([condition("weakness", onset=180), condition("foot-drop", onset=20, clinical_status="resolved")], False),
        ([condition("weakness"), condition("foot-drop", onset=20)], False),
    ],
)
def test_worsening_is_a_later_entry_that_says_more(entries: list[object], holds: bool) -> None:
    assert ask(facts_of(*entries), worsening=SETS).value is holds


def test_what_scored_as_wasting_is_not_the_later_entry_too() -> None:
    others = {"wasting": Criterion(says="wasting", finding=("muscle-wasting",))}
    facts = facts_of(condition("weakness", onset=180), condition("muscle-wasting", onset=20))
    assert ask(facts, worsening=SETS).value is True
    assert ask(facts, others=others, worsening=SETS, later_not_among="wasting").value is False


@pytest.mark.parametrize(
    ("kind", "unit", "first", "latest", "ago", "holds"),
    [
        ("mrc-grade", "{score}", 5, 4, 28, True), ("mrc-grade", "{score}", 5, 4, 27, False),
        ("mrc-grade", "{score}", 5, 4.5, 28, False),
        ("grip-strength", "kg", 30, 27, 28, True), ("grip-strength", "kg", 30, 27.1, 28, False),
    ],
)  # fmt: skip
def test_measured_strength_that_fell(
    kind: str, unit: str, *, first: float, latest: float, ago: float, holds: bool
) -> None:
    facts = facts_of(result(kind, first, unit, ago), result(kind, latest, unit, 0))
    assert ask(facts, strength_worse=("mrc-grade", "grip-strength")).value is holds


def test_the_other_hand_is_another_series() -> None:
    facts = facts_of(
        result("grip-strength", 30, "kg", 100, site=LEFT), result("grip-strength", 20, "kg", 2, site=RIGHT)
    )
    assert ask(facts, strength_worse=("grip-strength",)).value is False


@pytest.mark.parametrize(
    ("values", "holds"),
    [
        ({100: 5, 10: 4}, True), ({100: 5, 60: 4}, True), ({100: 5, 61: 4}, False),
        ({200: 5, 100: 4, 10: 4}, False), ({200: 5, 61: 4, 40: 3}, True),
        ({200: 4, 100: 3, 50: 4, 10: 3}, True), ({50: 4, 10: 3}, True), ({50: 4, 10: 4}, False),
    ],
)  # fmt: skip
def test_strength_that_fell_under_a_steroid_of_60_days(values: dict[float, float], holds: bool) -> None:
    facts = facts_of(*(result("mrc-grade", value, "{score}", ago) for ago, value in values.items()))
    facts = msgspec.structs.replace(facts, exposure=msgspec.structs.replace(facts.exposure, started=on(60).first_day))
    assert ask(facts, strength_worse=("mrc-grade",), since_steroid_start=True).value is holds


def test_a_steroid_that_was_not_read_may_have_begun_before_the_fall() -> None:
    """T23."""
    fallen = (result("mrc-grade", 5, "{score}", 200), result("mrc-grade", 4, "{score}", 100))
    unread = facts_of(*fallen, states={"medicationRequests": SourceState.FAILED})
    unread = msgspec.structs.replace(
        unread, exposure=msgspec.structs.replace(unread.exposure, started=on(60).first_day)
    )
    assert ask(unread, strength_worse=("mrc-grade",), since_steroid_start=True).value is None


def physio(ago: float) -> ActivityEntry:
    sets = frozenset({"referral-physiotherapy"})
    return ActivityEntry("ServiceRequest/p", "ServiceRequest", sets, None, "Physio", status="active", date=on(ago))


PLAN = {"plan": Criterion(says="plan", plan=("referral-physiotherapy",))}
RISE = {
    "trend": ("five-times-sit-to-stand",), "unit": "s", "better": "down", "since": "plan",
    "first_older_than_days": 83, "slack_days": 28,
}  # fmt: skip


@pytest.mark.parametrize(
    ("values", "no_better", "better"),
    [
        ([(17.0, 100), (16.6, 3)], True, False),
        ([(18, 100), (12, 3)], False, True),
        ([(20, 100), (18, 3)], False, True),
        ([(20, 100), (18.1, 3)], True, False),
        ([(17, 83), (16.6, 3)], False, False),
        ([(17, 84), (16.6, 3)], True, False),
        ([(30, 129), (17, 100), (16.6, 3)], True, False),
        ([(17, 100)], False, False),
        ([(17, 100), (16.6, 83)], True, False),
        ([(17, 100), (16.6, 84)], False, False),
    ],
)
def test_better_or_not_since_the_plan_began(values: list[tuple[float, float]], no_better: bool, better: bool) -> None:
    facts = facts_of(physio(100), *(result("five-times-sit-to-stand", v, "s", ago) for v, ago in values))
    assert ask(facts, others=PLAN, **RISE, not_better_by=10).value is no_better
    assert ask(facts, others=PLAN, **RISE, better_by=10).value is better


@pytest.mark.parametrize(("latest", "compared"), [(116, True), (117, False)])
def test_an_old_latest_value_comes_84_days_after_the_first(latest: float, compared: bool) -> None:
    """A-43: "first value >= 84 d ago against latest"."""
    facts = facts_of(physio(200), *(result("five-times-sit-to-stand", 17, "s", ago) for ago in (200, latest)))
    assert ask(facts, others=PLAN, **RISE, not_better_by=10).value is compared


def test_a_plan_that_was_renewed_began_with_its_first_order() -> None:
    others = {"plan": msgspec.structs.replace(PLAN["plan"], first_plan_only=True)}
    values = [result("five-times-sit-to-stand", 17, "s", ago) for ago in (300, 3)]
    facts = facts_of(physio(300), physio(90), *values)
    assert ask(facts, others=PLAN, **RISE, not_better_by=10).value is False
    assert ask(facts, others=others, **RISE, not_better_by=10).value is True
    slow = {"result": ("five-times-sit-to-stand",), "unit": "s", "above": 15, "any_result": True, "since": "plan"}
    assert ask(facts_of(physio(290), *values[:1]), others=others, **slow, slack_days=10).value is True
    assert ask(facts_of(physio(289), *values[:1]), others=others, **slow, slack_days=10).value is False


def test_a_trend_shows_both_values() -> None:
    facts = facts_of(physio(100), *(result("five-times-sit-to-stand", v, "s", ago) for v, ago in [(20, 100), (19, 3)]))
    shown = ask(facts, others=PLAN, **RISE, not_better_by=10).facts
    assert [(f.value, f.threshold) for f in shown] == [
        ("20 s", "the first value"),
        ("19 s", "-5.0 % since the first value"),
    ]


def test_a_weight_trend_leaves_slips_out() -> None:
    weights = [result("weight", v, "kg", ago) for v, ago in [(62, 120), (137, 60), (61, 3)]]
    question = {**RISE, "trend": ("weight",), "unit": "kg", "better": "up", "not_better_by": 10}
    assert [f.value for f in ask(facts_of(physio(120), *weights), others=PLAN, **question).facts] == ["62 kg", "61 kg"]


def test_weight_as_it_stood_when_the_plan_began() -> None:
    facts = facts_of(physio(100), *(result("weight", v, "kg", ago) for v, ago in [(80, 220), (72, 110), (79, 3)]))
    assert ask(facts, weight_loss_above=5).value is False
    assert ask(facts, others=PLAN, weight_loss_above=5, at="plan").value is True
    renewed = facts_of(
        physio(100), physio(3), *(result("weight", v, "kg", ago) for v, ago in [(80, 220), (72, 110), (79, 3)])
    )
    assert ask(renewed, others=PLAN, weight_loss_above=5, at="plan").value is True
    assert ask(facts_of(), others=PLAN, weight_loss_above=5, at="plan").value is False


@pytest.mark.parametrize(
    "half",
    [{"better": "up", "unit": "kg"}, {"better_by": 3, "unit": "kg"}, {"better": "up", "better_by": 3},
     {"better": "up", "better_by": 3, "not_better_by": 3, "unit": "kg"}],
)  # fmt: skip
def test_half_a_trend_is_refused(half: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a trend needs"):
        ask(facts_of(), trend=("weight",), **half)


def test_a_plan_that_could_not_be_read_leaves_its_trend_unknown_only_where_values_exist() -> None:
    """T23: what could not be read never becomes a no."""
    states = {"orders": SourceState.FAILED}
    values = [result("five-times-sit-to-stand", v, "s", ago) for v, ago in [(20, 150), (17, 100), (16.6, 3)]]
    verdict = ask(facts_of(*values, states=states), others=PLAN, **RISE, not_better_by=10)
    assert (verdict.value, verdict.missing) == (None, ("orders",))
    assert ask(facts_of(states=states), others=PLAN, **RISE, not_better_by=10).value is False
    assert ask(facts_of(states=states), others=PLAN, weight_loss_above=5, at="plan").value is None
