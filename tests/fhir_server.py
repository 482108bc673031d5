"""A small FHIR R4 server for tests: real HTTP, resources in memory, paging like HAPI's, and faults to switch on.

It answers as HAPI was seen to: XML unless JSON is asked for, 404 for an unknown type, 400 for an unknown parameter,
200 with nothing for an unknown patient, opaque ``next`` links that expire with 410, no ``total``.
"""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from threading import Lock, Thread
from typing import Any, Self
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

Resource = dict[str, Any]

BASE_PATH = "/fhir"
PARAMETERS = frozenset({"patient", "code", "date", "authored", "status", "_id", "_count", "_sort"})
DATES = ("effectiveDateTime", "performedDateTime", "authoredOn", "start", "issued")
PERIODS = ("effectivePeriod", "performedPeriod", "period")
MARGIN = 0.02  # seconds between two bytes of a slow drip


@dataclass
class Fault:
    """What goes wrong with the requests for one type of resource; ``times`` says how often (for ever by default).

    ``drip`` sends the answer byte by byte: "head" or "body"; ``stall`` waits (seconds) between the two.
    ``link`` answers every page with this ``next`` link, "self" with its own address, "endless" with ever new ones;
    ``entry`` is added to each.
    """

    status: int = 200
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0
    drip: str | None = None
    stall: float = 0
    drop: bool = False
    link: str | None = None
    entry: Resource | None = None
    times: float = float("inf")

    def strikes(self) -> bool:
        """Whether it is still there; counts."""
        self.times -= 1
        return self.times >= 0


@dataclass(frozen=True)
class Seen:
    """A request that arrived."""

    target: str
    headers: Mapping[str, str]
    form: str | None = None  # of a POST

    @property
    def resource_type(self) -> str:
        """What was asked for; "" for a following page."""
        return urlsplit(self.target).path.removeprefix(BASE_PATH).strip("/").split("/")[0]

    @property
    def query(self) -> dict[str, str]:
        """The search parameters."""
        return dict(parse_qsl(self.form or urlsplit(self.target).query))


