"""Rules compiled once at start: criteria and expressions become functions, rules get an order of asking."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

import msgspec

from cds_service.derive.risk_domains import DomainKnowledge, Shown
from cds_service.rule_engine.compiler import Compiler
from cds_service.rule_engine.contradictions import Contradictions
from cds_service.rule_engine.criterion import Criterion, names_asked, rules_named
from cds_service.rule_engine.expression import Expression, names_in, read_expression
from cds_service.rule_engine.inquiry import Inquiry
from cds_service.rule_engine.model import Advice, Assessment, Facts, Fires, Offer, Rule, Suppression, Verdict
from cds_service.rule_engine.plain_words import deciding_criteria
from cds_service.rule_engine.tier import TierKnowledge

Ask = Callable[[Inquiry], Verdict]
Gates = tuple[Mapping[str, Ask], Mapping[str, Criterion]]  # compiled, and as written


class CompiledFires(msgspec.Struct, frozen=True):
    """A way to fire with its compiled condition."""

    written: Fires
    when: Expression
    unless: Expression | None


class CompiledOffer(msgspec.Struct, frozen=True):
    """An order to suggest with its compiled conditions."""

    written: Offer
    when: Expression | None
    preselect_when: Expression | None
    seen_since: Expression | None


class CompiledRule(msgspec.Struct, frozen=True):
    """A rule with everything that is asked of a patient compiled; shared gates are among its criteria.

    ``pattern``: the criteria of its ways to fire, in the order of their text. ``deciding``: all behind its answer.
    """

    rule: Rule
    criteria: Mapping[str, Ask]
    says: Mapping[str, str]
    pattern: tuple[str, ...]
    deciding: tuple[str, ...]
    fires: tuple[CompiledFires, ...]
    suppressed: tuple[tuple[Suppression, Expression], ...]
    offers: tuple[CompiledOffer, ...]
    advice: tuple[tuple[Advice, Expression | None], ...]


class CompiledDomain(msgspec.Struct, frozen=True):
    """The criteria of one risk domain, compiled."""

    name: str
    when: Expression | None
    strong_when: Expression | None
    unless: Expression | None


class RuleBook(msgspec.Struct, frozen=True):
    """All compiled rules: ``by_number`` for people, ``in_order`` so that a rule comes after those it asks about."""

    by_number: tuple[CompiledRule, ...]
    in_order: tuple[CompiledRule, ...]
    gates: Mapping[str, Ask]
    tiers: TierKnowledge
    contradictions: Contradictions
    domains: tuple[CompiledDomain, ...] = ()

    def domains_shown(self, facts: Facts) -> dict[str, Shown]:
        """The risk domains that their criteria show, and those of which it cannot be told."""
        inquiry = Inquiry(facts, self.gates)
        shown: dict[str, Shown] = {}
        for domain in self.domains:
            if domain.unless is not None and domain.unless(inquiry.ask).value:
                continue
            if domain.strong_when is not None and domain.strong_when(inquiry.ask).value:
                shown[domain.name] = "strong"
            elif domain.when is not None:
                held = domain.when(inquiry.ask)
                if held.value is not False:
                    shown[domain.name] = "plain" if held.value else held.missing
        return shown

    def named(self, words: Collection[str]) -> frozenset[str]:
        """Ids of the rules that the words name: an id, ``emergency`` (R01-R05) or ``extension`` (EXT).

        Raises ValueError for any other word.
        """
        rules = [compiled.rule for compiled in self.by_number]
        groups = {
            "emergency": frozenset(rule.id for rule in rules if rule.group == "emergency"),
            "extension": frozenset(rule.id for rule in rules if rule.extension),
            **{rule.id: frozenset({rule.id}) for rule in rules},
        }
        if unknown := [word for word in words if word not in groups]:
            raise ValueError(f"no rule or group of rules is called {unknown[0]!r}")
        return frozenset[str]().union(*(groups[word] for word in words))

    @property
    def ids(self) -> frozenset[str]:
        """Of all rules."""
        return frozenset(compiled.rule.id for compiled in self.by_number)

    @property
    def urgent(self) -> frozenset[str]:
        """Ids of R01-R05 and of every rule that can be critical: none of them ever trips by itself (B-25)."""
        rules = (compiled.rule for compiled in self.by_number)
        return frozenset(
            rule.id for rule in rules if rule.group == "emergency" or any(f.indicator == "critical" for f in rule.fires)
        )

    def own_trigger(self, assessment: Assessment) -> bool:
        """Whether the tier has no say over this card: as its branch says, else as its rule says (A-02)."""
        branch = next((f for f in assessment.rule.fires if f.name == assessment.branch), None)
        if branch is not None and branch.own_trigger is not None:
            return branch.own_trigger
        return assessment.rule.own_trigger


def compile_domains(knowledge: DomainKnowledge, gates: Mapping[str, Ask]) -> tuple[CompiledDomain, ...]:
    """The domains that ask shared criteria. Raises ValueError with the name of what is wrong."""

    def read_if_given(text: str | None) -> Expression | None:
        return None if text is None else read_expression(text, gates)

    return tuple(
        CompiledDomain(d.name, read_if_given(d.when), read_if_given(d.strong_when), read_if_given(d.unless))
        for d in knowledge.domain
        if d.when is not None or d.strong_when is not None
    )


def _of_gates(name: str) -> Ask:
    """A shared criterion, asked once for all rules of a patient."""
    return lambda inquiry: (inquiry.gates or inquiry).ask(name)


def compile_rule(rule: Rule, shared: Gates, compiler: Compiler) -> CompiledRule:
    """Compile one rule beside the shared gates. Raises ValueError with the name of what is wrong."""
    gates, gate_criteria = shared
    if twice := sorted(gates.keys() & rule.criteria.keys()):
        raise ValueError(f"criterion {twice[0]!r} is already a shared gate")
    known = frozenset(gates) | frozenset(rule.criteria)
    criteria = {**{name: _of_gates(name) for name in gates}, **compiler.compile_all(rule.criteria, known)}

    def read(text: str) -> Expression:
        return read_expression(text, known)

    def read_if_given(text: str | None) -> Expression | None:
        return None if text is None else read_expression(text, known)

    fires = tuple(CompiledFires(f, read(f.when), read_if_given(f.unless)) for f in rule.fires)
    written = {**gate_criteria, **rule.criteria}
    compiled = CompiledRule(
        rule,
        criteria,
        {name: criterion.says for name, criterion in written.items()},
        tuple(dict.fromkeys(name for f in rule.fires for name in names_in(f.when))),
        deciding_criteria(rule, written),
        fires,
        tuple((s, read(s.when)) for s in rule.suppressed),
        tuple(
            CompiledOffer(o, read_if_given(o.when), read_if_given(o.preselect_when), read_if_given(o.seen_since))
            for o in rule.offers
        ),
        tuple((a, read_if_given(a.when)) for a in rule.advice),
    )
    _refuse_unused(rule)
    _refuse_asked_too_early(rule, gate_criteria)
    return compiled


def in_asking_order(rules: Iterable[CompiledRule]) -> tuple[CompiledRule, ...]:
    """Rules sorted so that each comes after the rules its criteria name. Raises ValueError when they form a ring."""
    by_id = {compiled.rule.id: compiled for compiled in rules}
    graph = {
        rule_id: {
            other for criterion in compiled.rule.criteria.values() for other in rules_named(criterion) if other in by_id
        }
        for rule_id, compiled in by_id.items()
    }
    try:
        return tuple(by_id[rule_id] for rule_id in TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise ValueError(f"rules ask about each other in a ring: {' > '.join(error.args[1])}") from error


def _refuse_unused(rule: Rule) -> None:
    used = {*rule.context, *rule.looked_for}
    for text in _expressions(rule):
        used |= set(names_in(text))
    for criterion in rule.criteria.values():
        used |= set(names_asked(criterion))
    if unused := sorted(rule.criteria.keys() - used):
        raise ValueError(f"criterion {unused[0]!r} is never used")


def _refuse_asked_too_early(rule: Rule, gates: Mapping[str, Criterion]) -> None:
    """Only the tier may ask a shared criterion about a rule: for a rule it is asked before the others have answered."""
    waiting = [name for text in _expressions(rule) for name in names_in(text)]
    waiting += [name for criterion in rule.criteria.values() for name in names_asked(criterion)]
    asked: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in gates or name in asked:
            continue
        asked.add(name)
        if rules_named(gates[name]):
            raise ValueError(f"shared criterion {name!r} asks about a rule: ask about it in a criterion of this file")
        waiting += [*names_asked(gates[name]), *(names_in(when) if (when := gates[name].when) else ())]


def _expressions(rule: Rule) -> list[str]:
    texts = [f.when for f in rule.fires] + [s.when for s in rule.suppressed]
    optional = [
        *(f.unless for f in rule.fires),
        *(o.when for o in rule.offers),
        *(text for o in rule.offers for text in (o.preselect_when, o.seen_since)),
        *(a.when for a in rule.advice),
    ]
    joined = [criterion.when for criterion in rule.criteria.values()]
    return texts + [text for text in (*optional, *joined) if text is not None]
