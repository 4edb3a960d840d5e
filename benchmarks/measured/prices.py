"""Demand curves, the choice among tested prices and doses, and orders that gather above a threshold."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from offerlift.stats import Histogram, Moments, choose_price, demand_curve, dose_response, threshold_bunching
from scipy.special import expit

from .draws import draw_revenue
from .tables import Cell, Row, Table, share

__all__ = ["BUNCHING", "CHOICE", "DEMAND", "DOSES"]

PRICES = (20.0, 24.0, 29.0, 35.0)
MIDDLE = (PRICES[0] + PRICES[-1]) / 2
COST = 10.0
DOSE_LEVELS = (0.0, 0.1, 0.2, 0.4)


def conversions(n: int, x: int) -> Moments:
    """One arm's moments of a 0/1 column, without the exact sums: thousands are made."""
    p = x / n
    square = x * (1 - p)
    return Moments(("bought",), n, np.array([p]), np.array([[square]]), np.array([square * (1 - 2 * p)]))


def arms_of(n: int, counts: Sequence[int]) -> tuple[dict[str, Moments], dict[str, float]]:
    names = [f"at {price:g}" for price in PRICES]
    return dict(zip(names, (conversions(n, x) for x in counts), strict=True)), dict(zip(names, PRICES, strict=True))


