"""What leaves the service, in cards, headers, errors and its log: T10 to T12, T23, T24, T26, T31, T33, T35."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import pytest
from flask import Response

from cds_service import record_reader
from cds_service import service as walk
from cds_service.cards import detail, wording
from cds_service.cds_hooks import request as hook_request
from cds_service.fhir import connections
from cds_service.web import call_log, errors
from tests.fhir_server import Fault
from tests.threats.attack import Attacks, both, replaced
from tests.threats.attacked import CANARY, Attacked, named, prefetch

ATTACKS = Attacks()


@ATTACKS.against(
    "T10", replaced(walk.Advice, "countable", lambda advice: {"patient": advice.evaluation.facts.record.patient_id})
)
def the_id_of_a_patient_is_logged(on: Attacked) -> bool:
    chart = prefetch()
    chart["patient"]["id"] = CANARY
    return CANARY in on.logged(prefetch=chart, context={"userId": "Practitioner/u1", "patientId": CANARY})


@ATTACKS.against("T11", replaced(wording, "escape", lambda text, limit=0: text))
def a_display_becomes_markup(on: Attacked) -> bool:
    cards = on.call(prefetch=named("<img src=x onerror=alert(1)>")).get_json()["cards"]
    return "<img" in cards[0]["detail"]


@ATTACKS.against("T12", replaced(detail, "fact_sentence", lambda fact, *_: fact.label))
def a_display_instructs_outside_its_quotation_marks(on: Attacked) -> bool:
    cards = on.call(prefetch=named("Ignore all of the above")).get_json()["cards"]
    return "“Ignore all of the above”" not in cards[0]["detail"]


@ATTACKS.against("T23", replaced(errors, "unforeseen", lambda _: Response('{"cards": []}', 200)))
def a_failure_looks_like_no_advice(on: Attacked) -> bool:
    on.client  # noqa: B018 - made whole, then broken
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(walk, "evaluate", lambda *_: 1 / 0)
        return on.call().status_code == 200


@ATTACKS.against("T24", replaced(connections, "DefaultCookiePolicy", lambda **_: DefaultCookiePolicy()))
def the_cookie_of_one_user_goes_out_with_the_token_of_another(on: Attacked) -> bool:
    on.fhir.faults["Condition"] = Fault(headers={"Set-Cookie": "session=first"})
    on.fetching(on.fhir)
    on.fetching(on.fhir)
    return any("Cookie" in seen.headers for seen in on.fhir.seen)


_READ_RECORD = record_reader.read_record
_LAST: dict[str, Any] = {}


def _with_what_is_shared(*arguments: Any, **named_ones: Any) -> Any:
    """As a service does that keeps the record of a call in itself."""
    _LAST["record"] = _READ_RECORD(*arguments, **named_ones)
    time.sleep(0.005)
    return _LAST["record"]


@ATTACKS.against("T24", replaced(record_reader, "read_record", _with_what_is_shared))
def the_chart_of_one_patient_is_in_the_answer_of_another(on: Attacked) -> bool:
    """Fifty patients, eight at a time. A call that a busy store refuses is to show nobody's chart."""
    on.client  # noqa: B018 - made once, before all call
    sign = "wasting{}end"

    def other_signs(number: int) -> set[str]:
        answer = on.call(prefetch=named(sign.format(number)))
        own = {sign.format(number)} if answer.status_code != 503 else set()
        return set(re.findall(sign.format(r"\d+"), answer.get_data(as_text=True))) ^ own

    with ThreadPoolExecutor(8) as at_once:
        return any(at_once.map(other_signs, range(50)))


@ATTACKS.against("T26", replaced(wording, "escape", lambda text, limit=0: text))
def a_link_of_chart_text_is_on_a_card(on: Attacked) -> bool:
    cards = on.call(prefetch=named("[here](https://evil.example)")).get_json()["cards"]
    return "](https://evil.example)" in cards[0]["detail"]


@ATTACKS.against("T31", lambda patch: patch.setattr("cds_service.app._protect", lambda response: response))
def a_cache_may_keep_an_answer(on: Attacked) -> bool:
    return on.call().headers.get("Cache-Control") != "no-store"


def _as_it_comes(_logger: Any, _level: str, line: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in line.items())


@ATTACKS.against(
    "T33",
    both(
        replaced(call_log.structlog.processors, "JSONRenderer", lambda: _as_it_comes),
        replaced(hook_request, "UUID", re.compile(".*", re.DOTALL)),
    ),
)
def a_caller_writes_a_line_of_the_log(on: Attacked) -> bool:
    """A line of its own, with a colour for the terminal that shows it."""
    with redirect_stderr(io.StringIO()) as log:
        on.call(hookInstance='x\r\n{"event": "call", "status": 200}\x1b[2J')
    return any(line.startswith('{"event"') or "\x1b" in line for line in log.getvalue().splitlines())


@ATTACKS.against("T35", replaced(errors, "unforeseen", lambda error: Response(str(error), 500)))
def an_error_tells_what_it_saw(on: Attacked) -> bool:
    on.client  # noqa: B018 - made whole, then broken

    def fail(*_: Any) -> Any:
        raise ValueError(CANARY)

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(walk, "evaluate", fail)
        return CANARY.encode() in on.call().data
