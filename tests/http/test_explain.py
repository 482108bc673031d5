"""``/explain/<card>``: who may ask, what is told from what was kept, what when the chart is brought again (P-33)."""

from __future__ import annotations

import html
import json
import re
import sqlite3
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.app import STORE, create_app
from cds_service.fixture_patients import FixturePatient, hook_request_for, load_fixture_patients
from cds_service.governance import switchboard
from cds_service.settings import Settings
from cds_service.store import EVERY, Store, Switch
from tests.ehr import PUBLIC_URL, Ehr, write_clients
from tests.http.governed import FEEDBACK, overriding
from tests.http.stand_in import CALL, check, diagnostics, empty_values, strict_json
from tests.worked_patients import RULES

FIXTURES = Path(__file__).parents[2] / "fixtures"
ANCHOR = date(2026, 11, 2)
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
PATIENTS = {patient.id: patient for patient in load_fixture_patients(FIXTURES, ANCHOR)}
ADA = PATIENTS["ada-steroid-myopathy"]
OTHER_ISSUER = "https://other.example/cds"
HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}  # as browsers send it
FAILED = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
ASSESSMENT = "org.atrophy-cds.assessment"

_COMPONENTS = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())["components"]
DESCRIBED = jsonschema_rs.validator_for({"$ref": "#/components/schemas/Explanation", "components": _COMPONENTS})

# Ten patients for readers who have only the card and its page: each kind of card, few facts and many, one carried rule.
READ = (
    "ada-steroid-myopathy",
    "bram-dexamethasone",
    "dora-one-course-three-records",
    "mia-steroid-and-frailty",
    "edith-high-dose-steroid",
    "liam-ascending-weakness",
    "noor-critical-stands-alone",
    "olga-leg-wasting-numb",
    "karl-weak-at-74",
    "lena-wasting-and-grip",
)


class Asked:
    """A service for two CDS Clients, ``ehr`` and ``other``, and its store."""

    def __init__(self, folder: Path, entry: str = "") -> None:
        self.ehr, self.other = Ehr(), Ehr(OTHER_ISSUER, kid="o1")
        self.file = folder / "cds.db"
        (folder / "other.jwks.json").write_text(json.dumps(self.other.jwks))
        more = f'{entry}\n[[client]]\nid = "other"\nissuer = "{OTHER_ISSUER}"\nkeys_file = "other.jwks.json"'
        settings = Settings(
            clients_file=write_clients(folder, self.ehr, more),
            public_url=PUBLIC_URL,
            database_url=f"sqlite:///{folder}/cds.db",
        )
        self.now = NOW
        app = create_app(settings, clock=lambda: self.now)
        self.store: Store = app.extensions[STORE]
        self.client: FlaskClient = app.test_client()

    def cards(self, patient: FixturePatient = ADA) -> list[dict[str, Any]]:
        response = self.client.post(CALL, json=hook_request_for(patient), headers=self.ehr.bearer(CALL))
        cards: list[dict[str, Any]] = response.get_json()["cards"]
        return cards

    def explain(
        self, card: str, brought: dict[str, Any] | None = None, who: Ehr | None = None, **headers: str
    ) -> TestResponse:
        path = f"/explain/{card}"
        sent = {**(who or self.ehr).bearer(path), **headers}
        if brought is None:
            return self.client.get(path, headers=sent)
        return self.client.post(path, json=brought, headers=sent)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    made = Asked(tmp_path)
    yield made
    made.store.close()


