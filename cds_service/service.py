"""The walk of one call, top to bottom. Read this first.

A CDS Client's request comes in (``web/hooks``); what it did not send is fetched (``prefetch``) and everything is read
into one record (``record_reader``, ``fhir/reader``), derived from (``derive``), asked about (``rule_engine``), answered
with at most three cards (``cards``) and noted (``store``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import Any

import msgspec

from cds_service.advice import NOT_DONE, Advice, advised, refuse_without_required
from cds_service.cards import evaluation_extension
from cds_service.cards.compose import CardContext, compose
from cds_service.cards.disputed import without_disputed
from cds_service.cards.explaining import Explainer
from cds_service.cards.explanation import CardExplanation
from cds_service.cards.knowledge import CardDeck, load_deck
from cds_service.cards.links import CardLinks, allowed_links
from cds_service.cards.memory import Memory
from cds_service.cards.profiles import profile_named
from cds_service.cards.shape import deck_for
from cds_service.cds_hooks.discovery import discovery_document
from cds_service.cds_hooks.feedback import FeedbackItem
from cds_service.cds_hooks.request import HookRequest
from cds_service.cds_hooks.response import Response, encode
from cds_service.errors import BadRequest, DataNotAvailable, StoreUnavailable, UnknownPath
from cds_service.fhir.client import FhirClient
from cds_service.governance.bands import Bands, load_bands
from cds_service.governance.silent_mode import SILENT, silenced
from cds_service.governance.switchboard import SWITCHED_OFF, Switchboard
from cds_service.governance.terms import Terms
from cds_service.governance.watch import RuleWatch
from cds_service.prefetch import PrefetchPlan
from cds_service.record import PatientRecord
from cds_service.record_reader import RecordReader
from cds_service.rule_engine.evaluate import evaluate
from cds_service.rule_engine.facts import gather_facts
from cds_service.rule_engine.loader import Knowledge, load_knowledge
from cds_service.rule_engine.model import Evaluation
from cds_service.settings import Settings
from cds_service.stopwatch import Stopwatch
from cds_service.store import KeptCard, PatientMemory, ShownCard, Store
from cds_service.trust import CdsClient, Outbound

NOTHING_CAME = (
    "The call brought neither prefetch nor a FHIR server, so nothing could be read. Some EHRs leave both out when the"
    " address of the service is not registered letter for letter."
)
NO_SUCH_CARD = "No such card was shown to this CDS Client, or what was kept of it is gone."
ANOTHER_PATIENT = "The request is not about the patient of this card, or names another FHIR server for it."
NOT_R4 = "The resources of this call are not FHIR R4. Nothing was evaluated."


class RulePack(msgspec.Struct, frozen=True):
    """All of ``rules/``: what to decide, how to say it, and when a rule has gone wrong."""

    knowledge: Knowledge
    deck: CardDeck
    bands: Bands


def load_rule_pack(folder: Path, today: date) -> RulePack:
    """Read, check and compile ``rules/``. Raises RuleFileError at the first thing that must not be used."""
    return RulePack(load_knowledge(folder, today), load_deck(folder), load_bands(folder))


class HookAnswer(msgspec.Struct, frozen=True):
    """What goes back: the body, how long each stage took (ms), and what may be logged (no patient data)."""

    body: bytes
    timings: tuple[tuple[str, float], ...]
    log: Mapping[str, object]


class CdsService:
    """The parts of the service, met once in ``app.create_app``."""

    def __init__(  # noqa: PLR0913 - the one place where all parts meet
        self,
        *,
        pack: RulePack,
        plan: PrefetchPlan,
        fhir: FhirClient,
        outbound: Outbound,
        store: Store,
        settings: Settings,
        clients: Iterable[CdsClient],
        clock: Callable[[], datetime],
    ) -> None:
        self._pack = pack
        self._records = RecordReader(pack.knowledge.vocabulary, plan, fhir, outbound)
        self._outbound = outbound
        self._store = store
        self._settings = settings
        self._rules = pack.knowledge.rules
        self._terms = {c.id: Terms(c, self._rules) for c in clients}
        self._switchboard = Switchboard(store.governance.switches)
        self.watch = RuleWatch(store, pack.bands, self._rules, lambda: clock().astimezone(settings.zone))
        self._decks = {c.id: deck_for(pack.deck, profile_named(c.profile), c.order_codes) for c in clients}
        self._links = {c.id: links_for(c, settings) for c in clients}
        self._explainer = Explainer(pack.knowledge, pack.deck, store.fingerprint)
        self._zone: tzinfo = settings.zone
        self._clock = clock

    def discovery(self, client: CdsClient) -> bytes:
        """The discovery document for this client (C6-C15)."""
        version = profile_named(client.profile).cds_hooks
        return discovery_document(version, dict(self._records.plan.templates_for(version)))

    def call(self, client: CdsClient, request: HookRequest) -> HookAnswer:
        """Answer one patient-view. Raises DataNotAvailable (412) when required data could not be had (C32, P-05)."""
        _refuse_other_than_r4(request)
        watch = Stopwatch()
        as_of = self._clock().astimezone(self._zone)
        terms = self._terms[client.id]
        off = terms.off(self._switchboard)
        if terms.all_off(off):
            return self._without_asking(client, request, off, as_of)
        memory = self._memory(client, request)
        record = _undisputed(self._records.read(client, request, as_of, watch), memory, self._decks[client.id])
        room = terms.room(memory.patient, request.user_id, self._store)
        context = self._context(client, request, room.left(as_of))
        facts = gather_facts(record, self._pack.knowledge, as_of)
        why_not = NOTHING_CAME if request.brings_nothing else NOT_DONE

        def ask(off: Mapping[str, str], spent: dict[str, float] | None = None) -> Advice:
            advice = advised(evaluate(self._rules, facts, off, spent), self._decks[client.id], memory, context)
            return refuse_without_required(advice, self._decks[client.id], context, why_not)

        advice = self._heard(client, request.user_id, off, ask)
        watch.lap("rules")
        said = {**advice.audited(self._store.fingerprint, context.room), "hookInstance": request.hook_instance}
        kept = self._note(client, memory.patient, advice.composed.shown, as_of, said)
        room.take(advice.composed.counted, as_of)
        watch.lap("store")
        response = advice.response(self._pack.knowledge.pack_hash, with_extension=context.profile.evaluation_extension)
        body = encode(response)
        watch.lap("encode")
        return HookAnswer(body, watch.laps, {**advice.countable(), "kept": kept})

    def feedback(self, client: CdsClient, items: tuple[FeedbackItem, ...]) -> Mapping[str, int]:
        """Keep what became of cards; repeats and unknown cards are counted and have no effect (P-22)."""
        return self._store.record_feedback(client.id, items, self._clock())

    def explain(self, client: CdsClient, card: str, request: HookRequest | None = None) -> CardExplanation:
        """Why a card was shown to this client: from its trace, and with the facts of the chart that ``request`` brings.

        Raises UnknownPath (404) for any other card, BadRequest when the request is about another patient.
        """
        kept = self._store.shown_card(client.id, card)
        if kept is None:
            raise UnknownPath(NO_SUCH_CARD)
        as_of = kept.shown_at.astimezone(self._zone)
        brought = None if request is None else self._evaluated_again(client, request, kept, as_of)
        return self._explainer.explain(card, as_of.isoformat(timespec="seconds"), kept.trace, brought)

    def _evaluated_again(self, client: CdsClient, request: HookRequest, kept: KeptCard, as_of: datetime) -> Evaluation:
        """The chart of a request, asked as for the card: without what was off, silent or called wrong at its moment."""
        _refuse_other_than_r4(request)
        memory = self._memory(client, request, kept.shown_at)
        if memory.patient != kept.patient:
            raise BadRequest(ANOTHER_PATIENT)
        record = self._records.read(client, request, as_of, Stopwatch())
        record = without_disputed(record, memory, self._decks[client.id])
        off = dict.fromkeys(kept.trace.off, SWITCHED_OFF)
        return evaluate(self._rules, gather_facts(record, self._pack.knowledge, as_of), off)

    def _memory(self, client: CdsClient, request: HookRequest, until: datetime | None = None) -> PatientMemory:
        server = self._outbound.reach(client, request.fhir_server or "")
        return self._store.memory(client.id, server.base, request.patient_id, until)

    def _heard(self, client: CdsClient, user: str, off: Mapping[str, str], ask: Callable[..., Advice]) -> Advice:
        """Ask every rule that is not ``off``, count, and take away what is silent for this user (B-52)."""
        spent: dict[str, float] = {}
        live = ask(off, spent)
        self.watch.count(client.id, live.evaluation, spent)
        silent = self._terms[client.id].silent(live.evaluation, user, self._store)
        heard = silenced(live, silent, lambda: ask({**off, **dict.fromkeys(silent, SILENT)})) if silent else live
        return Advice(heard.evaluation, heard.composed, heard.unseen, heard.left_out, off)

    def _without_asking(
        self, client: CdsClient, request: HookRequest, off: Mapping[str, str], as_of: datetime
    ) -> HookAnswer:
        """The answer while every rule is off: nothing is read, every rule says why, whatever the client's profile."""
        said = {"asOf": as_of.isoformat(), "cards": [], "withheld": off, "hookInstance": request.hook_instance}
        kept = self._note(client, "", (), as_of, said)
        every = evaluation_extension.without_asking(self._rules, as_of, self._pack.knowledge.pack_hash, off)
        body = encode(Response(extension={evaluation_extension.NAME: every}))
        return HookAnswer(body, (), {"cards": 0, "withheld": off, "kept": kept})

    def _note(
        self, client: CdsClient, patient: str, cards: Sequence[ShownCard], as_of: datetime, said: Mapping[str, Any]
    ) -> bool:
        said = {**said, "rulePack": self._pack.knowledge.pack_hash, "profile": client.profile}
        try:
            self._store.note_shown(client.id, patient, cards, as_of, said)
        except StoreUnavailable:
            return False
        return True

    def _context(self, client: CdsClient, request: HookRequest, room: int | None) -> CardContext:
        settings = self._settings
        return CardContext(
            request.patient_id,
            request.encounter_id,
            profile_named(client.profile),
            settings.source_label,
            self._links[client.id].source,
            settings.source_icon_url,
            self._links[client.id],
            self._pack.knowledge.pack_hash,
            repeat=client.repeat,
            room=room,
        )


