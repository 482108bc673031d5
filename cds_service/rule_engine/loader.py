"""Everything in ``rules/`` read, checked and compiled once at start. Any oddity stops it with file and line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

import msgspec

from cds_service.coding import Coding, Vocabulary
from cds_service.derive.findings import FindingKnowledge
from cds_service.derive.habits import HabitKnowledge
from cds_service.derive.risk_domains import DomainKnowledge
from cds_service.derive.steroid_knowledge import SteroidKnowledge
from cds_service.derive.units import UnitKnowledge
from cds_service.derive.weight_knowledge import WeightKnowledge
from cds_service.errors import RuleFileError
from cds_service.rule_engine.code_tables import CodeTables, load_code_tables, refuse_unasked
from cds_service.rule_engine.compiler import Compiler
from cds_service.rule_engine.contradictions import ContradictionKnowledge, Contradictions, compile_contradictions
from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.gate import Gate
from cds_service.rule_engine.model import Rule
from cds_service.rule_engine.rulebook import (
    Ask,
    CompiledDomain,
    CompiledRule,
    Gates,
    RuleBook,
    compile_domains,
    compile_rule,
    in_asking_order,
)
from cds_service.rule_engine.tier import TierKnowledge
from cds_service.rule_engine.written import convert, line_of, read_struct, read_toml

REQUIRED_GATES = ("cause_recorded", "hospice_care", "palliative_care")
ORDER_SYSTEM = "urn:atrophy-cds:orders"
SET_FIELDS = (
    "condition",
    "family_history",
    "done",
    "visit",
    "without",
    "result",
    "specimen_not_needed_for",
    "medication",
    "worsening",
    "plan",
    "trend",
)


class Knowledge(msgspec.Struct, frozen=True):
    """All that ``rules/`` says. ``pack_hash`` is the SHA-256 of every file, so that a card names what made it (T25)."""

    folder: Path
    rules: RuleBook
    gate_criteria: Mapping[str, Criterion]
    gates_in_words: tuple[Gate, ...]
    tables: CodeTables
    steroids: SteroidKnowledge
    findings: FindingKnowledge
    domains: DomainKnowledge
    units: UnitKnowledge
    weight: WeightKnowledge
    habits: HabitKnowledge
    pack_hash: str
    expired: tuple[str, ...]

    @property
    def vocabulary(self) -> Vocabulary:
        """What the codes of a chart mean."""
        return self.tables.vocabulary


class _Gates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``rules/gates.toml``: criteria that every rule may name, and the gates in words."""

    version: str
    owner: str
    checker: str
    review_by: str
    criteria: Mapping[str, Criterion]
    gate: tuple[Gate, ...]


def load_knowledge(folder: Path, today: date) -> Knowledge:
    """Read ``folder``. Raises RuleFileError at the first thing that must not be used."""
    steroids = read_struct(folder / "steroids.toml", SteroidKnowledge)
    findings = read_struct(folder / "findings.toml", FindingKnowledge)
    domains = read_struct(folder / "risk_domains.toml", DomainKnowledge)
    units = read_struct(folder / "units.toml", UnitKnowledge)
    weight = read_struct(folder / "weight.toml", WeightKnowledge)
    habits = read_struct(folder / "habits.toml", HabitKnowledge)
    tiers = read_struct(folder / "tiers.toml", TierKnowledge)
    orders = order_keys(folder / "orders.toml")
    tables = load_code_tables(folder, steroids, {Coding(ORDER_SYSTEM, key): f"order:{key}" for key in orders})
    known = tables.known_sets
    measured = frozenset(m.kind for m in findings.measured)
    kinds = measured | {c.set for c in findings.coded}
    named = [*_sets_named(steroids, findings, domains, units), ("weight.toml", weight.value_sets())]
    named.append(("habits.toml", habits.value_sets()))
    _refuse_unknown_sets(folder, named, known)
    gates_file = folder / "gates.toml"
    written_gates = _read_gates(gates_file, known, kinds)
    gates = written_gates.criteria
    compiler = Compiler(measured)
    compiled_gates = compiler.compile_all(gates, gates)
    rules = [
        _compile(path, _read_rule(path, known, kinds, orders), (compiled_gates, gates), compiler)
        for path in sorted(folder.glob("*/rule.toml"))
    ]
    refuse_unasked(folder / "value_sets.toml", tables)
    _refuse_overlaps(folder, rules)
    book = RuleBook(
        by_number=tuple(sorted(rules, key=lambda c: c.rule.number)),
        in_order=_in_order(folder, rules),
        gates=compiled_gates,
        tiers=tiers,
        contradictions=_read_contradictions(folder / "contradictions.toml", (known, kinds), rules, compiler),
        domains=_compile_domains(folder / "risk_domains.toml", domains, compiled_gates),
    )
    expired = tuple(c.rule.id for c in rules if c.rule.review_by < today)
    return Knowledge(
        folder=folder,
        rules=book,
        gate_criteria=gates,
        gates_in_words=written_gates.gate,
        tables=tables,
        steroids=steroids,
        findings=findings,
        domains=domains,
        units=units,
        weight=weight,
        habits=habits,
        pack_hash=pack_hash(folder),
        expired=expired,
    )


def pack_hash(folder: Path) -> str:
    """SHA-256 over the names and bytes of every TOML and CSV file, in order of their names."""
    digest = hashlib.sha256()
    for path in sorted((*folder.rglob("*.toml"), *folder.rglob("*.csv"))):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def order_keys(path: Path) -> frozenset[str]:
    """The keys of the orders that ``path``, an ``orders.toml``, describes."""
    orders = read_toml(path).get("order", {})
    return frozenset(orders) if isinstance(orders, dict) else frozenset()


