"""T19, C78, P-21, P-24: which web pages may call, and what a browser is told."""

import msgspec
import pytest
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.settings import Settings
from tests.http.stand_in import CALL, FEEDBACK, CheckedClient, StandIn, a_call

LOOPBACK = ["http://localhost", "http://localhost:8080", "https://127.0.0.1:9000", "http://[::1]:5173"]
LISTED = "https://sandbox.example"
FOREIGN = [
    "https://evil.example",
    "null",
    "*",
    "",
    "http://localhost.evil.example",
    "http://evil.example/http://localhost",
    "http://localhost@evil.example",
    "https://sandbox.example.evil.example",
    "http://sandbox.example",  # listed with https only
    "https://sandbox.example:8443",
    "file://",
    "chrome-extension://localhost",
    "http://127.0.0.1.nip.example",
    "http://0.0.0.0:8000",
]


@pytest.fixture
def client(settings: Settings, service: StandIn) -> FlaskClient:
    app = create_app(msgspec.structs.replace(settings, allow_origins=(LISTED,)), store=service.store, service=service)
    app.test_client_class = CheckedClient
    return app.test_client()


def preflight(client: FlaskClient, path: str, origin: str) -> dict[str, str]:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    response = client.options(path, headers=asked)
    assert response.status_code == 204
    assert response.data == b""
    return dict(response.headers)


@pytest.mark.parametrize("path", ["/cds-services", CALL, FEEDBACK])
@pytest.mark.parametrize("origin", [*LOOPBACK, LISTED])
def test_a_preflight_from_an_allowed_origin_may_send_a_token_and_json(
    client: FlaskClient, path: str, origin: str
) -> None:
    headers = preflight(client, path, origin)

    assert headers["Access-Control-Allow-Origin"] == origin
    assert headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
    assert headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert "Access-Control-Allow-Credentials" not in headers
    assert "Origin" in headers["Vary"]


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_preflight_from_any_other_origin_is_told_nothing(client: FlaskClient, origin: str) -> None:
    headers = preflight(client, CALL, origin)

    assert [name for name in headers if name.startswith("Access-Control")] == []
    assert "Origin" in headers["Vary"]


@pytest.mark.parametrize("origin", [*LOOPBACK, LISTED])
def test_an_answer_may_be_read_by_an_allowed_origin(client: FlaskClient, origin: str) -> None:
    response = client.post(CALL, json=a_call(), headers={"Origin": origin})

    assert response.headers["Access-Control-Allow-Origin"] == origin
    assert "Access-Control-Allow-Methods" not in response.headers


@pytest.mark.parametrize("origin", FOREIGN)
def test_an_answer_is_not_readable_by_any_other_origin(client: FlaskClient, origin: str) -> None:
    response = client.post(CALL, json=a_call(), headers={"Origin": origin})

    assert "Access-Control-Allow-Origin" not in response.headers


def test_without_an_origin_nothing_is_said(client: FlaskClient) -> None:
    assert "Access-Control-Allow-Origin" not in client.get("/cds-services").headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", CALL, 405), ("POST", CALL, 415), ("POST", "/cds-services", 405)],
)
def test_p_21_refusals_can_be_read_too(client: FlaskClient, method: str, path: str, status: int) -> None:
    response = client.open(path, method=method, headers={"Origin": LISTED})

    assert response.status_code == status
    assert response.headers["Access-Control-Allow-Origin"] == LISTED


def test_p_21_failures_can_be_read_too(client: FlaskClient, service: StandIn) -> None:
    service.failure = ZeroDivisionError()

    response = client.post(CALL, json=a_call(), headers={"Origin": LISTED})

    assert response.status_code == 500
    assert response.headers["Access-Control-Allow-Origin"] == LISTED


def test_an_origin_is_compared_without_case(client: FlaskClient) -> None:
    response = client.get("/cds-services", headers={"Origin": "HTTPS://Sandbox.Example"})

    assert response.headers["Access-Control-Allow-Origin"] == "HTTPS://Sandbox.Example"


def test_options_that_is_no_preflight_is_204(client: FlaskClient) -> None:
    response = client.options(CALL)

    assert response.status_code == 204
    assert "Access-Control-Allow-Origin" not in response.headers
