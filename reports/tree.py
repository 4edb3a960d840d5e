"""The scorecard as a frozen tree: what the JSON, the terminal and the page are all made from.

`Scorecard.to_dict` is the JSON object. Its paths are stable: fields may be added, none is renamed or removed. The shape
is always complete: what cannot be computed is None beside a status and a reason, never a number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from ..experiments.definition import Definition
from ..experiments.metrics import Metric
from .offers.tree import Offers

if TYPE_CHECKING:
    from ..experiments.snapshot import Published
    from ..storage.decisions import Decided

__all__ = [
    "Action",
    "Adjusted",
    "AnytimeRow",
    "ArmRow",
    "Background",
    "BayesRow",
    "Change",
    "ChangeKind",
    "ComparisonRow",
    "Decision",
    "DifferenceRow",
    "ExposureDay",
    "GuardrailRow",
    "HealthCheck",
    "Interval",
    "LiftRow",
    "MetricArmRow",
    "MetricRow",
    "MonitoredArm",
    "MonitoredDay",
    "Progress",
    "RandomisationRow",
    "Scorecard",
    "SensitivityRow",
    "SequentialRow",
    "plain",
]

Action = Literal["do_not_read", "collecting", "ship", "stop_harm", "stop_no_effect", "review"]
ChangeKind = Literal[
    "published",
    "imported",
    "started",
    "phase",
    "traffic",
    "changed",
    "paused",
    "resumed",
    "stopped",
    "shipped",
    "look",
    "reveal",
    "verdict",
    "decision",
]
CheckStatus = Literal["ok", "warn", "fail", "not_run"]
GuardrailResult = Literal["passed", "failed", "inconclusive"]
HIDDEN = {"json": False}


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One answer to "can these numbers be trusted?"; only a status of `fail` blocks the verdict."""

    check: str
    status: CheckStatus
    reason: str
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed interval; an end of None does not exist."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """Treatment minus control in the metric's unit, with its fixed-sample 95 % interval."""

    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    method: str | None = None


@dataclass(frozen=True, slots=True)
class LiftRow:
    """Treatment over control minus 1, with its fixed-sample 95 % interval.

    `kind` is `bounded`, `unbounded` (an end does not exist), `complement` (everything but the open gap between `low`
    and `high`) or `undefined` (see `reason`).
    """

    kind: str = "undefined"
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Adjusted:
    """The comparison after regression adjustment on a covariate (CUPED).

    `variance_removed` is the share of the variance that the covariate explains.
    """

    difference: DifferenceRow
    lift: LiftRow
    covariate: str
    variance_removed: float | None = None


@dataclass(frozen=True, slots=True)
class AnytimeRow:
    """The always-valid 95 % interval of the difference.

    Attributes:
        boundary: half-width in standard errors.
        valid_for: `any look`, or `one look` for a table, which is read once.
        lift: the same interval on the lift scale, of the same pivot.
    """

    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    boundary: float | None = None
    valid_for: Literal["any look", "one look"] = "any look"
    lift: LiftRow = LiftRow()


@dataclass(frozen=True, slots=True)
class SequentialRow:
    """The interval at the last planned look: estimate ± boundary · standard error, valid at all looks together.

    Attributes:
        estimate: after the last look of an arm the median-unbiased one, as a crossing flatters the raw one; else raw.
        raw_estimate: the difference as it was seen at the look.
        low, high: the repeated interval of the difference.
        boundary: half-width in standard errors; of a guardrail that of its harm alarm.
        look: number of the look, 1 for the first.
        planned: whether the plan asked for the look.
        clock: share of the planned sample that was reached.
        at: when it was made.
        alpha_spent: error of this comparison that is spent up to and with the look.
        crossed: whether the difference reached the boundary; of a guardrail, against the desired direction.
        lift: the same interval on the lift scale, of the same pivot; its estimate goes with `estimate`.
    """

    estimate: float | None
    raw_estimate: float | None
    low: float | None
    high: float | None
    boundary: float
    look: int
    planned: bool
    clock: float
    at: datetime
    alpha_spent: float
    crossed: bool
    lift: LiftRow
    standard_error: float | None = field(default=None, metadata=HIDDEN)


