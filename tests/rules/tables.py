"""Reads the code tables of ``rules/`` as plain rows, for the tests of their content."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

RULES = Path(__file__).resolve().parents[2] / "rules"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
ATC = "http://www.whocc.no/atc"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"

Row = dict[str, str]


def read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def value_sets(rules: Path) -> dict[str, list[Row]]:
    return {path.stem: read(path) for path in sorted((rules / "value_sets").glob("*.csv"))}


def code_rows(rules: Path) -> Iterator[tuple[str, Row]]:
    """Every row with a code: of the value sets, then of the sites of the body."""
    for name, rows in value_sets(rules).items():
        yield from ((name, row) for row in rows)
    yield from (("body_sites", row) for row in read(rules / "body_sites.csv"))


def drug_rows(rules: Path) -> Iterator[tuple[str, Row]]:
    """Every row with the code of a drug: of the steroid products, and of the value sets that hold such codes."""
    yield from (("steroid_products", row) for row in read(rules / "steroid_products.csv"))
    for name, rows in value_sets(rules).items():
        if any(row["system"] in (RXNORM, ATC) for row in rows):
            yield from ((name, row) for row in rows)


def covers(row: Row, system: str, code: str) -> bool:
    """Whether a row holds a code: itself, or as a declared prefix (trap 1: G35 holds G35.A)."""
    if row["system"] != system:
        return False
    ours, theirs = row["code"].replace(".", ""), code.replace(".", "")
    return theirs.startswith(ours) if row["scope"] == "descendants" else theirs == ours


def holds(rules: Path, name: str, code: str) -> bool:
    """Whether a set holds a code, written as in the papers: digits are SNOMED CT, a letter opens ICD-10-CM."""
    system = ICD if code[0].isalpha() else LOINC if "-" in code else SNOMED
    return any(covers(row, system, code) for row in read(rules / "value_sets" / f"{name}.csv"))
