"""Moments of every arm, from whatever the analyst has: a data frame, arrays, or moments themselves."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .frames import MOST_ARMS, columns_of, group_sums, is_lazy, names_of, open_frame
from .moments import Moments

__all__ = ["moments_by_arm"]


def moments_by_arm(frame: Any, arm: str, columns: Sequence[str]) -> dict[str, Moments]:
    """Moments of some columns for each arm, of a frame with one row a visitor.

    A frame in memory is read as arrays; a lazy one (a Polars LazyFrame, a relation of DuckDB or Ibis, of PySpark) is
    summed where it lies, in two queries, and only the sums come back.

    Args:
        frame: pandas, Polars, PyArrow, DuckDB, Ibis or PySpark, through Narwhals; or a mapping of name to array.
            One row a *visitor*, the unit that was randomised: rows of orders make every interval too narrow.
        arm: the column with each visitor's arm; its values become names by `str`.
        columns: numeric or boolean columns without missing values.

    Returns:
        Moments by arm, in the order of the names.

    Raises:
        InputError: no such column, one that is not numeric, missing or infinite values, a visitor without an arm, or
            more than 100 different arms.

    Example:
        >>> visitors = {"arm": ["a", "b", "a", "b"], "revenue": [0.0, 10.0, 4.0, 0.0]}
        >>> arms = moments_by_arm(visitors, "arm", ["revenue"])
        >>> arms["b"].n, arms["b"].mean_of("revenue")
        (2, 5.0)
    """
    columns = list(columns)
    data = frame if isinstance(frame, Mapping) else open_frame(frame)
    if arm not in names_of(data):
        raise InputError(f"no column {arm!r} in this frame; it has {names_of(data)}")
    if is_lazy_frame(data):
        groups = group_sums(data, arm, columns)
        _check_number(arm, len(groups))
        found = {
            group: Moments.from_sums(columns, s.n, s.sums, s.products, s.cubes, shift=s.shift)
            for group, s in groups.items()
        }
        return dict(sorted(_named(arm, found).items()))
    arrays = columns_of(data, columns)
    masks = _masks(arm, data[arm])
    if any(len(array) != len(next(iter(masks.values()), array)) for array in arrays.values()):
        lengths = {name: len(array) for name, array in arrays.items()}
        raise InputError(f"columns of {lengths} values for {len(next(iter(masks.values())))} arms of visitors")
    found = {
        group: Moments.from_arrays({name: array[mask] for name, array in arrays.items()})
        for group, mask in masks.items()
    }
    return dict(sorted(_named(arm, found).items()))


def is_lazy_frame(data: Any) -> bool:
    """Whether the data are a frame whose rows are elsewhere."""
    return not isinstance(data, Mapping) and is_lazy(data)


def _masks(arm: str, values: Any) -> dict[Hashable, NDArray[np.bool_]]:
    """For each different value of the arm column, which rows have it."""
    if hasattr(values, "null_count"):
        missing, kinds = int(values.null_count()), values.drop_nulls().unique().to_list()
        if missing:
            raise InputError(f"{missing:,} rows have no {arm!r}", hint="Every visitor needs an arm: leave them out.")
        _check_number(arm, len(kinds))
        return {kind: np.asarray((values == kind).to_numpy(), dtype=bool) for kind in kinds}
    array = np.asarray(values)
    if array.ndim != 1:
        raise InputError(f"column {arm!r} has shape {array.shape}; one arm a visitor is needed")
    kinds = list(dict.fromkeys(array.tolist()))
    if None in kinds or any(kind != kind for kind in kinds):
        raise InputError(f"some rows have no {arm!r}", hint="Every visitor needs an arm: leave them out.")
    _check_number(arm, len(kinds))
    return {kind: array == kind for kind in kinds}


def _check_number(arm: str, number: int) -> None:
    if number > MOST_ARMS:
        raise InputError(f"column {arm!r} has {number:,} different values; is it the column of arms?")


def _named(arm: str, found: Mapping[Any, Moments]) -> dict[str, Moments]:
    named = {str(group): moments for group, moments in found.items()}
    if len(named) != len(found):
        raise InputError(f"column {arm!r} has values that are written alike: {list(found)}")
    return named
