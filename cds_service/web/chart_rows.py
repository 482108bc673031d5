"""A patient's Bundle as the rows of the chart page: every text as the chart has it, nothing interpreted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date

import msgspec

from cds_service.web.chart_text import (
    NOT_NAMED,
    Resource,
    age_in_years,
    concept_text,
    day,
    dosage_text,
    first,
    first_code,
    listed,
    plain,
    quantity_text,
    range_flag,
    range_text,
    span,
    value_text,
)

_PAST = frozenset(
    {"resolved", "inactive", "remission", "refuted", "entered-in-error", "stopped", "completed", "cancelled", "revoked"}
)
_KINDS = {
    "MedicationStatement": "statement",
    "MedicationRequest": "ordered",
    "MedicationDispense": "dispensed",
    "MedicationAdministration": "given",
    "Procedure": "procedure",
    "DiagnosticReport": "report",
    "ServiceRequest": "order",
    "CarePlan": "care plan",
    "Appointment": "appointment",
}


class Banner(msgspec.Struct, frozen=True):
    """Who the patient is. ``age`` is in completed years, None without a full birth date."""

    name: str
    birth_date: str
    age: int | None
    sex: str
    record_number: str
    deceased: bool


class Row(msgspec.Struct, frozen=True):
    """One line of a table. ``anchor`` is the resource's Type-id; ``past``: no longer so, shown dimmed."""

    anchor: str
    name: str
    note: str = ""
    value: str = ""
    status: str = ""
    date: str = ""
    past: bool = False


class Chart(msgspec.Struct, frozen=True):
    """The tables of the page, what is current first, then the newest first."""

    problems: tuple[Row, ...]
    medications: tuple[Row, ...]
    results: tuple[Row, ...]
    visits: tuple[Row, ...]
    activities: tuple[Row, ...]
    family: tuple[Row, ...]


def read_banner(bundle: Resource, today: date) -> Banner:
    """The patient of the Bundle; without a Patient, a banner that says nothing."""
    patient = next(iter(_resources(bundle, "Patient")), {})
    name = first(patient.get("name"))
    born = str(patient.get("birthDate", ""))
    number = first(patient.get("identifier")).get("value") or patient.get("id", "")
    return Banner(
        name=plain(name.get("text") or " ".join([*name.get("given", ()), name.get("family", "")]).strip() or NOT_NAMED),
        birth_date=plain(born or "not known"),
        age=age_in_years(born, today),
        sex=plain(patient.get("gender", "not known")),
        record_number=plain(number),
        deceased=bool(patient.get("deceasedBoolean") or patient.get("deceasedDateTime")),
    )


def read_chart(bundle: Resource) -> Chart:
    """Every resource of the Bundle that has a place on the page."""
    medications = {f"Medication/{r.get('id')}": r for r in _resources(bundle, "Medication")}

    def medication(resource: Resource) -> Row:
        return _medication(resource, medications)

    return Chart(
        problems=_table(bundle, _problem, "Condition"),
        medications=_table(
            bundle,
            medication,
            "MedicationStatement",
            "MedicationRequest",
            "MedicationDispense",
            "MedicationAdministration",
        ),
        results=_table(bundle, _result, "Observation"),
        visits=_table(bundle, _visit, "Encounter", "Appointment"),
        activities=_table(bundle, _activity, "Procedure", "DiagnosticReport", "ServiceRequest", "CarePlan"),
        family=_table(bundle, _relative, "FamilyMemberHistory"),
    )


# --- the tables ------------------------------------------------------------------------------------------------------


def _problem(resource: Resource) -> Row:
    clinical = first_code(resource.get("clinicalStatus"))
    verification = first_code(resource.get("verificationStatus"))
    site = ", ".join(map(concept_text, resource.get("bodySite", ())))
    return Row(
        anchor=_anchor(resource),
        name=concept_text(resource.get("code")),
        note=site,
        status=", ".join(word for word in (clinical, "" if verification == "confirmed" else verification) if word),
        date=_onset(resource),
        past=bool({clinical, verification} & _PAST),
    )


def _medication(resource: Resource, medications: Mapping[str, Resource]) -> Row:
    status = resource.get("status", "")
    dosages = listed(resource.get("dosage") or resource.get("dosageInstruction"))
    period = resource.get("effectivePeriod", {})
    written = next((resource[key] for key in _WRITTEN if key in resource), None)
    return Row(
        anchor=_anchor(resource),
        name=_drug(resource, medications),
        note=_KINDS[resource["resourceType"]],
        value="\n".join(map(dosage_text, dosages)),
        status=plain(status),
        date=span(period.get("start"), period.get("end")) or day(written),
        past=status in _PAST or bool(period.get("end")),
    )