class FhirServer:
    """Start it with ``with``.

    ``faults`` is keyed by resource type, "POST", "*" for all and "next" for following pages.
    """

    def __init__(
        self,
        resources: Iterable[Resource] = (),
        *,
        page_size: int = 50,
        lacks: Iterable[str] = (),
        tls: SSLContext | None = None,
    ) -> None:
        self.resources: dict[str, dict[str, Resource]] = {}
        self.page_size = page_size
        self.lacks = frozenset(lacks)  # types and parameters
        self.faults: dict[str, Fault] = {}
        self.seen: list[Seen] = []
        self.most_at_once = 0
        self.connections = 0
        self._tls = tls
        self._now = 0
        self._lock = Lock()
        self._result_sets: dict[str, list[Resource]] = {}
        self._ids = itertools.count(1)
        for resource in resources:
            self.put(resource)

    def __enter__(self) -> Self:
        self._http = _Http(("127.0.0.1", 0), _Requests)
        self._http.fhir = self
        if self._tls is not None:
            self._http.socket = self._tls.wrap_socket(self._http.socket, server_side=True)
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self.origin = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._http.server_port}"
        self.base = self.origin + BASE_PATH
        return self

    def __exit__(self, *_exception: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def put(self, resource: Resource) -> Resource:
        """Store one resource; without an id it gets one."""
        stored = {"id": f"r{next(self._ids)}"} | resource
        self.resources.setdefault(stored["resourceType"], {})[stored["id"]] = stored
        return stored

    def transact(self, bundle: Resource) -> None:
        """Store a transaction Bundle; its urn:uuid references become ``Type/id``."""
        text = json.dumps(bundle)
        for entry in bundle["entry"]:
            resource, full_url = entry["resource"], entry.get("fullUrl", "")
            if full_url.startswith("urn:"):
                own_id = resource.get("id") or full_url.rsplit(":", 1)[-1]
                text = text.replace(json.dumps(full_url), json.dumps(f"{resource['resourceType']}/{own_id}"))
        for entry in json.loads(text)["entry"]:
            own = entry["fullUrl"].rsplit("/", 1)[-1] if entry.get("fullUrl") else f"r{next(self._ids)}"
            self.put({"id": own} | entry["resource"])

    def asked(self, resource_type: str) -> list[Seen]:
        """The requests for one type, in order."""
        return [seen for seen in self.seen if seen.resource_type == resource_type]

    def forget_result_sets(self) -> None:
        """All ``next`` links expire."""
        self._result_sets.clear()

    # -- one request

    def begin(self, seen: Seen) -> None:
        with self._lock:
            self.seen.append(seen)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)

    def end(self) -> None:
        with self._lock:
            self._now -= 1

    def fault_of(self, seen: Seen) -> Fault:
        names = ("GET" if seen.form is None else "POST", seen.resource_type or "next", "*")
        return next((self.faults[n] for n in names if n in self.faults and self.faults[n].strikes()), Fault())

    def link_of(self, seen: Seen, fault: Fault) -> str | None:
        """The link that a fault puts on an answer."""
        if fault.link == "self":
            return self.origin + seen.target
        if fault.link == "endless":
            return f"{self.base}?page={next(self._ids)}"
        return fault.link

    def answer(self, seen: Seen) -> tuple[int, Resource]:
        path = urlsplit(seen.target).path.removeprefix(BASE_PATH).strip("/")
        if not path:
            return self._following_page(seen.query)
        resource_type, _, own_id = path.partition("/")
        if resource_type in self.lacks:
            return 404, outcome("not-found")
        if own_id == "_search":
            return self._search(resource_type, parse_qs(seen.form or ""))
        if own_id:
            resource = self.resources.get(resource_type, {}).get(own_id)
            return (200, resource) if resource else (404, outcome("not-found"))
        return self._search(resource_type, parse_qs(urlsplit(seen.target).query))

    def _search(self, resource_type: str, query: Mapping[str, list[str]]) -> tuple[int, Resource]:
        if not query.keys() <= PARAMETERS - self.lacks:
            return 400, outcome("processing")
        found = [r for r in self.resources.get(resource_type, {}).values() if _matches(r, query)]
        if query.get("_sort") == ["-date"]:
            found.sort(key=lambda resource: _range(resource)[0], reverse=True)
        asked_size = int(query.get("_count", ["20"])[0])
        return 200, self._page(uuid.uuid4().hex, found, 0, min(asked_size, self.page_size))

    def _following_page(self, query: Mapping[str, str]) -> tuple[int, Resource]:
        found = self._result_sets.get(query.get("_getpages", ""))
        if found is None:
            return 410, outcome("processing")
        return 200, self._page(query["_getpages"], found, int(query["_getpagesoffset"]), int(query["_count"]))

    def _page(self, key: str, found: list[Resource], offset: int, size: int) -> Resource:
        entries = [
            {"fullUrl": f"{self.base}/{r['resourceType']}/{r['id']}", "resource": r, "search": {"mode": "match"}}
            for r in found[offset : offset + size]
        ]
        bundle = {"resourceType": "Bundle", "type": "searchset", "link": [{"relation": "self", "url": self.base}]}
        if offset + size < len(found):
            self._result_sets[key] = found
            following = {"_getpages": key, "_getpagesoffset": offset + size, "_count": size}
            bundle["link"] += [{"relation": "next", "url": f"{self.base}?{urlencode(following)}"}]
        return bundle | ({"entry": entries} if entries else {})


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    fhir: FhirServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up in the middle is what many of these tests are about."""


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 20
    server: _Http

    def setup(self) -> None:
        super().setup()
        self.server.fhir.connections += 1

    def do_GET(self) -> None:
        self._hear(Seen(self.path, dict(self.headers)))

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._hear(Seen(self.path, dict(self.headers), form))

    def _hear(self, seen: Seen) -> None:
        fhir = self.server.fhir
        fhir.begin(seen)
        try:
            self._answer(fhir, seen, fhir.fault_of(seen))
        finally:
            fhir.end()

    def _answer(self, fhir: FhirServer, seen: Seen, fault: Fault) -> None:
        time.sleep(fault.delay)
        if fault.drop:
            self.close_connection = True
            return
        status, resource = fhir.answer(seen)
        body = fault.body
        if body is None:
            if fault.link == "endless" and seen.resource_type == "":
                status, resource = 200, {"resourceType": "Bundle", "type": "searchset"}
            body = json.dumps(_spoilt(resource, fault, fhir.link_of(seen, fault))).encode()
            if "json" not in seen.headers.get("Accept", ""):
                body = b"<Bundle xmlns='http://hl7.org/fhir'/>"
        self._send(status if fault.status == 200 else fault.status, body, fault)

    def _send(self, status: int, body: bytes, fault: Fault) -> None:
        headers = {"Content-Type": "application/fhir+json", "Content-Length": str(len(body))} | dict(fault.headers)
        head = f"HTTP/1.1 {status} Status\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
        for part, data in (("head", head.encode()), ("body", body)):
            for piece in _bytes_of(data) if fault.drip == part else (data,):
                self.wfile.write(piece)
            if part == "head":
                time.sleep(fault.stall)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


def outcome(code: str, severity: str = "error") -> Resource:
    """An OperationOutcome."""
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": code}]}


def _spoilt(resource: Resource, fault: Fault, link: str | None) -> Resource:
    if link is not None:
        resource = resource | {"link": [{"relation": "next", "url": link}]}
    if fault.entry is not None:
        resource = resource | {"entry": [*resource.get("entry", []), fault.entry]}
    return resource


def _bytes_of(data: bytes) -> Iterator[bytes]:
    for byte in data:
        time.sleep(MARGIN)
        yield bytes([byte])


def _matches(resource: Resource, query: Mapping[str, list[str]]) -> bool:
    tests = {
        "patient": lambda value: f"Patient/{value}" in _people(resource),
        "code": lambda value: any(_has_code(resource, token) for token in value.split(",")),
        "date": lambda value: _in_range(resource, value),
        "authored": lambda value: _in_range(resource, value),
        "status": lambda value: resource.get("status") in value.split(","),
        "_id": lambda value: resource["id"] in value.split(","),
    }
    return all(tests[name](value) for name, values in query.items() if name in tests for value in values)


def _people(resource: Resource) -> set[str]:
    references = [resource.get("subject"), resource.get("patient")]
    references += [participant.get("actor") for participant in resource.get("participant", ())]
    return {"/".join(reference["reference"].split("/")[-2:]) for reference in references if reference}


def _has_code(resource: Resource, token: str) -> bool:
    system, separator, code = token.rpartition("|")
    codings = resource.get("code", {}).get("coding", ())
    return any(c.get("code") == code and (not separator or c.get("system") == system) for c in codings)


def _range(resource: Resource) -> tuple[str, str]:
    """First and last day; an undated resource lies before all."""
    for name in PERIODS:
        if name in resource:
            return resource[name].get("start", "0000")[:10], resource[name].get("end", "9999")[:10]
    day = next((resource[name][:10] for name in DATES if name in resource), "")
    return day, day


def _in_range(resource: Resource, value: str) -> bool:
    first, last = _range(resource)
    prefix, day = value[:2], value[2:]
    tests = {"ge": last >= day, "gt": last > day, "le": first <= day, "lt": first < day, "eq": first == last == day}
    return bool(first) and tests[prefix]
