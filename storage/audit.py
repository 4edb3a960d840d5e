"""The audit: every stored assignment computed again inside the database, from the definition that was published.

Independent of the assigner: the buckets come from the database's own md5 (in SQLite from a function registered with
it), the arms from the stored weights. What cannot be computed again is eligibility, as attributes are not kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, false, func, literal, not_, or_, select

from ..errors import InputError
from ..experiments.definition import BUCKETS, Definition
from ..experiments.hashing import bucket as bucket_of
from ..experiments.snapshot import Published
from .archive import read_archive
from .engines import bucket_in_sql
from .forgotten import forgotten_in_sql
from .holding import Holding, holdings
from .lookups import arm_ids
from .tables import arm, definition, experiment, exposure, visitor
from .versions import latest_version

__all__ = ["Audit", "Mismatch", "audit_assignments"]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A stored exposure that its definition does not give.

    Attributes:
        visitor, phase, arm: as stored.
        expected: the arm that the definition gives; None where none does, as to a visitor who was held out.
        cause: `unknown_version`, `holdout`, `layer`, `traffic`, `other_version`, `arm` or `crossover`.
        detail: the cause in a sentence.
    """

    visitor: str
    phase: int
    arm: str
    expected: str | None
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What the audit found: `causes` counts all mismatches, `mismatches` lists the first of them.

    `forgotten` exposures are not among the `checked`: without the visitor's id nothing can be computed again.
    """

    experiment: str
    checked: int
    causes: dict[str, int]
    mismatches: tuple[Mismatch, ...]
    forgotten: int = 0

    @property
    def mismatching(self) -> int:
        """How many exposures do not match."""
        return sum(self.causes.values())


def audit_assignments(connection: Connection, key: str, *, limit: int = 100) -> Audit:
    """Compute every stored assignment of an experiment again.

    Args:
        connection: to the store, reading.
        key: of the experiment.
        limit: most mismatches that are listed; all are counted.

    Raises:
        InputError: no such experiment, one whose visitors were assigned elsewhere, or one that was pruned.
    """
    number, versions = _versions(connection, key)
    if not versions:
        # Raises, with the nearest key.
        latest_version(connection, key)
    if versions[-1].definition.source == "table":
        raise InputError(
            f"experiment {key!r} is an imported table: its visitors were assigned elsewhere",
            hint="There is nothing to compute again; `offerlift analyze` checks the split itself.",
        )
    if read_archive(connection, key, None) is not None:
        raise InputError(
            f"the rows of {key!r} were pruned; there is nothing left to compute again",
            hint="`offerlift analyze` still gives its report.",
        )
    arms = arm_ids(connection, number)
    held = _held(connection, versions)
    causes: Counter[str] = Counter()
    listed: list[Mismatch] = []
    checked = 0
    groups = select(exposure.c.phase, exposure.c.assignment_hash, func.count()).where(
        exposure.c.experiment_id == number
    )
    for phase, known, count in connection.execute(
        groups.group_by(exposure.c.phase, exposure.c.assignment_hash).order_by(*groups.selected_columns[:2])
    ).all():
        checked += count
        for mismatch in _group(connection, number, arms, versions, held, phase, known):
            causes[mismatch.cause] += 1
            if len(listed) < limit:
                listed.append(mismatch)
    forgotten = _forgotten(connection, number)
    return Audit(key, checked - forgotten, dict(sorted(causes.items())), tuple(listed), forgotten)


def _forgotten(connection: Connection, number: int) -> int:
    """How many exposures of an experiment are those of forgotten visitors."""
    return connection.scalars(
        select(func.count())
        .select_from(visitor.join(exposure, exposure.c.visitor_id == visitor.c.id))
        .where(forgotten_in_sql(visitor.c.key), exposure.c.experiment_id == number)
    ).one()


def _versions(connection: Connection, key: str) -> tuple[int, list[Published]]:
    rows = connection.execute(
        select(definition.c.experiment_id, definition.c.document)
        .join(experiment, experiment.c.id == definition.c.experiment_id)
        .where(experiment.c.key == key)
        .order_by(definition.c.version)
    ).all()
    return (rows[0][0] if rows else 0), [Published.from_json(row[1]) for row in rows]


def _held(connection: Connection, versions: Sequence[Published]) -> dict[str, list[Holding]]:
    """When each holdout that some version names held visitors out. One that is not published holds nobody out."""
    names = dict.fromkeys(name for one in versions for name in one.definition.holdouts)
    return {name: holdings(_versions(connection, name)[1]) for name in names}


@dataclass(frozen=True, slots=True)
class _Split:
    """All that decides who sees what, of one version."""

    version: int
    split_salt: str
    layer_salt: str
    low: int
    high: int
    traffic_high: int
    arms: tuple[str, ...]
    limits: tuple[int, ...]

    @classmethod
    def of(cls, published: Published) -> _Split:
        one: Definition = published.definition
        low, high = one.layer_range
        return cls(
            published.version,
            one.split_salt,
            f"{one.layer or one.experiment}/t",
            low,
            high,
            low + int(one.traffic * (high - low)),
            tuple(arm.name for arm in one.arms),
            tuple(accumulate(arm.weight for arm in one.arms)),
        )

    def arm(self, bucket: int) -> str:
        return next(arm for arm, limit in zip(self.arms, self.limits, strict=True) if bucket < limit)


def _group(
    connection: Connection,
    number: int,
    arms: dict[str, int],
    versions: Sequence[Published],
    held: dict[str, list[Holding]],
    phase: int,
    known: str,
) -> Iterator[Mismatch]:
    """Mismatches among the exposures of one phase and assignment hash."""
    # A record without hash, such as an imported one, is held against its phase.
    matching = [one for one in versions if (one.assignment_hash == known if known else one.phase == phase)]
    if not matching:
        what = f"assignment hash {known[:12]}" if known else f"phase {phase}"
        detail = f"no published version has the {what}: the backend's snapshot is not from this store"
        for key, name, *_ in _rows(connection, number, phase, known, None, false(), literal(True)):
            yield Mismatch(key, phase, name, None, "unknown_version", detail)
        return
    # Traffic only rises within a phase, and is in no hash: the widest of these versions counts.
    split = max(map(_Split.of, matching), key=lambda one: one.traffic_high)
    bucket = bucket_in_sql(connection, split.split_salt, visitor.c.key)
    expected = case(
        *((bucket < limit, arms.get(name, -1)) for name, limit in zip(split.arms, split.limits, strict=True)), else_=-1
    )
    fits = and_(exposure.c.arm_id == expected, exposure.c.crossover_arm_id.is_(None))
    whole = split.low == 0 and split.traffic_high == BUCKETS
    if not whole:
        slot = bucket_in_sql(connection, split.layer_salt, visitor.c.key)
        fits = and_(fits, slot >= split.low, slot < split.traffic_high)
    others = [_Split.of(one) for one in reversed(versions) if one not in matching]
    names = dict.fromkeys(name for one in matching for name in one.definition.holdouts)
    times = [time for name in names for time in held[name]]
    out = or_(false(), *(_held_out(connection, time) for time in times))
    for key, name, crossover, at, slot, exposed, is_out in _rows(
        connection, number, phase, known, split, out, or_(out, not_(fits))
    ):
        if is_out:
            yield Mismatch(key, phase, name, None, "holdout", _held_out_detail(times, key, exposed))
            continue
        cause, detail = _cause(split, others, key, name, crossover, at, None if whole else slot)
        yield Mismatch(key, phase, name, split.arm(at), cause, detail)


def _held_out(connection: Connection, time: Holding) -> ColumnElement[bool]:
    bucket = bucket_in_sql(connection, time.salt, visitor.c.key)
    ran = and_(exposure.c.at >= time.since, exposure.c.at < time.until)
    return and_(ran, bucket.between(time.low, time.high - 1))


def _held_out_detail(times: Sequence[Holding], key: str, exposed: int) -> str:
    time = next(time for time in times if time.holds(bucket_of(time.salt, key), exposed))
    bucket = bucket_of(time.salt, key)
    return (
        f"bucket {bucket} of the holdout {time.holdout!r} is held out ({time.low} to {time.high - 1}), which ran at "
        "the time of the exposure: nobody held out belongs into the experiment"
    )


def _rows(
    connection: Connection,
    number: int,
    phase: int,
    known: str,
    split: _Split | None,
    out: ColumnElement[bool],
    condition: ColumnElement[bool],
) -> Iterator[tuple[str, str, str | None, int, int, int, int]]:
    """Of the exposures that fulfil a condition: visitor, arm, crossover's arm, bucket of the split and of the layer,
    time, and 1 where the visitor was held out."""
    other = arm.alias("other")
    buckets: list[ColumnElement[int]] = [literal(0), literal(0)]
    if split is not None:
        buckets = [bucket_in_sql(connection, salt, visitor.c.key) for salt in (split.split_salt, split.layer_salt)]
    statement = (
        select(visitor.c.key, arm.c.name, other.c.name, *buckets, exposure.c.at, case((out, 1), else_=0))
        .select_from(exposure)
        .join(visitor, visitor.c.id == exposure.c.visitor_id)
        .join(arm, arm.c.id == exposure.c.arm_id)
        .outerjoin(other, other.c.id == exposure.c.crossover_arm_id)
        .where(exposure.c.experiment_id == number, exposure.c.phase == phase, exposure.c.assignment_hash == known)
        .where(condition, not_(forgotten_in_sql(visitor.c.key)))
        .order_by(visitor.c.key)
    )
    rows: Any = connection.execute(statement)
    yield from rows


def _cause(
    split: _Split,
    others: Sequence[_Split],
    key: str,
    name: str,
    crossover: str | None,
    bucket: int,
    slot: int | None,
) -> tuple[str, str]:
    if slot is not None and not split.low <= slot < split.high:
        return "layer", f"bucket {slot} of the layer is outside the experiment's range {split.low} to {split.high - 1}"
    if slot is not None and slot >= split.traffic_high:
        return "traffic", f"bucket {slot} of the layer is outside the traffic, which ends before {split.traffic_high}"
    right = split.arm(bucket)
    if name == right:
        return "crossover", f"the first exposure is right, but there is one in arm {crossover!r} as well"
    for other in others:
        if other.arm(bucket_of(other.split_salt, key)) == name:
            return "other_version", f"bucket {bucket} is arm {right!r}; version {other.version} gives {name!r}"
    return "arm", f"bucket {bucket} is arm {right!r}: another id was hashed, or the arm was chosen elsewhere"
