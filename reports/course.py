"""How an experiment's numbers came to be, day by day: cumulative values of each metric and arm, and the split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ..stats import sequential_sample_ratio_test
from ..storage.looks import Look
from ..storage.series import Series
from .estimates import metric_unit
from .health import planned_shares
from .looks import has_planned_looks
from .phases import metric_value
from .tree import plain

__all__ = ["Course", "CourseDay", "CourseMetric", "CourseValue", "course"]


@dataclass(frozen=True, slots=True)
class CourseValue:
    """A metric in one arm at the end of a day; `value` and `standard_error` are None where they do not exist."""

    arm: str
    n: int
    value: float | None
    standard_error: float | None


@dataclass(frozen=True, slots=True)
class CourseMetric:
    """A metric at the end of a day; `unit` as in the scorecard."""

    metric: str
    unit: str
    arms: tuple[CourseValue, ...]


@dataclass(frozen=True, slots=True)
class CourseDay:
    """The end of a day.

    Attributes:
        day: the date, by the experiment's offset.
        visitors: exposed by then, by arm.
        srm_p_value: the smallest always-valid p-value of the planned split so far.
        metrics: in the definition's order.
    """

    day: str
    visitors: dict[str, int]
    srm_p_value: float
    metrics: tuple[CourseMetric, ...]


@dataclass(frozen=True, slots=True)
class Course:
    """The running view of one phase: each day has everybody exposed by its end with what was known by then.

    Nobody waits for a window to pass, as they do in the scorecard; once all have passed, the last day has its numbers.
    `withheld`: values are kept back until the first planned look is recorded.
    """

    experiment: str
    phase: int
    as_of: datetime
    utc_offset_minutes: int
    currency: str
    primary: str
    days: tuple[CourseDay, ...]
    withheld: bool
    by: Literal["day"] = "day"
    view: Literal["running"] = "running"

    def to_dict(self) -> dict[str, Any]:
        """The JSON object: plain dicts, lists, strings and finite floats; None for what is absent."""
        return plain(self)


def course(series: Series, looks: Sequence[Look] | None = ()) -> Course:
    """The days of the analysed phase, from its first visitor on.

    Args:
        series: what was seen.
        looks: as for `scorecard`: where looks are planned, values are withheld until the first is recorded.
    """
    definition = series.definition
    withheld = looks is not None and has_planned_looks(definition) and all(one.at > series.as_of for one in looks)
    shares = planned_shares(definition)
    smallest = 1.0
    days = []
    for i, day in enumerate(series.days):
        moments = {name: {arm: rows[i] for arm, rows in arms.items()} for name, arms in series.moments.items()}
        visitors = {arm: one.n for arm, one in moments[definition.plan.primary].items()}
        if not any(visitors.values()):
            continue
        smallest = min(smallest, sequential_sample_ratio_test(visitors, shares).p_value)
        metrics = []
        for metric in definition.metrics:
            values = []
            for arm, one in moments[metric.name].items():
                value, variance = (None, None) if withheld else metric_value(metric, one)
                values.append(CourseValue(arm, one.n, value, None if variance is None else math.sqrt(variance)))
            metrics.append(CourseMetric(metric.name, metric_unit(metric, definition.currency), tuple(values)))
        days.append(CourseDay(day.date().isoformat(), visitors, smallest, tuple(metrics)))
    return Course(
        experiment=definition.experiment,
        phase=series.phase,
        as_of=series.as_of,
        utc_offset_minutes=definition.utc_offset_minutes,
        currency=definition.currency,
        primary=definition.plan.primary,
        days=tuple(days),
        withheld=withheld,
    )
