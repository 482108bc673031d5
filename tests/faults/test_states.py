"""P-02 to P-05 sentence by sentence, through the whole service: what a source is said to be, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cds_service.record import MEDICATION_SOURCES
from tests.faults.calls import (
    EVALUATION,
    PATIENT,
    SUBJECT,
    Json,
    call,
    cards,
    client_with,
    condition,
    day,
    searchset,
    sources,
    states,
)
from tests.faults.calls import prefetch_without as without
from tests.faults.servers import fault_for
from tests.fhir_server import Fault, FhirServer, outcome

STEROID_RULE = "steroid-myopathy"


def rules(body: Json) -> dict[str, str]:
    return {rule["id"]: rule["status"] for rule in body["extension"][EVALUATION]["rules"]}


def gap_text(body: Json) -> str:
    """What the card says that names gaps; the last one."""
    assert cards(body)[-1] == "gap"
    text: str = body["cards"][-1]["detail"]
    return text


class TestIncompleteIsNever412:
    """P-02: the rules run, the gap is said."""

    @pytest.mark.parametrize("origin", ["prefetch", "fetch"])
    def test_conditions_of_which_some_are_held_back(
        self, unhurried: FlaskClient, server: FhirServer, origin: str
    ) -> None:
        prefetch = without("conditions", "carded")
        held_back = {"resource": outcome("suppressed"), "search": {"mode": "outcome"}}
        if origin == "prefetch":
            prefetch["conditions"] = searchset(condition("M62.81"))
            prefetch["conditions"]["entry"].append(held_back)
        else:
            server.faults["Condition"] = Fault(entry=held_back)
        status, body, _ = call(unhurried, server.base, prefetch)
        assert (status, cards(body)) == (200, ["warning", "gap"])
        assert sources(body)["conditions"] == {
            "name": "conditions", "origin": origin, "state": "incomplete", "cause": "outcome-incomplete",
        }  # fmt: skip
        assert "problem list and diagnoses" in gap_text(body)

    def test_a_patient_under_a_scope_with_a_query_part(self, unhurried: FlaskClient, server: FhirServer) -> None:
        authorization = {
            "access_token": "t", "token_type": "Bearer", "expires_in": 300, "subject": "cds",
            "scope": "patient/Patient.rs?_security=R",
        }  # fmt: skip
        prefetch = without("patient", "carded")
        status, body, _ = call(unhurried, server.base, prefetch, fhirAuthorization=authorization)
        assert (status, states(body)["patient"]) == (200, "incomplete")
        assert cards(body)[0] == "warning"


class TestNotOffered:
    """P-03: named in the response extension, never on a card; failed in the same place is on one."""

    @pytest.mark.parametrize(
        ("source", "chart", "shown"),
        [
            ("observations", "plain", []),
            ("observations", "carded", ["warning"]),
            ("familyHistory", "carded", ["warning"]),
        ],
    )
    def test_a_type_that_is_not_there(
        self, unhurried: FlaskClient, server: FhirServer, source: str, chart: str, shown: list[str]
    ) -> None:
        prefetch = without(source, chart)
        server.faults.update(fault_for(source, Fault(status=404)))
        _, body, _ = call(unhurried, server.base, prefetch)
        assert states(body)[source] == "not-offered"
        assert "unknown" in rules(body).values()
        assert cards(body) == shown

        server.faults.update(fault_for(source, Fault(status=403)))
        _, body, _ = call(unhurried, server.base, prefetch)
        assert states(body)[source] == "failed"
        assert cards(body) == [*shown, "gap"]


class TestMedicationsAreOneGroup:
    """P-03: weakness, and no steroid in what was read."""

    @pytest.fixture
    def prefetch(self) -> Json:
        return without("carePlans", "carded") | {name: searchset() for name in (*MEDICATION_SOURCES, "carePlans")}

    @pytest.fixture
    def answer(self, unhurried: FlaskClient, server: FhirServer, prefetch: Json) -> Callable[[str, int], Json]:
        """The answer when one member must be fetched and the server has this status for it."""

        def answer(member: str, status: int) -> Json:
            del prefetch[member]
            server.faults.update(fault_for(member, Fault(status=status)))
            body: Json = call(unhurried, server.base, prefetch)[1]
            return body

        return answer

    @pytest.mark.parametrize("failed", MEDICATION_SOURCES)
    def test_a_failed_member_never_makes_a_rule_not_met(self, answer: Callable[[str, int], Json], failed: str) -> None:
        body = answer(failed, 401)
        assert rules(body)[STEROID_RULE] == "unknown"
        assert "- medication\n" in gap_text(body)

    @pytest.mark.parametrize("lacking", MEDICATION_SOURCES)
    def test_the_others_stand_for_one_that_is_not_offered(
        self, answer: Callable[[str, int], Json], lacking: str
    ) -> None:
        body = answer(lacking, 404)
        assert states(body)[lacking] == "not-offered"
        assert rules(body)[STEROID_RULE] == "not-met"
        assert "gap" not in cards(body)

    def test_none_offered_never_makes_a_rule_not_met_and_is_on_no_card(
        self, unhurried: FlaskClient, server: FhirServer, prefetch: Json
    ) -> None:
        for name in MEDICATION_SOURCES:
            del prefetch[name]
            server.faults.update(fault_for(name, Fault(status=404)))
        _, body, _ = call(unhurried, server.base, prefetch)
        assert rules(body)[STEROID_RULE] == "unknown"
        assert "gap" not in cards(body)

    @pytest.mark.parametrize("carrying", ["medicationStatements", "medicationRequests"])
    def test_one_member_is_enough_to_fire(self, unhurried: FlaskClient, server: FhirServer, carrying: str) -> None:
        prefetch = without("carePlans", "carded") | {"carePlans": None}
        for name in MEDICATION_SOURCES:
            if name != carrying:
                del prefetch[name]
                server.faults.update(fault_for(name, Fault(status=500)))
        _, body, _ = call(unhurried, server.base, prefetch)
        assert rules(body)[STEROID_RULE] == "fired"
        assert cards(body)[0] == "warning"


def test_p04_a_missing_birth_date_is_a_gap_where_a_rule_needs_it(unhurried: FlaskClient, server: FhirServer) -> None:
    undated = {name: value for name, value in PATIENT.items() if name != "birthDate"}
    for chart, shown in (("carded", ["gap"]), ("plain", [])):
        prefetch = without("patient", chart) | {"patient": undated}
        _, body, _ = call(unhurried, server.base, prefetch)
        assert cards(body) == shown
        assert "unknown" in rules(body).values() or not shown
    assert server.seen == []


def test_p04_a_missing_sex_is_a_gap_where_it_decides(unhurried: FlaskClient, server: FhirServer) -> None:
    """A-12: a grip of 20 kg is weak for a man and not for a woman; one of 30 kg for neither."""
    nameless = {name: value for name, value in PATIENT.items() if name != "gender"}
    for kg, shown in ((20, ["gap"]), (30, [])):
        grip = {
            "resourceType": "Observation", "id": "g1", "status": "final", "subject": SUBJECT,
            "effectiveDateTime": day(20), "valueQuantity": {"value": kg, "unit": "kg", "code": "kg"},
            "code": {"coding": [{"system": "http://loinc.org", "code": "52508-9"}]},
        }  # fmt: skip
        prefetch = without("patient", "plain") | {"patient": nameless, "observations": searchset(grip)}
        _, body, _ = call(unhurried, server.base, prefetch)
        assert cards(body) == shown
        assert (rules(body)["unexplained-weakness-wasting"] == "unknown") is bool(shown)
        assert not shown or "the patient's sex" in gap_text(body)


def test_p04_the_gap_is_named_at_each_call(unhurried: FlaskClient, server: FhirServer) -> None:
    """Nobody has answered it."""
    server.faults["Observation"] = Fault(status=500)
    for _ in range(3):
        _, body, _ = call(unhurried, server.base, without("observations", "plain"))
        assert "results and measurements" in gap_text(body)


class TestRequiredData:
    """P-05."""

    def test_412_never_buries_a_critical_finding(self, unhurried: FlaskClient, server: FhirServer) -> None:
        """The Conditions cannot be read, but CK is 48 times its limit: the emergency is said, and what was not read."""
        prefetch = without("conditions", "plain")
        prefetch["observations"]["entry"][0]["resource"] |= {
            "code": {"coding": [{"system": "http://loinc.org", "code": "2157-6"}]},
            "effectiveDateTime": day(1),
            "valueQuantity": {"value": 9600, "unit": "U/L", "system": "http://unitsofmeasure.org", "code": "U/L"},
            "referenceRange": [{"high": {"value": 200, "unit": "U/L"}}],
        }
        server.faults["Condition"] = Fault(status=500)
        status, body, _ = call(unhurried, server.base, prefetch)
        assert (status, cards(body)) == (200, ["critical", "gap"])
        assert "problem list and diagnoses" in gap_text(body)

    def test_a_warning_does_not_stand_against_412(self, unhurried: FlaskClient, server: FhirServer) -> None:
        server.faults["Patient"] = Fault(status=500)
        status, body, _ = call(unhurried, server.base, without("patient", "carded"))
        assert (status, body["resourceType"]) == (412, "OperationOutcome")

    def test_a_client_that_shows_errors_to_nobody_gets_a_card(self, server: FhirServer, tmp_path: Path) -> None:
        silent = client_with(tmp_path, 5, profile="sandbox")
        server.faults["Condition"] = Fault(status=500)
        status, body, _ = call(silent, server.base, without("conditions", "carded"))
        assert (status, [card["indicator"] for card in body["cards"]]) == (200, ["info"])
        assert "could not be done" in body["cards"][0]["summary"]
