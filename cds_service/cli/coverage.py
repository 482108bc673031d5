"""``docs/coverage.md``: every claim of the mission document, how it is answered, and the patients that show it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Literal

import msgspec

from cds_service.cards.knowledge import CardDeck, load_deck
from cds_service.cases import load_cases
from cds_service.errors import RuleFileError
from cds_service.rule_engine.loader import Knowledge, load_knowledge
from cds_service.rule_engine.model import Rule
from cds_service.rule_engine.written import line_of, read_struct

FILE = "claims.toml"
Way = Literal["rule", "gate", "order", "card text", "context"]
HEAD = """# What the service answers

*Made from `rules/claims.toml` by `make fix`. Do not edit.*

Each claim of the mission document in our words (S1-S112 of the clinical specification), how the service answers it,
by what of `rules/`, and worked patients that show it. *Context* is said or shown and triggers nothing by itself.
"""


class _Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file: unknown keys are refused."""


class Claim(_Written, frozen=True, kw_only=True):
    """One claim. ``rules`` are ids, ``findings`` kinds of findings.toml, ``texts`` pieces of what a card says."""

    id: str
    says: str
    way: Way
    rules: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    note: str = ""
    cases: tuple[str, ...] = ()


class ClaimFile(_Written, frozen=True, kw_only=True):
    """``rules/claims.toml``; ``claims`` is how many there must be."""

    version: str
    owner: str
    checker: str
    review_by: str
    claims: int
    claim: tuple[Claim, ...]


class Coverage(msgspec.Struct, frozen=True):
    """The claims, and what is wrong with them: claim id -> sentences."""

    written: ClaimFile
    faults: Mapping[str, tuple[str, ...]]

    @property
    def line(self) -> str:
        """How many claims are answered and shown by an existing patient."""
        answered = sum(1 for claim in self.written.claim if claim.id not in self.faults)
        return f"Claims of the mission document answered: {answered} / {self.written.claims}"


class _Known(msgspec.Struct, frozen=True):
    """The names that a claim may use, and every text that a card may show."""

    rules: Mapping[str, Rule]
    cases: frozenset[str]
    findings: frozenset[str]
    domains: frozenset[str]
    orders: frozenset[str]
    texts: str


def has_claims(folder: Path) -> bool:
    """Whether a rules folder comes with its claims."""
    return (folder / FILE).exists()


def coverage_of(folder: Path, knowledge: Knowledge, deck: CardDeck, cases: Iterable[str]) -> Coverage:
    """The claims of a rules folder, compared with its rules, orders, texts and worked patients."""
    written = read_struct(folder / FILE, ClaimFile)
    known = _known(knowledge, deck, cases)
    faults = {claim.id: found for claim in written.claim if (found := tuple(_faults(claim, known)))}
    wanted = [f"S{number}" for number in range(1, written.claims + 1)]
    if [claim.id for claim in written.claim] != wanted:
        faults[FILE] = (f"the claims are not S1 to S{written.claims}, each once and in order",)
    return Coverage(written, faults)


def coverage_page(folder: Path) -> str:
    """The page. Raises RuleFileError for a claim that no patient shows or that names what does not exist."""
    knowledge, deck = load_knowledge(folder, date.min), load_deck(folder)
    coverage = coverage_of(folder, knowledge, deck, (case.id for _, case in load_cases(folder)))
    for claim, sentences in coverage.faults.items():
        path = folder / FILE
        more = len(coverage.faults) - 1
        others = f" (and {more} more claims)" if more else ""
        raise RuleFileError(path, line_of(path, f'"{claim}"'), f"{claim}: {'; '.join(sentences)}{others}")
    return "\n".join((HEAD, f"**{coverage.line}**\n", *_table(coverage.written, knowledge, deck))) + "\n"


def _known(knowledge: Knowledge, deck: CardDeck, cases: Iterable[str]) -> _Known:
    rules = {compiled.rule.id: compiled.rule for compiled in knowledge.rules.by_number}
    texts = [text for rule in rules.values() for text in _texts_of(rule)]
    texts += [c.text for order in deck.orders.orders.values() for c in order.written.cautions]
    texts.append(deck.cards.words.examine)
    coded = (one.set for one in knowledge.findings.coded)
    measured = (one.kind for one in knowledge.findings.measured)
    return _Known(
        rules=rules,
        cases=frozenset(cases),
        findings=frozenset((*coded, *measured)),
        domains=frozenset(domain.name for domain in knowledge.domains.domain),
        orders=frozenset(deck.orders.orders),
        texts="\n".join(texts),
    )


def _texts_of(rule: Rule) -> Iterator[str]:
    yield from (rule.summary, rule.opening)
    yield from (text for fires in rule.fires for text in (fires.summary, fires.opening) if text)
    yield from (advice.text for advice in rule.advice)


def _faults(claim: Claim, known: _Known) -> Iterator[str]:
    if not claim.cases:
        yield "no worked patient shows it"
    for kind, names, existing in (
        ("rule", claim.rules, known.rules),
        ("worked patient", claim.cases, known.cases),
        ("finding", claim.findings, known.findings),
        ("risk domain", claim.domains, known.domains),
        ("order", claim.orders, known.orders),
    ):
        yield from (f"no {kind} is called {name!r}" for name in names if name not in existing)
    yield from (f"no card says {text!r}" for text in claim.texts if text not in known.texts)
    if not (claim.rules or claim.findings or claim.domains or claim.orders or claim.texts):
        yield "nothing answers it"
    naming = sorted(rule.id for rule in known.rules.values() if claim.id in rule.claims)
    yield from (f"{name} names it, and it does not name {name}" for name in naming if name not in claim.rules)


def _table(written: ClaimFile, knowledge: Knowledge, deck: CardDeck) -> Iterator[str]:
    numbers = {compiled.rule.id: compiled.rule.number for compiled in knowledge.rules.by_number}
    titles = {domain.name: domain.title for domain in knowledge.domains.domain}
    yield "| Claim | It says | Way | Answered by | Worked patients |"
    yield "|---|---|---|---|---|"
    for claim in written.claim:
        parts = [
            ", ".join(sorted(numbers[rule] for rule in claim.rules)),
            _listed("finding", map(knowledge.findings.says, claim.findings)),
            _listed("risk domain", map(titles.__getitem__, claim.domains)),
            _listed("offer", map(deck.orders.label, claim.orders)),
            _listed("text", (f'"{text}"' for text in claim.texts)),
            claim.note,
        ]
        answered = ". ".join(part.removesuffix(".") for part in parts if part)
        yield f"| {claim.id} | {claim.says} | {claim.way} | {answered}. | {', '.join(claim.cases)} |"


def _listed(word: str, names: Iterable[str]) -> str:
    found = "; ".join(names)
    return f"{word}: {found}" if found else ""
