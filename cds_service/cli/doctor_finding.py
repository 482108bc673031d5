"""What ``atrophy-cds doctor`` says: one finding to a line, and what to do about each cause. Nothing of a patient."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

Verdict = Literal["pass", "warn", "fail", "skipped"]

NOT_PLAIN = "(not a plain word)"
_PLAIN = re.compile(r"[!-~]{1,120}")

_ADVICE = {
    "unauthorized": "the token is not accepted or has expired",
    "forbidden": "the token's scope lacks this type",
    "not-found": "not offered: list it as an accepted gap",
    "timeout": "no answer in time: prefetch it, or look into the server's log",
    "other-server": "its link leads to another address: list that as an `alias`",
    "gone": "the link expires at once",
    "page-loop": "its link leads to itself: mend the server's paging",
    "outcome-error": "an OperationOutcome came in place of data: look into the server's log",
    "outcome-incomplete": "a part is held back from this token: check scope and sensitivity filters",
    "another-patient": "entries of other patients come with it and are dropped: the search must heed `patient`",
    "not-readable": "not all of it is FHIR R4 as JSON: look at what the server sends",
    "wrong-resource-type": "another type of resource came than was asked for",
}


class Finding(msgspec.Struct, frozen=True):
    """One line of the report. ``advice`` says what to do, unless it passed. Never holds anything of a patient.

    ``skipped``: could not be checked.
    """

    check: str
    verdict: Verdict
    found: str
    advice: str = ""
    milliseconds: float | None = None


def advice_on(cause: str) -> str:
    """What to do about a cause of the FHIR client or of the reader."""
    return _ADVICE.get(cause, "look into the server's log")


def plainly(text: str) -> str:
    """A word that a server wrote, as long as it can do nothing to a terminal (T33)."""
    return text if _PLAIN.fullmatch(text) else NOT_PLAIN
