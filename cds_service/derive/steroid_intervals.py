"""From when to when each kind of medication resource means exposure (section 5, step 3; B-31, B-60, B-70, B-85)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple

from cds_service.derive.steroid_doses import Amount, DosePhase, Strength, amount_of, close, last_day, phases_of
from cds_service.derive.steroid_knowledge import SteroidKnowledge
from cds_service.partial_date import PartialDate
from cds_service.record import MedicationEntry

Span = tuple[date, date]
Phases = list[DosePhase] | str

# Reasons why an entry has no interval.
UNDATED, NOT_STARTED, DATES_CONTRADICT, NO_DAYS = "undated", "not-started", "dates-contradict", "no-exposed-days"
NO_DURATION, NO_DISPENSE, AS_NEEDED_NOT_DISPENSED = "no-duration", "no-dispense", "as-needed-not-dispensed"
_ONE_EVENT = timedelta(hours=24)


class Setting(NamedTuple):
    """What the entries are read against. ``dispensed`` fills up while dispenses are read, before all others.

    ``has_dispenses``: the record holds a MedicationDispense of any drug (B-31). ``only_as_needed``: ingredients that
    are ordered or stated as PRN and in no other way (A-38). ``pregnant``: or up to 180 days after a delivery (G11).
    """

    knowledge: SteroidKnowledge
    as_of: datetime
    today: date
    has_dispenses: bool
    only_as_needed: frozenset[str]
    pregnant: bool
    dispensed: list[tuple[str, Span]]

    def is_dispensed(self, ingredient: str, phase: DosePhase) -> bool:
        """A dispense of the drug overlaps the phase, or is no further from it than a course bridges."""
        gap = self.knowledge.durations.bridged_gap_days
        end = phase.last or self.today
        return any(
            drug == ingredient and (first - end).days <= gap and (phase.first - last).days <= gap
            for drug, (first, last) in self.dispensed
        )


def ingredient_of(entry: MedicationEntry) -> str:
    """The glucocorticoid of an entry, by code or (A-07) by its words only; empty when it is none."""
    return (entry.product.ingredient if entry.product else entry.named_ingredient) or ""


def strength_of(entry: MedicationEntry) -> float | None:
    """mg per tablet or per mL: of the product code, else of the Medication (A-07, A-57)."""
    if entry.product is not None and entry.product.strength_mg is not None:
        return entry.product.strength_mg
    return entry.strength_mg


def phases_of_entry(entry: MedicationEntry, setting: Setting) -> Phases:
    """Phases with both ends, none after today; or the reason why there are none."""
    phases = _READERS[entry.resource_type](entry, setting)
    return phases if phases else NO_DAYS


def _statement(entry: MedicationEntry, setting: Setting) -> Phases:
    start, today = entry.start or entry.end or entry.written, setting.today
    if start is None:
        return UNDATED
    if start.is_future(setting.as_of):
        return NOT_STARTED
    if entry.end is not None:
        span = _span(start, entry.end, today)
        return list(close(_phases(entry, span[0], setting), span[1], today, exact=True)) if span else DATES_CONTRADICT
    first = _first_day(start, today)
    last, exact = _end_of_statement(entry, first, today)
    return list(close(_phases(entry, first, setting), last, today, exact=exact))


def _end_of_statement(entry: MedicationEntry, first: date, today: date) -> tuple[date, bool]:
    """The last day of a statement that gives none, and whether it is known to end there (section 5, step 3; B-31)."""
    if entry.start is not None and not entry.is_period:
        return first, False  # effectiveDateTime: the bounds of its Dosage, else one day
    if entry.status == "active":
        return today, False
    if entry.start is None or entry.written is None:
        return first, False
    return max(first, _first_day(entry.written, today)), True


def _request(entry: MedicationEntry, setting: Setting) -> Phases:
    authored = entry.written or min((d.bounds_start for d in entry.dosages if d.bounds_start), default=None)
    if authored is None:
        return UNDATED
    if authored.is_future(setting.as_of):
        return NOT_STARTED
    phases = _written_phases(entry, _first_day(authored, setting.today), setting)
    if all(phase.first > setting.today for phase in phases):
        return NOT_STARTED
    return _ordered(entry, phases, authored, setting)


def _ordered(entry: MedicationEntry, phases: list[DosePhase], authored: PartialDate, setting: Setting) -> Phases:
    """The first of Dosage bounds, expectedSupplyDuration, quantity over daily units; else assumed or one day (B-31)."""
    today = setting.today
    if all(phase.last is not None for phase in phases):
        return list(close(phases, today, today))
    days = entry.supply_days or _days_of_quantity(entry, phases, setting)
    if days:
        return _supplied(entry, phases, (min(phase.first for phase in phases), days), setting)
    if entry.status != "active":
        return list(close(phases, _first_day(authored, today), today))
    return _assumed(phases, authored, setting) or NO_DURATION


def _supplied(entry: MedicationEntry, phases: list[DosePhase], supply: tuple[date, float], setting: Setting) -> Phases:
    """The supply, documented; then its refills, assumed, when the record shows no dispense at all (B-31, B-85)."""
    begin, days = supply
    end, today = last_day(begin, days), setting.today
    documented = list(close(phases, end, today))
    if entry.status != "active" or not entry.refills or setting.has_dispenses or end >= today:
        return documented
    refilled_to = last_day(begin, days * (1 + entry.refills))
    refilled = [
        phase._replace(first=max(phase.first, last_day(end, 2)), assumed=True) for phase in phases if phase.last is None
    ]
    return documented + list(close(refilled, refilled_to, today))


def _assumed(phases: list[DosePhase], authored: PartialDate, setting: Setting) -> list[DosePhase]:
    """An active order without duration: the 90 days up to today, if it was authored within 400 days (B-70)."""
    durations, today = setting.knowledge.durations, setting.today
    bounded = list(close([phase for phase in phases if phase.last is not None], today, today))
    if authored.older_than_days(durations.assumed_within_days, setting.as_of):
        return bounded
    from_day = today - timedelta(days=durations.assumed_days - 1)
    opened = [phase._replace(first=max(phase.first, from_day), assumed=True) for phase in phases if phase.last is None]
    return bounded + list(close(opened, today, today))


def _dispense(entry: MedicationEntry, setting: Setting) -> Phases:
    if entry.written is None:
        return UNDATED
    if entry.written.is_future(setting.as_of):
        return NOT_STARTED
    first, today = _first_day(entry.written, setting.today), setting.today
    phases = _phases(entry, first, setting)
    if not entry.dosages:
        phases = [_shared_out(entry, phases[0], setting)]
    days = entry.supply_days or _days_of_quantity(entry, phases, setting)
    if not days:
        return list(close(phases, first, today))
    return list(close(phases, last_day(first, days), today, exact=True))


def _shared_out(entry: MedicationEntry, phase: DosePhase, setting: Setting) -> DosePhase:
    """A dispense without Dosage: what was handed over, shared out over the days it is for."""
    phase = phase._replace(as_needed=ingredient_of(entry) in setting.only_as_needed)
    quantity = amount_of(entry.quantity, entry.quantity_unit, setting.knowledge)
    if quantity is None or not entry.supply_days:
        return phase
    per_day = Amount(quantity.value / entry.supply_days, quantity.kind)
    return phase._replace(mg=_strength(entry, setting.knowledge).mg(per_day), per_day=per_day)


def _administration(entry: MedicationEntry, setting: Setting) -> Phases:
    """The effective days, with dosage.dose on each (B-31); a period below 24 h is one event on its first day."""
    start, today = entry.start or entry.end, setting.today
    if start is None:
        return UNDATED
    if start.is_future(setting.as_of):
        return NOT_STARTED
    first = last = _first_day(start, today)
    if entry.end is not None:
        span = _span(start, entry.end, today)
        if span is None:
            return DATES_CONTRADICT
        if not _is_one_event(start, entry.end):
            first, last = span
    elif entry.is_period and entry.status == "in-progress":
        last = today
    knowledge, strength = setting.knowledge, _strength(entry, setting.knowledge)
    doses = [amount_of(dosage.dose, dosage.unit, knowledge) for dosage in entry.dosages]
    given = [None if dose is None else strength.mg(dose) for dose in doses]
    known = [mg for mg in given if mg is not None]
    return [DosePhase(first, last, sum(known) if known and len(known) == len(given) else None)]


_READERS: Mapping[str, Callable[[MedicationEntry, Setting], Phases]] = {
    "MedicationStatement": _statement,
    "MedicationRequest": _request,
    "MedicationDispense": _dispense,
    "MedicationAdministration": _administration,
}


def _phases(entry: MedicationEntry, first: date, setting: Setting) -> list[DosePhase]:
    """The phases, none before ``first``."""
    written = _written_phases(entry, first, setting)
    return [phase if phase.first >= first else phase._replace(first=first) for phase in written]


def _written_phases(entry: MedicationEntry, first: date, setting: Setting) -> list[DosePhase]:
    """The phases as the Dosage says; the bounds of an order may begin before it was authored (a re-issued order)."""
    return phases_of(entry.dosages, first, _strength(entry, setting.knowledge), setting.knowledge)


def _strength(entry: MedicationEntry, knowledge: SteroidKnowledge) -> Strength:
    """The product's strength (A-07), else that of the Medication (A-57)."""
    product = entry.product
    if product is not None and product.strength_mg is not None:
        unit: str | None = product.unit
    else:
        unit = entry.strength_unit
    mg = strength_of(entry)
    if mg is None:
        return Strength()
    per = Amount(1, "tablet") if unit is None or unit.strip() == "1" else amount_of(1, unit, knowledge)
    if per is None or per.kind == "mg":
        return Strength()
    return Strength(per_mL=mg / per.value) if per.kind == "mL" else Strength(per_tablet=mg / per.value)


