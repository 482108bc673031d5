"""CDS Hooks, Calling a CDS Service: the request that must be understood (C22-C27; the rest is in tests/http)."""

import pytest
from flask.testing import FlaskClient

from tests.http.stand_in import CALL, StandIn, a_call, a_context, an_authorization

SERVER = "https://fhir.example/r4"


def test_c22_hook_hookinstance_and_context_are_enough(client: FlaskClient, service: StandIn) -> None:
    body = a_call(prefetch=...)

    assert set(body) == {"hook", "hookInstance", "context"}
    assert client.post(CALL, json=body).status_code == 200
    assert service.requests[0].prefetch is None


@pytest.mark.parametrize("member", ["hook", "hookInstance", "context"])
def test_c22_none_of_the_three_may_be_missing(client: FlaskClient, member: str) -> None:
    assert client.post(CALL, json=a_call(**{member: ...})).status_code == 400


def test_c23_authorization_requires_a_server(client: FlaskClient) -> None:
    assert client.post(CALL, json=a_call(fhirAuthorization=an_authorization())).status_code == 400
    assert client.post(CALL, json=a_call(fhirServer=SERVER, fhirAuthorization=an_authorization())).status_code == 200


def test_p_24_a_server_does_not_require_authorization(client: FlaskClient, service: StandIn) -> None:
    assert client.post(CALL, json=a_call(fhirServer=SERVER)).status_code == 200
    assert service.requests[0].fhir_server == SERVER
    assert service.requests[0].authorization is None


def test_p_25_a_server_that_nobody_listed_does_not_refuse_the_call(client: FlaskClient) -> None:
    assert client.post(CALL, json=a_call(fhirServer="http://10.0.0.1:8080/fhir")).status_code == 200


@pytest.mark.parametrize("member", ["access_token", "token_type", "expires_in", "scope", "subject"])
def test_c25_authorization_is_whole(client: FlaskClient, member: str) -> None:
    body = a_call(fhirServer=SERVER, fhirAuthorization=an_authorization(**{member: ...}))

    assert client.post(CALL, json=body).status_code == 400


def test_c27_an_encounter_may_be_open(client: FlaskClient, service: StandIn) -> None:
    client.post(CALL, json=a_call(context=a_context(encounterId="e1")))

    assert service.requests[0].encounter_id == "e1"


def test_the_epic_sample_of_a_call_is_understood(client: FlaskClient, service: StandIn) -> None:
    """The shapes Epic documents: UUID version 1, long ids, scopes that are texts, an extension object (section 3)."""
    body = a_call(
        hookInstance="a24d6e2c-8b4f-11ee-b9d1-0242ac120002",
        fhirServer="https://fhir.example/interconnect/api/FHIR/R4",
        fhirAuthorization=an_authorization(scope="Patient.Read (Demographics) (R4) Condition.Search (Problems) (R4)"),
        context=a_context(userId="PractitionerRole/e" + "x.Y-" * 40 + "3", patientId="e" + "qB-" * 40 + "3"),
        extension={
            "com.epic.cdshooks.request.bpa-trigger-action": "60",
            "com.epic.cdshooks.request.cds-hooks-specification-version": "1.1",
        },
    )

    assert client.post(CALL, json=body).status_code == 200
    assert service.requests[0].user_id.startswith("PractitionerRole/e")
