"""Prefetch templates, and what is fetched of what did not come: each row of the rulings against a real server."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from cds_service.cds_hooks.request import HookRequest, parse_hook_request
from cds_service.coding import ValueSets, Vocabulary
from cds_service.errors import BadRequest, DataNotAvailable
from cds_service.fhir.capability import Capabilities
from cds_service.fhir.client import FhirClient, open_mode_allows
from cds_service.fhir.reader import SourcePayload, read_record
from cds_service.prefetch import OPEN_MODE, FetchTerms, PrefetchPlan, Reads, complete, lint, prefetch_plan
from cds_service.prefetch.plan import ALL_SOURCES
from cds_service.prefetch.scopes import Grant, grant
from cds_service.reads import reads_of
from cds_service.record import SourceName, SourceState
from cds_service.service import load_rule_pack
from cds_service.settings import Settings
from tests.fhir_server import Fault, FhirServer, outcome

AS_OF = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
LOINC = "http://loinc.org"
WEIGHT, CREATINE_KINASE = "29463-7", "2157-6"
# Look-back days as the clinical specification gives them ("Data needed per call").
READS = Reads(
    look_back_days={
        "observations": 400,
        "orders": 730,
        "procedures": 730,
        "reports": 730,
        "encounters": 365,
        "appointments": 365,
    },
    observation_codes=(f"{LOINC}|{WEIGHT}", f"{LOINC}|{CREATINE_KINASE}"),
)
PLAN = prefetch_plan(READS)
VOCABULARY = Vocabulary(ValueSets({}, {}, {}), {}, {}, {}, frozenset(), {})
PATIENT = {"resourceType": "Patient", "id": "p1", "birthDate": "1970-05-10", "gender": "female"}
SUBJECT = {"reference": "Patient/p1"}
COMPLETE, INCOMPLETE, FAILED = SourceState.COMPLETE, SourceState.INCOMPLETE, SourceState.FAILED
NOT_OFFERED = SourceState.NOT_OFFERED


def resource(resource_type: str, resource_id: str, **fields: Any) -> dict[str, Any]:
    return {"resourceType": resource_type, "id": resource_id, "subject": SUBJECT, **fields}


def observations(count: int, code: str = WEIGHT) -> list[dict[str, Any]]:
    coding = {"coding": [{"system": LOINC, "code": code}]}
    return [
        resource("Observation", f"o{code}-{n}", status="final", code=coding, effectiveDateTime="2026-11-01")
        for n in range(count)
    ]


def bundle(*resources: Mapping[str, Any], following: str | None = None) -> dict[str, Any]:
    entries = [{"resource": one, "search": {"mode": "match"}} for one in resources]
    links = [{"relation": "next", "url": following}] if following else []
    return {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries}


CHART = [
    PATIENT,
    resource("Condition", "c1", code={"text": "Weakness"}),
    resource("MedicationRequest", "m1", status="active", medicationReference={"reference": "Medication/d1"}),
    {"resourceType": "Medication", "id": "d1", "code": {"text": "Prednisone"}},
    *observations(2),
    {"resourceType": "FamilyMemberHistory", "id": "f1", "patient": SUBJECT, "status": "completed"},
    {"resourceType": "Appointment", "id": "a1", "status": "booked", "start": "2026-12-01T10:00:00Z",
     "participant": [{"actor": SUBJECT}]},
]  # fmt: skip


@pytest.fixture
def server() -> Iterator[FhirServer]:
    with FhirServer(CHART) as server:
        yield server


@pytest.fixture
def client() -> Iterator[FhirClient]:
    with FhirClient() as client:
        yield client


def a_request(
    server: FhirServer | None = None,
    prefetch: Mapping[str, Any] | None = None,
    *,
    token: str | None = "canary-token",
    scope: str = "patient/*.read",
) -> HookRequest:
    """A patient-view for p1, through the same door as a real one."""
    body: dict[str, Any] = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/u1", "patientId": "p1"},
    }
    if server is not None:
        body["fhirServer"] = server.base
        if token is not None:
            body["fhirAuthorization"] = {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": 300,
                "scope": scope,
                "subject": "cds",
            }
    if prefetch is not None:
        body["prefetch"] = prefetch
    return parse_hook_request(json.dumps(body).encode())


def all_null(**given: Any) -> dict[str, Any]:
    """Everything searched and nothing found, but for what is given. A key set to ... did not come."""
    came = {"patient": PATIENT} | dict.fromkeys(ALL_SOURCES[1:]) | given
    return {name: value for name, value in came.items() if value is not ...}


def completed(
    client: FhirClient, request: HookRequest, *, plan: PrefetchPlan = PLAN, within: float = 5, **options: Any
) -> dict[SourceName, SourcePayload]:
    payloads = complete(
        request,
        plan=plan,
        client=client,
        as_of=AS_OF,
        deadline=time.monotonic() + within,
        **{"allowed": open_mode_allows, "terms": OPEN_MODE} | options,
    )
    return {payload.name: payload for payload in payloads}


def said(payload: SourcePayload) -> tuple[str, SourceState, str | None]:
    return payload.origin, payload.state, payload.cause


def ids_in(payload: SourcePayload) -> list[str]:
    """Ids of all resources in all pages, in order."""
    found: list[str] = []
    for page in payload.pages:
        resource = json.loads(bytes(page))
        entries = resource.get("entry", ()) if resource["resourceType"] == "Bundle" else [{"resource": resource}]
        found += [entry["resource"]["id"] for entry in entries]
    return found


class TestTemplates:
    def test_every_source_has_one(self) -> None:
        assert set(PLAN.templates) == set(PLAN.templates_3) == set(ALL_SOURCES)

    def test_for_cds_hooks_2_they_are_undated(self) -> None:
        """C17, C19, P-01."""
        assert PLAN.templates["patient"] == "Patient/{{context.patientId}}"
        assert PLAN.templates["conditions"] == "Condition?patient={{context.patientId}}&_count=1000"
        assert PLAN.templates["observations"] == (
            f"Observation?patient={{{{context.patientId}}}}&code={CREATINE_KINASE},{WEIGHT}&_count=1000"
        )
        assert "date" not in " ".join(PLAN.templates_for("2.0").values())

    def test_for_cds_hooks_3_dated_sources_are_dated(self) -> None:
        """C21; a day more than asked, because the server's day may begin later."""
        templates = PLAN.templates_for("3.0")

        assert "&date=ge{{today() - 401 days}}&" in templates["observations"]
        assert "&authored=ge{{today() - 731 days}}&" in templates["orders"]
        for name in ("conditions", "medicationStatements", "medicationRequests", "familyHistory", "carePlans"):
            assert templates[name] == PLAN.templates[name]

    def test_observations_are_asked_for_whole_where_their_codes_do_not_fit(self) -> None:
        """P-09: one key, one query of at most 1,900 bytes."""
        many = Reads(observation_codes=tuple(f"{LOINC}|{number}-1" for number in range(10_000, 10_300)))

        assert prefetch_plan(many).templates["observations"] == (
            "Observation?patient={{context.patientId}}&_count=1000"
        )

    def test_a_source_that_no_rule_reads_is_not_asked_for(self) -> None:
        assert set(prefetch_plan(Reads(sources=("patient", "conditions"))).templates) == {"patient", "conditions"}


