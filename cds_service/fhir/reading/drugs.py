"""Which drug a medication resource is about: by code, by a Medication it refers to, or only by its words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

import msgspec

from cds_service.coding import NO_SETS, CodeCertainty, Coding, SteroidProduct, Vocabulary
from cds_service.fhir import datatypes
from cds_service.fhir.datatypes import Concept, Ratio, Reference
from cds_service.fhir.reading.codes import DISPLAY_LIMIT, Codes
from cds_service.fhir.reading.identity import id_in_url, without_version
from cds_service.fhir.reading.observations import unit_of
from cds_service.fhir.reading.pages import UNREADABLE
from cds_service.fhir.reading.reading import Reading
from cds_service.fhir.resources import Medication, MedicationResource

_MEDICATION = msgspec.json.Decoder(Medication)
_TEXT_LIMIT = 300
_NOT_LETTERS = re.compile(r"[^a-z]+")


class Drug(msgspec.Struct, frozen=True, gc=False):
    """What is known about the drug: value sets, or a steroid by code (``product``) or by words alone."""

    sets: frozenset[str]
    coding: Coding | None
    display: str
    certainty: CodeCertainty = CodeCertainty.EXACT
    product: SteroidProduct | None = None
    named_ingredient: str | None = None
    strength_mg: float | None = None
    strength_unit: str | None = None
    form_sets: frozenset[str] = NO_SETS


class DrugNaming(Enum):
    """Why there is no Drug: it means nothing to the rules, or nobody can say what it is."""

    NOT_OURS = "not-ours"
    UNNAMED = "unnamed"


def read_drug(resource: MedicationResource, reading: Reading) -> Drug | DrugNaming:
    """The drug by its own code, else by the Medication that it refers to, else by words."""
    codes, reference = reading.codes, resource.medication_reference
    medication = _referenced(resource, reading) if reference is not None else None
    concepts = _concepts(resource.medication_codeable_concept, medication)
    sets = codes.sets(concepts[0]) if len(concepts) == 1 else codes.all_sets(concepts)
    row = _steroid_row(concepts, codes)
    product = row.product if row else None
    named: str | None = None
    if row is None:
        words = _words(concepts, reference)
        if words:
            product, named = _named_in_words(words, reading)
        if not sets and product is None and named is None:
            is_named = words or any(codes.knows(concept) for concept in concepts)
            return DrugNaming.NOT_OURS if is_named else DrugNaming.UNNAMED
    coding, display = codes.name(row.coding, row.concept) if row else _identity(concepts, reference, codes)
    certainty = _certainty(sets, row, resource.medication_codeable_concept, codes)
    drug = Drug(sets, coding, display, certainty, product, named)
    return _with_product_details(drug, medication, reading) if medication else drug


def _certainty(sets: frozenset[str], row: _SteroidRow | None, own: Concept | None, codes: Codes) -> CodeCertainty:
    """Whether the entry's own code says it, that of its Medication, or only words."""
    if row is not None:
        return CodeCertainty.EXACT if row.concept is own else CodeCertainty.BY_REFERENCE
    if not sets:
        return CodeCertainty.TEXT
    return CodeCertainty.EXACT if own is not None and codes.sets(own) else CodeCertainty.BY_REFERENCE


def _identity(concepts: list[Concept], reference: Reference | None, codes: Codes) -> tuple[Coding | None, str]:
    """The concept that means something, else the first one, else the words of the reference."""
    meant = next((concept for concept in concepts if codes.sets(concept)), concepts[0] if concepts else None)
    coding, display = codes.identity(meant)
    words = reference.display if reference is not None else None
    return coding, display or (words or "")[:DISPLAY_LIMIT]


def _referenced(resource: MedicationResource, reading: Reading) -> Medication | None:
    """The Medication: contained, relative, absolute or urn:uuid; None when it is not in any page."""
    reference = resource.medication_reference.reference if resource.medication_reference else None
    if not reference:
        return None
    if reference.startswith("#"):
        return _contained(resource.contained or (), reference[1:])
    own_id = id_in_url(reference, "Medication")
    return reading.medications.get(without_version(reference)) or reading.medications.get(f"Medication/{own_id}")


def _contained(contained: Iterable[msgspec.Raw], wanted: str) -> Medication | None:
    for raw in contained:
        try:
            medication = _MEDICATION.decode(raw)
        except UNREADABLE:
            continue  # another type, or not readable: then the words of the reference must do
        if medication.id == wanted:
            return medication
    return None


