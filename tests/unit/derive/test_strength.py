"""A fall of measured strength (A-49, R02): its window is that of findings.toml, not a number of its own."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cds_service.derive.strength import strength_falls
from tests.unit.cards.builders import AS_OF, FINDINGS, facts_of, result


@pytest.mark.parametrize(
    ("earlier", "later", "within", "falls"),
    [(41, 27, 14, True), (42, 27, 14, False), (47, 27, 20, True), (48, 27, 20, False), (20, 10, 14, True)],
)
def test_a_fall_counts_within_the_days_that_the_rules_say(earlier: int, later: int, within: int, falls: bool) -> None:
    measured = [result("mrc-sum-score", ago=earlier, value=58), result("mrc-sum-score", ago=later, value=54)]
    knowledge = replace(FINDINGS, strength_fall_days=within)
    assert bool(strength_falls(facts_of(*measured).record, knowledge, AS_OF)) is falls
