"""What is kept of a card so that it can be explained later: verdicts by name of criterion, nothing of the chart (P-33).

A fact stands in a trace only as a mark. Before it is kept each mark becomes a keyed fingerprint, by which the same fact
is recognised when somebody brings it again, and from which nothing can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from cds_service.rule_engine.criterion import Indicator
from cds_service.rule_engine.model import Assessment, Evaluation, Fact, Status, Verdict

Part = Literal["lead", "also", "carried"]
MARK_LENGTH = 16  # hexadecimal digits of a fingerprint: enough to tell the facts of one card apart


class RuleTrace(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rule of a card: its part in it, how it fired, and its criteria by verdict.

    ``held`` gives for each criterion that was true the marks of its facts. ``missing`` are names of sources, and what
    was looked for and not found in the rule's own words.
    """

    id: str
    version: str
    part: Part
    indicator: Indicator | None
    branch: str | None
    held: Mapping[str, tuple[str, ...]] = {}
    not_held: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def value(self, name: str) -> bool | None:
        """The verdict of a criterion; None also when it was not asked."""
        return True if name in self.held else False if name in self.not_held else None

    @property
    def names(self) -> tuple[str, ...]:
        """Every criterion that was asked."""
        return (*self.held, *self.not_held, *self.unknown)


class CardTrace(msgspec.Struct, frozen=True, omit_defaults=True):
    """One card. ``gaps`` and ``undecided`` (ids of rules) are those of the card that names gaps.

    ``off``: ids of the rules that were not asked for it.
    """

    rule_pack: str
    tier: str
    rules: tuple[RuleTrace, ...] = ()
    gaps: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    off: tuple[str, ...] = ()

    def keyed(self, fingerprint: Callable[[str], str]) -> CardTrace:
        """The trace as it may be kept."""
        return msgspec.structs.replace(self, rules=tuple(_keyed(rule, fingerprint) for rule in self.rules))


def rule_trace(assessment: Assessment, part: Part, verdicts: Mapping[str, Verdict]) -> RuleTrace:
    """The trace of one rule on a card."""
    return RuleTrace(
        id=assessment.rule.id,
        version=assessment.rule.version,
        part=part,
        indicator=assessment.indicator,
        branch=assessment.branch,
        held={name: tuple(map(mark, verdict.facts)) for name, verdict in verdicts.items() if verdict.value},
        not_held=tuple(name for name, verdict in verdicts.items() if verdict.value is False),
        unknown=tuple(name for name, verdict in verdicts.items() if verdict.value is None),
        missing=assessment.missing,
    )


def gap_trace(evaluation: Evaluation, rule_pack: str, gaps: tuple[str, ...]) -> CardTrace:
    """The trace of the card that names what was not checked."""
    undecided = tuple(a.rule.id for a in evaluation.assessments if a.status is Status.UNKNOWN)
    return CardTrace(rule_pack, evaluation.tier, gaps=gaps, undecided=undecided, off=evaluation.off)


def mark(fact: Fact) -> str:
    """What tells a fact from every other, as one text."""
    return "\n".join((fact.reference, fact.code or "", fact.date or "", fact.value or "", fact.threshold or ""))


def _keyed(rule: RuleTrace, fingerprint: Callable[[str], str]) -> RuleTrace:
    held = {name: tuple(fingerprint(one)[:MARK_LENGTH] for one in marks) for name, marks in rule.held.items()}
    return msgspec.structs.replace(rule, held=held)
