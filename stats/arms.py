"""What `compare` returns: a metric in every arm, and every other arm against the control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ..errors import InputError
from .bayes import Direction
from .moments import Moments
from .results import Anytime, Comparison, Difference, Lift, Posterior
from .showing import Row, Shown, html_table, paragraphs, show, text_table
from .skewness import SKEW_LIMIT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ArmComparison", "ArmValue", "ArmsComparison", "MetricKind"]

MetricKind = Literal["conversion", "mean", "ratio"]


@dataclass(frozen=True, slots=True)
class ArmValue(Shown):
    """A metric in one arm.

    Attributes:
        arm: its name.
        n: visitors.
        value: the metric, None where it does not exist.
        se: standard error of the value.
        probability_best: that this arm is the best of all; None where no posterior could be computed.

    Example:
        >>> ArmValue("control", 5, 0.4, 0.24, None).value
        0.4
    """

    arm: str
    n: int
    value: float | None
    se: float | None
    probability_best: float | None


@dataclass(frozen=True)
class ArmComparison(Shown):
    """One arm against the control; `comparison` has the numbers at one look, `anytime` those that any look may read.

    Attributes:
        arm: the treatment's name.
        comparison: difference and lift, adjusted where covariates were given, or the reason why there is none.
        anytime: always-valid interval and p-value of the difference.
        bayes: posterior of the difference under a flat prior. It informs; it is no stopping rule.
        unadjusted: the comparison without the covariates, where there were any.
        skew: κ of the difference of means (`skew_kappa`); beyond 0.06 in size the interval leans to one side.

    Example:
        >>> from offerlift.stats import compare
        >>> arms = {"a": [0, 1, 0, 1, 1], "b": [1, 1, 0, 1, 1]}
        >>> compare(arms, control="a")["b"].status
        'ok'
    """

    arm: str
    comparison: Comparison
    anytime: Anytime | None = None
    bayes: Posterior | None = None
    unadjusted: Comparison | None = None
    skew: float | None = None

    @property
    def status(self) -> Literal["ok", "insufficient", "undefined"]:
        """`ok`, or why there are no numbers."""
        return self.comparison.status

    @property
    def reason(self) -> str:
        """One sentence where a number is missing."""
        return self.comparison.reason or self.comparison.lift.reason

    @property
    def difference(self) -> Difference | None:
        """Treatment minus control."""
        return self.comparison.difference

    @property
    def lift(self) -> Lift:
        """Relative lift."""
        return self.comparison.lift

    def to_dicts(self) -> list[Row]:
        """One row: difference, lift, always-valid interval, posterior."""
        d, lift, anytime, bayes = self.difference, self.lift, self.anytime, self.bayes
        return [
            {
                "arm": self.arm,
                "status": self.status,
                "reason": self.reason,
                "method": d.method if d else "",
                "difference": d.estimate if d else None,
                "low": d.low if d else None,
                "high": d.high if d else None,
                "p_value": d.p_value if d else None,
                "se": d.se if d else None,
                "df": d.df if d else None,
                "lift": lift.estimate,
                "lift_low": lift.low,
                "lift_high": lift.high,
                "lift_kind": lift.kind,
                "anytime_low": anytime.low if anytime else None,
                "anytime_high": anytime.high if anytime else None,
                "anytime_p_value": anytime.p_value if anytime else None,
                "probability_better": bayes.probability_better if bayes else None,
                "expected_loss": bayes.expected_loss if bayes else None,
                "unadjusted": self.unadjusted.difference.estimate
                if self.unadjusted and self.unadjusted.difference
                else None,
                "skew": self.skew,
            }
        ]


@dataclass(frozen=True, repr=False)
class ArmsComparison(Shown):
    """A metric in every arm, and every other arm against the control; `result["arm"]` is one of them.

    Attributes:
        metric: what was compared, in words.
        kind: `conversion`, `mean` or `ratio`.
        control: name of the control.
        arms: the metric's value by arm, the control first.
        against_control: by treatment.
        alpha: 1 minus the confidence level of all intervals.
        direction: whether more or less is better.
        covariates: what the comparison was adjusted for.
        moments: by arm, what all of it was computed from.

    Example:
        >>> from offerlift.stats import compare
        >>> result = compare({"a": [0, 1, 0, 1, 1], "b": [1, 1, 0, 1, 1]}, control="a")
        >>> [arm.value for arm in result.arms]
        [0.6, 0.8]
    """

    metric: str
    kind: MetricKind
    control: str
    arms: tuple[ArmValue, ...]
    against_control: Mapping[str, ArmComparison]
    alpha: float
    direction: Direction
    covariates: tuple[str, ...] = ()
    moments: Mapping[str, Moments] = field(default_factory=dict, repr=False, compare=False)

    def __getitem__(self, arm: str) -> ArmComparison:
        try:
            return self.against_control[arm]
        except KeyError:
            raise InputError(
                f"no arm {arm!r} was compared with {self.control!r}; compared were {list(self.against_control)}"
            ) from None

    @property
    def notes(self) -> list[str]:
        """What a reader should know beside the numbers: why one is missing, and intervals that lean to one side."""
        said = [f"{name}: {row.reason}" for name, row in self.against_control.items() if row.reason]
        return said + [
            f"{name}: the values are so skewed (κ = {row.skew:.2f}) that the interval misses more often on one side"
            for name, row in self.against_control.items()
            if row.skew is not None and abs(row.skew) > SKEW_LIMIT
        ]

    def to_dicts(self) -> list[Row]:
        """One row an arm, the control first: its value, then the columns of `ArmComparison`."""
        rows = []
        for arm in self.arms:
            own: Row = {"arm": arm.arm, "n": arm.n, "value": arm.value, "value_se": arm.se}
            against = self.against_control.get(arm.arm)
            rows.append(own | (against.to_dicts()[0] if against else {}) | {"probability_best": arm.probability_best})
        names = dict.fromkeys(name for row in rows for name in row)
        return [{name: row.get(name) for name in names} for row in rows]

    def __str__(self) -> str:
        return "\n".join([self._title(), text_table(self._readable()), *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"{paragraphs([self._title()])}{html_table(self._readable())}{paragraphs(self.notes)}"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest plot of the lifts with the interval of one look; of differences where an arm has no bounded lift."""
        from .plotting import Line, draw_lines

        more, lines = self.direction == "increase", []
        in_percent = all(row.lift.kind == "bounded" for row in self.against_control.values())
        for name, row in self.against_control.items():
            lift, d = row.lift, row.difference
            if in_percent:
                lines.append(Line(name, lift.kind, lift.estimate, lift.low, lift.high, None, more, True))
            elif d is not None:
                band = (row.anytime.low, row.anytime.high) if row.anytime else None
                lines.append(Line(name, "bounded", d.estimate, d.low, d.high, band, more))
        if not lines:
            raise InputError(f"there is no interval to draw: {'; '.join(self.notes)}")
        return draw_lines(lines, ax, title=f"{self.metric}: {'lift' if in_percent else 'difference'}")

    def _title(self) -> str:
        adjusted = f", adjusted for {', '.join(self.covariates)}" if self.covariates else ""
        return f"{self.metric} against {self.control}{adjusted} ({100 * (1 - self.alpha):g}% intervals)"

    def _readable(self) -> list[Row]:
        rows = []
        for arm in self.arms:
            row: Row = {"arm": arm.arm, "visitors": arm.n, "value": show("value", arm.value)}
            against = self.against_control.get(arm.arm)
            if against is not None and against.difference is not None:
                d, lift, anytime, bayes = against.difference, against.lift, against.anytime, against.bayes
                row["difference"] = f"{show('', d.estimate)} ({show('', d.low)} to {show('', d.high)})"
                row["lift"] = _lift_in_words(lift)
                row["p"] = show("p", d.p_value)
                if anytime is not None:
                    row["at any look"] = f"{show('', anytime.low)} to {show('', anytime.high)}"
                if bayes is not None:
                    row["P(better)"] = show("probability", bayes.probability_better)
            rows.append(row)
        return [{name: row.get(name, "") for row_ in rows for name in row_} for row in rows]


def _lift_in_words(lift: Lift) -> str:
    if lift.kind == "undefined":
        return "undefined"
    estimate = "" if lift.estimate is None else f"{_percent(lift.estimate)} "
    if lift.kind == "complement":
        return f"{estimate}(all but {_percent(lift.low)} to {_percent(lift.high)})"
    if lift.kind == "unbounded" and lift.low is None and lift.high is None:
        return f"{estimate}(unbounded)"
    low = "−∞" if lift.low is None else _percent(lift.low)
    return f"{estimate}({low} to {'∞' if lift.high is None else _percent(lift.high)})"


def _percent(x: float | None) -> str:
    return "–" if x is None else f"{x * 100:+.3g}%"
