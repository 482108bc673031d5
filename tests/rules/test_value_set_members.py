"""Which codes the value sets hold and keep out, as section 2 of the clinical specification and the rulings say."""

from __future__ import annotations

import pytest

from tests.rules.tables import RULES, holds, read, value_sets

# What section 2 of the clinical specification and its rulings put into a set.
HELD = [
    ("B-03", "weakness", "M62.81 R53.1 26544005 249939004 249942005 713514005 298283006 713512009 300948004 13791008"),
    ("B-29", "nonspecific-weakness", "R53.1 13791008 M62.81"),
    ("§2", "muscle-wasting", "M62.50 M62.541 M62.562 M62.59 M62.5A0 88092000 74035001"),
    ("A-41", "sarcopenia", "M62.84 772791006"),
    ("§2", "paralysis", "G81.90 G82.50 G83.10 G83.21 G83.30 R29.5 44695005 20022000"),
    ("B-62, B-91", "hemiparesis", "G81.90 G83.10 G83.30 20022000 50582007 R29.5 44695005"),
    ("B-05", "bilateral-paralysis", "G82.20 G82.50 60389000 11538006"),
    ("§2", "functional-loss", "R26.2 R26.81 R26.89 Z73.6 Z74.1 282195009 22325002"),
    ("A-19", "bulbar", "R13.10 R47.1 G12.22 40739000 8011004"),
    ("§2", "respiratory-signs", "R06.00 R06.01 R06.02 R06.03 R06.09 J96.01 62744007"),
    ("B-91", "acute-respiratory-failure", "J96.00 J96.01 J96.20 J96.90"),
    ("B-68", "foot-drop", "M21.371 27253007"),
    ("B-90", "neuromuscular-disease", "G12.21 86044005 37340000 G12.0 G12.1 G12.8 G12.9 5262007 G71.00 G71.11 G71.21 "
     "73297009 76670001 G61.0 40956001 G60.0 398100001 M33.20 M36.0 M60.10 G72.41 72315009 G71.3 E88.40 16851005 G14"),
    ("R01: same deficit", "stroke-motor-sequelae", "I69.031 I69.149 I69.254 I69.351 I69.365 I69.859 I69.961"),
    ("§2", "central-nervous-disease", "G35 G35.A G35.D 24700007 S14.101A S24.101 S34.01 G82.20 G95.20 I60.9 I61.9 "
     "I63.9 G45.9 I69.351"),
    ("§2", "polio", "A80.9 B91 G14 Z86.12 398102009 31097004"),
    ("§2", "neuropathy", "G54.0 G56.01 G56.21 G57.00 G58.9 G60.0 G61.81 G62.9 G63 M54.16 E11.42"),
    ("§2", "radiculopathy", "M54.16 394640000 54404000 128196005 2415007"),
    ("§2", "myopathy", "G72.0 G72.41 G72.9 M33.10 G71.01 M60.10"),
    ("B-30", "congenital-myopathy", "G71.20 G71.21"),
    ("B-07", "toxic-or-unspecified-myopathy", "G72.0 G72.2 G72.9"),
    ("B-67", "infective-or-unspecified-myositis", "M60.80 M60.9"),
    ("§2", "systemic-illness", "C34.90 C50.911 C61 C71.9 C43.9 C7A.00 C96.9 363346000 B20 Z21 86406008 A15.0 A19.9 "
     "B18.1 R64 238108007 J44.9 I50.9 N18.4 N18.5 N18.6 K74.60"),
    ("B-94", "cachexia", "R64 E88.A"),
    ("B-86, B-81", "cardiorespiratory-explanation", "J09.X1 J18.9 J22 J40 J44.1 J47.9 J80 J90 J94.9 I26.99 I50.9"),
    ("§2", "endocrine", "E24.0 E24.2 E03.9 E05.90 E29.1 E55.9 M83.9 E27.1 E25.0 47270006 190502001"),
    ("§2", "nutrition", "E40 E46 E64.0 T73.0XXA R63.4 R63.6 R62.7 F50.01 K90.0 448765001"),
    ("§2", "alcohol", "F10.10 F10.20 F10.231 G62.1 G72.1 66590003 15167005"),
    ("§2", "immobility", "Z74.01 M62.3 Z99.3 160685001"),
    ("B-03, B-45, B-79", "immobility-long", "Z74.01 M62.3 Z99.3 160685001 225612007 G82.20 160684002 203041005"),
    ("R22: with injury", "serious-injury", "S06.5X0A T07.XXXA M97.01XA"),
    ("A-76", "injury", "S72.001A S82.201A S77.00XA S44.00XA M62.20 T79.6XXA"),
    ("R21", "burns", "T31.30 T31.20"),
    ("A-31", "spinal-pain", "M54.2 M54.30 M54.41 M54.50 M54.6 M54.9"),
    ("A-40", "pregnancy", "Z33.1 Z3A.20 O26.90"),
    ("B-74", "delivery", "O80 O82 Z37.0"),
    ("B-08", "hospice", "385763009 182964004"),
    ("B-08", "palliative", "Z51.5 103735009"),
    ("B-89", "pressure-ulcer-stage-2-or-more", "L89.152 L89.150 L89.156"),
]  # fmt: skip


