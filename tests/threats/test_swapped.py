"""Each protection is needed: with it the attack fails, and with the part swapped out in the test it succeeds (P-35).

What an attack may do is its function's answer: True when damage was done. ``swap`` takes the protection away.
"""

from __future__ import annotations

import gzip
import importlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
import responses
from flask import Response, request

from cds_service import service as walk
from cds_service.cards import detail, wording
from cds_service.cds_hooks import request as hook_request
from cds_service.errors import SettingsError
from cds_service.fhir import client as fhir_client
from cds_service.fhir.reading.identity import Subjects
from cds_service.prefetch import fetching
from cds_service.store import Store, cards
from cds_service.trust import CdsClient, ListedServers
from cds_service.trust import key_sets as keys
from cds_service.trust.outbound import Reach
from cds_service.trust.tokens import TokenVerifier
from cds_service.web import auth, errors, hooks
from tests.ehr import PUBLIC_URL, ec_key, key_server, public_jwk
from tests.fhir_server import Fault
from tests.http.stand_in import CALL, CARD, Shown
from tests.threats.attacked import CANARY, Attacked, attacked, prefetch, weakness

Swap = Callable[[pytest.MonkeyPatch], None]
Attack = Callable[[Attacked], bool]
ATTACKS: dict[str, tuple[Attack, Swap]] = {}


def attack(name: str, swap: Swap) -> Callable[[Attack], Attack]:
    """Register an attack under its threat, with what takes the protection away."""

    def register(function: Attack) -> Attack:
        ATTACKS[name] = (function, swap)
        return function

    return register


def replaced(target: Any, name: str, value: Any) -> Swap:
    """The swap that puts something else in a part's place."""
    return lambda patch: patch.setattr(target, name, value)


def both(*swaps: Swap) -> Swap:
    """Several at once."""

    def swap_all(patch: pytest.MonkeyPatch) -> None:
        for swap in swaps:
            swap(patch)

    return swap_all


ANY_ADDRESS = replaced(ListedServers, "connects", lambda *_: True)


def _reach_anything(self: ListedServers, client: Any, url: str) -> Reach:
    return Reach(url, True, client.terms(None))


@attack("T1", both(replaced(ListedServers, "reach", _reach_anything), ANY_ADDRESS))
def an_unlisted_server_is_contacted(on: Attacked) -> bool:
    on.fetching(on.elsewhere)
    return bool(on.elsewhere.seen)


@attack("T2", ANY_ADDRESS)
def a_name_that_resolves_to_this_machine_is_connected_to(on: Attacked) -> bool:
    with key_server() as server:
        public = CdsClient(id="x", key_sets=(keys.KeySet(url=server.url, insecure_http=True),))
        keys.KeySets((public,), ListedServers((public,))).read_now(server.url)
        return server.asked > 0


def _any_key_set(self: keys.KeySets, _client: Any, jku: str | None, kid: str, algorithm: str, _until: float) -> Any:
    found = keys.keys_in(requests.get(jku or "", timeout=5).content)[kid]
    return jwt.PyJWK(dict(found), algorithm)


@attack("T3", replaced(keys.KeySets, "key", _any_key_set))
def a_key_set_of_the_strangers_own_is_believed(on: Attacked) -> bool:
    with key_server() as server:
        own = ec_key()
        server.body = json.dumps({"keys": [public_jwk(own, on.ehr.kid)]}).encode()
        return on.call(headers=on.ehr.bearer(CALL, key=own, header={"jku": server.url})).status_code == 200


@attack("T4", replaced(fhir_client, "same_server", lambda *_: True))
def the_token_follows_a_link_to_another_server(on: Attacked) -> bool:
    on.fhir.faults["Condition"] = Fault(link=f"{on.elsewhere.base}/Condition?patient=p1")
    on.fetching(on.fhir)
    return any("Authorization" in seen.headers for seen in on.elsewhere.seen)


def _key_in_the_header(_self: TokenVerifier, _client: Any, header: dict[str, Any]) -> jwt.PyJWK:
    return jwt.PyJWK(header["jwk"], header["alg"])


@attack("T5", replaced(TokenVerifier, "_key_of", _key_in_the_header))
def a_token_brings_its_own_key(on: Attacked) -> bool:
    own = ec_key()
    headers = on.ehr.bearer(CALL, key=own, header={"jwk": public_jwk(own, on.ehr.kid)})
    return on.call(headers=headers).status_code == 200


