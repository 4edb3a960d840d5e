"""Integrals over two or more independent Beta posteriors.

Everything here is of the form ∫ f(p) G(p) dp over the narrowest Beta density f, where G (the others' distribution
functions) is smoother than f. The double-exponential rule (Takahasi and Mori 1974) takes the singularities of densities
with a < 1 and the kinks where a shifted argument leaves [0, 1]; bell-shaped densities need no more than Gauss-Legendre.
Weights are divided by their own sum, so that no Beta function has to be evaluated at a million visitors. Two bells that
overlap are integrated on one grid, and their distribution functions with them: no incomplete Beta function either.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincc, betainccinv, betaincinv, ndtri

from ..errors import InputError
from .roots import increasing_root
from .rules import legendre

__all__ = [
    "Beta",
    "above_and_excess",
    "difference_interval",
    "expected_excess",
    "expected_loss_beta",
    "probability_above",
    "probability_b_beats_a",
    "probability_best",
]

Array = NDArray[np.float64]

_TAIL = 1e-18


@cache
def _rule(count: int) -> tuple[Array, Array, Array]:
    """Distances of the nodes from the left and the right end of (0, 1), each exact near its end, and weights."""
    t = np.linspace(-4.0, 4.0, count)
    left = 1 / (1 + np.exp(-math.pi * np.sinh(t)))
    right = 1 / (1 + np.exp(math.pi * np.sinh(t)))
    return left, right, left * right * math.pi * np.cosh(t) * (t[1] - t[0])


_BELL = 30
"""From this a and b on a density is as good as analytic: it ends in nothing, far from 0 and 1."""


@cache
def _antiderivative(count: int) -> tuple[Array, Array, Array]:
    """Gauss-Legendre nodes and weights on (-1, 1), and the matrix that integrates a polynomial from -1 to each node."""
    x, w = legendre(count)
    degree = np.arange(count)
    values = np.polynomial.legendre.legvander(x, count)
    # Coefficients of the interpolating polynomial; ∫ P_k = (P_{k+1} - P_{k-1})/(2k + 1), and x + 1 for k = 0.
    coefficients = (degree + 0.5)[:, None] * values[:, :count].T * w
    integrals = np.empty((count, count))
    integrals[:, 0] = x + 1
    integrals[:, 1:] = (values[:, 2:] - values[:, : count - 1]) / (2 * degree[1:] + 1)
    return x, w, integrals @ coefficients


_ENOUGH, _FINE = 225, 385
"""Points for 1e-13 on one normal curve, and on one with steps half as wide."""


class Beta:
    """A Beta(a, b) distribution with what the integrals need of it.

    Raises:
        InputError: a or b is not a finite number above 0.
    """

    __slots__ = ("_mass", "_plain", "a", "b", "high", "low", "mean", "rest", "sd")

    def __init__(self, a: float, b: float):
        if not (0 < a < math.inf and 0 < b < math.inf):
            raise InputError(f"Beta({a!r}, {b!r}) does not exist; two finite numbers above 0 are needed")
        self.a, self.b = float(a), float(b)
        self.mean, self.rest = self.a / (self.a + self.b), self.b / (self.a + self.b)
        self.sd = math.sqrt(self.mean * self.rest / (self.a + self.b + 1))
        self._plain: tuple[Array, Array] | None = None
        self._mass: float | None = None
        self.low, self.high = float(betaincinv(a, b, _TAIL)), float(betainccinv(a, b, _TAIL))

    @property
    def third_moment(self) -> float:
        """E(X - mean)³."""
        n = self.a + self.b
        return 2 * (self.rest - self.mean) * self.mean * self.rest / ((n + 1) * (n + 2))

    @property
    def fourth_cumulant(self) -> float:
        """E(X - mean)⁴ - 3 sd⁴."""
        n, product = self.a + self.b, self.a * self.b
        excess = 6 * ((self.a - self.b) ** 2 * (n + 1) - product * (n + 2)) / (product * (n + 2) * (n + 3))
        return excess * self.sd**4

    def complement(self) -> Beta:
        """The distribution of 1 - X."""
        return Beta(self.b, self.a)

    @property
    def is_bell(self) -> bool:
        """Whether the density is bell-shaped, with nothing at 0 and 1."""
        return min(self.a, self.b) >= _BELL

    def cdf(self, p: Array) -> Array:
        """P(X <= p) at any p, also outside [0, 1]."""
        return betainc(self.a, self.b, np.clip(p, 0.0, 1.0))

    def sf(self, p: Array) -> Array:
        """P(X > p) at any p, also outside [0, 1]."""
        inside = np.clip(p, 0.0, 1.0)
        # Five times as fast as its complement; 1 - p keeps its digits unless the posterior is a needle.
        return betainc(self.b, self.a, 1 - inside) if self.sd > 1e-6 else betaincc(self.a, self.b, inside)

    def log_density(self, p: Array, q: Array) -> Array:
        """Logarithm of the density, up to a constant, at p = 1 - q.

        Relative to the mean, and both terms from one distance to it: with a million visitors the two terms are large
        and cancel, so that p and q must not be rounded apart.
        """
        away = p - self.mean if self.mean <= 0.5 else self.rest - q
        u, v = away / self.mean, -away / self.rest
        if self.is_bell:
            # Nothing is left of a bell where the logarithms of p itself would be better.
            floor = 1e-12 - 1
            return (self.a - 1) * np.log1p(np.maximum(u, floor)) + (self.b - 1) * np.log1p(np.maximum(v, floor))
        with np.errstate(divide="ignore", invalid="ignore"):
            of_p = np.where(np.abs(u) < 0.5, np.log1p(u), np.log(p / self.mean))
            of_q = np.where(np.abs(v) < 0.5, np.log1p(v), np.log(q / self.rest))
        return (self.a - 1) * of_p + (self.b - 1) * of_q

    @property
    def mass(self) -> float:
        """The integral of exp(log_density): what its missing constant is."""
        if self._mass is None:
            x, weight = legendre(64)
            p = self.low + (self.high - self.low) * (x + 1) / 2
            self._mass = (self.high - self.low) / 2 * float(weight @ np.exp(self.log_density(p, 1 - p)))
        return self._mass

    def nodes(self, breaks: tuple[float, ...] = (), *, fine: bool = False) -> tuple[Array, Array]:
        """Points and probability weights (summing to 1) that integrate over this distribution."""
        inside = sorted({value for value in breaks if self.low < value < self.high})
        if not inside and not fine and self._plain is not None:
            return self._plain
        if not inside and self.is_bell:
            x, weight = legendre(128 if fine else 64)
            p = self.low + (self.high - self.low) * (x + 1) / 2
            mass = weight * np.exp(self.log_density(p, 1 - p))
            bell = p, mass / mass.sum()
            if not fine:
                self._plain = bell
            return bell
        left, right, weight = _rule(_FINE if fine else _ENOUGH)
        points, weights = [], []
        for start, end in zip([self.low, *inside], [*inside, self.high], strict=True):
            p = start + (end - start) * left
            q = (1 - end) + (end - start) * right
            # Where even the exact distances underflow, the density has nothing left to add.
            ok = (p > 0) & (q > 0)
            points.append(p[ok])
            weights.append(np.log(weight[ok] * (end - start)) + self.log_density(p[ok], q[ok]))
        logs = np.concatenate(weights)
        mass = np.exp(logs - logs.max())
        result = np.concatenate(points), mass / mass.sum()
        if not inside and not fine:
            self._plain = result
        return result

    def around(self) -> tuple[float, ...]:
        """Where a wider distribution's integral has to be split to see this one."""
        return tuple(self.mean + k * self.sd for k in (-9, -3, 0, 3, 9))


