"""Moments of every arm, from whatever the analyst has: a data frame, arrays, or moments themselves."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .frames import MOST_ARMS, columns_of, group_sums, is_lazy, names_of, open_frame, unmasked
from .moments import Moments

__all__ = ["moments_by_arm"]


def moments_by_arm(frame: Any, arm: str, columns: Sequence[str]) -> dict[str, Moments]:
    """Moments of some columns for each arm, of a frame with one row a visitor.

    A frame in memory is read as arrays; a lazy one (a Polars LazyFrame, a relation of DuckDB or Ibis, of PySpark) is
    summed where it lies, in two queries, and only the sums come back.

    Centred sums, merged without cancellation (Chan, Golub and LeVeque 1983). Assumes independent visitors. Not for rows
    of orders or sessions: sum them to one row a visitor first.

    Args:
        frame: pandas, Polars, PyArrow, DuckDB, Ibis or PySpark, through Narwhals; or a mapping of name to array.
            One row a *visitor*, the unit that was randomised: rows of orders make every interval too narrow.
        arm: the column with each visitor's arm; its values become names by `str`.
        columns: numeric or boolean columns without missing values.

    Returns:
        Moments by arm, in the order of the names.

    Raises:
        InputError: no such column, one that is named twice or not numeric, missing or infinite values, a visitor
            without an arm, or more than 100 different arms.

    Example:
        >>> visitors = {"arm": ["a", "b", "a", "b"], "revenue": [0.0, 10.0, 4.0, 0.0]}
        >>> arms = moments_by_arm(visitors, "arm", ["revenue"])
        >>> arms["b"].n, arms["b"].mean_of("revenue")
        (2, 5.0)
    """
    columns = list(columns)
    if len(set(columns)) < len(columns):
        raise InputError(f"columns {columns} name one twice", hint="Name each column once.")
    data = frame if isinstance(frame, Mapping) else open_frame(frame)
    if arm not in names_of(data):
        raise InputError(f"no column {arm!r} in this frame; it has {names_of(data)}")
    if is_lazy_frame(data):
        groups = group_sums(data, arm, columns)
        _refuse_missing(arm, groups)
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
    if callable(getattr(values, "null_count", None)):
        missing, kinds = int(values.null_count()), values.drop_nulls().unique().to_list()
        if missing:
            raise InputError(f"{missing:,} rows have no {arm!r}", hint="Every visitor needs an arm: leave them out.")
        # NaN is a number to Polars and PyArrow, to the latter one that equals nothing.
        _refuse_missing(arm, kinds)
        _check_number(arm, len(kinds))
        return {kind: np.asarray((values == kind).to_numpy(), dtype=bool) for kind in kinds}
    # Of mixed values numpy would make text, even of those that are missing.
    array = unmasked(arm, values if isinstance(values, np.ndarray) else np.asanyarray(values, dtype=object))
    if array.ndim != 1:
        raise InputError(f"column {arm!r} has shape {array.shape}; one arm a visitor is needed")
    kinds = list(dict.fromkeys(array.tolist()))
    _refuse_missing(arm, kinds)
    _check_number(arm, len(kinds))
    return {kind: array == kind for kind in kinds}


def _refuse_missing(arm: str, kinds: Iterable[Any]) -> None:
    if any(map(_is_missing, kinds)):
        raise InputError(f"some rows have no {arm!r}", hint="Every visitor needs an arm: leave them out.")


def _is_missing(kind: Any) -> bool:
    """Whether a value is None, NaN or pandas' own, which is not even that."""
    try:
        return kind is None or bool(kind != kind)
    except TypeError:
        return True


def _check_number(arm: str, number: int) -> None:
    if number > MOST_ARMS:
        raise InputError(f"column {arm!r} has {number:,} different values; is it the column of arms?")


def _named(arm: str, found: Mapping[Any, Moments]) -> dict[str, Moments]:
    named = {str(group): moments for group, moments in found.items()}
    if len(named) != len(found):
        raise InputError(f"column {arm!r} has values that are written alike: {list(found)}")
    return named
