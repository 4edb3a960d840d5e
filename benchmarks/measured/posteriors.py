"""Bayesian intervals at a fixed number of visitors: how often they hold the truth."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from offerlift.stats import Moments, beta_posteriors, normal_posteriors

from .draws import draw_revenue
from .tables import Cell, Row, Table, share

__all__ = ["CALIBRATION"]


def measure(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    n, rate, sigma, lift = (cell[name] for name in ("n", "rate", "sigma", "lift"))
    rng = np.random.default_rng(seed)
    t, _ = draw_revenue(rng, runs, n, rate, sigma, lift=lift)
    c, _ = draw_revenue(rng, runs, n, rate, sigma)
    money = conversion = defined = 0
    for one, other in zip(t.estimates(), c.estimates(), strict=True):
        if one.variance == 0 or other.variance == 0:
            continue
        defined += 1
        arms = {"t": (one.mean, one.variance), "c": (other.mean, other.variance)}
        found = normal_posteriors(arms, "c").against_control["t"]
        money += found.low <= rate * lift <= found.high
    rate_t = rate * (1 + lift)
    draws = np.column_stack([rng.binomial(n, rate_t, runs), rng.binomial(n, rate, runs)])
    pairs, times = np.unique(draws, axis=0, return_counts=True)
    for (x_t, x_c), count in zip(pairs.tolist(), times.tolist(), strict=True):
        counts = {arm: Moments.from_sums(["y"], n, [x], {("y", "y"): x}) for arm, x in (("t", x_t), ("c", x_c))}
        found = beta_posteriors(counts, "y", "c").against_control["t"]
        conversion += (found.low <= rate_t - rate <= found.high) * count
    return {"conversion": share(conversion, runs), "revenue": share(money, defined)}


CALIBRATION = Table(
    "posteriors",
    "Credible intervals at a fixed number of visitors",
    "Coverage of the 95 % credible interval of the difference: Beta-binomial for conversion, normal with a flat prior "
    "for revenue per visitor.",
    [
        {"n": n, "rate": rate, "sigma": sigma, "lift": lift}
        for n, rate, sigma, lift in itertools.product((500, 5_000, 50_000), (0.02, 0.05), (1.0, 1.5), (0.0, 0.05))
    ],
    measure,
    lambda cell: 3_000 if cell["n"] == 500 else 2_000,
)
