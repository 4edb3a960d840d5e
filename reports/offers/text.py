"""The parts on the terminal, a block each."""

from __future__ import annotations

from collections.abc import Iterator

from .. import format as fmt
from ..terminal import short, table, wrapped
from .section import INTERVALS, weeks
from .showing import amount, estimate_in_words, money
from .tree import Money, Offers, Waiting

__all__ = ["offers_text"]


def offers_text(offers: Offers, currency: str) -> Iterator[list[str]]:
    """The lines of each part that the experiment asks for.

    Args:
        offers: the scorecard's.
        currency: of its money.
    """
    if offers.money is not None:
        yield _money(offers.money, currency)
    if offers.waiting is not None:
        yield _waiting(offers.waiting, currency)


def _money(part: Money, currency: str) -> list[str]:
    if part.status != "ok":
        return ["MONEY", *wrapped(part.reason)]
    title = f"MONEY ({fmt.label(part.metric or '')}, {INTERVALS[part.interval]})"
    columns = ["a visitor"]
    if part.one_off:
        columns.append("this campaign")
    elif part.audience_per_week is not None:
        columns.append("a week")
        if part.horizon_weeks is not None:
            columns.append(f"in {weeks(part.horizon_weeks)}")
    rows = [["", *columns]]
    for row in part.arms:
        many = [row.over_horizon] if part.one_off else [row.per_week, row.over_horizon]
        cells = [_amounts(money(found, currency)) for found in many]
        rows.append([f"  {short(row.arm)}", estimate_in_words(row.per_visitor, currency), *cells][: len(columns) + 1])
    lines = [title, *table(rows)]
    for row in part.arms:
        if row.status != "ok":
            lines += wrapped(f"{short(row.arm)}: {row.status}: {row.reason}")
    if part.audience:
        lines += wrapped(f"{part.netted} {part.audience[:1].upper()}{part.audience[1:].rstrip('.')}.")
    return lines


def _amounts(shown: tuple[str, str]) -> str:
    return f"{shown[0]} ({shown[1]})" if shown[1] else shown[0]


def _waiting(part: Waiting, currency: str) -> list[str]:
    title = "WORTH WAITING? (ranks, never ships)"
    if part.status != "ok":
        return [title, *wrapped(part.reason)]
    rows = [["", "rank", "expected gain", "loss if wrong", "a week's data", "its price", "waiting a week"]]
    for row in part.arms:
        amounts = (row.expected_loss, row.value_of_week, row.cost_of_week)
        rows.append(
            [
                f"  {short(row.arm)}",
                fmt.ABSENT if row.rank is None else str(row.rank),
                amount(row.expected_gain, currency),
                *(amount(x, currency).lstrip("+") for x in amounts),
                amount(row.gain_of_waiting, currency),
            ]
        )
    lines = [title, *table(rows)]
    for row in part.arms:
        if row.reason:
            lines += wrapped(f"{short(row.arm)}: {row.reason}")
    return lines
