"""Fixed-sample intervals: how often they hold the truth, and on which side they miss it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np
from offerlift.stats import (
    Comparison,
    Lift,
    Moments,
    compare_adjusted,
    compare_estimates,
    compare_proportions,
    newcombe_difference,
)

from .draws import draw_revenue, mean_below, order_quantile
from .tables import Cell, Row, Table, share

__all__ = ["ADJUSTED", "CONVERSION", "REVENUE", "REVENUE_LIFT"]

CAP = 0.995
"""The cap is declared before: the value that 99.5 % of *orders* stay below, the same for both arms."""


def _shops(sizes: tuple[int, ...] = (500, 5_000, 50_000)) -> list[dict[str, Cell]]:
    return [
        {"split": split, "n": n, "rate": rate, "sigma": sigma, "lift": lift}
        for split, n, rate, sigma, lift in itertools.product(
            ("50/50", "10/90"), sizes, (0.02, 0.05), (1.0, 1.5), (0.0, 0.05)
        )
    ]


def _runs(cell: Mapping[str, Cell]) -> int:
    n, even = cell["n"], cell["split"] == "50/50"
    return {500: 20_000, 5_000: 10_000, 50_000: 2_000 if even else 1_000}[n]


def _pairs(cell: Mapping[str, Cell], runs: int, seed: int):
    """Treatment and control with what they are with capped orders; the treatment is the smaller arm."""
    n, sigma, lift, rate = (cell[name] for name in ("n", "sigma", "lift", "rate"))
    rng = np.random.default_rng(seed)
    cap = order_quantile(sigma, CAP)
    t, t_capped = draw_revenue(rng, runs, n, rate, sigma, lift=lift, cap=cap)
    c, c_capped = draw_revenue(rng, runs, n if cell["split"] == "50/50" else 9 * n, rate, sigma, cap=cap)
    return t, c, t_capped, c_capped, cap


def measure_difference(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    """Welch's interval of revenue per visitor, and that of the capped companion."""
    t, c, t_capped, c_capped, cap = _pairs(cell, runs, seed)
    rate, sigma, lift = cell["rate"], cell["sigma"], cell["lift"]
    raw = _welch(t, c, rate * lift)
    below_cap = [mean_below(sigma, cap, lift=one) for one in (lift, 0.0)]
    capped = _welch(t_capped, c_capped, rate * (below_cap[0] - below_cap[1]))
    se = (t.central_third / t.n**3 - c.central_third / c.n**3) / (t.variance / t.n + c.variance / c.n) ** 1.5
    flagged = np.abs(se[np.isfinite(se)]) > 0.06
    return {
        "Welch": share(raw["inside"], raw["defined"]),
        "below": share(raw["below"], raw["defined"]),
        "above": share(raw["above"], raw["defined"]),
        "p < .05": share(raw["rejected"], raw["defined"]),
        "skew flagged": share(flagged.sum(), flagged.size),
        "capped": share(capped["inside"], capped["defined"]),
        "capped p < .05": share(capped["rejected"], capped["defined"]),
        "capped SE / SE": capped["se"] / raw["se"],
        "capped bias of the lift": (below_cap[0] / below_cap[1] - 1) - lift,
    }


def _welch(treatment, control, truth: float) -> dict[str, float]:
    found = dict.fromkeys(("inside", "below", "above", "rejected", "defined", "se"), 0.0)
    for t, c in zip(treatment.estimates(), control.estimates(), strict=True):
        if t.variance + c.variance == 0:
            continue
        difference = compare_estimates(t, c, method="welch").difference
        found["defined"] += 1
        found["below"] += difference.high < truth
        found["above"] += difference.low > truth
        found["inside"] += difference.low <= truth <= difference.high
        found["rejected"] += difference.p_value < 0.05
        found["se"] += difference.se
    return found | {"se": found["se"] / found["defined"]}


