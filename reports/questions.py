"""One metric's question to the traffic: how many weeks until it is decided."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..experiments.definition import Definition
from ..experiments.metrics import DAY, Metric
from ..stats import Design, Mean, Rate, achieved_power, required_visitors

__all__ = ["LEAST_WEEKS", "Question", "as_judged", "window_days"]

LEAST_WEEKS = 2
"""Weeks of enrolment at the least, since one week is not like the next."""

LONGEST = 260
"""Weeks of enrolment beyond which nobody plans: five years."""

MOST_READINGS = 52
"""Weekly readings that the power of the always-valid interval is computed with, at most; more change little."""

READINGS_WITHOUT_TRAFFIC = 8
"""Readings that are assumed where nobody knows how many weeks it takes."""


@dataclass(frozen=True, slots=True)
class Question:
    """One metric's question to the traffic.

    Attributes:
        endpoint: the metric without the offer, as it will be judged.
        design: of its test; `readings` stand in for one a week where `weekly`.
        lift, null_lift: true relative change, and the one to be ruled out.
        per_week: visitors who enter in a week; None where nobody knows.
        window_days: from a visitor's exposure until the metric counts it.
        weekly: whether it is read once a week of enrolment.
    """

    endpoint: Mean | Rate
    design: Design
    lift: float
    per_week: float | None
    window_days: float
    null_lift: float = 0.0
    weekly: bool = False

    def at(self, enrolment_weeks: float) -> Design:
        """The design with one reading for each week of enrolment."""
        if not self.weekly:
            return self.design
        return replace(self.design, readings=min(max(int(enrolment_weeks), 1), MOST_READINGS))

    def power(self, enrolment_weeks: float, per_week: float) -> float:
        """Chance to see the lift if enrolment ends then."""
        visitors, design = enrolment_weeks * per_week, self.at(enrolment_weeks)
        if visitors * min(design.shares) < 2:
            return 0.0
        return achieved_power(self.endpoint, self.lift, visitors, design, null_lift=self.null_lift)

    def enrolment(self) -> int | None:
        """The fewest weeks of enrolment that have the power; None beyond the longest."""
        if self.per_week is None:
            return None
        low, high = LEAST_WEEKS - 1, LEAST_WEEKS
        while self.power(high, self.per_week) < self.design.target:
            low, high = high, 2 * high
            if low >= LONGEST:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            if self.power(middle, self.per_week) < self.design.target:
                low = middle
            else:
                high = middle
        return high if high <= LONGEST else None

    def weeks(self) -> int | None:
        """Until all are analysed."""
        enrolment = self.enrolment()
        return None if enrolment is None else math.ceil(enrolment + self.window_days / 7)

    def visitors(self) -> int | None:
        """Analysed visitors needed at the traffic there is; with a weekly reading they depend on the weeks."""
        weeks = self.enrolment() if self.weekly else LEAST_WEEKS
        if weeks is None and self.per_week is not None:
            return None
        design = self.at(weeks or READINGS_WITHOUT_TRAFFIC)
        return required_visitors(self.endpoint, self.lift, design, null_lift=self.null_lift).total


def as_judged(endpoint: Mean | Rate, looks: bool) -> Mean | Rate:
    """The endpoint with the test that decides, unadjusted."""
    # The always-valid interval of a rate divides by the unpooled standard error.
    return Rate(endpoint.rate, "unpooled") if isinstance(endpoint, Rate) and not looks else endpoint


def window_days(definition: Definition, metric: Metric) -> float:
    """Days after the exposure until a metric counts a visitor, refunds included; 0 without a window, and of a table."""
    if metric.window_end is None or definition.source == "table":
        return 0.0
    return (metric.window_end + metric.refund_window) / DAY
