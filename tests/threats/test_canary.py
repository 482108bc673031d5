"""T10, T31, T36, C38: marked names, numbers, ids, dates, texts, tokens leave only in the answer to their caller.

The calls go every way there is: by prefetch and by fetching, with feedback and comments, refused, broken, unreachable,
with every logger at its most talkative. Then everything that stays is searched.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fhir_server import Fault
from tests.http.stand_in import FEEDBACK, an_authorization
from tests.threats.attacked import Attacked, attacked, prefetch, weakness

NAME, MRN, ID, TEXT, TOKEN, COMMENT = (
    f"canary{word}7531" for word in ("Name", "Mrn", "Id", "Text", "Token", "Comment")
)
BORN = "1951-07-13"
MARKS = (NAME, MRN, ID, TEXT, TOKEN, COMMENT, BORN)
Json = dict[str, Any]


def marked_patient() -> Json:
    return {
        "resourceType": "Patient",
        "id": ID,
        "gender": "female",
        "birthDate": BORN,
        "name": [{"family": NAME, "text": NAME}],
        "identifier": [{"value": MRN}],
    }


def marked_condition(**changes: Any) -> Json:
    return weakness(
        id=f"{ID}-c1",
        subject={"reference": f"Patient/{ID}", "display": NAME},
        note=[{"text": TEXT}],
        code={
            "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "M62.50", "display": TEXT}],
            "text": TEXT,
        },
        **changes,
    )


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Attacked]:
    with attacked(tmp_path) as made:
        made.fhir.put(marked_patient())
        made.fhir.put(marked_condition())
        yield made


@pytest.fixture
def talkative() -> Iterator[None]:
    """Every logger says everything."""
    root = logging.getLogger()
    before, names = root.level, [*logging.root.manager.loggerDict]
    levels = {name: logging.getLogger(name).level for name in names}
    handler = logging.StreamHandler()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield
    root.removeHandler(handler)
    root.setLevel(before)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def refusals(on: Attacked) -> Iterator[bytes]:
    """Bodies of everything that is not a 200, and of feedback."""
    context = {"userId": "Practitioner/u1", "patientId": ID}
    chart = prefetch(marked_condition(), patient=marked_patient())
    authorization = an_authorization(access_token=TOKEN, scope="patient/*.rs", patient=ID)
    fetch = {"context": context, "prefetch": ..., "fhirServer": on.fhir.base, "fhirAuthorization": authorization}
    yield on.call(context={**context, "patientId": f"{ID}/x"}).data
    yield on.call(context=context, prefetch={**chart, "patient": {**marked_patient(), "id": f"{ID}-2"}}).data
    yield on.call(context={**context, "userId": f"{NAME} {MRN}"}).data
    yield on.call(context=context, hookInstance=TEXT).data
    yield on.call(headers={"Authorization": f"Bearer {TOKEN}"}, context=context).data
    for fault in (Fault(status=500), Fault(drop=True), Fault(body=f"<html>{NAME}".encode()), Fault(status=401)):
        on.fhir.faults["Condition"] = fault
        yield on.call(**fetch).data
    on.fhir.faults.clear()
    yield on.call(**{**fetch, "fhirServer": f"http://127.0.0.1:1/{ID}"}).data
    bad = {"feedback": [{"card": TEXT, "outcome": "overridden", "outcomeTimestamp": COMMENT}]}
    yield on.client.post(FEEDBACK, json=bad, headers=on.ehr.bearer(FEEDBACK)).data
    yield on.client.get(f"/explain/{TEXT}", headers=on.ehr.bearer(f"/explain/{TEXT}")).data
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(
            "cds_service.record_reader.read_record", lambda *_, **__: (_ for _ in ()).throw(ValueError(NAME))
        )
        yield on.call(context=context, prefetch=chart).data


def explanations(on: Attacked, card: str, context: Json, chart: Json) -> tuple[str, str]:
    """What is told of a card from what was kept, and when its chart is brought."""
    path = f"/explain/{card}"
    request = {"hook": "patient-view", "hookInstance": str(uuid.uuid4()), "context": context, "prefetch": chart}
    alone = on.client.get(path, headers=on.ehr.bearer(path))
    brought = on.client.post(path, json=request, headers=on.ehr.bearer(path))
    assert (alone.status_code, brought.status_code) == (200, 200)
    return alone.get_data(as_text=True), brought.get_data(as_text=True)


def test_nothing_that_is_marked_stays(
    on: Attacked, talkative: None, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    context = {"userId": "Practitioner/u1", "patientId": ID}
    chart = prefetch(marked_condition(), patient=marked_patient())
    answered = on.call(context=context, prefetch=chart)
    assert TEXT in answered.get_data(as_text=True)  # the marks do reach the cards of their caller
    assert answered.headers["Cache-Control"] == "no-store"
    authorization = an_authorization(access_token=TOKEN, scope="patient/*.rs", patient=ID)
    fetched = on.call(context=context, prefetch=..., fhirServer=on.fhir.base, fhirAuthorization=authorization)
    assert fetched.status_code == 200
    assert any(TOKEN in seen.headers.get("Authorization", "") for seen in on.fhir.seen)
    card = answered.get_json()["cards"][0]["uuid"]
    kept_alone, brought = explanations(on, card, context, chart)
    assert TEXT in brought  # they reach the explanation of whoever brings them, and are in none of what was kept
    reason = {"reason": {"code": "not-relevant", "system": "urn:x"}, "userComment": f"{COMMENT} {NAME}"}
    assert on.feedback(card, overrideReason=reason).status_code == 200
    other = fetched.get_json()["cards"][0]["uuid"]
    assert on.feedback(other, overrideReason={"reason": {"code": "data-wrong"}}).status_code == 200
    again = on.call(context=context, prefetch=..., fhirServer=on.fhir.base, fhirAuthorization=authorization)
    assert again.get_json()["extension"]["org.atrophy-cds.evaluation"]["calledWrong"] == 1
    bodies = b"".join(refusals(on)) + kept_alone.encode()

    logged = capfd.readouterr()
    assert logged.err.count('"event": "call"') >= 14  # the log is there to be searched
    assert on.store is not None
    on.store.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("cds*"))
    assert b'"held":{' in kept  # the traces are there to be searched
    for mark in MARKS:
        assert mark not in logged.out + logged.err
        assert mark.encode() not in bodies
        assert mark.encode() not in kept
    jwts = [word for word in (logged.out + logged.err).split() if word.count(".") == 2 and len(word) > 200]
    assert jwts == []