def probability_b_beats_a(alpha_a: float, beta_a: float, alpha_b: float, beta_b: float) -> float:
    """P(B > A) for independent A ~ Beta(alpha_a, beta_a) and B ~ Beta(alpha_b, beta_b); any positive parameters.

    ∫ f F over the narrower density. Not a stopping rule, as `beta_posteriors` says.

    Example:
        >>> round(probability_b_beats_a(101, 901, 121, 881), 4)
        0.9232
    """
    return probability_above(Beta(alpha_b, beta_b), Beta(alpha_a, beta_a))


def _towards_zero(x: Beta, y: Beta) -> tuple[Beta, Beta]:
    """The same X - Y as (1 - Y) - (1 - X) where rates are near 1: floats are dense only near 0."""
    return (y.complement(), x.complement()) if x.mean + y.mean > 1 else (x, y)


def probability_above(x: Beta, y: Beta) -> float:
    """P(X > Y)."""
    return _above(*_towards_zero(x, y))


def _above(x: Beta, y: Beta) -> float:
    if x.sd <= y.sd:
        p, w = x.nodes()
        return float(w @ y.cdf(p))
    p, w = y.nodes()
    return float(w @ x.sf(p))


def above_and_excess(x: Beta, y: Beta) -> tuple[float, float]:
    """P(X > Y) and E[max(Y - X, 0)]: the chance that X is better, and what choosing it loses if it is not."""
    first, second = _towards_zero(x, y)
    together = _on_one_grid(second, first)
    if together is not None and min(1 - together[0], together[1] / max(x.sd, y.sd)) > 1e-4:
        return 1 - together[0], together[1]
    return _above(first, second), _excess(second, first)


