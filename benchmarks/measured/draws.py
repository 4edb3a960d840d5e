"""Simulated shops, as sums: binomial orders with lognormal values of mean 1, one order a buyer at most.

The shops of the published measurements: conversion 2 % and 5 %, sigma of the logarithm 1.0 and 1.5. A lift multiplies
the order values, so that the true difference is rate x lift and the true relative lift is the lift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from offerlift.stats import Estimate
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]

__all__ = ["Revenue", "draw_revenue", "mean_below", "order_quantile"]

ORDERS_AT_ONCE = 8_000_000


@dataclass(frozen=True)
class Revenue:
    """Of each run: visitors, and orders, Σx, Σx², Σx³ over them; all arrays of shape (runs,) but the visitors."""

    n: int
    orders: NDArray[np.int64]
    first: Array
    second: Array
    third: Array

    @property
    def mean(self) -> Array:
        return self.first / self.n

    @property
    def variance(self) -> Array:
        """Sample variance of a visitor's revenue."""
        return (self.second - self.n * self.mean**2) / (self.n - 1)

    @property
    def central_third(self) -> Array:
        """Σ(x - mean)³ over all visitors."""
        mean = self.mean
        return self.third - 3 * mean * self.second + 2 * self.n * mean**3

    def estimates(self) -> list[Estimate]:
        pairs = zip(self.mean.tolist(), (self.variance / self.n).tolist(), strict=True)
        return [Estimate(mean, variance, self.n - 1) for mean, variance in pairs]


def draw_revenue(
    rng: np.random.Generator, runs: int, n: int, rate: float, sigma: float, *, lift: float = 0.0, cap: float = math.inf
) -> tuple[Revenue, Revenue]:
    """`runs` arms of n visitors each, and the same arms with every order capped."""
    orders = rng.binomial(n, rate, runs)
    raw, capped = np.zeros((3, runs)), np.zeros((3, runs))
    block = max(int(ORDERS_AT_ONCE / max(n * rate, 1)), 1)
    for start in range(0, runs, block):
        counts = orders[start : start + block]
        values = rng.lognormal(-sigma * sigma / 2, sigma, counts.sum()) * (1 + lift)
        run = np.repeat(np.arange(len(counts)), counts)
        for into, x in ((raw, values), (capped, np.minimum(values, cap))):
            for power in (1, 2, 3):
                into[power - 1, start : start + block] = np.bincount(run, weights=x**power, minlength=len(counts))
    return Revenue(n, orders, *raw), Revenue(n, orders, *capped)


def order_quantile(sigma: float, share: float) -> float:
    """The value that this share of a lognormal order with mean 1 stays below."""
    return math.exp(-sigma * sigma / 2 + sigma * float(ndtri(share)))


def mean_below(sigma: float, cap: float, *, lift: float = 0.0) -> float:
    """E[min(x, cap)] of an order x = (1 + lift) · lognormal with mean 1."""
    z = (math.log(cap / (1 + lift)) + sigma * sigma / 2) / sigma
    return (1 + lift) * float(ndtr(z - sigma)) + cap * float(ndtr(-z))