def measure_demand(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    n, elasticity, form = cell["n"], cell["elasticity"], cell["form"]
    rng = np.random.default_rng(seed)
    price = np.array(PRICES)
    if form == "log":
        rate = 0.05 * (price / PRICES[0]) ** elasticity
        truth = elasticity
    else:
        # As steep at the middle of the range as the curve of one elasticity.
        rate = expit(np.log(0.04 / 0.96) + elasticity * (price / MIDDLE - 1) / 0.96)
        truth = elasticity
    covered = rejected = known = 0
    estimates = []
    for counts in rng.binomial(n, rate, (runs, len(price))).tolist():
        found = demand_curve(*arms_of(n, counts), "bought", form=form)
        if found.elasticity is None or found.fit is None:
            continue
        known += 1
        covered += found.elasticity.low <= truth <= found.elasticity.high
        rejected += found.fit.p_value < 0.05
        estimates.append(found.elasticity.estimate)
    return {
        "answered": share(known, runs),
        "coverage": share(covered, known),
        "lack of fit below .05": share(rejected, known),
        "mean estimate": float(np.mean(estimates)),
    }


DEMAND = Table(
    "demand",
    "Elasticity of demand",
    "Four prices from 20 to 35, 5 % buying at the lowest (`log`) or 4 % in the middle (`logit`), a curve of the form "
    "that is fitted. Coverage of the 95 % interval of the elasticity, how often lack of fit is found where there is "
    "none, and the mean estimate. Not answered: nobody bought at one of the prices.",
    [
        {"form": form, "n": n, "elasticity": elasticity}
        for form, n, elasticity in itertools.product(("log", "logit"), (500, 5_000, 50_000), (-0.8, -2.0))
    ],
    measure_demand,
    lambda _: 5_000,
)


def measure_choice(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    n, source = cell["n"], cell["chosen by"]
    rng = np.random.default_rng(seed)
    price = np.array(PRICES)
    right = answered = 0
    claimed, regret, promised = [], [], []
    certain = certain_right = 0
    for _ in range(runs):
        if source == "arms":
            # Every price has a rate of its own: what arms alone can be held against.
            rate = 0.05 * (price / PRICES[0]) ** -1.5 * np.exp(rng.normal(0, 0.5, len(price)))
        elif source == "log curve":
            rate = 0.05 * np.exp(rng.normal(0, 0.5)) * (price / PRICES[0]) ** rng.uniform(-5, 1)
        else:
            level = 0.04 * np.exp(rng.normal(0, 0.5))
            rate = expit(np.log(level / (1 - level)) + rng.uniform(-5, 1) * (price / MIDDLE - 1) / (1 - level))
        profit = (price - COST) * rate
        arms, prices = arms_of(n, rng.binomial(n, np.minimum(rate, 1)).tolist())
        found = choose_price(arms, prices, "bought", unit_cost=COST, form="logit" if source == "logit curve" else "log")
        chosen = found.best if source == "arms" else found.model_best
        if chosen is None:
            continue
        answered += 1
        row = found[chosen]
        chance, loss = (
            (row.probability_best, row.expected_regret)
            if source == "arms"
            else (row.model_probability_best, row.model_expected_regret)
        )
        at = PRICES.index(row.price)
        won = profit[at] == profit.max()
        right += won
        claimed.append(chance)
        promised.append(loss)
        regret.append(profit.max() - profit[at])
        if chance >= 0.9:
            certain += 1
            certain_right += won
    return {
        "answered": share(answered, runs),
        "P(best) said": float(np.mean(claimed)),
        "was best": share(right, answered),
        "was best of those said .9 or more": share(certain_right, certain),
        "regret said": 1_000 * float(np.mean(promised)),
        "regret": 1_000 * float(np.mean(regret)),
        "its error": 1_000 * float(np.std(regret) / np.sqrt(len(regret))),
    }


CHOICE = Table(
    "choice",
    "The best of four tested prices",
    "Prices from 20 to 35 at a cost of 10, n visitors each. Truths are drawn wide: for the arms every price its own "
    "rate, for a curve an elasticity between -5 and 1. Of the price chosen: the probability that was said, and how "
    "often it was the best; the expected regret that was said and what was lost on average, for 1,000 visitors.",
    [
        {"chosen by": source, "n": n}
        for source, n in itertools.product(("arms", "log curve", "logit curve"), (1_000, 5_000, 50_000))
    ],
    measure_choice,
    lambda cell: 1_500 if cell["chosen by"] == "logit curve" else 5_000,
)


def measure_doses(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    n, shape = cell["n"], cell["shape"]
    rng = np.random.default_rng(seed)
    dose = np.array(DOSE_LEVELS) / DOSE_LEVELS[-1]
    rate = 0.05
    lift = {"flat": 0 * dose, "linear": 0.4 * dose, "peak": 0.8 * dose - 0.8 * dose**2}[shape]
    means = rate * (1 + lift)
    true_linear = np.polyfit(dose, means, 1)[0]
    true_quadratic = np.polyfit(dose, means, 2)[0]
    drawn = [draw_revenue(rng, runs, n, rate, 1.0, lift=one)[0] for one in lift.tolist()]
    names = [f"dose {level:g}" for level in DOSE_LEVELS]
    doses = dict(zip(names, DOSE_LEVELS, strict=True))
    linear = quadratic = answered = 0
    regret, promised = [], []
    for run in range(runs):
        arms = {
            name: Moments(
                ("revenue",), n, one.mean[[run]], one.variance[[run]].reshape(1, 1) * (n - 1), one.central_third[[run]]
            )
            for name, one in zip(names, drawn, strict=True)
        }
        found = dose_response(arms, doses, "revenue")
        if found.best is None or found.linear is None or found.quadratic is None:
            continue
        answered += 1
        linear += found.linear.low <= true_linear <= found.linear.high
        quadratic += found.quadratic.low <= true_quadratic <= found.quadratic.high
        promised.append(found[found.best].expected_regret)
        regret.append(means.max() - means[names.index(found.best)])
    return {
        "linear": share(linear, answered),
        "quadratic": share(quadratic, answered),
        "regret said": 1_000 * float(np.mean(promised)),
        "regret": 1_000 * float(np.mean(regret)),
    }


DOSES = Table(
    "doses",
    "Discount depth as a dose",
    "Revenue a visitor at depths of 0, 10, 20 and 40 %; 5 % buy, sigma 1; flat, rising by 40 %, or highest in the "
    "middle. Coverage of the linear and quadratic contrasts, and the regret of the best dose for 1,000 visitors, said "
    "and lost: where doses hardly differ, more is said than lost.",
    [{"shape": shape, "n": n} for shape, n in itertools.product(("flat", "linear", "peak"), (1_000, 10_000))],
    measure_doses,
    lambda cell: 5_000 if cell["n"] == 1_000 else 2_000,
)


def measure_bunching(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    orders, filled, more = cell["orders"], cell["filled up"], cell["orders of a buyer"]
    rng = np.random.default_rng(seed)
    buyers = orders // more
    truth = {}
    # What a large sample says: orders between 40 and 50 that are filled up to 50 to 60, of all.
    below = float(np.mean(in_band(np.exp(rng.normal(np.log(45), 0.5, 4_000_000)), 40, 50)))
    truth["above"], truth["below"] = below * filled, -below * filled
    covered = {"above": 0, "below": 0}
    for _ in range(runs):
        t, c = (order_values(rng, buyers, more, share_) for share_ in (filled, 0.0))
        found = threshold_bunching(t, c, threshold=50, width=10)
        for name, band in (("above", found.above), ("below", found.below)):
            if band is not None:
                covered[name] += band.difference.low <= truth[name] <= band.difference.high
    return {name: share(hits, runs) for name, hits in covered.items()}


def in_band(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return (values >= low) & (values < high)


def order_values(rng: np.random.Generator, buyers: int, more: int, filled: float) -> Histogram:
    """Lognormal orders around 45; a buyer's several orders are alike. Some just below 50 are filled up past it."""
    buyer = np.repeat(rng.normal(np.log(45), 0.5 if more == 1 else 0.45, buyers), more)
    values = np.exp(buyer if more == 1 else buyer + rng.normal(0, np.sqrt(0.5**2 - 0.45**2), len(buyer)))
    moved = in_band(values, 40, 50) & (rng.random(len(values)) < filled)
    values = np.where(moved, rng.uniform(50, 60, len(values)), values)
    return Histogram.of((values * 100).astype(int).tolist(), scale=100)


BUNCHING = Table(
    "bunching",
    "Orders that gather above a threshold",
    "Shares of orders from 50 up to 60 and from 40 up to 50, against control; some of the latter are filled up in the "
    "treatment. Coverage of the 95 % interval of the difference; with several like orders a buyer it is too short.",
    [
        {"orders": orders, "filled up": filled, "orders of a buyer": more}
        for orders, filled, more in ((200, 0.0, 1), (200, 0.3, 1), (2_000, 0.0, 1), (2_000, 0.3, 1), (2_000, 0.3, 4))
    ],
    measure_bunching,
    lambda _: 2_000,
)
