"""The definition language: metrics, plan and the whole document, and its JSON Schema for editors.

Conditions, offers and arms are in `.offer_sections`; what concerns several places is checked in `.checks`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal, cast

from pydantic import Discriminator, Field, StrictBool, StrictInt, Tag, model_validator

from .metrics import BUILT_IN_METRICS, MetricKind
from .offer_sections import ArmSection, Count, EligibilityRule, FilterRule, OfferPiece, OfferSection, Section, value_or
from .scalars import (
    Alpha,
    Currency,
    Delay,
    Duration,
    Effect,
    Key,
    Label,
    Moment,
    Money,
    OpenShare,
    PositiveMoney,
    Power,
    Share,
    Term,
    Text,
    UtcOffset,
    problem,
)
from .warehouse_sections import WarehouseSection

__all__ = [
    "BuiltInMetric",
    "CovariateSection",
    "CustomMetric",
    "Document",
    "LayerSection",
    "MetricSettings",
    "json_schema",
]


class CovariateSection(Section):
    """A number known before the exposure that takes noise out of the metric (CUPED)."""

    name: Label
    """Its name in the store."""
    window: Duration | None = None
    """How far before the exposure a value counts; without limit unless given."""


CovariateChoice = Annotated[
    Annotated[Label, Tag("<value>")] | Annotated[CovariateSection, Tag("<covariate>")], value_or("<covariate>")
]


class MetricSettings(Section):
    """How a built-in metric is measured here."""

    event: Label | None = None
    """Name of the outcomes that it counts; `purchase` for the built-in metrics."""
    window: Duration | None = None
    """How long after the exposure outcomes count; for ever unless given."""
    refund_window: Duration | None = None
    """How long after the end of `window` a refund still counts, such as 14d; visitors are analysed only then."""
    covariate: CovariateChoice | None = None
    """A number known before the exposure, such as past_revenue."""
    margin: OpenShare | None = None
    """Of a guardrail: the relative loss that is still acceptable (non-inferiority margin), such as 2%."""
    desired_change: Literal["increase", "decrease"] | None = None
    """Whether more or less is better: more, unless the built-in metric is one of what should be rare."""
    cap: PositiveMoney | None = None
    """Largest value of one visitor that counts, in major units."""
    filter: list[FilterRule] | None = None
    """Conditions on declared columns of the outcomes."""


class NeverReturnSettings(MetricSettings):
    """How never_return is measured here."""

    between: Annotated[list[Delay], Field(min_length=2, max_length=2)] | None = None
    """From when to when after the exposure nobody sees the visitor again; [7d, 28d] unless given."""

    @model_validator(mode="after")
    def _fits(self) -> NeverReturnSettings:
        for key in self.given("window", "refund_window", "cap"):
            raise problem(f"never_return has no `{key}`", "Its time is `between`, such as [7d, 28d].")
        if self.between is not None and self.between[0] >= self.between[1]:
            raise problem("`between` must end after it begins, such as [7d, 28d]")
        return self


class ColumnSection(Section):
    """One side of a ratio."""

    event: Label
    """Name of the outcomes."""
    measure: Literal["converted", "count", "value", "margin"]
    """Whether there is one, how many, the sum of value, or of value - cost."""


class CustomMetric(MetricSettings):
    """A metric of the shop's own."""

    name: Key
    """Its name in plan and reports."""
    kind: MetricKind
    """What is computed."""
    between: Annotated[list[Delay], Field(min_length=2, max_length=2)] | None = None
    """Of retention: from when to when after the exposure the visitor must come back, such as [7d, 14d]."""
    numerator: ColumnSection | None = None
    """Of a ratio: what is above the line."""
    denominator: ColumnSection | None = None
    """Of a ratio: what is below the line."""

    @model_validator(mode="after")
    def _fits_kind(self) -> CustomMetric:
        needed, unfit = _METRIC_KEYS.get(self.kind, (("event",), ("between", "numerator", "denominator")))
        for key in needed:
            if getattr(self, key) is None:
                raise problem(f"a metric of kind {self.kind} needs `{key}`")
        for key in self.given(*unfit):
            raise problem(f"a metric of kind {self.kind} has no `{key}`")
        if self.between is not None and self.between[0] >= self.between[1]:
            raise problem("`between` must end after it begins, such as [7d, 14d]")
        return self


