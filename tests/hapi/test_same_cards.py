"""C30: whether the chart comes as prefetch or is fetched from a real HAPI FHIR, every patient gets the same cards."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds_service.fixture_patients import ExpectedCard, FixturePatient, load_fixture_patients
from cds_service.settings import Settings
from tests.hapi.conftest import NOW
from tests.hapi.ehr_server import EhrServer, Json, Service, rules, without_uuids

PATIENTS = load_fixture_patients(Settings().fixtures_dir, NOW.date())


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return Service(tmp_path_factory.mktemp("same"), NOW)


@pytest.fixture(scope="module")
def small_pages(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return Service(tmp_path_factory.mktemp("small"), NOW, page_size=2)


def shown(body: Json) -> list[ExpectedCard]:
    """Indicator and rules of each card, the lead first."""
    assessment = "org.atrophy-cds.assessment"
    return [
        ExpectedCard(card["indicator"], tuple(rule["id"] for rule in card["extension"][assessment]["rules"]))
        for card in body["cards"]
    ]


@pytest.mark.parametrize("patient", PATIENTS, ids=[p.id for p in PATIENTS])
def test_prefetch_and_fetch_give_the_same_cards(
    hapi: EhrServer, service: Service, small_pages: Service, patient: FixturePatient
) -> None:
    """By prefetch as an EHR expands our templates, by our own fetching, and at two entries to a page.

    The server is named beside the prefetch as EHRs do: a Medication that is only referred to is read from it.
    """
    prefetch = hapi.prefetch(service.templates, patient.id)
    _, sent = service.call(patient.id, prefetch=prefetch, fhirServer=hapi.base)
    status, fetched = service.call(patient.id, fhirServer=hapi.base)
    _, paged = small_pages.call(patient.id, fhirServer=hapi.base)
    assert status == 200
    assert shown(fetched) == list(patient.expected_cards)
    status_of = rules(fetched)
    fired = {rule for rule, value in status_of.items() if value == "fired"}
    assert fired == set(patient.fired) - set(patient.held_back)
    assert {*patient.suppressed} <= {rule for rule, value in status_of.items() if value == "suppressed"}
    assert not fired & set(patient.near_misses)
    assert without_uuids(fetched) == without_uuids(sent)
    assert without_uuids(paged)["cards"] == without_uuids(sent)["cards"]


def test_c36_the_first_page_as_prefetch_is_followed_to_the_last(hapi: EhrServer, tmp_path: Path) -> None:
    """An EHR may send the first page with its link: the rest is read from its server."""
    with Service(tmp_path, NOW) as service:
        templates = {key: text.replace("_count=1000", "_count=2") for key, text in service.templates.items()}
        first_pages = hapi.prefetch(templates, "ada-steroid-myopathy", whole=False)
        assert any("next" in str(page.get("link")) for page in first_pages.values())
        _, followed = service.call("ada-steroid-myopathy", prefetch=first_pages, fhirServer=hapi.base)
        _, fetched = service.call("ada-steroid-myopathy", fhirServer=hapi.base)
        assert without_uuids(followed)["cards"] == without_uuids(fetched)["cards"]
