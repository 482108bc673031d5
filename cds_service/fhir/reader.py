"""From the pages of one patient's sources to one PatientRecord, with everything that was not used named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from cds_service.coding import Vocabulary
from cds_service.fhir.outcomes import ALL_SEEN, FAILED, INCOMPLETE, Verdict, verdict_on_entry, verdict_on_value
from cds_service.fhir.reading.activities import read_care_plan, read_order, read_procedure, read_report
from cds_service.fhir.reading.codes import Codes
from cds_service.fhir.reading.conditions import read_condition, read_family_history
from cds_service.fhir.reading.dates import Clock
from cds_service.fhir.reading.identity import Subjects
from cds_service.fhir.reading.medications import read_medication
from cds_service.fhir.reading.notes import SourceNotes
from cds_service.fhir.reading.observations import read_observation
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
from cds_service.fhir.reading.reading import DATE_NOT_READABLE, NO_KNOWN_CODE, Reading
from cds_service.fhir.reading.visits import read_appointment, read_encounter
from cds_service.fhir.resources import (
    Appointment,
    CarePlan,
    Condition,
    DiagnosticReport,
    Encounter,
    FamilyMemberHistory,
    Medication,
    MedicationAdministration,
    MedicationDispense,
    MedicationRequest,
    MedicationStatement,
    Observation,
    OperationOutcome,
    Patient,
    Procedure,
    Resource,
    ServiceRequest,
)
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


class _Kind(NamedTuple):
    """How one source is read: the resources it holds, whose they are, what they become, where that stands."""

    resource: type[Resource]
    is_ours: Callable[[Any, Subjects], bool]
    read: Callable[[Any, str | None, Reading], Sequence[Any]]
    field: str
    needs_known_codes: bool = False


def _has_subject(resource: Any, subjects: Subjects) -> bool:
    subject = resource.subject
    return subject is None or subject.reference in subjects.known or subjects.is_patient(subject)


def _has_patient(resource: FamilyMemberHistory, subjects: Subjects) -> bool:
    return subjects.is_patient(resource.patient)


def _has_participant(resource: Appointment, subjects: Subjects) -> bool:
    return subjects.is_among(participant.actor for participant in resource.participant or ())


_KINDS: Mapping[SourceName, _Kind] = {
    "conditions": _Kind(Condition, _has_subject, read_condition, "conditions", needs_known_codes=True),
    "familyHistory": _Kind(FamilyMemberHistory, _has_patient, read_family_history, "family_history"),
    "medicationStatements": _Kind(MedicationStatement, _has_subject, read_medication, "medications", True),
    "medicationRequests": _Kind(MedicationRequest, _has_subject, read_medication, "medications", True),
    "medicationDispenses": _Kind(MedicationDispense, _has_subject, read_medication, "medications", True),
    "medicationAdministrations": _Kind(MedicationAdministration, _has_subject, read_medication, "medications", True),
    "observations": _Kind(Observation, _has_subject, read_observation, "observations", needs_known_codes=True),
    "procedures": _Kind(Procedure, _has_subject, read_procedure, "activities"),
    "reports": _Kind(DiagnosticReport, _has_subject, read_report, "activities"),
    "orders": _Kind(ServiceRequest, _has_subject, read_order, "activities"),
    "carePlans": _Kind(CarePlan, _has_subject, read_care_plan, "activities"),
    "encounters": _Kind(Encounter, _has_subject, read_encounter, "visits"),
    "appointments": _Kind(Appointment, _has_participant, read_appointment, "visits"),
}
_PATIENT: SourceName = "patient"
_RESOURCES: Mapping[SourceName, type[Resource]] = {_PATIENT: Patient} | {
    name: kind.resource for name, kind in _KINDS.items()
}


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
    if patient := opened.pop(_PATIENT, None):
        facts = read_patient(patient.own, subjects, clock, patient.notes)
    medications = _medications_and_patients(opened.values(), subjects)
    codes = Codes(vocabulary)
    found: dict[str, list[Any]] = {kind.field: [] for kind in _KINDS.values()}
    for name, source in opened.items():
        reading = Reading(codes, clock, source.notes, facts.birth_date, medications)
        found[_KINDS[name].field] += _read_source(_KINDS[name], source, subjects, reading)
    notes = [*([patient.notes] if patient else ()), *(source.notes for source in opened.values())]
    return PatientRecord(
        patient_id=patient_id,
        birth_date=facts.birth_date,
        gender=facts.gender,
        deceased=facts.deceased,
        sources={note.name: note.source() for note in notes},
        **{field: tuple(entries) for field, entries in found.items()},
    )


def _open_all(payloads: Iterable[SourcePayload]) -> dict[SourceName, _Opened]:
    opened: dict[SourceName, _Opened] = {}
    for payload in payloads:
        source = opened.get(payload.name)
        if source is None:
            source = opened[payload.name] = _Opened(SourceNotes(payload.name, payload.origin), [], [])
        source.notes.worsen(Verdict(payload.state, payload.cause))
        for page in payload.pages:
            _sort_page(read_page(page, source.notes), _RESOURCES[payload.name], source)
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
            source.notes.worsen(verdict_on_value(resource) if page.value else verdict_on_entry(resource))
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


def _read_source(kind: _Kind, source: _Opened, subjects: Subjects, reading: Reading) -> list[Any]:
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
    _judge(kind, len(source.own), others, notes)
    return entries


def _is_new(reference: str, seen: set[str]) -> bool:
    """The same resource on two pages counts once; resources that nothing identifies all count."""
    if reference in seen:
        return False
    if "/" in reference or ":" in reference:
        seen.add(reference)
    return True


def _judge(kind: _Kind, total: int, others: int, notes: SourceNotes) -> None:
    """What the entries as a whole say about the source (P-06, and charts in code systems that nobody knows)."""
    if not total:
        notes.worsen(NOTHING_READABLE if notes.count(NOT_READABLE) else ALL_SEEN)
        notes.worsen(WRONG_TYPE if notes.count(WRONG_RESOURCE_TYPE) else ALL_SEEN)
    if others:
        notes.worsen(NOBODY_OF_OURS if others == total else PART_ANOTHER_PATIENT)
    if kind.needs_known_codes and total > others and notes.count(NO_KNOWN_CODE) == total - others:
        notes.worsen(NO_KNOWN_CODE_SYSTEM)
