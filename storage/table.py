"""Tables of one row a visitor: the file that most analysts have, read into rows and into moments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from ..errors import InputError, OfferliftError
from ..experiments.currencies import minor_digits
from ..experiments.definition import Definition
from ..experiments.records import Covariate, Exposure, Outcome
from ..stats.histogram import Histogram, LargestValues
from .cells import parse_flag, parse_number
from .files import open_rows
from .money import check_currency, major_units, parse_minor_units
from .names import check_arm, check_id, check_key
from .observations import Observations
from .rows import Meaning, Reject, RowFile
from .table_definition import CONVERSION, REVENUE, TableColumns, slug, table_definition, table_weights
from .table_moments import table_observations, table_visitors
from .visitors import VisitorValues

__all__ = ["Table", "TableRow", "TableValues", "covariate_time", "read_table", "row_outcomes"]

Value = TypeVar("Value")

MOST_VALUES = 1_000
"""Different amounts up to which they are resampled as they are; the time a test takes grows with their number."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One visitor: `revenue` in minor units, None where the table has no such column (or no covariate of theirs)."""

    line: int
    visitor: str
    arm: str
    converted: bool | None
    revenue: int | None
    covariate: float | None
    cells: tuple[str, ...] = field(compare=False, default=())

    @property
    def content(self) -> tuple[object, ...]:
        """What two rows of one visitor must agree in."""
        return self.arm, self.converted, self.revenue, self.covariate


@dataclass(frozen=True, slots=True)
class TableValues:
    """The money of one arm's visitors, 0 without any: each, or of many amounts a histogram."""

    visitors: tuple[float, ...] | Histogram
    largest: LargestValues


@dataclass(frozen=True)
class Table:
    """A table that was read.

    Attributes:
        definition: made from the table; its `starts_at` is the instant of all rows.
        columns: which column holds what.
        names: columns of the cells of each row.
        counted: what the numbers of the rows count: "line" or "row".
        rows: one a visitor, in the file's order.
        rejects: rows that were left out, in the file's order.
        read: rows in the file.
        repeated: rows that repeat a visitor with the same content.
        weighted: whether the arms' weights were given; otherwise they are equal.
        file: name of the file, without its folder.
    """

    definition: Definition
    columns: TableColumns
    names: tuple[str, ...]
    counted: str
    rows: tuple[TableRow, ...]
    rejects: tuple[Reject, ...]
    read: int
    repeated: int
    weighted: bool
    file: str

    def observations(self) -> Observations:
        """Counts and moments, without any store; the same numbers as an import gives."""
        return table_observations(self.definition, self.rows, refused=len(self.rejects))

    def visitor_values(self, arm: str) -> VisitorValues:
        """The joint values of an arm's rows."""
        return table_visitors(self.definition, self.rows, arm)

    def values(self, largest: int) -> dict[str, dict[str, TableValues]]:
        """The money of each metric of money per visitor, by arm, in major units.

        Args:
            largest: how many of the largest are listed of each arm.
        """
        scale = 10 ** minor_digits(self.definition.currency)
        is_short = len({row.revenue for row in self.rows}) <= MOST_VALUES
        found: dict[str, dict[str, TableValues]] = {}
        for metric in self.definition.metrics:
            if metric.numerator.is_money and metric.denominator is None:
                for arm in self.definition.arms:
                    own = [row.revenue or 0 for row in self.rows if row.arm == arm.name]
                    top = sorted((value for value in own if value > 0), reverse=True)[:largest]
                    every = tuple(value / scale for value in own)
                    values = TableValues(
                        every if is_short else Histogram.of(own, scale=scale),
                        LargestValues(tuple(value / scale for value in top), sum(own) / scale),
                    )
                    found.setdefault(metric.name, {})[arm.name] = values
        return found

    def exposures(self) -> Iterator[Exposure]:
        """One exposure a row, all at the table's instant."""
        at = instant(self.definition)
        return (Exposure(self.definition.experiment, row.visitor, row.arm, at) for row in self.rows)

    def outcomes(self) -> Iterator[Outcome]:
        """One outcome for each conversion and for each revenue other than 0, at the table's instant."""
        at, currency = instant(self.definition), self.definition.currency
        for row in self.rows:
            for event, value in row_outcomes(row):
                money = None if value is None else major_units(value, currency)
                key = outcome_key(self.definition.experiment, row.visitor)
                yield Outcome(key, row.visitor, event, at, value=money, currency=currency)

    def covariates(self) -> Iterator[Covariate]:
        """One covariate a visitor who has a value, a microsecond before the table's instant."""
        name, at = self.columns.covariate, covariate_time(self.definition)
        if name is not None:
            for row in self.rows:
                if row.covariate is not None:
                    yield Covariate(row.visitor, name, row.covariate, at)


def instant(definition: Definition) -> datetime:
    """When all visitors of a table were exposed."""
    if definition.starts_at is None:
        raise InputError(f"the definition of table {definition.experiment!r} has no starts_at")
    return definition.starts_at


def covariate_time(definition: Definition) -> datetime:
    """When the covariates of a table were known: just before its instant."""
    return instant(definition) - timedelta(microseconds=1)


