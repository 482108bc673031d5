"""A whole service under attack: a client of the file, its FHIR server and key server, and a stranger's servers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from cds_service.app import STORE, create_app
from cds_service.fhir.reading.kinds import RESOURCES
from cds_service.settings import Settings
from cds_service.store import Store
from tests.ehr import PUBLIC_URL, Ehr, write_clients
from tests.fhir_server import FhirServer
from tests.http.stand_in import CALL, FEEDBACK, an_authorization, an_item

NOW = datetime.now(UTC)
Json = dict[str, Any]
SUBJECT = {"reference": "Patient/p1"}
CANARY = "canary-4711"


def weakness(**changes: Any) -> Json:
    """Muscle wasting for a month: enough for a card."""
    condition = {
        "resourceType": "Condition",
        "id": "c1",
        "subject": SUBJECT,
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "M62.50", "display": "Wasting"}]},
        "onsetDateTime": f"{NOW.date().isoformat()}",
    }
    return condition | changes


def named(text: str) -> Json:
    """A chart with a condition of that name."""
    coding = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "M62.50", "display": text}
    return prefetch(weakness(code={"coding": [coding]}))


def prefetch(*conditions: Json, **values: Any) -> Json:
    """A whole chart with these conditions."""
    names = [name for name in RESOURCES if name not in ("patient", "conditions")]
    chart: Json = dict.fromkeys(names)
    chart["patient"] = {
        "resourceType": "Patient",
        "id": "p1",
        "gender": "female",
        "birthDate": f"{NOW.year - 50}-01-01",
    }
    chart["conditions"] = {"resourceType": "Bundle", "entry": [{"resource": c} for c in conditions]}
    return chart | values


class Attacked:
    """What an attacker can reach, and what can be seen of the damage."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.ehr = Ehr()
        self.stranger = Ehr("https://stranger.example")
        self.folder = folder
        self._more = more
        self._open = ExitStack()
        self.fhir = self._open.enter_context(FhirServer([prefetch()["patient"], weakness()]))
        self.elsewhere = self._open.enter_context(FhirServer([prefetch()["patient"], weakness()]))
        self._client: FlaskClient | None = None
        self.store: Store | None = None

    @property
    def client(self) -> FlaskClient:
        """The application, made when first needed: after the test has swapped what it swaps."""
        if self._client is None:
            server = f'{{ base = "{self.fhir.base}", networks = ["127.0.0.0/8"], insecure_http = true }}'
            clients = write_clients(self.folder, self.ehr, f"{self._more}\nfhir = [{server}]")
            settings = Settings(
                clients_file=clients, public_url=PUBLIC_URL, database_url=f"sqlite:///{self.folder}/cds.db"
            )
            app = create_app(settings)
            self.store = app.extensions[STORE]
            self._client = app.test_client()
        return self._client

    def close(self) -> None:
        self._open.close()
        if self.store is not None:
            self.store.close()

    def call(self, *, headers: dict[str, str] | None = None, **body: Any) -> TestResponse:
        """A patient-view with a good token, unless other headers are given."""
        made = {
            "hook": "patient-view",
            "hookInstance": str(uuid.uuid4()),
            "context": {"userId": "Practitioner/u1", "patientId": "p1"},
            "prefetch": prefetch(weakness()),
            **body,
        }
        sent = {key: value for key, value in made.items() if value is not ...}
        headers = self.ehr.bearer(CALL) if headers is None else headers
        return self.client.post(CALL, json=sent, headers=headers)

    def send(self, body: bytes) -> TestResponse:
        """Bytes in place of a patient-view, with a good token."""
        return self.client.post(CALL, data=body, headers={**self.ehr.bearer(CALL), "Content-Type": "application/json"})

    def fetching(self, server: FhirServer, **body: Any) -> TestResponse:
        """The same without prefetch, with a token for a server."""
        authorization = an_authorization(scope="patient/*.rs", patient="p1")
        return self.call(prefetch=..., fhirServer=server.base, fhirAuthorization=authorization, **body)

    def feedback(self, card: str, **changes: Any) -> TestResponse:
        """A report about a card, now."""
        item = an_item(card=card, outcomeTimestamp=datetime.now(UTC).isoformat(), **changes)
        return self.client.post(FEEDBACK, json={"feedback": [item]}, headers=self.ehr.bearer(FEEDBACK))

    def logged(self, **body: Any) -> str:
        """What a call leaves in the log."""
        self.client.get("/")  # the log is set up with the application
        with capture_logs() as lines:
            self.call(**body)
        return json.dumps(lines, default=str)


@contextmanager
def attacked(folder: Path, more: str = "") -> Iterator[Attacked]:
    """An Attacked while the block runs."""
    made = Attacked(folder, more)
    try:
        yield made
    finally:
        made.close()
