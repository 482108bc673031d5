"""P-33, T10: what the audit keeps of real calls names no patient, and a site can replay one with its own data."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask

from cds_service.app import STORE, create_app
from cds_service.cards.profiles import profiles
from cds_service.cli.audit import verify
from cds_service.errors import SettingsError
from cds_service.fixture_patients import hook_request_for, load_fixture_patients
from cds_service.settings import Settings
from cds_service.store import Store, Switch
from tests.http.governed import ADA, CALL, NOON, Site, indicators, request_about

MIA = "mia-steroid-and-frailty"  # two cards


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    url = f"sqlite:///{tmp_path}/cds.db"
    monkeypatch.setenv("ATROPHY_CDS_DATABASE_URL", url)
    return create_app(Settings(open=True, database_url=url))


def a_call(app: Flask, folder: Path) -> Path:
    """A call about a synthetic patient, kept as its site would keep it."""
    patients = load_fixture_patients(Settings().fixtures_dir, datetime.now(UTC).date())
    request = hook_request_for(next(p for p in patients if p.id == "ada-steroid-myopathy"))
    response = app.test_client().post("/cds-services/atrophy-risk", json=request, base_url="http://localhost")
    assert response.get_json()["cards"]
    path = folder / "request.json"
    path.write_text(json.dumps(request))
    return path


def test_a_call_is_one_entry_that_names_no_patient(app: Flask, tmp_path: Path) -> None:
    a_call(app, tmp_path)
    store: Store = app.extensions[STORE]
    (entry,) = store.audit_entries()
    said = json.loads(entry.said)
    assert set(said) == {"asOf", "calledWrong", "cards", "fired", "hookInstance", "profile", "rulePack", "unknown"}
    assert said["fired"] == ["steroid-myopathy"]
    for text in ("ada-", "prednisone", "Testpatient", "Patient/"):
        assert text not in entry.said


def test_a_site_replays_a_call_with_its_own_data(
    app: Flask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same data at the same moment gives the same cards, word for word."""
    path = a_call(app, tmp_path)
    assert verify(None, path) == 0
    assert "1 of 1 cards of the call come out the same, word for word" in capsys.readouterr().out


def test_other_data_is_found_out(app: Flask, tmp_path: Path) -> None:
    path = a_call(app, tmp_path)
    path.write_text(path.read_text().replace("20 MG Oral", "30 MG Oral"))
    assert verify(None, path) == 1


def test_a_request_that_was_never_answered(app: Flask, tmp_path: Path) -> None:
    path = a_call(app, tmp_path)
    request = json.loads(path.read_text())
    path.write_text(json.dumps({**request, "hookInstance": "11111111-1111-4111-8111-111111111111"}))
    with pytest.raises(SettingsError, match="No entry"):
        verify(None, path)


@pytest.mark.parametrize("head", ["5", "x:y", ":abc", ""])
def test_a_head_that_is_none(app: Flask, head: str) -> None:
    with pytest.raises(SettingsError, match="--head"):
        verify(head, None)


class Replayed:
    """A site whose operator replays the calls that it made."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        monkeypatch.setenv("ATROPHY_CDS_DATABASE_URL", f"sqlite:///{folder}/cds.db")
        monkeypatch.setenv("ATROPHY_CDS_CLIENTS_FILE", f"{folder}/clients.toml")

    def verify(self, site: Site) -> int:
        """0 when the newest call of the site comes out the same."""
        path = self._folder / "request.json"
        path.write_text(json.dumps(site.asked))
        return verify(None, path)


@pytest.fixture
def replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Replayed:
    return Replayed(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "entry",
    [
        "[client.silent]",
        '[client.silent]\nrules = ["steroid-myopathy"]',
        'rules_off = ["steroid-myopathy"]',
        "[client.budget]\ncards_per_patient_day = 1",
    ],
    ids=["silent", "one rule silent", "one rule off", "over budget"],
)
def test_a_replay_withholds_what_was_withheld(
    tmp_path: Path, replayed: Replayed, capsys: pytest.CaptureFixture[str], entry: str
) -> None:
    """B-52: also cards that nobody saw come out word for word."""
    site = Site(tmp_path, entry)
    site.ask(MIA)
    assert replayed.verify(site) == 0
    said = site.audited()[0]
    number = len(said["cards"]) + len(said.get("unseen", []))
    assert said["withheld"]
    assert number
    assert f"{number} of {number} cards" in capsys.readouterr().out


def test_a_silent_rule_that_did_not_fire_is_left_out_of_a_replay_too(tmp_path: Path, replayed: Replayed) -> None:
    """It fell silent by itself and kept the weakness from the others; without it another rule takes it up."""
    site = Site(tmp_path, '[client.silent]\nrules = ["neurogenic-pattern"]')
    assert site.ask("quinn-emg-done")["cards"]
    assert "withheld" not in site.audited()[0]
    assert replayed.verify(site) == 0


def test_a_rule_that_is_off_for_everybody_has_no_cards_to_compare(tmp_path: Path, replayed: Replayed) -> None:
    site = Site(tmp_path)
    site.store.governance.turn(Switch("*", "ehr", "off", "operator", "moving", NOON))
    assert site.ask(MIA)["cards"] == []
    assert replayed.verify(site) == 0


@pytest.mark.parametrize("profile", sorted(profiles()))
def test_a_replay_is_in_the_words_of_the_clients_profile(tmp_path: Path, replayed: Replayed, profile: str) -> None:
    site = Site(tmp_path, f'profile = "{profile}"')
    assert site.ask(MIA)["cards"]
    assert replayed.verify(site) == 0


def test_a_critical_card_that_stood_alone_does_so_in_a_replay(tmp_path: Path, replayed: Replayed) -> None:
    """B-25: what waits is named under it only where nothing is remembered."""
    site = Site(tmp_path)
    assert indicators(site.ask("noor-critical-stands-alone")) == ["critical"]
    assert replayed.verify(site) == 0


def test_a_replay_remembers_what_was_known_at_its_moment(tmp_path: Path, replayed: Replayed) -> None:
    """A-16, B-51: what was answered before the call stays away; what was answered after it does not count."""
    site = Site(tmp_path)
    shown = site.ask(MIA)["cards"]
    before = site.asked
    site.later(hours=1)
    site.override(shown[0], "will-monitor")
    site.override(shown[1], "data-wrong")
    site.later(hours=1)
    assert site.ask(MIA)["cards"] != shown
    assert site.audited()[1]["calledWrong"] > 0
    assert replayed.verify(site) == 0
    site.asked = before
    assert replayed.verify(site) == 0


def test_a_card_that_the_call_did_not_show_is_found_out(
    tmp_path: Path, replayed: Replayed, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(tmp_path)
    site.ask("anna-healthy")
    instance = site.asked["hookInstance"]
    site.asked = {**request_about(ADA), "hookInstance": instance}
    site.asked["context"]["patientId"] = request_about(ADA)["context"]["patientId"]
    assert replayed.verify(site) == 1
    assert "1 cards come out that the call did not show" in capsys.readouterr().out


def test_the_card_instead_of_412_comes_out_the_same(tmp_path: Path, replayed: Replayed) -> None:
    """P-05: for a client that shows errors to nobody."""
    site = Site(tmp_path, 'profile = "sandbox"')
    site.asked = request_about(ADA)
    site.asked["prefetch"]["conditions"] = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "exception"}],
    }
    sent = {"json": site.asked, "headers": site.ehr.bearer(CALL)}
    (card,) = site.app.test_client().post(CALL, **sent).get_json()["cards"]
    assert "could not be done" in card["summary"]
    assert replayed.verify(site) == 0
