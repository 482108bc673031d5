"""Boolean expressions answer in three values: unknown is neither true nor false (T23)."""

from __future__ import annotations

import pytest

from cds_service.rule_engine.expression import read_expression
from cds_service.rule_engine.model import Fact, Verdict

FACT = Fact("Condition/1", "weakness")
ANSWERS = {
    "yes": Verdict(True, (FACT,)),
    "no": Verdict(False),
    "unknown": Verdict(None, missing=("conditions",)),
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes and no", False),
        ("yes or no", True),
        ("not yes", False),
        ("not no", True),
        ("not unknown", None),
        ("unknown and no", False),
        ("no and unknown", False),
        ("unknown and yes", None),
        ("yes and unknown", None),
        ("unknown or yes", True),
        ("unknown or no", None),
        ("yes and (no\n  or not no)", True),
    ],
)
def test_three_values(text: str, value: bool | None) -> None:
    """Kleene's logic: only a false part makes an ``and`` false, only a true part makes an ``or`` true."""
    assert value is read_expression(text, ANSWERS)(ANSWERS.__getitem__).value


def test_true_carries_its_facts() -> None:
    """An answer names what it rests on, once."""
    assert read_expression("yes or yes", ANSWERS)(ANSWERS.__getitem__).facts == (FACT,)


def test_unknown_names_what_was_missing() -> None:
    """An unknown answer says which source was not seen."""
    assert read_expression("unknown and yes", ANSWERS)(ANSWERS.__getitem__).missing == ("conditions",)


@pytest.mark.parametrize("text", ["yes and", "yes + no", "f(yes)", "yes.no", "1", "yes if no else yes", "other"])
def test_anything_else_is_refused(text: str) -> None:
    """A rule file cannot run code, and cannot name a criterion that does not exist."""
    with pytest.raises(ValueError, match=r"expression|criterion"):
        read_expression(text, ANSWERS)
