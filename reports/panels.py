"""Small charts over days, one a panel: the cumulative lift with its band, and new visitors against the planned split.

Each is an inline SVG of its own with a title and a description that has the numbers; its parts have classes, so that
the style sheet gives them the colours of the reader's light or dark page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from itertools import pairwise

from . import format as fmt
from .bars import MARKERS, Scale, lift_scale, tone
from .tree import ExposureDay, MonitoredArm, MonitoredDay

__all__ = ["Marker", "exposure_panel", "lift_panel", "progress_bar"]

LEFT, RIGHT = 58.0, 14.0
TOP, BOTTOM = 22.0, 24.0
LIFT, EXPOSURE = (480.0, 210.0), (360.0, 120.0)
"""Width and height of a panel."""

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Marker:
    """Something that happened, drawn as a numbered line at its moment."""

    at: datetime
    number: int


@dataclass(frozen=True, slots=True)
class _Frame:
    """The days from left to right, and the values of a scale from the bottom up."""

    first: datetime
    last: datetime
    scale: Scale
    size: tuple[float, float]

    @property
    def right(self) -> float:
        return self.size[0] - RIGHT

    @property
    def height(self) -> float:
        return self.size[1]

    def x(self, at: datetime) -> float:
        length = (self.last - self.first) / DAY or 1.0
        share = min(max((at - self.first) / DAY / length, 0.0), 1.0)
        return LEFT + (self.right - LEFT) * share

    def y(self, value: float) -> float:
        inside = min(max(value, self.scale.low), self.scale.high)
        share = (inside - self.scale.low) / ((self.scale.high - self.scale.low) or 1.0)
        return self.height - BOTTOM - (self.height - TOP - BOTTOM) * share


def lift_panel(arm: MonitoredArm, control: str, markers: Sequence[Marker]) -> str:
    """The course of an arm's lift with the always-valid band; "" where no day has a band with two ends."""
    days = [one for one in arm.days if one.band.kind == "bounded"]
    if not days:
        return ""
    # The first days' bands are wider than all that follows; they may leave the panel.
    later = days[len(days) // 3 :]
    last = days[-1]
    scale = lift_scale([one.band for one in later])
    frame = _Frame(days[0].day, max(last.day, days[0].day + DAY), scale, LIFT)
    title = f"Cumulative lift of {arm.arm} against {control}, with the band that may be looked at any day"
    parts = [_head(LIFT, title, _course_in_words(days))]
    parts += _levels(frame)
    parts.append(f'<polygon class="band" points="{_outline(frame, days)}"/>')
    zero = frame.y(0)
    parts.append(f'<line class="zero" x1="{LEFT:g}" x2="{frame.right:g}" y1="{zero:.1f}" y2="{zero:.1f}"/>')
    parts += _weeks(frame)
    parts += [_mark(frame, one) for one in markers]
    points = [
        f"{frame.x(one.day):.1f},{frame.y(one.lift.estimate):.1f}" for one in days if one.lift.estimate is not None
    ]
    shape = tone(last.band.low, last.band.high)
    parts.append(f'<polyline class="line" points="{" ".join(points)}"/>')
    if last.lift.estimate is not None:
        cx, cy = frame.x(last.day), frame.y(last.lift.estimate)
        parts.append(f'<path class="dot {shape}" transform="translate({cx:.1f} {cy:.1f})" d="{MARKERS[shape]}"/>')
    return "".join(parts) + "</svg>"


def exposure_panel(arm: str, days: Sequence[ExposureDay], markers: Sequence[Marker]) -> str:
    """New visitors of one arm a day as bars, and what the planned split gives it of that day's visitors as a line."""
    seen = [(one.day, one.visitors.get(arm, 0), _planned(one, arm)) for one in days]
    most = max((max(n, planned) for _, n, planned in seen), default=0) or 1
    frame = _Frame(days[0].day, days[-1].day + DAY, Scale(0, most * 1.08), EXPOSURE)
    total, planned = sum(n for _, n, _ in seen), sum(p for _, _, p in seen)
    described = (
        f"{fmt.count(total)} visitors in {fmt.count(len(seen))} days, where the split plans "
        f"{fmt.count(round(planned))} of all who came. " + _by_week(seen)
    )
    parts = [_head(EXPOSURE, f"New visitors of {arm} a day, against the planned split", described)]
    base, wide = frame.y(0), max(frame.x(days[0].day + DAY) - LEFT - 1.2, 0.8)
    top = f'<text class="tick" x="{LEFT - 6:g}" y="{frame.y(most) + 4:.1f}" text-anchor="end">'
    parts.append(f"{top}{fmt.count(round(most))}</text>")
    for day, n, _ in seen:
        top = frame.y(n)
        parts.append(
            f'<rect class="day" x="{frame.x(day) + 0.6:.1f}" y="{top:.1f}" width="{wide:.1f}" '
            f'height="{max(base - top, 0):.1f}"/>'
        )
    steps = [f"{frame.x(at):.1f},{frame.y(planned):.1f}" for day, _, planned in seen for at in (day, day + DAY)]
    parts.append(f'<polyline class="plan" points="{" ".join(steps)}"/>')
    parts.append(f'<line class="base" x1="{LEFT:g}" x2="{frame.right:g}" y1="{base:.1f}" y2="{base:.1f}"/>')
    parts += _weeks(frame)
    parts += [_mark(frame, one) for one in markers]
    return "".join(parts) + "</svg>"


def progress_bar(clock: float, looks: Sequence[float], described: str) -> str:
    """How much of the planned sample is analysed, with the planned looks as strokes."""
    parts = [
        '<svg class="progress" width="100%" height="40" role="img"><title>Progress to the planned sample</title>'
        f"<desc>{escape(described)}</desc>",
        '<rect class="whole" x="0" y="4" width="100%" height="14" rx="2"/>',
        f'<rect class="done" x="0" y="4" width="{100 * clock:.2f}%" height="14" rx="2"/>',
    ]
    for look in looks:
        at = 100 * look
        anchor = "end" if at > 92 else "middle"
        parts.append(f'<line class="look" x1="{at:.2f}%" x2="{at:.2f}%" y1="0" y2="22"/>')
        name = escape(fmt.setting(round(look, 3)))
        parts.append(f'<text class="tick" x="{at:.2f}%" y="36" text-anchor="{anchor}">{name}</text>')
    return "".join(parts) + "</svg>"


def _head(size: tuple[float, float], title: str, described: str) -> str:
    return (
        f'<svg class="panel" viewBox="0 0 {size[0]:g} {size[1]:g}" width="100%" role="img">'
        f"<title>{escape(title)}</title><desc>{escape(described)}</desc>"
    )


def _levels(frame: _Frame) -> list[str]:
    parts = []
    for value in frame.scale.ticks():
        y = frame.y(value)
        parts.append(f'<line class="grid" x1="{LEFT:g}" x2="{frame.right:g}" y1="{y:.1f}" y2="{y:.1f}"/>')
        name = "0%" if value == 0 else fmt.lift(value, 0.2)
        parts.append(f'<text class="tick" x="{LEFT - 6:g}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>')
    return parts


def _weeks(frame: _Frame) -> list[str]:
    """The dates of every first, second or fourth week, as many as have room."""
    weeks = int((frame.last - frame.first) / DAY // 7) + 1
    step = max(1, -(-weeks // 5))
    parts = []
    for week in range(0, weeks, step):
        day = frame.first + week * 7 * DAY
        if day > frame.last or (week and frame.x(day) > frame.right - 26):
            break
        anchor = "start" if week == 0 else "middle"
        parts.append(
            f'<text class="tick" x="{frame.x(day):.1f}" y="{frame.height - 6:g}" text-anchor="{anchor}">'
            f"{day:%-d %b}</text>"
        )
    return parts


def _mark(frame: _Frame, marker: Marker) -> str:
    if not frame.first <= marker.at <= frame.last:
        return ""
    x = frame.x(marker.at)
    return (
        f'<line class="event" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6:g}" y2="{frame.height - BOTTOM:g}"/>'
        f'<text class="event" x="{x:.1f}" y="{TOP - 9:g}" text-anchor="middle">{marker.number}</text>'
    )


def _outline(frame: _Frame, days: Sequence[MonitoredDay]) -> str:
    """The band's upper edge from left to right and its lower one back."""
    ends = [(one.day, one.band.low or 0.0, one.band.high or 0.0) for one in days]
    upper = [f"{frame.x(day):.1f},{frame.y(high):.1f}" for day, _, high in ends]
    lower = [f"{frame.x(day):.1f},{frame.y(low):.1f}" for day, low, _ in reversed(ends)]
    return " ".join(upper + lower)


def _course_in_words(days: Sequence[MonitoredDay]) -> str:
    """The values of about one day a week, the last among them."""
    chosen = sorted({*range(len(days) - 1, -1, -7)})
    said = [
        f"{days[i].day:%-d %B}: "
        + fmt.lift_in_words("bounded", days[i].lift.estimate, days[i].band.low, days[i].band.high)
        for i in chosen
    ]
    return "; ".join(said) + "."


def _planned(day: ExposureDay, arm: str) -> float:
    return day.shares.get(arm, 0.0) * sum(day.visitors.values())


def _by_week(seen: Sequence[tuple[datetime, int, float]]) -> str:
    starts = list(range(0, len(seen), 7))
    said = []
    for start, end in pairwise([*starts, len(seen)]):
        days = seen[start:end]
        said.append(f"from {days[0][0]:%-d %B}: {fmt.count(sum(n for _, n, _ in days))}")
    return "; ".join(said) + "."
