"""G6, G7, G8, G11, G13, C6 as ruled: which offered orders are still suggested. One row of the papers per test."""

from __future__ import annotations

import msgspec
import pytest

from cds_service.cards.knowledge import CardDeck
from cds_service.cards.orders import Remaining, remaining
from cds_service.rule_engine.inquiry import fact_of
from cds_service.rule_engine.model import OfferedOrder
from tests.unit.cards.builders import (
    activity,
    condition,
    fact,
    facts_of,
    fired,
    ordered,
    report,
    result,
    rule,
    visit,
)

WEAK = condition("weakness", onset=300)
WEAKNESS = ("weakness|None|None",)


def left(deck: CardDeck, order: str, *entries: object, number: str = "R08", **fields: object) -> Remaining:
    """What is left when one rule offers one order for a patient whose weakness began 300 days ago."""
    assessment = fired(number, order, findings=WEAKNESS, facts=(fact("weakness", onset=300),))
    return remaining([assessment], facts_of(WEAK, *entries, **fields), deck.orders)


def is_offered(answer: Remaining) -> bool:
    return bool(answer.kept)


# --- G6: not what was done inside the look-back -----------------------------------------------------------------------

G6_WINDOWS = [
    ("ck", "creatine-kinase", 90),
    ("tsh", "tsh", 365),
    ("vitamin-b12", "vitamin-b12", 365),
    ("vitamin-d", "vitamin-d-25-oh", 365),
    ("hba1c", "hba1c", 365),
    ("potassium", "potassium", 90),
    ("calcium", "calcium", 90),
    ("magnesium", "magnesium", 90),
    ("phosphate", "phosphate", 90),
    ("renal", "creatinine", 90),
    ("blood-count", "blood-count", 90),
    ("crp", "crp", 90),
    ("emg-ncs", "electromyography", 365),
    ("spine-mri", "spine-mri", 90),
    ("dxa", "dxa", 730),
]


@pytest.mark.parametrize(("order", "value_set", "days"), G6_WINDOWS)
def test_a_test_is_offered_again_the_day_after_its_look_back(
    deck: CardDeck, order: str, value_set: str, days: int
) -> None:
    """G6, with a finding that is older than the test (G7)."""
    old = condition("weakness", onset=800)
    assessment = fired("R08", order, findings=WEAKNESS)
    offered = [
        bool(remaining([assessment], facts_of(old, report(value_set, ago=ago)), deck.orders).kept)
        for ago in (0, days, days + 1)
    ]
    assert offered == [False, False, True]


@pytest.mark.parametrize(("order", "value_set"), [("tsh", "tsh"), ("vitamin-b12", "vitamin-b12"), ("hba1c", "hba1c")])
def test_an_abnormal_result_counts_for_90_days_only(deck: CardDeck, order: str, value_set: str) -> None:
    """G6: TSH, B12, vitamin D, HbA1c 365 d (90 d if abnormal)."""
    normal = result(value_set, ago=100, value=2, low=1, high=3)
    high, low = result(value_set, ago=100, value=4, low=1, high=3), result(value_set, ago=100, value=0.5, low=1)
    assert not is_offered(left(deck, order, normal))
    assert is_offered(left(deck, order, high))
    assert is_offered(left(deck, order, low))
    assert not is_offered(left(deck, order, result(value_set, ago=90, value=4, low=1, high=3)))


def test_the_newest_result_says_whether_it_is_abnormal(deck: CardDeck) -> None:
    """G6: an older normal result does not hide a newer abnormal one."""
    older, newer = result("tsh", ago=200, value=2, high=4), result("tsh", ago=100, value=9, high=4)
    assert is_offered(left(deck, "tsh", older, newer))


