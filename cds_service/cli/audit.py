"""``atrophy-cds audit verify`` and ``purge``: whether the audit is whole, and the end of what is kept (P-33)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import msgspec

from cds_service.app import open_store
from cds_service.cards.compose import BUDGET, CardContext, compose
from cds_service.cards.memory import NO_MEMORY
from cds_service.cards.profiles import profile_named
from cds_service.cds_hooks.request import parse_hook_request
from cds_service.errors import SettingsError
from cds_service.fhir.reader import SourcePayload, read_record
from cds_service.fhir.reading.kinds import RESOURCES
from cds_service.governance.silent_mode import SILENT
from cds_service.record import SourceState
from cds_service.rule_engine.evaluate import evaluate
from cds_service.rule_engine.facts import gather_facts
from cds_service.service import load_rule_pack
from cds_service.settings import Settings
from cds_service.store import Store
from cds_service.store.audit import Entry, Head

BROKEN = 1


class _Card(msgspec.Struct):
    words: str


class _Call(msgspec.Struct, rename="camel"):
    """What an entry says of a call."""

    hook_instance: str
    as_of: datetime
    rule_pack: str
    profile: str
    cards: list[_Card]
    called_wrong: int = 0
    withheld: dict[str, str] = {}
    unseen: list[_Card] = []
    room: int | None = None

    @property
    def off(self) -> dict[str, str]:
        """The rules that were not asked."""
        return {rule: reason for rule, reason in self.withheld.items() if reason not in (SILENT, BUDGET)}

    @property
    def off_for_the_user(self) -> dict[str, str]:
        """Those, and the silent ones: what was shown came out as if they were off."""
        return {rule: reason for rule, reason in self.withheld.items() if reason != BUDGET}


def verify(head: str | None, replay: Path | None) -> int:
    """Print whether the chain is whole, and whether a replayed request gives the cards of its entry. 0, or 1."""
    with _store() as store:
        found = store.verify_audit(_head_written(head))
        newest = f"head {found.head.number}:{found.head.seal}"
        if found.problem:
            click.echo(f"BROKEN: {found.problem}. {found.entries} entries from {found.first} hold.", err=True)
            return BROKEN
        click.echo(f"{found.entries} entries from {found.first}, unbroken; {newest}")
        return _replay(store, replay) if replay else 0


def purge(days: int | None) -> int:
    """Remove what is older than so many days (the setting's, unless given) and what has expired."""
    settings = Settings.from_environment()
    kept = settings.retention_days if days is None else days
    now = datetime.now(UTC)
    with _store() as store:
        gone = store.purge(now - timedelta(days=kept), now)
    click.echo(f"older than {kept} days: " + ", ".join(f"{number} {table}" for table, number in gone.items()))
    return 0


@contextmanager
def _store() -> Iterator[Store]:
    with closing(open_store(Settings.from_environment())) as store:
        yield store


def _head_written(text: str | None) -> Head | None:
    if text is None:
        return None
    number, _, seal = text.partition(":")
    if not number.isdecimal() or not seal:
        raise SettingsError("--head is a number, a colon and a seal, as the log shows them.")
    return Head(int(number), seal)


def _replay(store: Store, path: Path) -> int:
    """Evaluate a whole hook request of the site at the moment of its entry, and compare the words of the cards."""
    request = parse_hook_request(path.read_bytes())
    call = _entry_of(store.audit_entries(), request.hook_instance)
    settings = Settings.from_environment()
    pack = load_rule_pack(settings.rules_dir, settings.today())
    if pack.knowledge.pack_hash != call.rule_pack:
        click.echo(f"DIFFERENT RULES: the call used {call.rule_pack}, here are {pack.knowledge.pack_hash}", err=True)
        return BROKEN
    came = dict(request.prefetch.present()) if request.prefetch else {}
    payloads = [
        SourcePayload(name, "prefetch", SourceState.COMPLETE, (came[name],))  # a page that is null is one with nothing
        for name in RESOURCES
        if name in came
    ]
    as_of = call.as_of.astimezone(settings.zone)
    record = read_record(payloads, request.patient_id, vocabulary=pack.knowledge.vocabulary, as_of=as_of)
    context = CardContext(request.patient_id, request.encounter_id, profile_named(call.profile), room=call.room)
    facts = gather_facts(record, pack.knowledge, as_of)
    evaluations = [evaluate(pack.knowledge.rules, facts, off) for off in (call.off_for_the_user, call.off)]
    cards = [card for found in evaluations for card in compose(found, pack.deck, NO_MEMORY, context).cards]
    made = {store.fingerprint(card.indicator, card.summary, card.detail or "") for card in cards}
    meant = [*call.cards, *call.unseen]
    same = [card for card in meant if card.words in made]
    click.echo(f"{len(same)} of {len(meant)} cards of the call come out the same, word for word")
    if call.called_wrong:
        click.echo(f"The call left out {call.called_wrong} resources that a user called wrong; here they counted")
    return 0 if len(same) == len(meant) else BROKEN


def _entry_of(entries: Iterator[Entry], hook_instance: str) -> _Call:
    for entry in entries:
        if entry.what == "call":
            call = msgspec.json.decode(entry.said, type=_Call)
            if call.hook_instance == hook_instance:
                return call
    raise SettingsError("No entry of the audit has the hookInstance of that request.")
