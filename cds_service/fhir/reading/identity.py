"""Which resource is which, and whose it is: ids, fullUrls, and the four kinds of references (P-06, P-12, T9)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cds_service.fhir.datatypes import Reference
from cds_service.fhir.resources import Resource

_ID = re.compile(r"[A-Za-z0-9.\-]{1,255}")
_URN = re.compile(r"urn:(?:uuid|oid):[A-Za-z0-9.\-]{1,255}")
_URN_UUID = "urn:uuid:"


def reference_of(resource: Resource, full_url: str | None) -> str:
    """``Type/id``; without a usable id the urn of its fullUrl; else the type alone. Never a whole URL (P-20)."""
    own_id, resource_type = resource.id, type(resource).__name__
    if own_id and _ID.fullmatch(own_id):  # as nearly always
        return f"{resource_type}/{own_id}"
    return reference_to(resource_type, own_id, full_url)


def reference_to(resource_type: str, resource_id: str | None, full_url: str | None) -> str:
    """As ``reference_of``, for a resource of which only type, id and fullUrl are known."""
    own_id = resource_id or id_in_url(full_url, resource_type)
    if own_id and _ID.fullmatch(own_id):
        return f"{resource_type}/{own_id}"
    if full_url and _URN.fullmatch(full_url):
        return full_url
    return resource_type


def id_in_url(url: str | None, resource_type: str) -> str | None:
    """The id in ``.../Type/id`` or ``.../Type/id/_history/version``; None when the URL names another type."""
    parts = without_version(url).rsplit("/", 2) if url else []
    return parts[-1] if len(parts) > 1 and parts[-2] == resource_type else None


def without_version(reference: str) -> str:
    """A reference without ``/_history/...``."""
    return reference.partition("/_history/")[0]


def uuid_in(url: str | None) -> str | None:
    """The uuid of ``urn:uuid:...``: what stands for the id in a transaction."""
    return url.removeprefix(_URN_UUID) if url and url.startswith(_URN_UUID) else None


class Subjects:
    """Which references mean the patient of this call: by id, alias, urn:uuid, on any server."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids: set[str] = set()
        self.known: set[str] = set()
        self.add(*ids)

    def add(self, *ids: str) -> None:
        """These ids are the same patient's (aliases, merged records)."""
        self.ids.update(ids)
        self.known.update(form for own in ids for form in (f"Patient/{own}", _URN_UUID + own))

    def add_full_url(self, full_url: str | None) -> None:
        """The patient's own entry in a Bundle: other entries refer to it by its fullUrl."""
        if full_url:
            self.known.add(full_url)

    def is_patient(self, subject: Reference | None) -> bool:
        """True for this patient. A resource without a subject was found by a search for this patient: true as well."""
        reference = subject.reference if subject is not None else None
        if reference is None or reference in self.known:
            return True
        if id_in_url(reference, "Patient") not in self.ids:
            return False
        self.known.add(reference)
        return True

    def is_among(self, actors: Iterable[Reference | None]) -> bool:
        """For appointments: true when this patient takes part, or no patient at all is named."""
        patients = [actor for actor in actors if actor and _names_a_patient(actor.reference)]
        return not patients or any(self.is_patient(actor) for actor in patients)


def _names_a_patient(reference: str | None) -> bool:
    return reference is not None and ("Patient/" in reference or reference.startswith("urn:"))