@pytest.mark.parametrize(
    ("entry", "counts"),
    [
        (ordered("creatine-kinase-order", ago=10), True),
        (ordered("creatine-kinase-order", ago=10, status="on-hold"), True),
        (ordered("creatine-kinase-order", ago=10, status="completed"), True),
        (ordered("creatine-kinase-order", ago=10, status="draft"), False),
        (ordered("creatine-kinase-order", ago=10, status="revoked"), False),
        (ordered("creatine-kinase-order", ago=10, status="entered-in-error"), False),
        (ordered("creatine-kinase-order", ago=91), False),
        (report("creatine-kinase", ago=10), True),
        (report("creatine-kinase", ago=10, status="registered"), False),
        (activity("Procedure", "creatine-kinase-order", ago=10, status="completed"), True),
        (activity("Procedure", "creatine-kinase-order", ago=10, status="not-done"), False),
        (result("creatine-kinase", ago=10), True),
        (result("tsh", ago=10), False),
    ],
)
def test_what_counts_as_done(deck: CardDeck, entry: object, counts: bool) -> None:
    """done(X, N) of section 1: completed, final, or ordered and neither draft, revoked nor entered in error."""
    assert is_offered(left(deck, "ck", entry)) is not counts


def test_an_accepted_suggestion_of_ours_counts_as_ordered(deck: CardDeck) -> None:
    """B-53: our own key stands first in every order; immunofixation has no other code."""
    assert is_offered(left(deck, "immunofixation"))
    assert not is_offered(left(deck, "immunofixation", ordered("order:immunofixation", ago=3)))


@pytest.mark.parametrize("study", ["electromyography", "nerve-conduction-study", "order:emg-ncs"])
def test_either_half_of_emg_and_nerve_conduction_counts_as_done(deck: CardDeck, study: str) -> None:
    """G13, B-53."""
    assert left(deck, "emg-ncs", ordered(study, ago=100)).dropped == {"emg-ncs": "already-done"}


def test_both_breathing_pressures_are_needed(deck: CardDeck) -> None:
    inspiratory = result("maximal-inspiratory-pressure", ago=5)
    expiratory = result("maximal-expiratory-pressure", ago=5)
    assert is_offered(left(deck, "mip-mep", inspiratory))
    assert not is_offered(left(deck, "mip-mep", inspiratory, expiratory))


def test_hiv_is_offered_only_if_never_tested(deck: CardDeck) -> None:
    """R08 step 1: HIV if never; and not to a patient who is known to have it."""
    assert is_offered(left(deck, "hiv-test"))
    assert not is_offered(left(deck, "hiv-test", result("hiv-test", ago=299)))
    assert left(deck, "hiv-test", condition("hiv", onset=2000)).dropped == {"hiv-test": "settled"}


def test_a_result_in_the_future_is_no_result(deck: CardDeck) -> None:
    """A-48."""
    assert is_offered(left(deck, "ck", result("creatine-kinase", ago=-3)))


# --- G7: a new or worse finding after the test ------------------------------------------------------------------------


def with_finding(deck: CardDeck, *entries: object) -> bool:
    assessment = fired("R07", "emg-ncs", findings=("muscle-wasting|None|None",))
    return is_offered(remaining([assessment], facts_of(*entries), deck.orders))


def test_a_finding_newer_than_the_test_asks_again(deck: CardDeck) -> None:
    """G7 with §8 R07-N3 as ruled (B-6): EDX at T-60d and wasting since T-90d: done; EDX at T-100d: offered."""
    wasting = condition("muscle-wasting", onset=90)
    assert not with_finding(deck, wasting, report("electromyography", ago=60))
    assert with_finding(deck, wasting, report("electromyography", ago=100))


def test_a_test_on_the_day_of_the_onset_counts(deck: CardDeck) -> None:
    assert not with_finding(deck, condition("muscle-wasting", onset=60), report("electromyography", ago=60))


def test_an_undated_finding_recorded_again_is_not_new(deck: CardDeck) -> None:
    """B-01: its first recording counts, not its latest."""
    first, again = condition("muscle-wasting", recorded=200), condition("muscle-wasting", recorded=5)
    assert not with_finding(deck, first, again, report("electromyography", ago=60))


