"""C1-C4 and the rulings on them: which cards come, who leads, what stands on them, what waits."""

from __future__ import annotations

import itertools
from datetime import timedelta

import msgspec
import pytest

from cds_service.cards.compose import CardContext, Composed, compose, could_not_be_done
from cds_service.cards.knowledge import CardDeck
from cds_service.cards.memory import NO_MEMORY, evidence_of
from cds_service.cards.profiles import ClientProfile
from cds_service.record import Source, SourceState
from cds_service.rule_engine.model import Assessment, Evaluation, Fact, Fires, Status
from tests.unit.cards.builders import (
    AS_OF,
    condition,
    day,
    evaluation,
    fact,
    facts_of,
    fired,
    ordered,
    report,
    rule,
    visit,
)
from tests.unit.cards.fake_memory import FakeMemory

CONTEXT = CardContext("p1")


def composed(deck: CardDeck, *assessments: Assessment, **fields: object) -> Composed:
    return compose(evaluation(*assessments, **fields), deck, NO_MEMORY, CONTEXT)


def leads(answer: Composed) -> list[str]:
    return [shown.lead for shown in answer.shown]


def offered(answer: Composed) -> list[list[str]]:
    return [list(shown.suggestions.values()) for shown in answer.shown]


# --- C1, C3, C4, B-50: three cards, one lead each ---------------------------------------------------------------------


def test_nothing_fired_gives_no_card(deck: CardDeck) -> None:
    answer = composed(deck)
    assert (answer.cards, answer.shown, answer.notes) == ((), (), {})


def test_every_rule_firing_gives_at_most_three_cards(deck: CardDeck) -> None:
    """C1: Emergency, Diagnostic, Care, in this order."""
    everything = [fired(f"R{n:02}", "ck") for n in range(1, 26)]
    assert leads(composed(deck, *everything)) == ["r01", "r05", "r14"]


EMERGENCY = ["R01", "R03", "R04", "R02"]
DIAGNOSTIC = ["R05", "R06", "R07", "R09", "R10", "R11", "R24", "R13", "R08"]
CARE = ["R14", "R15", "R23", "R22", "R18", "R16", "R17", "R21", "R20", "R19", "R25", "R12"]
PAIRS = [pair for order in (EMERGENCY, DIAGNOSTIC, CARE) for pair in itertools.combinations(order, 2)]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_list_order_decides_between_equals(deck: CardDeck, first: str, second: str) -> None:
    """C3, C4, B-25."""
    assert leads(composed(deck, fired(second, "ck"), fired(first, "ck"))) == [first.lower()]


@pytest.mark.parametrize(("first", "second"), [("R06", "R08"), ("R14", "R12"), ("R01", "R02")])
def test_the_highest_indicator_leads_before_the_list_order(deck: CardDeck, first: str, second: str) -> None:
    """B-50: and the card takes it."""
    answer = composed(deck, fired(first, "ck", indicator="info"), fired(second, "tsh", indicator="warning"))
    assert leads(answer) == [second.lower()]
    assert [card.indicator for card in answer.cards] == ["warning"]


def test_a_critical_ck_is_an_emergency_and_a_warning_leads_the_diagnostic_card(deck: CardDeck) -> None:
    """A-74: R05 is in the Emergency set and in the Diagnostic lead order."""
    r06, r02 = fired("R06", "ck"), fired("R02", "ck")
    assert leads(composed(deck, fired("R05", "ck"), r06, r02)) == ["r02", "r05"]
    assert leads(composed(deck, fired("R05", "ck", indicator="critical"), r06, r02)) == ["r05"]


def test_other_rules_of_the_group_become_bullets(deck: CardDeck) -> None:
    """C3, C4."""
    (card,) = composed(deck, fired("R11", "ck"), fired("R13", "tsh")).cards
    assert card.summary == "Summary of R11."
    assert "**Also**\n\n- Title of R13: Summary of R13." in (card.detail or "")


def test_an_order_is_offered_once_over_all_cards(deck: CardDeck) -> None:
    """X1: R11 and R14 give one Diagnostic and one Care card, CK offered once."""
    answer = composed(deck, fired("R11", "ck", "tsh"), fired("R14", "referral-dietitian", "ck", "crp"))
    assert leads(answer) == ["r11", "r14"]
    assert offered(answer) == [["ck", "tsh"], ["referral-dietitian", "crp"]]


# --- A-25, B-29: a rule that another card carries ---------------------------------------------------------------------


