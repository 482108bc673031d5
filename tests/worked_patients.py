"""The worked patients of ``rules/*/cases.toml``, rule by rule: a test over all of them is one test for each rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds_service.cases import Case, load_cases

RULES = Path(__file__).parents[1] / "rules"
BY_RULE: dict[str, list[Case]] = {}
for _rule, _case in load_cases(RULES):
    BY_RULE.setdefault(_rule, []).append(_case)
CASES = [case for cases in BY_RULE.values() for case in cases]
BY_ID = {case.id: case for case in CASES}

by_rule = pytest.mark.parametrize("cases", BY_RULE.values(), ids=BY_RULE)