def test_another_finding_of_the_patient_does_not_ask_again(deck: CardDeck) -> None:
    """G7 speaks of the finding on which the rule rests."""
    wasting, gait = condition("muscle-wasting", onset=90), condition("functional-loss", onset=3)
    assert not with_finding(deck, wasting, gait, report("electromyography", ago=60))


def test_a_rule_without_findings_asks_again_after_its_newest_onset(deck: CardDeck) -> None:
    """R07 on numbness alone: HbA1c before the numbness does not count (B-27)."""
    numb = fired("R07", "hba1c", findings=(), facts=(fact("sensory", onset=50),))
    assert is_offered(remaining([numb], facts_of(result("hba1c", ago=60)), deck.orders))
    assert not is_offered(remaining([numb], facts_of(result("hba1c", ago=40)), deck.orders))


def test_a_sign_that_is_no_finding_asks_again_beside_an_old_finding(deck: CardDeck) -> None:
    """G7: weakness for 100 days, reflexes lost yesterday; vital capacity and CK 60 days ago are before the new sign."""
    weak, reflexes = condition("weakness", onset=100), condition("reflex-loss", onset=1)
    both = fired("R02", "spirometry", "ck", findings=WEAKNESS, facts=(fact("weakness", onset=100), fact_of(reflexes)))
    before = facts_of(weak, reflexes, result("fvc", ago=60), result("creatine-kinase", ago=60))
    assert [k.order.key for k in remaining([both], before, deck.orders).kept] == ["spirometry", "ck"]
    after = facts_of(weak, reflexes, result("fvc", ago=1), result("creatine-kinase", ago=0))
    assert not is_offered(remaining([both], after, deck.orders))


def test_a_sign_without_an_onset_is_new_once(deck: CardDeck) -> None:
    """G7 with B-01: first recorded after the test it asks again; recorded before it and coded again it does not."""
    weak, again = condition("weakness", onset=100), condition("reflex-loss", recorded=1)
    first, refuted = condition("reflex-loss", recorded=80), condition("reflex-loss", recorded=90)
    refuted = msgspec.structs.replace(refuted, verification_status="refuted")
    coded = fired("R02", "ck", findings=WEAKNESS, facts=(fact("weakness", onset=100), fact_of(again)))
    test = result("creatine-kinase", ago=60)
    assert is_offered(remaining([coded], facts_of(weak, again, refuted, test), deck.orders))
    assert not is_offered(remaining([coded], facts_of(weak, first, again, test), deck.orders))


def test_a_sign_whose_onset_is_text_is_dated_by_its_recording(deck: CardDeck) -> None:
    """G7 with A-45: recorded after the test it asks again, recorded before it it does not."""
    weak = condition("weakness", onset=100)
    for recorded, again in ((1, True), (80, False)):
        sign = msgspec.structs.replace(condition("reflex-loss", recorded=recorded), onset_is_text=True)
        found = fired("R02", "ck", findings=WEAKNESS, facts=(fact("weakness", onset=100), fact_of(sign)))
        chart = facts_of(weak, sign, result("creatine-kinase", ago=60))
        assert is_offered(remaining([found], chart, deck.orders)) is again


@pytest.mark.parametrize(("ago", "again"), [(2, True), (1, False), (0, False)])
def test_a_test_from_before_a_dangerous_result_asks_again(deck: CardDeck, ago: int, again: bool) -> None:
    """G7: ``seen_since`` of an offer; R05's creatine kinase of yesterday beside an older potassium."""
    ck = result("creatine-kinase", ago=1, value=9600, high=200)
    asked = OfferedOrder("potassium", seen_since=ck.effective)
    assessment = msgspec.structs.replace(fired("R05", findings=(), facts=(fact_of(ck),)), offers=(asked,))
    assert is_offered(remaining([assessment], facts_of(ck, result("potassium", ago=ago)), deck.orders)) is again


