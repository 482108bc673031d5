"""From the pages of one patient's sources to one PatientRecord, with everything that was not used named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from cds_service.coding import Vocabulary
from cds_service.fhir.datatypes import ABSENT, Element
from cds_service.fhir.outcomes import ALL_SEEN, FAILED, INCOMPLETE, Verdict, verdict_on_entry, verdict_on_value
from cds_service.fhir.reading.codes import Codes
from cds_service.fhir.reading.dates import Clock
from cds_service.fhir.reading.identity import Subjects
from cds_service.fhir.reading.kinds import KINDS, PATIENT, RESOURCES, Kind
from cds_service.fhir.reading.notes import SourceNotes
from cds_service.fhir.reading.pages import (
    NOT_READABLE,
    NOTHING_READABLE,
    PART_NOT_READABLE,
    PART_WRONG_TYPE,
    UNREADABLE,
    WRONG_RESOURCE_TYPE,
    WRONG_TYPE,
    Entry,
    Page,
    read_page,
)
from cds_service.fhir.reading.patient import PatientFacts, read_patient
from cds_service.fhir.reading.reading import DATE_NOT_READABLE, NO_KNOWN_CODE, Reading, Repeats
from cds_service.fhir.resources import Medication, OperationOutcome, Patient, Resource
from cds_service.record import PatientRecord, SourceName, SourceState

ANOTHER_PATIENT = "another-patient"
NOBODY_OF_OURS = Verdict(FAILED, ANOTHER_PATIENT)
PART_ANOTHER_PATIENT = Verdict(INCOMPLETE, ANOTHER_PATIENT)
NO_KNOWN_CODE_SYSTEM = Verdict(INCOMPLETE, "no-known-code-system")


class SourcePayload(msgspec.Struct, frozen=True):
    """The pages of one source as they came. Each page is a Bundle, a single resource or JSON null."""

    name: SourceName
    origin: Literal["prefetch", "fetch", "none"]
    state: SourceState
    pages: tuple[bytes | msgspec.Raw, ...] = ()
    cause: str | None = None


# Medications have no patient and may come in any page (P-09).
_SOURCE_OF: Mapping[str, SourceName] = {kind.__name__: name for name, kind in RESOURCES.items()} | {
    Medication.__name__: "medicationStatements"
}
_AS_PAGE = b'{"resourceType":"Bundle","entry":[%s]}'


class _TypedPart(Element):
    resource_type: str | None = None


class _Peek(_TypedPart):
    resource: _TypedPart | None = None


_PEEK = msgspec.json.Decoder(_Peek)


class _Opened(NamedTuple):
    """One source, decoded: its own resources and those that came along (Medications, Patients)."""

    notes: SourceNotes
    own: list[tuple[str | None, Any]]
    others: list[tuple[str | None, Resource]]


def read_record(
    payloads: Iterable[SourcePayload],
    patient_id: str,
    *,
    vocabulary: Vocabulary,
    as_of: datetime,
    aliases: frozenset[str] = frozenset(),
) -> PatientRecord:
    """Read all sources of one patient. ``as_of`` carries the site's zone; ``aliases`` are merged ids (P-06).

    Raises BadRequest or DataNotAvailable for another patient than ``patient_id``; nothing else, whatever the bytes.
    """
    opened = _open_all(payloads)
    clock, subjects = Clock(as_of), Subjects({patient_id, *aliases})
    facts = PatientFacts()
    if patient := opened.pop(PATIENT, None):
        facts = read_patient(patient.own, subjects, clock, patient.notes)
    medications = _medications_and_patients(opened.values(), subjects)
    codes, repeats = Codes(vocabulary), Repeats()
    found: dict[str, list[Any]] = {kind.field: [] for kind in KINDS.values()}
    metas: dict[str, msgspec.Raw] = {}
    for name, source in opened.items():
        reading = Reading(codes, clock, source.notes, facts.birth_date, medications, repeats)
        found[KINDS[name].field] += _read_source(KINDS[name], source, subjects, reading, metas)
    notes = [*([patient.notes] if patient else ()), *(source.notes for source in opened.values())]
    return PatientRecord(
        patient_id=patient_id,
        birth_date=facts.birth_date,
        gender=facts.gender,
        deceased=facts.deceased,
        sources={note.name: note.source() for note in notes},
        metas=metas,
        **{field: tuple(entries) for field, entries in found.items()},
    )


def payloads_from_resources(
    resources: Iterable[bytes | msgspec.Raw], *, absent: SourceState = SourceState.COMPLETE
) -> tuple[SourcePayload, ...]:
    """One payload for each source from the resources of a whole chart; types that are not ours are ignored.

    An item is a resource, or a Bundle entry with its fullUrl. ``absent`` is the state of a source without any
    resource: complete (the default) says that the chart is known to be whole.
    """
    grouped: dict[SourceName, list[bytes]] = {name: [] for name in RESOURCES}
    for item in resources:
        try:
            peek = _PEEK.decode(item)
        except UNREADABLE:
            continue  # it has no type; read_patient_files names it
        resource_type = peek.resource.resource_type if peek.resource else peek.resource_type
        name = _SOURCE_OF.get(resource_type or "")
        if name is not None:
            grouped[name].append(bytes(item) if peek.resource else b'{"resource":' + bytes(item) + b"}")
    return tuple(
        SourcePayload(name, "prefetch", SourceState.COMPLETE, (_AS_PAGE % b",".join(entries),))
        if entries
        else SourcePayload(name, "prefetch", absent)
        for name, entries in grouped.items()
    )


def _open_all(payloads: Iterable[SourcePayload]) -> dict[SourceName, _Opened]:
    opened: dict[SourceName, _Opened] = {}
    for payload in payloads:
        source = opened.get(payload.name)
        if source is None:
            source = opened[payload.name] = _Opened(SourceNotes(payload.name, payload.origin), [], [])
        source.notes.worsen(Verdict(payload.state, payload.cause))
        for page in payload.pages:
            _sort_page(read_page(page, source.notes), RESOURCES[payload.name], source)
    return opened


def _sort_page(page: Page, wanted: type[Resource], source: _Opened) -> None:
    """The source's own resources to one side, what came along to the other; OperationOutcomes and strays are noted."""
    for entry in page.entries:
        resource = entry.resource if entry is not None else None
        if entry is None or resource is None:
            continue
        if type(resource) is wanted:
            if entry.search is None or entry.search.mode in (None, "match", "include"):
                source.own.append((entry.full_url, resource))
        elif type(resource) is OperationOutcome:
            source.notes.outcome(verdict_on_value(resource) if page.value else verdict_on_entry(resource))
        else:
            source.others.append((entry.full_url, resource))
            if _is_stray(entry, resource, page):
                source.notes.set_aside(resource, entry.full_url, WRONG_RESOURCE_TYPE)
                source.notes.worsen(PART_WRONG_TYPE)


