"""Covariates that became known only after the exposure: what the offer may have changed must not adjust its effect.

Each analysis takes a visitor's latest value from before the exposure, so that a later one never enters it. Where there
are later ones only, the times are not what they are meant to be, and a report would quietly adjust by nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Select, and_, case, func, select

from ..errors import InputError
from ..experiments.metrics import CovariateUse
from .cohort import Cohort, subjects
from .sources import Sources

__all__ = ["LEAST", "late_statement", "refuse_late_covariates"]

LEAST = 100
"""So many visitors must have a later value and none an earlier one: an experiment's first day proves nothing."""


def refuse_late_covariates(
    connection: Connection, sources: Sources, cohort: Cohort, unseen: Iterable[CovariateUse]
) -> None:
    """Look at covariates that no visitor had in time.

    Args:
        connection: to the store or warehouse.
        sources: the relations.
        cohort: whose rows are read.
        unseen: the covariates.

    Raises:
        InputError: visitors have values of one of them, all from after the exposure.
    """
    for use in unseen:
        if use.name in sources.settled:
            continue
        late, early = map(int, connection.execute(late_statement(sources, cohort, use)).one())
        if late >= LEAST and not early:
            raise InputError(
                f"the covariate {use.name!r} is known only after the exposure: {late} visitors have a value, and none "
                "one from before theirs",
                hint="A covariate is what was known before; give the time at which it was, or take it out of the plan.",
            )


def late_statement(sources: Sources, cohort: Cohort, use: CovariateUse) -> Select:
    """How many visitors have a value from after the exposure only, and how many one from before it."""
    subject, value = subjects(sources, cohort), sources.covariate_of(use.name).alias("value")
    known = and_(value.c.name_id == cohort.number(use.name), value.c.visitor_id == subject.c.visitor_id)
    first = (
        select(subject.c.visitor_id, func.max(case((value.c.at <= subject.c.at, 1), else_=0)).label("early"))
        .select_from(subject.join(value, known))
        .where(value.c.at <= cohort.as_of)
        .group_by(subject.c.visitor_id)
        .subquery("first")
    )
    early = func.coalesce(func.sum(first.c.early), 0)
    return select(func.count() - early, early).select_from(first)
