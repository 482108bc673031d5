"""A laboratory result or measurement against the limit that a rule writes: obs(X, N) (B-24, B-74, A-34, A-54, G14)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import islice, takewhile
from statistics import median
from typing import NamedTuple

from cds_service.derive.habits import latest
from cds_service.derive.limits import Limit, all_broken, limits_of
from cds_service.partial_date import PartialDate
from cds_service.record import GENDER, ObservationEntry
from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.inquiry import Inquiry, result_fact
from cds_service.rule_engine.model import Verdict
from cds_service.rule_engine.relations import Ask, in_time

ENOUGH_DIGITS = 9


class Reading(NamedTuple):
    """One result: its value in the rule's unit, and whether it breaks the limit (None: cannot be judged, G14, A-12)."""

    entry: ObservationEntry
    when: PartialDate
    value: float
    breaks: bool | None
    threshold: str


def decimals_of(limits: Iterable[Limit]) -> int:
    """The decimals with which the limits are written: 2.5 has one, 25 none (B-74)."""
    texts = [f"{number:.6f}".rstrip("0") for limit in limits for number in limit.numbers.values()]
    return max((len(text) - text.index(".") - 1 for text in texts), default=0)


def result(criterion: Criterion) -> Ask:
    """Whether the newest result (or any, or several) breaks the limit. Raises ValueError for a question without one."""
    _refuse_half_asked(criterion)
    judge = _Judge(criterion)
    sets, narrow = criterion.result, in_time(criterion)
    words = _specimen_filter(criterion)

    def ask(inquiry: Inquiry) -> Verdict:
        dated = [
            (entry.effective, entry)
            for entry in inquiry.index.observations.of(sets)
            if entry.effective is not None and words(entry) and narrow(entry.effective, inquiry)
        ]
        dated.sort(key=lambda one: (one[0], one[1].reference), reverse=True)
        readings = (r for when, entry in dated if (r := judge.reading(entry, when, inquiry)) is not None)
        several = criterion.any_result or criterion.results_needed > 1 or criterion.first_of_run
        return _answer(criterion, list(islice(readings, None if several else 1)), inquiry)

    return ask


def _answer(criterion: Criterion, readings: list[Reading], inquiry: Inquiry) -> Verdict:
    if criterion.results_needed > 1:
        held, maybe = _several(criterion, readings)
    elif criterion.any_result:
        held, maybe = [r for r in readings if r.breaks][:1], any(r.breaks is None for r in readings)
    else:
        held, maybe = [r for r in readings[:1] if r.breaks], any(r.breaks is None for r in readings[:1])
    if held:
        facts = tuple(result_fact(r.entry, criterion.unit, r.value, r.threshold) for r in held)
        began = _first_of_run(readings) if criterion.first_of_run else held
        return Verdict(True, facts, tuple(r.entry for r in began))
    seen = inquiry.verdict((), ("observations",))
    if not maybe:
        return seen
    return Verdict(None, missing=(_what_is_missing(criterion, inquiry.record.gender), *seen.missing))


def _first_of_run(newest_first: list[Reading]) -> list[Reading]:
    """The first of the present run of results beyond the limit: the onset (A-15)."""
    return list(takewhile(lambda r: r.breaks, newest_first))[-1:]


def _what_is_missing(criterion: Criterion, gender: str | None) -> str:
    if any(len(limit.for_sex(gender)) > 1 for limit in limits_of(criterion)):
        return GENDER
    if criterion.albumin_adjusted:
        return "a recent albumin result"
    words = " or ".join(name.replace("-", " ") for name in criterion.result)
    bound = "lower" if criterion.low_by_range else "upper"
    return f"the {bound} limit of normal of the {words} result"


def _several(criterion: Criterion, readings: list[Reading]) -> tuple[list[Reading], bool]:
    """Enough results beyond the limit, each so many days from the next; else whether unjudged ones could make it so."""
    held = _spread(criterion, [r for r in readings if r.breaks])
    possible = _spread(criterion, [r for r in readings if r.breaks is not False])
    return held, not held and bool(possible)


def _spread(criterion: Criterion, newest_first: list[Reading]) -> list[Reading]:
    chosen: list[Reading] = []
    for one in newest_first:
        if not chosen or (chosen[-1].when.first_day - one.when.last_day).days >= criterion.results_apart_days:
            chosen.append(one)
    return chosen if len(chosen) >= criterion.results_needed else []


