"""Levels GC0-GC3 (section 5, A-03..A-08, A-60, A-66, A-67, B-33, B-70, B-85, B-96): both sides of every limit.

Every expected number is worked out from the specification in the comment beside it.
"""

from __future__ import annotations

import pytest

from cds_service.coding import CodeCertainty, SteroidProduct
from cds_service.record import Dosage
from tests.unit.derive.steroid_charts import (
    LOCAL,
    MUSCLE,
    ORAL,
    VEIN,
    administration,
    ago,
    condition,
    daily,
    dispense,
    drug,
    exposure,
    order,
    products,
    reasons,
    statement,
)


class TestSection8:
    """The steroid rows of the test-patient table."""

    def test_r11_p1_prednisone_20_mg_since_120_days_is_gc2(self) -> None:
        """20 mg on 90 of the last 90 days: >= 10 mg on >= 28 days, below 30 mg. 121 days x 20 = 2.42 g < 3.65 g."""
        shown = exposure(statement("prednisone", daily(20), start=120))
        assert (shown.level, shown.level_reason) == (2, "moderate-dose-days")
        assert (shown.started, shown.last_day, shown.episode_days) == (ago(120), ago(0), 121)
        assert (shown.mean_daily_mg, shown.last_daily_mg, shown.max_daily_mg) == (20, 20, 20)
        assert (shown.cumulative_365_mg, shown.moderate_dose_days, shown.high_dose_days) == (2420, 90, 0)
        assert shown.current
        assert shown.days_since_last == 0
        assert shown.flags == frozenset()
        (course,) = shown.basis
        assert (course.display, course.mg_per_day, course.peq_mg_per_day) == ("prednisone", 20, 20)
        assert (course.start, course.end, course.days) == (ago(120), ago(0), 121)

    def test_r11_p2_dexamethasone_4_mg_since_70_days_is_gc3_and_fluorinated(self) -> None:
        """4 mg dexamethasone on 71 days >= 56: GC3. PEQ 4 x 5 / 0.75 = 26.67 mg, so not by >= 30 mg."""
        shown = exposure(statement("dexamethasone", daily(4), start=70))
        assert (shown.level, shown.level_reason) == (3, "high-dose-dexamethasone-days")
        assert shown.fluorinated_days == 71
        assert shown.last_daily_mg == pytest.approx(26.666667)

    def test_r11_p3_taper_60_40_30_20_ended_10_days_ago_is_gc3(self) -> None:
        """4 x 14 days end on T-10: T-65..T-10. 60, 40 and 30 mg are 42 days >= 30 mg; 14 x 150 = 2100 mg."""
        steps = tuple(daily(mg, sequence=i, bounds_days=14) for i, mg in enumerate((60, 40, 30, 20), start=1))
        shown = exposure(statement("prednisone", steps, start=65, end=10))
        assert (shown.level, shown.high_dose_days, shown.moderate_dose_days) == (3, 42, 56)
        assert shown.cumulative_365_mg == 2100
        assert (shown.started, shown.last_day, shown.days_since_last) == (ago(65), ago(10), 10)
        assert [(c.mg_per_day, c.start, c.end) for c in shown.basis] == [
            (20, ago(23), ago(10)),
            (30, ago(37), ago(24)),
            (40, ago(51), ago(38)),
            (60, ago(65), ago(52)),
        ]

    def test_r11_p4_the_same_course_as_statement_and_order_is_15_mg_not_30(self) -> None:
        shown = exposure(
            statement("prednisone", daily(15), start=90, reference="MedicationStatement/s"),
            order("prednisone", daily(15), authored=90, supply_days=120, reference="MedicationRequest/o"),
        )
        assert (shown.level, shown.last_daily_mg) == (2, 15)
        (course,) = shown.basis
        assert course.references == ("MedicationRequest/o", "MedicationStatement/s")

    def test_r11_n1_five_days_ended_3_days_ago_are_gc0(self) -> None:
        shown = exposure(statement("prednisone", daily(40), start=7, end=3))
        assert (shown.level, shown.level_reason, shown.bursts, shown.current) == (0, "short-courses", 1, True)

    def test_r11_n2_inhaled_fluticasone_is_recognised_and_left_out(self) -> None:
        shown = exposure(statement("fluticasone", start=1825, product=products()["895994"]))
        assert (shown.level, reasons(shown), shown.basis) == (0, ["inhaled"], ())

    def test_r11_n3_hydrocortisone_20_mg_with_e27_is_replacement(self) -> None:
        shown = exposure(statement("hydrocortisone", daily(20), start=900), condition("adrenal-insufficiency-or-cah"))
        assert (shown.level, shown.level_reason, shown.replacement) == (0, "replacement", True)
        assert (shown.current, reasons(shown)) == (False, ["replacement"])

    @pytest.mark.parametrize("status", ["not-taken", "entered-in-error", "intended"])
    def test_r11_n4_a_statement_that_was_not_taken_does_not_count(self, status: str) -> None:
        shown = exposure(statement("prednisone", daily(40), start=120, status=status))
        assert (shown.level, reasons(shown)) == (0, [status])

    def test_r11_n5_prednisone_5_mg_for_3_years_is_gc1(self) -> None:
        """5 x 365 = 1.825 g; 5 mg is below 10 mg on every day."""
        shown = exposure(statement("prednisone", daily(5), start=1095))
        assert (shown.level, shown.level_reason) == (1, "long-course")
        assert (shown.started, shown.episode_days, shown.cumulative_365_mg) == (ago(1095), 1096, 1825)

    def test_r12_p1_60_mg_then_40_mg_for_30_days_each_is_gc3(self) -> None:
        steps = (daily(60, sequence=1, bounds_days=30), daily(40, sequence=2, bounds_days=30))
        shown = exposure(statement("prednisone", steps, start=59))
        assert (shown.level, shown.high_dose_days, shown.current) == (3, 60, True)
        assert shown.mean_daily_mg == 50

    def test_r12_p2_dexamethasone_4_mg_since_60_days_is_gc3(self) -> None:
        """61 days >= 56."""
        assert exposure(statement("dexamethasone", daily(4), start=60)).level == 3

    def test_r12_n2_an_injection_into_a_joint_does_not_count(self) -> None:
        given = administration("triamcinolone", 40, 10, route_sets=LOCAL, product=products()["1085754"], dosages=())
        shown = exposure(given)
        assert (shown.level, reasons(shown), shown.current) == (0, ["local-route"], False)

    def test_r12_n4_deflazacort_36_mg_converts_by_6_to_5(self) -> None:
        """36 x 5 / 6 = 30 mg. Whether Duchenne therapy silences the card is for the rule, not for the level."""
        shown = exposure(statement("deflazacort", daily(36), start=400))
        assert (shown.level, shown.last_daily_mg) == (3, 30)
        assert "equivalence-disputed" in shown.flags

    def test_r12_n5_prednisolone_eye_drops_do_not_count(self) -> None:
        shown = exposure(statement("prednisolone", start=200, product=products()["106996"]))
        assert (shown.level, reasons(shown)) == (0, ["ophthalmic"])

    def test_r13_n1_prednisone_10_mg_since_120_days_is_current_gc2(self) -> None:
        shown = exposure(statement("prednisone", daily(10), start=120))
        assert (shown.level, shown.current) == (2, True)


