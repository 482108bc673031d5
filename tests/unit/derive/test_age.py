"""Age as far as the birth date tells it (A-12), on 27 November 2026."""

from __future__ import annotations

import pytest

from cds_service.derive.age import age_in_years, is_at_least
from tests.unit.rule_engine.charts import NOW, ask, facts_of, on


@pytest.mark.parametrize(
    ("born", "age", "is_65"),
    [
        ("1961-11-27", 65, True),
        ("1961-11-28", 64, False),
        ("1961-11", None, None),
        ("1961-10", 65, True),
        ("1961", None, None),
        ("1960", None, True),
        ("1962", None, False),
        (None, None, None),
    ],
)
def test_a_year_alone_often_tells(born: str | None, age: int | None, is_65: bool | None) -> None:
    assert (age_in_years(on(born), NOW), is_at_least(65, on(born), NOW)) == (age, is_65)


@pytest.mark.parametrize(
    ("limits", "born", "holds"),
    [
        ({"age_at_least": 65}, "1950", True),
        ({"age_at_least": 65}, "1961", None),
        ({"age_below": 16}, "2009", False),
        ({"age_below": 16}, "2010", None),
        ({"age_at_least": 16, "age_below": 65}, "1990", True),
        ({"age_at_least": 16, "age_below": 65}, "1961", None),
        ({"age_at_least": 16, "age_below": 65}, "2011", False),
        ({"age_at_least": 16, "age_below": 65}, "1950", False),
    ],
)
def test_an_age_gate_is_unknown_only_where_the_year_leaves_it_open(
    limits: dict[str, float], born: str, holds: bool | None
) -> None:
    verdict = ask(facts_of(born=born), **limits)
    assert (verdict.value, verdict.missing) == (holds, ("birthDate",) if holds is None else ())