def _on_one_grid(x: Beta, y: Beta) -> tuple[float, float] | None:
    """P(X > Y) and E[max(X - Y, 0)], each to 1e-15 of 1 or of a standard deviation; None unless two bells overlap."""
    narrow, wide = min(x.sd, y.sd), max(x.sd, y.sd)
    if not (x.is_bell and y.is_bell and abs(x.mean - y.mean) < 4 * wide and narrow > 1e-6):
        return None
    low, high = min(x.low, y.low), max(x.high, y.high)
    # How many points resolve the narrower one.
    half = (high - low) / 2 / narrow
    if half > 28:
        return None
    nodes, weight, integrate = _antiderivative(128 if half <= 14 else 256)
    p = (low + high) / 2 + (high - low) / 2 * nodes
    f, g = np.exp(x.log_density(p, 1 - p)), np.exp(y.log_density(p, 1 - p))
    f_total, g_total = float(weight @ f), float(weight @ g)
    below_y = integrate @ g
    above_x = f_total - integrate @ f
    probability = float((weight * f) @ below_y) / (f_total * g_total)
    return min(probability, 1.0), (high - low) / 2 * float(weight @ (below_y * above_x)) / (f_total * g_total)


def expected_loss_beta(alpha_a: float, beta_a: float, alpha_b: float, beta_b: float) -> float:
    """E[max(A - B, 0)]: what choosing B loses on average if A is better (Stucchio 2014).

    As ∫ P(B <= p < A) dp, which has only positive terms: small losses keep all their digits.

    Example:
        >>> round(expected_loss_beta(101, 901, 121, 881), 6)
        0.000485
    """
    return expected_excess(Beta(alpha_a, beta_a), Beta(alpha_b, beta_b))


def expected_excess(x: Beta, y: Beta) -> float:
    """E[max(X - Y, 0)]."""
    return _excess(*_towards_zero(x, y))


def _excess(x: Beta, y: Beta) -> float:
    start, end = y.low, x.high
    if end <= start:
        return 0.0
    narrow, wide = sorted((x, y), key=lambda arm: arm.sd)
    # One panel resolves two curves of about the same width; a step inside a wide range gets panels of its own.
    breaks = []
    if wide.sd > 2 * narrow.sd or end - start > 25 * narrow.sd:
        marks = {value for arm in (x, y) for value in (arm.low, *arm.around(), arm.high)}
        breaks = sorted(value for value in marks if start < value < end)
    left, _, weight = _rule(_ENOUGH)
    total = 0.0
    for lower, upper in zip([start, *breaks], [*breaks, end], strict=True):
        p = lower + (upper - lower) * left
        total += (upper - lower) * float(weight @ (y.cdf(p) * x.sf(p)))
    return total


