"""Unknown paths, wrong methods, failures: always an OperationOutcome, never `cards: []` (C15, C62, T21, T23, T35)."""

import json

import pytest
import structlog
from fhir.resources.R4B.operationoutcome import OperationOutcome
from flask.testing import FlaskClient
from structlog.testing import capture_logs
from werkzeug.exceptions import ImATeapot

from cds_service.errors import DataNotAvailable, NotAllowed
from cds_service.web import call_log
from tests.http.stand_in import CALL, FEEDBACK, HOOK_INSTANCE, StandIn, a_call, an_item, diagnostics

CANARY = "canary-Smith-1950"


@pytest.mark.parametrize(
    "path",
    [
        "/cds-services/other",
        "/cds-services/Atrophy-Risk",
        "/cds-services/atrophy-risk/",
        "/cds-services/atrophy-risk/other",
        "/cds-services/../x",
        "/cds-services/%2e%2e/x",
        "/cds-services/..%2f..%2fetc%2fpasswd",
        "/cds-services/atrophy-risk/../../x",
        "/cds-service",
        "/cds-services/atrophy-risk%00",
        "/x//cds-services",
        "/.git/config",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_c15_t21_an_unknown_path_is_404_whatever_the_method(client: FlaskClient, path: str, method: str) -> None:
    response = client.open(path, method=method)

    assert response.status_code == 404
    assert response.get_json()["issue"][0]["code"] == "not-found"


@pytest.mark.parametrize(
    ("path", "allowed", "methods"),
    [
        ("/cds-services", {"GET", "HEAD", "OPTIONS"}, ["POST", "PUT", "DELETE", "PATCH"]),
        (CALL, {"POST", "OPTIONS"}, ["GET", "PUT", "DELETE", "PATCH"]),
        (FEEDBACK, {"POST", "OPTIONS"}, ["GET", "PUT", "DELETE", "PATCH"]),
    ],
)
def test_a_wrong_method_is_405_and_says_which_are_right(
    client: FlaskClient, path: str, allowed: set[str], methods: list[str]
) -> None:
    for method in methods:
        response = client.open(path, method=method)

        assert response.status_code == 405
        assert set(response.headers["Allow"].split(", ")) == allowed


def test_the_sandbox_reaches_the_service_when_its_user_typed_a_slash_at_the_end(client: FlaskClient) -> None:
    assert client.get("/cds-services/").status_code == 200
    assert client.post("/cds-services//atrophy-risk", json=a_call()).status_code == 200
    assert client.post("/cds-services//atrophy-risk/feedback", json={"feedback": []}).status_code == 200


def test_t23_a_failure_is_500_and_repeats_nothing(client: FlaskClient, service: StandIn) -> None:
    service.failure = ValueError(CANARY)

    response = client.post(CALL, json=a_call())

    assert response.status_code == 500
    assert CANARY.encode() not in response.data
    assert "cards" not in response.get_json()
    assert response.get_json()["issue"][0]["severity"] == "fatal"


def test_a_failure_is_logged_by_kind_and_place_without_its_message(client: FlaskClient, service: StandIn) -> None:
    service.failure = ValueError(CANARY)

    with capture_logs() as lines:
        client.post(CALL, json=a_call())

    assert len(lines) == 1
    assert lines[0]["log_level"] == "error"
    assert lines[0]["status"] == 500
    assert lines[0]["error"] == "ValueError"
    assert lines[0]["hook_instance"] == HOOK_INSTANCE
    assert any("web/hooks.py" in place for place in lines[0]["error_at"])
    assert CANARY not in str(lines)


def test_an_http_error_that_nobody_foresaw_is_500_without_its_text(client: FlaskClient, service: StandIn) -> None:
    service.failure = ImATeapot(CANARY)

    response = client.post(CALL, json=a_call())

    assert response.status_code == 500
    assert CANARY.encode() not in response.data


def test_the_service_answers_after_a_failure(client: FlaskClient, service: StandIn) -> None:
    service.failure = RecursionError()
    client.post(CALL, json=a_call())
    service.failure = None

    assert client.post(CALL, json=a_call()).status_code == 200


def test_c6_discovery_answers_while_the_service_fails(client: FlaskClient, service: StandIn) -> None:
    service.failure = OSError()
    client.post(CALL, json=a_call())

    assert client.get("/cds-services").status_code == 200


def test_c32_required_data_not_to_be_had_is_412(client: FlaskClient, service: StandIn) -> None:
    service.failure = DataNotAvailable("The conditions could not be read.")

    response = client.post(CALL, json=a_call())

    assert response.status_code == 412
    assert response.get_json()["issue"][0] == {
        "severity": "error",
        "code": "incomplete",
        "diagnostics": "The conditions could not be read.",
    }


def test_a_known_client_without_a_right_is_403(client: FlaskClient, service: StandIn) -> None:
    service.failure = NotAllowed("Not for this client.")

    assert client.post(CALL, json=a_call()).status_code == 403


@pytest.mark.parametrize("failure", [ValueError(), DataNotAvailable("Not read.")])
def test_an_outcome_is_valid_fhir(client: FlaskClient, service: StandIn, failure: Exception) -> None:
    service.failure = failure

    OperationOutcome.model_validate(client.post(CALL, json=a_call()).get_json())


def test_a_call_is_one_log_line_of_counts_and_times(client: FlaskClient) -> None:
    with capture_logs() as lines:
        client.post(CALL, json=a_call(prefetch={"patient": {"id": CANARY}}))

    assert len(lines) == 1
    line = lines[0]
    assert line["log_level"] == "info"
    assert line["endpoint"] == "hooks.call"
    assert (line["status"], line["client"], line["hook_instance"]) == (200, "open", HOOK_INSTANCE)
    assert (line["rules"], line["cards"]) == (["steroid-myopathy"], 1)
    assert set(line["stages"]) == {"read", "data", "rules"}
    assert CANARY not in str(line)


def test_a_refusal_is_one_log_line_with_our_own_words(client: FlaskClient) -> None:
    with capture_logs() as lines:
        response = client.post(CALL, json=a_call(hookInstance=f"{CANARY}\n\x1b[31m"))

    assert [line["refusal"] for line in lines] == [diagnostics(response)]
    assert CANARY not in str(lines)


def test_p_22_feedback_is_one_log_line_of_counts(client: FlaskClient) -> None:
    with capture_logs() as lines:
        client.post(FEEDBACK, json={"feedback": [an_item(overrideReason={"userComment": CANARY})]})

    assert [(line["items"], line["unknown"], line["stored"]) for line in lines] == [(1, 1, 0)]
    assert CANARY not in str(lines)


def test_a_path_is_not_logged(client: FlaskClient) -> None:
    with capture_logs() as lines:
        client.get(f"/Patient/{CANARY}?name={CANARY}")

    assert CANARY not in str(lines)


def test_t33_no_value_begins_a_log_line_of_its_own_or_colours_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    call_log.configure()
    structlog.get_logger().info("call", value="a\r\n{}\x1b[31m\u2028")

    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert written.isascii()
    assert "\x1b" not in written
    assert json.loads(written)["value"] == "a\r\n{}\x1b[31m\u2028"
