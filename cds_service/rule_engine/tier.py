"""The risk tier: E, 3, 2, 1 or 0, explainable and without weights (section 6, A-01, A-02, B-06)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from cds_service.derive.findings import Finding
from cds_service.rule_engine.criterion import Indicator
from cds_service.rule_engine.model import Assessment, Facts, Status

UNEXPLAINED_LEVEL = 2
HIGH_STEROID, VERY_HIGH_STEROID = 2, 3
MANY_DOMAINS = 3


class TierKnowledge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``rules/tiers.toml``: the sentences. Placeholders: {finding}, {steroid}, {domains}.

    ``caps``: the highest indicator that a tier allows; no card in a tier without one. ``reached_when``: for people.
    """

    version: str
    owner: str
    checker: str
    review_by: str
    emergency: str
    unexplained: str
    recent: str
    weak_on_steroids: str
    pattern: str
    finding_with_domains: str
    very_high_steroid: str
    many_domains: str
    finding_alone: str
    domains_alone: str
    deceased: str
    nothing: str
    steroid: str
    steroid_dose: str
    dated_finding: str
    undated_finding: str
    check_goals_of_care: str
    caps: Mapping[str, Indicator]
    reached_when: Mapping[str, str]


class Tier(msgspec.Struct, frozen=True):
    """A tier, the sentence that explains it, and the highest indicator it allows (None: no card)."""

    name: str
    sentence: str
    cap: Indicator | None


def decide_tier(facts: Facts, answers: Iterable[Assessment], knowledge: TierKnowledge, *, explained: bool) -> Tier:
    """The highest tier whose sentence holds."""
    fired = [a for a in answers if a.status is Status.FIRED]
    level, steroid, domains = facts.finding_level, facts.exposure.level, facts.risk_domains
    strong = any(d.strength == "strong" for d in domains)
    ladder: tuple[tuple[bool, str, str], ...] = (
        (any(a.indicator == "critical" for a in fired), "E", knowledge.emergency),
        (level > 0 and steroid >= HIGH_STEROID, "3", knowledge.weak_on_steroids),
        (level >= UNEXPLAINED_LEVEL and not explained, "3", knowledge.unexplained),
        (level > 0 and facts.tempo in ("48h", "28d", "90d"), "3", knowledge.recent),
        (any(a.rule.pattern_tier and a.indicator != "info" for a in fired), "3", knowledge.pattern),
        (level > 0 and bool(domains), "2", knowledge.finding_with_domains),
        (steroid >= VERY_HIGH_STEROID, "2", knowledge.very_high_steroid),
        (len(domains) >= MANY_DOMAINS and strong, "2", knowledge.many_domains),
        (level > 0, "2", knowledge.finding_alone),
        (bool(domains), "1", knowledge.domains_alone),
    )
    for holds, name, sentence in ladder:
        if holds:
            return Tier(name, _filled(sentence, facts, knowledge), knowledge.caps.get(name))
    return Tier("0", knowledge.nothing, knowledge.caps.get("0"))


def _filled(sentence: str, facts: Facts, knowledge: TierKnowledge) -> str:
    return sentence.format(
        finding=_finding_words(facts, knowledge),
        steroid=_steroid_words(facts, knowledge),
        domains=", ".join(domain.title for domain in facts.risk_domains),
    )


def _finding_words(facts: Facts, knowledge: TierKnowledge) -> str:
    if not facts.findings:
        return ""
    dated = [f for f in facts.findings if f.onset is not None]
    shown = max(dated or facts.findings, key=_newest_first)
    says = facts.knowledge.says(shown.kind)
    if shown.onset is None:
        return knowledge.undated_finding.format(says=says)
    return knowledge.dated_finding.format(says=says, days=shown.onset.days_ago(facts.as_of))


def _newest_first(finding: Finding) -> tuple[bool, object]:
    return (finding.onset is not None, finding.onset.latest.timestamp() if finding.onset else 0)


def with_steroid_dose(text: str, facts: Facts, knowledge: TierKnowledge) -> str:
    """A summary with ``{steroid_dose}`` filled in; numbers of ours only, never chart text (C44)."""
    if "{" not in text:
        return text
    exposure = facts.exposure
    dose = knowledge.steroid_dose.format(mg=exposure.mean_daily_mg or 0, days=exposure.episode_days)
    return text.format(steroid_dose=dose)


def _steroid_words(facts: Facts, knowledge: TierKnowledge) -> str:
    exposure = facts.exposure
    return knowledge.steroid.format(
        ingredients=" and ".join(exposure.ingredients), mg=exposure.mean_daily_mg or 0, days=exposure.episode_days
    )