# --- G8: care already under way ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "under_way"),
    [
        (visit("specialty-neurology", ago=180), True),
        (visit("specialty-neurology", ago=181), False),
        (visit("specialty-neurology", ago=20, status="cancelled"), False),
        (visit("specialty-rheumatology", ago=20), False),
        (visit("specialty-neurology", ago=-20, kind="Appointment", status="booked"), True),
        (visit("specialty-neurology", ago=-20, kind="Appointment", status="cancelled"), False),
        (ordered("referral-neurology", ago=250), True),
        (ordered("referral-neurology", ago=None), True),
        (ordered("referral-neurology", ago=250, status="completed"), False),
        (ordered("referral-neurology", ago=20, status="revoked"), False),
    ],
)
def test_a_referral_is_dropped_while_that_specialty_is_involved(deck: CardDeck, entry: object, under_way: bool) -> None:
    """G8: 180 days; B-73: an order that is still active counts whenever authored."""
    assert is_offered(left(deck, "referral-neurology", entry)) is not under_way


def test_an_order_counts_by_the_specialty_that_is_to_perform_it(deck: CardDeck) -> None:
    """B-09: ServiceRequest.performerType."""
    asked = msgspec.structs.replace(ordered("anything", ago=250), specialties=frozenset({"specialty-neurology"}))
    assert left(deck, "referral-neurology", asked).dropped == {"referral-neurology": "under-care"}


def test_an_encounter_is_no_test_done(deck: CardDeck) -> None:
    """done(X, N) of section 1 speaks of procedures, reports, results and orders."""
    seen = msgspec.structs.replace(visit("specialty-neurology", ago=10), sets=frozenset({"electromyography"}))
    assert is_offered(left(deck, "emg-ncs", seen))


def test_a_visit_before_the_onset_does_not_count(deck: CardDeck) -> None:
    """A-13, B-73."""
    assessment = fired("R06", "referral-neurology", findings=WEAKNESS)
    weak = condition("weakness", onset=60)
    before, after = visit("specialty-neurology", ago=61), visit("specialty-neurology", ago=59)
    assert is_offered(remaining([assessment], facts_of(weak, before), deck.orders))
    answer = remaining([assessment], facts_of(weak, after), deck.orders)
    assert answer.dropped == {"referral-neurology": "under-care"}


def test_a_visit_before_the_newest_sign_of_the_rule_does_not_count(deck: CardDeck) -> None:
    """G7: ``seen_since``, for signs that are no findings: results."""
    weak, seen = condition("weakness", onset=100), visit("specialty-endocrinology", ago=60)
    assessment = fired("R13", "referral-endocrinology", findings=WEAKNESS)
    for ago, offered in ((59, True), (61, False)):
        order = OfferedOrder("referral-endocrinology", seen_since=result("calcium", ago=ago).effective)
        asked = msgspec.structs.replace(assessment, offers=(order,))
        assert is_offered(remaining([asked], facts_of(weak, seen), deck.orders)) is offered


@pytest.mark.parametrize("order", ["referral-physiotherapy", "referral-dietitian"])
def test_an_active_physiotherapy_or_dietitian_order_counts_for_365_days(deck: CardDeck, order: str) -> None:
    """B-94."""
    assert not is_offered(left(deck, order, ordered(order, ago=365)))
    assert is_offered(left(deck, order, ordered(order, ago=366)))


def test_a_routine_referral_never_holds_back_an_emergency_one(deck: CardDeck) -> None:
    routine = (ordered("referral-neurology", ago=2), visit("specialty-neurology", ago=20))
    assert is_offered(left(deck, "referral-neurology-emergency", *routine, number="R02"))
    own = ordered("order:referral-neurology-emergency", ago=0)
    assert not is_offered(left(deck, "referral-neurology-emergency", own, number="R02"))


# --- B-84, C6, G11, G13 -----------------------------------------------------------------------------------------------


def test_the_abnormal_value_that_made_the_rule_fire_is_offered_as_a_repeat(deck: CardDeck) -> None:
    """B-84: R05, R09, R10, R13."""
    ck = result("creatine-kinase", ago=3, value=1400, high=170)
    because = fact("ck", measured=3, reference=ck.reference)
    assessment = fired("R09", "ck", findings=WEAKNESS, facts=(because,))
    answer = remaining([assessment], facts_of(WEAK, ck), deck.orders)
    assert [k.label for k in answer.kept] == ["Creatine kinase (CK) (repeat)"]


