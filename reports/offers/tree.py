"""What a scorecard says of offers: money, factors, prices, segments, funnel, what comes after the sale.

One record a part, grouped under `Scorecard.offers`. A part is None where its experiment does not ask for it; where it
is asked for and cannot be had, or not yet, it has a status and a reason instead of numbers. Intervals are of 95 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "AfterSale",
    "AfterSaleRow",
    "Bunching",
    "Cluster",
    "ClusterRow",
    "CourseRow",
    "Effect",
    "Estimate",
    "Factorial",
    "FactorialCell",
    "FactorialTerm",
    "Funnel",
    "FunnelRow",
    "HistogramBin",
    "Incremental",
    "IncrementalRow",
    "Money",
    "MoneyRow",
    "Offers",
    "Response",
    "ResponsePoint",
    "SegmentRow",
    "SegmentTest",
    "Segments",
    "Status",
    "Waiting",
    "WaitingRow",
]

Status = Literal["ok", "insufficient", "undefined", "withheld", "unavailable"]
"""`insufficient`: too little data; `undefined`: has no value; `withheld`: until the first planned look; `unavailable`:
what it is computed from cannot be read here, as single visitors cannot from a warehouse."""

IntervalKind = Literal["sequential", "always_valid", "fixed_sample"]
"""Which interval stands there; `sequential` and `always_valid` decide, `fixed_sample` is right for one look only."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; None where there is none."""

    estimate: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class MoneyRow:
    """What an arm earns beyond the control, in the currency.

    Attributes:
        per_visitor: difference for each eligible visitor.
        per_week: the same for a week's audience; empty where the audience is not known, and of a one-off campaign.
        over_horizon: for the audience until the plan's horizon, net of the switching cost; of a one-off campaign for
            all its visitors so far. Empty without a horizon.
    """

    arm: str
    status: Status
    reason: str
    per_visitor: Estimate = Estimate()
    per_week: Estimate = Estimate()
    over_horizon: Estimate = Estimate()


@dataclass(frozen=True, slots=True)
class Money:
    """What the offers earn, by the interval that decides.

    Attributes:
        metric: the metric of money it is counted by.
        measures: `margin`, or `revenue` where no metric nets the costs.
        netted: what is taken off, in words.
        interval: which interval it is.
        audience_per_week: eligible visitors a week; None where neither seen nor planned.
        audience_source: whether they were `observed` or are the `plan`'s.
        audience: the same in words.
        horizon_weeks: the plan's horizon.
        switching_cost: what it costs once to change over.
        one_off: whether it is a campaign that ends by itself, whose money is never projected.
        arms: one of each treatment.
    """

    status: Status
    reason: str
    metric: str | None = None
    measures: Literal["margin", "revenue"] | None = None
    netted: str = ""
    interval: IntervalKind | None = None
    audience_per_week: float | None = None
    audience_source: Literal["observed", "plan"] | None = None
    audience: str = ""
    horizon_weeks: float | None = None
    switching_cost: float = 0.0
    one_off: bool = False
    arms: tuple[MoneyRow, ...] = ()


@dataclass(frozen=True, slots=True)
class FactorialTerm:
    """A main effect or an interaction.

    Attributes:
        term: such as `discount` or `discount × shipping`.
        order: how many factors it has: 1 for a main effect.
        status, reason: why there is no number.
        effect: of a term with one contrast, in the metric's unit; relative (0.05 is 5 %) on the log scale.
        p_value: of the test that none of its contrasts differ.
        adjusted_p_value: over the tested family; None outside it.
        detectable: smallest effect that would be found with the plan's power; of terms with one contrast.
        in_family: whether the plan tests it.
    """

    term: str
    order: int
    status: Status
    reason: str
    effect: Estimate = Estimate()
    p_value: float | None = None
    adjusted_p_value: float | None = None
    detectable: float | None = None
    in_family: bool = False


@dataclass(frozen=True, slots=True)
class FactorialCell:
    """An arm as a combination of levels: its value as it was seen, and shrunk towards what the main effects say."""

    arm: str
    levels: Mapping[str, str]
    n: int
    value: float | None
    shrunk: float | None


