"""T22: unusual input that breaks no rule is answered, and what we do not know is ignored (C61, P-13)."""

import json
from typing import Any, get_args

import msgspec
import pytest
from flask.testing import FlaskClient

from cds_service.cds_hooks.request import Prefetch, parse_hook_request
from cds_service.errors import BadRequest
from cds_service.record import SourceName
from tests.http.stand_in import CALL, HOOK_INSTANCE, StandIn, a_call, a_context, an_authorization

SERVER = "https://fhir.example/r4"


def body_of(**changes: Any) -> bytes:
    return json.dumps(a_call(**changes)).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"prefetch": ...},
        {"prefetch": None},
        {"prefetch": {}},
        {"prefetch": {"somebodyElses": {"resourceType": "Bundle"}}},
        {"prefetch": {"conditions": {"resourceType": "Bundle", "entry": [None, {}, {"fullUrl": "x"}]}}},
        {"fhirServer": None, "fhirAuthorization": None},
        {"context": a_context(encounterId=None)},
        {"context": a_context(com_example="x")},
        {"extension": {"com.epic.cdshooks.request.bpa-trigger-action": "60"}},
        {"extension": []},
        {"extension": None},
        {"extension": "x"},
        {"unknown": {"deep": [1, 2, 3]}},
        {"hookInstance": HOOK_INSTANCE.upper()},
        {"hookInstance": "a24d6e2c-8b4f-11ee-b9d1-0242ac120002"},  # version 1, as Epic sends
    ],
)
def test_is_answered(client: FlaskClient, changes: dict[str, Any]) -> None:
    response = client.post(CALL, json=a_call(**changes))

    assert response.status_code == 200


@pytest.mark.parametrize("user", ["Practitioner", "PractitionerRole", "Patient", "RelatedPerson"])
def test_c27_each_kind_of_user(user: str) -> None:
    request = parse_hook_request(body_of(context=a_context(userId=f"{user}/u.1-a")))

    assert request.user_id == f"{user}/u.1-a"


def test_everything_of_a_full_call_is_kept() -> None:
    request = parse_hook_request(
        body_of(
            context=a_context(encounterId="e1"),
            fhirServer="https://fhir.example:8443/r4/",
            fhirAuthorization=an_authorization(patient="p1", scope="Epic text (with spaces)"),
            extension={"com.example.trigger": "60"},
        )
    )

    assert request.hook_instance == HOOK_INSTANCE
    assert (request.user_id, request.patient_id, request.encounter_id) == ("Practitioner/u1", "p1", "e1")
    assert request.fhir_server == "https://fhir.example:8443/r4"
    assert request.authorization is not None
    assert request.authorization.access_token == "canary-token"
    assert request.authorization.scope == "Epic text (with spaces)"
    assert request.extension is not None
    assert json.loads(bytes(request.extension)) == {"com.example.trigger": "60"}


def test_c31_and_c34_a_key_that_did_not_come_differs_from_one_without_results() -> None:
    prefetch = parse_hook_request(body_of(prefetch={"conditions": None, "patient": {}})).prefetch

    assert prefetch is not None
    assert prefetch.observations is msgspec.UNSET
    assert bytes(prefetch.conditions) == b"null"
    assert [(key, bytes(value)) for key, value in prefetch.present()] == [("patient", b"{}"), ("conditions", b"null")]


def test_p_13_our_prefetch_keys_are_the_names_of_the_sources() -> None:
    assert Prefetch.__struct_encode_fields__ == get_args(SourceName)


def test_p_13_of_a_duplicate_key_the_last_counts() -> None:
    body = body_of().replace(b'"patientId": "p1"', b'"patientId": "other", "patientId": "p1"')

    assert b"other" in body
    assert parse_hook_request(body).patient_id == "p1"


def test_p_13_bad_utf_8_inside_one_prefetch_value_is_left_to_that_source() -> None:
    body = body_of(prefetch={"conditions": "MARK"}).replace(b"MARK", b"\xff")

    prefetch = parse_hook_request(body).prefetch

    assert prefetch is not None
    assert bytes(prefetch.conditions) == b'"\xff"'


def test_p_13_bad_utf_8_in_the_extension_is_400() -> None:
    body = body_of(extension={"com.example.x": "MARK"}).replace(b"MARK", b"\xff")

    with pytest.raises(BadRequest, match="not UTF-8"):
        parse_hook_request(body)


def test_an_extension_that_is_no_object_is_ignored() -> None:
    assert parse_hook_request(body_of(extension=[{"com.example.x": 1}])).extension is None


def test_rfc_6749_the_token_type_is_compared_without_case() -> None:
    body = body_of(fhirServer=SERVER, fhirAuthorization=an_authorization(token_type="bearer"))

    assert parse_hook_request(body).authorization is not None


def test_t10_neither_token_nor_patient_shows_when_a_request_is_printed() -> None:
    request = parse_hook_request(
        body_of(
            context=a_context(patientId="canary-patient"),
            fhirServer=SERVER,
            fhirAuthorization=an_authorization(),
            prefetch={"patient": {"id": "canary-patient"}},
        )
    )

    assert "canary" not in repr(request) + repr(request.authorization) + repr(request.prefetch) + str(request)


def test_calls_after_a_refused_one_are_answered(client: FlaskClient, service: StandIn) -> None:
    client.post(CALL, data=b"{", content_type="application/json")

    assert client.post(CALL, json=a_call()).status_code == 200
    assert len(service.requests) == 1
