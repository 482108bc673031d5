"""Patients out of files: Bundles, NDJSON of resources or Bundles, whole hook requests, each plain or gzipped."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, date
from pathlib import Path
from typing import BinaryIO

import msgspec

from cds_service.fhir.datatypes import Element, Period
from cds_service.fhir.reading.charts import NOT_READABLE, Chart, PatientFile
from cds_service.fhir.reading.pages import RESOURCE_TYPES, UNREADABLE
from cds_service.partial_date import parse_partial_date

_LINES = frozenset({".ndjson", ".jsonl"})
_JSON = frozenset({".json"})
_GZIP_MAGIC = b"\x1f\x8b"


def read_patient_files(paths: Iterable[Path]) -> Iterator[PatientFile]:
    """Every patient of every file, folders included; loose resources of all files are grouped by patient at the end.

    What cannot be read is named in ``unassigned``; raises OSError only for a path that cannot be opened.
    """
    loose = Chart("")
    for path in _files(paths):
        for number, value in enumerate(_values(path), start=1):
            yield from _patients_in(value, f"{path.name}:{number}", loose)
    yield from loose.patients()


def newest_date(resources: Iterable[bytes | msgspec.Raw]) -> date | None:
    """The newest day on which something was recorded or happened: what ``--as-of newest`` means for a chart.

    Bundles are looked into. Ends of periods and appointments are left out, because they may be plans.
    """
    days = [day for resource in resources for day in _days(resource)]
    return max(days, default=None)


class _EntryParts(Element):
    full_url: str | None = None
    resource: msgspec.Raw = msgspec.Raw(b"null")


class _Context(Element):
    patient_id: str | None = None


class _Value(Element):
    """A file or a line: a resource, a Bundle or a hook request."""

    resource_type: str | None = None
    entry: list[msgspec.Raw] | None = None
    hook: str | None = None
    context: _Context | None = None


class _Dates(Element):
    resource_type: str | None = None
    entry: list[msgspec.Raw] | None = None
    onset_date_time: str | None = None
    recorded_date: str | None = None
    effective_date_time: str | None = None
    effective_instant: str | None = None
    effective_period: Period | None = None
    performed_date_time: str | None = None
    performed_period: Period | None = None
    authored_on: str | None = None
    issued: str | None = None
    when_handed_over: str | None = None
    date_asserted: str | None = None
    created: str | None = None
    period: Period | None = None


_VALUE = msgspec.json.Decoder(_Value)
_ENTRY = msgspec.json.Decoder(_EntryParts)
_DATES = msgspec.json.Decoder(_Dates)


def _patients_in(value: bytes, label: str, loose: Chart) -> Iterator[PatientFile]:
    """What one file or line holds: a hook request or a chart is yielded, loose resources wait for the others."""
    try:
        parts = _VALUE.decode(value)
    except UNREADABLE:
        loose.set_aside(label, NOT_READABLE)
        return
    if parts.hook is not None and parts.resource_type is None:
        patient_id = parts.context.patient_id if parts.context else None
        yield PatientFile(label, patient_id, hook_request=msgspec.Raw(value))
    elif parts.resource_type == "Bundle":
        chart = Chart(label)
        for raw in parts.entry or ():
            _add_entry(raw, chart)
        if chart.has_patient():
            yield from chart.patients()
        else:
            loose.join(chart)
    elif parts.resource_type is None:
        loose.set_aside(label, NOT_READABLE)
    else:
        loose.add(msgspec.Raw(value), label)


def _add_entry(raw: msgspec.Raw, chart: Chart) -> None:
    if bytes(raw) == b"null":
        return
    try:
        entry = _ENTRY.decode(raw)
    except UNREADABLE:
        chart.set_aside(chart.label, NOT_READABLE)
        return
    chart.add(raw if entry.full_url else entry.resource, chart.label, entry.full_url, entry.resource)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(found for found in path.rglob("*") if _format(found) in _LINES | _JSON)
        else:
            yield path


def _format(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def _values(path: Path) -> Iterator[bytes]:
    """The JSON values of a file: its lines, or the whole of it."""
    with path.open("rb") as file:
        is_gzip = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if is_gzip else file
        try:
            yield from _lines(stream) if _format(path) in _LINES else [_without_mark(stream.read())]
        except (gzip.BadGzipFile, EOFError, zlib.error):
            yield b""  # not readable: named as such


def _lines(stream: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    for line in stream:
        if text := _without_mark(line).strip():
            yield text


def _without_mark(text: bytes) -> bytes:
    """Without the byte order mark that some tools put before UTF-8."""
    return text.removeprefix(b"\xef\xbb\xbf")


def _days(item: bytes | msgspec.Raw) -> Iterator[date]:
    try:
        entry = _ENTRY.decode(item)
        written = _DATES.decode(item if bytes(entry.resource) == b"null" else entry.resource)
    except UNREADABLE:
        return
    if written.resource_type == "Bundle":
        for held in written.entry or ():
            yield from _days(held)
        return
    if written.resource_type not in RESOURCE_TYPES or written.resource_type == "Appointment":
        return
    starts = (written.effective_period, written.performed_period, written.period)
    texts = [
        written.onset_date_time,
        written.recorded_date,
        written.effective_date_time,
        written.effective_instant,
        written.performed_date_time,
        written.authored_on,
        written.issued,
        written.when_handed_over,
        written.date_asserted,
        written.created,
        *(period.start for period in starts if period),
    ]
    for text in filter(None, texts):
        try:
            yield parse_partial_date(text, UTC).first_day
        except (ValueError, OverflowError):
            continue
