"""P-06 sentence by sentence, through the whole service: the Patient, merged records, entries of somebody else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.faults.calls import (
    CHARTS,
    PATIENT,
    Json,
    call,
    cards,
    condition,
    searchset,
    sources,
    states,
)
from tests.faults.calls import prefetch_without as without
from tests.faults.servers import bundle_bytes, fault_for
from tests.fhir_server import Fault, FhirServer

OTHER = {"reference": "Patient/p2"}


def under_id(patient_id: str, prefetch: Json) -> Json:
    """The same prefetch, of a patient who has another id."""
    renamed: Json = json.loads(json.dumps(prefetch).replace("Patient/p1", f"Patient/{patient_id}"))
    return renamed


class TestThePatient:
    """P-06."""

    @pytest.mark.parametrize("value", [None, {"resourceType": "Observation", "id": "p1"}])
    def test_null_or_another_type_is_read_where_there_is_a_server(
        self, unhurried: FlaskClient, server: FhirServer, value: object
    ) -> None:
        _, body, _ = call(unhurried, server.base, without("patient", "carded") | {"patient": value})
        assert (sources(body)["patient"]["origin"], cards(body)) == ("fetch", ["warning"])

    @pytest.mark.parametrize("value", [None, {"resourceType": "Observation", "id": "p1"}])
    def test_null_or_another_type_is_412_where_there_is_none(self, unhurried: FlaskClient, value: object) -> None:
        status, body, _ = call(unhurried, None, without("patient", "carded") | {"patient": value})
        assert (status, body["resourceType"]) == (412, "OperationOutcome")

    def test_another_id_in_prefetch_is_400(self, unhurried: FlaskClient, server: FhirServer) -> None:
        prefetch = without("patient", "carded") | {"patient": PATIENT | {"id": "p2"}}
        status, body, _ = call(unhurried, server.base, prefetch)
        assert (status, body["resourceType"]) == (400, "OperationOutcome")
        assert server.seen == []

    def test_a_redirect_on_the_same_server_makes_the_ids_aliases(
        self, unhurried: FlaskClient, server: FhirServer
    ) -> None:
        """What is kept under the new id is this patient's, fetched or not."""
        server.put(PATIENT | {"id": "p9"})
        server.faults["Patient"] = Fault(status=301, headers={"Location": f"{server.base}/Patient/p9"}, times=1)
        prefetch = under_id("p9", without("patient", "carded"))
        server.put(prefetch.pop("conditions")["entry"][0]["resource"] | {"id": "c9"})
        server.faults["Condition"] = Fault(body=bundle_bytes(server.resources["Condition"]["c9"]))
        _, body, _ = call(unhurried, server.base, prefetch)
        assert set(states(body).values()) == {"complete"}
        assert cards(body) == ["warning"]

    @pytest.mark.parametrize("origin", ["prefetch", "fetch"])
    @pytest.mark.parametrize("kind", ["replaces", "replaced-by"])
    def test_a_link_that_names_the_context_id_makes_the_ids_aliases(
        self, unhurried: FlaskClient, server: FhirServer, origin: str, kind: str
    ) -> None:
        merged = PATIENT | {"id": "p9", "link": [{"other": {"reference": "Patient/p1"}, "type": kind}]}
        prefetch = under_id("p9", without("patient", "carded"))
        if origin == "prefetch":
            prefetch["patient"] = merged
        server.resources["Patient"]["p1"] = merged
        _, body, _ = call(unhurried, server.base, prefetch)
        assert sources(body)["patient"]["origin"] == origin
        assert set(states(body).values()) == {"complete"}
        assert cards(body) == ["warning"]


class TestEntriesOfAnotherPatient:
    """P-06, T9: dropped on both paths."""

    @pytest.fixture(params=["prefetch", "fetch"])
    def answered(self, request: pytest.FixtureRequest, unhurried: FlaskClient, server: FhirServer) -> Any:
        """Asks with these resources as one source, by prefetch or for the server to answer."""

        def ask(source: str, *resources: Json) -> tuple[int, Json]:
            prefetch = without(source, "carded")
            if request.param == "prefetch":
                prefetch[source] = searchset(*resources)
            else:
                server.faults.update(fault_for(source, Fault(body=bundle_bytes(*resources))))
            status, body, _ = call(unhurried, server.base, prefetch)
            return status, body

        return ask

    def test_beside_this_patients_they_leave_the_source_incomplete(self, answered: Any) -> None:
        theirs = condition("G61.0") | {"id": "c2", "subject": OTHER}
        status, body = answered("conditions", condition("M62.81"), theirs)
        assert (status, cards(body)) == (200, ["warning", "gap"])
        assert states(body)["conditions"] == "incomplete"
        assert sources(body)["conditions"]["setAside"] == [
            {"reference": "Condition/c2", "reason": "another-patient"}
        ]  # fmt: skip

    def test_alone_they_fail_the_source(self, answered: Any) -> None:
        theirs = {**CHARTS["carded"][2], "subject": OTHER}
        status, body = answered("medicationStatements", theirs)
        assert (status, states(body)["medicationStatements"]) == (200, "failed")

    def test_alone_among_the_conditions_they_are_412(self, answered: Any) -> None:
        status, _ = answered("conditions", condition("M62.81") | {"subject": OTHER})
        assert status == 412
