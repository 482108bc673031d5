"""What a real HAPI FHIR does that misleads a reader, and that it does not mislead ours (P-09, P-10, C32, T17)."""

from __future__ import annotations

import re
from datetime import timedelta

import requests

from tests.hapi.conftest import NOW
from tests.hapi.ehr_server import Altering, EhrServer, Service, next_link, rules, states
from tests.hapi.test_found import patient, running_order

ADA = "ada-steroid-myopathy"


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


def test_a_type_that_it_does_not_know_is_not_offered(hapi: EhrServer, proxy: Altering, service: Service) -> None:
    """404 to a search is no empty chart: the source is named as not offered, and the rest is judged (P-03)."""
    proxy.alter_path = lambda path: path.replace("/MedicationStatement?", "/Nonsense?")
    assert hapi.get(f"Nonsense?patient={ADA}").status_code == 404
    status, body = service.call(ADA, fhirServer=proxy.base)
    assert status == 200
    states_of = states(body)
    assert states_of.pop("medicationStatements") == "not-offered"
    assert set(states_of.values()) == {"complete"}


def test_a_search_by_post_finds_the_same(hapi: EhrServer, proxy: Altering, service: Service) -> None:
    """A form to `_search`, where that is agreed; no patient's id stands in an address but in those of its links."""
    weights(hapi, "posted", 60)
    found = service.references_read("posted", fhirServer=hapi.base)
    assert len(found) >= 60
    assert service.references_read("posted", fhirServer=proxy.base, post_search=True) == found
    searches = [line for line in proxy.asked if "_getpages" not in line and "/Patient/" not in line]
    assert searches
    assert all(re.fullmatch(r"POST /fhir/[A-Za-z]+/_search", line) for line in searches)


def test_what_it_answers_emptily_or_not_at_all_is_never_asked(
    hapi: EhrServer, proxy: Altering, service: Service
) -> None:
    """`code:text` is 200 and empty here, `$lastn` 500, `code:in` 404, a wrong date 400; `total` is not asked for."""
    assert hapi.get(f"Condition?patient={ADA}").json()["entry"]
    assert "entry" not in hapi.get(f"Condition?patient={ADA}&code:text=weakness").json()
    service.call(ADA, fhirServer=proxy.base)
    assert len(proxy.asked) > 10
    assert not [line for line in proxy.asked if re.search(r"(:|%3A)(text|in)=|\$|_total|_include", line)]
    dates = [date for line in proxy.asked for date in re.findall(r"&(?:date|authored)=ge([^&]+)", line)]
    assert dates
    assert all(re.fullmatch(r"\d{4}-\d{2}-\d{2}", date) for date in dates)


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
