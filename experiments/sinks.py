"""Where records go: opening the store late, writing a batch, and finding the record in it that cannot be stored."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from ..errors import ConflictError, InputError, StoreError
from .records import Exposure, Link, Outcome
from .wire import EXPOSURE, LINK, OFFER_STEP, OUTCOME, Row, read_fields

__all__ = ["Sink", "is_down", "open_sink", "write", "write_apart"]


class Sink(Protocol):
    """What records are delivered to; `offerlift.storage.Store` is one.

    Each method takes a batch, and may be called again with the same records. It raises StoreError or OSError while it
    is down, which is tried again for ever. It may return an object with `refused` and `conflicts`: entries with the
    `index` of a record in the batch that cannot be stored, and a `message`.

    One that also has `write_offer_steps` gets the steps of offers; of another they are refused.
    """

    def write_exposures(self, records: Sequence[Exposure], /) -> Any:
        """Store exposures."""

    def write_outcomes(self, records: Sequence[Outcome], /) -> Any:
        """Store outcomes."""

    def write_links(self, records: Sequence[Link], /) -> Any:
        """Store identity links."""


def open_sink(url: str | os.PathLike[str]) -> Sink:
    """The store at a URL, through the entry point `offerlift.stores`: this package does not know the one above it.

    Raises:
        StoreError: no store is installed, or this one cannot be opened.
    """
    # Late: it costs as much as the rest of the import of the recorder.
    from importlib.metadata import entry_points

    stores = {found.name: found for found in entry_points(group="offerlift.stores")}
    text = os.fspath(url)
    found = stores.get(text.split(":")[0].split("+")[0]) or stores.get("default")
    if found is None:
        raise StoreError(
            "no store is installed: the entry point `default` of offerlift.stores is missing",
            hint="Install offerlift again.",
        )
    return found.load().open(text, create=False)


_METHODS = {
    EXPOSURE: "write_exposures",
    OUTCOME: "write_outcomes",
    LINK: "write_links",
    OFFER_STEP: "write_offer_steps",
}


def write(sink: Sink, rows: Iterable[Row]) -> dict[int, str]:
    """Write rows; key -> reason of those that the sink refused one by one."""
    refused: dict[int, str] = {}
    batches: dict[str, list[tuple[int, Any]]] = {}
    for row in rows:
        try:
            key, kind, fields = row
            batches.setdefault(kind, []).append((key, read_fields(kind, fields)))
        except InputError as error:
            refused[row.key] = str(error)
    for kind, batch in batches.items():
        if not batch:
            continue
        if kind == OFFER_STEP and not hasattr(sink, _METHODS[kind]):
            refused |= {key: "the sink has no write_offer_steps: it takes no steps of offers" for key, _ in batch}
            continue
        result = getattr(sink, _METHODS[kind])([record for _, record in batch])
        for entry in (*getattr(result, "refused", ()), *getattr(result, "conflicts", ())):
            refused[batch[entry.index][0]] = entry.message
    return refused


def write_apart(sink: Sink, rows: Sequence[Row]) -> dict[int, str]:
    """Write rows of which some make the whole batch fail: halved until those stand alone; key -> reason."""
    try:
        return write(sink, rows)
    except Exception as error:
        if is_down(error):
            raise
        if len(rows) == 1:
            return {rows[0].key: f"{type(error).__name__}: {error}"}
    middle = len(rows) // 2
    return write_apart(sink, rows[:middle]) | write_apart(sink, rows[middle:])


def is_down(error: BaseException) -> bool:
    """Whether the sink failed, rather than a record: what is then tried again for ever."""
    return isinstance(error, StoreError | OSError) and not is_refusal(error)


def is_refusal(error: BaseException) -> bool:
    """Whether it is about a record: its type or value, or what PEP 249 calls a data or integrity error."""
    if isinstance(error, InputError | ConflictError | TypeError | ValueError):
        return True
    # By name, as every driver has its own classes.
    chain = (error, error.__cause__)
    return any(kind.__name__ in ("DataError", "IntegrityError") for one in chain if one for kind in type(one).__mro__)
