"""Which of the twelve risk domains a record shows (section 6, B-06, B-81): counted, never scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from cds_service.derive.age import age_in_years
from cds_service.derive.index import RecordIndex
from cds_service.derive.medications import taken
from cds_service.derive.steroid_exposure import SteroidExposure


class Domain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One risk domain: any of its parts is enough. ``strong`` sets make it a strong domain (tier 2).

    ``within_days`` asks for onset (else recording) inside that window for the sets it names. ``when`` and
    ``strong_when`` join shared criteria of ``gates.toml`` by name; they do not count while ``unless`` is true.
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
    when: str | None = None
    strong_when: str | None = None
    unless: str | None = None


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
    index: RecordIndex,
    exposure: SteroidExposure,
    knowledge: DomainKnowledge,
    shown: Mapping[str, Literal["plain", "strong"]],
) -> tuple[RiskDomain, ...]:
    """The domains present, in the order of the file. A domain that cannot be judged is absent.

    ``shown`` are the domains that a criterion of the file shows besides (measured activity, weight, alcohol, results).
    """
    age = age_in_years(index.record.birth_date, index.as_of)
    found = []
    for domain in knowledge.domain:
        strong = _is_strong(domain, index, exposure) or shown.get(domain.name) == "strong"
        if strong or domain.name in shown or _is_present(domain, index, exposure, age):
            found.append(RiskDomain(domain.name, domain.title, "strong" if strong else "plain"))
    return tuple(found)


def _is_strong(domain: Domain, index: RecordIndex, exposure: SteroidExposure) -> bool:
    level = domain.strong_steroid_level_at_least
    return (level is not None and exposure.level >= level) or bool(index.active_conditions.of(domain.strong))


def _is_present(domain: Domain, index: RecordIndex, exposure: SteroidExposure, age: int | None) -> bool:
    level, least = domain.steroid_level_at_least, domain.age_at_least
    return (
        (level is not None and exposure.level >= level)
        or (least is not None and age is not None and age >= least)
        or any(_shows(domain, name, index) for name in domain.sets)
        or bool(taken(index, domain.medication_sets, domain.medication_within_days))
    )


def _shows(domain: Domain, name: str, index: RecordIndex) -> bool:
    entries = index.active_conditions.of((name,))
    window = domain.within_days.get(name)
    if window is None:
        return bool(entries)
    return any(
        (dated := entry.onset or entry.recorded) is not None and dated.within_days(window, index.as_of)
        for entry in entries
    )