def measure_lift(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    """The lift by the inverted Welch test beside the delta method, on the runs that have a lift."""
    t, c, *_ = _pairs(cell, runs, seed)
    truth = cell["lift"]
    found = dict.fromkeys(("inside", "below", "above", "bounded", "delta", "delta below", "delta above", "defined"), 0)
    for one, other in zip(t.estimates(), c.estimates(), strict=True):
        if other.mean <= 0 or one.variance == 0:
            continue
        found["defined"] += 1
        lift = compare_estimates(one, other, method="welch").lift
        side = side_of(truth, lift)
        found[side] += 1
        found["bounded"] += lift.kind == "bounded"
        half = 1.959964 * math.sqrt(one.variance + other.variance * (one.mean / other.mean) ** 2) / other.mean
        away = one.mean / other.mean - 1 - truth
        found["delta"] += abs(away) <= half
        found["delta below"] += away < -half
        found["delta above"] += away > half
    runs = found.pop("defined")
    return {
        "inverted Welch": share(found["inside"], runs),
        **{name: share(found[name], runs) for name in ("below", "above", "bounded", "delta")},
        **{name: share(found[name], runs) for name in ("delta below", "delta above")},
    }


def side_of(truth: float, lift: Lift) -> str:
    """Whether a confidence set holds the truth, or lies below or above it; one with a gap misses by its estimate."""
    if lift.kind == "undefined":
        return "inside"
    if lift.kind == "complement":
        if lift.low < truth < lift.high:
            return "below" if lift.estimate < truth else "above"
        return "inside"
    if lift.high is not None and lift.high < truth:
        return "below"
    return "above" if lift.low is not None and lift.low > truth else "inside"


def measure_conversion(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    """Each pair of counts is judged once, whatever the number of runs that drew it."""
    n, rate, lift = cell["n"], cell["rate"], cell["lift"]
    n_c = n if cell["split"] == "50/50" else 9 * n
    rng = np.random.default_rng(seed)
    draws = np.column_stack([rng.binomial(n, rate * (1 + lift), runs), rng.binomial(n_c, rate, runs)])
    pairs, times = np.unique(draws, axis=0, return_counts=True)
    found = dict.fromkeys(("difference", "below", "above", "its lift", "Wald", "Newcombe"), 0)
    truth = rate * lift
    for (x_t, x_c), count in zip(pairs.tolist(), times.tolist(), strict=True):
        comparison = compare_proportions(_counts(x_t, n), _counts(x_c, n_c), "y")
        difference = comparison.difference
        found["below"] += (difference.high < truth) * count
        found["above"] += (difference.low > truth) * count
        found["difference"] += (difference.low <= truth <= difference.high) * count
        found["its lift"] += (side_of(lift, comparison.lift) == "inside") * count
        p_t, p_c = x_t / n, x_c / n_c
        half = 1.959964 * math.sqrt(p_t * (1 - p_t) / n + p_c * (1 - p_c) / n_c)
        found["Wald"] += (abs(p_t - p_c - truth) <= half) * count
        low, high = newcombe_difference(x_t, n, x_c, n_c)
        found["Newcombe"] += (low <= truth <= high) * count
    return {
        "Miettinen-Nurminen": share(found["difference"], runs),
        **{name: share(found[name], runs) for name in ("below", "above", "its lift", "Wald", "Newcombe")},
    }


def _counts(x: int, n: int) -> Moments:
    return Moments.from_sums(["y"], n, [x], {("y", "y"): x})


def measure_adjusted(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    """Revenue adjusted by what the visitor spent before; the lift with and without the covariate mean's own error."""
    n, correlation, lift = cell["n"], cell["correlation"], cell["lift"]
    n_c = n if cell["split"] == "50/50" else 9 * n
    rng = np.random.default_rng(seed)
    found = dict.fromkeys(("difference", "below", "above", "its lift", "unadjusted", "rejected"), 0)
    removed = 0.0
    for _ in range(runs):
        arms = [_spenders(rng, size, correlation, factor) for size, factor in ((n, 1 + lift), (n_c, 1.0))]
        result = compare_adjusted(*arms, "y", ["x"])
        low, high = result.difference.low, result.difference.high
        found["difference"] += low <= lift <= high
        found["below"] += high < lift
        found["above"] += low > lift
        found["its lift"] += side_of(lift, result.lift) == "inside"
        found["rejected"] += result.difference.p_value < 0.05
        found["unadjusted"] += _p_of_means(arms) < 0.05
        removed += result.adjustment.r_squared / runs
    return {
        "adjusted": share(found["difference"], runs),
        **{name: share(found[name], runs) for name in ("below", "above", "its lift")},
        "p < .05": share(found["rejected"], runs),
        "unadjusted p < .05": share(found["unadjusted"], runs),
        "variance removed": removed,
    }


def _p_of_means(arms: list[Moments]) -> float:
    t, c = arms
    comparison: Comparison = compare_adjusted(t, c, "y", [])
    return comparison.difference.p_value


def _spenders(rng: np.random.Generator, n: int, correlation: float, factor: float) -> Moments:
    """Money before and after, both gamma with mean 1 and shape 1/2 (skewness 2.8), from shared parts."""
    own = 1 - correlation
    common = rng.gamma(0.5 * correlation, 2.0, n)
    before, after = (common + rng.gamma(0.5 * own, 2.0, n) for _ in range(2))
    return Moments.from_arrays({"y": after * factor, "x": before})


REVENUE = Table(
    "revenue",
    "Revenue per visitor: the difference",
    "Coverage of Welch's 95 % interval; `below` and `above` are intervals that lie entirely to that side of the truth. "
    "`capped`: the companion row with orders capped at the declared 99.5 % quantile of orders, against its own truth.",
    _shops(),
    measure_difference,
    _runs,
)

REVENUE_LIFT = Table(
    "revenue_lift",
    "Revenue per visitor: the relative lift",
    "Coverage of the inverted Welch test (Fieller) and of the delta method, which misses on one side; `bounded`: the "
    "share of runs whose lift has two ends.",
    _shops(),
    measure_lift,
    _runs,
)

CONVERSION = Table(
    "conversion",
    "Conversion",
    "Coverage of Miettinen and Nurminen's interval of the difference, and of its lift, beside Wald's and Newcombe's.",
    [
        {"split": split, "n": n, "rate": rate, "lift": lift}
        for split, n, rate, lift in itertools.product(("50/50", "10/90"), (100, 500, 5_000), (0.02, 0.05), (0.0, 0.05))
    ],
    measure_conversion,
    lambda cell: 200_000 if cell["n"] < 5_000 else 50_000,
)

ADJUSTED = Table(
    "adjusted",
    "Regression adjustment (CUPED)",
    "Skewed money with a covariate of the correlation named: coverage of the adjusted difference and of its lift.",
    [
        {"split": split, "n": n, "correlation": correlation, "lift": lift}
        for split, n, correlation, lift in itertools.product(("50/50", "10/90"), (200, 2_000), (0.5, 0.8), (0.0, 0.1))
    ],
    measure_adjusted,
    lambda cell: 4_000 if cell["n"] == 200 else 1_200,
)
