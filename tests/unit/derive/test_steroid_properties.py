"""Properties of the steroid exposure that hold for every chart (B-55)."""

from __future__ import annotations

import random
from datetime import UTC, date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.derive.steroid_exposure import SteroidExposure, daily_doses, steroid_exposure
from cds_service.partial_date import PartialDate, end_of_day, parse_partial_date
from cds_service.record import Dosage, MedicationEntry, PatientRecord
from tests.unit.derive.steroid_charts import KNOWLEDGE, LOCAL, NOW, ORAL, TODAY, daily, exposure, order, statement
from tests.unit.derive.steroid_charts import products as product_table

_DRUGS = ("prednisone", "dexamethasone", "hydrocortisone", "betamethasone", "methylprednisolone")
_PRODUCTS = ("312615", "312617", "205301", "1085756", "106996")
_ANY_STATUS = st.sampled_from(
    ["active", "completed", "stopped", "on-hold", "unknown", "not-taken", "in-progress", None]
)
_DAYS = st.integers(-2, 900)


def _dates(base: date) -> st.SearchStrategy[PartialDate | None]:
    """Whole days relative to ``base``, so that a chart can be moved in time."""
    return st.none() | _DAYS.map(lambda days: parse_partial_date((base - timedelta(days=days)).isoformat(), UTC))


def _dosages(base: date) -> st.SearchStrategy[Dosage]:
    return st.builds(
        Dosage,
        sequence=st.none() | st.integers(1, 3),
        dose=st.none() | st.sampled_from([0.0, 0.5, 1.0, 4.0, 10.0, 20.0, 30.0, 500.0, -1.0]),
        unit=st.sampled_from(["mg", "tablet", "mL", "drop", None]),
        times=st.none() | st.sampled_from([0.0, 1.0, 2.0]),
        period=st.none() | st.sampled_from([0.0, 1.0, 2.0, 7.0]),
        period_unit=st.sampled_from(["d", "wk", "h", None]),
        when=st.sampled_from([(), ("MORN",), ("MORN", "NIGHT")]),
        bounds_start=_dates(base),
        bounds_end=_dates(base),
        bounds_days=st.none() | st.sampled_from([0.5, 5.0, 14.0, 28.0, 1e12]),
        as_needed=st.booleans(),
        route_sets=st.sampled_from([ORAL, LOCAL, frozenset()]),
    )


def _entries(base: date) -> st.SearchStrategy[MedicationEntry]:
    table = product_table()
    drugs = st.sampled_from(
        [msgspec.structs.replace(table["312615"], ingredient=name, systemic=None) for name in _DRUGS]
    )
    return st.builds(
        MedicationEntry,
        reference=st.integers(1, 9).map(lambda number: f"Medication/{number}"),
        resource_type=st.sampled_from(
            ["MedicationStatement", "MedicationRequest", "MedicationDispense", "MedicationAdministration"]
        ),
        sets=st.just(frozenset()),
        coding=st.none(),
        display=st.just("x"),
        product=drugs | st.sampled_from([table[code] for code in _PRODUCTS]) | st.none(),
        named_ingredient=st.sampled_from([None, "prednisone"]),
        status=_ANY_STATUS,
        intent=st.sampled_from(["order", "plan"]),
        start=_dates(base),
        end=_dates(base),
        is_period=st.booleans(),
        written=_dates(base),
        dosages=st.lists(_dosages(base), max_size=3).map(tuple),
        supply_days=st.none() | st.sampled_from([1.0, 14.0, 30.0, 90.0]),
        quantity=st.none() | st.sampled_from([0.0, 30.0]),
        quantity_unit=st.sampled_from(["tablet", "mg", None]),
        refills=st.integers(0, 3),
    )


_CHARTS = st.lists(_entries(TODAY), max_size=6)


def _shown(entries: list[MedicationEntry], as_of: Any = NOW) -> SteroidExposure:
    return steroid_exposure(PatientRecord("1", medications=tuple(entries)), KNOWLEDGE, as_of)


@given(_CHARTS, st.randoms(use_true_random=False))
def test_the_order_of_the_entries_does_not_matter(entries: list[MedicationEntry], chance: random.Random) -> None:
    shuffled = list(entries)
    chance.shuffle(shuffled)
    assert _shown(shuffled) == _shown(entries)


@given(st.data(), st.integers(-2000, 2000))
def test_moving_every_date_and_today_together_changes_nothing(data: st.DataObject, days: int) -> None:
    moved_today = TODAY + timedelta(days=days)
    entries = data.draw(st.lists(_entries(TODAY), max_size=5))
    moved = [_moved(entry, days) for entry in entries]
    here, there = _shown(entries), _shown(moved, end_of_day(moved_today))
    assert _moved_back(there, days) == _moved_back(here, 0)


