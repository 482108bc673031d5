"""T15, T18, P-13: a chart of many alike entries costs time in proportion to its size, whatever rule asks about them."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.app import STORE, create_app
from cds_service.rule_engine.loader import load_knowledge
from cds_service.settings import Settings
from tests.fuzz.altered import request_of
from tests.http.stand_in import CALL
from tests.worked_patients import BY_ID

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
RULES = Settings().rules_dir
KNOWLEDGE = load_knowledge(RULES, NOW.date())
# A worked patient whose entries some question compares with each other, and which of them are many.
MANY = {
    "R20-P1": "conditions",  # new unless another entry is older
    "R25-N3": "conditions",  # worse than an earlier entry
    "R20-X2": "conditions",  # at the same limb as another
    "R11-E47": "conditions",  # explained by a known disease of that limb
    "R05-E17": "observations",  # against the patient's own median
    "R13-Ca-high-adjusted": "observations",  # adjusted by another result
    "R02-fall-recovered": "observations",  # fallen from an earlier value
    "R12-N3": "medicationStatements",  # joined to courses of steroids
    "R11-P4": "medicationRequests",
    "R25-E54": "orders",
    "R07-E33": "encounters",
    "R08-E24": "appointments",
}
FEW, LOTS = 1_500, 6_000


@pytest.fixture(scope="module")
def client() -> Iterator[FlaskClient]:
    app = create_app(Settings(open=True, database_url="sqlite://"), clock=lambda: NOW)
    yield app.test_client()
    app.extensions[STORE].close()


def with_many(request: dict[str, Any], source: str, number: int) -> bytes:
    """The request with its entries of one source repeated under new ids."""
    entries = request["prefetch"][source]["entry"]
    repeated = [copy.deepcopy(entries[place % len(entries)]) for place in range(number)]
    for place, entry in enumerate(repeated):
        entry["resource"]["id"] = f"many-{place}"
    bundle = {**request["prefetch"][source], "entry": repeated}
    return json.dumps({**request, "prefetch": {**request["prefetch"], source: bundle}}).encode()


def seconds(client: FlaskClient, body: bytes) -> float:
    """Of this process's time for one call, the better of two."""
    spent = []
    for _ in range(2):
        started = time.process_time()
        answer = client.post(CALL, data=body, content_type="application/json", base_url="http://localhost")
        assert answer.status_code == 200
        spent.append(time.process_time() - started)
    return min(spent)


@pytest.mark.parametrize("case", MANY)
def test_four_times_as_many_entries_take_far_less_than_sixteen_times_as_long(client: FlaskClient, case: str) -> None:
    request = request_of(BY_ID[case], KNOWLEDGE, NOW)
    few, lots = (seconds(client, with_many(request, MANY[case], number)) for number in (FEW, LOTS))
    assert lots < 8 * few + 0.05


def test_a_code_list_without_end_takes_time_in_proportion(client: FlaskClient) -> None:
    """Each of them is looked up among the prefixes of ICD-10-CM."""
    request = request_of(BY_ID["R20-P1"], KNOWLEDGE, NOW)
    system = "http://hl7.org/fhir/sid/icd-10-cm"

    def with_codes(number: int) -> bytes:
        codings = [{"system": system, "code": f"Z99.{place}"} for place in range(number)]
        request["prefetch"]["conditions"]["entry"][0]["resource"]["code"] = {"coding": codings}
        return json.dumps(request).encode()

    few, lots = seconds(client, with_codes(10_000)), seconds(client, with_codes(40_000))
    assert lots < 8 * few + 0.05
