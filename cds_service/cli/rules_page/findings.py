"""What counts as a finding: loss of muscle, strength or function (A1, B-04)."""

from __future__ import annotations

from collections.abc import Iterator

from cds_service.cli.rules_page.words import Pack
from cds_service.derive.limits import COMPARISONS
from cds_service.derive.measurements import Measured


def findings(pack: Pack) -> Iterator[str]:
    """A table: coded findings by their value set, measured ones with their limit."""
    known = pack.knowledge.findings
    yield "| Finding | Level | By |"
    yield "|---|---|---|"
    for coded in known.coded:
        yield f"| {coded.says} | F{coded.level} | value set: {pack.titles([coded.set])} |"
    for measured in known.measured:
        yield f"| {measured.says} | F{measured.level} | {_limit(measured)}, within {measured.within_days} days |"


def _limit(measured: Measured) -> str:
    """The limit in words; both numbers where it differs between the sexes."""
    said = []
    unit = "" if measured.unit.startswith("{") else f" {measured.unit}"
    for name, (words, _) in COMPARISONS.items():
        numbers = getattr(measured, name)
        if numbers:
            listed = (f"{n:g}{unit}" + (f" ({sex})" if sex != "any" else "") for sex, n in numbers.items())
            said.append(f"{words} {', '.join(listed)}")
    return "; ".join(said)
