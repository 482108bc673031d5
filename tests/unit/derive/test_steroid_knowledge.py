"""``rules/steroids.toml``, ``steroid_products.csv``, the route and form sets: complete, consistent, with a source."""

from __future__ import annotations

import csv
import tomllib
from datetime import date
from itertools import combinations
from typing import Any

import msgspec
import pytest

from cds_service.derive.steroid_exposure import SteroidKnowledge
from tests.unit.derive.steroid_charts import KNOWLEDGE, RULES, RXNORM, TIMING, products

COLUMNS = ["system", "code", "display", "ingredient", "strength_mg", "unit", "form", "systemic", "verified_by", "note"]
SETS = ("form-local", "form-oral", "route-injected", "route-intravenous", "route-local", "route-oral")


def rows(name: str) -> list[dict[str, str]]:
    with (RULES / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def toml() -> dict[str, Any]:
    return tomllib.loads((RULES / "steroids.toml").read_text("utf-8"))


def test_an_unknown_key_stops_the_start() -> None:
    with pytest.raises(msgspec.ValidationError, match="high_dose"):
        msgspec.convert({**toml(), "high_dose": 30}, SteroidKnowledge)


def test_a_missing_limit_stops_the_start() -> None:
    written = toml()
    del written["high"]["daily_mg"]
    with pytest.raises(msgspec.ValidationError, match="daily_mg"):
        msgspec.convert(written, SteroidKnowledge)


def test_the_file_says_who_answers_for_it_and_that_nobody_has_checked_it() -> None:
    assert KNOWLEDGE.owner
    assert KNOWLEDGE.checker == ""
    assert date.fromisoformat(KNOWLEDGE.review_by) == date(2027, 11, 27)
    assert KNOWLEDGE.sources


@pytest.mark.parametrize("name", ["fluorinated", "equivalence_disputed", "route_uncertain"])
def test_groups_of_ingredients_are_convertible(name: str) -> None:
    assert getattr(KNOWLEDGE.ingredients, name) <= set(KNOWLEDGE.equivalents)


def test_other_names_are_convertible() -> None:
    assert {*KNOWLEDGE.text_names.values(), KNOWLEDGE.replacement.ingredient, KNOWLEDGE.high.ingredient} <= set(
        KNOWLEDGE.equivalents
    )


def test_budesonide_fludrocortisone_and_vamorolone_have_no_equivalent() -> None:
    assert not {"budesonide", "fludrocortisone", "vamorolone"} & {*KNOWLEDGE.equivalents, *KNOWLEDGE.text_names}


def test_the_limits_rise() -> None:
    assert KNOWLEDGE.moderate.daily_mg < KNOWLEDGE.high.daily_mg < KNOWLEDGE.pulse.at_least_daily_mg
    assert KNOWLEDGE.moderate.year_mg < KNOWLEDGE.high.year_mg


def test_a_text_means_one_way() -> None:
    texts = KNOWLEDGE.route_texts
    ways = (texts.oral, texts.intravenous, texts.injected, texts.local)
    assert not any(one & other for one, other in combinations(ways, 2))


def test_the_forms_of_products_are_those_of_the_table() -> None:
    forms = {row["form"] for row in rows("steroid_products.csv")}
    assert KNOWLEDGE.product_forms.oral | KNOWLEDGE.product_forms.injected <= forms
    assert {form for form in forms if form.startswith("oral")} == KNOWLEDGE.product_forms.oral


def test_texts_and_units_are_lower_case_as_they_are_compared() -> None:
    units = KNOWLEDGE.units
    words = {*units.mg, *units.mL, *units.tablet, *KNOWLEDGE.text_names, *KNOWLEDGE.local_route_words}
    words |= KNOWLEDGE.route_texts.systemic | KNOWLEDGE.route_texts.local
    assert {word for word in words if word != word.lower().strip()} == set()


def test_a_unit_has_one_meaning() -> None:
    units = KNOWLEDGE.units
    assert not set(units.mg) & set(units.mL)
    assert not set(units.tablet) & (set(units.mg) | set(units.mL))


def test_every_timing_code_is_there() -> None:
    """The sixteen codes of the FHIR R4 value set timing-abbreviation that we could verify."""
    assert len(KNOWLEDGE.timing_codes[TIMING]) == 16


@pytest.mark.parametrize(("text", "code"), [("qod", "QOD"), ("every 8 hours", "Q8H"), ("at bedtime", "BED")])
def test_a_timing_code_has_the_names_of_its_value_set(text: str, code: str) -> None:
    assert KNOWLEDGE.timing_names()[text] == (TIMING, code)


class TestProducts:
    ROWS = rows("steroid_products.csv")

    def test_columns(self) -> None:
        assert list(self.ROWS[0]) == COLUMNS

    def test_every_code_stands_once_and_has_a_source(self) -> None:
        assert len({(row["system"], row["code"]) for row in self.ROWS}) == len(self.ROWS)
        assert [row["code"] for row in self.ROWS if not row["verified_by"]] == []

    def test_what_is_not_local_can_be_converted(self) -> None:
        assert {row["ingredient"] for row in self.ROWS if row["systemic"] != "no"} == set(KNOWLEDGE.equivalents)

    def test_local_products_are_named_by_their_form(self) -> None:
        """The form is the reason under which an entry is reported as not counted."""
        assert {row["form"] for row in self.ROWS if row["systemic"] == "no"} == {
            *("inhaled", "nasal", "topical", "ophthalmic", "otic", "rectal", "local-injection", "veterinary")
        }

    def test_a_strength_has_a_unit_and_stands_in_the_verified_display(self) -> None:
        for row in self.ROWS:
            assert bool(row["strength_mg"]) == bool(row["unit"]), row["code"]
            if row["strength_mg"] and "/ betamethasone acetate" not in row["display"]:  # two esters, added
                assert f"{row['strength_mg']} MG" in row["display"], row["code"]
                assert (row["unit"] == "mL") == ("MG/ML" in row["display"]), row["code"]

    def test_trap_6_depot_injections_leave_the_route_open(self) -> None:
        depots = [
            r for r in self.ROWS if r["form"] == "injection" and ("acet" in r["display"] or "Susp" in r["display"])
        ]
        assert depots
        assert {row["systemic"] for row in depots} == {"uncertain"}

    def test_trap_3_glucose_is_no_steroid(self) -> None:
        """4850 is glucose; a public list calls it hydrocortisone."""
        assert (RXNORM, "4850") not in {(row["system"], row["code"]) for row in self.ROWS}

    def test_trap_8_synthea_prescribes_prednisone_by_product(self) -> None:
        assert (products()["312615"].strength_mg, products()["312617"].strength_mg) == (20, 5)


class TestRouteAndFormSets:
    @pytest.mark.parametrize("name", SETS)
    def test_columns_and_sources(self, name: str) -> None:
        written = rows(f"value_sets/{name}.csv")
        assert list(written[0]) == ["system", "code", "display", "scope", "verified_by", "note"]
        assert all(row["verified_by"] and row["scope"] == "exact" for row in written)

    @pytest.mark.parametrize("pair", [*combinations(SETS[2:], 2), ("form-local", "form-oral")])
    def test_no_code_is_both(self, pair: tuple[str, str]) -> None:
        one, other = ({row["code"] for row in rows(f"value_sets/{name}.csv")} for name in pair)
        assert not one & other

    def test_the_knowledge_names_these_sets(self) -> None:
        route, form = KNOWLEDGE.route_sets, KNOWLEDGE.form_sets
        assert tuple(sorted(route.systemic | route.local | form.systemic | form.local)) == SETS
