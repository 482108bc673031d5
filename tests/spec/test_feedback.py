"""CDS Hooks, Feedback: the shapes that the specification, Epic and the sandbox send (C64-C67; more in tests/http)."""

import json
from typing import Any

import pytest

from cds_service.cds_hooks.feedback import FeedbackItem, parse_feedback
from tests.http.stand_in import CARD, NOW, SUGGESTION, an_item


def parsed(item: dict[str, Any]) -> FeedbackItem:
    """The one item of a batch."""
    (only,) = parse_feedback(json.dumps({"feedback": [item]}).encode(), NOW)
    return only


def test_c65_an_accepted_suggestion() -> None:
    item = parsed(an_item(outcome="accepted", acceptedSuggestions=[{"id": SUGGESTION}]))

    assert (item.card, item.outcome, item.accepted_suggestions) == (CARD, "accepted", (SUGGESTION,))
    assert item.outcome_timestamp.isoformat() == "2026-11-27T09:59:00+00:00"


def test_c66_a_card_dismissed_without_a_reason() -> None:
    item = parsed(an_item())

    assert (item.outcome, item.reason_code, item.comment) == ("overridden", None, None)


REASON = {"code": "will-monitor", "system": "urn:atrophy-cds:override-reasons", "display": "Will monitor"}


@pytest.mark.parametrize(
    "given",
    [
        {"overrideReason": {"reason": REASON, "userComment": "seen"}},  # the specification
        {"overrideReasons": {"reason": REASON, "userComment": "seen"}},  # Epic
        {"overrideReasons": [{"reason": REASON, "userComment": "seen"}]},
        {"overrideReason": [{"reason": REASON, "userComment": "seen"}, {"reason": {"code": "second"}}]},
        {"overrideReason": {"reason": REASON, "userComment": "seen"}, "overrideReasons": {"reason": {"code": "other"}}},
        {"overrideReason": None, "overrideReasons": {"reason": REASON, "userComment": "seen"}},
    ],
)
def test_c66_a_coded_reason_with_a_comment(given: dict[str, Any]) -> None:
    item = parsed(an_item(**given))

    assert (item.reason_code, item.reason_system, item.comment) == (REASON["code"], REASON["system"], "seen")


def test_c66_the_sandbox_leaves_out_display_and_system() -> None:
    item = parsed(an_item(overrideReason={"reason": {"code": "will-monitor"}, "userComment": ""}))

    assert (item.reason_code, item.reason_system, item.comment) == ("will-monitor", None, None)


def test_t20_a_comment_keeps_its_lines_and_no_other_control_characters() -> None:
    """PostgreSQL would keep none with a NUL, and the whole batch would be lost with it."""
    assert parsed(an_item(overrideReason={"userComment": "seen\nby\tme\0\x1b[2J"})).comment == "seen\nby\tme[2J"


def test_c66_a_comment_alone() -> None:
    assert parsed(an_item(overrideReason={"userComment": "seen"})).comment == "seen"


def test_c66_a_reason_that_an_epic_site_made_up_itself() -> None:
    extension = {
        "com.epic.cdshooks.feedback.overrideReason.reasonCategory": "45",
        "com.epic.cdshooks.feedback.overrideReason.reasonDisplay": "Does not meet criteria",
    }

    item = parsed(an_item(overrideReasons={"extension": extension, "userComment": "seen"}))

    assert item.reason_code == "45"
    assert item.reason_system == "com.epic.cdshooks.feedback.overrideReason.reasonCategory"


@pytest.mark.parametrize("extension", [[], "x", 7, {}, {"com.example.x": {"deep": []}}])
def test_c61_other_extensions_are_ignored(extension: Any) -> None:
    item = parsed(an_item(extension=extension, overrideReason={"extension": extension}))

    assert item.reason_code is None


def test_an_overridden_card_has_no_accepted_suggestions() -> None:
    assert parsed(an_item(acceptedSuggestions=[{"id": SUGGESTION}])).accepted_suggestions == ()


def test_a_long_comment_is_cut() -> None:
    assert parsed(an_item(overrideReason={"userComment": "x" * 5000})).comment == "x" * 2000


def test_uuids_are_compared_in_lower_case() -> None:
    item = parsed(an_item(card=CARD.upper(), outcome="accepted", acceptedSuggestions=[{"id": SUGGESTION.upper()}]))

    assert (item.card, item.accepted_suggestions) == (CARD, (SUGGESTION,))


def test_c67_a_batch_may_cover_many_cards_and_keeps_its_order() -> None:
    cards = [CARD, SUGGESTION, CARD]

    items = parse_feedback(json.dumps({"feedback": [an_item(card=card) for card in cards]}).encode(), NOW)

    assert [item.card for item in items] == cards


def test_an_empty_batch_is_no_error() -> None:
    assert parse_feedback(b'{"feedback": []}', NOW) == ()


def test_t10_a_comment_does_not_show_when_an_item_is_printed() -> None:
    assert "canary" not in repr(parsed(an_item(overrideReason={"userComment": "canary"})))
