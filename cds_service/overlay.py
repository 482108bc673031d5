"""Triggers laid over patient files at stated frequencies: what a chart could hold besides what it does hold (B-55)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from cds_service.case_resources import Resource, case_resources, coding_of
from cds_service.cases import Case, CaseActivity, CaseCondition, CaseResult
from cds_service.errors import RuleFileError
from cds_service.fhir.reading.charts import PatientFile
from cds_service.rule_engine.code_tables import CodeTables
from cds_service.rule_engine.written import line_of, read_struct

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
DaysAgo = Annotated[int, msgspec.Meta(ge=1)]
ID_PREFIX = "overlay-"


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class AgeShare(_Row, frozen=True, kw_only=True):
    """Share of people of that age (completed years) and older, up to the next row."""

    youngest: int = msgspec.field(name="from")
    share: Share


class Trigger(_Row, frozen=True, kw_only=True):
    """One thing that charts hold. ``days_ago`` is the window of its onset, measurement or order, in days."""

    name: str
    value_set: str
    resource: Literal["Condition", "Observation", "ServiceRequest"]
    share: tuple[AgeShare, ...]
    days_ago: tuple[DaysAgo, DaysAgo]
    source: str
    status: Literal["seen", "seen second-hand", "unconfirmed"]
    assumed: str | None = None
    recorded: Share = 1.0
    code: str | None = None
    value: float | None = None
    unit: str | None = None

    def frequency(self, age: int) -> float:
        """Share of people of this age whose chart holds it."""
        fitting = [row.share for row in self.share if row.youngest <= age]
        return self.recorded * fitting[-1] if fitting else 0.0


class Overlay(_Row, frozen=True, kw_only=True):
    """The whole file."""

    version: str
    trigger: tuple[Trigger, ...]


def load_overlay(path: Path, tables: CodeTables) -> Overlay:
    """Read and check the file. Raises RuleFileError for an unknown value set or a code that is not of its set."""
    overlay = read_struct(path, Overlay)
    for trigger in overlay.trigger:
        for problem in _problems(trigger, tables):
            raise RuleFileError(path, line_of(path, trigger.name), problem)
    return overlay


def _problems(trigger: Trigger, tables: CodeTables) -> Iterator[str]:
    ages = [row.youngest for row in trigger.share]
    if trigger.value_set not in tables.codings:
        yield f"no value set is called {trigger.value_set!r}"
    elif trigger.code and trigger.value_set not in tables.vocabulary.value_sets.of(*coding_of(trigger.code)):
        yield f"{trigger.code} is not in value set {trigger.value_set!r}"
    if (trigger.resource == "Condition") != (trigger.code is not None):
        yield "a Condition says its code, and nothing else does"
    if (trigger.resource == "Observation") != (trigger.value is not None):
        yield "an Observation says its value, and nothing else does"
    if ages != sorted(set(ages)) or trigger.days_ago[0] > trigger.days_ago[1]:
        yield "ages and days_ago rise"


class Person(msgspec.Struct, frozen=True):
    """Whom the triggers are drawn for."""

    patient_id: str
    age: int
    as_of: datetime


def overlaid(patient: PatientFile, person: Person, overlay: Overlay, tables: CodeTables, seed: int) -> PatientFile:
    """The file with what was drawn for this person: the same for the same seed, whoever else is in the files."""
    case = _drawn(person, overlay, seed)
    drawn = case_resources(case, tables, person.as_of)[1:]  # without the Patient, who is in the file
    added = tuple(msgspec.Raw(msgspec.json.encode(_of(person, resource))) for resource in drawn)
    return msgspec.structs.replace(patient, resources=(*patient.resources, *added))


def _drawn(person: Person, overlay: Overlay, seed: int) -> Case:
    conditions: list[CaseCondition] = []
    results: list[CaseResult] = []
    activities: list[CaseActivity] = []
    for trigger in overlay.trigger:
        chance = random.Random(f"{seed}/{person.patient_id}/{trigger.name}")  # noqa: S311 - a survey, not a secret
        if chance.random() >= trigger.frequency(person.age):
            continue
        day = f"T-{chance.randint(*trigger.days_ago)}d"
        if trigger.code is not None:
            conditions.append(CaseCondition(code=trigger.code, name=trigger.name, onset=day, recorded=day))
        elif trigger.value is not None:
            results.append(CaseResult(what=trigger.value_set, value=trigger.value, unit=trigger.unit, on=day))
        else:
            activities.append(CaseActivity(what=trigger.value_set, on=day, kind="order"))
    return Case(
        id="overlay",
        title="overlay",
        expect={},
        conditions=tuple(conditions),
        results=tuple(results),
        activities=tuple(activities),
    )


def _of(person: Person, resource: Resource) -> Resource:
    return resource | {
        "id": f"{ID_PREFIX}{resource['id']}",
        "subject": {"reference": f"Patient/{person.patient_id}"},
    }