class TestLint:
    @pytest.mark.parametrize("template", [*PLAN.templates.values(), "Encounter?patient={{context.patientId}}"])
    def test_agrees(self, template: str) -> None:
        lint(template)

    @pytest.mark.parametrize("template", PLAN.templates_3.values())
    def test_agrees_with_version_3(self, template: str) -> None:
        lint(template, version_3=True)

    @pytest.mark.parametrize(
        ("template", "why"),
        [
            ("Condition?patient={{context.patient.id}}", "C17"),
            ("Condition?patient={{context.draftOrders.entry}}", "C17"),
            ("Condition?patient={{%patient.id}}", "C17"),
            ("Observation?patient={{context.patientId}}&date=ge{{today() - 30 days}}", "C17"),
            ("Condition?patient={{context.patientId}}&_include=Condition:subject", "P-01"),
            ("Condition?patient={{context.patientId}}&_revinclude=Provenance:target", "P-01"),
            ("Condition?patient={{context.patientId}}&category=problem-list-item", "P-01"),
            ("Condition?patient={{context.patientId}}&clinical-status=active", "P-01"),
            ("MedicationStatement?patient={{context.patientId}}&effective=ge2026-01-01", "P-01"),
            ("MedicationRequest?patient={{context.patientId}}&authoredon=ge2026-01-01", "P-01"),
            ("MedicationRequest?patient={{context.patientId}}&status=active", "P-01"),
            ("CarePlan?patient={{context.patientId}}&date=ge2026-01-01", "P-01"),
            ("Observation?patient={{context.patientId}}&date=ge2026-01-01&date=le2026-11-01", "repeated"),
            ("Observation?patient={{context.patientId}}&date=2026-01-01", "C19"),
            ("Observation?patient={{context.patientId}}&date=sa2026-01-01", "C19"),
            ("Observation?patient={{context.patientId}}&code:text=weight", "C19"),
            ("Observation?patient={{context.patientId}}&code=", "C19"),
            ("Observation?patient={{context.patientId}}&code=a|b c", "C19"),
            ("Observation?code=29463-7", "one patient"),
            ("Observation/{{context.patientId}}", "by id"),
            ("Observation/{{context.patientId}}/_history", "C19"),
            ("Patient/{{context.patientId}}/$everything", "C19"),
            ("Immunization?patient={{context.patientId}}", "C19"),
            ("Condition", "C19"),
            ("", "C19"),
            (f"Observation?patient={{{{context.patientId}}}}&code={'9' * 1900}", "P-09"),
        ],
    )
    def test_refuses(self, template: str, why: str) -> None:
        with pytest.raises(ValueError, match=why):
            lint(template)

    @pytest.mark.parametrize("token", ["today() - 1 weeks", "now()", "conditions.entry.resource.id"])
    def test_refuses_other_fhirpath_in_version_3(self, token: str) -> None:
        with pytest.raises(ValueError, match="C18"):
            lint(f"Observation?patient={{{{context.patientId}}}}&date=ge{{{{{token}}}}}", version_3=True)

    def test_a_plan_that_breaks_the_rules_is_not_made(self) -> None:
        with pytest.raises(ValueError, match="C18"):
            prefetch_plan(Reads(look_back_days={"observations": -500}))


class TestQueries:
    def test_dates_are_worked_out_from_as_of(self) -> None:
        (query,) = PLAN.queries("orders", "p1", AS_OF)

        assert query.path == "ServiceRequest?patient=p1&authored=ge2024-11-26&_count=1000"
        assert query.plain == "ServiceRequest?patient=p1"

    def test_the_newest_observations_come_first(self, client: FhirClient, monkeypatch: pytest.MonkeyPatch) -> None:
        """P-41: what a cap or the deadline cuts off is the oldest."""
        monkeypatch.setattr("cds_service.prefetch.fetching.MAX_PAGES", 0)
        dated = [one | {"effectiveDateTime": f"2026-1{n}-01"} for n, one in enumerate(observations(2))]
        with FhirServer(dated, page_size=1) as server:
            payload = completed(client, a_request(server))["observations"]

        assert payload.state is INCOMPLETE
        assert ids_in(payload) == [f"o{WEIGHT}-1"]

    @pytest.mark.parametrize("name", ["conditions", "medicationStatements", "medicationRequests", "carePlans"])
    def test_a_running_course_is_not_filtered_away(self, name: SourceName) -> None:
        """P-01, even where somebody gives look-back days for it."""
        plan = prefetch_plan(Reads(look_back_days={name: 365}))
        (query,) = plan.queries(name, "p1", AS_OF)

        assert query.path.partition("?")[2] == "patient=p1&_count=1000"

    def test_codes_are_split_into_queries_that_fit(self) -> None:
        """P-09: 1,900 bytes, with the longest id of P-12."""
        codes = [f"{number}-1" for number in range(10_000, 10_600)]
        plan = prefetch_plan(Reads(look_back_days={"observations": 400}, observation_codes=tuple(codes)))
        queries = plan.queries("observations", "x" * 255, AS_OF)
        asked = [code for query in queries for code in query.path.partition("code=")[2].partition("&")[0].split(",")]

        assert asked == codes
        assert max(len(query.path) for query in queries) <= 1_900


