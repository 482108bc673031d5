"""Which entries count and from when to when (section 5, steps 1-3; A-38, B-31, B-60, B-70, B-85)."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.coding import SteroidProduct
from cds_service.derive.steroid_exposure import daily_doses
from cds_service.record import Dosage, MedicationEntry
from tests.unit.derive.steroid_charts import (
    KNOWLEDGE,
    LOCAL,
    NOW,
    ORAL,
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


def days(*entries: MedicationEntry) -> tuple[int, int] | None:
    """The first and last exposed day, in days before today; None without one. Fails where days are missing between."""
    found = [(ago(0) - day).days for day in daily_doses(record(*entries), KNOWLEDGE, NOW)]
    assert len(found) == (found[0] - found[-1] + 1 if found else 0)
    return (found[0], found[-1]) if found else None


class TestStatements:
    @pytest.mark.parametrize(
        ("more", "expected"),
        [
            ({"status": "active"}, (60, 0)),
            ({"status": "stopped", "written": on(20)}, (60, 20)),
            ({"status": "completed", "written": on(20)}, (60, 20)),
            ({"status": "on-hold", "written": on(20)}, (60, 20)),  # B-31: read like stopped
            ({"status": "stopped"}, (60, 60)),  # B-31: a missing dateAsserted = one day
            ({"status": "stopped", "written": on(80)}, (60, 60)),
        ],
    )
    def test_a_period_without_end(self, more: dict[str, Any], expected: tuple[int, int]) -> None:
        assert days(statement("prednisone", daily(10), start=60, **more)) == expected

    def test_a_period_with_end(self) -> None:
        assert days(statement("prednisone", daily(10), start=60, end=31)) == (60, 31)

    def test_a_planned_end_in_the_future_counts_up_to_today(self) -> None:
        assert days(statement("prednisone", daily(10), start=60, end=-30, status="active")) == (60, 0)

    def test_effective_date_time_is_one_day(self) -> None:
        assert days(statement("prednisone", daily(10), start=60, is_period=False)) == (60, 60)

    def test_effective_date_time_with_bounds_runs_for_them(self) -> None:
        assert days(statement("prednisone", daily(10, bounds_days=10), start=60, is_period=False)) == (60, 51)

    def test_b_60_without_effective_time_it_runs_from_date_asserted(self) -> None:
        assert days(statement("prednisone", daily(10), is_period=False, written=on(40))) == (40, 0)

    def test_an_active_three_day_course_is_three_days(self) -> None:
        """Active does not mean "taking now"."""
        assert days(statement("prednisone", daily(40, bounds_days=3), start=60)) == (60, 58)

    def test_epic_bounds_with_a_start_only_do_not_end_a_course(self) -> None:
        """P-14."""
        assert days(statement("prednisone", daily(40, bounds_start=on(60)), start=60)) == (60, 0)

    def test_bounds_do_not_begin_before_the_statement(self) -> None:
        assert days(statement("prednisone", daily(40, bounds_start=on(80)), start=60)) == (60, 0)

    def test_bounds_that_ended_before_the_statement_began_leave_no_day(self) -> None:
        assert reasons(exposure(statement("prednisone", daily(40, bounds_end=on(80)), start=60))) == ["no-exposed-days"]

    def test_dates_that_contradict_each_other(self) -> None:
        shown = exposure(statement("prednisone", daily(10), start=20, end=40))
        assert (shown.level, reasons(shown)) == (0, ["dates-contradict"])

    def test_a_stopped_statement_without_any_date_does_not_count(self) -> None:
        shown = exposure(statement("prednisone", daily(60), is_period=False, status="stopped"))
        assert (shown.level, reasons(shown)) == (0, ["undated"])

    def test_unknown_status_counts_only_with_a_dispense(self) -> None:
        unknown = statement("prednisone", daily(20), start=60, end=10, status="unknown")
        assert reasons(exposure(unknown)) == ["no-dispense"]
        assert exposure(unknown, dispense("prednisone", daily(5), handed_over=60, days=30)).max_daily_mg == 20

    def test_a_dispense_of_another_drug_or_year_is_no_evidence(self) -> None:
        unknown = statement("prednisone", daily(20), start=60, end=10, status="unknown")
        other = dispense("dexamethasone", daily(1), handed_over=60, days=10)
        old = dispense("prednisone", daily(1), handed_over=300, days=10)
        assert reasons(exposure(unknown, other, old)) == ["no-dispense"]


class TestPartialDates:
    """B-60: the last possible day of a partial start, the first of a partial end."""

    def test_a_start_known_to_the_month_counts_from_its_last_day(self) -> None:
        assert exposure(statement("prednisone", daily(10), start="2026-08")).started.isoformat() == "2026-08-31"

    def test_a_start_known_to_the_year_counts_from_its_last_day(self) -> None:
        assert exposure(statement("prednisone", daily(10), start="2025")).started.isoformat() == "2025-12-31"

    def test_an_end_known_to_the_month_counts_to_its_first_day(self) -> None:
        assert (
            exposure(statement("prednisone", daily(10), start=120, end="2026-10")).last_day.isoformat() == "2026-10-01"
        )

    def test_b_83_a_start_in_the_current_month_is_today(self) -> None:
        assert days(statement("prednisone", daily(10), start="2026-11")) == (0, 0)

    def test_the_same_month_for_both_is_one_day(self) -> None:
        shown = exposure(statement("prednisone", daily(60), start="2026-10", end="2026-10"))
        assert (shown.level, shown.episode_days) == (0, 1)

    def test_b_60_up_to_24_hours_ahead_is_now(self) -> None:
        assert days(statement("prednisone", daily(10), start=-1)) == (0, 0)

    def test_what_begins_later_does_not_count(self) -> None:
        assert reasons(exposure(statement("prednisone", daily(60), start=-3))) == ["not-started"]


class TestOrders:
    def test_b_31_bounds_come_first(self) -> None:
        assert days(order("prednisone", daily(10, bounds_days=10), authored=60, supply_days=30)) == (60, 51)

    def test_the_bounds_of_a_reissued_order_may_begin_before_it_was_authored(self) -> None:
        assert days(order("prednisone", daily(10, bounds_start=on(60)), authored=20, supply_days=61)) == (60, 0)

    def test_without_authored_on_it_counts_from_its_bounds(self) -> None:
        """P-14: boundsPeriod.start only."""
        assert days(order("prednisone", daily(10, bounds_start=on(60)))) == (60, 0)

    def test_an_order_for_later_has_not_begun(self) -> None:
        assert reasons(exposure(order("prednisone", daily(60, bounds_start=on(-10)), authored=5))) == ["not-started"]

    def test_b_31_then_the_expected_supply_duration(self) -> None:
        written = order("prednisone", daily(10), authored=60, supply_days=30, quantity=5, quantity_unit="tablet")
        assert days(written) == (60, 31)

    def test_b_31_then_quantity_over_daily_units(self) -> None:
        """40 tablets, 2 a day = 20 days."""
        written = order("prednisone", daily(2, unit="tablet"), authored=60, quantity=40, quantity_unit="{tbl}")
        assert days(written) == (60, 41)

    def test_quantity_in_tablets_and_dose_in_mg(self) -> None:
        """30 tablets of 20 mg = 600 mg, 40 mg a day = 15 days."""
        more = {"quantity": 30, "quantity_unit": "tablet", "product": products()["312615"]}
        assert days(order("prednisone", daily(40), authored=60, **more)) == (60, 46)

    def test_the_last_part_of_a_day_is_a_day(self) -> None:
        """10 tablets, 3 a day: the fourth day takes the last one."""
        written = order("prednisone", daily(3, unit="tablet"), authored=60, quantity=10, quantity_unit="tablet")
        assert days(written) == (60, 57)

    @pytest.mark.parametrize(("authored", "expected"), [(20, (20, 0)), (89, (89, 0)), (200, (89, 0)), (400, (89, 0))])
    def test_b_70_an_active_order_with_none_of_them_counts_for_the_90_days_up_to_today(
        self, authored: int, expected: tuple[int, int]
    ) -> None:
        assert days(order("prednisone", daily(10), authored=authored)) == expected

    @pytest.mark.parametrize("authored", [401, 660])
    def test_b_70_but_not_if_authored_more_than_400_days_ago(self, authored: int) -> None:
        shown = exposure(order("prednisone", daily(60), authored=authored))
        assert (shown.level, shown.current, reasons(shown)) == (0, False, ["no-duration"])

    @pytest.mark.parametrize("status", ["stopped", "completed", "on-hold"])
    def test_b_31_a_stopped_or_completed_order_with_none_of_them_is_one_day(self, status: str) -> None:
        assert days(order("prednisone", daily(10), authored=60, status=status)) == (60, 60)

    def test_b_31_b_85_refills_prolong_the_supply_up_to_gc2(self) -> None:
        """3 x 30 days of 40 mg: 30 documented days are GC3 by themselves; 20 are GC1 and, with refills, GC2."""
        long = order("prednisone", daily(40), authored=89, supply_days=30, refills=2)
        short = order("prednisone", daily(40), authored=59, supply_days=20, refills=2)
        assert (days(long), exposure(long).level) == ((89, 0), 3)
        assert (days(short), exposure(short).level, exposure(short).level_reason) == ((59, 0), 2, "duration-assumed")

    def test_b_31_refills_count_only_without_any_dispense(self) -> None:
        written = order("prednisone", daily(40), authored=89, supply_days=30, refills=2)
        other = dispense("dexamethasone", daily(1), handed_over=300, days=1)
        assert exposure(written, other).last_day == ago(60)

    def test_b_31_refills_of_a_stopped_order_do_not_count(self) -> None:
        assert days(order("prednisone", daily(40), authored=89, supply_days=30, refills=2, status="stopped")) == (
            89,
            60,
        )

    def test_a_taper_with_an_open_last_step_is_documented_up_to_it(self) -> None:
        steps = (daily(60, sequence=1, bounds_days=28), daily(10, sequence=2))
        shown = exposure(order("prednisone", steps, authored=59))
        assert (shown.level, shown.level_reason, shown.started) == (3, "high-dose-days", ago(59))
        assert (shown.last_day, shown.duration_assumed) == (ago(0), True)

    @pytest.mark.parametrize("intent", ["proposal", "plan", "option", None])
    def test_what_is_not_an_order_does_not_count(self, intent: str | None) -> None:
        assert reasons(exposure(order("prednisone", daily(60), authored=60, intent=intent))) == ["not-an-order"]

    @pytest.mark.parametrize("intent", ["original-order", "reflex-order", "filler-order", "instance-order"])
    def test_kinds_of_order_are_orders(self, intent: str) -> None:
        assert exposure(order("prednisone", daily(10), authored=60, intent=intent)).level == 2

    def test_do_not_perform(self) -> None:
        assert reasons(exposure(order("prednisone", daily(60), authored=60, do_not_perform=True))) == ["do-not-perform"]

    @pytest.mark.parametrize("status", ["draft", "cancelled", "entered-in-error"])
    def test_other_status_do_not_count(self, status: str) -> None:
        assert reasons(exposure(order("prednisone", daily(60), authored=60, status=status))) == [status]

    def test_a_status_that_we_do_not_know_is_not_repeated(self) -> None:
        """Reasons are our own words: text from a chart never gets into them."""
        assert reasons(exposure(order("prednisone", daily(60), authored=60, status="Mr Smith"))) == [
            "status-not-counted"
        ]


class TestDispenses:
    def test_b_31_handed_over_plus_days_supply(self) -> None:
        assert days(dispense("prednisone", daily(10), handed_over=60, days=30)) == (60, 31)

    def test_without_days_supply_quantity_over_daily_units(self) -> None:
        given = dispense("prednisone", daily(2, unit="tablet"), handed_over=60, quantity=40, quantity_unit="tablet")
        assert days(given) == (60, 41)

    def test_without_dosage_what_was_handed_over_is_shared_out(self) -> None:
        """60 tablets of 10 mg for 30 days = 20 mg a day."""
        more = {"quantity": 60, "quantity_unit": "tablet", "product": products()["198145"]}
        assert exposure(dispense("prednisone", handed_over=29, days=30, **more)).last_daily_mg == 20

    def test_with_nothing_but_a_date_it_is_one_day_of_unknown_dose(self) -> None:
        given = dispense("prednisone", handed_over=60, product=products()["312615"])
        assert (days(given), exposure(given).dose_unknown) == ((60, 60), True)

    @pytest.mark.parametrize("status", ["in-progress", "preparation", "stopped", "cancelled"])
    def test_only_completed_dispenses_count(self, status: str) -> None:
        assert exposure(dispense("prednisone", daily(60), handed_over=60, days=60, status=status)).level == 0

    def test_without_a_date_it_does_not_count(self) -> None:
        assert reasons(exposure(dispense("prednisone", daily(60), days=60))) == ["undated"]


class TestAdministrations:
    def test_b_31_the_effective_days(self) -> None:
        assert days(administration("prednisone", 40, 12, end=on(8), is_period=True)) == (12, 8)

    def test_b_31_one_that_goes_on_runs_to_today(self) -> None:
        assert days(administration("prednisone", 40, 12, is_period=True, status="in-progress")) == (12, 0)

    def test_an_infusion_over_midnight_is_one_event(self) -> None:
        given = administration("methylprednisolone", 80, "2026-11-20T23:00:00Z", end=on("2026-11-21T01:00:00Z"))
        assert days(given) == (7, 7)

    @pytest.mark.parametrize("status", ["not-done", "entered-in-error"])
    def test_what_was_not_given(self, status: str) -> None:
        assert reasons(exposure(administration("prednisone", 40, 12, status=status))) == [status]


class TestAsNeeded:
    """A-38: PRN counts only if dispensed, and then gives GC1 at most."""

    PRN = daily(40, as_needed=True)

    def test_without_a_dispense(self) -> None:
        written = order("prednisone", self.PRN, authored=60, supply_days=60)
        assert reasons(exposure(written)) == ["as-needed-not-dispensed"]

    def test_with_a_dispense(self) -> None:
        written = order("prednisone", self.PRN, authored=60, supply_days=60)
        shown = exposure(written, dispense("prednisone", self.PRN, handed_over=60, days=60))
        assert (shown.level, "as-needed" in shown.flags) == (1, True)

    def test_a_dispense_without_dosage_of_a_drug_ordered_only_as_needed(self) -> None:
        """60 tablets of 20 mg for 30 days would be 40 mg a day, GC3."""
        more = {"quantity": 60, "quantity_unit": "tablet", "product": products()["312615"]}
        given = dispense("prednisone", handed_over=29, days=30, **more)
        assert exposure(given).level == 3
        assert exposure(given, order("prednisone", self.PRN, authored=60, supply_days=90)).level == 1

    def test_the_regular_part_of_an_entry_counts_without_it(self) -> None:
        shown = exposure(statement("prednisone", (daily(20), self.PRN), start=60))
        assert (shown.level, shown.last_daily_mg, "as-needed" in shown.flags) == (2, 20, False)


class TestRoutes:
    """Section 5, step 1: what is said wins over the product, the product over the form."""

    UNROUTED = Dosage(dose=20, unit="mg", times=1, period=1, period_unit="d")

    def shown(self, dosage: Dosage = UNROUTED, **more: Any) -> tuple[int, list[str], frozenset[str]]:
        shown = exposure(statement("prednisone", dosage, start=60, **more))
        return shown.level, reasons(shown), shown.flags

    def test_a_systemic_route(self) -> None:
        assert self.shown(daily(20)) == (2, [], frozenset())

    def test_a_local_route(self) -> None:
        dosage = Dosage(dose=20, unit="mg", times=1, period=1, period_unit="d", route_sets=LOCAL)
        assert self.shown(dosage, product=products()["312615"]) == (0, ["local-route"], frozenset())

    def test_an_oral_product(self) -> None:
        assert self.shown(product=products()["312615"]) == (2, [], frozenset())

    def test_an_oral_form(self) -> None:
        assert self.shown(form_sets=frozenset({"form-oral"})) == (2, [], frozenset())

    def test_a_local_form(self) -> None:
        assert self.shown(form_sets=frozenset({"form-local"})) == (0, ["local-form"], frozenset())

    def test_nothing_said(self) -> None:
        assert self.shown() == (1, [], frozenset({"route-uncertain"}))

    def test_a_depot_injection_counts_when_given_into_a_muscle(self) -> None:
        depot = products()["1085756"]
        assert depot.systemic is None
        assert exposure(administration("triamcinolone", 40, 5, product=depot)).current
        unsaid = administration("triamcinolone", 40, 5, product=depot, dosages=())
        assert reasons(exposure(unsaid)) == ["route-unknown"]

    @pytest.mark.parametrize(
        ("code", "form"),
        [("106258", "topical"), ("1797904", "nasal"), ("310878", "rectal"), ("1947133", "local-injection")],
    )
    def test_local_products_are_recognised_by_code(self, code: str, form: str) -> None:
        assert self.shown(product=products()[code])[:2] == (0, [form])

    def test_a_local_product_known_by_words_only(self) -> None:
        """The reader marks "hydrocortisone cream" as a product that is not systemic (A-07)."""
        assert self.shown(product=SteroidProduct("hydrocortisone", systemic=False))[:2] == (0, ["local-product"])

    def test_the_local_part_of_an_entry_is_left_out(self) -> None:
        drops = Dosage(dose=1, unit="mg", times=4, period=1, period_unit="d", route_sets=LOCAL)
        both = statement("prednisone", (daily(20), drops), start=60, route_sets=ORAL | LOCAL)
        assert exposure(both).last_daily_mg == 20
