"""Activity, alcohol and falls as questionnaires and codes give them (A-62, A-70, B-06, B-78)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cds_service.derive.conditions import counts
from cds_service.derive.index import RecordIndex
from cds_service.derive.limits import Limit
from cds_service.derive.units import UnitKnowledge
from cds_service.record import ConditionEntry, ObservationEntry


class Activity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days per week times minutes per day, both at most so old."""

    days_set: str
    days_unit: str
    minutes_set: str
    minutes_unit: str
    within_days: int


class Alcohol(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The AUDIT-C total from which on it is positive; not when questions 2 and 3 of that day are both 0 (A-62)."""

    total_set: str
    other_questions: tuple[str, ...]
    unit: str
    within_days: int
    at_least: dict[str, float]


class Falls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Falls by date, whatever the status of the entry; ``repeated`` codes stand for two, ``history`` codes for one."""

    events: tuple[str, ...]
    repeated: tuple[str, ...]
    history: tuple[str, ...]
    counted: tuple[str, ...]
    unit: str
    within_days: int


class HabitKnowledge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``rules/habits.toml``."""

    version: str
    owner: str
    checker: str
    review_by: str
    sources: tuple[str, ...]
    activity: Activity
    alcohol: Alcohol
    falls: Falls

    def value_sets(self) -> tuple[str, ...]:
        """The value sets that this file names."""
        falls = (*self.falls.events, *self.falls.repeated, *self.falls.history, *self.falls.counted)
        alcohol = (self.alcohol.total_set, *self.alcohol.other_questions)
        return (self.activity.days_set, self.activity.minutes_set, *alcohol, *falls)


class Counted(msgspec.Struct, frozen=True, gc=False):
    """A number derived from entries of the record."""

    value: float
    entries: tuple[ObservationEntry | ConditionEntry, ...]


def minutes_per_week(index: RecordIndex, knowledge: Activity, units: UnitKnowledge) -> Counted | None:
    """Minutes of moderate to strenuous activity; no active day is no minute. None when it was not measured."""
    days = latest(index, (knowledge.days_set,), knowledge.days_unit, knowledge.within_days, units)
    if days is None:
        return None
    if days.value == 0:
        return days
    minutes = latest(index, (knowledge.minutes_set,), knowledge.minutes_unit, knowledge.within_days, units)
    return None if minutes is None else Counted(days.value * minutes.value, (*days.entries, *minutes.entries))


def alcohol_score(index: RecordIndex, knowledge: Alcohol, units: UnitKnowledge) -> Counted | None:
    """The latest AUDIT-C total that does not rest on question 1 alone (A-62)."""
    total = latest(index, (knowledge.total_set,), knowledge.unit, knowledge.within_days, units)
    return None if total is None or _only_first_question(index, knowledge, total) else total


def is_positive(score: Counted, knowledge: Alcohol, gender: str | None) -> bool | None:
    """Whether an AUDIT-C total is positive; None when only the sex, which is not known, could tell (A-12)."""
    return Limit("at_least", knowledge.at_least).broken_by(score.value, None, gender)


def _only_first_question(index: RecordIndex, knowledge: Alcohol, total: Counted) -> bool:
    entry = total.entries[0]
    when = entry.effective if isinstance(entry, ObservationEntry) else None
    if when is None:
        return False

    def is_zero(question: str) -> bool:
        same_day = [
            o
            for o in index.observations.of((question,))
            if o.effective is not None and o.effective.first_day == when.first_day
        ]
        return bool(same_day) and all(o.value == 0 for o in same_day)

    return all(is_zero(question) for question in knowledge.other_questions)


def count_falls(index: RecordIndex, knowledge: Falls, units: UnitKnowledge) -> Counted | None:
    """The largest number that days of events, codes or a questionnaire prove; None when nothing speaks of a fall."""
    events = _dated(index, knowledge.events, knowledge)
    days = {when for when, _ in events}
    found = [Counted(len(days), tuple(entry for _, entry in events))] if events else []
    for sets, least in ((knowledge.repeated, 2), (knowledge.history, 1)):
        if coded := _dated(index, sets, knowledge):
            found.append(Counted(least, tuple(entry for _, entry in coded)))
    told = latest(index, knowledge.counted, knowledge.unit, knowledge.within_days, units)
    if told is not None:
        found.append(told)
    return max(found, key=lambda one: one.value, default=None)


def _dated(index: RecordIndex, sets: Iterable[str], knowledge: Falls) -> list[tuple[object, ConditionEntry]]:
    return [
        (when.first_day, entry)
        for entry in index.conditions.of(sets)
        if counts(entry)
        and (when := entry.onset or entry.recorded) is not None
        and when.within_days(knowledge.within_days, index.as_of)
    ]


def latest(
    index: RecordIndex, sets: Iterable[str], unit: str, within_days: int, units: UnitKnowledge
) -> Counted | None:
    """The newest number of some sets, in a unit and not too old."""
    dated = [
        (entry.effective, entry.reference, converted.value, entry)
        for entry in index.observations.of(sets)
        if entry.value is not None
        and entry.effective is not None
        and entry.effective.within_days(within_days, index.as_of)
        and (converted := units.convert(entry.value, entry.unit, unit, entry.sets)) is not None
    ]
    if not dated:
        return None
    _, _, value, entry = max(dated, key=lambda one: one[:2])
    return Counted(value, (entry,))
