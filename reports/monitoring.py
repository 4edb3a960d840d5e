"""How a lift came to be: the cumulative comparison day by day, with the band that may be looked at on any day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..storage.series import Series
from .estimates import monitored
from .phases import Pair
from .tree import MonitoredArm, MonitoredDay

__all__ = ["lift_course"]

MOST_POINTS = 70
"""Days that are drawn; of a longer course every second or third, and always the last."""


def lift_course(series: Series) -> tuple[MonitoredArm, ...]:
    """The course of every treatment arm.

    Everybody exposed by the end of a day counts, with what was known by then: nobody waits for a window to pass, so the
    values differ from the scorecard's until the last one has. Several phases are strata, as they are there.
    """
    treatments = series.definition.treatments
    chosen = _chosen(len(series.days))
    return tuple(MonitoredArm(arm, tuple(_days(series, arm, chosen))) for arm in treatments)


def _chosen(days: int) -> Sequence[int]:
    step = -(-days // MOST_POINTS) or 1
    return range(days - 1, -1, -step)[::-1]


def _days(series: Series, arm: str, chosen: Sequence[int]) -> Iterator[MonitoredDay]:
    definition = series.definition
    metric = definition.metric(definition.plan.primary)
    phases = [courses[metric.name] for _, courses in sorted(series.by_phase.items())]
    for i in chosen:
        strata = [{name: course[i] for name, course in arms.items()} for arms in phases]
        if not any(one[name].n for one in strata for name in (arm, definition.control)):
            continue
        pair = Pair(
            tuple(one[arm] for one in strata),
            tuple(one[definition.control] for one in strata),
            tuple(sum(moments.n for moments in one.values()) for one in strata),
        )
        lift, anytime = monitored(definition, metric, arm, pair)
        yield MonitoredDay(series.days[i], lift, anytime.lift)
