"""What looking a hundred times does: to rules that are not made for it, and to those that are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from offerlift.stats import mixture_boundary, sequential_boundaries, tuning_without_plan
from scipy.special import ndtr

from .draws import Array
from .tables import Cell, Row, Table, share

__all__ = ["PEEKING"]

LOOKS = 100
PLANNED = 10
"""Of the hundred looks, those that a plan has: every tenth."""

BURN_IN = 100
"""Conversions of both arms before the monitoring band is looked at."""


@dataclass(frozen=True)
class Path:
    """At every look of every run, arrays (runs, looks): estimate, its error and z; conversions of both arms."""

    estimate: Array
    se: Array
    z: Array
    converted: tuple[Array, Array]
    n: Array

    def crossed(self, boundary: Array, *, started: Array | None = None) -> int:
        """Runs that exceed the boundary at one look or more."""
        over = np.abs(self.z) > boundary
        return int((over if started is None else over & started).any(axis=1).sum())

    def missed(self, boundary: Array, truth: float) -> int:
        """Runs whose interval leaves out the truth at one look or more."""
        return int((np.abs(self.estimate - truth) > boundary * self.se).any(axis=1).sum())


def draw(rng: np.random.Generator, runs: int, n: int, rate: float, sigma: float, lift: float) -> Path:
    """Both arms grow by n / 100 visitors between looks."""
    arms = []
    step = n // LOOKS
    for factor in (1 + lift, 1.0):
        orders = rng.binomial(step, rate, (runs, LOOKS))
        values = rng.lognormal(-sigma * sigma / 2, sigma, orders.sum()) * factor
        cell = np.repeat(np.arange(orders.size), orders.ravel())
        sums = [np.bincount(cell, weights=values**k, minlength=orders.size).reshape(orders.shape) for k in (1, 2)]
        arms.append([np.cumsum(one, axis=1) for one in (orders, *sums)])
    size = step * np.arange(1, LOOKS + 1)
    (orders_t, first_t, second_t), (orders_c, first_c, second_c) = arms
    means = [first / size for first in (first_t, first_c)]
    variances = [
        (second - size * mean**2) / (size - 1) / size for second, mean in zip((second_t, second_c), means, strict=True)
    ]
    estimate, se = means[0] - means[1], np.sqrt(variances[0] + variances[1])
    z = np.divide(estimate, se, out=np.zeros_like(se), where=se > 0)
    return Path(estimate, se, z, (orders_t, orders_c), size)


def measure(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    n, rate, sigma, lift = (cell[name] for name in ("n", "rate", "sigma", "lift"))
    path = draw(np.random.default_rng(seed), runs, n, rate, sigma, lift)
    band = np.array([mixture_boundary(tuning_without_plan(2 * size)) for size in path.n.tolist()])
    started = path.converted[0] + path.converted[1] >= BURN_IN
    planned = slice(LOOKS // PLANNED - 1, None, LOOKS // PLANNED)
    at_plan = Path(path.estimate[:, planned], path.se[:, planned], path.z[:, planned], path.converted, path.n[planned])
    boundaries = np.array(sequential_boundaries([(i + 1) / PLANNED for i in range(PLANNED)]).z)
    truth = rate * lift
    return {
        "t-test at the end": share((np.abs(path.z[:, -1]) > 1.959964).sum(), runs),
        "t-test at any look": share(path.crossed(np.full(LOOKS, 1.959964)), runs),
        "P(better) > 95 % at any look": share(path.crossed(np.full(LOOKS, 1.644854)), runs),
        "expected loss < 0.5 % at any look": share(_small_loss(path), runs),
        "always-valid": share(path.crossed(band, started=started), runs),
        "its misses": share(path.missed(band, truth), runs),
        "ten planned looks": share(at_plan.crossed(boundaries), runs),
        "their misses": share(at_plan.missed(boundaries, truth), runs),
    }


def _small_loss(path: Path) -> int:
    """Runs in which choosing the treatment seemed to cost less than 0.5 % of the conversion at some look.

    Normal posteriors: s φ(u) - d Φ(-u) with u = d / s.
    """
    p_t, p_c = (one / path.n for one in path.converted)
    s = np.sqrt((p_t * (1 - p_t) + p_c * (1 - p_c)) / path.n)
    d = np.abs(p_t - p_c)
    u = np.divide(d, s, out=np.zeros_like(s), where=s > 0)
    loss = s * np.exp(-u * u / 2) / math.sqrt(2 * math.pi) - d * ndtr(-u)
    return int(((s > 0) & (p_t > p_c) & (loss < 0.005 * p_c)).any(axis=1).sum())


PEEKING = Table(
    "peeking",
    "A hundred looks at revenue per visitor",
    "How often a rule calls a winner or a loser at any of a hundred looks (lift 0: falsely), n visitors an arm at the "
    "end; `misses`: the truth is outside the interval at some look. P(better) of revenue for either arm, with a flat "
    "prior; expected loss of choosing the treatment by conversion; `always-valid` without a plan, from 100 conversions "
    "on; `ten planned looks` are Lan and DeMets' of the O'Brien-Fleming type.",
    [
        {"n": n, "rate": rate, "sigma": sigma, "lift": lift}
        for n, rate, sigma in ((5_000, 0.05, 1.0), (50_000, 0.05, 1.0), (50_000, 0.02, 1.5), (50_000, 0.05, 1.5))
        for lift in (0.0, 0.05)
    ],
    measure,
    lambda cell: 4_000 if cell["n"] == 5_000 else 2_000,
)
