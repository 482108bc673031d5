"""What the cards of R05, R08, R21, R22, R23 and R25 say and offer, from whole worked patients."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
import pytest

from cds_service.cards.compose import CardContext, Composed, compose
from cds_service.cards.knowledge import load_deck
from cds_service.cards.memory import NO_MEMORY
from cds_service.case_resources import PATIENT_ID, case_resources
from cds_service.cases import Case
from cds_service.fhir.reader import payloads_from_resources, read_record
from cds_service.rule_engine.evaluate import NOTHING_OFF, evaluate
from cds_service.rule_engine.facts import gather_facts
from cds_service.rule_engine.loader import load_knowledge
from tests.rules.tables import RULES
from tests.worked_patients import BY_ID

AS_OF = datetime(2026, 11, 2, 12, tzinfo=UTC)
KNOWLEDGE = load_knowledge(RULES, AS_OF.date())
DECK = load_deck(RULES)


def cards_of(case: Case, off: Mapping[str, str] = NOTHING_OFF) -> Composed:
    resources = [msgspec.json.encode(r) for r in case_resources(case, KNOWLEDGE.tables, AS_OF)]
    payloads = payloads_from_resources(resources)
    record = read_record(payloads, PATIENT_ID, vocabulary=KNOWLEDGE.vocabulary, as_of=AS_OF)
    evaluation = evaluate(KNOWLEDGE.rules, gather_facts(record, KNOWLEDGE, AS_OF), off)
    return compose(evaluation, DECK, NO_MEMORY, CardContext(PATIENT_ID))


def care_card(case: Case) -> str:
    """Summary and detail of the Care card."""
    answer = cards_of(case)
    cards = [card for card, shown in zip(answer.cards, answer.shown, strict=False) if shown.lead in CARE_LEADS]
    assert len(cards) == 1
    return f"{cards[0].summary}\n{cards[0].detail}"


CARE_LEADS = {"malnutrition", "immobility-complications", "falls", "burn-trauma-icu-recovery", "plan-not-working"} | {
    compiled.rule.id for compiled in KNOWLEDGE.rules.by_number if compiled.rule.group == "care"
}


@pytest.mark.parametrize(
    "case_id", ["R22-B78-two-falls-no-finding", "R22-B78-injury-no-finding", "R22-365-days", "R22-two-falls-told"]
)
def test_falls_without_a_finding_name_no_weakness(case_id: str) -> None:
    """B-78."""
    answer = cards_of(BY_ID[case_id])
    (card,) = answer.cards
    assert "weakness" not in card.summary.lower()
    assert "weakness" not in str(card.detail).lower()


def test_falls_with_a_finding_name_it() -> None:
    assert "with weakness" in care_card(BY_ID["R22-P1"])


def test_a_newly_swollen_leg_leads_the_care_card() -> None:
    """B-45: also before the warnings that C4 places ahead of it (R14)."""
    swollen = BY_ID["R23-P3"]
    wasting = BY_ID["R14-P1"]
    both = msgspec.structs.replace(
        wasting, conditions=(*wasting.conditions, *swollen.conditions), results=(*wasting.results, *swollen.results)
    )
    answer = cards_of(both)
    care = [shown for shown in answer.shown if shown.lead in CARE_LEADS]
    assert [shown.lead for shown in care] == ["immobility-complications"]
    assert "wasting-systemic-illness" in {rule for rule, _ in care[0].rules}


def test_a_newly_swollen_leg_says_thrombosis_first() -> None:
    """B-45, B-53: Wells assessment and ultrasound have no verified code and are text."""
    text = care_card(BY_ID["R23-P3"])
    assert "exclude deep vein thrombosis today" in text
    assert "Leg vein ultrasound, same day" in text
    assert "Wells assessment" in text


def test_a_missing_braden_score_is_named() -> None:
    """B-45: it never triggers; the card says that it was not found."""
    text = care_card(BY_ID["R23-P1"])
    assert "a Braden score within 30 days" in text


def test_stimulation_is_not_mentioned_with_a_pacemaker() -> None:
    """A8."""
    case = BY_ID["R21-P1"]
    assert "Electrical muscle stimulation" in care_card(case)
    paced = msgspec.convert(
        {"code": "Z95.0", "name": "Presence of cardiac pacemaker", "onset": "T-900d"}, type(case.conditions[0])
    )
    assert "Electrical" not in care_card(msgspec.structs.replace(case, conditions=(*case.conditions, paced)))


def test_a_plan_that_did_not_help_shows_first_and_latest_value() -> None:
    """A-43."""
    text = care_card(BY_ID["R25-P1"])
    assert "17" in text
    assert "16.6" in text


def test_a74_a_warning_of_r05_leads_the_diagnostic_card() -> None:
    """One card, not two: CK at twelve times its limit beside other findings to be looked into."""
    ck, pattern = BY_ID["R05-P2"], BY_ID["R06-MRC-grade"]
    both = msgspec.structs.replace(
        pattern,
        conditions=(*pattern.conditions, *ck.conditions),
        medications=ck.medications,
        results=(*pattern.results, *ck.results),
    )
    (shown,) = cards_of(both).shown
    assert (shown.lead, shown.indicator) == ("muscle-injury-electrolytes", "warning")
    assert {rule for rule, _ in shown.rules} > {"muscle-injury-electrolytes"}


def patient(**written: object) -> Case:
    """A patient of 50 written as in a cases.toml."""
    return msgspec.convert({"id": "here", "title": "here", "expect": {}, **written}, Case)


def coded(code: str, days: int) -> dict[str, str]:
    return {"code": code, "name": code, "onset": f"T-{days}d"}


def offered_to(case: Case) -> str:
    """The text of every suggestion on every card."""
    return "; ".join(s.label for card in cards_of(case).cards for s in card.suggestions or ())


STIFF = [coded("Z99.3", 400), coded("M24.50", 400)]
WASTING = {
    "conditions": [coded("C34.90", 300)],
    "results": [
        {"what": "weight", "value": 70, "unit": "kg", "on": "T-150d"},
        {"what": "weight", "value": 64.4, "unit": "kg", "on": "T-2d"},
    ],
}
THIN = {"results": [{"what": "bmi", "value": 17.6, "unit": "kg/m2", "on": "T-5d"}]}
BURNT = {"conditions": [coded("T31.30", 310), coded("M62.81", 300)]}


def measured(what: str, value: float, unit: str, days: int, **more: float) -> dict[str, object]:
    return {"what": what, "value": value, "unit": unit, "on": f"T-{days}d", **more}


CK_48_TIMES = measured("creatine-kinase", 9600, "U/L", 1, high=200)


@pytest.mark.parametrize(("days", "again"), [(1, False), (2, True), (60, True)])
def test_g7_potassium_and_kidney_function_from_before_a_dangerous_ck_do_not_count(days: int, again: bool) -> None:
    """Section 7, R05: repeat, renal, K. A potassium of 60 days ago says nothing of the muscle injury of yesterday."""
    earlier = [measured("potassium", 4.1, "mmol/L", days), measured("creatinine", 0.9, "mg/dL", days, high=1.2)]
    offered = offered_to(patient(results=[CK_48_TIMES, *earlier]))
    assert ("Potassium" in offered) is again
    assert ("Kidney function" in offered) is again


def test_b84_a_dangerous_potassium_is_repeated_whatever_was_measured_before() -> None:
    results = [measured("potassium", 7.0, "mmol/L", 1), measured("potassium", 4.1, "mmol/L", 60)]
    assert "Potassium (repeat)" in offered_to(patient(results=results))
    assert "Potassium (repeat)" in offered_to(patient(results=[CK_48_TIMES, *results]))


@pytest.mark.parametrize(("days", "again"), [(1, False), (2, True)])
def test_g7_a_vital_capacity_from_before_a_dangerous_breathing_value_does_not_count(days: int, again: bool) -> None:
    """R04: "check FVC now" is no empty word where only an older one is there."""
    results = [measured("maximal-inspiratory-pressure", 25, "cm[H2O]", 1), measured("fvc", 90, "%", days)]
    offered = offered_to(patient(conditions=[coded("G12.21", 400)], results=results))
    assert ("Spirometry" in offered) is again


@pytest.mark.parametrize(("days", "again"), [(90, False), (91, True), (200, True)])
@pytest.mark.parametrize(
    ("record", "what", "label"),
    [
        ({"conditions": [coded("Z74.01", 400), coded("L89.152", 300)]}, "referral-physiotherapy", "Physiotherapy"),
        (BURNT, "referral-physiotherapy", "Physiotherapy"),
        (BURNT, "referral-dietitian", "Dietitian"),
        (WASTING, "referral-dietitian", "Dietitian"),
        (THIN, "referral-dietitian", "Dietitian"),
    ],
)
def test_therapy_of_more_than_90_days_ago_is_offered_again(
    record: dict[str, object], what: str, label: str, days: int, again: bool
) -> None:
    """S80, S83: done within 90 days. R14, R15, R21 and R23 ask for the same 90 days."""
    done = {"what": what, "on": f"T-{days}d", "kind": "order", "status": "completed"}
    assert (label in offered_to(patient(**record, activities=[done]))) is again


@pytest.mark.parametrize(("days", "again"), [(365, False), (366, True)])
def test_a_therapy_order_that_is_still_active_counts_for_365_days(days: int, again: bool) -> None:
    """B-73, B-94."""
    active = {"what": "referral-dietitian", "on": f"T-{days}d", "kind": "order"}
    assert ("Dietitian" in offered_to(patient(**WASTING, activities=[active]))) is again


@pytest.mark.parametrize(("days", "shown"), [(90, False), (91, True), (200, True)])
def test_old_physiotherapy_does_not_take_the_card_of_a_stiff_joint(days: int, shown: bool) -> None:
    """R23 and B-11: its only order is physiotherapy."""
    seen = {"what": "referral-physiotherapy", "on": f"T-{days}d"}
    assert bool(cards_of(patient(conditions=STIFF, activities=[seen])).cards) is shown


@pytest.mark.parametrize(("days", "again"), [(180, False), (181, True)])
def test_occupational_therapy_of_more_than_180_days_ago_is_offered_again(days: int, again: bool) -> None:
    """G8, B-41."""
    seen = {"what": "referral-occupational-therapy", "on": f"T-{days}d"}
    record = [*STIFF, coded("Z74.1", 400)]
    assert ("Occupational therapy" in offered_to(patient(conditions=record, activities=[seen]))) is again


def test_nothing_waits_for_the_repeat_of_a_rule_that_is_off() -> None:
    """B-87: R08 waits for R05's card, not for one that nobody sees."""
    case = BY_ID["R08-B87-7-days"]
    off = {"muscle-injury-electrolytes": "switched-off"}
    assert [shown.lead for shown in cards_of(case).shown] == ["muscle-injury-electrolytes"]
    assert [shown.lead for shown in cards_of(case, off).shown] == ["unexplained-weakness-wasting"]
