"""The numbers of a scorecard: every metric in every arm, and every treatment arm against the control.

Nothing is computed here; each kind of metric is handed to its estimator in `offerlift.stats`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from scipy.special import ndtr, ndtri, stdtrit

from ..experiments.definition import Definition
from ..experiments.metrics import Metric
from ..stats import (
    ArmsPosterior,
    Comparison,
    Difference,
    Lift,
    anytime_interval,
    beta_posteriors_over_strata,
    compare_adjusted_over_strata,
    compare_means_over_strata,
    compare_proportions_over_strata,
    compare_ratios_over_strata,
    fieller,
    normal_posteriors,
    repeated_interval,
    skew_kappa_over_strata,
    stratum_weights,
    tuning_one_look,
    tuning_with_plan,
    tuning_without_plan,
    wilson_interval,
)
from ..storage.observations import Observations
from .format import label
from .phases import Pair, Strata, Value, finite, strata_of, value_over_phases, visitors_by_phase
from .tree import (
    Adjusted,
    AnytimeRow,
    BayesRow,
    ComparisonRow,
    DifferenceRow,
    GuardrailRow,
    Interval,
    LiftRow,
    MetricArmRow,
    MetricRow,
    SequentialRow,
)
from .verdict import LookAt
from .words import column_in_words

if TYPE_CHECKING:
    from .offers.clusters import Clustered

__all__ = ["ALPHA", "guardrail_result", "metric_rows", "metric_unit", "monitored"]

ALPHA = 0.05
"""All intervals are two-sided at 95 %, whatever the plan's alpha, which enters the decision only."""

PROPORTIONS = ("conversion", "retention")
MEANS = ("count", "revenue", "margin")
CONDITION_OF_RATIOS = "conditional on buying"
SMALLEST_LEVEL = 1e-12
"""Below this level Student's quantile no longer resembles the boundary."""


def metric_rows(
    observations: Observations, look: LookAt | None = None, *, clusters: Mapping[str, Clustered] | None = None
) -> tuple[MetricRow, ...]:
    """One row a metric: the primary first, then guardrails, then the others, each in the definition's order.

    With a look, every comparison has its repeated interval, of a guardrail at the boundary of its alarm.

    Args:
        observations: what was seen.
        look: that is being made.
        clusters: of each treatment arm the primary's comparison by clusters, where the plan names them; it takes the
            place of that of independent visitors, in all that is made of it.
    """
    definition = observations.definition
    order = {"primary": 0, "guardrail": 1, "secondary": 2}
    metrics = sorted(definition.metrics, key=lambda metric: order[definition.role(metric.name)])
    primary = definition.plan.primary
    return tuple(
        _metric_row(observations, metric, look, clusters if metric.name == primary else None) for metric in metrics
    )


def _metric_row(
    observations: Observations, metric: Metric, look: LookAt | None, clusters: Mapping[str, Clustered] | None
) -> MetricRow:
    definition = observations.definition
    arms = strata_of(observations, metric)
    visitors = visitors_by_phase(arms)
    values = {name: value_over_phases(metric, strata, visitors) for name, strata in arms.items()}
    posterior = None if clusters is not None else _posterior(metric, arms, values, definition.control)
    best = posterior.probability_best if posterior else {}
    return MetricRow(
        metric=metric.name,
        kind=metric.kind,
        role=definition.role(metric.name),
        unit=metric_unit(metric, definition.currency),
        desired_change=metric.desired_change,
        condition=_condition(metric),
        arms=tuple(
            MetricArmRow(
                name,
                sum(moments.n for moments in strata),
                values[name][0],
                best.get(name),
                # Alike visitors know less of an arm than the interval of independent ones says.
                _level_interval(metric, strata, values[name]) if clusters is None else Interval(),
                values[name][1],
            )
            for name, strata in arms.items()
        ),
        comparisons=tuple(
            _comparison(definition, metric, name, arms, posterior, look, None if clusters is None else clusters[name])
            for name in definition.treatments
        ),
        definition=metric,
    )


