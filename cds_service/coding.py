"""What a code means to us: value sets, sites of the body, steroid products. Filled from ``rules/``, never from here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Literal, NamedTuple, get_args

import msgspec

Side = Literal["left", "right", "bilateral"]
Limb = Literal["upper", "lower"]

NO_SETS: frozenset[str] = frozenset()
_MEMO_LIMIT = 50_000
_LONGEST_REMEMBERED = 200


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

    def same_places(self) -> Iterator[Site]:
        """The sites that may be the same place: of this side, and of this limb where both name one (B-01)."""
        for limb in (None, *get_args(Limb)) if self.limb is None else (None, self.limb):
            yield Site(self.side, limb)


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


NO_PREFIXES: Mapping[int, Mapping[str, frozenset[str]]] = {}


class ValueSets:
    """Which value sets a code belongs to: by exact code, or by declared prefix for ICD-10-CM (trap 1: G35 is G35.A-D).

    ``exact`` maps a Coding to the names of its sets; ``prefixes`` maps a system to pairs of dotless prefix and names.
    ``known_systems`` are further systems whose codes we would know.
    """

    def __init__(
        self,
        exact: Mapping[Coding, frozenset[str]],
        prefixes: Mapping[str, Iterable[tuple[str, frozenset[str]]]],
        system_aliases: Mapping[str, str],
        known_systems: Iterable[str] = (),
    ) -> None:
        self._prefixes = {system: _by_length(pairs) for system, pairs in prefixes.items()}
        self._exact = {self._key(*coding): names for coding, names in exact.items()}
        self._aliases = dict(system_aliases)
        systems = {c.system for c in exact} | set(self._prefixes)
        self.known_systems = frozenset(systems | set(system_aliases) | set(known_systems))

    def of(self, system: str, code: str) -> frozenset[str]:
        """Names of the value sets that hold this code; empty when none does."""
        system = self._aliases.get(system, system)
        key = self._key(system, code)
        found = self._exact.get(key, NO_SETS)
        for length, names_of in self._prefixes.get(system, NO_PREFIXES).items():
            found |= names_of.get(key[1][:length], NO_SETS)
        return found

    def coding(self, system: str, code: str) -> Coding:
        """The coding under our name for its system: OIDs and other known spellings become the FHIR URI."""
        return Coding(self._aliases.get(system, system), code)

    def _key(self, system: str, code: str) -> tuple[str, str]:
        """Systems with prefixes (ICD-10-CM) are compared without dots: some charts leave them out."""
        return (system, code.replace(".", "").upper() if system in self._prefixes else code)


def _by_length(pairs: Iterable[tuple[str, frozenset[str]]]) -> Mapping[int, Mapping[str, frozenset[str]]]:
    """Prefixes by their length, so that a code is looked up a few times and not compared with every one of them."""
    found: dict[int, dict[str, frozenset[str]]] = {}
    for prefix, names in pairs:
        same = found.setdefault(len(prefix), {})
        same[prefix] = same.get(prefix, NO_SETS) | names
    return found


class Sites(Mapping[Coding, Site]):
    """The site that a code means: by exact code, else by the longest declared prefix. Iterates over the exact codes."""

    def __init__(self, exact: Mapping[Coding, Site], prefixes: Mapping[Coding, Site]) -> None:
        self._exact = dict(exact)
        self._prefixes = dict(prefixes)
        self._longest = max((len(c.code) for c in prefixes), default=0)

    def find(self, coding: Coding) -> Site | None:
        """The site of a code, None when it names none."""
        return self._exact.get(coding) or self._by_prefix(coding)

    def _by_prefix(self, coding: Coding) -> Site | None:
        system, code = coding
        lengths = range(min(self._longest, len(code)), 0, -1)
        return next((s for n in lengths if (s := self._prefixes.get(Coding(system, code[:n]))) is not None), None)

    def __getitem__(self, coding: Coding) -> Site:
        found = self.find(coding)
        if found is None:
            raise KeyError(coding)
        return found

    def __iter__(self) -> Iterator[Coding]:
        return iter(self._exact)

    def __len__(self) -> int:
        return len(self._exact)


class CodeCertainty(StrEnum):
    """How surely a code says what an entry is about. No map between code systems is used, so nothing stands between."""

    EXACT = "exact"
    BY_REFERENCE = "by-reference"  # a code of the Medication that the entry refers to
    TEXT = "text"  # words alone: such an entry never raises a card above info


class CodeMeaning(msgspec.Struct, frozen=True, gc=False):
    """All that one code means. ``sets`` is None when nobody knows its system, empty when its system is known.

    ``coding`` stands under our name for the system.
    """

    sets: frozenset[str] | None
    coding: Coding
    site: Site | None
    product: SteroidProduct | None


class Vocabulary(msgspec.Struct, frozen=True):
    """All that reading a record needs to know about codes.

    ``steroid_names`` maps a lower-case ingredient name to the ingredient, for medications that come as text only
    (A-07: such an entry is uncertain and never raises a level above GC1); ``local_route_words`` are lower-case words
    ("cream", "inhaler") that make such a text a local product.
    ``specialty_names`` maps an exact lower-case text to the name of a specialty set (B-09).
    ``route_names`` maps an exact lower-case text of a route or dose form ("by mouth") to value sets;
    ``care_plan_words`` a lower-case word of a plan's title or activity to value sets (A-43, A-56).
    ``milligrams`` maps a lower-case unit of mass to how many mg one of it is; ``timing_names`` a lower-case timing code
    or its display to that code. ``remembered`` is filled by ``meaning``.
    """

    value_sets: ValueSets
    sites: Sites
    steroid_products: Mapping[Coding, SteroidProduct]
    steroid_names: Mapping[str, str]
    local_route_words: frozenset[str]
    specialty_names: Mapping[str, str]
    route_names: Mapping[str, frozenset[str]] = {}
    care_plan_words: Mapping[str, frozenset[str]] = {}
    milligrams: Mapping[str, float] = {}
    timing_names: Mapping[str, Coding] = {}
    remembered: dict[tuple[str | None, str], CodeMeaning] = msgspec.field(default_factory=dict)

    def meaning(self, system: str | None, code: str) -> CodeMeaning:
        """What a code means, as it is written in a chart. Look in ``remembered`` first: charts repeat codes."""
        named = system or ""
        coding = self.value_sets.coding(named, code)
        known = system is not None and system in self.value_sets.known_systems
        sets = self.value_sets.of(named, code) if known else None
        found = CodeMeaning(sets, coding, self.sites.get(coding), self.steroid_products.get(coding))
        if len(named) + len(code) <= _LONGEST_REMEMBERED:  # no more memory for a chart of endless codes
            if len(self.remembered) >= _MEMO_LIMIT:
                self.remembered.clear()
            self.remembered[(system, code)] = found
        return found
