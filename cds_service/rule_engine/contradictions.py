"""Where problem list, medications and results contradict each other: the card that rests on them says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from cds_service.rule_engine.compiler import Compiler
from cds_service.rule_engine.criteria import Ask
from cds_service.rule_engine.criterion import Criterion, Written, names_asked
from cds_service.rule_engine.expression import Expression, names_in, read_expression
from cds_service.rule_engine.inquiry import Inquiry
from cds_service.rule_engine.model import Contradiction, Facts


class WrittenContradiction(Written, frozen=True, kw_only=True):
    """What cannot both be so, in words, and the ids of the rules whose cards it bears on."""

    name: str
    says: str
    when: str
    rules: tuple[str, ...]


class ContradictionKnowledge(Written, frozen=True, kw_only=True):
    """``rules/contradictions.toml``: criteria of its own, and what holds of them when the record contradicts itself."""

    version: str
    owner: str
    checker: str
    review_by: str
    contradiction: tuple[WrittenContradiction, ...]
    criteria: Mapping[str, Criterion]


class Contradictions(msgspec.Struct, frozen=True):
    """The same, compiled."""

    criteria: Mapping[str, Ask]
    each: tuple[tuple[WrittenContradiction, Expression], ...]

    def bearing_on(self, rules: Iterable[str], facts: Facts, gates: Inquiry) -> tuple[Contradiction, ...]:
        """Those that hold and bear on the cards of some rules. What cannot be told contradicts nothing."""
        speaking = frozenset(rules)
        asked = [(written, when) for written, when in self.each if not speaking.isdisjoint(written.rules)]
        if not asked:
            return ()
        inquiry = Inquiry(facts, self.criteria, gates)
        held = [(written, when(inquiry.ask)) for written, when in asked]
        return tuple(
            Contradiction(written.name, written.says, frozenset(written.rules), verdict.facts)
            for written, verdict in held
            if verdict.value
        )


def compile_contradictions(
    knowledge: ContradictionKnowledge, rules: Iterable[str], compiler: Compiler
) -> Contradictions:
    """Compile the file. Raises ValueError with the name of what is wrong."""
    known = frozenset(rules)
    for written in knowledge.contradiction:
        if unknown := [rule for rule in written.rules if rule not in known]:
            raise ValueError(f"no rule is called {unknown[0]!r}")
    criteria = compiler.compile_all(knowledge.criteria, knowledge.criteria)
    each = tuple((written, read_expression(written.when, criteria)) for written in knowledge.contradiction)
    _refuse_unused(knowledge)
    return Contradictions(criteria, each)


def _refuse_unused(knowledge: ContradictionKnowledge) -> None:
    criteria = knowledge.criteria.values()
    joined = [*(one.when for one in knowledge.contradiction), *(one.when for one in criteria if one.when is not None)]
    used = {name for text in joined for name in names_in(text)}
    used |= {name for criterion in criteria for name in names_asked(criterion)}
    if unused := sorted(knowledge.criteria.keys() - used):
        raise ValueError(f"criterion {unused[0]!r} is never used")
