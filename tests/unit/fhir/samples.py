"""Small FHIR JSON and a small vocabulary for the reader's tests.

Codes were seen in the sources that ``rules/`` names, in HL7's R4 examples or in Synthea charts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from cds_service.coding import Coding, Site, Sites, SteroidProduct, ValueSets, Vocabulary
from cds_service.fhir.reader import SourcePayload, read_record
from cds_service.record import PatientRecord, SourceState

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
GTS = "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation"
SNOMED_OID = "urn:oid:2.16.840.1.113883.6.96"

ZONE = ZoneInfo("Europe/Berlin")
AS_OF = datetime(2026, 11, 27, 12, 0, tzinfo=ZONE)

MUSCLE_WEAKNESS = {"system": SNOMED, "code": "26544005", "display": "Muscle weakness (finding)"}
LEFT_LEG = {"system": SNOMED, "code": "32153003", "display": "Structure of left lower limb"}
RIGHT_LEG = {"system": SNOMED, "code": "62175007", "display": "Structure of right lower limb"}
LOWER_LIMB = {"system": SNOMED, "code": "61685007", "display": "Lower limb structure"}
UNILATERAL_LEFT = {"system": SNOMED, "code": "419161000", "display": "Unilateral left"}
CREATINE_KINASE = {"system": LOINC, "code": "2157-6", "display": "Creatine kinase"}
BODY_WEIGHT = {"system": LOINC, "code": "29463-7", "display": "Body weight"}
PREDNISONE = {"system": RXNORM, "code": "8640", "display": "prednisone"}
PREDNISONE_20 = {"system": RXNORM, "code": "312615", "display": "prednisone 20 MG Oral Tablet"}
HYDROCORTISONE_CREAM = {"system": RXNORM, "code": "106258", "display": "hydrocortisone 10 MG/ML Topical Cream"}
HYDROCORTISONE = {"system": RXNORM, "code": "5492", "display": "hydrocortisone"}
NEUROLOGY = {"system": SNOMED, "code": "394591006", "display": "Neurology"}
ELECTROMYOGRAPHY = {"system": SNOMED, "code": "42803009", "display": "Electromyography"}
NERVE_CONDUCTION = {"system": LOINC, "code": "29755-6", "display": "Nerve conduction study"}
HOSPICE = {"system": SNOMED, "code": "385763009", "display": "Hospice care"}
EMG_ORDER = {"system": "urn:atrophy-cds:orders", "code": "emg-ncs"}


def _coding(written: Mapping[str, str]) -> Coding:
    return Coding(written["system"], written["code"])


VOCABULARY = Vocabulary(
    milligrams={"mg": 1, "g": 1000, "milligram": 1},
    value_sets=ValueSets(
        exact={
            _coding(MUSCLE_WEAKNESS): frozenset({"weakness"}),
            Coding(ICD10CM, "M62.81"): frozenset({"weakness", "nonspecific-weakness"}),
            _coding(CREATINE_KINASE): frozenset({"creatine-kinase"}),
            _coding(BODY_WEIGHT): frozenset({"weight"}),
            _coding(NEUROLOGY): frozenset({"specialty-neurology"}),
            _coding(ELECTROMYOGRAPHY): frozenset({"electromyography"}),
            _coding(NERVE_CONDUCTION): frozenset({"nerve-conduction-study"}),
            _coding(HOSPICE): frozenset({"hospice"}),
            _coding(EMG_ORDER): frozenset({"emg-ncs"}),
            _coding(PREDNISONE): frozenset(),
        },
        prefixes={ICD10CM: [("G35", frozenset({"multiple-sclerosis"})), ("G81", frozenset({"paralysis"}))]},
        system_aliases={SNOMED_OID: SNOMED},
    ),
    sites=Sites(
        {
            _coding(LEFT_LEG): Site("left", "lower"),
            _coding(RIGHT_LEG): Site("right", "lower"),
            _coding(LOWER_LIMB): Site(None, "lower"),
            _coding(UNILATERAL_LEFT): Site("left", None),
            Coding(ICD10CM, "G81.91"): Site("right", None),
        },
        {},
    ),
    steroid_products={
        _coding(PREDNISONE): SteroidProduct("prednisone"),
        _coding(PREDNISONE_20): SteroidProduct("prednisone", 20.0, "tablet", "oral-solid", systemic=True),
        _coding(HYDROCORTISONE_CREAM): SteroidProduct("hydrocortisone", form="topical", systemic=False),
        _coding(HYDROCORTISONE): SteroidProduct("hydrocortisone"),
    },
    steroid_names={
        name: name for name in ("methylprednisolone", "prednisone", "prednisolone", "hydrocortisone", "cortisone")
    },
    local_route_words=frozenset({"cream", "inhaler", "intra-articular"}),
    specialty_names={"neurology": "specialty-neurology", "intensive care": "specialty-critical-care"},
    route_names={"by mouth": frozenset({"route-systemic"})},
    timing_names={name: Coding(GTS, code) for code, name in (("BID", "bid"), ("QD", "qd"), ("Q1H", "every hour"))},
    care_plan_words={"weight": frozenset({"weight-loss-programme"})},
)

PATIENT = {"resourceType": "Patient", "id": "p1", "birthDate": "1970-05-10", "gender": "female"}


def concept(*codings: Mapping[str, str], text: str | None = None) -> dict[str, Any]:
    """A CodeableConcept."""
    return {"coding": list(codings)} | ({"text": text} if text else {})


def resource(resource_type: str, resource_id: str | None = "r1", **fields: Any) -> dict[str, Any]:
    """A resource of patient p1; ``subject=None`` leaves the subject out."""
    written = {"resourceType": resource_type, "id": resource_id, "subject": {"reference": "Patient/p1"}} | fields
    return {name: value for name, value in written.items() if value is not None}


def condition(resource_id: str | None = "c1", **fields: Any) -> dict[str, Any]:
    """Muscle weakness, unless another code is given."""
    return resource("Condition", resource_id, **({"code": concept(MUSCLE_WEAKNESS)} | fields))


def observation(resource_id: str | None = "o1", **fields: Any) -> dict[str, Any]:
    """A final creatine kinase of 5200 U/L, yesterday."""
    return resource(
        "Observation",
        resource_id,
        **{
            "status": "final",
            "code": concept(CREATINE_KINASE),
            "effectiveDateTime": "2026-11-26",
            "valueQuantity": quantity(5200, "U/L"),
        }
        | fields,
    )


def quantity(value: float, code: str) -> dict[str, Any]:
    """A UCUM quantity."""
    return {"value": value, "unit": code, "system": "http://unitsofmeasure.org", "code": code}


def entry(item: Any, *, full_url: str | None = None, mode: str | None = "match") -> dict[str, Any]:
    """A Bundle entry."""
    written = {"fullUrl": full_url, "resource": item, "search": {"mode": mode} if mode else None}
    return {name: value for name, value in written.items() if value is not None}


def bundle(*items: Any) -> dict[str, Any]:
    """A searchset; items that are entries already (or null) stay as they are."""
    entries = [item if item is None or "resource" in item else entry(item) for item in items]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries}


def outcome(severity: str, code: str, detail_code: str | None = None) -> dict[str, Any]:
    """An OperationOutcome with one issue."""
    issue: dict[str, Any] = {"severity": severity, "code": code}
    if detail_code:
        issue["details"] = {"coding": [{"system": "urn:oid:1.2.840.114350.1.13.0.1.7.2.657369", "code": detail_code}]}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def payload(name: Any, *pages: Any, **fields: Any) -> SourcePayload:
    """A source; pages are bytes or what becomes JSON."""
    encoded = tuple(page if isinstance(page, bytes) else json.dumps(page).encode() for page in pages)
    written: dict[str, Any] = {"origin": "prefetch", "state": SourceState.COMPLETE} | fields
    return SourcePayload(name=name, pages=encoded, **written)


def read(*payloads: SourcePayload, patient: Any = PATIENT, **options: Any) -> PatientRecord:
    """The record of p1; the Patient resource is added unless it is among the payloads."""
    if not any(given.name == "patient" for given in payloads):
        payloads = (payload("patient", patient), *payloads)
    return read_record(payloads, "p1", **({"vocabulary": VOCABULARY, "as_of": AS_OF} | options))
