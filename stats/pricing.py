"""What the tested prices earn, and which of them is the best to charge.

First what each arm earned, without any assumption on demand; beside it what a demand curve through all arms says, which
is more precise where the curve holds. Both choose among the tested prices alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

from ..errors import InputError
from .demand import Demand, DemandForm, check_prices, demand_curve
from .fieller import Estimate, check_alpha, two_sided_quantile
from .largest import Chance, chances
from .means import mean_estimate
from .moments import Moments
from .proportions import counts_of
from .results import Amount
from .showing import Row, Shown

__all__ = ["PriceChoice", "TestedPrice", "choose_price"]

Array = NDArray[np.float64]

GRID = 400
"""Points of each of a logit curve's two parameters, at equal probabilities; chances are good to 0.2 %."""


@dataclass(frozen=True, slots=True)
class TestedPrice(Shown):
    """What one tested price earns, a visitor.

    Attributes:
        arm, price, n: the arm, what it asked for, and its visitors.
        profit: profit a visitor as seen in the arm alone; None without visitors.
        profit_se, profit_low, profit_high: its standard error and interval; None where it has no variance.
        probability_best, expected_regret: that it is the best of the tested prices, and what choosing it is expected to
            lose to the best, a visitor; from the arms alone.
        model_profit, model_low, model_high, model_probability_best, model_expected_regret: the same from the demand
            curve; None without one.

    Example:
        >>> one = TestedPrice("high", 30.0, 900, 1.5, 0.1, 1.3, 1.7, 0.9, 0.01, None, None, None, None, None)
        >>> one.to_dicts()[0]["probability_best"]
        0.9
    """

    # pytest would take a class of this name for tests.
    __test__ = False

    arm: str
    price: float
    n: int
    profit: float | None
    profit_se: float | None
    profit_low: float | None
    profit_high: float | None
    probability_best: float | None
    expected_regret: float | None
    model_profit: float | None
    model_low: float | None
    model_high: float | None
    model_probability_best: float | None
    model_expected_regret: float | None


@dataclass(frozen=True, slots=True)
class PriceChoice(Shown):
    """The tested prices, and the best of them.

    Attributes:
        status: `ok`, or `insufficient` with a `reason`; then no price is called the best.
        tested: what each earns, the cheapest first.
        best: the arm with the highest profit as seen, None where insufficient.
        model_best: the arm with the highest expected profit by the demand curve; None without one.
        boundary: a sentence where the best price is the lowest or highest tested, so that a better one may lie beyond;
            "" otherwise.
        demand: the demand curve; None where no unit cost was given.

    Example:
        >>> from offerlift.stats import Moments
        >>> def arm(n, x):
        ...     return Moments.from_sums(["bought"], n, [x], {("bought", "bought"): x})
        >>> arms = {"low": arm(5000, 500), "middle": arm(5000, 350), "high": arm(5000, 200)}
        >>> found = choose_price(arms, {"low": 20.0, "middle": 25.0, "high": 30.0}, "bought", unit_cost=12.0)
        >>> [(one.price, round(one.profit, 3), round(one.probability_best, 3)) for one in found.tested]
        [(20.0, 0.8, 0.028), (25.0, 0.91, 0.97), (30.0, 0.72, 0.002)]
        >>> found.best, found.boundary
        ('middle', '')
    """

    status: Literal["ok", "insufficient"]
    reason: str
    tested: tuple[TestedPrice, ...]
    best: str | None
    model_best: str | None
    boundary: str
    demand: Demand | None

    def __getitem__(self, arm: str) -> TestedPrice:
        for one in self.tested:
            if one.arm == arm:
                return one
        raise InputError(f"no price was tested in {arm!r}; it was in {[one.arm for one in self.tested]}")

    def profit_at(self, price: float, unit_cost: float) -> Amount:
        """The demand curve's profit a visitor at any price within the tested range.

        Raises:
            InputError: a price outside the tested range, or no demand curve.
        """
        if self.demand is None:
            raise InputError("there is no demand curve: no unit cost was given", hint="Say unit_cost=...")
        return _model_profit(self.demand, price, unit_cost)

    def to_dicts(self) -> list[Row]:
        """One row a tested price."""
        return [row for one in self.tested for row in one.to_dicts()]


