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
    "ByExposures",
    "Cluster",
    "ClusterRow",
    "CourseRow",
    "CustomerValue",
    "Effect",
    "Estimate",
    "ExposuresRow",
    "Factorial",
    "FactorialCell",
    "FactorialContrast",
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
    "SetEstimate",
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
class CustomerValue:
    """What an arm's visitors were worth more until so many days after the exposure, repeat orders and refunds included.

    Of a longer window than that of the metric that money is counted by; nothing is extrapolated beyond it.
    """

    metric: str
    days: float
    arm: str
    per_visitor: Estimate


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
        measured_days: over how many days after the exposure the metric is measured; None: at any time after.
        arms: one of each treatment.
        customer_value: the same by metrics of money with a longer window.
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
    measured_days: float | None = None
    arms: tuple[MoneyRow, ...] = ()
    customer_value: tuple[CustomerValue, ...] = ()


@dataclass(frozen=True, slots=True)
class FactorialContrast:
    """One contrast of a term, such as `discount: 10% v none`; fields as in `FactorialTerm`."""

    name: str
    status: Status
    reason: str
    effect: Estimate = Estimate()
    p_value: float | None = None
    detectable: float | None = None


@dataclass(frozen=True, slots=True)
class FactorialTerm:
    """A main effect or an interaction.

    Attributes:
        term: such as `discount` or `discount:shipping`.
        order: how many factors it has: 1 for a main effect.
        status, reason: why there is no number.
        effect: of a term with one contrast, in the metric's unit; relative (0.05 is 5 %) on the log scale.
        p_value: of the test that none of its contrasts differ.
        adjusted_p_value: over the tested family; None outside it.
        detectable: smallest effect that would be found with the plan's power; of terms with one contrast.
        in_family: whether the plan tests it.
        contrasts: all of it, each level against the first; intervals are fixed-sample ones, each for itself.
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
    contrasts: tuple[FactorialContrast, ...] = ()


@dataclass(frozen=True, slots=True)
class FactorialCell:
    """A combination of levels: its value as seen, and shrunk towards that of all; `arm` is "" where none has it."""

    arm: str
    levels: Mapping[str, str]
    n: int
    value: float | None
    shrunk: float | None
    probability_best: float | None = None


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
        orders: all of the arm's, those beyond the last bin included.
        excess: share of the orders just above the threshold beyond the control's share there, which compares buyers;
            empty where `reason` says why.
    """

    arm: str
    threshold: float | None
    orders: int
    bins: tuple[HistogramBin, ...]
    excess: Estimate = Estimate()
    reason: str = ""


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
class SetEstimate:
    """A ratio with its confidence set; `kind` as of a lift: bounded, unbounded, complement or undefined."""

    kind: str = "undefined"
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class IncrementalRow:
    """Where the cost of an arm's offer went; fixed-sample intervals.

    Attributes:
        cost: of the offer, for each visitor.
        share_incremental: of the arm's orders, those that the offer brought.
        cost_incremental, cost_non_incremental: its part for these, and for orders that would have come anyway.
        cost_per_incremental_order: what each order more cost.
        observed_lift: of orders for each visitor.
        break_even_lift: from which the offer pays for itself, at the margin that its orders had.
    """

    arm: str
    status: Status
    reason: str
    cost: Estimate = Estimate()
    share_incremental: SetEstimate = SetEstimate()
    cost_incremental: Estimate = Estimate()
    cost_non_incremental: Estimate = Estimate()
    cost_per_incremental_order: SetEstimate = SetEstimate()
    observed_lift: SetEstimate = SetEstimate()
    break_even_lift: SetEstimate = SetEstimate()


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
        adjusted_p_value: over all of them, by Benjamini and Hochberg; planned and exploratory segments are two
            families.
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
    """Whether an arm's effect differs between the values of a segment at all (Cochran's Q); to be read first.

    `adjusted_p_value` is over all segments and arms, by Benjamini and Hochberg; planned and exploratory segments are
    two families.
    """

    arm: str
    status: Status
    reason: str
    statistic: float | None = None
    degrees_of_freedom: int | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None


@dataclass(frozen=True, slots=True)
class Segments:
    """The primary metric split by one segment; informs, never decides.

    Attributes:
        label: `pre_declared` where the definition named it when the experiment started, else `exploratory`.
        caution: of an exploratory one, what to make of it in plain words; to be shown with the numbers.
    """

    segment: str
    label: Literal["pre_declared", "exploratory"]
    status: Status
    reason: str
    metric: str = ""
    unit: str = ""
    tests: tuple[SegmentTest, ...] = ()
    rows: tuple[SegmentRow, ...] = ()
    caution: str = ""