@dataclass(frozen=True, slots=True)
class BayesRow:
    """Posterior of one arm against the control, in the metric's unit, under a flat prior.

    `probability_better` counts the desired direction; `expected_loss` is what is lost per visitor on average by
    choosing the arm where it is the worse one.
    """

    probability_better: float | None = None
    expected_loss: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class GuardrailRow:
    """Non-inferiority of a guardrail: the 95 % lift interval against the margin (one-sided .025).

    `result` is None where it is withheld.
    """

    margin: float | None
    result: GuardrailResult | None


@dataclass(frozen=True, slots=True)
class RandomisationRow:
    """The randomisation test of the unadjusted difference, which needs no normality; it informs and never decides.

    `error` is the standard error that the p-value has for the number of resamples.
    """

    p_value: float
    resamples: int
    error: float


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One treatment arm against the control on one metric.

    Attributes:
        status: `ok`, `insufficient` or `undefined`; `reason` says why where it is not ok.
        withheld: whether the numbers are kept back until the first look is recorded.
        adjusted: None where there is no covariate or it cannot be used (see `adjusted_reason`).
        judged_by: which row `anytime` is built on, `difference` or `adjusted`.
        bayes_reason: why there is no posterior; empty where there is one.
        sequential: the repeated interval at the last look, where looks are planned; it decides.
        skew: kappa, by which skewed values unbalance the tails of the interval; None for proportions and ratios.
        guardrail: where the metric is one.
        randomisation: of the primary metric where skew is flagged in unequal arms; None elsewhere, and where it
            cannot be had (see `randomisation_reason`).
    """

    arm: str
    reference: str
    status: str
    reason: str
    withheld: bool
    difference: DifferenceRow
    lift: LiftRow
    adjusted: Adjusted | None
    adjusted_reason: str
    judged_by: Literal["difference", "adjusted"]
    anytime: AnytimeRow
    sequential: SequentialRow | None
    bayes: BayesRow
    bayes_reason: str
    skew: float | None
    guardrail: GuardrailRow | None
    randomisation: RandomisationRow | None = None
    randomisation_reason: str = ""


@dataclass(frozen=True, slots=True)
class MetricArmRow:
    """A metric in one arm: `n` mature visitors, its `value` and the value's 95 % interval."""

    arm: str
    n: int
    value: float | None
    probability_best: float | None
    interval: Interval
    variance: float | None = field(metadata=HIDDEN)


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric; `unit` is `share`, a currency code, `per visitor` or `ratio`, `condition` what it is limited to."""

    metric: str
    kind: str
    role: str
    unit: str
    desired_change: Literal["increase", "decrease"]
    condition: str
    arms: tuple[MetricArmRow, ...]
    comparisons: tuple[ComparisonRow, ...]
    definition: Metric = field(metadata=HIDDEN)

    def arm(self, name: str) -> MetricArmRow:
        """The row of that arm."""
        return next(row for row in self.arms if row.arm == name)

    def comparison(self, arm: str) -> ComparisonRow:
        """The row of that treatment arm against the control."""
        return next(row for row in self.comparisons if row.arm == arm)


@dataclass(frozen=True, slots=True)
class ArmRow:
    """An arm of the split; `mature` and `waiting` are the primary metric's, `verdict` is None for the control."""

    arm: str
    visitors: int
    mature: int
    expected_share: float
    verdict: Action | None
    verdict_reason: str
    share: float | None
    waiting: int
    crossovers: int
    levels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, in one word for machines and in plain sentences for people."""

    action: Action
    arm: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a plan of looks has come.

    Attributes:
        clock: share of the planned sample that is reached now, at most 1.
        planned_sample: mature visitors in all arms at the planned end.
        planned_looks: the shares at which the plan looks.
        next_look: the first of them that no look has reached; None after the last.
        look_due: whether a review would record a look now.
        looks: how many are recorded.
        decided: whether no look is left to make.
    """

    clock: float
    planned_sample: int
    planned_looks: tuple[float, ...]
    next_look: float | None
    look_due: bool
    looks: int
    decided: bool


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened to an experiment.

    Attributes:
        at: when. Of looks, the moment that was looked at, which `--as-of` may have put before the review itself.
        kind: what it was. `look` was planned and `reveal` was not; `verdict` is one that was recorded where no looks
            are planned. `phase`, `traffic`, `paused` and `resumed` change who comes in, so charts mark them.
        text: one sentence.
        by: who did it, where that is known: of decisions.
        phase: that holds from then on; 0 before the start.
        number: of the version, look or decision.
    """

    at: datetime
    kind: ChangeKind
    text: str
    by: str
    phase: int
    number: int


@dataclass(frozen=True, slots=True)
class MonitoredDay:
    """The end of a day: the lift so far, and the always-valid interval of it."""

    day: datetime
    lift: LiftRow
    band: LiftRow


@dataclass(frozen=True, slots=True)
class MonitoredArm:
    """The days of one treatment arm against the control, on the primary metric."""

    arm: str
    days: tuple[MonitoredDay, ...]

    @property
    def last(self) -> MonitoredDay | None:
        """The latest day that has a lift with two ends."""
        return next((one for one in reversed(self.days) if one.band.kind == "bounded"), None)


@dataclass(frozen=True, slots=True)
class SensitivityRow:
    """One arm's primary metric read otherwise, with its fixed-sample interval, which never decides.

    Attributes:
        name: how it was read, in words.
        reason: why there are no numbers; "" where there are.
    """

    arm: str
    name: str
    difference: DifferenceRow
    lift: LiftRow
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ExposureDay:
    """One day's new visitors by arm, and the share of them that the split of its phase gives each arm."""

    day: datetime
    phase: int
    visitors: Mapping[str, int]
    shares: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Background:
    """What is read of an experiment for its page alone.

    Attributes:
        versions: all of them by then, the first one first.
        changes: what happened to it, the newest last.
        decisions: what was decided.
        exposures: the days with new visitors, in order.
        course: cumulative lift of each treatment arm; empty while effects are withheld, and where no days are known.
        sensitivity: the primary metric read otherwise; empty while effects are withheld.
        late: how late outcomes arrive.
    """

    versions: tuple[Published, ...]
    changes: tuple[Change, ...]
    decisions: tuple[Decided, ...]
    exposures: tuple[ExposureDay, ...]
    course: tuple[MonitoredArm, ...]
    sensitivity: tuple[SensitivityRow, ...]
    late: HealthCheck

    @property
    def started(self) -> Published | None:
        """The version with which it was started, and its plan frozen; None of a draft."""
        return next((one for one in self.versions if one.state != "draft"), None)


