"""Who is shown what while rules are silent: for a whole client, for some rules, for a share of its users (B-52)."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from cds_service.governance.silent_mode import Silence, SilentMode, place_among_users, silence_of
from cds_service.rule_engine.loader import load_knowledge
from cds_service.store.fingerprint import fingerprint
from tests.unit.cards.builders import evaluation, fired

BOOK = load_knowledge(Path(__file__).parents[3] / "rules", date(2026, 11, 27)).rules
EMERGENCY = BOOK.named(["emergency"])
SAID = evaluation(fired("R01", indicator="critical"), fired("R10", indicator="critical"), fired("R11"))
THREE = frozenset({"r01", "r10", "r11"})


def test_without_a_word_nothing_is_silent() -> None:
    assert silence_of(None, BOOK).of(SAID, 0.0) == frozenset()


def test_a_client_that_is_silent_as_a_whole_shows_nothing_emergencies_included() -> None:
    assert silence_of(SilentMode(), BOOK).of(SAID, 0.99) == BOOK.ids


def test_named_rules_are_silent_whatever_they_are() -> None:
    assert silence_of(SilentMode(rules=("falls", "emergency")), BOOK).of(SAID, 0.0) == EMERGENCY | {"falls"}


def test_for_a_share_of_the_users() -> None:
    silence = silence_of(SilentMode(rules=("falls",), share_of_users=0.25), BOOK)
    assert silence.of(SAID, 0.2499) == {"falls"}
    assert silence.of(SAID, 0.25) == frozenset()


def test_once_live_for_some_an_emergency_or_critical_card_is_hidden_from_nobody() -> None:
    """R01 by its number, R10 because it is critical for this patient; R11 is an ordinary warning."""
    assert Silence(frozenset(), THREE, share=0.5).of(SAID, 0.1) == {"r11"}


def test_unless_its_rule_was_named() -> None:
    assert Silence(frozenset({"r01"}), THREE - {"r01"}, share=0.5).of(SAID, 0.1) == {"r01", "r11"}


def test_a_word_that_names_no_rule() -> None:
    with pytest.raises(ValueError, match="fals"):
        silence_of(SilentMode(rules=("fals",)), BOOK)


def test_users_are_spread_evenly_and_each_stays_where_it_is() -> None:
    places = [place_among_users(fingerprint(b"k" * 32, "user", "ehr", f"Practitioner/{n}")) for n in range(4000)]
    assert all(0 <= place < 1 for place in places)
    assert abs(sum(place < 0.5 for place in places) - 2000) < 150
    assert abs(sum(place < 0.1 for place in places) - 400) < 90
    assert place_among_users("0" * 64) == 0
    assert place_among_users("f" * 64) < 1


def test_another_key_draws_other_users() -> None:
    one, other = (
        [place_among_users(fingerprint(key * 32, "user", "ehr", f"Practitioner/{n}")) < 0.5 for n in range(100)]
        for key in (b"a", b"b")
    )
    assert one != other