def links_for(client: CdsClient, settings: Settings) -> CardLinks:
    """The links that this client's cards carry: what it can open, at hosts that its entry allows (T26)."""
    explain = f"{settings.public_url.rstrip('/')}/explain" if settings.public_url else None
    timeline = client.timeline_url or settings.timeline_url
    return allowed_links(
        CardLinks(explain, timeline, settings.source_url), profile_named(client.profile), client.link_hosts
    )


def advise(record: PatientRecord, as_of: datetime, pack: RulePack, memory: Memory, context: CardContext) -> Advice:
    """From a record to cards: derive, ask every rule, compose. Pure but for the uuids of the cards."""
    evaluation = evaluate(pack.knowledge.rules, gather_facts(record, pack.knowledge, as_of))
    return Advice(evaluation, compose(evaluation, pack.deck, memory, context))


def _refuse_other_than_r4(request: HookRequest) -> None:
    if not (request.fhir_version or "R4").startswith("R4"):
        raise DataNotAvailable(NOT_R4)


def _undisputed(record: PatientRecord, memory: PatientMemory, deck: CardDeck) -> PatientRecord:
    """The record without what a user called wrong (B-51); a store in trouble leaves nothing out."""
    try:
        return without_disputed(record, memory, deck)
    except StoreUnavailable:
        return record
