"""Interval bars: inline SVG as wide as its place, whose parts lie at percentages of a scale that several share.

Shape and place say what colour says: a gain is a triangle pointing up, a loss one pointing down, what is undecided a
circle; an end that leaves the scale is an arrow.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from .tree import LiftRow

__all__ = ["Scale", "axis", "bar", "lift_scale", "tone"]

TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0)
"""Distances between the ticks of a scale of lifts."""

MOST_TICKS = 5
REACH = 3.0
"""How many times the median reach of its intervals a scale goes at most, unless another number is given."""

MARKERS = {
    "above": "M0 -7L6.5 5H-6.5Z",
    "below": "M0 7L6.5 -5H-6.5Z",
    "open": "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z",
    "level": "M-5 -5H5V5H-5Z",
}
LETTER = 6.7
"""Pixels of a letter of a tick, on average."""

GAP = 8.0
"""Pixels between two of them, at least."""

NARROWEST = 200.0
"""Pixels of a scale where there is least room: 12.5rem in a window that is just no phone's."""

PAD = 4.0
"""Percent of the width that is left free at either end, for arrows and markers."""


@dataclass(frozen=True, slots=True)
class Scale:
    """From the lowest to the highest value that is drawn."""

    low: float
    high: float

    def at(self, x: float) -> float:
        """Where a value lies, in percent of the width; what is outside lies at the end."""
        inside = min(max(x, self.low), self.high)
        return PAD + (100 - 2 * PAD) * (inside - self.low) / ((self.high - self.low) or 1.0)

    def ticks(self, most: int = MOST_TICKS) -> list[float]:
        """Round values inside, so many at most and 0 among them."""
        for step in TICKS:
            found = range(math.ceil(self.low / step), math.floor(self.high / step) + 1)
            if len(found) <= most:
                return [i * step for i in found]
        return [0.0]


def lift_scale(lifts: Sequence[LiftRow], also: Sequence[float] = (), *, most: float = REACH) -> Scale:
    """A scale on which most of these lifts are whole: what reaches several times as far as others leaves it.

    Args:
        lifts: those with two ends count.
        also: values that have to be on it, such as margins.
        most: how many times the median reach it goes.
    """
    ends = [(one.low, one.high) for one in lifts if one.kind == "bounded"]
    pairs = [(low, high) for low, high in ends if low is not None and high is not None]
    reach = [max(abs(low), abs(high)) for low, high in pairs]
    cap = most * statistics.median(reach) if reach else math.inf
    values = [0.0, *also, *(min(max(end, -cap), cap) for pair in pairs for end in pair)]
    low, high = min(values), max(values)
    return Scale(low, high) if high > low else Scale(-0.1, 0.1)


def tone(low: float | None, high: float | None) -> str:
    """What an interval says about 0: `above`, `below` or `open`."""
    if low is not None and low > 0:
        return "above"
    return "below" if high is not None and high < 0 else "open"


def bar(
    row: LiftRow,
    scale: Scale,
    *,
    zero: float | None = 0.0,
    tone: str = "open",
    margin: float | None = None,
    truth: float | None = None,
    said: tuple[str, str] | None = None,
) -> str:
    """One interval on the scale: the line of no effect, the interval, its estimate.

    Args:
        row: the interval, of a lift or of anything else on the scale; without any only the line is drawn.
        scale: shared by all that are compared.
        zero: where the line of no effect is; None: nowhere.
        tone: `above`, `below`, `open` or `level`, which is its shape and its colour.
        margin: where a dotted line is drawn besides, the margin of a guardrail.
        truth: where a hollow diamond is drawn, the true effect of a simulation.
        said: title and description for screen readers; None where the numbers stand beside it.
    """
    head = 'aria-hidden="true"'
    words = ""
    if said is not None:
        head = 'role="img"'
        words = f"<title>{escape(said[0])}</title><desc>{escape(said[1])}</desc>"
    parts = [f'<svg class="bar" width="100%" height="26" {head}>{words}']
    if zero is not None:
        parts.append(_upright("zero", scale.at(zero)))
    if margin is not None:
        parts.append(_upright("margin", scale.at(margin)))
    if row.kind in ("bounded", "unbounded"):
        parts.append(f'<g class="{tone}">{"".join(_interval(row, scale))}')
        if row.estimate is not None and scale.low <= row.estimate <= scale.high:
            parts.append(_placed(scale.at(row.estimate), f'<path class="mark" d="{MARKERS[tone]}"/>'))
        parts.append("</g>")
    if truth is not None and scale.low <= truth <= scale.high:
        parts.append(_placed(scale.at(truth), '<path class="truth" d="M0 -6L6 0L0 6L-6 0Z"/>'))
    return "".join(parts) + "</svg>"


def axis(
    scale: Scale,
    show: Callable[[float], str],
    zero: str = "",
    *,
    most: int = MOST_TICKS,
    narrowest: float = NARROWEST,
) -> str:
    """The ticks below the bars of a scale; hidden from screen readers, who are told the numbers.

    Those that would touch others where there is least room are left out: 0 stays, then what is farthest from it.

    Args:
        scale: of the bars.
        show: how a value is written.
        zero: what the line of no effect is called, in place of its number.
        most: how many ticks a scale has.
        narrowest: pixels of the scale where there is least room.
    """
    parts = ['<svg class="bar axis" width="100%" height="20" aria-hidden="true">']
    taken: list[tuple[float, float]] = []
    shown: dict[float, str] = {}
    for x in sorted(scale.ticks(most), key=lambda x: (x != 0, -abs(x))):
        at = scale.at(x)
        anchor = "start" if at < 10 else "end" if at > 90 else "middle"
        name = zero if zero and x == 0 else show(x)
        size = LETTER * len(name)
        left = at / 100 * narrowest - {"start": 0.0, "middle": size / 2, "end": size}[anchor]
        if all(left + size + GAP <= start or end + GAP <= left for start, end in taken):
            taken.append((left, left + size))
            shown[x] = f'<text x="{at:.1f}%" y="14" text-anchor="{anchor}">{escape(name)}</text>'
    return "".join([*parts, *(shown[x] for x in sorted(shown))]) + "</svg>"


def _interval(row: LiftRow, scale: Scale) -> Iterator[str]:
    low = scale.low if row.low is None else row.low
    high = scale.high if row.high is None else row.high
    left, right = scale.at(low), scale.at(high)
    yield f'<line x1="{left:.2f}%" x2="{right:.2f}%" y1="13" y2="13"/>'
    if row.low is None or row.low < scale.low:
        yield _placed(left, '<path d="M1 -6L-8 0L1 6Z"/>')
    if row.high is None or row.high > scale.high:
        yield _placed(right, '<path d="M-1 -6L8 0L-1 6Z"/>')


def _upright(name: str, at: float) -> str:
    return f'<line class="{name}" x1="{at:.2f}%" x2="{at:.2f}%" y1="0" y2="26"/>'


def _placed(at: float, shape: str) -> str:
    """A shape at a percentage: only an inner SVG can be moved by one."""
    return f'<svg x="{at:.2f}%" y="13" overflow="visible">{shape}</svg>'
