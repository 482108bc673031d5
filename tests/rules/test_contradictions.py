"""Where problem list, medications and results contradict each other, the cards that rest on them say so."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from cds_service.cards.compose import CardContext, compose
from cds_service.cards.knowledge import load_deck
from cds_service.cards.memory import NO_MEMORY
from cds_service.case_resources import PATIENT_ID, case_resources
from cds_service.cases import Case, CaseCondition, CaseMedication, CaseResult
from cds_service.fhir.reader import payloads_from_resources, read_record
from cds_service.record import SourceState
from cds_service.rule_engine.evaluate import evaluate
from cds_service.rule_engine.facts import gather_facts
from cds_service.rule_engine.loader import load_knowledge
from cds_service.rule_engine.model import Evaluation
from tests.rules.tables import RULES

AS_OF = datetime(2026, 11, 2, 12, tzinfo=UTC)
KNOWLEDGE = load_knowledge(RULES, AS_OF.date())
DECK = load_deck(RULES)

LONG_TERM_STEROID = CaseCondition(code="Z79.52", name="Long term (current) use of systemic steroids", onset="T-400d")
WEAK = CaseCondition(code="M62.81", name="Muscle weakness (generalized)", onset="T-60d")
SARCOPENIA = CaseCondition(code="M62.84", name="Sarcopenia", onset="T-300d")
CHAIR = CaseCondition(code="Z99.3", name="Dependence on wheelchair", onset="T-200d")
CONTRACTURE = CaseCondition(code="M24.50", name="Contracture, unspecified joint", onset="T-100d")
DEPENDENCE = CaseCondition(code="F10.20", name="Alcohol dependence, uncomplicated", onset="T-900d")
LOSS = CaseCondition(code="R63.4", name="Abnormal weight loss", onset="T-40d")
CANCER = CaseCondition(code="C34.90", name="Malignant neoplasm of lung", onset="T-200d")


def measured(what: str, value: float, unit: str, on: str) -> CaseResult:
    return CaseResult(what=what, value=value, unit=unit, on=on)


def weights(*kg: float) -> tuple[CaseResult, ...]:
    return tuple(measured("weight", one, "kg", f"T-{ago}d") for one, ago in zip(kg, (330, 200, 100, 2), strict=True))


def patient(*conditions: CaseCondition, results: tuple[CaseResult, ...] = (), steroid: str | None = None) -> Case:
    medications = () if steroid is None else (CaseMedication(drug="prednisone", dose=20, since=steroid),)
    return Case(id="x", title="", age=70, conditions=conditions, results=results, medications=medications, expect={})


def evaluation_of(case: Case, *unread: str) -> Evaluation:
    resources = [msgspec.json.encode(r) for r in case_resources(case, KNOWLEDGE.tables, AS_OF)]
    payloads = tuple(
        msgspec.structs.replace(p, state=SourceState.FAILED, pages=()) if p.name in unread else p
        for p in payloads_from_resources(resources)
    )
    record = read_record(payloads, PATIENT_ID, vocabulary=KNOWLEDGE.vocabulary, as_of=AS_OF)
    return evaluate(KNOWLEDGE.rules, gather_facts(record, KNOWLEDGE, AS_OF))


def names(case: Case, *unread: str) -> list[str]:
    return [one.name for one in evaluation_of(case, *unread).contradictions]


GRIP = measured("grip-strength", 30, "kg", "T-20d")
SLOW_CHAIR_RISE = measured("five-times-sit-to-stand", 17, "s", "T-20d")
CONTRADICTED = {
    "steroid-use-without-steroid": patient(LONG_TERM_STEROID, WEAK),
    "weight-loss-with-stable-weight": patient(
        LOSS, CANCER, results=(*weights(60, 60, 60.5, 60), measured("bmi", 17, "kg/m2", "T-2d"))
    ),
    "sarcopenia-with-normal-grip": patient(SARCOPENIA, results=(GRIP, SLOW_CHAIR_RISE)),
    "immobility-with-walking": patient(CHAIR, CONTRACTURE, results=(measured("gait-speed", 0.9, "m/s", "T-20d"),)),
    "alcohol-dependence-with-no-drinking": patient(
        DEPENDENCE, WEAK, results=(measured("audit-c", 0, "{score}", "T-20d"),)
    ),
}
AGREEING = {
    "steroid-use-without-steroid": patient(LONG_TERM_STEROID, WEAK, steroid="T-120d"),
    "weight-loss-with-stable-weight": patient(LOSS, CANCER, results=weights(60, 60, 60, 53)),
    "sarcopenia-with-normal-grip": patient(
        SARCOPENIA, results=(measured("grip-strength", 14, "kg", "T-20d"), SLOW_CHAIR_RISE)
    ),
    "immobility-with-walking": patient(CHAIR, CONTRACTURE, results=(measured("gait-speed", 0.8, "m/s", "T-20d"),)),
    "alcohol-dependence-with-no-drinking": patient(
        DEPENDENCE, WEAK, results=(measured("audit-c", 1, "{score}", "T-20d"),)
    ),
}


def test_every_contradiction_of_the_file_is_shown_here() -> None:
    written = {one.name for one, _ in KNOWLEDGE.rules.contradictions.each}
    assert written == CONTRADICTED.keys() == AGREEING.keys()


@pytest.mark.parametrize("name", CONTRADICTED)
def test_the_card_says_that_the_record_contradicts_itself(name: str) -> None:
    evaluation = evaluation_of(CONTRADICTED[name])
    assert [one.name for one in evaluation.contradictions] == [name]
    (found,) = evaluation.contradictions
    details = [str(card.detail) for card in compose(evaluation, DECK, NO_MEMORY, CardContext(PATIENT_ID)).cards]
    said = [detail for detail in details if "**The record contradicts itself**" in detail]
    assert said
    assert all(found.says.split(":")[0] in detail for detail in said)
    assert all(fact.label in detail for detail in said for fact in found.facts)


@pytest.mark.parametrize("name", AGREEING)
def test_what_agrees_is_not_called_a_contradiction(name: str) -> None:
    assert names(AGREEING[name]) == []


def test_what_could_not_be_read_contradicts_nothing() -> None:
    assert names(CONTRADICTED["steroid-use-without-steroid"], "medicationStatements") == []


def test_a_card_that_does_not_rest_on_it_does_not_say_it() -> None:
    """Alcohol is none of R11's business."""
    case = patient(DEPENDENCE, WEAK, results=(measured("audit-c", 0, "{score}", "T-20d"),), steroid="T-120d")
    cards = compose(evaluation_of(case), DECK, NO_MEMORY, CardContext(PATIENT_ID)).cards
    told = {card.summary: "contradicts itself" in str(card.detail) for card in cards}
    assert len(told) > 1
    assert sum(told.values()) == 1