def _read_gates(path: Path, known: frozenset[str], kinds: frozenset[str]) -> _Gates:
    written = read_struct(path, _Gates)
    gates = written.criteria
    for name in REQUIRED_GATES:
        if name not in gates:
            raise RuleFileError(path, 1, f"the gate {name!r} is missing")
    for name, criterion in gates.items():
        _refuse_unknown_names(path, name, criterion, known, kinds)
    return written


def _read_contradictions(
    path: Path, names: tuple[frozenset[str], frozenset[str]], rules: list[CompiledRule], compiler: Compiler
) -> Contradictions:
    knowledge = read_struct(path, ContradictionKnowledge)
    for name, criterion in knowledge.criteria.items():
        _refuse_unknown_names(path, name, criterion, *names)
    try:
        return compile_contradictions(knowledge, (c.rule.id for c in rules), compiler)
    except ValueError as error:
        raise RuleFileError(path, line_of(path, *str(error).split("'")[1:2]), str(error)) from error


def _read_rule(path: Path, known: frozenset[str], kinds: frozenset[str], orders: frozenset[str]) -> Rule:
    tables = read_toml(path)
    written = tables.get("criteria")
    if not isinstance(written, dict):
        raise RuleFileError(path, 1, "a rule needs a [criteria] table")
    for name, criterion in written.items():
        place = f"criteria.{name}"
        _refuse_unknown_names(path, name, convert(path, criterion, Criterion, place), known, kinds)
    rule = convert(path, tables, Rule)
    if rule.id != path.parent.name:
        raise RuleFileError(path, line_of(path, "id"), f"the id must be the folder's name, {path.parent.name!r}")
    for summary in (rule.summary, *(fires.summary for fires in rule.fires if fires.summary)):
        _refuse_placeholder(path, summary)
    for offer in rule.offers:
        if offer.order not in orders:
            raise RuleFileError(path, line_of(path, offer.order), f"orders.toml has no order {offer.order!r}")
    if not rule.changes or rule.changes[0].version != rule.version:
        problem = f"the first of [[changes]] must say what version {rule.version} changed"
        raise RuleFileError(path, line_of(path, "version"), problem)
    return rule


def _refuse_placeholder(path: Path, summary: str) -> None:
    try:
        summary.format(steroid_dose="")
    except (KeyError, IndexError, ValueError) as error:
        problem = f"a summary may hold {{steroid_dose}} and no other braces: {summary!r}"
        raise RuleFileError(path, line_of(path, "summary"), problem) from error


def _refuse_unknown_names(
    path: Path, name: str, criterion: Criterion, known: frozenset[str], kinds: frozenset[str]
) -> None:
    place = f"criteria.{name}"
    for field in SET_FIELDS:
        for one in getattr(criterion, field):
            if one not in known and not one.startswith("order:"):
                raise RuleFileError(path, line_of(path, place, one), f"no value set is called {one!r}")
    for kind in criterion.finding:
        if kind not in kinds:
            raise RuleFileError(path, line_of(path, place, kind), f"findings.toml has no finding {kind!r}")


def _sets_named(
    steroids: SteroidKnowledge, findings: FindingKnowledge, domains: DomainKnowledge, units: UnitKnowledge
) -> list[tuple[str, Iterable[str]]]:
    return [
        ("steroids.toml", steroids.value_sets()),
        ("findings.toml", [*(c.set for c in findings.coded), *(m.set for m in findings.measured)]),
        ("risk_domains.toml", [s for d in domains.domain for s in (*d.sets, *d.strong, *d.medication_sets)]),
        ("units.toml", units.value_sets()),
    ]


def _refuse_unknown_sets(folder: Path, named: Iterable[tuple[str, Iterable[str]]], known: frozenset[str]) -> None:
    for file, sets in named:
        for one in sets:
            if one not in known:
                path = folder / file
                raise RuleFileError(path, line_of(path, one), f"no value set is called {one!r}")


def _compile(path: Path, rule: Rule, gates: Gates, compiler: Compiler) -> CompiledRule:
    try:
        return compile_rule(rule, gates, compiler)
    except ValueError as error:
        quoted = str(error).split("'")
        raise RuleFileError(path, line_of(path, *quoted[1:2]), str(error)) from error


def _compile_domains(path: Path, domains: DomainKnowledge, gates: Mapping[str, Ask]) -> tuple[CompiledDomain, ...]:
    try:
        return compile_domains(domains, gates)
    except ValueError as error:
        raise RuleFileError(path, line_of(path, *str(error).split("'")[1:2]), str(error)) from error


def _refuse_overlaps(folder: Path, rules: list[CompiledRule]) -> None:
    for field in ("number", "topic"):
        seen: dict[str, str] = {}
        for compiled in rules:
            value = getattr(compiled.rule, field)
            if value in seen:
                path = folder / compiled.rule.id / "rule.toml"
                raise RuleFileError(path, line_of(path, field), f"{field} {value!r} is also that of {seen[value]!r}")
            seen[value] = compiled.rule.id


def _in_order(folder: Path, rules: list[CompiledRule]) -> tuple[CompiledRule, ...]:
    try:
        return in_asking_order(rules)
    except ValueError as error:
        raise RuleFileError(folder, 1, str(error)) from error
