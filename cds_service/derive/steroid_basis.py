"""The courses that a card names: one line per drug and dose, however many resources tell of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import msgspec

from cds_service.derive.steroid_courses import Certainty, Course
from cds_service.derive.steroid_knowledge import SteroidKnowledge
from cds_service.derive.steroid_timeline import Stretch, doses, is_replacement

# Where several sources tell of one course: what was given speaks before what was meant (section 5, step 6).
_PREFERRED = ("MedicationDispense", "MedicationAdministration", "MedicationRequest", "MedicationStatement")


def basis_of(courses: Iterable[Course], last_day: date, knowledge: SteroidKnowledge) -> tuple[Course, ...]:
    """The courses of the year up to the last exposed day, newest first; the same dose of the same drug as one."""

    def is_recent(course: Course) -> bool:
        return (last_day - course.end).days < knowledge.windows.year_days

    alike: dict[tuple[object, ...], list[Course]] = {}
    for course in courses:
        alike.setdefault((course.ingredient, course.mg_per_day, course.flags), []).append(course)
    gap = timedelta(days=knowledge.durations.bridged_gap_days + 1)
    merged = [course for same in alike.values() for course in _merged(same, gap) if is_recent(course)]
    merged.sort(key=lambda course: (course.ingredient, course.peq_mg_per_day or 0, course.flags))
    merged.sort(key=lambda course: (course.end, course.start), reverse=True)
    return tuple(merged)


def _merged(same: Iterable[Course], gap: timedelta) -> list[Course]:
    """Join courses that overlap or are no further apart than a course bridges."""
    runs: list[list[Course]] = []
    end = date.min
    for course in sorted(same, key=lambda course: (course.start, course.end, *_preference(course))):
        if runs and course.start <= end + gap:
            runs[-1].append(course)
            end = max(end, course.end)
        else:
            runs.append([course])
            end = course.end
    return [_one(run) for run in runs]


def _preference(course: Course) -> tuple[int, tuple[str, ...], str, str]:
    return _PREFERRED.index(course.resource_type), course.references, str(course.coding), course.display


def _one(run: Sequence[Course]) -> Course:
    ordered = sorted(run, key=_preference)
    return msgspec.structs.replace(
        ordered[0],
        references=tuple(dict.fromkeys(reference for course in ordered for reference in course.references)),
        start=min(course.start for course in run),
        end=max(course.end for course in run),
        span=None,
        entry=0,
    )


def replaced_courses(timeline: Iterable[Stretch], knowledge: SteroidKnowledge) -> tuple[Course, ...]:
    """Hydrocortisone courses that never were more than replacement."""
    ingredient = knowledge.replacement.ingredient
    replaced: dict[int, Course] = {}
    counted: set[int] = set()
    for stretch in timeline:
        same = [course for course in stretch.courses if course.ingredient == ingredient]
        if is_replacement(doses(same, Certainty.UNCERTAIN), knowledge):
            replaced.update((id(course), course) for course in same)
        else:
            counted.update(id(course) for course in same)
    found = [course for key, course in replaced.items() if key not in counted]
    return tuple(sorted(found, key=lambda course: (course.start, course.end, *_preference(course))))
