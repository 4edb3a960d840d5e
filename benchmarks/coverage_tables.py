"""The tables that `coverage.py` makes, in the order of the page."""

from __future__ import annotations

from measured.clusters import CLUSTERS
from measured.earnings import COURSE, EXPERIENCE, INCREMENTAL, MONEY, PROGRAMME
from measured.factorial import BEST_CELL, FACTORIAL, FACTORIAL_TESTS, OVERLAPS, SEGMENTS
from measured.few_orders import BOOTSTRAP, PERMUTATION
from measured.fixed import ADJUSTED, CONVERSION, REVENUE, REVENUE_LIFT
from measured.peeking import PEEKING
from measured.posteriors import CALIBRATION
from measured.prices import BUNCHING, CHOICE, DEMAND, DOSES
from measured.rule import RULE

__all__ = ["TABLES"]

TABLES = {
    table.name: table
    for table in (
        RULE,
        PEEKING,
        REVENUE,
        REVENUE_LIFT,
        CONVERSION,
        ADJUSTED,
        PERMUTATION,
        BOOTSTRAP,
        CALIBRATION,
        DEMAND,
        CHOICE,
        DOSES,
        BUNCHING,
        INCREMENTAL,
        MONEY,
        PROGRAMME,
        EXPERIENCE,
        COURSE,
        FACTORIAL,
        FACTORIAL_TESTS,
        BEST_CELL,
        SEGMENTS,
        OVERLAPS,
        CLUSTERS,
    )
}
