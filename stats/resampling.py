"""Answers by resampling values that were counted: a randomisation test, and the Bayesian bootstrap.

Both take an additive `Histogram` of all visitors' values (0 for those without an order), so that their cost depends on
the number of bins and not of visitors, or raw values, which are counted as they are. A histogram keeps two digits:
10.00 and 10.99 are one bin. In an experiment on prices give raw values, or at least `totals`.

Random numbers come from numpy's PCG64 with the seed given: the same input, seed and numpy give the same result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .bayes import Direction, check_arms, posterior_rows
from .frames import unmasked
from .histogram import Histogram, bin_width
from .results import Posterior
from .showing import Row, Shown

__all__ = ["BootstrapPosterior", "PermutationTest", "bayesian_bootstrap", "permutation_test"]

Array = NDArray[np.float64]

LARGEST_POPULATION = 10**9
"""numpy draws hypergeometric numbers of fewer than so many."""

_BLOCK = 500
"""Resamples held at a time: a thousand bins are 4 MB of them."""


@dataclass(frozen=True, slots=True)
class PermutationTest(Shown):
    """A randomisation test of no effect on anybody.

    Attributes:
        status: `ok`, or `insufficient` with a `reason` and no numbers.
        reason: one sentence where there are no numbers; "" otherwise.
        p_value: two-sided, twice the smaller tail and at most 1. Never 0: at least 2/(resamples + 1).
        error: standard error of the p-value for the number of resamples.
        p_greater, p_less: one-sided, (b + 1)/(B + 1).
        statistic: the studentised difference, treatment minus control.
        resamples: how many there were.

    Example:
        >>> found = permutation_test([0] * 95 + [20, 25, 30, 35, 40], [0] * 900)
        >>> found.p_value, found.p_greater, found.resamples
        (0.0004, 0.0002, 9999)
    """

    status: Literal["ok", "insufficient"]
    reason: str
    p_value: float | None
    error: float | None
    p_greater: float | None
    p_less: float | None
    statistic: float | None
    resamples: int


def permutation_test(
    treatment: Histogram | ArrayLike, control: Histogram | ArrayLike, *, resamples: int = 9_999, seed: int = 0
) -> PermutationTest:
    """Randomisation p-value of a difference of means per visitor, for skewed values and unequal arms.

    The pooled values are dealt out again, n_t of them to the treatment, which for counted values is one multivariate
    hypergeometric draw a resample. The statistic is Welch's T = D/SE: under no effect on anybody the p-value is exact
    at any split and skewness, and it stays right for equal means with other variances in large samples (Janssen 1997;
    Chung and Romano 2013). The two tails are doubled one at a time, as skewness puts them at different distances.
    (b + 1)/(B + 1) keeps the level at any number of resamples (Phipson and Smyth 2010).

    When not to use it: it gives no interval, and Welch's test is as good where the arms are of one size.

    Assumes that the arm was drawn for each visitor alone, with the same chances.

    Args:
        treatment, control: every visitor's value, as a histogram (`Distribution.visitors`) or raw.
        resamples: B, at least 99.
        seed: of the random numbers.

    Returns:
        `insufficient` below two visitors in an arm, and where no value differs from another.

    Raises:
        InputError: values that are not finite, a histogram beside raw values, histograms of different scales, too
            few resamples, or 10⁹ visitors.

    Example:
        >>> permutation_test([0] * 95 + [20, 25, 30, 35, 40], [0] * 900).p_value
        0.0004
    """
    if isinstance(resamples, bool) or not isinstance(resamples, int) or resamples < 99:
        raise InputError(f"{resamples!r} resamples; at least 99 are needed for a p-value of .05 to mean something")
    if isinstance(treatment, Histogram) and isinstance(control, Histogram) and treatment.scale != control.scale:
        raise InputError(f"histograms of different scales: {treatment.scale} and {control.scale}")
    _check_alike([treatment, control])
    values, (counts_t, counts_c) = _pooled(_counted(treatment), _counted(control))
    n_t, n_c = int(counts_t.sum()), int(counts_c.sum())
    if min(n_t, n_c) < 2:
        return _without(f"{min(n_t, n_c)} visitors in an arm; two are needed")
    if len(values) < 2:
        return _without("no visitor's value differs from another's")
    if n_t + n_c >= LARGEST_POPULATION:
        raise InputError(
            f"{n_t + n_c} visitors are too many to deal out again; fewer than {LARGEST_POPULATION} are needed",
            hint="With so many visitors Welch's test is as good.",
        )
    pooled = counts_t + counts_c
    # Around the mean, so that squares of large values do not cancel.
    values = values - float(pooled @ values) / (n_t + n_c)
    statistic = float(_studentised(counts_t[None, :], pooled, values, n_t, n_c)[0])
    rng = np.random.default_rng(seed)
    greater = less = 0
    for start in range(0, resamples, _BLOCK):
        size = min(_BLOCK, resamples - start)
        dealt = rng.multivariate_hypergeometric(pooled, n_t, size=size, method="marginals")
        drawn = _studentised(dealt, pooled, values, n_t, n_c)
        # What differs only by rounding is a tie, and ties count.
        slack = 1e-9 * (1 + abs(statistic)) if math.isfinite(statistic) else 0.0
        greater += int((drawn >= statistic - slack).sum())
        less += int((drawn <= statistic + slack).sum())
    tails = (greater + 1) / (resamples + 1), (less + 1) / (resamples + 1)
    smaller = min(tails)
    return PermutationTest(
        "ok",
        "",
        min(2 * smaller, 1.0),
        2 * math.sqrt(smaller * (1 - smaller) / resamples),
        *tails,
        statistic,
        resamples,
    )


def _without(reason: str) -> PermutationTest:
    return PermutationTest("insufficient", reason, None, None, None, None, None, 0)


def _studentised(dealt: NDArray[np.int64], pooled: NDArray[np.int64], values: Array, n_t: int, n_c: int) -> Array:
    """Welch's T of each row of treatment counts; infinite where nothing varies within the arms."""
    powers = np.stack([values, values**2], axis=1)
    sums = dealt @ powers
    rest = pooled @ powers - sums
    mean_t, mean_c = sums[:, 0] / n_t, rest[:, 0] / n_c
    variance = np.maximum(sums[:, 1] / n_t - mean_t**2, 0) / (n_t - 1)
    variance += np.maximum(rest[:, 1] / n_c - mean_c**2, 0) / (n_c - 1)
    difference = mean_t - mean_c
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variance > 0, difference / np.sqrt(variance), np.sign(difference) * np.inf)


