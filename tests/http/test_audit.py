"""P-33, T10: what the audit keeps of real calls names no patient, and a site can replay one with its own data."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask

from cds_service.app import STORE, create_app
from cds_service.cli.audit import verify
from cds_service.errors import SettingsError
from cds_service.fixture_patients import hook_request_for, load_fixture_patients
from cds_service.settings import Settings
from cds_service.store import Store
from tests.http.governed import Site

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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], entry: str
) -> None:
    """B-52: also cards that nobody saw come out word for word."""
    site = Site(tmp_path, entry)
    site.ask(MIA)
    (tmp_path / "request.json").write_text(json.dumps(site.asked))
    monkeypatch.setenv("ATROPHY_CDS_DATABASE_URL", f"sqlite:///{tmp_path}/cds.db")
    assert verify(None, tmp_path / "request.json") == 0
    said = site.audited()[0]
    number = len(said["cards"]) + len(said.get("unseen", []))
    assert said["withheld"]
    assert number
    assert f"{number} of {number} cards" in capsys.readouterr().out
