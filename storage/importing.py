"""Imports: files into a store, with a report of every row that was not taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

from ..errors import InputError
from ..experiments.definition import Definition
from ..experiments.metrics import Metric
from ..experiments.publishing import assignment_hash, plan_hash
from ..experiments.records import Exposure, OfferStep, Outcome
from ..experiments.snapshot import Published
from .results import Tally, WriteResult
from .rows import Records, Reject, write_rejects
from .store import CHUNK, Store
from .table import Table, TableRow, instant

__all__ = [
    "ImportReport",
    "import_exposures",
    "import_offer_steps",
    "import_outcomes",
    "import_table",
    "write_rejects",
]

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a file's rows: read = new + changed + repeated + refused.

    Attributes:
        read: rows in the file, without its header.
        new: rows stored for the first time.
        repeated: rows that changed nothing: the store, or an earlier row of the file, says the same.
        changed: exposures earlier than the stored one, or in another arm; steps of offers earlier than the stored one.
        crossovers: visitors that became crossovers by this import.
        rejects: rows that were refused, in the file's order.
        events: names of the outcomes that were taken, sorted.
    """

    read: int
    new: int
    repeated: int
    changed: int
    crossovers: int
    rejects: tuple[Reject, ...]
    events: tuple[str, ...] = ()

    @property
    def refused(self) -> int:
        """How many rows were refused."""
        return len(self.rejects)


def import_exposures(store: Store, records: Records[Exposure]) -> ImportReport:
    """Store the exposures of a file; the same file again changes nothing."""
    return _import_records(records, store.write_exposures)


def import_offer_steps(store: Store, records: Records[OfferStep]) -> ImportReport:
    """Store the steps of offers of a file; the same file again changes nothing."""
    return _import_records(records, store.write_offer_steps)


def import_outcomes(store: Store, records: Records[Outcome]) -> ImportReport:
    """Store the outcomes of a file; the same file again changes nothing."""
    events: set[str] = set()

    def write(chunk: list[Outcome]) -> WriteResult:
        result = store.write_outcomes(chunk)
        left_out = {one.index for one in (*result.conflicts, *result.refused)}
        events.update(record.name for index, record in enumerate(chunk) if index not in left_out)
        return result

    return replace(_import_records(records, write), events=tuple(sorted(events)))


def import_table(store: Store, table: Table) -> ImportReport:
    """Store a table of one row a visitor; the same table again changes nothing.

    The first import publishes the table's definition, stopped: there is nothing left to assign. A later one takes arms,
    ratios and instant from the store; rows in an arm that is not stored, and rows that say something else about a
    visitor than what is stored, are refused.

    Raises:
        InputError: the experiment is assigned by offerlift, or was imported with other columns, control or weights.
    """
    published = _published(store, table)
    arms = {arm.name for arm in published.definition.arms}
    listed = ", ".join(map(repr, sorted(arms)))
    rejects = list(table.rejects)
    rows: list[TableRow] = []
    for row in table.rows:
        if row.arm in arms:
            rows.append(row)
        else:
            rejects.append(
                _reject(
                    table, row, f"unknown arm {row.arm!r} of {table.definition.experiment!r}; its arms are {listed}"
                )
            )
    result = store.write_table_rows(published, rows, covariate=table.columns.covariate)
    rejects += [_reject(table, rows[one.index], one.message) for one in (*result.conflicts, *result.refused)]
    rejects.sort(key=lambda reject: reject.line)
    store.note_import(table.definition.experiment, table.file, read=table.read, refused=len(rejects))
    repeated = result.repeated + table.repeated
    return ImportReport(table.read, result.new, repeated, 0, 0, tuple(rejects))


def _published(store: Store, table: Table) -> Published:
    definition = table.definition
    if definition.experiment not in store.experiments():
        at = instant(definition)
        first = Published(definition, "stopped", 1, 1, at, at, assignment_hash(definition), plan_hash(definition))
        store.publish(first)
        return first
    published = store.published(definition.experiment)
    stored = published.definition
    if stored.source != "table":
        raise InputError(
            f"experiment {definition.experiment!r} is assigned by offerlift, not an imported table",
            hint="Import its rows with `import exposures` and `import outcomes`, or give the table another key.",
        )
    for what, old, new in _differences(stored, table):
        raise InputError(
            f"experiment {definition.experiment!r} is stored with {what} {old}; this table has {new}",
            hint="Give the table another key, or import it as before.",
        )
    return published


def _differences(stored: Definition, table: Table) -> Iterator[tuple[str, object, object]]:
    new = table.definition
    if stored.metrics != new.metrics:
        yield "metrics", _described(stored.metrics), _described(new.metrics)
    if stored.control != new.control:
        yield "control", repr(stored.control), repr(new.control)
    if stored.currency != new.currency:
        yield "currency", stored.currency, new.currency
    if stored.plan.primary != new.plan.primary:
        yield "primary metric", stored.plan.primary, new.plan.primary
    if table.weighted and stored.expected_shares != new.expected_shares:
        yield "weights", _shares(stored), _shares(new)


def _described(metrics: Sequence[Metric]) -> str:
    used = sorted({metric.covariate.name for metric in metrics if metric.covariate is not None})
    names = ", ".join(metric.name for metric in metrics)
    return f"{names} with covariate {used[0]!r}" if used else f"{names} without covariate"


def _shares(definition: Definition) -> str:
    return ", ".join(f"{arm} {share}" for arm, share in definition.expected_shares.items())


def _reject(table: Table, row: TableRow, reason: str) -> Reject:
    return Reject(row.line, reason, dict(zip(table.names, row.cells, strict=False)), table.counted)


def _import_records(records: Records[Record], write: Callable[[list[Record]], WriteResult]) -> ImportReport:
    tally = Tally()
    rows = iter(records)
    # A transaction's rows at a time: their cells are needed until the store has said what it takes.
    while chunk := list(islice(rows, CHUNK)):
        result = write([record for _, _, record in chunk])
        for one in (*result.conflicts, *result.refused):
            line, cells, _ = chunk[one.index]
            records.file.reject(line, one.message, cells)
        tally.new += result.new
        tally.repeated += result.repeated
        tally.changed += result.changed
        tally.crossovers += result.crossovers
    rejects = sorted(records.rejects, key=lambda reject: reject.line)
    return ImportReport(records.read, tally.new, tally.repeated, tally.changed, tally.crossovers, tuple(rejects))
