"""Hook requests made of worked patients, altered at random: what an EHR could send, and what nobody should."""

from __future__ import annotations

import copy
import json
from datetime import datetime
from random import Random
from typing import Any

from cds_service.case_resources import PATIENT_ID, case_resources
from cds_service.cases import Case
from cds_service.fhir.reading.kinds import RESOURCES
from cds_service.rule_engine.loader import Knowledge

CANARY = "Canary-Quagmire-7531"  # stands in names, texts, ids and tokens: nothing of it may leave
Json = dict[str, Any]

_ODD: list[Any] = [
    None, "", " ", 0, -1, 10**30, 1e308, -0.0, True, [], {}, [None], {"a": None}, [[[]]],
    "\u202e", "\x00", "\U0001d4b3" * 50,
    "2026-02-30", "2026", "-2026-01-01", "9999-12-31T23:59:59.999999999+14:00", "http://[::1", "urn:uuid:", "#", "/",
    "javascript:alert(1)", "<img src=x onerror=alert(1)>", "| a | b |", "%s%n{0}{{x}}", CANARY,
]  # fmt: skip
_KEYS = [
    "resourceType",
    "id",
    "code",
    "coding",
    "system",
    "value",
    "subject",
    "reference",
    "link",
    "entry",
    "extension",
]


def request_of(case: Case, knowledge: Knowledge, as_of: datetime) -> Json:
    """A worked patient as a whole call, its patient named by the canary."""
    prefetch: Json = {}
    resources = list(case_resources(case, knowledge.tables, as_of))
    for name, kind in RESOURCES.items():
        found = [copy.deepcopy(r) for r in resources if r["resourceType"] == kind.__name__]
        if name == "patient":
            prefetch[name] = {
                **found[0],
                "name": [{"family": CANARY, "text": CANARY}],
                "identifier": [{"value": CANARY}],
            }
        else:
            prefetch[name] = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in found]}
    return {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/u1", "patientId": PATIENT_ID},
        "prefetch": prefetch,
    }


def altered(request: Json, draw: Random, times: int) -> bytes:
    """The request as bytes, altered so many times; now and then the bytes themselves."""
    made = copy.deepcopy(request)
    for _ in range(times):
        _alter(made, draw)
    body = json.dumps(made, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")
    return _spoilt(body, draw) if times and draw.random() < 0.1 else body


def _alter(root: Json, draw: Random) -> None:
    """One change somewhere inside: another value, a lost or doubled part, a new member, another nesting."""
    parent, key = _somewhere(root, draw)
    match draw.randrange(6):
        case 0:
            parent[key] = _odd(draw)
        case 1:
            del parent[key]
        case 2 if isinstance(parent, list):
            parent.insert(draw.randrange(len(parent) + 1), copy.deepcopy(parent[key]))
        case 3 if isinstance(parent[key], str):
            text = parent[key]
            parent[key] = text[: draw.randrange(len(text) + 1)] + str(_odd(draw))
        case 4 if isinstance(parent, dict):
            parent[draw.choice(_KEYS)] = _odd(draw)
        case _:
            parent[key] = draw.choice([[parent[key]], {"value": parent[key]}, str(parent[key])])


def _odd(draw: Random) -> Any:
    return copy.deepcopy(draw.choice(_ODD))


def _somewhere(root: Json, draw: Random) -> tuple[Any, Any]:
    """A member or an item, mostly of the chart, deep places as likely as shallow ones; never the whole."""
    in_chart = "prefetch" in root and draw.random() < 0.7
    parent, key = root, "prefetch" if in_chart else draw.choice(sorted(root))
    while isinstance(parent[key], dict | list) and parent[key] and draw.random() < 0.9:
        parent = parent[key]
        key = draw.choice(sorted(parent)) if isinstance(parent, dict) else draw.randrange(len(parent))
    return parent, key


def _spoilt(body: bytes, draw: Random) -> bytes:
    at = draw.randrange(len(body))
    return draw.choice(
        [body[:at], body[:at] + b"\xff" + body[at:], body + b"{}", body.replace(b":", b"::", 1), b"[" * 5_000, b""]
    )
