"""What a code means to us: value sets, sites of the body, steroid products. Filled from ``rules/``, never from here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

import msgspec

Side = Literal["left", "right", "bilateral"]
Limb = Literal["upper", "lower"]

NO_SETS: frozenset[str] = frozenset()
_MEMO_LIMIT = 50_000


class Coding(NamedTuple):
    """One code and the system it belongs to. Displays are never compared."""

    system: str
    code: str

    def __str__(self) -> str:
        return f"{self.system}|{self.code}"


class Site(msgspec.Struct, frozen=True, gc=False):
    """Where on the body: side and limb, each None when not said."""

    side: Side | None = None
    limb: Limb | None = None


NOWHERE = Site()


class SteroidProduct(msgspec.Struct, frozen=True, gc=False):
    """What a medication code says about a glucocorticoid.

    ``strength_mg`` is mg of the ingredient per ``unit`` (a tablet, a mL), None when the code names no strength.
    ``systemic`` is True (oral or injected into the circulation), False (inhaled, on the skin, in a joint ...)
    or None where the code leaves the route open.
    """

    ingredient: str
    strength_mg: float | None = None
    unit: str | None = None
    form: str | None = None
    systemic: bool | None = None


class ValueSets:
    """Which value sets a code belongs to: by exact code, or by declared prefix for ICD-10-CM (trap 1: G35 is G35.A-D).

    ``exact`` maps a Coding to the names of its sets; ``prefixes`` maps a system to pairs of dotless prefix and names.
    ``known_systems`` are further systems whose codes we would know. Answers are remembered: charts repeat codes.
    """

    def __init__(
        self,
        exact: Mapping[Coding, frozenset[str]],
        prefixes: Mapping[str, Iterable[tuple[str, frozenset[str]]]],
        system_aliases: Mapping[str, str],
        known_systems: Iterable[str] = (),
    ) -> None:
        self._prefixes = {system: tuple(pairs) for system, pairs in prefixes.items()}
        self._exact = {self._key(*coding): names for coding, names in exact.items()}
        self._aliases = dict(system_aliases)
        systems = {c.system for c in exact} | set(self._prefixes)
        self.known_systems = frozenset(systems | set(system_aliases) | set(known_systems))
        self._memo: dict[tuple[str, str], frozenset[str]] = {}

    def of(self, system: str, code: str) -> frozenset[str]:
        """Names of the value sets that hold this code; empty when none does."""
        key = (system, code)
        found = self._memo.get(key)
        if found is None:
            if len(self._memo) >= _MEMO_LIMIT:
                self._memo.clear()
            found = self._memo[key] = self._look_up(system, code)
        return found

    def coding(self, system: str, code: str) -> Coding:
        """The coding under our name for its system: OIDs and other known spellings become the FHIR URI."""
        return Coding(self._aliases.get(system, system), code)

    def _look_up(self, system: str, code: str) -> frozenset[str]:
        system = self._aliases.get(system, system)
        key = self._key(system, code)
        found = self._exact.get(key, NO_SETS)
        for prefix, names in self._prefixes.get(system, ()):
            if key[1].startswith(prefix):
                found |= names
        return found

    def _key(self, system: str, code: str) -> tuple[str, str]:
        """Systems with prefixes (ICD-10-CM) are compared without dots: some charts leave them out."""
        return (system, code.replace(".", "").upper() if system in self._prefixes else code)


class Sites(Mapping[Coding, Site]):
    """The site that a code means: by exact code, else by the longest declared prefix. Iterates over the exact codes."""

    def __init__(self, exact: Mapping[Coding, Site], prefixes: Mapping[Coding, Site]) -> None:
        self._exact = dict(exact)
        self._prefixes = dict(prefixes)
        self._longest = max((len(c.code) for c in prefixes), default=0)

    def __getitem__(self, coding: Coding) -> Site:
        found = self._exact.get(coding)
        if found is not None:
            return found
        for length in range(min(self._longest, len(coding.code)), 0, -1):
            found = self._prefixes.get(Coding(coding.system, coding.code[:length]))
            if found is not None:
                return found
        raise KeyError(coding)

    def __iter__(self) -> Iterator[Coding]:
        return iter(self._exact)

    def __len__(self) -> int:
        return len(self._exact)


class Vocabulary(msgspec.Struct, frozen=True):
    """All that reading a record needs to know about codes.

    ``steroid_names`` maps a lower-case ingredient name to the ingredient, for medications that come as text only
    (A-07: such an entry is uncertain and never raises a level above GC1); ``local_route_words`` are lower-case words
    ("cream", "inhaler") that make such a text a local product.
    ``specialty_names`` maps an exact lower-case text to the name of a specialty set (B-09).
    ``route_names`` maps an exact lower-case text of a route or dose form ("by mouth") to value sets;
    ``care_plan_words`` a lower-case word of a plan's title or activity to value sets (A-43, A-56).
    """

    value_sets: ValueSets
    sites: Mapping[Coding, Site]
    steroid_products: Mapping[Coding, SteroidProduct]
    steroid_names: Mapping[str, str]
    local_route_words: frozenset[str]
    specialty_names: Mapping[str, str]
    route_names: Mapping[str, frozenset[str]] = {}
    care_plan_words: Mapping[str, frozenset[str]] = {}
