"""What a rule file says, and what an evaluation answers. The loader fills the first half, evaluate the second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

import msgspec

from cds_service.coding import NOWHERE, CodeCertainty, Site
from cds_service.derive.findings import Finding, FindingKnowledge
from cds_service.derive.habits import HabitKnowledge
from cds_service.derive.index import RecordIndex
from cds_service.derive.risk_domains import RiskDomain
from cds_service.derive.steroid_exposure import SteroidExposure
from cds_service.derive.units import UnitKnowledge
from cds_service.derive.weight import WeightTrend
from cds_service.derive.weight_knowledge import WeightKnowledge
from cds_service.partial_date import PartialDate
from cds_service.record import PatientRecord
from cds_service.rule_engine.criterion import Criterion, Indicator, Written

CardGroup = Literal["emergency", "diagnostic", "care"]
RECORDED = "recorded"
RECORDED_ONSET_AS_TEXT = "recorded-onset-as-text"
RECORDED_KINDS = frozenset({RECORDED, RECORDED_ONSET_AS_TEXT})
INDICATOR_RANK: Mapping[str, int] = {"info": 1, "warning": 2, "critical": 3}


class Fires(Written, frozen=True, kw_only=True):
    """One way in which a rule fires. The first whose ``when`` is true decides the indicator and the wording.

    ``unless`` is an exception to it, which acts only when it is true: an exception that cannot be checked never hides
    what was found. ``own_trigger`` overrides the rule's; ``leads`` puts the rule first among those of its card with the
    same indicator; ``carried`` lets a rule of ``carried_by`` show it on its card (A-25, B-29).
    """

    name: str
    indicator: Indicator
    when: str
    unless: str | None = None
    summary: str | None = None
    opening: str | None = None
    own_trigger: bool | None = None
    leads: bool = False
    carried: bool = False


class Suppression(Written, frozen=True, kw_only=True):
    """A reason to stay silent although the rule would fire. ``silences``: its findings stay taken (B-28, B-63)."""

    reason: str
    when: str
    silences: bool = False


class Offer(Written, frozen=True, kw_only=True):
    """An order of ``rules/orders.toml`` that the card suggests, when ``when`` holds (or always).

    ``seen_since`` joins criteria: a visit or test before their newest entry does not keep the order away (G7).
    """

    order: str
    when: str | None = None
    preselect_when: str | None = None
    second: bool = False
    seen_since: str | None = None


class Advice(Written, frozen=True, kw_only=True):
    """A line of advice on the card that no order can carry, when ``when`` holds (or always)."""

    text: str
    when: str | None = None


class Evidence(Written, frozen=True, kw_only=True):
    """A source of the rule and whether it was read: seen, seen second-hand, unconfirmed."""

    citation: str
    status: Literal["seen", "seen second-hand", "unconfirmed"]
    url: str | None = None


class SourceAttributes(Written, frozen=True, kw_only=True):
    """The ONC (b)(11) source attributes of a rule: what it is based on and which traits of a person it uses."""

    bibliography: str
    developer: str
    funding: str
    released: date
    revised: date
    uses_race: bool
    uses_ethnicity: bool
    uses_language: bool
    uses_sexual_orientation: bool
    uses_gender_identity: bool
    uses_sex: bool
    uses_age: bool
    uses_social_determinants: bool
    uses_health_status_assessments: bool


class Change(Written, frozen=True, kw_only=True):
    """What a version of a rule changed, in a sentence."""

    version: str
    date: date
    text: str


class Rule(Written, frozen=True, kw_only=True):
    """One rule file. ``number`` is R01-R25 of the clinical specification, ``claims`` its S-numbers.

    ``own_trigger``: the tier neither silences nor caps it (A-02). ``pattern_tier``: its pattern alone makes tier 3.
    ``below_critical``: the card of what is not critical, where it is not that of ``group`` (A-74).
    ``youngest``: not below this age (G11). ``context`` and ``looked_for`` name criteria: facts that the card adds when
    they hold, and things that it names as not found when they do not.
    """

    id: str
    number: str
    title: str
    version: str
    group: CardGroup
    topic: str
    summary: str
    opening: str
    owner: str
    checker: str
    review_by: date
    claims: tuple[str, ...]
    rulings: tuple[str, ...]
    cause: str
    extension: bool = False
    own_trigger: bool = False
    pattern_tier: bool = False
    below_critical: CardGroup | None = None
    passes_hospice: bool = False
    youngest: int | None = None
    carried_by: tuple[str, ...] = ()
    override_reasons: tuple[str, ...] = ()
    snooze_days: int | None = None
    context: tuple[str, ...] = ()
    looked_for: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...]
    source_attributes: SourceAttributes
    changes: tuple[Change, ...]
    criteria: Mapping[str, Criterion]
    fires: tuple[Fires, ...]
    suppressed: tuple[Suppression, ...] = ()
    offers: tuple[Offer, ...] = ()
    advice: tuple[Advice, ...] = ()

    def card_for(self, indicator: Indicator | None) -> CardGroup:
        """The card on which it speaks: critical is always Emergency (A-74, B-25)."""
        return "emergency" if indicator == "critical" else self.below_critical or self.group


# --- what an evaluation answers --------------------------------------------------------------------------------------


class Status(StrEnum):
    """The four answers of a rule, kept apart everywhere (T23)."""

    FIRED = "fired"
    NOT_MET = "not-met"
    UNKNOWN = "unknown"
    SUPPRESSED = "suppressed"


class Fact(msgspec.Struct, frozen=True, gc=False):
    """One dated thing in the record on which an answer rests.

    ``label`` and ``value`` may hold text from the chart: whoever prints them escapes them. ``date`` is as written in
    the chart, ``date_kind`` one of onset, recorded, recorded-onset-as-text (A-45: both are named), measured, since,
    ordered, done, seen; of a course also assumed-since, weekly-since, weekly-assumed-since. ``threshold`` is the limit
    that the value was compared with, in words. ``began`` is what an onset's date means, ``certainty`` how surely a code
    names it, ``site`` where on the body it is.
    """

    reference: str
    label: str
    code: str | None = None
    date: str | None = None
    date_kind: str | None = None
    value: str | None = None
    threshold: str | None = None
    began: PartialDate | None = None
    certainty: CodeCertainty = CodeCertainty.EXACT
    site: Site = NOWHERE


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """True, false or unknown (None), with the facts it rests on and the sources that were missing."""

    value: bool | None
    facts: tuple[Fact, ...] = ()
    entries: tuple[object, ...] = ()
    missing: tuple[str, ...] = ()


class OfferedOrder(msgspec.Struct, frozen=True, gc=False):
    """An order that a fired rule wants suggested; ``second`` orders come after all first-line ones.

    A visit or test before ``seen_since`` does not keep it away (G7).
    """

    order: str
    preselect: bool = False
    second: bool = False
    seen_since: PartialDate | None = None


class Assessment(msgspec.Struct, frozen=True, gc=False):
    """The answer of one rule for one patient. Card fields are filled only when it fired.

    ``facts`` are those of the branch that speaks, ``grounds`` those of every branch that holds: what a snooze looks at.
    """

    rule: Rule
    status: Status
    reason: str
    indicator: Indicator | None = None
    branch: str | None = None
    summary: str = ""
    opening: str = ""
    facts: tuple[Fact, ...] = ()
    grounds: tuple[Fact, ...] = ()
    missing: tuple[str, ...] = ()
    offers: tuple[OfferedOrder, ...] = ()
    advice: tuple[str, ...] = ()
    findings: frozenset[str] = frozenset()
    carried_by: str | None = None
    leads: bool = False


class Facts(msgspec.Struct, frozen=True):
    """What the rules are asked about: the record and everything derived from it.

    ``findings_by_sex`` would be findings if the patient, whose sex is not known, were of one of the sexes (A-12).
    ``unjudged_domains`` are risk domains of which it cannot be told, with what was missing.
    """

    record: PatientRecord
    as_of: datetime
    exposure: SteroidExposure
    findings: tuple[Finding, ...]
    findings_by_sex: tuple[Finding, ...]
    finding_level: int
    tempo: str
    risk_domains: tuple[RiskDomain, ...]
    knowledge: FindingKnowledge
    units: UnitKnowledge
    weight: WeightTrend
    weight_knowledge: WeightKnowledge
    habits: HabitKnowledge
    index: RecordIndex
    unjudged_domains: Mapping[str, tuple[str, ...]] = {}


class Contradiction(msgspec.Struct, frozen=True):
    """Facts of the record that cannot all be so, the sentence that says it, and the ids of the rules it bears on."""

    name: str
    says: str
    rules: frozenset[str]
    facts: tuple[Fact, ...]


def nothing_asked(_rule_id: str) -> Mapping[str, Verdict]:
    """Of no rule anything was asked."""
    return {}


class Evaluation(msgspec.Struct, frozen=True):
    """All answers for one patient. ``tier`` is E, 3, 2, 1 or 0 with the sentence that explains it.

    ``contradictions`` are those that bear on a rule that fired. ``verdicts_of`` gives for the id of a rule each
    criterion behind its answer, in the order of its file; a rule that was not asked has none. ``off``: ids of the rules
    that were not to be asked.
    """

    facts: Facts
    tier: str
    tier_sentence: str
    assessments: tuple[Assessment, ...]
    contradictions: tuple[Contradiction, ...] = ()
    verdicts_of: Callable[[str], Mapping[str, Verdict]] = nothing_asked
    off: tuple[str, ...] = ()

    @property
    def fired(self) -> tuple[Assessment, ...]:
        """The assessments that fired, in the order of the rule numbers."""
        return tuple(a for a in self.assessments if a.status is Status.FIRED)
