"""Looks at planned experiments: events that are recorded once and never changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from ..errors import InputError
from .engine import Raced
from .engines import insert_missing
from .lookups import arm_ids, find_ids
from .tables import arm, experiment, look
from .times import from_micros, to_micros

__all__ = ["Look", "add_look", "read_looks"]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look saw of one arm at one metric.

    Attributes:
        look: its number, 1 for the first.
        arm, metric: a treatment arm against the control, on one metric.
        at: the moment of the analysis.
        clock: share of the planned sample that was reached, at most 1.
        planned: whether the plan asked for it; an unplanned one spends all the same.
        verdict: of the arm, in the row of the primary metric; "" in the others.
        report_hash: SHA-256 of the report that was shown.
        estimate, se, z: of the difference, in the metric's unit; None where there was none.
        boundary: what z had to reach; None where nothing could be spent.
        alpha_spent: the comparison's error that is spent up to and with this look.
        document: what was said and shown of it besides, in the terms of JSON.
    """

    look: int
    arm: str
    metric: str
    at: datetime
    clock: float
    planned: bool
    verdict: str = ""
    report_hash: str = ""
    estimate: float | None = None
    se: float | None = None
    z: float | None = None
    boundary: float | None = None
    alpha_spent: float | None = None
    document: Mapping[str, Any] = field(default_factory=dict)


def read_looks(connection: Connection, key: str) -> tuple[Look, ...]:
    """All rows of an experiment's looks: by look, arm and metric."""
    rows = connection.execute(
        select(look, arm.c.name)
        .join(experiment, experiment.c.id == look.c.experiment_id)
        .join(arm, arm.c.id == look.c.arm_id)
        .where(experiment.c.key == key)
        .order_by(look.c.look, look.c.arm_id, look.c.metric)
    ).mappings()
    return tuple(
        Look(
            look=row["look"],
            arm=row["name"],
            metric=row["metric"],
            at=from_micros(row["at"]),
            clock=row["clock"],
            planned=bool(row["planned"]),
            verdict=row["verdict"],
            report_hash=row["report_hash"],
            estimate=row["estimate"],
            se=row["se"],
            z=row["z"],
            boundary=row["boundary"],
            alpha_spent=row["alpha_spent"],
            document=json.loads(row["document"] or "{}"),
        )
        for row in rows
    )


def add_look(connection: Connection, key: str, rows: Sequence[Look]) -> bool:
    """Record a look, all its rows or none; False where another is recorded under its number, or a later one.

    The same look again changes nothing: a writer that lost its connection while committing finds it recorded.

    Raises:
        InputError: no such experiment or arm, no rows, or rows of several looks.
    """
    if not rows:
        raise InputError("a look without rows", hint="It has one for each treatment arm and metric.")
    first = rows[0]
    if {(one.look, one.at, one.clock, one.planned, one.report_hash) for one in rows} != {
        (first.look, first.at, first.clock, first.planned, first.report_hash)
    }:
        raise InputError("rows of several looks", hint="Record one look at a time.")
    number = find_ids(connection, experiment, [key]).get(key)
    arms = {} if number is None else arm_ids(connection, number)
    unknown = [one.arm for one in rows if one.arm not in arms]
    if number is None or unknown:
        what = f"no experiment {key!r}" if number is None else f"{key!r} has no arm {unknown[0]!r}"
        raise InputError(f"{what} in this store")
    # In order, so that of two reviews at once one waits for the other at the first row.
    added = [_stored(one, number, arms[one.arm]) for one in sorted(rows, key=lambda one: (arms[one.arm], one.metric))]
    own = look.c.experiment_id == number
    latest, at = connection.execute(select(func.max(look.c.look), func.max(look.c.at)).where(own)).one()
    if latest is not None and first.look <= latest:
        there = select(look).where(own, look.c.look == first.look).order_by(look.c.arm_id, look.c.metric)
        return [dict(row) for row in connection.execute(there).mappings()] == added
    if first.look != (latest or 0) + 1 or (at is not None and to_micros(first.at) <= at):
        return False
    if insert_missing(connection, look, tuple(added[0]), [tuple(row.values()) for row in added]) != len(added):
        raise Raced
    return True


def _stored(one: Look, experiment_id: int, arm_id: int) -> dict[str, Any]:
    return {
        "experiment_id": experiment_id,
        "look": one.look,
        "arm_id": arm_id,
        "metric": one.metric,
        "at": to_micros(one.at),
        "clock": one.clock,
        "estimate": one.estimate,
        "z": one.z,
        "se": one.se,
        "boundary": one.boundary,
        "alpha_spent": one.alpha_spent,
        "planned": int(one.planned),
        "verdict": one.verdict,
        "report_hash": one.report_hash,
        "document": json.dumps(one.document, ensure_ascii=False, allow_nan=False, sort_keys=True),
    }
