"""B-25: alert budgets take away the least urgent cards, never an emergency; what is gone is named."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cds_service.cards.compose import CardContext, Composed, compose
from cds_service.cards.knowledge import CardDeck
from cds_service.cards.memory import NO_MEMORY
from cds_service.record import Source, SourceState
from cds_service.rule_engine.model import Assessment, Fires, Status
from tests.unit.cards.builders import evaluation, facts_of, fired, rule
from tests.unit.cards.fake_memory import FakeMemory

DIAGNOSTIC, CARE = fired("R11", "ck"), fired("R14", "ck", "tsh")
EMERGENCY = fired("R01")


def composed(deck: CardDeck, room: int | None, *assessments: Assessment) -> Composed:
    return compose(evaluation(*assessments), deck, FakeMemory(), CardContext("p1", room=room))


def leads(answer: Composed) -> list[str]:
    return [shown.lead for shown in answer.shown]


def test_without_a_budget_all_cards_come(deck: CardDeck) -> None:
    answer = composed(deck, None, DIAGNOSTIC, CARE)
    assert (leads(answer), answer.counted) == (["r11", "r14"], 2)


@pytest.mark.parametrize(("room", "kept"), [(2, ["r11", "r14"]), (1, ["r11"]), (0, [])])
def test_the_budget_keeps_the_first_in_the_order_of_the_leads(deck: CardDeck, room: int, kept: list[str]) -> None:
    answer = composed(deck, room, DIAGNOSTIC, CARE)
    assert leads(answer) == kept
    hidden = {"r11", "r14"} - set(kept)
    assert answer.notes == dict.fromkeys(hidden, ("suppressed", "budget"))


def test_the_higher_indicator_is_kept_first(deck: CardDeck) -> None:
    assert leads(composed(deck, 1, fired("R11", indicator="info"), fired("R14"))) == ["r14"]


def test_every_rule_of_a_hidden_card_says_so_carried_ones_too(deck: CardDeck) -> None:
    answer = composed(deck, 1, DIAGNOSTIC, CARE, fired("R15"), fired("R19", carried_by="r14"))
    assert set(answer.notes) == {"r14", "r15", "r19"}


def test_an_order_of_a_hidden_card_moves_to_the_one_that_stays(deck: CardDeck) -> None:
    """CK stands on the first card that offers it; when that card is gone it is not lost (C3)."""
    both = composed(deck, None, fired("R11", "ck", indicator="info"), CARE)
    assert [list(shown.suggestions.values()) for shown in both.shown] == [["ck"], ["tsh"]]
    one = composed(deck, 1, fired("R11", "ck", indicator="info"), CARE)
    assert [list(shown.suggestions.values()) for shown in one.shown] == [["ck", "tsh"]]


@pytest.mark.parametrize("indicator", ["critical", "warning"])
def test_r01_to_r05_are_never_hidden_and_never_counted(deck: CardDeck, indicator: str) -> None:
    answer = composed(deck, 0, fired("R02", indicator=indicator))
    assert (leads(answer), answer.counted, answer.notes) == (["r02"], 0, {})


def test_a_critical_card_of_another_rule_neither(deck: CardDeck) -> None:
    answer = composed(deck, 0, fired("R10", indicator="critical"))
    assert (leads(answer), answer.counted) == (["r10"], 0)


def test_nor_one_that_is_a_warning_because_it_was_assessed_today(deck: CardDeck) -> None:
    """B-25: another rule than R01-R05 that stood with one of them on its card."""
    critical = Fires(name="anything", indicator="critical", when="anything")
    found = evaluation(fired("R10", indicator="critical", of_rule=rule("R10", fires=(critical,))))
    memory = FakeMemory()
    memory.answered(found, "r10", reason="assessed-today-not-emergency", at=found.facts.as_of - timedelta(hours=1))
    answer = compose(found, deck, memory, CardContext("p1", room=0))
    assert [(shown.lead, shown.indicator) for shown in answer.shown] == [("r10", "warning")]
    assert (answer.counted, answer.notes) == (0, {})


def test_beside_an_emergency_the_others_are_counted_alone(deck: CardDeck) -> None:
    answer = composed(deck, 1, fired("R02"), DIAGNOSTIC, CARE)
    assert (leads(answer), answer.counted) == (["r02", "r11"], 1)


def test_what_waits_behind_a_critical_card_takes_nothing_of_the_budget(deck: CardDeck) -> None:
    """C2: held back, not budgeted."""
    answer = composed(deck, 0, fired("R01", indicator="critical"), DIAGNOSTIC)
    assert (leads(answer), answer.counted) == (["r01"], 0)
    assert answer.notes == {"r11": ("suppressed", "held-back-by-critical")}


def test_the_gap_card_is_outside_the_budget(deck: CardDeck) -> None:
    """P-04: it is what keeps an empty answer from looking like no finding."""
    unknown = Assessment(
        rule("R11", fires=(Fires(name="a", indicator="warning", when="anything"),)),
        Status.UNKNOWN,
        "could not be checked: conditions",
        missing=("conditions",),
    )
    facts = facts_of(sources={"conditions": Source("conditions", "fetch", SourceState.FAILED)})
    answer = compose(evaluation(unknown, CARE, facts=facts), deck, NO_MEMORY, CardContext("p1", room=0))
    assert (leads(answer), answer.counted) == (["record-gaps"], 0)