def carried_r08() -> Assessment:
    return fired("R08", "ck", "tsh", second=("emg-ncs",), carried_by="r16", advice=("Advice of R08.",))


def test_a_carried_rule_adds_its_tests_and_its_id_and_no_words(deck: CardDeck) -> None:
    """A-25: fires silently as test contributor; its id stands in that card's rules."""
    answer = composed(deck, fired("R16", "vitamin-d", indicator="info"), carried_r08())
    (card,) = answer.cards
    assert offered(answer) == [["vitamin-d", "ck", "tsh"]]
    assert [r["id"] for r in card.extension["org.atrophy-cds.assessment"]["rules"]] == ["r16", "r08"]
    assert answer.shown[0].rules == (("r16", "1.2.0"), ("r08", "1.2.0"))
    assert answer.notes == {}
    for words in ("Title of R08", "Summary of R08", "Advice of R08"):
        assert words not in (card.detail or "")


def test_a_card_is_as_urgent_as_the_rule_that_it_carries(deck: CardDeck) -> None:
    """B-50, B-69: its id stands in that card's rules, and a card takes the highest indicator among its rules."""
    (warned,) = composed(deck, fired("R16", "vitamin-d", indicator="info"), carried_r08()).cards
    plain = msgspec.structs.replace(carried_r08(), indicator="info")
    (told,) = composed(deck, fired("R16", "vitamin-d", indicator="info"), plain).cards
    assert (warned.indicator, told.indicator) == ("warning", "info")


def test_a_carried_rule_keeps_a_card_alive_that_has_nothing_of_its_own_left(deck: CardDeck) -> None:
    """B-11 counts the card's orders, those of the carried rule too."""
    done = facts_of(condition("weakness", onset=300), report("vitamin-d-25-oh", ago=10))
    answer = composed(deck, fired("R16", "vitamin-d", indicator="info"), carried_r08(), facts=done)
    assert offered(answer) == [["ck", "tsh"]]


# --- B-11: nothing left to offer --------------------------------------------------------------------------------------

CK_DONE = facts_of(condition("weakness", onset=300), report("creatine-kinase", ago=10))


def test_an_info_card_with_nothing_left_is_not_shown(deck: CardDeck) -> None:
    """B-11: status suppressed, reason nothing-left-to-offer, for every rule of the card."""
    answer = composed(
        deck,
        fired("R13", "ck", indicator="info"),
        fired("R08", "ck", indicator="info"),
        facts=CK_DONE,
    )
    assert answer.cards == ()
    assert answer.notes == dict.fromkeys(("r13", "r08"), ("suppressed", "nothing-left-to-offer"))


def test_care_under_way_leaves_nothing_either(deck: CardDeck) -> None:
    """B-11 with G8."""
    facts = facts_of(condition("weakness", onset=300), visit("specialty-rehabilitation", ago=10))
    answer = composed(deck, fired("R18", "referral-rehabilitation", indicator="info"), facts=facts)
    assert answer.notes == {"r18": ("suppressed", "nothing-left-to-offer")}


def test_a_warning_with_nothing_left_stays(deck: CardDeck) -> None:
    """B-11 speaks of info cards; what is there already is named."""
    (card,) = composed(deck, fired("R11", "ck"), facts=CK_DONE).cards
    assert card.suggestions == ()
    assert card.selectionBehavior is None
    assert "Already done, ordered or under way: Creatine kinase (CK)." in (card.detail or "")


def test_a_rule_that_only_advises_keeps_its_card(deck: CardDeck) -> None:
    """B-11: "were all removed": a rule that offers none by design lost none."""
    assert leads(composed(deck, fired("R12", indicator="info", advice=("Exercise.",)))) == ["r12"]


def test_an_order_that_stands_on_another_card_is_not_removed(deck: CardDeck) -> None:
    answer = composed(deck, fired("R11", "ck"), fired("R20", "ck", indicator="info"))
    assert leads(answer) == ["r11", "r20"]


def test_an_order_that_is_only_text_is_something_left(deck: CardDeck) -> None:
    """B-53: immunofixation has no verified code."""
    answer = composed(deck, fired("R07", "ck", "immunofixation", indicator="info"), facts=CK_DONE)
    (card,) = answer.cards
    assert card.suggestions == ()
    assert "To be ordered in your own system: Serum immunofixation." in (card.detail or "")


# --- C2, B-25: a critical card is alone -------------------------------------------------------------------------------


