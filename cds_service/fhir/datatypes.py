"""The parts of FHIR R4 data types that the rules read: codes, quantities, periods, dosages, measured values."""

from __future__ import annotations

import msgspec

# What costs much and is seldom looked at is left undecoded until a code has shown that it is wanted.
ABSENT = msgspec.Raw(b"null")


class Element(msgspec.Struct, gc=False, rename="camel"):
    """A part of a resource."""


class Coding(Element):
    """https://hl7.org/fhir/R4/datatypes.html#Coding"""

    system: str | None = None
    code: str | None = None
    display: str | None = None


class Concept(Element):
    """CodeableConcept."""

    coding: list[Coding] | None = None
    text: str | None = None


class Reference(Element):
    """Where another resource is: relative, absolute, urn:uuid, ``#contained``, or only a display."""

    reference: str | None = None
    display: str | None = None


class Period(Element):
    """From start to end, either may be open."""

    start: str | None = None
    end: str | None = None


class Quantity(Element):
    """Quantity, Age and Duration."""

    value: float | None = None
    comparator: str | None = None
    unit: str | None = None
    system: str | None = None
    code: str | None = None


class Range(Element):
    """The low end of a range of quantities: where one is given, the lowest value counts (section 5 step 4)."""

    low: Quantity | None = None


class Ratio(Element):
    """A strength: so much per so much."""

    numerator: Quantity | None = None
    denominator: Quantity | None = None


class Repeat(Element):
    """When doses fall. ``frequencyMax`` is not read: the lowest value counts."""

    bounds_duration: Quantity | None = None
    bounds_range: Range | None = None
    bounds_period: Period | None = None
    frequency: float | None = None
    period: float | None = None
    period_max: float | None = None
    period_unit: str | None = None
    day_of_week: list[str] | None = None
    time_of_day: list[str] | None = None
    when: list[str] | None = None


class Timing(Element):
    """A schedule as numbers, as a code, or both."""

    repeat: Repeat | None = None
    code: Concept | None = None


class DoseAndRate(Element):
    """How much at a time."""

    dose_quantity: Quantity | None = None
    dose_range: Range | None = None


class QuantityExtension(Element):
    """An extension that may hold a quantity (Epic's ordered dose, P-14)."""

    url: str | None = None
    value_quantity: Quantity | None = None


class Dosage(Element):
    """One step of a prescription; ``dose_quantity`` and ``dose_range`` directly in it are the older shape (P-14)."""

    sequence: int | None = None
    text: str | None = None
    timing: Timing | None = None
    as_needed_boolean: bool | None = None
    as_needed_codeable_concept: Concept | None = None
    route: Concept | None = None
    dose_and_rate: list[DoseAndRate] | None = None
    dose_quantity: Quantity | None = None
    dose_range: Range | None = None
    extension: list[QuantityExtension] | None = None


class ReferenceRange(Element):
    """Normal values, as quantities or as text such as ``10-120``."""

    low: Quantity | None = None
    high: Quantity | None = None
    text: str | None = None


class Measured(Element):
    """A component of an Observation."""

    code: Concept | None = None
    value_quantity: msgspec.Raw = ABSENT
    value_integer: int | None = None
    value_string: object = None
    value_codeable_concept: object = None
    value_boolean: object = None
    value_range: object = None
    value_ratio: object = None
    data_absent_reason: Concept | None = None
    reference_range: msgspec.Raw = ABSENT
