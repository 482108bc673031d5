"""How each source is read: the resources it holds, whose they are, what they become."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from cds_service.fhir.reading.activities import read_care_plan, read_order, read_procedure, read_report
from cds_service.fhir.reading.conditions import read_condition, read_family_history
from cds_service.fhir.reading.identity import Subjects
from cds_service.fhir.reading.medications import read_medication
from cds_service.fhir.reading.observations import read_observation
from cds_service.fhir.reading.reading import Reading
from cds_service.fhir.reading.visits import read_appointment, read_encounter
from cds_service.fhir.resources import (
    Appointment,
    CarePlan,
    Condition,
    DiagnosticReport,
    Encounter,
    FamilyMemberHistory,
    MedicationAdministration,
    MedicationDispense,
    MedicationRequest,
    MedicationStatement,
    Observation,
    Patient,
    Procedure,
    Resource,
    ServiceRequest,
)
from cds_service.record import SourceName


class Kind(NamedTuple):
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


KINDS: Mapping[SourceName, Kind] = {
    "conditions": Kind(Condition, _has_subject, read_condition, "conditions", needs_known_codes=True),
    "familyHistory": Kind(FamilyMemberHistory, _has_patient, read_family_history, "family_history"),
    "medicationStatements": Kind(MedicationStatement, _has_subject, read_medication, "medications", True),
    "medicationRequests": Kind(MedicationRequest, _has_subject, read_medication, "medications", True),
    "medicationDispenses": Kind(MedicationDispense, _has_subject, read_medication, "medications", True),
    "medicationAdministrations": Kind(MedicationAdministration, _has_subject, read_medication, "medications", True),
    "observations": Kind(Observation, _has_subject, read_observation, "observations", needs_known_codes=True),
    "procedures": Kind(Procedure, _has_subject, read_procedure, "activities"),
    "reports": Kind(DiagnosticReport, _has_subject, read_report, "activities"),
    "orders": Kind(ServiceRequest, _has_subject, read_order, "activities"),
    "carePlans": Kind(CarePlan, _has_subject, read_care_plan, "activities"),
    "encounters": Kind(Encounter, _has_subject, read_encounter, "visits"),
    "appointments": Kind(Appointment, _has_participant, read_appointment, "visits"),
}
PATIENT: SourceName = "patient"
RESOURCES: Mapping[SourceName, type[Resource]] = {PATIENT: Patient} | {
    name: kind.resource for name, kind in KINDS.items()
}
