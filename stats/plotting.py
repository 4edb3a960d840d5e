"""Drawing on matplotlib axes: the palette, the look of a panel, intervals with arrows where they leave the scale.

The one chart code of results in a notebook and of the reports. Colours carry no meaning alone: gains point up, losses
point down, what is undecided is a circle. matplotlib is loaded by the functions that need a figure.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "GAIN",
    "GRID",
    "INK",
    "LOSS",
    "MUTED",
    "PAPER",
    "SIZE",
    "TRUE",
    "Line",
    "draw_courses",
    "draw_lines",
    "draw_set",
    "look",
    "new_axes",
    "percent_axis",
    "style",
]

INK, MUTED, GRID, PAPER = "#1c2024", "#5f6873", "#d5d9de", "#fffffe"
GAIN, LOSS, TRUE = "#0072b2", "#d55e00", "#b07a00"
COURSES = (GAIN, LOSS, "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
SIZE = 8.2


class LiftSet(Protocol):
    """What is drawn of a lift or an interval: kind, estimate and ends, of which some may be missing."""

    @property
    def kind(self) -> str: ...
    @property
    def estimate(self) -> float | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a forest plot: an interval, the wider one behind it, and which way is better."""

    label: str
    kind: str
    estimate: float | None
    low: float | None
    high: float | None
    band: tuple[float | None, float | None] | None = None
    more_is_better: bool = True
    percent: bool = False

    @classmethod
    def of(cls, row: Mapping[str, Any], number: int) -> Line | None:
        """The line of a row that has `low` and `high`, or those of a lift or a difference; None without them."""
        for prefix in ("", "difference_", "lift_"):
            low, high = row.get(f"{prefix}low"), row.get(f"{prefix}high")
            if low is None and high is None:
                continue
            names = [value for value in row.values() if isinstance(value, str) and value]
            kind = row.get(f"{prefix}kind") or ("bounded" if None not in (low, high) else "unbounded")
            return cls(names[0] if names else str(number), kind, row.get(f"{prefix}estimate"), low, high)
        return None


