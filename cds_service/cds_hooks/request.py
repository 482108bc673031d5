"""Reads the body of a hook call into a frozen request; whatever breaks CDS Hooks is refused by name (C22-C27, P-13)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec

from cds_service.cds_hooks import strict_json
from cds_service.errors import BadRequest

PATIENT_VIEW = "patient-view"
UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")  # any version: Epic sends version 1

# P-12: longer than FHIR's 64, because Epic's ids are. "." and ".." would leave the path they are put into (T8).
_ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9.-]{1,255}")
_USER = re.compile(r"(Practitioner|PractitionerRole|Patient|RelatedPerson)/(?P<id>.*)")  # C27
_URL_CHARACTERS = re.compile(r"[!-\[\]-~]+")  # visible ASCII without the backslash
_TOKEN = re.compile(r"[!-~]+")  # what an Authorization header can carry
_MAX_URL = 2048


class Prefetch(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What came for each of our prefetch keys (``record.SourceName``), undecoded; other keys are skipped (P-13).

    ``UNSET`` is a key that did not come (C31); a ``Raw`` of ``null`` is a search that found nothing (C34).
    """

    patient: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    conditions: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    family_history: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    medication_statements: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    medication_requests: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    medication_dispenses: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    medication_administrations: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    observations: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    procedures: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    reports: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    orders: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    encounters: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    appointments: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    care_plans: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    def present(self) -> Iterator[tuple[str, msgspec.Raw]]:
        """Key and value of everything that came, ``null`` included."""
        for attribute, key in zip(self.__struct_fields__, self.__struct_encode_fields__, strict=True):
            value = getattr(self, attribute)
            if value is not msgspec.UNSET:
                yield key, value

    def __repr__(self) -> str:
        return f"Prefetch({', '.join(key for key, _value in self.present())})"


class FhirAuthorization(msgspec.Struct, frozen=True):
    """An OAuth 2.0 bearer token for the client's FHIR server (C25). It lives as long as the call (C38)."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str
    subject: str
    patient: str | None = None

    def __repr__(self) -> str:
        return "FhirAuthorization(access_token=<hidden>)"


class HookRequest(msgspec.Struct, frozen=True):
    """One patient-view call, checked. ``extension`` is the request's own, undecoded, None unless an object (C61).

    ``fhir_version`` is what Epic says there of the resources it sends, as written: that of the app's registration.
    """

    hook_instance: str
    user_id: str
    patient_id: str
    encounter_id: str | None = None
    fhir_server: str | None = None
    authorization: FhirAuthorization | None = None
    prefetch: Prefetch | None = None
    extension: msgspec.Raw | None = None
    fhir_version: str | None = None

    @property
    def brings_nothing(self) -> bool:
        """Neither data nor a place to read them: Epic strips both where the service's address is not registered."""
        return self.fhir_server is None and (self.prefetch is None or not any(self.prefetch.present()))

    def __repr__(self) -> str:
        return f"HookRequest(hook_instance={self.hook_instance!r})"


class _Context(msgspec.Struct, rename="camel"):
    user_id: str
    patient_id: str
    encounter_id: str | None = None


class _Envelope(msgspec.Struct, rename="camel"):
    hook: str
    hook_instance: str
    context: _Context
    fhir_server: str | None = None
    fhir_authorization: FhirAuthorization | None = None
    prefetch: Prefetch | None = None
    extension: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _EpicExtension(msgspec.Struct, rename={"fhir_version": "com.epic.cdshooks.request.fhir-version"}):
    fhir_version: str | None = None


_DECODER = msgspec.json.Decoder(_Envelope)
_EPIC_EXTENSION = msgspec.json.Decoder(_EpicExtension)


def parse_hook_request(body: bytes, hook: str = PATIENT_VIEW) -> HookRequest:
    """Read the body of a call to a service of ``hook``.

    Raises :class:`BadRequest` naming the field that is missing, mistyped or unusable. Members that CDS Hooks does
    not know are ignored; of a key that comes twice the last counts (P-13).
    """
    envelope = strict_json.decode(body, _DECODER)
    context = envelope.context
    _require(envelope.hook == hook, f"`hook` must be {hook} for this service.")
    _require(UUID.fullmatch(envelope.hook_instance), "`hookInstance` must be a UUID.")
    _require(
        _is_user(context.user_id),
        "`context.userId` must be Practitioner, PractitionerRole, Patient or RelatedPerson, a slash and an id.",
    )
    _require(is_fhir_id(context.patient_id), "`context.patientId` must be a FHIR id.")
    _require(
        context.encounter_id is None or is_fhir_id(context.encounter_id), "`context.encounterId` must be a FHIR id."
    )
    extension = _extension(envelope.extension)
    return HookRequest(
        hook_instance=envelope.hook_instance.lower(),
        user_id=context.user_id,
        patient_id=context.patient_id,
        encounter_id=context.encounter_id,
        fhir_server=_fhir_server(envelope.fhir_server),
        authorization=_authorization(envelope),
        prefetch=envelope.prefetch,
        extension=extension,
        fhir_version=_fhir_version(extension),
    )


def is_fhir_id(text: str) -> bool:
    """Whether a text can stand as an id in a FHIR path or query (P-12, T8)."""
    return _ID.fullmatch(text) is not None


def _require(holds: object, demand: str) -> None:
    if not holds:
        raise BadRequest(demand)


def _is_user(reference: str) -> bool:
    match = _USER.fullmatch(reference)
    return match is not None and is_fhir_id(match["id"])


def _fhir_server(url: str | None) -> str | None:
    """The FHIR base without a trailing slash. Whether it may be contacted is decided where it is read (P-24, P-25)."""
    if url is None:
        return None
    demand = "`fhirServer` must be an absolute http or https URL without user, query or fragment."
    _require(len(url) <= _MAX_URL and _URL_CHARACTERS.fullmatch(url), demand)
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:  # a port that is no number, brackets that hold no address
        raise BadRequest(demand) from None
    plain = parts.scheme in ("http", "https") and host and "@" not in parts.netloc and not set("?#") & set(url)
    _require(plain, demand)
    return url.rstrip("/")


def _authorization(envelope: _Envelope) -> FhirAuthorization | None:
    authorization = envelope.fhir_authorization
    if authorization is None:
        return None
    _require(envelope.fhir_server is not None, "`fhirAuthorization` needs `fhirServer` (C23).")
    # RFC 6749 section 5.1: the token type is compared without regard to case.
    _require(authorization.token_type.lower() == "bearer", "`fhirAuthorization.token_type` must be Bearer.")
    _require(_TOKEN.fullmatch(authorization.access_token), "`fhirAuthorization.access_token` must be a bearer token.")
    patient = authorization.patient
    _require(patient is None or is_fhir_id(patient), "`fhirAuthorization.patient` must be a FHIR id.")
    return authorization


def _extension(raw: msgspec.Raw | msgspec.UnsetType) -> msgspec.Raw | None:
    """An object is kept; a list or anything else is ignored (C61)."""
    if isinstance(raw, msgspec.UnsetType):
        return None
    text = bytes(raw)
    try:
        text.decode()
    except UnicodeDecodeError:
        raise BadRequest(strict_json.NOT_JSON) from None
    return raw if text.startswith(b"{") else None


def _fhir_version(extension: msgspec.Raw | None) -> str | None:
    if extension is None:
        return None
    try:
        return _EPIC_EXTENSION.decode(extension).fhir_version
    except strict_json.UNREADABLE:
        return None  # an extension that we do not understand is ignored (C61)
