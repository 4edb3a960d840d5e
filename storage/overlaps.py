"""Visitors who are in two experiments at once: what each combination of their arms did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from ..errors import InputError
from ..experiments.definition import Definition
from ..stats.moments import Moments
from .archive import unpruned_version
from .origins import Origin, store_origin
from .reading import strata_by
from .times import from_micros

__all__ = ["Overlap", "read_overlap"]


@dataclass(frozen=True, slots=True)
class Overlap:
    """The visitors of one experiment who were exposed in another one as well.

    Attributes:
        first, second: the versions of both that were analysed.
        as_of: the moment of the analysis; both exposures came by then.
        visitors: how many there are, by (arm of the first, arm of the second).
        moments: metric of the first -> (arm of the first, arm of the second) -> moments of the mature visitors, one a
            phase of the first, as `Observations.strata` has them.
    """

    first: Definition
    second: Definition
    as_of: datetime
    visitors: Mapping[tuple[str, str], int]
    moments: Mapping[str, Mapping[tuple[str, str], tuple[Moments, ...]]]


def read_overlap(connection: Connection, first: str, second: str, as_of: int) -> Overlap:
    """Counts and moments of the visitors of both experiments, as of a time in microseconds.

    A visitor counts in the arm of each that exposed them first. What is measured are the metrics of the first, from its
    exposure on.

    Raises:
        InputError: no experiment of such a key, twice the same, or rows of one that were pruned.
    """
    if first == second:
        raise InputError(f"{first!r} is named twice; two different experiments are needed")
    origin = _origin(connection, first, as_of)
    other = _origin(connection, second, as_of)
    cohort = replace(origin.cohort, beside=other.cohort)
    found = strata_by(connection, replace(origin, cohort=cohort))
    mine, theirs = origin.definition, other.definition
    known = {arm.name for arm in theirs.arms}
    by_arm = {arm: strata for arm_id, strata in found.items() if (arm := other.arms.get(int(arm_id))) in known}
    pairs = [(arm.name, one) for one in by_arm for arm in mine.arms]
    return Overlap(
        mine,
        theirs,
        from_micros(as_of),
        {(arm, one): sum(stratum.arms[arm].visitors for stratum in by_arm[one]) for arm, one in pairs},
        {
            metric.name: {
                (arm, one): tuple(stratum.moments[metric.name][arm] for stratum in by_arm[one]) for arm, one in pairs
            }
            for metric in mine.metrics
        },
    )


def _origin(connection: Connection, key: str, as_of: int) -> Origin:
    return store_origin(connection, unpruned_version(connection, key), as_of)
