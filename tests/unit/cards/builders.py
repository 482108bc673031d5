"""Small charts and hand-made answers of rules, for the tests of the cards. Days are counted back from AS_OF."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from cds_service.coding import Coding, Site
from cds_service.derive.findings import FindingKnowledge, find_findings, finding_level, tempo
from cds_service.derive.habits import HabitKnowledge
from cds_service.derive.index import RecordIndex
from cds_service.derive.steroid_exposure import SteroidExposure
from cds_service.derive.units import UnitKnowledge
from cds_service.derive.weight import WeightTrend
from cds_service.derive.weight_knowledge import WeightKnowledge
from cds_service.partial_date import PartialDate, parse_partial_date
from cds_service.record import (
    ActivityEntry,
    ConditionEntry,
    ObservationEntry,
    PatientRecord,
    VisitEntry,
)
from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.model import (
    Assessment,
    Change,
    Evaluation,
    Evidence,
    Fact,
    Facts,
    Fires,
    OfferedOrder,
    Rule,
    SourceAttributes,
    Status,
)
from cds_service.rule_engine.written import read_struct

RULES = Path(__file__).parents[3] / "rules"
AS_OF = datetime(2026, 11, 27, 12, tzinfo=UTC)
FINDINGS = read_struct(RULES / "findings.toml", FindingKnowledge)
UNITS = read_struct(RULES / "units.toml", UnitKnowledge)

GROUPS = {
    "R01": "emergency", "R02": "emergency", "R03": "emergency", "R04": "emergency", "R05": "emergency",
    "R06": "diagnostic", "R07": "diagnostic", "R08": "diagnostic", "R09": "diagnostic", "R10": "diagnostic",
    "R11": "diagnostic", "R13": "diagnostic", "R24": "diagnostic",
}  # fmt: skip


def day(days_ago: float) -> str:
    return (AS_OF - timedelta(days=days_ago)).date().isoformat()


def on(days_ago: float) -> PartialDate:
    return parse_partial_date(day(days_ago), UTC)


def condition(
    *sets: str,
    onset: float | None = None,
    recorded: float | None = None,
    code: str | None = None,
    status: str = "active",
    side: str | None = None,
) -> ConditionEntry:
    return ConditionEntry(
        reference=f"Condition/{sets[0]}-{onset}-{recorded}-{side}",
        sets=frozenset(sets),
        coding=Coding("http://snomed.info/sct", code or sets[0]),
        display=sets[0],
        clinical_status=status,
        onset=None if onset is None else on(onset),
        recorded=None if recorded is None else on(recorded),
        site=Site(side),
    )


def result(
    *sets: str,
    ago: float,
    value: float = 1,
    unit: str = "U/L",
    low: float | None = None,
    high: float | None = None,
) -> ObservationEntry:
    return ObservationEntry(
        reference=f"Observation/{sets[0]}-{ago}",
        sets=frozenset(sets),
        coding=Coding("http://loinc.org", sets[0]),
        display=sets[0],
        effective=on(ago),
        value=value,
        unit=unit,
        low=low,
        high=high,
    )


def activity(kind: str, *sets: str, ago: float | None, status: str) -> ActivityEntry:
    return ActivityEntry(
        reference=f"{kind}/{sets[0]}-{ago}",
        resource_type=kind,
        sets=frozenset(sets),
        coding=None,
        display=sets[0],
        status=status,
        date=None if ago is None else on(ago),
    )


def report(*sets: str, ago: float, status: str = "final") -> ActivityEntry:
    return activity("DiagnosticReport", *sets, ago=ago, status=status)


def ordered(*sets: str, ago: float | None, status: str = "active") -> ActivityEntry:
    return activity("ServiceRequest", *sets, ago=ago, status=status)


def visit(specialty: str, *, ago: float, kind: str = "Encounter", status: str = "finished") -> VisitEntry:
    reference = f"{kind}/{specialty}-{ago}"
    return VisitEntry(reference, kind, status, specialties=frozenset({specialty}), start=on(ago))


def record(*entries: object, **fields: object) -> PatientRecord:
    return PatientRecord(
        patient_id="p1",
        conditions=tuple(e for e in entries if isinstance(e, ConditionEntry)),
        observations=tuple(e for e in entries if isinstance(e, ObservationEntry)),
        activities=tuple(e for e in entries if isinstance(e, ActivityEntry)),
        visits=tuple(e for e in entries if isinstance(e, VisitEntry)),
        **fields,
    )


def facts_of(*entries: object, steroid_level: int = 0, **fields: object) -> Facts:
    patient = record(*entries, **fields)
    index = RecordIndex(patient, AS_OF)
    findings, by_sex = find_findings(index, FINDINGS, UNITS)
    return Facts(
        record=patient,
        as_of=AS_OF,
        exposure=SteroidExposure(level=steroid_level),
        findings=findings,
        findings_by_sex=by_sex,
        finding_level=finding_level(findings),
        tempo=tempo(findings, AS_OF),
        risk_domains=(),
        knowledge=FINDINGS,
        units=UNITS,
        weight=WeightTrend(),
        weight_knowledge=read_struct(RULES / "weight.toml", WeightKnowledge),
        habits=read_struct(RULES / "habits.toml", HabitKnowledge),
        index=index,
    )


def rule(number: str, **fields: object) -> Rule:
    """A rule of that number, in the group of its card. Its id is the number in lower case."""
    criterion = Criterion(says="anything", condition=("weakness",))
    written: dict[str, object] = {
        "id": number.lower(),
        "number": number,
        "title": f"Title of {number}",
        "version": "1.2.0",
        "group": GROUPS.get(number, "care"),
        "topic": f"topic{number}",
        "summary": f"Summary of {number}.",
        "opening": f"Opening of {number}.",
        "owner": "Atrophy CDS team",
        "checker": "",
        "review_by": date(2027, 11, 27),
        "claims": (),
        "rulings": (),
        "cause": "other",
        "evidence": (Evidence(citation=f"Source of {number}", status="seen"),),
        "source_attributes": _ATTRIBUTES,
        "changes": (Change(version="1.2.0", date=date(2026, 11, 27), text="A change."),),
        "criteria": {"anything": criterion},
        "fires": (Fires(name="anything", indicator="warning", when="anything"),),
    }
    if number == "R05":
        written["below_critical"] = "diagnostic"
    return Rule(**{**written, **fields})


def fired(
    number: str,
    *orders: str,
    indicator: str = "warning",
    facts: tuple[Fact, ...] = (),
    findings: tuple[str, ...] = ("weakness|None|None",),
    second: tuple[str, ...] = (),
    preselect: tuple[str, ...] = (),
    advice: tuple[str, ...] = (),
    missing: tuple[str, ...] = (),
    carried_by: str | None = None,
    of_rule: Rule | None = None,
) -> Assessment:
    """A rule that fired, offering first-line ``orders`` and then ``second`` ones."""
    asked = of_rule or rule(number)
    return Assessment(
        asked,
        Status.FIRED,
        "anything",
        indicator=indicator,
        branch="anything",
        summary=asked.summary,
        opening=asked.opening,
        facts=facts or (fact(number),),
        missing=missing,
        offers=(
            *(OfferedOrder(order, preselect=order in preselect) for order in orders),
            *(OfferedOrder(order, preselect=order in preselect, second=True) for order in second),
        ),
        advice=advice,
        findings=frozenset(findings),
        carried_by=carried_by,
    )


def fact(
    name: str,
    *,
    onset: float | None = None,
    measured: float | None = None,
    value: str | None = None,
    threshold: str | None = None,
    label: str | None = None,
    reference: str | None = None,
) -> Fact:
    kind = "onset" if onset is not None else "measured" if measured is not None else None
    ago = onset if onset is not None else measured
    return Fact(
        reference or f"Condition/{name}",
        label or f"Finding of {name}",
        f"http://snomed.info/sct|{name}",
        None if ago is None else day(ago),
        kind,
        value,
        threshold,
        began=None if onset is None else on(onset),
    )


def evaluation(*assessments: Assessment, facts: Facts | None = None, tier: str = "3") -> Evaluation:
    weak = facts_of(condition("weakness", onset=30))
    return Evaluation(facts or weak, tier, f"Tier {tier} because of a test.", assessments)


_ATTRIBUTES = SourceAttributes(
    bibliography="none",
    developer="Atrophy CDS team",
    funding="none",
    released=date(2026, 11, 27),
    revised=date(2026, 11, 27),
    uses_race=False,
    uses_ethnicity=False,
    uses_language=False,
    uses_sexual_orientation=False,
    uses_gender_identity=False,
    uses_sex=False,
    uses_age=False,
    uses_social_determinants=False,
    uses_health_status_assessments=False,
)
