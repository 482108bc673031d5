"""Medication entries -> courses of systemic glucocorticoid: what counts, from when to when, at what daily dose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from enum import IntEnum
from typing import NamedTuple

import msgspec

from cds_service.coding import CodeCertainty, Coding
from cds_service.derive import steroid_intervals as intervals
from cds_service.derive.pregnancy import is_pregnant_or_postpartum
from cds_service.derive.steroid_doses import DosePhase
from cds_service.derive.steroid_intervals import Setting, Span, ingredient_of
from cds_service.derive.steroid_knowledge import SteroidKnowledge
from cds_service.record import MedicationEntry, PatientRecord, SetAside

# Reasons why an entry does not count. A local product is named by its form (inhaled, topical ...), a status by itself.
LOCAL_PRODUCT, LOCAL_ROUTE, LOCAL_FORM = "local-product", "local-route", "local-form"
NOT_CONVERTIBLE, ROUTE_UNKNOWN = "no-systemic-glucocorticoid", "route-unknown"
DO_NOT_PERFORM, NOT_AN_ORDER, STATUS = "do-not-perform", "not-an-order", "status-not-counted"
ZERO_DOSE, ANTENATAL = "zero-dose", "antenatal"
NAMED_STATUS = frozenset({"not-taken", "intended", "entered-in-error", "cancelled", "draft", "not-done", "declined"})

# Flags of a course.
DOSE_UNKNOWN, ROUTE_UNCERTAIN, TEXT_ONLY = "dose-unknown", "route-uncertain", "text-only"
DURATION_ASSUMED, WEEKLY, AS_NEEDED = "duration-assumed", "weekly-dosing", "as-needed"
EQUIVALENCE_DISPUTED = "equivalence-disputed"
_PRESCRIBED = ("MedicationStatement", "MedicationRequest")
_UNCERTAIN = frozenset({DOSE_UNKNOWN, ROUTE_UNCERTAIN, TEXT_ONLY, WEEKLY, AS_NEEDED})


class Certainty(IntEnum):
    """How far a course can be relied on. The number is the highest exposure level that it can support."""

    UNCERTAIN = 1
    ASSUMED = 2
    DOCUMENTED = 3


class Course(msgspec.Struct, frozen=True, gc=False):
    """One drug at one daily dose from ``start`` to ``end``, both days in.

    ``mg_per_day`` as written, ``peq_mg_per_day`` its prednisone equivalent, None when the dose is not known.
    ``span`` is the whole of the entry that it comes from and ``entry`` that entry's place in the record.
    ``intravenous``: given into a vein, as far as the entry says.
    """

    references: tuple[str, ...]
    coding: Coding | None
    display: str
    ingredient: str
    start: date
    end: date
    mg_per_day: float | None
    peq_mg_per_day: float | None
    flags: tuple[str, ...]
    certainty: Certainty
    resource_type: str
    coded: CodeCertainty = CodeCertainty.EXACT
    strength_mg: float | None = None
    span: Span | None = None
    entry: int = 0
    intravenous: bool = False

    @property
    def days(self) -> int:
        """Length in calendar days."""
        return (self.end - self.start).days + 1


class Courses(NamedTuple):
    """What the medication entries amount to. ``undated``: active statements or orders without any date (B-60)."""

    courses: tuple[Course, ...] = ()
    excluded: tuple[SetAside, ...] = ()
    undated: tuple[MedicationEntry, ...] = ()


def find_courses(record: PatientRecord, knowledge: SteroidKnowledge, as_of: datetime) -> Courses:
    """Every course in the record. Order of entries does not matter."""
    candidates = [(i, entry) for i, entry in enumerate(record.medications) if ingredient_of(entry)]
    if not candidates:
        return Courses()
    setting = _setting(record, [entry for _, entry in candidates], knowledge, as_of)
    courses: list[Course] = []
    excluded: list[SetAside] = []
    undated: list[MedicationEntry] = []
    for number, entry in sorted(candidates, key=lambda numbered: numbered[1].resource_type != "MedicationDispense"):
        found = _courses_of(number, entry, setting)
        if isinstance(found, list):
            courses += found
            if entry.resource_type == "MedicationDispense":
                setting.dispensed.extend((course.ingredient, (course.start, course.end)) for course in found)
        elif found == intervals.UNDATED and entry.status == "active":
            undated.append(entry)
        else:
            excluded.append(SetAside(entry.reference, found))
    excluded.sort(key=lambda one: (one.reference, one.reason))
    return Courses(tuple(courses), tuple(excluded), tuple(undated))


def _setting(
    record: PatientRecord, candidates: Sequence[MedicationEntry], knowledge: SteroidKnowledge, as_of: datetime
) -> Setting:
    prescribed = [
        (ingredient_of(entry), all(dosage.as_needed for dosage in entry.dosages) and bool(entry.dosages))
        for entry in candidates
        if entry.resource_type in _PRESCRIBED and _refusal(entry, knowledge) is None
    ]
    regular = {ingredient for ingredient, as_needed in prescribed if not as_needed}
    return Setting(
        knowledge,
        as_of,
        as_of.date(),
        has_dispenses=any(entry.resource_type == "MedicationDispense" for entry in record.medications),
        only_as_needed=frozenset({ingredient for ingredient, _ in prescribed} - regular),
        pregnant=is_pregnant_or_postpartum(record.conditions, knowledge.antenatal, as_of),
        dispensed=[],
    )


def _courses_of(number: int, entry: MedicationEntry, setting: Setting) -> list[Course] | str:
    """The courses of one entry, or the reason why it does not count."""
    knowledge = setting.knowledge
    route_flag = _route_flag(entry, knowledge)
    refused = _refusal(entry, knowledge) or (route_flag if route_flag not in (None, ROUTE_UNCERTAIN) else None)
    if refused:
        return refused
    if setting.pregnant and ingredient_of(entry) == knowledge.antenatal.ingredient and not _is_oral(entry, knowledge):
        return ANTENATAL
    phases = intervals.phases_of_entry(_without_local_dosages(entry, knowledge), setting)
    if isinstance(phases, str):
        return phases
    backed = _backed_by_dispenses(entry, phases, setting)
    if isinstance(backed, str):
        return backed
    taken = [phase for phase in _together(backed) if phase.mg != 0]
    if not taken:
        return ZERO_DOSE
    flags = [flag for flag in (route_flag, TEXT_ONLY if entry.product is None else None) if flag]
    courses = [_course(number, entry, phase, flags, setting) for phase in taken]
    span = (min(course.start for course in courses), max(course.end for course in courses))
    return [msgspec.structs.replace(course, span=span) for course in courses]


def _refusal(entry: MedicationEntry, knowledge: SteroidKnowledge) -> str | None:
    """Why status, intent or drug keep an entry out (section 5, steps 1 and 2)."""
    status = entry.status or ""
    if status not in getattr(knowledge.status, entry.resource_type) and not _needs_dispense(entry, knowledge):
        return status if status in NAMED_STATUS else STATUS
    if entry.do_not_perform:
        return DO_NOT_PERFORM
    if entry.resource_type == "MedicationRequest" and entry.intent not in knowledge.status.order_intents:
        return NOT_AN_ORDER
    if entry.product is not None and entry.product.systemic is False:
        return entry.product.form or LOCAL_PRODUCT
    return None if ingredient_of(entry) in knowledge.equivalents else NOT_CONVERTIBLE


def _needs_dispense(entry: MedicationEntry, knowledge: SteroidKnowledge) -> bool:
    return entry.resource_type == "MedicationStatement" and entry.status in knowledge.status.needs_dispense


def _route_flag(entry: MedicationEntry, knowledge: SteroidKnowledge) -> str | None:
    """None = systemic; ROUTE_UNCERTAIN; else the reason why it is not. What is said wins over product, then form."""
    routes = _routes(entry)
    systemic_product = entry.product is not None and entry.product.systemic
    if routes & knowledge.route_sets.systemic:
        return None
    if routes & knowledge.route_sets.local:
        return LOCAL_ROUTE
    if systemic_product or entry.form_sets & knowledge.form_sets.systemic:
        return None
    if entry.form_sets & knowledge.form_sets.local:
        return LOCAL_FORM
    return ROUTE_UNCERTAIN if ingredient_of(entry) in knowledge.ingredients.route_uncertain else ROUTE_UNKNOWN


def _routes(entry: MedicationEntry) -> frozenset[str]:
    return entry.route_sets.union(*(dosage.route_sets for dosage in entry.dosages))


def _is_oral(entry: MedicationEntry, knowledge: SteroidKnowledge) -> bool:
    """By mouth; where no systemic route is said, by the product or the form."""
    if routes := _routes(entry) & knowledge.route_sets.systemic:
        return bool(routes & knowledge.route_sets.oral)
    by_product = entry.product is not None and entry.product.form in knowledge.product_forms.oral
    return by_product or bool(entry.form_sets & knowledge.form_sets.systemic)


def _is_intravenous(entry: MedicationEntry, knowledge: SteroidKnowledge) -> bool:
    """Into a vein; where no systemic route is said, an injection: so much of it is given in no other way."""
    if routes := _routes(entry) & knowledge.route_sets.systemic:
        return bool(routes & knowledge.route_sets.intravenous)
    return entry.product is not None and entry.product.form in knowledge.product_forms.injected


def _without_local_dosages(entry: MedicationEntry, knowledge: SteroidKnowledge) -> MedicationEntry:
    local = knowledge.route_sets.local
    if not any(dosage.route_sets & local for dosage in entry.dosages):
        return entry
    return msgspec.structs.replace(entry, dosages=tuple(d for d in entry.dosages if not d.route_sets & local))


def _backed_by_dispenses(entry: MedicationEntry, phases: list[DosePhase], setting: Setting) -> list[DosePhase] | str:
    """PRN (A-38) and statements of unknown status count only beside a dispense of the same drug."""
    if entry.resource_type not in _PRESCRIBED:
        return phases
    ingredient, unknown = ingredient_of(entry), _needs_dispense(entry, setting.knowledge)
    kept = [p for p in phases if not (unknown or p.as_needed) or setting.is_dispensed(ingredient, p)]
    return kept or (intervals.NO_DISPENSE if unknown else intervals.AS_NEEDED_NOT_DISPENSED)


def _together(phases: Iterable[DosePhase]) -> list[DosePhase]:
    """Doses of one entry on the same days as one (40 mg in the morning and 20 mg at night = 60 mg)."""
    summed: dict[tuple[object, ...], DosePhase] = {}
    for phase in phases:
        key = (phase.first, phase.last, phase.weekly, phase.as_needed, phase.assumed, phase.mg is None)
        other = summed.get(key)
        if other is not None and other.mg is not None and phase.mg is not None:
            phase = other._replace(mg=other.mg + phase.mg)  # noqa: PLW2901 - the sum takes its place
        summed[key] = phase
    return list(summed.values())


def _course(number: int, entry: MedicationEntry, phase: DosePhase, flags: Sequence[str], setting: Setting) -> Course:
    knowledge, ingredient = setting.knowledge, ingredient_of(entry)
    marks = {
        *flags,
        *([DOSE_UNKNOWN] if phase.mg is None else []),
        *([WEEKLY] if phase.weekly else []),
        *([AS_NEEDED] if phase.as_needed else []),
        *([DURATION_ASSUMED] if phase.assumed else []),
        *([EQUIVALENCE_DISPUTED] if ingredient in knowledge.ingredients.equivalence_disputed else []),
    }
    return Course(
        references=(entry.reference,),
        coding=entry.coding,
        display=entry.display,
        ingredient=ingredient,
        start=phase.first,
        end=phase.last or phase.first,
        mg_per_day=None if phase.mg is None else round(phase.mg, 6),
        peq_mg_per_day=None if phase.mg is None else knowledge.prednisone_mg(ingredient, phase.mg),
        flags=tuple(sorted(marks)),
        certainty=_certainty(marks),
        resource_type=entry.resource_type,
        coded=CodeCertainty.TEXT if TEXT_ONLY in marks else entry.certainty,  # a code may name something else of it
        strength_mg=intervals.strength_of(entry),
        entry=number,
        intravenous=_is_intravenous(entry, knowledge),
    )


def _certainty(marks: set[str]) -> Certainty:
    if marks & _UNCERTAIN:
        return Certainty.UNCERTAIN
    return Certainty.ASSUMED if DURATION_ASSUMED in marks else Certainty.DOCUMENTED