def x2() -> tuple[Assessment, ...]:
    return fired("R02", "ck", indicator="critical"), fired("R20", "ck", indicator="info"), fired("R11", "tsh")


def test_a_critical_card_is_alone_and_names_what_waits(deck: CardDeck) -> None:
    """X2 and B-25: without a store the others are one line under it."""
    answer = composed(deck, *x2())
    assert leads(answer) == ["r02"]
    assert "Also found, after this: Title of R11; Title of R20." in (answer.cards[0].detail or "")
    assert answer.notes == dict.fromkeys(("r11", "r20"), ("suppressed", "held-back-by-critical"))


def test_a_warning_on_the_emergency_card_does_not_stand_alone(deck: CardDeck) -> None:
    assert leads(composed(deck, fired("R02", "ck"), fired("R11", "tsh"))) == ["r02", "r11"]


def with_memory(deck: CardDeck, memory: FakeMemory, *assessments: Assessment) -> Composed:
    return compose(evaluation(*assessments), deck, memory, CONTEXT)


def test_with_a_memory_the_others_wait_without_a_line(deck: CardDeck) -> None:
    """B-25: alone at first."""
    answer = with_memory(deck, FakeMemory(), *x2())
    assert leads(answer) == ["r02"]
    assert "Also found" not in (answer.cards[0].detail or "")


def test_the_others_follow_24_hours_after_the_critical_card_was_first_shown(deck: CardDeck) -> None:
    """B-25."""
    for hours, expected in ((23, ["r02"]), (24, ["r02", "r11", "r20"])):
        memory = FakeMemory()
        memory.show(evaluation(*x2()), "r02", at=AS_OF - timedelta(hours=hours))
        assert leads(with_memory(deck, memory, *x2())) == expected


def test_the_others_follow_after_feedback_on_the_critical_card(deck: CardDeck) -> None:
    """B-25: and an ordinary answer never silences it (A-16)."""
    memory = FakeMemory()
    memory.answered(evaluation(*x2()), "r02", reason="will-monitor", at=AS_OF - timedelta(hours=1))
    answer = with_memory(deck, memory, *x2())
    assert leads(answer) == ["r02", "r11", "r20"]
    assert answer.cards[0].indicator == "critical"


@pytest.mark.parametrize(("hours", "indicator"), [(1, "warning"), (23, "warning"), (24, "critical"), (48, "critical")])
def test_assessed_today_lowers_an_unchanged_critical_card_for_24_hours(
    deck: CardDeck, hours: int, indicator: str
) -> None:
    """B-25."""
    memory = FakeMemory()
    at = AS_OF - timedelta(hours=hours)
    memory.answered(evaluation(*x2()), "r02", reason="assessed-today-not-emergency", at=at)
    answer = with_memory(deck, memory, *x2())
    assert answer.cards[0].indicator == indicator
    assert leads(answer) == ["r02", "r11", "r20"]


# --- A-16, B-51, B-80, X4: snoozed after an answer --------------------------------------------------------------------


def days_of_silence(deck: CardDeck, assessment: Assessment, reason: str | None, outcome: str = "overridden") -> int:
    """How many days after the answer the card is still away: the first day it is back, minus one."""
    asked = evaluation(assessment)
    for days in (0, 1, 29, 30, 31, 179, 180, 181, 364, 365, 366):
        memory = FakeMemory()
        memory.answered(asked, assessment.rule.id, reason=reason, outcome=outcome, at=AS_OF - timedelta(days=days))
        if compose(asked, deck, memory, CONTEXT).cards:
            return days
    return 1000


SNOOZES = [
    ("R11", "warning", "will-monitor", "overridden", 30),
    ("R12", "info", "will-monitor", "overridden", 30),
    ("R11", "warning", "dose-already-being-reduced", "overridden", 30),
    ("R11", "warning", "snooze-30-d", "overridden", 30),
    ("R11", "warning", "goals-of-care", "overridden", 180),
    ("R23", "warning", "goals-of-care", "overridden", 0),
    ("R03", "warning", "goals-of-care", "overridden", 0),
    ("R11", "warning", "under-specialist-care", "overridden", 180),
    ("R11", "warning", "not-relevant", "overridden", 180),
    ("R11", "warning", "a-reason-of-the-site", "overridden", 180),
    ("R11", "warning", None, "overridden", 30),
    ("R12", "info", None, "overridden", 180),
    ("R11", "warning", None, "accepted", 30),
    ("R12", "info", None, "accepted", 180),
]


