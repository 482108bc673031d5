"""Questions about how things went over time: drugs taken, habits, falls, worsening, trends since a plan began."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from cds_service.derive import habits, worsening
from cds_service.derive.medications import day_of, taken
from cds_service.record import GENDER, ConditionEntry, ObservationEntry
from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.expression import FALSE
from cds_service.rule_engine.inquiry import MEDICATIONS, Inquiry, fact_of, newest_onset, result_fact
from cds_service.rule_engine.model import Fact, Verdict
from cds_service.rule_engine.relations import Ask, just_before

CURRENT_DAYS = 30
DIGITS = 9


def medication(criterion: Criterion) -> Ask:
    """A drug that is being taken, or was until at most ``current_within_days`` ago (B-06: 30)."""
    sets, days = criterion.medication, criterion.current_within_days
    within = CURRENT_DAYS if days is None else days

    def ask(inquiry: Inquiry) -> Verdict:
        found = taken(inquiry.index, sets, within)
        if criterion.before is not None:
            found = [m for m in found if (when := day_of(m)) is not None and just_before(when, criterion, inquiry)]
        if found:
            return Verdict(True, tuple(fact_of(entry) for entry in found), tuple(found))
        return FALSE if inquiry.medications_seen() else Verdict(None, missing=(MEDICATIONS,))

    return ask


def activity_minutes(criterion: Criterion) -> Ask:
    """Minutes of activity a week below a limit; what was not measured is not below it."""
    below, at_most = criterion.activity_minutes_below, criterion.activity_minutes_at_most
    limit = f"below {below:g}" if below is not None else f"at most {at_most or 0:g}"

    def ask(inquiry: Inquiry) -> Verdict:
        found = habits.minutes_per_week(inquiry.index, inquiry.facts.habits.activity, inquiry.facts.units)
        if found is not None and (
            (below is not None and found.value < below) or (at_most is not None and found.value <= at_most)
        ):
            words = f"{found.value:g} minutes a week, {limit}"
            return Verdict(True, tuple(_with_threshold(fact_of(e), words) for e in found.entries), found.entries)
        return inquiry.verdict((), ("observations",))

    return ask


def audit_c_positive(_: Criterion) -> Ask:
    """A positive AUDIT-C that does not rest on question 1 alone (A-62)."""

    def ask(inquiry: Inquiry) -> Verdict:
        knowledge = inquiry.facts.habits.alcohol
        score = habits.alcohol_score(inquiry.index, knowledge, inquiry.facts.units)
        positive = False if score is None else habits.is_positive(score, knowledge, inquiry.record.gender)
        if positive is None:
            return Verdict(None, missing=(GENDER,))
        return inquiry.verdict(score.entries if score and positive else (), ("observations",))

    return ask


def falls(criterion: Criterion) -> Ask:
    """At least so many falls within a year (A-70, B-78)."""
    least = criterion.falls_at_least or 1

    def ask(inquiry: Inquiry) -> Verdict:
        found = habits.count_falls(inquiry.index, inquiry.facts.habits.falls, inquiry.facts.units)
        if found is None or found.value < least:
            return inquiry.verdict((), ("conditions", "observations"))
        return inquiry.verdict(found.entries, ())

    return ask


def worse(criterion: Criterion) -> Ask:
    """Two entries apart, the later one saying more (B-10); ``later_not_among`` has scored otherwise (B-88)."""
    sets, barred = criterion.worsening, criterion.later_not_among

    def ask(inquiry: Inquiry) -> Verdict:
        not_later = {} if barred is None else {id(_inner(e)): e for e in inquiry.ask(barred).entries}

        def may_be_later(entry: ConditionEntry) -> bool:
            return id(entry) not in not_later

        pair = worsening.worsening_entries(inquiry.index, sets, inquiry.facts.knowledge.worsening, may_be_later)
        return inquiry.verdict(pair, ("conditions",))

    return ask


def _inner(entry: object) -> object:
    return getattr(entry, "entry", entry)


def strength_worse(criterion: Criterion) -> Ask:
    """Measured strength that fell between two dates so far apart (B-10); with ``since_steroid_start`` under it."""
    measures, under_steroid = criterion.strength_worse, criterion.since_steroid_start

    def fallen(inquiry: Inquiry, since: date | None) -> tuple[ObservationEntry, ...]:
        facts = inquiry.facts
        return worsening.strength_worse(inquiry.index, measures, facts.knowledge.worsening, facts.units, since)

    def ask(inquiry: Inquiry) -> Verdict:
        pair = fallen(inquiry, inquiry.facts.exposure.started if under_steroid else None)
        if not pair and under_steroid and not inquiry.medications_seen() and fallen(inquiry, None):
            return Verdict(None, missing=(MEDICATIONS,))  # T23: what is not read may have begun before the fall
        return inquiry.verdict(pair, ("observations",))

    return ask


class _Pair(NamedTuple):
    """The first and the latest value of one series."""

    first: float
    latest: float
    entries: tuple[ObservationEntry, ObservationEntry]


def trend(criterion: Criterion) -> Ask:
    """Whether a measurement is better, or no better, than when a plan began (R25, A-43, B-47)."""
    if (criterion.better_by is None) == (criterion.not_better_by is None) or criterion.better is None:
        raise ValueError("a trend needs better = up or down, and one of better_by and not_better_by")
    if criterion.unit is None:
        raise ValueError("a trend needs its unit")
    percent = criterion.better_by if criterion.better_by is not None else criterion.not_better_by or 0

    def ask(inquiry: Inquiry) -> Verdict:
        pairs = [pair for series in _series(criterion, inquiry) if (pair := _pair(series, criterion, inquiry))]
        better = [pair for pair in pairs if _gain(pair, criterion) >= percent]
        held = better if criterion.better_by is not None else ([] if better else pairs)
        if not held:
            return inquiry.verdict((), ("observations",))
        facts = tuple(fact for pair in held for fact in _trend_facts(pair, criterion.unit or ""))
        return Verdict(True, facts, tuple(entry for pair in held for entry in pair.entries))

    return ask


def _series(criterion: Criterion, inquiry: Inquiry) -> list[worsening.Series]:
    """Values by code and side; for weights the plausible ones only."""
    facts = inquiry.facts
    if facts.weight.weights and set(criterion.trend) <= facts.weight.weights[-1].entry.sets:
        return [[(w.when, w.kg, w.entry) for w in facts.weight.weights]]
    return worsening.value_series(inquiry.index, criterion.trend, criterion.unit or "", facts.units, within_days=400)


def _pair(series: worsening.Series, criterion: Criterion, inquiry: Inquiry) -> _Pair | None:
    """The first value that is old enough, and the latest; one that is old itself must come as long after the first."""
    older = criterion.first_older_than_days or 0
    began = None if criterion.since is None else newest_onset(inquiry.ask(criterion.since).entries)
    if began is None and criterion.since is not None:
        return None
    firsts = [
        one
        for one in series
        if one[0].older_than_days(older, inquiry.as_of)
        and (began is None or (began.first_day - one[0].last_day).days <= criterion.slack_days)
    ]
    latest = series[-1]
    if not firsts or latest[0] <= firsts[0][0]:
        return None
    apart = (latest[0].first_day - firsts[0][0].last_day).days
    if latest[0].older_than_days(older, inquiry.as_of) and apart <= older:
        return None
    return _Pair(firsts[0][1], latest[1], (firsts[0][2], latest[2]))


def _gain(pair: _Pair, criterion: Criterion) -> float:
    if pair.first == 0:
        return 0
    change = (pair.latest - pair.first) / abs(pair.first) * 100
    return round(change if criterion.better == "up" else -change, DIGITS)


def _trend_facts(pair: _Pair, unit: str) -> tuple[Fact, Fact]:
    change = 0 if pair.first == 0 else (pair.latest - pair.first) / abs(pair.first) * 100
    first, latest = pair.entries
    return (
        result_fact(first, unit, pair.first, "the first value"),
        result_fact(latest, unit, pair.latest, f"{change:+.1f} % since the first value"),
    )


def _with_threshold(fact: Fact, words: str) -> Fact:
    return Fact(fact.reference, fact.label, fact.code, fact.date, fact.date_kind, fact.value, words)
