"""The feedback report as a picture: shares with their intervals. Needs the extra ``report`` (matplotlib)."""

from __future__ import annotations

from pathlib import Path

from cds_service.cli.feedback_tally import Report, wilson
from cds_service.errors import SettingsError

KINDS = (".png", ".svg", ".pdf")
_COLOURS = ("#00797d", "#b3541e", "#767676")
_MARKERS = ("o", "s", "D")
_WIDTH, _HEAD, _LINE = 8.0, 1.6, 0.5  # inches
_APART = 0.22  # of the height of a line


def check(path: Path) -> None:
    """Raises SettingsError when no picture could be drawn there."""
    if path.suffix.lower() not in KINDS:
        raise SettingsError(f"--picture must end in one of {', '.join(KINDS)}.")
    try:
        import matplotlib  # noqa: F401, PLC0415 - an extra, and slow to load
    except ModuleNotFoundError:
        raise SettingsError("--picture needs the extra `report`: pip install atrophy-cds[report].") from None


def draw(counted: Report, title: str, path: Path) -> None:
    """One row for each line of the report, in its order; a mark for each share, a bar for its interval."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    lines = counted.lines
    figure = Figure(figsize=(_WIDTH, _HEAD + _LINE * len(lines)), layout="constrained")
    axes = figure.add_subplot()
    for number, outcome in enumerate(counted.outcomes):
        shares = [wilson(line.counts[outcome], line.cards) for line in lines]
        percent = [100 * s.share for s in shares]
        bars = ([100 * (s.share - s.low) for s in shares], [100 * (s.high - s.share) for s in shares])
        rows = [row + _APART * (number - (len(counted.outcomes) - 1) / 2) for row in range(len(lines))]
        axes.errorbar(percent, rows, xerr=bars, fmt=_MARKERS[number], color=_COLOURS[number], capsize=3, label=outcome)
    axes.set_yticks(range(len(lines)), [f"{line.name} ({line.cards} {counted.cards})" for line in lines])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel(f"% of the cards {counted.cards}, with 95 % Wilson interval")
    axes.set_title(title, loc="left")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=len(counted.outcomes))
    figure.savefig(path)
