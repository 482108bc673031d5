"""A limit that a number is compared with. It may differ between the sexes (A-12)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

COMPARISONS: Mapping[str, tuple[str, Callable[[float, float], bool]]] = {
    "above": ("above", float.__gt__),
    "at_least": ("at least", float.__ge__),
    "below": ("below", float.__lt__),
    "at_most": ("at most", float.__le__),
}


class Limit(NamedTuple):
    """A comparison (above, at_least, below, at_most) with its number by sex (``male``, ``female``) or for ``any``."""

    name: str
    numbers: Mapping[str, float]

    @property
    def is_upper(self) -> bool:
        """Whether more is worse."""
        return self.name in ("above", "at_least")

    def for_sex(self, gender: str | None) -> tuple[float, ...]:
        """The number to use; each of them when the sex is not known and the limits differ."""
        if "any" in self.numbers:
            return (self.numbers["any"],)
        if gender is not None and gender in self.numbers:
            return (self.numbers[gender],)
        return tuple(self.numbers.values())

    def broken_by(self, value: float, comparator: str | None, gender: str | None) -> bool | None:
        """Whether the value is beyond the limit; None when it lies between those of the sexes and the sex is not known.

        A written ``>`` or ``<`` proves only its own direction.
        """
        if comparator is not None and (comparator[0] == ">") != self.is_upper:
            return False
        compare = COMPARISONS[self.name][1]
        strict = comparator in (">", "<")
        answers = {compare(float(value), float(one)) or (strict and value == one) for one in self.for_sex(gender)}
        return answers.pop() if len(answers) == 1 else None

    def words(self, gender: str | None) -> str:
        """The limit as a person says it."""
        numbers = self.for_sex(gender)
        said = f"{numbers[0]:g}" if len(numbers) == 1 else "the limit of both sexes"
        return f"{COMPARISONS[self.name][0]} {said}"


def limits_of(written: object) -> tuple[Limit, ...]:
    """The comparisons that a criterion or a measure writes, in the order of the words above."""
    found = []
    for name in COMPARISONS:
        limit = getattr(written, name)
        if limit is not None and limit != {}:
            found.append(Limit(name, {"any": limit} if isinstance(limit, float | int) else limit))
    return tuple(found)


def all_broken(limits: Iterable[Limit], value: float, comparator: str | None, gender: str | None) -> bool | None:
    """Whether the value is beyond every limit; None when only the sex, which is not known, could tell."""
    answers = {limit.broken_by(value, comparator, gender) for limit in limits}
    return None if None in answers and False not in answers else False not in answers
