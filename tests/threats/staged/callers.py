"""Who calls, from where and how often: T5 to T7, T19, T20, T28 to T30, T39."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import jwt
from flask import Request, request
from werkzeug.test import TestResponse

from cds_service.store import Store, cards
from cds_service.trust.tokens import TokenVerifier
from cds_service.web import auth
from tests.ehr import ec_key, public_jwk
from tests.http.stand_in import CALL, CARD, Shown
from tests.threats.attack import Attacks, both, replaced
from tests.threats.attacked import Attacked

ATTACKS = Attacks()


def _key_in_the_header(_self: TokenVerifier, _client: Any, header: dict[str, Any]) -> jwt.PyJWK:
    return jwt.PyJWK(header["jwk"], header["alg"])


@ATTACKS.against("T5", replaced(TokenVerifier, "_key_of", _key_in_the_header))
def a_token_brings_its_own_key(on: Attacked) -> bool:
    own = ec_key()
    headers = on.ehr.bearer(CALL, key=own, header={"jwk": public_jwk(own, on.ehr.kid)})
    return on.call(headers=headers).status_code == 200


@ATTACKS.against("T6", replaced(Store, "first_use", lambda *_: True))
def a_token_is_used_twice(on: Attacked) -> bool:
    headers = on.ehr.bearer(CALL)
    return [on.call(headers=headers).status_code for _ in range(2)] == [200, 200]


def _audience_of_the_host(_self: TokenVerifier, _client: Any, path: str, _endpoint: str | None) -> tuple[str, ...]:
    return (f"https://{request.headers['X-Forwarded-Host']}{path}",)


@ATTACKS.against("T7", replaced(TokenVerifier, "_audiences", _audience_of_the_host))
def a_header_changes_the_audience(on: Attacked) -> bool:
    headers = on.ehr.bearer(CALL, aud="https://evil.example" + CALL) | {"X-Forwarded-Host": "evil.example"}
    return on.call(headers=headers).status_code == 200


@ATTACKS.against("T19", replaced(auth.TokenAdmission, "may_read", lambda *_: True))
def a_foreign_page_may_read(on: Attacked) -> bool:
    answer = on.client.options(CALL, headers={"Origin": "https://evil.example"})
    return "Access-Control-Allow-Origin" in answer.headers


def _cards_of_anybody(connection: Any, _client: str, wanted: set[str]) -> dict[str, dict[str, str]]:
    return {card: {} for card in wanted}


@ATTACKS.against("T20", replaced(cards, "_suggestions_of_cards", _cards_of_anybody))
def feedback_about_a_card_of_another_counts(on: Attacked) -> bool:
    on.client  # noqa: B018 - the store is made with the application
    assert on.store is not None
    on.store.note_shown("another", on.store.fingerprint("p"), [Shown(CARD)], datetime.now(UTC))
    on.feedback(CARD)
    return bool(on.store.feedback_about(CARD))


def _without_a_token(on: Attacked) -> Iterator[TestResponse]:
    """Every page and method there is, and those that administer elsewhere."""
    there = [
        (rule.rule, method) for rule in on.client.application.url_map.iter_rules() for method in rule.methods or ()
    ]
    elsewhere = [(path, "GET") for path in ("/metrics", "/admin", "/docs", "/explain", "/switches", "/reload")]
    for path, method in there + elsewhere:
        if method != "OPTIONS":  # a preflight carries no token and does nothing (P-20)
            yield on.client.open(path, method=method)


@ATTACKS.against("T28", replaced(auth.TokenAdmission, "identify", lambda self, _request: self._clients[0]))
def something_is_done_for_somebody_without_a_token(on: Attacked) -> bool:
    return any(answer.status_code != 401 for answer in _without_a_token(on))


_IDENTIFY = auth.TokenAdmission.identify


def _paths_before_tokens(self: auth.TokenAdmission, asked: Request) -> Any:
    if asked.routing_exception is not None:
        raise asked.routing_exception
    return _IDENTIFY(self, asked)


@ATTACKS.against("T29", replaced(auth.TokenAdmission, "identify", _paths_before_tokens))
def a_refusal_tells_what_exists(on: Attacked) -> bool:
    headers = ({}, {"Authorization": "Bearer x"}, on.stranger.bearer(CALL), on.ehr.bearer(CALL, key=ec_key()))
    paths = (CALL, "/cds-services/other", f"{CALL}/feedback", "/metrics")
    answers = [on.client.post(path, headers=sent) for path in paths for sent in headers]
    return len({(answer.status_code, answer.data) for answer in answers}) > 1


@ATTACKS.against("T30", replaced(Store, "calls_in_minute", lambda *_: 0))
def one_client_calls_without_end(on: Attacked) -> bool:
    """The limit is 60; the minute may turn once meanwhile."""
    return {on.call().status_code for _ in range(121)} == {200}


@ATTACKS.against(
    "T39", both(replaced(Store, "first_use", lambda *_: True), replaced(Store, "calls_in_minute", lambda *_: 0))
)
def without_its_memory_a_token_is_accepted(on: Attacked) -> bool:
    on.client  # noqa: B018 - made whole, then its database goes
    for path in on.folder.glob("cds.db*"):
        path.write_bytes(b"no database")
    return on.call().status_code == 200