class _Judge:
    """Reads one result: its value in the unit of the rule, its yardstick, its limit."""

    def __init__(self, criterion: Criterion) -> None:
        self._criterion = criterion
        self._limits = limits_of(criterion)
        decimals = criterion.decimals
        self._decimals = decimals_of(self._limits) if decimals is None else decimals
        self._relative = criterion.times_upper_limit or bool(criterion.times_median_between)

    def reading(self, entry: ObservationEntry, when: PartialDate, inquiry: Inquiry) -> Reading | None:
        """None for what is no value: no number, another unit (A-54)."""
        criterion = self._criterion
        value = self._value(entry, inquiry, rounds=not self._relative)
        if value is None:
            return None
        if criterion.no_upper_limit and _usable(entry.high):
            return Reading(entry, when, value, breaks=False, threshold="")
        if criterion.low_by_range:
            return self._below_range(entry, when, value)
        if criterion.albumin_adjusted:
            return self._adjusted(entry, when, value, inquiry)
        if not self._relative:
            broken = self._broken(value, entry, inquiry)
            return Reading(entry, when, value, broken, self._words(inquiry.record.gender, criterion.unit or ""))
        return self._against_yardstick(entry, when, value, inquiry)

    def _value(self, entry: ObservationEntry, inquiry: Inquiry, *, rounds: bool) -> float | None:
        if entry.value is None or not math.isfinite(entry.value):
            return None
        value = abs(entry.value) if self._criterion.absolute else entry.value
        if self._criterion.unit is None:
            return value
        converted = inquiry.facts.units.convert(value, entry.unit, self._criterion.unit, entry.sets)
        if converted is None:
            return None
        return converted.rounded(self._decimals if rounds else ENOUGH_DIGITS)

    def _adjusted(self, entry: ObservationEntry, when: PartialDate, value: float, inquiry: Inquiry) -> Reading:
        """Calcium adjusted for albumin (B-34). Adjusting only raises: without albumin a low value is unknown."""
        knowledge = inquiry.facts.units.albumin
        albumin = latest(inquiry.index, (knowledge.set,), knowledge.unit, knowledge.within_days, inquiry.facts.units)
        plain = self._broken(value, entry, inquiry)
        if albumin is None or albumin.value < knowledge.lowest:
            asks_low = self._criterion.below is not None or self._criterion.at_most is not None
            words = self._words(inquiry.record.gender, f"{self._criterion.unit or ''} (not albumin-adjusted)")
            return Reading(entry, when, value, None if plain and asks_low else plain, words)
        adjusted = round(value + knowledge.per * max(0, knowledge.below - albumin.value), ENOUGH_DIGITS)
        words = self._words(inquiry.record.gender, f"{self._criterion.unit or ''} (albumin-adjusted: {adjusted:g})")
        return Reading(entry, when, value, self._broken(adjusted, entry, inquiry), words)

    def _below_range(self, entry: ObservationEntry, when: PartialDate, value: float) -> Reading:
        if entry.low is None or entry.value is None:
            return Reading(entry, when, value, breaks=None, threshold="")
        words = f"below the reference range, {entry.low:g} {entry.unit or ''}".strip()
        return Reading(entry, when, value, entry.value < entry.low and entry.comparator not in (">", ">="), words)

    def _against_yardstick(self, entry: ObservationEntry, when: PartialDate, value: float, inquiry: Inquiry) -> Reading:
        criterion = self._criterion
        floor = criterion.no_range_false_below
        if criterion.times_median_between:
            own = self._own_median(entry, inquiry)
            if own is not None:
                words = f"the patient's own median of {own:g} {criterion.unit or ''}".strip()
                return self._as_ratio(Reading(entry, when, value, None, words), value / own, inquiry)
            if not criterion.else_upper_limit:
                return Reading(entry, when, value, breaks=False, threshold="")
        if not _usable(entry.high):
            small = floor is not None and value < floor
            return Reading(entry, when, value, breaks=False if small else None, threshold="")
        words = f"the upper limit of {entry.high:g} {entry.unit or ''}".strip()
        return self._as_ratio(Reading(entry, when, value, None, words), (entry.value or 0) / (entry.high or 1), inquiry)

    def _as_ratio(self, reading: Reading, ratio: float, inquiry: Inquiry) -> Reading:
        broken = self._broken(round(ratio, ENOUGH_DIGITS), reading.entry, inquiry)
        words = self._words(inquiry.record.gender, f"times {reading.threshold}")
        return reading._replace(breaks=broken, threshold=words)

    def _broken(self, value: float, entry: ObservationEntry, inquiry: Inquiry) -> bool | None:
        return all_broken(self._limits, value, entry.comparator, inquiry.record.gender)

    def _words(self, gender: str | None, unit: str) -> str:
        return f"{' and '.join(limit.words(gender) for limit in self._limits)} {unit}".strip()

    def _own_median(self, judged: ObservationEntry, inquiry: Inquiry) -> float | None:
        """The median of the other results of the patient, dated within the two ages in days (A-34, B-24)."""
        youngest, oldest = self._criterion.times_median_between[0], self._criterion.times_median_between[-1]
        values = [
            value
            for entry in inquiry.index.observations.of(self._criterion.result)
            if entry is not judged
            and entry.effective is not None
            and entry.effective.within_days(oldest, inquiry.as_of)
            and entry.effective.older_than_days(youngest - 1, inquiry.as_of)
            and (value := self._value(entry, inquiry, rounds=False)) is not None
        ]
        middle = median(values) if values else 0
        return middle if middle > 0 else None


def _usable(high: float | None) -> bool:
    return high is not None and high > 0


def _specimen_filter(criterion: Criterion) -> Callable[[ObservationEntry], bool]:
    words, not_needed = criterion.specimen_words, frozenset(criterion.specimen_not_needed_for)
    if not words:
        return lambda _: True
    return lambda entry: not not_needed.isdisjoint(entry.sets) or any(word in entry.specimen for word in words)


def _refuse_half_asked(criterion: Criterion) -> None:
    if not limits_of(criterion) and not criterion.low_by_range:
        raise ValueError("a result needs a limit: above, at_least, below, at_most or low_by_range")
    by_range = criterion.times_upper_limit or criterion.low_by_range
    if criterion.albumin_adjusted and criterion.unit is None:
        raise ValueError("an adjusted result needs its unit")
    if criterion.unit is None and not by_range:
        raise ValueError("a result needs its unit")
    if criterion.times_median_between and len(criterion.times_median_between) != 2:  # noqa: PLR2004 - from, to
        raise ValueError("times_median_between is two ages in days: from, to")
