"""Figures of the parts: order values about a threshold, and the difference by days since the exposure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from ...stats import plotting
from ...stats.plotting import COURSES, GAIN, INK, MUTED, SIZE
from .. import format as fmt
from .showing import estimate_in_words
from .tree import AfterSaleRow, Bunching

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["bunching_plot", "course_plot", "describe_bunching", "describe_course"]

WIDTH, LEFT, RIGHT = 10.0, 0.09, 0.985
PANEL = 1.25
MOST_PANELS = 8


def bunching_plot(arms: Sequence[Bunching], currency: str) -> Figure:
    """A panel an arm: the share of its orders in each bin, the first arm's as a line, thresholds dashed."""
    shown = arms[:MOST_PANELS]
    figure = _figure(PANEL * len(shown) + 0.3)
    height = figure.get_figheight()
    first = shown[0]
    edges = [one.low for one in first.bins] + [first.bins[-1].high]
    widths = [high - low for low, high in pairwise(edges)]
    most = max((_shares(one, widths)[at] for one in shown for at in range(len(widths))), default=1.0)
    for place, one in enumerate(shown):
        top = 1 - (0.3 + PANEL * place) / height
        axis = figure.add_axes((LEFT, top - (PANEL - 0.42) / height, RIGHT - LEFT, (PANEL - 0.42) / height))
        plotting.style(axis)
        shares = _shares(one, widths)
        axis.bar(edges[:-1], shares, widths, align="edge", color=GAIN if place else MUTED, alpha=0.55, linewidth=0)
        if place:
            axis.stairs(_shares(first, widths), edges, color=INK, linewidth=1.0)
        if one.threshold is not None:
            axis.axvline(one.threshold, color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
        axis.set_xlim(edges[0], edges[-1])
        axis.set_ylim(0, most * 1.08)
        axis.set_yticks([])
        threshold = (
            "" if one.threshold is None else f", free shipping from {fmt.level(one.threshold, currency)} (dashed)"
        )
        line = f"; the line is “{first.arm}”" if place == 1 else ""
        axis.set_title(
            f"{one.arm}: {fmt.count(one.orders)} orders{threshold}{line}",
            loc="left",
            size=SIZE,
            color=INK,
            pad=4,
            parse_math=False,
        )
        axis.xaxis.set_major_formatter(lambda x, _: fmt.level(x, currency).removesuffix(".00"))
        if place < len(shown) - 1:
            axis.set_xticklabels([])
    return figure


def describe_bunching(arms: Sequence[Bunching], currency: str) -> str:
    """The histogram in words: of each arm the orders, and how many more lie just above its threshold."""
    said = []
    for one in arms:
        text = f"{one.arm}: {fmt.count(one.orders)} orders"
        if one.threshold is not None:
            text += f", free shipping from {fmt.level(one.threshold, currency)}"
            if one.excess.estimate is not None:
                text += f", share of orders just above it against the control {estimate_in_words(one.excess, 'share')}"
        said.append(f"{text}.")
    return " ".join(said)


def course_plot(rows: Sequence[AfterSaleRow], unit: str, split: int | None) -> Figure:
    """The cumulative difference of each arm by days since the exposure, with fixed-sample 95 % bands."""
    from matplotlib.ticker import MaxNLocator

    figure = _figure(2.7)
    axis = figure.add_axes((LEFT, 0.19, RIGHT - LEFT - 0.16, 0.72))
    plotting.style(axis)
    axis.axhline(0, color=INK, linewidth=0.9)
    if split is not None:
        axis.axvline(split, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
    for at, row in enumerate(rows[: len(COURSES)]):
        colour = COURSES[at]
        days = [one.day for one in row.course]
        axis.fill_between(
            days,
            [one.difference.low or 0.0 for one in row.course],
            [one.difference.high or 0.0 for one in row.course],
            color=colour,
            alpha=0.16,
            linewidth=0,
        )
        axis.plot(
            days,
            [one.difference.estimate or 0.0 for one in row.course],
            color=colour,
            linewidth=1.7,
            marker="os^Dvp"[at],
            markersize=3.2,
            label=row.arm,
        )
    axis.set_xlabel("days since the exposure", size=SIZE, color=MUTED)
    axis.yaxis.set_major_formatter(lambda y, _: fmt.change(y, unit))
    axis.yaxis.set_major_locator(MaxNLocator(5))
    axis.tick_params(axis="y", left=False, labelleft=True, labelsize=SIZE, labelcolor=MUTED)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, names = axis.get_legend_handles_labels()
    legend = axis.legend(handles, names, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=SIZE)
    for text in legend.get_texts():
        text.set_color(INK)
        text.set_parse_math(False)
    return figure


def describe_course(rows: Sequence[AfterSaleRow], unit: str) -> str:
    """The course in words: of each arm the difference at the first and the last day."""
    said = []
    for row in rows:
        first, last = row.course[0], row.course[-1]
        said.append(
            f"{row.arm}: {estimate_in_words(first.difference, unit)} up to day {first.day}, "
            f"{estimate_in_words(last.difference, unit)} up to day {last.day}."
        )
    return " ".join(said)


def _figure(height: float) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height))
    figure.patch.set_alpha(0)
    return figure


def _shares(one: Bunching, widths: Sequence[float]) -> list[float]:
    """Heights whose areas are shares of the arm's orders."""
    return [x.orders / one.orders / width if one.orders else 0.0 for x, width in zip(one.bins, widths, strict=True)]
