"""Which code systems a chart is written in, and how much of it the rules understand: counts, never a code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from cds_service.cli.doctor_finding import Finding, plainly
from cds_service.coding import CodeMeaning, Vocabulary

_WHAT = ("code", "medicationCodeableConcept")
_SYSTEMS_SHOWN = 20

Json = dict[str, Any]


class _Use(msgspec.Struct):
    """How often a system is used; how many of its codes the rules know; how often nothing else says what is meant."""

    codings: int = 0
    understood: int = 0
    alone: int = 0


class CodeSystems:
    """Counts the codings of a chart. ``names``: what people call a system."""

    def __init__(self, vocabulary: Vocabulary, names: Mapping[str, str]) -> None:
        self._vocabulary = vocabulary
        self._names = names
        self._used: dict[str, _Use] = {}
        self._known: set[str] = set()
        self._words_only = 0

    def count(self, resources: Iterable[Json]) -> None:
        """Look at what each resource is about."""
        for resource in resources:
            for concept in filter(None, map(resource.get, _WHAT)):
                self._count_concept(concept)

    def findings(self) -> Iterator[Finding]:
        """A line for each system, the most used first; one for entries in words only; one when none is known."""
        most_used = sorted(self._used, key=lambda system: -self._used[system].codings)
        for system in most_used[:_SYSTEMS_SHOWN]:
            yield self._finding(system, self._used[system])
        if self._words_only:
            advice = "code them: what only words name is uncertain to the rules"
            yield Finding("codes: none", "warn", f"{self._words_only} entries in words only", advice)
        if self._used and not self._known:
            yield Finding("codes", "fail", "no coding of a system that the rules know", self._map_them())

    def _count_concept(self, concept: object) -> None:
        meanings = tuple(self._meanings(concept))
        self._words_only += not meanings
        for meaning in meanings:
            use = self._used.setdefault(meaning.coding.system, _Use())
            use.codings += 1
            use.understood += bool(meaning.sets or meaning.site or meaning.product)
            if meaning.sets is not None:
                self._known.add(meaning.coding.system)
            use.alone += all(other.sets is None for other in meanings)

    def _meanings(self, concept: object) -> Iterator[CodeMeaning]:
        codings = concept.get("coding") if isinstance(concept, dict) else None
        for coding in codings if isinstance(codings, list) else ():
            system, code = (coding.get("system"), coding.get("code")) if isinstance(coding, dict) else (None, None)
            if isinstance(system, str) and isinstance(code, str):
                yield self._vocabulary.meaning(system, code)

    def _finding(self, system: str, use: _Use) -> Finding:
        check = f"codes: {self._names.get(system) or plainly(system)}"
        if system in self._known:
            return Finding(
                check,
                "pass",
                f"{use.codings} codings, {use.understood} understood ({use.understood / use.codings:.0%})",
            )
        if not use.alone:
            return Finding(check, "pass", f"{use.codings} codings, always beside one that the rules know")
        return Finding(check, "warn", f"{use.codings} codings, {use.alone} with none beside it", self._map_them())

    def _map_them(self) -> str:
        systems = ", ".join(name for system, name in self._names.items() if system.startswith("http"))
        return f"the rules cannot read these: send also one of {systems}"


def resources_in(page: bytes) -> list[Json]:
    """The resources of a Bundle; none for anything else."""
    entries = decoded(page).get("entry")
    found = [entry.get("resource") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return [resource for resource in found if isinstance(resource, dict)]


def decoded(body: bytes) -> Json:
    """A JSON object; an empty one for anything else."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return {}
    return value if isinstance(value, dict) else {}
