"""The worked patients of ``rules/*/cases.toml``, read once, and which of them notices that something is changed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace

from cds_service.case_resources import PATIENT_ID, case_resources
from cds_service.cases import Case, differences, load_cases
from cds_service.fhir.reader import payloads_from_resources, read_record
from cds_service.rule_engine.compiler import Compiler
from cds_service.rule_engine.criterion import Criterion, names_asked
from cds_service.rule_engine.evaluate import assess, evaluate  # one rule alone is 25 times as fast as all
from cds_service.rule_engine.expression import names_in
from cds_service.rule_engine.facts import gather_facts, with_risk_domains
from cds_service.rule_engine.inquiry import Inquiry
from cds_service.rule_engine.loader import Knowledge
from cds_service.rule_engine.model import Assessment, Facts, Rule, Status
from cds_service.rule_engine.rulebook import CompiledRule, RuleBook, compile_rule
from tests.rules.criterion_mutants import CriterionMutant, Mutant, mutants_of_criterion
from tests.rules.mutants import RuleMutant, mutants_of

AS_OF = datetime(2026, 11, 2, 12, tzinfo=UTC)
GATES = "gates"


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

    def try_rule(self, rule: Rule) -> Iterator[Outcome]:
        """The outcome of every mutant of one rule; its own patients are asked first."""
        worked = sorted(self._worked, key=lambda w: w.rule_id != rule.id)
        gates = self._knowledge.rules.gates, self._knowledge.gate_criteria
        for mutant in mutants_of(rule):
            compiled = compile_rule(mutant.rule, gates, self._compiler)
            touched = (w for w in worked if _rule_differs(mutant, compiled, w))
            yield self._outcome(mutant, _part_of(rule, mutant), _with_rule(self._knowledge.rules, compiled), touched)

    def try_gates(self) -> Iterator[Outcome]:
        """The outcome of every mutant of the shared criteria. Where its own verdict is the same, all is."""
        for name, criterion in self._knowledge.gate_criteria.items():
            for mutant in mutants_of_criterion(name, criterion):
                book = self._with_gate(mutant)
                touched = (w for w in self._worked if _gate_differs(name, book, w))
                yield self._outcome(mutant, GATES, book, touched)

    def _outcome(self, mutant: Mutant, part: str, book: RuleBook, touched: Iterator[Worked]) -> Outcome:
        """What the touched patients say of a changed book."""
        changed = 0
        knowledge = replace(self._knowledge, rules=book)
        for changed, patient in enumerate(touched, start=1):
            if any(differences(patient.case, evaluate(book, with_risk_domains(patient.facts, knowledge)))):
                return Outcome(mutant, part, patient.case.id, changed)
        return Outcome(mutant, part, None, changed)

    def _with_gate(self, mutant: CriterionMutant) -> RuleBook:
        gates = self._knowledge.rules.gates
        changed = self._compiler.compile_all({mutant.name: mutant.criterion}, gates)
        return replace(self._knowledge.rules, gates={**gates, **changed})

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


def _rule_differs(mutant: RuleMutant, compiled: CompiledRule, patient: Worked) -> bool:
    before = patient.answers[mutant.rule.id]
    after = assess(compiled, Inquiry(patient.facts, compiled.criteria, patient.gates, patient.answers))
    under_tier = mutant.kind == "own trigger" and after.status is Status.FIRED
    return under_tier or _outward(before) != _outward(after)


def _gate_differs(name: str, book: RuleBook, patient: Worked) -> bool:
    """Whether the verdict of a shared criterion is another one, asked as for the tier: when every rule has answered."""
    before = Inquiry(patient.facts, patient.gates.criteria, patient.gates, patient.answers).ask(name)
    return before != Inquiry(patient.facts, book.gates, patient.gates, patient.answers).ask(name)


def _with_rule(book: RuleBook, changed: CompiledRule) -> RuleBook:
    def swap(rules: tuple[CompiledRule, ...]) -> tuple[CompiledRule, ...]:
        return tuple(changed if c.rule.id == changed.rule.id else c for c in rules)

    return replace(book, by_number=swap(book.by_number), in_order=swap(book.in_order))


def _outward(answer: Assessment) -> tuple[object, ...]:
    """All of an answer that a case or another rule can see."""
    reason = answer.reason if answer.status is Status.SUPPRESSED else ""
    said = (answer.summary, answer.opening, answer.advice, answer.missing, answer.facts)
    return answer.status, reason, answer.indicator, answer.branch, answer.findings, frozenset(answer.offers), said


def _part_of(rule: Rule, mutant: RuleMutant) -> str:
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