class TestLimits:
    """Both sides of every number of section 5."""

    @pytest.mark.parametrize(("days", "level"), [(27, 1), (28, 2)])
    def test_10_mg_on_28_of_90_days_is_gc2(self, days: int, level: int) -> None:
        shown = exposure(statement("prednisone", daily(10), start=days - 1))
        assert (shown.level, shown.moderate_dose_days) == (level, days)

    @pytest.mark.parametrize(("mg", "level"), [(9.99, 1), (10, 2), (29.9, 2), (30, 3)])
    def test_doses_at_the_limits(self, mg: float, level: int) -> None:
        assert exposure(statement("prednisone", daily(mg), start=59)).level == level

    @pytest.mark.parametrize(("days", "level"), [(27, 1), (28, 3)])
    def test_30_mg_on_28_of_90_days_is_gc3(self, days: int, level: int) -> None:
        assert exposure(statement("prednisone", daily(30), start=days - 1)).level == level

    @pytest.mark.parametrize(("days", "level", "reason"), [(14, 0, "short-courses"), (15, 1, "long-course")])
    def test_a_67_a_single_course_of_14_days_is_gc0_of_15_days_gc1(self, days: int, level: int, reason: str) -> None:
        shown = exposure(statement("prednisone", daily(60), start=days + 1, end=2))
        assert (shown.level, shown.level_reason) == (level, reason)

    @pytest.mark.parametrize(("bursts", "level"), [(2, 0), (3, 0), (4, 1)])
    def test_a_67_three_bursts_a_year_are_gc0_four_gc1(self, bursts: int, level: int) -> None:
        shown = exposure(*(statement("prednisone", daily(40), start=9 + 60 * i, end=5 + 60 * i) for i in range(bursts)))
        assert (shown.level, shown.bursts) == (level, bursts)

    @pytest.mark.parametrize(("oldest", "bursts"), [(364, 4), (365, 3)])
    def test_the_year_of_the_bursts_ends_on_the_last_exposure_day(self, oldest: int, bursts: int) -> None:
        """Last exposed day today; day 365 of the window is T-364."""
        ends = (0, 100, 200, oldest)
        shown = exposure(*(statement("prednisone", daily(40), start=end + 4, end=end) for end in ends))
        assert shown.bursts == bursts

    @pytest.mark.parametrize(("days", "level"), [(55, 2), (56, 3)])
    def test_dexamethasone_4_mg_on_56_days_is_gc3(self, days: int, level: int) -> None:
        assert exposure(statement("dexamethasone", daily(4), start=days - 1)).level == level

    def test_dexamethasone_below_4_mg_is_not_gc3(self) -> None:
        """3.9 x 5 / 0.75 = 26 mg: GC2."""
        assert exposure(statement("dexamethasone", daily(3.9), start=89)).level == 2

    @pytest.mark.parametrize(("mg", "level"), [(9.9, 1), (10, 2), (13.6, 2), (13.7, 3)])
    def test_cumulative_limits_3_65_g_and_5_g_a_year(self, mg: float, level: int) -> None:
        """mg x 365 days: 9.9 -> 3.61 g, 10 -> 3.65 g, 13.6 -> 4.96 g, 13.7 -> 5.0005 g."""
        shown = exposure(statement("prednisone", daily(mg), start=364))
        assert shown.cumulative_365_mg == pytest.approx(mg * 365)
        assert shown.level == level

    def test_the_cumulative_dose_alone_reaches_gc2(self) -> None:
        """60 mg x 61 days, T-250..T-190, = 3.66 g; then 5 mg for the last 20 days: no day >= 10 mg in the last 90."""
        shown = exposure(
            statement("prednisone", daily(60), start=250, end=190), statement("prednisone", daily(5), start=19)
        )
        assert (shown.level, shown.level_reason, shown.moderate_dose_days) == (2, "cumulative-dose", 0)
        assert shown.cumulative_365_mg == 3660 + 100
        assert shown.started == ago(250)

    @pytest.mark.parametrize(("mg", "level"), [(35.74, 1), (35.75, 2)])
    def test_the_cumulative_limit_of_gc2_is_3650_mg(self, mg: float, level: int) -> None:
        """100 days, T-250..T-151, and 15 days of 5 mg (75 mg) up to today: 3574 + 75 = 3649, 3575 + 75 = 3650."""
        shown = exposure(
            statement("prednisone", daily(mg), start=250, end=151), statement("prednisone", daily(5), start=14)
        )
        assert (shown.level, shown.cumulative_365_mg) == (level, mg * 100 + 75)

    @pytest.mark.parametrize(("ended", "level", "reason"), [(90, 2, "moderate-dose-days"), (91, 0, "ended")])
    def test_ended_more_than_90_days_ago_is_history(self, ended: int, level: int, reason: str) -> None:
        shown = exposure(statement("prednisone", daily(20), start=ended + 60, end=ended))
        assert (shown.level, shown.level_reason, shown.days_since_last) == (level, reason, ended)

    @pytest.mark.parametrize(("ended", "current"), [(30, True), (31, False)])
    def test_a_58_b_70_current_counts_30_days_from_today(self, ended: int, current: bool) -> None:
        assert exposure(statement("prednisone", daily(20), start=ended + 60, end=ended)).current is current

    def test_a_06_the_90_days_are_those_before_the_last_exposure_day(self) -> None:
        """40 days of 20 mg that ended 70 days ago: from today only 20 of them would be in the window."""
        shown = exposure(statement("prednisone", daily(20), start=109, end=70))
        assert (shown.level, shown.moderate_dose_days, shown.current) == (2, 40, False)

    @pytest.mark.parametrize(("days", "level"), [(13, 0), (14, 0), (15, 2)])
    def test_a_60_b_33_fluorinated_14_days_count_only_in_a_course_of_15(self, days: int, level: int) -> None:
        """2 mg dexamethasone = 13.3 mg PEQ. Fewer than 28 days, so only the fluorinated limit can reach GC2."""
        shown = exposure(statement("dexamethasone", daily(2), start=days - 1))
        assert (shown.level, shown.fluorinated_days) == (level, days if level else 0)

    def test_b_33_fluorinated_bursts_within_a_long_course_do_not_count(self) -> None:
        """5 mg prednisone throughout; 4 x 5 days of 2 mg dexamethasone, 16 days apart, are 20 days at 18.3 mg."""
        bursts = [statement("dexamethasone", daily(2), start=21 * i + 4, end=21 * i) for i in range(4)]
        shown = exposure(statement("prednisone", daily(5), start=200), *bursts)
        assert (shown.level, shown.fluorinated_days, shown.moderate_dose_days) == (1, 0, 20)

    @pytest.mark.parametrize(("mg", "level"), [(1.49, 1), (1.5, 2)])
    def test_fluorinated_days_need_10_mg_peq(self, mg: float, level: int) -> None:
        """1.5 x 5 / 0.75 = 10 mg."""
        shown = exposure(statement("dexamethasone", daily(mg), start=19))
        assert (shown.level, shown.fluorinated_days) == (level, 20)

    def test_a_66_betamethasone_counts_by_0_6_and_is_flagged(self) -> None:
        """1.2 x 5 / 0.6 = 10 mg; by 0.75 it would be 8 mg."""
        shown = exposure(statement("betamethasone", daily(1.2), start=40))
        assert (shown.level, shown.last_daily_mg) == (2, 10)
        assert "equivalence-disputed" in shown.flags

    @pytest.mark.parametrize(
        ("name", "mg"),
        [
            ("prednisolone", 5),
            ("methylprednisolone", 4),
            ("hydrocortisone", 20),
            ("cortisone", 25),
            ("triamcinolone", 4),
        ],
    )
    def test_equivalents_of_5_mg_prednisone(self, name: str, mg: float) -> None:
        assert exposure(statement(name, daily(mg), start=40)).last_daily_mg == 5


