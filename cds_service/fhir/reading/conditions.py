"""Condition and FamilyMemberHistory."""

from __future__ import annotations

import msgspec

from cds_service.fhir.datatypes import Concept
from cds_service.fhir.reading.codes import DISPLAY_LIMIT
from cds_service.fhir.reading.identity import reference_of
from cds_service.fhir.reading.reading import AHEAD, NO_KNOWN_CODE, STATUS_NOT_KNOWN, Reading
from cds_service.fhir.resources import Condition, FamilyMemberHistory
from cds_service.partial_date import PartialDate
from cds_service.record import ConditionEntry, FamilyHistoryEntry

# Codes of https://hl7.org/fhir/R4/valueset-condition-clinical.html and valueset-condition-ver-status.html
_CLINICAL = frozenset({"active", "recurrence", "relapse", "inactive", "remission", "resolved"})
_VERIFICATION = frozenset({"unconfirmed", "provisional", "differential", "confirmed", "refuted", "entered-in-error"})
_STATUS = msgspec.json.Decoder(Concept | str | None)
_CATEGORY = msgspec.json.Decoder(list[Concept] | Concept | None)
_ENCOUNTER_DIAGNOSIS = "encounter-diagnosis"


def read_condition(resource: Condition, full_url: str | None, reading: Reading) -> tuple[ConditionEntry, ...]:
    """One entry when a code means something; a condition dated ahead is set aside (A-48)."""
    codes, clock, repeats = reading.codes, reading.clock, reading.repeats
    sets = codes.meaning(resource.code)
    if not sets:
        if sets is None:
            reading.notes.set_aside(resource, full_url, NO_KNOWN_CODE)
        return ()
    onset = _onset(resource, reading)
    recorded = clock.read(resource.recorded_date)
    if clock.is_ahead(onset or recorded):
        reading.notes.set_aside(resource, full_url, AHEAD)
        return ()
    coding, display = codes.identity(resource.code)
    clinical_status = repeats.answer(_clinical_status, resource.clinical_status)
    if clinical_status is not None and clinical_status not in _CLINICAL:
        reading.notes.set_aside(resource, full_url, STATUS_NOT_KNOWN)
    entry = ConditionEntry(
        reference=reference_of(resource, full_url),
        sets=sets,
        coding=coding,
        display=display,
        clinical_status=clinical_status,
        verification_status=repeats.answer(_verification_status, resource.verification_status),
        onset=onset,
        onset_is_text=onset is None and bool(resource.onset_string),
        abated=_is_abated(resource, reading),
        recorded=None if clock.is_ahead(recorded) else recorded,
        encounter_diagnosis=repeats.answer(_is_encounter_diagnosis, resource.category),
        site=codes.site(resource.code, resource.body_site or ()),
        severity=codes.first_coding(resource.severity),
    )
    return (entry,)


def read_family_history(
    resource: FamilyMemberHistory, full_url: str | None, reading: Reading
) -> tuple[FamilyHistoryEntry, ...]:
    """One entry for each of the relative's conditions that means something (G4: never the patient's own)."""
    if resource.status == "entered-in-error":
        return ()
    codes = reading.codes
    relation = codes.first_coding(resource.relationship)
    relationship = relation.code if relation else (resource.relationship or Concept()).text
    relationship = relationship[:DISPLAY_LIMIT] if relationship else None
    conditions = resource.condition or ()
    if conditions and not any(codes.knows(condition.code) for condition in conditions):
        reading.notes.set_aside(resource, full_url, NO_KNOWN_CODE)
    entries = []
    for condition in conditions:
        if sets := codes.sets(condition.code):
            coding, display = codes.identity(condition.code)
            reference = reference_of(resource, full_url)
            entries.append(FamilyHistoryEntry(reference, sets, coding, display, relationship))
    return tuple(entries)


def _onset(resource: Condition, reading: Reading) -> PartialDate | None:
    """onsetDateTime, onsetPeriod.start, or birth date plus onsetAge; an onsetString is no onset (B-60)."""
    period = resource.onset_period
    written = reading.clock.read(resource.onset_date_time, period.start if period else None)
    return written or reading.clock.at_age(reading.birth_date, resource.onset_age)


def _is_abated(resource: Condition, reading: Reading) -> bool:
    """Any abatement[x] means abated, except ``false`` and a date that is still to come."""
    if resource.abatement_date_time:
        return not reading.clock.is_ahead(reading.clock.read(resource.abatement_date_time))
    return bool(
        resource.abatement_age
        or resource.abatement_period
        or resource.abatement_range
        or resource.abatement_string
        or resource.abatement_boolean
    )


def _clinical_status(written: msgspec.Raw) -> str | None:
    return _status(written, _CLINICAL)


def _verification_status(written: msgspec.Raw) -> str | None:
    return _status(written, _VERIFICATION)


def _status(written_status: msgspec.Raw, meant: frozenset[str]) -> str | None:
    """The status code of whatever system: FHIR's own if one is there, else the first; FHIR's word as text counts.

    A plain string is the shape of older FHIR versions (C41).
    """
    concept = _STATUS.decode(written_status)
    if concept is None or isinstance(concept, str):
        return concept.lower() if concept else None
    written = [coding.code.lower() for coding in concept.coding or () if coding.code]
    if concept.text and not written:
        written = [concept.text.strip().lower()]
    return next((code for code in written if code in meant), written[0] if written else None)


def _is_encounter_diagnosis(written_category: msgspec.Raw) -> bool:
    """Category is a list in FHIR and a single object in one of Epic's samples."""
    category = _CATEGORY.decode(written_category)
    concepts = [category] if isinstance(category, Concept) else category or ()
    return any(coding.code == _ENCOUNTER_DIAGNOSIS for concept in concepts for coding in concept.coding or ())