def test_a_normal_result_of_another_day_leaves_nothing_to_repeat(deck: CardDeck) -> None:
    """B-84: only the deciding results do not count as done."""
    ck, later = result("creatine-kinase", ago=30, value=1400, high=170), result("creatine-kinase", ago=3, value=90)
    assessment = fired("R09", "ck", findings=WEAKNESS, facts=(fact("ck", measured=30, reference=ck.reference),))
    assert not is_offered(remaining([assessment], facts_of(WEAK, ck, later), deck.orders))


@pytest.mark.parametrize(
    ("earlier", "label"),
    [
        (result("creatine-kinase", ago=60, value=120, high=170), "Creatine kinase (CK) (repeat)"),
        (ordered("creatine-kinase-order", ago=4, status="completed"), "Creatine kinase (CK) (repeat)"),
        (ordered("creatine-kinase-order", ago=2), None),
    ],
)
def test_what_was_there_before_the_abnormal_value_hinders_no_repeat(
    deck: CardDeck, earlier: object, label: str | None
) -> None:
    """B-84: neither an earlier result nor the order that led to the value; an order since then does."""
    ck = result("creatine-kinase", ago=3, value=1400, high=170)
    assessment = fired("R09", "ck", findings=WEAKNESS, facts=(fact("ck", measured=3, reference=ck.reference),))
    answer = remaining([assessment], facts_of(WEAK, earlier, ck), deck.orders)
    assert [k.label for k in answer.kept] == ([label] if label else [])


def test_strength_is_measured_until_grip_and_chair_rise_are_there(deck: CardDeck) -> None:
    """R16: the missing measure. B-84 speaks of laboratory values: the low grip that made R16 fire is no repeat."""
    grip = result("grip-strength", ago=20, value=14, unit="kg")
    rise = result("five-times-sit-to-stand", ago=20, value=17, unit="s")
    because = fact("grip", measured=20, reference=grip.reference)
    assessment = fired("R16", "grip-or-chair-rise", findings=(), facts=(because,))
    assert is_offered(remaining([assessment], facts_of(grip), deck.orders))
    assert not is_offered(remaining([assessment], facts_of(grip, rise), deck.orders))


def test_no_emg_without_a_finding(deck: CardDeck) -> None:
    """C6: never when F0."""
    assessment = fired("R07", "emg-ncs", "hba1c", findings=(), facts=(fact("sensory", onset=60),))
    answer = remaining([assessment], facts_of(condition("sensory", onset=60)), deck.orders)
    assert [k.order.key for k in answer.kept] == ["hba1c"]
    assert answer.dropped == {"emg-ncs": "no-finding"}


PREGNANT = [
    (condition("pregnancy", onset=300), True),
    (condition("pregnancy", onset=301), False),
    (condition("pregnancy", onset=30, status="resolved"), False),
    (condition("delivery", onset=180, status="resolved"), True),
    (condition("delivery", onset=181, status="resolved"), False),
    (activity("Procedure", "delivery", ago=180, status="completed"), True),
]


@pytest.mark.parametrize(("entry", "removed"), PREGNANT)
def test_x_ray_is_not_suggested_in_pregnancy(deck: CardDeck, entry: object, removed: bool) -> None:
    """G11 with A-40 (300 and 180 days) and B-74 (deliveries); MRI stays."""
    assert is_offered(left(deck, "chest-x-ray", entry, number="R14")) is not removed
    assert is_offered(left(deck, "spine-mri", entry, number="R07"))


def test_pregnancy_says_discuss_imaging(deck: CardDeck) -> None:
    answer = left(deck, "dxa", condition("pregnancy", onset=90), number="R16")
    assert answer.dropped == {"dxa": "pregnancy"}
    assert answer.notes == ("Pregnancy or recent delivery is recorded: discuss imaging before X-ray or CT.",)