@dataclass(frozen=True, slots=True)
class FunnelRow:
    """What became of an arm's offers.

    Attributes:
        visitors: all who were exposed in the arm, whatever they did.
        reached: those who came to where the offer is made; None where nobody records it.
        delivered, undelivered: visitors who saw the offer, and who should have and did not.
        withheld: visitors by the guard that withheld it.
        undelivered_reasons: visitors by reason.
        accepted, declined: visitors; None where withheld until the first look.
        declined_reasons: visitors by reason.
        accept_rate: accepted of delivered. Not comparable between arms: they are other people in each.
    """

    arm: str
    visitors: int
    reached: int | None = None
    delivered: int | None = None
    undelivered: int | None = None
    withheld: Mapping[str, int] | None = None
    undelivered_reasons: Mapping[str, int] | None = None
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
class ExposuresRow:
    """The visitors of an arm who saw so many offers.

    Attributes:
        offers_seen: how many offers, or how often, as `counted` says; the highest number stands for "or more".
        n: mature visitors.
        value: the metric's value of these visitors, described and not compared.
    """

    arm: str
    offers_seen: int
    n: int
    value: float | None


@dataclass(frozen=True, slots=True)
class ByExposures:
    """The primary metric by the number of offers seen: descriptive, as that number comes after the assignment.

    There is no difference, no interval and no p-value, and nothing else is made of it.

    Attributes:
        label: says so in plain words; to be shown with the numbers.
        counted: what is counted, in words.
        most: the highest number, which stands for "or more".
    """

    status: Status
    reason: str
    label: str = ""
    counted: str = ""
    metric: str = ""
    unit: str = ""
    most: int | None = None
    rows: tuple[ExposuresRow, ...] = ()


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
        course: day by day, each of the visitors who were observed as long.
        early, late: the differences of the window's first days and of the rest, of the same visitors; they add up.
        shape: `growing`, `holding`, `pulled_forward` (won early and lost after), `delayed` (lost early and won after)
            or `unclear`.
        words: the same in a sentence.
    """

    arm: str
    status: Status
    reason: str
    course: tuple[CourseRow, ...] = ()
    early: Estimate = Estimate()
    late: Estimate = Estimate()
    shape: Literal["growing", "holding", "pulled_forward", "delayed", "unclear"] | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class AfterSale:
    """What comes after the sale; all intervals are fixed-sample ones, which do not decide.

    Attributes:
        metric: whose difference is followed over the days since the exposure.
        maturity: a sentence on each metric that waits for refunds or for a retention window.
        holdout: what a holdout's comparison says; "" elsewhere.
        split_day: the day that parts `early` from `late`, fixed before any data.
    """

    status: Status
    reason: str
    metric: str = ""
    unit: str = ""
    maturity: tuple[str, ...] = ()
    holdout: str = ""
    split_day: int | None = None
    arms: tuple[AfterSaleRow, ...] = ()


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """What an arm is expected to bring; ranks, never ships.

    Attributes:
        rank: 1 for the largest expected gain.
        expected_gain: of shipping it, until the horizon, net of the switching cost.
        expected_loss: what shipping it is expected to lose to the best of all arms, control included, where it is not
            the best.
    """

    arm: str
    status: Status
    reason: str
    rank: int | None = None
    expected_gain: float | None = None
    expected_loss: float | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Is another week worth its price? Shown after the verdict, which it never makes.

    Attributes:
        arms: one of each treatment.
        now: the arm with the largest expected gain, which is the control where none is above 0.
        value_of_week: what a week's data more would be worth to the choice among all arms (EVSI).
        cost_of_week: what the week costs, in visitors who meanwhile get other arms than `now`.
        gain_of_waiting: the one less the other; below 0, deciding now is worth more.
        words: the same in sentences, or why no week is priced.
    """

    status: Status
    reason: str
    metric: str = ""
    horizon_weeks: float | None = None
    audience_per_week: float | None = None
    arms: tuple[WaitingRow, ...] = ()
    now: str | None = None
    value_of_week: float | None = None
    cost_of_week: float | None = None
    gain_of_waiting: float | None = None
    words: str = ""


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
    by_exposures: ByExposures | None = None


Effect = Money | Factorial | Response | Incremental | Segments | AfterSale | Waiting | Cluster | ByExposures
"""The parts that say what an offer does, and are withheld whole."""
