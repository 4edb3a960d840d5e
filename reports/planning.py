"""How long a planned experiment takes at the shop's traffic, what it can detect by when, and what would shorten it.

Every number is that of the rule which will decide: planned looks where the plan has them, otherwise the always-valid
interval, read once a week; Dunnett's level for several arms; guardrails by non-inferiority.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from ..errors import InputError
from ..experiments.definition import Definition
from ..experiments.metrics import DAY
from ..stats import (
    VISITORS_WITHOUT_PLAN,
    Design,
    Mean,
    Rate,
    detectable_lift,
)
from .estimates import metric_unit
from .format import label
from .history import History, MetricHistory
from .questions import LEAST_WEEKS, Question, as_judged, window_days
from .shortcuts import Shortcut, shortcuts

__all__ = ["Forecast", "Need", "Week", "forecast"]

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
    question = Question(
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
        shortcuts=tuple(shortcuts(definition, history, known, question)) if effect is not None else (),
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
        return as_judged(known.endpoint, bool(definition.plan.looks))
    if known.r_squared is None:
        notes.append("The plan judges by the adjusted row, but how much the covariate explains is not known: give it ")
        notes[-1] += "with --r-squared. Here it explains nothing."
        return as_judged(known.endpoint, bool(definition.plan.looks))
    return known.endpoint.adjusted(known.r_squared)


def _needs(
    definition: Definition, history: History, question: Question, effect: float | None, notes: list[str]
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
        guard = Question(
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


def _by_week(question: Question, needed: int | None, longest: float | None, effect: float | None) -> Iterator[Week]:
    """Rows until a little after the primary is decided, or the longest duration."""
    end = max(needed or 0, math.ceil(longest or 0)) or 52
    ends = {week for week in (needed, math.ceil(longest or 0)) if week}
    for week in sorted({*SHOWN_WEEKS, *ends}):
        row = _week(question, week, effect)
        if row.visitors * min(question.design.shares) >= 2:
            yield row
        if week >= end:
            return


def _week(question: Question, week: float, effect: float | None) -> Week:
    enrolled = max(week - question.window_days / 7, 0.0)
    per_week = question.per_week or 0.0
    visitors = enrolled * per_week
    if visitors * min(question.design.shares) < 2:
        return Week(math.floor(week), math.floor(visitors), None, 0.0 if effect is not None else None)
    direction = "decrease" if question.lift < 0 else "increase"
    seen = detectable_lift(question.endpoint, visitors, question.at(enrolled), direction=direction)
    power = question.power(enrolled, per_week) if effect is not None else None
    return Week(math.floor(week), math.floor(visitors), seen, power)


def _at_sample_size(definition: Definition, question: Question, effect: float | None) -> Week | None:
    planned = definition.plan.sample_size
    if planned is None or question.per_week is None:
        return None
    weeks = planned / question.per_week + question.window_days / 7
    return replace(_week(question, weeks, effect), week=math.ceil(weeks), visitors=planned)
