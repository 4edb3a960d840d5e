"""Where an analysis reads from: a few relations with fixed column names, which all statements are written against.

For a store they are its tables. For somebody else's tables they are subqueries that give the same columns; ids of
visitors, arms and names may be numbers or text there, times are UTC microseconds and money whole minor units.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import FromClause

from . import tables

__all__ = ["Sources", "store_sources"]


@dataclass(frozen=True, slots=True)
class Sources:
    """The relations of one store or warehouse.

    Attributes:
        currency: the currency that money is reported in.
        exposure: one row an experiment, phase and visitor: experiment_id, phase, visitor_id, arm_id, at (of the first
            exposure), crossover_at (of the first exposure in another arm; NULL without).
        outcome: one row an outcome: visitor_id, event_id, at, outcome_id (never NULL), value, cost, currency,
            reporting_value, reporting_cost, refund_of.
        covariate: one row a name, visitor and time: name_id, visitor_id, at, value (a double).
    """

    currency: str
    exposure: FromClause
    outcome: FromClause
    covariate: FromClause


def store_sources(currency: str) -> Sources:
    """The tables of a store of that currency."""
    return Sources(currency, tables.exposure, tables.outcome, tables.covariate)
