"""G11: "antenatal betamethasone ignored". A-40, B-74: a pregnancy code counts 300 days, a delivery 180."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cds_service.coding import SteroidProduct
from cds_service.record import Dosage, MedicationEntry
from tests.unit.derive.steroid_charts import MUSCLE, condition, daily, exposure, on, order, reasons, statement


def injected(**more: Any) -> MedicationEntry:
    """12 mg into a muscle, an active order without duration: 100 mg prednisone equivalent."""
    dose = Dosage(dose=12, unit="mg", times=1, period=1, period_unit="d", route_sets=MUSCLE)
    return order("betamethasone", dose, authored=20, **more)


def test_it_would_be_gc2_without_a_pregnancy() -> None:
    assert exposure(injected()).level == 2


@pytest.mark.parametrize(
    ("name", "more", "level"),
    [
        ("pregnancy", {"onset": on(300)}, 0),
        ("pregnancy", {"onset": on(301)}, 2),
        ("pregnancy", {"recorded": on(40)}, 0),
        ("pregnancy", {}, 2),
        ("pregnancy", {"onset": on(40), "clinical_status": "resolved"}, 2),
        ("pregnancy", {"onset": on(40), "verification_status": "refuted"}, 2),
        ("delivery", {"onset": on(180)}, 0),
        ("delivery", {"onset": on(10), "clinical_status": "resolved"}, 0),
        ("delivery", {"onset": on(181)}, 2),
        ("delivery", {"onset": on(10), "verification_status": "refuted"}, 2),
    ],
)
def test_in_a_pregnancy_and_180_days_after(name: str, more: dict[str, Any], level: int) -> None:
    assert exposure(injected(), condition(name, **more)).level == level


def test_it_is_named() -> None:
    shown = exposure(injected(), condition("pregnancy", onset=on(40)))
    assert reasons(shown) == ["antenatal"]


def test_a_statement_left_open() -> None:
    dose = Dosage(dose=12, unit="mg", times=1, period=1, period_unit="d", route_sets=MUSCLE)
    left = statement("betamethasone", dose, start=20)
    assert exposure(left).level == 2
    assert exposure(left, condition("pregnancy", onset=on(40))).level == 0


def test_an_order_without_a_date() -> None:
    undated = injected(written=None)
    assert exposure(undated).level == 1
    assert exposure(undated, condition("pregnancy", onset=on(40))).level == 0


@pytest.mark.parametrize(
    ("more", "level"),
    [
        ({"dosages": (daily(12),)}, 2),
        ({"product": SteroidProduct("betamethasone", form="oral-solid", systemic=True)}, 2),
        ({"product": SteroidProduct("betamethasone", form="injection", systemic=True)}, 0),
        ({"form_sets": frozenset({"form-oral"})}, 2),
        ({"product": SteroidProduct("betamethasone", form="oral-solid"), "route_sets": MUSCLE}, 0),
    ],
)
def test_what_is_taken_by_mouth_counts(more: dict[str, Any], level: int) -> None:
    unrouted = Dosage(dose=12, unit="mg", times=1, period=1, period_unit="d")
    taken = order("betamethasone", **{"dosage": unrouted, "authored": 20})
    taken = msgspec.structs.replace(taken, **more)
    assert exposure(taken, condition("pregnancy", onset=on(40))).level == level


def test_other_steroids_count() -> None:
    assert exposure(order("prednisone", daily(20), authored=40), condition("pregnancy", onset=on(40))).level == 2
