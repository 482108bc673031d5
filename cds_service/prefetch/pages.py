"""The little that fetching needs to know of a page: its type, its next page, the Medications it refers to.

Everything here is cheap when there is nothing to find, which is the normal case of a page that came as prefetch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from cds_service.cds_hooks.request import is_fhir_id
from cds_service.fhir.datatypes import Element
from cds_service.fhir.reading.identity import id_in_url, without_version
from cds_service.fhir.reading.pages import UNREADABLE

Page = bytes | msgspec.Raw
MEDICATION = "Medication"

_TYPE_FIRST = re.compile(rb'\s*\{\s*"resourceType"\s*:\s*"([A-Za-z]+)"')
_NEXT = b'"next"'
_MEDICATION_REFERENCE = b'"medicationReference"'
_QUERY = frozenset("?#")


class _Typed(Element):
    resource_type: Any = None


class _Link(Element):
    relation: Any = None
    url: Any = None


class _Linked(Element):
    link: list[_Link] | None = None
    entry: list[msgspec.Raw] | None = None


class _Reference(Element):
    reference: Any = None


class _Resource(_Typed):
    id: Any = None
    medication_reference: _Reference | None = None


class _Entry(Element):
    full_url: Any = None
    resource: _Resource | None = None


class _Referring(_Resource):
    entry: list[_Entry | None] | None = None


_TYPED = msgspec.json.Decoder(_Typed)
_BUNDLE = "Bundle"
_LINKED = msgspec.json.Decoder(_Linked)
_REFERRING = msgspec.json.Decoder(_Referring)


class NextPage(NamedTuple):
    """The URL of the next page, and how many entries this one has."""

    url: str
    entries: int


class Medications(NamedTuple):
    """References (``Medication/id`` or a URL, without version) and ids."""

    wanted: frozenset[str]
    carried: frozenset[str]


def is_null(page: Page) -> bool:
    """Whether a value is JSON null: searched, nothing found (C34)."""
    return bytes(memoryview(page)[:5]).strip() == b"null"


def resource_type(page: Page) -> str | None:
    """The resourceType of a value. None for JSON that has none; "" for what is not JSON (P-13)."""
    if match := _TYPE_FIRST.match(page):
        return match[1].decode()
    try:
        found = _TYPED.decode(page).resource_type
    except msgspec.ValidationError:  # a list, a number
        return None
    except UNREADABLE:
        return ""
    return found if isinstance(found, str) else None


def next_page(page: Page) -> NextPage | None:
    """What a Bundle's ``next`` link says (C36); None for the last page and for one that cannot be read."""
    if not _holds(page, _NEXT) or resource_type(page) != _BUNDLE:  # a Patient has links too, to other Patients
        return None
    try:
        linked = _LINKED.decode(page)
    except UNREADABLE:
        return None
    for link in linked.link or ():
        if link.relation == "next" and isinstance(link.url, str) and link.url:
            return NextPage(link.url, len(linked.entry or ()))
    return None


def medications_in(pages: Iterable[Page]) -> Medications:
    """The Medications that pages refer to, and those that they carry. Contained ones have no URL and are no concern."""
    wanted: set[str] = set()
    carried: set[str] = set()
    for page in pages:
        if not _holds(page, _MEDICATION_REFERENCE):
            continue
        try:
            top = _REFERRING.decode(page)
        except UNREADABLE:
            continue  # the reader names what cannot be read
        for entry in (_Entry(resource=top), *(top.entry or ())):
            if entry is not None and entry.resource is not None:
                _sort(entry.resource, entry.full_url, wanted, carried)
    return Medications(frozenset(wanted), frozenset(carried))


def _holds(page: Page, word: bytes) -> bool:
    """``rfind``: searching JSON from its end is thrice as fast as ``in`` or a regular expression."""
    return bytes(page).rfind(word) >= 0


def _sort(resource: _Resource, full_url: Any, wanted: set[str], carried: set[str]) -> None:
    if resource.resource_type == MEDICATION:
        url = full_url if isinstance(full_url, str) else None
        carried.update(str(known) for known in (resource.id, id_in_url(url, MEDICATION)) if known)
    reference = resource.medication_reference.reference if resource.medication_reference else None
    if isinstance(reference, str):
        reference = without_version(reference)
        # The text stands in a chart: it must not become a query of its own (T8).
        if is_fhir_id(id_in_url(reference, MEDICATION) or "") and _QUERY.isdisjoint(reference):
            wanted.add(reference)
