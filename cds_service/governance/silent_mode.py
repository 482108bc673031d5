"""Silent mode: rules are asked, logged and audited, and nobody is shown what they say (B-52)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from cds_service.cards.compose import SUPPRESSED, Composed
from cds_service.cds_hooks.response import Card
from cds_service.rule_engine.model import Evaluation, Status
from cds_service.rule_engine.rulebook import RuleBook

ALL = "all"
SILENT = "silent"  # the reason that a rule gives
_DIGITS = 13  # of a fingerprint: as many as a float holds exactly


class SilentMode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an entry of the clients' file says of it.

    ``rules``: ids, ``emergency`` (R01-R05), ``extension``, or ``all``. ``share_of_users``: for which part of the users,
    above 0 and at most 1; a keyed fingerprint decides who they are.
    """

    rules: tuple[str, ...] = (ALL,)
    share_of_users: float = 1.0


class Silence(msgspec.Struct, frozen=True):
    """The silent rules of a client: those that were ``named``, and the ``others``, which only ``all`` means."""

    named: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    share: float = 1.0

    @property
    def is_for_everybody(self) -> bool:
        """Whether it is the same for all users."""
        return self.share >= 1

    def of(self, evaluation: Evaluation, place: float) -> frozenset[str]:
        """Ids of the rules that are silent for a user, whose ``place`` among all is from 0 to below 1.

        For a client that is silent as a whole these are all rules. Once it is live for some of its users, an emergency
        or a critical card is hidden from nobody unless its rule was named.
        """
        if place >= self.share:
            return frozenset()
        if self.is_for_everybody:
            return self.named | self.others
        shown = {a.rule.id for a in evaluation.assessments if a.rule.group == "emergency" or a.indicator == "critical"}
        return self.named | (self.others - shown)


def silence_of(mode: SilentMode | None, book: RuleBook) -> Silence:
    """What an entry means for these rules. Raises ValueError for a word that names none."""
    if mode is None:
        return Silence()
    named = book.named([word for word in mode.rules if word != ALL])
    others = book.ids - named if ALL in mode.rules else frozenset[str]()
    return Silence(named, others, mode.share_of_users)


def place_among_users(fingerprint: str) -> float:
    """Where a keyed fingerprint puts somebody, from 0 to below 1, evenly spread."""
    return int(fingerprint[:_DIGITS], 16) / float(16**_DIGITS)


class Heard(msgspec.Struct, frozen=True):
    """An evaluation and its cards; ``unseen`` are the cards that nobody is shown because a rule is silent.

    ``left_out``: ids of the silent rules without which the cards were made, whether they fired or not.
    """

    evaluation: Evaluation
    composed: Composed
    unseen: tuple[Card, ...] = ()
    left_out: frozenset[str] = frozenset()


def silenced(live: Heard, silent: frozenset[str], without: Callable[[], Heard]) -> Heard:
    """What is shown while some rules are silent: what would be if they were off (``without``).

    What they say is kept beside it for the log, the audit and the extension. While all are silent nothing is shown,
    no gap either.
    """
    own = {a.rule.id: a for a in live.evaluation.assessments if a.rule.id in silent}
    notes = {rule: (SUPPRESSED, SILENT) for rule, a in own.items() if a.status is Status.FIRED}
    if len(own) == len(live.evaluation.assessments):
        return Heard(live.evaluation, Composed((), (), notes), live.composed.cards)
    shown = without()
    everything = tuple(own.get(a.rule.id, a) for a in shown.evaluation.assessments)
    of_silent = {c.uuid for c in live.composed.shown if not silent.isdisjoint(rule for rule, _ in c.rules)}
    return Heard(
        msgspec.structs.replace(shown.evaluation, assessments=everything),
        msgspec.structs.replace(shown.composed, notes={**shown.composed.notes, **notes}),
        tuple(card for card in live.composed.cards if card.uuid in of_silent),
        silent,
    )
