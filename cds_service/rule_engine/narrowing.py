"""What a step that narrows a list of entries is, and taking several."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cds_service.derive.findings import Finding
from cds_service.record import ConditionEntry
from cds_service.rule_engine.inquiry import Inquiry

Sited = ConditionEntry | Finding
Keep = Callable[[Sited, Inquiry], bool]
Narrow = Callable[[list[Sited], Inquiry], list[Sited]]


def each(keep: Keep) -> Narrow:
    """The step that keeps the entries of which ``keep`` is true."""
    return lambda entries, inquiry: [entry for entry in entries if keep(entry, inquiry)]


def narrowed(entries: Iterable[Sited], steps: Iterable[Narrow], inquiry: Inquiry) -> list[Sited]:
    """What is left after all steps; an empty list takes no further step."""
    left = list(entries)
    for step in steps:
        if not left:
            break
        left = step(left, inquiry)
    return left
