"""B-25, B-52: a client's budget of cards per patient and day, per user and week; emergencies are outside of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds_service.errors import SettingsError
from tests.http.governed import ADA, LIAM, Site, rules_of

STEROID = "steroid-myopathy"
EDITH = "edith-high-dose-steroid"


def test_a_patient_has_so_many_cards_in_24_hours(tmp_path: Path) -> None:
    site = Site(tmp_path, "[client.budget]\ncards_per_patient_day = 2")
    for user in ("Practitioner/1", "Practitioner/2"):
        assert len(site.ask(ADA, user)["cards"]) == 1
    site.later(hours=23)
    answer = site.ask(ADA, "Practitioner/3")
    assert answer["cards"] == []
    assert rules_of(answer)[STEROID] == ("suppressed", "budget")
    assert site.audited()[-1]["withheld"] == {STEROID: "budget"}
    assert site.ask(EDITH)["cards"], "another patient has a budget of its own"
    site.later(hours=2)
    assert len(site.ask(ADA)["cards"]) == 1


def test_a_user_has_so_many_cards_in_7_days(tmp_path: Path) -> None:
    site = Site(tmp_path, "[client.budget]\ncards_per_user_week = 1")
    assert site.ask(ADA, "Practitioner/1")["cards"]
    site.later(days=6)
    assert site.ask(EDITH, "Practitioner/1")["cards"] == []
    assert site.ask(EDITH, "Practitioner/2")["cards"]
    site.later(days=2)
    assert site.ask(EDITH, "Practitioner/1")["cards"]


def test_an_emergency_is_always_shown_and_takes_nothing_away(tmp_path: Path) -> None:
    site = Site(tmp_path, "[client.budget]\ncards_per_patient_day = 1\ncards_per_user_week = 1")
    for _ in range(3):
        assert site.ask(LIAM)["cards"][0]["indicator"] == "critical"
    assert len(site.ask(ADA)["cards"]) == 1
    assert site.ask(ADA)["cards"] == []
    assert site.ask(LIAM)["cards"][0]["indicator"] == "critical"


def test_without_a_budget_nothing_is_counted(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for _ in range(3):
        assert site.ask(ADA)["cards"]
    user = site.store.fingerprint("user", "ehr", "Practitioner/u1")
    assert site.store.governance.counted_cards("ehr", user, site.now.replace(year=2000)) == 0


def test_t10_the_store_knows_users_and_patients_by_fingerprint_only(tmp_path: Path) -> None:
    site = Site(tmp_path, "[client.budget]\ncards_per_user_week = 5\ncards_per_patient_day = 5")
    site.ask(ADA, "Practitioner/canary-user")
    user = site.store.fingerprint("user", "ehr", "Practitioner/canary-user")
    assert site.store.governance.counted_cards("ehr", user, site.now) == 1
    site.store.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("cds.db*"))
    assert b"canary-user" not in kept
    assert ADA.encode() not in kept


@pytest.mark.parametrize("entry", ["", "cards_per_user_week = 0", "cards_per_patient_day = -1", "cards = 3"])
def test_a_budget_that_means_nothing_stops_the_start(tmp_path: Path, entry: str) -> None:
    with pytest.raises(SettingsError, match="cards"):
        Site(tmp_path, f"[client.budget]\n{entry}")
