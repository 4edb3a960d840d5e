"""What was read of a decided experiment, kept when its rows are pruned, so that its report stays the same.

The whole `Observations` are kept as JSON, field by field as they are declared: whatever an analysis comes to read of a
store is then kept too. Numbers come back to the last bit. The definition is not in it, as no version is ever pruned.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
from sqlalchemy import Connection, select

from ..errors import InputError, StoreError
from ..experiments.snapshot import Published
from ..stats.moments import Moments
from .funnels import Funnel
from .lookups import find_ids
from .observations import Breakdown, Observations
from .showings import ByShowings
from .tables import archive, definition, experiment
from .times import from_micros, to_micros
from .versions import latest_version

__all__ = [
    "read_archive",
    "read_kept_breakdown",
    "read_kept_funnel",
    "read_kept_showings",
    "unpruned_version",
    "write_archive",
]

OBSERVATIONS = "observations"
"""The part of an archive that reports are made of."""

BREAKDOWNS = "breakdowns"
"""The part with the breakdowns, by the name of their segment."""

NOT_KEPT = "The rows were pruned by a release that kept no steps of offers."

FUNNEL = "funnel"
"""The part that says how far visitors came with the offers."""

SHOWINGS = "showings"
"""The part with the primary metric by offers shown."""


def write_archive(
    connection: Connection,
    published: Published,
    observations: Observations,
    now: int,
    breakdowns: Mapping[str, Breakdown] | None = None,
    funnel: Funnel | None = None,
    showings: ByShowings | None = None,
) -> None:
    """Keep what was read of a published version, before its rows are pruned at `now` in microseconds.

    Raises:
        InputError: they are kept already; what was pruned cannot be read a second time.
    """
    key = published.definition.experiment
    number = find_ids(connection, experiment, [key])[key]
    kept = (archive.c.experiment_id == number) & (archive.c.part == OBSERVATIONS)
    if connection.scalar(select(archive.c.pruned_at).where(kept)) is not None:
        raise InputError(f"the rows of {key!r} were pruned already", hint="Its report is kept; there is nothing to do.")
    row = {
        "experiment_id": number,
        "version": published.version,
        "as_of": to_micros(observations.as_of),
        "pruned_at": now,
    }
    parts = {
        OBSERVATIONS: _fields(observations, without=("definition",)),
        BREAKDOWNS: {name: _fields(one) for name, one in (breakdowns or {}).items()},
        **({} if funnel is None else {FUNNEL: _fields(funnel)}),
        **({} if showings is None else {SHOWINGS: _fields(showings)}),
    }
    documents = {part: json.dumps(one, ensure_ascii=False, allow_nan=False) for part, one in parts.items()}
    connection.execute(archive.insert(), [row | {"part": part, "document": one} for part, one in documents.items()])


def read_archive(connection: Connection, key: str, as_of: int | None) -> Observations | None:
    """What is kept of an experiment whose rows were pruned; None where they were not.

    Args:
        connection: to the store.
        key: of the experiment, a published one.
        as_of: the moment of the analysis in microseconds; None for now.

    Raises:
        InputError: the moment is earlier than the one of which is known what had happened.
        StoreError: another release kept other things.
    """
    kept = _kept(connection, key, OBSERVATIONS, as_of)
    if kept is None:
        return None
    document, published = kept
    with _of_this_release(key):
        return _built(Observations, json.loads(document), {"definition": Published.from_json(published).definition})


def read_kept_breakdown(connection: Connection, key: str, as_of: int | None, segment: str) -> Breakdown | None:
    """The breakdown by a segment that is kept of an experiment whose rows were pruned; None where they were not.

    Raises:
        InputError: an earlier moment, as above, or a segment by which nothing was kept.
        StoreError: another release kept other things.
    """
    kept = _kept(connection, key, BREAKDOWNS, as_of)
    if kept is None:
        return None
    breakdowns = json.loads(kept[0])
    if segment not in breakdowns:
        raise InputError(
            f"the rows of {key!r} were pruned; nothing is kept by segment {segment!r}",
            hint=f"There is: {', '.join(breakdowns) or 'none'}.",
        )
    with _of_this_release(key):
        return _built(Breakdown, breakdowns[segment], {})


def read_kept_funnel(connection: Connection, key: str, as_of: int | None) -> Funnel | None:
    """The funnel that is kept of an experiment whose rows were pruned; None where they were not.

    Raises:
        InputError: an earlier moment, as above.
        StoreError: another release kept other things.
    """
    kept = _kept(connection, key, FUNNEL, as_of)
    if kept is not None:
        with _of_this_release(key):
            return _built(Funnel, json.loads(kept[0]), {})
    observations = read_archive(connection, key, as_of)
    return None if observations is None else Funnel(key, observations.as_of, note=NOT_KEPT)


def read_kept_showings(connection: Connection, key: str, as_of: int | None) -> ByShowings | None:
    """The metric by offers shown that is kept of an experiment whose rows were pruned; None where they were not.

    What a release without it has pruned is empty.

    Raises:
        InputError: an earlier moment, as above.
    """
    kept = _kept(connection, key, SHOWINGS, as_of)
    if kept is not None:
        with _of_this_release(key):
            return _built(ByShowings, json.loads(kept[0]), {})
    observations = read_archive(connection, key, as_of)
    if observations is None:
        return None
    return ByShowings(key, observations.as_of, observations.definition.plan.primary)


def unpruned_version(connection: Connection, key: str) -> Published:
    """The latest version of an experiment, for readings that no archive has.

    Raises:
        InputError: no experiment of that key, or its rows were pruned.
    """
    published = latest_version(connection, key)
    if _kept(connection, key, OBSERVATIONS, None) is not None:
        raise InputError(
            f"the rows of {key!r} were pruned, and what happened on which day is not kept",
            hint="Its report is: `offerlift analyze` without --by.",
        )
    return published


def _kept(connection: Connection, key: str, part: str, as_of: int | None) -> tuple[str, str] | None:
    """A part of what is kept, and the version that it is of, both as JSON."""
    row = connection.execute(
        select(archive.c.as_of, archive.c.document, definition.c.document)
        .join(experiment, experiment.c.id == archive.c.experiment_id)
        .join(
            definition,
            (definition.c.experiment_id == archive.c.experiment_id) & (definition.c.version == archive.c.version),
        )
        .where(experiment.c.key == key, archive.c.part == part)
    ).one_or_none()
    if row is None:
        return None
    kept_at, document, published = row
    if as_of is not None and as_of < kept_at:
        raise InputError(
            f"the rows of {key!r} were pruned; what is kept is its state of {from_micros(kept_at).isoformat()}, "
            f"seen {from_micros(as_of).isoformat()}",
            hint="Leave out the time of the analysis.",
        )
    return document, published


@contextmanager
def _of_this_release(key: str) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, KeyError) as error:
        raise StoreError(
            f"what is kept of {key!r} was written by another release: {error}", hint="Use the latest offerlift."
        ) from error


def _fields(value: Any, *, without: Sequence[str] = ()) -> dict[str, Any]:
    return {one.name: _plain(getattr(value, one.name)) for one in fields(value) if one.name not in without}


def _plain(value: Any) -> Any:
    """The value in JSON's terms; of a mapping that has other keys than text, the pairs."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if is_dataclass(value):
        return _fields(value)
    if isinstance(value, datetime):
        return to_micros(value)
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: _plain(one) for key, one in value.items()}
        return [[_plain(key), _plain(one)] for key, one in value.items()]
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"what is kept of an experiment cannot hold {value!r}")


def _built(kind: type[Any], document: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    hints = get_type_hints(kind)
    return kind(**given, **{name: _typed(hints[name], value) for name, value in document.items()})


def _typed(hint: Any, value: Any) -> Any:
    """The value as the type says that it was before it became JSON."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None:
            return None
        (hint,) = (one for one in inner if one is not NoneType)
        return _typed(hint, value)
    if hint is Moments:
        return Moments(tuple(value["columns"]), value["n"], *(np.array(value[name]) for name in ("mean", "m2", "m3")))
    if is_dataclass(hint):
        return _built(hint, value, {})  # type: ignore[arg-type] # a type hint is no instance
    if hint is datetime:
        return from_micros(value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        pairs = value.items() if isinstance(value, dict) else value
        return {_typed(inner[0], key): _typed(inner[1], one) for key, one in pairs}
    if origin is tuple and inner[-1] is not Ellipsis:
        return tuple(_typed(one, part) for one, part in zip(inner, value, strict=True))
    if origin in (tuple, list):
        return origin(_typed(inner[0], one) for one in value)
    return value
