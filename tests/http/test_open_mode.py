"""P-24: without authentication the service answers this machine only; P-20: in which order it refuses."""

import msgspec
import pytest
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.errors import SettingsError
from cds_service.settings import Settings
from tests.http.stand_in import CALL, FEEDBACK, StandIn, a_call

HERE = ["localhost", "localhost:8000", "LOCALHOST", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8000"]
ELSEWHERE = [
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "localhost.",
    "localhost@evil.example",
    "evil.example/localhost",
    "127.0.0.1.evil.example",
    "127.0.0.2",
    "0.0.0.0",  # noqa: S104 - a name to refuse, not an address to listen on
    "2130706433",
    "[::]",
    "::1",
    "[::1",
    "localhost:",
    "localhost:80 evil",
    "",
]


def get(client: FlaskClient, path: str, host: str) -> int:
    return client.get(path, environ_overrides={"HTTP_HOST": host}).status_code


@pytest.mark.parametrize("host", HERE)
def test_this_machine_is_answered(client: FlaskClient, host: str) -> None:
    assert get(client, "/cds-services", host) == 200


@pytest.mark.parametrize("host", ELSEWHERE)
@pytest.mark.parametrize("path", ["/cds-services", "/nothing"])
def test_any_other_host_is_403(client: FlaskClient, host: str, path: str) -> None:
    assert get(client, path, host) == 403


@pytest.mark.parametrize("host", ELSEWHERE)
def test_no_call_gets_through_under_another_host(client: FlaskClient, service: StandIn, host: str) -> None:
    for path in (CALL, FEEDBACK):
        assert client.post(path, json=a_call(), environ_overrides={"HTTP_HOST": host}).status_code == 403
    assert service.requests == []


def test_a_forwarded_host_changes_nothing(client: FlaskClient) -> None:
    headers = {"X-Forwarded-Host": "localhost", "Forwarded": "host=localhost"}

    response = client.get("/cds-services", headers=headers, environ_overrides={"HTTP_HOST": "evil.example"})

    assert response.status_code == 403


def test_authorization_is_ignored(client: FlaskClient) -> None:
    assert client.post(CALL, json=a_call(), headers={"Authorization": "Bearer nonsense"}).status_code == 200


def test_c68_a_service_that_is_not_open_does_not_start_without_clients(settings: Settings, service: StandIn) -> None:
    closed = msgspec.structs.replace(settings, open=False)

    with pytest.raises(SettingsError, match="No CDS Client"):
        create_app(closed, store=service.store, service=service)


def test_the_profile_of_the_settings_is_the_clients(settings: Settings, service: StandIn) -> None:
    app = create_app(msgspec.structs.replace(settings, profile="cds-hooks-3.0"), store=service.store, service=service)

    document = app.test_client().get("/cds-services", base_url="http://localhost").get_json()

    assert document["services"][0]["version"] == "3.0.0"


@pytest.mark.parametrize(
    ("status", "request_with"),
    [
        (204, {"method": "OPTIONS", "path": "/nothing", "environ_overrides": {"HTTP_HOST": "evil.example"}}),
        (403, {"method": "POST", "path": "/nothing", "environ_overrides": {"HTTP_HOST": "evil.example"}}),
        (404, {"method": "DELETE", "path": "/cds-services/other", "data": b"x", "content_type": "text/plain"}),
        (405, {"method": "PUT", "path": CALL, "data": b"x", "content_type": "text/plain"}),
        (413, {"method": "POST", "path": CALL, "data": b"x", "environ_overrides": {"CONTENT_LENGTH": "99999999"}}),
        (415, {"method": "POST", "path": CALL, "data": b"x", "content_type": "text/plain"}),
        (400, {"method": "POST", "path": CALL, "data": b"x", "content_type": "application/json"}),
    ],
)
def test_p_20_of_several_faults_the_first_in_this_order_is_told(
    client: FlaskClient, status: int, request_with: dict[str, object]
) -> None:
    assert client.open(**request_with).status_code == status