@dataclass(frozen=True, slots=True)
class Scorecard:
    """Everything that is said about an experiment at one moment: health, decision, numbers.

    `notes` are sentences on what its definition asks for and this report does not show; `progress` is None where no
    looks are planned; `offers` is what is said of offers beyond the metrics. `background` is what a page shows besides,
    where it was read; it is no part of the JSON.
    """

    experiment: str
    state: str
    source: str
    as_of: datetime
    control: str
    primary: str
    currency: str
    health: tuple[HealthCheck, ...]
    decision: Decision
    arms: tuple[ArmRow, ...]
    metrics: tuple[MetricRow, ...]
    first_exposure: datetime | None
    last_exposure: datetime | None
    generated_by: str
    notes: tuple[str, ...]
    progress: Progress | None
    offers: Offers
    definition: Definition = field(metadata=HIDDEN)
    background: Background | None = field(default=None, metadata=HIDDEN)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object: plain dicts, lists, strings and finite floats; None for what is absent."""
        return plain(self)

    def metric(self, name: str) -> MetricRow:
        """The row of that metric."""
        return next(row for row in self.metrics if row.metric == name)

    @property
    def withheld(self) -> bool:
        """Whether the effects are kept back until the first look."""
        return any(comparison.withheld for metric in self.metrics for comparison in metric.comparisons)

    @property
    def healthy(self) -> bool:
        """Whether no health check blocks the verdict."""
        return all(check.status != "fail" for check in self.health)


def plain(value: Any) -> Any:
    """What JSON can say of frozen records, mappings, sequences and times; None for a number that is not finite."""
    if value is None or isinstance(value, str | bool):
        return value
    if is_dataclass(value):
        return {name: plain(getattr(value, name)) for name in _shown(type(value))}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, int):
        return int(value)
    number = float(value)
    return number if math.isfinite(number) else None


@cache
def _shown(kind: type) -> tuple[str, ...]:
    """The fields of such records that JSON shows."""
    return tuple(f.name for f in fields(kind) if f.metadata.get("json", True))
