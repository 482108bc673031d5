"""MedicationStatement, MedicationRequest, MedicationDispense and MedicationAdministration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from cds_service.fhir import datatypes
from cds_service.fhir.reading.dates import in_days
from cds_service.fhir.reading.dosages import read_dosage, read_dosages, route_sets_of
from cds_service.fhir.reading.drugs import DrugNaming, read_drug
from cds_service.fhir.reading.identity import reference_of
from cds_service.fhir.reading.observations import unit_of
from cds_service.fhir.reading.reading import AHEAD, NO_KNOWN_CODE, Reading
from cds_service.fhir.resources import (
    DispenseRequest,
    MedicationAdministration,
    MedicationDispense,
    MedicationRequest,
    MedicationResource,
    MedicationStatement,
)
from cds_service.partial_date import PartialDate
from cds_service.record import Dosage, MedicationEntry

_NO_SUPPLY = DispenseRequest()
_ResourceType = Literal["MedicationStatement", "MedicationRequest", "MedicationDispense", "MedicationAdministration"]


class _Course(msgspec.Struct, frozen=True, gc=False):
    """What the four resource types say in different places. Names and units as in MedicationEntry."""

    resource_type: _ResourceType
    start: PartialDate | None = None
    end: PartialDate | None = None
    is_period: bool = False
    written: PartialDate | None = None
    dosages: tuple[Dosage, ...] = ()
    supply_days: float | None = None
    quantity: float | None = None
    quantity_unit: str | None = None
    refills: int = 0
    intent: str | None = None
    do_not_perform: bool = False


def read_medication(
    resource: MedicationResource, full_url: str | None, reading: Reading
) -> tuple[MedicationEntry, ...]:
    """One entry when the drug means something. Not yet begun or dated ahead: set aside (A-48)."""
    drug = read_drug(resource, reading)
    if isinstance(drug, DrugNaming):
        if drug is DrugNaming.UNNAMED:
            reading.notes.set_aside(resource, full_url, NO_KNOWN_CODE)
        return ()
    course = _COURSES[type(resource)](resource, reading)
    if reading.clock.is_ahead(course.start or course.written):
        reading.notes.set_aside(resource, full_url, AHEAD)
        return ()
    entry = MedicationEntry(
        reference=reference_of(resource, full_url),
        resource_type=course.resource_type,
        sets=drug.sets,
        coding=drug.coding,
        display=drug.display,
        certainty=drug.certainty,
        product=drug.product,
        named_ingredient=drug.named_ingredient,
        strength_mg=drug.strength_mg,
        strength_unit=drug.strength_unit,
        form_sets=drug.form_sets,
        status=resource.status,
        intent=course.intent,
        do_not_perform=course.do_not_perform,
        start=course.start,
        end=course.end,
        is_period=course.is_period,
        written=course.written,
        dosages=course.dosages,
        supply_days=course.supply_days,
        quantity=course.quantity,
        quantity_unit=course.quantity_unit,
        refills=course.refills,
        route_sets=route_sets_of(course.dosages),
        route_known=any(dosage.route_known for dosage in course.dosages),
    )
    return (entry,)


def _statement(resource: MedicationStatement, reading: Reading) -> _Course:
    clock, period = reading.clock, resource.effective_period
    return _Course(
        resource_type="MedicationStatement",
        start=clock.read(period.start) if period else clock.read(resource.effective_date_time),
        end=clock.read(period.end) if period else None,
        is_period=period is not None,
        written=clock.read(resource.date_asserted),
        dosages=read_dosages(resource.dosage, reading),
    )


def _request(resource: MedicationRequest, reading: Reading) -> _Course:
    supply = resource.dispense_request or _NO_SUPPLY
    quantity = supply.quantity
    return _Course(
        resource_type="MedicationRequest",
        written=reading.clock.read(resource.authored_on),
        dosages=read_dosages(resource.dosage_instruction, reading),
        supply_days=in_days(supply.expected_supply_duration),
        quantity=quantity.value if quantity else None,
        quantity_unit=unit_of(quantity) if quantity else None,
        refills=max(0, supply.number_of_repeats_allowed or 0),
        intent=resource.intent,
        do_not_perform=bool(resource.do_not_perform),
    )


def _dispense(resource: MedicationDispense, reading: Reading) -> _Course:
    quantity = resource.quantity
    return _Course(
        resource_type="MedicationDispense",
        written=reading.clock.read(resource.when_handed_over),
        dosages=read_dosages(resource.dosage_instruction, reading),
        supply_days=in_days(resource.days_supply),
        quantity=quantity.value if quantity else None,
        quantity_unit=unit_of(quantity) if quantity else None,
    )


def _administration(resource: MedicationAdministration, reading: Reading) -> _Course:
    clock, period, given = reading.clock, resource.effective_period, resource.dosage
    written = datatypes.Dosage(text=given.text, route=given.route, dose_quantity=given.dose) if given else None
    return _Course(
        resource_type="MedicationAdministration",
        start=clock.read(period.start) if period else clock.read(resource.effective_date_time),
        end=clock.read(period.end) if period else None,
        is_period=period is not None,
        dosages=(read_dosage(written, reading),) if written else (),
    )


_COURSES: Mapping[type[MedicationResource], Callable[[Any, Reading], _Course]] = {
    MedicationStatement: _statement,
    MedicationRequest: _request,
    MedicationDispense: _dispense,
    MedicationAdministration: _administration,
}
