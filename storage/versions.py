"""Published versions of experiments, appended and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection, func, select

from ..errors import ConflictError, InputError, known_or_nearest
from ..experiments.snapshot import Published
from .engine import Raced
from .engines import insert_missing
from .lookups import arm_ids, experiment_ids
from .tables import definition, experiment, look
from .times import to_micros

__all__ = [
    "Revision",
    "add_version",
    "all_versions",
    "experiment_keys",
    "latest_version",
    "planned_shares",
    "read_revisions",
]


@dataclass(frozen=True, slots=True)
class Revision:
    """What was last published of an experiment, and last recorded: numbers of its version and its look, 0 for none."""

    version: int
    look: int


def add_version(connection: Connection, published: Published) -> None:
    """Append a version and number its arms; the same version again changes nothing.

    Raises:
        ConflictError: that version is stored with other content, or a later one is stored already.
    """
    key, version = published.definition.experiment, published.version
    number = experiment_ids(connection, [key])[key]
    document = published.to_json()
    latest = connection.scalar(select(func.max(definition.c.version)).where(definition.c.experiment_id == number))
    if latest is not None and version <= latest:
        stored = connection.scalar(
            select(definition.c.document).where(definition.c.experiment_id == number, definition.c.version == version)
        )
        if stored is not None and Published.from_json(stored) == published:
            return
        raise ConflictError(
            f"experiment {key!r} has version {latest} already; version {version} with other content is refused",
            hint="Somebody else published meanwhile: read the latest version and publish again.",
        )
    row = {
        "experiment_id": number,
        "version": version,
        "state": published.state,
        "phase": published.phase,
        "published_at": to_micros(published.published_at),
        "assignment_hash": published.assignment_hash,
        "plan_hash": published.plan_hash,
        "document": document,
    }
    if insert_missing(connection, definition, tuple(row), [tuple(row.values())]) != 1:
        raise Raced
    arm_ids(connection, number, [arm.name for arm in published.definition.arms])


def latest_version(connection: Connection, key: str) -> Published:
    """The latest version of an experiment.

    Raises:
        InputError: there is none of that key; the message has the nearest ones.
    """
    document = None
    # A database cannot even be asked for a NUL or a lone surrogate.
    if "\0" not in key and key.encode(errors="replace").decode() == key:
        document = connection.scalar(
            select(definition.c.document)
            .join(experiment, experiment.c.id == definition.c.experiment_id)
            .where(experiment.c.key == key)
            .order_by(definition.c.version.desc())
            .limit(1)
        )
    if document is None:
        hint = known_or_nearest(
            key, experiment_keys(connection), none="The store has no experiments; publish one, or import a table."
        )
        raise InputError(f"no experiment {key!r} in this store", hint=hint)
    return _parsed(document)


def all_versions(connection: Connection, key: str) -> tuple[Published, ...]:
    """Every version of an experiment, the first one first; none where there is none of that key."""
    documents = connection.scalars(
        select(definition.c.document)
        .join(experiment, experiment.c.id == definition.c.experiment_id)
        .where(experiment.c.key == key)
        .order_by(definition.c.version)
    )
    return tuple(map(_parsed, documents))


@lru_cache(maxsize=256)
def _parsed(document: str) -> Published:
    """The version in a document: a review asks for that of an experiment again and again, and it never changes."""
    return Published.from_json(document)


def planned_shares(connection: Connection, key: str) -> dict[int, dict[str, float]]:
    """Planned share of the visitors by arm, in each phase that was published."""
    return {
        one.phase: {arm: float(share) for arm, share in one.definition.expected_shares.items()}
        for one in all_versions(connection, key)
    }


def experiment_keys(connection: Connection) -> list[str]:
    """Keys of all published experiments, sorted."""
    keys = select(experiment.c.key).where(experiment.c.id.in_(select(definition.c.experiment_id)))
    return sorted(connection.scalars(keys))


def read_revisions(connection: Connection) -> dict[str, Revision]:
    """The latest version and the latest look of each published experiment, by its key, sorted."""
    looks = dict(
        connection.execute(select(look.c.experiment_id, func.max(look.c.look)).group_by(look.c.experiment_id)).all()
    )
    versions = connection.execute(
        select(experiment.c.key, experiment.c.id, func.max(definition.c.version))
        .join(definition, definition.c.experiment_id == experiment.c.id)
        .group_by(experiment.c.key, experiment.c.id)
    )
    return {key: Revision(version, looks.get(number, 0)) for key, number, version in sorted(versions)}
