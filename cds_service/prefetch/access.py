"""Whether one call may read its CDS Client's FHIR server, and with what (C39, P-24, P-25)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Literal

import msgspec

from cds_service.cds_hooks.request import HookRequest
from cds_service.fhir.capability import Capabilities
from cds_service.fhir.client import FhirClient
from cds_service.fhir.connections import NOT_ALLOWED
from cds_service.prefetch.fetching import FhirAccess
from cds_service.prefetch.scopes import Grant, grant
from cds_service.record import SourceName

NO_SERVER = "no-fhir-server"
NO_TOKEN = "no-token"  # noqa: S105 - a word, no secret


class FetchTerms(msgspec.Struct, frozen=True):
    """What is agreed with a CDS Client about its FHIR server.

    ``anonymous``: read without a token (P-25). ``aliases``: other spellings of its base (P-08). ``accepted_gaps``:
    sources it is known not to offer (P-03). ``retry_failed_prefetch``: fetch what came as an error (P-07).
    ``post_search``: search by POST (P-09).
    """

    anonymous: bool = False
    aliases: tuple[str, ...] = ()
    accepted_gaps: frozenset[SourceName] = frozenset()
    retry_failed_prefetch: bool = False
    post_search: bool = False


OPEN_MODE = FetchTerms(anonymous=True)  # P-24


class Call:
    """The FHIR server of one call, if it may be read."""

    def __init__(  # noqa: PLR0913 - one call: what came, from where and until when
        self,
        request: HookRequest,
        client: FhirClient,
        deadline: float,
        *,
        allowed: Callable[[str], bool],
        terms: FetchTerms,
        capabilities: Capabilities | None = None,
    ) -> None:
        self.patient_id = request.patient_id
        self.terms = terms
        self._base = request.fhir_server
        self._authorization = request.authorization
        self._client = client
        self._deadline = deadline
        self._allowed = allowed
        self._capabilities = capabilities

    @functools.cached_property
    def access(self) -> FhirAccess | str:
        """The way to the server, or the cause why nothing can be read from one."""
        if self._base is None:
            return NO_SERVER
        if not self._allowed(self._base):
            return NOT_ALLOWED
        if self._authorization is None and not self.terms.anonymous:
            return NO_TOKEN
        token = self._authorization.access_token if self._authorization else None
        return FhirAccess(
            self._client,
            self._base,
            token,
            self._deadline,
            aliases=self.terms.aliases,
            post_search=self.terms.post_search,
            capabilities=self._capabilities,
        )

    def grant(self, resource: str, access: Literal["r", "s"]) -> Grant:
        """Whether the token is known to let this type be read."""
        return grant(self._authorization.scope, resource, access) if self._authorization else Grant.UNKNOWN
