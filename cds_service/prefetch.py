"""Prefetch templates and own fetching (to come)."""
from __future__ import annotations
from collections.abc import Mapping
import msgspec
from cds_service.fhir.reader import SourcePayload
from cds_service.record import SourceName, SourceState
from typing import get_args
class Reads(msgspec.Struct, frozen=True):
    look_back_days: Mapping[str, int] = {}
    observation_codes: tuple[str, ...] = ()
class PrefetchPlan(msgspec.Struct, frozen=True):
    templates: Mapping[str, str]
    def templates_for(self, profile: str) -> Mapping[str, str]:
        return self.templates
def prefetch_plan(reads: Reads) -> PrefetchPlan:
    return PrefetchPlan({"patient": "Patient/{{context.patientId}}"})
def complete(request, *, plan, client, as_of, deadline, allowed):
    have = dict(request.prefetch.present()) if request.prefetch else {}
    return tuple(
        SourcePayload(n, "prefetch", SourceState.COMPLETE, (have[n],)) if n in have
        else SourcePayload(n, "none", SourceState.FAILED, (), "no-fhir-server") for n in get_args(SourceName))
