"""Every worked patient of ``rules/*/cases.toml`` comes out as written (section 8 rows, both sides of each limit)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cds_service.cases import Case
from cds_service.cli.check_rules import case_differences
from cds_service.rule_engine.loader import Knowledge, load_knowledge
from tests.worked_patients import CASES, RULES, by_rule

# Rule -> how many positive and how many near-miss patients its row has. R11-N4 is two patients.
SECTION_8 = {
    "R01": (3, 4),
    "R02": (4, 4),
    "R03": (3, 4),
    "R04": (3, 3),
    "R05": (3, 4),
    "R06": (3, 4),
    "R07": (3, 3),
    "R08": (4, 5),
    "R09": (3, 3),
    "R10": (3, 3),
    "R11": (4, 5),
    "R12": (2, 5),
    "R13": (2, 3),
    "R14": (3, 4),
    "R15": (3, 4),
    "R16": (3, 4),
    "R17": (3, 4),
    "R18": (4, 3),
    "R19": (2, 3),
    "R20": (2, 3),
    "R21": (2, 4),
    "R22": (2, 3),
    "R23": (3, 3),
    "R24": (2, 3),
    "R25": (2, 3),
}


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load_knowledge(RULES, datetime.now(UTC).date())


@by_rule
@pytest.mark.parametrize(
    "as_of",
    [datetime(2026, 11, 2, 12, tzinfo=UTC), datetime(2024, 2, 29, 23, 30, tzinfo=UTC)],
    ids=["2026-11-02", "leap-day"],
)
def test_worked_patients(cases: list[Case], as_of: datetime, knowledge: Knowledge) -> None:
    """The case says what must come out, whatever day it is asked on."""
    differing = {case.id: list(case_differences(case, knowledge, as_of)) for case in cases}
    assert {id_: differences for id_, differences in differing.items() if differences} == {}


def test_every_row_of_section_8_is_a_case() -> None:
    """The positive and near-miss patients of the clinical specification are all here, under their own names."""
    known = {case.id.removesuffix("a").removesuffix("b") for case in CASES}
    wanted = {
        f"{rule}-{kind}{number}"
        for rule, counts in SECTION_8.items()
        for kind, count in zip("PN", counts, strict=True)
        for number in range(1, count + 1)
    }
    assert wanted - known == set()
