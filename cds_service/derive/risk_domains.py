"""Which of the twelve risk domains a record shows (section 6, B-06, B-81): counted, never scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from cds_service.derive.age import is_at_least
from cds_service.derive.index import RecordIndex
from cds_service.derive.medications import taken
from cds_service.derive.steroid_exposure import SteroidExposure
from cds_service.record import BIRTH_DATE


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


# What the criteria of a domain say of it: present, strongly so, or what was missing to tell.
Shown = Literal["plain", "strong"] | tuple[str, ...]


class RiskDomain(msgspec.Struct, frozen=True, gc=False):
    """A domain that the record shows."""

    name: str
    title: str
    strength: Literal["plain", "strong"]


class RiskDomains(NamedTuple):
    """The domains that the record shows, and by name what was missing to judge others."""

    present: tuple[RiskDomain, ...]
    unjudged: Mapping[str, tuple[str, ...]]


def find_risk_domains(
    index: RecordIndex,
    exposure: SteroidExposure,
    knowledge: DomainKnowledge,
    shown: Mapping[str, Shown],
) -> RiskDomains:
    """The domains present, in the order of the file, and those that cannot be judged: they count as absent.

    ``shown`` are the domains that a criterion of the file shows besides (measured activity, weight, alcohol, results).
    """
    present: list[RiskDomain] = []
    unjudged: dict[str, tuple[str, ...]] = {}
    for domain in knowledge.domain:
        said = shown.get(domain.name, ())
        strong = _is_strong(domain, index, exposure) or said == "strong"
        if strong or said == "plain" or _is_present(domain, index, exposure):
            present.append(RiskDomain(domain.name, domain.title, "strong" if strong else "plain"))
        elif isinstance(said, tuple) and (missing := _missing(domain, said, index)):
            unjudged[domain.name] = missing
    return RiskDomains(tuple(present), unjudged)


def _missing(domain: Domain, said: tuple[str, ...], index: RecordIndex) -> tuple[str, ...]:
    return said if _is_old(domain, index) is False else (*said, BIRTH_DATE)


def _is_strong(domain: Domain, index: RecordIndex, exposure: SteroidExposure) -> bool:
    level = domain.strong_steroid_level_at_least
    return (level is not None and exposure.level >= level) or bool(index.active_conditions.of(domain.strong))


def _is_old(domain: Domain, index: RecordIndex) -> bool | None:
    least = domain.age_at_least
    return False if least is None else is_at_least(least, index.record.birth_date, index.as_of)


def _is_present(domain: Domain, index: RecordIndex, exposure: SteroidExposure) -> bool:
    level = domain.steroid_level_at_least
    return (
        (level is not None and exposure.level >= level)
        or _is_old(domain, index) is True
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
