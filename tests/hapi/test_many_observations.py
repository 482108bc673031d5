"""P-41: thousands of Observations on one patient of a real HAPI FHIR, read within the deadline or said to be cut."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.hapi.conftest import NOW
from tests.hapi.ehr_server import EhrServer, Json, Service, rules, states
from tests.hapi.test_found import patient

DEADLINE = 1.8  # P-10: the default


def observation(name: str, number: int, what: tuple[str, float, str], days_ago: float) -> Json:
    code, value, unit = what
    return {
        "resourceType": "Observation",
        "id": f"{name}-{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/{name}"},
        "effectiveDateTime": (NOW - timedelta(days=days_ago)).isoformat(timespec="seconds"),
        "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
    }


def chart(name: str, total: int, matching: int) -> list[Json]:
    """So many results, of which so many are weights; the oldest weight decides: 80 kg, and 60 kg ever since."""
    others = [observation(name, n, ("8867-4", 70, "/min"), 1 + n / 10) for n in range(total - matching)]
    weights = [observation(name, total + n, ("29463-7", 60, "kg"), 1 + n * 149 / matching) for n in range(matching - 1)]
    return [patient(name), *others, *weights, observation(name, 2 * total, ("29463-7", 80, "kg"), 150)]


@pytest.fixture
def service(tmp_path: Path) -> Any:
    with Service(tmp_path, NOW, deadline=DEADLINE) as running:
        yield running


def test_of_two_thousand_the_three_hundred_that_matter_are_read_in_time(hapi: EhrServer, service: Service) -> None:
    """The deciding one last: the same card within the default deadline, because codes are asked for."""
    hapi.put_all(chart("many-others", 2000, 300))
    _, body = service.call("many-others", fhirServer=hapi.base)
    assert states(body)["observations"] == "complete"
    assert rules(body)["malnutrition"] == "fired"


def test_when_two_thousand_matter_it_stops_in_time_and_says_so(hapi: EhrServer, service: Service) -> None:
    """What was cut off is the oldest; the rule that needed it is unknown and the gap is on a card (P-04)."""
    hapi.put_all(chart("many-weights", 2000, 2000))
    started = time.monotonic()
    status, body = service.call("many-weights", fhirServer=hapi.base)
    assert time.monotonic() - started < DEADLINE + 0.3  # P-42
    assert status == 200
    if states(body)["observations"] == "complete":  # a machine that reads 2,000 in time
        assert rules(body)["malnutrition"] == "fired"
    else:
        assert states(body)["observations"] == "incomplete"
        assert rules(body)["malnutrition"] == "unknown"
        assert body["cards"]
