"""docs/ehrs.md: each test that it names stands in the file that it links to."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
SHOWN_BY = re.compile(r"\[`(test_\w+)`\]\(([^)]+)\)")


def test_every_test_that_the_page_names_is_there() -> None:
    named = SHOWN_BY.findall((DOCS / "ehrs.md").read_text())
    missing = [name for name, link in named if f"def {name}(" not in (DOCS / link).read_text()]
    assert named
    assert missing == []
