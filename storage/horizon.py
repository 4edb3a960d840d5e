"""How far back a store was pruned: facts from before that are not taken any more.

Outcomes that were pruned cannot be recognised when they are delivered again, and exposures that arrive so late would
miss outcomes that are gone. So both are refused, one by one and with this reason, unless they are still stored or, of
exposures, change nothing.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from .tables import store
from .times import from_micros

__all__ = ["is_pruned", "prune_horizon", "raise_horizon", "too_old"]

_KEY = "pruned_before"


def prune_horizon(connection: Connection) -> int | None:
    """Time in microseconds from before which rows were pruned; None where nothing ever was."""
    value = connection.scalar(select(store.c.value).where(store.c.key == _KEY))
    return None if value is None else int(value)


def raise_horizon(connection: Connection, before: int) -> None:
    """Note that rows from before a time in microseconds are pruned; an earlier time changes nothing."""
    known = prune_horizon(connection)
    if known is None or known < before:
        connection.execute(delete(store).where(store.c.key == _KEY))
        connection.execute(insert(store), {"key": _KEY, "value": str(before)})


def is_pruned(at: int, horizon: int | None) -> bool:
    """Whether what happened then would have been pruned."""
    return horizon is not None and at < horizon


def too_old(what: str, at: int, horizon: int | None) -> str:
    """Why such a record is refused."""
    until = "" if horizon is None else from_micros(horizon).isoformat()
    return (
        f"{what} of {from_micros(at).isoformat()} is older than {until}, before which this store was pruned; "
        "whether it was stored once is not known any more"
    )
