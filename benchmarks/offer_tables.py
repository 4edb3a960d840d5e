"""The tables that `offers.py` makes, in the order of the page."""

from __future__ import annotations

from measured.offer_decisions import PROGRAMMES, PROMOTIONS, WEEK_MORE
from measured.offer_designs import AGENTS, DEPTHS, FACTORS, OVERLAPPING, PRICED, SEGMENTED
from measured.offer_estimates import ANYWAY, COURSE_AFTER, EFFECTS, THRESHOLD
from measured.offer_holdout import HOLDOUT
from measured.offer_phases import AGENTS_PHASES, ANYWAY_PHASES, PRICED_PHASES

__all__ = ["TABLES"]

TABLES = {
    table.name: table
    for table in (
        PROMOTIONS,
        EFFECTS,
        ANYWAY,
        ANYWAY_PHASES,
        FACTORS,
        PRICED,
        PRICED_PHASES,
        DEPTHS,
        THRESHOLD,
        COURSE_AFTER,
        SEGMENTED,
        AGENTS,
        AGENTS_PHASES,
        OVERLAPPING,
        HOLDOUT,
        PROGRAMMES,
        WEEK_MORE,
    )
}
