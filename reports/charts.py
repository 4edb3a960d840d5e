"""Charts of a scorecard: the forest plot of lifts and the money per visitor, for PNG files and notebooks.

Intervals, palette and panels are those of `offerlift.stats.plotting`, by matplotlib's object interface.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..stats import plotting
from ..stats.plotting import GAIN, GRID, INK, LOSS, MUTED, PAPER, SIZE, TRUE
from . import format as fmt
from .tree import ComparisonRow, LiftRow, MetricRow, Scorecard

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "Truth",
    "can_draw_forest",
    "forest_plot",
    "money_plot",
]

Truth = Mapping[str, Mapping[str, tuple[float, float]]]
"""Metric -> arm -> (true difference, true lift), where a simulator knows them."""

WIDTH = 10.0
ROW = 0.27
LEFT, RIGHT = 0.24, 0.745


@dataclass(frozen=True)
class _Row:
    """An arm's line in the forest plot; `y` counts rows downwards."""

    y: float
    metric: MetricRow
    comparison: ComparisonRow
    true_lift: float | None


def forest_plot(card: Scorecard, *, truth: Truth | None = None) -> Figure:
    """Relative lift of every treatment arm on every metric, primary first, with its intervals.

    Where looks are planned, the wide bar is the sequential interval that decides, but of guardrails, which are judged
    once by their fixed-sample interval; otherwise the fixed-sample interval with the always-valid one behind it.
    """
    rows, headings, height = _forest_rows(card, truth)
    figure, axes = _figure(height * ROW + 0.85)
    low, high = _forest_limits(rows)
    axes.set_xlim(low, high)
    axes.set_ylim(height - 0.3, -0.75)
    axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
    axes.text(
        0,
        -0.95,
        f"no lift against {fmt.quote(_short(card.control))}",
        ha="center",
        va="bottom",
        color=INK,
        size=SIZE,
        parse_math=False,
    )
    for y, metric in headings:
        axes.axhline(y - 0.55, xmin=-0.5, xmax=1.6, color=GRID, linewidth=0.6, clip_on=False, zorder=0)
        _left(axes, y, fmt.label(metric.metric), indent=0, weight="bold")
        note = f"{metric.role}, {metric.condition}" if metric.condition else metric.role
        axes.text(
            1.025, y, note, transform=axes.get_yaxis_transform(), va="center", color=MUTED, size=SIZE, parse_math=False
        )
    for row in rows:
        _left(axes, row.y, _short(row.comparison.arm), indent=1)
        _forest_row(axes, row, low, high)
    plotting.percent_axis(axes)
    _forest_legend(axes, rows, height)
    return figure


