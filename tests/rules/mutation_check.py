"""Whether the worked patients notice when a rule is changed in one place: ``python -m tests.rules.mutation_check``.

A mutant is caught when a case of ``rules/*/cases.toml`` comes out otherwise than written. Why each other one survives
stands in ``surviving_mutants/<rule id>.toml``. Nothing on disk changes.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
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
from tests.rules.mutants import Mutant, mutants_of

RULES = Path(__file__).parents[2] / "rules"
REASONS = Path(__file__).parent / "surviving_mutants"
AS_OF = datetime(2026, 11, 2, 12, tzinfo=UTC)
WANTED_PERCENT = 95


class Survivor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why no worked patient can, or does, tell a mutant from the rule. ``change`` as the check prints it."""

    change: str
    reason: str


class _SurvivorFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    survivor: tuple[Survivor, ...] = ()


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
    said = (answer.summary, answer.opening, answer.advice, answer.missing, answer.facts)
    return answer.status, reason, answer.indicator, answer.branch, answer.findings, frozenset(answer.offers), said


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


def reasons_of(rule_id: str) -> Mapping[str, str]:
    """The written reasons of a rule's survivors, by change."""
    path = REASONS / f"{rule_id}.toml"
    if not path.exists():
        return {}
    return {s.change: s.reason for s in msgspec.toml.decode(path.read_bytes(), type=_SurvivorFile).survivor}


def _report(rule_id: str, outcomes: list[Outcome]) -> int:
    """Print what one rule's patients do not catch. The number of survivors without reason and reasons without need."""
    survivors = [o for o in outcomes if o.caught_by is None]
    reasons = reasons_of(rule_id)
    click.echo(f"{rule_id}: {len(outcomes)} mutants, {len(outcomes) - len(survivors)} caught")
    for one in survivors:
        change = one.mutant.change
        said = reasons.get(change, f"NO REASON ({one.mutant.kind}; {one.part}; {one.unsaid} unsaid)")
        click.echo(f"    survives: {change}: {said}")
    idle = reasons.keys() - {o.mutant.change for o in survivors}
    for change in sorted(idle):
        click.echo(f"    NOT NEEDED, it is caught or no longer made: {change}")
    return sum(o.mutant.change not in reasons for o in survivors) + len(idle)


def _report_all(outcomes: list[Outcome]) -> None:
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
def main(only: tuple[str, ...]) -> None:
    """Print what the worked patients do not catch, and why.

    Ends with 1 when they catch less than 95 % of the mutants, or when the written reasons are not those of the
    survivors.
    """
    knowledge = load_knowledge(RULES, AS_OF.date())
    bench = Bench(knowledge)
    outcomes: list[Outcome] = []
    unexplained = 0
    for compiled in knowledge.rules.by_number:
        if only and compiled.rule.id not in only:
            continue
        of_rule = list(bench.try_rule(compiled.rule, list(mutants_of(compiled.rule))))
        unexplained += _report(compiled.rule.id, of_rule)
        outcomes += of_rule
    _report_all(outcomes)
    sys.exit(_percent(outcomes) < WANTED_PERCENT or unexplained > 0)


if __name__ == "__main__":
    main()
