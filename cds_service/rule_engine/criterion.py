"""One named question of a rule file about the record, and what narrows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from cds_service.derive.weight import Intent

ByLimit = float | Mapping[str, float]
Indicator = Literal["info", "warning", "critical"]


class Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a rule file: unknown keys are refused."""


class Criterion(Written, frozen=True, kw_only=True):
    """One named question about the record. Exactly one of the first group says what is asked; the rest narrow it.

    ``when`` joins other criteria by name into one.
    Windows are days. ``new_within_days`` is newC (B-01, B-61 with ``red_flag``), ``within_days`` compares onset or
    date only, ``older_than_days`` is the ">28 d or undated" of the rule text when ``undated_counts``.
    """

    says: str
    when: str | None = None
    condition: tuple[str, ...] = ()
    finding: tuple[str, ...] = ()
    family_history: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    visit: tuple[str, ...] = ()
    planned_for: tuple[str, ...] = ()
    strength_fall: bool = False
    steroid_level_at_least: int | None = None
    steroid_level_at_most: int | None = None
    steroid_is_certain: bool | None = None
    steroid_daily_mg_below: float | None = None
    steroid_pulse_within_days: int | None = None
    fluorinated_days_at_least: int | None = None
    fluorinated_is_coded: bool = False
    age_at_least: int | None = None
    age_below: int | None = None
    risk_domains_at_least: int | None = None
    rule_fired: tuple[str, ...] = ()
    result: tuple[str, ...] = ()
    weight_loss_above: float | None = None
    weight_loss_at_least: float | None = None
    bmi_below: float | None = None
    bmi_at_least: float | None = None
    weight_stable: bool = False
    weight_intent: Intent | None = None
    medication: tuple[str, ...] = ()
    rule_matched: tuple[str, ...] = ()
    activity_minutes_below: float | None = None
    activity_minutes_at_most: float | None = None
    audit_c_positive: bool = False
    falls_at_least: int | None = None
    worsening: tuple[str, ...] = ()
    strength_worse: tuple[str, ...] = ()
    trend: tuple[str, ...] = ()
    plan: tuple[str, ...] = ()
    points: tuple[str, ...] = ()

    points_at_least: int = 1
    minus: tuple[str, ...] = ()
    fired_as: Indicator | None = None
    albumin_adjusted: bool = False
    onset_age_below: int | None = None
    two_low_weights: bool = False
    last_before: bool = False
    at: str | None = None
    better: Literal["up", "down"] | None = None
    better_by: float | None = None
    not_better_by: float | None = None
    first_older_than_days: float | None = None
    slack_days: int = 0
    unit: str | None = None
    above: ByLimit | None = None
    at_least: ByLimit | None = None
    below: ByLimit | None = None
    at_most: ByLimit | None = None
    decimals: int | None = None
    absolute: bool = False
    times_upper_limit: bool = False
    no_range_false_below: float | None = None
    no_upper_limit: bool = False
    times_median_between: tuple[int, ...] = ()
    else_upper_limit: bool = False
    low_by_range: bool = False
    any_result: bool = False
    first_of_run: bool = False
    results_needed: int = 1
    results_apart_days: int = 0
    specimen_words: tuple[str, ...] = ()
    specimen_not_needed_for: tuple[str, ...] = ()

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    status: Literal["active", "any"] = "active"
    confirmed: bool = False
    new_within_days: float | None = None
    red_flag: bool = False
    within_days: float | None = None
    older_than_days: float | None = None
    undated_counts: bool = False
    undated_only: bool = False
    recorded_stands_in: bool = False
    limb: tuple[Literal["upper", "lower", "unsited"], ...] = ()
    site: Literal["one-limb", "both-sides", "one-side", "only-one-side", "side-or-limb"] | None = None
    two_entries_apart_days: int | None = None
    two_recordings_apart_days: int | None = None
    same_limb_as: str | None = None
    not_same_limb_as: str | None = None
    not_same_place_as: str | None = None
    later_not_among: str | None = None
    newer_than: str | None = None
    unless_known_at_site: str | None = None
    since: str | None = None
    undated_since_counts: bool = False
    before: str | None = None
    at_most_days_before: float | None = None
    near: str | None = None
    near_days: int = 0
    recorded_after: str | None = None
    recorded_days_after: int = 0
    same_finding_as: str | None = None
    since_steroid_start: bool = False
    not_taken_by: tuple[str, ...] = ()
    not_silenced_by: tuple[str, ...] = ()
    setting: tuple[str, ...] = ()
    ordered_counts: bool = True
    only_ordered: bool = False
    under_way: bool = False
    booked_only: bool = False
    completed_order_counts: bool = False
    care_plan_counts: bool = False
    open_order_days: int | None = None
    order_since: bool = False
    stay_days_at_least: int | None = None
    plan_days_at_least: int | None = None
    plan_days_at_most: int | None = None
    first_plan_only: bool = False
    open_now: bool = False
    current_within_days: int | None = None
    ended_within_days: int | None = None


def rules_named(criterion: Criterion) -> tuple[str, ...]:
    """The rules whose answer a criterion asks for."""
    return (*criterion.not_taken_by, *criterion.not_silenced_by, *criterion.rule_fired, *criterion.rule_matched)


def names_asked(criterion: Criterion) -> tuple[str, ...]:
    """The criteria of the same rule that a criterion refers to, other than by ``when``."""
    related = (
        criterion.same_limb_as,
        criterion.not_same_limb_as,
        criterion.newer_than,
        criterion.unless_known_at_site,
        criterion.since,
        criterion.before,
        criterion.not_same_place_as,
        criterion.later_not_among,
        criterion.near,
        criterion.recorded_after,
        criterion.same_finding_as,
        criterion.at,
    )
    return (*(name for name in related if name is not None), *criterion.points, *criterion.minus)


_NEEDED = ("same_limb_as", "since", "before", "near", "recorded_after", "same_finding_as", "at")
_ANY_PERCENT = 1e9


def names_needed(criterion: Criterion) -> tuple[str, ...]:
    """The criteria that must have found something for this one to hold."""
    return tuple(name for field in _NEEDED if (name := getattr(criterion, field)) is not None)


def without_relations(criterion: Criterion) -> Criterion:
    """A criterion that holds wherever this one could, whatever ``names_needed`` would find."""
    loose = msgspec.structs.replace(criterion, order_since=False, **dict.fromkeys(_NEEDED))
    if criterion.trend:
        return msgspec.structs.replace(loose, better_by=None, not_better_by=_ANY_PERCENT)
    return loose
