"""Observation: results and measurements, with the components of panels as entries of their own."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from cds_service.fhir.datatypes import ABSENT, Measured, Quantity, ReferenceRange
from cds_service.fhir.reading.codes import DISPLAY_LIMIT
from cds_service.fhir.reading.identity import reference_of
from cds_service.fhir.reading.pages import UNREADABLE
from cds_service.fhir.reading.reading import AHEAD, NO_KNOWN_CODE, NO_VALUE, Limits, Reading
from cds_service.fhir.resources import Observation, Specimen
from cds_service.partial_date import PartialDate
from cds_service.record import ObservationEntry

# https://hl7.org/fhir/R4/valueset-observation-status.html: the ones that are results (section 1, obs()).
_RESULT_STATUSES = frozenset({"final", "amended", "corrected"})
_QUANTITY = msgspec.json.Decoder(Quantity | None)
_RANGES = msgspec.json.Decoder(list[ReferenceRange] | None)
_SPECIMEN = msgspec.json.Decoder(Specimen)
_UCUM = "http://unitsofmeasure.org"
_RANGE_TEXT = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*[-–]\s*(\d{1,9}(?:\.\d{1,9})?)\s*(\S{0,20})\s*")
_RANGE_TEXT_LIMIT = 80
_UNIT_LIMIT = 40
_NO_LIMITS: Limits = (None, None)


def read_observation(resource: Observation, full_url: str | None, reading: Reading) -> Sequence[ObservationEntry]:
    """The panel itself and each component that means something; results only, nothing dated ahead (A-48)."""
    if resource.status not in _RESULT_STATUSES:
        return ()
    codes = reading.codes
    sets = codes.meaning(resource.code)
    meant: list[tuple[Observation | Measured, frozenset[str]]] = [(resource, sets)] if sets else []
    for part in resource.component or ():
        if of_part := codes.meaning(part.code):
            meant.append((part, of_part))
    if not meant:
        if sets is None and not any(codes.knows(part.code) for part in resource.component or ()):
            reading.notes.set_aside(resource, full_url, NO_KNOWN_CODE)
        return ()
    effective = _effective(resource, reading)
    if reading.clock.is_ahead(effective):
        reading.notes.set_aside(resource, full_url, AHEAD)
        return ()
    panel = _Panel(resource, reference_of(resource, full_url), effective, reading)
    entries = [entry for part, of_part in meant if (entry := _entry(part, of_part, panel)) is not None]
    if not entries:
        reading.notes.set_aside(resource, full_url, NO_VALUE)
    return entries


class _Panel(msgspec.Struct, frozen=True, gc=False):
    """What all parts of one Observation share."""

    resource: Observation
    reference: str
    effective: PartialDate | None
    reading: Reading


def _entry(part: Observation | Measured, sets: frozenset[str], panel: _Panel) -> ObservationEntry | None:
    quantity = _QUANTITY.decode(part.value_quantity)
    if not _says_something(part, quantity):
        return None
    resource, reading = panel.resource, panel.reading
    codes, body_site = reading.codes, resource.body_site
    coding, display = codes.identity(part.code)
    value, unit, comparator = _value(part, quantity)
    low, high = _limits(part.reference_range, quantity, reading) if part.reference_range is not ABSENT else _NO_LIMITS
    return ObservationEntry(
        reference=panel.reference,
        sets=sets,
        coding=coding,
        display=display,
        effective=panel.effective,
        value=value,
        unit=unit,
        comparator=comparator,
        low=low,
        high=high,
        site=codes.site(part.code, [body_site] if body_site else ()),
        specimen=_specimen(resource) if resource.specimen is not None else "",
    )


def _specimen(resource: Observation) -> str:
    """What the specimen is, in lower-case words: its display, or the type of a contained Specimen (B-65)."""
    words = [resource.specimen.display] if resource.specimen is not None else []
    for raw in resource.contained or ():
        try:
            kind = _SPECIMEN.decode(raw).type
        except UNREADABLE:
            continue  # another type, or not readable: then the display must do
        if kind is not None:
            words += [kind.text, *(coding.display for coding in kind.coding or ())]
    return " ".join(filter(None, words)).lower()[:DISPLAY_LIMIT]


def _effective(resource: Observation, reading: Reading) -> PartialDate | None:
    clock = reading.clock
    moment = clock.read(resource.effective_date_time, resource.effective_instant)
    return moment or clock.end_or_start(resource.effective_period)


def _says_something(part: Observation | Measured, quantity: Quantity | None) -> bool:
    """A value of any type, or a panel that only groups others; never with dataAbsentReason (section 1, obs())."""
    if part.data_absent_reason is not None:
        return False
    if quantity is not None and quantity.value is not None:
        return True
    if isinstance(part, Observation) and (part.component or part.has_member):
        return True
    others = (
        part.value_integer,
        part.value_string,
        part.value_codeable_concept,
        part.value_boolean,
        part.value_range,
        part.value_ratio,
    )
    return any(value is not None for value in others)


def _value(part: Observation | Measured, quantity: Quantity | None) -> tuple[float | None, str | None, str | None]:
    """Value, unit and comparator. Words are not read as numbers."""
    if quantity is not None:
        return quantity.value, unit_of(quantity), quantity.comparator
    integer = part.value_integer
    return (float(integer) if integer is not None else None), None, None


def unit_of(quantity: Quantity) -> str | None:
    """The UCUM code, else the unit as written; a code of another system is used only when no unit is written."""
    is_ucum = quantity.code and quantity.system in (None, _UCUM)
    unit = quantity.code if is_ucum else quantity.unit or quantity.code
    return unit[:_UNIT_LIMIT] if unit else None


def _limits(written: msgspec.Raw, value: Quantity | None, reading: Reading) -> Limits:
    """Low and high of the first range, in the value's unit. All results of one kind have the same ones."""
    known = reading.repeats.limits
    key = (bytes(written), value.code, value.unit) if value is not None else (bytes(written), None, None)
    limits = known.get(key)
    if limits is None:
        limits = known[key] = _read_limits(_RANGES.decode(written), value)
    return limits


def _read_limits(ranges: list[ReferenceRange] | None, value: Quantity | None) -> Limits:
    """As quantities, else from a text such as 10-120 (B-24)."""
    if not ranges:
        return _NO_LIMITS
    first = ranges[0]
    if first.low is not None or first.high is not None:
        return _limit(first.low, value), _limit(first.high, value)
    if not first.text or len(first.text) > _RANGE_TEXT_LIMIT:
        return _NO_LIMITS
    written = _RANGE_TEXT.fullmatch(first.text)
    if written is None or not _is_unit_of(written[3], value):
        return _NO_LIMITS
    return float(written[1]), float(written[2])


def _limit(limit: Quantity | None, value: Quantity | None) -> float | None:
    if limit is None:
        return None
    units = [unit for unit in (limit.code, limit.unit) if unit]
    return limit.value if not units or any(_is_unit_of(unit, value) for unit in units) else None


def _is_unit_of(unit: str, value: Quantity | None) -> bool:
    return not unit or (value is not None and unit in (value.code, value.unit))