class TestFromPrefetch:
    def test_what_came_is_kept_and_nobody_is_asked(self, client: FhirClient, server: FhirServer) -> None:
        """C34: null is searched, nothing found. C35: so is an empty searchset."""
        payloads = completed(client, a_request(server, all_null(conditions=bundle())))

        assert server.connections == 0
        assert {said(payload) for payload in payloads.values()} == {("prefetch", COMPLETE, None)}
        assert payloads["observations"].pages == ()

    def test_the_pages_that_follow_are_fetched(self, client: FhirClient, server: FhirServer) -> None:
        """C36: a finding on page 3 counts; C37: with the token."""
        server.page_size = 2
        for one in observations(5):
            server.put(one)
        (query,) = PLAN.queries("observations", "p1", AS_OF)
        first = json.loads(client.get(server.base, query.path, None, time.monotonic() + 5).body)
        payload = completed(client, a_request(server, all_null(observations=first)))["observations"]

        assert said(payload) == ("prefetch", COMPLETE, None)
        assert len(payload.pages) == 3
        assert sorted(ids_in(payload)) == [f"o{WEIGHT}-{n}" for n in range(5)]
        assert {seen.headers.get("Authorization") for seen in server.seen[1:]} == {"Bearer canary-token"}

    def test_without_a_server_a_first_page_is_incomplete(self, client: FhirClient) -> None:
        first = bundle(*observations(1), following="https://ehr.example/fhir?page=2")
        payload = completed(client, a_request(None, all_null(observations=first)))["observations"]

        assert said(payload) == ("prefetch", INCOMPLETE, "more-pages")
        assert ids_in(payload) == [f"o{WEIGHT}-0"]

    def test_a_following_page_elsewhere_is_not_asked_for(self, client: FhirClient, server: FhirServer) -> None:
        """P-08, T4."""
        with FhirServer() as other:
            first = bundle(*observations(1), following=f"{other.base}?page=2")
            payload = completed(client, a_request(server, all_null(observations=first)))["observations"]

            assert said(payload) == ("prefetch", INCOMPLETE, "other-server")
            assert other.connections == 0

    def test_links_under_an_alias_are_followed_on_the_base(self, client: FhirClient, server: FhirServer) -> None:
        """P-08: servers behind proxies write their inner names."""
        first = bundle(following="http://inner.hospital.example/r4/Observation?patient=p1")
        terms = FetchTerms(aliases=("http://inner.hospital.example/r4",))
        payload = completed(client, a_request(server, all_null(observations=first)), terms=terms)["observations"]

        assert said(payload) == ("prefetch", COMPLETE, None)
        assert len(ids_in(payload)) == 2

    def test_an_expired_page_starts_the_search_again(self, client: FhirClient, server: FhirServer) -> None:
        """HAPI answers 410 to a link that has expired."""
        first = bundle(*observations(1), following=f"{server.base}?_getpages=expired&_getpagesoffset=1&_count=1")
        payload = completed(client, a_request(server, all_null(observations=first)))["observations"]

        assert said(payload) == ("prefetch", COMPLETE, None)
        assert ids_in(payload) == [f"o{WEIGHT}-0", f"o{WEIGHT}-0", f"o{WEIGHT}-1"]

    def test_an_error_in_place_of_data_is_not_fetched_again(self, client: FhirClient, server: FhirServer) -> None:
        """P-07, C33: and it is no empty chart."""
        request = a_request(server, all_null(conditions=outcome("exception")))
        record = read_record(completed(client, request).values(), "p1", vocabulary=VOCABULARY, as_of=AS_OF)

        assert record.state("conditions") is FAILED
        assert server.connections == 0

    def test_an_error_is_fetched_again_where_that_is_agreed(self, client: FhirClient, server: FhirServer) -> None:
        """P-07: retry_failed_prefetch."""
        request = a_request(server, all_null(conditions=outcome("exception"), reports=outcome("not-found", "warning")))
        payloads = completed(client, request, terms=FetchTerms(retry_failed_prefetch=True))

        assert said(payloads["conditions"]) == ("fetch", COMPLETE, None)
        assert said(payloads["reports"])[0] == "prefetch"

    @pytest.mark.parametrize("value", [{"resourceType": "Patient", "id": "p1"}, {}, [], "Condition", 7, True])
    def test_a_value_of_another_type_counts_as_missing(
        self, client: FhirClient, server: FhirServer, value: object
    ) -> None:
        """P-07."""
        payload = completed(client, a_request(server, all_null(conditions=value)))["conditions"]

        assert said(payload) == ("fetch", COMPLETE, None)
        assert ids_in(payload) == ["c1"]

    @pytest.mark.parametrize("value", [None, {"resourceType": "Observation", "id": "o1"}])
    def test_a_patient_that_did_not_come_is_read(self, client: FhirClient, server: FhirServer, value: object) -> None:
        """P-06."""
        payload = completed(client, a_request(server, all_null(patient=value)))["patient"]

        assert said(payload) == ("fetch", COMPLETE, None)
        assert ids_in(payload) == ["p1"]

    @pytest.mark.parametrize("value", [None, {"resourceType": "Observation", "id": "o1"}])
    def test_a_patient_that_cannot_be_had_has_failed(self, client: FhirClient, value: object) -> None:
        """P-06: 412 then."""
        payloads = completed(client, a_request(None, all_null(patient=value)))
        record = read_record(payloads.values(), "p1", vocabulary=VOCABULARY, as_of=AS_OF)

        assert record.state("patient") is FAILED

    def test_another_patient_in_prefetch_is_refused(self, client: FhirClient, server: FhirServer) -> None:
        """P-06, T9."""
        payloads = completed(client, a_request(server, all_null(patient=PATIENT | {"id": "p2"})))
        with pytest.raises(BadRequest):
            read_record(payloads.values(), "p1", vocabulary=VOCABULARY, as_of=AS_OF)


