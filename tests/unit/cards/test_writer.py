"""C7, C44-C56, P-23: what every card has, whatever the chart says."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import UUID

import pytest
from fhir.resources.R4B.servicerequest import ServiceRequest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cds_service.cards.compose import CardContext, compose
from cds_service.cards.knowledge import CardDeck
from cds_service.cards.memory import NO_MEMORY
from cds_service.cards.profiles import ClientProfile
from cds_service.cds_hooks.response import MAX_SUMMARY, Card, Response, encode
from cds_service.rule_engine.model import Assessment, Evidence, Fact
from tests.unit.cards.builders import AS_OF, condition, evaluation, fact, facts_of, fired, rule
from tests.unit.cards.test_wording import TRICKY

GFM = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
OURS = {
    "paragraph_open", "paragraph_close", "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close",
    "inline", "text", "softbreak", "strong_open", "strong_close",
}  # fmt: skip


def only_card(deck: CardDeck, *assessments: Assessment, context: CardContext | None = None, **fields: object) -> Card:
    (card,) = compose(evaluation(*assessments, **fields), deck, NO_MEMORY, context or CardContext("p1")).cards
    return card


def all_orders(deck: CardDeck, **fields: object) -> Assessment:
    return fired("R11", *deck.orders.orders, **fields)


# --- suggestions ------------------------------------------------------------------------------------------------------


def test_every_suggestion_creates_one_draft_service_request_for_this_patient(deck: CardDeck) -> None:
    """C4, C52-C54: valid FHIR R4B without id; intent proposal, because nothing is authorised."""
    card = only_card(deck, all_orders(deck), context=CardContext("p1", encounter_id="e1"))
    assert len(card.suggestions) == len(deck.orders.orders) - len(deck.orders.wanted)
    for suggestion in card.suggestions:
        (action,) = suggestion.actions
        assert (action.type, action.resourceId) == ("create", None)
        request = ServiceRequest.model_validate(action.resource)
        assert (request.status, request.intent, request.id) == ("draft", "proposal", None)
        assert request.subject.reference == "Patient/p1"
        assert request.encounter.reference == "Encounter/e1"


def test_without_an_encounter_none_is_named(deck: CardDeck) -> None:
    (suggestion,) = only_card(deck, fired("R11", "ck")).suggestions
    assert "encounter" not in suggestion.actions[0].resource


def test_one_patient_never_reaches_the_next_card(deck: CardDeck) -> None:
    """The templates stay as they were loaded."""
    only_card(deck, fired("R11", "ck"), context=CardContext("first", encounter_id="e1"))
    second = only_card(deck, fired("R11", "ck"), context=CardContext("second"))
    assert second.suggestions[0].actions[0].resource["subject"] == {"reference": "Patient/second"}
    assert "subject" not in deck.orders.orders["ck"].resource


def test_emg_is_one_service_request_with_both_studies_in_its_details(deck: CardDeck) -> None:
    """G13, B-53: code = own key and text, orderDetail = SNOMED 42803009 and LOINC 29755-6."""
    (suggestion,) = only_card(deck, fired("R07", "emg-ncs")).suggestions
    resource = suggestion.actions[0].resource
    assert [c["code"] for c in resource["code"]["coding"]] == ["emg-ncs"]
    assert resource["code"]["coding"][0]["system"] == "urn:atrophy-cds:orders"
    details = [(c["system"], c["code"]) for detail in resource["orderDetail"] for c in detail["coding"]]
    assert details == [("http://snomed.info/sct", "42803009"), ("http://loinc.org", "29755-6")]


def test_suggestions_may_be_chosen_freely_and_some_are_recommended(deck: CardDeck) -> None:
    """C51, C3: selectionBehavior any, so that several may be recommended (C52)."""
    card = only_card(deck, fired("R11", "ck", "tsh", "renal", preselect=("ck", "renal")))
    assert card.selectionBehavior == "any"
    assert [s.isRecommended for s in card.suggestions] == [True, None, True]


def test_uuids_are_version_4_and_never_the_same(deck: CardDeck) -> None:
    """C50."""
    cards = [only_card(deck, all_orders(deck)) for _ in range(200)]
    uuids = [card.uuid for card in cards] + [s.uuid for card in cards for s in card.suggestions]
    assert len(set(uuids)) == len(uuids)
    assert all(str(UUID(u)) == u and UUID(u).version == 4 and UUID(u).variant == "specified in RFC 4122" for u in uuids)


def test_the_uuids_come_from_the_factory_that_is_given(deck: CardDeck) -> None:
    given = (f"00000000-0000-4000-8000-{n:012}" for n in range(9))
    card = only_card(deck, fired("R11", "ck"), context=CardContext("p1", new_uuid=lambda: next(given)))
    assert {card.uuid[-1], card.suggestions[0].uuid[-1]} == {"0", "1"}


# --- override reasons -------------------------------------------------------------------------------------------------

COMMON = [
    "already-done-elsewhere", "under-specialist-care", "diagnosis-known", "will-monitor", "patient-declined",
    "goals-of-care", "data-wrong", "not-relevant", "snooze-30-d",
]  # fmt: skip


def test_every_card_has_the_common_override_reasons(deck: CardDeck) -> None:
    """C56, section 6: code, system and display; these codes never change."""
    reasons = only_card(deck, fired("R08", "ck")).overrideReasons
    assert [r.code for r in reasons] == COMMON
    assert {r.system for r in reasons} == {"urn:atrophy-cds:override-reasons"}
    assert all(r.display for r in reasons)


def test_the_reasons_of_the_rules_on_the_card_stand_first(deck: CardDeck) -> None:
    r11 = fired("R11", "ck", of_rule=rule("R11", override_reasons=("dose-already-being-reduced",)))
    assert [r.code for r in only_card(deck, r11, fired("R13", "tsh")).overrideReasons] == [
        "dose-already-being-reduced",
        *COMMON,
    ]


# --- text -------------------------------------------------------------------------------------------------------------


def test_the_detail_says_why_what_is_missing_the_options_and_the_source(deck: CardDeck) -> None:
    """C7 and S102."""
    evidence = (Evidence(citation="A guideline, 2024", status="seen second-hand"),)
    asked = fired(
        "R11",
        "ck",
        second=("emg-ncs",),
        advice=("Keep the dose low.",),
        missing=("a CK result within 90 days",),
        facts=(fact("weakness", onset=30, label="Proximal muscle weakness"),),
        of_rule=rule("R11", evidence=evidence),
    )
    assert only_card(deck, asked).detail == (
        "Opening of R11. Examine: distribution, reflexes, sensation, tone, wasting.\n\n"
        "**Why**\n\n- “Proximal muscle weakness”, onset 2026-10-28\n\n"
        "Tier 3 because of a test.\n\n"
        "**Not found in the record** a CK result within 90 days.\n\n"
        "**Options**\n\n"
        "- Suggested below: Creatine kinase (CK).\n"
        "- Second step, if needed: EMG and nerve conduction studies.\n"
        "- Keep the dose low.\n\n"
        "Record as of 2026-11-27 12:00 UTC; age of the facts above: 30 days.\n\n"
        "**Source** A guideline, 2024 (seen second-hand). Rule R11, version 1.2.0 (not clinically reviewed). "
        "Decision support, not diagnosis."
    )


def test_a_rule_whose_review_date_has_passed_says_so(deck: CardDeck) -> None:
    """An expired rule warns on its card."""
    card = only_card(deck, fired("R11", "ck", of_rule=rule("R11", review_by=(AS_OF - timedelta(days=1)).date())))
    assert "its review date has passed" in (card.detail or "")


def test_a_reviewed_rule_is_not_called_unreviewed(deck: CardDeck) -> None:
    detail = only_card(deck, fired("R11", "ck", of_rule=rule("R11", checker="Dr A"))).detail or ""
    assert "not clinically reviewed" not in detail


def test_cautions_stand_beside_their_order(deck: CardDeck) -> None:
    """G13."""
    facts = facts_of(condition("weakness", onset=30), condition("anticoagulant-use", onset=90))
    detail = only_card(deck, fired("R07", "emg-ncs"), facts=facts).detail or ""
    assert "- EMG and nerve conduction studies: An anticoagulant is recorded: tell the laboratory" in detail


def test_at_most_five_facts_the_leads_first(deck: CardDeck) -> None:
    """C7."""
    four = tuple(fact(f"lead{n}", onset=n + 1) for n in range(4))
    more = tuple(fact(f"other{n}", onset=n + 1) for n in range(4))
    detail = only_card(deck, fired("R11", "ck", facts=four), fired("R13", "tsh", facts=more)).detail or ""
    why = detail.split("**Why**\n\n")[1].split("\n\n")[0].splitlines()
    assert [line.split("”")[0] for line in why] == [
        *(f"- “Finding of lead{n}" for n in range(4)),
        "- “Finding of other0",
    ]


def test_care_and_emergency_cards_do_not_ask_for_the_diagnostic_examination(deck: CardDeck) -> None:
    """S102: every diagnostic card opens with it."""
    for number in ("R02", "R16"):
        assert "Examine:" not in (only_card(deck, fired(number, "ck")).detail or "")


@settings(max_examples=60, deadline=None)
@given(label=st.text(max_size=300), value=st.text(max_size=300), title=st.text(max_size=300))
def test_chart_text_never_makes_markup_and_never_reaches_the_summary(
    deck: CardDeck, label: str, value: str, title: str
) -> None:
    """T11, C44, C49: whatever the chart says, the detail is paragraphs and lists, the summary is ours."""
    hostile = Fact("Condition/1", label, None, "2026-11-01", "onset", value)
    card = only_card(deck, fired("R11", "ck", facts=(hostile,)))
    _assert_only_ours(card.detail or "")
    assert card.summary == "Summary of R11."


@pytest.mark.parametrize("text", TRICKY)
def test_the_corpus_of_tricky_texts_makes_no_markup_on_a_card(deck: CardDeck, text: str) -> None:
    """T11."""
    hostile = Fact("Condition/1", text, None, None, None, text, text)
    _assert_only_ours(only_card(deck, fired("R11", "ck", facts=(hostile,))).detail or "")


def _assert_only_ours(detail: str) -> None:
    blocks = GFM.parse(detail)
    assert {b.type for b in blocks} | {c.type for b in blocks for c in b.children or []} <= OURS
    assert [b.content for b in blocks if b.type == "inline"].count("**Why**") == 1


@given(length=st.integers(1, MAX_SUMMARY))
def test_the_longest_summary_fits(deck: CardDeck, length: int) -> None:
    """C44: at most 139 characters."""
    card = only_card(deck, fired("R11", "ck", of_rule=rule("R11", summary="x" * length)))
    assert len(card.summary) == length


# --- source, extension, the whole body --------------------------------------------------------------------------------


def test_the_source_has_a_label_and_the_rule_as_its_topic(deck: CardDeck) -> None:
    """C46-C48: alphanumeric and static per rule; a url only if the settings give one."""
    source = only_card(deck, fired("R11", "ck")).source
    assert (source.label, source.url, source.icon) == ("Atrophy CDS", None, None)
    assert (source.topic.code, source.topic.system) == ("topicR11", "urn:atrophy-cds:rules")
    site = CardContext("p1", source_label="Our hospital", source_url="https://cds.example/rules")
    named = only_card(deck, fired("R11", "ck"), context=site).source
    assert (named.label, named.url) == ("Our hospital", "https://cds.example/rules")


def test_the_extension_names_rules_tier_basis_and_what_is_missing(deck: CardDeck) -> None:
    """P-23; empty keys are left out (C2)."""
    grip = fact("grip", measured=20, value="14 kg", threshold="below 16 kg")
    asked = fired("R16", "tsh", facts=(grip, fact("frailty")), missing=("a gait speed",))
    assert only_card(deck, asked).extension == {
        "org.atrophy-cds.assessment": {
            "rules": [{"id": "r16", "version": "1.2.0"}],
            "tier": "3",
            "basis": [
                {
                    "rule": "r16",
                    "reference": "Condition/grip",
                    "code": "http://snomed.info/sct|grip",
                    "date": "2026-11-07",
                    "value": "14 kg",
                    "threshold": "below 16 kg",
                },
                {"rule": "r16", "reference": "Condition/frailty", "code": "http://snomed.info/sct|frailty"},
            ],
            "missing": ["a gait speed"],
        }
    }


def test_a_client_may_switch_the_extension_off(deck: CardDeck) -> None:
    plain = CardContext("p1", profile=ClientProfile(title="plain", because="a test", card_extension=False))
    assert only_card(deck, fired("R11", "ck"), context=plain).extension is None


def test_the_body_has_no_empty_parts(deck: CardDeck) -> None:
    """C2, C3: all options off equals the minimal card."""
    plain = CardContext("p1", profile=ClientProfile(title="plain", because="a test", card_extension=False))
    composed = compose(evaluation(fired("R12", indicator="info")), deck, NO_MEMORY, plain)
    (card,) = json.loads(encode(Response(cards=composed.cards)))["cards"]
    assert set(card) == {"uuid", "summary", "detail", "indicator", "source", "overrideReasons"}


def test_what_is_kept_of_a_card_names_its_rules_its_evidence_and_its_orders(deck: CardDeck) -> None:
    """P-22, B-51: feedback by card and suggestion uuid finds the rule and the order."""
    composed = compose(evaluation(fired("R11", "ck", "immunofixation")), deck, NO_MEMORY, CardContext("p1"))
    (card,), (shown,) = composed.cards, composed.shown
    assert (shown.uuid, shown.lead, shown.indicator) == (card.uuid, "r11", "warning")
    assert shown.rules == (("r11", "1.2.0"),)
    assert [rule_id for rule_id, _ in shown.evidence] == ["r11"]
    assert shown.suggestions == {card.suggestions[0].uuid: "ck"}
