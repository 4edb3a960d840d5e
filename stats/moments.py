"""Moments: what crosses from the data to the statistics, for one arm.

Count, means, centred second-order matrix and third central sums of a few per-visitor columns. Two sets of moments merge
with `+` by the pairwise update of Chan, Golub and LeVeque (1983), extended to third moments by Pébay (2008), so shards
and days can be added in any order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .frames import columns_of, group_sums, is_lazy, open_frame, unmasked

__all__ = ["Moments"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of one arm's visitors.

    Attributes:
        columns: names of the p columns.
        n: number of visitors.
        mean: shape (p,), in the column's unit (money in major units).
        m2: shape (p, p), sums of products of deviations from the means, Σ(x - x̄)(y - ȳ). Sample covariance is
            m2 / (n - 1).
        m3: shape (p,), Σ(x - x̄)³.

    Example:
        >>> monday = Moments.from_arrays({"revenue": [0.0, 0.0, 30.0], "orders": [0, 0, 1]})
        >>> tuesday = Moments.from_arrays({"revenue": [12.0, 0.0], "orders": [1, 0]})
        >>> monday + tuesday
        Moments(n=5, revenue: mean 8.4, sd 13.15; orders: mean 0.4, sd 0.5477)
    """

    columns: tuple[str, ...]
    n: int
    mean: Array
    m2: Array
    m3: Array

    def __post_init__(self) -> None:
        p = len(self.columns)
        if len(set(self.columns)) != p:
            raise InputError(f"moments have a column twice: {list(self.columns)}; names must differ")
        if isinstance(self.n, bool) or not isinstance(self.n, int | np.integer) or self.n < 0:
            raise InputError(f"moments have n = {self.n!r}; a whole number of at least 0 is needed")
        for name, shape in (("mean", (p,)), ("m2", (p, p)), ("m3", (p,))):
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.shape != shape:
                raise InputError(f"moments have {name} of shape {array.shape}; {p} columns need {shape}")
            if not np.isfinite(array).all():
                raise InputError(f"moments have a {name} that is not finite: {array.tolist()}")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if (np.diag(self.m2) < 0).any():
            raise InputError(f"moments have a negative sum of squares: {np.diag(self.m2).tolist()}")
        object.__setattr__(self, "n", int(self.n))

    @classmethod
    def zero(cls, columns: Sequence[str]) -> Moments:
        """Moments of no visitors: the neutral element of `+`."""
        p = len(columns)
        return cls(tuple(columns), 0, np.zeros(p), np.zeros((p, p)), np.zeros(p))

    @classmethod
    def from_arrays(cls, data: Mapping[str, ArrayLike]) -> Moments:
        """Moments of raw values, one array of length n a column.

        Raises:
            InputError: columns of different lengths, or a value that is masked or not finite.
        """
        columns = tuple(data)
        arrays = [np.asarray(unmasked(name, data[name]), dtype=np.float64) for name in columns]
        lengths = {name: array.shape for name, array in zip(columns, arrays, strict=True)}
        if len(set(lengths.values())) > 1 or any(len(shape) != 1 for shape in lengths.values()):
            raise InputError(f"columns must be one-dimensional and of one length; seen: {lengths}")
        n = len(arrays[0]) if arrays else 0
        if n == 0:
            return cls.zero(columns)
        values = np.stack(arrays)
        for name, row in zip(columns, values, strict=True):
            if not np.isfinite(row).all():
                first = int(np.argmin(np.isfinite(row)))
                raise InputError(f"column {name!r} has {row[first]} at position {first}; finite numbers are needed")
        mean = values.mean(axis=1)
        centred = values - mean[:, None]
        # The second term removes what rounding left in the mean (corrected two-pass algorithm).
        rest = centred.sum(axis=1)
        m2 = centred @ centred.T - np.outer(rest, rest) / n
        np.fill_diagonal(m2, np.maximum(np.diag(m2), 0.0))
        return cls(columns, n, mean + rest / n, m2, (centred**3).sum(axis=1))

    @classmethod
    def from_frame(cls, frame: object, columns: Sequence[str]) -> Moments:
        """Moments of some columns of a data frame: pandas, Polars, PyArrow, or lazily DuckDB, Ibis, PySpark.

        One row a visitor. A lazy frame is summed where it lies.

        Raises:
            InputError: no data frame, no such column, one that is not numeric, or missing or infinite values.

        Example:
            >>> import pandas
            >>> Moments.from_frame(pandas.DataFrame({"revenue": [0.0, 0.0, 30.0]}), ["revenue"])
            Moments(n=3, revenue: mean 10, sd 17.32)
        """
        opened = open_frame(frame)
        if is_lazy(opened):
            (sums,) = group_sums(opened, None, columns).values() or (None,)
            if sums is None:
                return cls.zero(columns)
            return cls.from_sums(columns, sums.n, sums.sums, sums.products, sums.cubes, shift=sums.shift)
        return cls.from_arrays(columns_of(opened, columns))

    @classmethod
    def from_sums(
        cls,
        columns: Sequence[str],
        n: int,
        sums: Sequence[int | float | Fraction],
        products: Mapping[tuple[str, str], int | float | Fraction],
        cubes: Sequence[int | float | Fraction] | None = None,
        *,
        scale: Sequence[int] | None = None,
        shift: Sequence[int | float] | None = None,
    ) -> Moments:
        """Moments from raw sums, centred exactly (rational arithmetic, one rounding at the end).

        Args:
            columns: names of the p columns.
            n: number of visitors.
            sums: Σx a column.
            products: Σxy for every pair (i <= j, in the order of `columns`), keyed by the two names.
            cubes: Σx³ a column; zero third moments where None.
            scale: what the raw unit is divided by, a column (100 for cents); 1 where None.
            shift: what was subtracted from a column, in raw units, before it was summed; 0 where None.
        """
        columns = tuple(columns)
        p = len(columns)
        if n == 0:
            return cls.zero(columns)
        unit = [Fraction(s) for s in (scale or [1] * p)]
        offset = [Fraction(s) for s in (shift or [0] * p)]
        total = [Fraction(s) for s in sums]
        mean = [t / n for t in total]
        m2, m3 = np.zeros((p, p)), np.zeros(p)
        for i in range(p):
            for j in range(i, p):
                centred = Fraction(products[columns[i], columns[j]]) - total[i] * mean[j]
                m2[i, j] = m2[j, i] = float(centred / (unit[i] * unit[j]))
            # A float Σx² may fall short of n·x̄² by rounding where all values are equal.
            m2[i, i] = max(m2[i, i], 0.0)
            if cubes is not None:
                square = Fraction(products[columns[i], columns[i]])
                third = Fraction(cubes[i]) - 3 * mean[i] * square + 2 * n * mean[i] ** 3
                m3[i] = float(third / unit[i] ** 3)
        centre = np.array([float((m + o) / u) for m, o, u in zip(mean, offset, unit, strict=True)])
        return cls(columns, n, centre, m2, m3)

    def __add__(self, other: Moments) -> Moments:
        if self.columns != other.columns:
            raise InputError(f"moments of different columns cannot be added: {self.columns} and {other.columns}")
        if self.n == 0 or other.n == 0:
            return other if self.n == 0 else self
        n = self.n + other.n
        delta = other.mean - self.mean
        a, b = self.n / n, other.n / n
        var, var_other = np.diag(self.m2), np.diag(other.m2)
        return Moments(
            self.columns,
            n,
            self.mean * a + other.mean * b,
            self.m2 + other.m2 + np.outer(delta, delta) * (self.n * b),
            self.m3 + other.m3 + delta**3 * (self.n * b * (a - b)) + 3 * delta * (a * var_other - b * var),
        )

    @classmethod
    def merge(cls, parts: Sequence[Moments]) -> Moments:
        """The sum of several moments (at least one) of the same columns."""
        return reduce(lambda first, second: first + second, parts)

    def index(self, column: str) -> int:
        """Position of a column.

        Raises:
            InputError: there is no such column.
        """
        try:
            return self.columns.index(column)
        except ValueError:
            raise InputError(f"no column {column!r} in these moments; they have {list(self.columns)}") from None

    def mean_of(self, column: str) -> float:
        """Mean of a column per visitor."""
        return float(self.mean[self.index(column)])

    def sum_of(self, column: str) -> float:
        """Sum of a column over all visitors."""
        return self.n * self.mean_of(column)

    def variance_of(self, column: str) -> float:
        """Sample variance (n - 1) of a column; NaN below two visitors."""
        return self.covariance_of(column, column)

    def covariance_of(self, first: str, second: str) -> float:
        """Sample covariance (n - 1) of two columns; NaN below two visitors."""
        if self.n < 2:
            return float("nan")
        return float(self.m2[self.index(first), self.index(second)]) / (self.n - 1)

    def __repr__(self) -> str:
        spread = np.sqrt(np.diag(self.m2) / (self.n - 1)) if self.n > 1 else np.full(len(self.columns), np.nan)
        said = [
            f"{name}: mean {mean:.4g}, sd {sd:.4g}" if self.n > 1 else f"{name}: mean {mean:.4g}"
            for name, mean, sd in zip(self.columns, self.mean.tolist(), spread.tolist(), strict=True)
        ]
        return f"Moments({'; '.join([f'n={self.n}', *said]).replace('; ', ', ', 1)})"

    def select(self, columns: Sequence[str]) -> Moments:
        """The moments of some of the columns, in the order asked for."""
        at = [self.index(column) for column in columns]
        return Moments(tuple(columns), self.n, self.mean[at], self.m2[np.ix_(at, at)], self.m3[at])