class TestFetching:
    def test_all_that_is_missing_is_fetched_with_the_token(self, client: FhirClient, server: FhirServer) -> None:
        """C31: no prefetch at all; C37."""
        payloads = completed(client, a_request(server))

        assert set(payloads) == set(ALL_SOURCES)
        assert {said(payload) for payload in payloads.values()} == {("fetch", COMPLETE, None)}
        assert ids_in(payloads["appointments"]) == ["a1"]
        assert {seen.headers.get("Authorization") for seen in server.seen} == {"Bearer canary-token"}

    @pytest.mark.parametrize("name", ALL_SOURCES)
    def test_each_key_in_turn(self, client: FhirClient, server: FhirServer, name: SourceName) -> None:
        """C31: only what is missing is asked for."""
        payloads = completed(client, a_request(server, all_null(**{name: ...})))

        assert [n for n, payload in payloads.items() if payload.origin == "fetch"] == [name]
        asked = {seen.resource_type for seen in server.seen} - {"Medication"}
        assert len(asked) == 1

    def test_prefetch_and_fetching_give_the_same_record(self, client: FhirClient, server: FhirServer) -> None:
        """C30, but for where each source came from."""
        fetched = completed(client, a_request(server))
        prefetch = {name: json.loads(bytes(payload.pages[0])) for name, payload in fetched.items()}
        came = completed(client, a_request(server, prefetch))
        records = [
            read_record(payloads.values(), "p1", vocabulary=VOCABULARY, as_of=AS_OF) for payloads in (fetched, came)
        ]

        assert len(server.asked("Medication")) == 2
        assert records[0].conditions == records[1].conditions
        assert records[0].medications == records[1].medications
        assert records[0].observations == records[1].observations
        assert [(s.name, s.state, s.set_aside) for s in records[0].sources.values()] == [
            (s.name, s.state, s.set_aside) for s in records[1].sources.values()
        ]

    def test_only_the_codes_and_days_that_rules_read(self, client: FhirClient, server: FhirServer) -> None:
        server.put(observations(1, code="8302-2")[0])
        server.put(observations(1, CREATINE_KINASE)[0] | {"effectiveDateTime": "2025-01-01"})
        payload = completed(client, a_request(server))["observations"]

        assert ids_in(payload) == [f"o{WEIGHT}-0", f"o{WEIGHT}-1"]

    def test_every_page_is_fetched(self, client: FhirClient, server: FhirServer) -> None:
        """P-41: pages of 50, the deciding one last."""
        for one in observations(300):
            server.put(one)
        payload = completed(client, a_request(server))["observations"]

        assert said(payload) == ("fetch", COMPLETE, None)
        assert len(payload.pages) == 6
        assert len(set(ids_in(payload))) == 300

    def test_several_queries_for_one_source_are_one_source(self, client: FhirClient, server: FhirServer) -> None:
        """P-09."""
        others = tuple(f"{LOINC}|{number}-1" for number in range(10_000, 10_300))
        plan = prefetch_plan(Reads(observation_codes=(*READS.observation_codes, *others)))
        payload = completed(client, a_request(server), plan=plan)["observations"]

        assert len(server.asked("Observation")) > 1
        assert said(payload) == ("fetch", COMPLETE, None)
        assert ids_in(payload) == [f"o{WEIGHT}-0", f"o{WEIGHT}-1"]

    def test_one_of_several_queries_failing_is_incomplete(self, client: FhirClient, server: FhirServer) -> None:
        others = tuple(f"{LOINC}|{number}-1" for number in range(10_000, 10_300))
        plan = prefetch_plan(Reads(observation_codes=(*READS.observation_codes, *others)))
        server.faults["Observation"] = Fault(status=403, times=1)
        payload = completed(client, a_request(server), plan=plan)["observations"]

        assert said(payload) == ("fetch", INCOMPLETE, "forbidden")

    @pytest.mark.parametrize("lacking", ["date", "_sort", "_count", "code"])
    def test_a_parameter_that_the_server_lacks_does_not_lose_the_search(self, client: FhirClient, lacking: str) -> None:
        """HAPI answers 400 to the whole search."""
        with FhirServer(CHART, lacks=[lacking]) as server:
            payload = completed(client, a_request(server))["observations"]

        assert said(payload) == ("fetch", COMPLETE, None)
        assert sorted(ids_in(payload)) == [f"o{WEIGHT}-0", f"o{WEIGHT}-1"]

    def test_a_merged_patient_is_no_other_patient(self, client: FhirClient, server: FhirServer) -> None:
        """P-06: a redirect on the same server says that the ids are aliases."""
        server.put(PATIENT | {"id": "p9"})
        server.faults["Patient"] = Fault(status=301, headers={"Location": f"{server.base}/Patient/p9"}, times=1)
        payloads = completed(client, a_request(server))
        record = read_record(payloads.values(), "p1", vocabulary=VOCABULARY, as_of=AS_OF)

        assert (record.gender, record.state("patient")) == ("female", COMPLETE)

    def test_another_patient_from_the_server_is_412(self, client: FhirClient, server: FhirServer) -> None:
        """P-06."""
        server.faults["Patient"] = Fault(body=json.dumps(PATIENT | {"id": "p2"}).encode())
        payloads = completed(client, a_request(server))
        with pytest.raises(DataNotAvailable):
            read_record(payloads.values(), "p1", vocabulary=VOCABULARY, as_of=AS_OF)


class TestNobodyToAsk:
    def test_no_server(self, client: FhirClient) -> None:
        payload = completed(client, a_request(None, all_null(conditions=...)))["conditions"]

        assert said(payload) == ("none", FAILED, "no-fhir-server")

    def test_a_server_that_is_not_listed_is_never_contacted(self, client: FhirClient, server: FhirServer) -> None:
        """P-25: and what came is used."""
        request = a_request(server, all_null(conditions=...))
        payloads = completed(client, request, allowed=lambda _base: False)

        assert said(payloads["conditions"]) == ("none", FAILED, "server-not-allowed")
        assert said(payloads["observations"]) == ("prefetch", COMPLETE, None)
        assert server.connections == 0

    def test_no_token(self, client: FhirClient, server: FhirServer) -> None:
        """P-25."""
        request = a_request(server, token=None)
        payloads = complete(
            request, plan=PLAN, client=client, as_of=AS_OF, deadline=time.monotonic() + 5, allowed=open_mode_allows
        )

        assert {said(payload) for payload in payloads} == {("none", FAILED, "no-token")}
        assert server.connections == 0

    def test_open_mode_needs_no_token(self, client: FhirClient, server: FhirServer) -> None:
        """P-24."""
        payload = completed(client, a_request(server, token=None))["conditions"]

        assert said(payload) == ("fetch", COMPLETE, None)


