"""In which version the resources of a record were read, and the record without some of them (B-51)."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from cds_service.fhir.datatypes import ABSENT, Element
from cds_service.fhir.reading.kinds import KINDS
from cds_service.fhir.reading.pages import UNREADABLE
from cds_service.record import PatientRecord, SetAside, Source, SourceName

_FIELDS = tuple(dict.fromkeys(kind.field for kind in KINDS.values()))
_SOURCES: Mapping[str, Mapping[str, SourceName]] = {
    field: {kind.resource.__name__: name for name, kind in KINDS.items() if kind.field == field} for field in _FIELDS
}


class ResourceVersion(NamedTuple):
    """One resource as it was at one call. ``version`` is chart content: it is kept only as a keyed fingerprint."""

    reference: str
    version: str


class _Meta(Element):
    version_id: object = None
    last_updated: object = None


_META = msgspec.json.Decoder(_Meta | None)


class Versions:
    """The versions of one record's resources.

    A version is what its server calls it (``versionId``, else ``lastUpdated``) together with what we read of it: on a
    server that numbers badly or not at all, a change that means something is a new version all the same.
    """

    def __init__(self, record: PatientRecord) -> None:
        self._record = record

    def of(self, reference: str) -> ResourceVersion | None:
        """The version of a resource; None for what no reference names alone: nothing to recognise it by."""
        entries = self._entries.get(reference)
        if entries is None or not _names_one(reference):
            return None
        meta = _read_meta(self._record.metas.get(reference, ABSENT))
        content = msgspec.json.encode(entries, order="deterministic").decode()
        return ResourceVersion(reference, f"{meta.version_id or meta.last_updated or ''}\n{content}")

    def all(self) -> Iterator[ResourceVersion]:
        """The version of every resource that can be recognised."""
        return (version for version in map(self.of, self._entries) if version is not None)

    @cached_property
    def _entries(self) -> Mapping[str, list[Any]]:
        found: dict[str, list[Any]] = defaultdict(list)
        for entry in itertools.chain.from_iterable(getattr(self._record, field) for field in _FIELDS):
            found[entry.reference].append(entry)
        return dict(found)


def without(record: PatientRecord, references: frozenset[str], reason: str) -> PatientRecord:
    """The record as if these resources were not there; each is named as set aside for ``reason``, a constant word."""
    kept: dict[str, tuple[Any, ...]] = {}
    left_out: dict[SourceName, dict[str, None]] = defaultdict(dict)
    for field in _FIELDS:
        entries = getattr(record, field)
        kept[field] = tuple(entry for entry in entries if entry.reference not in references)
        for entry in entries:
            if entry.reference in references:
                left_out[_source_of(field, entry)][entry.reference] = None
    sources = {name: _noting(source, left_out[name], reason) for name, source in record.sources.items()}
    return msgspec.structs.replace(record, sources=sources, **kept)


def _noting(source: Source, references: Iterable[str], reason: str) -> Source:
    noted = tuple(SetAside(reference, reason) for reference in references)
    return msgspec.structs.replace(source, set_aside=(*source.set_aside, *noted)) if noted else source


def _source_of(field: str, entry: Any) -> SourceName:
    """The source that an entry came from: the only one of its field, or the one with its type of resource."""
    of_field = _SOURCES[field]
    return of_field.get(getattr(entry, "resource_type", ""), next(iter(of_field.values())))


def _read_meta(written: msgspec.Raw) -> _Meta:
    try:
        return _META.decode(written) or _Meta()
    except UNREADABLE:  # it costs the number of the version, not the resource
        return _Meta()


def _names_one(reference: str) -> bool:
    """Whether a reference is more than the type of a resource that nothing identifies."""
    return "/" in reference or ":" in reference
