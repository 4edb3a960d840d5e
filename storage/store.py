"""The store: definitions, exposures, outcomes and covariates in a database, and the observations read from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, Select, delete

from ..errors import InputError, StoreError
from ..experiments.metrics import Metric
from ..experiments.records import Covariate, Exposure, Link, OfferStep, Outcome
from ..experiments.snapshot import Published
from . import tables
from .archive import read_archive, read_kept_breakdown, read_kept_funnel, read_kept_showings, unpruned_version
from .arrivals import Arrivals, read_arrivals
from .audit import Audit, audit_assignments
from .decisions import Decided, add_decision, read_decisions
from .distributions import Distributions, Largest, read_distributions, read_largest
from .engine import Raced, database_url, open_engine, read, translated, writing
from .engines import database_of
from .exploring import RecordedSegments, segments_of_versions
from .exposures import prepare_exposures, store_exposures
from .forks import AcrossForks
from .funnels import Funnel, read_funnel
from .identity import prepare_links, store_links
from .looks import Look, add_look, read_looks
from .lookups import experiment_ids
from .money import check_currency
from .observations import Breakdown, Observations
from .offer_steps import prepare_offer_steps, store_offer_steps
from .opening import open_tables
from .origins import Origin, store_origin
from .outcomes import prepare_covariates, prepare_outcomes, store_covariates, store_outcomes
from .overlaps import Overlap, read_overlap
from .reading import (
    SegmentCounts,
    read_breakdown,
    read_counts,
    read_observations,
    read_variant,
    visitors_of,
)
from .rejections import Kind, count_rejections
from .results import Refusal, Tally, WriteResult
from .series import Series, SinceExposure, read_series, read_since_exposure
from .showings import ByShowings, read_by_showings
from .table import TableRow
from .table_rows import store_table_rows
from .times import now_micros, to_micros
from .versions import Revision, add_version, all_versions, experiment_keys, latest_version, read_revisions
from .visitors import VisitorValues, read_visitors

__all__ = ["CHUNK", "Store"]

CHUNK = 10_000
"""Records of one transaction."""

Record = TypeVar("Record")
Ready = TypeVar("Ready")
Result = TypeVar("Result")


class Store(AcrossForks):
    """An open store; use it as a context manager, or call `close`.

    Each write takes any number of records in transactions of 10,000: those acknowledged stay, whatever happens next,
    and writing the same records again changes nothing, so a failed write is simply repeated.
    """

    def __init__(self, engine: Engine, url: URL, currency: str, *, read_only: bool = False):
        super().__init__(engine)
        self._url = url
        self._read_only = read_only
        self.currency = currency
        self._written = 0
        self._settle_at = CHUNK
        self._rehearsing: Connection | None = None

    @classmethod
    def open(
        cls,
        url: str | Path = "sqlite:///offerlift.db",
        *,
        schema: str | None = None,
        currency: str | None = None,
        create: bool = True,
        read_only: bool = False,
    ) -> Store:
        """Open a store, and create it where there is none.

        Args:
            url: URL of the database, or the path of a SQLite file. With `?statement_timeout=SECONDS` no statement may
                take longer.
            schema: of PostgreSQL, the schema that holds the tables; created if missing. Elsewhere a store has a file,
                or a database, of its own.
            currency: ISO 4217 code that the store reports in. None takes the store's own, EUR for a new one.
            create: whether a store may be created; otherwise a missing one is an error.
            read_only: whether the database itself is told to refuse every write; such a store is never created.

        Raises:
            StoreError: it cannot be reached, read or written; it is of another schema version or currency.
            InputError: a currency that is no ISO 4217 code, or a schema where there are none.
        """
        if currency is not None:
            check_currency(currency)
        address, create = database_url(url), create and not read_only
        engine = open_engine(address, schema=schema, create=create, only_read=read_only)
        try:
            found = open_tables(engine, schema=schema, currency=currency, create=create)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, address, found, read_only=read_only)

    @property
    def url(self) -> str:
        """The URL, without its password."""
        return self._url.render_as_string(hide_password=True)

    @property
    def engine(self) -> Engine:
        """The connections, for what looks after the store as a whole."""
        return self._engine

    def close(self) -> None:
        """Release the connections."""
        try:
            if not self._read_only:
                with translated(self._url):
                    database_of(self._engine).checkpoint(self._engine)
        except StoreError:
            # All is stored already: the log is merely left for the next to move.
            pass
        finally:
            self._engine.dispose()

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Within it everything is written in one transaction, which is taken back at its end.

        So results say exactly what would happen. Other writers wait meanwhile. Only this object's writes are part of
        it: what it reads is what is stored.
        """
        with (
            translated(self._url),
            database_of(self._engine).turn_to_write(self._engine),
            self._engine.connect() as connection,
            connection.begin() as transaction,
        ):
            self._rehearsing = connection
            try:
                yield
            except Raced:
                raise StoreError("another writer came in between", hint="Try again.") from None
            finally:
                self._rehearsing = None
                transaction.rollback()

    def _writing(self, work: Callable[[Connection], Result]) -> Result:
        """The result of `work` in a transaction of its own, or in that of the rehearsal."""
        return writing(self._engine, work) if self._rehearsing is None else work(self._rehearsing)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def publish(self, published: Published) -> None:
        """Add a version of an experiment; writing the same version again changes nothing.

        Raises:
            ConflictError: that version is stored with other content, or a later one is stored already.
            InputError: its money is in another currency than the store's.
        """
        definition = published.definition
        if definition.currency != self.currency:
            raise InputError(
                f"experiment {definition.experiment!r} is in {definition.currency}, the store in {self.currency}",
                hint="Use a store of that currency: one store a shop, one currency a store.",
            )
        self._writing(lambda connection: add_version(connection, published))

    def published(self, experiment: str) -> Published:
        """The latest version of an experiment.

        Raises:
            InputError: there is none of that key.
        """
        return read(self._engine, lambda connection: latest_version(connection, experiment))

    def find(self, experiment: str) -> Published | None:
        """The latest version of an experiment; None where there is none of that key."""

        def look(connection: Connection) -> Published | None:
            known = experiment in experiment_keys(connection)
            return latest_version(connection, experiment) if known else None

        return read(self._engine, look)

    def versions(self, experiment: str) -> tuple[Published, ...]:
        """Every version of an experiment, the first one first.

        Raises:
            InputError: there is none of that key.
        """

        def work(connection: Connection) -> tuple[Published, ...]:
            latest_version(connection, experiment)
            return all_versions(connection, experiment)

        return read(self._engine, work)

    def experiments(self) -> list[str]:
        """Keys of all published experiments, sorted."""
        return read(self._engine, experiment_keys)

    def revisions(self) -> dict[str, Revision]:
        """The latest version and the latest look of each published experiment, by its key.

        They say whether a report is out of date; visitors and outcomes that arrive change neither.
        """
        return read(self._engine, read_revisions)

    def write_exposures(self, records: Iterable[Exposure]) -> WriteResult:
        """Store exposures: the earliest of a visitor counts, ties go by arm name, another arm makes a crossover.

        Records of an unknown experiment or arm and impossible ids are refused one by one; the others are stored.
        """
        now = now_micros()
        return self._write(
            records, prepare_exposures, lambda connection, chunk: store_exposures(connection, chunk, now), "exposure"
        )

    def write_outcomes(self, records: Iterable[Outcome]) -> WriteResult:
        """Store outcomes: once for each name and outcome id; other content under a stored id is a conflict.

        An outcome in another currency than the store's counts as an order and in no money column, unless it has its
        reporting amounts; a refund counts once its original is stored, whichever comes first. Impossible ids, fractions
        of a minor unit and refunds of negative amounts are refused one by one.
        """
        now = now_micros()
        return self._write(
            records,
            lambda chunk, tally: prepare_outcomes(chunk, self.currency, tally),
            lambda connection, chunk: store_outcomes(connection, chunk, now),
            "outcome",
        )

    def write_offer_steps(self, records: Iterable[OfferStep]) -> WriteResult:
        """Store how far visitors came with offers: of a visitor, step and offer the earliest counts, with its reason.

        Records of an unknown experiment or offer and impossible ids are refused one by one; the others are stored.
        """
        now = now_micros()
        return self._write(
            records,
            prepare_offer_steps,
            lambda connection, chunk: store_offer_steps(connection, chunk, now),
            "offer_step",
        )

    def write_covariates(self, records: Iterable[Covariate]) -> WriteResult:
        """Store covariates: once for each name, visitor and time; another value there is a conflict."""
        return self._write(records, prepare_covariates, store_covariates, "covariate")

    def write_table_rows(
        self, published: Published, rows: Sequence[TableRow], *, covariate: str | None = None
    ) -> WriteResult:
        """Store rows of an imported table; a visitor that is stored with other content is a conflict."""
        now = now_micros()
        return self._write(
            rows,
            lambda chunk, _tally: list(chunk),
            lambda connection, chunk: store_table_rows(connection, published, covariate, chunk, now),
        )

    def write_links(self, records: Iterable[Link]) -> WriteResult:
        """Store identity links: once for each anonymous visitor; another customer for one is a conflict.

        In an analysis both are one person, whose earliest exposure and whose outcomes under either id count.
        """
        return self._write(records, prepare_links, store_links, "link")

    def audit(self, experiment: str, *, limit: int = 100) -> Audit:
        """Compute every stored assignment of an experiment again, inside the database.

        Args:
            experiment: its key.
            limit: most mismatches that are listed; all are counted.

        Raises:
            InputError: no such experiment, or one whose visitors were assigned elsewhere.
        """
        return read(self._engine, lambda connection: audit_assignments(connection, experiment, limit=limit))

    def observations(self, experiment: str, *, as_of: datetime | None = None) -> Observations:
        """Counts and moments of an experiment's latest version, as of now or of an earlier time.

        Exposures, outcomes and identity links later than `as_of` are left out; moments are those of the visitors whose
        window has passed by then. A visitor counts in the phase that exposed them first. Of an experiment whose rows
        were pruned, they are those that were kept.

        Raises:
            InputError: no experiment of that key, a naive time, or one before those that were kept.
        """
        return self._kept_or_read(experiment, as_of, read_archive, read_observations)

    def analysis_sql(self, experiment: str, dialect: str, *, as_of: datetime | None = None) -> list[str]:
        """The statements that `observations` sends for its numbers, written for a warehouse; none of them is run.

        Args:
            experiment: its key.
            dialect: one of `offerlift.storage.transpiling.DIALECTS`.
            as_of: as for `observations`.

        Raises:
            InputError: no such experiment, an unknown dialect, or SQLGlot is not installed.
        """
        from .transpiling import analysis_statements, transpile

        at = now_micros() if as_of is None else to_micros(as_of)

        def record(connection: Connection) -> list[Select]:
            return analysis_statements(connection, latest_version(connection, experiment), at)

        return [transpile(statement, dialect) for statement in read(self._engine, record)]

    def recorded_segments(self, experiment: str) -> RecordedSegments:
        """The attributes that exposures of an experiment are recorded with: planned at its start, and all others.

        Raises:
            InputError: no experiment of that key.
        """
        return segments_of_versions(self.versions(experiment))

    def breakdown(
        self, experiment: str, segment: str, *, as_of: datetime | None = None, grouped: bool = False
    ) -> Breakdown:
        """The same split by a segment's values: by phase and arm, visitors and moments of each value.

        Args:
            experiment: its key.
            segment: name of an attribute that some version of its definition names.
            as_of: as for `observations`.
            grouped: list the nine most frequent values, and visitors with any other as "(other)".

        Raises:
            InputError: no experiment of that key, no such segment, a naive time; or, `grouped`, an attribute with so
                many values that hardly any visitor has one of the most frequent.
        """
        return self._kept_or_read(
            experiment,
            as_of,
            lambda connection, key, at: read_kept_breakdown(connection, key, at, segment),
            lambda connection, published, at: read_breakdown(connection, published, at, segment, grouped=grouped),
        )

    def measured(self, experiment: str, metrics: Sequence[Metric], *, as_of: datetime | None = None) -> Observations:
        """The same visitors by other metrics than those of the definition, which has these in their place.

        Raises:
            InputError: no experiment of that key, a naive time, or rows that were pruned.
        """
        at = now_micros() if as_of is None else to_micros(as_of)

        def measure(connection: Connection) -> Observations:
            published = _measured_by(unpruned_version(connection, experiment), metrics)
            return read_observations(connection, published, at)

        return read(self._engine, measure)

    def overlap(self, first: str, second: str, *, as_of: datetime | None = None) -> Overlap:
        """What the visitors of two experiments did by their arms in both, measured by the metrics of the first.

        Raises:
            InputError: no experiment of such a key, twice the same, a naive time, or rows of one that were pruned.
        """
        at = now_micros() if as_of is None else to_micros(as_of)
        return read(self._engine, lambda connection: read_overlap(connection, first, second, at))

    def funnel(self, experiment: str, *, as_of: datetime | None = None) -> Funnel:
        """How far the visitors of each arm came with the offers, by step, offer and reason; all arms, control included.

        A diagnosis, never the metric: these counts are not comparable between arms. Where no step was recorded, `note`
        says so.

        Raises:
            InputError: no experiment of that key, a naive time, or one before what is kept of a pruned experiment.
        """
        return self._kept_or_read(experiment, as_of, read_kept_funnel, read_funnel)

    def by_showings(self, experiment: str, *, as_of: datetime | None = None) -> ByShowings:
        """The primary metric by the number of times that a visitor was shown an offer: a description, no effect.

        That number comes after the assignment, and who comes more often buys more: compare nothing by it.

        Raises:
            InputError: no experiment of that key, a naive time, or one before what is kept of a pruned experiment.
        """
        return self._kept_or_read(experiment, as_of, read_kept_showings, read_by_showings)

    def visitors_by(self, experiment: str, segment: str, *, as_of: datetime | None = None) -> SegmentCounts:
        """The visitors alone by a segment's values, without reading an outcome: value -> phase -> arm -> visitors.

        Arms without visitors of a value are left out.

        Raises:
            InputError: as `breakdown`.
        """

        def kept_counts(connection: Connection, key: str, at: int | None) -> SegmentCounts | None:
            kept = read_kept_breakdown(connection, key, at, segment)
            return None if kept is None else visitors_of(kept)

        return self._kept_or_read(
            experiment,
            as_of,
            kept_counts,
            lambda connection, published, at: read_counts(connection, published, at, segment),
        )

    def cumulative(self, experiment: str, *, as_of: datetime | None = None) -> Series:
        """Moments of an experiment's latest version at the end of each day, as of now or of an earlier time.

        Each day has all visitors exposed by its end with what was known of them then, mature or not.

        Raises:
            InputError: no experiment of that key, or a naive time.
        """
        return self._analysed(experiment, as_of, read_series)

    def since_exposure(
        self,
        experiment: str,
        *,
        days: int = 30,
        as_of: datetime | None = None,
        metrics: Sequence[Metric] | None = None,
    ) -> SinceExposure:
        """Moments of an experiment's latest version 1, 2, ... days after each visitor's exposure.

        Args:
            experiment: its key.
            days: most days that are read, at most 366.
            as_of: the moment of the analysis; None: now.
            metrics: that are read in place of all of the definition's, which takes less time.

        Raises:
            InputError: no experiment of that key, a naive time, or days outside 1 to 366.
        """
        return self._analysed(
            experiment, as_of, lambda connection, origin: read_since_exposure(connection, origin, days), metrics
        )

    def variant(
        self,
        experiment: str,
        *,
        as_of: datetime | None = None,
        caps: Mapping[str, int | None] | None = None,
        without_crossovers: bool = False,
    ) -> Observations:
        """The observations of an experiment's latest version read otherwise, to see how much hangs on that.

        Args:
            experiment: its key.
            as_of: as for `observations`.
            caps: metric name -> largest value of one visitor that counts, in minor units, in place of its own; None
                for no cap.
            without_crossovers: whether visitors are left out who were seen in another arm than their first.

        Raises:
            InputError: no experiment of that key, a naive time, or rows that were pruned.
        """
        return self._analysed(
            experiment,
            as_of,
            lambda connection, origin: read_variant(
                connection, origin, caps or {}, without_crossovers=without_crossovers
            ),
        )

    def arrivals(self, experiment: str, *, as_of: datetime | None = None) -> dict[str, Arrivals]:
        """How many outcomes of an experiment's visitors were written long after they happened, by arm.

        Raises:
            InputError: no experiment of that key, a naive time, or rows that were pruned.
        """
        return self._analysed(experiment, as_of, read_arrivals)

    def distributions(self, experiment: str, *, as_of: datetime | None = None) -> Distributions:
        """Histograms of orders' and visitors' money, and each arm's largest values, of an experiment's latest version.

        Raises:
            InputError: no experiment of that key, or a naive time.
        """
        return self._analysed(experiment, as_of, read_distributions)

    def largest(self, experiment: str, *, as_of: datetime | None = None) -> Largest:
        """The largest sum of a visitor in each arm beside all of them, of the latest version's metrics of money.

        Raises:
            InputError: no experiment of that key, a naive time, or rows that were pruned.
        """
        return self._analysed(experiment, as_of, read_largest)

    def visitor_values(self, experiment: str, arm: str, *, as_of: datetime | None = None) -> VisitorValues:
        """The joint values of all metrics' columns of an arm's visitors, at most about 500,000 of them.

        Raises:
            InputError: no experiment of that key, no visitors in that arm, a naive time, or rows that were pruned.
        """
        return self._analysed(experiment, as_of, lambda connection, origin: read_visitors(connection, origin, arm))

    def _kept_or_read(
        self,
        experiment: str,
        as_of: datetime | None,
        kept: Callable[[Connection, str, int | None], Result | None],
        fresh: Callable[[Connection, Published, int], Result],
    ) -> Result:
        """What was kept of an experiment whose rows were pruned, by its key; or what is read of its latest version."""
        at = None if as_of is None else to_micros(as_of)

        def work(connection: Connection) -> Result:
            published = latest_version(connection, experiment)
            found = kept(connection, experiment, at)
            return fresh(connection, published, now_micros() if at is None else at) if found is None else found

        return read(self._engine, work)

    def _analysed(
        self,
        experiment: str,
        as_of: datetime | None,
        work: Callable[[Connection, Origin], Result],
        metrics: Sequence[Metric] | None = None,
    ) -> Result:
        at = now_micros() if as_of is None else to_micros(as_of)

        def analyse(connection: Connection) -> Result:
            published = _measured_by(unpruned_version(connection, experiment), metrics)
            return work(connection, store_origin(connection, published, at))

        return read(self._engine, analyse)

    def looks(self, experiment: str) -> tuple[Look, ...]:
        """Everything that was recorded at the looks so far, in their order; empty where nobody has looked.

        Raises:
            InputError: no experiment of that key.
        """

        def work(connection: Connection) -> tuple[Look, ...]:
            latest_version(connection, experiment)
            return read_looks(connection, experiment)

        return read(self._engine, work)

    def record_look(self, experiment: str, rows: Sequence[Look]) -> bool:
        """Record a look: all its rows or none, once, and never changed afterwards.

        Of several reviews that record the next look at once one does, and the others get False; so does a look that is
        recorded already, and one that is not later than the last.

        Args:
            experiment: its key.
            rows: one for each treatment arm and metric that was looked at, all of the same look, numbered after the
                last one.

        Raises:
            InputError: no such experiment or arm, no rows, or rows of several looks.
        """
        return writing(self._engine, lambda connection: add_look(connection, experiment, rows))

    def decisions(self, experiment: str) -> tuple[Decided, ...]:
        """What was decided about an experiment, the first decision first; empty where nothing was.

        Raises:
            InputError: no experiment of that key.
        """

        def work(connection: Connection) -> tuple[Decided, ...]:
            latest_version(connection, experiment)
            return read_decisions(connection, experiment)

        return read(self._engine, work)

    def record_decision(self, experiment: str, made: Decided) -> Decided:
        """Record a decision, which is never changed, and return it with the number that it got.

        Decisions made at once get different numbers. It is a record alone: nothing starts or stops by it.

        Args:
            experiment: its key.
            made: what was decided; its number is not looked at.

        Raises:
            InputError: no such experiment, an arm that it never had, or a naive time.
        """
        number = writing(self._engine, lambda connection: add_decision(connection, experiment, made))
        return replace(made, number=number)

    def note_import(self, experiment: str, file: str, *, read: int, refused: int) -> None:
        """Remember how many rows of a table were read and refused, at the last import of a file of that name."""

        def note(connection: Connection) -> None:
            number = experiment_ids(connection, [experiment])[experiment]
            row = {"experiment_id": number, "file": file, "read": read, "refused": refused}
            key = (tables.import_file.c.experiment_id == number) & (tables.import_file.c.file == file)
            connection.execute(delete(tables.import_file).where(key))
            connection.execute(tables.import_file.insert(), row)

        self._writing(note)

    def _write(
        self,
        records: Iterable[Record],
        prepare: Callable[[Iterable[tuple[int, Record]], Tally], list[Ready]],
        store: Callable[[Connection, list[Ready]], Tally],
        kind: Kind | None = None,
    ) -> WriteResult:
        """Write records chunk by chunk; what is not taken of a kind is counted in the transaction of its chunk."""
        tally = Tally()
        first = 0
        for chunk in _chunks(records, CHUNK):
            before = len(tally.refused)
            ready = prepare(enumerate(chunk, first), tally)
            refused = tally.refused[before:]
            if ready or (refused and kind is not None):
                tally.add(self._writing(_counted(store, kind, chunk, first, ready, refused)))
                self._written += len(ready)
            first += len(chunk)
        if self._written >= self._settle_at and self._rehearsing is None:
            with translated(self._url):
                database_of(self._engine).settle(self._engine)
            self._settle_at = 2 * self._written
        return tally.result()


def _counted(
    store: Callable[[Connection, list[Ready]], Tally],
    kind: Kind | None,
    chunk: Sequence[Record],
    first: int,
    ready: list[Ready],
    refused: Sequence[Refusal],
) -> Callable[[Connection], Tally]:
    """The transaction of a chunk, its first record at that position: what is `ready` is stored, what is not taken is
    counted."""

    def work(connection: Connection) -> Tally:
        done = store(connection, ready) if ready else Tally()
        if kind is not None and (refused or done.refused or done.conflicts):
            contrary = [chunk[one.index - first] for one in done.conflicts]
            impossible = [chunk[one.index - first] for one in (*refused, *done.refused)]
            count_rejections(connection, kind, contrary, impossible, now_micros())
        return done

    return work


def _measured_by(published: Published, metrics: Sequence[Metric] | None) -> Published:
    """The same version, with these metrics in place of its own."""
    if metrics is None:
        return published
    return replace(published, definition=replace(published.definition, metrics=tuple(metrics)))


def _chunks(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    rest = iter(records)
    while chunk := list(islice(rest, size)):
        yield chunk