@dataclass(frozen=True, slots=True)
class BootstrapPosterior(Shown):
    """Posterior of means per visitor by the Bayesian bootstrap.

    Attributes:
        probability_best: for every arm, the share of draws in which it is the best.
        against_control: for every treatment, its posterior against the control, on the difference scale.
        lift: for every treatment, the equal-tailed credible interval of m_t/m_c - 1; None where the control's mean is
            not above 0 in every draw.
        error: largest standard error of these probabilities for the number of draws.
        draws: how many there were.

    Example:
        >>> found = bayesian_bootstrap({"control": [0] * 95 + [40] * 5, "gift": [0] * 90 + [40] * 10}, "control")
        >>> [row["arm"] for row in found.to_dicts()]
        ['control', 'gift']
    """

    probability_best: dict[str, float]
    against_control: dict[str, Posterior]
    lift: dict[str, tuple[float, float] | None]
    error: float
    draws: int

    def to_dicts(self) -> list[Row]:
        """One row an arm: its chance to be the best and, of a treatment, its posterior against the control."""
        rows = posterior_rows(self.probability_best, self.against_control)
        for row in rows:
            low, high = self.lift.get(row["arm"]) or (None, None)
            row |= {"lift_low": low, "lift_high": high, "error": self.error, "draws": self.draws}
        return rows