_METRIC_KEYS = {
    "retention": (("between",), ("window", "refund_window", "cap", "numerator", "denominator")),
    "ratio": (("numerator", "denominator"), ("event", "between")),
    "conversion": (("event",), ("refund_window", "cap", "between", "numerator", "denominator")),
    "count": (("event",), ("refund_window", "between", "numerator", "denominator")),
}
"""Keys that a metric of a kind needs, and those that it does not have."""

BuiltInName = Literal[
    "conversion",
    "orders_per_visitor",
    "revenue_per_visitor",
    "margin_per_visitor",
    "average_order_value",
    "never_return",
    "unsubscribe_rate",
    "refund_rate",
    "full_price_share",
    "satisfaction",
]


class BuiltInMetric(Section):
    """A built-in metric with settings: exactly one of these names."""

    conversion: MetricSettings | None = None
    """Share of visitors with at least one order."""
    orders_per_visitor: MetricSettings | None = None
    """Orders, per visitor."""
    revenue_per_visitor: MetricSettings | None = None
    """Revenue, per visitor."""
    margin_per_visitor: MetricSettings | None = None
    """Revenue less cost, per visitor."""
    average_order_value: MetricSettings | None = None
    """Revenue per order."""
    never_return: NeverReturnSettings | None = None
    """Share of visitors without any outcome in a late window."""
    unsubscribe_rate: MetricSettings | None = None
    """Share of visitors who unsubscribe."""
    refund_rate: MetricSettings | None = None
    """Refunds per order, from outcomes called refund."""
    full_price_share: MetricSettings | None = None
    """Orders at full price per order, from outcomes called full_price_purchase."""
    satisfaction: MetricSettings | None = None
    """Promoters per answer, from outcomes called promoter and survey."""

    @property
    def chosen(self) -> tuple[str, MetricSettings]:
        """The one name that is written, and its settings."""
        (name,) = self.model_fields_set
        return name, getattr(self, name) or MetricSettings()

    @model_validator(mode="after")
    def _one_name(self) -> BuiltInMetric:
        if len(self.model_fields_set) != 1:
            raise problem(
                f"one entry names one metric, seen {', '.join(sorted(self.model_fields_set)) or 'none'}",
                "Start each metric with its own dash, and indent its settings.",
            )
        return self


def _metric_tag(value: Any) -> str:
    if isinstance(value, CustomMetric | BuiltInMetric):
        return "<metric>" if isinstance(value, CustomMetric) else "<built-in>"
    if isinstance(value, dict):
        return "<metric>" if "name" in value or "kind" in value else "<built-in>"
    return "<value>"


MetricChoice = Annotated[
    Annotated[BuiltInName, Tag("<value>")]
    | Annotated[BuiltInMetric, Tag("<built-in>")]
    | Annotated[CustomMetric, Tag("<metric>")],
    Discriminator(_metric_tag),
]


class AudienceSection(Section):
    """What the money of a verdict is counted for."""

    per_week: Count | None = None
    """Visitors who would see the offer in a week."""
    horizon: Duration | None = None
    """How long the winner would be kept."""
    switching_cost: Money | None = None
    """What it costs once to build and roll out the winner."""
    one_off: StrictBool = False
    """Whether it is a campaign that ends by itself: its money is then never projected over a week or a year."""


MOST_SEGMENTS = 10
"""Each is a test of an interaction more, and what is split by everything finds something by chance."""

MOST_LOOKS = 100
LookCount = Annotated[StrictInt, Field(ge=1, le=MOST_LOOKS)]
LooksChoice = Annotated[
    Annotated[LookCount, Tag("<value>")] | Annotated[list[Share], Field(max_length=MOST_LOOKS), Tag("<shares>")],
    Discriminator(lambda value: "<shares>" if isinstance(value, list) else "<value>"),
]


class PlanSection(Section):
    """How the experiment is judged; frozen at the start."""

    primary: Key
    """The one metric that decides."""
    guardrails: list[Key] = Field(default_factory=list)
    """Metrics that must not get worse than their margin."""
    adjusted: StrictBool = False
    """Whether the primary is judged by its covariate-adjusted row (CUPED)."""
    minimum_detectable_effect: Effect | None = None
    """Smallest relative change of the primary worth having, such as 5%."""
    alpha: Alpha = 0.05
    """Two-sided error rate of the primary, at most 0.2."""
    power: Power = 0.8
    """Chance to detect the minimum detectable effect, from 0.5 on."""
    looks: LooksChoice | None = None
    """Planned readings: how many, evenly spread, or rising shares of the sample, such as [50%, 75%, 100%]."""
    sample_size: Count | None = None
    """Mature visitors in all arms at the planned end."""
    longest_duration: Duration | None = None
    """After so long it ends undecided."""
    scale: Literal["additive", "log"] = "additive"
    """Of a factorial: whether effects add or multiply."""
    family: list[Term] | None = None
    """Of a factorial: the terms that are tested together, a factor or an interaction such as timing:price."""
    cluster: Label | None = None
    """One of the `segments` whose visitors are alike, such as agent: reports take variances over clusters."""
    offer_cost: Key | None = None
    """The metric of money that was given away: discounts, shipping subsidies, gifts."""
    audience: AudienceSection | None = None
    """What the money of a verdict is counted for."""

    @model_validator(mode="after")
    def _rising_looks(self) -> PlanSection:
        shares = self.looks if isinstance(self.looks, list) else []
        if any(later <= earlier for earlier, later in pairwise(shares)):
            raise problem("`looks` must rise", "Such as [50%, 75%, 100%].")
        return self


