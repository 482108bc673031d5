"""What an EHR does: writes to its FHIR server, expands prefetch templates on it, calls the service."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import msgspec
import requests

from cds_service.app import build_service, create_app, read_files
from cds_service.cds_hooks.request import parse_hook_request
from cds_service.fhir.client import FhirClient
from cds_service.fhir.reader import read_record
from cds_service.prefetch import OPEN_MODE, complete, prefetch_plan
from cds_service.prefetch.plan import PAGE_SIZE
from cds_service.reads import reads_of
from cds_service.service import load_rule_pack
from cds_service.settings import Settings
from cds_service.store import Store
from cds_service.trust import OpenMode
from tests.serving import serving

FHIR = "application/fhir+json"
EVALUATION = "org.atrophy-cds.evaluation"
Json = dict[str, Any]


class EhrServer:
    """A FHIR server as its own EHR uses it. ``base`` is a real HAPI."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._session = requests.Session()
        self._session.headers.update({"Accept": FHIR, "Content-Type": FHIR, "Cache-Control": "no-cache"})

    def put(self, resource: Json) -> None:
        """Store one resource under its id."""
        path = f"{self.base}/{resource['resourceType']}/{resource['id']}"
        self._session.put(path, data=json.dumps(resource)).raise_for_status()

    def put_all(self, resources: list[Json]) -> None:
        """Store many, some hundreds to a transaction: all of them or an error."""
        for start in range(0, len(resources), 250):
            entries = [
                {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}}
                for r in resources[start : start + 250]
            ]
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            self._session.post(self.base, data=json.dumps(bundle)).raise_for_status()

    def get(self, path_or_url: str, **headers: str) -> requests.Response:
        """Read a path, or a link."""
        url = path_or_url if "://" in path_or_url else f"{self.base}/{path_or_url}"
        return self._session.get(url, headers=headers)

    def prefetch(self, templates: Json, patient_id: str, *, whole: bool = True) -> Json:
        """Every template expanded for a patient; without ``whole`` the first page, with its ``next`` link (C36)."""
        return {
            key: self._expanded(template.replace("{{context.patientId}}", patient_id), whole=whole)
            for key, template in templates.items()
        }

    def _expanded(self, path: str, *, whole: bool) -> Json:
        bundle: Json = self.get(path).json()
        while whole and (following := next_link(bundle)):
            page = self.get(following).json()
            bundle = {**page, "entry": [*bundle.get("entry", []), *page.get("entry", [])]}
        return bundle


class Service:
    """The real service behind its real application, without a network between us and it."""

    def __init__(
        self,
        folder: Path,
        now: datetime,
        *,
        deadline: float = 30,
        page_size: int = PAGE_SIZE,
        all_observations: bool = False,
    ) -> None:
        """``all_observations``: search them without codes, so that every one of a chart matches."""
        settings = Settings(open=True, database_url=f"sqlite:///{folder}/cds.db", deadline_seconds=deadline)
        self._store = Store(settings.database_url)
        self._store.migrate()
        service = build_service(settings, read_files(settings), OpenMode(), self._store, lambda: now)
        reads = reads_of(load_rule_pack(settings.rules_dir, settings.today()))
        if all_observations:
            reads = msgspec.structs.replace(reads, observation_codes=(), undated_codes=())
        service._records.plan = prefetch_plan(reads, page_size)
        app = create_app(settings, clock=lambda: now, store=self._store, service=service)
        self._client = app.test_client()
        self._service = service
        self._now = now

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._store.close()

    @property
    def templates(self) -> Json:
        """The prefetch templates of discovery."""
        document = self._client.get("/cds-services", base_url="http://localhost").get_json()
        templates: Json = document["services"][0]["prefetch"]
        return templates

    def call(self, patient_id: str, **more: Any) -> tuple[int, Json]:
        """Status and body of a patient-view."""
        body = a_call(patient_id, **more)
        response = self._client.post("/cds-services/atrophy-risk", json=body, base_url="http://localhost")
        return response.status_code, response.get_json()

    def references_read(self, patient_id: str, *, post_search: bool = False, **more: Any) -> set[str]:
        """The references of all that the same call reads into the record."""
        terms = msgspec.structs.replace(OPEN_MODE, post_search=post_search)
        request = parse_hook_request(json.dumps(a_call(patient_id, **more)).encode())
        with FhirClient() as client:
            payloads = complete(
                request,
                plan=self._service._records.plan,
                client=client,
                as_of=self._now,
                deadline=time.monotonic() + 30,
                allowed=lambda _: True,
                terms=terms,
            )
        vocabulary = self._service._pack.knowledge.vocabulary
        record = read_record(payloads, patient_id, vocabulary=vocabulary, as_of=self._now)
        fields = (getattr(record, field.name) for field in msgspec.structs.fields(record))
        return {entry.reference for field in fields if isinstance(field, tuple) for entry in field}


def a_call(patient_id: str, **more: Any) -> Json:
    """A patient-view of one patient."""
    return {
        "hook": "patient-view",
        "hookInstance": str(uuid.uuid4()),
        "context": {"userId": "Practitioner/test-clinician", "patientId": patient_id},
        **more,
    }


PASSED_ON = ("Accept", "Cache-Control", "Content-Type")


class Altering:
    """A proxy in front of a FHIR server that alters what ``alter`` says; its links lead through it."""

    def __init__(self, target: str, base: str) -> None:
        self.target = target
        self.base = base
        self.asked: list[str] = []  # "GET /fhir/Observation?..."
        self.alter_path: Callable[[str], str] = lambda path: path


@contextmanager
def altering(target: str) -> Iterator[Altering]:
    """An Altering proxy on loopback while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    proxy = Altering(target, f"http://127.0.0.1:{server.server_port}/fhir")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.pass_on(None)

        def do_POST(self) -> None:
            self.pass_on(self.rfile.read(int(self.headers["Content-Length"])))

        def pass_on(self, form: bytes | None) -> None:
            proxy.asked.append(f"{self.command} {self.path}")
            path = proxy.alter_path(self.path.removeprefix("/fhir"))
            headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
            answer = requests.request(self.command, target + path, data=form, headers=headers, timeout=60)
            body = answer.content.replace(target.encode(), proxy.base.encode())
            with suppress(ConnectionError):  # its deadline has passed
                self.send_response(answer.status_code)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server.RequestHandlerClass = Handler
    with serving(server):
        yield proxy


def next_link(bundle: Json) -> str | None:
    """Where the next page is."""
    return next((link["url"] for link in bundle.get("link", []) if link["relation"] == "next"), None)


def without_uuids(body: Json) -> Json:
    """An answer without what differs between two calls: uuids, and whether a source was sent or fetched."""
    plain: Json = json.loads(json.dumps(body))
    for card in plain["cards"]:
        del card["uuid"]
        for suggestion in card.get("suggestions", []):
            del suggestion["uuid"]
    for source in plain["extension"][EVALUATION]["sources"]:
        del source["origin"]
    return plain


def states(body: Json) -> dict[str, str]:
    """The state of each source."""
    return {source["name"]: source["state"] for source in body["extension"][EVALUATION]["sources"]}


def rules(body: Json) -> dict[str, str]:
    """The status of each rule."""
    return {rule["id"]: rule["status"] for rule in body["extension"][EVALUATION]["rules"]}
