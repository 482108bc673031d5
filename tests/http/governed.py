"""The real service with one CDS Client whose entry a test completes, asked about a synthetic patient."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Flask

from cds_service.app import SERVICE, STORE, create_app
from cds_service.fixture_patients import hook_request_for, load_fixture_patients
from cds_service.service import CdsService
from cds_service.settings import Settings
from cds_service.store import Store
from tests.ehr import PUBLIC_URL, Ehr, write_clients

CALL = "/cds-services/atrophy-risk"
FEEDBACK = f"{CALL}/feedback"
FIXTURES = Path(__file__).parents[2] / "fixtures"
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
ADA, LIAM = "ada-steroid-myopathy", "liam-ascending-weakness"  # a warning; an emergency


class Site:
    """One client of the real service, and a clock."""

    def __init__(self, folder: Path, entry: str = "", database_url: str | None = None) -> None:
        """``database_url``: an SQLite file in the folder unless given."""
        self.ehr = Ehr()
        self.now = NOON
        self.asked: dict[str, Any] = {}
        clients = write_clients(folder, self.ehr, entry)
        settings = Settings(
            clients_file=clients,
            public_url=PUBLIC_URL,
            database_url=database_url or f"sqlite:///{folder}/cds.db",
            key_file=folder / "cds.key",
        )
        self.app: Flask = create_app(settings, clock=lambda: self.now)
        self.store: Store = self.app.extensions[STORE]
        self.service: CdsService = self.app.extensions[SERVICE]

    def ask(self, patient: str, user: str = "Practitioner/u1") -> dict[str, Any]:
        """The body of an answer."""
        self.asked = request = request_about(patient, user)
        response = self.app.test_client().post(CALL, json=request, headers=self.ehr.bearer(CALL))
        assert response.status_code == 200, response.data
        body: dict[str, Any] = response.get_json()
        return body

    def override(self, card: dict[str, Any], reason: str) -> None:
        """A user overrides a card now."""
        sent = {"json": overriding(card, reason, self.now), "headers": self.ehr.bearer(FEEDBACK)}
        assert self.app.test_client().post(FEEDBACK, **sent).status_code == 200

    def audited(self) -> list[dict[str, Any]]:
        """What the audit keeps of each call."""
        return [json.loads(entry.said) for entry in self.store.audit_entries() if entry.what == "call"]

    def later(self, **how: float) -> None:
        """Let time go by."""
        self.now += timedelta(**how)


def overriding(card: Mapping[str, Any], reason: str, at: datetime) -> dict[str, Any]:
    """The feedback of a user who overrides a card."""
    item = {
        "card": card["uuid"],
        "outcome": "overridden",
        "overrideReason": {"reason": {"code": reason, "system": "urn:atrophy-cds:override-reasons"}},
        "outcomeTimestamp": at.isoformat(),
    }
    return {"feedback": [item]}


def request_about(patient: str, user: str = "Practitioner/u1") -> dict[str, Any]:
    """The whole hook request."""
    patients = load_fixture_patients(FIXTURES, NOON.date())
    request: dict[str, Any] = hook_request_for(next(p for p in patients if p.id == patient))
    request["context"]["userId"] = user
    return request


def rules_of(body: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Status and reason of every rule."""
    rules = body["extension"]["org.atrophy-cds.evaluation"]["rules"]
    return {rule["id"]: (rule["status"], rule["reason"]) for rule in rules}


def indicators(body: Mapping[str, Any]) -> list[str]:
    """Of the cards."""
    return [card["indicator"] for card in body["cards"]]
