"""The CSV tables of ``rules/``: value sets, sites of the body, specialties and steroid products, as one Vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from cds_service.coding import Coding, Site, Sites, SteroidProduct, ValueSets, Vocabulary
from cds_service.derive.steroid_knowledge import Routes, SteroidKnowledge
from cds_service.errors import RuleFileError
from cds_service.rule_engine.written import convert, line_of, read_csv, read_text, read_toml

VALUE_SET_COLUMNS = ("system", "code", "display", "scope", "verified_by", "note")
SITE_COLUMNS = ("system", "code", "display", "scope", "side", "limb", "verified_by")
WORD_COLUMNS = ("set", "text")
SPECIALTY_COLUMNS = ("set", "text")
PRODUCT_COLUMNS = (
    "system", "code", "display", "ingredient", "strength_mg", "unit", "form", "systemic", "verified_by", "note",
)  # fmt: skip
K = TypeVar("K")
SYSTEMIC = {"yes": True, "no": False, "uncertain": None}


class ValueSetEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``rules/value_sets.toml`` says about one set. ``kept_for``: why it stays although no rule asks about it."""

    title: str
    resource: str
    paper: str | None = None
    rulings: tuple[str, ...] = ()
    note: str | None = None
    wanted: tuple[str, ...] = ()
    kept_for: str | None = None


class CodeTables(msgspec.Struct, frozen=True):
    """The vocabulary, the description of each value set, and the verified codings of each set (for templates).

    ``asked`` are the sets that any other file of ``rules/`` names.
    """

    vocabulary: Vocabulary
    entries: Mapping[str, ValueSetEntry]
    codings: Mapping[str, tuple[Coding, ...]]
    asked: frozenset[str]

    @property
    def known_sets(self) -> frozenset[str]:
        """Every value set that a rule may name: by code, or by a word of a care plan."""
        return frozenset(self.codings).union(*self.vocabulary.care_plan_words.values())


class _Sets:
    """Collects memberships while the files are read."""

    def __init__(self) -> None:
        self.exact: dict[Coding, frozenset[str]] = {}
        self.prefixes: dict[str, dict[str, frozenset[str]]] = {}
        self.codings: dict[str, tuple[Coding, ...]] = {}

    def add(self, name: str, coding: Coding, *, prefix: bool) -> None:
        self.codings[name] = (*self.codings.get(name, ()), coding)
        if prefix:
            known = self.prefixes.setdefault(coding.system, {})
            key = coding.code.replace(".", "").upper()
            known[key] = known.get(key, frozenset()) | {name}
        else:
            self.exact[coding] = self.exact.get(coding, frozenset()) | {name}


def load_code_tables(rules: Path, steroids: SteroidKnowledge, order_keys: Mapping[Coding, str]) -> CodeTables:
    """Read every table. ``order_keys`` maps our own order codings to the set names they count as."""
    entries = _value_set_entries(rules)
    sets = _Sets()
    for path in sorted((rules / "value_sets").glob("*.csv")):
        if path.stem not in entries:
            raise RuleFileError(path, 1, f"value_sets.toml does not describe {path.stem!r}")
        _read_value_set(path, sets)
    for name in entries:
        if name not in sets.codings:
            toml = rules / "value_sets.toml"
            raise RuleFileError(toml, line_of(toml, f"[{name}]"), f"value set {name!r} has no codes")
    for coding, name in order_keys.items():
        sets.add(name, coding, prefix=False)
    aliases = read_toml(rules / "code_systems.toml")["aliases"]
    asked = _sets_asked_about(rules, entries) | frozenset(order_keys.values())
    value_sets = ValueSets(
        _only(asked, sets.exact),
        {system: tuple(_only(asked, pairs).items()) for system, pairs in sets.prefixes.items()},
        msgspec.convert(aliases, dict[str, str]),
        known_systems={coding.system for codings in sets.codings.values() for coding in codings},
    )
    vocabulary = Vocabulary(
        value_sets=value_sets,
        sites=_sites(rules / "body_sites.csv"),
        steroid_products=_products(rules / "steroid_products.csv"),
        steroid_names=steroids.text_names,
        local_route_words=frozenset(steroids.local_route_words),
        specialty_names=_specialties(rules / "specialties.csv", entries),
        milligrams=steroids.units.mg,
        timing_names=steroids.timing_names(),
        care_plan_words=_words(rules / "care_plan_words.csv"),
        route_names={
            text: getattr(steroids.route_sets, way)
            for way in Routes.__struct_fields__
            for text in getattr(steroids.route_texts, way)
        },
    )
    return CodeTables(vocabulary, entries, sets.codings, asked)


