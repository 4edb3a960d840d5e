"""Demand at the prices that arms tested: the curve, its elasticity, and how it fits.

Only what was tested is answered: a price outside the tested range is an error, however well the curve fits inside it.
What a price earns is in `pricing`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, expit, ndtri

from ..errors import InputError
from .fieller import check_alpha
from .moments import Moments
from .proportions import counts_of
from .results import Amount
from .showing import Row, Shown
from .strata import Strata, stratum_weights

__all__ = ["CurveFit", "Demand", "DemandForm", "TestedRate", "check_prices", "demand_curve"]

Array = NDArray[np.float64]
DemandForm = Literal["log", "logit"]


@dataclass(frozen=True, slots=True)
class TestedRate(Shown):
    """What one tested price did.

    Attributes:
        arm, price: the arm, and what it asked for.
        n, conversions: visitors, and those who bought.
        rate: conversions / n, over strata their weighted rate; None without visitors.

    Example:
        >>> TestedRate("high", 30.0, 5000, 200, 0.04).rate
        0.04
    """

    # pytest would take a class of this name for tests.
    __test__ = False

    arm: str
    price: float
    n: int
    conversions: int
    rate: float | None


@dataclass(frozen=True, slots=True)
class CurveFit(Shown):
    """Whether the tested rates lie on the curve: (m - Xβ)'Σ⁻¹(m - Xβ), χ² with `df` = prices - 2.

    A small p-value says that the curve is the wrong one, and that only the rates themselves should be read.

    Example:
        >>> CurveFit(2.4, 1, 0.12).df
        1
    """

    chi_squared: float
    df: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Demand(Shown):
    """A demand curve through the tested prices.

    Attributes:
        status: `ok`, or `insufficient` with a `reason`; then there is no curve.
        form: `log`: ln q = a + b ln P, one elasticity b at every price. `logit`: logit q = a + b P.
        tested: each price's arm and rate, the cheapest first.
        elasticity: by how many per cent demand changes for a price one per cent higher; at `elasticity_price`.
        elasticity_price: the middle of the tested range; of the form `log` any price has the same.
        intercept, slope: a and b.
        covariance: of a and b: var(a), cov(a, b), var(b).
        fit: lack of fit; None for two prices, through which every curve goes.
        alpha: 1 minus the confidence level.

    Example:
        >>> from offerlift.stats import Moments
        >>> def arm(n, x):
        ...     return Moments.from_sums(["bought"], n, [x], {("bought", "bought"): x})
        >>> arms = {"low": arm(5000, 500), "middle": arm(5000, 320), "high": arm(5000, 222)}
        >>> found = demand_curve(arms, {"low": 20.0, "middle": 25.0, "high": 30.0}, "bought")
        >>> round(found.elasticity.estimate, 2), found.fit.df
        (-2.0, 1)
        >>> round(found.rate_at(22.0).estimate, 4)
        0.0826
    """

    status: Literal["ok", "insufficient"]
    reason: str
    form: DemandForm
    tested: tuple[TestedRate, ...] = field(repr=False)
    elasticity: Amount | None
    elasticity_price: float | None
    intercept: float | None
    slope: float | None
    covariance: tuple[float, float, float] | None = field(repr=False)
    fit: CurveFit | None
    alpha: float

    def rate_at(self, price: float) -> Amount:
        """The curve's rate at a price within the tested range, with its interval.

        Raises:
            InputError: a price that is not between the lowest and highest tested, or a curve that does not exist.
        """
        curve, _ = self.line_at(price)
        low, high = (self._rate(end) for end in (curve.low, curve.high))
        rate = self._rate(curve.estimate)
        return Amount(rate, curve.se * (rate if self.form == "log" else rate * (1 - rate)), low, high)

    def elasticity_at(self, price: float) -> Amount:
        """The elasticity at a price within the tested range: b, or of the form `logit` b P (1 - q).

        Raises:
            InputError: as in `rate_at`.
        """
        curve, x = self.line_at(price)
        _, slope, (a, ab, b) = self.parameters()
        if self.form == "log":
            return Amount.around(slope, b, self._quantile)
        q = self._rate(curve.estimate)
        # The gradient of b P (1 - q) by a and by b.
        by_a = -slope * x * q * (1 - q)
        by_b = x * (1 - q) + by_a * x
        return Amount.around(
            slope * x * (1 - q), by_a * by_a * a + 2 * by_a * by_b * ab + by_b * by_b * b, self._quantile
        )

    def line_at(self, price: float) -> tuple[Amount, float]:
        """ln q or logit q at a price within the tested range, and the price as the curve takes it: ln P or P.

        Raises:
            InputError: as in `rate_at`.
        """
        intercept, slope, (a, ab, b) = self.parameters()
        low, high = self.tested[0].price, self.tested[-1].price
        if not low <= price <= high:
            raise InputError(
                f"the price {price!r} was not tested; the curve holds from {low!r} to {high!r}",
                hint="Nothing here extrapolates: test the price in an arm of its own.",
            )
        x = math.log(price) if self.form == "log" else float(price)
        return Amount.around(intercept + slope * x, a + 2 * x * ab + x * x * b, self._quantile), x

    @property
    def _quantile(self) -> float:
        return -float(ndtri(self.alpha / 2))

    def parameters(self) -> tuple[float, float, tuple[float, float, float]]:
        """Intercept, slope and their covariance.

        Raises:
            InputError: there is no curve.
        """
        if self.intercept is None or self.slope is None or self.covariance is None:
            raise InputError(f"there is no demand curve: {self.reason}")
        return self.intercept, self.slope, self.covariance

    def _rate(self, value: float) -> float:
        return math.exp(value) if self.form == "log" else float(expit(value))

    def to_dicts(self) -> list[Row]:
        """One row a tested price: visitors, conversions, the rate seen, and the curve's with its interval."""
        rows = []
        for one in self.tested:
            curve = self.rate_at(one.price) if self.status == "ok" else None
            elastic = self.elasticity_at(one.price) if self.status == "ok" else None
            rows.append(
                {
                    "arm": one.arm,
                    "price": one.price,
                    "n": one.n,
                    "conversions": one.conversions,
                    "rate": one.rate,
                    "estimate": curve.estimate if curve else None,
                    "low": curve.low if curve else None,
                    "high": curve.high if curve else None,
                    "elasticity": elastic.estimate if elastic else None,
                    "elasticity_low": elastic.low if elastic else None,
                    "elasticity_high": elastic.high if elastic else None,
                }
            )
        return rows


