"""How long a planned experiment takes at the shop's traffic, what it can detect by when, and what would shorten it.

Every number is that of the rule which will decide: planned looks where the plan has them, otherwise the always-valid
interval, read once a week; Dunnett's level for several arms; guardrails by non-inferiority.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from ..errors import InputError
from ..experiments.definition import Definition
from ..experiments.metrics import DAY, Metric
from ..stats import (
    VISITORS_WITHOUT_PLAN,
    Design,
    Mean,
    Rate,
    achieved_power,
    control_share_for,
    detectable_lift,
    required_visitors,
)
from .estimates import metric_unit
from .format import count, join, label, level, percent, setting
from .history import History, MetricHistory

__all__ = ["Forecast", "Need", "Shortcut", "Week", "forecast"]

LONGEST = 260
"""Weeks of enrolment beyond which nobody plans: five years."""

MOST_READINGS = 52
"""Weekly readings that the power of the always-valid interval is computed with, at most; more change little."""

LEAST_WEEKS = 2
PLANNED_LOOKS = (0.25, 0.5, 0.75, 1.0)
"""Looks that are proposed where the plan has none."""

USEFUL_R_SQUARED = 0.02
LARGER_EFFECT = 1.5
SHOWN_WEEKS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 26, 39, 52, 78, 104, 156, 208, 260)

Judged = Literal["always-valid, read weekly", "planned looks"]


@dataclass(frozen=True, slots=True)
class Need:
    """What one metric needs to be decided.

    Attributes:
        metric, role: which.
        lift: relative change that is to be seen; of a guardrail, the loss that is to be ruled out (negative where more
            is better). None of a guardrail without a margin, which can never pass.
        visitors: analysed ones in all arms, at most (an early stop takes fewer); None where more than five years'.
        weeks: from the first visitor until all of them are analysed; None where more than five years or no traffic is
            known.
    """

    metric: str
    role: Literal["primary", "guardrail"]
    lift: float | None
    visitors: int | None
    weeks: int | None


@dataclass(frozen=True, slots=True)
class Week:
    """What the primary can show if the plan ends after so many weeks.

    Attributes:
        week: since the first visitor.
        visitors: analysed by then, in all arms.
        detectable_lift: the smallest lift seen with the plan's power (negative where a decrease is wanted); None where
            there is none.
        power: chance to see the minimum detectable effect; None without one.
    """

    week: int
    visitors: int
    detectable_lift: float | None
    power: float | None


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A change of the plan that decides the primary earlier.

    Attributes:
        change: in words.
        weeks: that the primary needs then.
        saved: weeks less than now; None where now it takes more than five years.
        caveat: what is given up; "" where nothing.
    """

    change: str
    weeks: int
    saved: int | None
    caveat: str = ""


