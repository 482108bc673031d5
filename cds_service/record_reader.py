"""From a hook request to one record: what it brings, and what it leaves to be fetched within the deadline."""

from __future__ import annotations

from datetime import datetime

import msgspec

from cds_service.cds_hooks.request import HookRequest
from cds_service.coding import Vocabulary
from cds_service.fhir.capability import Capabilities
from cds_service.fhir.client import FhirClient
from cds_service.fhir.reader import read_record
from cds_service.prefetch import PrefetchPlan, complete
from cds_service.record import PatientRecord
from cds_service.stopwatch import Stopwatch
from cds_service.trust import CdsClient, Outbound


class RecordReader:
    """Reads records for all calls by one ``plan``; what FHIR servers say that they can is learned once."""

    def __init__(self, vocabulary: Vocabulary, plan: PrefetchPlan, fhir: FhirClient, outbound: Outbound) -> None:
        self._vocabulary = vocabulary
        self.plan = plan
        self._fhir = fhir
        self._outbound = outbound
        self._capabilities = Capabilities(fhir)

    def read(self, client: CdsClient, request: HookRequest, as_of: datetime, watch: Stopwatch) -> PatientRecord:
        """The record of the request's patient; what could not be had is named in its sources."""
        server = self._outbound.reach(client, request.fhir_server or "")
        if request.fhir_server is not None:  # whatever is agreed for a base holds for every spelling of it (P-08)
            request = msgspec.structs.replace(request, fhir_server=server.base)
        payloads = complete(
            request,
            plan=self.plan,
            client=self._fhir,
            as_of=as_of,
            deadline=watch.started + client.deadline_seconds,
            allowed=lambda _: server.allowed,
            terms=server.terms,
            capabilities=self._capabilities,
        )
        watch.lap("data")
        record = read_record(payloads, request.patient_id, vocabulary=self._vocabulary, as_of=as_of)
        watch.lap("record")
        return record
