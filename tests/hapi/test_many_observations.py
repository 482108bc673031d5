"""P-41: thousands of Observations on one patient of a real HAPI FHIR, read within the deadline or said to be cut."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.hapi.conftest import NOW
from tests.hapi.ehr_server import Altering, EhrServer, Json, Service, rules, states, without_uuids
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


CHART = "many-observations"


@pytest.fixture(scope="module")
def many(hapi: EhrServer) -> EhrServer:
    """A patient with 2,000 results, 300 of them weights; the oldest of all decides: 80 kg, and 60 kg ever since."""
    others = [observation(CHART, n, ("8867-4", 70, "/min"), 1 + n / 12) for n in range(1700)]
    weights = [observation(CHART, 1700 + n, ("29463-7", 60, "kg"), 1 + n / 2.1) for n in range(299)]
    hapi.put_all([patient(CHART), *others, *weights, observation(CHART, 1999, ("29463-7", 80, "kg"), 150)])
    return hapi


def test_of_two_thousand_the_three_hundred_that_matter_are_read_in_time(many: EhrServer, tmp_path: Path) -> None:
    """The deciding one last: the same card within the default deadline, because codes are asked for."""
    with Service(tmp_path, NOW, deadline=30) as unhurried:
        _, whole = unhurried.call(CHART, fhirServer=many.base)
    assert rules(whole)["malnutrition"] == "fired"
    with Service(tmp_path, NOW, deadline=DEADLINE) as service:
        answers = (service.call(CHART, fhirServer=many.base)[1] for _ in range(3))  # a busy machine may be late
        in_time = next(body for body in answers if states(body)["observations"] == "complete")
    assert without_uuids(in_time) == without_uuids(whole)


def test_when_two_thousand_matter_it_stops_in_time_and_says_so(
    many: EhrServer, proxy: Altering, tmp_path: Path
) -> None:
    """What was cut off is the oldest; the rule that needed it is unknown and the gap is on a card (P-04).

    Every observation is asked for: 40 pages, each held back for a moment, so that no machine is quick enough.
    """
    proxy.alter_path = lambda path: time.sleep(DEADLINE / 30) or path
    with Service(tmp_path, NOW, deadline=DEADLINE, all_observations=True) as service:
        started = time.monotonic()
        status, body = service.call(CHART, fhirServer=proxy.base)
        assert time.monotonic() - started < DEADLINE + 0.3  # P-42
    assert status == 200
    assert states(body)["observations"] == "incomplete"
    assert rules(body)["malnutrition"] == "unknown"
    assert body["cards"]


def test_with_time_all_two_thousand_are_read(many: EhrServer, tmp_path: Path) -> None:
    with Service(tmp_path, NOW, deadline=30, all_observations=True) as service:
        _, body = service.call(CHART, fhirServer=many.base)
    assert states(body)["observations"] == "complete"
    assert rules(body)["malnutrition"] == "fired"