class TestStates:
    """P-02, P-03."""

    @pytest.mark.parametrize(
        ("status", "state", "cause"),
        [
            (400, FAILED, "bad-request"),
            (401, FAILED, "unauthorized"),
            (403, FAILED, "forbidden"),
            (404, NOT_OFFERED, "not-found"),
            (405, FAILED, "method-refused"),
            (410, FAILED, "gone"),
            (422, FAILED, "refused"),
            (429, FAILED, "throttled"),
            (500, FAILED, "server-error"),
            (503, FAILED, "server-error"),
        ],
    )
    def test_of_a_search_that_is_refused(
        self, client: FhirClient, server: FhirServer, status: int, state: SourceState, cause: str
    ) -> None:
        server.faults["MedicationStatement"] = Fault(status=status)
        payloads = completed(client, a_request(server))

        assert said(payloads["medicationStatements"]) == ("fetch", state, cause)
        assert payloads["conditions"].state is COMPLETE

    def test_a_patient_that_is_not_there_has_failed(self, client: FhirClient, server: FhirServer) -> None:
        """HAPI answers 200 to searches for such a patient: only the read tells."""
        server.resources["Patient"].clear()
        payload = completed(client, a_request(server))["patient"]

        assert said(payload) == ("fetch", FAILED, "not-found")

    def test_an_error_among_the_entries_is_the_readers_to_judge(self, client: FhirClient, server: FhirServer) -> None:
        """P-02."""
        server.faults["Condition"] = Fault(
            entry={"resource": outcome("suppressed", "warning"), "search": {"mode": "outcome"}}
        )
        payloads = completed(client, a_request(server))
        record = read_record(payloads.values(), "p1", vocabulary=VOCABULARY, as_of=AS_OF)

        assert record.state("conditions") is INCOMPLETE

    def test_a_page_that_fails_leaves_the_source_incomplete(self, client: FhirClient, server: FhirServer) -> None:
        server.page_size = 1
        server.faults["next"] = Fault(status=403)
        payload = completed(client, a_request(server))["observations"]

        assert said(payload) == ("fetch", INCOMPLETE, "forbidden")
        assert len(payload.pages) == 1

    def test_not_in_the_scope_is_not_requested(self, client: FhirClient, server: FhirServer) -> None:
        """C39."""
        scope = "openid patient/Patient.read patient/Condition.rs"
        payloads = completed(client, a_request(server, scope=scope))

        assert {seen.resource_type for seen in server.seen} == {"Patient", "Condition"}
        assert said(payloads["observations"]) == ("none", NOT_OFFERED, "not-in-scope")

    def test_a_scope_for_a_part_is_incomplete(self, client: FhirClient, server: FhirServer) -> None:
        """P-02."""
        scope = "patient/*.rs?category=laboratory patient/Patient.rs"
        payloads = completed(client, a_request(server, scope=scope))

        assert said(payloads["observations"]) == ("fetch", INCOMPLETE, "scope-is-part")
        assert payloads["patient"].state is COMPLETE

    def test_a_gap_that_is_accepted_is_not_requested(self, client: FhirClient, server: FhirServer) -> None:
        """P-03: Epic has no search of MedicationStatements."""
        terms = FetchTerms(accepted_gaps=frozenset({"medicationStatements"}))
        payload = completed(client, a_request(server), terms=terms)["medicationStatements"]

        assert said(payload) == ("none", NOT_OFFERED, "accepted-gap")
        assert server.asked("MedicationStatement") == []


class TestScopes:
    @pytest.mark.parametrize(
        ("scope", "granted"),
        [
            ("patient/Condition.read", Grant.WHOLE),
            ("user/*.read", Grant.WHOLE),
            ("system/*.*", Grant.WHOLE),
            ("patient/Condition.rs", Grant.WHOLE),
            ("patient/Condition.cruds", Grant.WHOLE),
            ("launch openid fhirUser patient/Condition.s", Grant.WHOLE),
            ("patient/Condition.rs?category=encounter-diagnosis", Grant.PART),
            ("patient/Condition.rs?category=encounter-diagnosis patient/*.rs", Grant.WHOLE),
            ("patient/Condition.write", Grant.NONE),
            ("patient/Condition.r", Grant.NONE),
            ("patient/Observation.read", Grant.NONE),
            ("launch/patient openid", Grant.NONE),
            ("", Grant.UNKNOWN),
            ("CONDITION.SEARCH (PROBLEMS) (R4) PATIENT.READ (R4)", Grant.UNKNOWN),
            ("patient/Observation.read Condition.Search (Problems) (R4)", Grant.UNKNOWN),
        ],
    )
    def test_for_a_search_of_conditions(self, scope: str, granted: Grant) -> None:
        """C26: SMART versions 1 and 2; Epic's texts are unknown, which is no error."""
        assert grant(scope, "Condition", "s") is granted


class TestPagesThatDoNotEnd:
    """T17: stopped, and said."""

    def test_a_link_to_itself(self, client: FhirClient, server: FhirServer) -> None:
        server.faults["*"] = Fault(link=f"{server.base}/Condition?patient=p1")
        payload = completed(client, a_request(server, all_null(conditions=...)))["conditions"]

        assert said(payload) == ("fetch", INCOMPLETE, "page-loop")
        assert len(server.seen) == 2

    def test_a_ring_of_two(self, client: FhirClient, server: FhirServer) -> None:
        first = bundle(following=f"{server.base}/Condition?patient=p1&_count=1")
        server.faults["Condition"] = Fault(link=f"{server.base}/Observation?patient=p1")
        server.faults["Observation"] = Fault(link=f"{server.base}/Condition?patient=p1&_count=1")
        payload = completed(client, a_request(server, all_null(conditions=first)))["conditions"]

        assert said(payload) == ("prefetch", INCOMPLETE, "page-loop")
        assert len(server.seen) <= 3

    def test_links_that_grow(self, client: FhirClient, monkeypatch: pytest.MonkeyPatch, server: FhirServer) -> None:
        monkeypatch.setattr("cds_service.prefetch.fetching.MAX_PAGES", 5)
        server.page_size = 1
        for one in observations(50):
            server.put(one)
        payload = completed(client, a_request(server))["observations"]

        assert said(payload) == ("fetch", INCOMPLETE, "too-much")
        assert len(payload.pages) == 6

    def test_too_many_entries(self, client: FhirClient, monkeypatch: pytest.MonkeyPatch, server: FhirServer) -> None:
        monkeypatch.setattr("cds_service.prefetch.fetching.MAX_ENTRIES", 100)
        for one in observations(200):
            server.put(one)
        payload = completed(client, a_request(server))["observations"]

        assert said(payload) == ("fetch", INCOMPLETE, "too-much")
        assert len(payload.pages) == 3

    def test_too_many_bytes(self, client: FhirClient, monkeypatch: pytest.MonkeyPatch, server: FhirServer) -> None:
        monkeypatch.setattr("cds_service.prefetch.fetching.MAX_CALL_BYTES", 20_000)
        for one in observations(200):
            server.put(one)
        payload = completed(client, a_request(server, all_null(observations=...)))["observations"]

        assert said(payload) == ("fetch", INCOMPLETE, "too-much")
        assert len(payload.pages) == 1


