"""The store keeps what was shown and answered, per client and patient, and names no patient."""

import stat
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import create_engine, text

from cds_service.cds_hooks.feedback import FeedbackItem
from cds_service.errors import SettingsError
from cds_service.fhir.versions import ResourceVersion
from cds_service.rule_engine.trace import CardTrace, RuleTrace
from cds_service.store import Store
from tests.unit.store.conftest import OpenStore

NOW = datetime(2026, 11, 27, 10, 0, tzinfo=UTC)
FHIR = "https://fhir.example/r4"
RULE = "steroid-myopathy"
EVIDENCE = "F1|GC2|2026-09-01"
CARD = "4e0a3a1e-3065-4142-ba52-1d5e2f1e4f6a"
LATER_CARD = "9c5b94b1-35ad-49bb-b118-8e8fc24abf80"
SUGGESTION = "0c1f7f3e-6a0f-4d37-8b2c-2f3c9e0f9f10"


class Shown(msgspec.Struct, frozen=True):
    """A card with two rules, as the store notes it."""

    uuid: str = CARD
    rules: tuple[tuple[str, str], ...] = ((RULE, "1.0.0"), ("unexplained-weakness", "1.2.0"))
    evidence: tuple[tuple[str, str], ...] = ((RULE, EVIDENCE), ("unexplained-weakness", "F1"))
    indicator: str = "warning"
    suggestions: Mapping[str, str] = msgspec.field(default_factory=lambda: {SUGGESTION: "ck"})
    cited: tuple[tuple[str, str], ...] = ()
    trace: CardTrace | None = None


ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # what is about its file


def show(store: Store, *cards: Shown, client: str = "ehr", patient: str = "p1", at: datetime = NOW) -> None:
    store.note_shown(client, store.memory(client, FHIR, patient).patient, cards, at)


def overridden(at: datetime, card: str = CARD, code: str = "will-monitor", comment: str | None = None) -> FeedbackItem:
    return FeedbackItem(card, "overridden", at, reason_code=code, reason_system="urn:x", comment=comment)


def test_a_patient_never_seen_has_no_memory(store: Store) -> None:
    memory = store.memory("ehr", FHIR, "p1")

    assert memory.answer(RULE, EVIDENCE) is None
    assert memory.first_shown(RULE, EVIDENCE) is None


def test_a_16_a_card_that_was_only_shown_has_no_answer(store: Store) -> None:
    show(store, Shown())

    assert store.memory("ehr", FHIR, "p1").answer(RULE, EVIDENCE) is None


def test_a_16_an_answer_counts_for_every_rule_of_the_card(store: Store) -> None:
    show(store, Shown())
    store.record_feedback("ehr", [overridden(NOW)], NOW)

    memory = store.memory("ehr", FHIR, "p1")
    for rule, evidence in Shown().evidence:
        answer = memory.answer(rule, evidence)
        assert answer is not None
        assert (answer.card, answer.outcome, answer.reason_code, answer.at) == (CARD, "overridden", "will-monitor", NOW)


def test_b_51_other_evidence_is_not_answered(store: Store) -> None:
    show(store, Shown())
    store.record_feedback("ehr", [overridden(NOW)], NOW)

    memory = store.memory("ehr", FHIR, "p1")
    assert memory.answer(RULE, "F2|GC2|2026-09-01") is None
    assert memory.answer("unexplained-weakness", EVIDENCE) is None


@pytest.mark.parametrize(
    ("client", "base", "patient"), [("other", FHIR, "p1"), ("ehr", "https://other.example", "p1"), ("ehr", FHIR, "p2")]
)
def test_t24_memory_is_one_patients_at_one_client(store: Store, client: str, base: str, patient: str) -> None:
    show(store, Shown())
    store.record_feedback("ehr", [overridden(NOW)], NOW)

    assert store.memory(client, base, patient).answer(RULE, EVIDENCE) is None


def test_the_latest_answer_counts_in_whatever_order_they_arrive(store: Store) -> None:
    show(store, Shown(), Shown(LATER_CARD, suggestions={}))
    newer = overridden(NOW, LATER_CARD, code="under-specialist-care")
    older = overridden(NOW - timedelta(days=2))

    store.record_feedback("ehr", [newer, older], NOW)

    answer = store.memory("ehr", FHIR, "p1").answer(RULE, EVIDENCE)
    assert answer is not None
    assert answer.reason_code == "under-specialist-care"


def test_an_accepted_suggestion_is_remembered_as_its_order(store: Store) -> None:
    show(store, Shown())
    store.record_feedback("ehr", [FeedbackItem(CARD, "accepted", NOW, (SUGGESTION, LATER_CARD))], NOW)

    answer = store.memory("ehr", FHIR, "p1").answer(RULE, EVIDENCE)
    assert answer is not None
    assert answer.accepted_orders == ("ck",)


