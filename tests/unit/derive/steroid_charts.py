"""Small charts for the steroid tests: every date is written as days before today, 27 November 2026."""

from __future__ import annotations

import csv
import tomllib
from datetime import UTC, date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from cds_service.coding import Coding, SteroidProduct
from cds_service.derive.steroid_exposure import SteroidExposure, SteroidKnowledge, steroid_exposure
from cds_service.partial_date import PartialDate, end_of_day, parse_partial_date
from cds_service.record import ConditionEntry, Dosage, MedicationEntry, PatientRecord

RULES = Path(__file__).parents[3] / "rules"
TODAY = date(2026, 11, 27)
NOW = end_of_day(TODAY)
KNOWLEDGE = msgspec.convert(tomllib.loads((RULES / "steroids.toml").read_text("utf-8")), SteroidKnowledge)
TIMING = "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation"
ORAL = frozenset({"route-oral"})
VEIN = frozenset({"route-intravenous"})
MUSCLE = frozenset({"route-injected"})
LOCAL = frozenset({"route-local"})
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


@cache
def products() -> dict[str, SteroidProduct]:
    """``rules/steroid_products.csv`` by RxNorm code."""
    systemic = {"yes": True, "no": False, "uncertain": None}
    with (RULES / "steroid_products.csv").open(newline="", encoding="utf-8") as file:
        return {
            row["code"]: SteroidProduct(
                row["ingredient"],
                float(row["strength_mg"]) if row["strength_mg"] else None,
                row["unit"] or None,
                row["form"] or None,
                systemic[row["systemic"]],
            )
            for row in csv.DictReader(file)
        }


def ago(days: int) -> date:
    """The day that lies so many days before today (a negative number: after)."""
    return TODAY - timedelta(days=days)


def on(days: int | str | None) -> PartialDate | None:
    """A FHIR date: so many days before today, or as written."""
    if days is None:
        return None
    return parse_partial_date(days if isinstance(days, str) else ago(days).isoformat(), UTC)


def daily(mg: float | None, *, times: float = 1, period: float = 1, unit: str | None = "mg", **more: Any) -> Dosage:
    """``mg`` once a day, by mouth, unless said otherwise."""
    return Dosage(
        dose=mg,
        unit=unit,
        times=times,
        period=period,
        period_unit=more.pop("period_unit", "d"),
        route_sets=ORAL,
        **more,
    )


def drug(name: str, **more: Any) -> dict[str, Any]:
    """A drug known by its ingredient code alone."""
    return {"product": SteroidProduct(name), "display": name, "coding": Coding(RXNORM, name), **more}


def statement(
    name: str, dosage: Dosage | tuple[Dosage, ...] = (), start: int | str | None = None, end: Any = None, **more: Any
) -> MedicationEntry:
    """An active MedicationStatement with an effectivePeriod."""
    more.setdefault("status", "active" if end is None else "completed")
    more.setdefault("is_period", True)
    return _entry("MedicationStatement", name, dosage, {"start": on(start), "end": on(end), **more})


def order(
    name: str, dosage: Dosage | tuple[Dosage, ...] = (), authored: int | None = None, **more: Any
) -> MedicationEntry:
    """An active MedicationRequest with intent order."""
    return _entry(
        "MedicationRequest", name, dosage, {"status": "active", "intent": "order", "written": on(authored), **more}
    )


def dispense(
    name: str,
    dosage: Dosage | tuple[Dosage, ...] = (),
    handed_over: int | None = None,
    days: float | None = None,
    **more: Any,
) -> MedicationEntry:
    """A completed MedicationDispense."""
    fields = {"status": "completed", "written": on(handed_over), "supply_days": days, **more}
    return _entry("MedicationDispense", name, dosage, fields)


def administration(name: str, mg: float | None, day: Any, **more: Any) -> MedicationEntry:
    """A completed MedicationAdministration of one dose into a vein."""
    given = Dosage(dose=mg, unit="mg", route_sets=VEIN)
    return _entry("MedicationAdministration", name, given, {"status": "completed", "start": on(day), **more})


def _entry(
    resource_type: Any, name: str, dosage: Dosage | tuple[Dosage, ...], fields: dict[str, Any]
) -> MedicationEntry:
    dosages = (dosage,) if isinstance(dosage, Dosage) else dosage
    fields = {**drug(name), "reference": f"{resource_type}/1", "sets": frozenset(), "dosages": dosages, **fields}
    return MedicationEntry(resource_type=resource_type, **fields)


def condition(name: str, **more: Any) -> ConditionEntry:
    """An active, confirmed condition of one value set."""
    fields = {"clinical_status": "active", "verification_status": "confirmed", **more}
    return ConditionEntry("Condition/1", frozenset({name}), None, name, **fields)


def exposure(*entries: MedicationEntry | ConditionEntry) -> SteroidExposure:
    """The exposure that these entries show today."""
    return steroid_exposure(record(*entries), KNOWLEDGE, NOW)


def record(*entries: MedicationEntry | ConditionEntry) -> PatientRecord:
    """A chart that holds these entries and nothing else."""
    return PatientRecord(
        "1",
        medications=tuple(entry for entry in entries if isinstance(entry, MedicationEntry)),
        conditions=tuple(entry for entry in entries if isinstance(entry, ConditionEntry)),
    )


def reasons(shown: SteroidExposure) -> list[str]:
    """Why entries were not counted."""
    return [one.reason for one in shown.excluded]
