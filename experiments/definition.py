"""What is tested: the frozen form of a definition, with everything filled in.

Plain dataclasses of the standard library, so that backends can hold them without pydantic; `.files` reads them
from YAML. Durations are microseconds, times are aware datetimes in UTC, money is `Decimal` in major units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from .metrics import Metric
from .rules import Rule
from .terms import Terms

if TYPE_CHECKING:
    from .quoting import Quote

__all__ = [
    "BUCKETS",
    "HOLDOUT_ARMS",
    "Arm",
    "Audience",
    "Definition",
    "Offer",
    "Plan",
    "Rule",
]

BUCKETS = 10_000
"""How many buckets a salt spreads visitors over; arm weights sum to it."""

WEEK = 7 * 86_400_000_000

HOLDOUT_ARMS = ("held_out", "offered")
"""The arms of a holdout: those who get no offer of the covered experiments, and those who take part."""

State = Literal["draft", "running", "paused", "stopped"]


class Offer(Terms):
    """What an arm shows, where, when and at what price."""

    __slots__ = ()

    def quote(self, **amounts: Any) -> Quote:
        """What it costs this visitor now; the keywords are those of `offerlift.experiments.quoting.quote`."""
        # Late, so that assigning alone does not pay for decimals and currencies.
        from .quoting import quote

        return quote(self, **amounts)


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of the split.

    `weight` counts buckets of the 10,000. `ratio` is the exact intended ratio where assignment happened elsewhere
    (thirds are not 3334/3333/3333 to a sample ratio test). `levels` are the factor levels of a factorial's arm.
    """

    name: str
    weight: int
    offer: Offer | None = None
    ratio: Fraction | None = None
    levels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Audience:
    """What the money of a verdict is counted for. `horizon` is in microseconds, `switching_cost` in major units.

    `one_off` says that the offers are a campaign that ends by itself, so that its money is never projected.
    """

    per_week: int | None = None
    horizon: int | None = None
    switching_cost: Decimal = Decimal(0)
    one_off: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """How the experiment is judged; frozen at start.

    Attributes:
        primary: name of the one primary metric.
        guardrails: names of metrics that must not get worse than their non-inferiority margin.
        adjusted: whether the primary is judged by its CUPED-adjusted row.
        minimum_detectable_effect: relative change of the primary worth having (0.05 is 5 %).
        alpha: two-sided error rate of the primary.
        power: chance to detect the minimum detectable effect.
        looks: planned shares of the sample at which the experiment is read, rising to 1; none: it may be read any day.
        sample_size: mature visitors in all arms at the planned end, if given.
        longest_duration: microseconds after which it ends undecided; None: no end.
        scale: of a factorial, whether effects add or multiply.
        family: of a factorial, the terms tested together: factors, and interactions such as `timing:price`.
        audience: what the money is counted for.
        cluster: the segment whose visitors are alike, such as the support agent; None: visitors are independent.
        offer_cost: name of the metric of money that is given away with the offers; None where none is measured.
    """

    primary: str
    guardrails: tuple[str, ...] = ()
    adjusted: bool = False
    minimum_detectable_effect: float | None = None
    alpha: float = 0.05
    power: float = 0.8
    looks: tuple[float, ...] = ()
    sample_size: int | None = None
    longest_duration: int | None = None
    scale: Literal["additive", "log"] = "additive"
    family: tuple[str, ...] = ()
    audience: Audience = Audience()
    cluster: str | None = None
    offer_cost: str | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """One experiment, validated and frozen.

    Attributes:
        experiment: its key, unique in the store.
        control: name of the reference arm.
        arms: in listed order, which is part of the assignment.
        metrics: every metric that the plan or the report names.
        plan: how it is judged.
        source: `assigner` where offerlift assigns; `table` for an imported table of one row a visitor, read once.
        salt: of the arm split, the key unless given.
        layer: whose buckets the experiment shares; an experiment of its own layer is named after it.
        layer_range: the buckets [low, high) of the layer that it owns.
        traffic: share of its range that is let in, from the range's start.
        eligibility: rules that must all hold, before the split.
        enrol_on: event at which visitors are enrolled and exposed, before every arm's trigger.
        holdouts: names of the holdout experiments that cover it.
        segments: attributes recorded with the exposure, by which the analysis is planned to split.
        exploratory_segments: further attributes recorded with it; what is found by them was not planned.
        shown_event: the event that is recorded each time a visitor sees an offer, by whose number the primary is
            described; None: by the different offers that the funnel says were delivered.
        columns: columns of the outcomes that metric filters may name.
        offers: further offers, which those of the arms lead to by name (`on_decline`, `on_accept`, `alternatives`).
        factors: factor name -> its levels in order, for a factorial; empty otherwise.
        starts_at, ends_at: when it runs, if limited.
        utc_offset_minutes: where the days of a report are cut.
        currency: ISO 4217 code that its money is in.
        holdout: whether it is a holdout: its arms are `HOLDOUT_ARMS`, and other experiments name it in `holdouts`.
    """

    experiment: str
    control: str
    arms: tuple[Arm, ...]
    metrics: tuple[Metric, ...]
    plan: Plan
    source: Literal["assigner", "table"] = "assigner"
    description: str = ""
    owner: str = ""
    salt: str = ""
    layer: str = ""
    layer_range: tuple[int, int] = (0, BUCKETS)
    traffic: Fraction = Fraction(1)
    eligibility: tuple[Rule, ...] = ()
    enrol_on: str | None = None
    holdouts: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    offers: tuple[Offer, ...] = ()
    factors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    utc_offset_minutes: int = 0
    currency: str = "EUR"
    holdout: bool = False
    exploratory_segments: tuple[str, ...] = ()
    shown_event: str | None = None

    def arm(self, name: str) -> Arm:
        """The arm of that name; KeyError where there is none."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)

    def metric(self, name: str) -> Metric:
        """The metric of that name; KeyError where there is none."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise KeyError(name)

    def role(self, metric: str) -> Literal["primary", "guardrail", "secondary"]:
        """What the plan makes of a metric."""
        if metric == self.plan.primary:
            return "primary"
        return "guardrail" if metric in self.plan.guardrails else "secondary"

    @property
    def recorded_segments(self) -> tuple[str, ...]:
        """All attributes recorded with the exposure, planned or exploratory."""
        return (*self.segments, *self.exploratory_segments)

    @property
    def expected_shares(self) -> dict[str, Fraction]:
        """Intended share of the visitors for each arm, in listed order, summing to 1 exactly."""
        shares = {arm.name: arm.ratio if arm.ratio is not None else Fraction(arm.weight) for arm in self.arms}
        total = sum(shares.values())
        return {name: share / total for name, share in shares.items()}

    @property
    def planned_sample(self) -> int | None:
        """Mature visitors in all arms at the planned end; None where none are planned.

        Without a `sample_size`, a plan of looks counts the audience's weeks: those let in whose window for the primary
        metric, the time for refunds included, passes before the longest duration does.
        """
        plan = self.plan
        if plan.sample_size is not None or not plan.looks:
            return plan.sample_size
        if plan.audience.per_week is None or plan.longest_duration is None:
            return None
        low, _ = self.layer_range
        share = Fraction(self.traffic_end - low, BUCKETS)
        primary = self.metric(plan.primary)
        entering = plan.longest_duration - (primary.window_end or 0) - primary.refund_window
        return max(int(plan.audience.per_week * share * entering / WEEK), 0)

    @property
    def layer_name(self) -> str:
        """The layer whose buckets it shares; its own is named after it."""
        return self.layer or self.experiment

    @property
    def split_salt(self) -> str:
        """What the split is salted with: `<salt>/s`, of a holdout `<holdout>/h`."""
        return f"{self.salt or self.experiment}/{'h' if self.holdout else 's'}"

    @property
    def traffic_salt(self) -> str:
        """What the slot in the layer is salted with: `<layer>/t`."""
        return f"{self.layer_name}/t"

    @property
    def traffic_end(self) -> int:
        """The layer's bucket before which visitors are let in; traffic grows from the range's start."""
        low, high = self.layer_range
        return low + int(self.traffic * (high - low))

    @property
    def treatments(self) -> tuple[str, ...]:
        """Names of all arms but the control, in listed order."""
        return tuple(arm.name for arm in self.arms if arm.name != self.control)