@dataclass(frozen=True, slots=True)
class Factorial:
    """Main effects and interactions of the primary metric.

    Attributes:
        scale: whether effects add up or multiply, as the plan says.
        contrasts: what a main effect compares, in words.
        aliased: what missing combinations leave inseparable, a sentence each.
        best: the arm of the best combination.
        best_raw, best_shrunk: its value as seen, and corrected for having been picked.
    """

    status: Status
    reason: str
    metric: str = ""
    unit: str = ""
    scale: Literal["additive", "log"] = "additive"
    contrasts: str = ""
    terms: tuple[FactorialTerm, ...] = ()
    cells: tuple[FactorialCell, ...] = ()
    aliased: tuple[str, ...] = ()
    best: str | None = None
    best_raw: Estimate = Estimate()
    best_shrunk: Estimate = Estimate()


@dataclass(frozen=True, slots=True)
class ResponsePoint:
    """One tested dose.

    Attributes:
        dose: the price in the currency, the discount in percent, or the subtotal from which shipping is free; None for
            an arm without one.
        demand: orders, or buyers, for each visitor.
        profit: margin for each visitor.
        probability_best: that no other tested dose earns more.
        regret: what is lost for each visitor on average by choosing it.
    """

    arm: str
    dose: float | None
    n: int
    demand: Estimate = Estimate()
    profit: Estimate = Estimate()
    probability_best: float | None = None
    regret: float | None = None


@dataclass(frozen=True, slots=True)
class HistogramBin:
    """Orders of a value from `low` up to `high`."""

    low: float
    high: float
    orders: int


@dataclass(frozen=True, slots=True)
class Bunching:
    """Order values about a threshold: the histogram of an arm, and the orders just above beyond the control's.

    Attributes:
        threshold: subtotal from which shipping is free in this arm; None where it is not.
        excess: share of the orders just above the threshold beyond the control's share there.
    """

    arm: str
    threshold: float | None
    bins: tuple[HistogramBin, ...]
    excess: Estimate = Estimate()


@dataclass(frozen=True, slots=True)
class Response:
    """How demand and profit answer to the one thing that the arms differ in.

    Attributes:
        dose: what they differ in.
        unit: of the dose: a currency code, or `percent`.
        elasticity: of demand to price; of a price test.
        best: arm of the tested dose that most likely earns the most.
        trend: the dose response in words.
        bunching: of a threshold test.
    """

    status: Status
    reason: str
    dose: Literal["price", "discount", "threshold"]
    unit: str = ""
    demand_metric: str = ""
    profit_metric: str = ""
    points: tuple[ResponsePoint, ...] = ()
    elasticity: Estimate = Estimate()
    best: str | None = None
    trend: str = ""
    bunching: tuple[Bunching, ...] = ()


@dataclass(frozen=True, slots=True)
class IncrementalRow:
    """Where the cost of an arm's offer went.

    Attributes:
        cost: of the offer, for each visitor.
        incremental_orders: orders for each visitor beyond the control's.
        would_have_bought: share of the arm's orders that would have come anyway.
        cost_on_them: part of the cost that went to those, for each visitor.
        break_even_lift: of the conversion, from which the offer pays for itself.
    """

    arm: str
    status: Status
    reason: str
    cost: float | None = None
    incremental_orders: Estimate = Estimate()
    would_have_bought: Estimate = Estimate()
    cost_on_them: Estimate = Estimate()
    break_even_lift: float | None = None


@dataclass(frozen=True, slots=True)
class Incremental:
    """Who would have bought anyway: the cost of the offers, split by whether it brought orders."""

    status: Status
    reason: str
    cost_from: str = ""
    arms: tuple[IncrementalRow, ...] = ()


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """An arm's effect in one value of a segment, in the metric's unit.

    Attributes:
        n: mature visitors of both arms.
        raw: as seen, fixed-sample.
        shrunk: towards the overall effect, as far as noise explains the difference between the values.
        p_value: of its difference from the other values' effect.
        adjusted_p_value: over all of them, by Benjamini and Hochberg.
    """

    value: str
    arm: str
    status: Status
    reason: str
    n: int
    raw: Estimate = Estimate()
    shrunk: Estimate = Estimate()
    p_value: float | None = None
    adjusted_p_value: float | None = None


@dataclass(frozen=True, slots=True)
class SegmentTest:
    """Whether an arm's effect differs between the values of a segment at all."""

    arm: str
    status: Status
    reason: str
    statistic: float | None = None
    degrees_of_freedom: int | None = None
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class Segments:
    """The primary metric split by one segment; informs, never decides.

    Attributes:
        label: `pre_declared` where the plan that was frozen at the start names it, else `exploratory`.
    """

    segment: str
    label: Literal["pre_declared", "exploratory"]
    status: Status
    reason: str
    metric: str = ""
    unit: str = ""
    tests: tuple[SegmentTest, ...] = ()
    rows: tuple[SegmentRow, ...] = ()


