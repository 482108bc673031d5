"""B-52: firing above three times its 28-day median, override above 90 % of 50 cards or more; latency as written."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest

from cds_service.errors import RuleFileError
from cds_service.governance.bands import left_by_answers, left_by_counts, load_bands
from cds_service.rule_engine.loader import pack_hash
from cds_service.store import Answered, RuleDay

RULES = Path(__file__).parents[3] / "rules"
BANDS = load_bands(RULES)
TODAY = date(2026, 11, 27)


def a_day(ago: int, firings: int, evaluations: int = 1000, slow: int = 0) -> RuleDay:
    return RuleDay(TODAY - timedelta(days=ago), "ehr", "falls", evaluations, firings, slow)


def left(*days: RuleDay) -> list[str]:
    return [one.cause for one in left_by_counts(days, TODAY, BANDS)]


def usual(days: int = 28, firings: int = 20) -> list[RuleDay]:
    return [a_day(ago, firings) for ago in range(1, days + 1)]


def test_the_first_bands_are_those_of_the_ruling() -> None:
    assert (BANDS.firing.times_median, BANDS.firing.median_days) == (3, 28)
    assert (BANDS.override.above_percent, BANDS.override.least_cards) == (90, 50)


@pytest.mark.parametrize(("firings", "trips"), [(60, False), (61, True)])
def test_firing_above_three_times_the_median(firings: int, trips: bool) -> None:
    """Every day 2 %: 6 % is inside, more is out."""
    assert left(*usual(), a_day(0, firings)) == (["firing"] if trips else [])


def test_it_is_the_median_and_not_the_mean() -> None:
    """Some wild days do not widen the band, nor do they close it."""
    assert left(*usual(20), *(a_day(ago, 900) for ago in range(21, 29)), a_day(0, 61)) == ["firing"]


def test_days_before_the_28_do_not_count() -> None:
    old = [a_day(ago, 500) for ago in range(29, 90)]
    assert left(*old, *usual(), a_day(0, 61)) == ["firing"]
    assert left(*old, a_day(0, 900)) == []


def test_rates_are_shares_so_a_busy_day_is_no_reason() -> None:
    assert left(*usual(), a_day(0, 200, evaluations=10_000)) == []


@pytest.mark.parametrize(
    "days",
    [
        [*usual(6), a_day(0, 500)],
        [*usual(), a_day(0, 50, evaluations=99)],
        [*usual(), a_day(0, 19, evaluations=100)],
    ],
    ids=["too few days", "too few evaluations", "too few firings"],
)
def test_too_little_says_nothing(days: list[RuleDay]) -> None:
    assert left(*days) == []


def test_a_rule_that_never_fired_and_now_does_is_out_of_band() -> None:
    assert left(*usual(firings=0), a_day(0, 20)) == ["firing"]


@pytest.mark.parametrize(("slow", "trips"), [(50, False), (51, True)])
def test_latency_above_five_percent_of_a_day(slow: int, trips: bool) -> None:
    assert left(a_day(0, 0, slow=slow)) == (["latency"] if trips else [])


def test_a_few_slow_evaluations_say_nothing() -> None:
    assert left(a_day(0, 0, evaluations=99, slow=99)) == []


@pytest.mark.parametrize(
    ("cards", "overridden", "trips"),
    [(50, 46, True), (50, 45, False), (49, 49, False), (1000, 900, False), (1000, 901, True)],
)
def test_override_above_90_percent_of_50_cards(cards: int, overridden: int, trips: bool) -> None:
    found = list(left_by_answers([Answered("ehr", "falls", cards, overridden)], BANDS))
    assert [one.cause for one in found] == (["override"] if trips else [])


def test_a_trip_says_why() -> None:
    (one,) = left_by_counts([*usual(), a_day(0, 100)], TODAY, BANDS)
    assert one.reason == "fired in 10.0 % of 1000 evaluations of a day, 2.0 % is the median of 28 days before"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("times_median = 3", "times_median = 0", 13),
        ("above_percent = 90", "above_percent = 100", 21),
        ("times_median = 3", "times_medium = 3", 13),
        ("least_days = 7", "least_days = 29", 15),
    ],
)
def test_a_wrong_band_stops_the_start_with_its_line(tmp_path: Path, old: str, new: str, line: int) -> None:
    text = (RULES / "bands.toml").read_text()
    assert old in text
    (tmp_path / "bands.toml").write_text(text.replace(old, new))
    with pytest.raises(RuleFileError) as refused:
        load_bands(tmp_path)
    if "medium" not in new:
        assert refused.value.line == line


def test_bands_are_part_of_the_pack(tmp_path: Path) -> None:
    """T25: changed bands are another rule pack."""
    shutil.copytree(RULES, tmp_path / "rules")
    before = pack_hash(tmp_path / "rules")
    path = tmp_path / "rules" / "bands.toml"
    path.write_text(path.read_text().replace("times_median = 3", "times_median = 4"))
    assert pack_hash(tmp_path / "rules") != before
