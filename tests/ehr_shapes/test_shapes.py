"""What EHRs really send, in files of our own making (synthetic): the right card, nothing lost, oddities named.

The shapes are those of docs/ehrs.md. None was recorded from a live system.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.fixture_patients import shift_dates
from cds_service.settings import Settings

HERE = Path(__file__).parent
WRITTEN_FOR = date(2026, 11, 2)
NOW = datetime(2026, 11, 27, 10, 0, tzinfo=UTC)
EVALUATION, ASSESSMENT = "org.atrophy-cds.evaluation", "org.atrophy-cds.assessment"
STEROID_MYOPATHY, UNEXPLAINED = "steroid-myopathy", "unexplained-weakness-wasting"
Json = dict[str, Any]


def sent_by(name: str) -> Json:
    """A call as this EHR shapes it, dated around now."""
    return shift_dates(json.loads((HERE / f"{name}.json").read_text()), (NOW.date() - WRITTEN_FOR).days)


@pytest.fixture
def answer(tmp_path: Path) -> Callable[[Json], Json]:
    """Sends a call and gives the body of a 200."""
    settings = Settings(open=True, database_url=f"sqlite:///{tmp_path}/cds.db", deadline_seconds=0.5)
    client: FlaskClient = create_app(settings, clock=lambda: NOW).test_client()

    def send(body: Json) -> Json:
        body.pop("fhirServer", None)  # nothing is fetched here: no such server exists
        body.pop("fhirAuthorization", None)
        response = client.post("/cds-services/atrophy-risk", json=body, base_url="http://localhost")
        assert response.status_code == 200, response.get_json()
        answered: Json = response.get_json()
        return answered

    return send


def statuses(body: Json) -> dict[str, str]:
    return {rule["id"]: rule["status"] for rule in body["extension"][EVALUATION]["rules"]}


def states(body: Json) -> dict[str, str]:
    return {source["name"]: source["state"] for source in body["extension"][EVALUATION]["sources"]}


def set_aside(body: Json) -> list[str]:
    sources = body["extension"][EVALUATION]["sources"]
    return [one["reference"] for source in sources for one in source.get("setAside", [])]


@pytest.mark.parametrize(
    ("ehr", "rule"),
    [
        ("oracle_health", STEROID_MYOPATHY),
        ("athenahealth", STEROID_MYOPATHY),
        ("synthea", UNEXPLAINED),  # its doses have no unit, so they are not known: see below
        ("sandbox", UNEXPLAINED),
        ("epic", UNEXPLAINED),  # its Medication is named in words only until it can be read: see below
    ],
)
def test_the_right_rule_speaks_and_nothing_is_set_aside(answer: Callable[[Json], Json], ehr: str, rule: str) -> None:
    body = answer(sent_by(ehr))
    assert statuses(body)[rule] == "fired"
    assert set_aside(body) == []


class TestEpic:
    def test_a_drug_that_only_words_name_is_on_the_card_and_raises_nothing(
        self, answer: Callable[[Json], Json]
    ) -> None:
        """`medicationReference` and display: GC1 at most, and the card says that no code stands behind it (A-07)."""
        body = answer(sent_by("epic"))
        (card, *_) = body["cards"]
        assert card["indicator"] == "info"
        assert "predniSONE" in card["detail"]
        assert "from its words only, no code" in card["detail"]

    def test_with_the_medication_the_exposure_is_known(self, answer: Callable[[Json], Json]) -> None:
        """P-14: the dose stands in `doseQuantity` and an extension, the period has only a start, category is an object.

        The card says that the code is that of the Medication.
        """
        call = sent_by("epic")
        medication = {
            "resourceType": "Medication",
            "id": "eMed1",
            "code": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "312615"}]},
        }
        base = call["fhirServer"]
        entry = {"fullUrl": f"{base}/Medication/eMed1", "resource": medication, "search": {"mode": "include"}}
        call["prefetch"]["medicationRequests"]["entry"].append(entry)
        body = answer(call)
        (card, *_) = body["cards"]
        assert statuses(body)[STEROID_MYOPATHY] == "fired"
        assert "20 mg/day" in card["detail"]
        assert "by the code of the Medication it refers to" in card["detail"]

    def test_an_empty_search_with_an_outcome_entry_is_complete(self, answer: Callable[[Json], Json]) -> None:
        """P-02: code 4101 "no results" is only a warning."""
        found = states(answer(sent_by("epic")))
        assert {found[name] for name in ("procedures", "reports", "orders", "carePlans")} == {"complete"}

    def test_a_key_that_begins_with_a_hyphen_is_none_of_ours(self, answer: Callable[[Json], Json]) -> None:
        """`-observations` was typed: the source is not had, and the answer says so."""
        body = answer(sent_by("epic"))
        assert states(body)["observations"] == "failed"
        assert any("results and measurements" in card["detail"] for card in body["cards"])

    def test_an_outcome_that_says_something_was_held_back_makes_the_source_incomplete(
        self, answer: Callable[[Json], Json]
    ) -> None:
        """P-02: 4130 and its like, at any severity."""
        call = sent_by("epic")
        issue = call["prefetch"]["procedures"]["entry"][0]["resource"]["issue"][0]
        issue["details"]["coding"][0]["code"] = "4130"
        assert states(answer(call))["procedures"] == "incomplete"

    @pytest.mark.parametrize("trigger", [60, 6, 7, 18, 23])
    def test_any_trigger_action_is_answered(self, answer: Callable[[Json], Json], trigger: int) -> None:
        """patient-view stands for several events: opening the chart, entering a problem or an order."""
        call = sent_by("epic")
        call["extension"]["com.epic.cdshooks.request.bpa-trigger-action"] = trigger
        assert answer(call)["cards"]


class TestOthers:
    def test_oracle_health_a_month_is_an_onset_and_tablets_have_the_strength_of_their_code(
        self, answer: Callable[[Json], Json]
    ) -> None:
        (card, *_) = answer(sent_by("oracle_health"))["cards"]
        assert "20 mg/day" in card["detail"]
        assert "onset 2026-11" in card["detail"]

    def test_oracle_health_keys_that_did_not_come_are_named(self, answer: Callable[[Json], Json]) -> None:
        """Nothing was asked of a server here, so what was not sent is not had."""
        found = states(answer(sent_by("oracle_health")))
        assert found["medicationStatements"] == "failed"
        assert found["observations"] == "complete"

    def test_the_sandbox_leaves_a_key_out_when_its_query_failed(self, answer: Callable[[Json], Json]) -> None:
        found = states(answer(sent_by("sandbox")))
        assert found.pop("medicationRequests") == "failed"
        assert set(found.values()) == {"complete"}

    def test_athenahealth_ids_with_dots_and_an_included_medication(self, answer: Callable[[Json], Json]) -> None:
        body = answer(sent_by("athenahealth"))
        assert body["cards"][0]["indicator"] == "warning"
        assert "a-195900.MED-1" in json.dumps(body["cards"][0]["extension"][ASSESSMENT]["basis"])

    def test_synthea_urn_uuid_references_are_followed_and_a_dose_without_a_unit_is_not_known(
        self, answer: Callable[[Json], Json]
    ) -> None:
        """A-57, G14: a number without a unit is no dose; the exposure is named and raises nothing."""
        (card, *_) = answer(sent_by("synthea"))["cards"]
        assert card["indicator"] == "info"
        assert "predniSONE 20 MG Oral Tablet”: dose not known" in card["detail"]
