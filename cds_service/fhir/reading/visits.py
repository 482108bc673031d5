"""Encounter and Appointment: where the patient was seen, or will be, and by which specialty (B-09)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import timedelta

from cds_service.coding import NO_SETS
from cds_service.fhir.datatypes import Coding, Concept, Period
from cds_service.fhir.reading.codes import DISPLAY_LIMIT
from cds_service.fhir.reading.identity import reference_of
from cds_service.fhir.reading.reading import AHEAD, Reading
from cds_service.fhir.resources import Appointment, Encounter, EncounterLocation
from cds_service.partial_date import PartialDate
from cds_service.record import VisitEntry

_NOT_BEGUN = frozenset({"planned", "cancelled"})
_NEVER_THERE = frozenset({"planned", "reserved"})  # EncounterLocation.status
_A_DAY = timedelta(days=1)
_Days = tuple[PartialDate, PartialDate | None]  # from, until; None: still there


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
    places = [place for place in resource.location or () if place.status not in _NEVER_THERE]
    for place in places:
        if place.period is None:
            specialties |= _specialty_of(place, reading)
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
    dated = [(place, place.period) for place in places if place.period is not None]
    return (entry, *_stays_within(entry, dated, reading)) if dated else (entry,)


def _specialty_of(place: EncounterLocation, reading: Reading) -> frozenset[str]:
    return reading.codes.specialty_named(place.location.display if place.location else None)


def _stays_within(
    entry: VisitEntry, dated: Iterable[tuple[EncounterLocation, Period]], reading: Reading
) -> Iterator[VisitEntry]:
    """The days in a specialty's place that has a period of its own: seven days of intensive care are seven days there.

    What the period leaves open is that of the whole stay. A move from bed to bed does not end the days.
    """
    clock, days_of = reading.clock, defaultdict[str, list[_Days]](list)
    for place, period in dated:
        start = clock.read(period.start) or entry.start
        if start is not None and not clock.is_ahead(start):
            for specialty in _specialty_of(place, reading):
                days_of[specialty].append((start, clock.read(period.end) or entry.end))
    for specialty, days in days_of.items():
        for start, end in _joined(days):
            yield VisitEntry(
                reference=entry.reference,
                resource_type=entry.resource_type,
                status=entry.status,
                display=entry.display,
                specialties=frozenset({specialty}),
                start=start,
                end=end,
            )


def _joined(days: list[_Days]) -> list[_Days]:
    joined: list[_Days] = []
    for start, end in sorted(days, key=lambda one: one[0]):
        before = joined[-1][1] if joined else start
        if joined and (before is None or start.first_day <= before.last_day + _A_DAY):
            joined[-1] = (joined[-1][0], None if before is None or end is None else max(before, end))
        else:
            joined.append((start, end))
    return joined


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
