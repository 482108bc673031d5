"""What one Dosage says a day, how tapers unfold (A-05, A-07, A-57, B-32), and what adds (A-17)."""

from __future__ import annotations

import pytest

from cds_service.coding import Coding, SteroidProduct
from cds_service.derive.steroid_exposure import daily_doses
from cds_service.record import Dosage, MedicationEntry
from tests.unit.derive.steroid_charts import (
    KNOWLEDGE,
    NOW,
    ORAL,
    RXNORM,
    TIMING,
    administration,
    ago,
    daily,
    dispense,
    exposure,
    on,
    order,
    products,
    reasons,
    record,
    statement,
)


def doses(*entries: MedicationEntry) -> dict[int, float]:
    """mg prednisone equivalent by days before today, first day first."""
    found = daily_doses(record(*entries), KNOWLEDGE, NOW)
    return {(ago(0) - day).days: dose.peq_mg for day, dose in found.items()}


def dose_of(dosage: Dosage | tuple[Dosage, ...], **more: object) -> float | None:
    """The daily dose of prednisone that a current statement with this Dosage shows."""
    return exposure(statement("prednisone", dosage, start=30, **more)).last_daily_mg


class TestTiming:
    @pytest.mark.parametrize(
        ("code", "daily_mg"),
        [
            *(("BID", 20), ("TID", 30), ("QID", 40), ("QD", 10), ("AM", 10), ("PM", 10), ("BED", 10)),
            *(("QOD", 5), ("Q4H", 60), ("Q6H", 40), ("Q8H", 30), ("Q1H", 240), ("Q2H", 120), ("Q3H", 80)),
        ],
    )
    def test_hl7_timing_codes(self, code: str, daily_mg: float) -> None:
        dosage = Dosage(dose=10, unit="mg", timing_code=Coding(TIMING, code), route_sets=ORAL)
        assert dose_of(dosage) == daily_mg

    @pytest.mark.parametrize(("code", "level"), [("WK", 1), ("MO", 1), ("QOD", 2)])
    def test_a_05_weekly_and_monthly_codes_are_capped(self, code: str, level: int) -> None:
        dosage = Dosage(dose=400, unit="mg", timing_code=Coding(TIMING, code), route_sets=ORAL)
        assert exposure(statement("prednisone", dosage, start=27)).level == (3 if code == "QOD" else level)

    @pytest.mark.parametrize(
        ("times", "period", "unit", "daily_mg"),
        [
            *((1, 1, "d", 10), (2, 1, "d", 20), (1, 2, "d", 5), (1, 12, "h", 20), (1, 24, "h", 10)),
            *((3, 1, "wk", 10 * 3 / 7), (4, 2, "d", 20)),
        ],
    )
    def test_frequency_over_period(self, times: float, period: float, unit: str, daily_mg: float) -> None:
        assert dose_of(daily(10, times=times, period=period, period_unit=unit)) == pytest.approx(daily_mg)

    def test_a_frequency_without_period_is_no_dose(self) -> None:
        assert dose_of(Dosage(dose=10, unit="mg", times=2, route_sets=ORAL)) is None

    def test_a_dose_without_timing_is_no_dose(self) -> None:
        """ "40mg PO daily" in free text is never parsed."""
        assert dose_of(Dosage(dose=40, unit="mg", text="40mg PO daily", route_sets=ORAL)) is None

    def test_times_of_day_count(self) -> None:
        assert dose_of(Dosage(dose=10, unit="mg", times_of_day=2, route_sets=ORAL)) == 20

    def test_when_counts(self) -> None:
        assert dose_of(Dosage(dose=10, unit="mg", when=("MORN", "NIGHT"), route_sets=ORAL)) == 20

    def test_days_of_the_week(self) -> None:
        """7 mg on Monday, Wednesday and Friday = 3 mg a day on average."""
        assert dose_of(daily(7, days_of_week=3)) == 3

    @pytest.mark.parametrize(("days_of_week", "weekly"), [(1, True), (2, False)])
    def test_a_05_once_a_week_is_weekly_twice_is_not(self, days_of_week: int, weekly: bool) -> None:
        shown = exposure(statement("prednisone", daily(70, days_of_week=days_of_week), start=60))
        assert ("weekly-dosing" in shown.flags) is weekly


