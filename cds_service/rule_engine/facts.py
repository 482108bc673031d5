"""From a record to everything the rules are asked about: exposure, findings, tempo, risk domains."""

from __future__ import annotations

from datetime import datetime

from cds_service.derive.findings import find_findings, finding_level, tempo
from cds_service.derive.risk_domains import find_risk_domains
from cds_service.derive.steroid_exposure import steroid_exposure
from cds_service.record import PatientRecord
from cds_service.rule_engine.loader import Knowledge
from cds_service.rule_engine.model import Facts


def gather_facts(record: PatientRecord, knowledge: Knowledge, as_of: datetime) -> Facts:
    """Derive once; every rule asks the same facts."""
    exposure = steroid_exposure(record, knowledge.steroids, as_of)
    findings = find_findings(record, knowledge.findings, as_of)
    return Facts(
        record=record,
        as_of=as_of,
        exposure=exposure,
        findings=findings,
        finding_level=finding_level(findings),
        tempo=tempo(findings, as_of),
        risk_domains=find_risk_domains(record, exposure, knowledge.domains, as_of),
        knowledge=knowledge.findings,
    )