def demand_curve(
    arms: Mapping[str, Moments | Strata],
    prices: Mapping[str, float],
    converted: str,
    *,
    form: DemandForm = "log",
    visitors: Sequence[int] | None = None,
    alpha: float = 0.05,
) -> Demand:
    """Demand as a function of the price, from arms that tested one price each.

    Weighted least squares on the cells: ln p̂ on ln P with variance (1 - p)/(n p), whose slope is the elasticity; or
    logit p̂ on P with variance 1/(n p (1 - p)) (Berkson 1953; Grizzle, Starmer and Koch 1969). Intervals by the normal
    quantile. Over strata p̂ = Σ w_h p̂_h with variance Σ w_h² p̂_h (1 - p̂_h)/n_h (Cochran 1977, chapter 5), the w_h the
    same at all prices: demand of all visitors, whatever the split was when. Strata that lack a price are left out.

    Assumes independent visitors, a curve of the form asked for (see `fit`), and some twenty conversions a price. Not
    for prices that were not tested, nor for prices of different weeks: every arm must have been random at the same
    time, or within each stratum.

    Args:
        arms: moments by arm, with a 0/1 `converted`. Over phases or other strata a sequence of moments an arm, in one
            order for all.
        prices: what each arm asked for, in money, above 0 and each another; arms that it leaves out are not read.
        converted: whether the visitor bought.
        form: `log` or `logit`.
        visitors: of strata, see `stratum_weights`.
        alpha: 1 minus the confidence level, two-sided.

    Returns:
        Status `insufficient` where at some price nobody or everybody bought: such a rate has no variance; or where no
        stratum has two visitors at every price.

    Raises:
        InputError: fewer than two prices, one twice, none above 0, no such arm or column, an impossible form or alpha,
            or arms with different numbers of strata.

    Example:
        >>> from offerlift.stats import Moments
        >>> def arm(n, x):
        ...     return Moments.from_sums(["bought"], n, [x], {("bought", "bought"): x})
        >>> found = demand_curve({"a": arm(900, 90), "b": arm(900, 0)}, {"a": 10.0, "b": 12.0}, "bought")
        >>> found.status, found.reason
        ('insufficient', 'nobody bought at 12.0 (900 visitors): the logarithm of no demand does not exist')
    """
    alpha = check_alpha(alpha)
    if form not in ("log", "logit"):
        raise InputError(f"form is {form!r}; 'log' or 'logit' is needed")
    rates = tested_rates(arms, prices, converted, visitors)
    tested = tuple(one for one, _ in rates)
    for one in tested:
        reason = _why_no_variance(one, stratified=not all(isinstance(arms[arm], Moments) for arm in prices))
        if reason:
            return Demand("insufficient", reason, form, tested, None, None, None, None, None, None, alpha)
    price, p = (np.array([getattr(one, name) for one in tested], dtype=np.float64) for name in ("price", "rate"))
    of_rate = np.array([variance for _, variance in rates])
    if form == "log":
        x, y, v = np.log(price), np.log(p), of_rate / p**2
    else:
        x, y, v = price, np.log(p / (1 - p)), of_rate / (p * (1 - p)) ** 2
    intercept, slope, covariance, fit = _line(x, y, v)
    middle = (tested[0].price + tested[-1].price) / 2
    found = Demand("ok", "", form, tested, None, middle, intercept, slope, covariance, fit, alpha)
    elasticity = found.elasticity_at(middle)
    return Demand("ok", "", form, tested, elasticity, middle, intercept, slope, covariance, fit, alpha)