class TestShortCourses:
    """A-03, B-85, B-96: what short courses and pulses may not do."""

    def test_b_85_days_in_courses_up_to_14_days_do_not_count_toward_28_of_90(self) -> None:
        """Three courses of 14 days at 40 mg, 15 days apart: 42 days >= 30 mg, yet three bursts."""
        shown = exposure(*(statement("prednisone", daily(40), start=13 + 29 * i, end=29 * i) for i in range(3)))
        assert (shown.level, shown.bursts, shown.high_dose_days) == (0, 3, 0)

    def test_the_highest_dose_of_short_courses_is_that_of_one_day(self) -> None:
        """Section 5, step 6: different ingredients add: 6 + 4 x 5 / 4 = 11 mg a day. What ended 91 days ago is out."""
        drugs = [("prednisone", 6), ("methylprednisolone", 4)]
        courses = [statement(drug, daily(mg), start=back + 9, end=back) for back in (0, 60) for drug, mg in drugs]
        old = statement("prednisone", daily(40), start=100, end=91)
        assert exposure(*courses, old).max_daily_mg == 11

    @pytest.mark.parametrize("days", [3, 5])
    def test_a_03_methylprednisolone_1_g_for_3_or_5_days_stays_gc0_and_is_named(self, days: int) -> None:
        """1000 x 5 / 4 = 1250 mg a day: 3.75 g and 6.25 g would be GC2 and GC3."""
        shown = exposure(*(administration("methylprednisolone", 1000, day) for day in range(days)))
        assert (shown.level, shown.level_reason, shown.bursts) == (0, "pulses", 0)
        (pulse,) = shown.pulses
        assert (pulse.first, pulse.last, pulse.peq_mg_per_day) == (ago(days - 1), ago(0), 1250)

    def test_b_96_pulses_every_month_are_no_bursts(self) -> None:
        given = [administration("methylprednisolone", 1000, 28 * month + day) for month in range(6) for day in range(3)]
        shown = exposure(*given)
        assert (shown.level, shown.bursts, len(shown.pulses)) == (0, 0, 6)

    @pytest.mark.parametrize(("months", "level"), [(3, 0), (4, 1)])
    def test_a_03_high_doses_by_mouth_are_bursts_and_no_pulses(self, months: int, level: int) -> None:
        """Dexamethasone 40 mg = 267 mg a day for 4 days: A-03 speaks of IV pulses; GC1 is from 4 bursts on."""
        cycles = [statement("dexamethasone", daily(40), start=20 + 28 * i, end=17 + 28 * i) for i in range(months)]
        shown = exposure(*cycles)
        assert (shown.level, shown.bursts, shown.pulses) == (level, months, ())

    @pytest.mark.parametrize(
        ("routes", "product", "pulses"),
        [
            (VEIN, None, 1), (ORAL, None, 0), (MUSCLE, None, 0), (frozenset(), None, 0),
            (frozenset(), "injection", 1), (MUSCLE, "injection", 0), (frozenset(), "oral-solid", 0),
        ],
    )  # fmt: skip
    def test_a_03_a_pulse_is_given_into_a_vein(self, routes: frozenset[str], product: str | None, pulses: int) -> None:
        """An injection whose way is not said counts as one: so much of it is given in no other way."""
        drug = SteroidProduct("methylprednisolone", form=product, systemic=True)
        given = [
            administration("methylprednisolone", 1000, day, product=drug, route_sets=routes, dosages=(dose,))
            for day in range(3)
            for dose in (Dosage(dose=1000, unit="mg", route_sets=routes),)
        ]
        assert len(exposure(*given).pulses) == pulses

    def test_a_03_a_pulse_beside_the_same_drug_by_mouth(self) -> None:
        """Methylprednisolone 4 mg for 100 days, with 3 x 1 g into a vein: the pulse leaves it GC1."""
        pulse = [administration("methylprednisolone", 1000, day) for day in (40, 41, 42)]
        shown = exposure(statement("methylprednisolone", daily(4), start=99), *pulse)
        assert (shown.level, len(shown.pulses)) == (1, 1)

    def test_a_03_a_pulse_within_a_low_course_leaves_it_gc1(self) -> None:
        """5 mg for 100 days, with 3 x 1 g in between: without the ruling 4.2 g, GC2."""
        pulse = [administration("methylprednisolone", 1000, day) for day in (40, 41, 42)]
        shown = exposure(statement("prednisone", daily(5), start=99), *pulse)
        assert (shown.level, shown.cumulative_365_mg, len(shown.pulses)) == (1, 500, 1)

    def test_a_pulse_dose_for_more_than_14_days_is_no_pulse(self) -> None:
        shown = exposure(*(administration("methylprednisolone", 250, day) for day in range(28)))
        assert (shown.level, shown.pulses) == (3, ())

    def test_a_burst_after_a_long_course_does_not_lower_its_level(self) -> None:
        """30 days at 40 mg ended on T-60 (GC3); seen from a burst on T-3 the 90 days would hold them too."""
        long = statement("prednisone", daily(40), start=99, end=70)
        assert exposure(long).level == 3
        assert exposure(long, statement("prednisone", daily(40), start=7, end=3)).level == 3


