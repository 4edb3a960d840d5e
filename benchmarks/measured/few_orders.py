"""What is there for few orders and skewed, unequal arms: the randomisation test and the Bayesian bootstrap."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from offerlift.stats import Moments, bayesian_bootstrap, compare_means, permutation_test

from .tables import Cell, Row, Table, share

__all__ = ["BOOTSTRAP", "PERMUTATION"]

RESAMPLES = 999


def _values(rng: np.random.Generator, n: int, rate: float, sigma: float, lift: float) -> np.ndarray:
    """Every visitor's money in whole cents, for a mean order of 50."""
    orders = rng.binomial(n, rate)
    money = np.zeros(n)
    money[:orders] = np.round(rng.lognormal(-sigma * sigma / 2, sigma, orders) * 50 * (1 + lift), 2)
    return money


def _arms(cell: Mapping[str, Cell], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    n, rate, sigma, lift = (cell[name] for name in ("n", "rate", "sigma", "lift"))
    n_c = n if cell["split"] == "50/50" else 9 * n
    return _values(rng, n, rate, sigma, lift), _values(rng, n_c, rate, sigma, 0.0)


def measure_permutation(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    rng = np.random.default_rng(seed)
    found = dict.fromkeys(("both", "less", "greater", "Welch"), 0)
    defined = 0
    for run in range(runs):
        t, c = _arms(cell, rng)
        result = permutation_test(t, c, resamples=RESAMPLES, seed=run)
        if result.status != "ok":
            continue
        defined += 1
        found["both"] += result.p_value < 0.05
        found["less"] += result.p_less < 0.025
        found["greater"] += result.p_greater < 0.025
        welch = compare_means(*(Moments.from_arrays({"y": arm}) for arm in (t, c)), "y").difference
        found["Welch"] += welch is not None and welch.p_value < 0.05
    return {
        "p < .05": share(found["both"], defined),
        "treatment too low": share(found["less"], defined),
        "treatment too high": share(found["greater"], defined),
        "Welch p < .05": share(found["Welch"], defined),
    }


def measure_bootstrap(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    rng = np.random.default_rng(seed)
    truth = 50 * cell["rate"] * cell["lift"]
    found = dict.fromkeys(("inside", "below", "above", "Welch"), 0)
    defined = 0
    for run in range(runs):
        t, c = _arms(cell, rng)
        if not t.any() or not c.any():
            continue
        defined += 1
        posterior = bayesian_bootstrap({"t": t, "c": c}, "c", draws=2_000, seed=run).against_control["t"]
        found["inside"] += posterior.low <= truth <= posterior.high
        found["below"] += posterior.high < truth
        found["above"] += posterior.low > truth
        welch = compare_means(*(Moments.from_arrays({"y": arm}) for arm in (t, c)), "y").difference
        found["Welch"] += welch is not None and welch.low <= truth <= welch.high
    return {
        "bootstrap": share(found["inside"], defined),
        "below": share(found["below"], defined),
        "above": share(found["above"], defined),
        "Welch": share(found["Welch"], defined),
    }


def _cells(lifts: tuple[float, ...]) -> list[dict[str, Cell]]:
    return [
        {"split": split, "n": n, "rate": rate, "sigma": sigma, "lift": lift}
        for split, n, rate, sigma, lift in itertools.product(
            ("50/50", "10/90"), (500, 5_000), (0.02,), (1.0, 1.5), lifts
        )
    ]


PERMUTATION = Table(
    "permutation",
    "The randomisation test",
    "How often the test rejects where nobody is affected (.05 is right, .025 in each tail), beside Welch's, which at "
    "unequal arms rejects too often.",
    _cells((0.0,)),
    measure_permutation,
    lambda _: 1_000,
)

BOOTSTRAP = Table(
    "bootstrap",
    "The Bayesian bootstrap",
    "Coverage of the 95 % credible interval of the difference in revenue per visitor, beside Welch's interval.",
    _cells((0.0, 0.2)),
    measure_bootstrap,
    lambda _: 600,
)
