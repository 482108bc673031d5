"""B-51: in which version a resource was read; a record without some of its resources names them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.coding import Coding
from cds_service.fhir.versions import Versions, without
from cds_service.record import (
    ActivityEntry,
    ConditionEntry,
    ObservationEntry,
    PatientRecord,
    Source,
    SourceState,
    VisitEntry,
)

WEAKNESS = ConditionEntry("Condition/c1", frozenset({"weakness", "finding"}), Coding("urn:x", "1"), "Weakness")
PANEL = [
    ObservationEntry("Observation/o1", frozenset({"systolic"}), None, "", value=120.0),
    ObservationEntry("Observation/o1", frozenset({"diastolic"}), None, "", value=80.0),
]


def record(*, meta: Any = None, **entries: Any) -> PatientRecord:
    metas = {} if meta is None else {"Condition/c1": msgspec.Raw(msgspec.json.encode(meta))}
    names = ("conditions", "observations", "procedures", "orders", "encounters", "appointments")
    sources = {name: Source(name, "prefetch", SourceState.COMPLETE) for name in names}
    return PatientRecord("p1", metas=metas, sources=sources, **{k: tuple(v) for k, v in entries.items()})


def version(**fields: Any) -> str:
    found = Versions(record(**fields)).of("Condition/c1")
    assert found is not None
    return found.version


def test_another_version_id_is_another_version() -> None:
    one, two = ({"versionId": n, "lastUpdated": "2026-01-01T00:00:00Z"} for n in "12")
    assert version(conditions=[WEAKNESS], meta=one) == version(conditions=[WEAKNESS], meta=one)
    assert version(conditions=[WEAKNESS], meta=one) != version(conditions=[WEAKNESS], meta=two)


def test_without_a_version_id_the_time_of_the_change_counts() -> None:
    one, two = ({"lastUpdated": f"2026-01-0{n}T00:00:00Z"} for n in "12")
    assert version(conditions=[WEAKNESS], meta=one) != version(conditions=[WEAKNESS], meta=two)


@pytest.mark.parametrize("meta", [None, {}, [], 7, "x", {"versionId": None}, {"versionId": {"odd": []}}])
def test_what_was_read_counts_whatever_meta_is(meta: Any) -> None:
    resolved = msgspec.structs.replace(WEAKNESS, clinical_status="resolved")
    assert version(conditions=[WEAKNESS], meta=meta) == version(conditions=[WEAKNESS], meta=meta)
    assert version(conditions=[WEAKNESS], meta=meta) != version(conditions=[resolved], meta=meta)


@given(st.lists(st.text(min_size=1), unique=True, min_size=2))
def test_the_order_of_value_sets_does_not_matter(names: list[str]) -> None:
    one, other = (msgspec.structs.replace(WEAKNESS, sets=frozenset(order)) for order in (names, names[::-1]))
    assert version(conditions=[one]) == version(conditions=[other])


def test_all_parts_of_a_panel_are_one_resource() -> None:
    changed = [PANEL[0], msgspec.structs.replace(PANEL[1], value=81.0)]
    (before,) = Versions(record(observations=PANEL)).all()
    (after,) = Versions(record(observations=changed)).all()
    assert before.reference == after.reference == "Observation/o1"
    assert before.version != after.version


@pytest.mark.parametrize("reference", ["Condition", "Condition/unknown", ""])
def test_what_no_reference_names_alone_has_no_version(reference: str) -> None:
    anonymous = msgspec.structs.replace(WEAKNESS, reference="Condition")
    assert Versions(record(conditions=[anonymous, WEAKNESS])).of(reference) is None


def test_what_is_left_out_is_gone_and_named_where_it_came_from() -> None:
    surgery = ActivityEntry("urn:uuid:4e0a3a1e-3065-4142-ba52-1d5e2f1e4f6a", "Procedure", frozenset({"x"}), None, "")
    order = ActivityEntry("ServiceRequest/s1", "ServiceRequest", frozenset({"x"}), None, "")
    visit = VisitEntry("Encounter/e1", "Encounter", "finished")
    whole = record(conditions=[WEAKNESS], observations=PANEL, activities=[surgery, order], visits=[visit])

    left = without(whole, frozenset({surgery.reference, "Observation/o1", "Encounter/e1"}), "called-wrong")

    assert (left.conditions, left.observations, left.activities, left.visits) == ((WEAKNESS,), (), (order,), ())
    named = {name: [(s.reference, s.reason) for s in source.set_aside] for name, source in left.sources.items()}
    assert {name: noted for name, noted in named.items() if noted} == {
        "procedures": [(surgery.reference, "called-wrong")],
        "observations": [("Observation/o1", "called-wrong")],
        "encounters": [("Encounter/e1", "called-wrong")],
    }
    assert {source.state for source in left.sources.values()} == {SourceState.COMPLETE}  # it was seen, and judged
