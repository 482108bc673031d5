"""Which of the twelve risk domains a record shows (section 6, B-06, B-81): counted, never scored."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from cds_service.derive.conditions import is_active
from cds_service.derive.steroid_exposure import SteroidExposure
from cds_service.partial_date import PartialDate
from cds_service.record import ConditionEntry, PatientRecord


class Domain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One risk domain: any of its parts is enough. ``strong`` sets make it a strong domain (tier 2).

    ``within_days`` asks for onset (else recording) inside that window for the sets it names.
    """

    name: str
    title: str
    sets: tuple[str, ...] = ()
    strong: tuple[str, ...] = ()
    within_days: dict[str, int] = {}
    age_at_least: int | None = None
    steroid_level_at_least: int | None = None
    strong_steroid_level_at_least: int | None = None
    medication_sets: tuple[str, ...] = ()
    medication_within_days: int = 30


class DomainKnowledge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``rules/risk_domains.toml``."""

    version: str
    owner: str
    checker: str
    review_by: str
    domain: tuple[Domain, ...]


class RiskDomain(msgspec.Struct, frozen=True, gc=False):
    """A domain that the record shows."""

    name: str
    title: str
    strength: Literal["plain", "strong"]


def find_risk_domains(
    record: PatientRecord, exposure: SteroidExposure, knowledge: DomainKnowledge, as_of: datetime
) -> tuple[RiskDomain, ...]:
    """The domains present, in the order of the file. A domain that cannot be judged is absent."""
    active = [c for c in record.conditions if is_active(c, as_of)]
    age = age_in_years(record.birth_date, as_of)
    return tuple(
        RiskDomain(domain.name, domain.title, "strong" if strong else "plain")
        for domain in knowledge.domain
        for present, strong in (_judge(domain, record, (active, age, exposure), as_of),)
        if present
    )


def age_in_years(birth_date: PartialDate | None, as_of: datetime) -> int | None:
    """Completed years; for a partial birth date only when every day it can mean gives the same age."""
    if birth_date is None:
        return None
    today = as_of.date()
    ages = {
        today.year - day.year - ((today.month, today.day) < (day.month, day.day))
        for day in (birth_date.first_day, birth_date.last_day)
    }
    return ages.pop() if len(ages) == 1 else None


def _judge(
    domain: Domain,
    record: PatientRecord,
    seen: tuple[list[ConditionEntry], int | None, SteroidExposure],
    as_of: datetime,
) -> tuple[bool, bool]:
    active, age, exposure = seen
    strong = any(s in c.sets for c in active for s in domain.strong) or (
        domain.strong_steroid_level_at_least is not None and exposure.level >= domain.strong_steroid_level_at_least
    )
    present = (
        strong
        or any(_shows(domain, c, as_of) for c in active)
        or (domain.age_at_least is not None and age is not None and age >= domain.age_at_least)
        or (domain.steroid_level_at_least is not None and exposure.level >= domain.steroid_level_at_least)
        or _takes(domain, record, as_of)
    )
    return present, strong


def _shows(domain: Domain, entry: ConditionEntry, as_of: datetime) -> bool:
    for name in domain.sets:
        if name not in entry.sets:
            continue
        window = domain.within_days.get(name)
        if window is None:
            return True
        dated = entry.onset or entry.recorded
        if dated is not None and dated.within_days(window, as_of):
            return True
    return False


def _takes(domain: Domain, record: PatientRecord, as_of: datetime) -> bool:
    if not domain.medication_sets:
        return False
    wanted = frozenset(domain.medication_sets)
    return any(
        m.status in ("active", "completed")
        and wanted & m.sets
        and (dated := m.end or m.start or m.written) is not None
        and (m.status == "active" or dated.within_days(domain.medication_within_days, as_of))
        for m in record.medications
    )
