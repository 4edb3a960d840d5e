"""The segments of the earliest exposure: rows beside the visitor's exposure, locked and written together with it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, delete, select

from .engines import insert_missing, locked, matches
from .lookups import name_ids
from .tables import definition, name, segment

__all__ = ["Categories", "named_segments", "read_segments", "write_segments"]

Categories = tuple[tuple[str, str], ...]
"""A visitor's segments as (name, value), by name in order."""


def named_segments(connection: Connection, experiment_ids: Iterable[int]) -> dict[int, frozenset[str]]:
    """The segments that some version of each experiment names: an exposure may come late, of a version long past."""
    named: dict[int, frozenset[str]] = defaultdict(frozenset)
    documents = select(definition.c.experiment_id, definition.c.document).where(
        matches(connection, definition.c.experiment_id, list(experiment_ids))
    )
    for experiment_id, document in connection.execute(documents):
        # Not by `Published.from_json`: a transaction needs this one list of each version, and nothing else.
        values = json.loads(document)["definition"]
        named[experiment_id] |= {*values.get("segments", ()), *values.get("exploratory_segments", ())}
    return named


def read_segments(connection: Connection, key: tuple[int, int], visitors: Collection[int]) -> dict[int, Categories]:
    """What is stored of these visitors in an experiment and phase; those without segments are left out."""
    statement = (
        select(*(segment.c[field] for field in ("visitor_id", "name_id", "value")))
        .where(segment.c.experiment_id == key[0], segment.c.phase == key[1])
        .where(matches(connection, segment.c.visitor_id, list(visitors)))
    )
    # The rows of the visitors' exposures are locked already. Where a plain read sees the state in which the
    # transaction began, only a locking one sees what the writer that we waited for has written.
    rows = list(map(tuple, connection.execute(locked(connection, statement))))
    names = _names(connection, {name_id for _, name_id, _ in rows})
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for visitor_id, name_id, value in rows:
        found[visitor_id].append((names[name_id], value))
    return {visitor_id: tuple(sorted(pairs)) for visitor_id, pairs in found.items()}


def write_segments(
    connection: Connection,
    key: tuple[int, int],
    segments: Mapping[int, Categories],
    stored: Collection[int],
) -> None:
    """Store the visitors' segments, instead of those that the visitors in `stored` may have."""
    if stored:
        connection.execute(
            delete(segment)
            .where(segment.c.experiment_id == key[0], segment.c.phase == key[1])
            .where(matches(connection, segment.c.visitor_id, stored))
        )
    numbers = name_ids(connection, {name for pairs in segments.values() for name, _ in pairs})
    rows = [(*key, visitor_id, numbers[name], value) for visitor_id, pairs in segments.items() for name, value in pairs]
    insert_missing(connection, segment, ("experiment_id", "phase", "visitor_id", "name_id", "value"), rows)


def _names(connection: Connection, numbers: Collection[int]) -> dict[int, str]:
    if not numbers:
        return {}
    found = select(name.c.id, name.c.key).where(matches(connection, name.c.id, list(numbers)))
    return dict(connection.execute(found).all())