@dataclass(frozen=True, slots=True)
class FunnelRow:
    """What became of an arm's offers.

    Attributes:
        reached: exposed visitors.
        delivered, undelivered: visitors who saw the offer, and who should have and did not.
        withheld: visitors by the guard that withheld it.
        accepted, declined: visitors; None where withheld until the first look.
        declined_reasons: visitors by reason.
        accept_rate: accepted of delivered. Not comparable between arms: they are other people in each.
    """

    arm: str
    reached: int
    delivered: int | None = None
    undelivered: int | None = None
    withheld: Mapping[str, int] | None = None
    accepted: int | None = None
    declined: int | None = None
    declined_reasons: Mapping[str, int] | None = None
    accept_rate: float | None = None


@dataclass(frozen=True, slots=True)
class Funnel:
    """The steps of the offers: diagnostics, never the metric."""

    status: Status
    reason: str
    arms: tuple[FunnelRow, ...] = ()


@dataclass(frozen=True, slots=True)
class CourseRow:
    """The difference that had built up so many days after the exposure; `n` visitors were observed as long."""

    day: int
    n: int
    difference: Estimate


@dataclass(frozen=True, slots=True)
class AfterSaleRow:
    """How an arm's difference builds up with the days since the exposure.

    Attributes:
        peak_day, peak: where the difference was largest.
        last: at the last day.
        shape: `growing`, `holding`, `pulled_forward` (falls back from its peak by more than noise explains) or
            `unclear`.
        words: the same in a sentence.
    """

    arm: str
    status: Status
    reason: str
    course: tuple[CourseRow, ...] = ()
    peak_day: int | None = None
    shape: Literal["growing", "holding", "pulled_forward", "unclear"] | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class AfterSale:
    """What comes after the sale.

    Attributes:
        metric: whose difference is followed over the days since the exposure.
        maturity: a sentence on each metric that waits for refunds or for a retention window.
        holdout: what a holdout's comparison says; "" elsewhere.
    """

    status: Status
    reason: str
    metric: str = ""
    unit: str = ""
    maturity: tuple[str, ...] = ()
    holdout: str = ""
    arms: tuple[AfterSaleRow, ...] = ()


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """What an arm is expected to bring, and what another week would be worth; ranks, never ships.

    Attributes:
        rank: 1 for the largest expected gain.
        expected_gain: of shipping it, until the horizon, net of the switching cost.
        expected_loss: what shipping it costs on average where it is worse than the control.
        value_of_week: what a week's data more would be worth to the decision.
        cost_of_week: what the week costs, in visitors who meanwhile get the worse arm.
        gain_of_waiting: the one less the other; below 0, deciding now is worth more.
    """

    arm: str
    status: Status
    reason: str
    rank: int | None = None
    expected_gain: float | None = None
    expected_loss: float | None = None
    value_of_week: float | None = None
    cost_of_week: float | None = None
    gain_of_waiting: float | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Is another week worth its price? Shown after the verdict, which it never makes."""

    status: Status
    reason: str
    metric: str = ""
    horizon_weeks: float | None = None
    audience_per_week: float | None = None
    arms: tuple[WaitingRow, ...] = ()


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """The primary metric's difference with a variance that knows of the clusters.

    Attributes:
        clusters: how many both arms have.
        inflation: variance with clusters over that without.
    """

    arm: str
    status: Status
    reason: str
    clusters: int | None = None
    difference: Estimate = Estimate()
    p_value: float | None = None
    inflation: float | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """Visitors who share an agent are alike; the plan says so, and their variance is the one that decides."""

    cluster: str
    status: Status
    reason: str
    arms: tuple[ClusterRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Offers:
    """All parts; each None where the experiment does not ask for it, `segments` empty."""

    money: Money | None = None
    factorial: Factorial | None = None
    response: Response | None = None
    incremental: Incremental | None = None
    segments: tuple[Segments, ...] = ()
    funnel: Funnel | None = None
    after_sale: AfterSale | None = None
    waiting: Waiting | None = None
    clusters: Cluster | None = None


Effect = Money | Factorial | Response | Incremental | Segments | AfterSale | Waiting | Cluster
"""The parts that say what an offer does, and are withheld whole."""
