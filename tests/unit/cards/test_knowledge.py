"""Wrong knowledge stops the start, with file and line: each way of being wrong once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cds_service.cards.knowledge import load_deck
from cds_service.errors import RuleFileError
from tests.unit.cards.builders import RULES


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RULES, tmp_path / "rules"))


def change(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after, 1), encoding="utf-8")


R11 = "steroid-myopathy/rule.toml"
SEEN_IN = 'verified_by = "PyPI package clinosim 0.6.5 (LOINC 2.82); saywurdson/synthea_dw"'
WRONG = [
    ("orders.toml", 'done_sets = ["creatine-kinase",', 'done_sets = ["creatine-kinaze",', "no value set is called"),
    ("orders.toml", 'conditions = ["lymphoedema"]', 'conditions = ["lymphedema"]', "no value set is called"),
    ("orders.toml", 'sets = ["pregnancy"]', 'sets = ["pregnant"]', "no value set is called"),
    ("orders.toml", "look_back_days = 90", "lookback_days = 90", "unknown field"),
    ("orders.toml", 'group = "laboratory"', 'group = "lab"', "Invalid enum value"),
    ("orders.toml", 'wanted = "LOINC: serum immunofixation"', "", "says which one is `wanted`"),
    ("orders.toml", SEEN_IN, 'verified_by = ""', "needs its `verified_by`"),
    ("orders.toml", 'code = "2157-6"', 'code = "2157 -  6 "', "does not make a ServiceRequest"),
    ("cards.toml", 'override_reasons = ["will-monitor",', 'override_reasons = ["will-monitr",', "no override reason"),
    ("cards.toml", 'summary = "Muscle', f'summary = "{"x" * 140}Muscle', "cannot be a summary"),
    ("cards.toml", '"R10", "R11", "R24"', '"R10", "R24"', "R11 is not in the diagnostic leads"),
    (
        R11,
        'override_reasons = ["dose-already-being-reduced"]',
        'override_reasons = ["dose-halved"]',
        "no override reason",
    ),
    (R11, "consider steroid myopathy; review dose", "review the dose. Consider", "one sentence of at most 139"),
]


@pytest.mark.parametrize(("file", "before", "after", "problem"), WRONG)
def test_a_wrong_file_stops_the_start(rules: Path, file: str, before: str, after: str, problem: str) -> None:
    change(rules / file, before, after)
    with pytest.raises(RuleFileError, match=problem) as raised:
        load_deck(rules)
    assert raised.value.line > 0


def test_a_summary_is_checked_before_a_patient_needs_it(rules: Path) -> None:
    """C44: and the line is that of the summary."""
    change(rules / R11, 'summary = "Weakness during', 'summary = "Weakness. During')
    with pytest.raises(RuleFileError, match="one sentence") as raised:
        load_deck(rules)
    lines = (rules / R11).read_text(encoding="utf-8").splitlines()
    assert lines[raised.value.line - 1].startswith('summary = "Weakness. During')
