"""Experiments drawn from a shop's past visitors and sent through the plan's rule, many at once.

What a plan is read by and when, who is drawn, and what the rule is told: the same numbers as a report's, by the
estimators' formulas for arrays (`offerlift.stats.simulation`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, known_or_nearest
from ..experiments.definition import WEEK, Definition
from ..experiments.metrics import Column, CovariateUse, Metric
from ..stats import (
    SKEW_LIMIT,
    Verdicts,
    error_budget,
    follow_bounds,
    planned_looks,
    tuning_with_plan,
    tuning_without_plan,
)
from ..stats.simulation import (
    ArmValues,
    Drawn,
    Population,
    adjusted_differences,
    against_margins,
    all_pairs,
    draw_moments,
    mean_values,
    mixture_boundaries,
    rate_margins,
    ratio_values,
    skew_kappas,
)
from ..storage.visitors import VisitorValues
from .decision import EVEN_SPLIT, SMALLEST_ARM, SMALLEST_CONVERSIONS, SMALLEST_ORDERS
from .estimates import ALPHA, MEANS, PROPORTIONS
from .format import count, label
from .history import ENOUGH, same_metric
from .looks import has_planned_looks
from .questions import window_days

__all__ = ["PastVisitors", "Readings", "Trial", "changed_visitors", "given_visitors", "past_visitors", "readings_of"]

Floats = NDArray[np.float64]

MOST_WEEKS = 52
"""Weekly readings of a plan without an end."""

GIVEN = 10**9
"""Visitors that a rate is written as."""

CELLS = 4_000_000
"""Visitors that are drawn, and numbers that are held, of one part of the runs, at most."""


@dataclass(frozen=True, slots=True)
class PastVisitors:
    """The visitors that are drawn from, beside the metrics of the plan.

    Attributes:
        values: of the control of the history.
        columns: metric name of the plan -> columns of its `moment_columns`; only those that the history measures.
        conversions: the column that says how many converted, by the decision rule; None where there is none.
    """

    values: VisitorValues
    columns: Mapping[str, tuple[int, ...]]
    conversions: int | None


@dataclass(frozen=True, slots=True)
class Readings:
    """The moments at which the plan is read.

    Attributes:
        marks: clock of a look, or week.
        visitors: analysed in all arms.
        weeks: since the first visitor; None where the traffic is not known.
        ends: whether the last one is the plan's end.
    """

    marks: tuple[float, ...]
    visitors: tuple[int, ...]
    weeks: tuple[float, ...] | None
    ends: bool


def past_visitors(past: Definition, values: VisitorValues, definition: Definition) -> PastVisitors:
    """Put the values of past visitors beside the metrics of a plan.

    Args:
        past: the definition that they were visitors of.
        values: of its control.
        definition: whose plan is to be tried out.

    Raises:
        InputError: the primary, or the covariate that it is adjusted for, was not measured; or too few visitors.
    """
    primary = definition.metric(definition.plan.primary)
    found = {metric.name: same_metric(past, metric, any_window=True) for metric in definition.metrics}
    columns = {name: values.positions[metric.name] for name, metric in found.items() if metric is not None}
    if primary.name not in columns:
        raise InputError(
            f"the history {past.experiment!r} does not measure {label(primary.name)}",
            hint="Name another experiment with --from, or a file with --table.",
        )
    visitors = int(values.visitors.sum())
    if visitors < ENOUGH:
        raise InputError(
            f"the history {past.experiment!r} has {count(visitors)} visitors of the control whose windows have all "
            f"passed; {count(ENOUGH)} are needed, because fewer do not show how values are distributed",
            hint="Wait for more, name another experiment with --from, or use `offerlift plan` with numbers.",
        )
    mine = columns[primary.name]
    if definition.plan.adjusted and not _covariates(values, mine):
        raise InputError(
            f"the plan judges {label(primary.name)} by the adjusted row; {past.experiment!r} has no covariate of it",
            hint="Name an experiment that has it with --from.",
        )
    event = _event(values, mine[0])
    counted = [
        (_event(values, at) == event, float(values.visitors @ values.values[:, at]), -at)
        for at in {at for columns_of in columns.values() for at in columns_of}
        if _measure(values, at) in ("converted", "count")
    ]
    return PastVisitors(values, columns, -max(counted)[2] if counted else None)


def given_visitors(definition: Definition, rate: float) -> PastVisitors:
    """Visitors of whom nothing is known but the conversion rate, the primary metric.

    Raises:
        InputError: the primary is no rate, is adjusted, or the rate is not between 0 and 1.
    """
    primary = definition.metric(definition.plan.primary)
    if primary.kind not in PROPORTIONS or definition.plan.adjusted:
        raise InputError(
            f"{label(primary.name)} cannot be tried out on a baseline: how its values are distributed matters",
            hint="Give --from EXPERIMENT or --table FILE, or use `offerlift plan` with --baseline and --sd.",
        )
    if not 0 < rate < 1:
        raise InputError(f"the baseline is {rate!r}; a conversion rate between 0 and 1 is needed, such as 3.1%")
    converted = round(rate * GIVEN)
    visitors = np.array([GIVEN - converted, converted], dtype=np.int64)
    values = VisitorValues((primary.numerator,), {primary.name: (0,)}, np.array([[0.0], [1.0]]), visitors, GIVEN)
    return PastVisitors(values, values.positions, 0)


def _covariates(values: VisitorValues, columns: Sequence[int]) -> list[int]:
    return [at for at in columns if isinstance(values.columns[at], CovariateUse)]


def _event(values: VisitorValues, at: int) -> str | None:
    column = values.columns[at]
    return column.event if isinstance(column, Column) else None


def _measure(values: VisitorValues, at: int) -> str | None:
    column = values.columns[at]
    return column.measure if isinstance(column, Column) else None


def readings_of(definition: Definition, per_week: float | None) -> Readings:
    """When the plan is read: at its looks, or every week until its end."""
    plan = definition.plan
    if definition.source == "table":
        raise InputError(
            f"{definition.experiment!r} is a table that is read once; there is no plan to try out",
            hint="Give the definition with --definitions, and the table as its history with --table.",
        )
    if per_week is not None and not 0 < per_week < math.inf:
        raise InputError(f"{per_week!r} visitors a week; a number above 0 is needed")
    window = window_days(definition, definition.metric(plan.primary)) / 7
    longest = math.inf if plan.longest_duration is None else plan.longest_duration / WEEK
    planned = definition.planned_sample
    if has_planned_looks(definition):
        assert planned is not None, "looks are planned shares of a sample"
        found = [(share, math.ceil(share * planned - 1e-9)) for share in plan.looks]
        if per_week is None:
            return Readings(*zip(*found, strict=True), weeks=None, ends=True)
        timed = [(clock, n, n / per_week + window) for clock, n in found]
    else:
        if per_week is None:
            raise InputError(
                "the traffic is not known, and a plan without looks is read by the week",
                hint="Give --visitors-per-week.",
            )
        end = min(MOST_WEEKS, longest, math.inf if planned is None else planned / per_week + window)
        weeks = [*range(1, math.ceil(end - 1e-9)), end]
        timed = [(week, math.floor((week - window) * per_week + 1e-9), week) for week in weeks if week > window]
    within = [one for one in timed if one[2] <= longest + 1e-9]
    if len(within) < len(timed) and per_week is not None and planned:
        # The longest duration ends it with whoever is counted by then.
        n = math.floor((longest - window) * per_week)
        if n > (within[-1][1] if within else 0):
            within.append((n / planned, n, longest))
    within = [one for one in within if one[1] > 0]
    if not within:
        raise InputError(
            f"nobody is analysed by the planned end: {label(plan.primary)} takes {window:.3g} weeks to be counted",
            hint="Lengthen the plan's longest_duration.",
        )
    marks, visitors, weeks = zip(*within, strict=True)
    return Readings(marks, visitors, weeks, has_planned_looks(definition) or bool(planned) or longest <= MOST_WEEKS)


def changed_visitors(
    definition: Definition, past: PastVisitors, base: Population, changes: Mapping[str, float]
) -> Population:
    """The visitors of a treatment that changes these metrics."""
    found = base
    for name, change in changes.items():
        if name not in past.columns:
            raise InputError(
                f"no history of {name!r} to change",
                hint=known_or_nearest(name, past.columns, whose="Metrics with one"),
            )
        at, metric = past.columns[name][0], definition.metric(name)
        covariates = [i for i, one in enumerate(past.values.columns) if isinstance(one, CovariateUse)]
        if metric.kind in PROPORTIONS:
            found = found.converted(at, change, covariates if definition.plan.adjusted else ())
        else:
            # Metrics that share the column, of whatever window, have the same change.
            same = [i for i, one in enumerate(past.values.columns) if one == past.values.columns[at]]
            found = found.scaled(same, change)
    return found


class Trial:
    """One plan, ready for any number of experiments."""

    def __init__(self, definition: Definition, past: PastVisitors, readings: Readings):
        self.definition, self.past, self.readings = definition, past, readings
        plan = definition.plan
        shares = definition.expected_shares
        self.arms = (definition.control, *definition.treatments)
        self.shares = [float(shares[arm]) for arm in self.arms]
        self.guardrails = [definition.metric(name) for name in plan.guardrails if name in past.columns]
        # Without an effect the variances of the arms' means are as 1/share.
        variances = [1 / share for share in self.shares]
        self.budget = error_budget(variances[1:], variances[0], len(plan.guardrails), alpha=plan.alpha)
        self.looks = planned_looks(readings.marks, self.budget) if has_planned_looks(definition) else None
        used = [past.columns[plan.primary], *(past.columns[metric.name] for metric in self.guardrails)]
        self.pairs = sorted({pair for columns in used for pair in all_pairs(self._needed(columns))})
        kind = definition.metric(plan.primary).kind
        self.cubes = [past.columns[plan.primary][0]] if kind in MEANS else []

    def _needed(self, columns: Sequence[int]) -> list[int]:
        """Covariates serve an adjusted primary alone."""
        covariates = _covariates(self.past.values, columns)
        adjusted = self.definition.plan.adjusted and columns == self.past.columns[self.definition.plan.primary]
        return [at for at in columns if adjusted or at not in covariates]

    def verdicts(
        self,
        rng: np.random.Generator,
        base: Population,
        treated: Population,
        runs: int,
        progress: Callable[[int], None] | None = None,
    ) -> Verdicts:
        """What becomes of so many experiments whose first treatment is drawn from `treated`."""
        populations = [base, treated, *[base] * (len(self.arms) - 2)]
        columns = base.values.shape[1] + len(self.pairs) + len(self.cubes)
        held = len(self.readings.visitors) * len(self.arms) * columns
        block = max(min(runs, CELLS // held, CELLS // self.readings.visitors[-1]), 1)
        found: list[Verdicts] = []
        for start in range(0, runs, block):
            size = min(block, runs - start)
            found.append(self.follow(self.draw(rng, populations, size)))
            if progress is not None:
                progress(size)
        return Verdicts(
            np.concatenate([one.findings for one in found]),
            np.concatenate([one.look for one in found]),
            np.concatenate([one.shipped for one in found]),
        )

    def draw(self, rng: np.random.Generator, populations: Sequence[Population], runs: int) -> Drawn:
        """Experiments whose visitors fall into the arms by their shares, (runs, readings, arms)."""
        new = np.diff(self.readings.visitors, prepend=0)
        visitors = rng.multinomial(np.broadcast_to(new, (runs, len(new))), self.shares)
        return draw_moments(rng, populations, visitors, self.pairs, self.cubes)

    @np.errstate(invalid="ignore", divide="ignore")
    def follow(self, drawn: Drawn) -> Verdicts:
        """Send experiments through the rule; an arm without visitors or variance has numbers that are not finite."""
        plan = self.definition.plan
        primary = self.definition.metric(plan.primary)
        sign = 1.0 if primary.desired_change == "increase" else -1.0
        estimates, se = self.differences(drawn)
        usable = np.isfinite(estimates) & (se > 0)
        z = np.where(usable, sign * estimates / se, 0.0)
        smallest = np.abs(self._values(primary, drawn).values[..., :1]) * (plan.minimum_detectable_effect or 0.0) / se
        guards = [self._guardrail(metric, drawn) for metric in self.guardrails]
        guarded = np.stack([one for one, _ in guards], axis=-1) if guards else None
        margins = np.stack([one for _, one in guards], axis=-1) if guards else 0.0
        bounds, widths, alarms = self._bounds(drawn.n)
        return follow_bounds(
            z,
            bounds,
            interval_bounds=widths,
            guardrail_z=guarded,
            alarm_bounds=alarms,
            margin_z=margins,
            smallest_z=np.where(usable, smallest, 0.0),
            too_early=self._too_early(drawn) | ~usable,
            doubted=self._doubted(drawn),
            estimates=np.where(usable, sign * estimates, -np.inf),
            ends=self.readings.ends,
        )

    def differences(self, drawn: Drawn) -> tuple[Floats, Floats]:
        """The judged differences of the primary and their standard errors."""
        primary = self.definition.metric(self.definition.plan.primary)
        if self.definition.plan.adjusted:
            columns = self.past.columns[primary.name]
            return adjusted_differences(drawn, columns[0], _covariates(self.past.values, columns))
        return self._values(primary, drawn).differences()

    def _values(self, metric: Metric, drawn: Drawn) -> ArmValues:
        columns = self.past.columns[metric.name]
        # A table has no ratios, so that a ratio's history is one too.
        return mean_values(drawn, columns[0]) if metric.denominator is None else ratio_values(drawn, *columns[:2])

    def _guardrail(self, metric: Metric, drawn: Drawn) -> tuple[Floats, Floats]:
        """z in the desired direction, and what the margin adds to it."""
        values = self._values(metric, drawn)
        sign = 1.0 if metric.desired_change == "increase" else -1.0
        estimates, se = values.differences()
        z = np.where(np.isfinite(estimates) & (se > 0), sign * estimates / se, 0.0)
        if metric.non_inferiority_margin is None:
            return z, -z
        ratio = 1 - sign * metric.non_inferiority_margin
        is_rate = metric.kind in PROPORTIONS
        against = rate_margins(drawn.n, values.values, ratio) if is_rate else against_margins(values, ratio)
        return z, np.nan_to_num(against) - z

    def _bounds(self, n: Floats) -> tuple[Floats, Floats | None, Floats | float]:
        """Of the primary's |z|, of the interval beside the smallest effect, and of the guardrails' alarms."""
        alarm = self.budget.alarm
        if self.looks is not None:
            alarms = self.looks.alarm or ()
            return (
                np.array([one.z for one in self.looks.primary])[:, None],
                None,
                np.array([one.z for one in alarms])[:, None, None] if alarms else math.inf,
            )
        pairs = n[..., 1:] + n[..., :1]
        planned = self.definition.planned_sample
        # What one visitor of the comparison is worth; it grows in proportion.
        if planned:
            ends = planned * (np.array(self.shares[1:]) + self.shares[0])
            each = np.array([tuning_with_plan(1.0, 1 / float(end), ALPHA) for end in ends])
        else:
            each = np.full(len(self.shares) - 1, tuning_without_plan(1.0, alpha=ALPHA))
        a = np.maximum(pairs, 1.0) * each
        alarms = math.inf if alarm is None else mixture_boundaries(a, alarm)[..., None]
        return mixture_boundaries(a, self.budget.comparison), mixture_boundaries(a, ALPHA), alarms

    def _too_early(self, drawn: Drawn) -> NDArray[np.bool_]:
        early = np.minimum(drawn.n[..., 1:], drawn.n[..., :1]) < SMALLEST_ARM
        orders = self._orders(drawn)
        return early if orders is None else early | (orders[..., 1:] + orders[..., :1] < SMALLEST_CONVERSIONS - 0.5)

    def _orders(self, drawn: Drawn) -> Floats | None:
        at = self.past.conversions
        return None if at is None else drawn.n * drawn.means[..., at]

    def _doubted(self, drawn: Drawn) -> NDArray[np.bool_]:
        """Whether the tails of the interval cannot be trusted, as the report says it."""
        if not self.cubes:
            return np.zeros((1, 1, 1), dtype=bool)
        unequal = np.array([share != self.shares[0] for share in self.shares[1:]])
        doubted = (np.abs(skew_kappas(drawn, self.cubes[0])) > SKEW_LIMIT) & unequal
        orders = self._orders(drawn)
        if orders is None:
            return doubted
        share = drawn.n[..., 1:] / (drawn.n[..., 1:] + drawn.n[..., :1])
        uneven = (share < EVEN_SPLIT[0]) | (share > EVEN_SPLIT[1])
        return doubted | uneven & (np.minimum(orders[..., 1:], orders[..., :1]) < SMALLEST_ORDERS - 0.5)
