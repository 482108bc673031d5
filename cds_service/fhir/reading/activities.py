"""Procedure, DiagnosticReport, ServiceRequest and CarePlan: what was done, reported, ordered or planned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cds_service.coding import NO_SETS, CodeCertainty
from cds_service.fhir.datatypes import Concept
from cds_service.fhir.reading.codes import DISPLAY_LIMIT
from cds_service.fhir.reading.identity import reference_of
from cds_service.fhir.reading.reading import AHEAD, NO_KNOWN_CODE, NOT_TO_BE_DONE, Reading
from cds_service.fhir.resources import CarePlan, DiagnosticReport, PlannedDetail, Procedure, ServiceRequest
from cds_service.record import ActivityEntry

_ENDED_EARLY = frozenset({"cancelled", "stopped", "entered-in-error"})


def read_procedure(resource: Procedure, full_url: str | None, reading: Reading) -> tuple[ActivityEntry, ...]:
    """Dated by performedDateTime, or by the end (else the start) of performedPeriod."""
    sets = _sets_or_note(resource, full_url, reading)
    if not sets:
        return ()
    clock = reading.clock
    date = clock.read(resource.performed_date_time) or clock.end_or_start(resource.performed_period)
    if clock.is_ahead(date):
        reading.notes.set_aside(resource, full_url, AHEAD)
        return ()
    coding, display = reading.codes.identity(resource.code)
    entry = ActivityEntry(
        reference=reference_of(resource, full_url),
        resource_type="Procedure",
        sets=sets,
        coding=coding,
        display=display,
        status=resource.status,
        date=date,
        reason_sets=reading.codes.all_sets(resource.reason_code),
    )
    return (entry,)


def read_report(resource: DiagnosticReport, full_url: str | None, reading: Reading) -> tuple[ActivityEntry, ...]:
    """Dated by effective[x], else by issued."""
    sets = _sets_or_note(resource, full_url, reading)
    if not sets:
        return ()
    clock = reading.clock
    effective = clock.read(resource.effective_date_time) or clock.end_or_start(resource.effective_period)
    date = effective or clock.read(resource.issued)
    if clock.is_ahead(date):
        reading.notes.set_aside(resource, full_url, AHEAD)
        return ()
    coding, display = reading.codes.identity(resource.code)
    reference = reference_of(resource, full_url)
    return (ActivityEntry(reference, "DiagnosticReport", sets, coding, display, status=resource.status, date=date),)


def read_order(resource: ServiceRequest, full_url: str | None, reading: Reading) -> tuple[ActivityEntry, ...]:
    """Dated by authoredOn. Its sets are those of code and orderDetail (B-53); specialties by B-09."""
    codes, clock = reading.codes, reading.clock
    sets = codes.sets(resource.code) | codes.all_sets(resource.order_detail)
    specialties = codes.specialties((resource.performer_type, resource.code))
    if not sets and not specialties:
        if not codes.knows(resource.code):
            reading.notes.set_aside(resource, full_url, NO_KNOWN_CODE)
        return ()
    date = clock.read(resource.authored_on)
    if clock.is_ahead(date) or resource.do_not_perform:
        reading.notes.set_aside(resource, full_url, NOT_TO_BE_DONE if resource.do_not_perform else AHEAD)
        return ()
    coding, display = codes.identity(resource.code)
    entry = ActivityEntry(
        reference=reference_of(resource, full_url),
        resource_type="ServiceRequest",
        sets=sets,
        coding=coding,
        display=display,
        status=resource.status,
        intent=resource.intent,
        date=date,
        specialties=specialties,
        reason_sets=codes.all_sets(resource.reason_code),
    )
    return (entry,)


def read_care_plan(resource: CarePlan, full_url: str | None, reading: Reading) -> tuple[ActivityEntry, ...]:
    """One entry for each activity, and for the plan itself, that means something. Dated by period.start or created."""
    found = list(_planned(resource, reading))
    if not found:
        return ()
    period = resource.period
    date = reading.clock.read(period.start if period else None, resource.created)
    if reading.clock.is_ahead(date):
        reading.notes.set_aside(resource, full_url, AHEAD)
        return ()
    reference = reference_of(resource, full_url)
    return tuple(
        ActivityEntry(
            reference=reference,
            resource_type="CarePlan",
            sets=planned.by_code | planned.in_words,
            coding=reading.codes.identity(planned.concept)[0],
            display=planned.display[:DISPLAY_LIMIT],
            status=planned.status,
            intent=resource.intent,
            date=date,
            certainty=CodeCertainty.EXACT if planned.in_words <= planned.by_code else CodeCertainty.TEXT,
        )
        for planned in found
    )


class _Planned(NamedTuple):
    """What a plan or one activity of it is: value sets by its codes and by its words."""

    by_code: frozenset[str]
    in_words: frozenset[str]
    concept: Concept | None
    display: str
    status: str | None


def _planned(resource: CarePlan, reading: Reading) -> Iterator[_Planned]:
    """The plan by its categories and title, then each activity, where they mean anything."""
    codes = reading.codes
    category = resource.category
    concepts = [category] if isinstance(category, Concept) else category or []
    title = resource.title or ""
    by_code, in_words = codes.all_sets(concepts), _sets_in_words(title, reading)
    if by_code or in_words:
        meant = next((concept for concept in concepts if codes.sets(concept)), None)
        yield _Planned(by_code, in_words, meant, title or codes.identity(meant)[1], resource.status)
    for activity in resource.activity or ():
        detail = activity.detail or PlannedDetail()
        words = " ".join(filter(None, (detail.code.text if detail.code else None, detail.description)))
        by_code, in_words = codes.sets(detail.code), _sets_in_words(words, reading)
        if by_code or in_words:
            status = detail.status if detail.status in _ENDED_EARLY else resource.status
            yield _Planned(by_code, in_words, detail.code, codes.identity(detail.code)[1] or words, status)


def _sets_in_words(text: str, reading: Reading) -> frozenset[str]:
    """Plans are often only words: whole words that the vocabulary names (A-56, A-43)."""
    names = reading.codes.vocabulary.care_plan_words
    if not names or not text:
        return NO_SETS
    words = set(text[: 10 * DISPLAY_LIMIT].lower().split())
    return NO_SETS.union(*[sets for word, sets in names.items() if word in words])


def _sets_or_note(resource: Procedure | DiagnosticReport, full_url: str | None, reading: Reading) -> frozenset[str]:
    sets = reading.codes.meaning(resource.code)
    if sets is None:
        reading.notes.set_aside(resource, full_url, NO_KNOWN_CODE)
    return sets or NO_SETS