@pytest.mark.parametrize(("ruling", "name", "codes"), HELD)
def test_a_set_holds_what_the_papers_name(ruling: str, name: str, codes: str) -> None:
    assert [code for code in codes.split() if not holds(RULES, name, code)] == [], ruling


# What the rulings and traps keep out.
KEPT_OUT = [
    ("S7: fatigue is not weakness", "weakness", "R53.81 R53.83 R53.82 R29.898 84229001 367391008 271795006"),
    ("A-21, A-51: C44 and a neoplasm are not cancer", "cancer", "C44.90 126906006 162573006 Z85.3"),
    ("A-21", "systemic-illness", "C44.90 126906006 N18.3 N18.9 K74.0 Z85.3"),
    ("A-21: the history of C44 is not history of cancer", "cancer-history", "Z85.828"),
    ("A-64", "central-nervous-disease", "Z86.73 275526006"),
    ("B-20", "facial-weakness", "G51.0"),
    ("B-03, B-67", "neuromuscular-disease", "M60.009 M60.20 M60.80 M60.9 B91 G82.50 G70.00 29689003 240105009"),
    ("B-03", "myopathy", "M60.009 M60.20 M60.80 M60.9 M62.82 T38.0X5A T46.6X5A"),
    ("B-03: R25.2", "fasciculation", "R25.2"),
    ("B-03: consequence", "respiratory-signs", "409622000"),
    ("trap 19: no infarction", "central-nervous-disease", "I65.21 I66.9 I67.9"),
    ("R13-N2", "cushing", "E24.2 41299009"),
    ("R20-N1", "alcohol", "F10.11 F10.21"),
    ("trap 7: inhaled", "long-term-steroid-use", "Z79.51 161648003 710818004"),
    (
        "R01: no weakness",
        "stroke-motor-sequelae",
        "I69.320 I69.391 I69.392 I69.30 I69.398 195239002 195243003 426033005",
    ),
    ("R21-N1", "burns", "T31.0 T31.10"),
    ("A-76: bruises, sprains, inner organs", "injury", "S80.00XA S93.401A S27.0XXA S37.009A"),
    ("trap 11", "charcot-marie-tooth", "359554008"),
    ("R23: stage 1", "pressure-ulcer-stage-2-or-more", "L89.151 L89.159"),
    ("B-03: wearable", "gait-speed", "41957-2"),
    ("B-03: CMS", "five-times-sit-to-stand", "83212-1"),
    ("B-03: CMS", "falls-past-year", "52552-7"),
    ("NG249: no prediction score", "fall-assessment", "59460-6 762993000"),
    ("G10: not Z66 alone", "hospice", "Z66 Z51.5 103735009"),
    ("B-74", "pregnancy", "O80 O82"),
]


@pytest.mark.parametrize(("why", "name", "codes"), KEPT_OUT)
def test_a_set_keeps_out_what_the_papers_keep_out(why: str, name: str, codes: str) -> None:
    assert [code for code in codes.split() if holds(RULES, name, code)] == [], why


@pytest.mark.parametrize("code", ["48333001", "161648003", "710818004", "R29.2", "M60.009", "Z79.51", "Z80.3", "Z82.0"])
def test_no_set_holds_a_morphology_a_history_of_treatment_or_a_relatives_disease(code: str) -> None:
    """G4, B-03 and traps 7, 10 and 20."""
    assert [name for name in value_sets(RULES) if holds(RULES, name, code)] == []


@pytest.mark.parametrize(
    ("code", "side", "limb"),
    [
        ("M62.541", "right", "upper"), ("M62.562", "left", "lower"), ("M21.371", "right", "lower"),
        ("G56.21", "right", "upper"), ("G81.92", "left", ""), ("G82.20", "bilateral", "lower"),
        ("M18.0", "bilateral", "upper"), ("713512009", "", "upper"), ("300948004", "", "lower"),
        ("309538000", "", "lower"), ("57406009", "", "upper"), ("60389000", "bilateral", "lower"),
        ("G82", "bilateral", ""), ("G82.2", "bilateral", "lower"), ("G83.1", "", "lower"), ("G83.2", "", "upper"),
        ("11538006", "bilateral", ""), ("32153003", "left", "lower"), ("51440002", "bilateral", ""),
    ],
)  # fmt: skip
def test_site_of_a_code(code: str, side: str, limb: str) -> None:
    """B-05, B-72: same limb and side."""
    rows = [row for row in read(RULES / "body_sites.csv") if row["code"] == code]
    assert [(row["side"], row["limb"]) for row in rows] == [(side, limb)]
