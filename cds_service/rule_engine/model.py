"""What a rule file says, and what an evaluation answers. The loader fills the first half, evaluate the second."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

import msgspec

from cds_service.derive.findings import Finding, FindingKnowledge
from cds_service.derive.risk_domains import RiskDomain
from cds_service.derive.steroid_exposure import SteroidExposure
from cds_service.record import PatientRecord

Indicator = Literal["info", "warning", "critical"]
CardGroup = Literal["emergency", "diagnostic", "care"]
INDICATOR_RANK: Mapping[str, int] = {"info": 1, "warning": 2, "critical": 3}


class _Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a rule file: unknown keys are refused."""


# --- what rules/<rule-id>/rule.toml says -----------------------------------------------------------------------------


class Criterion(_Written, frozen=True, kw_only=True):
    """One named question about the record. Exactly one of the first group says what is asked; the rest narrow it.

    ``when`` joins other criteria by name into one.
    Windows are days. ``new_within_days`` is newC (B-01, B-61 with ``red_flag``), ``within_days`` compares onset or
    date only, ``older_than_days`` is the ">28 d or undated" of the rule text when ``undated_counts``.
    """

    says: str
    when: str | None = None
    condition: tuple[str, ...] = ()
    finding: tuple[str, ...] = ()
    family_history: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    visit: tuple[str, ...] = ()
    planned_for: tuple[str, ...] = ()
    strength_fall: bool = False
    steroid_level_at_least: int | None = None
    steroid_level_at_most: int | None = None
    steroid_is_certain: bool | None = None
    fluorinated_days_at_least: int | None = None
    age_at_least: int | None = None
    age_below: int | None = None
    risk_domains_at_least: int | None = None
    rule_fired: tuple[str, ...] = ()

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    status: Literal["active", "any"] = "active"
    confirmed: bool = False
    new_within_days: float | None = None
    red_flag: bool = False
    within_days: float | None = None
    older_than_days: float | None = None
    undated_counts: bool = False
    undated_only: bool = False
    recorded_stands_in: bool = False
    site: Literal["one-limb", "both-sides", "one-side"] | None = None
    two_entries_apart_days: int | None = None
    same_limb_as: str | None = None
    not_same_limb_as: str | None = None
    newer_than: str | None = None
    unless_known_at_site: str | None = None
    since: str | None = None
    undated_since_counts: bool = False
    since_steroid_start: bool = False
    not_taken_by: tuple[str, ...] = ()
    setting: tuple[str, ...] = ()
    ordered_counts: bool = True
    only_ordered: bool = False
    booked_only: bool = False
    open_now: bool = False
    current_within_days: int | None = None
    ended_within_days: int | None = None


class Fires(_Written, frozen=True, kw_only=True):
    """One way in which a rule fires. The first whose ``when`` is true decides the indicator and the wording.

    ``unless`` is an exception to it, which acts only when it is true: an exception that cannot be checked never hides
    what was found. ``own_trigger`` overrides the rule's; ``carried`` lets a rule of ``carried_by`` show it on its card
    (A-25, B-29).
    """

    name: str
    indicator: Indicator
    when: str
    unless: str | None = None
    summary: str | None = None
    opening: str | None = None
    own_trigger: bool | None = None
    carried: bool = False


class Suppression(_Written, frozen=True, kw_only=True):
    """A reason to stay silent although the rule would fire. ``silences``: its findings stay taken (B-28, B-63)."""

    reason: str
    when: str
    silences: bool = False


class Offer(_Written, frozen=True, kw_only=True):
    """An order of ``rules/orders.toml`` that the card suggests, when ``when`` holds (or always)."""

    order: str
    when: str | None = None
    preselect_when: str | None = None
    second: bool = False


class Advice(_Written, frozen=True, kw_only=True):
    """A line of advice on the card that no order can carry, when ``when`` holds (or always)."""

    text: str
    when: str | None = None


class Evidence(_Written, frozen=True, kw_only=True):
    """A source of the rule and whether it was read: seen, seen second-hand, unconfirmed."""

    citation: str
    status: Literal["seen", "seen second-hand", "unconfirmed"]
    url: str | None = None


class SourceAttributes(_Written, frozen=True, kw_only=True):
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


class Rule(_Written, frozen=True, kw_only=True):
    """One rule file. ``number`` is R01-R25 of the clinical specification, ``claims`` its S-numbers.

    ``own_trigger``: the tier neither silences nor caps it (A-02). ``pattern_tier``: its pattern alone makes tier 3.
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
    passes_hospice: bool = False
    youngest: int | None = None
    carried_by: tuple[str, ...] = ()
    override_reasons: tuple[str, ...] = ()
    snooze_days: int | None = None
    context: tuple[str, ...] = ()
    looked_for: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...]
    source_attributes: SourceAttributes
    criteria: Mapping[str, Criterion]
    fires: tuple[Fires, ...]
    suppressed: tuple[Suppression, ...] = ()
    offers: tuple[Offer, ...] = ()
    advice: tuple[Advice, ...] = ()


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
    the chart, ``date_kind`` one of onset, recorded, measured, since, ordered, seen. ``threshold`` is the limit that
    the value was compared with, in words.
    """

    reference: str
    label: str
    code: str | None = None
    date: str | None = None
    date_kind: str | None = None
    value: str | None = None
    threshold: str | None = None


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """True, false or unknown (None), with the facts it rests on and the sources that were missing."""

    value: bool | None
    facts: tuple[Fact, ...] = ()
    entries: tuple[object, ...] = ()
    missing: tuple[str, ...] = ()


class OfferedOrder(msgspec.Struct, frozen=True, gc=False):
    """An order that a fired rule wants suggested; ``second`` orders come after all first-line ones."""

    order: str
    preselect: bool = False
    second: bool = False


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


class Facts(msgspec.Struct, frozen=True):
    """What the rules are asked about: the record and everything derived from it."""

    record: PatientRecord
    as_of: datetime
    exposure: SteroidExposure
    findings: tuple[Finding, ...]
    finding_level: int
    tempo: str
    risk_domains: tuple[RiskDomain, ...]
    knowledge: FindingKnowledge


class Evaluation(msgspec.Struct, frozen=True):
    """All answers for one patient. ``tier`` is E, 3, 2, 1 or 0 with the sentence that explains it."""

    facts: Facts
    tier: str
    tier_sentence: str
    assessments: tuple[Assessment, ...]

    @property
    def fired(self) -> tuple[Assessment, ...]:
        """The assessments that fired, in the order of the rule numbers."""
        return tuple(a for a in self.assessments if a.status is Status.FIRED)
