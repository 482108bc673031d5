"""Change each rule in one place at a time and see whether a worked patient notices: ``python -m tests.rules.mutants``.

A mutant moves a limit by one step, swaps a comparison, drops an exception, a silence or an operand, or flips a flag. It
is caught when a case of ``rules/*/cases.toml`` comes out otherwise than written. Nothing on disk changes.
"""

from __future__ import annotations

import ast
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import click
import msgspec
from msgspec.structs import replace

from cds_service.case_resources import PATIENT_ID, case_resources
from cds_service.cases import Case, differences, load_cases
from cds_service.fhir.reader import payloads_from_resources, read_record
from cds_service.rule_engine.compiler import Compiler
from cds_service.rule_engine.criterion import Criterion, names_asked
from cds_service.rule_engine.evaluate import assess, evaluate  # one rule alone is 25 times as fast as all
from cds_service.rule_engine.expression import names_in
from cds_service.rule_engine.facts import gather_facts
from cds_service.rule_engine.inquiry import Inquiry
from cds_service.rule_engine.loader import Knowledge, load_knowledge
from cds_service.rule_engine.model import Assessment, Facts, Rule, Status
from cds_service.rule_engine.rulebook import CompiledRule, RuleBook, compile_rule

RULES = Path(__file__).parents[2] / "rules"
AS_OF = datetime(2026, 11, 2, 12, tzinfo=UTC)
WANTED_PERCENT = 95
SWAPPED = {
    "above": "at_least",
    "at_least": "above",
    "below": "at_most",
    "at_most": "below",
    "weight_loss_above": "weight_loss_at_least",
    "weight_loss_at_least": "weight_loss_above",
    "activity_minutes_below": "activity_minutes_at_most",
    "activity_minutes_at_most": "activity_minutes_below",
}
FLAGS = ("confirmed", "red_flag", "undated_counts", "undated_since_counts", "undated_only", "two_low_weights")
FLIPPED_BOTH_WAYS = {"red_flag": "new_within_days", "undated_counts": "older_than_days"}  # where the other is given
NOT_LIMITS = ("decimals",)


class Mutant(msgspec.Struct, frozen=True):
    """A rule changed in one place. ``criterion``: the name of the changed one; None when it lies elsewhere."""

    rule: Rule
    kind: str
    change: str
    criterion: str | None = None


def mutants_of(rule: Rule) -> Iterator[Mutant]:
    """Every mutant of a rule, in the order of its file."""
    yield from _of_rule(rule)
    for at, fires in enumerate(rule.fires):
        place = f"fires {fires.name}"
        yield from _of_text(rule, f"{place}: when", fires.when, partial(_fires, rule, at, "when"))
        if fires.unless is not None:
            yield Mutant(_idle(_fires(rule, at, "unless", None), fires.unless), "exception", f"{place}: no unless")
            yield from _of_text(rule, f"{place}: unless", fires.unless, partial(_fires, rule, at, "unless"))
        other = "warning" if fires.indicator != "warning" else "info"
        yield Mutant(_fires(rule, at, "indicator", other), "indicator", f"{place}: {fires.indicator} -> {other}")
        if fires.own_trigger is not None:
            turned = not fires.own_trigger
            yield Mutant(_fires(rule, at, "own_trigger", turned), "own trigger", f"{place}: own_trigger -> {turned}")
    for at, silence in enumerate(rule.suppressed):
        place = f"suppressed {silence.reason}"
        rest = (*rule.suppressed[:at], *rule.suppressed[at + 1 :])
        yield Mutant(_idle(replace(rule, suppressed=rest), silence.when), "silence", f"{place}: dropped")
        yield from _of_text(rule, f"{place}: when", silence.when, partial(_silence, rule, at))
    for name, criterion in rule.criteria.items():
        yield from _of_criterion(rule, name, criterion)


def _of_rule(rule: Rule) -> Iterator[Mutant]:
    turned = not rule.own_trigger
    if any(f.own_trigger is None for f in rule.fires):
        yield Mutant(replace(rule, own_trigger=turned), "own trigger", f"own_trigger -> {turned}")
    if rule.youngest is not None:
        for youngest in (rule.youngest - 1, rule.youngest + 1):
            yield Mutant(replace(rule, youngest=youngest), "limit", f"youngest {rule.youngest} -> {youngest}")


def _of_criterion(rule: Rule, name: str, criterion: Criterion) -> Iterator[Mutant]:
    if criterion.when is not None:
        yield from _of_text(rule, f"{name}: when", criterion.when, partial(_joined, rule, name), name)
    yield from _flags(rule, name, criterion)
    for field, other in SWAPPED.items():
        if (value := getattr(criterion, field)) is not None and getattr(criterion, other) is None:
            swapped = _criterion(rule, name, **{field: None, other: value})
            yield Mutant(swapped, "comparison", f"{name}: {field} -> {other}", name)
    for info in msgspec.structs.fields(Criterion):
        value = getattr(criterion, info.name)
        if info.name in NOT_LIMITS or value == info.default:
            continue
        for moved in _moved(value):
            change = f"{name}: {info.name} {_shown(value)} -> {_shown(moved)}"
            yield Mutant(_criterion(rule, name, **{info.name: moved}), "limit", change, name)


