"""CDS Hooks, CDS Service Response: cards that break the specification cannot be made (C42-C61)."""

import json
import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from cds_service.cds_hooks.response import (
    Action,
    Card,
    Coding,
    Link,
    OverrideReason,
    Response,
    Source,
    Suggestion,
    encode,
    without_empty,
)
from tests.http.stand_in import (
    CALL,
    CARD,
    SUGGESTION,
    StandIn,
    a_call,
    a_card,
    a_suggestion,
    empty_values,
    strict_json,
)

ORDER = {"resourceType": "ServiceRequest", "status": "draft", "intent": "order", "subject": {"reference": "Patient/p1"}}


def refused(kind: type[BaseModel], requirement: str, **values: Any) -> None:
    """The values cannot become the element, and the reason names the requirement."""
    with pytest.raises(ValidationError, match=requirement):
        kind(**values)


def test_c42_success_is_200_and_an_object_with_an_array_of_cards(client: FlaskClient) -> None:
    response = client.post(CALL, json=a_call())

    assert response.status_code == 200
    assert response.mimetype == "application/json"
    assert isinstance(response.get_json()["cards"], list)


def test_c43_nothing_to_say_is_an_empty_array(client: FlaskClient, service: StandIn) -> None:
    service.response = Response()

    assert client.post(CALL, json=a_call()).data == b'{"cards":[]}'


def test_the_stages_of_a_call_are_in_server_timing(client: FlaskClient) -> None:
    timing = client.post(CALL, json=a_call()).headers["Server-Timing"]

    assert [part.split(";")[0] for part in timing.split(", ")] == ["read", "data", "rules", "total"]
    assert "data;dur=1.23" in timing


# C44: one sentence of fewer than 140 characters


def test_c44_139_characters_are_a_summary() -> None:
    assert len(a_card(summary="x" * 139).summary) == 139


@pytest.mark.parametrize("summary", ["", "x" * 140, "😀" * 70, "Two. Sentences", "Is it? Yes", "Two\nlines"])
def test_c44_not_a_summary(summary: str) -> None:
    with pytest.raises(ValidationError):
        a_card(summary=summary)


@pytest.mark.parametrize(
    "summary", ["Weakness for 3.5 months", "Myopathy, e.g. Pompe disease", "Weakness.", "Dr. no name"]
)
def test_c44_one_sentence(summary: str) -> None:
    assert a_card(summary=summary).summary == summary


# C45-C48: indicator and source


@pytest.mark.parametrize("indicator", ["hard-stop", "success", "", "Warning"])
def test_c45_only_three_indicators(indicator: str) -> None:
    with pytest.raises(ValidationError):
        a_card(indicator=indicator)


def test_c46_a_source_has_a_label() -> None:
    refused(Source, "label", url="https://cds.example")
    refused(Source, "label", label="")


@pytest.mark.parametrize(
    "url", ["/about", "cds.example", "http://cds.example", "javascript:alert(1)", "https://", "https://a@b.example", ""]
)
def test_c47_t26_addresses_are_absolute_https(url: str) -> None:
    refused(Source, "C47|T26", label="x", url=url)
    refused(Source, "C47|T26", label="x", icon=url)
    refused(Link, "C47|T26", label="x", type="absolute", url=url)


def test_c47_this_machine_may_use_http() -> None:
    assert Source(label="x", url="http://localhost:8000/rules").url == "http://localhost:8000/rules"


def test_c48_a_topic_has_code_and_system() -> None:
    refused(Coding, "system", code="R11")
    refused(Coding, "code", system="urn:x")


# C50: uuids


def test_c50_a_uuid_is_a_uuid() -> None:
    refused(Suggestion, "C50", label="x", uuid="1")
    with pytest.raises(ValidationError, match="C50"):
        a_card(uuid="card-1")


def test_c50_uuids_are_unique_within_an_answer() -> None:
    refused(Response, "C50", cards=(a_card(), a_card()))
    twice = (a_suggestion(), a_suggestion())
    refused(Response, "C50", cards=(a_card(suggestions=twice, selectionBehavior="any"),))
    refused(Response, "C50", cards=(a_card(suggestions=(a_suggestion(uuid=CARD),), selectionBehavior="any"),))


# C51, C52: suggestions


def test_c51_suggestions_need_a_selection_behavior() -> None:
    with pytest.raises(ValidationError, match="C51"):
        a_card(suggestions=(a_suggestion(),))


@pytest.mark.parametrize("behavior", ["all", "at-least-one", ""])
def test_c51_only_two_selection_behaviors(behavior: str) -> None:
    with pytest.raises(ValidationError):
        a_card(suggestions=(a_suggestion(),), selectionBehavior=behavior)


def test_c52_a_suggestion_has_a_label() -> None:
    refused(Suggestion, "label", uuid=SUGGESTION)
    refused(Suggestion, "label", uuid=SUGGESTION, label="")


def test_c52_at_most_one_has_at_most_one_recommended() -> None:
    both = (a_suggestion(isRecommended=True), a_suggestion(isRecommended=True, uuid=str(uuid.uuid4())))
    with pytest.raises(ValidationError, match="C52"):
        a_card(suggestions=both, selectionBehavior="at-most-one")
    assert a_card(suggestions=both, selectionBehavior="any").suggestions == both
    assert a_card(suggestions=both[:1], selectionBehavior="at-most-one").suggestions == both[:1]


# C53-C55: actions


@pytest.mark.parametrize("kind", ["create", "update", "delete"])
def test_c53_an_action_has_a_type_and_a_description(kind: str) -> None:
    refused(Action, "description", type=kind, resource=ORDER)
    refused(Action, "description", type=kind, resource=ORDER, description="")


