"""What a CodeableConcept means to the rules: its value sets, its name, its side and limb."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cds_service.coding import (
    NO_SETS,
    NOWHERE,
    CodeMeaning,
    Coding,
    Limb,
    Side,
    Site,
    SteroidProduct,
    Vocabulary,
)
from cds_service.fhir import datatypes
from cds_service.fhir.datatypes import Concept

DISPLAY_LIMIT = 120


class Codes:
    """Looks codes up in one Vocabulary. Cheap to make, holds no patient data.

    The loops over codings are written out, without generators: they run for every resource of a chart.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._remembered = vocabulary.remembered

    def meaning(self, concept: Concept | None) -> frozenset[str] | None:
        """The value sets of all codings together; None when no coding is of a system that we have value sets for."""
        if concept is None or not concept.coding:
            return None
        found: frozenset[str] | None = None
        remembered = self._remembered
        for coding in concept.coding:
            code = coding.code
            if code:
                means = remembered.get((coding.system, code)) or self.vocabulary.meaning(coding.system, code)
                if means.sets is not None:
                    found = found | means.sets if found else means.sets
        return found

    def sets(self, concept: Concept | None) -> frozenset[str]:
        """The value sets of all codings together, empty when there are none."""
        return self.meaning(concept) or NO_SETS

    def all_sets(self, concepts: Iterable[Concept] | None) -> frozenset[str]:
        """The value sets of several concepts together."""
        found = NO_SETS
        for concept in concepts or ():
            if more := self.meaning(concept):
                found = found | more if found else more
        return found

    def knows(self, concept: Concept | None) -> bool:
        """True when a coding has a code of a system that we have value sets for, whether or not it is in one."""
        return self.meaning(concept) is not None

    def product(self, coding: datatypes.Coding) -> SteroidProduct | None:
        """The steroid row of a medication code, under whatever name of its system."""
        return self._of(coding, coding.code).product if coding.code else None

    def coding(self, coding: datatypes.Coding) -> Coding | None:
        """Under our name for its system; None without a code."""
        return self._of(coding, coding.code).coding if coding.code else None

    def first_coding(self, concept: Concept | None) -> Coding | None:
        """The first coding that has a code."""
        if concept is None or not concept.coding:
            return None
        for coding in concept.coding:
            if coding.code:
                return self.coding(coding)
        return None

    def timing(self, concept: Concept | None) -> Coding | None:
        """The timing code that we know, whatever stands before it; else the one that the text is, letter for letter."""
        if concept is None:
            return None
        names = self.vocabulary.timing_names
        for coding in concept.coding or ():
            known = names.get(coding.code.lower()) if coding.code else None
            if known is not None and known == self.coding(coding):
                return known
        return names.get(concept.text.strip().lower()) if concept.text else None

    def identity(self, concept: Concept | None) -> tuple[Coding | None, str]:
        """The first coding that has value sets (else the first with a code) and what to call it."""
        if concept is None:
            return None, ""
        first: datatypes.Coding | None = None
        for coding in concept.coding or ():
            code = coding.code
            if code:
                means = self._of(coding, code)
                if means.sets:
                    return means.coding, (coding.display or concept.text or code)[:DISPLAY_LIMIT]
                first = first or coding
        return self.name(first or datatypes.Coding(), concept)

    def name(self, coding: datatypes.Coding, concept: Concept) -> tuple[Coding | None, str]:
        """One coding of a concept, and what to call it: its display, else the concept's text, else the code."""
        display = coding.display or concept.text or coding.code or ""
        return self.coding(coding), display[:DISPLAY_LIMIT]

    def site(self, code: Concept | None, body_sites: Iterable[Concept]) -> Site:
        """Side and limb: what bodySite says, else what the code itself says. Left with right is bilateral (A-10)."""
        own = self._sites(code) if code is not None else []
        written = [site for concept in body_sites for site in self._sites(concept)]
        if not own and not written:  # as nearly always
            return NOWHERE
        site = Site(_side(written) or _side(own), _limb(written) or _limb(own))
        return NOWHERE if site == NOWHERE else site

    def named_sets(self, concept: Concept | None, names: Mapping[str, frozenset[str]]) -> frozenset[str]:
        """Value sets by code, and by exact text for concepts that charts often write as words (routes)."""
        if concept is None:
            return NO_SETS
        by_text = names.get(concept.text.strip().lower(), NO_SETS) if concept.text else NO_SETS
        return self.sets(concept) | by_text

    def specialties(self, concepts: Iterable[Concept | None]) -> frozenset[str]:
        """Specialty sets by code or by exact text (B-09)."""
        found = NO_SETS
        for concept in concepts:
            if concept is not None:
                found |= self.sets(concept)
                found |= self.specialty_named(concept.text)
                for coding in concept.coding or ():
                    found |= self.specialty_named(coding.display)
        return found

    def specialty_named(self, text: str | None) -> frozenset[str]:
        """The specialty set of an exact text; empty when it names none."""
        name = self.vocabulary.specialty_names.get(text.strip().lower()) if text else None
        return frozenset({name}) if name else NO_SETS

    def _of(self, coding: datatypes.Coding, code: str) -> CodeMeaning:
        return self._remembered.get((coding.system, code)) or self.vocabulary.meaning(coding.system, code)

    def _sites(self, concept: Concept) -> list[Site]:
        sites: list[Site] = []
        for coding in concept.coding or ():
            if coding.code:
                site = self._of(coding, coding.code).site
                if site is not None:
                    sites.append(site)
        return sites


def _side(sites: Iterable[Site]) -> Side | None:
    sides = {site.side for site in sites if site.side}
    if len(sides) > 1:
        return "bilateral"
    return sides.pop() if sides else None


def _limb(sites: Iterable[Site]) -> Limb | None:
    limbs = {site.limb for site in sites if site.limb}
    return limbs.pop() if len(limbs) == 1 else None
