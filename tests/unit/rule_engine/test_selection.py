"""Narrowing by place, neighbour and record: A-10, B-05, B-28, B-47, B-72, B-78, B-79, A-37."""

from __future__ import annotations

import pytest

from cds_service.coding import NOWHERE, Site
from cds_service.record import SourceState
from cds_service.rule_engine.criterion import Criterion
from tests.unit.rule_engine.charts import ask, condition, facts_of, result

LEFT, RIGHT, BOTH = Site("left", "lower"), Site("right", "lower"), Site("bilateral", "lower")
LEFT_ARM, RIGHT_ARM = Site("left", "upper"), Site("right", "upper")


def weakness(site: Site = NOWHERE, **more: object) -> object:
    return condition("weakness", site=site, **{"onset": 3, **more})


@pytest.mark.parametrize(
    ("sites", "limb", "count"),
    [
        ([LEFT, LEFT_ARM, Site()], ("lower",), 1),
        ([LEFT, LEFT_ARM, Site()], ("lower", "unsited"), 2),
        ([LEFT_ARM], ("lower", "unsited"), 0),
        ([Site("left", None)], ("unsited",), 1),
    ],
)
def test_limb(sites: list[Site], limb: tuple[str, ...], count: int) -> None:
    facts = facts_of(*(weakness(site) for site in sites))
    assert len(ask(facts, condition=("weakness",), limb=limb).entries) == count


def test_limb_is_chosen_before_sides_are_compared() -> None:
    facts = facts_of(weakness(LEFT), weakness(Site("right", "upper")))
    assert ask(facts, condition=("weakness",), limb=("lower",), site="both-sides").value is False
    assert ask(facts, condition=("weakness",), site="both-sides").value is True


@pytest.mark.parametrize(
    ("site", "holds"),
    [
        (LEFT, True), (RIGHT, True), (Site("left", None), True), (Site(None, "upper"), True), (BOTH, False),
        (Site(), False),
    ],
)  # fmt: skip
def test_a_side_or_a_limb(site: Site, holds: bool) -> None:
    """B-20 with section 7: laterality or limb site; both sides are not one."""
    assert ask(facts_of(weakness(site)), condition=("weakness",), site="side-or-limb").value is holds


@pytest.mark.parametrize(
    ("recorded", "stands_in", "undated_counts", "holds"),
    [
        (2, True, True, False), (28, True, True, False), (29, True, True, True), (29, True, False, True),
        (None, True, True, True), (None, True, False, False), ("2026-10", True, True, True),
        (2, False, True, True), (29, False, False, False),
    ],
)  # fmt: skip
def test_b93_an_onset_that_straddles_the_limit_counts_as_none(
    recorded: float | str | None, stands_in: bool, undated_counts: bool, holds: bool
) -> None:
    """B-93 with B-29 and B-92: "(or, undated, recordedDate) >28 d ago"; 28 days ago was 30 October."""
    facts = facts_of(condition("weakness", onset="2026-10", recorded=recorded))
    asked = {"recorded_stands_in": stands_in, "undated_counts": undated_counts}
    assert ask(facts, condition=("weakness",), older_than_days=28, **asked).value is holds


@pytest.mark.parametrize(
    ("onset", "recorded", "holds"),
    [(5, None, True), (6, None, False), (None, 5, True), (6, 5, True), (None, 6, False), (None, None, False)],
)
def test_a_condition_that_began_or_was_recorded_since_another(
    onset: float | None, recorded: float | None, holds: bool
) -> None:
    """R01: a stroke of the present stay."""
    facts = facts_of(condition("acute-stroke", onset=onset, recorded=recorded), condition("weakness", onset=5))
    others = {"weak": Criterion(says="weak", condition=("weakness",))}
    assert ask(facts, others=others, condition=("acute-stroke",), since="weak").value is holds


@pytest.mark.parametrize(
    ("sites", "holds"),
    [
        ([LEFT], True),
        ([LEFT, LEFT], True),
        ([LEFT, RIGHT], False),
        ([LEFT, BOTH], False),
        ([Site()], False),
        ([LEFT, Site()], True),
    ],
)
def test_only_one_side(sites: list[Site], holds: bool) -> None:
    facts = facts_of(*(condition("limb-oedema", site=site, onset=i) for i, site in enumerate(sites)))
    assert ask(facts, condition=("limb-oedema",), site="only-one-side").value is holds


