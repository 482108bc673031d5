"""From what came as prefetch to all that the reader needs, within one deadline (C30, C31, C36)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cds_service.cds_hooks.request import HookRequest
from cds_service.fhir.capability import Capabilities
from cds_service.fhir.client import FhirClient
from cds_service.fhir.reader import SourcePayload
from cds_service.prefetch.access import Call, FetchTerms
from cds_service.prefetch.gathering import Gathering
from cds_service.prefetch.medications import ReferencedMedications
from cds_service.prefetch.plan import PrefetchPlan

ONLY_WITH_TOKEN = FetchTerms()  # P-25


def complete(  # noqa: PLR0913 - one call: what came, what is wanted, from where, when and until when
    request: HookRequest,
    *,
    plan: PrefetchPlan,
    client: FhirClient,
    as_of: datetime,
    deadline: float,
    allowed: Callable[[str], bool],
    terms: FetchTerms = ONLY_WITH_TOKEN,
    capabilities: Capabilities | None = None,
) -> tuple[SourcePayload, ...]:
    """One payload for each source of the plan, at the latest at ``deadline`` (monotonic seconds).

    ``allowed`` says whether a FHIR base may be contacted at all (P-25); it is asked only when something is missing.
    ``capabilities``: what is known of FHIR servers; without it every search is tried.
    """
    call = Call(request, client, deadline, allowed=allowed, terms=terms, capabilities=capabilities)
    came = dict(request.prefetch.present()) if request.prefetch else {}
    gatherings = [Gathering(name, came.get(name), plan, call, as_of) for name in plan.reads.sources]
    in_flight = client.in_flight(deadline)
    medications = ReferencedMedications(call, in_flight)
    for gathering in gatherings:
        gathering.start(in_flight, medications.look_for)
    in_flight.wait()
    for gathering in gatherings:
        gathering.stop()
    medications.hand_out()
    return tuple(gathering.payload() for gathering in gatherings)
