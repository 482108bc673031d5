"""Courses -> stretches of days with one exposure: what adds, what is the same drug told twice, pulses (A-17, A-03)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple

from cds_service.derive.steroid_courses import Certainty, Course
from cds_service.derive.steroid_knowledge import SteroidKnowledge

_DAY = timedelta(days=1)
Doses = Mapping[str, float | None]


class Stretch(NamedTuple):
    """Days from ``first`` to ``last``, both in, on which the same courses run."""

    first: date
    last: date
    courses: tuple[Course, ...]


class Pulse(NamedTuple):
    """Days at pulse dose, in mg prednisone equivalent a day (A-03): named in the text, never counted."""

    first: date
    last: date
    ingredient: str
    peq_mg_per_day: float


class Exposed(NamedTuple):
    """Days with one exposure, in mg prednisone equivalent a day as far as known.

    ``ingredient_mg`` is the dose of the ingredient that GC3 asks about, as written. ``pulse_only`` days hold no dose.
    """

    first: date
    last: date
    peq_mg: float
    fluorinated_peq_mg: float | None
    ingredient_mg: float
    pulse_only: bool


def stretches(courses: Iterable[Course]) -> list[Stretch]:
    """Cut the calendar wherever a course begins or ends. Days without a course are left out."""
    events: dict[date, tuple[list[Course], list[Course]]] = {}
    for course in courses:
        events.setdefault(course.start, ([], []))[0].append(course)
        events.setdefault(course.end + _DAY, ([], []))[1].append(course)
    running: dict[int, Course] = {}
    found: list[Stretch] = []
    for day, following in pairwise(sorted(events)):
        begun, ended = events[day]
        for course in ended:
            del running[id(course)]
        running.update((id(course), course) for course in begun)
        if running:
            found.append(Stretch(day, following - _DAY, tuple(running.values())))
    return found


def doses(courses: Iterable[Course], at_least: Certainty) -> dict[str, float | None]:
    """mg a day by ingredient, None where no dose is known, from the courses of one stretch that are certain enough.

    Statement, order, dispense and administration of one drug are one exposure: the highest counts (section 5, step 6).
    """
    by_type: dict[tuple[str, str], list[Course]] = {}
    for course in courses:
        if course.certainty >= at_least:
            by_type.setdefault((course.ingredient, course.resource_type), []).append(course)
    found: dict[str, float | None] = {}
    for (ingredient, resource_type), same in by_type.items():
        total = _given(same) if resource_type == "MedicationAdministration" else _prescribed(same)
        known = [mg for mg in (found.get(ingredient), total) if mg is not None]
        found[ingredient] = max(known, default=None)
    return found


def _given(courses: Iterable[Course]) -> float | None:
    """Administrations are separate events: they add."""
    known = [course.mg_per_day for course in courses if course.mg_per_day is not None]
    return sum(sorted(known)) if known else None


def _prescribed(courses: Iterable[Course]) -> float | None:
    """A-17: different strengths with identical dates add, the same strength or an overlapping renewal does not."""
    by_entry: dict[int, list[Course]] = {}
    for course in courses:
        if course.mg_per_day is not None:
            by_entry.setdefault(course.entry, []).append(course)
    by_span: dict[object, dict[float | None, float]] = {}
    for parts in by_entry.values():
        strengths = by_span.setdefault(parts[0].span, {})
        mg, strength = sum(sorted(part.mg_per_day or 0 for part in parts)), parts[0].strength_mg
        strengths[strength] = max(mg, strengths.get(strength, 0))
    return max((sum(sorted(strengths.values())) for strengths in by_span.values()), default=None)


def find_pulses(
    timeline: Sequence[Stretch], taken: Sequence[Doses], knowledge: SteroidKnowledge
) -> dict[tuple[date, str], Pulse]:
    """The pulses, by the first day of each stretch they cover and their ingredient. ``taken``: all doses of each."""
    found: dict[tuple[date, str], Pulse] = {}
    open_runs: dict[str, list[tuple[Stretch, float]]] = {}
    for stretch, by_ingredient in zip(timeline, taken, strict=True):
        high = _pulse_doses(stretch, by_ingredient, knowledge)
        for ingredient in [name for name, run in open_runs.items() if not _goes_on(run, stretch, name in high)]:
            found.update(_as_pulse(ingredient, open_runs.pop(ingredient), knowledge))
        for ingredient, peq in high.items():
            open_runs.setdefault(ingredient, []).append((stretch, peq))
    for ingredient, run in open_runs.items():
        found.update(_as_pulse(ingredient, run, knowledge))
    return found


def _pulse_doses(stretch: Stretch, taken: Doses, knowledge: SteroidKnowledge) -> dict[str, float]:
    """A-03: high doses of what is given into a vein."""
    limit = knowledge.pulse.at_least_daily_mg
    into_a_vein = {course.ingredient for course in stretch.courses if course.intravenous}
    peq = {
        name: knowledge.prednisone_mg(name, mg) for name, mg in taken.items() if mg is not None and name in into_a_vein
    }
    return {ingredient: mg for ingredient, mg in peq.items() if mg >= limit}


def _goes_on(run: Sequence[tuple[Stretch, float]], stretch: Stretch, is_high: bool) -> bool:
    return is_high and run[-1][0].last + _DAY == stretch.first


def _as_pulse(
    ingredient: str, run: Sequence[tuple[Stretch, float]], knowledge: SteroidKnowledge
) -> dict[tuple[date, str], Pulse]:
    first, last = run[0][0].first, run[-1][0].last
    if (last - first).days + 1 > knowledge.pulse.at_most_days:
        return {}
    pulse = Pulse(first, last, ingredient, max(peq for _, peq in run))
    return {(stretch.first, ingredient): pulse for stretch, _ in run}


def exposed(
    dosed: Iterable[tuple[Stretch, Doses]],
    pulses: Collection[tuple[date, str]],
    knowledge: SteroidKnowledge,
    *,
    replacement: bool,
    pulses_show: bool,
) -> list[Exposed]:
    """The exposure by the doses of each stretch. Replacement is taken out; pulses are days without dose, or no days."""
    found = []
    for stretch, taken in dosed:
        replaced = knowledge.replacement.ingredient if replacement and is_replacement(taken, knowledge) else None
        counted, pulsed = {}, False
        for ingredient, mg in taken.items():
            if (stretch.first, ingredient) in pulses:
                pulsed = pulses_show
            elif ingredient != replaced:
                counted[ingredient] = mg
        if counted or pulsed:
            found.append(_exposed(stretch, counted, knowledge))
    return found


def is_replacement(taken: Doses, knowledge: SteroidKnowledge) -> bool:
    """Hydrocortisone at a known dose up to the replacement limit."""
    mg = taken.get(knowledge.replacement.ingredient)
    return mg is not None and round(mg, 6) <= knowledge.replacement.at_most_daily_mg


def _exposed(stretch: Stretch, taken: Doses, knowledge: SteroidKnowledge) -> Exposed:
    peq = {
        ingredient: 0.0 if mg is None else knowledge.prednisone_mg(ingredient, mg) for ingredient, mg in taken.items()
    }
    fluorinated = [mg for ingredient, mg in peq.items() if ingredient in knowledge.ingredients.fluorinated]
    return Exposed(
        stretch.first,
        stretch.last,
        peq_mg=round(sum(sorted(peq.values())), 6),
        fluorinated_peq_mg=round(sum(sorted(fluorinated)), 6) if fluorinated else None,
        ingredient_mg=round(taken.get(knowledge.high.ingredient) or 0, 6),
        pulse_only=not taken,
    )