@pytest.mark.parametrize("row", SNOOZES)
def test_how_long_an_answer_keeps_a_card_away(deck: CardDeck, row: tuple[str, str, str | None, str, int]) -> None:
    """B-51, B-80; without a reason the days of C5."""
    number, indicator, reason, outcome, days = row
    assert days_of_silence(deck, fired(number, "ck", indicator=indicator), reason, outcome) == days


def test_sarcopenia_stays_away_for_a_year_for_every_answer_but_wrong_data(deck: CardDeck) -> None:
    """B-80, B-11."""
    r16 = fired("R16", "tsh", indicator="info", of_rule=rule("R16", snooze_days=365))
    assert days_of_silence(deck, r16, "will-monitor") == 365
    assert days_of_silence(deck, r16, None, "accepted") == 365
    assert days_of_silence(deck, r16, "data-wrong") == 0  # B-51: what it cites is left out instead


def test_new_evidence_brings_a_snoozed_card_back(deck: CardDeck) -> None:
    """X4: no repeat until 30 days or new evidence."""
    memory = FakeMemory()
    before = evaluation(fired("R11", "ck", facts=(fact("weakness", onset=30),)))
    memory.answered(before, "r11", reason="will-monitor", at=AS_OF - timedelta(days=2))
    again = compose(before, deck, memory, CONTEXT)
    assert again.cards == ()
    assert again.notes == {"r11": ("suppressed", "snoozed until 2026-12-25")}
    worse = evaluation(fired("R11", "ck", facts=(fact("weakness", onset=30), fact("stairs", onset=3))))
    assert leads(compose(worse, deck, memory, CONTEXT)) == ["r11"]


@pytest.mark.parametrize(("then", "now", "back"), [("info", "warning", True), ("warning", "info", False)])
def test_a_rule_that_became_more_urgent_on_the_same_evidence_is_back(
    deck: CardDeck, then: str, now: str, back: bool
) -> None:
    """An answer to an information is no answer to a warning."""
    memory = FakeMemory()
    memory.answered(evaluation(fired("R11", indicator=then)), "r11", reason="not-relevant", at=AS_OF)
    cards = compose(evaluation(fired("R11", "ck", indicator=now)), deck, memory, CONTEXT).cards
    assert bool(cards) is back


ONCE = CardContext("p1", repeat="once")


@pytest.mark.parametrize(("then", "now", "back"), [("info", "warning", True), ("critical", "warning", False)])
def test_shown_once_a_rule_that_became_more_urgent_is_back(deck: CardDeck, then: str, now: str, back: bool) -> None:
    """A-16: an unchanged card."""
    memory = FakeMemory()
    memory.show(evaluation(fired("R11", indicator=then)), "r11", at=AS_OF - timedelta(hours=1))
    cards = compose(evaluation(fired("R11", "ck", indicator=now)), deck, memory, ONCE).cards
    assert bool(cards) is back


def test_shown_once_is_agreed_with_the_client(deck: CardDeck) -> None:
    """A-16: everywhere else an unanswered card is shown again."""
    memory = FakeMemory()
    asked = evaluation(fired("R11", "ck"))
    memory.show(asked, "r11", at=AS_OF - timedelta(hours=1))
    assert leads(compose(asked, deck, memory, CONTEXT)) == ["r11"]
    hidden = compose(asked, deck, memory, ONCE)
    assert hidden.cards == ()
    assert hidden.notes == {"r11": ("suppressed", "shown-once, hidden until 2026-12-27")}


def test_shown_once_an_answer_that_came_after_all_counts_instead(deck: CardDeck) -> None:
    memory = FakeMemory()
    asked = evaluation(fired("R12", indicator="info"))
    memory.show(asked, "r12", at=AS_OF - timedelta(days=31))
    memory.answered(asked, "r12", reason="will-monitor", at=AS_OF - timedelta(days=31))
    assert leads(compose(asked, deck, memory, ONCE)) == ["r12"]


@pytest.mark.parametrize(("kind", "counts"), [("done", True), ("seen", True), ("ordered", False), ("recorded", False)])
def test_b_51_a_stay_or_a_procedure_of_another_day_is_new_and_a_repeated_order_is_not(kind: str, counts: bool) -> None:
    """The set of (concept, onset): what happened has a day, what is written down again has none."""
    facts = facts_of(condition("weakness", onset=30))
    first, second = (
        evidence_of(fired("R17", facts=(Fact("Encounter/1", "Intensive care", None, day(ago), kind),)), facts)
        for ago in (40, 2)
    )
    assert (first != second) is counts


