"""Orders, plans, visits and stays: B-73, B-89, B-94, B-96, A-43, A-69, B-41."""

from __future__ import annotations

import msgspec
import pytest

from cds_service.record import ActivityEntry, SourceState, VisitEntry
from cds_service.rule_engine.criterion import Criterion
from tests.unit.rule_engine.charts import ask, condition, facts_of, on


def order(kind: str, ago: float | str | None, status: str = "active", **more: object) -> ActivityEntry:
    return ActivityEntry(
        f"ServiceRequest/{kind}-{ago}",
        "ServiceRequest",
        frozenset({kind}),
        None,
        kind,
        status=status,
        date=on(ago),
        **more,
    )


def plan(kind: str, ago: float, status: str = "active") -> ActivityEntry:
    return ActivityEntry(
        f"CarePlan/{kind}-{ago}", "CarePlan", frozenset({kind}), None, kind, status=status, date=on(ago)
    )


def stay(
    start: float | None, end: float | None, *, status: str = "finished", setting: str = "IMP", **more: object
) -> VisitEntry:
    return VisitEntry(f"Encounter/{start}", "Encounter", status, setting=setting, start=on(start), end=on(end), **more)


@pytest.mark.parametrize(
    ("status", "flags", "holds"),
    [
        ("active", {}, True), ("completed", {}, True), ("draft", {}, False), ("revoked", {}, False),
        ("active", {"ordered_counts": False}, False), ("completed", {"ordered_counts": False}, False),
        ("completed", {"ordered_counts": False, "completed_order_counts": True}, True),
        ("active", {"ordered_counts": False, "completed_order_counts": True}, False),
        ("active", {"only_ordered": True}, True), ("completed", {"only_ordered": True}, False),
        ("active", {"under_way": True}, True), ("on-hold", {"under_way": True}, True),
        ("completed", {"under_way": True}, False), ("draft", {"under_way": True}, False),
    ],
)  # fmt: skip
def test_which_orders_count_as_done(status: str, flags: dict[str, bool], holds: bool) -> None:
    assert ask(facts_of(order("spine-mri", 3, status)), done=("spine-mri",), within_days=90, **flags).value is holds


@pytest.mark.parametrize(("status", "holds"), [("in-progress", True), ("completed", False), ("preparation", False)])
def test_a_procedure_in_progress_is_under_way(status: str, holds: bool) -> None:
    """A-44: active or completed."""
    entry = msgspec.structs.replace(order("hospice", 120, status), resource_type="Procedure")
    assert ask(facts_of(entry), done=("hospice",), within_days=365, under_way=True).value is holds


@pytest.mark.parametrize(("ago", "holds"), [(83, False), (84, True), (365, True), (366, False)])
def test_a_plan_of_84_to_365_days(ago: float, holds: bool) -> None:
    question = {"plan": ("referral-physiotherapy", "exercise-plan"), "plan_days_at_least": 84, "plan_days_at_most": 365}
    assert ask(facts_of(plan("exercise-plan", ago)), **question).value is holds
    assert ask(facts_of(order("referral-physiotherapy", ago)), **question).value is holds
    assert ask(facts_of(plan("exercise-plan", ago, "revoked")), **question).value is False
    done = {"done": ("exercise-plan",), "within_days": 365, "older_than_days": 83}
    assert ask(facts_of(plan("exercise-plan", ago)), **done, care_plan_counts=True).value is holds
    assert ask(facts_of(plan("exercise-plan", ago)), **done).value is False


def test_care_plans_not_seen_leave_a_plan_unknown() -> None:
    verdict = ask(facts_of(states={"carePlans": SourceState.FAILED}), plan=("exercise-plan",))
    assert (verdict.value, verdict.missing) == (None, ("carePlans",))


@pytest.mark.parametrize(
    ("ago", "days", "holds"), [(365, 365, True), (366, 365, False), (2000, None, True), (None, 365, False)]
)
def test_how_long_an_open_referral_counts(ago: float | None, days: int | None, holds: bool) -> None:
    facts = facts_of(order("referral-dietitian", ago))
    assert ask(facts, visit=("referral-dietitian",), within_days=90, open_order_days=days).value is holds


@pytest.mark.parametrize(
    ("ago", "status", "flag", "holds"),
    [
        (90, "completed", True, True), (91, "completed", True, False), (None, "completed", True, False),
        (90, "completed", False, False), (90, "revoked", True, False), (91, "active", True, True),
    ],
)  # fmt: skip
def test_a_referral_that_was_carried_out_counts_inside_the_window(
    ago: float | None, status: str, flag: bool, holds: bool
) -> None:
    """B-89: "visits and orders inside the interval"."""
    facts = facts_of(order("referral-neurology", ago, status))
    asked = ask(facts, visit=("referral-neurology",), within_days=90, completed_order_counts=flag)
    assert asked.value is holds