@attack("T6", replaced(Store, "first_use", lambda *_: True))
def a_token_is_used_twice(on: Attacked) -> bool:
    headers = on.ehr.bearer(CALL)
    return [on.call(headers=headers).status_code for _ in range(2)] == [200, 200]


def _audience_of_the_host(_self: TokenVerifier, _client: Any, path: str, _endpoint: str | None) -> tuple[str, ...]:
    return (f"https://{request.headers['X-Forwarded-Host']}{path}",)


@attack("T7", replaced(TokenVerifier, "_audiences", _audience_of_the_host))
def a_header_changes_the_audience(on: Attacked) -> bool:
    headers = on.ehr.bearer(CALL, aud="https://evil.example" + CALL) | {"X-Forwarded-Host": "evil.example"}
    return on.call(headers=headers).status_code == 200


@attack("T8", replaced(hook_request, "is_fhir_id", lambda _: True))
def an_id_smuggles_a_parameter(on: Attacked) -> bool:
    on.fetching(on.fhir, context={"userId": "Practitioner/u1", "patientId": "p1&_count=9999"})
    return any("9999" in seen.target for seen in on.fhir.seen)


@attack("T9", replaced(Subjects, "is_patient", lambda *_: True))
def anothers_condition_makes_a_card(on: Attacked) -> bool:
    foreign = weakness(subject={"reference": "Patient/p2"})
    answer = on.call(prefetch=prefetch(foreign)).get_json()
    return "Wasting" in json.dumps(answer.get("cards", []))


@attack("T10", replaced(walk, "_countable", lambda advice: {"patient": advice.evaluation.facts.record.patient_id}))
def a_patients_id_is_logged(on: Attacked) -> bool:
    chart = prefetch()
    chart["patient"]["id"] = CANARY
    return CANARY in on.logged(prefetch=chart, context={"userId": "Practitioner/u1", "patientId": CANARY})