def test_an_answer_dated_ahead_of_us_counts_from_when_we_heard_of_it(store: Store) -> None:
    show(store, Shown())
    store.record_feedback("ehr", [overridden(NOW + timedelta(hours=20))], NOW)

    answer = store.memory("ehr", FHIR, "p1").answer(RULE, EVIDENCE)
    assert answer is not None
    assert answer.at == NOW


def test_b_25_when_evidence_was_first_shown(store: Store) -> None:
    show(store, Shown(), at=NOW - timedelta(hours=30))
    show(store, Shown(LATER_CARD), at=NOW)

    assert store.memory("ehr", FHIR, "p1").first_shown(RULE, EVIDENCE) == NOW - timedelta(hours=30)


def test_a_16_the_newest_card_with_an_evidence_and_what_it_was(store: Store) -> None:
    show(store, Shown(indicator="critical"), at=NOW - timedelta(hours=30))
    show(store, Shown(LATER_CARD, indicator="info"), at=NOW)

    memory = store.memory("ehr", FHIR, "p1")
    assert memory.last_shown(RULE, EVIDENCE) == (NOW, "info")
    assert memory.last_shown(RULE, "F2") is None


VERSION = ResourceVersion("Condition/c1", "1\nweakness")
WRONG = frozenset({"data-wrong"})


def is_disputed(store: Store, version: ResourceVersion = VERSION, client: str = "ehr", patient: str = "p1") -> bool:
    disputed = store.memory(client, FHIR, patient).disputed(WRONG)
    return disputed is not None and disputed(version)


def test_b_51_what_a_card_cites_is_disputed_when_its_answer_calls_the_data_wrong(store: Store) -> None:
    show(store, Shown(cited=(VERSION,)))
    assert store.memory("ehr", FHIR, "p1").disputed(WRONG) is None
    store.record_feedback("ehr", [overridden(NOW, code="data-wrong")], NOW)

    assert is_disputed(store)
    assert not is_disputed(store, ResourceVersion("Condition/c1", "2\nweakness"))
    assert not is_disputed(store, ResourceVersion("Condition/c2", "1\nweakness"))


def test_t24_it_is_disputed_for_one_patient_at_one_client(store: Store) -> None:
    """A resource of the same name and version is another one elsewhere."""
    show(store, Shown(cited=(VERSION,)))
    show(store, Shown(LATER_CARD, cited=(VERSION,)), patient="p2")
    store.record_feedback("ehr", [overridden(NOW, code="data-wrong")], NOW)

    assert not is_disputed(store, patient="p2")
    assert not is_disputed(store, client="other")


@pytest.mark.parametrize(("later", "disputed"), [("will-monitor", False), ("data-wrong", True)])
def test_the_newest_answer_to_the_card_decides(store: Store, later: str, disputed: bool) -> None:
    show(store, Shown(cited=(VERSION,)))
    store.record_feedback("ehr", [overridden(NOW - timedelta(hours=1), code="data-wrong")], NOW)
    store.record_feedback("ehr", [overridden(NOW, code=later)], NOW)

    assert is_disputed(store) is disputed


def test_an_answer_to_another_card_does_not_take_it_back(store: Store) -> None:
    show(store, Shown(cited=(VERSION,)), Shown(LATER_CARD, cited=(VERSION,)))
    store.record_feedback("ehr", [overridden(NOW - timedelta(hours=1), code="data-wrong")], NOW)
    store.record_feedback("ehr", [overridden(NOW, LATER_CARD)], NOW)

    assert is_disputed(store)


@ON_SQLITE
def test_p_33_what_a_card_cites_is_not_in_the_files(store: Store, tmp_path: Path) -> None:
    show(store, Shown(cited=(ResourceVersion("Condition/canary-id", "canary-version"),)))
    store.close()

    assert b"canary" not in b"".join(file.read_bytes() for file in (tmp_path / "var").iterdir())


def test_p_22_what_became_of_a_batch_is_counted(store: Store) -> None:
    show(store, Shown())
    show(store, Shown(LATER_CARD), client="other")
    batch = [overridden(NOW), overridden(NOW), overridden(NOW, LATER_CARD), overridden(NOW, SUGGESTION)]

    assert store.record_feedback("ehr", batch, NOW) == {"stored": 1, "repeated": 1, "unknown": 2}
    assert store.record_feedback("ehr", batch, NOW) == {"stored": 0, "repeated": 2, "unknown": 2}