def outcome_key(experiment: str, visitor: str) -> str:
    """Outcome id of a table's visitor: two tables may both count their rows from 1."""
    key = f"{experiment}/{visitor}"
    if len(key.encode()) <= 255:
        return key
    return f"sha256:{sha256(key.encode()).hexdigest()}"


def row_outcomes(row: TableRow) -> Iterator[tuple[str, int | None]]:
    """Event and value in minor units of each outcome that a row stands for."""
    if row.converted:
        yield CONVERSION, None
    if row.revenue:
        yield REVENUE, row.revenue


def read_table(
    path: str | Path,
    *,
    arm: str,
    control: str,
    visitor: str | None = None,
    revenue: str | None = None,
    conversion: str | None = None,
    covariate: str | None = None,
    weights: Mapping[str, object] | None = None,
    key: str | None = None,
    currency: str = "EUR",
    encoding: str = "utf-8",
    primary: str | None = None,
    delimiter: str = ",",
) -> Table:
    """Read a file of one row a visitor: CSV, gzipped or not, or Parquet.

    Rows that cannot be read are left out and listed; so are a visitor's further rows with other content, and rows in an
    arm that has no weight where weights are given.

    Args:
        path: the file.
        arm: column of the arm's name.
        control: name of the reference arm.
        visitor: column of the visitor's id; None numbers the rows from 1.
        revenue: column of the revenue per visitor, in major units; negative is legal, empty is not.
        conversion: column that says whether the visitor converted (0/1, true/false, yes/no).
        covariate: column of a number known before; empty is a missing value.
        weights: intended ratio of each arm, any positive numbers; None: equal.
        key: the experiment's key; None makes one of the file's name.
        currency: ISO 4217 code of the revenue.
        encoding: of a CSV file.
        primary: name of the primary metric; None: revenue_per_visitor if there is revenue, else conversion.
        delimiter: between the cells of a CSV file.

    Raises:
        InputError: the file or a column is missing, nothing can be read, the control is not among the arms.
    """
    check_currency(currency)
    if key is not None:
        check_key(key)
    control = control.strip()
    columns = TableColumns(arm, visitor, revenue, conversion, covariate)
    exact = None if weights is None else table_weights(weights, control)
    file = open_rows(path, encoding=encoding, delimiter=delimiter)
    parse = _row_parser(file, columns, currency, None if exact is None else frozenset(exact))
    rows: dict[str, TableRow] = {}
    repeated = 0
    for line, cells in file:
        try:
            row = parse(line, file.read, cells)
            stored = rows.setdefault(row.visitor, row)
            if stored is not row:
                _check_repeat(file.counted, stored, row)
                repeated += 1
        except OfferliftError as error:
            file.reject(line, error.message, cells)
    if not rows:
        first = file.rejects[0]
        raise InputError(f"{path}: none of the {file.read} rows can be read; {first.place}: {first.reason}")
    seen = Counter(row.arm for row in rows.values())
    definition = table_definition(
        key if key is not None else slug(Path(path).name),
        columns,
        set(seen) if exact is None or control not in seen else set(exact),
        control,
        exact,
        currency=currency,
        primary=primary,
        at=datetime.now(UTC),
    )
    return Table(
        definition=definition,
        columns=columns,
        names=tuple(file.names),
        counted=file.counted,
        rows=tuple(rows.values()),
        rejects=tuple(file.rejects),
        read=file.read,
        repeated=repeated,
        weighted=exact is not None,
        file=Path(path).name.encode(errors="replace").decode(),
    )


def _row_parser(
    file: RowFile, columns: TableColumns, currency: str, known: frozenset[str] | None
) -> Callable[[int, int, list[str]], TableRow]:
    """What makes a row of line, number and cells; the columns are looked up once."""

    def reader(
        column: str | None, meaning: Meaning, parse: Callable[[str], Value]
    ) -> Callable[[list[str]], Value | None]:
        return (lambda _cells: None) if column is None else file.field(column, meaning, parse)

    arm_at = file.position(columns.arm)
    visitor_of = reader(columns.visitor, Meaning.ID, partial(check_id, "a visitor id"))
    conversion_of = reader(columns.conversion, Meaning.FLAG, parse_flag)
    revenue_of = reader(columns.revenue, Meaning.AMOUNT, lambda text: parse_minor_units(text, currency))
    covariate_of = reader(columns.covariate, Meaning.NUMBER, parse_number)
    names: dict[str, str] = {}

    def parse(line: int, number: int, cells: list[str]) -> TableRow:
        arm = names.get(cells[arm_at])
        if arm is None:
            # Spaces around it are no part of a name, as in the header.
            arm = cells[arm_at].strip()
            if known is not None and arm not in known:
                raise InputError(f"unknown arm {arm!r}; the arms are {', '.join(map(repr, sorted(known)))}")
            arm = names[cells[arm_at]] = check_arm(arm)
        return TableRow(
            line,
            visitor_of(cells) or str(number),
            arm,
            conversion_of(cells),
            revenue_of(cells),
            covariate_of(cells),
            tuple(cells),
        )

    return parse


def _check_repeat(counted: str, first: TableRow, row: TableRow) -> None:
    if first.content != row.content:
        raise InputError(
            f"visitor {row.visitor!r} is on {counted} {first.line} with other content; "
            f"that one counts, {counted} {row.line} does not"
        )