class TestGaps:
    """Section 5, step 6: gaps of a course."""

    @pytest.mark.parametrize(("gap", "level", "bursts"), [(14, 1, 0), (15, 0, 2)])
    def test_gaps_up_to_14_days_are_bridged(self, gap: int, level: int, bursts: int) -> None:
        """Two courses of 10 days: with 14 days between them one episode of 34 days, with 15 two bursts."""
        shown = exposure(
            statement("prednisone", daily(20), start=9, end=0),
            statement("prednisone", daily(20), start=19 + gap, end=10 + gap),
        )
        assert (shown.level, shown.bursts) == (level, bursts)

    def test_bridged_days_are_no_dose_days(self) -> None:
        """A-04: dates on which a dose falls. 2 x 10 days of 20 mg are 20 days, however long the episode."""
        shown = exposure(
            statement("prednisone", daily(20), start=9, end=0), statement("prednisone", daily(20), start=33, end=24)
        )
        assert (shown.moderate_dose_days, shown.episode_days, shown.cumulative_365_mg) == (20, 34, 400)

    @pytest.mark.parametrize(("gap", "started"), [(90, 149), (91, 29)])
    def test_where_dispenses_are_all_there_is_90_days_are_bridged(self, gap: int, started: int) -> None:
        first = dispense("prednisone", daily(5), handed_over=59 + gap, days=30)
        shown = exposure(first, dispense("prednisone", daily(5), handed_over=29, days=30))
        assert shown.started == ago(started)