def _comparison(
    definition: Definition,
    metric: Metric,
    arm: str,
    arms: Mapping[str, Strata],
    posterior: ArmsPosterior | None,
    look: LookAt | None,
    clusters: Clustered | None,
) -> ComparisonRow:
    pair = Pair(arms[arm], arms[definition.control], visitors_by_phase(arms))
    comparison = _compare(metric, pair) if clusters is None else clusters.comparison
    adjusted, adjusted_by = _adjust(metric, pair)
    judged_by: Literal["difference", "adjusted"] = "difference"
    judged = comparison
    if definition.plan.adjusted and metric.name == definition.plan.primary:
        judged_by, judged = "adjusted", adjusted
    against = posterior.against_control.get(arm) if posterior else None
    lift = replace(_lift(comparison.lift), reason=_in_words(comparison.lift.reason, metric))
    anytime = _anytime(definition, metric, judged, (arm, definition.control), pair.n)

    def band(boundary: float | None) -> LiftRow:
        if judged is adjusted:
            return _adjusted_band(metric, pair, boundary)
        treatment, control = pair.values(metric)
        inflation = 1.0 if clusters is None else clusters.inflation or math.inf
        return _band(lift, _inflated(treatment, inflation), _inflated(control, inflation), boundary)

    return ComparisonRow(
        arm=arm,
        reference=definition.control,
        status=comparison.status,
        reason=_in_words(comparison.reason, metric),
        withheld=False,
        difference=_difference(comparison.difference),
        lift=lift,
        adjusted=adjusted_by,
        adjusted_reason=_in_words(adjusted.reason, metric) if adjusted is not None else "",
        bayes_reason="" if against else _no_posterior(comparison, metric, clusters),
        judged_by=judged_by,
        anytime=replace(anytime, lift=band(anytime.boundary)),
        sequential=None if look is None else _sequential(definition, metric, judged, look, band),
        bayes=BayesRow(against.probability_better, against.expected_loss, against.low, against.high)
        if against
        else BayesRow(),
        skew=_skew(metric, pair),
        guardrail=_guardrail(metric, lift) if definition.role(metric.name) == "guardrail" else None,
    )


def monitored(definition: Definition, metric: Metric, arm: str, pair: Pair) -> tuple[LiftRow, AnytimeRow]:
    """What may be looked at on any day of one pair: the lift as it is judged, and the always-valid interval."""
    comparison = _compare(metric, pair)
    lift = _lift(comparison.lift)
    if definition.plan.adjusted and metric.name == definition.plan.primary:
        judged, row = _adjust(metric, pair)
        anytime = _anytime(definition, metric, judged, (arm, definition.control), pair.n)
        return row.lift if row is not None else LiftRow(), replace(
            anytime, lift=_adjusted_band(metric, pair, anytime.boundary)
        )
    anytime = _anytime(definition, metric, comparison, (arm, definition.control), pair.n)
    return lift, replace(anytime, lift=_band(lift, *pair.values(metric), anytime.boundary))


def _inflated(value: Value, inflation: float) -> Value:
    """A value with so many times its variance."""
    mean, variance = value
    return mean, None if variance is None else variance * inflation


def _no_posterior(comparison: Comparison, metric: Metric, clusters: Clustered | None) -> str:
    """Why there is no posterior: clusters, no comparison, or a difference although one arm does not vary."""
    reason = _in_words(comparison.reason, metric)
    if clusters is not None and not reason:
        return "visitors come in clusters, of which the posterior does not know"
    return reason or f"{label(metric.name)} does not vary in one of the arms, which leaves it no posterior"


def _in_words(reason: str, metric: Metric) -> str:
    """An estimator's reason with the metric's name in place of its columns, which nobody outside the code knows."""
    numerator, denominator = metric.numerator, metric.denominator
    if denominator is not None:
        reason = reason.replace(f"{numerator.name!r} per {denominator.name!r}", label(metric.name))
        total = column_in_words(denominator, total=True)
        counted = f"number of {total}" if denominator.measure == "converted" else total
        reason = reason.replace(f"the sum of {denominator.name!r}", f"the {counted}")
    return reason.replace(repr(numerator.name), label(metric.name))


def _compare(metric: Metric, pair: Pair) -> Comparison:
    column, given = metric.numerator.name, {"visitors": pair.visitors, "alpha": ALPHA}
    if metric.kind in PROPORTIONS:
        return compare_proportions_over_strata(pair.treatment, pair.control, column, **given)
    if metric.denominator is not None:
        return compare_ratios_over_strata(pair.treatment, pair.control, column, metric.denominator.name, **given)
    return compare_means_over_strata(pair.treatment, pair.control, column, **given)