def tested_rates(
    arms: Mapping[str, Moments | Strata],
    prices: Mapping[str, float],
    converted: str,
    visitors: Sequence[int] | None,
) -> list[tuple[TestedRate, float]]:
    """What each tested price did with the variance of its rate, the cheapest first.

    Raises:
        InputError: as in `demand_curve`.
    """
    names = check_prices(arms, prices)
    strata = [(found,) if isinstance(found := arms[arm], Moments) else tuple(found) for arm in names]
    # Of one stratum an arm without visitors is named below; of several it has no weight, nor have the others then.
    weights = (1.0,) if all(len(one) == 1 for one in strata) else stratum_weights(strata, visitors)
    return [_rate(arm, float(prices[arm]), one, weights, converted) for arm, one in zip(names, strata, strict=True)]


def _rate(arm: str, price: float, strata: Strata, weights: Sequence[float], converted: str) -> tuple[TestedRate, float]:
    counts = [(weight, *counts_of(one, converted)) for weight, one in zip(weights, strata, strict=True) if weight]
    n, conversions = sum(n for _, _, n in counts), sum(x for _, x, _ in counts)
    if n == 0:
        return TestedRate(arm, price, 0, 0, None), 0.0
    rate = math.fsum(weight * x / n for weight, x, n in counts)
    variance = math.fsum(weight**2 * (x / n) * (1 - x / n) / n for weight, x, n in counts)
    return TestedRate(arm, price, n, conversions, rate), variance


def check_prices(arms: Mapping[str, Moments | Strata], prices: Mapping[str, float]) -> list[str]:
    """The arms with a price, the cheapest first.

    Raises:
        InputError: as in `demand_curve`.
    """
    if len(prices) < 2:
        raise InputError(f"{len(prices)} tested prices; a curve needs two or more")
    for arm, price in prices.items():
        if arm not in arms:
            raise InputError(f"a price is given for {arm!r}, which is no arm; there are {list(arms)}")
        if not 0 < price < math.inf:
            raise InputError(f"arm {arm!r} has the price {price!r}; a finite number above 0 is needed")
    ordered = sorted(prices, key=lambda arm: prices[arm])
    for first, second in pairwise(ordered):
        if prices[first] == prices[second]:
            raise InputError(
                f"arms {first!r} and {second!r} have the same price {prices[first]!r}",
                hint="Add up their moments first: they tested one price.",
            )
    return ordered


def _why_no_variance(one: TestedRate, *, stratified: bool) -> str:
    if one.n == 0:
        return f"no visitors at {one.price!r}" if not stratified else "no stratum has two visitors at every price"
    visitors = f"{one.n} visitor{'s' if one.n != 1 else ''}"
    if one.conversions == 0:
        return f"nobody bought at {one.price!r} ({visitors}): the logarithm of no demand does not exist"
    if one.conversions == one.n:
        return f"everybody bought at {one.price!r} ({visitors}): such a rate has no variance"
    return ""


def _line(x: Array, y: Array, v: Array) -> tuple[float, float, tuple[float, float, float], CurveFit | None]:
    """Weighted least squares of y on x with known variances: a, b, their covariance, and the lack of fit."""
    w = 1 / v
    total = w.sum()
    centre = float(w @ x / total)
    # Around the weighted mean of x, where level and slope are independent.
    deviation = x - centre
    spread = float(w @ deviation**2)
    level, slope = float(w @ y / total), float(w @ (deviation * y) / spread)
    covariance = 1 / float(total) + centre * centre / spread, -centre / spread, 1 / spread
    left = y - level - slope * deviation
    chi_squared, df = float(w @ left**2), len(x) - 2
    fit = CurveFit(chi_squared, df, float(chdtrc(df, chi_squared))) if df > 0 else None
    return level - slope * centre, slope, covariance, fit
