"""Diagnostics that inform and never decide: outliers, the split by day and by segment, covariates, randomisation."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

from ..experiments.metrics import Metric
from ..stats import (
    LARGEST_SHARE_LIMIT,
    SKEW_LIMIT,
    LargestValues,
    Moments,
    covariate_balance,
    sample_ratio_by_group,
)
from ..storage.observations import Observations
from .details import Details
from .format import count, join, label, p_value, percent, quote
from .tree import ComparisonRow, HealthCheck, MetricRow, RandomisationRow

__all__ = [
    "SMALLEST_EXPECTED",
    "WARNING",
    "covariates",
    "is_skewed_and_unequal",
    "outliers",
    "srm_by_day",
    "srm_by_segment",
    "with_randomisation",
]

WARNING = 0.001
"""These checks warn below this p-value, which counts all the tests of a check."""

SMALLEST_EXPECTED = 5
"""A day or value with fewer visitors expected in an arm is left out: the chi-square tail says nothing of it."""

SMALLEST_FOR_OUTLIERS = 100
"""Outcomes of an arm below which one of them is large by necessity."""

SMALLEST_FOR_COVARIATES = 30
"""Analysed visitors of an arm below which the means of covariates are not yet normal."""


def is_skewed_and_unequal(observations: Observations, comparison: ComparisonRow) -> bool:
    """Whether skewed values in arms of different size spoil the interval's tails; even splits cancel skew.

    Any phase may have had another split than the last.
    """
    if comparison.skew is None or abs(comparison.skew) <= SKEW_LIMIT:
        return False
    pair = (comparison.arm, comparison.reference)
    splits = [observations.definition.expected_shares, *(stratum.shares for stratum in observations.earlier)]
    return any(shares[pair[0]] != shares[pair[1]] for shares in splits if all(arm in shares for arm in pair))


def with_randomisation(
    metrics: Sequence[MetricRow], observations: Observations, details: Details
) -> tuple[MetricRow, ...]:
    """The rows with the primary's randomisation test where skew makes its interval doubtful."""
    phases = [stratum.phase for stratum in observations.strata]

    def tested(metric: MetricRow, one: ComparisonRow) -> ComparisonRow:
        if not is_skewed_and_unequal(observations, one):
            return one
        test = details.randomisation(metric.metric, one.arm, one.reference, phases)
        if isinstance(test, str):
            return replace(one, randomisation_reason=test)
        assert test.p_value is not None, "a test without numbers is a reason"
        assert test.error is not None, "a p-value has an error"
        return replace(one, randomisation=RandomisationRow(test.p_value, test.resamples, test.error))

    return tuple(
        replace(metric, comparisons=tuple(tested(metric, one) for one in metric.comparisons))
        if metric.role == "primary"
        else metric
        for metric in metrics
    )


def outliers(observations: Observations, details: Details) -> HealthCheck:
    """Whether one visitor's money makes up much of an arm's; the values are read only where moments allow it."""
    metrics = [m for m in observations.definition.metrics if m.denominator is None and m.numerator.is_money]
    if not metrics:
        return HealthCheck("outliers", "not_run", "No metric is of money per visitor.")
    suspects = [(m, arm) for m in metrics for arm in observations.arms if _may_be_concentrated(observations, m, arm)]
    if not suspects:
        return _no_outliers()
    by_phase = details.largest()
    if isinstance(by_phase, str):
        return HealthCheck("outliers", "not_run", by_phase)
    found = []
    for metric, arm in suspects:
        own = [phase[metric.name][arm] for phase in by_phase.values() if arm in phase.get(metric.name, {})]
        largest = LargestValues(
            tuple(sorted((value for one in own for value in one.values), reverse=True)), sum(one.total for one in own)
        )
        share = largest.share()
        if share is not None and largest.is_concentrated:
            found.append(f"{percent(share, 0.01)} of {label(metric.name)} in {quote(arm)}")
    if not found:
        return _no_outliers()
    return HealthCheck(
        "outliers",
        "warn",
        f"One visitor makes up {join(found)}. See whether that is a customer, a reseller or a mistake; a `cap` in the "
        f"definition keeps a single one from deciding, if it is set before the data come.",
    )


def _no_outliers() -> HealthCheck:
    return HealthCheck(
        "outliers", "ok", f"In no arm with enough outcomes is one visitor more than {LARGEST_SHARE_LIMIT:.0%} of a sum."
    )


