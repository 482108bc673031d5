"""The walk of one call, top to bottom. Read this first.

A CDS Client's request comes in (``web/hooks``) → its data is completed (``prefetch``) → read into one record
(``fhir/reader``) → derived from (``derive``) → asked about (``rule_engine``) → answered with at most three cards
(``cards``) → noted (``store``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, tzinfo

import msgspec

from cds_service.cards.compose import CardContext, Composed, compose, could_not_be_done
from cds_service.cards.memory import Memory
from cds_service.cards.knowledge import CardDeck
from cds_service.cds_hooks.discovery import discovery_document
from cds_service.cds_hooks.feedback import FeedbackItem
from cds_service.cds_hooks.request import HookRequest
from cds_service.cds_hooks.response import Response, encode
from cds_service.errors import DataNotAvailable
from cds_service.evaluation_extension import evaluation_extension
from cds_service.fhir.reader import SourcePayload, read_record
from cds_service.prefetch import Prefetcher
from cds_service.record import PatientRecord, SourceState
from cds_service.rule_engine.evaluate import evaluate
from cds_service.rule_engine.facts import gather_facts
from cds_service.rule_engine.loader import Knowledge
from cds_service.rule_engine.model import Evaluation
from cds_service.settings import CdsClient
from cds_service.store import Store

REQUIRED = ("patient", "conditions")
NOT_HAD = "The patient's conditions or the patient could not be read, so the check could not be done."


class HookAnswer(msgspec.Struct, frozen=True):
    """What goes back: the body, how long each stage took (ms), and what may be logged (no patient data)."""

    body: bytes
    timings: tuple[tuple[str, float], ...]
    log: Mapping[str, object]


class Advice(msgspec.Struct, frozen=True):
    """What the rules say about one record, and the cards made of it."""

    evaluation: Evaluation
    composed: Composed


class CdsService:
    """The parts of the service, met once in ``app.create_app``."""

    def __init__(  # noqa: PLR0913 - the one place where all parts meet
        self,
        *,
        knowledge: Knowledge,
        deck: CardDeck,
        prefetcher: Prefetcher,
        store: Store,
        zone: tzinfo,
        clock: Callable[[], datetime],
    ) -> None:
        self._knowledge = knowledge
        self._deck = deck
        self._prefetcher = prefetcher
        self._store = store
        self._zone = zone
        self._clock = clock

    def discovery(self, client: CdsClient) -> bytes:
        """The discovery document for this client (C6-C15)."""
        return discovery_document(client.profile, self._prefetcher.plan.templates_for(client.profile))

    def call(self, client: CdsClient, request: HookRequest) -> HookAnswer:
        """Answer one patient-view. Raises DataNotAvailable (412) when required data could not be had (P-05)."""
        watch = Stopwatch()
        as_of = self._clock().astimezone(self._zone)
        payloads = self._prefetcher.complete(request, client, as_of)
        watch.lap("data")
        record = read_record(payloads, request.patient_id, vocabulary=self._knowledge.vocabulary, as_of=as_of)
        watch.lap("read")
        memory = self._store.memory(client.id, request.fhir_server or "", request.patient_id)
        advice = advise(record, as_of, self._knowledge, self._deck, memory, card_context(request, client))
        watch.lap("rules")
        refuse_without_required(record, advice, client)
        self._store.note_shown(client.id, memory.patient, advice.composed.shown, as_of)
        watch.lap("store")
        body = encode(response_of(advice, self._knowledge))
        watch.lap("encode")
        return HookAnswer(body, watch.laps, log_of(advice))

    def feedback(self, client: CdsClient, items: tuple[FeedbackItem, ...]) -> Mapping[str, int]:
        """Keep what became of cards; repeats and unknown cards are counted and have no effect (P-22)."""
        return self._store.record_feedback(client.id, items, self._clock())


def advise(
    record: PatientRecord, as_of: datetime, knowledge: Knowledge, deck: CardDeck, memory: Memory, context: CardContext
) -> Advice:
    """From a record to cards: derive, ask every rule, compose. Pure but for the card uuids."""
    evaluation = evaluate(knowledge.rules, gather_facts(record, knowledge, as_of))
    return Advice(evaluation, compose(evaluation, deck, memory, context))