def _is_stray(entry: Entry, resource: Resource, page: Page) -> bool:
    """Another type of resource is a fault when it stands for the whole value or is said to match the search.

    Medications are not: they are read one by one and come as pages of their own (P-09).
    """
    if isinstance(resource, Medication):
        return False
    return page.value is not None or (entry.search is not None and entry.search.mode == "match")


def _medications_and_patients(sources: Iterable[_Opened], subjects: Subjects) -> dict[str, Medication]:
    """Medications of all pages by ``Medication/id`` and fullUrl; the patient's fullUrls join ``subjects``."""
    medications: dict[str, Medication] = {}
    for source in sources:
        for full_url, resource in source.others:
            if isinstance(resource, Medication):
                medications.update({key: resource for key in (f"Medication/{resource.id}", full_url) if key})
            elif isinstance(resource, Patient) and resource.id in subjects.ids:
                subjects.add_full_url(full_url)
    return medications


def _read_source(
    kind: Kind, source: _Opened, subjects: Subjects, reading: Reading, metas: dict[str, msgspec.Raw]
) -> list[Any]:
    entries: list[Any] = []
    seen: set[str] = set()
    notes, clock, is_ours, read = source.notes, reading.clock, kind.is_ours, kind.read
    clock.failed = False
    others = 0
    for full_url, resource in source.own:
        if not is_ours(resource, subjects):
            others += 1
            notes.set_aside(resource, full_url, ANOTHER_PATIENT)
            continue
        try:
            found = read(resource, full_url, reading)
        except UNREADABLE:  # in a part that is decoded late
            notes.set_aside(resource, full_url, NOT_READABLE)
            notes.worsen(PART_NOT_READABLE)
            continue
        if clock.failed:
            clock.failed = False
            notes.set_aside(resource, full_url, DATE_NOT_READABLE)
        if found and _is_new(found[0].reference, seen):
            entries += found
            if resource.meta is not ABSENT:
                metas[found[0].reference] = resource.meta
    _judge(kind, len(source.own), others, notes)
    return entries


def _is_new(reference: str, seen: set[str]) -> bool:
    """The same resource on two pages counts once; resources that nothing identifies all count."""
    if reference in seen:
        return False
    if "/" in reference or ":" in reference:
        seen.add(reference)
    return True


def _judge(kind: Kind, total: int, others: int, notes: SourceNotes) -> None:
    """What the entries as a whole say about the source (P-06, and charts in code systems that nobody knows)."""
    if not total:
        notes.worsen(NOTHING_READABLE if notes.count(NOT_READABLE) else ALL_SEEN)
        notes.worsen(WRONG_TYPE if notes.count(WRONG_RESOURCE_TYPE) else ALL_SEEN)
    if others:
        notes.worsen(NOBODY_OF_OURS if others == total else PART_ANOTHER_PATIENT)
    if kind.needs_known_codes and total > others and notes.count(NO_KNOWN_CODE) == total - others:
        notes.worsen(NO_KNOWN_CODE_SYSTEM)