class LayerSection(Section):
    """Buckets shared with other experiments, so that no visitor is in two."""

    name: Key
    """The layer."""
    range: Annotated[list[Annotated[StrictInt, Field(ge=0, le=10_000)]], Field(min_length=2, max_length=2)] | None = (
        None
    )
    """The buckets [from, to) of its 10000 that belong to this experiment."""

    @model_validator(mode="after")
    def _rising(self) -> LayerSection:
        if self.range is not None and self.range[0] >= self.range[1]:
            raise problem("`range` must end after it begins, such as [0, 5000]")
        return self


LayerChoice = Annotated[Annotated[Key, Tag("<value>")] | Annotated[LayerSection, Tag("<layer>")], value_or("<layer>")]


class Document(Section):
    """One experiment on an offer."""

    experiment: Key
    """Its key, unique in the store; also the salt of the split."""
    owner: Text | None = None
    """Who answers for it."""
    description: Text | None = None
    """What is tried and why."""
    currency: Currency = "EUR"
    """Of all its money."""
    utc_offset: UtcOffset | None = None
    """Where the days of a report are cut, such as "+01:00"."""
    starts_at: Moment | None = None
    """Nobody is enrolled before."""
    ends_at: Moment | None = None
    """Nobody is enrolled from then on."""
    enrol_on: Label | None = None
    """The event at which visitors of all arms are enrolled, before every arm's trigger; needed where timing differs."""
    traffic: Share | None = None
    """Share of the eligible visitors who are let in, all unless given."""
    eligibility: list[EligibilityRule] = Field(default_factory=list)
    """Rules that must all hold, independent of the arm."""
    segments: Annotated[list[Label], Field(max_length=MOST_SEGMENTS)] | None = None
    """At most ten attributes recorded with the exposure, by which reports split."""
    exploratory_segments: Annotated[list[Label], Field(max_length=MOST_SEGMENTS)] | None = None
    """At most ten more, recorded likewise, whose splits nobody planned: reports label them exploratory."""
    shown_event: Key | None = None
    """The event that is recorded each time a visitor sees an offer; reports describe the primary by its number."""
    columns: list[Label] | None = None
    """Columns of the outcomes that metric filters name."""
    holdouts: list[Key] | None = None
    """Names of the holdout experiments that cover this one."""
    layer: LayerChoice | None = None
    """Layer shared with other experiments; its own unless given."""
    salt: Key | None = None
    """Of the split; the key unless given."""
    holdout: StrictBool = False
    """Whether it is a holdout, with the arms held_out and offered, that other experiments name in `holdouts`."""
    control: Key | None = None
    """The arm that the others are compared with; the first unless given."""
    arms: list[ArmSection] | None = None
    """The arms in order; or write `factors` instead."""
    factors: dict[Key, dict[Key, OfferPiece | None]] | None = None
    """Factor, level, and what the level adds to `offer`; every combination becomes an arm."""
    offer: OfferPiece | None = None
    """With `factors`: what all arms have in common."""
    offers: dict[Key, OfferSection] | None = None
    """Further offers that arms and other offers name."""
    metrics: Annotated[list[MetricChoice], Field(min_length=1)]
    """Built-in names, with or without settings, and metrics of the shop's own."""
    plan: PlanSection
    """How the experiment is judged."""
    warehouse: WarehouseSection | None = None
    """Tables that are there already, which `offerlift analyze --warehouse` reads in place."""


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a definition, for editors."""
    schema = cast("dict[str, Any]", Document.model_json_schema(by_alias=True))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "offerlift experiment",
    }


assert set(BUILT_IN_METRICS) == set(BuiltInMetric.model_fields)
