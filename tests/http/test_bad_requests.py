"""Whatever is wrong with a call is refused with 400 and a text that names the field, never its value."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.http.stand_in import CALL, StandIn, a_call, a_context, an_authorization, diagnostics

SERVER = "https://fhir.example/r4"
CANARY = "canary-7c1f"


def post(client: FlaskClient, body: object) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(CALL, data=data, content_type="application/json")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"{",
        b'{"hook": "patient-view"',
        b"{'hook': 'patient-view'}",
        b"\xef\xbb\xbf{}",
        '{"hook":"patient-view"}'.encode("utf-16"),
        b'{"hook":"patient-view"} {"hook":"patient-view"}',
        b'{"hook": NaN}',
        b'{"hook":"patient-view","prefetch":{"patient":{"x":Infinity}}}',
        b'{"hook":"\\ud800"}',
        b'{"hook":"\\udc00\\ud800"}',
        b'{"hook":"patient-view",}',
        b'{"a":1 /* comment */}',
    ],
)
def test_not_json(client: FlaskClient, body: bytes) -> None:
    response = post(client, body)

    assert response.status_code == 400
    assert "not JSON" in diagnostics(response)


def test_a_field_that_is_not_utf_8(client: FlaskClient) -> None:
    response = post(client, json.dumps(a_call(hook="MARK")).encode().replace(b"MARK", b"\xff\xfe"))

    assert response.status_code == 400
    assert "`hook`" in diagnostics(response)


@pytest.mark.parametrize("body", [[], "patient-view", 7, None, True, [a_call()]])
def test_json_but_no_object(client: FlaskClient, body: object) -> None:
    response = post(client, body)

    assert response.status_code == 400
    assert "JSON object" in diagnostics(response)


WRONG_FIELDS = [
    # C22: the three that must be there
    ("hook", a_call(hook=...)),
    ("hook", a_call(hook=None)),
    ("hook", a_call(hook=7)),
    ("hook", a_call(hook=["patient-view"])),
    ("hookInstance", a_call(hookInstance=...)),
    ("hookInstance", a_call(hookInstance=None)),
    ("hookInstance", a_call(hookInstance={"id": 1})),
    ("context", a_call(context=...)),
    ("context", a_call(context=None)),
    ("context", a_call(context=[])),
    ("context", a_call(context="p1")),
    # wrong hook for this service
    ("hook", a_call(hook="order-select")),
    ("hook", a_call(hook="Patient-View")),
    ("hook", a_call(hook="patient-view ")),
    # P-20: hookInstance that is not a UUID; a line break would forge a log line (T33)
    ("hookInstance", a_call(hookInstance="")),
    ("hookInstance", a_call(hookInstance="1")),
    ("hookInstance", a_call(hookInstance="d1577c69-dfbe-44ad-ba6d-3e05e953b2ea\n")),
    ("hookInstance", a_call(hookInstance="{d1577c69-dfbe-44ad-ba6d-3e05e953b2ea}")),
    ("hookInstance", a_call(hookInstance="d1577c69dfbe44adba6d3e05e953b2ea")),
    # C27: who looks at whom
    ("context.userId", a_call(context=a_context(userId=...))),
    ("context.userId", a_call(context=a_context(userId=None))),
    ("context.userId", a_call(context=a_context(userId=7))),
    ("context.userId", a_call(context=a_context(userId="u1"))),
    ("context.userId", a_call(context=a_context(userId="Practitioner/"))),
    ("context.userId", a_call(context=a_context(userId="Device/u1"))),
    ("context.userId", a_call(context=a_context(userId="practitioner/u1"))),
    ("context.userId", a_call(context=a_context(userId="https://fhir.example/Practitioner/u1"))),
    ("context.userId", a_call(context=a_context(userId="Practitioner/u1/_history/2"))),
    ("context.patientId", a_call(context=a_context(patientId=...))),
    ("context.patientId", a_call(context=a_context(patientId=None))),
    ("context.patientId", a_call(context=a_context(patientId=17))),
    ("context.encounterId", a_call(context=a_context(encounterId=17))),
    ("context.encounterId", a_call(context=a_context(encounterId=""))),
    # C23, C25: authorization belongs to a server and is a bearer token
    ("fhirServer", a_call(fhirAuthorization=an_authorization())),
    ("fhirAuthorization", a_call(fhirServer=SERVER, fhirAuthorization="token")),
    ("fhirAuthorization.access_token", a_call(fhirServer=SERVER, fhirAuthorization=an_authorization(access_token=...))),
    ("fhirAuthorization.access_token", a_call(fhirServer=SERVER, fhirAuthorization=an_authorization(access_token=7))),
    ("fhirAuthorization.access_token", a_call(fhirServer=SERVER, fhirAuthorization=an_authorization(access_token=""))),
    (
        "fhirAuthorization.access_token",
        a_call(fhirServer=SERVER, fhirAuthorization=an_authorization(access_token="a\r\nX-Evil: 1")),
    ),
    ("fhirAuthorization.token_type", a_call(fhirServer=SERVER, fhirAuthorization=an_authorization(token_type=...))),
    ("fhirAuthorization.token_type", a_call(fhirServer=SERVER, fhirAuthorization=an_authorization(token_type="mac"))),
    ("fhirAuthorization.expires_in", a_call(fhirServer=SERVER, fhirAuthorization=an_authorization(expires_in="300"))),
    ("fhirAuthorization.expires_in", a_call(fhirServer=SERVER, fhirAuthorization=an_authorization(expires_in=...))),
    ("fhirAuthorization.scope", a_call(fhirServer=SERVER, fhirAuthorization=an_authorization(scope=...))),
    ("fhirAuthorization.subject", a_call(fhirServer=SERVER, fhirAuthorization=an_authorization(subject=...))),
    ("fhirAuthorization.patient", a_call(fhirServer=SERVER, fhirAuthorization=an_authorization(patient="../p"))),
    # fhirServer: an absolute http(s) URL with nothing hidden in it (T1)
    ("fhirServer", a_call(fhirServer=7)),
    ("fhirServer", a_call(fhirServer="")),
    ("fhirServer", a_call(fhirServer="fhir.example/r4")),
    ("fhirServer", a_call(fhirServer="//fhir.example/r4")),
    ("fhirServer", a_call(fhirServer="/r4")),
    ("fhirServer", a_call(fhirServer="file:///etc/passwd")),
    ("fhirServer", a_call(fhirServer="https://")),
    ("fhirServer", a_call(fhirServer="https://user@fhir.example/r4")),
    ("fhirServer", a_call(fhirServer="https://fhir.example@evil.example/r4")),
    ("fhirServer", a_call(fhirServer="https://fhir.example/r4?x=1")),
    ("fhirServer", a_call(fhirServer="https://fhir.example/r4?")),
    ("fhirServer", a_call(fhirServer="https://fhir.example/r4#x")),
    ("fhirServer", a_call(fhirServer="https://fhir.example:port/r4")),
    ("fhirServer", a_call(fhirServer="https://fhir.example:99999/r4")),
    ("fhirServer", a_call(fhirServer="https://[::1/r4")),
    ("fhirServer", a_call(fhirServer="https://fhir.exa\tmple/r4")),
    ("fhirServer", a_call(fhirServer="https://fhir.example/r4 ")),
    ("fhirServer", a_call(fhirServer="https:\\\\fhir.example\\r4")),
    ("fhirServer", a_call(fhirServer="https://fhir.example/" + "r" * 3000)),
    # prefetch is an object
    ("prefetch", a_call(prefetch=[])),
    ("prefetch", a_call(prefetch="Patient/p1")),
    ("prefetch", a_call(prefetch=7)),
]


@pytest.mark.parametrize(("field", "body"), WRONG_FIELDS)
def test_a_field_that_is_missing_mistyped_or_unusable_is_named(
    client: FlaskClient, service: StandIn, field: str, body: dict[str, Any]
) -> None:
    response = post(client, body)

    assert response.status_code == 400
    assert f"`{field}`" in diagnostics(response)
    assert service.requests == []


@pytest.mark.parametrize(
    "patient_id",
    ["p1&_count=9999", "../Patient", "a,b", "%26", "$1", "..", ".", "", "p1\n", "p 1", "p1?x", "p1#x", "pä", "p" * 256],
)
def test_t8_ids_that_would_change_a_fhir_query(client: FlaskClient, patient_id: str) -> None:
    for field, context in (
        ("context.patientId", a_context(patientId=patient_id)),
        ("context.encounterId", a_context(encounterId=patient_id)),
        ("context.userId", a_context(userId=f"Practitioner/{patient_id}")),
    ):
        response = post(client, a_call(context=context))

        assert response.status_code == 400
        assert f"`{field}`" in diagnostics(response)


@pytest.mark.parametrize("patient_id", ["p1", "1.2-3.A", "-", "e" + "M.-" * 64 + "x", "p" * 255])
def test_p_12_ids_of_fhir_and_the_longer_ones_of_epic_are_taken(
    client: FlaskClient, service: StandIn, patient_id: str
) -> None:
    assert post(client, a_call(context=a_context(patientId=patient_id))).status_code == 200
    assert service.requests[0].patient_id == patient_id


def test_t10_a_refusal_repeats_nothing_of_what_was_sent(client: FlaskClient) -> None:
    for body in (
        a_call(hook=CANARY),
        a_call(hookInstance=CANARY),
        a_call(context=a_context(patientId=f"{CANARY}/..")),
        a_call(context=a_context(userId=CANARY)),
        a_call(fhirServer=f"ftp://{CANARY}"),
        a_call(fhirServer=SERVER, fhirAuthorization=an_authorization(token_type=CANARY)),
        a_call(fhirServer=SERVER, fhirAuthorization={CANARY: 1}),
        a_call(prefetch=CANARY),
    ):
        response = post(client, body)

        assert response.status_code == 400
        assert CANARY.encode() not in response.data
        assert CANARY not in str(response.headers)
