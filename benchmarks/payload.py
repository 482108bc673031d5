"""The body of a patient-view call with a chart of a given size, all of it in prefetch."""

from __future__ import annotations

import uuid
from datetime import date
from pathlib import Path
from typing import Any, get_args

import msgspec

from benchmarks.chart import PATIENT_ID, SEED, make_chart
from benchmarks.resources import FHIR_SERVER
from cds_service.record import SourceName

SIZES = (10, 100, 1000, 5000)
PATIENT: SourceName = "patient"


def hook_request(rules: Path, size: int, today: date, seed: int = SEED) -> bytes:
    """Compact JSON; ``size`` counts resources. Same arguments, same bytes.

    Keys without resources are ``null``: the client searched and found nothing (C34), so nothing is fetched.
    """
    chart = make_chart(rules, size, today, seed)
    prefetch: dict[str, Any] = {
        key: _search_set(key, chart[key]) if key in chart else None for key in get_args(SourceName)
    }
    prefetch[PATIENT] = chart[PATIENT][0]
    body = {
        "hook": "patient-view",
        "hookInstance": str(uuid.UUID(int=seed, version=4)),
        "fhirServer": FHIR_SERVER,
        "fhirAuthorization": {
            "access_token": "benchmark-token",
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "patient/*.read",
            "subject": "atrophy-cds",
            "patient": PATIENT_ID,
        },
        "context": {"userId": "Practitioner/practitioner-1", "patientId": PATIENT_ID},
        "prefetch": prefetch,
    }
    return msgspec.json.encode(body)


def for_patient(body: bytes, number: int) -> bytes:
    """The same call for another patient: everything that is remembered of earlier calls concerns others."""
    return body.replace(PATIENT_ID.encode(), b"benchmark-%07d" % number)


def _search_set(key: str, resources: list[dict[str, Any]]) -> dict[str, Any]:
    entries = [
        {
            "fullUrl": f"{FHIR_SERVER}/{resource['resourceType']}/{resource['id']}",
            "resource": resource,
            "search": {"mode": "match"},
        }
        for resource in resources
    ]
    link = [{"relation": "self", "url": f"{FHIR_SERVER}/{key}"}]
    return {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "link": link, "entry": entries}
