"""Why a card was shown: its rules in plain words, each verdict, what would change it; the facts, when brought (P-33).

The verdicts are those of the moment when the card was shown, from its trace. Facts stand here only when whoever asks
has brought the chart again: nothing of it is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from cds_service.cards.brought_facts import BroughtFacts
from cds_service.cards.disputed import called_wrong
from cds_service.cards.explanation import (
    CardExplanation,
    ChangeShown,
    CriterionShown,
    EvidenceShown,
    Result,
    RuleShown,
    SilenceShown,
    WayShown,
)
from cds_service.cards.gaps import in_words
from cds_service.cards.knowledge import CardDeck
from cds_service.rule_engine import plain_words
from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.loader import Knowledge
from cds_service.rule_engine.meanings import details
from cds_service.rule_engine.model import Evaluation, Evidence, Fires, Status
from cds_service.rule_engine.rulebook import CompiledRule
from cds_service.rule_engine.supposing import Outcome, Supposing
from cds_service.rule_engine.trace import CardTrace, RuleTrace

_DOI = re.compile(r"\bdoi:? ?(10\.\d{4,9}/[^\s;,)]+)")
_RESULTS: Mapping[bool | None, Result] = {True: "true", False: "false", None: "unknown"}


class Explainer:
    """Makes explanations from the rules in use. ``fingerprint`` is the one that the traces were kept with."""

    def __init__(self, knowledge: Knowledge, deck: CardDeck, fingerprint: Callable[[str], str]) -> None:
        self._knowledge = knowledge
        self._deck = deck
        self._fingerprint = fingerprint
        self._rules = {compiled.rule.id: compiled for compiled in knowledge.rules.by_number}

    def explain(self, card: str, as_of: str, trace: CardTrace, brought: Evaluation | None) -> CardExplanation:
        """Why the card was shown. ``as_of`` is its moment, ``brought`` the same chart evaluated again for it."""
        facts = BroughtFacts(brought, trace, self._deck.cards, self._fingerprint) if brought else None
        pack_now = self._knowledge.pack_hash
        return CardExplanation(
            card=card,
            as_of=as_of,
            tier=trace.tier,
            rule_pack=trace.rule_pack,
            rule_pack_now=None if pack_now == trace.rule_pack else pack_now,
            summary=self._summary(trace, brought),
            tier_sentence=brought.tier_sentence or None if brought and brought.tier == trace.tier else None,
            brought=brought is not None,
            facts=facts.shown if facts else (),
            facts_gone=facts.gone if facts else 0,
            called_wrong=called_wrong(brought.facts.record) if brought else 0,
            contradictions=facts.contradictions if facts else (),
            rules=tuple(self._rule(rule, facts) for rule in trace.rules),
            gaps=in_words(trace.gaps, self._deck),
            undecided=tuple(self._rules[name].rule.title for name in trace.undecided if name in self._rules),
        )

    def _summary(self, trace: CardTrace, brought: Evaluation | None) -> str | None:
        """What the card said, as far as it can be said again without the chart."""
        if not trace.rules:
            return self._deck.cards.gap.summary
        lead = trace.rules[0]
        fired = {a.rule.id: a for a in brought.fired} if brought else {}
        again = fired.get(lead.id)
        if again is not None and (again.branch, again.rule.version) == (lead.branch, lead.version):
            return again.summary
        compiled = self._rules.get(lead.id)
        if compiled is None or compiled.rule.version != lead.version:
            return None
        branch = next((f for f in compiled.rule.fires if f.name == lead.branch), None)
        summary = (branch.summary if branch else None) or compiled.rule.summary
        return None if "{" in summary else summary

    def _rule(self, kept: RuleTrace, facts: BroughtFacts | None) -> RuleShown:
        compiled = self._rules.get(kept.id)
        if compiled is None:
            return RuleShown(id=kept.id, part=kept.part, version=kept.version, indicator=kept.indicator)
        rule = compiled.rule
        written = {**self._knowledge.gate_criteria, **rule.criteria}
        supposing = Supposing(compiled, written, kept.value, lambda name: kept.held.get(name, ()))
        alike = rule.version == kept.version and supposing.outcome() == Outcome(Status.FIRED, kept.branch or "")
        branch = next((f for f in rule.fires if f.name == kept.branch), None)
        names = dict.fromkeys((*(n for n in compiled.deciding if n in kept.names), *kept.names))
        criteria = tuple(self._criterion(name, kept, written, facts) for name in names)
        return RuleShown(
            id=kept.id,
            part=kept.part,
            version=kept.version,
            number=rule.number,
            title=rule.title,
            opening=(branch.opening if branch else None) or rule.opening,
            indicator=kept.indicator,
            version_now=None if rule.version == kept.version else rule.version,
            reviewed_by=rule.checker or None,
            review_by=str(rule.review_by),
            other_words=not alike,
            ways=tuple(_ways(compiled, kept, supposing if alike else None)),
            silences=tuple(_silences(compiled, supposing if alike else None)),
            youngest=rule.youngest,
            criteria=criteria,
            missing=in_words(kept.missing, self._deck),
            changes=tuple(_changes(compiled, supposing, written)) if alike else (),
            evidence=tuple(map(_evidence, rule.evidence)),
            differs=any(c.now for c in criteria) or (facts is not None and not facts.fired_alike(kept)),
        )

    def _criterion(
        self, name: str, kept: RuleTrace, written: Mapping[str, Criterion], facts: BroughtFacts | None
    ) -> CriterionShown:
        if name not in written:
            return CriterionShown(name=plain_words.name_in_words(name), result=_RESULTS[kept.value(name)])
        joined = written[name].when is not None
        now = facts.verdict(kept.id, name) if facts else None
        value = kept.value(name)
        return CriterionShown(
            name=plain_words.name_in_words(name),
            asks=written[name].says,
            details=tuple(details(written[name], written, self._knowledge)),
            result=_RESULTS[value],
            rested_on=0 if joined else len(kept.held.get(name, ())),
            facts=facts.numbers(now) if facts and now and not joined else (),
            now=_RESULTS[now.value] if now is not None and now.value is not value else None,
        )


def _changes(compiled: CompiledRule, supposing: Supposing, written: Mapping[str, Criterion]) -> Iterator[ChangeShown]:
    indicators = {f.name: f.indicator for f in compiled.rule.fires}
    for change in supposing.changes():
        then = change.outcome
        yield ChangeShown(
            criterion=plain_words.name_in_words(change.criterion),
            asks=written[change.criterion].says,
            instead=_RESULTS[change.instead],
            status=then.status.value,
            reason=then.reason or None,
            indicator=indicators.get(then.reason) if then.status is Status.FIRED else None,
        )


def _ways(compiled: CompiledRule, kept: RuleTrace, supposing: Supposing | None) -> Iterator[WayShown]:
    for fires in compiled.rule.fires:
        yield WayShown(
            name=fires.name,
            indicator=fires.indicator,
            when=plain_words.when_it_fires(fires),
            result=_held(fires, supposing) if supposing else None,
            spoke=fires.name == kept.branch,
        )


def _held(fires: Fires, supposing: Supposing) -> Result:
    held = supposing.result(fires.when)
    excepted = held and fires.unless and supposing.result(fires.unless)
    return _RESULTS[False if excepted else held]


def _silences(compiled: CompiledRule, supposing: Supposing | None) -> Iterator[SilenceShown]:
    for silence in plain_words.reasons_for_silence(compiled.rule):
        result = _RESULTS[supposing.result(silence.expression)] if supposing else None
        yield SilenceShown(reason=silence.reason, when=silence.words, result=result)


def _evidence(evidence: Evidence) -> EvidenceShown:
    doi = _DOI.search(evidence.citation)
    url = evidence.url or (f"https://doi.org/{doi[1]}" if doi else None)
    return EvidenceShown(citation=evidence.citation, status=evidence.status, url=url)
