"""FHIR datatypes as the short texts that the chart page shows; nothing is interpreted but a result's own range."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

Resource = Mapping[str, Any]

NOT_NAMED = "(no name)"
# Bidirectional, zero-width and control characters could make a row look like another: they are shown as a mark (T11).
_DECEIVING = re.compile(
    "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)
_PERIOD_WORDS = {"s": "second", "min": "minute", "h": "hour", "d": "day", "wk": "week", "mo": "month", "a": "year"}


def plain(text: object) -> str:
    """A text of the chart without characters that deceive the eye: each becomes U+FFFD."""
    return _DECEIVING.sub("\ufffd", str(text))


def listed(value: Any) -> list[Any]:
    """An element that R4 has once or many times, as a list."""
    return value if isinstance(value, list) else [value] if value else []


def first(value: Any) -> dict[str, Any]:
    """The first of a list, or the value itself; an empty object when there is none."""
    return next(iter(listed(value)), {})


def concept_text(concept: Resource | None) -> str:
    """The text of a CodeableConcept, else its first display, else its first code."""
    concept = concept or {}
    coding = first(concept.get("coding"))
    return plain(concept.get("text") or coding.get("display") or coding.get("code") or NOT_NAMED)


def first_code(concept: Resource | None) -> str:
    """The first code of a CodeableConcept; empty when there is none."""
    return plain(first((concept or {}).get("coding")).get("code", ""))


def dosage_text(dosage: Resource) -> str:
    """A Dosage as written, else its amount, how often, and the route."""
    if "text" in dosage:
        return plain(dosage["text"])
    amount = first(dosage.get("doseAndRate")).get("doseQuantity") or dosage.get("doseQuantity") or dosage.get("dose")
    repeat = dosage.get("timing", {}).get("repeat", {})
    often = ""
    if "periodUnit" in repeat:
        often = _often(repeat.get("frequency", 1), repeat.get("period", 1), repeat["periodUnit"])
    route = concept_text(dosage["route"]) if "route" in dosage else ""
    needed = "as needed" if dosage.get("asNeededBoolean") or "asNeededCodeableConcept" in dosage else ""
    return ", ".join(part for part in (quantity_text(amount or {}), often, needed, route) if part)


def _often(times: float, period: float, unit: str) -> str:
    word = _PERIOD_WORDS.get(unit, unit)
    every = f"a {word}" if period == 1 else f"every {_number(period)} {word}s"
    return f"{_number(times)} × {every}"


def value_text(element: Resource) -> str:
    """Whatever ``value[x]`` holds, as text."""
    if "valueQuantity" in element:
        return quantity_text(element["valueQuantity"])
    if "valueCodeableConcept" in element:
        return concept_text(element["valueCodeableConcept"])
    simple = next(
        (element[key] for key in ("valueString", "valueInteger", "valueBoolean", "valueDateTime") if key in element), ""
    )
    return plain(simple)


def quantity_text(quantity: Resource) -> str:
    """Number and unit with their comparator; empty without a number."""
    if "value" not in quantity:
        return ""
    unit = quantity.get("unit") or quantity.get("code") or ""
    return plain(f"{quantity.get('comparator', '')}{_number(quantity['value'])} {unit}".strip())


def _number(value: float) -> str:
    return f"{float(value):.10g}"


def range_text(limits: Resource) -> str:
    """A reference range; empty when it has neither limit nor text."""
    low, high = (limits.get(end, {}) for end in ("low", "high"))
    if "value" in low and "value" in high:
        return f"{_number(low['value'])} – {quantity_text(high)}"
    if "value" in low:
        return f"from {quantity_text(low)}"
    return f"up to {quantity_text(high)}" if "value" in high else plain(limits.get("text", ""))


def range_flag(resource: Resource, limits: Resource) -> str:
    """High or low against the result's own reference range."""
    value = resource.get("valueQuantity", {}).get("value")
    low, high = (limits.get(end, {}).get("value") for end in ("low", "high"))
    if value is None:
        return ""
    if high is not None and value > high:
        return "high"
    return "low" if low is not None and value < low else ""


def day(moment: Any) -> str:
    """The calendar day of a FHIR date, dateTime or instant; a partial date as it is."""
    return plain(moment or "")[: len("YYYY-MM-DD")]


def span(start: Any, end: Any) -> str:
    """The days of a period as ``first – last``; one day once."""
    began, ended = day(start), day(end)
    if began == ended or not ended:
        return began
    return f"{began} – {ended}" if began else f"until {ended}"


def age_in_years(birth_date: str, today: date) -> int | None:
    """Completed years; None unless the birth date is a whole one."""
    try:
        born = date.fromisoformat(birth_date)
    except ValueError:
        return None
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