def _may_be_concentrated(observations: Observations, metric: Metric, arm: str) -> bool:
    """Whether the moments leave room for such a value: x_max > s·Σx needs Σ(x - x̄)² >= (s·Σx - x̄)²."""
    event, column = metric.numerator.event, metric.numerator.name
    rows = sum(
        stratum.arms[arm].outcomes.get(event or "*", 0) for stratum in observations.strata if arm in stratum.arms
    )
    if rows < SMALLEST_FOR_OUTLIERS:
        return False
    found = [stratum.moments.get(metric.name, {}).get(arm) for stratum in observations.strata]
    strata = [one for one in found if one is not None and one.n]
    if not strata:
        return False
    moments = Moments.merge(strata)
    total, mean = moments.sum_of(column), moments.mean_of(column)
    return total > 0 and moments.variance_of(column) * (moments.n - 1) >= (LARGEST_SHARE_LIMIT * total - mean) ** 2


def srm_by_day(observations: Observations, phases: int) -> HealthCheck:
    """The split within each day, p-values by Holm."""
    days = {day.date().isoformat(): dict(arms) for day, arms in observations.exposures_by_day}
    if len(days) < 2:
        # A table has no days; imported into a store, it has one.
        return HealthCheck("srm_by_day", "not_run", "There are no days to compare: all are of one, or of none.")
    return _by_group("srm_by_day", "days", days, observations, phases)


def srm_by_segment(observations: Observations, phases: int, details: Details) -> HealthCheck:
    """The split within each value of each segment, p-values by Holm."""
    definition = observations.definition
    if not definition.segments:
        return HealthCheck("srm_by_segment", "not_run", "The definition names no segments.")
    groups: dict[str, Mapping[str, int]] = {}
    for segment in definition.segments:
        found = details.counts(segment)
        if isinstance(found, str):
            return HealthCheck("srm_by_segment", "not_run", found)
        for value, by_phase in found.items():
            seen = by_phase.get(observations.phase, {})
            groups[f"{segment} {quote(value)}"] = {arm.name: seen.get(arm.name, 0) for arm in definition.arms}
    return _by_group("srm_by_segment", "values of segments", groups, observations, phases)


def _by_group(
    check: str, noun: str, groups: Mapping[str, Mapping[str, int]], observations: Observations, phases: int
) -> HealthCheck:
    shares = observations.definition.expected_shares
    smallest = min(float(share) for share in shares.values())
    enough: dict[Hashable, Mapping[str, int]] = {
        name: arms for name, arms in groups.items() if sum(arms.values()) * smallest >= SMALLEST_EXPECTED
    }
    if not enough:
        return HealthCheck(check, "not_run", f"None of the {noun} has enough visitors to test its split.")
    tests = sample_ratio_by_group(enough, shares)
    worst = min(tests, key=lambda name: tests[name].p_value)
    p = min(phases * tests[worst].p_value, 1.0)
    few = len(groups) - len(enough)
    over = f"over {count(len(enough))} {noun}" + (f" ({count(few)} more have too few visitors)" if few else "")
    if p >= WARNING:
        return HealthCheck(check, "ok", f"Smallest p {over}, for their number, = {p_value(p)}: as planned in each.", p)
    wrong = [name for name, test in tests.items() if phases * test.p_value < WARNING]
    seen = join([count(n) for n in enough[worst].values()])
    return HealthCheck(
        check,
        "warn",
        f"{worst} has {seen} visitors, another split than planned: smallest p {over}, for their number, {_below(p)}"
        + (f"; {count(len(wrong))} of them are like this" if len(wrong) > 1 else "")
        + ". Look there for the cause; only the checks of the whole split block.",
        p,
    )


def covariates(observations: Observations, phases: int) -> HealthCheck:
    """Whether the arms differ in what was known before the exposure."""
    definition = observations.definition
    uses = {metric.covariate.column: metric for metric in definition.metrics if metric.covariate is not None}
    if not uses:
        return HealthCheck("covariates", "not_run", "No metric has a covariate.")
    tests: list[tuple[float, str, str]] = []
    for metric in uses.values():
        use, arms = metric.covariate, observations.moments[metric.name]
        assert use is not None
        for arm in definition.treatments:
            pair = [arms.get(arm), arms.get(definition.control)]
            known = [one for one in pair if one is not None and one.n >= SMALLEST_FOR_COVARIATES]
            if len(known) == 2:
                tests.append(
                    (covariate_balance(known[0], known[1], [use.column, use.missing_column]).p_value, use.name, arm)
                )
    if not tests:
        return HealthCheck("covariates", "not_run", "Too few visitors are analysed to compare their covariates.")
    smallest, name, arm = min(tests)
    p = min(phases * len(tests) * smallest, 1.0)
    if p >= WARNING:
        return HealthCheck("covariates", "ok", f"The arms do not differ in what was known before; p = {p_value(p)}.", p)
    return HealthCheck(
        "covariates",
        "warn",
        f"{quote(arm)} differs from {quote(definition.control)} in {label(name)}, p {_below(p)}, which no offer can "
        f"change: it was measured after the exposure, or visitors were lost in one arm. Do not read the adjusted row.",
        p,
    )


def _below(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"
