"""Charts along the days, for PNG files: the cumulative lift with its band, and new visitors against the planned split.

What the panels of the page show (`timeline.py`), by matplotlib's object interface.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..stats import plotting
from ..stats.plotting import GAIN, GRID, INK, MUTED, SIZE
from . import format as fmt
from .bars import lift_scale
from .timeline import MOST_PANELS, Marked, marked, marked_for_visitors, monitored_arms
from .tree import ExposureDay, MonitoredArm, Scorecard

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["course_plot", "exposure_plot"]

DAY = timedelta(days=1)
WIDTH, COLUMNS = 10.0, 2
HEAD, ABOVE, LINE = 0.4, 0.78, 0.17
"""Inches for the experiment's name, around a panel for its title and dates, and of a line of the legend."""

LONGEST = 150
"""Characters of a line of the legend."""


def course_plot(card: Scorecard) -> Figure | None:
    """The cumulative lift of at most four treatment arms with the always-valid band; None where no days are known."""
    arms = monitored_arms(card)[:MOST_PANELS]
    if not arms:
        return None
    changes = marked(card)
    figure, panels = _figure(
        len(arms), 2.3, "Line: the lift so far. Grey: the always-valid 95% band around it.", changes
    )
    for axes, arm in zip(panels, arms, strict=True):
        _mark(axes, _course(axes, arm, card), changes)
    return figure


def exposure_plot(card: Scorecard) -> Figure | None:
    """New visitors a day of each arm, and what the planned split gives it; None where no days are known."""
    if card.background is None or not card.background.exposures:
        return None
    days, changes = card.background.exposures, marked_for_visitors(card)
    arms = list(dict.fromkeys(arm for one in days for arm in one.visitors))
    figure, panels = _figure(len(arms), 1.5, "Grey: new visitors a day. Line: what the planned split gives.", changes)
    for axes, arm in zip(panels, arms, strict=True):
        _visitors(axes, arm, days)
        _mark(axes, days[0].day, changes)
    return figure


def _course(axes: Axes, arm: MonitoredArm, card: Scorecard) -> datetime:
    """Draw it, and say which day is the first."""
    days = [one for one in arm.days if one.band.kind == "bounded"]
    first, last = days[0].day, days[-1]
    low, high = ([getattr(one.band, end) or 0.0 for one in days] for end in ("low", "high"))
    # The first days' bands are wider than all that follows; they may leave the panel.
    scale = lift_scale([one.band for one in days[len(days) // 3 :]])
    axes.fill_between([_day(one.day, first) for one in days], low, high, color=GRID, linewidth=0, zorder=1)
    axes.axhline(0, color=INK, linewidth=0.9, zorder=2)
    lifts = [(_day(one.day, first), one.lift.estimate) for one in days if one.lift.estimate is not None]
    wants_more = card.metric(card.primary).desired_change == "increase"
    colour, marker = plotting.look(last.band.low, last.band.high, more_is_better=wants_more)
    axes.plot([day for day, _ in lifts], [lift for _, lift in lifts], color=GAIN, linewidth=1.6, zorder=3)
    axes.plot([lifts[-1][0]], [lifts[-1][1]], marker=marker, color=colour, markersize=7, clip_on=False, zorder=4)
    axes.set_ylim(scale.low, scale.high)
    axes.set_yticks(scale.ticks(), ["0%" if value == 0 else fmt.lift(value, 0.2) for value in scale.ticks()])
    _days(axes, first, max(last.day, first + DAY))
    said = fmt.lift_in_words("bounded", last.lift.estimate, last.band.low, last.band.high)
    _title(axes, f"{fmt.label(card.primary)}: {_short(arm.arm)} against {fmt.quote(_short(card.control))}", said)
    return first


def _visitors(axes: Axes, arm: str, days: Sequence[ExposureDay]) -> None:
    from matplotlib.ticker import MaxNLocator

    first = days[0].day
    seen = [one.visitors.get(arm, 0) for one in days]
    planned = [sum(one.visitors.values()) * one.shares.get(arm, 0.0) for one in days]
    axes.bar([_day(one.day, first) for one in days], seen, width=0.9, align="edge", color=GRID, zorder=1)
    edges = [*(_day(one.day, first) for one in days), _day(days[-1].day, first) + 1]
    axes.stairs(planned, edges, baseline=None, color=GAIN, linewidth=1.4, zorder=2)
    axes.set_ylim(0, 1.08 * max([*seen, *planned, 1]))
    axes.yaxis.set_major_formatter(lambda value, _: fmt.count(round(value)))
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    _days(axes, first, days[-1].day + DAY)
    said = f"{fmt.count(sum(seen))} visitors; the split plans {fmt.count(round(sum(planned)))}"
    _title(axes, _short(arm), said)


def _figure(panels: int, height: float, key: str, legend: Sequence[Marked]) -> tuple[Figure, list[Axes]]:
    """A grid of panels of so many inches; below, what line and area are and the legend of what is marked."""
    from matplotlib.figure import Figure

    columns = min(panels, COLUMNS)
    rows = -(-panels // columns)
    lines = [key, *(f"{one.number}   {fmt.moment(one.change.at)}: {one.change.text}" for one in legend)]
    below = 0.15 + LINE * len(lines)
    total = HEAD + rows * (height + ABOVE) + below
    figure = Figure(figsize=(WIDTH, total))
    figure.patch.set_alpha(0)
    left, gap = 0.065, 0.085
    width = (0.972 - left - gap * (columns - 1)) / columns
    made = []
    for number in range(panels):
        row, column = divmod(number, columns)
        bottom = total - HEAD - (row + 1) * (height + ABOVE) + 0.3
        axes = figure.add_axes((left + column * (width + gap), bottom / total, width, height / total))
        plotting.style(axes)
        axes.tick_params(axis="y", colors=MUTED, labelsize=SIZE, length=0)
        made.append(axes)
    for place, line in enumerate(lines):
        shown = line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
        y = (below - LINE * place) / total
        figure.text(left, y, shown, va="top", color=MUTED, size=SIZE - 0.4, parse_math=False)
    return figure, made


def _days(axes: Axes, first: datetime, last: datetime) -> None:
    """Days from the first one on, with the dates of every first, second or later week, as many as have room."""
    length = _day(last, first)
    axes.set_xlim(0, length)
    weeks = range(0, int(length) // 7 + 1, max(1, -(-int(length) // 35)))
    axes.set_xticks([7 * week for week in weeks], [f"{first + 7 * week * DAY:%-d %b}" for week in weeks])


def _mark(axes: Axes, first: datetime, changes: Sequence[Marked]) -> None:
    low, high = axes.get_xlim()
    for one in changes:
        x = _day(one.change.at, first)
        if low <= x <= high:
            axes.axvline(x, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)), zorder=2)
            top = axes.get_xaxis_transform()
            axes.text(x, 1.01, str(one.number), transform=top, ha="center", color=MUTED, size=SIZE - 0.8)


def _day(at: datetime, first: datetime) -> float:
    return (at - first) / DAY


def _title(axes: Axes, name: str, said: str) -> None:
    axes.set_title(name, loc="left", size=SIZE + 0.6, color=INK, weight="bold", pad=24, parse_math=False)
    above = {"xycoords": "axes fraction", "xytext": (0, 13), "textcoords": "offset points"}
    axes.annotate(said, (0, 1), color=MUTED, size=SIZE, parse_math=False, **above)


def _short(name: str) -> str:
    return name if len(name) <= 30 else f"{name[:29]}…"