def difference_interval(x: Beta, y: Beta, level: float) -> tuple[float, float]:
    """Equal-tailed interval of X - Y."""
    x, y = _towards_zero(x, y)
    tail = (1 - level) / 2
    low = _difference_quantile(x, y, tail)
    return low, -_difference_quantile(y, x, tail)


def _difference_quantile(x: Beta, y: Beta, tail: float) -> float:
    """d with P(X - Y <= d) = tail, for a tail below one half."""
    sd = math.hypot(x.sd, y.sd)
    lower, upper = max(x.low - y.high, -1.0), min(x.high - y.low, 1.0)

    def excess(d: float) -> float:
        # As a normal quantile the tail is nearly straight, which suits the search.
        return float(ndtri(min(max(_probability_below(x, y, d), 1e-300), 1 - 1e-16))) - z

    # Cornish and Fisher: the normal quantile with the skewness and the kurtosis of X - Y.
    z = float(ndtri(tail))
    skewness = (x.third_moment - y.third_moment) / sd**3
    guess = z + (z * z - 1) * skewness / 6
    if x.is_bell and y.is_bell:
        kurtosis = (x.fourth_cumulant + y.fourth_cumulant) / sd**4
        guess += (z**3 - 3 * z) * kurtosis / 24 - (2 * z**3 - 5 * z) * skewness * skewness / 36
    d = x.mean - y.mean + sd * guess
    if x.is_bell and y.is_bell:
        for _ in range(4):
            off = excess(d)
            # The slope of the normal quantile: the density of X - Y over that of the normal.
            slope = _density_at(x, y, d) * math.sqrt(2 * math.pi) * math.exp((z + off) ** 2 / 2)
            if not slope > 0:
                break
            d -= off / slope
            # Newton's error is of the order of the step's square.
            if abs(off / slope) <= 1e-6 * sd:
                return d
    return increasing_root(excess, d, 1 / sd, lower=lower, upper=upper, tolerance=1e-10 * sd)


def _density_at(x: Beta, y: Beta, d: float) -> float:
    """Density of X - Y at d, of two bells."""
    narrow, wide, sign = (y, x, 1.0) if y.sd <= x.sd else (x, y, -1.0)
    p, w = narrow.nodes()
    shifted = np.clip(p + sign * d, 1e-300, 1 - 1e-16)
    return float(w @ np.exp(wide.log_density(shifted, 1 - shifted))) / wide.mass


def _probability_below(x: Beta, y: Beta, d: float) -> float:
    """P(X - Y <= d), over the narrower of the two; the other's support ends where the shifted argument is 0 or 1."""
    bells = x.is_bell and y.is_bell
    if y.sd <= x.sd:
        p, w = y.nodes(() if bells else (-d, 1 - d))
        return float(w @ x.cdf(p + d))
    p, w = x.nodes(() if bells else (d, 1 + d))
    return float(w @ y.sf(p - d))


def probability_best(arms: list[Beta]) -> list[float]:
    """P(arm i is the largest) for every arm: ∫ f_i Π F_j, each over its own density; to 1e-11."""
    if len(arms) == 1:
        return [1.0]
    if len(arms) == 2:
        first = probability_above(arms[0], arms[1])
        return [first, 1 - first if 0.01 < first < 0.99 else probability_above(arms[1], arms[0])]
    mirrored = sum(arm.mean for arm in arms) > len(arms) / 2
    if mirrored:
        arms = [arm.complement() for arm in arms]
    result = []
    for i, arm in enumerate(arms):
        breaks = tuple(b for other in arms if other.sd < arm.sd / 2 for b in other.around())
        p, w = arm.nodes(breaks, fine=True)
        product = np.ones_like(p)
        for j, other in enumerate(arms):
            if j != i:
                product *= other.sf(p) if mirrored else other.cdf(p)
        result.append(float(w @ product))
    return result
