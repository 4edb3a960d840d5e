"""An experiment at two moments, side by side: what changed between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import format as fmt
from .overview import lifts
from .review import ReviewRow
from .section import CHECKS
from .tree import ComparisonRow, MetricRow

__all__ = ["Change", "compare", "in_short"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is said of an experiment, as it was `before` and as it is `after`; "" where nothing was said."""

    what: str
    before: str
    after: str

    @property
    def is_changed(self) -> bool:
        """Whether the two differ as they are shown, rounded to their uncertainty."""
        return self.before != self.after


def compare(before: ReviewRow, after: ReviewRow) -> list[Change]:
    """Every line of both, the decision first; numbers that are withheld stay so on either side."""
    then, now = dict(_lines(before)), dict(_lines(after))
    # In the order of the later one; an arm or a check that is gone stands where it was.
    names = list(now)
    for at, name in enumerate(then):
        if name not in now:
            names.insert(min(at, len(names)), name)
    return [Change(name, then.get(name, ""), now.get(name, "")) for name in names]


def in_short(row: ReviewRow) -> str:
    """What is to be done, and the primary metric's lift, in one line."""
    primary = lifts(row.card)
    arms = [" ".join(filter(None, (arm.arm, arm.lift, arm.interval))) for arm in primary.arms]
    return f"{row.step.action}. {primary.metric}: {'; '.join(arms) or primary.absent}"


def _lines(row: ReviewRow) -> Iterator[tuple[str, str]]:
    card = row.card
    yield "State", row.state
    yield "What to do", " ".join(filter(None, (f"{row.step.action}.", row.step.following)))
    yield "Why", card.decision.reason
    if card.progress is not None:
        yield "Looks so far", fmt.count(card.progress.looks)
        yield "Share of the planned sample", fmt.percent(card.progress.clock, 0.01)
    for check in card.health:
        yield f"Health: {CHECKS.get(check.check, fmt.label(check.check))}", f"{fmt.label(check.status)}. {check.reason}"
    for arm in card.arms:
        yield f"Visitors of “{arm.arm}”", f"{fmt.count(arm.visitors)}, {fmt.count(arm.mature)} analysed"
        if arm.verdict is not None:
            yield f"Verdict of “{arm.arm}”", fmt.label(arm.verdict)
    for metric in card.metrics:
        for comparison in metric.comparisons:
            yield f"{fmt.label(metric.metric)} of “{comparison.arm}”", _effect(metric, comparison, card.healthy)


def _effect(metric: MetricRow, comparison: ComparisonRow, is_healthy: bool) -> str:
    """The difference and its interval: the one that decides where there is one, else the always-valid one."""
    if not is_healthy:
        return "not shown: health fails"
    if comparison.withheld:
        return "withheld until the first look"
    if comparison.status != "ok":
        return comparison.reason
    row = comparison.sequential or comparison.anytime
    half = fmt.half_width(row.low, row.high)
    said = fmt.change(comparison.difference.estimate, metric.unit, half)
    if comparison.sequential is not None:
        said = fmt.change(comparison.sequential.estimate, metric.unit, half)
    elif comparison.judged_by == "adjusted" and comparison.adjusted is not None:
        said = fmt.change(comparison.adjusted.difference.estimate, metric.unit, half)
    if row.low is not None:
        said += f" ({fmt.interval(row.low, row.high, metric.unit)})"
    if comparison.guardrail is not None and comparison.guardrail.result:
        said += f", guardrail {comparison.guardrail.result}"
    return said