def _flags(rule: Rule, name: str, criterion: Criterion) -> Iterator[Mutant]:
    for field in FLAGS:
        value = getattr(criterion, field)
        needs = FLIPPED_BOTH_WAYS.get(field)
        if value or (needs is not None and getattr(criterion, needs) is not None):
            turned = _criterion(rule, name, **{field: not value})
            yield Mutant(turned, "flag", f"{name}: {field} -> {not value}", name)


def _moved(value: object) -> Iterator[object]:
    """A number one step of its own decimals up and down; each number of a table or a list on its own."""
    match value:
        case bool():
            return
        case int() | float():
            step = Decimal(1).scaleb(min(0, _exponent(value)))
            yield from (type(value)(Decimal(str(value)) + sign * step) for sign in (-1, 1))
        case Mapping():
            yield from ({**value, key: moved} for key, one in value.items() for moved in _moved(one))
        case tuple():
            yield from ((*value[:i], moved, *value[i + 1 :]) for i, one in enumerate(value) for moved in _moved(one))


def _exponent(value: float) -> int:
    exponent = Decimal(f"{value:g}").normalize().as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _of_text(
    rule: Rule, place: str, text: str, put: Callable[[str], Rule], criterion: str | None = None
) -> Iterator[Mutant]:
    """The expression without one operand of its ``and`` or ``or``, for each of them."""
    tree = ast.parse(f"({text})", mode="eval").body
    joints = [node for node in ast.walk(tree) if isinstance(node, ast.BoolOp)]
    for joint in joints:
        for operand in (operands := joint.values):
            joint.values = [v for v in operands if v is not operand]
            mutated = put(ast.unparse(tree))
            joint.values = operands
            dropped = ast.unparse(operand)
            yield Mutant(_idle(mutated, dropped), "operand", f"{place} without {dropped!r}", criterion)


def _idle(rule: Rule, dropped: str) -> Rule:
    """The rule with the dropped names as context, so that none of its criteria is without use."""
    return replace(rule, context=(*rule.context, *names_in(dropped)))


def _fires(rule: Rule, at: int, field: str, value: object) -> Rule:
    return replace(rule, fires=(*rule.fires[:at], replace(rule.fires[at], **{field: value}), *rule.fires[at + 1 :]))


def _silence(rule: Rule, at: int, when: str) -> Rule:
    silences = rule.suppressed
    return replace(rule, suppressed=(*silences[:at], replace(silences[at], when=when), *silences[at + 1 :]))


def _joined(rule: Rule, name: str, when: str) -> Rule:
    return _criterion(rule, name, when=when)


def _criterion(rule: Rule, name: str, **fields: object) -> Rule:
    return replace(rule, criteria={**rule.criteria, name: replace(rule.criteria[name], **fields)})


class Worked(msgspec.Struct, frozen=True):
    """A case read once: its facts, the shared questions already answered, and the answer of every rule as written."""

    rule_id: str
    case: Case
    facts: Facts
    gates: Inquiry
    answers: Mapping[str, Assessment]


class Outcome(msgspec.Struct, frozen=True):
    """What became of a mutant. ``caught_by``: the case that noticed it. ``part``: what the changed place has a say in.

    ``unsaid``: how many patients got another answer in something that their case does not state.
    """

    rule_id: str
    mutant: Mutant
    part: str
    caught_by: str | None
    unsaid: int


