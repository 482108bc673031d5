"""The entries of one record by value set, so that no question scans the whole chart. Built at most once per kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Generic, TypeVar

from cds_service.derive.conditions import is_active
from cds_service.record import (
    ActivityEntry,
    ConditionEntry,
    MedicationEntry,
    ObservationEntry,
    PatientRecord,
    VisitEntry,
)

E = TypeVar("E")


class BySet(Generic[E]):
    """Entries of one kind under each of the sets that ``sets_of`` names, in the order of the record."""

    def __init__(self, entries: Sequence[E], sets_of: Callable[[E], Iterable[str]]) -> None:
        self._entries = entries
        self._places: dict[str, list[int]] = {}
        places = self._places
        for place, entry in enumerate(entries):
            for name in sets_of(entry):
                if name in places:
                    places[name].append(place)
                else:
                    places[name] = [place]

    def of(self, names: Iterable[str]) -> list[E]:
        """The entries of any of these sets, each once."""
        found = [places for name in names if (places := self._places.get(name)) is not None]
        if not found:
            return []
        entries = self._entries
        if len(found) == 1:
            return [entries[place] for place in found[0]]
        return [entries[place] for place in sorted({place for places in found for place in places})]


class RecordIndex:
    """Looks entries of one patient up by value set, and knows which Conditions are active."""

    def __init__(self, record: PatientRecord, as_of: datetime) -> None:
        self.record = record
        self.as_of = as_of

    @cached_property
    def conditions(self) -> BySet[ConditionEntry]:
        """All Conditions, whatever their status."""
        return BySet(self.record.conditions, lambda entry: entry.sets)

    @cached_property
    def active_conditions(self) -> BySet[ConditionEntry]:
        """The Conditions that count as active (activeC)."""
        active = [entry for entry in self.record.conditions if is_active(entry, self.as_of)]
        return BySet(active, lambda entry: entry.sets)

    @cached_property
    def observations(self) -> BySet[ObservationEntry]:
        """Results and measurements."""
        return BySet(self.record.observations, lambda entry: entry.sets)

    @cached_property
    def activities(self) -> BySet[ActivityEntry]:
        """Procedures, reports, orders and plans by what they are."""
        return BySet(self.record.activities, lambda entry: entry.sets)

    @cached_property
    def activities_for(self) -> BySet[ActivityEntry]:
        """Procedures, reports, orders and plans by what they are or whom they ask."""
        return BySet(self.record.activities, lambda entry: entry.sets | entry.specialties)

    @cached_property
    def medications(self) -> BySet[MedicationEntry]:
        """Medications of all four kinds."""
        return BySet(self.record.medications, lambda entry: entry.sets)

    @cached_property
    def visits(self) -> BySet[VisitEntry]:
        """Encounters and Appointments by specialty, by what they were, and by setting."""
        return BySet(
            self.record.visits,
            lambda entry: (
                entry.sets | entry.specialties | {setting_key(entry.setting)}
                if entry.setting
                else entry.sets | entry.specialties
            ),
        )


def setting_key(setting: str) -> str:
    """The name under which visits of a setting (v3 ActCode) are kept."""
    return f"setting:{setting}"
