"""One view of the exposure -> its level GC0-GC3, with the numbers behind it (section 5 "Levels", A-67, B-33, B-85)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from cds_service.derive.steroid_knowledge import SteroidKnowledge
from cds_service.derive.steroid_timeline import Exposed

# Why the level is what it is.
HIGH_DOSE_DAYS, INGREDIENT_DAYS, YEAR_DOSE = "high-dose-days", "high-dose-dexamethasone-days", "cumulative-dose"
MODERATE_DOSE_DAYS, FLUORINATED_DAYS = "moderate-dose-days", "fluorinated-days"
LONG_COURSE, BURSTS, SHORT_COURSES, ENDED, NO_EXPOSURE = "long-course", "bursts", "short-courses", "ended", "none"


class Episode(NamedTuple):
    """A run of exposure whose gaps are short enough to bridge, both days in."""

    first: date
    last: date
    parts: tuple[Exposed, ...]

    @property
    def days(self) -> int:
        """From the first day to the last, bridged gaps included."""
        return (self.last - self.first).days + 1


class Judgement(NamedTuple):
    """A level and what it rests on. Doses in mg prednisone equivalent; windows end on ``last_day`` (B-33)."""

    level: int
    reason: str
    started: date | None = None
    last_day: date | None = None
    episode_days: int = 0
    mean_daily_mg: float | None = None
    last_daily_mg: float | None = None
    max_daily_mg: float | None = None
    year_mg: float = 0
    moderate_dose_days: int = 0
    high_dose_days: int = 0
    fluorinated_days: int = 0
    bursts: int = 0


def episodes(parts: Iterable[Exposed], gap_days: int) -> list[Episode]:
    """Join what is at most ``gap_days`` days without a dose apart. The parts come in the order of the calendar."""
    joined: list[list[Exposed]] = []
    for part in parts:
        if joined and (part.first - joined[-1][-1].last).days - 1 <= gap_days:
            joined[-1].append(part)
        else:
            joined.append([part])
    return [Episode(run[0].first, run[-1].last, tuple(run)) for run in joined]


def judge(parts: Sequence[Exposed], gap_days: int, today: date, knowledge: SteroidKnowledge) -> Judgement:
    """The level of one view. Doses count only in courses longer than a burst (A-03, B-85).

    Every course that ended up to 90 days ago is judged at its own last day (A-06, B-33); the highest level counts, so
    that a later course at a low dose does not hide an earlier one at a high dose.
    """
    runs = episodes(parts, gap_days)
    recent = [run for run in runs if (today - run.last).days <= knowledge.windows.ended_days]
    if not recent:
        return Judgement(0, ENDED if runs else NO_EXPOSURE, *_dates(runs))
    bursts = _bursts(runs, recent[-1].last, knowledge)
    if not any(_is_long(run, knowledge) for run in recent):
        level, reason = (1, BURSTS) if bursts >= knowledge.low.bursts else (0, SHORT_COURSES)
        highest = max(part.peq_mg for run in recent for part in run.parts)
        return Judgement(level, reason, *_dates(recent), max_daily_mg=highest or None, bursts=bursts)
    long = [run for run in runs if _is_long(run, knowledge)]
    views = [_judge_long(long[: number + 1], gap_days, knowledge) for number, run in enumerate(long) if run in recent]
    return max(views, key=lambda view: (view.level, view.last_day))._replace(bursts=bursts)


def _is_long(run: Episode, knowledge: SteroidKnowledge) -> bool:
    return run.days > knowledge.low.burst_at_most_days


def _dates(runs: Sequence[Episode]) -> tuple[date | None, date | None, int]:
    return (runs[-1].first, runs[-1].last, runs[-1].days) if runs else (None, None, 0)


def _bursts(runs: Iterable[Episode], last_day: date, knowledge: SteroidKnowledge) -> int:
    """Courses up to 14 days in the year up to the last exposure day. Pulses are no bursts (B-96)."""
    year_start = _window_start(last_day, knowledge.windows.year_days)
    return sum(
        run.last >= year_start and not _is_long(run, knowledge) and not all(part.pulse_only for part in run.parts)
        for run in runs
    )


def _window_start(last_day: date, days: int) -> date:
    """The first day of a window that ends on ``last_day``, both ends in (A-04)."""
    return last_day - timedelta(days=days - 1)


class _Counts(NamedTuple):
    """What the limits of GC2 and GC3 are compared with."""

    high_days: int
    ingredient_days: int
    moderate_days: int
    strong_fluorinated_days: int
    fluorinated_days: int
    year_mg: float
    recent_mg: float
    dosed_days: int


def _judge_long(long: Sequence[Episode], gap_days: int, knowledge: SteroidKnowledge) -> Judgement:
    last = long[-1]
    recent_start = _window_start(last.last, knowledge.windows.recent_days)
    year_start = _window_start(last.last, knowledge.windows.year_days)
    year = [part for run in long for part in run.parts if part.last >= year_start]
    recent = [part for part in year if part.last >= recent_start]
    counts = _count(
        (year, year_start), (recent, recent_start), _fluorinated(recent, long, gap_days, knowledge), knowledge
    )
    level, reason = _level(counts, knowledge)
    since = {YEAR_DOSE: year_start, LONG_COURSE: last.last}.get(reason, recent_start)
    return Judgement(
        level,
        reason,
        started=next(run.first for run in long if run.last >= since),
        last_day=last.last,
        episode_days=last.days,
        mean_daily_mg=round(counts.recent_mg / counts.dosed_days, 2) if counts.dosed_days else None,
        last_daily_mg=last.parts[-1].peq_mg or None,
        max_daily_mg=max(part.peq_mg for part in year) or None,
        year_mg=counts.year_mg,
        moderate_dose_days=counts.moderate_days,
        high_dose_days=counts.high_days,
        fluorinated_days=counts.fluorinated_days,
    )


def _level(counts: _Counts, knowledge: SteroidKnowledge) -> tuple[int, str]:
    """The highest level whose limit is reached, and which limit that is."""
    moderate, high = knowledge.moderate, knowledge.high
    ladder = (
        (counts.high_days >= high.days, 3, HIGH_DOSE_DAYS),
        (counts.ingredient_days >= high.ingredient_days, 3, INGREDIENT_DAYS),
        (counts.year_mg >= high.year_mg, 3, YEAR_DOSE),
        (counts.moderate_days >= moderate.days, 2, MODERATE_DOSE_DAYS),
        (counts.strong_fluorinated_days >= moderate.fluorinated_days, 2, FLUORINATED_DAYS),
        (counts.year_mg >= moderate.year_mg, 2, YEAR_DOSE),
    )
    return next(((level, reason) for reached, level, reason in ladder if reached), (1, LONG_COURSE))


def _count(
    year: tuple[Sequence[Exposed], date],
    recent: tuple[Sequence[Exposed], date],
    fluorinated: Sequence[Exposed],
    knowledge: SteroidKnowledge,
) -> _Counts:
    """Days and doses in the two windows, each given as its parts and its first day."""
    moderate, high = knowledge.moderate, knowledge.high
    parts, start = recent

    def days(among: Iterable[Exposed], counts: Callable[[Exposed], bool]) -> int:
        return sum(_days_since(start, part) for part in among if counts(part))

    return _Counts(
        high_days=days(parts, lambda part: part.peq_mg >= high.daily_mg),
        ingredient_days=days(parts, lambda part: part.ingredient_mg >= high.ingredient_daily_mg),
        moderate_days=days(parts, lambda part: part.peq_mg >= moderate.daily_mg),
        strong_fluorinated_days=days(
            fluorinated, lambda part: (part.fluorinated_peq_mg or 0) >= moderate.fluorinated_daily_mg
        ),
        fluorinated_days=days(fluorinated, lambda _: True),
        year_mg=round(sum(part.peq_mg * _days_since(year[1], part) for part in year[0]), 3),
        recent_mg=sum(part.peq_mg * _days_since(start, part) for part in parts),
        dosed_days=days(parts, lambda part: part.peq_mg > 0),
    )


def _fluorinated(
    recent: Iterable[Exposed], long: Iterable[Episode], gap_days: int, knowledge: SteroidKnowledge
) -> list[Exposed]:
    """Parts with a fluorinated drug, in fluorinated courses longer than a burst (B-33)."""
    taken = [part for run in long for part in run.parts if part.fluorinated_peq_mg is not None]
    counted = {part for run in episodes(taken, gap_days) if _is_long(run, knowledge) for part in run.parts}
    return [part for part in recent if part in counted]


def _days_since(start: date, part: Exposed) -> int:
    """Days of a part that lie in a window which begins on ``start``."""
    return (part.last - max(part.first, start)).days + 1