def test_stroke_imaging_stays_in_pregnancy(deck: CardDeck) -> None:
    """A-27: G11 does not apply to R01-R03; the card says to inform obstetrics."""
    answer = left(deck, "ct-head", condition("pregnancy", onset=90), number="R01")
    assert answer.kept[0].notes == ("Pregnancy or recent delivery is recorded: inform obstetrics.",)
    assert answer.notes == ()


EMG_CAUTIONS = [
    (condition("anticoagulant-use", onset=100), "anticoagulant"),
    (condition("lymphoedema", onset=100), "Lymphoedema"),
    (condition("pacemaker-or-icd", onset=100), "not a contraindication"),
    (condition("nerve-injury", onset=20), "3 weeks"),
]


@pytest.mark.parametrize(("entry", "words"), EMG_CAUTIONS)
def test_emg_carries_its_cautions(deck: CardDeck, entry: object, words: str) -> None:
    """G13: inform the laboratory; a pacemaker does not remove the order."""
    (kept,) = left(deck, "emg-ncs", entry).kept
    assert any(words in note for note in kept.notes)


def test_emg_without_a_reason_for_caution_carries_none(deck: CardDeck) -> None:
    (kept,) = left(deck, "emg-ncs", condition("nerve-injury", onset=22)).kept
    assert kept.notes == ()


@pytest.mark.parametrize(("value", "unit", "cautious"), [(29, "mL/min", True), (30, "mL/min", False), (29, "%", False)])
def test_low_kidney_function_is_a_caution_beside_contrast(
    deck: CardDeck, value: float, unit: str, cautious: bool
) -> None:
    """B-55: eGFR < 30; A-54: a value in another dimension is no value."""
    (kept,) = left(deck, "spine-mri", result("egfr", ago=30, value=value, unit=unit)).kept
    assert bool(kept.notes) is cautious


# --- joining what several rules offer ---------------------------------------------------------------------------------


def test_first_line_orders_stand_before_second_steps_and_each_order_once(deck: CardDeck) -> None:
    """C3: union of tests over all fired rules; R11: EMG/NCS second, unless another rule has it first."""
    r11 = fired("R11", "ck", "tsh", second=("emg-ncs",), preselect=("ck",))
    r13 = fired("R13", "tsh", "free-t4", preselect=("free-t4",))
    facts = facts_of(condition("weakness", onset=30))
    keys = [(k.order.key, k.preselect) for k in remaining([r11, r13], facts, deck.orders).kept]
    assert keys == [("ck", True), ("tsh", False), ("free-t4", True), ("emg-ncs", False)]
    r07 = fired("R07", "emg-ncs", preselect=("emg-ncs",))
    kept = remaining([r11, r07], facts, deck.orders).kept
    assert [(k.order.key, k.preselect, k.second) for k in kept][-1] == ("emg-ncs", True, False)


def test_a_carried_rule_adds_its_first_line_tests_only(deck: CardDeck) -> None:
    """A-25, B-29: an explaining rule's card carries the step-1 tests."""
    r08 = fired("R08", "ck", second=("emg-ncs", "referral-neurology"), carried_by="r16")
    kept = remaining([r08], facts_of(WEAK), deck.orders).kept
    assert [k.order.key for k in kept] == ["ck"]


def test_the_newest_finding_of_the_rules_that_offer_a_test_decides(deck: CardDeck) -> None:
    """G7 over the union: R08's wasting is newer than the CK, R11's weakness is not."""
    facts = facts_of(
        condition("weakness", onset=80), condition("muscle-wasting", onset=10), report("creatine-kinase", ago=40)
    )
    r11 = fired("R11", "ck", findings=WEAKNESS)
    r08 = fired("R08", "ck", findings=("muscle-wasting|None|None",), of_rule=rule("R08"))
    assert not is_offered(remaining([r11], facts, deck.orders))
    assert is_offered(remaining([r11, r08], facts, deck.orders))