def _adjust(metric: Metric, pair: Pair, alpha: float = ALPHA) -> tuple[Comparison | None, Adjusted | None]:
    """The CUPED comparison, and its row where it could be computed; ratios are not adjusted."""
    covariate = metric.covariate
    if covariate is None or metric.denominator is not None:
        return None, None
    result = compare_adjusted_over_strata(
        pair.treatment,
        pair.control,
        metric.numerator.name,
        (covariate.column, covariate.missing_column),
        visitors=pair.visitors,
        alpha=alpha,
    )
    if result.difference is None:
        return result, None
    removed = result.adjustment.r_squared if result.adjustment is not None else None
    return result, Adjusted(_difference(result.difference), _lift(result.lift), covariate.name, finite(removed))


def _anytime(
    definition: Definition, metric: Metric, judged: Comparison | None, arms: tuple[str, str], visitors: int
) -> AnytimeRow:
    one_look = definition.source == "table"
    valid_for: Literal["any look", "one look"] = "one look" if one_look else "any look"
    difference = judged.difference if judged is not None else None
    if difference is None or not difference.se > 0:
        return AnytimeRow(valid_for=valid_for)
    planned = definition.planned_sample
    if one_look:
        a = tuning_one_look(ALPHA)
    elif planned:
        shares = definition.expected_shares
        a = tuning_with_plan(1 / visitors, 1 / float(planned * sum(shares[arm] for arm in arms)), ALPHA)
    else:
        a = tuning_without_plan(visitors, alpha=ALPHA)
    result = anytime_interval(difference, a=a, alpha=ALPHA)
    return AnytimeRow(*_possible(metric, result.low, result.high), result.p_value, result.boundary, valid_for)


def _sequential(
    definition: Definition,
    metric: Metric,
    judged: Comparison | None,
    look: LookAt,
    band: Callable[[float], LiftRow],
) -> SequentialRow | None:
    """The repeated interval at a look; None where there is no difference or it does not vary."""
    difference = judged.difference if judged is not None else None
    if difference is None or not difference.se > 0:
        return None
    is_guardrail = definition.role(metric.name) == "guardrail"
    boundary = look.alarm if is_guardrail and look.alarm is not None else look.primary
    found = repeated_interval(difference.estimate, difference.se, boundary.z)
    crossed = found.crossed
    if is_guardrail:
        crossed = crossed and (difference.estimate < 0) == (metric.desired_change == "increase")
    low, high = _possible(metric, found.low, found.high)
    return SequentialRow(
        estimate=difference.estimate,
        raw_estimate=difference.estimate,
        low=low,
        high=high,
        boundary=boundary.z,
        look=look.number,
        planned=look.planned,
        clock=look.clock,
        at=look.at,
        alpha_spent=boundary.spent,
        crossed=crossed,
        lift=band(boundary.z),
        standard_error=difference.se,
    )


def _possible(metric: Metric, low: float, high: float) -> tuple[float, float]:
    """An interval cut to what a difference of two shares can be; boundary and p-value stay those of the pivot."""
    if metric.kind in PROPORTIONS:
        return min(max(low, -1.0), 1.0), min(max(high, -1.0), 1.0)
    return low, high


def _band(lift: LiftRow, treatment: Value, control: Value, boundary: float | None) -> LiftRow:
    """An interval on the lift scale: Fieller's set at the boundary, so that both agree about zero."""
    (mean_t, variance_t), (mean_c, variance_c) = treatment, control
    if lift.kind == "undefined" or boundary is None or mean_t is None or mean_c is None:
        return LiftRow(reason=lift.reason)
    return _lift(fieller(mean_t, variance_t or 0.0, mean_c, variance_c or 0.0, boundary).lift())


def _adjusted_band(metric: Metric, pair: Pair, boundary: float | None) -> LiftRow:
    """The same for adjusted means, whose covariance only the adjustment knows."""
    level = 2 * float(ndtr(-boundary)) if boundary is not None else 0.0
    if level < SMALLEST_LEVEL:
        return LiftRow()
    _, adjusted = _adjust(metric, pair, level)
    return adjusted.lift if adjusted is not None else LiftRow()


