"""What the cards of R05, R21, R22, R23 and R25 say and offer, from whole worked patients."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from cds_service.cards.compose import CardContext, Composed, compose
from cds_service.cards.knowledge import load_deck
from cds_service.cards.memory import NO_MEMORY
from cds_service.case_resources import PATIENT_ID, case_resources
from cds_service.cases import Case, load_cases
from cds_service.fhir.reader import payloads_from_resources, read_record
from cds_service.rule_engine.evaluate import evaluate
from cds_service.rule_engine.facts import gather_facts
from cds_service.rule_engine.loader import load_knowledge
from tests.rules.tables import RULES

AS_OF = datetime(2026, 11, 2, 12, tzinfo=UTC)
KNOWLEDGE = load_knowledge(RULES, AS_OF.date())
DECK = load_deck(RULES)
CASES = {case.id: case for _, case in load_cases(RULES)}


def cards_of(case: Case) -> Composed:
    resources = [msgspec.json.encode(r) for r in case_resources(case, KNOWLEDGE.tables, AS_OF)]
    payloads = payloads_from_resources(resources)
    record = read_record(payloads, PATIENT_ID, vocabulary=KNOWLEDGE.vocabulary, as_of=AS_OF)
    evaluation = evaluate(KNOWLEDGE.rules, gather_facts(record, KNOWLEDGE, AS_OF))
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
    answer = cards_of(CASES[case_id])
    (card,) = answer.cards
    assert "weakness" not in card.summary.lower()
    assert "weakness" not in str(card.detail).lower()


def test_falls_with_a_finding_name_it() -> None:
    assert "with weakness" in care_card(CASES["R22-P1"])


def test_a_newly_swollen_leg_leads_the_care_card() -> None:
    """B-45: also before the warnings that C4 places ahead of it (R14)."""
    swollen = CASES["R23-P3"]
    wasting = CASES["R14-P1"]
    both = msgspec.structs.replace(
        wasting, conditions=(*wasting.conditions, *swollen.conditions), results=(*wasting.results, *swollen.results)
    )
    answer = cards_of(both)
    care = [shown for shown in answer.shown if shown.lead in CARE_LEADS]
    assert [shown.lead for shown in care] == ["immobility-complications"]
    assert "wasting-systemic-illness" in {rule for rule, _ in care[0].rules}


def test_a_newly_swollen_leg_says_thrombosis_first() -> None:
    """B-45, B-53: Wells assessment and ultrasound have no verified code and are text."""
    text = care_card(CASES["R23-P3"])
    assert "exclude deep vein thrombosis today" in text
    assert "Leg vein ultrasound, same day" in text
    assert "Wells assessment" in text


def test_a_missing_braden_score_is_named() -> None:
    """B-45: it never triggers; the card says that it was not found."""
    text = care_card(CASES["R23-P1"])
    assert "a Braden score within 30 days" in text


def test_stimulation_is_not_mentioned_with_a_pacemaker() -> None:
    """A8."""
    case = CASES["R21-P1"]
    assert "Electrical muscle stimulation" in care_card(case)
    paced = msgspec.convert(
        {"code": "Z95.0", "name": "Presence of cardiac pacemaker", "onset": "T-900d"}, type(case.conditions[0])
    )
    assert "Electrical" not in care_card(msgspec.structs.replace(case, conditions=(*case.conditions, paced)))


def test_a_plan_that_did_not_help_shows_first_and_latest_value() -> None:
    """A-43."""
    text = care_card(CASES["R25-P1"])
    assert "17" in text
    assert "16.6" in text


def test_a74_a_warning_of_r05_leads_the_diagnostic_card() -> None:
    """One card, not two: CK at twelve times its limit beside other findings to be looked into."""
    ck, pattern = CASES["R05-P2"], CASES["R06-MRC-grade"]
    both = msgspec.structs.replace(
        pattern,
        conditions=(*pattern.conditions, *ck.conditions),
        medications=ck.medications,
        results=(*pattern.results, *ck.results),
    )
    (shown,) = cards_of(both).shown
    assert (shown.lead, shown.indicator) == ("muscle-injury-electrolytes", "warning")
    assert {rule for rule, _ in shown.rules} > {"muscle-injury-electrolytes"}