class TestDeadline:
    """P-10, P-42: 0.4 s, and at most 300 ms more."""

    @pytest.mark.parametrize("fault", [Fault(delay=3), Fault(drip="head"), Fault(drip="body"), Fault(status=503)])
    def test_one_slow_source_costs_only_itself(self, client: FhirClient, server: FhirServer, fault: Fault) -> None:
        completed(client, a_request(server))  # connections are kept from here on
        server.faults["Observation"] = fault
        started = time.monotonic()
        payloads = completed(client, a_request(server), within=0.4)

        assert time.monotonic() - started < 0.7
        assert payloads["observations"].state is FAILED
        assert payloads["observations"].cause in ("deadline", "timeout", "server-error")
        assert {p.state for name, p in payloads.items() if name != "observations"} == {COMPLETE}

    def test_a_server_that_does_not_answer(self, client: FhirClient, server: FhirServer) -> None:
        server.faults["*"] = Fault(delay=3)
        started = time.monotonic()
        payloads = completed(client, a_request(server), within=0.4)

        assert time.monotonic() - started < 0.7
        assert {payload.state for payload in payloads.values()} == {FAILED}
        assert payloads["carePlans"].cause == "deadline"

    def test_a_name_that_is_not_resolved_in_time(self, client: FhirClient, monkeypatch: pytest.MonkeyPatch) -> None:
        """A resolver keeps no deadline; the call does."""
        answered = threading.Event()

        def hang(*_: object, **__: object) -> list[Any]:
            answered.wait(5)
            raise socket.gaierror

        monkeypatch.setattr("socket.getaddrinfo", hang)
        request = msgspec.structs.replace(a_request(None, all_null(conditions=...)), fhir_server="https://ehr.example")
        started = time.monotonic()
        payload = completed(client, request, within=0.4)["conditions"]
        spent = time.monotonic() - started
        answered.set()

        assert spent < 0.7
        assert said(payload) == ("fetch", FAILED, "deadline")

    def test_pages_that_came_in_time_are_kept(self, client: FhirClient, server: FhirServer) -> None:
        """P-41: stops in time and says incomplete."""
        server.page_size = 1
        for one in observations(50):
            server.put(one)
        server.faults["next"] = Fault(delay=0.05)
        payload = completed(client, a_request(server, all_null(observations=...)), within=0.4)["observations"]

        assert (payload.state, payload.cause in ("deadline", "timeout")) == (INCOMPLETE, True)
        assert 2 <= len(payload.pages) <= 10

    def test_six_sources_take_little_more_than_one(self, client: FhirClient, server: FhirServer) -> None:
        """Performance goal 4, loosely."""
        plan = prefetch_plan(Reads(sources=ALL_SOURCES[:6]))
        server.faults["*"] = Fault(delay=0.05)
        server.resources["MedicationRequest"].clear()  # no second stage
        walls = []
        for _ in range(4):
            started = time.monotonic()
            completed(client, a_request(server), plan=plan)
            walls.append(time.monotonic() - started)

        assert min(walls) < 0.05 * 1.5


