"""``atrophy-cds rates``: how many living adults of patient files get a card, by rule, age and sex (B-55)."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cds_service.advice import Advice
from cds_service.cli.evaluate import FAILED, MANY, Judged, judge, moment_of
from cds_service.derive.age import age_in_years
from cds_service.errors import SettingsError
from cds_service.fhir.patient_files import read_patient_files
from cds_service.fhir.reading.charts import PatientFile
from cds_service.overlay import Overlay, Person, load_overlay, overlaid
from cds_service.service import RulePack, load_rule_pack
from cds_service.settings import Settings

AIM = {"any card": 5.0, "critical card": 0.5}  # % of living adults
YOUNGEST_OF_BANDS = (18, 50, 65, 80)  # adults are all of them
WITHOUT_RULE = "card without a rule"  # a source was missing
PLAIN = "as the files are"
OVERLAID = "with the overlay"


class Adult(msgspec.Struct, frozen=True):
    """A living adult. ``shown``: the rules on the cards -> their indicator."""

    label: str
    person: Person
    sex: str
    shown: Mapping[str, str]
    critical: bool
    cards: int
    advice: Advice

    @property
    def rows(self) -> tuple[str, ...]:
        """The lines of the table in which this person counts."""
        either = [name for name, holds in zip(AIM, (self.cards > 0, self.critical), strict=True) if holds]
        critical = [f"{rule} (critical)" for rule, indicator in self.shown.items() if indicator == "critical"]
        alone = [WITHOUT_RULE] if self.cards and not self.shown else []
        return (*either, *self.shown, *critical, *alone)

    @property
    def columns(self) -> tuple[str, ...]:
        """The groups to which this person belongs."""
        band = next(b for b, (low, high) in _bands().items() if low <= self.person.age < high)
        return ("all", band, self.sex)


class Rates(msgspec.Struct, frozen=True):
    """One population: people by group, and people by line and group."""

    name: str
    people: Counter[str]
    counts: Counter[tuple[str, str]]

    def percent(self, row: str, column: str) -> float:
        """Share of the group, in percent; 0 when nobody is in it."""
        return 100 * self.counts[row, column] / self.people[column] if self.people[column] else 0.0


class _Run(msgspec.Struct, frozen=True):
    """What every patient is judged with."""

    pack: RulePack
    moment: datetime | str
    zone: ZoneInfo
    overlay: Overlay | None
    seed: int


def rates(files: tuple[Path, ...], as_of: str | None, overlay: Path | None, seed: int, *, as_json: bool) -> int:
    """Print the rates of the files, and with ``overlay`` those of the files with its triggers. 1 when nobody counts."""
    settings = Settings.from_environment()
    zone = ZoneInfo(settings.site_zone)
    pack = load_rule_pack(settings.rules_dir, settings.today())
    triggers = load_overlay(overlay, pack.knowledge.tables) if overlay else None
    run = _Run(pack, moment_of(as_of, zone), zone, triggers, seed)
    left_out: Counter[str] = Counter()
    populations: dict[str, list[Adult]] = {name: [] for name in ((PLAIN, OVERLAID) if triggers else (PLAIN,))}
    patients = list(read_patient_files(files))
    for patient in track(patients, "Evaluating", console=Console(stderr=True), disable=len(patients) < MANY):
        adult, reason = _adult(judge(patient, run.moment, zone, pack))
        if adult is None:
            left_out[reason] += 1
            continue
        populations[PLAIN].append(adult)
        if triggers:
            populations[OVERLAID].append(_again(patient, adult, run, triggers))
    printer = _print_json if as_json else _print_tables
    printer(populations, left_out)
    return 0 if populations[PLAIN] else FAILED


def measured(name: str, adults: Iterable[Adult]) -> Rates:
    """Count the people of every group, and of them those in every line."""
    people: Counter[str] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    for adult in adults:
        people.update(adult.columns)
        counts.update((row, column) for row in adult.rows for column in adult.columns)
    return Rates(name, people, counts)


def _again(patient: PatientFile, adult: Adult, run: _Run, triggers: Overlay) -> Adult:
    """The same person at the same moment, with what the overlay draws."""
    if patient.hook_request is not None:
        raise SettingsError("--overlay takes charts (Bundles, NDJSON), not hook requests")
    drawn = overlaid(patient, adult.person, triggers, run.pack.knowledge.tables, run.seed)
    again, reason = _adult(judge(drawn, adult.person.as_of, run.zone, run.pack))
    if again is None:
        raise SettingsError(f"a patient cannot be judged with the overlay: {reason}")
    return again


def _adult(one: Judged) -> tuple[Adult | None, str]:
    """A living adult, or the reason why this patient does not count."""
    if one.patient_id is None:
        return None, "resources without a patient"
    if one.advice is None or one.as_of is None:
        return None, "could not be judged"
    record = one.advice.evaluation.facts.record
    age = age_in_years(record.birth_date, one.as_of)
    if record.deceased:
        return None, "deceased"
    if age is None:
        return None, "age unknown"
    if age < YOUNGEST_OF_BANDS[0]:
        return None, f"younger than {YOUNGEST_OF_BANDS[0]}"
    composed = one.advice.composed
    on_cards = {rule for card in composed.shown for rule, _ in card.rules}
    shown = {a.rule.id: a.indicator or "info" for a in one.advice.evaluation.fired if a.rule.id in on_cards}
    critical = any(card.indicator == "critical" for card in composed.cards)
    person = Person(one.patient_id, age, one.as_of)
    sex = record.gender or "sex unknown"
    return Adult(one.label, person, sex, shown, critical, len(composed.cards), one.advice), ""


def _bands() -> dict[str, tuple[int, float]]:
    *ends, oldest = pairwise((*YOUNGEST_OF_BANDS, None))
    bands: dict[str, tuple[int, float]] = {f"{low}-{high - 1}": (low, high) for low, high in ends if low and high}
    return bands | {f"{oldest[0]}+": (oldest[0] or 0, float("inf"))}


# --- what is printed -------------------------------------------------------------------------------------------------


def _rows(populations: Iterable[Rates]) -> list[str]:
    """The two rates with an aim first, then the rules of any population."""
    named = {row for rates in populations for row, _ in rates.counts}
    return [*AIM, *sorted(named - set(AIM))]


def _columns(population: Rates) -> list[str]:
    groups = ("all", *_bands())
    return [*groups, *sorted(set(population.people) - set(groups))]


def _print_tables(populations: dict[str, list[Adult]], left_out: Counter[str]) -> None:
    console = Console()
    all_rates = [measured(name, adults) for name, adults in populations.items()]
    for one in all_rates:
        columns = _columns(one)
        table = Table("", *(f"{c}\n{one.people[c]} people" for c in columns), title=f"Living adults {one.name}")
        for row in _rows(all_rates):
            aim = f" (aim {AIM[row]:g} %)" if row in AIM else ""
            table.add_row(row + aim, *(f"{one.counts[row, c]} ({one.percent(row, c):.1f} %)" for c in columns))
        console.print(table)
    console.print("Not counted: " + (", ".join(f"{n} {reason}" for reason, n in left_out.items()) or "nobody"))


def _print_json(populations: dict[str, list[Adult]], left_out: Counter[str]) -> None:
    """One line for every card-bearing person of every population, to be read; then the rates."""
    all_rates = [measured(name, adults) for name, adults in populations.items()]
    for name, adults in populations.items():
        for adult in adults:
            if adult.cards:
                sys.stdout.write(json.dumps({"population": name, **_firings(adult)}) + "\n")
    summary = {"populations": [_as_json(one, _rows(all_rates)) for one in all_rates], "notCounted": dict(left_out)}
    sys.stdout.write(json.dumps({"summary": summary}) + "\n")


def _firings(adult: Adult) -> dict[str, Any]:
    fired = [a for a in adult.advice.evaluation.fired if a.rule.id in adult.shown]
    facts = {a.rule.id: [f"{f.label} {f.value or ''} {f.date or ''}".strip() for f in a.facts] for a in fired}
    return {
        "label": adult.label,
        "patient": adult.person.patient_id,
        "age": adult.person.age,
        "sex": adult.sex,
        "rules": {a.rule.id: {"indicator": a.indicator, "branch": a.branch, "facts": facts[a.rule.id]} for a in fired},
        "cards": [card.summary for card in adult.advice.composed.cards],
    }


def _as_json(one: Rates, rows: list[str]) -> dict[str, Any]:
    return {
        "name": one.name,
        "people": {column: one.people[column] for column in _columns(one)},
        "rates": {
            row: {c: {"people": one.counts[row, c], "percent": round(one.percent(row, c), 2)} for c in _columns(one)}
            for row in rows
        },
    }
