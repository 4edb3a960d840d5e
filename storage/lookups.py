"""The integers that stand for text ids: found, or given out, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set

from sqlalchemy import Connection, Table, select

from .engine import Raced
from .engines import insert_keys, insert_missing, matches
from .tables import arm, experiment, name, visitor

__all__ = ["arm_ids", "experiment_ids", "find_ids", "name_ids", "visitor_ids", "visitors_and_new"]

MANY, SAMPLE = 500, 50
"""Of so many keys some are looked for first: where none of them is stored, all are inserted before they are sought."""


def visitor_ids(connection: Connection, keys: Collection[str]) -> dict[str, int]:
    """Number of each visitor, new ones included."""
    return _ids(connection, visitor, keys)[0]


def visitors_and_new(connection: Connection, keys: Collection[str]) -> tuple[dict[str, int], Set[str]]:
    """Number of each visitor, and who is known to be new: of whom nothing can be stored yet."""
    return _ids(connection, visitor, keys)


def name_ids(connection: Connection, keys: Collection[str]) -> dict[str, int]:
    """Number of each event's or covariate's name, new ones included."""
    return _ids(connection, name, keys)[0]


def experiment_ids(connection: Connection, keys: Collection[str]) -> dict[str, int]:
    """Number of each experiment, new ones included."""
    return _ids(connection, experiment, keys)[0]


def find_ids(connection: Connection, table: Table, keys: Collection[str]) -> dict[str, int]:
    """Number of each key that is stored; the others are left out."""
    if not keys:
        return {}
    found = select(table.c.key, table.c.id).where(matches(connection, table.c.key, keys))
    return dict(connection.execute(found).all())


def arm_ids(connection: Connection, experiment_id: int, names: Iterable[str] = ()) -> dict[str, int]:
    """Number of each arm that an experiment ever had, those in `names` added."""
    stored = select(arm.c.name, arm.c.id).where(arm.c.experiment_id == experiment_id)
    found = dict(connection.execute(stored).all())
    missing = [key for key in names if key not in found]
    if missing:
        insert_missing(connection, arm, ("experiment_id", "name"), [(experiment_id, key) for key in missing])
        found = dict(connection.execute(stored).all())
        if not found.keys() >= set(missing):
            raise Raced
    return found


def _ids(connection: Connection, table: Table, keys: Collection[str]) -> tuple[dict[str, int], Set[str]]:
    # In order, so that two writers of the same keys wait for one another instead of locking each other out.
    wanted = sorted(set(keys))
    seem_new = len(wanted) >= MANY and not find_ids(connection, table, wanted[:: len(wanted) // SAMPLE])
    found = {} if seem_new else find_ids(connection, table, wanted)
    new: dict[str, int] = {}
    missing = [key for key in wanted if key not in found] if found else wanted
    if missing:
        new = insert_keys(connection, table, missing)
        if len(new) == len(wanted):
            return new, new.keys()
        found |= new
        found |= find_ids(connection, table, [key for key in missing if key not in new])
    if missing and not found.keys() >= set(missing):
        # Stored by another writer since this transaction's view of the store was taken.
        raise Raced
    return found, new.keys()
