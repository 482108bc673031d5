"""The text of a card in GitHub Flavored Markdown: why, what is missing, options, source (C7, C49, S102)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

import msgspec

from cds_service.cards.disputed import called_wrong
from cds_service.cards.gaps import in_words, is_unread
from cds_service.cards.knowledge import CardDeck
from cds_service.cards.orders import Kept
from cds_service.cards.record_age import record_age
from cds_service.cards.wording import fact_sentence, own
from cds_service.rule_engine.criterion import Indicator
from cds_service.rule_engine.model import INDICATOR_RANK, Assessment, CardGroup, Evaluation, Fact, Rule


class Draft(msgspec.Struct, frozen=True):
    """One card before it is written. ``carried`` rules add orders and their id, but no words (A-25, B-29).

    ``kept`` are the orders that this card suggests, ``there_already`` the keys of those that are done or under way.
    """

    group: CardGroup
    lead: Assessment
    others: tuple[Assessment, ...] = ()
    carried: tuple[Assessment, ...] = ()
    kept: tuple[Kept, ...] = ()
    there_already: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def spoken(self) -> tuple[Assessment, ...]:
        """The rules that the text is about."""
        return (self.lead, *self.others)

    @property
    def rules(self) -> tuple[Assessment, ...]:
        """All rules of the card, those that it carries last."""
        return (self.lead, *self.others, *self.carried)

    @property
    def indicator(self) -> Indicator:
        """The highest among its rules, carried ones too (B-50, B-69)."""
        return highest(self.rules)


def highest(assessments: Iterable[Assessment]) -> Indicator:
    """The highest indicator among some that fired; information where none says more."""
    return max((a.indicator or "info" for a in assessments), key=INDICATOR_RANK.__getitem__)


NO_TIER = "0"  # a rule with its own trigger stands without a tier


def detail(draft: Draft, evaluation: Evaluation, deck: CardDeck, gaps: Sequence[str], waiting: Sequence[str]) -> str:
    """The whole text. ``gaps`` are named here when no gap card can stand beside, ``waiting`` are titles held back."""
    words = deck.cards.words
    facts = facts_shown(draft, deck)
    not_found, not_checked = _missing(draft, evaluation, deck)
    wrong = called_wrong(evaluation.facts.record)
    parts = [
        own(draft.lead.opening) + (f" {own(words.examine)}" if draft.group == "diagnostic" else ""),
        _listed(words.why, (_sentence(fact, deck) for fact in facts)),
        _listed(words.contradicts, _contradictions(draft, evaluation, deck)),
        own(evaluation.tier_sentence) if evaluation.tier != NO_TIER else "",
        _in_a_line(words.not_found, not_found),
        _in_a_line(words.not_checked, dict.fromkeys((*not_checked, *in_words(gaps, deck)))),
        own(words.called_wrong.format(number=wrong)) if wrong else "",
        _listed(words.options, _options(draft, deck)),
        _listed(words.also, (f"{own(a.rule.title)}: {own(a.summary)}" for a in draft.others)),
        own(words.waiting.format(titles="; ".join(waiting))) if waiting else "",
        own(record_age(facts, evaluation.facts.as_of, words)),
        f"**{words.source}** {_source(draft, deck, evaluation.facts.as_of.date())}",
    ]
    return "\n\n".join(part for part in parts if part)


def facts_shown(draft: Draft, deck: CardDeck) -> list[Fact]:
    """The facts that a reader of the card sees: at most five, the lead's first."""
    facts = dict.fromkeys(fact for assessment in draft.spoken for fact in assessment.facts)
    return list(facts)[: deck.cards.limits.facts]


def _sentence(fact: Fact, deck: CardDeck) -> str:
    """The fact with its date and what kind of date that is."""
    return fact_sentence(fact, deck.cards.date_words, deck.cards.words.undated, deck.cards.certainty_words)


def _contradictions(draft: Draft, evaluation: Evaluation, deck: CardDeck) -> Iterator[str]:
    """What of the record cannot both be so and bears on a rule of this card, also one that it only carries."""
    rules = {assessment.rule.id for assessment in draft.rules}
    for contradiction in evaluation.contradictions:
        if not rules.isdisjoint(contradiction.rules):
            facts = "; ".join(_sentence(fact, deck) for fact in contradiction.facts)
            yield f"{own(contradiction.says)} {facts}"


def _missing(draft: Draft, evaluation: Evaluation, deck: CardDeck) -> tuple[list[str], list[str]]:
    """What was looked for and not found, and what could not be read."""
    missing = list(dict.fromkeys(name for assessment in draft.spoken for name in assessment.missing))
    sources = deck.cards.source_words
    not_found = [says for says in missing if says not in sources]
    record = evaluation.facts.record
    return not_found, [sources[name] for name in missing if name in sources and is_unread(name, record)]


def _options(draft: Draft, deck: CardDeck) -> Iterator[str]:
    """What the suggestions are, what must be ordered elsewhere, advice, and cautions beside a suggestion."""
    words, orders = deck.cards.words, deck.orders
    suggested = [k for k in draft.kept if k.order.resource is not None]
    for sentence, labels in (
        (words.suggested, [k.label for k in suggested if not k.second]),
        (words.second_step, [k.label for k in suggested if k.second]),
        (words.text_only, [k.label for k in draft.kept if k.order.resource is None]),
    ):
        if labels:
            yield own(sentence.format(orders="; ".join(labels)))
    for kept in draft.kept:
        for note in kept.notes:
            yield own(words.beside.format(order=kept.label, note=note))
    yield from map(own, draft.notes)
    yield from map(own, dict.fromkeys(text for assessment in draft.spoken for text in assessment.advice))
    if draft.there_already:
        labels = [orders.label(key) for key in draft.there_already]
        yield own(words.already_there.format(orders="; ".join(labels)))


def _source(draft: Draft, deck: CardDeck, today: date) -> str:
    words = deck.cards.words
    citations = dict.fromkeys(c for assessment in draft.spoken for c in deck.of_rule(assessment.rule).citations)
    versions = [_version(assessment.rule, deck, today) for assessment in draft.rules]
    return f"{'; '.join(citations)}. {own('; '.join(versions))}. {own(words.disclaimer)}"


def _version(rule: Rule, deck: CardDeck, today: date) -> str:
    """Number and version, with what a reader must know of them: not reviewed, or its review is due."""
    words, ready = deck.cards.words, deck.of_rule(rule)
    doubts = [] if ready.is_reviewed else [words.not_reviewed]
    if rule.review_by < today:
        doubts.append(words.review_passed)
    return f"{ready.version} ({', '.join(doubts)})" if doubts else ready.version


def _listed(heading: str, lines: Iterable[str]) -> str:
    listed = "\n".join(f"- {line}" for line in lines)
    return f"**{heading}**\n\n{listed}" if listed else ""


def _in_a_line(heading: str, parts: Iterable[str]) -> str:
    said = "; ".join(map(own, parts))
    return f"**{heading}** {said}." if said else ""
