"""The value sets of ``rules/``: every code is real, described and in the sets that the clinical rulings name.

Each check returns the faults of one rules folder. It is run on ours, which has none, and on copies with one planted
error, so that a check that finds nothing would be noticed.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import tomllib
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from cds_service.cases import load_cases
from tests.rules.tables import (
    ATC,
    ICD,
    LOINC,
    RULES,
    RXNORM,
    SNOMED,
    Row,
    code_rows,
    covers,
    drug_rows,
    holds,
    read,
    value_sets,
)

with warnings.catch_warnings():  # the package reads its own data through deprecated functions
    warnings.filterwarnings("ignore", message="(read|open)_text is deprecated", category=DeprecationWarning)
    import simple_icd_10_cm as icd

RESOURCES = {"condition", "observation", "activity", "medication", "specialty", "family-history"}
COLUMNS = ["system", "code", "display", "scope", "verified_by", "note"]

Check = Callable[[Path], list[str]]


def unverified(rules: Path) -> list[str]:
    return [f"{name} {row['code']}" for name, row in code_rows(rules) if not row["verified_by"].strip()]


def malformed(rules: Path) -> list[str]:
    paths = sorted((rules / "value_sets").glob("*.csv"))
    faults = [p.stem for p in paths if p.read_text(encoding="utf-8").splitlines()[0] != ",".join(COLUMNS)]
    for name, row in code_rows(rules):
        text = [row.get(column) or "" for column in ("system", "code", "display", "verified_by")]
        if not all(text) or any(part != part.strip() for part in text) or None in row:
            faults.append(f"{name} {row['code']}")
        if row["scope"] not in ("exact", "descendants"):
            faults.append(f"{name} {row['code']} scope")
        if row["scope"] == "descendants" and row["system"] not in (ICD, ATC):
            faults.append(f"{name} {row['code']} only ICD-10-CM and ATC codes are prefixes")
    return faults


def repeated(rules: Path) -> list[str]:
    counts = Counter((name, row["system"], row["code"]) for name, row in code_rows(rules))
    return [f"{name} {code}" for (name, _, code), count in counts.items() if count > 1]


def empty(rules: Path) -> list[str]:
    return [name for name, rows in value_sets(rules).items() if not rows]


def undescribed(rules: Path) -> list[str]:
    tables = tomllib.loads((rules / "value_sets.toml").read_text(encoding="utf-8"))
    tables.pop("wanted", None)
    faults = sorted(set(tables) ^ set(value_sets(rules)))
    if list(tables) != sorted(tables):
        faults.append("alphabetical order")
    return faults + [n for n, t in tables.items() if not t.get("title") or t.get("resource") not in RESOURCES]


def _permutations() -> list[list[int]]:
    first = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
    rows = [list(range(10))]
    for _ in range(7):
        rows.append([first[digit] for digit in rows[-1]])
    return rows


PERMUTATIONS = _permutations()


def has_verhoeff_digit(code: str) -> bool:
    """The check digit of SNOMED CT identifiers: a sum in the dihedral group of the pentagon that must be 0."""
    if not code.isdigit():
        return False
    total = 0
    for place, digit in enumerate(reversed(code)):
        turned = PERMUTATIONS[place % 8][int(digit)]
        flips = (total >= 5) != (turned >= 5)
        total = (total + (turned if total < 5 else -turned)) % 5 + (5 if flips else 0)
    return total == 0


def has_mod10_digit(code: str) -> bool:
    """The check digit of LOINC codes: Luhn over the digits before the hyphen."""
    number, _, check = code.partition("-")
    if not (number.isdigit() and len(check) == 1 and check.isdigit()):
        return False
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value // 10 + value % 10
    return (total + int(check)) % 10 == 0


def mistyped_snomed(rules: Path) -> list[str]:
    rows = [r for r in code_rows(rules) if r[1]["system"] == SNOMED]
    return [f"{name} {row['code']}" for name, row in rows if not has_verhoeff_digit(row["code"])]


def mistyped_loinc(rules: Path) -> list[str]:
    rows = [r for r in code_rows(rules) if r[1]["system"] == LOINC]
    return [f"{name} {row['code']}" for name, row in rows if not has_mod10_digit(row["code"])]


def unlike_icd_10_cm(rules: Path) -> list[str]:
    """Code, description, and that only a code without further digits is exact, as the installed edition has them."""
    faults = []
    for name, row in code_rows(rules):
        if row["system"] != ICD:
            continue
        code = row["code"]
        if not icd.is_valid_item(code) or icd.get_description(code) != row["display"]:
            faults.append(f"{name} {code}")
        elif icd.is_leaf(code) != (row["scope"] == "exact"):
            faults.append(f"{name} {code} scope")
    return faults


def verified_drugs(rules: Path) -> dict[tuple[str, str], Row]:
    return {(row["system"], row["code"]): row for row in read(rules / "verified" / "medications.csv")}


def unverified_drugs(rules: Path) -> list[str]:
    """Codes of drugs that are not in the verified table, or there with another name or source, or as no prefix."""
    table, faults = verified_drugs(rules), []
    for name, row in drug_rows(rules):
        seen = table.get((row["system"], row["code"]))
        if seen is None:
            faults.append(f"{name} {row['code']}")
            continue
        sources = row["verified_by"].replace("/", " ").replace(";", " ").split()
        alike = row["display"] == seen["display"] and row.get("scope", "exact") in ("exact", seen["scope"])
        if not alike or not all(word in seen["verified_by"] for word in sources):
            faults.append(f"{name} {row['code']} unlike")
    return faults


def unverified_drugs_of_cases(rules: Path) -> list[str]:
    table = verified_drugs(rules)
    drugs = [(case.id, drug) for _, case in load_cases(rules) for drug in case.medications if drug.code]
    names = {(case, drug.code): table.get((RXNORM, drug.code or ""), {}).get("display") for case, drug in drugs}
    return [f"{case} {drug.code}" for case, drug in drugs if names[case, drug.code] != drug.drug]


def badly_verified(rules: Path) -> list[str]:
    """Rows of the verified table itself: one per code, a name and a source, codes of the form of their system."""
    rows = read(rules / "verified" / "medications.csv")
    forms = {RXNORM: r"[1-9]\d*", ATC: r"[A-Z]\d\d[A-Z]{0,2}(\d\d)?", SNOMED: r"\d+"}
    counts = Counter((row["system"], row["code"]) for row in rows)
    faults = [code for (_, code), count in counts.items() if count > 1]
    faults += [row["code"] for row in rows if not (row["display"].strip() and row["verified_by"].strip())]
    faults += [row["code"] for row in rows if not re.fullmatch(forms.get(row["system"], "-"), row["code"])]
    return faults + [r["code"] for r in rows if r["system"] == SNOMED and not has_verhoeff_digit(r["code"])]


# Sets that the papers keep apart: no code may be in both.
APART = [
    ("weakness", "paralysis"), ("weakness", "sensory"), ("weakness", "muscle-wasting"), ("weakness", "functional-loss"),
    ("paralysis", "sensory"), ("paralysis", "facial-weakness"), ("functional-loss", "foot-drop"),
    ("facial-weakness", "facial-nerve-palsy"),  # B-20
    ("fasciculation", "muscle-cramp"),  # B-26
    ("cancer", "cancer-history"), ("cancer", "cachexia"),  # G5
    ("acute-stroke", "stroke-history"), ("acute-stroke", "stroke-sequelae"),
    ("stroke-sequelae", "stroke-history"), ("central-nervous-disease", "stroke-history"),
    ("myopathy", "neuropathy"), ("myopathy", "sarcopenia"), ("myopathy", "muscle-wasting"),
    ("neuromuscular-disease", "central-nervous-disease"), ("neuromuscular-disease", "myasthenia"),
    ("neuromuscular-disease", "infective-or-unspecified-myositis"),
    ("myopathy", "infective-or-unspecified-myositis"), ("myositis", "infective-or-unspecified-myositis"),  # B-67
    ("neuromuscular-disease", "cidp"),
    ("alcohol", "alcohol-remission"), ("alcohol-dependence", "alcohol-remission"),
    ("hospice", "palliative"),  # B-08
    ("pregnancy", "delivery"),  # B-74
    ("inactivity", "immobility"), ("burns", "injury"), ("fracture", "nerve-injury"),
    ("fall-event", "repeated-falls"), ("fall-event", "history-of-falling"), ("repeated-falls", "history-of-falling"),
    ("rheumatoid-arthritis", "osteoarthritis"), ("electromyography", "nerve-conduction-study"),
]  # fmt: skip


def mixed(rules: Path) -> list[str]:
    sets = value_sets(rules)
    faults = []
    for left, right in APART:
        for a in sets[left]:
            for b in sets[right]:
                if covers(a, b["system"], b["code"]) or covers(b, a["system"], a["code"]):
                    faults.append(f"{left} {a['code']}, {right} {b['code']}")
    return faults


def unlike_their_words(rules: Path) -> list[str]:
    """ICD-10-CM sites whose side is not the word in the description. Hemi-, para- and diplegia need no word."""
    faults = []
    for row in read(rules / "body_sites.csv"):
        words = row["display"].lower().replace(",", " ").replace("(", " ").split()
        said = [side for side in ("left", "right", "bilateral") if side in words]
        by_meaning = row["code"].startswith("G82") or row["code"] == "G83.0" or row["system"] == SNOMED
        known = row["side"] in ("", "left", "right", "bilateral") and row["limb"] in ("", "upper", "lower")
        as_said = by_meaning or said == ([row["side"]] if row["side"] else [])
        if not (known and as_said and (row["side"] or row["limb"])):
            faults.append(row["code"])
    return faults


def unknown_names(rules: Path) -> list[str]:
    """Specialty texts for sets that do not exist, or not exact lower case; code systems without a name."""
    sets, texts = value_sets(rules), read(rules / "specialties.csv")
    names = tomllib.loads((rules / "code_systems.toml").read_text(encoding="utf-8"))
    used = {row["system"] for _, row in code_rows(rules)} | set(names["aliases"].values())
    faults = [row["text"] for row in texts if row["set"] not in sets or row["text"] != row["text"].strip().lower()]
    faults += [text for text, count in Counter(row["text"] for row in texts).items() if count > 1]
    faults += sorted(name for name in sets if name.startswith("specialty-") and name not in {r["set"] for r in texts})
    return faults + sorted(used - set(names["names"])) + sorted(set(names["aliases"]) & used)


def plant(file: str, old: str, new: str) -> Callable[[Path], None]:
    def change(rules: Path) -> None:
        path = rules / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) >= 1, f"nothing to change in {file}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def plant_row(file: str, row: str) -> Callable[[Path], None]:
    def change(rules: Path) -> None:
        with (rules / file).open("a", encoding="utf-8") as out:
            out.write(row + "\n")

    return change


def plant_empty(rules: Path) -> None:
    (rules / "value_sets" / "tsh.csv").write_text(",".join(COLUMNS) + "\n", encoding="utf-8")


WEAKNESS, SITES = "value_sets/weakness.csv", "body_sites.csv"
PRODUCTS, STATIN = "steroid_products.csv", "value_sets/statin.csv"
R09 = "suspected-myositis-myopathy/cases.toml"
PLANTED: list[tuple[Check, Callable[[Path], None], str]] = [
    (unverified, plant_row(WEAKNESS, f"{ICD},R29.5,Transient paralysis,exact,,"), "weakness R29.5"),
    (unverified, plant_row(SITES, f"{ICD},G81.91,Hemiplegia,exact,right,,"), "body_sites G81.91"),
    (malformed, plant(WEAKNESS, "verified_by", "source"), "weakness"),
    (malformed, plant(WEAKNESS, "R53.1,Weakness,exact", "R53.1,Weakness,precise"), "weakness R53.1 scope"),
    (malformed, plant(WEAKNESS, "(finding),exact", "(finding),descendants"), "only ICD-10-CM"),
    (repeated, plant_row(WEAKNESS, f"{ICD},R53.1,Weakness,exact,again,"), "weakness R53.1"),
    (empty, plant_empty, "tsh"),
    (undescribed, plant("value_sets.toml", "[weakness]", "[weekness]"), "weekness"),
    (undescribed, plant("value_sets.toml", 'resource = "condition"', 'resource = "problem"'), "acute-respiratory"),
    (mistyped_snomed, plant(WEAKNESS, "249939004", "249939044"), "weakness 249939044"),
    (mistyped_snomed, plant(WEAKNESS, "249939004", "249993004"), "weakness 249993004"),
    (mistyped_loinc, plant("value_sets/tsh.csv", "3016-3", "3016-4"), "tsh 3016-4"),
    (unverified_drugs, plant_row(PRODUCTS, f"{RXNORM},4850,hydrocortisone,hydrocortisone,,,,uncertain,x,"), "4850"),
    (unverified_drugs, plant(PRODUCTS, "312617,prednisone 5 MG", "312617,prednisone 50 MG"), "312617 unlike"),
    (unverified_drugs, plant(STATIN, "83367,atorvastatin,exact,", "83367,atorvastatin,exact,memory "), "83367 unlike"),
    (unverified_drugs, plant(STATIN, f"{RXNORM},83367", f"{RXNORM},83376"), "statin 83376"),
    (unverified_drugs_of_cases, plant(R09, 'code = "617311"', 'code = "617314"'), "617314"),
    (unverified_drugs_of_cases, plant(R09, '"atorvastatin 40 MG', '"atorvastatin 80 MG'), "617311"),
    (badly_verified, plant("verified/medications.csv", ",8638,", ",8640,"), "8640"),
    (badly_verified, plant("verified/medications.csv", ",8640,prednisone,", ",8640,,"), "8640"),
    (badly_verified, plant("verified/medications.csv", "H02AB07", "HO2AB07"), "HO2AB07"),
    (unlike_icd_10_cm, plant(WEAKNESS, "R53.1,Weakness", "R53.1,Malaise"), "weakness R53.1"),
    (unlike_icd_10_cm, plant(WEAKNESS, "R53.1,Weakness", "R26.3,Immobility"), "weakness R26.3"),  # trap 2
    (unlike_icd_10_cm, plant("value_sets/sensory.csv", "sensation,descendants", "sensation,exact"), "R20 scope"),
    (mixed, plant_row(WEAKNESS, f"{ICD},G81.90,Hemiplegia,exact,x,"), "weakness G81.90, paralysis G81"),
    (unlike_their_words, plant(SITES, "right dominant side,exact,right", "right side,exact,left"), "G81.01"),
    (unknown_names, plant("specialties.csv", ",neurology", ",Neurology"), "Neurology"),
    (unknown_names, plant("specialties.csv", "specialty-neurology", "specialty-nerves"), "neurology"),
    (unknown_names, plant("code_systems.toml", '"http://loinc.org" = "LOINC"', ""), LOINC),
]  # fmt: skip


@pytest.mark.parametrize(
    "check", list(dict.fromkeys(check for check, _, _ in PLANTED)), ids=lambda check: check.__name__
)
def test_no_fault(check: Check) -> None:
    assert check(RULES) == []


@pytest.mark.parametrize(("check", "change", "fault"), PLANTED, ids=lambda part: getattr(part, "__name__", ""))
def test_a_planted_fault_is_found(tmp_path: Path, check: Check, change: Callable[[Path], None], fault: str) -> None:
    rules = tmp_path / "rules"
    shutil.copytree(RULES, rules)
    change(rules)
    assert any(fault in found for found in check(rules))


def test_the_drugs_of_the_synthetic_patients_are_verified() -> None:
    """Trap 4: a code that a test patient misuses would be learnt from it."""
    table, drugs = verified_drugs(RULES), Counter[bool]()
    for path in sorted((RULES.parent / "fixtures" / "patients").glob("*.json")):
        for coding in re.findall(r"\{[^{}]*\}", path.read_text(encoding="utf-8")):
            if RXNORM in coding or ATC in coding:
                written = json.loads(coding)
                seen = table.get((written["system"], written["code"]), {})
                drugs[seen.get("display") == written["display"]] += 1
    assert drugs[True] > 20
    assert not drugs[False]


def test_multiple_sclerosis_matches_the_old_and_the_new_codes() -> None:
    """Trap 1: the installed edition has no leaf G35, only G35.A to G35.D; a chart may still hold G35."""
    assert not icd.is_leaf("G35")
    assert all(holds(RULES, "multiple-sclerosis", code) for code in ("G35", "G35.A", "G35.B0", "G35.D"))


def test_icd_10_cm_rows_name_the_edition_that_they_were_checked_against() -> None:
    edition = f"simple-icd-10-cm {importlib.metadata.version('simple-icd-10-cm')}"
    named = {row["verified_by"] for _, row in code_rows(RULES) if row["system"] == ICD}
    assert named == {edition}
