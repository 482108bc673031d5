"""``atrophy-cds audit verify --replay``: a call of the audit asked again, with the site's own data (P-33)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click
import msgspec

from cds_service.advice import NOT_DONE, advised, refuse_without_required, words_of
from cds_service.app import clients_of
from cds_service.cards.compose import BUDGET, CardContext
from cds_service.cards.disputed import called_wrong, without_disputed
from cds_service.cards.profiles import profile_named
from cds_service.cards.shape import deck_for
from cds_service.cds_hooks.request import HookRequest, parse_hook_request
from cds_service.errors import SettingsError
from cds_service.fhir.reader import SourcePayload, read_record
from cds_service.fhir.reading.kinds import RESOURCES
from cds_service.governance.silent_mode import SILENT
from cds_service.record import PatientRecord, SourceState
from cds_service.rule_engine.evaluate import evaluate
from cds_service.rule_engine.facts import gather_facts
from cds_service.service import RulePack, load_rule_pack
from cds_service.settings import Settings
from cds_service.store import Store
from cds_service.store.audit import Entry
from cds_service.trust import CdsClient, ListedServers, OpenMode, Outbound

DIFFERS = 1


class _Card(msgspec.Struct):
    words: str


class _Call(msgspec.Struct, rename="camel"):
    """What an entry says of a call. ``silent``: the rules without which the cards were made for this user."""

    hook_instance: str
    as_of: datetime
    rule_pack: str
    profile: str
    cards: list[_Card]
    called_wrong: int = 0
    withheld: dict[str, str] = {}
    silent: list[str] = []
    unseen: list[_Card] = []
    room: int | None = None

    @property
    def off(self) -> dict[str, str]:
        """The rules that were not asked."""
        return {rule: reason for rule, reason in self.withheld.items() if reason not in (SILENT, BUDGET)}

    @property
    def shows_cards(self) -> bool:
        """False when every rule was silent."""
        return bool(self.silent) or not (self.unseen or SILENT in self.withheld.values())


class _Replay:
    """One call, asked again at its moment: with what was remembered then, without what was called wrong by then."""

    def __init__(self, store: Store, request: HookRequest, client: CdsClient, call: _Call) -> None:
        settings = Settings.from_environment()
        self._pack = load_rule_pack(settings.rules_dir, settings.today())
        self._fingerprint = store.fingerprint
        self.pack_hash = self._pack.knowledge.pack_hash
        outbound: Outbound = ListedServers((client,)) if client.fhir else OpenMode()
        base = outbound.reach(client, request.fhir_server or "").base
        self._memory = store.memory(client.id, base, request.patient_id, call.as_of)
        profile = profile_named(call.profile)
        self._deck = deck_for(self._pack.deck, profile, client.order_codes)
        self._context = CardContext(
            request.patient_id, request.encounter_id, profile, repeat=client.repeat, room=call.room
        )
        as_of = call.as_of.astimezone(settings.zone)
        record = without_disputed(_record(request, self._pack, as_of), self._memory, self._deck)
        self.called_wrong = called_wrong(record)
        self._facts = gather_facts(record, self._pack.knowledge, as_of)

    def words(self, off: dict[str, str]) -> Counter[str]:
        """The words of the cards, as fingerprints, while these rules are off."""
        if off.keys() == self._pack.knowledge.rules.ids:
            return Counter()
        found = advised(evaluate(self._pack.knowledge.rules, self._facts, off), self._deck, self._memory, self._context)
        advice = refuse_without_required(found, self._deck, self._context, NOT_DONE)
        return Counter(words_of(card, self._fingerprint) for card in advice.composed.cards)


def replay(store: Store, path: Path) -> int:
    """Ask a whole hook request of the site again, and compare the words of the cards with its entry's. 0, or 1."""
    request = parse_hook_request(path.read_bytes())
    client, call = _entry_of(store.audit_entries(), request.hook_instance)
    again = _Replay(store, request, client, call)
    if again.pack_hash != call.rule_pack:
        click.echo(f"DIFFERENT RULES: the call used {call.rule_pack}, here are {again.pack_hash}", err=True)
        return DIFFERS
    cards, unseen = Counter(c.words for c in call.cards), Counter(c.words for c in call.unseen)
    shown = again.words({**call.off, **dict.fromkeys(call.silent, SILENT)}) if call.shows_cards else Counter[str]()
    heard = again.words(call.off) if unseen else Counter[str]()
    same, meant = (cards & shown).total() + (unseen & heard).total(), cards.total() + unseen.total()
    more = (shown - cards).total()
    click.echo(f"{same} of {meant} cards of the call come out the same, word for word")
    if more:
        click.echo(f"{more} cards come out that the call did not show")
    if call.called_wrong != again.called_wrong:
        click.echo(
            f"The call left out {call.called_wrong} resources that a user called wrong; here {again.called_wrong}"
        )
    return 0 if same == meant and not more else DIFFERS


def _record(request: HookRequest, pack: RulePack, as_of: datetime) -> PatientRecord:
    came = dict(request.prefetch.present()) if request.prefetch else {}
    payloads = [
        SourcePayload(name, "prefetch", SourceState.COMPLETE, (came[name],))  # a page that is null is one with nothing
        for name in RESOURCES
        if name in came
    ]
    return read_record(payloads, request.patient_id, vocabulary=pack.knowledge.vocabulary, as_of=as_of)


def _entry_of(entries: Iterator[Entry], hook_instance: str) -> tuple[CdsClient, _Call]:
    """The client of the entry, as it is agreed with now, and what the entry says."""
    for entry in entries:
        if entry.what == "call":
            call = msgspec.json.decode(entry.said, type=_Call)
            if call.hook_instance == hook_instance:
                agreed = clients_of(Settings.from_environment())
                return next((c for c in agreed if c.id == entry.client), CdsClient(id=entry.client)), call
    raise SettingsError("No entry of the audit has the hookInstance of that request.")
