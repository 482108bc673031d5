"""What docs/openapi.json says holds for whatever it lets be sent, and a good deal that it does not (C62, T22)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import jsonschema_rs
import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, settings

from cds_service.app import STORE, create_app
from cds_service.fixture_patients import hook_request_for, load_fixture_patients
from cds_service.settings import Settings
from tests.ehr import PUBLIC_URL, Ehr, write_clients
from tests.http.stand_in import CALL

EXAMPLES = int(os.environ.get("ATROPHY_CDS_FUZZ_OPENAPI", "100"))
OPENAPI = Path(__file__).parents[2] / "docs" / "openapi.json"
COMPONENTS = json.loads(OPENAPI.read_text())["components"]
KINDS = {
    name: jsonschema_rs.validator_for({"$ref": f"#/components/schemas/{name}", "components": COMPONENTS})
    for name in ("Discovery", "Cards", "Explanation", "OperationOutcome")
}
ANSWERS = {"/cds-services": "Discovery", CALL: "Cards", "/explain/{card}": "Explanation"}
schema = schemathesis.openapi.from_path(OPENAPI)
EHR = Ehr()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("openapi")
    clients = write_clients(folder, EHR, "calls_per_minute = 100000000")
    made = create_app(Settings(clients_file=clients, public_url=PUBLIC_URL, database_url=f"sqlite:///{folder}/cds.db"))
    patient = load_fixture_patients(Settings().fixtures_dir, datetime.now(UTC).date())[0]
    answer = made.test_client().post(CALL, json=hook_request_for(patient), headers=EHR.bearer(CALL))
    made.config["SHOWN"] = answer.get_json()["cards"][0]["uuid"]
    yield made
    made.extensions[STORE].close()


@schema.parametrize()
@settings(
    max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
def test_the_description_holds(case: schemathesis.Case, app: Flask) -> None:
    """No 5xx, and every body as described: 200s and refusals alike."""
    sent = case.as_transport_kwargs(base_url=PUBLIC_URL)
    path = case.operation.path.replace("{card}", app.config["SHOWN"])
    headers = {**sent.get("headers", {}), **EHR.bearer(path)}
    body = {key: sent[key] for key in ("json", "data") if key in sent}
    response = app.test_client().open(path, method=case.method, headers=headers, **body)
    assert response.status_code < 500
    if response.status_code == 200 and response.data:
        KINDS[ANSWERS[case.operation.path]].validate(response.get_json())
    elif response.status_code >= 300:
        KINDS["OperationOutcome"].validate(response.get_json())
