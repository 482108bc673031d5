"""P-22, T20: feedback is taken whole or not at all, has an effect once, and only on cards that were shown."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.cds_hooks.feedback import parse_feedback
from cds_service.settings import Settings
from cds_service.store import Store
from tests.http.stand_in import CARD, FEEDBACK, NOW, SUGGESTION, Shown, StandIn, a_call, an_item, diagnostics

OTHER = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(autouse=True)
def _a_card_was_shown(store: Store) -> None:
    store.note_shown("open", store.memory("open", "", "p1").patient, [Shown(CARD)], NOW)


def post(client: FlaskClient, *items: Any) -> Any:
    return client.post(FEEDBACK, json={"feedback": list(items)})


def test_an_answer_is_stored(client: FlaskClient, store: Store) -> None:
    response = post(client, an_item(overrideReason={"reason": {"code": "will-monitor", "system": "urn:x"}}))

    assert (response.status_code, response.data) == (200, b"")
    assert "Content-Type" not in response.headers
    (answer,) = store.feedback_about(CARD)
    assert (answer.outcome, answer.reason_code, answer.reason_system) == ("overridden", "will-monitor", "urn:x")


def test_an_accepted_suggestion_is_stored_as_its_order(client: FlaskClient, store: Store) -> None:
    post(client, an_item(outcome="accepted", acceptedSuggestions=[{"id": SUGGESTION}, {"id": OTHER}]))

    (answer,) = store.feedback_about(CARD)
    assert answer.accepted_orders == ("ck",)


def test_a_card_never_shown_is_200_and_has_no_effect(client: FlaskClient, store: Store) -> None:
    assert post(client, an_item(card=OTHER)).status_code == 200
    assert store.feedback_about(OTHER) == ()


def test_a_card_shown_to_another_client_is_200_and_has_no_effect(client: FlaskClient, store: Store) -> None:
    store.note_shown("another-hospital", store.memory("another-hospital", "", "p1").patient, [Shown(OTHER)], NOW)

    assert post(client, an_item(card=OTHER)).status_code == 200
    assert store.feedback_about(OTHER) == ()


def test_c67_a_repeat_is_200_and_has_no_effect(client: FlaskClient, store: Store) -> None:
    for _ in range(3):
        assert post(client, an_item(), an_item()).status_code == 200

    assert len(store.feedback_about(CARD)) == 1


def test_the_same_instant_in_another_offset_is_a_repeat(client: FlaskClient, store: Store) -> None:
    post(
        client, an_item(outcomeTimestamp="2026-11-27T09:00:00Z"), an_item(outcomeTimestamp="2026-11-27T14:45:00+05:45")
    )

    assert len(store.feedback_about(CARD)) == 1


def test_what_is_done_later_to_the_same_card_counts_anew(client: FlaskClient, store: Store) -> None:
    post(client, an_item(outcomeTimestamp="2026-11-27T09:00:00Z"))
    post(client, an_item(outcome="accepted", acceptedSuggestions=[{"id": SUGGESTION}]))

    assert [answer.outcome for answer in store.feedback_about(CARD)] == ["overridden", "accepted"]


MALFORMED = [
    ("feedback[1]", 7),
    ("feedback[1]", None),
    ("feedback[1]", []),
    ("feedback[1].card", an_item(card=...)),
    ("feedback[1].card", an_item(card=None)),
    ("feedback[1].card", an_item(card=7)),
    ("feedback[1].card", an_item(card="")),
    ("feedback[1].card", an_item(card="/../../x")),  # T21
    ("feedback[1].outcome", an_item(outcome=...)),
    ("feedback[1].outcome", an_item(outcome="ignored")),
    ("feedback[1].outcome", an_item(outcome=1)),
    ("feedback[1].outcomeTimestamp", an_item(outcomeTimestamp=...)),
    ("feedback[1].outcomeTimestamp", an_item(outcomeTimestamp=1764237540)),
    ("feedback[1].outcomeTimestamp", an_item(outcomeTimestamp="yesterday")),
    ("feedback[1].outcomeTimestamp", an_item(outcomeTimestamp="2026-11-27")),
    ("feedback[1].outcomeTimestamp", an_item(outcomeTimestamp="2026-11-27T09:00:00")),
    ("feedback[1].outcomeTimestamp", an_item(outcomeTimestamp="2026-02-30T09:00:00Z")),
    ("feedback[1].outcomeTimestamp", an_item(outcomeTimestamp="0001-01-01T00:00:00+14:00")),
    ("feedback[1].outcomeTimestamp", an_item(outcomeTimestamp="9999-12-31T23:59:59-14:00")),
    ("feedback[1].outcomeTimestamp", an_item(outcomeTimestamp="2026-11-28T10:00:01Z")),  # 24 hours and a second ahead
    ("feedback[1].acceptedSuggestions", an_item(outcome="accepted")),
    ("feedback[1].acceptedSuggestions", an_item(outcome="accepted", acceptedSuggestions=[])),
    ("feedback[1].acceptedSuggestions", an_item(outcome="accepted", acceptedSuggestions=[{"id": "x"}])),
    ("feedback[1].acceptedSuggestions", an_item(outcome="accepted", acceptedSuggestions=[{}])),
    ("feedback[1].acceptedSuggestions", an_item(outcome="accepted", acceptedSuggestions={"id": SUGGESTION})),
    ("feedback[1].overrideReason", an_item(overrideReason="no")),
    ("feedback[1].overrideReason.userComment", an_item(overrideReason={"userComment": 7})),
    ("feedback[1].overrideReason.reason.code", an_item(overrideReason={"reason": {"code": 7}})),
    ("feedback[1].overrideReason.reason", an_item(overrideReason={"reason": {"code": "x" * 256}})),
    ("feedback[1].overrideReason.reason", an_item(overrideReason={"reason": {"code": "x\0"}})),  # PostgreSQL keeps none
    ("feedback[1].overrideReason.reason", an_item(overrideReason={"reason": {"code": "x", "system": "\x1b[2J"}})),
]


@pytest.mark.parametrize(("where", "item"), MALFORMED)
def test_a_malformed_item_is_400_by_its_index_and_nothing_of_the_batch_is_stored(
    client: FlaskClient, store: Store, where: str, item: Any
) -> None:
    response = post(client, an_item(), item)

    assert response.status_code == 400
    assert f"`{where}`" in diagnostics(response)
    assert store.feedback_about(CARD) == ()


@pytest.mark.parametrize("body", [{}, {"feedback": None}, {"feedback": {}}, {"feedback": "x"}, an_item(), a_call()])
def test_c64_the_body_is_an_object_with_a_list(client: FlaskClient, body: dict[str, Any]) -> None:
    response = client.post(FEEDBACK, json=body)

    assert response.status_code == 400
    assert "`feedback`" in diagnostics(response)


def test_c67_a_thousand_items_are_taken_and_one_more_is_400(client: FlaskClient, store: Store) -> None:
    items = [an_item(outcomeTimestamp=f"2026-11-27T09:00:{n // 100:02d}.{n % 100:02d}Z") for n in range(1001)]

    assert post(client, *items).status_code == 400
    assert store.feedback_about(CARD) == ()
    assert post(client, *items[:1000]).status_code == 200
    assert len(store.feedback_about(CARD)) == 1000


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-27T09:00:00Z", "2026-11-27T09:00:00+00:00"),
        ("2026-11-27t09:00:00z", "2026-11-27T09:00:00+00:00"),
        ("2026-11-27T09:00:00.25-05:00", "2026-11-27T14:00:00.250000+00:00"),
        ("2026-11-27T09:00:00+05:45", "2026-11-27T03:15:00+00:00"),
        ("2026-11-28T10:00:00Z", "2026-11-28T10:00:00+00:00"),  # 24 hours ahead, not more
    ],
)
def test_any_offset_is_taken_and_kept_as_utc(text: str, utc: str) -> None:
    (item,) = parse_feedback(json.dumps({"feedback": [an_item(outcomeTimestamp=text)]}).encode(), NOW)

    assert item.outcome_timestamp.isoformat() == utc


def test_feedback_survives_a_restart(settings: Settings, client: FlaskClient, store: Store) -> None:
    post(client, an_item())
    store.close()

    again = Store(settings.database_url)
    restarted = create_app(settings, clock=lambda: NOW, store=again, service=StandIn(again)).test_client()
    response = restarted.post(FEEDBACK, json={"feedback": [an_item()]}, base_url="http://localhost")

    assert response.status_code == 200
    assert len(again.feedback_about(CARD)) == 1  # the repeat was recognised
    answer = again.memory("open", "", "p1").answer("steroid-myopathy", "F1 GC2")
    assert answer is not None
    assert answer.outcome == "overridden"
    again.close()