def test_b_51_a_steroid_whose_start_is_assumed_is_a_concept_all_the_same() -> None:
    facts = facts_of(condition("weakness", onset=30))
    courses = [
        evidence_of(fired("R12", facts=(Fact("MedicationRequest/1", name, code, day(9), "assumed-since"),)), facts)
        for name, code in (("Prednisone", "1"), ("Dexamethasone", "2"))
    ]
    assert courses[0] != courses[1]


def test_a_finding_that_is_recorded_again_without_onset_is_not_new(deck: CardDeck) -> None:
    """B-01: a deficit coded again."""
    memory = FakeMemory()
    recorded = [Fact("Condition/1", "Weakness", "code", day(ago), "recorded") for ago in (40, 2)]
    before = evaluation(fired("R11", "ck", facts=(recorded[0],)))
    memory.answered(before, "r11", reason="will-monitor", at=AS_OF - timedelta(days=3))
    assert compose(evaluation(fired("R11", "ck", facts=tuple(recorded))), deck, memory, CONTEXT).cards == ()


def test_a_snoozed_rule_leaves_its_card_to_the_others(deck: CardDeck) -> None:
    memory = FakeMemory()
    both = evaluation(fired("R11", "ck"), fired("R13", "tsh"))
    memory.answered(both, "r11", reason="will-monitor", at=AS_OF - timedelta(days=2))
    assert leads(compose(both, deck, memory, CONTEXT)) == ["r13"]


def test_a_carried_rule_goes_with_its_card(deck: CardDeck) -> None:
    """The answer to a card answers every rule on it."""
    memory = FakeMemory()
    both = evaluation(fired("R16", "vitamin-d", indicator="info"), carried_r08())
    for rule_id in ("r16", "r08"):
        memory.answered(both, rule_id, reason="will-monitor", at=AS_OF - timedelta(days=2))
    answer = compose(both, deck, memory, CONTEXT)
    assert answer.cards == ()
    assert answer.notes == dict.fromkeys(("r16", "r08"), ("suppressed", "snoozed until 2026-12-25"))


def test_new_evidence_of_a_carried_rule_is_shown_although_its_card_is_snoozed(deck: CardDeck) -> None:
    """C5: R16 was answered before the weakness was recorded that R08 rests on."""
    memory = FakeMemory()
    both = evaluation(fired("R16", "vitamin-d", indicator="info"), carried_r08())
    memory.answered(both, "r16", reason="will-monitor", at=AS_OF - timedelta(days=2))
    assert leads(compose(both, deck, memory, CONTEXT)) == ["r08"]


def test_without_a_store_nothing_is_snoozed(deck: CardDeck) -> None:
    """A-16: an unanswered card is shown again."""
    asked = evaluation(fired("R11", "ck"))
    assert (
        leads(compose(asked, deck, NO_MEMORY, CONTEXT)) == leads(compose(asked, deck, FakeMemory(), CONTEXT)) == ["r11"]
    )


def test_the_fingerprint_knows_no_ids_values_or_versions(deck: CardDeck) -> None:
    """B-51: measured again inside the same band, coded again without onset, or ruled by a new version: the same."""
    facts = facts_of(condition("weakness", onset=30), steroid_level=2)
    grip = {"threshold": "below 16 kg", "reference": "Observation/1"}
    one = fired("R16", facts=(fact("grip", measured=9, value="14 kg", **grip), fact("frailty")))
    grip["reference"] = "Observation/2"
    newer = rule("R16", version="2.0.0")
    two = fired("R16", facts=(fact("frailty"), fact("grip", measured=2, value="13 kg", **grip)), of_rule=newer)
    assert evidence_of(one, facts) == evidence_of(two, facts)


@pytest.mark.parametrize(
    "worse",
    [
        facts_of(condition("muscle-wasting", onset=30), steroid_level=2),
        facts_of(condition("weakness", onset=30), steroid_level=3),
    ],
)
def test_the_fingerprint_changes_with_finding_level_and_steroid_level(worse: object) -> None:
    """B-51."""
    asked = fired("R11", "ck")
    assert evidence_of(asked, worse) != evidence_of(asked, facts_of(condition("weakness", onset=30), steroid_level=2))


# --- P-03, P-04, B-82, B-95: the gap card -----------------------------------------------------------------------------


def unknown(number: str, *missing: str, indicator: str = "warning") -> Assessment:
    could = rule(number, fires=(Fires(name="anything", indicator=indicator, when="anything"),))
    return Assessment(could, Status.UNKNOWN, "could not be checked", missing=missing)


