"""Finding levels F0, F1, F2 and their tempo: documented or measured loss of muscle or strength (B-04, A2, A-15)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from cds_service.coding import NOWHERE, Site
from cds_service.derive.index import RecordIndex
from cds_service.derive.measurements import Measured, Measurement, abnormal_measurements
from cds_service.derive.units import UnitKnowledge
from cds_service.derive.worsening import Worsening
from cds_service.partial_date import PartialDate
from cds_service.record import ConditionEntry, ObservationEntry

Tempo = Literal["48h", "28d", "90d", "older", "undated", "none"]


class Coded(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value set whose active Conditions are findings of ``level``."""

    set: str
    level: Literal[1, 2]
    says: str


class FindingKnowledge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``rules/findings.toml``."""

    version: str
    owner: str
    checker: str
    review_by: str
    sources: tuple[str, ...]
    coded: tuple[Coded, ...]
    measured: tuple[Measured, ...]
    worsening: Worsening
    strength_fall_days: int
    strength_fall_sum: float
    strength_fall_grade: float

    def says(self, kind: str) -> str:
        """The plain words for a kind of finding."""
        return next((one.says for one in self.coded if one.set == kind), "") or next(
            (one.says for one in self.measured if one.kind == kind), kind
        )


class Finding(msgspec.Struct, frozen=True, gc=False):
    """One entry that shows loss of muscle, strength or function.

    ``kind`` is the value set or measure; ``onset`` is None when undated (for a measurement: the first abnormal one);
    ``measurement`` is None for Conditions.
    """

    kind: str
    level: int
    entry: ConditionEntry | ObservationEntry
    onset: PartialDate | None
    recorded: PartialDate | None = None
    site: Site = NOWHERE
    measurement: Measurement | None = None

    @property
    def key(self) -> str:
        """What "the same finding" means (B-93, B-96): kind, side and limb."""
        return f"{self.kind}|{self.site.side}|{self.site.limb}"


class Findings(NamedTuple):
    """What shows loss of muscle, strength or function; ``by_sex`` only in one sex, and it is not known (A-12)."""

    sure: tuple[Finding, ...]
    by_sex: tuple[Finding, ...]


def find_findings(index: RecordIndex, knowledge: FindingKnowledge, units: UnitKnowledge) -> Findings:
    """All findings of the record, Conditions first, in the order of the file."""
    coded = [
        Finding(rule.set, rule.level, entry, entry.onset, entry.recorded, entry.site)
        for rule in knowledge.coded
        for entry in index.active_conditions.of((rule.set,))
    ]
    measured = [
        Finding(m.kind, m.level, m.entry, m.onset, None, m.entry.site, m)
        for m in abnormal_measurements(index, knowledge.measured, units)
    ]
    by_sex = tuple(f for f in measured if f.measurement is not None and f.measurement.by_sex)
    return Findings((*coded, *(f for f in measured if f not in by_sex)), by_sex)


def finding_level(findings: Iterable[Finding]) -> int:
    """0, 1 or 2: the highest level found."""
    return max((f.level for f in findings), default=0)


def tempo(findings: Iterable[Finding], as_of: datetime) -> Tempo:
    """How new the newest dated finding is: "48h", "28d", "90d", "older", "undated", or "none" without findings."""
    found = tuple(findings)
    onsets = [f.onset for f in found if f.onset is not None]
    if not onsets:
        return "undated" if found else "none"
    newest = max(onsets)
    if newest.within_hours(48, as_of):
        return "48h"
    if newest.within_days(28, as_of):
        return "28d"
    return "90d" if newest.within_days(90, as_of) else "older"