def money_plot(card: Scorecard, metrics: Sequence[MetricRow]) -> Figure:
    """Money per visitor in every arm: a dot with its 95 % interval, a panel a metric, the control as a line."""
    arms = [arm.arm for arm in card.arms]
    figure, axes = _figure(len(arms) * ROW + 0.8, panels=len(metrics))
    for panel, (axis, metric) in enumerate(zip(axes, metrics, strict=True)):
        axis.set_ylim(len(arms) - 0.4, -0.75)
        axis.set_title(
            fmt.label(metric.metric), loc="left", size=SIZE + 0.6, color=INK, weight="bold", pad=7, parse_math=False
        )
        for y, row in enumerate(metric.arms):
            if panel == 0:
                _left(axis, y, _short(row.arm), indent=0)
            _money_row(axis, y, metric, row.arm, is_control=row.arm == card.control)
        control = metric.arm(card.control).value
        if control is not None:
            axis.axvline(control, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
        low, high = axis.get_xlim()
        axis.set_xlim(low - 0.05 * (high - low), high + 0.32 * (high - low))
        axis.xaxis.set_major_formatter(lambda x, _, unit=metric.unit: fmt.level(x, unit))
        axis.locator_params(axis="x", nbins=4)
    return figure


def can_draw_forest(card: Scorecard) -> bool:
    """Whether any lift has two ends: without one, a forest plot has no scale and nothing on it."""
    return any(
        _shown(metric, comparison)[0].kind == "bounded" for metric in card.metrics for comparison in metric.comparisons
    )


def _figure(height: float, panels: int | None = None) -> tuple[Figure, Any]:
    """A figure with room for names on the left and numbers on the right; one Axes, or a list of panels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height))
    figure.patch.set_alpha(0)
    top, bottom = 1 - 0.36 / height, 0.46 / height
    if panels is None:
        axes = [figure.add_axes((LEFT, bottom, RIGHT - LEFT, top - bottom))]
    else:
        gap = 0.09
        width = (0.985 - LEFT - gap * (panels - 1)) / panels
        axes = [figure.add_axes((LEFT + at * (width + gap), bottom, width, top - bottom)) for at in range(panels)]
    for axis in axes:
        plotting.style(axis)
    return figure, axes[0] if panels is None else axes


def _forest_rows(card: Scorecard, truth: Truth | None) -> tuple[list[_Row], list[tuple[float, MetricRow]], float]:
    rows, headings, y = [], [], 0.0
    for metric in card.metrics:
        headings.append((y, metric))
        y += 1
        for comparison in metric.comparisons:
            true = (truth or {}).get(metric.metric, {}).get(comparison.arm)
            rows.append(_Row(y, metric, comparison, true[1] if true else None))
            y += 1
        y += 0.25
    return rows, headings, y


def _forest_limits(rows: Sequence[_Row]) -> tuple[float, float]:
    """A scale on which the primary and most others are whole; what is far wider leaves it with an arrow."""
    drawn = [(row, *_shown(row.metric, row.comparison)) for row in rows]
    bounded = [(lift, band) for _, lift, band in drawn if lift.kind == "bounded"]
    if not bounded:
        return -0.1, 0.1
    reach = [_reach(lift) for lift, _ in bounded]
    bands = [_reach(band) for row, _, band in drawn if row.metric.role == "primary"]
    cap = max(3 * statistics.median(reach), min(max(bands, default=0), 3 * max(reach)))
    ends = [0.0, *(row.true_lift for row in rows if row.true_lift is not None)]
    for pair in bounded:
        ends += [end for lift in pair for end in (lift.low, lift.high) if end is not None]
    low, high = max(min(ends), -cap), min(max(ends), cap)
    pad = 0.04 * (high - low)
    return low - pad, high + pad


def _shown(metric: MetricRow, comparison: ComparisonRow) -> tuple[LiftRow, LiftRow]:
    """The lift with the interval that is drawn wide, and the one that is drawn thin behind it."""
    sequential = comparison.sequential
    if sequential is None:
        return comparison.lift, comparison.anytime.lift
    # A guardrail is judged once, by its fixed-sample interval; the other one raises its alarm.
    return (comparison.lift, sequential.lift) if metric.role == "guardrail" else (sequential.lift, LiftRow())


def _reach(lift: LiftRow) -> float:
    """How far from zero an interval reaches; 0 for one that is not bounded."""
    return max(abs(_or(lift.low, 0)), abs(_or(lift.high, 0))) if lift.kind == "bounded" else 0.0


def _forest_row(axes: Axes, row: _Row, low: float, high: float) -> None:
    lift, band = _shown(row.metric, row.comparison)
    colour, marker = _look(row)
    words = fmt.lift_in_words(lift.kind, lift.estimate, lift.low, lift.high)
    if lift.kind == "undefined":
        words = f"no number: {row.comparison.status}" if row.comparison.status != "ok" else "no lift: undefined"
    axes.text(
        1.025, row.y, words, transform=axes.get_yaxis_transform(), va="center", color=INK, size=SIZE, parse_math=False
    )
    thin = (band.low, band.high) if band.kind == "bounded" else None
    plotting.draw_set(axes, row.y, lift, (low, high), colour, marker, thin)
    if lift.kind == "undefined":
        return
    if row.true_lift is not None and low <= row.true_lift <= high:
        axes.plot(
            [row.true_lift],
            [row.y],
            marker="D",
            markersize=5.2,
            markerfacecolor=PAPER,
            markeredgecolor=TRUE,
            markeredgewidth=1.5,
            linestyle="none",
            zorder=5,
        )
    margin = row.comparison.guardrail.margin if row.comparison.guardrail is not None else None
    if margin is not None:
        limit = -margin if row.metric.desired_change == "increase" else margin
        axes.plot([limit, limit], [row.y - 0.42, row.y + 0.42], color=LOSS, linewidth=1.2, linestyle=(0, (1.5, 1.5)))


def _look(row: _Row) -> tuple[str, str]:
    """Colour and marker by what the interval that decides says: a gain, a loss, or neither yet."""
    decides = row.comparison.sequential or row.comparison.anytime
    return plotting.look(decides.low, decides.high, more_is_better=row.metric.desired_change == "increase")


def _forest_legend(axes: Axes, rows: Sequence[_Row], height: float) -> None:
    from matplotlib.lines import Line2D

    planned = any(row.comparison.sequential is not None for row in rows)
    wide, thin = "fixed-sample 95%", "always-valid 95%"
    if planned:
        guarded = any(row.metric.role == "guardrail" for row in rows)
        wide, thin = f"sequential{' (guardrails: fixed-sample 95%)' if guarded else ''}", "of the harm alarm"
    entries = [Line2D([], [], color=MUTED, linewidth=3.6, marker="o", markersize=6, label=f"estimate, {wide}")]
    if any(_shown(row.metric, row.comparison)[1].kind == "bounded" for row in rows):
        entries.append(Line2D([], [], color=MUTED, linewidth=1.1, label=thin))
    for colour, marker in sorted({_look(row) for row in rows} - {(MUTED, "o")}):
        # Where less is wanted, a gain points down.
        less = " (less)" if (colour == GAIN) != (marker == "^") and colour == GAIN else ""
        said = f"clearly {'better' if colour == GAIN else 'worse'}{less}"
        entries.append(Line2D([], [], color=colour, linewidth=0, marker=marker, markersize=6, label=said))
    if any(row.comparison.guardrail is not None for row in rows):
        entries.append(Line2D([], [], color=LOSS, linewidth=1.2, linestyle=(0, (1.5, 1.5)), label="guardrail margin"))
    if any(row.true_lift is not None for row in rows):
        hollow = {"markerfacecolor": PAPER, "markeredgecolor": TRUE, "markeredgewidth": 1.5}
        entries.append(Line2D([], [], linewidth=0, marker="D", markersize=5, label="true lift (simulated)", **hollow))
    axes.figure.legend(
        handles=entries,
        loc="lower left",
        bbox_to_anchor=(0.0, 0.0),
        ncols=len(entries),
        frameon=False,
        fontsize=SIZE - 0.4,
        labelcolor=MUTED,
        handlelength=1.6,
        columnspacing=1.3,
        borderaxespad=0.1,
    )


def _money_row(axis: Axes, y: int, metric: MetricRow, arm: str, *, is_control: bool) -> None:
    row = metric.arm(arm)
    if row.value is None:
        axis.text(
            0.02,
            y,
            "no visitors yet",
            transform=axis.get_yaxis_transform(),
            va="center",
            color=MUTED,
            size=SIZE,
            parse_math=False,
        )
        return
    colour = MUTED if is_control else GAIN
    half = fmt.half_width(row.interval.low, row.interval.high)
    if row.interval.low is not None and row.interval.high is not None:
        axis.plot([row.interval.low, row.interval.high], [y, y], color=colour, linewidth=2.2, solid_capstyle="butt")
    axis.plot([row.value], [y], marker="s" if is_control else "o", color=colour, markersize=6.5, markeredgecolor=PAPER)
    axis.annotate(
        fmt.level(row.value, metric.unit, half),
        (row.value if row.interval.high is None else row.interval.high, y),
        xytext=(7, 0),
        textcoords="offset points",
        va="center",
        color=INK,
        size=SIZE,
        parse_math=False,
    )


def _left(axes: Axes, y: float, text: str, *, indent: int, weight: str = "normal") -> None:
    box = axes.get_position()
    x = -box.x0 / box.width + 0.003 / box.width + 0.0095 * indent / box.width
    axes.text(
        x, y, text, transform=axes.get_yaxis_transform(), va="center", ha="left", color=INK, size=SIZE, weight=weight
    )


def _or(x: float | None, otherwise: float) -> float:
    return otherwise if x is None else x


def _short(name: str) -> str:
    return name if len(name) <= 30 else name[:29] + "…"
