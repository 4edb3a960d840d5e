"""What an overview shows of an experiment: the primary metric's lift with the interval that decides, and its money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from . import format as fmt
from .bars import Scale, bar, lift_scale, tone
from .offers.showing import money
from .tree import AnytimeRow, ComparisonRow, LiftRow, Scorecard, SequentialRow

__all__ = ["NARROWEST", "ArmLift", "Lifts", "lifts", "overview_scale", "week_money"]

NARROWEST = 112.0
"""Pixels of the bars in an overview where there is least room: 7rem."""

MOST_ARMS = 4
"""Arms whose bars an overview has room for."""

REACH = 1.5
"""How many times the median reach the bars of several experiments go: a small test must not make all others dots."""


@dataclass(frozen=True)
class ArmLift:
    """An arm's lift with the interval that decides.

    Attributes:
        cell: the interval as a bar.
        lift, interval: in numbers; of one that has no two ends "too early", and the difference in the metric's unit.
        is_early: whether that is so.
    """

    arm: str
    cell: str
    lift: str
    interval: str
    is_early: bool = False


@dataclass(frozen=True)
class Lifts:
    """The primary metric in an overview: the lift of its arms, or why none is shown.

    `others` says how many arms there was no room for; "" where all are there.
    """

    metric: str
    arms: tuple[ArmLift, ...]
    absent: str
    others: str = ""


def deciding(comparison: ComparisonRow) -> AnytimeRow | SequentialRow:
    """The row whose interval decides: at a look the sequential one, else the always-valid one."""
    return comparison.sequential or comparison.anytime


def overview_scale(cards: Sequence[Scorecard]) -> Scale:
    """The scale of the bars of an overview, which all experiments share."""
    shown = [deciding(one).lift for card in cards if _is_shown(card) for one in _chosen(card)[0]]
    return lift_scale(shown, most=REACH if len(cards) > 1 else 3.0)


def lifts(card: Scorecard, scale: Scale | None = None) -> Lifts:
    """What an overview shows of the primary metric; nothing before the first look or while health fails.

    Args:
        card: the scorecard.
        scale: of the bars; None: of this experiment alone.
    """
    metric = card.metric(card.primary)
    name = fmt.label(metric.metric)
    if not _is_shown(card):
        return Lifts(name, (), "withheld until the first look" if card.withheld else "not shown: health fails")
    chosen, left = _chosen(card)
    others = "" if not left else f"and {fmt.count(left)} more arm{'' if left == 1 else 's'}, on its page"
    scale = scale or overview_scale([card])
    return Lifts(name, tuple(_arm(one, metric.unit, scale) for one in chosen), "", others)


def _is_shown(card: Scorecard) -> bool:
    return not card.withheld and card.healthy


def _chosen(card: Scorecard) -> tuple[list[ComparisonRow], int]:
    """The arms that have room, in their order: those with a verdict first, then the largest; and how many have none."""
    rows = card.metric(card.primary).comparisons
    verdicts = {arm.arm: arm.verdict for arm in card.arms}
    sign = 1 if card.metric(card.primary).desired_change == "increase" else -1

    def rank(one: ComparisonRow) -> tuple[bool, bool, float]:
        estimate = deciding(one).lift.estimate
        return (
            one.arm != card.decision.arm,
            verdicts.get(one.arm) == "collecting",
            float("inf") if estimate is None else -sign * estimate,
        )

    best = {one.arm for one in sorted(rows, key=rank)[:MOST_ARMS]}
    return [one for one in rows if one.arm in best], max(len(rows) - MOST_ARMS, 0)


def _arm(comparison: ComparisonRow, unit: str, scale: Scale) -> ArmLift:
    row = deciding(comparison)
    band = row.lift
    if band.kind != "bounded":
        return _early(comparison, unit, scale)
    half = fmt.half_width(band.low, band.high)
    text = fmt.ABSENT if band.estimate is None else fmt.lift(band.estimate, half)
    cell = bar(band, scale, tone=tone(band.low, band.high))
    return ArmLift(comparison.arm, cell, text, fmt.lift_interval(band.kind, band.low, band.high))


def _early(comparison: ComparisonRow, unit: str, scale: Scale) -> ArmLift:
    """No lift that could be drawn: the difference in the metric's own unit, where there is one."""
    row = deciding(comparison)
    known = "" if row.low is None and row.high is None else fmt.interval(row.low, row.high, unit)
    per = " per visitor" if known and unit not in ("share", "per visitor", "ratio") else ""
    said = f"{known}{per}" or ("no number yet" if comparison.status != "ok" else "")
    return ArmLift(comparison.arm, bar(LiftRow(), scale), "too early", said, is_early=True)


def week_money(card: Scorecard) -> tuple[tuple[str, str, str], ...]:
    """What each shown arm earns in a week beyond the control: arm, interval, estimate; nothing where not known."""
    part = card.offers.money
    if part is None or not _is_shown(card):
        return ()
    shown = {one.arm for one in _chosen(card)[0]}
    found = []
    for row in part.arms:
        estimate, ends = money(row.per_week, card.currency)
        if row.arm in shown and row.per_week.estimate is not None:
            found.append((row.arm, ends or estimate, estimate))
    return tuple(found)
