"""A worked patient written as FHIR R4 resources; every code comes from the case or from the tables of ``rules/``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from cds_service.cases import (
    Case,
    CaseActivity,
    CaseCondition,
    CaseMedication,
    CasePlace,
    CaseResult,
    CaseVisit,
    moment,
)
from cds_service.coding import Coding, Site
from cds_service.rule_engine.code_tables import CodeTables

PATIENT_ID = "case"
SNOMED = "http://snomed.info/sct"
ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"
UCUM = "http://unitsofmeasure.org"
SUBJECT = {"reference": f"Patient/{PATIENT_ID}"}
LIMBS = {"arm": "upper", "hand": "upper", "leg": "lower", "foot": "lower"}

Moment = Callable[[str], str]
Resource = dict[str, Any]


def case_resources(case: Case, tables: CodeTables, as_of: datetime) -> tuple[Resource, ...]:
    """The Patient first, then one resource for each line of the case, dated relative to ``as_of``."""
    writer = _Writer(tables, lambda text: moment(text, as_of))
    return (
        writer.patient(case),
        *(writer.condition(i, c) for i, c in enumerate(case.conditions)),
        *(writer.medication(i, m) for i, m in enumerate(case.medications)),
        *(writer.result(i, r) for i, r in enumerate(case.results)),
        *(writer.activity(i, a) for i, a in enumerate(case.activities)),
        *(writer.visit(i, v) for i, v in enumerate(case.visits)),
        *(
            {
                "resourceType": "FamilyMemberHistory",
                "id": f"relative-{i}",
                "status": "completed",
                "patient": SUBJECT,
                "relationship": {"text": r.relation},
                "condition": [{"code": _concept(coding_of(r.code), r.name)}],
            }
            for i, r in enumerate(case.relatives)
        ),
    )


def coding_of(code: str) -> Coding:
    """SNOMED CT for a long number, ICD-10-CM for a letter and digits."""
    return Coding(SNOMED if code.isdigit() else ICD_10_CM, code)


class _Writer:
    def __init__(self, tables: CodeTables, moment: Moment) -> None:
        self._tables = tables
        self._moment = moment

    def patient(self, case: Case) -> Resource:
        patient: Resource = {"resourceType": "Patient", "id": PATIENT_ID}
        if case.sex:
            patient["gender"] = case.sex
        if case.birth_date_known:
            patient["birthDate"] = self._moment(f"T-{round(case.age * 365.25) + 30}d")
        if case.deceased:
            patient["deceasedBoolean"] = True
        return patient

    def condition(self, number: int, case: CaseCondition) -> Resource:
        resource: Resource = {
            "resourceType": "Condition",
            "id": f"condition-{number}",
            "subject": SUBJECT,
            "code": _concept(coding_of(case.code), case.name),
        }
        for name, system, value in (
            ("clinicalStatus", CLINICAL, case.status),
            ("verificationStatus", VERIFICATION, case.verification),
        ):
            if value:
                resource[name] = {"coding": [{"system": system, "code": value}]}
        if case.category:
            resource["category"] = [{"coding": [{"system": CATEGORY, "code": case.category}]}]
        if case.site:
            resource["bodySite"] = [_concept(self._site(site), site) for site in _places(case.site)]
        if case.onset_text:
            resource["onsetString"] = case.onset_text
        self._dates(resource, onsetDateTime=case.onset, recordedDate=case.recorded, abatementDateTime=case.abated)
        return resource

    def medication(self, number: int, case: CaseMedication) -> Resource:
        resource: Resource = {
            "resourceType": {
                "statement": "MedicationStatement",
                "request": "MedicationRequest",
                "dispense": "MedicationDispense",
                "administration": "MedicationAdministration",
            }[case.kind],
            "id": f"medication-{number}",
            "status": case.status,
            "subject": SUBJECT,
            "medicationCodeableConcept": {"text": case.drug} if case.text_only else self._drug(case),
        }
        {
            "statement": self._statement,
            "request": self._request,
            "dispense": self._dispense,
            "administration": self._administration,
        }[case.kind](resource, case)
        return resource

    def _statement(self, resource: Resource, case: CaseMedication) -> None:
        period: Resource = {}
        self._dates(period, start=case.since, end=case.until)
        if period:
            resource["effectivePeriod"] = period
        self._dates(resource, dateAsserted=case.written)
        resource["dosage"] = self._dosages(case)

    def _request(self, resource: Resource, case: CaseMedication) -> None:
        resource["intent"] = "order"
        self._dates(resource, authoredOn=case.written or case.since)
        resource["dosageInstruction"] = self._dosages(case)
        if case.supply_days:
            duration = {"value": case.supply_days, "unit": "d", "system": UCUM, "code": "d"}
            resource["dispenseRequest"] = {"expectedSupplyDuration": duration}

    def _dispense(self, resource: Resource, case: CaseMedication) -> None:
        self._dates(resource, whenHandedOver=case.written or case.since)
        resource["dosageInstruction"] = self._dosages(case)
        if case.supply_days:
            resource["daysSupply"] = {"value": case.supply_days, "unit": "d", "system": UCUM, "code": "d"}

    def _administration(self, resource: Resource, case: CaseMedication) -> None:
        self._dates(resource, effectiveDateTime=case.since)
        resource["dosage"] = {"dose": {"value": case.dose, "unit": case.unit, "system": UCUM, "code": case.unit}}
        if case.route:
            resource["dosage"]["route"] = {"text": case.route}

    def _dosages(self, case: CaseMedication) -> list[Resource]:
        steps = case.steps or ({"since": case.since, "until": case.until, "dose": case.dose},)
        return [self._dosage(case, number, step, len(steps)) for number, step in enumerate(steps, 1)]

    def _dosage(self, case: CaseMedication, number: int, step: Any, count: int) -> Resource:
        repeat: Resource = {"frequency": case.times, "period": case.period, "periodUnit": case.period_unit}
        bounds: Resource = {}
        self._dates(bounds, start=step.get("since"), end=step.get("until"))
        if bounds and (count > 1 or case.kind != "statement"):
            repeat["boundsPeriod"] = bounds
        dosage: Resource = {"timing": {"repeat": repeat}}
        if count > 1:
            dosage["sequence"] = number
        if step.get("dose") is not None:
            quantity = {"value": step["dose"], "unit": case.unit, "system": UCUM, "code": case.unit}
            dosage["doseAndRate"] = [{"doseQuantity": quantity}]
        if case.as_needed:
            dosage["asNeededBoolean"] = True
        if case.route:
            dosage["route"] = {"text": case.route}
        return dosage

    def _drug(self, case: CaseMedication) -> Resource:
        if case.code:
            return _concept(Coding(RXNORM, case.code), case.drug)
        products = self._tables.vocabulary.steroid_products
        found = next(c for c, p in products.items() if c.system == RXNORM and p.ingredient == case.drug)
        return _concept(found, case.drug)

    def result(self, number: int, case: CaseResult) -> Resource:
        resource: Resource = {
            "resourceType": "Observation",
            "id": f"result-{number}",
            "status": "final",
            "subject": SUBJECT,
            "code": _concept(self._first(case.what, case.code), case.what),
            "valueQuantity": _quantity(case.value, case.unit),
        }
        if case.comparator:
            resource["valueQuantity"]["comparator"] = case.comparator
        limits: Resource = {}
        for name, limit in (("low", case.low), ("high", case.high)):
            if limit is not None:
                limits[name] = _quantity(limit, case.unit)
        if case.range_text:
            limits["text"] = case.range_text
        if limits:
            resource["referenceRange"] = [limits]
        if case.specimen:
            resource["specimen"] = {"display": case.specimen}
        if case.site:
            resource["bodySite"] = _concept(self._site(case.site), case.site)
        self._dates(resource, effectiveDateTime=case.on)
        return resource

    def _plan(self, number: int, case: CaseActivity) -> Resource:
        detail: Resource = {"status": "in-progress", "description": case.text or case.what}
        if case.what:
            detail["code"] = _concept(self._first(case.what, None), case.what)
        period: Resource = {}
        self._dates(period, start=case.on)
        return {
            "resourceType": "CarePlan",
            "id": f"activity-{number}",
            "status": case.status or "active",
            "intent": "plan",
            "subject": SUBJECT,
            "period": period,
            "activity": [{"detail": detail}],
        }

    def activity(self, number: int, case: CaseActivity) -> Resource:
        if case.kind == "plan":
            return self._plan(number, case)
        kind, date, status = {
            "procedure": ("Procedure", "performedDateTime", "completed"),
            "report": ("DiagnosticReport", "effectiveDateTime", "final"),
            "order": ("ServiceRequest", "authoredOn", "active"),
        }[case.kind]
        resource: Resource = {
            "resourceType": kind,
            "id": f"activity-{number}",
            "status": case.status or status,
            "subject": SUBJECT,
            "code": _concept(self._first(case.what or "", None), case.what),
        }
        if kind == "ServiceRequest":
            resource["intent"] = "order"
        if case.reason:
            resource["reasonCode"] = [_concept(coding_of(case.reason), case.reason)]
        self._dates(resource, **{date: case.on})
        return resource

    def visit(self, number: int, case: CaseVisit) -> Resource:
        period: Resource = {}
        self._dates(period, start=case.on, end=case.until)
        kind = [_concept(self._first(case.specialty, None), case.specialty)] if case.specialty else []
        if case.kind == "appointment":
            start = period["start"] if "T" in period["start"] else f"{period['start']}T09:00:00Z"
            appointment: Resource = {"resourceType": "Appointment", "id": f"visit-{number}", "start": start}
            participant = [{"actor": SUBJECT, "status": "accepted"}]
            return {**appointment, "status": case.status or "booked", "specialty": kind, "participant": participant}
        encounter: Resource = {
            "resourceType": "Encounter",
            "id": f"visit-{number}",
            "status": case.status or ("finished" if case.setting == "AMB" or case.until else "in-progress"),
            "class": {"system": ACT_CODE, "code": case.setting},
            "subject": SUBJECT,
            "period": period,
        }
        if case.places:
            encounter["location"] = [self._place(place) for place in case.places]
        return {**encounter, "serviceType": kind[0]} if kind else encounter

    def _place(self, case: CasePlace) -> Resource:
        period: Resource = {}
        self._dates(period, start=case.on, end=case.until)
        names = self._tables.vocabulary.specialty_names
        location = {"display": next(text for text, specialty in names.items() if specialty == case.specialty)}
        return {"location": location, **({"period": period} if period else {})}

    def _first(self, value_set: str, code: str | None) -> Coding:
        codings = self._tables.codings[value_set]
        return next((c for c in codings if c.code == code), codings[0])

    def _site(self, words: str) -> Coding:
        side, limb = words.split()
        wanted = Site(side, LIMBS[limb])  # type: ignore[arg-type]  # words of a case file: a wrong one finds nothing
        sites = self._tables.vocabulary.sites
        return next(c for c, site in sites.items() if site == wanted and c.system == SNOMED)

    def _dates(self, resource: Resource, **dates: str | None) -> None:
        for name, text in dates.items():
            if text is not None:
                resource[name] = self._moment(text)


def _quantity(value: float, unit: str | None) -> Resource:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit} if unit else {"value": value}


def _concept(coding: Coding, text: str | None) -> Resource:
    return {"coding": [{"system": coding.system, "code": coding.code, "display": text or coding.code}], "text": text}


def _places(words: str) -> tuple[str, ...]:
    """``left arm`` is one place, ``both legs`` are two."""
    limb = words.removeprefix("both ").removesuffix("s")
    return (f"left {limb}", f"right {limb}") if words.startswith("both ") else (words,)