class TestSeveralCourses:
    """A-06, B-33: each course that ended up to 90 days ago is judged at its own last day."""

    def test_a_later_course_at_a_low_dose_does_not_hide_an_earlier_one_at_a_high_dose(self) -> None:
        """40 mg for 30 days ended on T-80; from today only 10 of them lie in the last 90 days."""
        high = statement("prednisone", daily(40), start=109, end=80)
        low = statement("prednisone", daily(5), start=20)
        shown = exposure(high, low)
        assert (exposure(low).level, shown.level) == (1, 3)
        assert (shown.started, shown.last_day, shown.current) == (ago(109), ago(0), True)

    def test_a_course_that_goes_on_at_a_low_dose_is_judged_at_its_last_day(self) -> None:
        """The same without a gap is one course, a taper: 10 days >= 10 mg in the last 90."""
        shown = exposure(
            statement("prednisone", daily(40), start=109, end=80), statement("prednisone", daily(5), start=79)
        )
        assert (shown.level, shown.high_dose_days, shown.started) == (1, 10, ago(109))


class TestUncertainData:
    """What can never be more than GC1 (A-05, A-07, A-08, A-38, section 5) or GC2 (B-31, B-70)."""

    def test_a_05_dexamethasone_40_mg_weekly_is_gc1_and_says_so(self) -> None:
        """40 / 7 x 5 / 0.75 = 38.1 mg a day on 71 days would be GC3."""
        shown = exposure(statement("dexamethasone", daily(40, period=1, period_unit="wk"), start=70))
        assert (shown.level, shown.level_reason, shown.fluorinated_days) == (1, "uncertain-data", 71)
        assert "weekly-dosing" in shown.flags

    def test_b_33_alternate_days_are_averaged_and_every_day_counts(self) -> None:
        """40 mg every other day = 20 mg on each of 60 days."""
        shown = exposure(statement("prednisone", daily(40, period=2), start=59))
        assert (shown.level, shown.moderate_dose_days, shown.last_daily_mg) == (2, 60, 20)

    def test_a_07_text_only_is_at_most_gc1(self) -> None:
        shown = exposure(statement("x", daily(60), start=120, product=None, named_ingredient="prednisone"))
        assert (shown.level, shown.level_reason) == (1, "uncertain-data")
        assert "text-only" in shown.flags

    def test_a_07_the_words_are_said_to_be_words_whatever_else_a_code_of_the_entry_means(self) -> None:
        more = {"product": None, "named_ingredient": "prednisone", "sets": frozenset({"myotoxic-drug"})}
        (course,) = exposure(statement("x", daily(20), start=120, **more)).basis
        assert course.coded is CodeCertainty.TEXT

    def test_no_route_and_no_form_is_at_most_gc1(self) -> None:
        unrouted = Dosage(dose=60, unit="mg", times=1, period=1, period_unit="d")
        shown = exposure(statement("prednisone", unrouted, start=120))
        assert (shown.level, "route-uncertain" in shown.flags) == (1, True)

    @pytest.mark.parametrize("name", ["hydrocortisone", "triamcinolone", "betamethasone"])
    def test_no_route_and_a_drug_that_is_mostly_local_does_not_count(self, name: str) -> None:
        shown = exposure(statement(name, start=120))
        assert (shown.level, reasons(shown)) == (0, ["route-unknown"])

    def test_an_unknown_dose_is_at_most_gc1(self) -> None:
        shown = exposure(statement("prednisone", daily(60, unit=None), start=120))
        assert (shown.level, shown.dose_unknown, shown.mean_daily_mg) == (1, True, None)

    def test_an_uncertain_course_never_lowers_a_documented_one(self) -> None:
        documented = statement("prednisone", daily(20), start=120)
        vague = statement("dexamethasone", daily(4, unit=None), start=120)
        assert exposure(documented, vague).level == 2

    def test_a_08_z79_52_alone_is_gc1(self) -> None:
        shown = exposure(condition("long-term-steroid-use"))
        assert (shown.level, shown.level_reason, shown.current, shown.started) == (1, "long-term-use-code", True, None)

    @pytest.mark.parametrize("more", [{"clinical_status": "resolved"}, {"verification_status": "refuted"}])
    def test_a_08_z79_52_that_is_resolved_or_refuted_is_nothing(self, more: dict[str, str]) -> None:
        assert exposure(condition("long-term-steroid-use", **more)).level == 0

    def test_a_08_z79_52_never_raises_above_gc1(self) -> None:
        shown = exposure(condition("long-term-steroid-use"), statement("prednisone", daily(5), start=60))
        assert (shown.level, shown.level_reason) == (1, "long-course")

    def test_b_60_an_active_statement_without_any_date_is_gc1(self) -> None:
        shown = exposure(statement("prednisone", daily(60), is_period=False))
        assert (shown.level, shown.level_reason, shown.current) == (1, "undated", True)

    def test_b_70_an_active_order_without_duration_is_at_most_gc2(self) -> None:
        """60 mg on the 90 days up to today would be GC3."""
        shown = exposure(order("prednisone", daily(60), authored=200))
        assert (shown.level, shown.level_reason) == (2, "duration-assumed")
        assert (shown.started, shown.duration_assumed) == (ago(89), True)

    def test_b_70_documented_days_alone_may_be_higher(self) -> None:
        """An open order (GC2 at most) beside a documented course of 30 days at 40 mg (GC3)."""
        shown = exposure(
            order("prednisone", daily(5), authored=20), statement("prednisone", daily(40), start=49, end=20)
        )
        assert (shown.level, shown.level_reason) == (3, "high-dose-days")


