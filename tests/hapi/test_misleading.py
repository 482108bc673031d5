"""What a real HAPI FHIR does that misleads a reader, and that it does not mislead ours (P-09, P-10, C32, T17)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
import requests

from tests.hapi.conftest import NOW
from tests.hapi.ehr_server import Altering, EhrServer, Service, altering, next_link, rules, states
from tests.hapi.test_found import patient, running_order

ADA = "ada-steroid-myopathy"


@pytest.fixture
def proxy(hapi: EhrServer) -> Iterator[Altering]:
    with altering(hapi.base) as running:
        yield running


def test_it_repeats_an_old_answer_for_a_minute_and_we_ask_for_a_new_one(hapi: EhrServer, service: Service) -> None:
    """A steroid written a moment ago counts: `Cache-Control: no-cache`."""
    hapi.put(patient("just-written"))
    search = "MedicationRequest?patient=just-written&_count=1000"
    _, before = service.call("just-written", fhirServer=hapi.base)
    assert hapi.get(search, **{"Cache-Control": "max-age=60"}).json().get("total") == 0
    hapi.put_all(running_order("just-written"))
    assert hapi.get(search, **{"Cache-Control": "max-age=60"}).json().get("total") == 0  # the trap is there
    _, after = service.call("just-written", fhirServer=hapi.base)
    assert rules(before)["steroid-myopathy"] == "not-met"
    assert rules(after)["steroid-myopathy"] == "fired"


def test_a_search_that_expires_half_way_is_begun_once_more(hapi: EhrServer, proxy: Altering, service: Service) -> None:
    """410 Gone in the middle: HAPI says so for a page of a search it no longer has."""
    weights(hapi, "expiring", 120)
    broken: list[str] = []

    def expire_one(path: str) -> str:
        if "_getpages=" in path and not broken:
            broken.append(path)
            return re.sub(r"_getpages=[^&]+", "_getpages=00000000-0000-4000-8000-000000000000", path)
        return path

    proxy.alter_path = expire_one
    assert hapi.get(f"{hapi.base}?_getpages=00000000-0000-4000-8000-000000000000&_getpagesoffset=50").status_code == 410
    status, body = service.call("expiring", fhirServer=proxy.base)
    assert status == 200
    assert broken
    assert set(states(body).values()) == {"complete"}


def test_a_search_that_always_expires_is_incomplete_and_said(
    hapi: EhrServer, proxy: Altering, service: Service
) -> None:
    weights(hapi, "always-expiring", 60)
    proxy.alter_path = lambda path: re.sub(r"_getpages=[^&]+", "_getpages=00000000-0000-4000-8000-000000000000", path)
    _, body = service.call("always-expiring", fhirServer=proxy.base)
    assert states(body)["observations"] == "incomplete"


def test_one_refused_parameter_loses_the_whole_search_and_is_left_out(
    hapi: EhrServer, proxy: Altering, service: Service
) -> None:
    """HAPI-0524: a parameter that a server lacks is 400; the plain search finds at least as much."""
    proxy.alter_path = lambda path: path.replace("&date=", "&nonsense=").replace("&authored=", "&nonsense=")
    assert hapi.get(f"Procedure?patient={ADA}&nonsense=ge2020-01-01").status_code == 400
    _, whole = service.call(ADA, fhirServer=hapi.base)
    _, plain = service.call(ADA, fhirServer=proxy.base)
    assert rules(plain) == rules(whole)
    assert set(states(plain).values()) == {"complete"}


def test_empty_searches_for_a_patient_who_is_not_there_prove_nothing(hapi: EhrServer, service: Service) -> None:
    """200 and total 0 for every search, 404 for the Patient: 412, never empty cards (C32)."""
    assert hapi.get("Condition?patient=nobody-at-all").json()["total"] == 0
    status, body = service.call("nobody-at-all", fhirServer=hapi.base)
    assert (status, body["resourceType"]) == (412, "OperationOutcome")


def test_pages_are_capped_and_without_a_total_and_all_are_read(hapi: EhrServer, service: Service) -> None:
    """Whatever `_count` says, 50 come; `total` may be missing: neither is trusted or needed."""
    weights(hapi, "many-pages", 230)
    first = hapi.get("Observation?patient=many-pages&_count=1000").json()
    assert len(first["entry"]) == 50
    assert next_link(first)
    _, body = service.call("many-pages", fhirServer=hapi.base)
    assert states(body)["observations"] == "complete"
    assert rules(body)["malnutrition"] == "fired"  # the loss lies between the oldest and the newest of 230 weights


def test_it_answers_xml_unless_asked(hapi: EhrServer, service: Service) -> None:
    answer = requests.get(f"{hapi.base}/Patient/{ADA}", headers={"Accept": "text/html, */*"}, timeout=60)
    assert "xml" in answer.headers["Content-Type"]
    assert service.call(ADA, fhirServer=hapi.base)[0] == 200


def weights(hapi: EhrServer, name: str, number: int) -> None:
    """A patient whose weight fell from 80 to 60 kg over five months, in so many measurements."""
    hapi.put(patient(name))
    hapi.put_all(
        [
            {
                "resourceType": "Observation",
                "id": f"{name}-{n}",
                "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7", "display": "Body weight"}]},
                "subject": {"reference": f"Patient/{name}"},
                "effectiveDateTime": (NOW - timedelta(days=1 + 150 * n / number)).isoformat(timespec="seconds"),
                "valueQuantity": {
                    "value": round(60 + 20 * n / number, 1),
                    "unit": "kg",
                    "system": "http://unitsofmeasure.org",
                    "code": "kg",
                },
            }
            for n in range(number)
        ]
    )
