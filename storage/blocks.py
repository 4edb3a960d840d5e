"""Visitors of a day and an arm, counted by blocks of neighbours in one walk along the key of the exposures, for SQLite.

A store numbers visitors as they come. Where an experiment is the first to see them, neighbours were exposed on one day,
and of such a block nothing but the arms has to be counted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, FromClause, Select, func, literal, select

from .day_counts import Calendar, DayCounts
from .planning import InOrder

__all__ = ["count_blocks", "in_blocks"]

BLOCK = 1_024
"""Numbers of a block."""

BITS, ARMS = 11, 4
"""What a count of a block's visitors takes, and how many of them a double holds."""

FEWEST, SAMPLE = 64, 16
"""Blocks from which on it is tried, and those that are tried first."""

DENSE = 1 / 8
"""Part of the numbers that the experiment's visitors have to take: of others there is little in a block."""


def count_blocks(
    connection: Connection, subject: FromClause, calendar: Calendar, as_of: int, counts: DayCounts
) -> list[int] | None:
    """Count the blocks of which all were exposed on one day, on one side of where each window closed.

    `subject` is read by the key of the exposures, one row a visitor.

    Returns:
        The first numbers of the other blocks; None: these are most of them, and nothing was counted.
    """
    ends = select(func.min(subject.c.visitor_id)), select(func.max(subject.c.visitor_id))
    # Each by itself is one step in the key; together they are a walk.
    lowest, highest = (connection.scalar(end) or 0 for end in ends)
    blocks = range(lowest, highest + 1, BLOCK)
    if len(blocks) < FEWEST:
        return None
    tried = blocks[:: len(blocks) // SAMPLE]
    trial = DayCounts(counts.closed)
    mixed = _count(connection, _statement(subject, calendar, as_of, tried), calendar, trial)
    alike = sum(visitors for visitors, *_ in trial.numbers.values())
    if alike < DENSE * BLOCK * len(tried) or 2 * len(mixed) > len(tried):
        return None
    return _count(connection, _statement(subject, calendar, as_of, blocks), calendar, counts)


def in_blocks(subject: FromClause, blocks: Sequence[int]) -> FromClause:
    """Those of some blocks only, given by their first numbers."""
    block = _listed(blocks)
    return select(subject).select_from(InOrder(block, subject, _within(subject, block))).subquery("in_blocks")


def _statement(subject: FromClause, calendar: Calendar, as_of: int, blocks: Sequence[int]) -> Select:
    """Of each block one text: first and last exposure, strange arms, then the arms' visitors and crossovers, packed.

    A column of its own for each would be a walk of its own.
    """
    block = _listed(blocks)
    arm_id, crossed = subject.c.arm_id, subject.c.crossover_at <= as_of
    lowest, highest = (literal(arm, literal_execute=True) for arm in (calendar.lowest, calendar.highest))
    fields = [func.min(subject.c.at), func.max(subject.c.at), func.count().filter(~arm_id.between(lowest, highest))]
    groups = range(calendar.lowest, calendar.highest + 1, ARMS)
    for first in groups:
        start, end = (literal(arm, literal_execute=True) for arm in (first, first + ARMS - 1))
        shift = (arm_id - start) * literal(BITS, literal_execute=True)
        # A sum of whole numbers would end with an error where a strange arm makes one too large.
        packed = func.total(literal(1, literal_execute=True).bitwise_lshift(shift))
        here = [arm_id.between(start, end)] if len(groups) > 1 else []
        fields += [packed.filter(*here) if here else packed, packed.filter(crossed, *here)]
    text = func.printf(" ".join(["%lld"] * len(fields)), *fields)
    inside = select(text).select_from(subject).where(_within(subject, block)).correlate(block)
    return select(block.c.value, inside.scalar_subquery())


def _count(connection: Connection, statement: Select, calendar: Calendar, counts: DayCounts) -> list[int]:
    mixed = []
    for block, text in connection.execute(statement):
        first, last, strange, *packed = map(int, text.split())
        if not (strange or any(packed)):
            continue
        passed = [last <= closed for closed in counts.closed]
        if calendar.ago(first) != calendar.ago(last) or passed != [first <= closed for closed in counts.closed]:
            mixed.append(block)
            continue
        counts.saw(first, last, strange)
        start = calendar.code(first, calendar.lowest)
        for place in range(calendar.span):
            group, shift = divmod(place, ARMS)
            visitors, crossovers = (one >> shift * BITS & (1 << BITS) - 1 for one in packed[2 * group : 2 * group + 2])
            if visitors:
                counts.add(start + place, (visitors, crossovers, *(visitors * one for one in passed)))
    return mixed


def _listed(blocks: Sequence[int]) -> FromClause:
    return func.json_each(json.dumps(list(blocks))).table_valued("value").alias("block")


def _within(subject: FromClause, block: FromClause) -> ColumnElement[bool]:
    return subject.c.visitor_id.between(block.c.value, block.c.value + literal(BLOCK - 1, literal_execute=True))
