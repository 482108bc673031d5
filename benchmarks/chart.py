"""Makes the chart of one patient: US-Core-like FHIR R4 resources, the same for the same size, day and seed."""

from __future__ import annotations

import csv
import itertools
import random
import tomllib
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.resources import FhirCoding, Medicine, Result, Writer

PATIENT_ID = "benchmark-0000000"
SEED = 20261127
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_DESCRIPTION = Path(__file__).with_name("chart.toml")

# Of a hundred resources one is the Patient, 33 are Conditions, and the rest is shared as below.
_SHARES = {"conditions": 0.33, "medicationStatements": 0.17, "medicationRequests": 0.17}
_YEARS_OF_RESULTS = 2

Resource = dict[str, Any]


class Weakness(msgspec.Struct, frozen=True):
    """The finding that R11 asks about."""

    set: str
    days_ago: int


class Steroid(msgspec.Struct, frozen=True):
    """The steroid, in mg and days."""

    ingredient: str
    form: str
    tablet_mg: float
    daily_mg: float
    days: int
    burst_days: int
    every: int


class Measure(msgspec.Struct, frozen=True):
    """One kind of result and the value around which it moves; ``unit`` is UCUM."""

    set: str
    category: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None


class Description(msgspec.Struct, frozen=True):
    """``chart.toml``."""

    age_years: int
    weakness: Weakness
    conditions: tuple[str, ...]
    medications: tuple[str, ...]
    route: str
    steroid: Steroid
    observations: tuple[Measure, ...]


def make_chart(rules: Path, size: int, today: date, seed: int = SEED) -> Mapping[str, list[Resource]]:
    """``size`` resources (at least 10) by prefetch key. ``rules`` is the folder whose tables give the codes."""
    return _ChartMaker(rules, today, seed).chart(size)


class _ChartMaker:
    def __init__(self, rules: Path, today: date, seed: int) -> None:
        self._rules = rules
        self._today = today
        self._random = random.Random(seed)
        self._described = msgspec.convert(tomllib.loads(_DESCRIPTION.read_text(encoding="utf-8")), Description)
        self._writer = Writer(PATIENT_ID)

    def chart(self, size: int) -> dict[str, list[Resource]]:
        counts = {key: round(size * share) for key, share in _SHARES.items()}
        observations = size - 1 - sum(counts.values())
        return {
            "patient": [self._writer.patient(self._ago(round(self._described.age_years * 365.25) + 100))],
            "conditions": self._conditions(counts["conditions"]),
            "medicationStatements": self._medications(counts["medicationStatements"], self._writer.statement),
            "medicationRequests": self._medications(counts["medicationRequests"], self._writer.request),
            "observations": self._observations(observations),
        }

    def _conditions(self, count: int) -> list[Resource]:
        weakness = self._described.weakness
        first = self._writer.condition(0, self._codes(weakness.set)[0], self._ago(weakness.days_ago))
        codes = [self._codes(name)[0] for name in self._described.conditions]
        return [
            first,
            *(self._writer.condition(at, codes[at % len(codes)], self._any_day(20)) for at in range(1, count)),
        ]

    def _medications(self, count: int, write: Callable[[int, Medicine], Resource]) -> list[Resource]:
        steroid, route = self._described.steroid, self._codes(self._described.route)[0]
        product = self._steroid_product()
        others = itertools.cycle([code for name in self._described.medications for code in self._codes(name)])
        made: list[Resource] = []
        for at in range(count):
            started = self._any_day(5)
            medicine = Medicine(next(others), route, 1, "{tbl}", started, started + timedelta(days=90))
            if at == 0:
                started = self._ago(steroid.days)
                medicine = Medicine(product, route, steroid.daily_mg, "mg", started, None)
            elif at % steroid.every == 0:
                started = self._ago(400 + 60 * at // steroid.every)
                ended = started + timedelta(days=steroid.burst_days - 1)
                medicine = Medicine(product, route, steroid.daily_mg, "mg", started, ended)
            made.append(write(at, medicine))
        return made

    def _observations(self, count: int) -> list[Resource]:
        codes = [(measure, self._codes(measure.set)[0]) for measure in self._described.observations]
        made = []
        for at in range(count):
            measure, code = codes[at % len(codes)]
            value = round(measure.value * self._random.uniform(0.98, 1.02), 1)
            day = self._any_day(_YEARS_OF_RESULTS)
            result = Result(code, measure.category, value, measure.unit, measure.low, measure.high, day)
            made.append(self._writer.observation(at, result))
        return made

    def _codes(self, value_set: str) -> list[FhirCoding]:
        with (self._rules / "value_sets" / f"{value_set}.csv").open(encoding="utf-8", newline="") as file:
            return [FhirCoding(row["system"], row["code"], row["display"]) for row in csv.DictReader(file)]

    def _steroid_product(self) -> FhirCoding:
        wanted = self._described.steroid
        with (self._rules / "steroid_products.csv").open(encoding="utf-8", newline="") as file:
            return next(
                FhirCoding(row["system"], row["code"], row["display"])
                for row in csv.DictReader(file)
                if row["system"] == RXNORM
                and row["ingredient"] == wanted.ingredient
                and row["form"] == wanted.form
                and row["strength_mg"] == f"{wanted.tablet_mg:g}"
            )

    def _ago(self, days: int) -> date:
        return self._today - timedelta(days=days)

    def _any_day(self, years: int) -> date:
        """A day of the last ``years`` years."""
        return self._ago(self._random.randint(1, years * 365))
