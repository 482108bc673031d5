"""What ``rules/steroids.toml`` says about systemic glucocorticoids, as frozen values named like its keys."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cds_service.coding import Coding
from cds_service.derive.pregnancy import PregnancyWindow


class Ingredients(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Groups of ingredients, by their names in ``equivalents``."""

    fluorinated: frozenset[str]
    equivalence_disputed: frozenset[str]
    route_uncertain: frozenset[str]


class Systemic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Words or value sets that say systemic or local."""

    systemic: frozenset[str]
    local: frozenset[str]


class Routes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Words or value sets by the way a drug is given."""

    oral: frozenset[str]
    intravenous: frozenset[str]
    injected: frozenset[str]
    local: frozenset[str]

    @property
    def systemic(self) -> frozenset[str]:
        """All ways that reach the whole body."""
        return self.oral | self.intravenous | self.injected


class ProductForms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Forms of product codes that say how a drug is given where no route is said."""

    oral: frozenset[str]
    injected: frozenset[str]


class CountedStatus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Status values that count, by resource type (section 5, step 2; B-31)."""

    MedicationStatement: frozenset[str]
    MedicationRequest: frozenset[str]
    MedicationDispense: frozenset[str]
    MedicationAdministration: frozenset[str]
    needs_dispense: frozenset[str]
    order_intents: frozenset[str]


class Durations(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days: what an order without duration is taken for (B-31, B-70), gaps that a course bridges, weekly dosing."""

    assumed_days: int
    assumed_within_days: int
    bridged_gap_days: int
    dispensed_gap_days: int
    weekly_from_days: float


class Units(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lower-case unit -> how many mg, mL or solid oral units one of it is."""

    mg: Mapping[str, float]
    mL: Mapping[str, float]  # noqa: N815 - the UCUM spelling
    tablet: Mapping[str, float]


class TimingCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``times`` doses in ``days`` days. ``display`` is the value set's name of the code, None where it is the code."""

    times: float
    days: float
    display: str | None = None


class Replacement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hydrocortisone replacement in adrenal insufficiency is no exposure."""

    ingredient: str
    at_most_daily_mg: float
    condition_sets: frozenset[str]


class Antenatal(PregnancyWindow, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ingredient that is given for the lungs of an unborn child, and when (G11)."""

    ingredient: str


class LongTermUse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Value sets of conditions that say "long-term systemic steroid" and nothing else (A-08)."""

    condition_sets: frozenset[str]


class PulseLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an intravenous pulse is: mg prednisone equivalent a day, for at most so many days (A-03, B-96)."""

    at_least_daily_mg: float
    at_most_days: int


class Windows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Calendar days, both ends in (A-04)."""

    ended_days: int
    current_days: int
    recent_days: int
    year_days: int


class _Level(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a level is reached. ``says`` it in words, with the names of its numbers in braces."""

    says: str

    def __post_init__(self) -> None:
        try:
            self.in_words()
        except (KeyError, ValueError, IndexError):
            raise ValueError("says may hold the names of the level's own numbers in braces and nothing else") from None

    def in_words(self) -> str:
        """The sentence with its numbers."""
        written = msgspec.structs.asdict(self).items()
        return self.says.format_map({name: f"{n:g}" if isinstance(n, float) else n for name, n in written})


class LowLimits(_Level, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """GC1."""

    burst_at_most_days: int
    bursts: int


class ModerateLimits(_Level, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """GC2: mg prednisone equivalent."""

    daily_mg: float
    days: int
    fluorinated_daily_mg: float
    fluorinated_days: int
    year_mg: float


class HighLimits(_Level, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """GC3: mg prednisone equivalent, except ``ingredient_daily_mg``, which is that ingredient as written."""

    daily_mg: float
    days: int
    ingredient: str
    ingredient_daily_mg: float
    ingredient_days: int
    year_mg: float


class SteroidKnowledge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file. ``equivalents``: mg of an ingredient that equal ``reference_mg`` of prednisone."""

    version: str
    owner: str
    checker: str
    review_by: str
    sources: tuple[str, ...]
    reference_mg: float
    local_route_words: tuple[str, ...]
    equivalents: Mapping[str, float]
    ingredients: Ingredients
    text_names: Mapping[str, str]
    route_texts: Routes
    route_sets: Routes
    form_sets: Systemic
    product_forms: ProductForms
    status: CountedStatus
    durations: Durations
    units: Units
    timing_codes: Mapping[str, Mapping[str, TimingCode]]
    replacement: Replacement
    antenatal: Antenatal
    long_term_use: LongTermUse
    pulse: PulseLimits
    windows: Windows
    low: LowLimits
    moderate: ModerateLimits
    high: HighLimits

    def level_in_words(self, level: int) -> str:
        """When a level (1 to 3) is reached."""
        return (self.low, self.moderate, self.high)[level - 1].in_words()

    def value_sets(self) -> frozenset[str]:
        """Every value set that the file names: the loader refuses one that does not exist."""
        return frozenset().union(
            self.route_sets.systemic,
            self.route_sets.local,
            self.form_sets.systemic,
            self.form_sets.local,
            self.replacement.condition_sets,
            self.antenatal.sets,
            self.antenatal.delivery_sets,
            self.long_term_use.condition_sets,
        )

    def timing_names(self) -> dict[str, Coding]:
        """Every timing code under its lower-case code and display."""
        return {
            name.lower(): Coding(system, code)
            for system, codes in self.timing_codes.items()
            for code, meant in codes.items()
            for name in (code, meant.display or code)
        }

    def prednisone_mg(self, ingredient: str, mg: float) -> float:
        """The prednisone equivalent of a dose, in mg; rounded so that 9.999999 is not below 10."""
        return round(mg * self.reference_mg / self.equivalents[ingredient], 6)
