"""A warehouse: somebody else's tables, analysed in place. Nothing is written, and nothing copied."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine

from ..errors import InputError
from ..experiments.definition import Definition, State
from ..experiments.warehouse import WarehouseTables
from .engine import database_url, open_engine, read, translated
from .engines import database_of
from .exploring import with_frequent_values
from .foreign import MissingTableError
from .forks import AcrossForks
from .funnels import NOT_IN_A_WAREHOUSE, Funnel
from .observations import Breakdown, Observations
from .origins import Origin
from .reading import SegmentCounts, count_by, observed, require_segment, split_by
from .series import Series, read_series
from .showings import ByShowings, count_showings
from .times import from_micros, now_micros, to_micros
from .warehouse_sources import warehouse_origin

__all__ = ["Warehouse"]

Result = TypeVar("Result")


class Warehouse(AcrossForks):
    """An open warehouse; use it as a context manager, or call `close`."""

    def __init__(self, engine: Engine, url: URL):
        super().__init__(engine)
        self._url = url

    @classmethod
    def open(cls, url: str | Path) -> Warehouse:
        """Open a database for reading only.

        Args:
            url: of SQLite, PostgreSQL, MariaDB, MySQL, DuckDB or Spark. `duckdb:///FOLDER` is a folder of Parquet
                files, each of them a table. With `?statement_timeout=SECONDS` no statement may take longer.

        Raises:
            StoreError: it cannot be reached or read.
        """
        address = database_url(url)
        return cls(open_engine(address, schema=None, create=False, only_read=True), address)

    @property
    def url(self) -> str:
        """The URL, without its password."""
        return self._url.render_as_string(hide_password=True)

    def close(self) -> None:
        """Release the connections."""
        self._engine.dispose()

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def observations(
        self, definition: Definition, tables: WarehouseTables, *, as_of: datetime | None = None
    ) -> Observations:
        """Counts and moments of an experiment, as of now or of an earlier time.

        Args:
            definition: the experiment, as `experiments.files.find_definition` reads it.
            tables: where its rows are.
            as_of: exposures and outcomes that are later are left out.

        Raises:
            InputError: a table or column that is not there or holds something else, no exposures, no known arm, or a
                naive time.
            StoreError: the database cannot be read.
        """
        at = now_micros() if as_of is None else to_micros(as_of)
        is_over = definition.ends_at is not None and to_micros(definition.ends_at) <= at
        state: State = "stopped" if is_over else "running"
        return self._read(definition, tables, at, lambda connection, origin: observed(connection, state, origin))

    def cumulative(self, definition: Definition, tables: WarehouseTables, *, as_of: datetime | None = None) -> Series:
        """Moments at the end of each day, of all visitors exposed by then; arguments and errors as `observations`."""
        at = now_micros() if as_of is None else to_micros(as_of)
        return self._read(definition, tables, at, read_series)

    def breakdown(
        self,
        definition: Definition,
        tables: WarehouseTables,
        segment: str,
        *,
        as_of: datetime | None = None,
        grouped: bool = False,
    ) -> Breakdown:
        """The same split by a segment's values; `grouped` as in `Store.breakdown`.

        Raises:
            InputError: as `observations`, no such segment in the definition or its tables; or, `grouped`, one with so
                many values that hardly any visitor has one of the most frequent.
            StoreError: the database cannot be read.
        """
        require_segment(definition, segment)
        at = now_micros() if as_of is None else to_micros(as_of)

        def split(connection: Connection, origin: Origin) -> Breakdown:
            return split_by(connection, with_frequent_values(connection, origin) if grouped else origin)

        return self._read(definition, tables, at, split, segment)

    def funnel(self, definition: Definition, tables: WarehouseTables, *, as_of: datetime | None = None) -> Funnel:
        """An empty funnel whose `note` says that a warehouse has no steps of offers; nothing is read."""
        at = now_micros() if as_of is None else to_micros(as_of)
        return Funnel(definition.experiment, from_micros(at), note=NOT_IN_A_WAREHOUSE)

    def by_showings(
        self, definition: Definition, tables: WarehouseTables, *, as_of: datetime | None = None
    ) -> ByShowings:
        """The primary metric by the number of times that a visitor was shown an offer: a description, no effect.

        Raises:
            InputError: as `observations`, or the definition has no `shown_event`.
            StoreError: the database cannot be read.
        """
        if definition.shown_event is None:
            raise InputError(
                NOT_IN_A_WAREHOUSE, hint="Name the event that is recorded each time an offer is seen as `shown_event`."
            )
        at = now_micros() if as_of is None else to_micros(as_of)
        return self._read(definition, tables, at, count_showings)

    def visitors_by(
        self, definition: Definition, tables: WarehouseTables, segment: str, *, as_of: datetime | None = None
    ) -> SegmentCounts:
        """The visitors alone by a segment's values: value -> phase -> arm -> visitors; errors as `breakdown`."""
        require_segment(definition, segment)
        at = now_micros() if as_of is None else to_micros(as_of)
        return self._read(definition, tables, at, count_by, segment)

    def _read(
        self,
        definition: Definition,
        tables: WarehouseTables,
        at: int,
        work: Callable[[Connection, Origin], Result],
        segment: str | None = None,
    ) -> Result:
        def find_and_read(connection: Connection) -> Result:
            return work(connection, warehouse_origin(connection, definition, tables, at, segment))

        try:
            return read(self._engine, find_and_read)
        except MissingTableError as error:
            # In a transaction of its own: PostgreSQL says nothing more in one that has failed.
            with translated(self._url), self._engine.connect() as connection:
                names = database_of(self._engine).table_names(connection)
            listed = f"There are: {', '.join(names[:50])}." if names else "There are no tables."
            raise InputError(error.message, hint=listed) from error