class TestAmounts:
    @pytest.mark.parametrize(
        ("value", "unit"), [(20, "mg"), (20, "MG"), (0.02, "g"), (20_000, "ug"), (20_000, "mcg"), (20, "milligram")]
    )
    def test_units_of_mass(self, value: float, unit: str) -> None:
        assert dose_of(daily(value, unit=unit)) == 20

    @pytest.mark.parametrize("unit", [None, "drop", "puff", "mg/kg", "mg/kg/d", "[iU]", "1", ""])
    def test_g14_other_units_are_no_dose(self, unit: str | None) -> None:
        assert dose_of(daily(20, unit=unit)) is None

    @pytest.mark.parametrize("unit", ["tablet", "Tablet", "TAB", "{tbl}", "tablets", "capsule"])
    def test_a_07_tablets_take_the_strength_of_the_product(self, unit: str) -> None:
        """312615 is prednisone 20 MG Oral Tablet: 2 tablets = 40 mg."""
        assert dose_of(daily(2, unit=unit), product=products()["312615"]) == 40

    def test_tablets_take_the_strength_of_the_medication(self) -> None:
        assert dose_of(daily(2, unit="tablet"), strength_mg=5.0, strength_unit="tablet") == 10

    def test_a_07_the_product_wins_over_the_medication(self) -> None:
        assert dose_of(daily(1, unit="tablet"), product=products()["312617"], strength_mg=50.0) == 5

    def test_tablets_without_strength_are_no_dose(self) -> None:
        assert dose_of(daily(2, unit="tablet")) is None

    def test_a_57_ml_take_the_concentration_of_the_medication(self) -> None:
        """10 mL of 5 mg in 5 mL = 1 mg per mL."""
        assert dose_of(daily(10, unit="mL"), strength_mg=1.0, strength_unit="mL") == 10

    def test_a_57_ml_take_the_concentration_of_the_product(self) -> None:
        """205301 is prednisone 5 MG/ML Oral Solution: 4 mL = 20 mg."""
        assert dose_of(daily(4, unit="ml"), product=products()["205301"]) == 20

    def test_a_57_ml_of_a_tablet_are_no_dose(self) -> None:
        assert dose_of(daily(4, unit="mL"), product=products()["312615"]) is None

    def test_a_dose_of_zero_is_no_exposure(self) -> None:
        shown = exposure(statement("prednisone", daily(0), start=60))
        assert (shown.level, reasons(shown)) == (0, ["zero-dose"])


class TestTapers:
    """B-32. Every course starts on T-29 and runs to today, 30 days."""

    def taper(self, *dosages: Dosage) -> dict[int, float]:
        return doses(statement("prednisone", dosages, start=29, end=0))

    def test_rising_numbers_follow_each_other_for_their_bounds_and_the_last_runs_to_the_end(self) -> None:
        shown = self.taper(
            daily(40, sequence=1, bounds_days=10), daily(20, sequence=2, bounds_days=5), daily(10, sequence=3)
        )
        assert shown == {day: 40 if day >= 20 else 20 if day >= 15 else 10 for day in range(29, -1, -1)}

    def test_the_order_in_the_list_does_not_matter(self) -> None:
        steps = [daily(40, sequence=1, bounds_days=10), daily(20, sequence=2, bounds_days=5), daily(10, sequence=3)]
        assert self.taper(*reversed(steps)) == self.taper(*steps)

    def test_the_last_step_runs_to_the_end_even_with_shorter_bounds(self) -> None:
        shown = self.taper(daily(40, sequence=1, bounds_days=10), daily(20, sequence=2, bounds_days=5))
        assert (shown[20], shown[19], shown[0]) == (40, 20, 20)

    def test_an_open_course_ends_with_its_last_step(self) -> None:
        """Active does not mean "taking now": 10 + 5 days from T-29 end on T-15."""
        steps = (daily(40, sequence=1, bounds_days=10), daily(20, sequence=2, bounds_days=5))
        assert min(doses(statement("prednisone", steps, start=29))) == 15

    def test_bounds_with_dates(self) -> None:
        shown = self.taper(
            daily(40, sequence=1, bounds_start=on(29), bounds_end=on(20)), daily(20, sequence=2, bounds_start=on(19))
        )
        assert (len(shown), shown[20], shown[19], shown[0]) == (30, 40, 20, 20)

    @pytest.mark.parametrize("numbers", [(None, None), (1, 1), (None, 1)])
    def test_equal_or_no_numbers_are_taken_together(self, numbers: tuple[int | None, int | None]) -> None:
        shown = self.taper(daily(15, sequence=numbers[0]), daily(5, sequence=numbers[1]))
        assert set(shown.values()) == {20}

    def test_rising_numbers_without_bounds_at_other_times_of_day_add(self) -> None:
        shown = self.taper(daily(15, sequence=1, when=("MORN",)), daily(5, sequence=2, when=("NIGHT",)))
        assert set(shown.values()) == {20}

    def test_rising_numbers_without_bounds_at_other_clock_times_add(self) -> None:
        morning = daily(15, sequence=1, times_of_day=1, clock_times=("08:00:00",))
        evening = daily(5, sequence=2, times_of_day=1, clock_times=("20:00:00",))
        assert set(self.taper(morning, evening).values()) == {20}

    @pytest.mark.parametrize("more", [{}, {"when": ("MORN",)}, {"times_of_day": 1}])
    def test_rising_numbers_without_bounds_at_no_other_time_are_an_unknown_dose(self, more: dict[str, object]) -> None:
        """At most GC1, though 60 mg would be GC3 either way."""
        steps = (daily(60, sequence=1, **more), daily(50, sequence=2, **more))
        shown = exposure(statement("prednisone", steps, start=60))
        assert (shown.level, shown.dose_unknown) == (1, True)

    def test_steps_of_one_number_are_taken_together(self) -> None:
        shown = self.taper(
            daily(30, sequence=1, bounds_days=10), daily(10, sequence=1, bounds_days=10), daily(5, sequence=2)
        )
        assert (shown[29], shown[20], shown[19]) == (40, 40, 5)

    def test_doses_together_with_their_own_bounds_add_where_they_overlap(self) -> None:
        shown = self.taper(daily(30, bounds_days=10), daily(10))
        assert (shown[20], shown[19]) == (40, 10)

    def test_a_known_dose_beside_an_unknown_one_is_the_lower_bound(self) -> None:
        shown = exposure(statement("prednisone", (daily(20), daily(1, unit="drop")), start=60))
        assert (shown.level, shown.last_daily_mg, shown.dose_unknown) == (2, 20, True)

    def test_a_step_at_zero_ends_the_course(self) -> None:
        shown = self.taper(daily(40, sequence=1, bounds_days=10), daily(0, sequence=2))
        assert min(shown) == 20