def _moved(entry: MedicationEntry, days: int) -> MedicationEntry:
    def move(when: PartialDate | None) -> PartialDate | None:
        return when and parse_partial_date((when.first_day + timedelta(days=days)).isoformat(), UTC)

    dosages = tuple(
        msgspec.structs.replace(d, bounds_start=move(d.bounds_start), bounds_end=move(d.bounds_end))
        for d in entry.dosages
    )
    return msgspec.structs.replace(
        entry, start=move(entry.start), end=move(entry.end), written=move(entry.written), dosages=dosages
    )


def _moved_back(shown: SteroidExposure, days: int) -> tuple[Any, ...]:
    back = timedelta(days=days)
    return (
        [getattr(shown, name) for name in ("level", "level_reason", "current", "bursts", "flags", "ingredients")],
        [getattr(shown, name) for name in ("mean_daily_mg", "last_daily_mg", "cumulative_365_mg", "fluorinated_days")],
        [day and day - back for day in (shown.started, shown.last_day)],
        [(c.start - back, c.end - back, c.mg_per_day) for c in shown.basis],
        [(p.first - back, p.last - back) for p in shown.pulses],
    )


@given(
    st.sampled_from([5.0, 9.0, 10.0, 20.0, 30.0, 60.0]),
    st.integers(1, 200),
    st.integers(0, 60),
    st.integers(0, 200),
    st.integers(1, 200),
)
def test_telling_part_of_a_course_again_as_an_order_does_not_raise_the_level(
    mg: float, length: int, ended: int, offset: int, supply: int
) -> None:
    """A-17: "prednisone 15 mg as MS and MR" is one exposure. The order lies within the statement."""
    told = statement("prednisone", daily(mg), start=ended + length, end=ended)
    begin = max(ended, ended + length - offset)
    again = order("prednisone", daily(mg), authored=begin, supply_days=min(supply, begin - ended + 1))
    assert exposure(told, again).level == exposure(told).level


@given(_CHARTS, st.sampled_from(["not-taken", "entered-in-error", "intended"]))
def test_adding_what_was_not_taken_changes_nothing_but_the_list_of_what_is_left_out(
    entries: list[MedicationEntry], status: str
) -> None:
    before = _shown(entries)
    after = _shown([*entries, statement("prednisone", daily(60), start=300, status=status)])
    assert msgspec.structs.replace(after, excluded=()) == msgspec.structs.replace(before, excluded=())
    assert len(after.excluded) == len(before.excluded) + 1


@given(_CHARTS)
def test_every_candidate_is_counted_or_named(entries: list[MedicationEntry]) -> None:
    """G14: what is missing is said. Nothing disappears without a reason."""
    shown = _shown(entries)
    candidates = {e.reference for e in entries if e.product or e.named_ingredient}
    named = {reference for course in shown.basis for reference in course.references}
    named |= {one.reference for one in shown.excluded}
    old = {e.reference for e in entries if shown.last_day and _ends_long_before(e, shown.last_day)}
    undated = {e.reference for e in entries if "undated" in shown.flags and e.status == "active"}
    assert candidates <= named | old | undated


def _ends_long_before(entry: MedicationEntry, last_day: date) -> bool:
    lone = _shown([entry])
    return lone.last_day is None or (last_day - lone.last_day).days >= KNOWLEDGE.windows.year_days


@given(_CHARTS)
def test_what_is_shown_is_consistent(entries: list[MedicationEntry]) -> None:
    shown = _shown(entries)
    assert 0 <= shown.level <= 3
    assert (shown.days_since_last is None) == (shown.last_day is None)
    assert not shown.current or shown.level or shown.days_since_last is not None
    if shown.started is not None and shown.last_day is not None:
        assert shown.started <= shown.last_day <= TODAY
    assert shown.high_dose_days <= shown.moderate_dose_days <= KNOWLEDGE.windows.recent_days
    days = daily_doses(PatientRecord("1", medications=tuple(entries)), KNOWLEDGE, NOW)
    assert len(days) <= KNOWLEDGE.windows.ended_days + KNOWLEDGE.windows.year_days
    assert all(0 <= dose.documented_peq_mg <= dose.peq_mg + 1e-6 for dose in days.values())


@pytest.mark.parametrize("text", ["0001-01-01", "0001", "9999-12-31", "9999"])
def test_dates_at_the_ends_of_the_calendar_do_no_harm(text: str) -> None:
    edge = parse_partial_date(text, UTC)
    for kind in ("start", "end", "written"):
        entry = statement("prednisone", daily(20, bounds_start=edge, bounds_days=1e12), start=30)
        assert exposure(msgspec.structs.replace(entry, **{kind: edge})).level in (0, 1, 2, 3)