class TestReplacement:
    """Section 5: hydrocortisone up to 25 mg a day with E25 or E27."""

    ILL = condition("adrenal-insufficiency-or-cah")

    @pytest.mark.parametrize(("mg", "level"), [(25, 0), (25.5, 1)])
    def test_25_mg_is_the_limit(self, mg: float, level: int) -> None:
        assert exposure(statement("hydrocortisone", daily(mg), start=300), self.ILL).level == level

    def test_without_the_diagnosis_it_is_exposure(self) -> None:
        shown = exposure(statement("hydrocortisone", daily(20), start=300))
        assert (shown.level, shown.replacement) == (1, False)

    def test_g3_an_unconfirmed_diagnosis_excuses_nothing(self) -> None:
        unsure = condition("adrenal-insufficiency-or-cah", verification_status="provisional")
        assert exposure(statement("hydrocortisone", daily(20), start=300), unsure).level == 1

    def test_prednisone_beside_replacement_counts(self) -> None:
        shown = exposure(
            statement("hydrocortisone", daily(20), start=300), statement("prednisone", daily(20), start=60), self.ILL
        )
        assert (shown.level, shown.replacement, shown.last_daily_mg) == (2, True, 20)

    def test_three_doses_of_a_day_are_judged_together(self) -> None:
        """10 + 5 + 5 mg = 20 mg."""
        parts = (daily(10, when=("MORN",)), daily(5, when=("NOON",)), daily(5, when=("AFT",)))
        assert exposure(statement("hydrocortisone", parts, start=300), self.ILL).level == 0


def test_a_chart_without_steroids_is_answered_with_one_constant() -> None:
    assert exposure() is exposure()
    assert exposure().level_reason == "none"


def test_drugs_add_when_they_differ() -> None:
    """Prednisone 5 mg and dexamethasone 0.75 mg (= 5 mg) make 10 mg a day."""
    shown = exposure(statement("prednisone", daily(5), start=59), statement("dexamethasone", daily(0.75), start=59))
    assert (shown.level, shown.last_daily_mg) == (2, 10)
    assert shown.ingredients == ("dexamethasone", "prednisone")


def test_budesonide_fludrocortisone_and_vamorolone_are_no_systemic_glucocorticoids() -> None:
    for name in ("budesonide", "fludrocortisone", "vamorolone"):
        shown = exposure(statement(name, daily(9), start=200, **drug(name)))
        assert (shown.level, reasons(shown)) == (0, ["no-systemic-glucocorticoid"])