def _level_interval(metric: Metric, strata: Strata, found: Value) -> Interval:
    """95 % interval of a metric's value in one arm: Wilson for shares, Student's t for means, normal for ratios.

    Over several strata it is normal for all, and a share stays within 0 and 1.
    """
    value, variance = found
    if value is None or variance is None:
        return Interval()
    is_share = metric.kind in PROPORTIONS
    if is_share and len(strata) == 1:
        low, high = wilson_interval(round(value * strata[0].n), strata[0].n)
        return Interval(low, high)
    is_mean = metric.denominator is None and len(strata) == 1
    quantile = float(stdtrit(strata[0].n - 1, 0.975) if is_mean else ndtri(0.975))
    if is_share:
        half = quantile * math.sqrt(variance)
        return Interval(max(value - half, 0.0), min(value + half, 1.0)) if half > 0 else Interval()
    half = quantile * math.sqrt(variance)
    return Interval(value - half, value + half) if half > 0 else Interval()


def _posterior(
    metric: Metric,
    arms: Mapping[str, Strata],
    values: Mapping[str, Value],
    control: str,
) -> ArmsPosterior | None:
    """Posteriors of the arms that have data; None without the control or with nothing to compare it with."""
    direction = metric.desired_change
    if metric.kind in PROPORTIONS:
        known = {name: strata for name, strata in arms.items() if any(moments.n > 0 for moments in strata)}
        if control not in known or len(known) < 2:
            return None
        if len(known[control]) > 1 and not any(stratum_weights(list(known.values()))):
            # No phase has all arms: there is no one set of visitors to compare them on.
            return None
        return beta_posteriors_over_strata(
            known, metric.numerator.name, control, visitors=visitors_by_phase(arms), direction=direction
        )
    estimates = {
        name: (value, variance) for name, (value, variance) in values.items() if value is not None and variance
    }
    if control not in estimates or len(estimates) < 2:
        return None
    return normal_posteriors(estimates, control, direction=direction)


def _skew(metric: Metric, pair: Pair) -> float | None:
    if metric.kind not in MEANS or not any(pair.weights):
        return None
    kappa = skew_kappa_over_strata(pair.treatment, pair.control, metric.numerator.name, visitors=pair.visitors)
    return finite(kappa)


def _guardrail(metric: Metric, lift: LiftRow) -> GuardrailRow:
    margin = metric.non_inferiority_margin
    return GuardrailRow(margin, guardrail_result(lift, margin, metric.desired_change))


def guardrail_result(
    lift: LiftRow, margin: float | None, desired_change: str
) -> Literal["passed", "failed", "inconclusive"]:
    """Non-inferiority by the 95 % lift interval, that is one-sided .025.

    Args:
        lift: the fixed-sample lift; only a bounded one can pass or fail.
        margin: largest acceptable relative loss (0.02 is 2 %).
        desired_change: `decrease` mirrors the rule.
    """
    if margin is None or lift.kind != "bounded" or lift.low is None or lift.high is None:
        return "inconclusive"
    worst, best = (lift.low, lift.high) if desired_change == "increase" else (-lift.high, -lift.low)
    if worst > -margin:
        return "passed"
    return "failed" if best < -margin else "inconclusive"


def metric_unit(metric: Metric, currency: str) -> str:
    """What a metric's value is given in: "share", "per visitor", "ratio" or a currency."""
    if metric.kind in PROPORTIONS:
        return "share"
    if metric.denominator is None:
        return currency if metric.numerator.is_money else "per visitor"
    if metric.numerator.is_money:
        return "ratio" if metric.denominator.is_money else currency
    return "ratio"


def _condition(metric: Metric) -> str:
    """What a ratio's value is limited to: it compares buyers with other buyers, not the same people."""
    per_order = metric.denominator is not None and metric.denominator.measure in ("count", "converted")
    return CONDITION_OF_RATIOS if per_order else ""


def _difference(difference: Difference | None) -> DifferenceRow:
    if difference is None:
        return DifferenceRow()
    return DifferenceRow(
        finite(difference.estimate),
        finite(difference.low),
        finite(difference.high),
        finite(difference.p_value),
        difference.method,
    )


def _lift(lift: Lift) -> LiftRow:
    return LiftRow(lift.kind, finite(lift.estimate), finite(lift.low), finite(lift.high), lift.reason)