def choose_price(
    arms: Mapping[str, Moments],
    prices: Mapping[str, float],
    converted: str,
    *,
    unit_cost: float | None = None,
    margin: str | None = None,
    form: DemandForm = "log",
    alpha: float = 0.05,
) -> PriceChoice:
    """Profit a visitor at every tested price, P(best) and the expected regret of each.

    From the arms alone, the profit is the mean of `margin` where that column is given, else (P - cost) · rate; P(best)
    and regret by quadrature over independent normals. From the demand curve (Berkson 1953), π(P) = (P - cost) q(P) with
    its parameters N(β̂, Σ̂): of the form `log` exactly, because which price is best depends on the elasticity alone, of
    the form `logit` over a grid of 160,000 equally likely parameters. Flat priors throughout (Raiffa and Schlaifer
    1961).

    Assumes independent visitors and enough sales for normal profits (some fifty a price); with a unit cost, one unit a
    buyer. Not for prices that were not tested. Not a stopping rule, and not what a price will earn after being picked
    as the best of many: its own estimate is then too high.

    Args:
        arms, prices, converted, form, alpha: as in `demand_curve`.
        unit_cost: what one sale costs the shop whatever its price; needed for the demand curve.
        margin: the column of each visitor's margin, net of all costs.

    Returns:
        Status `insufficient` where a price has no sale, or fewer than two visitors: its profit has no known precision.
        Leave its arm out of `prices` to choose among the others.

    Raises:
        InputError: as in `demand_curve`; neither a unit cost nor a margin; or a unit cost that no tested price exceeds.

    Example:
        >>> from offerlift.stats import Moments
        >>> def arm(n, x):
        ...     return Moments.from_sums(["bought"], n, [x], {("bought", "bought"): x})
        >>> arms = {"a": arm(5000, 400), "b": arm(5000, 380)}
        >>> found = choose_price(arms, {"a": 20.0, "b": 24.0}, "bought", unit_cost=5)
        >>> found.model_best, found.boundary
        ('b', 'the elasticity is above -1: the best price is the highest tested, 24; higher ones were not tested')
    """
    alpha = check_alpha(alpha)
    names = check_prices(arms, prices)
    price = [float(prices[arm]) for arm in names]
    if unit_cost is None and margin is None:
        raise InputError(
            "what a price earns needs a unit cost or a margin", hint="Say unit_cost=..., margin=..., or both."
        )
    if unit_cost is not None and not 0 <= unit_cost < max(price):
        raise InputError(
            f"the unit cost is {unit_cost!r} and the highest tested price {max(price)!r};"
            " a cost of at least 0 and below that price is needed"
        )
    cells = [_cell(arms[arm], asked, converted, unit_cost, margin) for arm, asked in zip(names, price, strict=True)]
    reason = next((why for arm, cell in zip(names, cells, strict=True) if (why := _why_unknown(arm, cell))), "")
    known = [cell for cell in cells if isinstance(cell, Estimate)]
    by_arm = None if reason else chances([cell.mean for cell in known], [cell.variance for cell in known])
    demand = None if unit_cost is None else demand_curve(arms, prices, converted, form=form, alpha=alpha)
    by_model = modelled = None
    if demand is not None and unit_cost is not None and demand.status == "ok":
        by_model = _model_chances(demand, price, unit_cost)
        modelled = [_model_profit(demand, asked, unit_cost) for asked in price]
    rows = []
    for at, (arm, asked, cell) in enumerate(zip(names, price, cells, strict=True)):
        seen = by_arm[at] if by_arm else None
        model, expected = (modelled[at], by_model[at]) if modelled and by_model else (None, None)
        rows.append(_row(arm, asked, arms[arm].n, cell, seen, model, expected, alpha))
    best = None if by_arm is None else _least_regret(names, by_arm)
    model_best = None if by_model is None else _least_regret(names, by_model)
    boundary = _boundary(names, price, model_best or best, demand if model_best else None)
    return PriceChoice("insufficient" if reason else "ok", reason, tuple(rows), best, model_best, boundary, demand)


def _cell(arm: Moments, price: float, converted: str, unit_cost: float | None, margin: str | None) -> Estimate | str:
    """Profit a visitor: the margin's mean, or where every buyer brings price less cost."""
    if margin is not None:
        return mean_estimate(arm, margin)
    x, n = counts_of(arm, converted)
    earned = price - (unit_cost or 0.0)
    if n < 2:
        return f"{n} visitor{'s' if n != 1 else ''}; a variance needs two"
    return Estimate(earned * (x / n), earned * earned * (x / n) * (1 - x / n) / n, n - 1)


def _why_unknown(arm: str, cell: Estimate | str) -> str:
    if isinstance(cell, str):
        return f"{arm!r}: {cell}"
    if cell.variance == 0:
        return f"{arm!r}: its profit is {cell.mean:g} of every visitor, so that nothing is known of its precision"
    return ""


def _row(
    arm: str,
    price: float,
    n: int,
    cell: Estimate | str,
    seen: Chance | None,
    model: Amount | None,
    expected: Chance | None,
    alpha: float,
) -> TestedPrice:
    own = (None, None, None, None)
    if isinstance(cell, Estimate):
        own = (cell.mean, None, None, None)
        if cell.variance > 0:
            around = Amount.around(cell.mean, cell.variance, two_sided_quantile(cell.df, alpha))
            own = (around.estimate, around.se, around.low, around.high)
    return TestedPrice(
        arm,
        price,
        n,
        *own,
        seen.probability_best if seen else None,
        seen.expected_regret if seen else None,
        *((model.estimate, model.low, model.high) if model else (None, None, None)),
        expected.probability_best if expected else None,
        expected.expected_regret if expected else None,
    )


