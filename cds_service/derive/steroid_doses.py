"""Dosage elements -> phases of constant daily dose: amounts, timing, tapers (A-05, A-57, B-32, B-70)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import groupby
from typing import Literal, NamedTuple

from cds_service.derive.steroid_knowledge import SteroidKnowledge
from cds_service.record import Dosage

# UCUM time units in days, a month taken as 30 and a year as 365.
_DAYS_PER = {"s": 1 / 86_400, "min": 1 / 1_440, "h": 1 / 24, "d": 1.0, "wk": 7.0, "mo": 30.0, "a": 365.0}
_DAYS_PER_WEEK = 7
_ALMOST_WHOLE = 1e-9


class Amount(NamedTuple):
    """So many mg, mL or solid oral units."""

    value: float
    kind: Literal["mg", "mL", "tablet"]


class Strength(NamedTuple):
    """mg of the ingredient per mL or per solid oral unit, each None when not known."""

    per_mL: float | None = None  # noqa: N815 - the UCUM spelling
    per_tablet: float | None = None

    def mg(self, amount: Amount) -> float | None:
        """The amount in mg; None when it needs a strength that is not known."""
        if amount.kind == "mg":
            return amount.value
        per_unit = self.per_mL if amount.kind == "mL" else self.per_tablet
        return None if per_unit is None else amount.value * per_unit


class DosePhase(NamedTuple):
    """A dose taken from ``first`` to ``last``, both in; ``last`` None = not said.

    ``mg`` of the ingredient a day, None = not known; ``per_day`` the same as written. ``weekly``: doses a week or more
    apart. ``final``: the last step of a taper, which runs to the end of its course (B-32). ``assumed``: not documented.
    """

    first: date
    last: date | None
    mg: float | None = None
    per_day: Amount | None = None
    weekly: bool = False
    as_needed: bool = False
    final: bool = False
    assumed: bool = False


def amount_of(value: float | None, unit: str | None, knowledge: SteroidKnowledge) -> Amount | None:
    """A quantity in a unit that we know; None for drops, puffs, mg/kg, no unit (G14, A-57)."""
    if value is None or unit is None or not (0 <= value < math.inf):
        return None
    written, units = unit.strip().lower(), knowledge.units
    if (factor := units.mg.get(written)) is not None:
        return Amount(value * factor, "mg")
    if (factor := units.tablet.get(written)) is not None:
        return Amount(value * factor, "tablet")
    if (factor := units.mL.get(written)) is not None:
        return Amount(value * factor, "mL")
    return None


def days_between_doses(dosage: Dosage, knowledge: SteroidKnowledge) -> float | None:
    """Average days from one dose to the next (2 = alternate days); None when the timing is not written."""
    named_times = max(dosage.times_of_day, len(dosage.when))
    spread = _repeat(dosage) or _coded(dosage, knowledge)
    if spread is None:
        if not (named_times or dosage.days_of_week):
            return None
        spread = (1.0, 1.0)
    times, days = spread
    if days == 1:
        times = max(times, named_times)
        if dosage.days_of_week:
            times, days = times * dosage.days_of_week, _DAYS_PER_WEEK
    elif days == _DAYS_PER_WEEK:
        times = max(times, dosage.days_of_week)
    return days / times


def _repeat(dosage: Dosage) -> tuple[float, float] | None:
    """Times and days of Timing.repeat. A frequency without a period says nothing; a period alone means once."""
    length = _DAYS_PER.get(dosage.period_unit or "")
    times = 1.0 if dosage.times is None else dosage.times
    if length is None or dosage.period is None or dosage.period <= 0 or times <= 0:
        return None
    return times, dosage.period * length


def _coded(dosage: Dosage, knowledge: SteroidKnowledge) -> tuple[float, float] | None:
    if dosage.timing_code is None:
        return None
    meant = knowledge.timing_codes.get(dosage.timing_code.system, {}).get(dosage.timing_code.code)
    return (meant.times, meant.days) if meant else None


def phases_of(
    dosages: Sequence[Dosage], start: date, strength: Strength, knowledge: SteroidKnowledge
) -> list[DosePhase]:
    """The phases from ``start`` on, in the order of the calendar; without any Dosage one of unknown dose and end.

    B-32: equal or no sequence = taken together; rising numbers follow each other, each for its own bounds; without
    bounds they are taken together only at different times of day, else nobody knows the dose.
    """
    steps = _steps(dosages)
    if len(steps) > 1 and not all(_is_bounded(step) for step in steps[:-1]):
        if not _differ_in_time(steps):
            return [DosePhase(start, None)]
        steps = [list(dosages)]
    phases: list[DosePhase] = []
    begin = start
    for step in steps:
        taken = [_phase(dosage, begin, strength, knowledge) for dosage in step]
        final = len(steps) > 1 and step is steps[-1]
        phases += [phase._replace(final=final) for phase in taken]
        begin = max((last_day(phase.last, 2) for phase in taken if phase.last), default=begin)
    return phases or [DosePhase(start, None)]


def _steps(dosages: Sequence[Dosage]) -> list[list[Dosage]]:
    """Dosages of one sequence number together, in rising order; those without a number belong to the first step."""
    numbers = [dosage.sequence for dosage in dosages if dosage.sequence is not None]
    first = min(numbers, default=0)

    def number(dosage: Dosage) -> int:
        return first if dosage.sequence is None else dosage.sequence

    return [list(step) for _, step in groupby(sorted(dosages, key=number), key=number)]


def _is_bounded(step: Iterable[Dosage]) -> bool:
    return all(dosage.bounds_end is not None or dosage.bounds_days for dosage in step)


def _differ_in_time(steps: Iterable[Iterable[Dosage]]) -> bool:
    """True when every dosage says at what time of day, and no two say the same."""
    times = [frozenset((*dosage.clock_times, *dosage.when)) for step in steps for dosage in step]
    return all(times) and all(a.isdisjoint(b) for i, a in enumerate(times) for b in times[:i])


def _phase(dosage: Dosage, begin: date, strength: Strength, knowledge: SteroidKnowledge) -> DosePhase:
    first = dosage.bounds_start.last_day if dosage.bounds_start else begin
    last = None
    if dosage.bounds_end is not None:
        last = dosage.bounds_end.first_day
    elif dosage.bounds_days:
        last = last_day(first, dosage.bounds_days)
    between = days_between_doses(dosage, knowledge)
    amount = amount_of(dosage.dose, dosage.unit, knowledge)
    weekly = between is not None and between >= knowledge.durations.weekly_from_days
    phase = DosePhase(first, last, weekly=weekly, as_needed=dosage.as_needed)
    if amount is None or between is None:
        return phase
    per_day = Amount(amount.value / between, amount.kind)
    return phase._replace(mg=strength.mg(per_day), per_day=per_day)


def last_day(first: date, days: float) -> date:
    """The last day of a supply or course of so many days that begins on ``first``; a day in part is a day."""
    whole = max(1, math.ceil(min(days, date.max.toordinal()) - _ALMOST_WHOLE))
    return date.fromordinal(min(first.toordinal() + whole - 1, date.max.toordinal()))


def close(phases: Iterable[DosePhase], last: date, today: date, *, exact: bool = False) -> Iterator[DosePhase]:
    """The phases with their ends, up to today.

    ``last`` ends the open ones. With ``exact`` the course is known to end there: it cuts the others short and
    prolongs the last step of a taper.
    """
    for phase in phases:
        end = phase.last
        if end is None or (exact and phase.final):
            end = last
        elif exact:
            end = min(end, last)
        end = min(end, today)
        if phase.first <= end:
            yield phase._replace(last=end)
