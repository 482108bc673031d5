"""From the bytes of a page to entries: all at once when the page is good, entry by entry when something in it is not.

A page is a Bundle, a single resource or JSON null (C34). Odd JSON (P-13) costs at most its own source.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from cds_service.fhir.datatypes import Element
from cds_service.fhir.outcomes import FAILED, INCOMPLETE, Verdict
from cds_service.fhir.reading.identity import reference_to
from cds_service.fhir.reading.notes import SourceNotes
from cds_service.fhir.resources import AnyResource, Resource

RESOURCE_TYPES = frozenset(kind.__name__ for kind in AnyResource.__args__)

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
NOT_READABLE = "not-readable"
NOTHING_READABLE = Verdict(FAILED, NOT_READABLE)
PART_NOT_READABLE = Verdict(INCOMPLETE, NOT_READABLE)
WRONG_RESOURCE_TYPE = "wrong-resource-type"
WRONG_TYPE = Verdict(FAILED, WRONG_RESOURCE_TYPE)
PART_WRONG_TYPE = Verdict(INCOMPLETE, WRONG_RESOURCE_TYPE)


class Search(Element):
    """Why an entry is in a searchset: match, include or outcome."""

    mode: str | None = None


class Entry(Element):
    """One entry of a Bundle; without an id in its resource the fullUrl is what identifies it."""

    full_url: str | None = None
    resource: AnyResource | None = None
    search: Search | None = None


class Bundle(Resource):
    """A page of resources. ``total`` is never trusted; following ``link`` is the business of whoever fetches."""

    entry: list[Entry | None] | None = None


class _Header(Element):
    resource_type: str | None = None
    id: object = None


class _LooseEntry(Element):
    full_url: object = None
    resource: _Header | None = None
    search: object = None


class _LoosePage(Element):
    resource_type: str | None = None
    entry: list[msgspec.Raw] | None = None


_PAGE = msgspec.json.Decoder(Bundle | AnyResource | None)
_ENTRY = msgspec.json.Decoder(Entry | None)
_LOOSE_ENTRY = msgspec.json.Decoder(_LooseEntry)
_LOOSE_PAGE = msgspec.json.Decoder(_LoosePage)


class Page(NamedTuple):
    """What a page held. ``value`` is the resource that stands in place of a Bundle, if one does."""

    entries: list[Entry | None]
    value: AnyResource | None = None


EMPTY_PAGE = Page([])


def read_page(page: bytes | msgspec.Raw, notes: SourceNotes) -> Page:
    """Decode one page. What does not decode is noted and left out; never raises for any bytes."""
    try:
        decoded = _PAGE.decode(page)
    except UNREADABLE:
        return _read_entry_by_entry(page, notes)
    if decoded is None:
        return EMPTY_PAGE
    if isinstance(decoded, Bundle):
        return Page(decoded.entry or [])
    return Page([Entry(resource=decoded)], value=decoded)


def _read_entry_by_entry(page: bytes | msgspec.Raw, notes: SourceNotes) -> Page:
    try:
        loose = _LOOSE_PAGE.decode(page)
    except UNREADABLE:
        notes.worsen(NOTHING_READABLE)
        return EMPTY_PAGE
    if loose.resource_type == "Bundle":
        entries = [_read_entry(raw, notes) for raw in loose.entry or ()]
        return Page([entry for entry in entries if entry is not None])
    if loose.resource_type is not None and loose.resource_type in RESOURCE_TYPES:
        notes.set_aside_unread(loose.resource_type, NOT_READABLE)
        notes.worsen(NOTHING_READABLE)
    else:
        notes.worsen(WRONG_TYPE)
    return EMPTY_PAGE


def _read_entry(raw: msgspec.Raw, notes: SourceNotes) -> Entry | None:
    try:
        entry: Entry | None = _ENTRY.decode(raw)
    except UNREADABLE:
        reference = _reference_if_ours(raw)
        if reference is not None:
            notes.set_aside_unread(reference, NOT_READABLE)
            notes.worsen(PART_NOT_READABLE)
        return None
    return entry


def _reference_if_ours(raw: msgspec.Raw) -> str | None:
    """What to call an entry that did not decode; None for a type that we do not read (Practitioner, Provenance)."""
    try:
        entry = _LOOSE_ENTRY.decode(raw)
    except UNREADABLE:
        return "Bundle.entry"
    header = entry.resource or _Header()
    if header.resource_type is None:
        return "Bundle.entry"
    if header.resource_type not in RESOURCE_TYPES:
        return None
    own_id = header.id if isinstance(header.id, str) else None
    full_url = entry.full_url if isinstance(entry.full_url, str) else None
    return reference_to(header.resource_type, own_id, full_url)