def bayesian_bootstrap(
    arms: Mapping[str, Histogram | ArrayLike],
    control: str,
    *,
    totals: Mapping[str, float] | None = None,
    direction: Direction = "increase",
    level: float = 0.95,
    draws: int = 10_000,
    seed: int = 0,
) -> BootstrapPosterior:
    """Posterior of means per visitor without a normal distribution, for fewer than about 200 orders an arm.

    Rubin (1981): every visitor's value is all there is to know, with Dirichlet(1, ..., 1) weights. For counted values
    that is p Σ w_k v_k with the share of visitors with a value p ~ Beta(x, n - x) and w ~ Dirichlet(counts of the
    values); the posterior mean is the observed one. No value larger than those seen is thought possible: with a heavy
    tail and a handful of orders the interval is too short at its upper end.

    Assumes independent visitors. Not for many visitors, where `normal_posteriors` says the same at once, and not a
    stopping rule.

    Args:
        arms: by arm, every visitor's value, as a histogram (`Distribution.visitors`) or raw.
        control: name of the control.
        totals: by arm, the exact sum of its values (`Distribution.largest.total`): binned values are scaled to it.
        direction: whether the larger or the smaller mean is better.
        level: of the credible intervals.
        draws: how many to take, at least 1,000.
        seed: of the random numbers.

    Raises:
        InputError: no such arm, fewer than two visitors or no value other than 0 in an arm, a total of another sign
            than the values, histograms beside raw values without totals, or an impossible direction, level or number
            of draws.

    Example:
        >>> control = [0] * 960 + [25, 40, 60, 90] * 10
        >>> treatment = [0] * 940 + [25, 40, 60, 90] * 15
        >>> found = bayesian_bootstrap({"control": control, "free shipping": treatment}, "control")
        >>> 0.95 < found.against_control["free shipping"].probability_better < 1
        True
    """
    names = check_arms(arms, control, direction, level)
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1000:
        raise InputError(f"{draws!r} draws; at least 1000 are needed")
    if totals is not None and set(totals) != set(names):
        raise InputError(f"totals are of arms {list(totals)}, values of {names}")
    if totals is None:
        _check_alike(list(arms.values()))
    rng = np.random.default_rng(seed)
    drawn = {}
    for name in names:
        values, counts = _counted(arms[name])
        drawn[name] = _mean_draws(rng, name, values, counts, totals[name] if totals is not None else None, draws)
    means = np.stack([drawn[name] for name in names]) * (1 if direction == "increase" else -1)
    best = np.bincount(means.argmax(axis=0), minlength=len(names)) / draws
    tails = [(1 - level) / 2, (1 + level) / 2]
    against, lift, better = {}, {}, []
    for name in names:
        if name == control:
            continue
        difference = drawn[name] - drawn[control]
        gain = difference if direction == "increase" else -difference
        low, high = np.quantile(difference, tails).tolist()
        better.append(float((gain > 0).mean()))
        against[name] = Posterior(better[-1], float(np.maximum(-gain, 0).mean()), low, high)
        lift[name] = None
        if (drawn[control] > 0).all():
            low, high = np.quantile(drawn[name] / drawn[control] - 1, tails).tolist()
            lift[name] = (low, high)
    error = max(math.sqrt(p * (1 - p) / draws) for p in (*best.tolist(), *better))
    return BootstrapPosterior(dict(zip(names, best.tolist(), strict=True)), against, lift, error, draws)


def _check_alike(arms: Sequence[Histogram | ArrayLike]) -> None:
    """Refuse values in bins beside values as they are: the bins' middles alone would be a difference."""
    if len({isinstance(arm, Histogram) for arm in arms}) > 1:
        raise InputError(
            "some arms are histograms and others raw values, which lie elsewhere than the middles of bins",
            hint="Give all of them in one form.",
        )


def _mean_draws(
    rng: np.random.Generator, name: str, values: Array, counts: NDArray[np.int64], total: float | None, draws: int
) -> Array:
    """Posterior draws of one arm's mean per visitor."""
    n, some = int(counts.sum()), values != 0
    values, counts = values[some], counts[some]
    x = int(counts.sum())
    if n < 2 or x == 0:
        raise InputError(
            f"arm {name!r} has {x} values other than 0 of {n} visitors; at least one of two is needed",
            hint="Leave the arm out until it has orders.",
        )
    if total is not None:
        binned = float(counts @ values)
        if not math.isfinite(total) or total * binned <= 0:
            raise InputError(f"arm {name!r} has a total of {total!r} where its values sum to {binned!r}")
        values = values * (total / binned)
    share = rng.beta(x, n - x, draws) if n > x else np.ones(draws)
    result = np.empty(draws)
    for start in range(0, draws, _BLOCK):
        size = min(_BLOCK, draws - start)
        weights = rng.standard_gamma(counts, (size, len(counts)))
        result[start : start + size] = weights @ values / weights.sum(axis=1)
    return share * result


def _counted(values: Histogram | ArrayLike) -> tuple[Array, NDArray[np.int64]]:
    """Distinct values in order, in major units, and how often each occurs; of a bin its middle."""
    if isinstance(values, Histogram):
        middles = [edge + math.copysign((bin_width(edge) - 1) / 2, edge) for edge in values.counts]
        numbers = np.array(list(values.counts.values()), dtype=np.int64)
        return np.array(middles, dtype=np.float64) / values.scale, numbers
    array = np.asarray(unmasked("value", values), dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise InputError(f"values of shape {array.shape}; one-dimensional finite numbers are needed")
    distinct, counts = np.unique(array, return_counts=True)
    return distinct, counts.astype(np.int64)


def _pooled(
    first: tuple[Array, NDArray[np.int64]], second: tuple[Array, NDArray[np.int64]]
) -> tuple[Array, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """All distinct values of both, and each one's counts of them."""
    values = np.union1d(first[0], second[0])
    counts = []
    for own, number in (first, second):
        laid = np.zeros(len(values), dtype=np.int64)
        laid[np.searchsorted(values, own)] = number
        counts.append(laid)
    return values, (counts[0], counts[1])
