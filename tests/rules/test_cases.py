"""Every worked patient of ``rules/*/cases.toml`` comes out as written (section 8 rows, both sides of each limit)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cds_service.cases import Case, load_cases
from cds_service.cli.check_rules import case_differences
from cds_service.rule_engine.loader import Knowledge, load_knowledge

RULES = Path(__file__).parents[2] / "rules"
CASES = load_cases(RULES)
SECTION_8 = {
    "R02": ["P1", "P2", "P3", "P4", "N1", "N2", "N3", "N4"],
    "R07": ["P1", "P2", "P3", "N1", "N2", "N3"],
    "R08": ["P1", "P2", "P3", "P4", "N1", "N2", "N3", "N4", "N5"],
    "R11": ["P1", "P2", "P3", "P4", "N1", "N2", "N3", "N4a", "N4b", "N5"],
    "R12": ["P1", "P2", "N1", "N2", "N3", "N4", "N5"],
    "R16": ["P1", "P2", "P3", "N1", "N2", "N3", "N4"],
}


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load_knowledge(RULES, datetime.now(UTC).date())


@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[case.id for _, case in CASES])
@pytest.mark.parametrize(
    "as_of",
    [datetime(2026, 11, 2, 12, tzinfo=UTC), datetime(2024, 2, 29, 23, 30, tzinfo=UTC)],
    ids=["2026-11-02", "leap-day"],
)
def test_worked_patient(case: Case, as_of: datetime, knowledge: Knowledge) -> None:
    """The case says what must come out, whatever day it is asked on."""
    assert list(case_differences(case, knowledge, as_of)) == []


def test_every_row_of_section_8_is_a_case() -> None:
    """The positive and near-miss patients of the clinical specification are all here, under their own names."""
    known = {case.id for _, case in CASES}
    assert {f"{rule}-{row}" for rule, rows in SECTION_8.items() for row in rows} <= known
