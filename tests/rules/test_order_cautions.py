"""Safety of what is offered: each order of ``rules/orders.toml`` has the cautions that it needs (G11, G13, B-55)."""

from __future__ import annotations

import pytest

from cds_service.cards.knowledge import load_deck
from cds_service.cards.order_knowledge import WrittenOrder
from cds_service.cards.orders import remaining
from tests.rules.tables import RULES
from tests.unit.cards.builders import condition, fact, facts_of, fired, result

DECK = load_deck(RULES)
ORDERS = {key: order.written for key, order in DECK.orders.orders.items()}
NEEDLE = [key for key in ORDERS if "emg" in key]
MRI = [key for key in ORDERS if key.endswith("mri") or "-mri-" in key]
IMAGING = [key for key, order in ORDERS.items() if order.group == "imaging"]
WITHOUT_RAYS = {*MRI, "leg-ultrasound"}
WITHOUT_CONTRAST = {"ct-head", "chest-x-ray", "injury-x-ray", "dxa", "leg-ultrasound"}
WEAK = condition("weakness", onset=300)


def notes_beside(order: str, *entries: object, number: str = "R08") -> tuple[str, ...]:
    """The cautions that stand beside one order for a patient with weakness and these entries."""
    assessment = fired(number, order, findings=("weakness|None|None",), facts=(fact("weakness", onset=300),))
    return tuple(
        note for kept in remaining([assessment], facts_of(WEAK, *entries), DECK.orders).kept for note in kept.notes
    )


def conditions_of(order: WrittenOrder) -> set[str]:
    return {name for caution in order.cautions for name in caution.conditions}


def test_the_lists_below_are_not_empty() -> None:
    assert NEEDLE == ["emg-ncs"]
    assert len(MRI) >= 3
    assert IMAGING


@pytest.mark.parametrize("key", NEEDLE)
@pytest.mark.parametrize("danger", ["anticoagulant-use", "lymphoedema", "pacemaker-or-icd"])
def test_needle_emg_warns_of_bleeding_lymphoedema_and_pacemaker(key: str, danger: str) -> None:
    """G13."""
    assert danger in conditions_of(ORDERS[key])
    assert len(notes_beside(key, condition(danger, onset=100))) == 1


@pytest.mark.parametrize("key", NEEDLE)
@pytest.mark.parametrize(
    ("value", "unit", "ago", "shown"),
    [
        (49, "10*3/uL", 30, True),
        (49, "10*9/L", 30, True),
        (50, "10*3/uL", 30, False),
        (49, "10*3/uL", 90, True),
        (49, "10*3/uL", 91, False),
        (49000, "/uL", 30, False),
    ],
)
def test_needle_emg_warns_of_few_platelets(key: str, value: float, unit: str, ago: int, shown: bool) -> None:
    """B-55: below 50 x 10^9/L; at 50 no more; a unit that we cannot read says nothing (A-54)."""
    notes = notes_beside(key, result("platelet-count", ago=ago, value=value, unit=unit))
    assert any("platelet" in note for note in notes) is shown


@pytest.mark.parametrize("key", NEEDLE)
def test_the_newest_platelet_count_decides(key: str) -> None:
    older, newer = (
        result("platelet-count", ago=40, value=30, unit="10*3/uL"),
        result("platelet-count", ago=10, value=180, unit="10*3/uL"),
    )
    assert notes_beside(key, older, newer) == ()


@pytest.mark.parametrize("key", MRI)
def test_every_mri_warns_of_a_pacemaker(key: str) -> None:
    (note,) = notes_beside(key, condition("pacemaker-or-icd", onset=100))
    assert "before MRI" in note


@pytest.mark.parametrize("key", [key for key in IMAGING if key not in WITHOUT_CONTRAST])
@pytest.mark.parametrize(("value", "shown"), [(29, True), (30, False)])
def test_imaging_that_may_use_contrast_warns_of_low_kidney_function(key: str, value: float, shown: bool) -> None:
    """B-55: eGFR below 30."""
    notes = notes_beside(key, result("egfr", ago=30, value=value, unit="mL/min/{1.73_m2}"), number="R03")
    assert any("eGFR" in note for note in notes) is shown


@pytest.mark.parametrize("key", IMAGING)
def test_every_x_ray_and_ct_is_marked_as_ionising(key: str) -> None:
    """G11: what uses rays is not suggested in pregnancy, except by R01 to R03 (A-27)."""
    assert ORDERS[key].ionising is (key not in WITHOUT_RAYS)


@pytest.mark.parametrize("key", [key for key in IMAGING if key not in WITHOUT_RAYS])
@pytest.mark.parametrize("pregnant", [condition("pregnancy", onset=90), condition("delivery", onset=100)])
def test_no_x_ray_or_ct_in_pregnancy_outside_emergencies(key: str, pregnant: object) -> None:
    assessment = fired("R21", key, findings=("weakness|None|None",), facts=(fact("weakness", onset=300),))
    answer = remaining([assessment], facts_of(WEAK, pregnant), DECK.orders)
    assert answer.kept == ()
    assert answer.notes == (DECK.orders.pregnancy.text,)


@pytest.mark.parametrize("word", ["biops", "electrical", "stimulation", "prednis", "nsaid", "discontinue"])
def test_no_order_is_a_biopsy_a_drug_or_stimulation(word: str) -> None:
    """A8, A9, G12: these are text or nothing."""
    assert [key for key, order in ORDERS.items() if word in f"{key} {order.label} {order.description}".lower()] == []
