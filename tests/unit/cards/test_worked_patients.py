"""Every worked patient of ``rules/`` down to its cards: valid, at most three, and no fired rule lost on the way."""

from __future__ import annotations

import json

import msgspec
import pytest
from fhir.resources.R4B.servicerequest import ServiceRequest

from cds_service.cards.compose import CardContext, Composed, compose
from cds_service.cards.knowledge import CardDeck
from cds_service.cards.memory import GAP_RULE, NO_MEMORY
from cds_service.case_resources import PATIENT_ID, case_resources
from cds_service.cases import Case
from cds_service.cds_hooks.response import Response, encode
from cds_service.fhir.reader import payloads_from_resources, read_record
from cds_service.rule_engine.evaluate import evaluate
from cds_service.rule_engine.facts import gather_facts
from cds_service.rule_engine.loader import Knowledge, load_knowledge
from cds_service.rule_engine.model import INDICATOR_RANK, Evaluation
from tests.unit.cards.builders import AS_OF, RULES
from tests.worked_patients import CASES, by_rule


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load_knowledge(RULES, AS_OF.date())


def answer(case: Case, knowledge: Knowledge, deck: CardDeck) -> tuple[Evaluation, Composed]:
    resources = [msgspec.json.encode(r) for r in case_resources(case, knowledge.tables, AS_OF)]
    record = read_record(payloads_from_resources(resources), PATIENT_ID, vocabulary=knowledge.vocabulary, as_of=AS_OF)
    evaluation = evaluate(knowledge.rules, gather_facts(record, knowledge, AS_OF))
    return evaluation, compose(evaluation, deck, NO_MEMORY, CardContext(PATIENT_ID))


@by_rule
def test_worked_patients(cases: list[Case], knowledge: Knowledge, deck: CardDeck) -> None:
    """C1, C4, C44-C56: the body encodes, each order is valid FHIR, and what a case forbids is not suggested."""
    for case in cases:
        evaluation, composed = answer(case, knowledge, deck)
        assert len(composed.cards) <= 3, case.id
        body = json.loads(encode(Response(cards=composed.cards)))
        for card in body["cards"]:
            for suggestion in card.get("suggestions", ()):
                ServiceRequest.model_validate(suggestion["actions"][0]["resource"])
        suggested = {key for shown in composed.shown for key in shown.suggestions.values()}
        assert suggested.isdisjoint(case.does_not_offer), case.id
        on_cards = {rule_id for shown in composed.shown for rule_id, _ in shown.rules if rule_id != GAP_RULE}
        fired = {a.rule.id: a for a in evaluation.fired}
        assert on_cards | set(composed.notes) == set(fired), case.id
        for card, shown in zip(composed.cards, composed.shown, strict=True):
            if shown.lead == GAP_RULE:
                continue
            # B-50, B-69: carried ones too
            ranks = [INDICATOR_RANK[fired[r].indicator or "info"] for r, _ in shown.rules]
            assert INDICATOR_RANK[card.indicator] == max(ranks), case.id


def suggested_for(case_id: str, knowledge: Knowledge, deck: CardDeck) -> list[list[str]]:
    case = next(case for case in CASES if case.id == case_id)
    _, composed = answer(case, knowledge, deck)
    return [list(shown.suggestions.values()) for shown in composed.shown]


def test_new_proximal_weakness_on_prednisone(knowledge: Knowledge, deck: CardDeck) -> None:
    """§8 R11-P1: bloods, strength, physiotherapy; EMG second. R16 beside it offers nothing twice."""
    diagnostic, care = suggested_for("R11-P1", knowledge, deck)
    assert diagnostic == [
        "ck", "potassium", "hba1c", "tsh", "vitamin-d", "grip-or-chair-rise", "referral-physiotherapy", "emg-ncs",
    ]  # fmt: skip
    assert set(care).isdisjoint(diagnostic)
    assert "emg-ncs" not in care


def test_a_low_grip_asks_for_the_chair_rise_that_is_missing(knowledge: Knowledge, deck: CardDeck) -> None:
    """§8 R16-P1."""
    (care,) = suggested_for("R16-P1", knowledge, deck)
    assert care[0] == "grip-or-chair-rise"
    assert "emg-ncs" not in care


@pytest.mark.parametrize(
    ("case_id", "orders"),
    [
        ("R02-E66", {"spirometry", "ck", "potassium"}),
        ("R02-E67", {"spirometry", "potassium"}),
        ("R02-E68", {"spirometry"}),
    ],
)
def test_what_was_measured_before_the_newest_sign_is_suggested_again(
    case_id: str, orders: set[str], knowledge: Knowledge, deck: CardDeck
) -> None:
    """G7: lost reflexes and breathlessness are newer than the breathing test, whatever the weakness is."""
    assert orders <= set(suggested_for(case_id, knowledge, deck)[0])
