"""Gauss rules, computed when first needed: an import should not wait for what few analyses use."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["laguerre", "legendre"]

Rule = tuple[NDArray[np.float64], NDArray[np.float64]]


@cache
def legendre(count: int) -> Rule:
    """Nodes and weights on (-1, 1)."""
    return np.polynomial.legendre.leggauss(count)


@cache
def laguerre(count: int) -> Rule:
    """Nodes and weights on (0, ∞), for e to the power of minus x."""
    return np.polynomial.laguerre.laggauss(count)
