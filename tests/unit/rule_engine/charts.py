"""Small records for the tests of single criteria: every date is written as days before 27 November 2026, noon."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from cds_service.coding import NOWHERE, Site
from cds_service.derive.steroid_exposure import SteroidExposure
from cds_service.partial_date import PartialDate, parse_partial_date
from cds_service.record import ConditionEntry, ObservationEntry, PatientRecord, Source, SourceState
from cds_service.rule_engine.compiler import Compiler
from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.facts import gather_facts
from cds_service.rule_engine.inquiry import Inquiry
from cds_service.rule_engine.loader import load_knowledge
from cds_service.rule_engine.model import Facts, Verdict

RULES = Path(__file__).parents[3] / "rules"
TODAY = date(2026, 11, 27)
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
KNOWLEDGE = load_knowledge(RULES, TODAY)
NO_STEROID = SteroidExposure(level=0)


def on(days: float | str | None) -> PartialDate | None:
    """So many days before today, or a FHIR date as written."""
    if days is None:
        return None
    text = days if isinstance(days, str) else (TODAY - timedelta(days=days)).isoformat()
    return parse_partial_date(text, UTC)


def result(
    kind: str, value: float | None, unit: str | None, ago: float | str | None = 0, **more: object
) -> ObservationEntry:
    """A measured value of one value set."""
    return ObservationEntry(
        f"Observation/{kind}-{ago}-{value}", frozenset({kind}), None, kind, on(ago), value, unit, **more
    )


def condition(
    *sets: str,
    onset: float | str | None = None,
    recorded: float | str | None = None,
    site: Site = NOWHERE,
    **more: object,
) -> ConditionEntry:
    """An active, confirmed Condition."""
    return ConditionEntry(
        reference=f"Condition/{'-'.join(sets)}-{onset}-{recorded}-{site.side}",
        sets=frozenset(sets),
        coding=None,
        display=sets[0],
        **{"clinical_status": "active", "verification_status": "confirmed", **more},
        onset=on(onset),
        recorded=on(recorded),
        site=site,
    )


def facts_of(
    *entries: object,
    states: dict[str, SourceState] | None = None,
    gender: str | None = "female",
    age: float | None = 50,
    born: str | None = None,
) -> Facts:
    """Everything derived from a record of these entries; ``states`` are sources not seen whole.

    ``born`` is a birth date as written, in place of the age.
    """
    record = PatientRecord(
        patient_id="p",
        birth_date=on(born) if born else None if age is None else on(round(age * 365.25) + 30),
        gender=gender,
        conditions=_of(entries, "ConditionEntry"),
        observations=_of(entries, "ObservationEntry"),
        activities=_of(entries, "ActivityEntry"),
        visits=_of(entries, "VisitEntry"),
        medications=_of(entries, "MedicationEntry"),
        family_history=_of(entries, "FamilyHistoryEntry"),
        sources={name: Source(name, "fetch", state) for name, state in (states or {}).items()},
    )
    return gather_facts(record, KNOWLEDGE, NOW)


def _of(entries: tuple[object, ...], kind: str) -> tuple:
    return tuple(entry for entry in entries if type(entry).__name__ == kind)


def ask(facts: Facts, *, others: dict[str, Criterion] | None = None, **criterion: object) -> Verdict:
    """The verdict of one criterion; ``others`` are criteria that it names."""
    measured = frozenset(m.kind for m in KNOWLEDGE.findings.measured)
    asked = {"asked": Criterion(says="asked", **criterion), **(others or {})}
    compiler = Compiler(measured)
    compiled = {name: compiler.compile(one) for name, one in asked.items()}
    return Inquiry(facts, compiled).ask("asked")
