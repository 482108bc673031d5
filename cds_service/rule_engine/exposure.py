"""What a criterion asks about systemic corticosteroids: level, dose, fluorinated days, pulses (section 5, B-85)."""

from __future__ import annotations

from collections.abc import Callable

from cds_service.derive.steroid_exposure import UNDATED, Course, Pulse, SteroidExposure
from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.expression import FALSE
from cds_service.rule_engine.inquiry import MEDICATIONS, Inquiry, course_fact
from cds_service.rule_engine.model import Verdict

Ask = Callable[[Inquiry], Verdict]


def steroid(criterion: Criterion) -> Ask:
    """Whether the exposure is what the criterion asks for, with every course that it rests on."""

    def ask(inquiry: Inquiry) -> Verdict:
        exposure = inquiry.facts.exposure
        if all(holds(exposure, criterion) for holds in (_has_level, _has_drug_and_dose, _in_time)):
            return Verdict(True, tuple(course_fact(course) for course in exposure.basis))
        return _not_seen(inquiry)

    return ask


def steroid_pulse(criterion: Criterion) -> Ask:
    """A pulse into a vein that ended within so many days, with its courses (A-03, B-85)."""
    days = criterion.steroid_pulse_within_days or 0

    def ask(inquiry: Inquiry) -> Verdict:
        exposure, today = inquiry.facts.exposure, inquiry.as_of.date()
        pulses = [pulse for pulse in exposure.pulses if (today - pulse.last).days <= days]
        given = [course for course in exposure.basis if any(_is_of(course, pulse) for pulse in pulses)]
        return Verdict(True, tuple(map(course_fact, given))) if pulses else _not_seen(inquiry)

    return ask


def _is_of(course: Course, pulse: Pulse) -> bool:
    same = course.intravenous and course.ingredient == pulse.ingredient
    return same and course.start <= pulse.last and pulse.first <= course.end


def _not_seen(inquiry: Inquiry) -> Verdict:
    return FALSE if inquiry.medications_seen() else Verdict(None, missing=(MEDICATIONS,))


def _has_level(exposure: SteroidExposure, criterion: Criterion) -> bool:
    least, most, certain = (
        criterion.steroid_level_at_least,
        criterion.steroid_level_at_most,
        criterion.steroid_is_certain,
    )
    return (
        (least is None or exposure.level >= least)
        and (most is None or exposure.level <= most)
        and (certain is None or certain is not _is_uncertain(exposure))
    )


def _has_drug_and_dose(exposure: SteroidExposure, criterion: Criterion) -> bool:
    fluorinated, below = criterion.fluorinated_days_at_least, criterion.steroid_daily_mg_below
    return (
        (fluorinated is None or exposure.fluorinated_days >= fluorinated)
        and not (criterion.fluorinated_is_coded and exposure.fluorinated_in_words)
        and (below is None or _is_below(exposure, below))
    )


def _in_time(exposure: SteroidExposure, criterion: Criterion) -> bool:
    since = exposure.days_since_last
    limits = criterion.current_within_days, criterion.ended_within_days
    return all(limit is None or (since is not None and since <= limit) for limit in limits)


def _is_below(exposure: SteroidExposure, limit: float) -> bool:
    """Every dose of the basis, and all that was taken on one day, in mg prednisone equivalent."""
    doses = (exposure.max_daily_mg, *(course.peq_mg_per_day for course in exposure.basis))
    return all(mg is not None and mg < limit for mg in doses)


def _is_uncertain(exposure: SteroidExposure) -> bool:
    return exposure.is_uncertain or exposure.dose_unknown or UNDATED in exposure.flags