class TestReferencedMedications:
    """P-09: the second stage."""

    def request(self, reference: str, medication: object = None) -> dict[str, Any]:
        return resource("MedicationRequest", "m1", status="active", medicationReference={"reference": reference})

    def test_are_read_and_belong_to_the_source(self, client: FhirClient, server: FhirServer) -> None:
        came = all_null(medicationRequests=bundle(self.request("Medication/d1")))
        payload = completed(client, a_request(server, came))["medicationRequests"]

        assert said(payload) == ("prefetch", COMPLETE, None)
        assert ids_in(payload) == ["m1", "d1"]
        assert server.seen[0].headers["Authorization"] == "Bearer canary-token"

    @pytest.mark.parametrize(
        "reference",
        [
            "Observation?patient=p2&x=/Medication/d1",
            "#/Medication/d1",
            "Medication/..",
            "Medication/d1?_count=9",
            "https://[::1/Medication/d1",
            "?Medication/d1",
        ],
    )
    def test_t8_a_reference_that_is_none_asks_for_nothing(
        self, client: FhirClient, server: FhirServer, reference: str
    ) -> None:
        """The text stands in a chart: it must not become a query of its own."""
        came = all_null(medicationRequests=bundle(self.request(reference)))
        completed(client, a_request(server, came))

        assert server.seen == []

    @pytest.mark.parametrize("reference", ["Medication/d1/_history/2", "BASE/Medication/d1"])
    def test_whatever_the_form_of_the_reference(self, client: FhirClient, server: FhirServer, reference: str) -> None:
        came = all_null(medicationRequests=bundle(self.request(reference.replace("BASE", server.base))))
        payload = completed(client, a_request(server, came))["medicationRequests"]

        assert ids_in(payload) == ["m1", "d1"]
        assert server.seen[0].target == "/fhir/Medication/d1"

    def test_one_under_an_alias_is_read_from_the_base(self, client: FhirClient, server: FhirServer) -> None:
        """P-08."""
        inner = "http://inner.hospital.example/r4"
        came = all_null(medicationRequests=bundle(self.request(f"{inner}/Medication/d1")))
        payload = completed(client, a_request(server, came), terms=FetchTerms(aliases=(inner,)))["medicationRequests"]

        assert said(payload) == ("prefetch", COMPLETE, None)
        assert ids_in(payload) == ["m1", "d1"]

    @pytest.mark.parametrize("reference", ["#d1", "urn:uuid:4e0a3a1e-3065-4142-ba52-1d5e2f1e4f6a", "Substance/d1"])
    def test_others_are_not_read(self, client: FhirClient, server: FhirServer, reference: str) -> None:
        completed(client, a_request(server, all_null(medicationRequests=bundle(self.request(reference)))))

        assert server.connections == 0

    def test_each_is_read_once(self, client: FhirClient, server: FhirServer) -> None:
        statement = resource("MedicationStatement", "s1", medicationReference={"reference": "Medication/d1"})
        came = all_null(
            medicationRequests=bundle(self.request("Medication/d1"), self.request("Medication/d1")),
            medicationStatements=bundle(statement),
        )
        payloads = completed(client, a_request(server, came))

        assert len(server.seen) == 1
        assert {payload.state for payload in payloads.values()} == {COMPLETE}

    def test_what_a_page_carries_is_not_read(self, client: FhirClient, server: FhirServer) -> None:
        medication = {"resourceType": "Medication", "id": "d1", "code": {"text": "Prednisone"}}
        came = all_null(medicationRequests=bundle(self.request("Medication/d1"), medication))
        completed(client, a_request(server, came))

        assert server.connections == 0

    def test_one_that_cannot_be_read_leaves_its_sources_incomplete(
        self, client: FhirClient, server: FhirServer
    ) -> None:
        """It might be a steroid."""
        came = all_null(medicationRequests=bundle(self.request("Medication/nowhere")))
        payloads = completed(client, a_request(server, came))

        assert said(payloads["medicationRequests"]) == ("prefetch", INCOMPLETE, "medication-not-read")
        assert payloads["medicationStatements"].state is COMPLETE

    def test_one_on_another_server_is_not_asked_for(self, client: FhirClient, server: FhirServer) -> None:
        """T4."""
        with FhirServer(CHART) as other:
            came = all_null(medicationRequests=bundle(self.request(f"{other.base}/Medication/d1")))
            payload = completed(client, a_request(server, came))["medicationRequests"]

            assert payload.state is INCOMPLETE
            assert other.connections == 0

    def test_a_source_that_hangs_holds_up_no_other(self, client: FhirClient, server: FhirServer) -> None:
        """Medications are read as soon as their own source is there."""
        server.faults["MedicationStatement"] = Fault(delay=3)
        payloads = completed(client, a_request(server), within=0.4)

        assert payloads["medicationStatements"].state is FAILED
        assert said(payloads["medicationRequests"]) == ("fetch", COMPLETE, None)
        assert ids_in(payloads["medicationRequests"]) == ["m1", "d1"]

    def test_one_that_does_not_come_in_time_leaves_its_source_incomplete(
        self, client: FhirClient, server: FhirServer
    ) -> None:
        server.faults["Medication"] = Fault(delay=3)
        payload = completed(client, a_request(server), within=0.4)["medicationRequests"]

        assert said(payload) == ("fetch", INCOMPLETE, "medication-not-read")
        assert ids_in(payload) == ["m1"]

    def test_at_most_fifty(self, client: FhirClient, server: FhirServer) -> None:
        """P-09."""
        for number in range(60):
            server.put({"resourceType": "Medication", "id": f"x{number}"})
        requests = [self.request(f"Medication/x{number}") for number in range(60)]
        payload = completed(client, a_request(server, all_null(medicationRequests=bundle(*requests))))[
            "medicationRequests"
        ]

        assert len(server.asked("Medication")) == 50
        assert said(payload) == ("prefetch", INCOMPLETE, "medication-not-read")

    def test_without_a_server_the_reader_makes_do_with_words(self, client: FhirClient) -> None:
        came = all_null(medicationRequests=bundle(self.request("Medication/d1")))
        payload = completed(client, a_request(None, came))["medicationRequests"]

        assert said(payload) == ("prefetch", COMPLETE, None)


def test_nothing_of_one_call_is_seen_by_the_next(client: FhirClient, server: FhirServer) -> None:
    """T24, C38: each call goes out with its own token."""
    for token in ("token-of-a", "token-of-b"):
        completed(client, a_request(server, token=token))
    half = len(server.seen) // 2

    assert {seen.headers["Authorization"] for seen in server.seen[:half]} == {"Bearer token-of-a"}
    assert {seen.headers["Authorization"] for seen in server.seen[half:]} == {"Bearer token-of-b"}