@pytest.mark.parametrize(
    ("old", "new", "holds"),
    [
        (LEFT, RIGHT, True), (LEFT, LEFT, False), (LEFT, BOTH, True), (LEFT, Site(), False),
        (Site(), RIGHT, False), (None, RIGHT, True), (None, Site(), False), (BOTH, RIGHT, False), (BOTH, LEFT, False),
        (LEFT_ARM, LEFT, True), (LEFT_ARM, LEFT_ARM, False), (LEFT_ARM, Site("left"), False),
        (Site("left"), LEFT_ARM, False), (BOTH, LEFT_ARM, True),
    ],
)  # fmt: skip
def test_another_place_than_an_old_deficit(old: Site | None, new: Site, holds: bool) -> None:
    sequelae = [] if old is None else [condition("stroke-sequelae", onset=400, site=old)]
    others = {"old": Criterion(says="sequelae", condition=("stroke-sequelae",))}
    verdict = ask(facts_of(weakness(new), *sequelae), others=others, condition=("weakness",), not_same_place_as="old")
    assert verdict.value is holds


@pytest.mark.parametrize(
    ("before", "holds"),
    [({"paralysis"}, True), ({"weakness"}, False), ({"weakness", "paralysis"}, False), (set(), True)],
)
def test_b01_only_an_older_entry_of_the_same_set_makes_it_old(before: set[str], holds: bool) -> None:
    """A limb that was paralysed years ago and is now recorded as weak: the weakness is new."""
    earlier = [condition(*before, onset=400, site=LEFT)] if before else []
    facts = facts_of(condition("weakness", recorded=1, site=LEFT), *earlier)
    assert ask(facts, condition=("weakness", "paralysis"), new_within_days=2).value is holds


@pytest.mark.parametrize(
    ("old", "new", "holds"),
    [
        (LEFT, LEFT_ARM, True), (LEFT_ARM, LEFT_ARM, False), (LEFT_ARM, RIGHT_ARM, True),
        (Site("left"), LEFT_ARM, False), (LEFT_ARM, Site("left"), False), (Site(), LEFT_ARM, True),
        (Site(), Site(), False),
    ],
)  # fmt: skip
def test_b01_only_an_older_entry_of_the_same_place_makes_it_old(old: Site, new: Site, holds: bool) -> None:
    """The same side, and the same limb where both entries name one."""
    facts = facts_of(condition("weakness", onset=400, site=old), condition("weakness", recorded=1, site=new))
    assert ask(facts, condition=("weakness",), new_within_days=2).value is holds


@pytest.mark.parametrize(("places", "both"), [((LEFT,), False), ((LEFT, RIGHT_ARM), True), ((LEFT, Site()), False)])
def test_a_fall_of_measured_strength_has_a_place(places: tuple[Site, ...], both: bool) -> None:
    grades = (5, "{score}", 5), (4, "{score}", 1)
    facts = facts_of(*(result("mrc-grade", *grade, site=site) for site in places for grade in grades))
    assert ask(facts, strength_fall=True, site="both-sides").value is both
    assert ask(facts, strength_fall=True).value is True


@pytest.mark.parametrize(("fall", "holds"), [(13, True), (12, False), (27, True), (28, False)])
def test_near_means_so_many_days_before_or_after_any_entry(fall: float, holds: bool) -> None:
    injuries = [condition("fracture", onset=20), condition("fracture", onset=2)]
    others = {"injury": Criterion(says="injury", condition=("fracture",))}
    facts = facts_of(condition("fall-event", onset=fall), *injuries)
    assert ask(facts, others=others, condition=("fall-event",), near="injury", near_days=7).value is holds


@pytest.mark.parametrize(("recorded", "holds"), [(16, True), (17, False), (None, False)])
def test_recorded_again_after_a_plan_began(recorded: float | None, holds: bool) -> None:
    others = {"plan": Criterion(says="plan", condition=("inactivity",))}
    facts = facts_of(condition("inactivity", onset=100), condition("weakness", onset=300, recorded=recorded))
    verdict = ask(facts, others=others, finding=("weakness",), recorded_after="plan", recorded_days_after=84)
    assert verdict.value is holds