def _days_of_quantity(entry: MedicationEntry, phases: list[DosePhase], setting: Setting) -> float | None:
    """Quantity over what is taken a day; None when either is not known or the dose changes on the way."""
    quantity = amount_of(entry.quantity, entry.quantity_unit, setting.knowledge)
    if quantity is None or any(phase.final for phase in phases):
        return None
    daily = [phase.per_day for phase in phases]
    if all(amount is not None and amount.kind == quantity.kind for amount in daily):
        per_day = sum(amount.value for amount in daily if amount is not None)
        return quantity.value / per_day if per_day else None
    mg, mg_per_day = _strength(entry, setting.knowledge).mg(quantity), sum(phase.mg or 0 for phase in phases)
    if mg is None or not mg_per_day or any(phase.mg is None for phase in phases):
        return None
    return mg / mg_per_day


def _first_day(start: PartialDate, today: date) -> date:
    """The last day that a start can mean (B-60), not after today (B-83; up to 24 h ahead is now)."""
    return min(start.last_day, today)


def _span(start: PartialDate, end: PartialDate, today: date) -> Span | None:
    """The days that a period surely covers (B-60); one day where partial dates overlap; None when they contradict."""
    first, last = _first_day(start, today), min(end.first_day, today)
    if first <= last:
        return first, last
    if end.last_day < start.first_day:
        return None
    day = min(max(start.first_day, end.first_day), today)
    return day, day


def _is_one_event(start: PartialDate, end: PartialDate) -> bool:
    return (
        start.precision == end.precision == "instant"
        and end.earliest >= start.earliest
        and end.earliest - start.earliest < _ONE_EVENT
    )
