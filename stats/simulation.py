"""Many experiments at once, drawn from the values of real visitors: what `offerlift simulate` computes with.

Visitors are drawn with replacement from an empirical joint distribution (the bootstrap, Efron 1979), so that tails,
zeros and the correlation of metrics and covariates are those of the history. The estimators are those of this package,
written for arrays: `Drawn.moments` gives any cell's `Moments`, from which they give the same numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from ..errors import InputError
from .adjustment import adjusted_estimates, fit
from .decision_rule import NON_INFERIORITY
from .moments import Moments

__all__ = [
    "ArmValues",
    "Drawn",
    "Population",
    "adjusted_differences",
    "against_margins",
    "all_pairs",
    "draw_moments",
    "mean_values",
    "mixture_boundaries",
    "rate_margins",
    "ratio_values",
    "skew_kappas",
]

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

COMMON = 4.0
"""Visitors of one combination of values in a cell, from which on their number is drawn instead of each of them."""

MOST_COMMON = 2_000
"""Combinations whose number is drawn, at most: each costs a binomial a cell."""

MOST_SLOTS = 10**7
"""Visitors that are written out one by one, at most."""

PAIRS = 20_000
"""Visitors that stand for those whose outcomes are exchanged while their covariates stay."""

_FROM = 1e-13
"""Share of a variance that is rounding."""


@dataclass(frozen=True, slots=True)
class Population:
    """Visitors to draw from.

    Attributes:
        values: (rows, columns).
        weights: (rows,): share of the visitors that have these values; they sum to 1.
    """

    values: Floats
    weights: Floats

    @classmethod
    def of(cls, values: Floats, visitors: Counts) -> Population:
        """From combinations of values and how many visitors have each.

        Raises:
            InputError: no visitors.
        """
        total = int(np.sum(visitors))
        if total == 0:
            raise InputError("no visitors to draw from")
        return cls(np.asarray(values, dtype=np.float64), np.asarray(visitors) / total)

    def mean(self) -> Floats:
        """Of each column."""
        return self.weights @ self.values

    def scaled(self, columns: Iterable[int], lift: float) -> Population:
        """The same visitors, each with these columns (1 + lift) times as large."""
        values = self.values.copy()
        values[:, list(columns)] *= 1 + lift
        return Population(values, self.weights)

    def converted(self, column: int, lift: float, covariates: Sequence[int] = ()) -> Population:
        """As many visitors, of whom (1 + lift) times as many have the 0/1 column: others did what converts do.

        Those who change get all columns of random visitors of the other kind but their own covariates, which were known
        before.

        Raises:
            InputError: nobody converts, everybody does, or the rate would leave (0, 1).
        """
        has = self.values[:, column] > 0
        rate = float(self.weights[has].sum())
        if not 0 < rate < 1 or not 0 < rate * (1 + lift) < 1:
            raise InputError(f"a rate of {rate:.4g} cannot have a lift of {lift:+.4g}; it has to stay between 0 and 1")
        moved = abs(rate * lift)
        gone, got = (~has, has) if lift > 0 else (has, ~has)
        left, joined = (float(self.weights[kind].sum()) for kind in (gone, got))
        kept = np.where(gone, self.weights * (1 - moved / left), self.weights)
        if not covariates:
            return Population(self.values, np.where(got, kept * (1 + moved / joined), kept))
        rng = np.random.default_rng(0)
        who, what = (
            rng.choice(np.flatnonzero(kind), PAIRS, p=self.weights[kind] / self.weights[kind].sum())
            for kind in (gone, got)
        )
        values = self.values[what]
        values[:, list(covariates)] = self.values[who][:, list(covariates)]
        return Population(np.concatenate([self.values, values]), np.concatenate([kept, np.full(PAIRS, moved / PAIRS)]))


@dataclass(frozen=True, slots=True)
class Drawn:
    """Moments of many arms.

    Attributes:
        n: (...): visitors.
        means: (..., columns).
        products: pair of columns (the smaller first) -> (...): Σ(x - x̄)(y - ȳ).
        cubes: column -> (...): Σ(x - x̄)³.
    """

    n: Floats
    means: Floats
    products: Mapping[tuple[int, int], Floats]
    cubes: Mapping[int, Floats] = field(default_factory=dict)

    def covariance(self, i: int, j: int) -> Floats:
        """Sample covariance of two columns (n - 1)."""
        return self.products[min(i, j), max(i, j)] / (self.n - 1)

    def of_arm(self, arm: int) -> Drawn:
        """One arm of the last axis, which stays, of length 1."""
        at = slice(arm, arm + 1)
        return Drawn(
            self.n[..., at],
            self.means[..., at, :],
            {pair: one[..., at] for pair, one in self.products.items()},
            {column: one[..., at] for column, one in self.cubes.items()},
        )

    def moments(self, cell: tuple[int, ...], columns: Mapping[str, int]) -> Moments:
        """The moments of one arm; `columns` names the columns to take. What was not drawn is 0."""
        at = list(columns.values())
        products = [[self.products.get((min(i, j), max(i, j))) for j in at] for i in at]
        m2 = np.array([[0.0 if one is None else one[cell] for one in row] for row in products])
        m3 = np.array([self.cubes[i][cell] if i in self.cubes else 0.0 for i in at])
        return Moments(tuple(columns), int(self.n[cell]), self.means[cell][at], m2, m3)


def draw_moments(
    rng: np.random.Generator,
    populations: Sequence[Population],
    visitors: Counts,
    pairs: Iterable[tuple[int, int]],
    cubes: Iterable[int] = (),
) -> Drawn:
    """Draw the visitors of many experiments look by look.

    Args:
        rng: random numbers.
        populations: one for each arm.
        visitors: (experiments, looks, arms): those that are new at each look.
        pairs: of columns (the smaller first) whose products are needed; a pair of one column twice is its square.
        cubes: columns whose third moments are needed; their squares have to be among the pairs.

    Returns:
        The moments of everybody drawn by each look, (experiments, looks, arms).
    """
    pairs, cubes = list(pairs), list(cubes)
    centres = np.array([population.mean() for population in populations])
    sums: list[Floats] = [np.empty(0)] * len(populations)
    for population in {id(one): one for one in populations}.values():
        arms = [arm for arm, one in enumerate(populations) if one is population]
        moved = population.values - population.mean()
        features = np.column_stack([moved, *(moved[:, i] * moved[:, j] for i, j in pairs), *(moved[:, cubes].T ** 3)])
        new = visitors[:, :, arms]
        drawn = _draw(rng, population.weights, features, new.reshape(-1)).reshape(*new.shape, -1)
        for place, arm in enumerate(arms):
            sums[arm] = drawn[:, :, place]
    total = np.cumsum(np.stack(sums, axis=2), axis=1)
    n = np.cumsum(visitors, axis=1).astype(np.float64)
    columns = centres.shape[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        offset = total[..., :columns] / n[..., None]
    squares = dict(zip(pairs, np.moveaxis(total[..., columns : columns + len(pairs)], -1, 0), strict=True))
    thirds = dict(zip(cubes, np.moveaxis(total[..., columns + len(pairs) :], -1, 0), strict=True))
    return Drawn(
        n,
        centres + offset,
        {(i, j): one - n * offset[..., i] * offset[..., j] for (i, j), one in squares.items()},
        {i: one - 3 * offset[..., i] * squares[i, i] + 2 * n * offset[..., i] ** 3 for i, one in thirds.items()},
    )


def _draw(rng: np.random.Generator, weights: Floats, features: Floats, visitors: Counts) -> Floats:
    """Sums of the features over so many visitors a cell, (cells, features).

    Of the common rows the number is multinomial, and each of the other visitors is drawn: both are the same bootstrap,
    and each is the faster one where it is used.
    """
    typical = float(visitors.mean()) if visitors.size else 0.0
    order = np.argsort(-weights, kind="stable")
    many = order[: int((weights[order[:MOST_COMMON]] * typical >= COMMON).sum())]
    shares = np.append(weights[many], weights[order[len(many) :]].sum())
    found = rng.multinomial(visitors, shares / shares.sum())
    sums = found[:, :-1] @ features[many]
    others = found[:, -1]
    if not others.any():
        return sums
    rows = _chosen(rng, weights, order[len(many) :], int(others.sum()))
    features = np.asfortranarray(features)
    has = np.flatnonzero(others)
    starts = np.concatenate([[0], np.cumsum(others[has])[:-1]])
    for column in range(features.shape[1]):
        sums[has, column] += np.add.reduceat(features[rows, column], starts)
    return sums


def _chosen(rng: np.random.Generator, weights: Floats, rows: Counts, size: int) -> Counts:
    """Rows drawn by their weights."""
    own = weights[rows]
    times = own / own.min()
    if np.allclose(times, np.rint(times), rtol=0, atol=1e-6) and times.sum() < MOST_SLOTS:
        # The weights are those of whole visitors: each visitor has a slot.
        slots = np.repeat(rows, np.rint(times).astype(np.int64))
        return slots[rng.integers(0, len(slots), size, dtype=np.int32)]
    edges = np.cumsum(own)
    return rows[np.minimum(np.searchsorted(edges, rng.random(size) * edges[-1], side="right"), len(rows) - 1)]


@dataclass(frozen=True, slots=True)
class ArmValues:
    """Estimates of arms, which are the last axis: values, the variances of these estimates, degrees of freedom."""

    values: Floats
    variances: Floats
    df: Floats

    def differences(self) -> tuple[Floats, Floats]:
        """Of the arms behind the first from the first: estimates and standard errors."""
        return self.values[..., 1:] - self.values[..., :1], np.sqrt(self.variances[..., 1:] + self.variances[..., :1])


def mean_values(drawn: Drawn, column: int) -> ArmValues:
    """Means, or rates, as `compare_means` and `compare_proportions` have them: s²/n."""
    return ArmValues(drawn.means[..., column], np.maximum(drawn.covariance(column, column), 0) / drawn.n, drawn.n - 1)


def ratio_values(drawn: Drawn, numerator: int, denominator: int) -> ArmValues:
    """Ratios by the delta method, as `compare_ratios` has them."""
    below = drawn.means[..., denominator]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = drawn.means[..., numerator] / below
        terms = (
            drawn.covariance(numerator, numerator),
            -2 * ratio * drawn.covariance(numerator, denominator),
            ratio * ratio * drawn.covariance(denominator, denominator),
        )
        variance = sum(terms)
        variance = np.where(variance <= _FROM * sum(np.abs(term) for term in terms), 0.0, variance)
        return ArmValues(ratio, variance / below**2 / drawn.n, drawn.n - 1)


def adjusted_differences(drawn: Drawn, column: int, covariates: Sequence[int]) -> tuple[Floats, Floats]:
    """Differences adjusted for covariates and their standard errors, as `compare_adjusted` has them (Lin 2013)."""
    order = [column, *covariates]
    # An arm without visitors has no numbers, which eigenvalues do not take.
    mean, m2 = np.nan_to_num(drawn.means[..., order]), np.nan_to_num(_matrix(drawn, order))
    control, others = (
        fit(drawn.n[..., arms], mean[..., arms, :], m2[..., arms, :, :]) for arms in (slice(0, 1), slice(1, None))
    )
    t, c, shared = adjusted_estimates(others, control)
    common = np.maximum(shared.tt - 2 * shared.tc + shared.cc, 0.0)
    return t.mean - c.mean, np.sqrt(t.variance + c.variance + common)


def _matrix(drawn: Drawn, at: list[int]) -> Floats:
    rows = [np.stack([drawn.products[min(i, j), max(i, j)] for j in at], axis=-1) for i in at]
    return np.stack(rows, axis=-2)


def against_margins(arms: ArmValues, ratio: float) -> Floats:
    """How surely arms are above so many times the first (below it where `ratio` is above 1), on the scale of z.

    T = (m_t - r m_c) / √(V_t + r² V_c), which passes at 1.96 exactly where Fieller's 95 % interval of the lift lies
    above r - 1: Student's quantile is taken out. 0, which decides nothing, where that interval is not bounded.
    """
    m_t, m_c, v_t, v_c = (one[..., at] for one in (arms.values, arms.variances) for at in (slice(1, None), slice(1)))
    df_t, df_c = arms.df[..., 1:], arms.df[..., :1]
    limit = float(ndtri(1 - NON_INFERIORITY))
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = v_t + ratio**2 * v_c
        df = variance**2 / (v_t**2 / df_t + ratio**4 * v_c**2 / df_c)
        z = (m_t - ratio * m_c) / np.sqrt(variance) * limit / stdtrit(df, 1 - NON_INFERIORITY)
        bounded = m_c > stdtrit(df_c, 1 - NON_INFERIORITY) * np.sqrt(v_c)
    z = np.where(bounded & (variance > 0), z, 0.0)
    return -z if ratio > 1 else z


def rate_margins(n: Floats, rates: Floats, ratio: float) -> Floats:
    """The same of rates, by the score statistic of `miettinen_nurminen_ratio`: at the restricted rates, N/(N - 1)."""
    n_t, n_c = n[..., 1:], n[..., :1]
    p_t, p_c = rates[..., 1:], rates[..., :1]
    x_t, x_c = p_t * n_t, p_c * n_c
    u, v = n_t + x_c, x_t + n_c
    root = np.sqrt((ratio * u - v) ** 2 + 4 * ratio * (n_t - x_t) * (n_c - x_c))
    q_c = np.minimum(2 * (x_t + x_c) / (ratio * u + v + root), 1.0)
    q_t = np.minimum(ratio * q_c, 1.0)
    variance = (q_t * (1 - q_t) / n_t + ratio**2 * q_c * (1 - q_c) / n_c) * (n_t + n_c) / (n_t + n_c - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where((x_c > 0) & (variance > 0), (p_t - ratio * p_c) / np.sqrt(variance), 0.0)
    return -z if ratio > 1 else z


def skew_kappas(drawn: Drawn, column: int) -> Floats:
    """κ of `skew_kappa` for each arm against the first."""
    third = drawn.cubes[column] / drawn.n**3
    _, se = mean_values(drawn, column).differences()
    with np.errstate(invalid="ignore", divide="ignore"):
        kappa = (third[..., 1:] - third[..., :1]) / se**3
    return np.where(se > 0, kappa, 0.0)


def mixture_boundaries(a: Floats, alpha: float) -> Floats:
    """`mixture_boundary` for an array of tunings."""
    return np.sqrt(2 * (1 + a) / a * (0.5 * np.log1p(a) - np.log(alpha)))


def all_pairs(columns: Sequence[int]) -> list[tuple[int, int]]:
    """Every pair of columns, each with itself too, the smaller first."""
    return list(itertools.combinations_with_replacement(sorted(set(columns)), 2))
