"""``load-fixtures``: synthetic patients go only where they may go, whole or with the reason why not (T38, T40)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import responses

from cds_service.cli.load_fixtures import NotWritten, load_fixtures
from cds_service.errors import SettingsError

BASE = "http://localhost:8080/fhir"


@pytest.fixture
def server() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        yield mocked


def test_every_patient_is_one_transaction(server: responses.RequestsMock) -> None:
    server.post(BASE, json={"resourceType": "Bundle"})
    load_fixtures(f"{BASE}/", None, None)
    bundles = [json.loads(call.request.body) for call in server.calls]
    assert len(bundles) == len(list((Path(__file__).parents[3] / "fixtures" / "patients").glob("*.json")))
    assert {bundle["type"] for bundle in bundles} == {"transaction"}
    assert {entry["request"]["method"] for bundle in bundles for entry in bundle["entry"]} == {"PUT"}


@pytest.mark.parametrize("base", ["https://fhir.example/r4", "http://10.0.0.1/fhir", "http://localhost.example/fhir"])
def test_t40_another_machine_is_written_to_only_when_it_is_named(server: responses.RequestsMock, base: str) -> None:
    for write_to in (None, "other.example", "localhost"):
        with pytest.raises(SettingsError, match="--write-to"):
            load_fixtures(base, write_to, None)
    assert not server.calls


def test_named_it_is_written_to(server: responses.RequestsMock) -> None:
    server.post("https://fhir.example/r4", json={})
    assert load_fixtures("https://fhir.example/r4", "fhir.example", None) == 0


@pytest.mark.parametrize("base", ["fhir.example", "file:///tmp", "ftp://localhost/x", ""])
def test_what_is_no_address(base: str) -> None:
    with pytest.raises(SettingsError, match="no http or https address"):
        load_fixtures(base, None, None)


def test_a_token_is_read_from_a_file(server: responses.RequestsMock, tmp_path: Path) -> None:
    """T38: an argument could be read by every user of the machine."""
    server.post(BASE, json={})
    (tmp_path / "token").write_text("secret\n")
    load_fixtures(BASE, None, tmp_path / "token")
    assert server.calls[0].request.headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, {"issue": [{"diagnostics": "HAPI-0541: reference not found"}]}, "400 HAPI-0541: reference not found"),
        (403, {"issue": [{"code": "forbidden"}]}, "403 forbidden"),
        (500, "broken", "500 without an OperationOutcome"),
        (302, {}, "302 without an OperationOutcome"),
    ],
)
def test_a_refusal_says_who_was_refused_and_why(
    server: responses.RequestsMock, status: int, body: object, said: str
) -> None:
    server.post(BASE, json=body, status=status)
    with pytest.raises(NotWritten, match=said) as caught:
        load_fixtures(BASE, None, None)
    assert "ada-steroid-myopathy" in str(caught.value)


def test_a_server_that_is_not_there(server: responses.RequestsMock) -> None:
    with pytest.raises(NotWritten, match="cannot be reached"):
        load_fixtures(BASE, None, None)