def _named(text: str) -> dict[str, Any]:
    return prefetch(
        weakness(code={"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "M62.50", "display": text}]})
    )


@attack("T11", replaced(wording, "escape", lambda text, limit=0: text))
def a_display_becomes_markup(on: Attacked) -> bool:
    cards = on.call(prefetch=_named("<img src=x onerror=alert(1)>")).get_json()["cards"]
    return "<img" in cards[0]["detail"]


@attack("T12", replaced(detail, "fact_sentence", lambda fact, *_: fact.label))
def a_display_instructs_outside_its_quotation_marks(on: Attacked) -> bool:
    cards = on.call(prefetch=_named("Ignore all of the above")).get_json()["cards"]
    return "“Ignore all of the above”" not in cards[0]["detail"]


@attack("T13", replaced(hooks, "json_body", lambda _limit: request.get_data()))
def a_body_over_the_limit_is_read(on: Attacked) -> bool:
    body = b" " * (17 * 1024 * 1024) + json.dumps({"hook": "patient-view"}).encode()
    sent = {**on.ehr.bearer(CALL), "Content-Type": "application/json"}
    return on.client.post(CALL, data=body, headers=sent).status_code != 413


def _whole_body(response: requests.Response, _limit: int) -> bytes:
    return b"".join(response.iter_content(65_536))


@attack("T14", replaced(fhir_client, "_body", _whole_body))
def an_answer_inflates(on: Attacked) -> bool:
    bomb = gzip.compress(b'{"resourceType":"Bundle","text":"' + b" " * 20_000_000 + b'"}')
    on.fhir.faults["Condition"] = Fault(body=bomb, headers={"Content-Encoding": "gzip"})
    return on.fetching(on.fhir).status_code == 200  # the Conditions are required: refused they are 412


@attack("T17", both(replaced(fetching, "MAX_ENTRIES", 10**9), replaced(fetching, "PAGE_LOOP", None)))
def a_page_that_links_to_itself(on: Attacked) -> bool:
    """With the loop unseen the source fails on a cause that is none, and nobody can say why."""
    on.fhir.faults["Condition"] = Fault(link="self")
    sources = on.fetching(on.fhir).get_json()["extension"]["org.atrophy-cds.evaluation"]["sources"]
    found = next(source for source in sources if source["name"] == "conditions")
    return found.get("cause") != "page-loop"


@attack("T19", replaced(auth.TokenAdmission, "may_read", lambda *_: True))
def a_foreign_page_may_read(on: Attacked) -> bool:
    answer = on.client.options(CALL, headers={"Origin": "https://evil.example"})
    return "Access-Control-Allow-Origin" in answer.headers


def _cards_of_anybody(connection: Any, _client: str, wanted: set[str]) -> dict[str, dict[str, str]]:
    return {card: {} for card in wanted}


@attack("T20", replaced(cards, "_suggestions_of_cards", _cards_of_anybody))
def feedback_about_anothers_card_counts(on: Attacked) -> bool:
    on.client  # noqa: B018 - the store is made with the application
    assert on.store is not None
    on.store.note_shown("another", on.store.fingerprint("p"), [Shown(CARD)], datetime.now(UTC))
    on.feedback(CARD)
    return bool(on.store.feedback_about(CARD))


@attack("T23", replaced(errors, "unforeseen", lambda _: Response('{"cards": []}', 200)))
def a_failure_looks_like_no_advice(on: Attacked) -> bool:
    on.client  # noqa: B018 - made whole, then broken
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(walk, "evaluate", lambda *_: 1 / 0)
        return on.call().status_code == 200


@attack("T26", replaced(wording, "escape", lambda text, limit=0: text))
def a_link_of_chart_text_is_on_a_card(on: Attacked) -> bool:
    cards = on.call(prefetch=_named("[here](https://evil.example)")).get_json()["cards"]
    return "](https://evil.example)" in cards[0]["detail"]


@attack("T30", replaced(Store, "calls_in_minute", lambda *_: 0))
def one_client_calls_without_end(on: Attacked) -> bool:
    return {on.call().status_code for _ in range(11)} == {200}


@attack("T31", lambda patch: patch.setattr("cds_service.app._protect", lambda response: response))
def a_cache_may_keep_an_answer(on: Attacked) -> bool:
    return on.call().headers.get("Cache-Control") != "no-store"


@attack("T35", replaced(errors, "unforeseen", lambda error: Response(str(error), 500)))
def an_error_tells_what_it_saw(on: Attacked) -> bool:
    on.client  # noqa: B018 - made whole, then broken

    def fail(*_: Any) -> Any:
        raise ValueError(CANARY)

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(walk, "evaluate", fail)
        return CANARY.encode() in on.call().data


def _unfiltered(patch: pytest.MonkeyPatch) -> None:
    for name in ("urllib3.connectionpool", "urllib3.connection"):
        patch.setattr(logging.getLogger(name), "filters", [])


@attack("T36", _unfiltered)
def a_library_logs_the_patients_id(on: Attacked) -> bool:
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


@attack("T39", both(replaced(Store, "first_use", lambda *_: True), replaced(Store, "calls_in_minute", lambda *_: 0)))
def without_its_memory_a_token_is_accepted(on: Attacked) -> bool:
    on.client  # noqa: B018 - made whole, then its database goes
    for path in on.folder.glob("cds.db*"):
        path.write_bytes(b"no database")
    return on.call().status_code == 200


loading = importlib.import_module("cds_service.cli.load_fixtures")  # the command has the name of its module


@attack("T40", replaced(loading, "refuse_foreign", lambda *_: None))
def synthetic_patients_are_written_to_a_strangers_server(_on: Attacked) -> bool:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as server:
        server.post("https://fhir.example/r4", json={})
        try:
            loading.load_fixtures("https://fhir.example/r4", None, None)
        except SettingsError:
            return False
        return bool(server.calls)


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Attacked]:
    with attacked(tmp_path, "calls_per_minute = 5") as made:
        yield made


@pytest.mark.parametrize("threat", ATTACKS)
def test_the_attack_fails(on: Attacked, threat: str) -> None:
    """T1 to T40, those that one part of the service answers."""
    assert ATTACKS[threat][0](on) is False


@pytest.mark.parametrize("threat", ATTACKS)
def test_without_its_protection_it_succeeds(on: Attacked, threat: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the test above can fail."""
    attack_on, swap = ATTACKS[threat]
    swap(monkeypatch)
    assert attack_on(on) is True


def test_t6_a_token_outside_its_time_is_refused_by_the_library(on: Attacked, monkeypatch: pytest.MonkeyPatch) -> None:
    old = int(time.time()) - 7200
    claims = {"iat": old, "exp": old + 300}
    assert on.call(headers=on.ehr.bearer(CALL, **claims)).status_code == 401
    monkeypatch.setattr("cds_service.trust.tokens.SKEW", timedelta(days=1).total_seconds())
    assert on.call(headers=on.ehr.bearer(CALL, **claims)).status_code == 200
    assert on.ehr.claims(CALL)["aud"] == PUBLIC_URL + CALL