def text_of(page: TestResponse) -> str:
    """What a reader sees of a page."""
    body = re.sub(r"<(style|title)>.*?</\1>", "", page.get_data(as_text=True), flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", body)).split())


class TestWhoMayAsk:
    def test_a_token_for_this_very_address_is_needed(self, asked: Asked) -> None:
        """C69, C72."""
        (card,) = asked.cards()
        path = f"/explain/{card['uuid']}"
        assert asked.client.get(path).status_code == 401
        assert asked.client.get(path, headers=asked.ehr.bearer(CALL)).status_code == 401
        assert asked.client.get(path, headers=asked.ehr.bearer(path)).status_code == 200

    def test_what_stands_in_aud_may_be_agreed_instead(self, tmp_path: Path) -> None:
        """P-31: a gateway that signs people in makes its tokens for one address."""
        agreed = "https://cds.example/explain"
        asked = Asked(tmp_path)
        clients = write_clients(tmp_path, asked.ehr, f'audiences = {{ explain = ["{agreed}"] }}')
        settings = Settings(clients_file=clients, public_url=PUBLIC_URL, database_url=f"sqlite:///{tmp_path}/cds.db")
        client = create_app(settings, clock=lambda: NOW).test_client()
        (card,) = asked.cards()
        path = f"/explain/{card['uuid']}"
        assert client.get(path, headers=asked.ehr.bearer(path)).status_code == 401
        assert client.get(path, headers=asked.ehr.bearer(path, aud=agreed)).status_code == 200

    def test_a_card_of_another_client_is_as_unknown_as_none(self, asked: Asked) -> None:
        """P-22, T28, T29."""
        (card,) = asked.cards()
        foreign = asked.explain(card["uuid"], who=asked.other)
        unknown = asked.explain("4e0a3a1e-3065-4142-ba52-1d5e2f1e4f6a")
        assert (foreign.status_code, foreign.data) == (404, unknown.data)
        assert diagnostics(unknown).startswith("No such card was shown to this CDS Client")

    @pytest.mark.parametrize("name", ["x", "..%2F..%2Fetc", "4e0a3a1e-3065-4142-ba52", "%00", "'%20or%201=1"])
    def test_what_is_no_uuid_is_404(self, asked: Asked, name: str) -> None:
        """T21."""
        response = asked.client.get(f"/explain/{name}", headers=asked.ehr.bearer(f"/explain/{name}"))
        assert response.status_code in (401, 404)  # 401: the path of the token is spelled in another way
        check(response)

    def test_after_a_purge_nothing_is_told(self, asked: Asked) -> None:
        (card,) = asked.cards()
        asked.store.purge(NOW + timedelta(seconds=1), NOW)
        assert asked.explain(card["uuid"]).status_code == 404


class TestWhatWasKept:
    def test_the_rule_and_each_verdict_without_anything_of_the_chart(self, asked: Asked) -> None:
        (card,) = asked.cards()
        response = asked.explain(card["uuid"])
        check(response)
        said = response.get_json()
        assert said["asOf"] == "2026-11-02T12:00:00+00:00"
        assert re.fullmatch(r"[0-9a-f]{64}", said["rulePack"])
        (rule,) = said["rules"]
        assert (rule["id"], rule["version"], rule["indicator"]) == ("steroid-myopathy", "1.0.0", "warning")
        assert [w["when"] for w in rule["ways"] if w.get("spoke")] == ["exposure and weakness"]
        assert {c["name"]: c["result"] for c in rule["criteria"]}["weakness"] == "true"
        assert rule["missing"] == ["a grip strength or chair rise within 365 days"]
        assert "brought" not in said
        for fact in card["extension"][ASSESSMENT]["basis"]:
            for part in ("reference", "date", "value", "code"):
                assert fact.get(part) is None or fact[part] not in response.get_data(as_text=True)

    def test_the_page_says_where_the_facts_are(self, asked: Asked) -> None:
        (card,) = asked.cards()
        page = asked.explain(card["uuid"], **HTML)
        assert page.mimetype == "text/html"
        assert "This service keeps no chart" in text_of(page)
        said = tomllib.loads((RULES / "steroid-myopathy" / "rule.toml").read_text())["criteria"]["new_weakness"]["says"]
        assert f"weakness: {said} (value sets: Muscle weakness" in text_of(page)
        assert "Five chair rises, time) 1 fact" in text_of(page)

    def test_what_could_not_be_read_is_neither_so_nor_not_so(self, asked: Asked) -> None:
        """T23: without results the card still stands; what only they could tell is unknown, and named."""
        request = hook_request_for(ADA)
        request["prefetch"]["observations"] = FAILED
        answer = asked.client.post(CALL, json=request, headers=asked.ehr.bearer(CALL)).get_json()
        said = asked.explain(answer["cards"][0]["uuid"]).get_json()
        (rule,) = said["rules"]
        results = {criterion["name"]: criterion["result"] for criterion in rule["criteria"]}
        assert (results["weakness"], results["recent ck"], results["confirmed myositis"]) == (
            "true",
            "unknown",
            "false",
        )
        assert "results and measurements" in rule["missing"]
        page = text_of(asked.explain(answer["cards"][0]["uuid"], **HTML))
        assert "What is missing or not known results and measurements" in page

    def test_a_gap_card_names_what_was_not_read_and_which_rules_wait_for_it(self, asked: Asked) -> None:
        request = hook_request_for(ADA)
        request["prefetch"]["observations"] = FAILED
        answer = asked.client.post(CALL, json=request, headers=asked.ehr.bearer(CALL)).get_json()
        gap = next(c for c in answer["cards"] if c["source"]["topic"]["code"] == "recordgaps")
        said = asked.explain(gap["uuid"]).get_json()
        assert said["gaps"] == ["results and measurements"]
        unknown = [
            r["id"] for r in answer["extension"]["org.atrophy-cds.evaluation"]["rules"] if r["status"] == "unknown"
        ]
        assert len(said["undecided"]) == len(unknown) > 0
        assert "results and measurements" in text_of(asked.explain(gap["uuid"], **HTML))


class TestTheChartIsBrought:
    @pytest.mark.parametrize("name", READ)
    def test_every_fact_of_the_card_stands_on_its_page(self, asked: Asked, name: str) -> None:
        """The basis of the card (P-23) is the measure, in JSON and in what a reader of the page sees."""
        request = hook_request_for(PATIENTS[name])
        cards = asked.cards(PATIENTS[name])
        assert cards
        for card in cards:
            response = asked.explain(card["uuid"], request)
            assert list(empty_values(strict_json(response.data))) == []
            said = response.get_json()
            DESCRIBED.validate(said)
            seen = text_of(asked.explain(card["uuid"], request, **HTML))
            basis = card["extension"][ASSESSMENT]["basis"]
            named = {
                (f["reference"], f.get("date"), f.get("value"), f.get("threshold"))
                for f in said["facts"]
                if f.get("caused")
            }
            assert {(f["reference"], f.get("date"), f.get("value"), f.get("threshold")) for f in basis} == named
            for fact in said["facts"]:
                for part in ("text", "dated", "value", "threshold", "reference"):
                    assert fact.get(part) is None or " ".join(fact[part].split()) in seen
            for rule in card["extension"][ASSESSMENT]["rules"]:
                assert rule["id"] in [r["id"] for r in said["rules"]]

    def test_another_patient_is_refused(self, asked: Asked) -> None:
        """T9: the facts of one patient are never told as the reasons for another's card."""
        (card,) = asked.cards()
        response = asked.explain(card["uuid"], hook_request_for(PATIENTS["karl-weak-at-74"]))
        assert response.status_code == 400
        assert "not about the patient of this card" in diagnostics(response)

    def test_a_chart_that_has_changed_is_said_to_have(self, asked: Asked) -> None:
        (card,) = asked.cards()
        request = hook_request_for(ADA)
        entries = request["prefetch"]["conditions"]["entry"]
        request["prefetch"]["conditions"]["entry"] = [e for e in entries if e["resource"]["id"] != "ada-condition-2"]
        seen = text_of(asked.explain(card["uuid"], request, **HTML))
        assert "The chart is not what it was when the card was shown." in seen
        assert "1 of the facts of that time is not in it" in seen
        assert "now no" in seen

    def test_t11_text_of_the_chart_is_text(self, asked: Asked) -> None:
        request = hook_request_for(ADA)
        entries = request["prefetch"]["conditions"]["entry"]
        condition = next(e["resource"] for e in entries if e["resource"]["id"] == "ada-condition-2")
        condition["code"]["coding"][0]["display"] = condition["code"]["text"] = (
            "<img src=x onerror=alert(1)> https://e.vil/"
        )
        (card,) = asked.client.post(CALL, json=request, headers=asked.ehr.bearer(CALL)).get_json()["cards"]
        page = asked.explain(card["uuid"], request, **HTML).get_data(as_text=True)
        assert "&lt;img src=x onerror=alert(1)&gt; (link removed)" in page
        assert "<img" not in page

    @pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"x" * 17_000_000, 413)])
    def test_the_body_is_bounded_and_checked_like_that_of_a_call(self, asked: Asked, body: bytes, status: int) -> None:
        (card,) = asked.cards()
        path = f"/explain/{card['uuid']}"
        headers = {**asked.ehr.bearer(path), "Content-Type": "application/json"}
        assert asked.client.post(path, data=body, headers=headers).status_code == status


