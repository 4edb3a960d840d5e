"""The few operations that are spelt differently for a float and for an array, so that a formula is written once.

Floats stay Python floats: numpy's own scalars would make the arithmetic of one comparison several times slower.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = [
    "at_least_zero",
    "binary_exponent",
    "chosen",
    "everywhere",
    "exponential",
    "log1p",
    "shifted",
    "smaller",
    "square_root",
]


def square_root(x: Any) -> Any:
    """Square root of each value."""
    return np.sqrt(x) if isinstance(x, np.ndarray) else math.sqrt(x)


def exponential(x: Any) -> Any:
    """e to the power of each value."""
    return np.exp(x) if isinstance(x, np.ndarray) else math.exp(x)


def log1p(x: Any) -> Any:
    """Logarithm of 1 + x."""
    return np.log1p(x) if isinstance(x, np.ndarray) else math.log1p(x)


def chosen(condition: Any, x: Any, y: Any) -> Any:
    """x where a condition holds, y elsewhere."""
    if isinstance(condition, np.ndarray):
        return np.where(condition, x, y)
    return x if condition else y


def at_least_zero(x: Any) -> Any:
    """Each value, or 0 where it is below: variances that rounding took there."""
    return np.maximum(x, 0.0) if isinstance(x, np.ndarray) else max(x, 0.0)


def binary_exponent(x: Any) -> Any:
    """The exponent e of each value's size, so that it lies in [1/2, 1) times 2^e; 0 of 0."""
    return np.frexp(x)[1] if isinstance(x, np.ndarray) else math.frexp(x)[1]


def shifted(x: Any, exponent: Any) -> Any:
    """Each value times 2 to the power of a whole number; exact but for what is too small for a float."""
    return np.ldexp(x, exponent) if isinstance(exponent, np.ndarray) else math.ldexp(x, exponent)


def smaller(x: Any, y: Any) -> Any:
    """The smaller of two values, element by element."""
    return np.minimum(x, y) if isinstance(x, np.ndarray) or isinstance(y, np.ndarray) else min(x, y)


def everywhere(condition: Any) -> bool:
    """Whether a condition holds in every element."""
    return bool(np.all(condition)) if isinstance(condition, np.ndarray) else bool(condition)
