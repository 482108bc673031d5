"""The synthetic patients of ``fixtures/``: loaded with their dates moved to today, and the hook call of each.

They are written for one anchor day, which ``expected.toml`` names. Every date moves by the whole days between it and
today, so that "30 days ago" stays 30 days ago. A birth date does not move.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

from cds_service.fhir.reading.kinds import RESOURCES

Json = dict[str, Any]

USER_ID = "Practitioner/test-clinician"

# The names of FHIR elements of type date, dateTime and instant, beside those that end in "DateTime". birthDate and
# bornDate are left out: moving a birth date would change nobody's story and make every age differ from day to day.
_DATE_ELEMENTS = frozenset(
    {
        "authoredOn",
        "created",
        "date",
        "dateAsserted",
        "deceasedDate",
        "effectiveInstant",
        "end",
        "event",
        "issued",
        "lastUpdated",
        "recorded",
        "recordedDate",
        "start",
        "timestamp",
        "whenHandedOver",
        "whenPrepared",
    }
)
_FULL_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(T.+)?")
_MONTH = re.compile(r"\d{4}-\d{2}")
_YEAR = re.compile(r"\d{4}")


class ExpectedCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A card that must appear: its indicator and the slugs of its rules, the lead first."""

    indicator: Literal["info", "warning", "critical"]
    rules: tuple[str, ...]


class FixturePatient(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A synthetic patient: what ``expected.toml`` says, and its transaction Bundle with the dates moved.

    ``fired`` gives for each rule that fires its indicator; ``held_back`` are fired rules that wait under a critical
    card (B-25); ``suppressed`` are rules whose pattern holds but that must stay silent; ``near_misses`` are rules
    whose pattern must not hold. ``why`` names the clinical claims and rulings.
    """

    id: str
    title: str
    story: str
    why: str
    expected_cards: tuple[ExpectedCard, ...]
    fired: dict[str, Literal["info", "warning", "critical"]] = {}
    held_back: tuple[str, ...] = ()
    suppressed: tuple[str, ...] = ()
    near_misses: tuple[str, ...] = ()
    bundle: Json = {}


class _ExpectedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``fixtures/expected.toml``."""

    anchor: date
    patient: tuple[FixturePatient, ...]


def load_fixture_patients(folder: Path, today: date) -> tuple[FixturePatient, ...]:
    """All patients of ``folder`` (the one that holds ``expected.toml``), in its order, as of ``today``.

    Raises OSError for a missing file and msgspec.DecodeError or ValueError for one that cannot be used.
    """
    expected = _read_expected(folder)
    days = (today - expected.anchor).days
    return tuple(
        msgspec.structs.replace(
            patient, bundle=shift_dates(_read_json(folder / "patients" / f"{patient.id}.json"), days)
        )
        for patient in expected.patient
    )


def anchor_day(folder: Path) -> date:
    """The day that the patients of ``folder`` are written for."""
    return _read_expected(folder).anchor


def load_hook_requests(folder: Path, today: date) -> Mapping[str, Json]:
    """The whole patient-view calls of ``folder/hook_requests`` by file name without ``.json``, as of ``today``."""
    days = (today - _read_expected(folder).anchor).days
    return {path.stem: shift_dates(_read_json(path), days) for path in sorted(folder.glob("hook_requests/*.json"))}


def shift_dates(bundle: Mapping[str, Any], days: int) -> Json:
    """A copy of a Bundle (or of any JSON that holds resources) with every date, dateTime and instant ``days`` later.

    The time of day and the offset stay as written. A partial date keeps its precision and moves with the middle of its
    month or year. Raises ValueError for a date that FHIR does not know.
    """
    by = timedelta(days=days)
    return {name: _shifted(name, value, by) for name, value in bundle.items()}


def hook_request_for(patient: FixturePatient, *, with_prefetch: bool = True, fhir_server: str | None = None) -> Json:
    """A CDS Hooks patient-view request for this patient, with a new hookInstance.

    With prefetch it has every key: the Patient itself, a searchset Bundle, or null where the chart has nothing (C34).
    """
    request: Json = {
        "hook": "patient-view",
        "hookInstance": str(uuid.uuid4()),
        "context": {"userId": USER_ID, "patientId": patient.id},
    }
    if fhir_server is not None:
        request["fhirServer"] = fhir_server
    if with_prefetch:
        entries: list[Json] = patient.bundle["entry"]
        request["prefetch"] = {key: _prefetched(entries, resource.__name__) for key, resource in RESOURCES.items()}
    return request


def _read_expected(folder: Path) -> _ExpectedFile:
    return msgspec.toml.decode((folder / "expected.toml").read_bytes(), type=_ExpectedFile)


def _read_json(path: Path) -> Json:
    return msgspec.json.decode(path.read_bytes(), type=Json)


def _shifted(name: str, value: Any, by: timedelta) -> Any:
    if isinstance(value, dict):
        return {inner: _shifted(inner, one, by) for inner, one in value.items()}
    if isinstance(value, list):
        return [_shifted(name, one, by) for one in value]
    if isinstance(value, str) and (name in _DATE_ELEMENTS or name.endswith("DateTime")):
        return _shifted_date(value, by)
    return value


def _shifted_date(text: str, by: timedelta) -> str:
    if full := _FULL_DATE.fullmatch(text):
        return (date.fromisoformat(full[1]) + by).isoformat() + (full[2] or "")
    if _MONTH.fullmatch(text):
        return (date.fromisoformat(f"{text}-15") + by).isoformat()[: len(text)]
    if _YEAR.fullmatch(text):
        return (date.fromisoformat(f"{text}-07-01") + by).isoformat()[: len(text)]
    raise ValueError("not a FHIR date")


def _prefetched(entries: list[Json], resource_type: str) -> Json | None:
    """What a CDS Client would send for one key: the Patient, or a searchset with the Medications it refers to."""
    found = [entry for entry in entries if entry["resource"]["resourceType"] == resource_type]
    if not found:
        return None
    if resource_type == "Patient":
        patient: Json = found[0]["resource"]
        return patient
    wanted = set(_medications_named(found))
    included = [entry for entry in entries if _relative(entry["resource"]) in wanted]
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(found),
        "entry": [
            *({**_seen(entry), "search": {"mode": "match"}} for entry in found),
            *({**_seen(entry), "search": {"mode": "include"}} for entry in included),
        ],
    }


def _seen(entry: Json) -> Json:
    return {"fullUrl": entry["fullUrl"], "resource": entry["resource"]}


def _relative(resource: Json) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _medications_named(entries: list[Json]) -> Iterator[str]:
    for entry in entries:
        reference = entry["resource"].get("medicationReference", {}).get("reference")
        if reference is not None:
            yield reference