def _least_regret(names: Sequence[str], found: Sequence[Chance]) -> str:
    return min(zip(names, found, strict=True), key=lambda pair: pair[1].expected_regret)[0]


def _boundary(names: Sequence[str], price: Sequence[float], best: str | None, demand: Demand | None) -> str:
    if best == names[0]:
        return f"the best price is the lowest tested, {price[0]:g}; lower ones were not tested"
    if best != names[-1]:
        return ""
    words = f"the best price is the highest tested, {price[-1]:g}; higher ones were not tested"
    if demand is not None and demand.elasticity_at(price[-1]).estimate > -1:
        return f"the elasticity is above -1: {words}"
    return words


def _model_profit(demand: Demand, price: float, unit_cost: float) -> Amount:
    rate, earned = demand.rate_at(price), price - unit_cost
    low, high = sorted((earned * rate.low, earned * rate.high))
    return Amount(earned * rate.estimate, abs(earned) * rate.se, low, high)


def _model_chances(demand: Demand, price: Sequence[float], unit_cost: float) -> list[Chance]:
    earned = np.array(price) - unit_cost
    intercept, slope, covariance = demand.parameters()
    by_form = _log_chances if demand.form == "log" else _logit_chances
    found = by_form(np.array(price), earned, np.array([intercept, slope]), covariance)
    return [Chance(float(best), max(float(regret), 0.0)) for best, regret in zip(*found, strict=True)]


def _log_chances(
    price: Array, earned: Array, mean: Array, covariance: tuple[float, float, float]
) -> tuple[Array, Array]:
    """P(best) and regret where the profit is (P - c) exp(a + b ln P), (a, b) normal: exactly.

    ln(P - c) + b ln P is a line in b for each price; the largest of them is an envelope with one interval of b a price.
    Over an interval, E[exp(Y); l < b < u] = exp(μ + σ²/2) · P(l < b + cov(Y, b) < u) for Y = a + b ln P.
    """
    x = np.log(price)
    a, ab, b = covariance
    # Prices that do not cover the cost earn nothing and are never the best: some price does cover it.
    low, high = _envelope(x, np.log(np.maximum(earned, 1e-300)), earned > 0)
    sd = math.sqrt(b)
    profit = earned * np.exp(mean[0] + mean[1] * x + (a + 2 * x * ab + x * x * b) / 2)
    tilt = mean[1] + ab + x * b
    best = _between(low, high, mean[1], sd)
    return best, float(np.sum(profit * _between(low, high, tilt, sd))) - profit


def _envelope(slope: Array, level: Array, counted: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Of lines level + slope · b, slopes rising: from and up to which b each is the highest; from = to for never."""
    low, high = np.zeros(len(slope)), np.zeros(len(slope))
    for i in np.flatnonzero(counted).tolist():
        start, end = -math.inf, math.inf
        for j in np.flatnonzero(counted).tolist():
            if j == i:
                continue
            meet = (level[j] - level[i]) / (slope[i] - slope[j])
            if j < i:
                start = max(start, meet)
            else:
                end = min(end, meet)
        if start < end:
            low[i], high[i] = start, end
    return low, high


def _between(low: Array, high: Array, centre: Array | float, sd: float) -> Array:
    return ndtr((high - centre) / sd) - ndtr((low - centre) / sd)


def _logit_chances(
    price: Array, earned: Array, mean: Array, covariance: tuple[float, float, float]
) -> tuple[Array, Array]:
    """P(best) and regret where the profit is (P - c) / (1 + exp(-a - b P)), over equally likely (a, b)."""
    a, ab, b = covariance
    z = ndtri((np.arange(GRID) + 0.5) / GRID)
    # The level at the middle of the prices and the slope, which are nearly independent: a grid of both resolves each.
    middle = float(price.mean())
    level_sd = math.sqrt(a + 2 * middle * ab + middle * middle * b)
    shared = (ab + middle * b) / level_sd
    level = mean[0] + mean[1] * middle + level_sd * z[:, None]
    slope = mean[1] + shared * z[:, None] + math.sqrt(max(b - shared * shared, 0.0)) * z[None, :]
    profits = np.stack([k * expit(level + slope * (p - middle)) for k, p in zip(earned, price, strict=True)])
    winner = profits.argmax(axis=0)
    best = np.bincount(winner.ravel(), minlength=len(price)) / winner.size
    return best, profits.max(axis=0).mean() - profits.mean(axis=(1, 2))
