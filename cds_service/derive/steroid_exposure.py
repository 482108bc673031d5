"""Exposure to systemic glucocorticoids: a level GC0-GC3 and everything that it rests on (section 5).

Read in this order: ``steroid_knowledge`` (the limits), ``steroid_doses`` and ``steroid_intervals`` (what one entry
says), ``steroid_courses`` (which entries count), ``steroid_timeline`` (what adds), ``steroid_levels`` (the level).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

import msgspec

from cds_service.derive import steroid_courses, steroid_levels
from cds_service.derive.conditions import is_active, is_confirmed
from cds_service.derive.steroid_basis import basis_of, replaced_courses
from cds_service.derive.steroid_courses import Certainty, Course, Courses, find_courses
from cds_service.derive.steroid_knowledge import SteroidKnowledge
from cds_service.derive.steroid_levels import Judgement, judge
from cds_service.derive.steroid_timeline import Pulse, Stretch, doses, exposed, find_pulses, stretches
from cds_service.record import PatientRecord, SetAside

__all__ = ["Course", "DailyDose", "Pulse", "SteroidExposure", "SteroidKnowledge", "daily_doses", "steroid_exposure"]

# Reasons for a level that do not come from counting days.
UNDATED, LONG_TERM_USE, UNCERTAIN = "undated", "long-term-use-code", "uncertain-data"
DURATION_ASSUMED, REPLACEMENT, PULSES = "duration-assumed", "replacement", "pulses"


class SteroidExposure(msgspec.Struct, frozen=True):
    """What a record says about systemic glucocorticoids. Doses are mg prednisone equivalent a day, None = not known.

    ``level`` 0-3 for the reason ``level_reason``; ``current``: exposed in the 30 days up to today (A-58, B-70).
    ``started``: first day of the earliest course that the level rests on; ``last_day``: last day of any exposure,
    ``days_since_last`` counts from it to today. ``episode_days``: length of the latest course, bridged gaps included.
    ``mean_daily_mg``: mean over the days with a known dose in the 90 days up to the last day of that course.
    ``last_daily_mg`` and ``max_daily_mg`` (of the year; where only short courses were taken, of those that ended up to
    90 days ago); ``cumulative_365_mg`` of courses longer than 14 days (A-03).
    ``moderate_dose_days`` and ``high_dose_days``: of those 90 days, at or above the limits of GC2 and GC3.
    ``fluorinated_days``: of those 90 days, in fluorinated courses longer than 14 days (A-60, B-33).
    ``fluorinated_in_words``: only words, and no code, name every fluorinated drug of the basis.
    ``flags``: words of ``steroid_courses`` for what is uncertain in the basis, and ``undated``, ``long-term-use-code``.
    ``pulses`` are named and do not raise (A-03, B-85). ``excluded``: entries that were not counted, and why.
    """

    level: int = 0
    level_reason: str = steroid_levels.NO_EXPOSURE
    current: bool = False
    started: date | None = None
    last_day: date | None = None
    days_since_last: int | None = None
    episode_days: int = 0
    mean_daily_mg: float | None = None
    last_daily_mg: float | None = None
    max_daily_mg: float | None = None
    cumulative_365_mg: float = 0
    moderate_dose_days: int = 0
    high_dose_days: int = 0
    fluorinated_days: int = 0
    fluorinated_in_words: bool = False
    bursts: int = 0
    ingredients: tuple[str, ...] = ()
    flags: frozenset[str] = frozenset()
    pulses: tuple[Pulse, ...] = ()
    replacement: bool = False
    excluded: tuple[SetAside, ...] = ()
    basis: tuple[Course, ...] = ()

    @property
    def dose_unknown(self) -> bool:
        """Some exposure has no known dose."""
        return steroid_courses.DOSE_UNKNOWN in self.flags

    @property
    def duration_assumed(self) -> bool:
        """Some exposure is an order without duration, or refills that nothing shows as dispensed (B-70, B-85)."""
        return steroid_courses.DURATION_ASSUMED in self.flags

    @property
    def is_uncertain(self) -> bool:
        """The level is GC1 for want of better data (A-05, A-07, A-08, A-38)."""
        return self.level_reason in (UNCERTAIN, UNDATED, LONG_TERM_USE)


class DailyDose(NamedTuple):
    """mg prednisone equivalent on one day: of all courses, and of the documented ones alone. Pulses included."""

    peq_mg: float
    documented_peq_mg: float


NO_EXPOSURE = SteroidExposure()


class _View(NamedTuple):
    """The timeline, all doses on it, and what is taken out of it."""

    timeline: list[Stretch]
    taken: list[dict[str, float | None]]
    pulses: Mapping[tuple[date, str], Pulse]
    replacement: bool
    today: date


class _Verdict(NamedTuple):
    """The view that decides; the last day of any exposure; fluorinated days of whichever view saw most of them."""

    judged: Judgement
    last_day: date | None
    fluorinated_days: int


def steroid_exposure(record: PatientRecord, knowledge: SteroidKnowledge, as_of: datetime) -> SteroidExposure:
    """The exposure at ``as_of`` (aware; its zone is the site's and decides what "today" is: A-65). Pure."""
    coded = _has_condition(record, knowledge.long_term_use.condition_sets, as_of)
    found = find_courses(record, knowledge, as_of)
    if not (found.courses or found.undated or coded):
        return NO_EXPOSURE if not found.excluded else SteroidExposure(excluded=found.excluded)
    view = _view(record, found.courses, knowledge, as_of)
    exposure = _described(view, found, _judged(view, found.courses, knowledge), knowledge)
    return _with_undated(exposure, undated=bool(found.undated), coded=coded)


def daily_doses(record: PatientRecord, knowledge: SteroidKnowledge, as_of: datetime) -> Mapping[date, DailyDose]:
    """The exposed days that a level can rest on (the year before a course that ended up to 90 days ago), in order."""
    windows = knowledge.windows
    from_day = as_of.date() - timedelta(days=windows.ended_days + windows.year_days - 1)
    found: dict[date, DailyDose] = {}
    for stretch in stretches(find_courses(record, knowledge, as_of).courses):
        first = max(stretch.first, from_day)
        dose = DailyDose(
            *(_peq(stretch, certainty, knowledge) for certainty in (Certainty.UNCERTAIN, Certainty.DOCUMENTED))
        )
        for offset in range((stretch.last - first).days + 1):
            found[first + timedelta(days=offset)] = dose
    return found


def _peq(stretch: Stretch, certainty: Certainty, knowledge: SteroidKnowledge) -> float:
    taken = doses(stretch.courses, certainty)
    return round(sum(sorted(knowledge.prednisone_mg(name, mg) for name, mg in taken.items() if mg is not None)), 6)


def _has_condition(record: PatientRecord, sets: frozenset[str], as_of: datetime, *, confirmed: bool = False) -> bool:
    return any(
        not sets.isdisjoint(entry.sets) and is_active(entry, as_of) and (not confirmed or is_confirmed(entry))
        for entry in record.conditions
    )


def _view(record: PatientRecord, courses: Iterable[Course], knowledge: SteroidKnowledge, as_of: datetime) -> _View:
    timeline = stretches(courses)
    taken = [doses(stretch.courses, Certainty.UNCERTAIN) for stretch in timeline]
    replacement = _has_condition(record, knowledge.replacement.condition_sets, as_of, confirmed=True)  # G3
    return _View(timeline, taken, find_pulses(timeline, taken, knowledge), replacement, as_of.date())


def _judged(view: _View, courses: Sequence[Course], knowledge: SteroidKnowledge) -> _Verdict:
    """The highest level of three views: documented days alone, assumed ones too up to GC2, all of them up to GC1.

    Where two views give the same level the more certain one speaks (B-70). Only views that differ are looked at.
    """
    verdict = _Verdict(Judgement(0, steroid_levels.NO_EXPOSURE), None, 0)
    levels = {course.certainty for course in courses} | ({Certainty.UNCERTAIN} if view.pulses else set())
    lowest = min(levels, default=Certainty.DOCUMENTED)
    for certainty in sorted(levels, reverse=True):
        dosed = zip(view.timeline, view.taken if certainty is lowest else _taken(view, certainty), strict=True)
        parts = exposed(
            dosed, view.pulses, knowledge, replacement=view.replacement, pulses_show=certainty is Certainty.UNCERTAIN
        )
        seen = [course for course in courses if course.certainty >= certainty]
        judged = _capped(judge(parts, _gap_days(seen, knowledge), view.today, knowledge), certainty)
        verdict = _Verdict(
            max(verdict.judged, judged, key=_rank),
            parts[-1].last if parts else verdict.last_day,
            max(verdict.fluorinated_days, judged.fluorinated_days),
        )
    return verdict


def _taken(view: _View, certainty: Certainty) -> list[dict[str, float | None]]:
    return [doses(stretch.courses, certainty) for stretch in view.timeline]


def _capped(judged: Judgement, certainty: Certainty) -> Judgement:
    if judged.level <= certainty:
        return judged
    return judged._replace(
        level=int(certainty), reason=DURATION_ASSUMED if certainty is Certainty.ASSUMED else UNCERTAIN
    )


def _rank(judged: Judgement) -> tuple[int, date]:
    """By level; of two views without a level the one that saw the later exposure."""
    return judged.level, judged.last_day if not judged.level and judged.last_day else date.min


def _gap_days(courses: Iterable[Course], knowledge: SteroidKnowledge) -> int:
    """Dispenses come late and early; where they are all there is, longer gaps are bridged."""
    only_dispenses = all(course.resource_type == "MedicationDispense" for course in courses)
    return knowledge.durations.dispensed_gap_days if only_dispenses else knowledge.durations.bridged_gap_days


def _described(view: _View, found: Courses, verdict: _Verdict, knowledge: SteroidKnowledge) -> SteroidExposure:
    """Everything but the exposure that has no dates."""
    judged, last_day = verdict.judged, verdict.last_day
    replaced = replaced_courses(view.timeline, knowledge) if view.replacement else ()
    taken_out = frozenset(replaced)
    counted = [course for course in found.courses if course not in taken_out]
    basis = basis_of(counted, last_day, knowledge) if last_day else ()
    since = (view.today - last_day).days if last_day else None
    fluorinated = [course for course in basis if course.ingredient in knowledge.ingredients.fluorinated]
    return SteroidExposure(
        level=judged.level,
        level_reason=_reason(judged, view, is_replaced=bool(replaced) and not counted),
        current=since is not None and since <= knowledge.windows.current_days,
        started=judged.started,
        last_day=last_day,
        days_since_last=since,
        episode_days=judged.episode_days,
        mean_daily_mg=judged.mean_daily_mg,
        last_daily_mg=judged.last_daily_mg,
        max_daily_mg=judged.max_daily_mg,
        cumulative_365_mg=judged.year_mg,
        moderate_dose_days=judged.moderate_dose_days,
        high_dose_days=judged.high_dose_days,
        fluorinated_days=verdict.fluorinated_days,
        fluorinated_in_words=bool(fluorinated) and all(steroid_courses.TEXT_ONLY in c.flags for c in fluorinated),
        bursts=judged.bursts,
        ingredients=tuple(sorted({course.ingredient for course in basis})),
        flags=frozenset(flag for course in basis for flag in course.flags),
        pulses=tuple(sorted(set(view.pulses.values()))),
        replacement=bool(replaced),
        excluded=(*found.excluded, *dict.fromkeys(SetAside(c.references[0], REPLACEMENT) for c in replaced)),
        basis=basis,
    )


def _reason(judged: Judgement, view: _View, *, is_replaced: bool) -> str:
    """At GC0 the reason says what kind of exposure did not count."""
    if judged.level or not view.timeline:
        return judged.reason
    if is_replaced:
        return REPLACEMENT
    only_pulses = judged.reason == steroid_levels.SHORT_COURSES and not judged.bursts and view.pulses
    return PULSES if only_pulses else judged.reason


def _with_undated(exposure: SteroidExposure, *, undated: bool, coded: bool) -> SteroidExposure:
    """Exposure without dates is GC1 and current (B-60); so is Z79.52 (A-08), unless replacement explains it."""
    coded = coded and exposure.level_reason != REPLACEMENT
    if not (undated or coded):
        return exposure
    marks = exposure.flags | ({UNDATED} if undated else set()) | ({LONG_TERM_USE} if coded else set())
    if exposure.level:
        return msgspec.structs.replace(exposure, flags=marks, current=True)
    reason = UNDATED if undated else LONG_TERM_USE
    return msgspec.structs.replace(exposure, level=1, level_reason=reason, flags=marks, current=True)