class TestWhatAdds:
    """A-17: one drug told of twice is one exposure; two strengths on the same dates are two."""

    FIVE, TEN = products()["312617"], products()["198145"]

    def test_statement_order_and_dispense_of_one_course_count_once(self) -> None:
        shown = exposure(
            statement("prednisone", daily(20), start=60),
            order("prednisone", daily(20), authored=60, supply_days=90),
            dispense("prednisone", daily(20), handed_over=60, days=90, reference="MedicationDispense/d"),
        )
        assert (shown.level, shown.last_daily_mg, shown.max_daily_mg) == (2, 20, 20)
        assert shown.basis[0].references[0] == "MedicationDispense/d"

    def test_the_highest_of_different_sources_counts(self) -> None:
        told = statement("prednisone", daily(10), start=60)
        assert exposure(told, order("prednisone", daily(15), authored=60, supply_days=90)).last_daily_mg == 15

    def test_two_strengths_on_the_same_dates_add(self) -> None:
        """10 mg + 5 mg tablets = 15 mg."""
        ten = order("prednisone", daily(1, unit="tablet"), authored=60, supply_days=90, product=self.TEN)
        five = order("prednisone", daily(1, unit="tablet"), authored=60, supply_days=90, product=self.FIVE)
        assert exposure(ten, five).last_daily_mg == 15

    def test_the_same_strength_on_the_same_dates_does_not_add(self) -> None:
        ten = order("prednisone", daily(1, unit="tablet"), authored=60, supply_days=90, product=self.TEN)
        assert exposure(ten, ten).last_daily_mg == 10

    def test_a_renewal_that_overlaps_does_not_add(self) -> None:
        first = order("prednisone", daily(20), authored=60, supply_days=30)
        second = order("prednisone", daily(20), authored=35, supply_days=30)
        assert set(doses(first, second).values()) == {20}

    def test_a_renewal_in_another_strength_does_not_add(self) -> None:
        first = order("prednisone", daily(2, unit="tablet"), authored=60, supply_days=30, product=self.FIVE)
        second = order("prednisone", daily(1, unit="tablet"), authored=35, supply_days=30, product=self.TEN)
        assert set(doses(first, second).values()) == {10}

    def test_administrations_of_one_day_add(self) -> None:
        """Four times 50 mg hydrocortisone = 200 mg = 50 mg PEQ."""
        given = [administration("hydrocortisone", 50, f"2026-11-20T{hour:02}:00:00Z") for hour in (0, 6, 12, 18)]
        assert doses(*given) == {7: 50}

    def test_a_brand_and_its_ingredient_are_one_drug(self) -> None:
        brand = statement("Deltasone", daily(20), start=60, product=products()["206997"])
        assert exposure(brand, order("prednisone", daily(20), authored=60, supply_days=90)).last_daily_mg == 20

    def test_the_basis_names_one_course_for_four_renewals(self) -> None:
        """30 days each from T-119 on: "Prednisone 20 mg/day since T-119 (120 days)"."""
        renewals = [
            order("prednisone", daily(20), authored=119 - 30 * i, supply_days=30, reference=f"MedicationRequest/{i}")
            for i in range(4)
        ]
        (course,) = exposure(*renewals).basis
        assert (course.start, course.end, course.days, len(course.references)) == (ago(119), ago(0), 120, 4)


def test_the_product_table_decides_strength_and_route_without_reading_a_display() -> None:
    prednisone = products()["312615"]
    assert prednisone == SteroidProduct("prednisone", 20, "tablet", "oral-solid", True)
    shown = exposure(
        statement("any words", Dosage(dose=1, unit="tablet", times=1, period=1, period_unit="d"), start=60,
                  product=prednisone, coding=Coding(RXNORM, "312615"))
    )  # fmt: skip
    assert (shown.level, shown.flags) == (2, frozenset())
