"""A service with time enough and a server with the chart that has a card."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from tests.faults.calls import CHARTS, client_with
from tests.fhir_server import FhirServer


@pytest.fixture(scope="module")
def unhurried(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    return client_with(tmp_path_factory.mktemp("faults"), 5)


@pytest.fixture
def server() -> Iterator[FhirServer]:
    with FhirServer(CHARTS["carded"]) as server:
        yield server