def _concepts(own: Concept | None, medication: Medication | None) -> list[Concept]:
    """All that names the drug, most telling first."""
    found = [own] if own is not None else []
    if medication is not None:
        parts = [medication.code, *(part.item_codeable_concept for part in medication.ingredient or ())]
        found += [concept for concept in parts if concept is not None]
    return found


class _SteroidRow(NamedTuple):
    """A row of the steroid table and the coding that stands for it."""

    product: SteroidProduct
    coding: datatypes.Coding
    concept: Concept


def _steroid_row(concepts: Iterable[Concept], codes: Codes) -> _SteroidRow | None:
    """The row that says most: one with a strength before one with a known route before the bare ingredient."""
    best, most = None, 0
    for concept in concepts:
        for coding in concept.coding or ():
            product = codes.product(coding)
            if product is not None:
                says = 1 + 2 * (product.strength_mg is not None) + (product.systemic is not None)
                if says > most:
                    best, most = _SteroidRow(product, coding, concept), says
    return best


def _named_in_words(words: Iterable[str], reading: Reading) -> tuple[SteroidProduct | None, str | None]:
    """A steroid that only words name (A-07): the first of them that names one. Charts repeat the names of drugs."""
    known = reading.repeats.named_steroids
    for text in words:
        try:
            named = known[text]
        except KeyError:
            named = known[text] = _named_in(text, reading.codes.vocabulary)
        if named is not None:
            return named
    return None, None


def _named_in(text: str, vocabulary: Vocabulary) -> tuple[SteroidProduct | None, str | None] | None:
    """With a word such as cream it is a local product."""
    lower = text[:_TEXT_LIMIT].lower()
    for name, ingredient in vocabulary.steroid_names.items():
        if name in lower and _has_word(lower, name):
            if any(_has_word(lower, word) for word in vocabulary.local_route_words):
                return SteroidProduct(ingredient=ingredient, systemic=False), None
            return None, ingredient
    return None


def _words(concepts: Iterable[Concept], reference: Reference | None) -> list[str]:
    texts = [reference.display] if reference is not None and reference.display else []
    for concept in concepts:
        text = concept.text
        if text:
            texts.append(text)
        for coding in concept.coding or ():
            if coding.display and coding.display != text:
                texts.append(coding.display)
    return texts


def _has_word(text: str, word: str) -> bool:
    """Whole words only: Imipenem/Cilastatin holds no statin, methylprednisolone no prednisolone."""
    return f" {_NOT_LETTERS.sub(' ', word).strip()} " in f" {_NOT_LETTERS.sub(' ', text)} "


def _with_product_details(drug: Drug, medication: Medication, reading: Reading) -> Drug:
    """Strength and form from the Medication resource: the steroid ingredient's, or that of its only ingredient."""
    codes = reading.codes
    ingredients = medication.ingredient or []
    telling = [
        ingredient
        for ingredient in ingredients
        if len(ingredients) == 1
        or (concept := ingredient.item_codeable_concept) is None
        or _steroid_row([concept], codes) is not None
        or _named_in_words(_words([concept], None), reading) != (None, None)
    ]
    strengths = [_strength(ingredient.strength, codes.vocabulary) for ingredient in telling if ingredient.strength]
    strength_mg, unit = strengths[0] if len(strengths) == 1 else (None, None)
    form_sets = codes.named_sets(medication.form, codes.vocabulary.route_names)
    return msgspec.structs.replace(drug, strength_mg=strength_mg, strength_unit=unit, form_sets=form_sets)


def _strength(strength: Ratio, vocabulary: Vocabulary) -> tuple[float | None, str | None]:
    """mg per unit of the denominator, and that unit (UCUM code, else as written).

    A numerator alone is no ratio (R4, rat-1) and no strength: Oracle Health writes the dose of the order there.
    """
    top, bottom = strength.numerator, strength.denominator
    if top is None or top.value is None or bottom is None:
        return None, None
    milligrams = vocabulary.milligrams.get((unit_of(top) or "").strip().lower())
    amount = bottom.value if bottom.value is not None else 1.0
    if milligrams is None or amount <= 0:
        return None, None
    return top.value * milligrams / amount, unit_of(bottom)
