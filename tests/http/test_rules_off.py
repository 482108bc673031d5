"""Emergency and extension rules can be switched off as a whole, any rule by its id; the answer says so."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cds_service.app import create_app
from cds_service.errors import SettingsError
from cds_service.fixture_patients import hook_request_for, load_fixture_patients
from cds_service.settings import Settings

FIXTURES = Path(__file__).parents[2] / "fixtures"
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def answer(tmp_path: Path, *off: str) -> dict[str, tuple[str, str]]:
    """Status and reason of every rule for the synthetic patient with ascending weakness."""
    settings = Settings(open=True, database_url=f"sqlite:///{tmp_path / 'cards.db'}", rules_off=off)
    caller = create_app(settings, clock=lambda: NOON).test_client()
    liam = next(p for p in load_fixture_patients(FIXTURES, NOON.date()) if p.id == "liam-ascending-weakness")
    body = caller.post("/cds-services/atrophy-risk", json=hook_request_for(liam)).get_json()
    rules = body["extension"]["org.atrophy-cds.evaluation"]["rules"]
    return {rule["id"]: (rule["status"], rule["reason"]) for rule in rules}


@pytest.mark.parametrize("word", ["emergency", "rapidly-progressive-weakness"])
def test_a_rule_that_is_switched_off_says_so(tmp_path: Path, word: str) -> None:
    """Suppressed with its reason, never not-met; what it would have taken is left to the others."""
    assert answer(tmp_path)["rapidly-progressive-weakness"][0] == "fired"
    assert answer(tmp_path, word)["rapidly-progressive-weakness"] == ("suppressed", "switched-off")


def test_the_extension_rules_go_together(tmp_path: Path) -> None:
    """EXT: what goes beyond the mission document."""
    off = {rule for rule, (_, reason) in answer(tmp_path, "extension").items() if reason == "switched-off"}
    assert "muscle-injury-electrolytes" in off


def test_a_rule_that_does_not_exist_stops_the_start(tmp_path: Path) -> None:
    """A mistyped name would silently switch nothing off."""
    with pytest.raises(SettingsError, match="emergencies"):
        answer(tmp_path, "emergencies")
