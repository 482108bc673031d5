"""CDS Hooks, Discovery: what a CDS Client learns from GET {base}/cds-services."""

import json

import pytest
from flask.testing import FlaskClient

from cds_service.cds_hooks.discovery import discovery_document
from tests.http.stand_in import PREFETCH, a_call


def test_c6_discovery_answers_200(client: FlaskClient) -> None:
    assert client.get("/cds-services").status_code == 200


def test_c1_it_is_json(client: FlaskClient) -> None:
    assert client.get("/cds-services").mimetype == "application/json"


def test_c7_the_document_holds_an_array_of_services(client: FlaskClient) -> None:
    document = client.get("/cds-services").get_json()

    assert set(document) == {"services"}
    assert isinstance(document["services"], list)


@pytest.mark.parametrize("member", ["hook", "id", "description", "title", "usageRequirements"])
def test_c9_c10_c14_each_service_says_what_it_is(client: FlaskClient, member: str) -> None:
    for service in client.get("/cds-services").get_json()["services"]:
        assert isinstance(service[member], str)
        assert service[member].strip() == service[member] != ""


def test_there_is_one_service_for_patient_view(client: FlaskClient) -> None:
    services = client.get("/cds-services").get_json()["services"]

    assert [(service["id"], service["hook"]) for service in services] == [("atrophy-risk", "patient-view")]


def test_c13_prefetch_is_an_object_of_strings(client: FlaskClient) -> None:
    (service,) = client.get("/cds-services").get_json()["services"]

    assert service["prefetch"] == PREFETCH


def test_c2_without_templates_there_is_no_prefetch() -> None:
    (service,) = json.loads(discovery_document("2.0", {}))["services"]

    assert "prefetch" not in service


def test_cds_hooks_2_0_knows_no_versions() -> None:
    (service,) = json.loads(discovery_document("2.0", PREFETCH))["services"]

    assert set(service) == {"hook", "id", "title", "description", "prefetch", "usageRequirements"}


def test_c11_c12_cds_hooks_3_0_is_told_both_versions() -> None:
    (service,) = json.loads(discovery_document("3.0", PREFETCH))["services"]

    assert service["version"] == "3.0.0"
    assert service["hookVersion"] == "1.0"


def test_c11_the_version_told_can_be_set() -> None:
    (service,) = json.loads(discovery_document("3.0", PREFETCH, version="3.0.0-ballot"))["services"]

    assert service["version"] == "3.0.0-ballot"


def test_c15_every_listed_service_answers(client: FlaskClient) -> None:
    for service in client.get("/cds-services").get_json()["services"]:
        assert client.post(f"/cds-services/{service['id']}", json=a_call()).status_code == 200


def test_c15_an_unlisted_service_is_404(client: FlaskClient) -> None:
    assert client.post("/cds-services/unlisted", json=a_call()).status_code == 404


def test_head_is_answered_like_get_without_a_body(client: FlaskClient) -> None:
    response = client.head("/cds-services")

    assert (response.status_code, response.data) == (200, b"")
