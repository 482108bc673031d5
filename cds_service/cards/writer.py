"""One draft as a CDS Hooks card: summary, detail, suggestions, override reasons, extension (C44-C56, P-04, P-23)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import urandom

import msgspec

from cds_service.cards.detail import Draft, detail, facts_shown
from cds_service.cards.disputed import cited
from cds_service.cards.gaps import in_words
from cds_service.cards.knowledge import CardDeck
from cds_service.cards.links import NO_LINKS, CardLinks, links_of
from cds_service.cards.memory import GAP_RULE, Evidence, Repeat, evidence_of, gap_evidence
from cds_service.cards.orders import suggestion
from cds_service.cards.profiles import CDS_HOOKS_2_0, ClientProfile
from cds_service.cards.shape import detail_for, suggestions_for
from cds_service.cards.wording import own, plain
from cds_service.cds_hooks.response import Card, Coding, Json, Link, OverrideReason, Source, Suggestion
from cds_service.fhir.versions import ResourceVersion, Versions
from cds_service.rule_engine.criterion import Indicator
from cds_service.rule_engine.model import Assessment, Evaluation
from cds_service.rule_engine.trace import CardTrace, Part, gap_trace, rule_trace

ASSESSMENT = "org.atrophy-cds.assessment"


def _new_uuid() -> str:
    """A random UUID of version 4 (C50), like ``str(uuid4())`` but in a third of the time: a card needs a dozen."""
    h = urandom(16).hex()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{'89ab'[int(h[16], 16) % 4]}{h[17:20]}-{h[20:]}"


class CardContext(msgspec.Struct, frozen=True):
    """For whom cards are made, and what the client can show.

    ``gaps`` are names of sources or sentences; None: what the evaluation shows (P-04). ``source_*`` None: as in
    ``cards.toml``. ``rule_pack`` is the hash of the rules. ``repeat``: whether an unanswered card is shown again
    (A-16). ``room``: how many cards the alert budgets still allow; None: any number.
    """

    patient_id: str
    encounter_id: str | None = None
    profile: ClientProfile = CDS_HOOKS_2_0
    source_label: str | None = None
    source_url: str | None = None
    source_icon_url: str | None = None
    links: CardLinks = NO_LINKS
    rule_pack: str = ""
    gaps: tuple[str, ...] | None = None
    repeat: Repeat = "until-answered"
    room: int | None = None
    new_uuid: Callable[[], str] = _new_uuid


class ShownCard(msgspec.Struct, frozen=True):
    """What is kept of a card: rules with versions, evidence by rule (B-51), suggestion uuid -> order key.

    Evidence, what the card cites and the facts of the trace are only ever stored as keyed fingerprints (P-33).
    """

    uuid: str
    lead: str
    rules: tuple[tuple[str, str], ...]
    evidence: tuple[tuple[str, Evidence], ...]
    indicator: Indicator
    suggestions: Mapping[str, str]
    trace: CardTrace
    cited: tuple[ResourceVersion, ...] = ()


def could_not_be_done(deck: CardDeck, context: CardContext) -> Card:
    """The info card instead of 412, for a client that shows errors to nobody (P-05). ``context.gaps`` are named."""
    words = deck.cards.gap
    return _gap_card(deck, context, context.gaps or (), summary=words.not_done_summary, opening=words.not_done_opening)


class CardWriter:
    """Turns drafts into cards for one client and patient."""

    def __init__(self, evaluation: Evaluation, deck: CardDeck, context: CardContext) -> None:
        self._evaluation = evaluation
        self._deck = deck
        self._context = context
        self._versions = Versions(evaluation.facts.record)
        self._subject = {"reference": f"Patient/{context.patient_id}"}
        encounter = context.encounter_id
        self._encounter = None if encounter is None else {"reference": f"Encounter/{encounter}"}

    def card(self, draft: Draft, gaps: tuple[str, ...], waiting: list[str]) -> tuple[Card, ShownCard]:
        """One card, and what is kept of it."""
        suggestions, orders = self._suggestions(draft)
        lead, profile = draft.lead, self._context.profile
        uuid, trace = self._context.new_uuid(), self._trace(draft)
        card = Card(
            uuid=uuid,
            summary=lead.summary,
            detail=detail_for(detail(draft, self._evaluation, self._deck, gaps, waiting), profile),
            indicator=draft.indicator,
            source=_source(self._deck, self._context, lead.rule.topic, lead.rule.title),
            suggestions=suggestions,
            selectionBehavior=profile.selection_behavior if suggestions else None,
            overrideReasons=self._override_reasons(draft) if profile.override_reasons else (),
            links=self._links(uuid, trace),
            extension={ASSESSMENT: self._extension(draft)} if profile.card_extension else None,
        )
        facts = self._evaluation.facts
        shown = ShownCard(
            uuid=card.uuid,
            lead=lead.rule.id,
            rules=tuple((a.rule.id, a.rule.version) for a in draft.rules),
            evidence=tuple((a.rule.id, evidence_of(a, facts)) for a in draft.rules),
            indicator=card.indicator,
            suggestions=orders,
            trace=trace,
            cited=cited(facts_shown(draft, self._deck), self._versions),
        )
        return card, shown

    def gap_card(self, gaps: tuple[str, ...]) -> tuple[Card, ShownCard]:
        """The card that names what was not checked, and what is kept of it."""
        words = self._deck.cards.gap
        card = _gap_card(self._deck, self._context, gaps, summary=words.summary, opening=words.opening)
        trace = gap_trace(self._evaluation, self._context.rule_pack, gaps)
        card = card.model_copy(update={"links": self._links(card.uuid, trace)})
        version = self._deck.cards.version
        evidence = ((GAP_RULE, gap_evidence(gaps)),)
        return card, ShownCard(card.uuid, GAP_RULE, ((GAP_RULE, version),), evidence, card.indicator, {}, trace)

    def _trace(self, draft: Draft) -> CardTrace:
        """What is kept so that the card can be explained."""
        verdicts_of = self._evaluation.verdicts_of
        parts: dict[str, Part] = {draft.lead.rule.id: "lead", **{a.rule.id: "also" for a in draft.others}}
        return CardTrace(
            self._context.rule_pack,
            self._evaluation.tier,
            tuple(rule_trace(a, parts.get(a.rule.id, "carried"), verdicts_of(a.rule.id)) for a in draft.rules),
            off=self._evaluation.off,
        )

    def _links(self, uuid: str, trace: CardTrace) -> tuple[Link, ...]:
        return links_of(uuid, trace, self._context, self._deck.cards.links)

    def _suggestions(self, draft: Draft) -> tuple[tuple[Suggestion, ...], dict[str, str]]:
        """One suggestion per order that has a verified code (B-53); and by its uuid the key of its order."""
        made: list[Suggestion] = []
        orders: dict[str, str] = {}
        for kept in draft.kept:
            if kept.order.resource is not None:
                uuid = self._context.new_uuid()
                made.append(suggestion(kept, self._subject, self._encounter, uuid))
                orders[uuid] = kept.order.key
        return suggestions_for(made, self._context.profile), orders

    def _override_reasons(self, draft: Draft) -> tuple[OverrideReason, ...]:
        own_reasons = dict.fromkeys(
            reason.code for assessment in draft.spoken for reason in self._deck.of_rule(assessment.rule).reasons
        )
        return (*(self._deck.reasons[code] for code in own_reasons), *self._deck.common_reasons)

    def _extension(self, draft: Draft) -> Json:
        """P-23: rule ids and versions, tier, basis, and what was looked for and not found. Empty keys are left out."""
        shown: Json = {
            "rules": [{"id": a.rule.id, "version": a.rule.version} for a in draft.rules],
            "tier": self._evaluation.tier,
        }
        basis = [_basis(a, number) for a in draft.rules for number in range(len(a.facts))]
        missing = list(dict.fromkeys(name for a in draft.rules for name in a.missing))
        shown.update({key: value for key, value in (("basis", basis), ("missing", missing)) if value})
        return shown


def _basis(assessment: Assessment, number: int) -> Json:
    fact = assessment.facts[number]
    parts = {
        "rule": assessment.rule.id,
        "reference": fact.reference,
        "code": fact.code,
        "date": fact.date,
        "value": plain(fact.value) if fact.value else None,
        "threshold": fact.threshold,
    }
    return {key: value for key, value in parts.items() if value}


def _source(deck: CardDeck, context: CardContext, topic: str, title: str) -> Source:
    written = deck.cards.source
    return Source(
        label=context.source_label or written.label,
        url=context.source_url,
        icon=context.source_icon_url,
        topic=Coding(code=topic, system=written.topic_system, display=title),
    )


def _gap_card(deck: CardDeck, context: CardContext, gaps: tuple[str, ...], *, summary: str, opening: str) -> Card:
    words = deck.cards.gap
    listed = "\n".join(f"- {own(gap)}" for gap in in_words(gaps, deck))
    parts = [own(opening), listed, own(words.closing)] if listed else [own(words.closing)]
    reasons = words.override_reasons if context.profile.override_reasons else ()
    return Card(
        uuid=context.new_uuid(),
        summary=summary,
        detail=detail_for("\n\n".join(parts), context.profile),
        indicator="info",
        source=_source(deck, context, words.topic, words.title),
        overrideReasons=tuple(deck.reasons[code] for code in reasons),
    )
