"""The tables that a run prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.fetch import Fetched
from benchmarks.goals import Judged
from benchmarks.measure import Cell, Samples, median, ratio
from benchmarks.servers import NULL, OURS, RAW
from benchmarks.stages import STAGES, Timings

_WIDTH = 110


def print_loads(samples: Samples) -> None:
    """Every cell, and beside ours its ratios to the floors."""
    rows = []
    for cell in sorted(samples, key=lambda c: (c.size, c.clients, (OURS, RAW, NULL).index(c.server))):
        found = median(samples, cell)
        figures = (f"{found.p50:.2f}", f"{found.p95:.2f}", f"{found.per_second:.0f}", f"{found.cpu:.2f}")
        rows.append(
            (f"{cell.size}", f"{cell.clients}", cell.server, *figures, f"{found.rss:.0f}", *_ratios(samples, cell))
        )
    heads = ("resources", "clients", "server", "p50 ms", "p95 ms", "calls/s", "CPU ms", "RSS MB", "p50/raw", "CPU/raw")
    _print("Loads: medians over the rounds; ratios within each round", heads, rows)


def print_stages(stages: Mapping[int, Timings]) -> None:
    """Milliseconds of each stage of a call, without HTTP."""
    rows = [
        (f"{size}", *(f"{spent:.3f}" for spent in found.stages), f"{found.total:.3f}", f"{found.runs}")
        for size, found in stages.items()
    ]
    _print("Stages in process, median ms", ("resources", *STAGES, "total", "runs"), rows)


def print_fetching(found: Fetched) -> None:
    """One patient fetched by us and by the bare session."""
    rows = [
        ("service", f"{found.wall:.1f}", f"{found.cpu:.2f}"),
        ("bare session", f"{found.bare_wall:.1f}", f"{found.bare_cpu:.2f}"),
    ]
    title = f"Fetching: {found.calls} calls in {found.stages} stages, the slowest call takes {found.slowest:.1f} ms"
    _print(title, ("", "wall ms", "CPU ms"), rows)


def print_goals(judged: Iterable[Judged]) -> None:
    """Every goal that was measured: what came out, the bar, and whether it is kept."""
    rows = [
        (
            one.goal.says,
            f"{one.value:.2f}",
            f"{one.goal.limit:g}",
            "OK" if one.is_met else "over",
            "gate" * one.goal.gate,
        )
        for one in judged
    ]
    _print("Goals", ("goal", "measured", "at most", "", ""), rows)


def _ratios(samples: Samples, cell: Cell) -> tuple[str, ...]:
    if cell.server != OURS:
        return ("", "")
    return tuple(f"{ratio(samples, cell, RAW, figure):.2f}" for figure in ("p50", "cpu"))


def _print(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table()
    for at, head in enumerate(heads):
        table.add_column(head, justify="left" if at == 0 and head != "resources" else "right")
    for row in rows:
        table.add_row(*row)
    console = Console(width=_WIDTH, highlight=False)
    console.print(f"\n{title}")
    console.print(table)