@pytest.mark.parametrize(("ago", "holds"), [(40, True), (41, False)])
def test_a_referral_that_must_follow_the_finding(ago: float, holds: bool) -> None:
    others = {"weak": Criterion(says="weak", condition=("weakness",))}
    facts = facts_of(condition("weakness", onset=40), order("referral-neurology", ago))
    question = {"visit": ("referral-neurology",), "within_days": 90, "since": "weak"}
    assert ask(facts, others=others, **question).value is True
    assert ask(facts, others=others, **question, order_since=True).value is holds


STAY = {"setting": ("IMP", "ACUTE"), "stay_days_at_least": 5, "within_days": 90}


@pytest.mark.parametrize(
    ("start", "end", "status", "holds"),
    [
        (95, 90, "finished", True), (96, 91, "finished", False), (94, 90, "finished", False),
        (5, None, "in-progress", True), (4, None, "in-progress", False), (400, None, "in-progress", True),
        (30, None, "finished", False), (30, 20, "cancelled", False), (400, 30, "finished", True),
    ],
)  # fmt: skip
def test_a_stay_of_five_days_that_overlaps_the_window(
    start: float, end: float | None, status: str, holds: bool
) -> None:
    assert ask(facts_of(stay(start, end, status=status)), **STAY).value is holds


def test_a_stay_by_specialty_and_none_by_another_setting() -> None:
    icu = stay(60, 50, setting="AMB", specialties=frozenset({"specialty-critical-care"}))
    assert ask(facts_of(icu), **STAY).value is False
    assert ask(facts_of(icu), visit=("specialty-critical-care",), stay_days_at_least=7, within_days=180).value is True


def test_an_order_is_no_stay() -> None:
    facts = facts_of(order("specialty-critical-care", 3))
    assert ask(facts, visit=("specialty-critical-care",), stay_days_at_least=7, within_days=180).value is False


@pytest.mark.parametrize(
    ("began", "ordered", "holds"),
    [
        ("2026-11-27T09:00:00Z", "2026-11-27T08:59:00Z", False),
        ("2026-11-27T09:00:00Z", "2026-11-27T09:00:00Z", True),
        ("2026-11-27T09:00:00Z", "2026-11-27T10:30:00+02:00", False),
        ("2026-11-27T09:00:00Z", "2026-11-27", True),
        ("2026-11-27", "2026-11-27T08:00:00Z", True),
        ("2026-11-27", "2026-11-26T23:59:00Z", False),
        ("2026-11", "2026-11-01", True),
        ("2026-11", "2026-10-31", False),
    ],
)
def test_b83_since_is_exact_between_instants_and_by_day_between_dates(began: str, ordered: str, holds: bool) -> None:
    others = {"weak": Criterion(says="weak", condition=("weakness",))}
    facts = facts_of(condition("weakness", onset=began), order("brain-imaging", ordered))
    assert ask(facts, others=others, done=("brain-imaging",), since="weak").value is holds


@pytest.mark.parametrize(("ordered", "holds"), [("2026-11-18T18:00:00Z", False), ("2026-11-19", True)])
def test_newer_than_a_day_is_on_a_later_one(ordered: str, holds: bool) -> None:
    others = {"numb": Criterion(says="numb", condition=("sensory",))}
    newer = {"done": ("spine-mri",), "newer_than": "numb", "others": others}
    entry = order("spine-mri", ordered)
    assert ask(facts_of(entry, condition("sensory", onset="2026-11-18T08:00:00Z")), **newer).value is holds
    assert ask(facts_of(entry), **newer).value is True


@pytest.mark.parametrize(
    ("began", "days", "holds"), [(2, 2, True), (3, 2, False), (300, None, True), (None, None, True), (None, 2, False)]
)
def test_a_stay_that_is_open_now_and_when_it_may_have_begun(began: float | None, days: int | None, holds: bool) -> None:
    """R01: an emergency visit that is open for longer than two days was left open."""
    facts = facts_of(stay(began, None, status="in-progress", setting="EMER"))
    assert ask(facts, setting=("EMER",), open_now=True, within_days=days).value is holds
    ended = facts_of(stay(began, 0, status="in-progress", setting="EMER"), stay(began, None, setting="EMER"))
    assert ask(ended, setting=("EMER",), open_now=True, within_days=days).value is False
