"""The Patient of the call: birth date, sex, death, merged records; and the refusal of anybody else (P-06, T9)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from cds_service.errors import BadRequest, DataNotAvailable
from cds_service.fhir.outcomes import FAILED, Verdict
from cds_service.fhir.reading.dates import Clock
from cds_service.fhir.reading.identity import Subjects, id_in_url, uuid_in
from cds_service.fhir.reading.notes import SourceNotes
from cds_service.fhir.reading.reading import AHEAD, DATE_NOT_READABLE
from cds_service.fhir.resources import Patient
from cds_service.partial_date import PartialDate

# https://hl7.org/fhir/R4/valueset-link-type.html: a merge. "refer" and "seealso" leave two records.
_MERGED = frozenset({"replaced-by", "replaces"})
_SEXES = frozenset({"male", "female", "other", "unknown"})
NO_PATIENT = Verdict(FAILED, "no-patient")
PATIENT_WITHOUT_ID = Verdict(FAILED, "patient-without-id")


class PatientFacts(NamedTuple):
    """What the record says of the person."""

    birth_date: PartialDate | None = None
    gender: str | None = None
    deceased: bool = False


def read_patient(
    found: Iterable[tuple[str | None, Patient]], subjects: Subjects, clock: Clock, notes: SourceNotes
) -> PatientFacts:
    """The Patient of this call; its merged ids join ``subjects``.

    Raises BadRequest for another patient in prefetch and DataNotAvailable for a fetched one (P-06). Without any
    Patient, or with one that has no id, the source has failed and every fact is unknown.
    """
    patients = [(_own_id(patient, full_url), full_url, patient) for full_url, patient in found]
    for own_id, full_url, patient in patients:
        merged = _merged_ids(patient)
        if own_id in subjects.ids or (own_id and merged & subjects.ids):
            subjects.add(own_id or "", *merged)
            subjects.add_full_url(full_url)
            return _facts(patient, full_url, clock, notes)
    if any(own_id for own_id, _, _ in patients):
        if notes.origin == "prefetch":
            raise BadRequest("The Patient in prefetch is not the patient of the context.")
        raise DataNotAvailable("The FHIR server answered with another patient than the one of the context.")
    notes.worsen(PATIENT_WITHOUT_ID if patients else NO_PATIENT)
    return PatientFacts()


def _own_id(patient: Patient, full_url: str | None) -> str | None:
    return patient.id or id_in_url(full_url, "Patient") or uuid_in(full_url)


def _merged_ids(patient: Patient) -> frozenset[str]:
    links = [link for link in patient.link or () if link.type in _MERGED and link.other]
    ids = (id_in_url(link.other.reference, "Patient") for link in links if link.other)
    return frozenset(found for found in ids if found)


def _facts(patient: Patient, full_url: str | None, clock: Clock, notes: SourceNotes) -> PatientFacts:
    clock.failed = False
    birth_date = clock.read(patient.birth_date)
    if clock.failed:
        notes.set_aside(patient, full_url, DATE_NOT_READABLE)
    if clock.is_ahead(birth_date):
        notes.set_aside(patient, full_url, AHEAD)
        birth_date = None
    gender = patient.gender if patient.gender in _SEXES else None
    return PatientFacts(birth_date, gender, bool(patient.deceased_boolean or patient.deceased_date_time))
