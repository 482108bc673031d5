"""What the HTTP tests stand on: a small service behind the real application, and a client that checks every answer."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.app import create_app
from cds_service.cards.explanation import CardExplanation
from cds_service.cards.profiles import profile_named
from cds_service.cds_hooks.discovery import discovery_document
from cds_service.cds_hooks.feedback import FeedbackItem
from cds_service.cds_hooks.request import HookRequest
from cds_service.cds_hooks.response import Card, Response, Source, Suggestion, encode
from cds_service.errors import UnknownPath
from cds_service.rule_engine.trace import CardTrace
from cds_service.settings import Settings
from cds_service.store import Store
from cds_service.trust import CdsClient

NOW = datetime(2026, 11, 27, 10, 0, tzinfo=UTC)
CALL = "/cds-services/atrophy-risk"
FEEDBACK = f"{CALL}/feedback"
HOOK_INSTANCE = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"
CARD = "4e0a3a1e-3065-4142-ba52-1d5e2f1e4f6a"
SUGGESTION = "0c1f7f3e-6a0f-4d37-8b2c-2f3c9e0f9f10"
PREFETCH = {"patient": "Patient/{{context.patientId}}", "conditions": "Condition?patient={{context.patientId}}"}


class Shown(msgspec.Struct, frozen=True):
    """A card as the store notes it."""

    uuid: str
    client: str = "open"
    rules: tuple[tuple[str, str], ...] = (("steroid-myopathy", "1.0.0"),)
    evidence: tuple[tuple[str, str], ...] = (("steroid-myopathy", "F1 GC2"),)
    indicator: str = "warning"
    suggestions: Mapping[str, str] = msgspec.field(default_factory=lambda: {SUGGESTION: "ck"})
    cited: tuple[tuple[str, str], ...] = ()
    trace: CardTrace | None = None


class Answer(msgspec.Struct, frozen=True):
    """What the stand-in answers."""

    body: bytes
    timings: tuple[tuple[str, float], ...] = (("data", 1.234), ("rules", 0.5))
    log: Mapping[str, object] = msgspec.field(default_factory=lambda: {"rules": ["steroid-myopathy"], "cards": 1})


class StandIn:
    """Answers each call with one card of its own, or fails as told; the store behind it is the real one."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.requests: list[HookRequest] = []
        self.failure: Exception | None = None
        self.response: Response | None = None

    def discovery(self, client: CdsClient) -> bytes:
        return discovery_document(profile_named(client.profile).cds_hooks, PREFETCH)

    def call(self, client: CdsClient, request: HookRequest) -> Answer:
        self.requests.append(request)
        if self.failure is not None:
            raise self.failure
        card = str(uuid.uuid4())
        memory = self.store.memory(client.id, request.fhir_server or "", request.patient_id)
        self.store.note_shown(client.id, memory.patient, [Shown(card)], NOW)
        return Answer(encode(self.response or Response(cards=(a_card(uuid=card),))))

    def explain(self, client: CdsClient, card: str, request: HookRequest | None = None) -> CardExplanation:
        raise UnknownPath("The stand-in explains nothing.")

    def feedback(self, client: CdsClient, items: tuple[FeedbackItem, ...]) -> Mapping[str, int]:
        return self.store.record_feedback(client.id, items, NOW)


class CheckedClient(FlaskClient):
    """Every answer of the suite keeps what must hold of all answers."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        kwargs.setdefault("base_url", "http://localhost:8000")
        response = super().open(*args, **kwargs)
        check(response)
        return response


def check(response: TestResponse) -> None:
    """C2, C5, C62, T31, T35 and CORS's Vary, on any answer."""
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Origin" in response.headers["Vary"]
    if response.status_code >= 300:
        outcome = json.loads(response.data)
        assert outcome["resourceType"] == "OperationOutcome"
        assert [set(issue) for issue in outcome["issue"]] == [{"severity", "code", "diagnostics"}]
        assert "Traceback" not in outcome["issue"][0]["diagnostics"]
    if response.data:
        assert response.mimetype == "application/json"
        assert list(empty_values(strict_json(response.data))) == []


def strict_json(body: bytes) -> Any:
    """The body as JSON, without NaN and Infinity and with no key twice."""

    def no_constant(name: str) -> None:
        raise AssertionError(name)

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(pairs) == len(dict(pairs))
        return dict(pairs)

    return json.loads(body, parse_constant=no_constant, object_pairs_hook=no_duplicates)


def empty_values(value: Any, path: str = "$") -> Iterator[str]:
    """Where null, "", [] or {} stand; `cards: []` and `services: []` may (C2)."""
    if value in (None, "", [], {}) and value is not False:
        if path not in ("$.cards", "$.services"):
            yield path
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from empty_values(part, f"{path}.{key}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from empty_values(part, f"{path}[{index}]")


def a_call(**changes: Any) -> dict[str, Any]:
    """A patient-view request. A member set to ... is left out."""
    body: dict[str, Any] = {
        "hook": "patient-view",
        "hookInstance": HOOK_INSTANCE,
        "context": {"userId": "Practitioner/u1", "patientId": "p1"},
        "prefetch": {"patient": {"resourceType": "Patient", "id": "p1"}, "conditions": None},
    }
    return {name: value for name, value in (body | changes).items() if value is not ...}


def a_context(**changes: Any) -> dict[str, Any]:
    """A patient-view context. A member set to ... is left out."""
    context = {"userId": "Practitioner/u1", "patientId": "p1"} | changes
    return {name: value for name, value in context.items() if value is not ...}


def an_authorization(**changes: Any) -> dict[str, Any]:
    """A fhirAuthorization. A member set to ... is left out."""
    given: dict[str, Any] = {
        "access_token": "canary-token",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/Patient.read patient/Condition.read",
        "subject": "cds-service",
    }
    return {name: value for name, value in (given | changes).items() if value is not ...}


def a_card(**changes: Any) -> Card:
    """A card that keeps every rule."""
    given: dict[str, Any] = {
        "uuid": CARD,
        "summary": "Weakness after prolonged prednisone: consider steroid myopathy",
        "indicator": "warning",
        "source": Source(label="Atrophy CDS"),
    }
    return Card(**(given | changes))


def a_suggestion(**changes: Any) -> Suggestion:
    """A suggestion without actions."""
    return Suggestion(**({"label": "Order creatine kinase", "uuid": SUGGESTION} | changes))


def an_item(**changes: Any) -> dict[str, Any]:
    """Feedback that a card was overridden. A member set to ... is left out."""
    given: dict[str, Any] = {"card": CARD, "outcome": "overridden", "outcomeTimestamp": "2026-11-27T09:59:00Z"}
    return {name: value for name, value in (given | changes).items() if value is not ...}


def diagnostics(response: TestResponse) -> str:
    """What the OperationOutcome says."""
    return str(json.loads(response.data)["issue"][0]["diagnostics"])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(open=True, database_url=f"sqlite:///{tmp_path}/store/cds.db")


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    store = Store(settings.database_url)
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def service(store: Store) -> StandIn:
    return StandIn(store)


@pytest.fixture
def app(settings: Settings, store: Store, service: StandIn) -> Flask:
    app = create_app(settings, clock=lambda: NOW, store=store, service=service)
    app.test_client_class = CheckedClient
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