def new_axes(height: float = 2.0, width: float = 7.0) -> Axes:
    """Axes of a new figure of its own, which a notebook shows.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise InputError("matplotlib is not installed", hint="Install it: pip install matplotlib") from error
    _, axes = pyplot.subplots(figsize=(width, height), layout="constrained")
    return axes


def style(axis: Axes) -> None:
    """A panel with a quiet horizontal scale and nothing else."""
    axis.patch.set_alpha(0)
    for side in ("left", "right", "top"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(GRID)
    axis.tick_params(axis="x", colors=MUTED, labelsize=SIZE, length=3)
    axis.set_yticks([])
    axis.grid(axis="x", color=GRID, linewidth=0.5, alpha=0.8)
    axis.set_axisbelow(True)


def percent_axis(axes: Axes) -> None:
    """Ticks of signed per cent."""
    axes.locator_params(axis="x", nbins=7)
    axes.xaxis.set_major_formatter(lambda x, _: _tick(x))


def look(low: float | None, high: float | None, *, more_is_better: bool) -> tuple[str, str]:
    """Colour and marker by what an interval says: a gain, a loss, or neither yet."""
    if low is None or high is None or low <= 0 <= high:
        return MUTED, "o"
    up = low > 0
    return (GAIN if up == more_is_better else LOSS), ("^" if up else "v")


def draw_set(
    axes: Axes,
    y: float,
    drawn: LiftSet,
    limits: tuple[float, float],
    colour: str,
    marker: str,
    band: tuple[float | None, float | None] | None = None,
) -> None:
    """A confidence set at height y: the thick bar, the thin band behind it, the estimate; arrows where it goes on."""
    low, high = limits
    if drawn.kind == "undefined":
        return
    if band is not None:
        _segment(axes, y, _or(band[0], low), _or(band[1], high), limits, colour, 1.1)
    if drawn.kind == "complement":
        _segment(axes, y, low - 1, _or(drawn.low, low), limits, colour, 3.6)
        _segment(axes, y, _or(drawn.high, high), high + 1, limits, colour, 3.6)
    else:
        _segment(axes, y, _or(drawn.low, low - 1), _or(drawn.high, high + 1), limits, colour, 3.6)
    if drawn.estimate is not None and low <= drawn.estimate <= high:
        axes.plot([drawn.estimate], [y], marker=marker, color=colour, markersize=8, markeredgecolor=PAPER, zorder=4)


def draw_lines(lines: Sequence[Line], axes: Axes | None = None, *, title: str = "") -> Axes:
    """A forest plot of some lines, each with its label on the left."""
    axes = new_axes(0.32 * len(lines) + 0.9) if axes is None else axes
    style(axes)
    limits = _limits(lines)
    axes.set_xlim(*limits)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
    for y, line in enumerate(lines):
        decides = line.band or (line.low, line.high)
        colour, marker = look(*decides, more_is_better=line.more_is_better)
        draw_set(axes, y, line, limits, colour, marker, line.band)
    axes.set_yticks(range(len(lines)), [line.label for line in lines], fontsize=SIZE, color=INK)
    axes.tick_params(axis="y", length=0)
    if all(line.percent for line in lines):
        percent_axis(axes)
    if title:
        axes.set_title(title, loc="left", size=SIZE + 0.6, color=INK, weight="bold", parse_math=False)
    return axes


def draw_courses(courses: Sequence[tuple[str, Any, Any, Any]], axes: Axes | None = None, *, title: str = "") -> Axes:
    """Lines over days with their intervals as shades: (label, values, lows, highs), each of one number a day."""
    axes = new_axes(3.0) if axes is None else axes
    style(axes)
    axes.yaxis.set_major_locator(_ticks())
    axes.tick_params(axis="y", colors=MUTED, labelsize=SIZE, length=3)
    axes.axhline(0, color=INK, linewidth=0.9, zorder=1)
    for at, (label, values, lows, highs) in enumerate(courses):
        days, colour = range(1, len(values) + 1), COURSES[at % len(COURSES)]
        axes.fill_between(days, lows, highs, color=colour, alpha=0.15, linewidth=0)
        axes.plot(days, values, color=colour, linewidth=1.6, label=label)
    # The first days are too wide to leave room for the others.
    ends = sorted(abs(end) for _, _, lows, highs in courses for end in (*lows, *highs) if end == end)
    if ends:
        cap = 1.1 * ends[int(0.8 * (len(ends) - 1))]
        axes.set_ylim(-cap, cap)
    axes.set_xlabel("day", size=SIZE, color=MUTED)
    axes.legend(frameon=False, fontsize=SIZE, labelcolor=INK)
    if title:
        axes.set_title(title, loc="left", size=SIZE + 0.6, color=INK, weight="bold", parse_math=False)
    return axes


def _ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(5)


def _limits(lines: Sequence[Line]) -> tuple[float, float]:
    """A scale on which most intervals are whole; what is far wider leaves it with an arrow."""
    ends = [[end for end in (line.low, line.high, *(line.band or ())) if end is not None] for line in lines]
    reach = [max(map(abs, some)) for some in ends if some]
    cap = 3 * statistics.median(reach) if reach else 0.1
    low = max(min([0.0, *(end for some in ends for end in some)]), -cap)
    high = min(max([0.0, *(end for some in ends for end in some)]), cap)
    pad = 0.05 * (high - low) or 0.1
    return low - pad, high + pad


def _segment(
    axes: Axes, y: float, start: float, end: float, limits: tuple[float, float], colour: str, width: float
) -> None:
    """A bar from start to end, cut at the scale, with an arrow head where it goes on."""
    low, high = limits
    left, right = max(start, low), min(end, high)
    if left >= right:
        return
    axes.plot([left, right], [y, y], color=colour, linewidth=width, solid_capstyle="butt", zorder=3)
    size = 4.5 if width > 2 else 3.5
    if start < low:
        axes.plot([low], [y], marker="<", color=colour, markersize=size, clip_on=False, zorder=3)
    if end > high:
        axes.plot([high], [y], marker=">", color=colour, markersize=size, clip_on=False, zorder=3)


def _tick(x: float) -> str:
    x = round(x, 10)
    return "0%" if x == 0 else f"{x * 100:+g}%".replace("-", "−")


def _or(x: float | None, otherwise: float) -> float:
    return otherwise if x is None else x
