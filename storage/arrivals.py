"""How late outcomes arrive: between when they happened and when they were first written to the store."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, and_, case, func, select

from ..experiments.metrics import DAY
from .origins import Origin
from .tables import exposure, outcome

__all__ = ["Arrivals", "read_arrivals"]

IN_BULK = 30 * DAY
"""What is written so much later was imported from elsewhere, and says nothing of how data arrives."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The outcomes of an arm's visitors since their exposure.

    Attributes:
        outcomes: all of which it is known when they were written.
        late: those written more than a day, and at most 30, after they happened.
        imported: those written even later: an import of old data.
    """

    outcomes: int
    late: int
    imported: int


def read_arrivals(connection: Connection, origin: Origin) -> dict[str, Arrivals]:
    """By arm, of the visitors under their own ids, in all phases; links of customers are left aside."""
    cohort = origin.cohort
    delay = outcome.c.received_at - outcome.c.at
    mine = and_(exposure.c.visitor_id == outcome.c.visitor_id, exposure.c.at <= outcome.c.at)
    rows = connection.execute(
        select(
            exposure.c.arm_id,
            func.count(),
            func.sum(case((and_(delay > DAY, delay <= IN_BULK), 1), else_=0)),
            func.sum(case((delay > IN_BULK, 1), else_=0)),
        )
        .select_from(exposure.join(outcome, mine))
        .where(
            exposure.c.experiment_id == cohort.experiment_id,
            outcome.c.at <= cohort.as_of,
            outcome.c.received_at.is_not(None),
            outcome.c.at_given == 1,
        )
        .group_by(exposure.c.arm_id)
    )
    return {origin.arms[int(arm)]: Arrivals(int(n), int(late), int(old)) for arm, n, late, old in rows}
