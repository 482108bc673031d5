"""Dosage and Timing as numbers, just as written: nothing is computed here, free text is kept but never parsed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from cds_service.coding import NO_SETS
from cds_service.fhir import datatypes
from cds_service.fhir.datatypes import Concept, Quantity, QuantityExtension, Range, Repeat
from cds_service.fhir.reading.codes import DISPLAY_LIMIT
from cds_service.fhir.reading.dates import in_days
from cds_service.fhir.reading.observations import unit_of
from cds_service.fhir.reading.reading import Reading
from cds_service.record import Dosage

# Epic writes the dose that was ordered here: https://open.epic.com/fhir/extensions/ordered-dose (P-14).
_ORDERED_DOSE = "ordered-dose"
_DOSAGES = msgspec.json.Decoder(list[datatypes.Dosage] | None)
_NO_REPEAT = Repeat()


def read_dosages(written: msgspec.Raw, reading: Reading) -> tuple[Dosage, ...]:
    """Every element of dosage or dosageInstruction in the order of the chart."""
    known, key = reading.repeats.dosages, bytes(written)
    dosages = known.get(key)
    if dosages is None:
        dosages = tuple([read_dosage(dosage, reading) for dosage in _DOSAGES.decode(written) or ()])
        if not reading.clock.failed:  # a date that cannot be read is noted for every resource that has it
            known[key] = dosages
    return dosages


def route_sets_of(dosages: Sequence[Dosage]) -> frozenset[str]:
    """The route value sets of all dosages together."""
    if len(dosages) == 1:
        return dosages[0].route_sets
    return NO_SETS.union(*[dosage.route_sets for dosage in dosages])


def read_dosage(written: datatypes.Dosage, reading: Reading) -> Dosage:
    """One element. Texts are cut, codes looked up, numbers left as they are."""
    codes, clock = reading.codes, reading.clock
    timing = written.timing
    repeat = timing.repeat if timing and timing.repeat else _NO_REPEAT
    dose = _dose(written)
    period = repeat.bounds_period
    times, period_length = _frequency(repeat)
    return Dosage(
        sequence=written.sequence,
        dose=dose.value if dose else None,
        unit=unit_of(dose) if dose else None,
        times=times,
        period=period_length,
        period_unit=repeat.period_unit,
        timing_code=codes.timing(timing.code) if timing else None,
        days_of_week=len(repeat.day_of_week or ()),
        times_of_day=len(repeat.time_of_day or ()),
        clock_times=tuple(repeat.time_of_day or ()),
        when=tuple(repeat.when or ()),
        bounds_start=clock.read(period.start) if period else None,
        bounds_end=clock.read(period.end) if period else None,
        bounds_days=_bounds_days(repeat),
        as_needed=bool(written.as_needed_boolean) or written.as_needed_codeable_concept is not None,
        route_sets=codes.named_sets(written.route, codes.vocabulary.route_names),
        route_known=_is_stated(written.route),
        text=written.text[:DISPLAY_LIMIT] if written.text else None,
    )


def _dose(written: datatypes.Dosage) -> Quantity | None:
    """The first dose of doseAndRate, the lowest of a range; else the older places where Epic writes it (P-14)."""
    for rate in written.dose_and_rate or ():
        if dose := _lowest(rate.dose_quantity, rate.dose_range):
            return dose
    return _lowest(written.dose_quantity, written.dose_range) or _ordered_dose(written.extension)


def _lowest(quantity: Quantity | None, dose_range: Range | None) -> Quantity | None:
    dose = quantity or (dose_range.low if dose_range else None)
    return dose if dose is not None and dose.value is not None else None


def _ordered_dose(extensions: Iterable[QuantityExtension] | None) -> Quantity | None:
    ordered = (item for item in extensions or () if item.url and item.url.rsplit("/", 1)[-1] == _ORDERED_DOSE)
    return next((item.value_quantity for item in ordered if item.value_quantity), None)


def _frequency(repeat: Repeat) -> tuple[float | None, float | None]:
    """Times and period, the lowest reading of both: the longer period, once per period where no number is given."""
    period = repeat.period_max or repeat.period
    if repeat.frequency is not None or period is None:
        return repeat.frequency, period
    return 1.0, period


def _bounds_days(repeat: Repeat) -> float | None:
    if repeat.bounds_duration is not None:
        return in_days(repeat.bounds_duration)
    return in_days(repeat.bounds_range.low) if repeat.bounds_range else None


def _is_stated(route: Concept | None) -> bool:
    return route is not None and bool(route.coding or route.text)