class TestWhatChangedSince:
    """The page tells of the moment of the card, whatever users and operators did later."""

    def test_what_was_called_wrong_after_the_card_is_still_its_fact(self, asked: Asked) -> None:
        """B-51: the entry counted when the card was shown."""
        (card,) = asked.cards()
        call_wrong(asked, card)
        said = asked.explain(card["uuid"], hook_request_for(ADA)).get_json()
        assert "calledWrong" not in said
        assert {fact["reference"] for fact in said["facts"] if fact.get("caused")}
        assert not said["rules"][0].get("differs")

    def test_what_was_called_wrong_before_the_card_is_left_out_as_then(self, asked: Asked) -> None:
        """The card was made without it: with it another rule would take the weakness up."""
        mia = PATIENTS["mia-steroid-and-frailty"]
        wrong, stays = asked.cards(mia)
        call_wrong(asked, wrong)
        asked.now += timedelta(hours=1)
        cards = asked.cards(mia)
        assert cards
        for card in cards:
            response = asked.explain(card["uuid"], hook_request_for(mia))
            said = response.get_json()
            DESCRIBED.validate(said)
            assert said["calledWrong"] > 0
            assert [rule["id"] for rule in said["rules"] if rule.get("differs")] == []
            assert [fact for fact in said["facts"] if fact.get("new")] == []
            page = text_of(asked.explain(card["uuid"], hook_request_for(mia), **HTML))
            assert "because a user had called" in page
            assert "The chart is not what it was" not in page
        assert asked.explain(stays["uuid"], hook_request_for(mia)).get_json().get("calledWrong") is None

    def test_a_rule_that_is_off_since_still_explains_its_card(
        self, asked: Asked, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(switchboard, "LOOK_EVERY", 0.0)
        (card,) = asked.cards()
        asked.store.governance.turn(Switch(EVERY, EVERY, "off", "operator", "x", NOW))
        assert asked.cards() == []
        said = asked.explain(card["uuid"], hook_request_for(ADA)).get_json()
        assert [rule["id"] for rule in said["rules"]] == ["steroid-myopathy"]
        assert not said["rules"][0].get("differs")

    def test_what_was_off_for_the_card_is_not_asked_though_it_is_on_again(
        self, asked: Asked, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With it the weakness would be taken, and the page would say that the chart had changed."""
        monkeypatch.setattr(switchboard, "LOOK_EVERY", 0.0)
        turn = asked.store.governance.turn
        turn(Switch("steroid-myopathy", EVERY, "off", "operator", "x", NOW))
        cards = asked.cards()
        assert cards
        turn(Switch("steroid-myopathy", EVERY, "on", "operator", "x", NOW))
        for card in cards:
            said = asked.explain(card["uuid"], hook_request_for(ADA)).get_json()
            assert [rule["id"] for rule in said["rules"] if rule.get("differs")] == []

    def test_what_was_silent_is_left_out_of_the_explanation_too(self, tmp_path: Path) -> None:
        """B-52: the card was made as if the silent rule were off, so the page is."""
        asked = Asked(tmp_path, '[client.silent]\nrules = ["neurogenic-pattern"]')
        quinn = PATIENTS["quinn-emg-done"]
        (card,) = asked.cards(quinn)
        said = asked.explain(card["uuid"], hook_request_for(quinn)).get_json()
        assert [rule["id"] for rule in said["rules"] if rule.get("differs")] == []

    def test_a_card_of_before_traces_were_kept_is_as_unknown_as_none(self, asked: Asked) -> None:
        (card,) = asked.cards()
        with sqlite3.connect(asked.file) as database:
            database.execute("UPDATE cards_shown SET trace = NULL")
        assert asked.explain(card["uuid"]).status_code == 404


def call_wrong(asked: Asked, card: dict[str, Any]) -> None:
    """A user says that the data of a card is wrong."""
    sent = {"json": overriding(card, "data-wrong", asked.now), "headers": asked.ehr.bearer(FEEDBACK)}
    assert asked.client.post(FEEDBACK, **sent).status_code == 200


class TestThePage:
    def test_it_needs_nothing_else_and_runs_nothing(self, asked: Asked) -> None:
        """T11, T26, T31: no script, no frame, no form, nothing from elsewhere, nothing kept."""
        (card,) = asked.cards()
        page = asked.explain(card["uuid"], **HTML)
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        for word in ("script-src", "unsafe-inline", "http"):
            assert word not in policy
        body = page.get_data(as_text=True)
        assert "<script" not in body
        assert not re.search(r"\s(?:on\w+|style|src)=", body)
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Vary"] == "Accept, Origin"

    @pytest.mark.parametrize(
        ("accept", "kind"),
        [
            (None, "application/json"),
            ("*/*", "application/json"),
            ("text/html", "text/html"),
            ("image/png", "application/json"),
        ],
    )
    def test_json_unless_html_is_liked_better(self, asked: Asked, accept: str | None, kind: str) -> None:
        (card,) = asked.cards()
        headers = {} if accept is None else {"Accept": accept}
        assert asked.explain(card["uuid"], **headers).mimetype == kind


class TestOpenMode:
    def test_the_chart_page_explains_with_the_facts_of_its_patient(self, settings: Settings) -> None:
        client = create_app(settings).test_client()
        patient = next(p for p in load_fixture_patients(FIXTURES, datetime.now(UTC).date()) if p.id == ADA.id)
        (card,) = client.post(CALL, json=hook_request_for(patient)).get_json()["cards"]
        page = client.get(f"/chart/{ADA.id}/explain/{card['uuid']}", headers=HTML)
        assert "Proximal muscle weakness (finding)" in text_of(page)
        assert "script-src" not in page.headers["Content-Security-Policy"]
        bare = client.get(f"/explain/{card['uuid']}", headers=HTML)
        assert "Proximal muscle weakness (finding)" not in text_of(bare)
        other = client.get(f"/chart/karl-weak-at-74/explain/{card['uuid']}", headers=HTML)
        assert other.status_code == 400

    def test_t40_outside_open_mode_the_chart_pages_path_is_none(self, asked: Asked) -> None:
        (card,) = asked.cards()
        path = f"/chart/{ADA.id}/explain/{card['uuid']}"
        assert asked.client.get(path, headers=asked.ehr.bearer(path)).status_code == 404


class TestLinks:
    """T26: a link is made only to a host that the client's entry names."""

    def cards_for(self, folder: Path, entry: str, **more: Any) -> dict[str, Any]:
        ehr = Ehr()
        settings = Settings(
            clients_file=write_clients(folder, ehr, entry),
            public_url=PUBLIC_URL,
            database_url=f"sqlite:///{folder}/cds.db",
        )
        client = create_app(msgspec.structs.replace(settings, **more), clock=lambda: NOW).test_client()
        (card,) = client.post(CALL, json=hook_request_for(ADA), headers=ehr.bearer(CALL)).get_json()["cards"]
        return dict(card)

    def test_none_where_no_host_is_named(self, tmp_path: Path) -> None:
        card = self.cards_for(
            tmp_path, "", timeline_url="https://apps.example/launch", source_url="https://cds.example/about"
        )
        assert "links" not in card
        assert "url" not in card["source"]

    def test_both_where_both_hosts_are(self, tmp_path: Path) -> None:
        card = self.cards_for(
            tmp_path,
            'link_hosts = ["cds.example", "apps.example"]',
            timeline_url="https://apps.example/launch",
            source_url="https://cds.example/about",
        )
        explain, timeline = card["links"]
        assert (explain["type"], explain["url"]) == ("absolute", f"https://cds.example/explain/{card['uuid']}")
        assert (timeline["type"], timeline["url"]) == ("smart", "https://apps.example/launch")
        assert json.loads(timeline["appContext"]) == {"card": card["uuid"], "rules": ["steroid-myopathy"]}
        assert card["source"]["url"] == "https://cds.example/about"

    def test_the_entry_names_a_timeline_of_its_own(self, tmp_path: Path) -> None:
        entry = 'link_hosts = ["apps.ehr.example"]\ntimeline_url = "https://apps.ehr.example/start"'
        card = self.cards_for(tmp_path, entry, timeline_url="https://apps.example/launch")
        assert [link["url"] for link in card["links"]] == ["https://apps.ehr.example/start"]

    def test_the_link_leads_to_the_page(self, tmp_path: Path) -> None:
        asked = Asked(tmp_path, 'link_hosts = ["cds.example"]')
        (card,) = asked.cards()
        (link,) = card["links"]
        path = link["url"].removeprefix(PUBLIC_URL)
        page = asked.client.get(path, headers={**asked.ehr.bearer(path), **HTML})
        assert page.status_code == 200
        assert card["summary"] in text_of(page)