class TestLearned:
    """P-03, P-10: what is known of a server spares requests; what is not known is tried."""

    @pytest.fixture
    def capabilities(self, client: FhirClient) -> Capabilities:
        return Capabilities(client)

    def learn(self, capabilities: Capabilities, server: FhirServer, **types: list[str]) -> None:
        """Let the server say which types it has, with the parameters of their searches, and wait until it is known."""
        resources = [
            {"type": name, "searchParam": [{"name": parameter} for parameter in parameters]}
            for name, parameters in types.items()
        ]
        statement = {"resourceType": "CapabilityStatement", "rest": [{"mode": "server", "resource": resources}]}
        server.faults["metadata"] = Fault(body=json.dumps(statement).encode())
        give_up = time.monotonic() + 5
        while capabilities.of(server.base) is None and time.monotonic() < give_up:
            time.sleep(0.01)

    def test_a_type_that_is_not_there_is_not_asked_for(
        self, client: FhirClient, server: FhirServer, capabilities: Capabilities
    ) -> None:
        self.learn(capabilities, server, Condition=["patient"], Patient=[])
        request = a_request(server, prefetch=all_null(carePlans=..., conditions=...))
        payloads = completed(client, request, capabilities=capabilities)
        assert said(payloads["carePlans"]) == ("none", SourceState.NOT_OFFERED, "not-in-capability-statement")
        assert payloads["conditions"].state is SourceState.COMPLETE
        assert server.asked("CarePlan") == []

    def test_a_parameter_that_is_not_there_is_left_out_at_once(
        self, client: FhirClient, server: FhirServer, capabilities: Capabilities
    ) -> None:
        self.learn(capabilities, server, Procedure=["patient"])
        completed(client, a_request(server, prefetch=all_null(procedures=...)), capabilities=capabilities)
        assert [seen.query for seen in server.asked("Procedure")] == [{"patient": "p1"}]

    def test_a_refusal_is_remembered_for_the_next_call(
        self, client: FhirClient, server: FhirServer, capabilities: Capabilities
    ) -> None:
        server.lacks = frozenset({"date"})
        for _ in range(2):
            payloads = completed(
                client, a_request(server, prefetch=all_null(procedures=...)), capabilities=capabilities
            )
            assert payloads["procedures"].state is SourceState.COMPLETE
        dated = ["date" in seen.query for seen in server.asked("Procedure")]
        assert dated == [True, False, False]

    def test_one_chart_that_is_refused_costs_no_other(
        self, client: FhirClient, server: FhirServer, capabilities: Capabilities
    ) -> None:
        """When the plain search is refused as well, it was not the parameters."""
        server.faults["Procedure"] = Fault(status=400, times=2)
        for _ in range(2):
            payloads = completed(
                client, a_request(server, prefetch=all_null(procedures=...)), capabilities=capabilities
            )
        assert payloads["procedures"].state is SourceState.COMPLETE
        assert ["date" in seen.query for seen in server.asked("Procedure")] == [True, False, True]

    def test_a_plain_search_is_sent_once(
        self, client: FhirClient, server: FhirServer, capabilities: Capabilities
    ) -> None:
        """However many lists of codes it stands for."""
        plan = prefetch_plan(msgspec.structs.replace(READS, undated_codes=READS.observation_codes[:1]))
        assert len(plan.queries("observations", "p1", AS_OF)) > 1
        self.learn(capabilities, server, Observation=["patient"])
        request = a_request(server, prefetch=all_null(observations=...))
        payloads = completed(client, request, plan=plan, capabilities=capabilities)
        assert payloads["observations"].state is SourceState.COMPLETE
        assert [seen.query for seen in server.asked("Observation")] == [{"patient": "p1"}]

    def test_the_first_call_does_not_wait_for_what_a_server_says(
        self, client: FhirClient, server: FhirServer, capabilities: Capabilities
    ) -> None:
        server.faults["metadata"] = Fault(delay=3)
        started = time.monotonic()
        completed(client, a_request(server, prefetch=all_null(procedures=...)), capabilities=capabilities)
        assert time.monotonic() - started < 2


class TestSearchByPost:
    """P-09: only where it was agreed; what refuses it is asked by GET from then on."""

    TERMS = FetchTerms(anonymous=True, post_search=True)

    @pytest.fixture
    def capabilities(self, client: FhirClient) -> Capabilities:
        return Capabilities(client)

    def completed(self, client: FhirClient, server: FhirServer, capabilities: Capabilities) -> SourcePayload:
        request = a_request(server, prefetch=all_null(conditions=...))
        return completed(client, request, terms=self.TERMS, capabilities=capabilities)["conditions"]

    def test_nobody_is_posted_to_unasked(self, client: FhirClient, server: FhirServer) -> None:
        completed(client, a_request(server))
        assert all(seen.form is None for seen in server.seen)

    def test_no_patient_stands_in_an_address(
        self, client: FhirClient, server: FhirServer, capabilities: Capabilities
    ) -> None:
        payload = self.completed(client, server, capabilities)
        assert (payload.state, ids_in(payload)) == (COMPLETE, ["c1"])
        (posted,) = server.asked("Condition")
        assert posted.target == "/fhir/Condition/_search"
        assert posted.query == {"patient": "p1", "_count": "1000"}
        assert posted.headers["Authorization"] == "Bearer canary-token"

    def test_the_pages_that_follow_are_fetched(
        self, client: FhirClient, server: FhirServer, capabilities: Capabilities
    ) -> None:
        server.put(resource("Condition", "c2"))
        server.page_size = 1
        assert ids_in(self.completed(client, server, capabilities)) == ["c1", "c2"]

    @pytest.mark.parametrize("status", [400, 403, 404, 405, 415])
    def test_what_refuses_it_is_asked_by_get_from_then_on(
        self, client: FhirClient, server: FhirServer, capabilities: Capabilities, status: int
    ) -> None:
        server.faults["POST"] = Fault(status=status)
        for _ in range(2):
            assert ids_in(self.completed(client, server, capabilities)) == ["c1"]
        assert [seen.form is not None for seen in server.asked("Condition")] == [True, False, False]

    def test_a_form_is_not_sent_on(self, client: FhirClient, server: FhirServer, capabilities: Capabilities) -> None:
        server.faults["POST"] = Fault(status=307, headers={"Location": f"{server.base}/elsewhere"})
        assert ids_in(self.completed(client, server, capabilities)) == ["c1"]
        assert server.asked("elsewhere") == []

    def test_another_refusal_stands(self, client: FhirClient, server: FhirServer, capabilities: Capabilities) -> None:
        server.faults["POST"] = Fault(status=401)
        assert self.completed(client, server, capabilities).state is FAILED
        assert len(server.asked("Condition")) == 1

    def test_a_refused_parameter_is_left_out(
        self, client: FhirClient, server: FhirServer, capabilities: Capabilities
    ) -> None:
        server.lacks = frozenset({"_count"})
        assert ids_in(self.completed(client, server, capabilities)) == ["c1"]


LONG_BASE = "https://fhir.example.org/" + "x" * 125


@pytest.mark.parametrize("codes", ["of the rules", "a thousand"])
def test_p09_no_address_is_longer_than_1900_bytes(codes: str) -> None:
    """With a long FHIR base and the longest patient id (P-12)."""
    settings = Settings()
    reads = reads_of(load_rule_pack(settings.rules_dir, settings.today()))
    if codes == "a thousand":
        many = tuple(f"http://loinc.org|{number}-0" for number in range(10_000, 11_000))
        reads = msgspec.structs.replace(reads, observation_codes=many, undated_codes=many[:500])
    plan = prefetch_plan(reads)
    queries = [query.path for name in plan.reads.sources for query in plan.queries(name, "x" * 255, AS_OF)]
    assert max(len(f"{LONG_BASE}/{query}".encode()) for query in queries) <= 1900
