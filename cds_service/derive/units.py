"""Values in the unit that a rule writes, by the factors of ``rules/units.toml`` (A-54, A-55, B-74)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

Factors = Mapping[str, Mapping[str, "float | Conversion"]]


class Conversion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A factor as its source writes it. ``only_up_to``: larger values are not in this unit at all (A-54)."""

    times: float = 1
    divide_by: float = 1
    only_up_to: float | None = None


class AlbuminAdjustment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How calcium is read beside albumin (B-34): higher by ``per`` for each ``unit`` of albumin under ``below``.

    An albumin under ``lowest`` is not plausible and counts as none.
    """

    set: str
    unit: str
    below: float
    lowest: float
    per: float
    per_unit: str
    within_days: int


class UnitKnowledge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``rules/units.toml``: ``units.<wanted>.<other>``, and ``by_set`` for factors that hold for one substance only."""

    version: str
    owner: str
    checker: str
    review_by: str
    sources: tuple[str, ...]
    units: Factors
    albumin: AlbuminAdjustment
    by_set: Mapping[str, Factors] = {}

    def value_sets(self) -> tuple[str, ...]:
        """The value sets that this file names."""
        return (*self.by_set, self.albumin.set)

    def convert(self, value: float, unit: str | None, wanted: str, sets: Iterable[str]) -> Converted | None:
        """``value`` in ``wanted``; None where the unit is not known to be convertible (A-54, G14).

        A count or score, ``{score}`` in UCUM, has no unit to write: without one it is taken as it stands.
        """
        if unit == wanted or (unit is None and wanted.startswith("{")):
            return Converted(value, rounds=False)
        if unit is None:
            return None
        factor = self._factor(unit, wanted, sets)
        if factor is None:
            return None
        if not isinstance(factor, Conversion):
            return Converted(value * factor, rounds=factor != 1)
        if factor.only_up_to is not None and value > factor.only_up_to:
            return None
        return Converted(value * factor.times / factor.divide_by, rounds=True)

    def _factor(self, unit: str, wanted: str, sets: Iterable[str]) -> float | Conversion | None:
        general = self.units.get(wanted, {}).get(unit)
        if general is not None:
            return general
        for name in sets:
            own = self.by_set.get(name, {}).get(wanted, {}).get(unit)
            if own is not None:
                return own
        return None


class Converted(msgspec.Struct, frozen=True, gc=False):
    """A value in the wanted unit. ``rounds``: a factor other than 1 was used, so comparison rounds (B-74)."""

    value: float
    rounds: bool

    def rounded(self, decimals: int) -> float:
        """The value to compare with a limit that is written with so many decimals."""
        return round(self.value, decimals) if self.rounds else self.value
