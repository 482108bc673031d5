"""P-04, B-52: whatever keeps a card away, an answer without cards says so to machines, in the log and in the audit.

Also to a CDS Client whose profile leaves the evaluation extension out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cds_service.cards.profiles import CDS_HOOKS_2_0, profiles
from cds_service.governance import switchboard
from cds_service.store import EVERY, Switch
from tests.http.governed import ADA, LIAM, NOON, Site, rules_of

STEROID = "steroid-myopathy"


@pytest.fixture(autouse=True)
def quiet_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile without the extension, as a site may ask for (P-04), and switches that act at once."""
    written = {name: getattr(CDS_HOOKS_2_0, name) for name in CDS_HOOKS_2_0.__struct_fields__}
    monkeypatch.setitem(profiles(), "quiet", type(CDS_HOOKS_2_0)(**{**written, "evaluation_extension": False}))
    monkeypatch.setattr(switchboard, "LOOK_EVERY", 0.0)


def switched_off(site: Site) -> None:
    site.store.governance.turn(Switch(EVERY, EVERY, "off", "operator", "x", NOON))


def tripped(site: Site) -> None:
    for rule in rules_of_the_folder():
        site.store.governance.turn(Switch(rule, "ehr", "off", "firing", "fired too often", NOON))


def over_budget(site: Site) -> None:
    site.ask(ADA)


def called_wrong(site: Site) -> None:
    while cards := site.ask(ADA)["cards"]:
        for card in cards:
            site.override(card, "data-wrong")
        site.later(minutes=1)


def answered(site: Site) -> None:
    (card,) = site.ask(ADA)["cards"]
    site.override(card, "will-monitor")


def nothing(_: Site) -> None: ...


def rules_of_the_folder() -> list[str]:
    return [path.parent.name for path in (Path(__file__).parents[2] / "rules").glob("*/rule.toml")]


WAYS: list[tuple[str, Callable[[Site], None], str]] = [
    ("[client.silent]", nothing, "silent"),
    (f"[client.silent]\nrules = {json.dumps(rules_of_the_folder())}", nothing, "silent"),
    ("", switched_off, "switched-off"),
    ("", tripped, "tripped: fired too often"),
    (f"rules_off = {json.dumps(rules_of_the_folder())}", nothing, "switched-off"),
    ("[client.budget]\ncards_per_patient_day = 1", over_budget, "budget"),
    ("", answered, "snoozed until"),
    ('repeat = "once"', over_budget, "shown-once"),
]


@pytest.mark.parametrize(("entry", "before", "reason"), WAYS)
def test_what_is_kept_away_is_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    entry: str,
    before: Callable[[Site], None],
    reason: str,
) -> None:
    site = Site(tmp_path, f'profile = "quiet"\n{entry}')
    before(site)
    body = site.ask(ADA)
    assert body["cards"] == []
    status, said = rules_of(body)[STEROID]
    assert status == "suppressed"
    assert said.startswith(reason)
    line = [json.loads(text) for text in capsys.readouterr().err.splitlines() if text.startswith("{")][-1]
    assert (line["cards"], line["kept"]) == (0, True)
    if "snoozed" not in reason and "once" not in reason:  # those are the user's own doing, and in the store
        assert line["withheld"][STEROID] == site.audited()[-1]["withheld"][STEROID] == reason


def test_what_was_called_wrong_is_counted(tmp_path: Path) -> None:
    site = Site(tmp_path, 'profile = "quiet"')
    called_wrong(site)
    extension: dict[str, Any] = site.ask(ADA)["extension"]["org.atrophy-cds.evaluation"]
    assert extension["calledWrong"] == site.audited()[-1]["calledWrong"] > 0


def test_a_rule_that_is_withheld_beside_a_card_is_named_too(tmp_path: Path) -> None:
    site = Site(tmp_path, f'profile = "quiet"\nrules_off = ["{STEROID}"]')
    body = site.ask(LIAM)
    assert body["cards"]
    assert rules_of(body)[STEROID] == ("suppressed", "switched-off")


def test_an_answer_with_all_its_cards_is_as_the_profile_says(tmp_path: Path) -> None:
    body = Site(tmp_path, 'profile = "quiet"').ask(LIAM)
    assert body["cards"]
    assert "extension" not in body
