"""``rules/README.md`` teaches the rule language with examples that the loader accepts, and leaves out no word of it."""

from __future__ import annotations

import re
import tomllib
from datetime import date

import msgspec
import pytest

from cds_service.rule_engine.code_tables import CodeTables
from cds_service.rule_engine.criteria import compile_criterion
from cds_service.rule_engine.criterion import Criterion, names_asked, rules_named
from cds_service.rule_engine.expression import names_in, read_expression
from cds_service.rule_engine.loader import load_knowledge
from tests.rules.tables import RULES

TEXT = (RULES / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", TEXT, re.S)
EXAMPLES = {name: table for block in BLOCKS for name, table in tomllib.loads(block)["criteria"].items()}
KNOWLEDGE = load_knowledge(RULES, date.min)
TABLES: CodeTables = KNOWLEDGE.tables
MEASURED = frozenset(one.kind for one in KNOWLEDGE.findings.measured)
KINDS = MEASURED | {one.set for one in KNOWLEDGE.findings.coded}
SET_FIELDS = (
    "condition",
    "family_history",
    "done",
    "visit",
    "planned_for",
    "result",
    "medication",
    "plan",
    "trend",
    "only",
    "without",
)


def test_no_example_stands_twice() -> None:
    assert len(EXAMPLES) == sum(len(tomllib.loads(block)["criteria"]) for block in BLOCKS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_loader_accepts_each_example(name: str) -> None:
    """Known fields, one question each, and every set, finding, rule and criterion that it names exists."""
    criterion = msgspec.convert(EXAMPLES[name], Criterion)
    if criterion.when is not None:
        read_expression(criterion.when, EXAMPLES)
        assert set(names_in(criterion.when)) <= set(EXAMPLES)
    else:
        compile_criterion(criterion, MEASURED)
    assert set(names_asked(criterion)) <= set(EXAMPLES)
    assert set(rules_named(criterion)) <= {c.rule.id for c in KNOWLEDGE.rules.by_number}
    assert set(criterion.finding) <= KINDS
    known = TABLES.known_sets
    assert {one for field in SET_FIELDS for one in getattr(criterion, field)} <= known


def test_every_word_of_the_language_has_an_example() -> None:
    shown = {field for table in EXAMPLES.values() for field in table}
    spoken = {field for field in Criterion.__struct_fields__ if re.search(rf"\b{field}\b", TEXT)}
    assert set(Criterion.__struct_fields__) - shown - spoken == set()
