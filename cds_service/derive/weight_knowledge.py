"""What ``rules/weight.toml`` says about reading weights."""

from __future__ import annotations

import msgspec


class Explains(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that makes a loss intended or explained; ``within_days`` of its onset or date."""

    says: str
    sets: tuple[str, ...]
    within_days: int | None = None


class WeightKnowledge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``rules/weight.toml``; what each number means stands there."""

    version: str
    owner: str
    checker: str
    review_by: str
    sources: tuple[str, ...]
    weight_set: str
    height_set: str
    bmi_set: str
    latest_within_days: int
    reference_from_days: int
    reference_to_days: int
    series_days: int
    median_reference_sets: tuple[str, ...]
    breaks_series_sets: tuple[str, ...]
    outlier_percent: float
    outlier_days: int
    pounds_per_kilogram: float
    pound_slip_percent: float
    bmi_lowest: float
    bmi_highest: float
    bmi_within_days: int
    adult_height_age: int
    young_height_within_days: int
    low_percent: float
    low_apart_days: int
    stable_percent: float
    stable_days: int
    unintended_sets: tuple[str, ...]
    explains: tuple[Explains, ...]

    def value_sets(self) -> tuple[str, ...]:
        """The value sets that this file names."""
        named = (self.weight_set, self.height_set, self.bmi_set)
        explaining = tuple(name for one in self.explains for name in one.sets)
        return (*named, *self.median_reference_sets, *self.breaks_series_sets, *self.unintended_sets, *explaining)
