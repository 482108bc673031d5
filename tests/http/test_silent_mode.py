"""B-52: silent mode shows nothing and logs everything; what is hidden is named to machines."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from cds_service.errors import SettingsError
from tests.http.governed import ADA, LIAM, Site, indicators, rules_of

MIA = "mia-steroid-and-frailty"
WHOLE = "[client.silent]"
STEROID = '[client.silent]\nrules = ["steroid-myopathy"]'
HALF = "[client.silent]\nshare_of_users = 0.5"


def logged(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """The line of the last call."""
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == "call"][-1]


@pytest.mark.parametrize("patient", [ADA, LIAM])
def test_a_silent_client_is_shown_nothing_emergencies_included(tmp_path: Path, patient: str) -> None:
    """Before a site goes live nobody relies on the service."""
    live, silent = Site(folder(tmp_path, "live")), Site(folder(tmp_path, "silent"), WHOLE)
    shown, hidden = live.ask(patient), silent.ask(patient)
    assert shown["cards"]
    assert hidden["cards"] == []
    fired = {rule for rule, (status, _) in rules_of(shown).items() if status == "fired"}
    for rule, (status, reason) in rules_of(hidden).items():
        assert (status, reason) == (("suppressed", "silent") if rule in fired else rules_of(shown)[rule])


def test_everything_is_logged_and_audited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The audit holds the same words, as fingerprints, that a live site would have shown; the key is the store's."""
    site = Site(tmp_path, WHOLE)
    site.ask(ADA)
    line = logged(capsys)
    assert (line["fired"], line["withheld"], line["cards"]) == (["steroid-myopathy"], {"steroid-myopathy": "silent"}, 0)
    assert line["unseen"] == 1
    (said,) = site.audited()
    assert (said["fired"], said["withheld"], said["cards"]) == (line["fired"], line["withheld"], [])
    assert [card["indicator"] for card in said["unseen"]] == ["warning"]


def test_the_cards_in_the_audit_are_those_that_would_have_been_shown(tmp_path: Path) -> None:
    live, silent = Site(folder(tmp_path, "live")), Site(folder(tmp_path, "silent"), WHOLE)
    (card,) = live.ask(ADA)["cards"]
    silent.ask(ADA)
    (said,) = silent.audited()
    words = silent.store.fingerprint(card["indicator"], card["summary"], card["detail"])
    assert said["unseen"] == [{"indicator": "warning", "words": words}]


def test_nothing_that_was_not_shown_is_kept_as_shown(tmp_path: Path) -> None:
    """B-25, A-16: it starts no 24 hours, no snooze, and cannot be answered."""
    Site(tmp_path, WHOLE).ask(LIAM)
    with sqlite3.connect(tmp_path / "cds.db") as database:
        assert database.execute("SELECT count(*) FROM cards_shown").fetchone() == (0,)


def test_one_silent_rule_leaves_the_others_as_if_it_were_off(tmp_path: Path) -> None:
    """Its findings are taken up by whoever would take them up without it."""
    silent = Site(folder(tmp_path, "silent"), STEROID)
    off = Site(folder(tmp_path, "off"), 'rules_off = ["steroid-myopathy"]')
    quiet, without = silent.ask(ADA), off.ask(ADA)
    assert rules_of(quiet)["steroid-myopathy"] == ("suppressed", "silent")
    assert rules_of(without)["steroid-myopathy"] == ("suppressed", "switched-off")
    for rule in rules_of(quiet).keys() - {"steroid-myopathy"}:
        assert rules_of(quiet)[rule] == rules_of(without)[rule]
    words = [[(card["summary"], card["detail"]) for card in body["cards"]] for body in (quiet, without)]
    assert words[0] == words[1]
    assert words[0], "another rule takes the weakness up"


def test_the_audit_keeps_the_card_of_the_silent_rule_and_no_other(tmp_path: Path) -> None:
    """Mia has two cards; one of them is the silent rule's."""
    site = Site(tmp_path, STEROID)
    live = Site(folder(tmp_path, "live"))
    cards = live.ask(MIA)["cards"]
    assert len(cards) == 2
    site.ask(MIA)
    (card,) = (c for c in cards if "steroid" in c["summary"])
    words = site.store.fingerprint(card["indicator"], card["summary"], card["detail"])
    assert site.audited()[0]["unseen"] == [{"indicator": card["indicator"], "words": words}]


def test_a_silent_rule_that_did_not_fire_says_so(tmp_path: Path) -> None:
    """Suppressed is only what would have been shown."""
    assert rules_of(Site(tmp_path, '[client.silent]\nrules = ["falls"]').ask(ADA))["falls"][0] == "not-met"


def test_a_share_of_the_users_is_silent_and_each_stays_so(tmp_path: Path) -> None:
    site = Site(tmp_path, HALF)
    users = [f"Practitioner/{n}" for n in range(12)]
    first = {user: bool(site.ask(ADA, user)["cards"]) for user in users}
    assert set(first.values()) == {True, False}
    assert {user: bool(site.ask(ADA, user)["cards"]) for user in users} == first


def test_an_emergency_is_shown_to_every_user_of_a_client_that_is_live_for_some(tmp_path: Path) -> None:
    site = Site(tmp_path, HALF)
    for number in range(8):
        assert indicators(site.ask(LIAM, f"Practitioner/{number}"))[0] == "critical"


def test_t10_no_user_is_stored_or_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = Site(tmp_path, HALF)
    site.ask(ADA, "Practitioner/canary-user")
    print_of = site.store.fingerprint("user", "ehr", "Practitioner/canary-user")
    site.store.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("cds.db*")) + capsys.readouterr().err.encode()
    assert b"canary-user" not in kept
    assert print_of.encode() not in kept


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('[client.silent]\nrules = ["fals"]', "fals"),
        ("[client.silent]\nrules = []", "rules"),
        ("[client.silent]\nshare_of_users = 0", "share_of_users"),
        ("[client.silent]\nshare_of_users = 1.1", "share_of_users"),
        ("[client.silent]\nshares = 1", "shares"),
    ],
)
def test_an_entry_that_means_nothing_stops_the_start(tmp_path: Path, entry: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Site(tmp_path, entry)


def folder(path: Path, name: str) -> Path:
    (path / name).mkdir()
    return path / name
