"""What a verdict says of metrics that an arm made worse: of profit above all, which a promotion can lower unseen."""

from __future__ import annotations

from . import sentences as say
from .format import change, half_width, interval, label, lift, setting
from .tree import MetricRow
from .verdict import Reading

__all__ = ["accepted_losses", "sells_more_earns_less"]


def sells_more_earns_less(reading: Reading, arm: str) -> str:
    """That the arm converts more and earns less, where both are seen: the trap that a promotion sets; "" elsewhere."""
    more = next((row for row in reading.metrics if _is_conversion(row) and _sign(row, arm) > 0), None)
    less = next((row for row in reading.metrics if row.kind == "margin" and _sign(row, arm) < 0), None)
    if more is None or less is None:
        return ""
    return f" It sells more and earns less: {say.cause([more], arm)}, but {say.cause([less], arm)}."


def accepted_losses(reading: Reading, arm: str) -> str:
    """Of an arm that ships: guardrails that got worse within their margins, and profit that nobody guards; "" of none.

    The rule lets these pass: a guardrail's margin is the loss that its owner declared acceptable, and its harm alarm,
    which stops whatever the margin, was not raised. So that nobody ships a loss unseen, it is said.
    """
    said = []
    for row in reading.metrics:
        worse = _sign(row, arm) == (-1 if row.desired_change == "increase" else 1)
        margin = row.definition.non_inferiority_margin
        if not worse or row.role == "primary":
            continue
        if row.role == "guardrail" and margin is not None:
            said.append(
                f" {_fell(row, arm)}: a loss within the {setting(margin)} that the plan accepts. "
                "To ship no proven loss, plan a smaller margin, or make this the primary metric."
            )
        elif row.kind == "margin":
            said.append(f" {_fell(row, arm)}, which the plan does not guard.")
    return "".join(said)


def _fell(row: MetricRow, arm: str) -> str:
    """Such as: Margin per visitor fell all the same, −1.2% (fixed-sample 95% interval −2.2% to −0.1%)."""
    comparison = row.comparison(arm)
    judged = comparison.adjusted if comparison.judged_by == "adjusted" and comparison.adjusted else comparison
    relative, difference = judged.lift, judged.difference
    moved = "fell" if row.desired_change == "increase" else "rose"
    name = label(row.metric)
    if relative.kind == "bounded" and relative.estimate is not None:
        half = half_width(relative.low, relative.high)
        size = f"{lift(relative.estimate, half)} (fixed-sample 95% interval "
        size += f"{interval(relative.low, relative.high, 'lift')})"
    else:
        half = half_width(difference.low, difference.high)
        size = f"{change(difference.estimate, row.unit, half)} (fixed-sample 95% interval "
        size += f"{interval(difference.low, difference.high, row.unit)})"
    return f"{name[:1].upper()}{name[1:]} {moved} all the same, {size}"


def _is_conversion(row: MetricRow) -> bool:
    return row.kind in ("conversion", "count") and row.desired_change == "increase"


def _sign(row: MetricRow, arm: str) -> int:
    """1 or -1 where the fixed-sample interval leaves out 0, else 0; of the row that is judged."""
    comparison = row.comparison(arm)
    judged = comparison.adjusted if comparison.judged_by == "adjusted" and comparison.adjusted else comparison
    low, high = judged.difference.low, judged.difference.high
    if low is None or high is None:
        return 0
    return 1 if low > 0 else -1 if high < 0 else 0
