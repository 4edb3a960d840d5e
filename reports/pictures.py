"""Charts as PNG files, for slides and chats."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..stats.plotting import INK, MUTED, PAPER, SIZE
from .charts import can_draw_forest, forest_plot, money_plot
from .day_charts import course_plot, exposure_plot
from .format import moment
from .tree import MetricRow, Scorecard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["charts", "money_metrics", "write_chart", "write_charts"]

DOTS_PER_INCH = 200


def money_metrics(card: Scorecard) -> list[MetricRow]:
    """The metrics of money of which an arm has a value."""
    return [
        metric
        for metric in card.metrics
        if metric.kind in ("revenue", "margin") and any(arm.value is not None for arm in metric.arms)
    ]


def charts(card: Scorecard) -> Iterator[tuple[str, Figure]]:
    """Every chart that can be drawn, with its name: `lifts`, `money` where a metric is money, and where the days are
    known, as of a report, `lift-by-day` and `visitors-by-day`.

    None while effects are withheld or a health check fails: what is not to be read is not drawn either.
    """
    if card.withheld or not card.healthy:
        return
    if can_draw_forest(card):
        yield "lifts", _named(forest_plot(card), card)
    money = money_metrics(card)
    if money:
        yield "money", _named(money_plot(card, money), card)
    for name, figure in (("lift-by-day", course_plot(card)), ("visitors-by-day", exposure_plot(card))):
        if figure is not None:
            yield name, _named(figure, card)


def _named(figure: Figure, card: Scorecard) -> Figure:
    """With the experiment and the moment in its corner: away from its page a chart does not say what it is of."""
    name = card.experiment if len(card.experiment) <= 40 else f"{card.experiment[:39]}…"
    figure.text(0.003, 0.995, name, va="top", color=INK, size=SIZE, weight="bold", parse_math=False)
    below = 0.995 - 0.17 / figure.get_figheight()
    figure.text(0.003, below, moment(card.as_of), va="top", color=MUTED, size=SIZE - 0.4, parse_math=False)
    return figure


def write_chart(card: Scorecard, path: Path) -> Path:
    """Write the chart of the lifts.

    Raises:
        InputError: there is nothing to draw, or no folder for it.
    """
    found = dict(charts(card))
    if "lifts" not in found:
        raise InputError(f"no chart of {card.experiment!r}: {_why(card)}")
    return _write(found["lifts"], path)


def write_charts(card: Scorecard, folder: Path) -> list[Path]:
    """Write every chart to a folder, which is made where there is none, named after the experiment and the chart.

    Raises:
        InputError: there is nothing to draw.
    """
    found = list(charts(card))
    if not found:
        raise InputError(f"no chart of {card.experiment!r}: {_why(card)}")
    folder.mkdir(parents=True, exist_ok=True)
    name = "".join(one if one.isalnum() or one in "-_." else "_" for one in card.experiment).lstrip(".") or "experiment"
    return [_write(figure, folder / f"{name}-{chart}.png") for chart, figure in found]


def _why(card: Scorecard) -> str:
    if card.withheld:
        return "its effects are withheld until the first planned look"
    return "no lift has two ends yet" if card.healthy else "a health check fails, so its effects are not to be read"


def _write(figure: Figure, path: Path) -> Path:
    if not path.parent.is_dir():
        raise InputError(f"no folder {str(path.parent)!r} for the chart", hint="Make it, or name another.")
    # On the page the charts lie on its own background; a chat's may be dark.
    figure.savefig(path, format="png", dpi=DOTS_PER_INCH, facecolor=PAPER, metadata={"Software": None})
    return path
