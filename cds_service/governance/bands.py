"""``rules/bands.toml`` and who left a band: firing, override rate or processor time of a rule at one client (B-52)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec

from cds_service.errors import RuleFileError
from cds_service.rule_engine.criterion import Written
from cds_service.rule_engine.model import Evidence
from cds_service.rule_engine.written import line_of, read_struct
from cds_service.store import Answered, Cause, RuleDay

_HUNDRED = 100


class FiringBand(Written, frozen=True, kw_only=True):
    """Today's share of evaluations that fired, at most so many times the median of the days before."""

    times_median: float
    median_days: int
    least_days: int
    least_evaluations: int
    least_firings: int


class OverrideBand(Written, frozen=True, kw_only=True):
    """The share of the answered cards of some days that were overridden."""

    above_percent: float
    least_cards: int
    days: int


class LatencyBand(Written, frozen=True, kw_only=True):
    """Today's share of evaluations that took more than so many milliseconds of processor time."""

    slower_than_ms: float
    above_percent: float
    least_evaluations: int


class Bands(Written, frozen=True, kw_only=True):
    """``rules/bands.toml``."""

    version: str
    owner: str
    checker: str
    review_by: str
    firing: FiringBand
    override: OverrideBand
    latency: LatencyBand
    evidence: tuple[Evidence, ...]


class Left(NamedTuple):
    """A band that a rule left at a client, in a sentence without anything of a patient."""

    client: str
    rule: str
    cause: Cause
    reason: str


def load_bands(folder: Path) -> Bands:
    """Read the file. Raises RuleFileError, also for a number that would never or always be out of band."""
    path = folder / "bands.toml"
    bands = read_struct(path, Bands)
    for table in ("firing", "override", "latency"):
        for name, value in msgspec.structs.asdict(getattr(bands, table)).items():
            if value <= 0 or (name == "above_percent" and value >= _HUNDRED):
                raise RuleFileError(path, line_of(path, table, name), f"{name} must be above 0, a percentage below 100")
    if bands.firing.least_days > bands.firing.median_days:
        raise RuleFileError(path, line_of(path, "firing", "least_days"), "least_days is more than median_days")
    return bands


def left_by_counts(days: Iterable[RuleDay], today: date, bands: Bands) -> Iterator[Left]:
    """Who left the firing or the latency band today. ``days`` reach as far back as the median does."""
    by_rule: dict[tuple[str, str], list[RuleDay]] = defaultdict(list)
    now: list[RuleDay] = []
    for day in days:
        if day.day == today:
            now.append(day)
        elif (today - day.day).days <= bands.firing.median_days:
            by_rule[day.client, day.rule].append(day)
    for day in now:
        if reason := _fires_too_often(day, by_rule[day.client, day.rule], bands.firing):
            yield Left(day.client, day.rule, "firing", reason)
        elif reason := _is_slow(day, bands.latency):
            yield Left(day.client, day.rule, "latency", reason)


def left_by_answers(answered: Iterable[Answered], bands: Bands) -> Iterator[Left]:
    """Who left the override band."""
    band = bands.override
    for cards in answered:
        percent = _HUNDRED * cards.overridden / max(1, cards.cards)
        if cards.cards >= band.least_cards and percent > band.above_percent:
            reason = f"{percent:.1f} % of {cards.cards} answered cards were overridden"
            yield Left(cards.client, cards.rule, "override", reason)


def _fires_too_often(today: RuleDay, before: list[RuleDay], band: FiringBand) -> str | None:
    rates = [day.firings / day.evaluations for day in before if day.evaluations >= band.least_evaluations]
    too_few = today.evaluations < band.least_evaluations or today.firings < band.least_firings
    if too_few or len(rates) < band.least_days:
        return None
    rate, usual = today.firings / today.evaluations, median(rates)
    if rate <= band.times_median * usual:
        return None
    return (
        f"fired in {_HUNDRED * rate:.1f} % of {today.evaluations} evaluations of a day,"
        f" {_HUNDRED * usual:.1f} % is the median of {len(rates)} days before"
    )


def _is_slow(today: RuleDay, band: LatencyBand) -> str | None:
    percent = _HUNDRED * today.slow / max(1, today.evaluations)
    if today.evaluations < band.least_evaluations or percent <= band.above_percent:
        return None
    return f"{percent:.1f} % of {today.evaluations} evaluations of a day took more than {band.slower_than_ms:g} ms"
