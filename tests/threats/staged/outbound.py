"""What the service may be led to contact, send and read: T1 to T4, T14, T16, T17, T32, T36."""

from __future__ import annotations

import gzip
import json
import logging
import time
from contextlib import suppress
from typing import Any

import jwt
import pytest
import requests
from urllib3.connection import HTTPConnection

from cds_service.errors import FhirReadError
from cds_service.fhir import client as fhir_client
from cds_service.fhir import connections
from cds_service.prefetch import fetching
from cds_service.trust import CdsClient, ListedServers
from cds_service.trust import key_sets as keys
from cds_service.trust.outbound import Reach
from tests.ehr import ec_key, key_server, public_jwk
from tests.fhir_server import Fault
from tests.http.stand_in import CALL
from tests.threats.attack import Attacks, both, replaced
from tests.threats.attacked import Attacked

ATTACKS = Attacks()
ANY_ADDRESS = replaced(ListedServers, "connects", lambda *_: True)


def _reach_anything(self: ListedServers, client: Any, url: str) -> Reach:
    return Reach(url, True, client.terms(None))


@ATTACKS.against("T1", both(replaced(ListedServers, "reach", _reach_anything), ANY_ADDRESS))
def an_unlisted_server_is_contacted(on: Attacked) -> bool:
    on.fetching(on.elsewhere)
    return bool(on.elsewhere.seen)


@ATTACKS.against("T2", ANY_ADDRESS)
def a_name_that_resolves_to_this_machine_is_connected_to(_on: Attacked) -> bool:
    with key_server() as server:
        public = CdsClient(id="x", key_sets=(keys.KeySet(url=server.url, insecure_http=True),))
        keys.KeySets((public,), ListedServers((public,))).read_now(server.url)
        return server.asked > 0


def _any_key_set(self: keys.KeySets, _client: Any, jku: str | None, kid: str, algorithm: str, _until: float) -> Any:
    found = keys.keys_in(requests.get(jku or "", timeout=5).content)[kid]
    return jwt.PyJWK(dict(found), algorithm)


@ATTACKS.against("T3", replaced(keys.KeySets, "key", _any_key_set))
def a_key_set_of_a_stranger_is_believed(on: Attacked) -> bool:
    with key_server() as server:
        own = ec_key()
        server.body = json.dumps({"keys": [public_jwk(own, on.ehr.kid)]}).encode()
        return on.call(headers=on.ehr.bearer(CALL, key=own, header={"jku": server.url})).status_code == 200


@ATTACKS.against("T4", replaced(fhir_client, "same_server", lambda *_: True))
def the_token_follows_a_link_to_another_server(on: Attacked) -> bool:
    on.fhir.faults["Condition"] = Fault(link=f"{on.elsewhere.base}/Condition?patient=p1")
    on.fetching(on.fhir)
    return any("Authorization" in seen.headers for seen in on.elsewhere.seen)


def _whole_body(response: requests.Response, _limit: int) -> bytes:
    return b"".join(response.iter_content(65_536))


@ATTACKS.against("T14", replaced(fhir_client, "_body", _whole_body))
def an_answer_inflates(on: Attacked) -> bool:
    bomb = gzip.compress(b'{"resourceType":"Bundle","text":"' + b" " * 20_000_000 + b'"}')
    on.fhir.faults["Condition"] = Fault(body=bomb, headers={"Content-Encoding": "gzip"})
    return on.fetching(on.fhir).status_code == 200  # the Conditions are required: refused they are 412


@ATTACKS.against("T16", replaced(connections._CheckedConnection, "getresponse", HTTPConnection.getresponse))
def a_drip_holds_a_thread_for_seconds_after_the_deadline(on: Attacked) -> bool:
    """Each byte comes in time for a socket; all of them take 4 s."""
    on.fhir.faults["Patient"] = Fault(drip="body", body=b'{"resourceType":"Patient"' + b" " * 174 + b"}")
    started = time.monotonic()
    with fhir_client.FhirClient() as client, suppress(FhirReadError):
        client.get(on.fhir.base, "Patient/p1", None, started + 0.3)
    return time.monotonic() - started > 2.5


@ATTACKS.against("T17", both(replaced(fetching, "MAX_ENTRIES", 10**9), replaced(fetching, "PAGE_LOOP", None)))
def a_page_that_links_to_itself(on: Attacked) -> bool:
    """With the loop unseen the source fails on a cause that is none, and nobody can say why."""
    on.fhir.faults["Condition"] = Fault(link="self")
    sources = on.fetching(on.fhir).get_json()["extension"]["org.atrophy-cds.evaluation"]["sources"]
    found = next(source for source in sources if source["name"] == "conditions")
    return found.get("cause") != "page-loop"


def _session_of_the_environment(allowed: connections.AddressPolicy) -> requests.Session:
    session = connections.new_session(allowed)
    session.trust_env = True
    return session


@ATTACKS.against("T32", replaced(fhir_client, "new_session", _session_of_the_environment))
def what_stands_in_the_environment_takes_the_place_of_the_token(on: Attacked) -> bool:
    netrc = on.folder / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NETRC", str(netrc))
        on.fetching(on.fhir)
    return any(seen.headers.get("Authorization", "").startswith("Basic") for seen in on.fhir.seen)


def _unfiltered(patch: pytest.MonkeyPatch) -> None:
    for name in ("urllib3.connectionpool", "urllib3.connection"):
        patch.setattr(logging.getLogger(name), "filters", [])


@ATTACKS.against("T36", _unfiltered)
def a_library_logs_the_id_of_a_patient(on: Attacked) -> bool:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("urllib3.connectionpool")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        on.fetching(on.fhir)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    return any("p1" in line for line in lines)
