"""How results show themselves: as text, as HTML in a notebook, as rows for a data frame, as a chart.

A frozen dataclass gets all of it by naming `Shown` as its base; it has to be said in words only where the fields in
their order are not the rows that a reader wants (override `to_dicts`).
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    import pandas
    import polars
    from matplotlib.axes import Axes

__all__ = ["Row", "Shown", "html_table", "load", "paragraphs", "show", "text_table"]

Row = dict[str, Any]


class Shown:
    """Base of a frozen dataclass of results.

    Fields are columns; those of a record inside have its name in front; tuples of one length are rows beneath each
    other. Fields with `repr=False` are inputs, and left out.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Looks(Shown):
        ...     share: tuple[float, ...]
        ...     boundary: tuple[float, ...]
        >>> print(Looks((0.5, 1.0), (2.96, 1.97)))
        share  boundary
          0.5      2.96
            1      1.97
    """

    __slots__ = ()

    def to_dicts(self) -> list[Row]:
        """The numbers as rows: one dict a row, every digit, None where there is no number."""
        return _rows(self)

    def to_pandas(self) -> pandas.DataFrame:
        """The rows as a pandas data frame.

        Raises:
            InputError: pandas is not installed.
        """
        return load("pandas").DataFrame(self.to_dicts())

    def to_polars(self) -> polars.DataFrame:
        """The rows as a Polars data frame.

        Raises:
            InputError: Polars is not installed.
        """
        return load("polars").DataFrame(self.to_dicts(), infer_schema_length=None)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Every estimate with its interval, a line a row.

        Args:
            ax: where to draw; a new figure where None.

        Raises:
            InputError: there are no intervals, or matplotlib is not installed.
        """
        from .plotting import Line, draw_lines

        rows = self.to_dicts()
        lines = [Line.of(row, number) for number, row in enumerate(rows, 1)]
        if not any(lines):
            raise InputError(f"{type(self).__name__} has no interval to draw; it has {sorted(rows[0]) if rows else []}")
        return draw_lines([line for line in lines if line is not None], ax)

    def __str__(self) -> str:
        rows = self.to_dicts()
        if len(rows) == 1:
            width = max(map(len, rows[0]), default=0)
            lines = [f"  {name:{width}}  {show(name, value)}" for name, value in rows[0].items() if value != ""]
            return "\n".join([type(self).__name__, *lines])
        return text_table(rows)

    def _repr_html_(self) -> str:
        rows = self.to_dicts()
        if len(rows) == 1:
            rows = [{"": name, " ": value} for name, value in rows[0].items() if value != ""]
            body = "".join(_html_row("td", [row[""], show(row[""], row[" "])]) for row in rows)
            return f"<table><caption>{escape(type(self).__name__)}</caption><tbody>{body}</tbody></table>"
        return html_table(rows)


def load(package: str) -> Any:
    """A package that the results can do without.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(f"{package} is not installed", hint=f"Install it: pip install {package}") from error


def show(name: str, value: object) -> str:
    """A value for readers: four digits, lifts and shares of chance in per cent as their names say, "–" for None."""
    if value is None:
        return "–"
    if isinstance(value, float):
        if not math.isfinite(value):
            return {math.inf: "∞", -math.inf: "−∞"}.get(value, "–")
        if "lift" in name or name.startswith("probability"):
            return f"{value * 100:.4g}%" if abs(value) < 10 else f"{value * 100:,.0f}%"
        return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def text_table(rows: Sequence[Row]) -> str:
    """Rows as aligned text; numbers to the right, columns without any content left out."""
    names = _names(rows)
    cells = [[show(name, row.get(name)) for name in names] for row in rows]
    numeric = [all(isinstance(row.get(name), int | float | None) for row in rows) for name in names]
    widths = [max(len(name), *(len(line[at]) for line in cells)) for at, name in enumerate(names)]

    def line(values: Iterable[str]) -> str:
        parts = zip(values, widths, numeric, strict=True)
        return "  ".join(f"{value:>{width}}" if right else f"{value:{width}}" for value, width, right in parts).rstrip()

    return "\n".join([line(names), *map(line, cells)])


def html_table(rows: Sequence[Row]) -> str:
    """Rows as a plain HTML table, which notebooks style."""
    names = _names(rows)
    head = _html_row("th", names)
    body = "".join(_html_row("td", [show(name, row.get(name)) for name in names]) for row in rows)
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def paragraphs(lines: Iterable[str]) -> str:
    """Lines as HTML paragraphs."""
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _html_row(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _names(rows: Sequence[Row]) -> list[str]:
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if any(row.get(name) not in (None, "") for row in rows)]


def _rows(record: Any) -> list[Row]:
    shown = _own(record)
    series = {name: value for name, value in shown.items() if isinstance(value, tuple | list)}
    lengths = {len(value) for value in series.values()}
    if len(lengths) != 1 or lengths == {0}:
        return [_cells(shown)]
    single = {name: value for name, value in shown.items() if name not in series}
    rows = []
    for at in range(lengths.pop()):
        of_row = {name: value[at] for name, value in series.items()}
        # The rows' own records are spread without a prefix: their field's name stands for all of them.
        spread = {}
        for name, value in of_row.items():
            spread |= _cells(_own(value)) if is_dataclass(value) else _cells({name: value})
        rows.append(_cells(single) | spread)
    return rows


def _cells(values: Mapping[Any, Any], prefix: str = "") -> Row:
    """One row of single values: records and mappings inside are spread, with their name in front."""
    row: Row = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if is_dataclass(value):
            row |= _cells(_own(value), f"{name}_")
        elif isinstance(value, Mapping):
            row |= _cells(value, f"{name}_")
        elif isinstance(value, tuple | list):
            row[name] = ", ".join(show(name, one) for one in value)
        else:
            row[name] = value
    return row


def _own(record: Any) -> dict[str, Any]:
    return {one.name: getattr(record, one.name) for one in fields(record) if one.repr}
