"""From a record to everything the rules are asked about: exposure, findings, tempo, risk domains."""

from __future__ import annotations

from datetime import datetime

import msgspec

from cds_service.derive.findings import find_findings, finding_level, tempo
from cds_service.derive.index import RecordIndex
from cds_service.derive.risk_domains import find_risk_domains
from cds_service.derive.steroid_exposure import steroid_exposure
from cds_service.derive.weight import weight_trend
from cds_service.record import PatientRecord
from cds_service.rule_engine.loader import Knowledge
from cds_service.rule_engine.model import Facts


def gather_facts(record: PatientRecord, knowledge: Knowledge, as_of: datetime) -> Facts:
    """Derive once; every rule asks the same facts."""
    exposure = steroid_exposure(record, knowledge.steroids, as_of)
    index = RecordIndex(record, as_of)
    findings, by_sex = find_findings(index, knowledge.findings, knowledge.units)
    facts = Facts(
        record=record,
        as_of=as_of,
        exposure=exposure,
        findings=findings,
        findings_by_sex=by_sex,
        finding_level=finding_level(findings),
        tempo=tempo(findings, as_of),
        risk_domains=(),
        knowledge=knowledge.findings,
        units=knowledge.units,
        weight=weight_trend(index, knowledge.weight, knowledge.units),
        weight_knowledge=knowledge.weight,
        habits=knowledge.habits,
        index=index,
    )
    return with_risk_domains(facts, knowledge)


def with_risk_domains(facts: Facts, knowledge: Knowledge) -> Facts:
    """The same facts with the risk domains that ``knowledge`` finds in them."""
    shown = knowledge.rules.domains_shown(facts)
    domains = find_risk_domains(facts.index, facts.exposure, knowledge.domains, shown)
    return msgspec.structs.replace(facts, risk_domains=domains.present, unjudged_domains=domains.unjudged)
