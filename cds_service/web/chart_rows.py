"""A patient's Bundle as the rows of the chart page: every text as the chart has it, nothing interpreted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

import msgspec

Resource = Mapping[str, Any]

NOT_NAMED = "(no name)"
# Bidirectional, zero-width and control characters could make a row look like another: they are shown as a mark (T11).
_DECEIVING = re.compile("[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_PERIOD_WORDS = {"s": "second", "min": "minute", "h": "hour", "d": "day", "wk": "week", "mo": "month", "a": "year"}
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
    name = _first(patient.get("name"))
    born = str(patient.get("birthDate", ""))
    number = _first(patient.get("identifier")).get("value") or patient.get("id", "")
    return Banner(
        name=plain(name.get("text") or " ".join([*name.get("given", ()), name.get("family", "")]).strip() or NOT_NAMED),
        birth_date=plain(born or "not known"),
        age=_age(born, today),
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


def plain(text: object) -> str:
    """A text of the chart without characters that deceive the eye: each becomes U+FFFD."""
    return _DECEIVING.sub("\ufffd", str(text))


# --- the tables ------------------------------------------------------------------------------------------------------


def _problem(resource: Resource) -> Row:
    clinical = _code(resource.get("clinicalStatus"))
    verification = _code(resource.get("verificationStatus"))
    site = ", ".join(map(_concept, resource.get("bodySite", ())))
    return Row(
        anchor=_anchor(resource),
        name=_concept(resource.get("code")),
        note=site,
        status=", ".join(word for word in (clinical, "" if verification == "confirmed" else verification) if word),
        date=_onset(resource),
        past=bool({clinical, verification} & _PAST),
    )


def _medication(resource: Resource, medications: Mapping[str, Resource]) -> Row:
    status = resource.get("status", "")
    dosages = resource.get("dosage") or resource.get("dosageInstruction") or ()
    period = resource.get("effectivePeriod", {})
    written = next((resource[key] for key in _WRITTEN if key in resource), None)
    return Row(
        anchor=_anchor(resource),
        name=_drug(resource, medications),
        note=_KINDS[resource["resourceType"]],
        value="; ".join(map(_dosage, dosages if isinstance(dosages, list) else [dosages])),
        status=plain(status),
        date=_span(period.get("start"), period.get("end")) or _day(written),
        past=status in _PAST or bool(period.get("end")),
    )


_WRITTEN = ("effectiveDateTime", "authoredOn", "whenHandedOver", "whenPrepared", "dateAsserted")


def _result(resource: Resource) -> Row:
    components = [f"{_concept(part.get('code'))}: {_value(part)}" for part in resource.get("component", ())]
    limits = _first(resource.get("referenceRange"))
    return Row(
        anchor=_anchor(resource),
        name=_concept(resource.get("code")),
        note=_limits(limits),
        value=_value(resource) or "; ".join(components) or "no value",
        status=_flag(resource, limits) or ("" if resource.get("status") == "final" else plain(resource.get("status"))),
        date=_day(resource.get("effectiveDateTime") or resource.get("effectivePeriod", {}).get("start")),
    )


def _visit(resource: Resource) -> Row:
    setting = resource.get("class", {})
    kinds = [*_listed(resource.get("type")), *_listed(resource.get("serviceType")), *_listed(resource.get("specialty"))]
    period = resource.get("period", resource)
    return Row(
        anchor=_anchor(resource),
        name=", ".join(dict.fromkeys(map(_concept, kinds))) or plain(setting.get("display") or "Visit"),
        note=plain(setting.get("display") or setting.get("code") or _KINDS.get(resource["resourceType"], "")),
        status=plain(resource.get("status", "")),
        date=_span(period.get("start"), period.get("end")),
    )


def _activity(resource: Resource) -> Row:
    dates = ("performedDateTime", "effectiveDateTime", "authoredOn", "issued", "created")
    period = resource.get("performedPeriod") or resource.get("period") or {}
    dated = next((resource[key] for key in dates if key in resource), period.get("start"))
    name = _concept(resource["code"]) if "code" in resource else plain(resource.get("title", NOT_NAMED))
    return Row(
        anchor=_anchor(resource),
        name=name,
        note=_KINDS[resource["resourceType"]],
        status=plain(resource.get("status", "")),
        date=_day(dated),
        past=resource.get("status") in _PAST - {"completed"},
    )


def _relative(resource: Resource) -> Row:
    conditions = [_concept(one.get("code")) for one in resource.get("condition", ())]
    return Row(
        anchor=_anchor(resource),
        name=", ".join(conditions) or NOT_NAMED,
        note=_concept(resource.get("relationship")),
        date=_day(resource.get("date")),
    )


# --- parts of resources ----------------------------------------------------------------------------------------------


def _resources(bundle: Resource, *types: str) -> Iterable[Resource]:
    for entry in bundle.get("entry", ()):
        if entry.get("resource", {}).get("resourceType") in types:
            yield entry["resource"]


def _table(bundle: Resource, row: Callable[[Resource], Row], *types: str) -> tuple[Row, ...]:
    newest_first = sorted(map(row, _resources(bundle, *types)), key=lambda r: r.date.removeprefix("recorded "), reverse=True)
    return tuple(sorted(newest_first, key=lambda r: r.past))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _first(value: Any) -> dict[str, Any]:
    listed = _listed(value)
    return listed[0] if listed else {}


def _anchor(resource: Resource) -> str:
    return f"{resource['resourceType']}-{resource.get('id', '')}"


def _concept(concept: Resource | None) -> str:
    """The text of a CodeableConcept, else its first display, else its first code."""
    concept = concept or {}
    coding = _first(concept.get("coding"))
    return plain(concept.get("text") or coding.get("display") or coding.get("code") or NOT_NAMED)


def _code(concept: Resource | None) -> str:
    return plain(_first((concept or {}).get("coding")).get("code", ""))


def _drug(resource: Resource, medications: Mapping[str, Resource]) -> str:
    if "medicationCodeableConcept" in resource:
        return _concept(resource["medicationCodeableConcept"])
    reference = resource.get("medicationReference", {})
    target = str(reference.get("reference", ""))
    contained = {f"#{r.get('id')}": r for r in resource.get("contained", ())}
    found = contained.get(target) or medications.get("/".join(target.split("/")[-2:]))
    return _concept(found.get("code")) if found else plain(reference.get("display", NOT_NAMED))


def _dosage(dosage: Resource) -> str:
    if "text" in dosage:
        return plain(dosage["text"])
    amount = _first(dosage.get("doseAndRate")).get("doseQuantity") or dosage.get("doseQuantity") or dosage.get("dose")
    repeat = dosage.get("timing", {}).get("repeat", {})
    often = ""
    if "periodUnit" in repeat:
        often = _often(repeat.get("frequency", 1), repeat.get("period", 1), repeat["periodUnit"])
    route = _concept(dosage["route"]) if "route" in dosage else ""
    needed = "as needed" if dosage.get("asNeededBoolean") or "asNeededCodeableConcept" in dosage else ""
    return ", ".join(part for part in (_quantity(amount or {}), often, needed, route) if part)


def _often(times: float, period: float, unit: str) -> str:
    word = _PERIOD_WORDS.get(unit, unit)
    every = f"a {word}" if period == 1 else f"every {_number(period)} {word}s"
    return f"{_number(times)} × {every}"


def _value(element: Resource) -> str:
    """Whatever ``value[x]`` holds, as text."""
    if "valueQuantity" in element:
        return _quantity(element["valueQuantity"])
    if "valueCodeableConcept" in element:
        return _concept(element["valueCodeableConcept"])
    simple = next((element[key] for key in ("valueString", "valueInteger", "valueBoolean", "valueDateTime") if key in element), "")
    return plain(simple)


def _quantity(quantity: Resource) -> str:
    if "value" not in quantity:
        return ""
    unit = quantity.get("unit") or quantity.get("code") or ""
    return plain(f"{quantity.get('comparator', '')}{_number(quantity['value'])} {unit}".strip())


def _number(value: float) -> str:
    return f"{float(value):.10g}"


def _limits(limits: Resource) -> str:
    low, high = (_quantity(limits.get(end, {})) for end in ("low", "high"))
    if low and high:
        return f"range {low} – {high}"
    return f"from {low}" if low else f"up to {high}" if high else plain(limits.get("text", ""))


def _flag(resource: Resource, limits: Resource) -> str:
    """High or low against the result's own reference range."""
    value = resource.get("valueQuantity", {}).get("value")
    low, high = (limits.get(end, {}).get("value") for end in ("low", "high"))
    if value is None:
        return ""
    if high is not None and value > high:
        return "high"
    return "low" if low is not None and value < low else ""


def _onset(resource: Resource) -> str:
    started = resource.get("onsetDateTime") or resource.get("onsetPeriod", {}).get("start")
    if started:
        return _span(started, resource.get("abatementDateTime") or resource.get("abatementPeriod", {}).get("end"))
    if "onsetAge" in resource:
        return f"at {_quantity(resource['onsetAge'])}"
    if "onsetString" in resource:
        return plain(resource["onsetString"])
    return f"recorded {_day(resource['recordedDate'])}" if "recordedDate" in resource else ""


def _day(moment: Any) -> str:
    """The calendar day of a FHIR date, dateTime or instant; a partial date as it is."""
    return plain(moment or "")[: len("YYYY-MM-DD")]


def _span(start: Any, end: Any) -> str:
    first, last = _day(start), _day(end)
    if first == last or not last:
        return first
    return f"{first} – {last}" if first else f"until {last}"


def _age(birth_date: str, today: date) -> int | None:
    try:
        born = date.fromisoformat(birth_date)
    except ValueError:
        return None
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
