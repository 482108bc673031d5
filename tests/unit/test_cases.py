"""``rules/*/cases.toml``: every oddity of a worked patient is refused with its file and line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cds_service.cases import load_cases
from cds_service.errors import RuleFileError

RULES = Path(__file__).parents[2] / "rules"
CASE = """\
[[case]]
id = "R08-first"
title = "A first patient, so that the second is not on line 1"
results = [{ what = "tsh", value = 2.1, on = "T-10d" }]
expect = { unexplained-weakness-wasting = "not-met" }

[[case]]
id = "R08-second"
title = "What is wrong stands on line 10"
LINE
expect = { unexplained-weakness-wasting = "not-met" }
"""


def rules_with(folder: Path, line: str) -> Path:
    """What cases are checked against, and one file of two cases; returns that file."""
    shutil.copytree(RULES / "value_sets", folder / "value_sets")
    for name in ("orders.toml", "steroid_products.csv"):
        shutil.copy(RULES / name, folder)
    path = folder / "unexplained-weakness-wasting" / "cases.toml"
    path.parent.mkdir()
    path.write_text(CASE.replace("LINE", line), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('results = [{ what = "ths", value = 2.1, on = "T-10d" }]', "no value set is called 'ths'"),
        ('activities = [{ what = "spine-mir", on = "T-10d" }]', "no value set is called 'spine-mir'"),
        ('activities = [{ what = "order:kc", kind = "order", on = "T-10d" }]', "no value set is called 'order:kc'"),
        ('visits = [{ specialty = "specialty-nerves", on = "T-10d" }]', "no value set is called 'specialty-nerves'"),
        ('medications = [{ drug = "prednison", dose = 20, since = "T-60d" }]', "no steroid is called 'prednison'"),
        ('offers = ["tsh", "kc"]', "no order is called 'kc'"),
        ('does_not_offer = ["kc"]', "no order is called 'kc'"),
        ('preselects = ["kc"]', "no order is called 'kc'"),
        ('does_not_preselect = ["kc"]', "no order is called 'kc'"),
    ],
)
def test_a_name_that_nothing_bears_is_refused(tmp_path: Path, line: str, problem: str) -> None:
    """A wrong name makes no resource, and what is wished not to be offered would never be."""
    path = rules_with(tmp_path, line)
    with pytest.raises(RuleFileError) as caught:
        load_cases(tmp_path)
    assert str(caught.value) == f"{path}:10: {problem}"


@pytest.mark.parametrize(
    "line",
    [
        'activities = [{ what = "tsh", kind = "wish", on = "T-10d" }]',
        'visits = [{ specialty = "specialty-neurology", kind = "call", on = "T-10d" }]',
        'medications = [{ drug = "prednisone", kind = "gift", since = "T-60d" }]',
        'conditions = [{ code = "M62.81", name = "Weakness", site = "left ear" }]',
        'results = [{ what = "grip-strength", value = 20, site = "both hands" }]',
    ],
)
def test_a_kind_of_entry_or_a_place_that_there_is_not_is_refused(tmp_path: Path, line: str) -> None:
    path = rules_with(tmp_path, line)
    with pytest.raises(RuleFileError) as caught:
        load_cases(tmp_path)
    assert (caught.value.path, caught.value.line) == (path, 8)
    assert "Invalid enum value" in caught.value.problem


@pytest.mark.parametrize(
    "line",
    [
        'activities = [{ what = "order:ck", kind = "order", on = "T-10d" }]',
        'activities = [{ text = "exercise", kind = "plan", on = "T-9d" }]',
        'medications = [{ drug = "fluticasone 50 MCG", text_only = true }, { drug = "atorvastatin", code = "617311" }]',
        'offers = ["ck"]',
    ],
)
def test_what_is_known_is_read(tmp_path: Path, line: str) -> None:
    rules_with(tmp_path, line)
    assert [case.id for _, case in load_cases(tmp_path)] == ["R08-first", "R08-second"]
