"""Columns out of any data frame, through Narwhals: pandas, Polars, PyArrow, and lazily DuckDB, Ibis, PySpark.

A frame in memory gives its columns as arrays. A lazy one (a relation of a database) is summed where it lies: two
queries, the second with the columns' means subtracted, so that large numbers with little spread keep their digits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

__all__ = ["MOST_ARMS", "GroupSums", "columns_of", "group_sums", "is_lazy", "names_of", "open_frame", "unmasked"]

MOST_ARMS = 100
"""A column with more different values than this is not one of arms."""

ACCEPTED = "a data frame of pandas, Polars, PyArrow, DuckDB, Ibis or PySpark, or a mapping of arrays"


@dataclass(frozen=True, slots=True)
class GroupSums:
    """Raw sums of one group of rows, with `shift` subtracted from each column before."""

    n: int
    shift: list[float]
    sums: list[float]
    products: dict[tuple[str, str], float]
    cubes: list[float]


def open_frame(data: object) -> Any:
    """The frame as Narwhals sees it.

    Raises:
        InputError: it is no data frame.
    """
    import narwhals as nw

    try:
        return nw.from_native(data)  # pyright: ignore[reportArgumentType, reportCallIssue]
    except TypeError as error:
        raise InputError(f"{type(data).__name__} is no data frame", hint=f"Give {ACCEPTED}.") from error


def is_lazy(frame: Any) -> bool:
    """Whether the rows are elsewhere."""
    import narwhals as nw

    return isinstance(frame, nw.LazyFrame)


def names_of(data: Any) -> list[str]:
    """Names of the columns of a mapping or an opened frame."""
    return list(data) if isinstance(data, Mapping) else list(data.collect_schema().names())


def columns_of(data: Any, names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Numeric columns as arrays of floats, in the order asked for; those of a lazy frame are fetched.

    Raises:
        InputError: no such column, one that is not numeric or boolean, or one with missing values.
    """
    _require(data, names)
    if isinstance(data, Mapping):
        return {name: _as_floats(name, unmasked(name, data[name])) for name in names}
    _require_numbers(data, names)
    if is_lazy(data):
        data = data.select(*names).collect()
    found = {}
    for name in names:
        missing = int(data[name].null_count())
        if missing:
            raise _missing(name, missing)
        found[name] = _as_floats(name, data[name].to_numpy())
    return found


def group_sums(frame: Any, by: str | None, names: Sequence[str]) -> dict[Any, GroupSums]:
    """Sums, cross products and cubes of a lazy frame, by the values of a column (None: of all rows).

    Raises:
        InputError: as `columns_of`; values that are not finite; a row without a group, or more than `MOST_ARMS` groups.
    """
    import narwhals as nw

    _require(frame, names if by is None else [by, *names])
    _require_numbers(frame, names)
    numbers = [nw.col(name).cast(nw.Float64).alias(f"x{at}") for at, name in enumerate(names)]
    group = (nw.lit(0) if by is None else nw.col(by)).alias("group")
    rows = frame.select(group, *numbers)
    xs = [f"x{at}" for at in range(len(names))]
    first = rows.select(
        *(nw.col(x).mean().alias(x) for x in xs), *(nw.col(x).null_count().alias(f"null_{x}") for x in xs)
    )
    centre = first.collect().rows(named=True)[0]
    for name, x in zip(names, xs, strict=True):
        if centre[f"null_{x}"]:
            raise _missing(name, centre[f"null_{x}"])
    shift = [float(centre[x] or 0.0) for x in xs]
    pairs = [(i, j) for i in range(len(xs)) for j in range(i, len(xs))]
    moved = rows.with_columns(*((nw.col(x) - nw.lit(s)).alias(x) for x, s in zip(xs, shift, strict=True)))
    moved = moved.with_columns(
        *((nw.col(xs[i]) * nw.col(xs[j])).alias(f"p{i}_{j}") for i, j in pairs),
        *((nw.col(x) * nw.col(x) * nw.col(x)).alias(f"c{x}") for x in xs),
    )
    summed = [*xs, *(f"p{i}_{j}" for i, j in pairs), *(f"c{x}" for x in xs)]
    grouped = moved.group_by("group").agg(nw.len().alias("n"), *(nw.col(one).sum() for one in summed))
    found = {}
    for row in grouped.collect().rows(named=True):
        values = [float(row[one]) for one in summed]
        if not all(map(math.isfinite, values)):
            raise InputError(f"columns {list(names)} have values that are not finite numbers", hint="Leave them out.")
        found[row["group"]] = GroupSums(
            int(row["n"]),
            shift,
            [float(row[x]) for x in xs],
            {(names[i], names[j]): float(row[f"p{i}_{j}"]) for i, j in pairs},
            [float(row[f"c{x}"]) for x in xs],
        )
    if None in found:
        raise InputError(f"{found[None].n:,} rows have no {by!r}", hint="Every visitor needs an arm: leave them out.")
    return found


def _require(data: Any, names: Sequence[str]) -> None:
    known = names_of(data)
    for name in names:
        if name not in known:
            raise InputError(f"no column {name!r} in this frame; it has {known}")


def _require_numbers(frame: Any, names: Sequence[str]) -> None:
    schema = frame.collect_schema()
    for name in names:
        dtype = schema[name]
        # Python's own Decimals are objects to pandas.
        if not (dtype.is_numeric() or str(dtype) in ("Boolean", "Object")):
            raise InputError(f"column {name!r} is of type {dtype}; numbers or booleans are needed")


def _as_floats(name: str, values: NDArray[Any]) -> NDArray[np.float64]:
    if values.dtype.kind in "USM":
        raise InputError(f"column {name!r} is of type {values.dtype}; numbers or booleans are needed")
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"column {name!r} has values that are not numbers: {error}") from error


def unmasked(name: str, values: Any) -> NDArray[Any]:
    """The values as an array; numpy itself would show what a mask hides.

    Raises:
        InputError: some of them are masked.
    """
    if np.ma.is_masked(values):
        raise _missing(name, int(np.ma.count_masked(values)))
    return np.asarray(values)


def _missing(name: str, count: int) -> InputError:
    return InputError(
        f"column {name!r} has {count:,} missing values",
        hint="Say what they mean: 0 for visitors without an order, or leave the visitors out.",
    )