@dataclass(frozen=True, slots=True)
class Forecast:
    """A plan beside the shop's own numbers; `to_dict` is the JSON object of `offerlift plan`.

    Attributes:
        shares: arm -> intended share, the control first.
        judged: by which rule the primary is decided.
        alpha: two-sided, of the plan.
        level: two-sided level of one comparison after guardrails and several arms took their part.
        power: of each single test, so that all succeed together with the plan's.
        mean, sd: of the primary a visitor in the control (a rate has the sd of zeros and ones).
        r_squared: share of the primary's variance that its covariate explains; None where not known.
        window_days: from a visitor's exposure until the primary counts it.
        longest_weeks: of the plan; None: no limit.
        needs: the primary first, then each guardrail.
        weeks: until everything is decided; None where it is not in five years, or cannot be said.
        decides_in_time: whether that is within the longest duration; None where one of both is missing.
        at_longest: the row of the longest duration.
        at_sample_size: that of the plan's `sample_size`; None without one, or without traffic.
    """

    experiment: str
    primary: str
    unit: str
    control: str
    shares: dict[str, float]
    judged: Judged
    looks: tuple[float, ...]
    adjusted: bool
    alpha: float
    level: float
    planned_power: float
    power: float
    minimum_detectable_effect: float | None
    source: str
    since: str | None
    until: str | None
    history_visitors: int | None
    mean: float
    sd: float
    covariate: str | None
    r_squared: float | None
    visitors_per_week: float | None
    window_days: float
    longest_weeks: float | None
    needs: tuple[Need, ...]
    weeks: int | None
    decides_in_time: bool | None
    at_longest: Week | None
    at_sample_size: Week | None
    by_week: tuple[Week, ...]
    shortcuts: tuple[Shortcut, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers."""
        return {
            name: list(map(dict, value)) if name in ("needs", "by_week", "shortcuts") else value
            for name, value in asdict(self).items()
        }


@dataclass(frozen=True, slots=True)
class _Question:
    """One metric's question to the traffic."""

    endpoint: Mean | Rate
    design: Design
    lift: float
    per_week: float | None
    window_days: float
    null_lift: float = 0.0
    weekly: bool = False

    def at(self, enrolment_weeks: float) -> Design:
        """The design with one reading for each week of enrolment."""
        if not self.weekly:
            return self.design
        return replace(self.design, readings=min(max(int(enrolment_weeks), 1), MOST_READINGS))

    def power(self, enrolment_weeks: float, per_week: float) -> float:
        visitors, design = enrolment_weeks * per_week, self.at(enrolment_weeks)
        if visitors * min(design.shares) < 2:
            return 0.0
        return achieved_power(self.endpoint, self.lift, visitors, design, null_lift=self.null_lift)

    def enrolment(self) -> int | None:
        """The fewest weeks of enrolment that have the power; None beyond the longest."""
        if self.per_week is None:
            return None
        low, high = LEAST_WEEKS - 1, LEAST_WEEKS
        while self.power(high, self.per_week) < self.design.target:
            low, high = high, 2 * high
            if low >= LONGEST:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            if self.power(middle, self.per_week) < self.design.target:
                low = middle
            else:
                high = middle
        return high if high <= LONGEST else None

    def weeks(self) -> int | None:
        """Until all are analysed."""
        enrolment = self.enrolment()
        return None if enrolment is None else math.ceil(enrolment + self.window_days / 7)

    def visitors(self) -> int | None:
        """Analysed visitors needed at the traffic there is; with a weekly reading they depend on the weeks."""
        weeks = self.enrolment() if self.weekly else LEAST_WEEKS
        if weeks is None and self.per_week is not None:
            return None
        design = self.at(weeks or 2 * len(PLANNED_LOOKS))
        return required_visitors(self.endpoint, self.lift, design, null_lift=self.null_lift).total


def forecast(
    definition: Definition,
    history: History,
    *,
    visitors_per_week: float | None = None,
    minimum_detectable_effect: float | None = None,
    r_squared: float | None = None,
) -> Forecast:
    """Put a plan beside what is known of the shop.

    Args:
        definition: with its plan.
        history: of the shop, from `read_history`, `table_history` or `given_history`.
        visitors_per_week: in place of the history's.
        minimum_detectable_effect: in place of the plan's.
        r_squared: share of the primary's variance that its covariate explains, in place of the history's.

    Raises:
        InputError: no history of the primary, an effect that a rate cannot have, or traffic that is not above 0.
    """
    plan = definition.plan
    primary = definition.metric(plan.primary)
    known = history.metrics.get(primary.name)
    if known is None:
        raise InputError(f"nothing is known of {label(primary.name)}", hint="Give --baseline and --sd.")
    if r_squared is not None:
        if not 0 <= r_squared < 1:
            raise InputError(f"R² is {r_squared!r}; a share of the variance from 0 to below 1 is needed")
        known = replace(known, r_squared=r_squared)
    per_week = visitors_per_week if visitors_per_week is not None else history.visitors_per_week
    if per_week is not None and not 0 < per_week < math.inf:
        raise InputError(f"{per_week!r} visitors a week; a number above 0 is needed")
    effect = minimum_detectable_effect if minimum_detectable_effect is not None else plan.minimum_detectable_effect
    design = design_of(definition)
    sign = 1.0 if primary.desired_change == "increase" else -1.0
    notes = list(history.notes)
    endpoint = _judged_endpoint(definition, known, notes)
    question = _Question(
        endpoint,
        design,
        sign * (effect or 0.0),
        per_week,
        window_days(definition, primary),
        weekly=not design.looks,
    )
    needs = tuple(_needs(definition, history, question, effect, notes))
    longest = None if plan.longest_duration is None else plan.longest_duration / DAY / 7
    weeks = _all_weeks(needs) if effect is not None else None
    in_time = None
    if longest is not None and effect is not None and per_week is not None:
        in_time = weeks is not None and weeks <= longest + 1e-9
    if per_week is None:
        notes.append("The traffic is not known: give --visitors-per-week.")
    if effect is None:
        notes.append("The plan has no minimum_detectable_effect, so nothing says when it is decided; or give --lift.")
    return Forecast(
        experiment=definition.experiment,
        primary=primary.name,
        unit=metric_unit(primary, definition.currency),
        control=definition.control,
        shares=_shares(definition),
        judged="planned looks" if design.looks else "always-valid, read weekly",
        looks=design.looks,
        adjusted=plan.adjusted,
        alpha=plan.alpha,
        level=design.level,
        planned_power=plan.power,
        power=design.target,
        minimum_detectable_effect=effect,
        source=history.source,
        since=history.since.isoformat() if history.since else None,
        until=history.until.isoformat() if history.until else None,
        history_visitors=known.visitors,
        mean=known.endpoint.mean,
        sd=_sd(known.endpoint),
        covariate=primary.covariate.name if primary.covariate else None,
        r_squared=known.r_squared,
        visitors_per_week=per_week,
        window_days=question.window_days,
        longest_weeks=longest,
        needs=needs,
        weeks=weeks,
        decides_in_time=in_time,
        at_longest=_week(question, longest, effect) if longest is not None and per_week is not None else None,
        at_sample_size=_at_sample_size(definition, question, effect),
        by_week=tuple(_by_week(question, needs[0].weeks, longest, effect)) if per_week is not None else (),
        shortcuts=tuple(_shortcuts(definition, history, known, question)) if effect is not None else (),
        notes=tuple(notes),
    )


def design_of(definition: Definition) -> Design:
    """The statistical design of a definition's plan."""
    plan = definition.plan
    looks = plan.looks if not plan.looks or plan.looks[-1] == 1 else (*plan.looks, 1.0)
    shares = tuple(_shares(definition).values())
    tuned_at = float(VISITORS_WITHOUT_PLAN)
    if plan.sample_size is not None:
        # Of a comparison half of what is planned.
        tuned_at = plan.sample_size * (shares[0] + min(shares[1:])) / 2
    return Design(
        alpha=plan.alpha,
        power=plan.power,
        shares=shares,
        looks=looks,
        readings=None if looks else LEAST_WEEKS,
        tuned_at=None if looks else tuned_at,
        guardrails=len(plan.guardrails),
    )


def window_days(definition: Definition, metric: Metric) -> float:
    """Days after the exposure until a metric counts a visitor, refunds included; 0 without a window, and of a table."""
    if metric.window_end is None or definition.source == "table":
        return 0.0
    return (metric.window_end + metric.refund_window) / DAY


def _shares(definition: Definition) -> dict[str, float]:
    shares = definition.expected_shares
    return {name: float(shares[name]) for name in (definition.control, *definition.treatments)}


def _sd(endpoint: Mean | Rate) -> float:
    if isinstance(endpoint, Rate):
        return math.sqrt(endpoint.rate * (1 - endpoint.rate))
    return math.sqrt(endpoint.variance)


def _judged_endpoint(definition: Definition, known: MetricHistory, notes: list[str]) -> Mean | Rate:
    """The primary as the plan judges it: adjusted or not."""
    if not definition.plan.adjusted:
        return _plain_endpoint(known.endpoint, bool(definition.plan.looks))
    if known.r_squared is None:
        notes.append("The plan judges by the adjusted row, but how much the covariate explains is not known: give it ")
        notes[-1] += "with --r-squared. Here it explains nothing."
        return _plain_endpoint(known.endpoint, bool(definition.plan.looks))
    return known.endpoint.adjusted(known.r_squared)


def _plain_endpoint(endpoint: Mean | Rate, looks: bool) -> Mean | Rate:
    # The always-valid interval of a rate divides by the unpooled standard error.
    return Rate(endpoint.rate, "unpooled") if isinstance(endpoint, Rate) and not looks else endpoint


def _needs(
    definition: Definition, history: History, question: _Question, effect: float | None, notes: list[str]
) -> Iterator[Need]:
    primary = definition.plan.primary
    if effect is None:
        yield Need(primary, "primary", None, None, None)
    else:
        yield Need(primary, "primary", question.lift, question.visitors(), question.weeks())
    for name in definition.plan.guardrails:
        metric, known = definition.metric(name), history.metrics.get(name)
        margin = metric.non_inferiority_margin
        if margin is None or known is None:
            what = "has no margin, so that it can never pass" if margin is None else "has no history here"
            notes.append(f"The guardrail {label(name)} {what}.")
            yield Need(name, "guardrail", None, None, None)
            continue
        null = -margin if metric.desired_change == "increase" else margin
        guard = _Question(
            known.endpoint,
            question.design.of_guardrail(),
            0.0,
            question.per_week,
            window_days(definition, metric),
            null_lift=null,
        )
        yield Need(name, "guardrail", null, guard.visitors(), guard.weeks())


def _all_weeks(needs: tuple[Need, ...]) -> int | None:
    weeks = [need.weeks for need in needs]
    return None if any(week is None for week in weeks) else max(week for week in weeks if week is not None)


def _by_week(question: _Question, needed: int | None, longest: float | None, effect: float | None) -> Iterator[Week]:
    """Rows until a little after the primary is decided, or the longest duration."""
    end = max(needed or 0, math.ceil(longest or 0)) or 52
    ends = {week for week in (needed, math.ceil(longest or 0)) if week}
    for week in sorted({*SHOWN_WEEKS, *ends}):
        row = _week(question, week, effect)
        if row.visitors * min(question.design.shares) >= 2:
            yield row
        if week >= end:
            return


def _week(question: _Question, week: float, effect: float | None) -> Week:
    enrolled = max(week - question.window_days / 7, 0.0)
    per_week = question.per_week or 0.0
    visitors = enrolled * per_week
    if visitors * min(question.design.shares) < 2:
        return Week(math.floor(week), math.floor(visitors), None, 0.0 if effect is not None else None)
    direction = "decrease" if question.lift < 0 else "increase"
    seen = detectable_lift(question.endpoint, visitors, question.at(enrolled), direction=direction)
    power = question.power(enrolled, per_week) if effect is not None else None
    return Week(math.floor(week), math.floor(visitors), seen, power)


def _at_sample_size(definition: Definition, question: _Question, effect: float | None) -> Week | None:
    planned = definition.plan.sample_size
    if planned is None or question.per_week is None:
        return None
    weeks = planned / question.per_week + question.window_days / 7
    return replace(_week(question, weeks, effect), week=math.ceil(weeks), visitors=planned)


def _shortcuts(
    definition: Definition, history: History, known: MetricHistory, question: _Question
) -> Iterator[Shortcut]:
    """What would decide the primary earlier, the most effective first."""
    now = question.weeks()
    if question.per_week is None:
        return
    found = []
    for change, other, caveat in _changes(definition, history, known, question):
        weeks = other.weeks()
        if weeks is not None and (now is None or weeks < now):
            found.append(Shortcut(change, weeks, None if now is None else now - weeks, caveat))
    yield from sorted(found, key=lambda one: one.weeks)


def _changes(
    definition: Definition, history: History, known: MetricHistory, question: _Question
) -> Iterator[tuple[str, _Question, str]]:
    plan, design = definition.plan, question.design
    with_endpoint: Callable[[Mean | Rate], _Question] = lambda endpoint: replace(question, endpoint=endpoint)  # noqa: E731
    looks = join([setting(look) for look in PLANNED_LOOKS])
    if not design.looks:
        planned = replace(design, looks=PLANNED_LOOKS, readings=None, tuned_at=None)
        endpoint = Rate(question.endpoint.rate) if isinstance(question.endpoint, Rate) else question.endpoint
        other = replace(question, endpoint=endpoint, design=planned, weekly=False)
        yield f"planned looks at {looks}", other, f"sample_size {count(other.visitors() or 0)}"
    elif len(design.looks) > 2:
        yield "two planned looks, at 50% and 100%", replace(question, design=replace(design, looks=(0.5, 1.0))), ""
    if known.r_squared is not None and known.r_squared >= USEFUL_R_SQUARED and not plan.adjusted:
        covariate = definition.metric(plan.primary).covariate
        name = f" for {label(covariate.name)}" if covariate is not None else ""
        yield (
            f"the row adjusted{name} (adjusted: true)",
            with_endpoint(known.endpoint.adjusted(known.r_squared)),
            "",
        )
    yield from _other_splits(design, question)
    low, _ = definition.layer_range
    open_share = (definition.traffic_end - low) / max(definition.layer_range[1] - low, 1)
    if open_share < 1 and question.per_week is not None:
        yield "traffic: 100%", replace(question, per_week=question.per_week / open_share), ""
    if known.capped is not None and not plan.adjusted:
        yield (
            f"a cap of {level(known.capped.cap, definition.currency)} a visitor, at 99% of the orders",
            with_endpoint(known.capped.endpoint),
            "measures the capped value",
        )
    larger = LARGER_EFFECT * question.lift
    if not (isinstance(question.endpoint, Rate) and not 0 < question.endpoint.rate * (1 + larger) < 1):
        yield (
            f"a minimum detectable effect of {percent(abs(larger), 0.01)}",
            replace(question, lift=larger),
            "smaller lifts are missed",
        )
    for name, other in history.metrics.items():
        metric = definition.metric(name)
        if name == plan.primary or definition.role(name) == "guardrail" or not _fits(other.endpoint, question.lift):
            continue
        if metric.desired_change == definition.metric(plan.primary).desired_change and metric.denominator is None:
            yield (
                f"{label(name)} as primary",
                replace(
                    with_endpoint(_plain_endpoint(other.endpoint, bool(design.looks))),
                    window_days=window_days(definition, metric),
                ),
                "answers another question",
            )


def _other_splits(design: Design, question: _Question) -> Iterator[tuple[str, _Question, str]]:
    treatments = len(design.shares) - 1
    even = (1 / (treatments + 1),) * (treatments + 1)
    if max(design.shares) - min(design.shares) > 0.01:
        yield "equal shares of all arms", replace(question, design=replace(design, shares=even)), ""
    if treatments > 1:
        control = control_share_for(treatments)
        best = (control, *[(1 - control) / treatments] * treatments)
        if abs(design.shares[0] - control) > 0.02:
            yield (
                f"a control of {percent(control, 0.1)}, the best for {treatments} treatments",
                replace(question, design=replace(design, shares=best)),
                "",
            )
        yield (
            "one treatment instead of " + str(treatments),
            replace(question, design=replace(design, shares=(0.5, 0.5))),
            "the others are not tried",
        )


def _fits(endpoint: Mean | Rate, lift: float) -> bool:
    return not isinstance(endpoint, Rate) or 0 < endpoint.rate * (1 + lift) < 1
