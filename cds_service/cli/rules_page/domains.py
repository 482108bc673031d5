"""What counts as a risk domain, and what makes it a strong one (section 6, B-06, B-81)."""

from __future__ import annotations

from collections.abc import Iterator

from cds_service.cli.rules_page.words import Pack
from cds_service.derive.risk_domains import Domain
from cds_service.rule_engine.expression import names_in


def risk_domains(pack: Pack) -> Iterator[str]:
    """A table: any of the parts of a domain is enough."""
    yield "| Risk domain | Counts by any of | Strong by any of |"
    yield "|---|---|---|"
    for domain in pack.knowledge.domains.domain:
        title = f"{domain.title} (not in {_says(domain.unless, pack)})" if domain.unless else domain.title
        yield f"| {title} | {'; '.join(_counts_by(domain, pack))} | {'; '.join(_strong_by(domain, pack)) or 'never'} |"


def _counts_by(domain: Domain, pack: Pack) -> Iterator[str]:
    for name in domain.sets:
        days = domain.within_days.get(name)
        yield f"an active entry of {pack.titles([name])}{f', within {days} days' if days else ''}"
    if domain.age_at_least is not None:
        yield f"age {domain.age_at_least} or over"
    if domain.steroid_level_at_least is not None:
        yield f"steroids at level {domain.steroid_level_at_least} or more"
    if domain.medication_sets:
        yield f"{pack.titles(domain.medication_sets)}, within {domain.medication_within_days} days"
    if domain.when is not None:
        yield _says(domain.when, pack)


def _strong_by(domain: Domain, pack: Pack) -> Iterator[str]:
    for name in domain.strong:
        yield f"an active entry of {pack.titles([name])}"
    if domain.strong_steroid_level_at_least is not None:
        yield f"steroids at level {domain.strong_steroid_level_at_least} or more"
    if domain.strong_when is not None:
        yield _says(domain.strong_when, pack)


def _says(expression: str, pack: Pack) -> str:
    """The criteria of an expression that joins them with ``or``, in their own words."""
    return "; ".join(pack.knowledge.gate_criteria[name].says for name in names_in(expression))
