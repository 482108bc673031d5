"""The facts of a chart that was brought to explain a card, compared with the marks of those that the card rested on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from cds_service.cards.explanation import ContradictionShown, FactShown
from cds_service.cards.knowledge import CardWords
from cds_service.cards.wording import plain, readable_date
from cds_service.coding import Site
from cds_service.rule_engine.model import Evaluation, Fact, Status, Verdict
from cds_service.rule_engine.trace import MARK_LENGTH, CardTrace, RuleTrace, mark


class BroughtFacts:
    """The facts of a chart that was brought, numbered: those that caused the card first. ``words`` are the cards'."""

    def __init__(
        self, brought: Evaluation, trace: CardTrace, words: CardWords, fingerprint: Callable[[str], str]
    ) -> None:
        self._words = words
        self._verdicts = {rule.id: brought.verdicts_of(rule.id) for rule in trace.rules}
        self._answers = {a.rule.id: a for a in brought.assessments}
        causes = self._causes(trace)
        asked = [fact for found in self._verdicts.values() for verdict in found.values() for fact in verdict.facts]
        marks = {fact: fingerprint(mark(fact))[:MARK_LENGTH] for fact in (*causes, *asked)}
        kept = {one for rule in trace.rules for held in rule.held.values() for one in held}
        self.gone = len(kept - set(marks.values()))
        listed = [*causes, *(fact for fact in dict.fromkeys(asked) if _beside_its_limit(fact, causes) is None)]
        numbers = {fact: number for number, fact in enumerate(listed, 1)}
        self._numbers = {fact: numbers[_beside_its_limit(fact, causes) or fact] for fact in marks}
        self.contradictions = tuple(self._contradictions(brought))
        self.shown = tuple(
            self._fact(fact, number, causes.get(fact, ()), is_new=marks[fact] not in kept)
            for fact, number in numbers.items()
        )

    def _contradictions(self, brought: Evaluation) -> Iterator[ContradictionShown]:
        for contradiction in brought.contradictions:
            if not contradiction.rules.isdisjoint(self._verdicts):
                facts = (f"“{plain(fact.label)}”, {self._dated(fact)}" for fact in contradiction.facts)
                yield ContradictionShown(says=contradiction.says, facts=tuple(facts))

    def verdict(self, rule_id: str, name: str) -> Verdict | None:
        """The verdict of a criterion on what was brought."""
        return self._verdicts[rule_id].get(name)

    def numbers(self, verdict: Verdict) -> tuple[int, ...]:
        """The numbers of the facts that a verdict rests on."""
        return tuple(self._numbers[fact] for fact in verdict.facts)

    def fired_alike(self, kept: RuleTrace) -> bool:
        """Whether the rule gives the same answer to what was brought."""
        answer = self._answers.get(kept.id)
        return answer is not None and answer.branch == kept.branch

    def _causes(self, trace: CardTrace) -> dict[Fact, tuple[str, ...]]:
        """The facts that the rules of the card rest on, each with the titles of those rules."""
        causes: dict[Fact, tuple[str, ...]] = {}
        for kept in trace.rules:
            answer = self._answers.get(kept.id)
            if answer is not None and answer.status is Status.FIRED:
                for fact in answer.facts:
                    causes[fact] = (*causes.get(fact, ()), answer.rule.title)
        return causes

    def _dated(self, fact: Fact) -> str:
        kind = self._words.date_words.get(fact.date_kind or "", "")
        return f"{kind} {readable_date(fact.date)}".strip() if fact.date else self._words.words.undated

    def _fact(self, fact: Fact, number: int, rules: tuple[str, ...], *, is_new: bool) -> FactShown:
        return FactShown(
            number=number,
            reference=fact.reference,
            text=plain(fact.label),
            dated=self._dated(fact),
            code=fact.code,
            date=fact.date,
            date_kind=fact.date_kind,
            value=plain(fact.value) if fact.value else None,
            threshold=fact.threshold,
            certainty=fact.certainty.value,
            site=_site_in_words(fact.site),
            coded=self._words.certainty_words.get(fact.certainty),
            caused=bool(rules),
            new=is_new,
            rules=rules,
        )


def _site_in_words(site: Site) -> str | None:
    """``left lower limb``; None when nothing is said."""
    return " ".join(part for part in (site.side, f"{site.limb} limb" if site.limb else None) if part) or None


def _beside_its_limit(fact: Fact, causes: Iterable[Fact]) -> Fact | None:
    """The cause that is the same, or the same entry beside the limit that it crossed: that is said once."""
    alone = fact.threshold is None
    return next((c for c in causes if fact in (c, msgspec.structs.replace(c, threshold=None) if alone else c)), None)
