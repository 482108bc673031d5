"""Which gates (G1-G15) act on a rule, and what each means there."""

from __future__ import annotations

from collections.abc import Iterator

from cds_service.cli.rules_page.words import Pack, asked_by
from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.gate import GateLine
from cds_service.rule_engine.model import Rule
from cds_service.rule_engine.plain_words import in_words

NOT_SAID = Criterion(says="")


def gates_of_all_rules(pack: Pack) -> Iterator[str]:
    """The table of gates."""
    yield "| Gate | About | For all rules |"
    yield "|---|---|---|"
    for gate in pack.knowledge.gates_in_words:
        yield f"| {gate.number} | {gate.title} | {gate.says} |"


def gates_here(rule: Rule, pack: Pack) -> Iterator[str]:
    """What the gates mean at one rule; then those that act here as on every rule, and those that it does not ask."""
    yield "\n**Gates**\n"
    plain: list[str] = []
    absent: list[str] = []
    for gate in pack.knowledge.gates_in_words:
        lines = [line for written in gate.line if (line := _line(written, rule, pack)) is not None]
        name = f"{gate.number} {gate.title}"
        yield from (f"- {name}: {line}" for line in lines)
        if not lines:
            (plain if gate.every_rule else absent).append(name)
    if plain:
        yield f"- As for every rule: {', '.join(plain)}."
    if absent:
        yield f"- No question of this rule: {', '.join(absent)}."


def _line(line: GateLine, rule: Rule, pack: Pack) -> str | None:
    """The sentence with its names, or None where the line does not fit the rule."""
    names, orders = _names(line, rule, pack), _orders(line, rule, pack)
    fits = (
        names or not (line.criteria or line.sets or line.field),
        orders or not (line.orders or line.rays),
        line.has is None or getattr(rule, line.has),
        line.lacks is None or not getattr(rule, line.lacks),
        not line.groups or rule.group in line.groups,
    )
    if not all(fits):
        return None
    return line.says.format(names="; ".join(names), orders="; ".join(orders), youngest=rule.youngest)


def _names(line: GateLine, rule: Rule, pack: Pack) -> list[str]:
    criteria = pack.criteria(rule)
    return [in_words(name) for name in asked_by(rule, criteria) if _meant(line, name, criteria[name])]


def _meant(line: GateLine, name: str, criterion: Criterion) -> bool:
    if line.field is not None and getattr(criterion, line.field) != getattr(NOT_SAID, line.field):
        return True
    return name in line.criteria or not frozenset(line.sets).isdisjoint(criterion.condition)


def _orders(line: GateLine, rule: Rule, pack: Pack) -> list[str]:
    kept = rule.number in pack.deck.orders.pregnancy.exempt_rules
    offered = [pack.deck.orders.orders[offer.order] for offer in rule.offers]
    return [
        order.written.label
        for order in offered
        if order.key in line.orders or (order.written.ionising and line.rays == ("kept" if kept else "removed"))
    ]
