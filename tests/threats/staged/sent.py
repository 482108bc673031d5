"""What is sent: ids, bodies, JSON, texts, paths, bytes: T8, T9, T13, T15, T18, T21, T22, T34."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import Any

import msgspec
from flask import request
from gunicorn.http import RequestParser
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.errors import ParseException
from gunicorn.http.message import Message
from werkzeug import utils as werkzeug_files

from cds_service.app import create_app
from cds_service.cards import wording
from cds_service.cds_hooks import request as hook_request
from cds_service.cds_hooks import strict_json
from cds_service.cli.serve import ServeOptions, ThreadedServer
from cds_service.fhir.reading import codes, pages
from cds_service.fhir.reading.identity import Subjects
from cds_service.settings import Settings
from cds_service.web import hooks
from tests.http.stand_in import CALL
from tests.threats.attack import Attacks, both, replaced
from tests.threats.attacked import Attacked, named, prefetch, weakness

ATTACKS = Attacks()


@ATTACKS.against("T8", replaced(hook_request, "is_fhir_id", lambda _: True))
def an_id_smuggles_a_parameter(on: Attacked) -> bool:
    on.fetching(on.fhir, context={"userId": "Practitioner/u1", "patientId": "p1&_count=9999"})
    return any("9999" in seen.target for seen in on.fhir.seen)


@ATTACKS.against("T9", replaced(Subjects, "is_patient", lambda *_: True))
def a_condition_of_another_makes_a_card(on: Attacked) -> bool:
    foreign = weakness(subject={"reference": "Patient/p2"})
    answer = on.call(prefetch=prefetch(foreign)).get_json()
    return "Wasting" in json.dumps(answer.get("cards", []))


@ATTACKS.against("T13", replaced(hooks, "json_body", lambda _limit: request.get_data()))
def a_body_over_the_limit_is_read(on: Attacked) -> bool:
    return on.send(b" " * (17 * 1024 * 1024) + b"{}").status_code != 413


@ATTACKS.against("T15", replaced(strict_json, "UNREADABLE", (msgspec.DecodeError,)))
def a_deep_body_is_a_failure_of_ours(on: Attacked) -> bool:
    return on.send(b'{"extension":' + b"[" * 100_000).status_code != 400


def _cut_when_all_is_matched(text: str, limit: int = 80) -> str:
    return wording._BARE_DOMAIN.sub(". ", wording._LINK.sub("", text))[:limit]


@ATTACKS.against(
    "T18", both(replaced(codes, "DISPLAY_LIMIT", None), replaced(wording, "plain", _cut_when_all_is_matched))
)
def a_long_text_takes_time_by_its_square(on: Attacked) -> bool:
    def seconds(length: int) -> float:
        chart = named("a" * length)
        started = time.process_time()
        on.call(prefetch=chart)
        return time.process_time() - started

    seconds(10)
    return seconds(32_000) > 2.5 * seconds(16_000) + 0.1


@ATTACKS.against("T21", replaced(werkzeug_files, "safe_join", os.path.join))
def a_file_outside_the_folder_is_given_out(on: Attacked) -> bool:
    """In open mode: elsewhere no path is a file's."""
    app = create_app(Settings(open=True, database_url=f"sqlite:///{on.folder}/open.db"))
    with app.test_client().get("/chart-static/../chart.py", base_url="http://localhost") as answer:
        return answer.status_code == 200


@ATTACKS.against("T22", replaced(pages, "UNREADABLE", ()))
def an_odd_entry_is_a_failure_of_ours(on: Attacked) -> bool:
    odd = [None, {}, {"resource": None}, {"resource": weakness(code=7)}, {"resource": weakness()}, 7]
    answer = on.call(prefetch=prefetch() | {"conditions": {"resourceType": "Bundle", "entry": odd}})
    return answer.status_code != 200


def _by_its_length_alone(message: Any) -> None:
    length = next(int(value) for name, value in message.headers if name == "CONTENT-LENGTH")
    message.body = Body(LengthReader(message.unreader, length))


@ATTACKS.against("T34", replaced(Message, "set_body_reader", _by_its_length_alone))
def a_second_request_hides_in_the_body_of_the_first(on: Attacked) -> bool:
    """As the server is configured, without a proxy before it."""
    config = ThreadedServer(lambda: on.client.application, "127.0.0.1:0", ServeOptions()).cfg
    head = f"POST {CALL} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    sent = f"{head}0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    heard = []
    with suppress(ParseException):
        for one in RequestParser(config, iter([sent.encode()]), ("127.0.0.1", 1)):
            heard.append(one.uri)
    return "/hidden" in heard
