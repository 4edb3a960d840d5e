"""Bayesian readings: conversion by Beta posteriors, means by normal ones. They inform; they never stop a test."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ..errors import InputError
from .beta import (
    Beta,
    above_and_excess,
    difference_interval,
    expected_loss_beta,
    probability_b_beats_a,
    probability_best,
)
from .largest import normal_rule, probability_largest
from .moments import Moments
from .proportions import counts_of
from .results import Posterior
from .rules import laguerre
from .showing import Row, Shown

__all__ = [
    "ArmsPosterior",
    "beta_posteriors",
    "check_arms",
    "expected_loss_beta",
    "normal_expected_loss",
    "normal_posteriors",
    "normal_update",
    "probability_b_beats_a",
]

Array = NDArray[np.float64]
Direction = Literal["increase", "decrease"]


@dataclass(frozen=True, slots=True)
class ArmsPosterior(Shown):
    """Posterior of all arms together.

    Attributes:
        probability_best: for every arm, the probability that it is the best of all; they sum to 1.
        against_control: for every treatment, its posterior against the control.

    Example:
        >>> result = normal_posteriors({"a": (5.0, 0.01), "b": (5.2, 0.01)}, "a")
        >>> round(sum(result.probability_best.values()), 12)
        1.0
    """

    probability_best: dict[str, float]
    against_control: dict[str, Posterior]

    def to_dicts(self) -> list[Row]:
        """One row an arm: its chance to be the best and, of a treatment, its posterior against the control."""
        return posterior_rows(self.probability_best, self.against_control)


def posterior_rows(probability_best: Mapping[str, float], against_control: Mapping[str, Posterior]) -> list[Row]:
    """One row an arm, None where the control has no number."""
    rows = []
    for arm, chance in probability_best.items():
        against = against_control.get(arm)
        rows.append(
            {
                "arm": arm,
                "probability_best": chance,
                "probability_better": against.probability_better if against else None,
                "expected_loss": against.expected_loss if against else None,
                "low": against.low if against else None,
                "high": against.high if against else None,
            }
        )
    return rows


def beta_posteriors(
    arms: Mapping[str, Moments],
    column: str,
    control: str,
    *,
    prior: tuple[float, float] = (1.0, 1.0),
    direction: Direction = "increase",
    level: float = 0.95,
) -> ArmsPosterior:
    """Exact posteriors of conversion rates: Beta(prior a + x, prior b + n - x), independent arms.

    P(best) = ∫ f_i Π F_j, expected loss E[max(p_c - p_t, 0)] (Stucchio 2014), exact by quadrature. Assumes independent
    visitors and a prior that was chosen before. Not a stopping rule: stopping once P(better) passes 95 % at any of 100
    looks declares a winner in more than half of A/A tests.

    Args:
        arms: moments by arm, with a 0/1 `column`; an arm without visitors keeps its prior.
        column: the conversion column.
        control: name of the control.
        prior: parameters of the Beta prior of every arm.
        direction: whether the larger or the smaller rate is better.
        level: of the credible intervals.

    Raises:
        InputError: no such arm or column, a column that is not 0/1, an impossible prior, direction or level.

    Example:
        >>> from offerlift.stats import Moments
        >>> def arm(x):
        ...     return Moments.from_sums(["bought"], 1000, [x], {("bought", "bought"): x})
        >>> result = beta_posteriors({"control": arm(100), "treatment": arm(120)}, "bought", "control")
        >>> round(result.against_control["treatment"].probability_better, 3)
        0.923
    """
    names = check_arms(arms, control, direction, level)
    posterior = {}
    for name in names:
        x, n = counts_of(arms[name], column)
        a, b = prior[0] + x, prior[1] + n - x
        if not (prior[0] > 0 and prior[1] > 0):
            raise InputError(f"the prior is Beta({prior[0]!r}, {prior[1]!r}); two numbers above 0 are needed")
        posterior[name] = Beta(a, b)
    # The smallest rate is best exactly when its complement is largest.
    ranked = [posterior[name] if direction == "increase" else posterior[name].complement() for name in names]
    share = probability_best(ranked)
    # The integrals sum to 1 but for rounding, which the division removes.
    best = {name: value / sum(share) for name, value in zip(names, share, strict=True)}
    c = posterior[control]
    against = {}
    for name in names:
        if name == control:
            continue
        t = posterior[name]
        better, worse = (t, c) if direction == "increase" else (c, t)
        against[name] = Posterior(*above_and_excess(better, worse), *difference_interval(t, c, level))
    return ArmsPosterior(best, against)


def normal_posteriors(
    estimates: Mapping[str, tuple[float, float]],
    control: str,
    *,
    prior_lift: tuple[float, float] | None = None,
    direction: Direction = "increase",
    level: float = 0.95,
) -> ArmsPosterior:
    """Normal posteriors of means per visitor: each estimate N(mean, variance), the arms independent.

    With `prior_lift` = (μ0, τ), a prior N(μ0, τ²) on each treatment's relative lift (from past experiments), taken to
    the difference by the control's estimated mean: the posterior mean of the difference D with variance V is
    (τ² D + V μ0)/(τ² + V) with both on that scale.

    P(better) = Φ(D/s), expected loss s φ(D/s) - D (1 - Φ(D/s)); Gelman et al. (2013, section 2.5). Assumes means that
    are normal, by the central limit theorem: not for fewer than some 200 orders an arm, and not a stopping rule either.

    Args:
        estimates: by arm, the mean and the variance *of that mean* (s²/n). A variance of 0 is taken as certain.
        control: name of the control.
        prior_lift: mean and standard deviation of the prior on the lift; None is flat.
        direction: whether the larger or the smaller mean is better.
        level: of the credible intervals.

    Raises:
        InputError: no such arm, a value that is not finite, a negative variance, a prior without a positive standard
            deviation or with a control mean of 0, or an impossible direction or level.

    Example:
        >>> result = normal_posteriors({"control": (5.0, 0.01), "treatment": (5.2, 0.01)}, "control")
        >>> row = result.against_control["treatment"]
        >>> round(row.probability_better, 3), round(row.expected_loss, 4)
        (0.921, 0.005)
    """
    names = check_arms(estimates, control, direction, level)
    mean = {name: float(estimates[name][0]) for name in names}
    variance = {name: float(estimates[name][1]) for name in names}
    for name in names:
        if not (math.isfinite(mean[name]) and 0 <= variance[name] < math.inf):
            raise InputError(
                f"arm {name!r} has mean {mean[name]!r} and variance {variance[name]!r}; finite ones are needed"
            )
    prior = None
    if prior_lift is not None:
        scale = abs(mean[control])
        if not (prior_lift[1] > 0 and math.isfinite(prior_lift[0]) and scale > 0):
            raise InputError(
                f"prior lift {prior_lift!r} at a control mean of {mean[control]!r}: τ and the mean must not be 0"
            )
        prior = prior_lift[0] * mean[control], (prior_lift[1] * scale) ** 2
    sign = 1.0 if direction == "increase" else -1.0
    z = -float(ndtri((1 - level) / 2))
    against = {}
    for name in names:
        if name == control:
            continue
        d, v = mean[name] - mean[control], variance[name] + variance[control]
        if prior is not None:
            d, v = normal_update(d, v, *prior)
        sd = math.sqrt(v)
        certain = 0.5 if d == 0 else float(sign * d > 0)
        probability = float(ndtr(sign * d / sd)) if sd > 0 else certain
        against[name] = Posterior(probability, normal_expected_loss(-sign * d, sd), d - z * sd, d + z * sd)
    best = _normal_best(names, mean, variance, control, prior, sign)
    return ArmsPosterior(best, against)


def normal_update(estimate: float, variance: float, prior_mean: float, prior_variance: float) -> tuple[float, float]:
    """Posterior mean and variance of a normal mean: (τ² D + V μ0)/(τ² + V) and τ² V/(τ² + V).

    Conjugate normal prior. Assumes a known variance.

    Gelman et al. (2013, section 2.5). Not for a prior that was chosen after the estimate was seen, nor for the revenue
    of fewer than about 200 orders (`bayesian_bootstrap`).

    Example:
        >>> normal_update(0.10, 0.01, 0.0, 0.01)
        (0.05, 0.005)
    """
    total = prior_variance + variance
    return (prior_variance * estimate + variance * prior_mean) / total, prior_variance * variance / total


def normal_expected_loss(mu: float, sigma: float) -> float:
    """E[max(X, 0)] for X ~ N(mu, sigma²): sigma φ(mu/sigma) + mu Φ(mu/sigma).

    The unit normal loss integral of Raiffa and Schlaifer (1961). Assumes a normal posterior. Not for the revenue of
    fewer than about 200 orders, whose posterior is skewed: `bayesian_bootstrap`.

    Example:
        >>> round(normal_expected_loss(-0.2, 0.1), 6)
        0.000849
    """
    if sigma == 0:
        return max(mu, 0.0)
    u = mu / sigma
    if u < -5:
        return sigma * _mills_remainder(-u)
    return sigma * math.exp(-u * u / 2) / math.sqrt(2 * math.pi) + mu * float(ndtr(u))


def _mills_remainder(u: float) -> float:
    """φ(u) - u Φ(-u) for large u, where the two nearly cancel: ∫ (x - u) φ(x) dx by Gauss-Laguerre in u (x - u)."""
    x, w = laguerre(48)
    rest = float(w @ (x * np.exp(-((x / u) ** 2) / 2)))
    return math.exp(-u * u / 2) / math.sqrt(2 * math.pi) / (u * u) * rest


def _normal_best(
    names: list[str],
    mean: dict[str, float],
    variance: dict[str, float],
    control: str,
    prior: tuple[float, float] | None,
    sign: float,
) -> dict[str, float]:
    """P(arm i is best) for every arm.

    A flat prior: ∫ φ_i Π Φ_j. A prior on the differences ties the arms together through the control, but given the
    control's mean they are independent normals again: one outer integral over it.
    """
    treatments = [name for name in names if name != control]
    if prior is None and len(names) == 2 and variance[names[0]] + variance[names[1]] > 0:
        first, second = names
        z = sign * (mean[first] - mean[second]) / math.sqrt(variance[first] + variance[second])
        return {first: float(ndtr(z)), second: float(ndtr(-z))}
    if prior is None:
        means = np.array([[sign * mean[name] for name in names]])
        sds = np.sqrt([variance[name] for name in names])
        return dict(zip(names, probability_largest(means, sds)[0].tolist(), strict=True))
    # Given the control's mean c: d_i ~ N(m_i - c, V_i) updated by the prior; marginally c ~ its own estimate times the
    # likelihood of every m_i - c under the prior, all normal.
    precision = np.array([1 / (variance[name] + prior[1]) for name in treatments])
    implied = np.array([mean[name] - prior[0] for name in treatments])
    if variance[control] == 0:
        centre, spread = mean[control], 0.0
    else:
        total = 1 / variance[control] + precision.sum()
        centre = (mean[control] / variance[control] + float(precision @ implied)) / total
        spread = math.sqrt(1 / total)
    # Where the control passes a treatment that is known more precisely, the inner probabilities have a step.
    ends = {-9.0, -3.0, 3.0, 9.0}
    for name in treatments:
        v = variance[name]
        step = mean[name] + v * prior[0] / prior[1]
        width = math.sqrt(v * (prior[1] + v) / prior[1])
        if 0 < width < spread / 2:
            ends.update((step + k * width - centre) / spread for k in (-9, -3, 0, 3, 9))
    x, w = normal_rule(ends)
    c = centre + spread * x
    means = np.zeros((len(c), len(names)))
    sds = np.zeros(len(names))
    for k, name in enumerate(names):
        if name != control:
            means[:, k], v = normal_update(sign * (mean[name] - c), variance[name], sign * prior[0], prior[1])  # pyright: ignore
            sds[k] = math.sqrt(v)
    share = w @ probability_largest(means, sds)
    return dict(zip(names, share.tolist(), strict=True))


def check_arms(arms: Mapping[str, object], control: str, direction: str, level: float) -> list[str]:
    """Names of the arms.

    Raises:
        InputError: no such control, or an impossible direction or level.
    """
    if control not in arms:
        raise InputError(f"there is no arm {control!r} among {list(arms)}")
    if direction not in ("increase", "decrease"):
        raise InputError(f"direction is {direction!r}; 'increase' or 'decrease' is needed")
    if not 0 < level < 1:
        raise InputError(f"level is {level!r}; a number strictly between 0 and 1 is needed, such as 0.95")
    return list(arms)