def gaps(state: SourceState, *assessments: Assessment) -> Evaluation:
    sources = {name: Source(name, "fetch", state) for name in ("observations", "medicationRequests")}
    return evaluation(*assessments, facts=facts_of(condition("weakness", onset=30), sources=sources))


def test_a_gap_under_a_warning_rule_gives_one_info_card_in_plain_words(deck: CardDeck) -> None:
    """P-04."""
    asked = gaps(SourceState.FAILED, unknown("R11", "medications"), unknown("R09", "observations", "birthDate"))
    answer = compose(asked, deck, NO_MEMORY, CONTEXT)
    (card,) = answer.cards
    assert card.indicator == "info"
    assert leads(answer) == ["record-gaps"]
    for words in ("- medication", "- results and measurements", "- the date of birth"):
        assert words in (card.detail or "")


@pytest.mark.parametrize(
    "asked",
    [
        gaps(SourceState.NOT_OFFERED, unknown("R11", "medications"), unknown("R09", "observations")),
        gaps(SourceState.FAILED, unknown("R12", "medications", indicator="info")),
        gaps(SourceState.FAILED),
    ],
)
def test_no_gap_card_for_what_is_not_offered_or_not_needed(deck: CardDeck, asked: Evaluation) -> None:
    """P-03: not-offered is never on a card; P-04: only for rules that can warn."""
    assert compose(asked, deck, NO_MEMORY, CONTEXT).cards == ()


def test_the_gap_card_stands_beside_a_critical_card(deck: CardDeck) -> None:
    """B-82; B-95: also beside R08 when R11 is unknown."""
    for other in (fired("R02", "ck", indicator="critical"), fired("R08", "ck")):
        asked = gaps(SourceState.FAILED, other, unknown("R11", "medications"))
        assert leads(compose(asked, deck, NO_MEMORY, CONTEXT)) == [other.rule.id, "record-gaps"]


def test_beside_three_cards_the_gap_stands_on_the_first(deck: CardDeck) -> None:
    """C1: never four cards; P-04: the gap is named all the same."""
    asked = gaps(
        SourceState.FAILED, fired("R02", "ck"), fired("R07", "ck"), fired("R14", "crp"), unknown("R09", "observations")
    )
    answer = compose(asked, deck, NO_MEMORY, CONTEXT)
    assert leads(answer) == ["r02", "r07", "r14"]
    told = ["**Could not be checked** results and measurements." in (card.detail or "") for card in answer.cards]
    assert told == [True, False, False]


def test_the_gap_card_stays_away_once_answered_and_comes_back_with_another_gap(deck: CardDeck) -> None:
    """P-04: at each call until it is answered (A-16)."""
    memory = FakeMemory()
    asked = gaps(SourceState.FAILED, unknown("R11", "medications"))
    memory.answered_gap("medications", reason="will-monitor", at=AS_OF - timedelta(days=2))
    assert compose(asked, deck, memory, CONTEXT).cards == ()
    more = gaps(SourceState.FAILED, unknown("R11", "medications"), unknown("R09", "observations"))
    assert leads(compose(more, deck, memory, CONTEXT)) == ["record-gaps"]


def test_a_client_may_switch_the_gap_card_off(deck: CardDeck) -> None:
    """P-04."""
    quiet = CardContext("p1", profile=ClientProfile(title="quiet", because="a test", gap_card=False))
    asked = gaps(SourceState.FAILED, unknown("R11", "medications"))
    assert compose(asked, deck, NO_MEMORY, quiet).cards == ()


def test_could_not_be_done_is_a_card_that_says_what_could_not_be_read(deck: CardDeck) -> None:
    """P-05, for a client that shows errors to nobody."""
    card = could_not_be_done(deck, CardContext("p1", gaps=("conditions",)))
    assert card.indicator == "info"
    assert card.summary.startswith("Muscle-atrophy check could not be done")
    assert "- problem list and diagnoses" in (card.detail or "")


def test_an_order_already_under_way_is_named_and_not_suggested(deck: CardDeck) -> None:
    """G8: drop the referral, keep the card's text."""
    facts = facts_of(condition("weakness", onset=300), ordered("referral-neurology", ago=20))
    answer = composed(deck, fired("R07", "hba1c", second=("referral-neurology",)), facts=facts)
    assert offered(answer) == [["hba1c"]]
    assert "under way: Neurology referral." in (answer.cards[0].detail or "")