class Bench:
    """Tries mutants against all worked patients."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._compiler = Compiler(frozenset(m.kind for m in knowledge.findings.measured))
        self._worked = [w for w in map(self._read, load_cases(knowledge.folder)) if not w.facts.record.deceased]

    def try_rule(self, rule: Rule, mutants: list[Mutant]) -> Iterator[Outcome]:
        """The outcome of every mutant of one rule; its own patients are asked first."""
        worked = sorted(self._worked, key=lambda w: w.rule_id != rule.id)
        for mutant in mutants:
            compiled = compile_rule(
                mutant.rule, (self._knowledge.rules.gates, self._knowledge.gate_criteria), self._compiler
            )
            yield self._try(rule, mutant, compiled, worked)

    def _try(self, rule: Rule, mutant: Mutant, compiled: CompiledRule, worked: list[Worked]) -> Outcome:
        book = _with(self._knowledge.rules, compiled)
        part, changed = _part_of(rule, mutant), 0
        for patient in worked:
            before = patient.answers[rule.id]
            after = assess(compiled, Inquiry(patient.facts, compiled.criteria, patient.gates, patient.answers))
            under_tier = mutant.kind == "own trigger" and after.status is Status.FIRED
            if not under_tier and _outward(before) == _outward(after):
                continue
            changed += 1
            if any(differences(patient.case, evaluate(book, patient.facts))):
                return Outcome(rule.id, mutant, part, patient.case.id, changed)
        return Outcome(rule.id, mutant, part, None, changed)

    def _read(self, entry: tuple[str, Case]) -> Worked:
        rule_id, case = entry
        knowledge = self._knowledge
        resources = [msgspec.json.encode(r) for r in case_resources(case, knowledge.tables, AS_OF)]
        record = read_record(
            payloads_from_resources(resources), PATIENT_ID, vocabulary=knowledge.vocabulary, as_of=AS_OF
        )
        facts = gather_facts(record, knowledge, AS_OF)
        if wrong := list(differences(case, evaluate(knowledge.rules, facts))):
            sys.exit(f"{case.id} already differs without a mutant: {wrong[0]}")
        gates = Inquiry(facts, knowledge.rules.gates)
        answers: dict[str, Assessment] = {}
        for compiled in knowledge.rules.in_order:
            answers[compiled.rule.id] = assess(compiled, Inquiry(facts, compiled.criteria, gates, answers))
        return Worked(rule_id, case, facts, gates, answers)


def _with(book: RuleBook, changed: CompiledRule) -> RuleBook:
    def swap(rules: tuple[CompiledRule, ...]) -> tuple[CompiledRule, ...]:
        return tuple(changed if c.rule.id == changed.rule.id else c for c in rules)

    return replace(book, by_number=swap(book.by_number), in_order=swap(book.in_order))


def _outward(answer: Assessment) -> tuple[object, ...]:
    """All of an answer that a case or another rule can see."""
    reason = answer.reason if answer.status is Status.SUPPRESSED else ""
    orders = frozenset(o.order for o in answer.offers)
    return answer.status, reason, answer.indicator, answer.branch, answer.findings, orders


def _part_of(rule: Rule, mutant: Mutant) -> str:
    """Whether the changed criterion decides if the rule fires, which orders it offers, or only what the card says."""
    if mutant.criterion is None:
        return "decides"
    decides = [*(f.when for f in rule.fires), *(f.unless for f in rule.fires), *(s.when for s in rule.suppressed)]
    if mutant.criterion in _reached(rule.criteria, decides):
        return "decides"
    return "offers" if mutant.criterion in _reached(rule.criteria, [o.when for o in rule.offers]) else "wording"


def _reached(criteria: Mapping[str, Criterion], texts: list[str | None]) -> set[str]:
    """The criteria that expressions ask for, directly or through others."""
    waiting = [name for text in texts if text for name in names_in(text)]
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in criteria and name not in reached:
            reached.add(name)
            criterion = criteria[name]
            waiting += [*names_asked(criterion), *(names_in(criterion.when) if criterion.when else ())]
    return reached


def _report(outcomes: list[Outcome]) -> None:
    for rule_id in dict.fromkeys(o.rule_id for o in outcomes):
        of_rule = [o for o in outcomes if o.rule_id == rule_id]
        survivors = [o for o in of_rule if o.caught_by is None]
        click.echo(f"{rule_id}: {len(of_rule)} mutants, {len(of_rule) - len(survivors)} caught")
        for one in survivors:
            click.echo(f"    survives: {one.mutant.change} ({one.mutant.kind}; {one.part}; {one.unsaid} unsaid)")
    labelled = [(label, o) for o in outcomes for label in (f"kind {o.mutant.kind}", f"part {o.part}")]
    totals = Counter(label for label, _ in labelled)
    lost = Counter(label for label, o in labelled if o.caught_by is None)
    for label, count in sorted(totals.items()):
        click.echo(f"{label}: {count} mutants, {count - lost[label]} caught")
    caught = sum(o.caught_by is not None for o in outcomes)
    click.echo(f"all: {len(outcomes)} mutants, {caught} caught, {_percent(outcomes):.1f} %")


def _percent(outcomes: list[Outcome]) -> float:
    return 100 * sum(o.caught_by is not None for o in outcomes) / max(1, len(outcomes))


@click.command()
@click.option("--rule", "only", multiple=True, help="Id of a rule; all when not given.")
@click.option("--sample", type=click.IntRange(1), help="At most this many mutants of each rule, drawn at random.")
@click.option("--seed", default=1, show_default=True, help="Of the sample.")
def main(only: tuple[str, ...], sample: int | None, seed: int) -> None:
    """Print what the worked patients catch. Ends with 1 when it is less than 95 % of the mutants."""
    knowledge = load_knowledge(RULES, AS_OF.date())
    bench = Bench(knowledge)
    draw = random.Random(seed)  # noqa: S311  a sample of mutants keeps no secret
    outcomes: list[Outcome] = []
    for compiled in knowledge.rules.by_number:
        if only and compiled.rule.id not in only:
            continue
        mutants = list(mutants_of(compiled.rule))
        if sample is not None and sample < len(mutants):
            mutants = draw.sample(mutants, sample)
        outcomes += bench.try_rule(compiled.rule, mutants)
    _report(outcomes)
    sys.exit(_percent(outcomes) < WANTED_PERCENT)


if __name__ == "__main__":
    main()