def _sets_asked_about(rules: Path, entries: Mapping[str, ValueSetEntry]) -> frozenset[str]:
    """The value sets that any other file names: what no rule asks about need not be read from a chart."""
    files = [path for path in rules.rglob("*.toml") if path.name not in ("value_sets.toml", "cases.toml")]
    text = "\n".join(read_text(path) for path in files)
    return frozenset(name for name in entries if f'"{name}"' in text)


def refuse_unasked(path: Path, tables: CodeTables) -> None:
    """A value set that nothing asks about is a mistake, unless ``kept_for`` says what it is kept for."""
    for name, entry in tables.entries.items():
        if name not in tables.asked and entry.kept_for is None:
            raise RuleFileError(path, line_of(path, f"[{name}]"), f"no rule asks about value set {name!r}")


def _only(asked: frozenset[str], members: Mapping[K, frozenset[str]]) -> dict[K, frozenset[str]]:
    return {key: kept for key, names in members.items() if (kept := names & asked)}


def _value_set_entries(rules: Path) -> dict[str, ValueSetEntry]:
    path = rules / "value_sets.toml"
    tables = read_toml(path)
    tables.pop("wanted", None)
    return {name: convert(path, table, ValueSetEntry, f"[{name}]") for name, table in tables.items()}


def _read_value_set(path: Path, sets: _Sets) -> None:
    seen: set[Coding] = set()
    for line, row in read_csv(path, VALUE_SET_COLUMNS):
        coding = Coding(row["system"], row["code"])
        _refuse_bad_row(path, line, row)
        if coding in seen:
            raise RuleFileError(path, line, f"{coding.code} stands here twice")
        if row["scope"] not in ("exact", "descendants"):
            raise RuleFileError(path, line, "scope is exact or descendants")
        seen.add(coding)
        sets.add(path.stem, coding, prefix=row["scope"] == "descendants")
    if not seen:
        raise RuleFileError(path, 1, "a value set without codes")


def _refuse_bad_row(path: Path, line: int, row: Mapping[str, str]) -> None:
    if not row["verified_by"].strip():
        raise RuleFileError(path, line, f"{row['code']} has no verified_by: an unverified code is refused")
    if not row["system"] or not row["code"] or row["code"] != row["code"].strip():
        raise RuleFileError(path, line, "system and code must be given, without blanks")


def _sites(path: Path) -> Sites:
    exact: dict[Coding, Site] = {}
    prefixes: dict[Coding, Site] = {}
    for line, row in read_csv(path, SITE_COLUMNS):
        _refuse_bad_row(path, line, row)
        said = {name: row[name] for name in ("side", "limb") if row[name]}
        into = prefixes if row["scope"] == "descendants" else exact
        into[Coding(row["system"], row["code"])] = convert(path, said, Site, row["code"])
    return Sites(exact, prefixes)


def _products(path: Path) -> dict[Coding, SteroidProduct]:
    products = {}
    for line, row in read_csv(path, PRODUCT_COLUMNS):
        _refuse_bad_row(path, line, row)
        if row["systemic"] not in SYSTEMIC:
            raise RuleFileError(path, line, "systemic is yes, no or uncertain")
        products[Coding(row["system"], row["code"])] = SteroidProduct(
            row["ingredient"],
            float(row["strength_mg"]) if row["strength_mg"] else None,
            row["unit"] or None,
            row["form"] or None,
            SYSTEMIC[row["systemic"]],
        )
    return products


def _words(path: Path) -> dict[str, frozenset[str]]:
    """Lower-case words of care plans and what they mean (A-43, A-56)."""
    words: dict[str, frozenset[str]] = {}
    for line, row in read_csv(path, WORD_COLUMNS):
        word = row["text"]
        if not word or word != word.lower() or " " in word:
            raise RuleFileError(path, line, "text is one lower-case word")
        words[word] = words.get(word, frozenset()) | {row["set"]}
    return words


def _specialties(path: Path, entries: Mapping[str, ValueSetEntry]) -> dict[str, str]:
    names = {}
    for line, row in read_csv(path, SPECIALTY_COLUMNS):
        if row["set"] not in entries:
            raise RuleFileError(path, line, f"no value set is called {row['set']!r}")
        names[row["text"].lower()] = row["set"]
    return names