@pytest.mark.parametrize(("recorded", "holds"), [(116, True), (117, False)])
@pytest.mark.parametrize("began", [300, 210])
def test_recorded_again_counts_from_the_first_plan_for_the_finding(began: float, recorded: float, holds: bool) -> None:
    """B-47: of plans 200 and 90 days ago, and one for something else before the weakness."""
    others = {
        "plan": Criterion(says="plan", condition=("inactivity",)),
        "old": Criterion(says="old", finding=("weakness",), older_than_days=100),
    }
    plans = [condition("inactivity", onset=ago) for ago in (began + 1, 200, 90)]
    facts = facts_of(*plans, condition("weakness", onset=began, recorded=recorded))
    question = {"recorded_after": "plan", "recorded_days_after": 84, "same_finding_as": "old"}
    assert ask(facts, others=others, finding=("weakness",), **question).value is holds


def test_the_same_finding_is_of_the_same_kind_side_and_limb() -> None:
    others = {"old": Criterion(says="old", finding=("weakness",), older_than_days=100)}
    facts = facts_of(weakness(LEFT, onset=200), weakness(LEFT, onset=3), weakness(RIGHT, onset=4))
    verdict = ask(facts, others=others, finding=("weakness",), within_days=10, same_finding_as="old")
    assert [entry.site for entry in verdict.entries] == [LEFT]


@pytest.mark.parametrize(
    ("age", "onset", "answer"), [(55, 365 * 6, True), (55, 365, False), (None, 365 * 6, None), (55, None, False)]
)
def test_age_at_onset(age: float | None, onset: float | None, answer: bool | None) -> None:
    facts = facts_of(condition("hypertension", onset=onset), age=age)
    assert ask(facts, condition=("hypertension",), onset_age_below=50).value is answer


def test_without_such_an_entry_an_unknown_age_is_no_gap() -> None:
    assert ask(facts_of(age=None), condition=("hypertension",), onset_age_below=50).value is False


SIGNS = {
    "one": Criterion(says="one", condition=("fasciculation",)),
    "two": Criterion(says="two", condition=("bulbar",)),
    "three": Criterion(says="three", result=("fvc",), unit="%", below=80),
    "against": Criterion(says="against", condition=("sensory",)),
}
POINTS = {"points": ("one", "two", "three"), "points_at_least": 2, "minus": ("against",)}


@pytest.mark.parametrize(
    ("signs", "answer"),
    [
        (["fasciculation"], False),
        (["fasciculation", "bulbar"], True),
        (["fasciculation", "bulbar", "sensory"], False),
        (["fasciculation", "bulbar", "sensory", "fvc"], True),
    ],
)
def test_points(signs: list[str], answer: bool) -> None:
    entries = [result("fvc", 60, "%") if sign == "fvc" else condition(sign) for sign in signs]
    verdict = ask(facts_of(*entries), others=SIGNS, **POINTS)
    assert verdict.value is answer
    if answer:
        assert len(verdict.facts) == len(set(signs) - {"sensory"})


def test_points_that_could_be_reached_are_unknown() -> None:
    states = {"observations": SourceState.FAILED}
    verdict = ask(facts_of(condition("fasciculation"), states=states), others=SIGNS, **POINTS)
    assert (verdict.value, verdict.missing) == (None, ("observations",))
    assert ask(facts_of(states=states), others=SIGNS, **POINTS).value is False


def test_a_relation_to_what_could_not_be_read_is_unknown_where_it_decides() -> None:
    """A plan that could not be read: findings before it may be there. Without any finding the answer is no."""
    others = {"plan": Criterion(says="plan", plan=("exercise-plan",))}
    states = {"orders": SourceState.FAILED}
    question = {"others": others, "finding": ("weakness",), "before": "plan"}
    verdict = ask(facts_of(weakness(), states=states), **question)
    assert (verdict.value, verdict.missing) == (None, ("orders",))
    assert ask(facts_of(states=states), **question).value is False
    assert ask(facts_of(weakness()), **question).value is False
