"""``atrophy-cds docs``: the pages of ``docs/`` that are made from ``rules/``, so that they cannot drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click

from cds_service.cli.coverage import coverage_page
from cds_service.cli.memory_page import memory_page
from cds_service.cli.profiles_page import profiles_page
from cds_service.cli.rules_page import rules_page
from cds_service.cli.threat_model import threat_page
from cds_service.settings import Settings

NOT_CURRENT = 1


def write_docs(*, check: bool) -> int:
    """Write each generated page; with ``check`` only compare. 0, or 1 when a page was not current."""
    folder = Settings.from_environment().rules_dir
    docs = folder.parent / "docs"
    stale = 0
    for name, render in PAGES.items():
        text, path = render(folder), docs / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            click.echo(f"docs/{name} is not current: run make fix", err=True)
            stale = NOT_CURRENT
        else:
            docs.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return stale


PAGES: Mapping[str, Callable[[Path], str]] = {
    "rules.md": rules_page,
    "coverage.md": coverage_page,
    "profiles.md": profiles_page,
    "memory.md": memory_page,
    "threat-model.md": threat_page,
}
