"""Phases of an experiment, or other strata, compared within themselves and combined.

Where the split changes from one phase to the next, an arm's visitors come from other days than the control's, and one
mean over all of them compares a mix with a mix (Simpson's paradox). So each arm's estimate is m = Σ w_h m_h over the
strata h with one set of weights for all arms, the strata's shares of all visitors, and its variance Σ w_h² V_h.

Every function takes the arms' moments stratum by stratum, in one order for all arms. A stratum in which an arm has
fewer than two visitors has weight 0: the others stand for it. One stratum gives exactly the plain function's numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import ndtr, ndtri

from ..errors import InputError
from .adjustment import AdjustedComparison, AdjustedParts, adjusted_parts, adjusted_without, compare_parts
from .adjustment import compare_adjusted as compare_adjusted_plain
from .bayes import ArmsPosterior, Direction, beta_posteriors, check_arms
from .beta import Beta
from .beta_sums import posteriors_of_sums
from .elementwise import binary_exponent, shifted
from .fieller import Estimate, Shared, check_alpha, compare_estimates
from .means import compare_means, mean_estimate
from .moments import Moments
from .proportions import (
    compare_proportions,
    counts_of,
    restricted_variance,
)
from .ratios import compare_ratios
from .results import Comparison, Difference, Inputs
from .strata_scores import Table, difference_high, ratio_interval

__all__ = [
    "beta_posteriors_over_strata",
    "compare_adjusted_over_strata",
    "compare_means_over_strata",
    "compare_proportions_over_strata",
    "compare_ratios_over_strata",
    "mean_over_strata",
    "ratio_over_strata",
    "skew_kappa_over_strata",
    "stratum_weights",
    "weights_of_sizes",
]

Strata = Sequence[Moments]

_NO_STRATUM = "no phase has two visitors in every arm"


def stratum_weights(arms: Sequence[Strata], visitors: Sequence[int] | None = None) -> tuple[float, ...]:
    """The weight of every stratum: its share of the visitors of all strata in which each of the arms has two.

    w_h = N_h / Σ N_h (Cochran 1977, chapter 5). Assumes that the visitors of a stratum were split at random within it.
    Not for strata that the offer itself can change.

    Args:
        arms: each arm's moments by stratum; those that are to be compared with one another.
        visitors: how many visitors a stratum stands for; those of the given arms together where None. Give those of all
            arms where several comparisons are to share one control.

    Returns:
        Weights that sum to 1, 0 for a stratum that is left out; all 0 where every one is.

    Raises:
        InputError: arms with different numbers of strata, or `visitors` that are not a number of at least 0 for each.

    Example:
        >>> from offerlift.stats import Moments
        >>> first, second = Moments.from_arrays({"orders": [0, 1] * 50}), Moments.from_arrays({"orders": [0, 1] * 150})
        >>> stratum_weights([[first, second], [first, second]])
        (0.25, 0.75)
    """
    return weights_of_sizes([[part.n for part in strata] for strata in arms], visitors)


def weights_of_sizes(arms: Sequence[Sequence[float]], visitors: Sequence[int] | None = None) -> tuple[float, ...]:
    """The same of the arms' numbers of visitors by stratum, where there are no moments.

    Raises:
        InputError: as in `stratum_weights`.
    """
    lengths = {len(strata) for strata in arms}
    if len(lengths) != 1 or 0 in lengths:
        raise InputError(f"the arms have {sorted(lengths)} strata; every arm needs the same, at least one")
    sizes = [sum(parts) for parts in zip(*arms, strict=True)] if visitors is None else list(visitors)
    if len(sizes) != len(arms[0]) or any(not 0 <= size < math.inf for size in sizes):
        raise InputError(f"{sizes} visitors for {len(arms[0])} strata; one number of at least 0 is needed for each")
    kept = [
        float(size) if all(part >= 2 for part in parts) else 0.0
        for size, parts in zip(sizes, zip(*arms, strict=True), strict=True)
    ]
    total = math.fsum(kept)
    return tuple(size / total for size in kept) if total > 0 else tuple(kept)


def mean_over_strata(strata: Strata, column: str, weights: Sequence[float]) -> Estimate | str:
    """An arm's mean Σ w_h m_h with variance Σ w_h² s_h²/n_h and df by Satterthwaite; or why there is none.

    Cochran (1977, chapter 5) and Satterthwaite (1946). Assumes independent visitors. Not for one arm alone, since the
    weights must be those of all arms compared: `stratum_weights`.

    Example:
        >>> from offerlift.stats import Moments
        >>> quiet = Moments.from_arrays({"revenue": [0] * 95 + [30, 40, 50, 60, 70]})
        >>> busy = Moments.from_arrays({"revenue": [0] * 90 + [35, 45, 55, 65, 75] * 2})
        >>> round(mean_over_strata([quiet, busy], "revenue", (0.5, 0.5)).mean, 3)
        4.0
    """
    parts = []
    for weight, moments in _kept(weights, strata):
        estimate = mean_estimate(moments, column)
        if isinstance(estimate, str):
            return estimate
        parts.append((weight, estimate))
    return _combined(parts) if parts else _NO_STRATUM


def ratio_over_strata(strata: Strata, numerator: str, denominator: str, weights: Sequence[float]) -> Estimate | str:
    """An arm's ratio of combined means R = Σ w_h ȳ_h / Σ w_h x̄_h; or why there is none.

    Its variance is Σ w_h² (s²_y - 2 R s_xy + R² s²_x)_h / n_h / x̄², per visitor as in `ratio_of` (the combined ratio
    estimate of stratified samples, Cochran 1977, 6.11). A stratum's own ratio would not exist before its first order.

    Assumes independent visitors, and some hundred with a denominator. Not for a mean of the strata's ratios.

    Example:
        >>> from offerlift.stats import Moments
        >>> before = Moments.from_arrays({"revenue": [0, 30, 50, 0], "orders": [0, 1, 2, 0]})
        >>> after = Moments.from_arrays({"revenue": [0, 40, 90, 0], "orders": [0, 1, 2, 0]})
        >>> ratio_over_strata([before, after], "revenue", "orders", (0.5, 0.5)).mean
        35.0
    """
    kept = _kept(weights, strata)
    if not kept:
        return _NO_STRATUM
    below = sum(weight * moments.mean_of(denominator) for weight, moments in kept)
    if below <= 0:
        return f"the sum of {denominator!r} is not above 0"
    ratio = sum(weight * moments.mean_of(numerator) for weight, moments in kept) / below
    parts = []
    for weight, moments in kept:
        terms = (
            moments.variance_of(numerator),
            -2 * ratio * moments.covariance_of(numerator, denominator),
            ratio * ratio * moments.variance_of(denominator),
        )
        variance = sum(terms)
        # As in a single stratum: what cancels leaves rounding.
        if variance <= 1e-13 * sum(abs(term) for term in terms):
            variance = 0.0
        parts.append((weight, Estimate(0.0, variance / below**2 / moments.n, moments.n - 1)))
    total = _combined(parts)
    return Estimate(ratio, total.variance, total.df)


def compare_means_over_strata(
    treatment: Strata, control: Strata, column: str, *, visitors: Sequence[int] | None = None, alpha: float = 0.05
) -> Comparison:
    """Difference and relative lift of a mean per visitor over strata.

    D = Σ w_h (m_t,h - m_c,h) and SE² = Σ w_h² (V_t,h + V_c,h), df by Satterthwaite (1946) over all parts; the lift
    inverts the same test for the combined means (Fieller 1954).

    Assumes and excludes what `compare_means` does, within each stratum. Not for strata that the offer itself can
    change, such as buyers.

    Args:
        treatment, control: moments by stratum.
        column: the column to compare.
        visitors: see `stratum_weights`.
        alpha: 1 minus the confidence level, two-sided.

    Returns:
        Status `insufficient` as `compare_means`, and where no stratum has two visitors in both arms.

    Raises:
        InputError: no such column, alpha outside (0, 1), or as `stratum_weights`.

    Example:
        >>> from offerlift.stats import Moments
        >>> quiet = Moments.from_arrays({"revenue": [0] * 95 + [30, 40, 50, 60, 70]})
        >>> busy = Moments.from_arrays({"revenue": [0] * 90 + [35, 45, 55, 65, 75] * 2})
        >>> result = compare_means_over_strata([busy, busy], [quiet, busy], "revenue")
        >>> round(result.difference.estimate, 3), result.difference.method
        (1.5, 'welch-strata')
    """
    weights = stratum_weights([treatment, control], visitors)
    only = _only(weights)
    if only is not None:
        return compare_means(treatment[only], control[only], column, alpha=alpha)
    inputs = Inputs(treatment, control, (column,), check_alpha(alpha))
    estimates = [mean_over_strata(strata, column, weights) for strata in (treatment, control)]
    for estimate in estimates:
        if isinstance(estimate, str):
            return Comparison.without("insufficient", estimate, inputs=inputs)
    t, c = (estimate for estimate in estimates if isinstance(estimate, Estimate))
    if t.variance + c.variance == 0:
        return Comparison.without("insufficient", f"{column!r} does not vary within either arm", inputs=inputs)
    return compare_estimates(t, c, alpha=alpha, method="welch-strata", inputs=inputs)


def compare_ratios_over_strata(
    treatment: Strata,
    control: Strata,
    numerator: str,
    denominator: str,
    *,
    visitors: Sequence[int] | None = None,
    alpha: float = 0.05,
) -> Comparison:
    """Difference and relative lift of a ratio of two sums over strata; see `ratio_over_strata` for each arm's.

    The combined ratio (Cochran 1977, 6.11), its variance by the delta method (Deng, Knoblich and Lu 2018), then Welch
    (1947) and Fieller (1954). Assumes and excludes what `compare_ratios` does.

    Args:
        treatment, control: moments by stratum.
        numerator, denominator: column names.
        visitors: see `stratum_weights`.
        alpha: 1 minus the confidence level, two-sided.

    Returns:
        Status as `compare_ratios`, and `insufficient` where no stratum has two visitors in both arms.

    Raises:
        InputError: no such column, alpha outside (0, 1), or as `stratum_weights`.

    Example:
        >>> from offerlift.stats import Moments
        >>> def phase(revenue, orders):
        ...     return Moments.from_arrays({"revenue": revenue, "orders": orders})
        >>> control = [phase([0, 30, 50, 0], [0, 1, 2, 0]), phase([0, 40, 90, 0], [0, 1, 2, 0])]
        >>> treatment = [phase([0, 36, 60, 0], [0, 1, 2, 0]), phase([0, 45, 96, 0], [0, 1, 2, 0])]
        >>> result = compare_ratios_over_strata(treatment, control, "revenue", "orders")
        >>> result.difference.estimate
        4.5
    """
    weights = stratum_weights([treatment, control], visitors)
    only = _only(weights)
    if only is not None:
        return compare_ratios(treatment[only], control[only], numerator, denominator, alpha=alpha)
    inputs = Inputs(treatment, control, (numerator, denominator), check_alpha(alpha))
    estimates = []
    for name, strata in (("treatment", treatment), ("control", control)):
        estimate = ratio_over_strata(strata, numerator, denominator, weights)
        if isinstance(estimate, str):
            status = "undefined" if any(weights) else "insufficient"
            reason = f"{estimate} in the {name}" if any(weights) else estimate
            return Comparison.without(status, reason, inputs=inputs)
        if estimate.variance == 0:
            reason = f"{numerator!r} per {denominator!r} shows no variance in the {name}"
            return Comparison.without("insufficient", reason, inputs=inputs)
        estimates.append(estimate)
    return compare_estimates(*estimates, alpha=alpha, method="delta-welch-strata", inputs=inputs)


def compare_adjusted_over_strata(
    treatment: Strata,
    control: Strata,
    column: str,
    covariates: Sequence[str],
    *,
    visitors: Sequence[int] | None = None,
    alpha: float = 0.05,
) -> AdjustedComparison:
    """Difference and relative lift of adjusted means over strata: `compare_adjusted` within each, then combined.

    Slopes and the covariates' means are each stratum's own (Lin 2013). A stratum too small for its slopes is not
    adjusted rather than left out, so that the estimand is that of the plain comparison.

    Assumes and excludes what `compare_adjusted` does, within each stratum.

    Args:
        treatment, control: moments by stratum, with `column` and all `covariates`.
        column: the metric's column.
        covariates: columns that were fixed before the exposure.
        visitors: see `stratum_weights`.
        alpha: 1 minus the confidence level, two-sided.

    Returns:
        `adjustment` has the weighted means of the strata's slopes. Status as `compare_adjusted`, and `insufficient`
        where no stratum has two visitors in both arms.

    Raises:
        InputError: no such column, alpha outside (0, 1), or as `stratum_weights`.

    Example:
        >>> import numpy as np
        >>> from offerlift.stats import Moments
        >>> rng = np.random.default_rng(1)
        >>> def phase(effect):
        ...     past = rng.gamma(1, 20, 2000)
        ...     return Moments.from_arrays({"revenue": past + effect + rng.normal(0, 5, 2000), "past": past})
        >>> result = compare_adjusted_over_strata([phase(1), phase(1)], [phase(0), phase(0)], "revenue", ["past"])
        >>> result.lift.excludes_zero(), result.adjustment.r_squared > 0.9
        (True, True)
    """
    weights = stratum_weights([treatment, control], visitors)
    only = _only(weights)
    if only is not None:
        return compare_adjusted_plain(treatment[only], control[only], column, covariates, alpha=alpha)
    found = [
        (weight, _parts(t, c, column, covariates))
        for weight, t, c in zip(weights, treatment, control, strict=True)
        if weight
    ]
    inputs = Inputs(treatment, control, (column, *covariates), check_alpha(alpha))
    if not found:
        return adjusted_without(_NO_STRATUM, inputs)
    shared = [Estimate(0.0, parts.shared.tt + parts.shared.cc, parts.shared.df) for _, parts in found]
    total = AdjustedParts(
        _combined([(weight, parts.treatment) for weight, parts in found]),
        _combined([(weight, parts.control) for weight, parts in found]),
        Shared(
            sum(weight**2 * parts.shared.tt for weight, parts in found),
            sum(weight**2 * parts.shared.tc for weight, parts in found),
            sum(weight**2 * parts.shared.cc for weight, parts in found),
            _combined([(weight, one) for (weight, _), one in zip(found, shared, strict=True)]).df,
        ),
        np.sum([weight * parts.theta_treatment for weight, parts in found], axis=0),
        np.sum([weight * parts.theta_control for weight, parts in found], axis=0),
    )
    plain = sum(
        weight**2 * moments.variance_of(column) / moments.n
        for arm in (treatment, control)
        for weight, moments in _kept(weights, arm)
    )
    return compare_parts(total, plain, inputs)


def _parts(treatment: Moments, control: Moments, column: str, covariates: Sequence[str]) -> AdjustedParts:
    parts = adjusted_parts(treatment, control, column, covariates)
    if isinstance(parts, AdjustedParts):
        return parts
    plain = [mean_estimate(arm, column) for arm in (treatment, control)]
    t, c = (estimate for estimate in plain if isinstance(estimate, Estimate))
    none = np.zeros(len(covariates))
    return AdjustedParts(t, c, Shared(df=treatment.n + control.n - 2), none, none)


def compare_proportions_over_strata(
    treatment: Strata, control: Strata, column: str, *, visitors: Sequence[int] | None = None, alpha: float = 0.05
) -> Comparison:
    """Difference and relative lift of a conversion rate over strata: the stratified score test.

    Miettinen and Nurminen (1985, section on stratified comparisons) with fixed weights:
    Z²(δ) = (Σ w_h (p̂_t,h - p̂_c,h - δ))² / Σ w_h² Ṽ_h(δ) N_h/(N_h - 1), where Ṽ_h is the variance at the stratum's
    maximum likelihood rates under p_t,h - p_c,h = δ; the ratio likewise from Σ w_h (p̂_t,h - r p̂_c,h). Both test no
    effect by one p-value. Mantel-Haenszel weights n_t n_c/(n_t + n_c) would be a little more precise where the effect
    is the same in every stratum, and estimate nobody's mean effect where it is not.

    With a handful of conversions and very unequal arms the values that are not rejected need not be an interval. The
    ends are then the outermost of them, on the estimate's side of no effect where that is rejected, so that p-value,
    difference and lift always agree.

    Assumes and excludes what `compare_proportions` does, within each stratum.

    Args:
        treatment, control: moments by stratum, in which `column` is 1 or 0.
        column: the column to compare.
        visitors: see `stratum_weights`.
        alpha: 1 minus the confidence level, two-sided.

    Returns:
        Status `insufficient` where no stratum has two visitors in both arms.

    Raises:
        InputError: no such column, a column that is not 0/1, alpha outside (0, 1), or as `stratum_weights`.

    Example:
        >>> from offerlift.stats import Moments
        >>> def phase(visitors, bought):
        ...     return Moments.from_sums(["bought"], visitors, [bought], {("bought", "bought"): bought})
        >>> treatment = [phase(1000, 60), phase(5000, 520)]
        >>> control = [phase(9000, 450), phase(5000, 480)]
        >>> result = compare_proportions_over_strata(treatment, control, "bought")
        >>> round(result.difference.estimate, 4), round(result.difference.p_value, 3)
        (0.009, 0.057)
    """
    weights = stratum_weights([treatment, control], visitors)
    only = _only(weights)
    if only is not None:
        return compare_proportions(treatment[only], control[only], column, alpha=alpha)
    z = -float(ndtri(check_alpha(alpha) / 2))
    inputs = Inputs(treatment, control, (column,), alpha)
    tables = [
        Table(weight, *counts_of(t, column), *counts_of(c, column))
        for weight, t, c in zip(weights, treatment, control, strict=True)
        if weight
    ]
    if not tables:
        return Comparison.without("insufficient", _NO_STRATUM, inputs=inputs)
    swapped = [table.swapped() for table in tables]
    estimate = math.fsum(table.weight * table.difference for table in tables)
    se = math.sqrt(sum(table.weight**2 * table.variance() for table in tables))
    if se == 0:
        se = math.sqrt(sum(table.weight**2 * table.variance(more=1) for table in tables))
    null = math.sqrt(sum(table.scored(restricted_variance, 0.0) for table in tables))
    p_value = 2 * float(ndtr(-abs(estimate) / null)) if null > 0 else 1.0
    # An end stops at no effect where no effect is rejected.
    up = estimate < 0 and abs(estimate) > z * null
    down = estimate > 0 and abs(estimate) > z * null
    difference = Difference(
        estimate,
        se,
        math.inf,
        -difference_high(swapped, z, down),
        difference_high(tables, z, up),
        p_value,
        "miettinen-nurminen-strata",
    )
    return Comparison("ok", "", difference, ratio_interval(tables, swapped, z, down, up).lift(), inputs=inputs)


def beta_posteriors_over_strata(
    arms: Mapping[str, Strata],
    column: str,
    control: str,
    *,
    visitors: Sequence[int] | None = None,
    prior: tuple[float, float] = (1.0, 1.0),
    direction: Direction = "increase",
    level: float = 0.95,
) -> ArmsPosterior:
    """Posteriors of conversion rates over strata.

    Each stratum's rate has its own Beta posterior, and an arm's rate is Σ w_h p_h. For means per visitor, give
    `normal_posteriors` what `mean_over_strata` returns.

    The density of the sum by convolution of the strata's; one stratum: `beta_posteriors` (Stucchio 2014). Assumes
    independent visitors and strata, and a prior that was chosen before. Not a stopping rule.

    Args:
        arms: moments by arm and stratum; only strata in which every arm has two visitors count.
        column: the conversion column.
        control: name of the control.
        visitors: see `stratum_weights`.
        prior: parameters of the Beta prior of every rate.
        direction: whether the larger or the smaller rate is better.
        level: of the credible intervals.

    Raises:
        InputError: as `beta_posteriors` and `stratum_weights`, or no stratum in which every arm has two visitors.

    Example:
        >>> from offerlift.stats import Moments
        >>> def phase(visitors, bought):
        ...     return Moments.from_sums(["bought"], visitors, [bought], {("bought", "bought"): bought})
        >>> arms = {"control": [phase(9000, 450), phase(5000, 480)], "offer": [phase(1000, 60), phase(5000, 520)]}
        >>> result = beta_posteriors_over_strata(arms, "bought", "control")
        >>> round(result.against_control["offer"].probability_better, 3)
        0.974
    """
    check_arms(arms, control, direction, level)
    weights = stratum_weights(list(arms.values()), visitors)
    only = _only(weights)
    if only is not None:
        one = {name: strata[only] for name, strata in arms.items()}
        return beta_posteriors(one, column, control, prior=prior, direction=direction, level=level)
    if not any(weights):
        raise InputError(_NO_STRATUM, hint="Leave out the arms without visitors, or the phases from before an arm.")
    if not (prior[0] > 0 and prior[1] > 0):
        raise InputError(f"the prior is Beta({prior[0]!r}, {prior[1]!r}); two numbers above 0 are needed")
    posterior = {}
    for name, strata in arms.items():
        counts = [(weight, *counts_of(moments, column)) for weight, moments in _kept(weights, strata)]
        posterior[name] = [(weight, Beta(prior[0] + x, prior[1] + n - x)) for weight, x, n in counts]
    return posteriors_of_sums(posterior, control, direction, level)


def skew_kappa_over_strata(
    treatment: Strata, control: Strata, column: str, *, visitors: Sequence[int] | None = None
) -> float:
    """Skewness κ of the studentised difference: Σ w_h³ (M3_t/n_t³ - M3_c/n_c³)_h / SE³; see `skew_kappa`.

    The Edgeworth expansion of Johnson (1978). Assumes and excludes what `skew_kappa` does.

    Example:
        >>> from offerlift.stats import Moments
        >>> quiet = Moments.from_arrays({"revenue": [0] * 95 + [30, 40, 50, 60, 70]})
        >>> busy = Moments.from_arrays({"revenue": [0] * 90 + [35, 45, 55, 65, 75] * 2})
        >>> round(skew_kappa_over_strata([busy, busy], [quiet, busy], "revenue"), 2)
        0.03
    """
    weights = stratum_weights([treatment, control], visitors)
    third = variance = 0.0
    for sign, arm in ((1, treatment), (-1, control)):
        for weight, moments in _kept(weights, arm):
            third += sign * weight**3 * float(moments.m3[moments.index(column)]) / moments.n**3
            variance += weight**2 * moments.variance_of(column) / moments.n
    return third / variance**1.5 if variance**1.5 > 0 else 0.0


def _kept(weights: Sequence[float], strata: Strata) -> list[tuple[float, Moments]]:
    return [(weight, moments) for weight, moments in zip(weights, strata, strict=True) if weight]


def _only(weights: Sequence[float]) -> int | None:
    """The only stratum there is: the only one given, or the only one with weight."""
    if len(weights) == 1:
        return 0
    kept = [at for at, weight in enumerate(weights) if weight]
    return kept[0] if len(kept) == 1 else None


def _combined(parts: Sequence[tuple[float, Estimate]]) -> Estimate:
    """Σ w m with variance Σ w² V, and df by Satterthwaite."""
    mean = math.fsum(weight * part.mean for weight, part in parts)
    variance = [weight * weight * part.variance for weight, part in parts]
    total = sum(variance)
    # By a power of two to about 1: squares of huge variances overflow.
    sized = [shifted(v, -binary_exponent(total)) for v in variance]
    spread = sum(v * v / part.df for v, (_, part) in zip(sized, parts, strict=True))
    df = sum(sized) ** 2 / spread if spread > 0 else sum(part.df for _, part in parts)
    return Estimate(mean, total, df)
