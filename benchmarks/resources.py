"""Writes single FHIR R4 resources as charts carry them: profiles, several codings, who recorded it when."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

FHIR_SERVER = "https://fhir.example.org/r4"
_CORE = "http://hl7.org/fhir/us/core/StructureDefinition"
_HL7 = "http://terminology.hl7.org/CodeSystem"
_UCUM = "http://unitsofmeasure.org"
_LOCAL = "https://fhir.example.org/codes"

Resource = dict[str, Any]


class FhirCoding(NamedTuple):
    """One row of a table in ``rules/``."""

    system: str
    code: str
    display: str


class Medicine(NamedTuple):
    """What is taken once a day, from when, until when (None: still)."""

    code: FhirCoding
    route: FhirCoding
    dose: float
    unit: str
    started: date
    ended: date | None


class Result(NamedTuple):
    """One result; ``unit`` is UCUM, also that of the limits."""

    code: FhirCoding
    category: str
    value: float
    unit: str
    low: float | None
    high: float | None
    day: date


class Writer:
    """The resources of one patient."""

    def __init__(self, patient_id: str) -> None:
        self._patient_id = patient_id
        self._subject = {"reference": f"Patient/{patient_id}", "display": "Benchmark, Patient"}

    def patient(self, born: date) -> Resource:
        """US Core Patient, female."""
        return {
            **self._opening("Patient", self._patient_id, "us-core-patient"),
            "identifier": [
                {
                    "use": "usual",
                    "type": _concept(FhirCoding(f"{_HL7}/v2-0203", "MR", "Medical Record Number")),
                    "system": f"{_LOCAL}/mrn",
                    "value": "000-benchmark",
                }
            ],
            "active": True,
            "name": [{"use": "official", "family": "Benchmark", "given": ["Patient", "Synthetic"]}],
            "telecom": [{"system": "phone", "value": "555-0100", "use": "home"}],
            "gender": "female",
            "birthDate": born.isoformat(),
            "address": [{"use": "home", "line": ["1 Example Street"], "city": "Example", "country": "US"}],
            "communication": [{"language": _concept(FhirCoding("urn:ietf:bcp:47", "en", "English"))}],
        }

    def condition(self, number: int, code: FhirCoding, onset: date) -> Resource:
        """US Core problem: active, confirmed."""
        return {
            **self._opening("Condition", f"condition-{number}", "us-core-condition-problems"),
            "clinicalStatus": _concept(FhirCoding(f"{_HL7}/condition-clinical", "active", "Active")),
            "verificationStatus": _concept(FhirCoding(f"{_HL7}/condition-ver-status", "confirmed", "Confirmed")),
            "category": [_concept(FhirCoding(f"{_HL7}/condition-category", "problem-list-item", "Problem List Item"))],
            "code": _with_local_code(code, number),
            "subject": self._subject,
            "encounter": _encounter(number),
            "onsetDateTime": onset.isoformat(),
            "recordedDate": _at_ten(onset),
            "recorder": _practitioner(number),
        }

    def statement(self, number: int, medicine: Medicine) -> Resource:
        """What the patient takes or took."""
        period = {"start": medicine.started.isoformat()}
        if medicine.ended:
            period["end"] = medicine.ended.isoformat()
        return {
            **self._opening("MedicationStatement", f"statement-{number}", "us-core-medicationstatement"),
            "status": "completed" if medicine.ended else "active",
            "medicationCodeableConcept": _with_local_code(medicine.code, number),
            "subject": self._subject,
            "context": _encounter(number),
            "effectivePeriod": period,
            "dateAsserted": _at_ten(medicine.started),
            "informationSource": _practitioner(number),
            "dosage": [_dosage(medicine)],
        }

    def request(self, number: int, medicine: Medicine) -> Resource:
        """US Core order, three months' supply with refills."""
        days = {"value": 90, "unit": "days", "system": _UCUM, "code": "d"}
        return {
            **self._opening("MedicationRequest", f"request-{number}", "us-core-medicationrequest"),
            "status": "completed" if medicine.ended else "active",
            "intent": "order",
            "category": [_concept(FhirCoding(f"{_HL7}/medicationrequest-category", "outpatient", "Outpatient"))],
            "medicationCodeableConcept": _with_local_code(medicine.code, number),
            "subject": self._subject,
            "encounter": _encounter(number),
            "authoredOn": _at_ten(medicine.started),
            "requester": _practitioner(number),
            "dosageInstruction": [_dosage(medicine)],
            "dispenseRequest": {"numberOfRepeatsAllowed": 1, "expectedSupplyDuration": days},
        }

    def observation(self, number: int, result: Result) -> Resource:
        """US Core result: final, with its reference range where there is one."""
        profile = "us-core-vital-signs" if result.category == "vital-signs" else "us-core-observation-lab"
        category = FhirCoding(f"{_HL7}/observation-category", result.category, result.category)
        resource = {
            **self._opening("Observation", f"observation-{number}", profile),
            "status": "final",
            "category": [_concept(category)],
            "code": _with_local_code(result.code, number),
            "subject": self._subject,
            "encounter": _encounter(number),
            "effectiveDateTime": _at_ten(result.day),
            "issued": f"{result.day.isoformat()}T11:30:00.000Z",
            "performer": [_practitioner(number)],
            "valueQuantity": _quantity(result.value, result.unit),
        }
        limits = {"low": result.low, "high": result.high}
        written = {name: _quantity(limit, result.unit) for name, limit in limits.items() if limit is not None}
        return {**resource, "referenceRange": [written]} if written else resource

    def _opening(self, resource_type: str, resource_id: str, profile: str) -> Resource:
        meta = {"versionId": "1", "lastUpdated": "2026-01-01T00:00:00.000Z", "profile": [f"{_CORE}/{profile}"]}
        return {"resourceType": resource_type, "id": resource_id, "meta": meta}


def _dosage(medicine: Medicine) -> Resource:
    return {
        "sequence": 1,
        "text": f"Take {medicine.dose:g} {medicine.unit} by mouth once a day",
        "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
        "asNeededBoolean": False,
        "route": _concept(medicine.route),
        "doseAndRate": [{"doseQuantity": _quantity(medicine.dose, medicine.unit)}],
    }


def _concept(coding: FhirCoding) -> Resource:
    return {"coding": [coding._asdict()], "text": coding.display}


def _with_local_code(coding: FhirCoding, number: int) -> Resource:
    """As charts carry it: the standard code beside the site's own."""
    own = {"system": _LOCAL, "code": f"item-{number}", "display": coding.display, "userSelected": True}
    return {"coding": [coding._asdict(), own], "text": coding.display}


def _quantity(value: float, unit: str) -> Resource:
    return {"value": value, "unit": unit, "system": _UCUM, "code": unit}


def _encounter(number: int) -> Resource:
    return {"reference": f"Encounter/encounter-{number}", "display": "Office Visit"}


def _practitioner(number: int) -> Resource:
    return {"reference": f"Practitioner/practitioner-{number % 7}", "display": f"Practitioner {number % 7}, Synthetic"}


def _at_ten(day: date) -> str:
    return f"{day.isoformat()}T10:00:00Z"
