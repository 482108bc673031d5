"""Entries by value set: in the order of the record, each once, active ones apart."""

from __future__ import annotations

from cds_service.derive.index import RecordIndex, setting_key
from cds_service.record import PatientRecord, VisitEntry
from tests.unit.rule_engine.charts import NOW, condition, on

A = condition("weakness", onset=1)
B = condition("sensory", "weakness", onset=2)
C = condition("sensory", onset=3, clinical_status="resolved")
INDEX = RecordIndex(PatientRecord("p", conditions=(A, B, C)), NOW)


def test_entries_of_several_sets_come_once_and_in_order() -> None:
    assert INDEX.conditions.of(("sensory", "weakness")) == [A, B, C]
    assert INDEX.conditions.of(("weakness",)) == [A, B]
    assert INDEX.conditions.of(("syncope",)) == []
    assert INDEX.conditions.of(()) == []


def test_resolved_entries_are_not_among_the_active() -> None:
    assert INDEX.active_conditions.of(("sensory",)) == [B]


def test_visits_are_found_by_setting_and_specialty() -> None:
    visit = VisitEntry(
        "E/1", "Encounter", "finished", setting="IMP", specialties=frozenset({"specialty-neurology"}), start=on(3)
    )
    bare = VisitEntry("E/2", "Encounter", "finished", start=on(3))
    index = RecordIndex(PatientRecord("p", visits=(visit, bare)), NOW)
    assert index.visits.of((setting_key("IMP"),)) == [visit]
    assert index.visits.of(("specialty-neurology", setting_key("IMP"))) == [visit]
