"""Which of several independent normal means is the largest, and what choosing another one costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from .rules import legendre

__all__ = ["Chance", "chances", "expected_largest", "normal_rule", "probability_largest"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Chance:
    """One of several: the probability that it is the best, and what choosing it is expected to lose to the best."""

    probability_best: float
    expected_regret: float


def chances(means: Sequence[float], variances: Sequence[float], *, sign: float = 1.0) -> list[Chance]:
    """For each of two or more independent normals, P(best) and E[best - this one]; the smallest is best at sign -1."""
    centred = sign * np.array([list(means)])
    sds = np.sqrt(np.asarray(variances, dtype=np.float64))
    # Against the largest mean, so that regrets far below the means keep their digits.
    centred -= centred.max()
    best = probability_largest(centred, sds)[0]
    top = expected_largest(centred, sds)[0]
    pairs = zip(best.tolist(), (top - centred[0]).tolist(), strict=True)
    return [Chance(probability, max(regret, 0.0)) for probability, regret in pairs]


def probability_largest(means: Array, sds: Array) -> Array:
    """P(X_i is the largest) of independent normals; means (rows, k), sds (k,), result (rows, k) with rows summing to 1.

    An sd of 0 is certain. Each integral is over its own density, split where a narrower one has its step.
    """
    widest = float(sds.max())
    if widest == 0:
        top = means == means.max(axis=1, keepdims=True)
        return top / top.sum(axis=1, keepdims=True)
    result = np.empty_like(means)
    for row in range(len(means)):
        for i, (_, product) in enumerate(_products(means[row], sds)):
            result[row, i] = product.sum()
    return result


def expected_largest(means: Array, sds: Array) -> Array:
    """E[max X_i] of independent normals, Σ_i ∫ x φ_i Π_{j≠i} Φ_j; means (rows, k), sds (k,), result (rows,)."""
    if float(sds.max()) == 0:
        return means.max(axis=1)
    result = np.empty(len(means))
    for row in range(len(means)):
        m = means[row]
        result[row] = sum(float(product @ (m[i] + u * sds[i])) for i, (u, product) in enumerate(_products(m, sds)))
    return result


def _products(m: Array, sds: Array) -> list[tuple[Array, Array]]:
    """For each i, points u of its standard normal, and their weights times Π_{j≠i} Φ_j."""
    # Certain values become very narrow ones: one formula for all.
    sds = np.maximum(sds, 1e-9 * float(sds.max()))
    found = []
    for i in range(len(m)):
        ends = {-9.0, -3.0, 3.0, 9.0}
        for j in range(len(m)):
            if j != i and sds[j] < sds[i]:
                ends.update((m[j] + step * sds[j] - m[i]) / sds[i] for step in (-9, -3, 0, 3, 9))
        u, product = normal_rule(ends)
        for j in range(len(m)):
            if j != i:
                product = product * ndtr((m[i] - m[j] + u * sds[i]) / sds[j])
        found.append((u, product))
    return found


def normal_rule(ends: set[float]) -> tuple[Array, Array]:
    """Points and weights (summing to 1) of the standard normal: Gauss-Legendre between the given ends within ±9."""
    edges = np.array(sorted(end for end in ends if -9 <= end <= 9))
    half, middle = np.diff(edges)[:, None] / 2, (edges[1:] + edges[:-1])[:, None] / 2
    nodes, weights = legendre(64)
    u = (middle + half * nodes).ravel()
    w = (half * weights).ravel() * np.exp(-u * u / 2)
    return u, w / w.sum()
