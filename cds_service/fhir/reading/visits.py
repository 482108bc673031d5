"""Encounter and Appointment: where the patient was seen, or will be, and by which specialty (B-09)."""

from __future__ import annotations

from cds_service.coding import NO_SETS
from cds_service.fhir.datatypes import Coding, Concept
from cds_service.fhir.reading.codes import DISPLAY_LIMIT
from cds_service.fhir.reading.identity import reference_of
from cds_service.fhir.reading.reading import AHEAD, Reading
from cds_service.fhir.resources import Appointment, Encounter
from cds_service.record import VisitEntry

_NOT_BEGUN = frozenset({"planned", "cancelled"})


def read_encounter(resource: Encounter, full_url: str | None, reading: Reading) -> tuple[VisitEntry, ...]:
    """Kept with a usable start, or when how it ended means something. Only a planned one may lie ahead (A-48)."""
    codes, clock, period = reading.codes, reading.clock, resource.period
    stay = resource.hospitalization
    start = clock.read(period.start) if period else None
    sets = codes.sets(stay.discharge_disposition if stay else None) | codes.all_sets(resource.type)
    if start is None and not sets:
        return ()
    if clock.is_ahead(start) and resource.status not in _NOT_BEGUN:
        reading.notes.set_aside(resource, full_url, AHEAD)
        return ()
    specialties = codes.specialties((resource.service_type,)) if resource.service_type else NO_SETS
    for place in resource.location or ():
        specialties |= codes.specialty_named(place.location.display if place.location else None)
    entry = VisitEntry(
        reference=reference_of(resource, full_url),
        resource_type="Encounter",
        status=resource.status,
        sets=sets,
        display=_words(resource.service_type, *(resource.type or ())),
        setting=resource.setting.code if isinstance(resource.setting, Coding) else resource.setting,
        specialties=specialties,
        start=start,
        end=clock.read(period.end) if period else None,
        reason_sets=codes.all_sets(resource.reason_code),
    )
    return (entry,)


def read_appointment(resource: Appointment, full_url: str | None, reading: Reading) -> tuple[VisitEntry, ...]:
    """Kept with a usable start, which may lie ahead."""
    codes, clock = reading.codes, reading.clock
    start = clock.read(resource.start)
    if start is None:
        return ()
    kinds = [*(resource.specialty or ()), *(resource.service_type or ())]
    entry = VisitEntry(
        reference=reference_of(resource, full_url),
        resource_type="Appointment",
        status=resource.status,
        sets=codes.all_sets(resource.service_type),
        display=_words(*kinds),
        specialties=codes.specialties(kinds),
        start=start,
        end=clock.read(resource.end),
        reason_sets=codes.all_sets(resource.reason_code),
    )
    return (entry,)


def _words(*concepts: Concept | None) -> str:
    """The first words that name one of the concepts."""
    for concept in concepts:
        if concept is not None:
            displays = (coding.display for coding in concept.coding or ())
            if found := next(filter(None, (*displays, concept.text)), None):
                return found[:DISPLAY_LIMIT]
    return ""