_WRITTEN = ("effectiveDateTime", "authoredOn", "whenHandedOver", "whenPrepared", "dateAsserted")


def _result(resource: Resource) -> Row:
    components = [f"{concept_text(part.get('code'))}: {value_text(part)}" for part in resource.get("component", ())]
    limits = first(resource.get("referenceRange"))
    return Row(
        anchor=_anchor(resource),
        name=concept_text(resource.get("code")),
        note=range_text(limits),
        value=value_text(resource) or "; ".join(components) or "no value",
        status=range_flag(resource, limits)
        or ("" if resource.get("status") == "final" else plain(resource.get("status"))),
        date=day(resource.get("effectiveDateTime") or resource.get("effectivePeriod", {}).get("start")),
    )


def _visit(resource: Resource) -> Row:
    setting = resource.get("class", {})
    kinds = [*listed(resource.get("type")), *listed(resource.get("serviceType")), *listed(resource.get("specialty"))]
    period = resource.get("period", resource)
    return Row(
        anchor=_anchor(resource),
        name=", ".join(dict.fromkeys(map(concept_text, kinds))) or plain(setting.get("display") or "Visit"),
        note=plain(setting.get("display") or setting.get("code") or _KINDS.get(resource["resourceType"], "")),
        status=plain(resource.get("status", "")),
        date=span(period.get("start"), period.get("end")),
    )


def _activity(resource: Resource) -> Row:
    dates = ("performedDateTime", "effectiveDateTime", "authoredOn", "issued", "created")
    period = resource.get("performedPeriod") or resource.get("period") or {}
    dated = next((resource[key] for key in dates if key in resource), period.get("start"))
    name = concept_text(resource["code"]) if "code" in resource else plain(resource.get("title", NOT_NAMED))
    return Row(
        anchor=_anchor(resource),
        name=name,
        note=_KINDS[resource["resourceType"]],
        status=plain(resource.get("status", "")),
        date=day(dated),
        past=resource.get("status") in _PAST - {"completed"},
    )


def _relative(resource: Resource) -> Row:
    conditions = [concept_text(one.get("code")) for one in resource.get("condition", ())]
    return Row(
        anchor=_anchor(resource),
        name=", ".join(conditions) or NOT_NAMED,
        note=concept_text(resource.get("relationship")),
        date=day(resource.get("date")),
    )


# --- parts of resources ----------------------------------------------------------------------------------------------


def _resources(bundle: Resource, *types: str) -> Iterable[Resource]:
    for entry in bundle.get("entry", ()):
        if entry.get("resource", {}).get("resourceType") in types:
            yield entry["resource"]


def _table(bundle: Resource, row: Callable[[Resource], Row], *types: str) -> tuple[Row, ...]:
    newest_first = sorted(
        map(row, _resources(bundle, *types)), key=lambda r: r.date.removeprefix("recorded "), reverse=True
    )
    return tuple(sorted(newest_first, key=lambda r: r.past))


def _anchor(resource: Resource) -> str:
    return f"{resource['resourceType']}-{resource.get('id', '')}"


def _drug(resource: Resource, medications: Mapping[str, Resource]) -> str:
    if "medicationCodeableConcept" in resource:
        return concept_text(resource["medicationCodeableConcept"])
    reference = resource.get("medicationReference", {})
    target = str(reference.get("reference", ""))
    contained = {f"#{r.get('id')}": r for r in resource.get("contained", ())}
    found = contained.get(target) or medications.get("/".join(target.split("/")[-2:]))
    return concept_text(found.get("code")) if found else plain(reference.get("display", NOT_NAMED))


def _onset(resource: Resource) -> str:
    started = resource.get("onsetDateTime") or resource.get("onsetPeriod", {}).get("start")
    if started:
        return span(started, resource.get("abatementDateTime") or resource.get("abatementPeriod", {}).get("end"))
    if "onsetAge" in resource:
        return f"at {quantity_text(resource['onsetAge'])}"
    if "onsetString" in resource:
        return plain(resource["onsetString"])
    return f"recorded {day(resource['recordedDate'])}" if "recordedDate" in resource else ""
