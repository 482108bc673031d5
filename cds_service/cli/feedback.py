"""``atrophy-cds feedback report``: what became of the cards that were shown, as a table, CSV and a picture."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cds_service.cli import feedback_picture
from cds_service.cli.feedback_tally import WHOLE, By, Report, tally, wilson
from cds_service.settings import Settings
from cds_service.store import open_store

_FORMULA_STARTS = ("=", "+", "-", "@")
INTERVAL = "In brackets: 95 % Wilson interval of the share. The newest answer to a card counts."
COUNTED = "A card counts each time it is shown, under every rule on it."


def report(since: datetime | None, by: By, csv_file: Path | None, picture_file: Path | None) -> int:
    """Print the report of the cards shown since a day of the site; write it as CSV and draw it where asked to."""
    settings = Settings.from_environment()
    if picture_file is not None:
        feedback_picture.check(picture_file)
    moment = None if since is None else since.replace(tzinfo=settings.zone).astimezone(UTC)
    with closing(open_store(settings)) as store:
        counted = tally(store.outcomes(moment), by)
    title = f"Cards {'ever shown' if since is None else f'shown since {since:%Y-%m-%d}'}, by {by}"
    console = Console()
    console.print(_table(counted, title))
    console.print(INTERVAL if by == "reason" else f"{INTERVAL} {COUNTED}")
    if csv_file is not None:
        with csv_file.open("w", newline="", encoding="utf-8") as opened:
            csv.writer(opened).writerows(csv_rows(counted))
    if picture_file is not None:
        feedback_picture.draw(counted, title, picture_file)
    return 0


def csv_rows(counted: Report) -> Iterator[list[object]]:
    """The report for a spreadsheet, a heading first: counts, shares and intervals with four decimals."""
    ends = ("", "_share", "_low", "_high")
    has_reasons = counted.by != "reason"
    columns = [outcome + end for outcome in counted.outcomes for end in ends]
    yield [counted.by, counted.cards, *columns, *(["reasons"] if has_reasons else [])]
    for line in counted.lines:
        row: list[object] = [_harmless(line.name), line.cards]
        for outcome in counted.outcomes:
            low, share, high = wilson(line.counts[outcome], line.cards)
            row += [line.counts[outcome], *(f"{number:.4f}" for number in (share, low, high))]
        yield [*row, *([_harmless(_listed(line.reasons))] if has_reasons else [])]


def _table(counted: Report, title: str) -> Table:
    table = Table(counted.by, counted.cards, *counted.outcomes, title=title, title_justify="left")
    has_reasons = counted.by != "reason"
    if has_reasons:
        table.add_column("overridden because")
    for line in counted.lines:
        if line.name == WHOLE:
            table.add_section()
        shares = (_in_words(line.counts[outcome], line.cards) for outcome in counted.outcomes)
        reasons = (escape(_listed(line.reasons)),) if has_reasons else ()
        table.add_row(escape(line.name), str(line.cards), *shares, *reasons)
    return table


def _in_words(count: int, total: int) -> str:
    low, share, high = (100 * number for number in wilson(count, total))
    return f"{count}: {share:.0f} % ({low:.0f}–{high:.0f})" if total else "0"


def _listed(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {number}" for reason, number in sorted(reasons.items(), key=lambda r: (-r[1], r[0])))


def _harmless(text: str) -> str:
    """Text that a spreadsheet does not take for a formula: reasons are written by others."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