def test_c67_a_thousand_cards_in_one_batch(store: Store) -> None:
    cards = [f"00000000-0000-4000-8000-{number:012d}" for number in range(1000)]
    show(store, *(Shown(card, suggestions={}) for card in cards))

    counts = store.record_feedback("ehr", [overridden(NOW, card) for card in cards], NOW)

    assert counts == {"stored": 1000, "repeated": 0, "unknown": 0}


def test_nothing_shown_and_nothing_reported_is_no_error(store: Store) -> None:
    show(store)

    assert store.record_feedback("ehr", [], NOW) == {"stored": 0, "repeated": 0, "unknown": 0}


def comments(database_url: str) -> list[str | None]:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        found = list(connection.execute(text("SELECT comment FROM feedback")).scalars())
    engine.dispose()
    return found


def test_p_22_a_comment_is_not_stored(store: Store, database_url: str) -> None:
    show(store, Shown())
    store.record_feedback("ehr", [overridden(NOW, comment="canary")], NOW)

    assert comments(database_url) == [None]


def test_t20_a_comment_is_stored_escaped_where_the_site_asks_for_it(open_store: OpenStore, database_url: str) -> None:
    store = open_store(keep_comments=True)
    store.migrate()
    show(store, Shown())
    store.record_feedback("ehr", [overridden(NOW, comment="<b>'seen'</b>")], NOW)

    assert comments(database_url) == ["&lt;b&gt;&#x27;seen&#x27;&lt;/b&gt;"]


TRACE = CardTrace(
    "0" * 64, "3", (RuleTrace(RULE, "1.0.0", "lead", "warning", "a-way", {"weak": ("canary-mark",)}, ("known",)),)
)


def test_why_a_card_was_shown_is_kept_for_its_client_alone(store: Store) -> None:
    show(store, Shown(trace=TRACE))

    kept = store.shown_card("ehr", CARD)
    assert kept is not None
    assert kept.trace == TRACE.keyed(store.fingerprint)
    assert (kept.shown_at, kept.patient) == (NOW, store.memory("ehr", FHIR, "p1").patient)
    assert store.shown_card("other", CARD) is None
    assert store.shown_card("ehr", LATER_CARD) is None


def test_a_card_from_before_traces_were_kept_has_none(store: Store) -> None:
    show(store, Shown())

    assert store.shown_card("ehr", CARD) is None


def test_a_purge_removes_why_a_card_was_shown(store: Store) -> None:
    show(store, Shown(trace=TRACE))
    store.purge(NOW + timedelta(days=1), NOW)

    assert store.shown_card("ehr", CARD) is None


@ON_SQLITE
def test_p_33_neither_patient_nor_evidence_is_in_the_files(store: Store, tmp_path: Path) -> None:
    show(store, Shown(evidence=((RULE, "canary-evidence"),), trace=TRACE), patient="canary-patient")
    store.record_feedback("ehr", [overridden(NOW)], NOW)
    store.close()

    written = b"".join(file.read_bytes() for file in (tmp_path / "var").iterdir())
    assert b"steroid-myopathy" in written  # what we look for would be found
    assert b"canary" not in written
    assert b"fhir.example" not in written


@ON_SQLITE
def test_only_the_owner_can_read_the_files(database_url: str, tmp_path: Path) -> None:
    store = Store(database_url)
    store.migrate()
    show(store, Shown())

    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700
    for file in (tmp_path / "var").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


def test_a_new_store_on_the_same_database_remembers(store: Store, open_store: OpenStore) -> None:
    show(store, Shown())
    store.record_feedback("ehr", [overridden(NOW)], NOW)
    store.close()

    again = open_store()
    again.migrate()
    assert again.memory("ehr", FHIR, "p1").answer(RULE, EVIDENCE) is not None
    assert [answer.at for answer in again.feedback_about(CARD)] == [NOW]


def test_a_store_in_memory_works_for_every_thread() -> None:
    store = Store("sqlite://")
    store.migrate()
    show(store, Shown())
    store.record_feedback("ehr", [overridden(NOW)], NOW)

    assert store.memory("ehr", FHIR, "p1").answer(RULE, EVIDENCE) is not None
    store.close()


@pytest.mark.parametrize("written", ["", "cds.db", "mysql://localhost/cds", "://"])
def test_a_database_that_cannot_be_used_stops_the_start(written: str) -> None:
    with pytest.raises(SettingsError, match="ATROPHY_CDS_DATABASE_URL"):
        Store(written)


def test_postgresql_needs_a_key_that_its_processes_share() -> None:
    with pytest.raises(SettingsError, match="ATROPHY_CDS_KEY_FILE"):
        Store("postgresql+psycopg://localhost/cds")