def test_c53_other_types_are_refused() -> None:
    refused(Action, "type", type="patch", description="x", resource=ORDER)


def test_c54_create_carries_a_resource_without_id() -> None:
    refused(Action, "C54", type="create", description="x")
    refused(Action, "C54", type="create", description="x", resource={"status": "draft"})
    refused(Action, "C54", type="create", description="x", resource=ORDER | {"id": "1"})
    refused(Action, "C54", type="create", description="x", resource=ORDER, resourceId="ServiceRequest/1")
    assert Action(type="create", description="x", resource=ORDER).resource == ORDER


def test_c54_update_carries_the_whole_resource() -> None:
    refused(Action, "C54", type="update", description="x", resource=ORDER)
    assert Action(type="update", description="x", resource=ORDER | {"id": "1"}).type == "update"


def test_c55_delete_names_the_resource() -> None:
    refused(Action, "C55", type="delete", description="x")
    refused(Action, "C55", type="delete", description="x", resource=ORDER, resourceId="ServiceRequest/1")
    assert Action(type="delete", description="x", resourceId="ServiceRequest/1").resource is None


# C56-C61


@pytest.mark.parametrize("missing", ["code", "system", "display"])
def test_c56_an_override_reason_has_all_three(missing: str) -> None:
    reason = {"code": "will-monitor", "system": "urn:x", "display": "Will monitor"}
    refused(OverrideReason, missing, **{name: value for name, value in reason.items() if name != missing})
    refused(OverrideReason, missing, **reason | {missing: ""})


def test_c57_a_link_is_absolute_or_smart() -> None:
    refused(Link, "type", label="x", url="https://cds.example", type="relative")


def test_c58_only_a_smart_link_has_context() -> None:
    refused(Link, "C58", label="x", url="https://cds.example", type="absolute", appContext="{}")
    assert Link(label="x", url="https://cds.example/launch", type="smart", appContext="{}").appContext == "{}"


def test_c59_c60_neither_autolaunch_nor_system_actions_are_sent(client: FlaskClient) -> None:
    body = client.post(CALL, json=a_call()).data

    assert b"autolaunchable" not in body
    assert b"systemActions" not in body
    refused(Response, "systemActions", cards=(), systemActions=[])


@pytest.mark.parametrize("name", ["assessment", "Assessment", "", "org"])
def test_c61_extension_names_are_reverse_domain(name: str) -> None:
    with pytest.raises(ValidationError, match="C61"):
        a_card(extension={name: 1})


def test_c61_an_extension_is_an_object() -> None:
    with pytest.raises(ValidationError):
        a_card(extension=[{"org.atrophy-cds.assessment": 1}])


def test_fields_that_the_specification_does_not_have_are_refused() -> None:
    with pytest.raises(ValidationError):
        a_card(severity="high")


def test_a_card_does_not_change_once_made() -> None:
    with pytest.raises(ValidationError):
        a_card().summary = "Other"


# C2, C3, C5: how it is written


def test_c3_a_card_with_every_option_empty_is_the_minimal_card() -> None:
    bare = a_card()
    empty = a_card(detail="", suggestions=(), selectionBehavior=None, overrideReasons=(), links=(), extension={})

    assert encode(Response(cards=(empty,), extension={})) == encode(Response(cards=(bare,)))


def test_c2_empty_parts_of_resources_and_extensions_are_left_out() -> None:
    order = ORDER | {"note": [], "code": {"coding": [{"display": ""}, None], "text": None}, "doNotPerform": False}
    action = Action(type="create", description="x", resource=order)
    card = a_card(
        suggestions=(a_suggestion(actions=(action,)),),
        selectionBehavior="any",
        extension={"org.atrophy-cds.assessment": {"missing": [], "tier": 0, "basis": [{}]}},
    )

    written = json.loads(encode(Response(cards=(card,))))["cards"][0]

    assert written["suggestions"][0]["actions"][0]["resource"] == ORDER | {"doNotPerform": False}
    assert written["extension"] == {"org.atrophy-cds.assessment": {"tier": 0}}


@pytest.mark.parametrize("text", ['He said "no"', '""', ":[]", "{}", "null and void", 'a\\""', "[null]"])
def test_c2_a_text_that_looks_like_an_empty_value_is_kept(text: str) -> None:
    written = json.loads(encode(Response(cards=(a_card(detail=text),))))

    assert written["cards"][0]["detail"] == text


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(detail=TEXTS, extension=JSON)
def test_c2_c5_whatever_a_card_holds_it_is_strict_json_without_empty_parts(detail: str, extension: Any) -> None:
    card = a_card(detail=detail, extension={"org.atrophy-cds.assessment": extension})

    written = strict_json(encode(Response(cards=(card,), extension={"org.atrophy-cds.evaluation": extension})))

    assert list(empty_values(written)) == []
    assert written["cards"][0].get("detail", "") == detail
    kept = without_empty(extension)
    assert written.get("extension") == (None if kept is None else {"org.atrophy-cds.evaluation": kept})


def test_cards_keep_their_order() -> None:
    cards = tuple(a_card(uuid=str(uuid.uuid4()), indicator=kind) for kind in ("critical", "warning", "info"))

    written = json.loads(encode(Response(cards=cards)))["cards"]

    assert [card["indicator"] for card in written] == ["critical", "warning", "info"]
    assert set(written[0]) == {"uuid", "summary", "indicator", "source"}


def test_names_are_the_specifications_own() -> None:
    assert set(Card.model_fields) == {
        "uuid",
        "summary",
        "detail",
        "indicator",
        "source",
        "suggestions",
        "selectionBehavior",
        "overrideReasons",
        "links",
        "extension",
    }
