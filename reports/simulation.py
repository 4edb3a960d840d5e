"""A plan tried out on the shop's own visitors before it starts: how often it errs, what it finds, how long it takes.

Visitors of the history are drawn with replacement into the arms of many experiments, look by look, and each experiment
goes through the rule that will decide (`offerlift.stats.follow_bounds`). Nothing here reads or prints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..experiments.definition import Definition
from ..experiments.metrics import Metric
from ..stats import ACTIONS, Finding, Verdicts
from ..stats.simulation import Population
from .estimates import PROPORTIONS
from .format import count, label, setting
from .looks import has_planned_looks
from .trial import MOST_WEEKS, PastVisitors, Readings, Trial, changed_visitors, readings_of

__all__ = ["OUTCOMES", "Ending", "Scenario", "Share", "Simulation", "simulate"]

Outcome = Literal["ship_right", "ship_wrong", "stop_harm", "stop_no_effect", "review", "collecting"]
OUTCOMES: tuple[Outcome, ...] = ("ship_right", "ship_wrong", "stop_harm", "stop_no_effect", "review", "collecting")


@dataclass(frozen=True, slots=True)
class Share:
    """A share of the runs, and its Monte-Carlo standard error √(p(1 - p)/runs), at (x + 1)/(runs + 2) for p."""

    share: float
    error: float

    @classmethod
    def of(cls, runs: NDArray[np.bool_]) -> Share:
        """From one flag a run."""
        p = (float(runs.sum()) + 1) / (len(runs) + 2)
        return cls(float(runs.mean()), math.sqrt(p * (1 - p) / len(runs)))


@dataclass(frozen=True, slots=True)
class Ending:
    """When the runs were over, by what half and nine tenths of them needed; None where they did not end.

    Attributes:
        median_visitors, most_visitors: analysed visitors in all arms.
        median_weeks, most_weeks: since the first visitor; None too where the traffic is not known.
        looks: share of the runs that were over at each look, in order.
    """

    median_visitors: int | None
    most_visitors: int | None
    median_weeks: float | None
    most_weeks: float | None
    looks: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What became of the experiments of one truth.

    Attributes:
        name: what is true, in words.
        effect: relative change of the primary metric that the first treatment has.
        harm: metric -> relative change that it has besides.
        outcomes: `ship_right`, `ship_wrong`, `stop_harm`, `stop_no_effect`, `review`, `collecting` -> share; they sum
            to 1. Without an effect every `ship` is wrong; `stop_harm` is of any arm where none ships, and so on.
        called: some arm ships or is stopped as harmful; without any effect or harm a false verdict.
        called_or_review: the same, or people have to look, which only a crossing of the primary makes them.
        ending: when it was over.
    """

    name: str
    effect: float
    harm: Mapping[str, float]
    outcomes: Mapping[str, Share]
    called: Share
    called_or_review: Share
    ending: Ending


@dataclass(frozen=True, slots=True)
class Simulation:
    """A plan that was tried out; `to_dict` is the JSON object of `offerlift simulate`.

    Attributes:
        judged: by which rule.
        readings: share of the planned sample, or week, of each reading.
        visitors: analysed visitors in all arms at each of them.
        weeks: since the first visitor at each of them; None where the traffic is not known.
        lift: of the primary, in the scenario with an effect.
        injected: how the lift came into the visitors' values, in words.
        history_visitors, history_conversions: that were drawn from.
        scenarios: without an effect first.
        notes: what a reader should know, in sentences.
    """

    experiment: str
    primary: str
    guardrails: tuple[str, ...]
    arms: dict[str, float]
    treatment: str
    judged: Literal["planned looks", "always-valid, read weekly"]
    readings: tuple[float, ...]
    visitors: tuple[int, ...]
    weeks: tuple[float, ...] | None
    alpha: float
    power: float
    lift: float
    injected: str
    source: str
    history_visitors: int
    history_conversions: int | None
    visitors_per_week: float | None
    runs: int
    seed: int
    scenarios: tuple[Scenario, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers."""
        return asdict(self) | {"scenarios": [asdict(scenario) for scenario in self.scenarios]}


def simulate(
    definition: Definition,
    past: PastVisitors,
    *,
    source: str = "",
    visitors_per_week: float | None = None,
    lift: float | None = None,
    harm: Mapping[str, float] | None = None,
    runs: int = 2_000,
    seed: int = 1,
    notes: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> Simulation:
    """Try a plan out: without any effect, with a lift of the primary in the first treatment, and with harm besides.

    Args:
        definition: with its plan.
        past: visitors to draw from.
        source: whose they were.
        visitors_per_week: that enter the experiment; needed where no looks are planned.
        lift: of the primary in its desired direction; the plan's minimum detectable effect unless given.
        harm: metric name -> relative change that the first treatment brings besides, signed as it is measured.
        runs: experiments of each scenario.
        seed: of the random numbers; the same gives the same result.
        notes: of the history, to be shown.
        progress: called with the number of runs that were just done.

    Raises:
        InputError: no lift, no traffic where it is needed, a plan that is not read again, a metric without history, or
            a rate that cannot have that lift.
    """
    plan, primary = definition.plan, definition.metric(definition.plan.primary)
    effect = _effect(definition, lift)
    if runs < 1:
        raise InputError(f"{runs} runs; at least 1 is needed")
    readings = readings_of(definition, visitors_per_week)
    base = Population.of(past.values.values, past.values.visitors)
    harm = dict(harm or {})
    changed = changed_visitors(definition, past, base, {plan.primary: effect})
    scenarios = [("no effect (A/A)", 0.0, {}, base), (_effect_words(primary, effect), effect, {}, changed)]
    if harm:
        both = changed_visitors(definition, past, base, {plan.primary: effect, **harm})
        besides = ", ".join(f"{label(name)} {_signed(change)}" for name, change in harm.items())
        scenarios.append((f"that and {besides}", effect, harm, both))
    tried = Trial(definition, past, readings)
    seeds = np.random.SeedSequence(seed).spawn(len(scenarios))
    found = []
    for (name, one, besides, treated), own in zip(scenarios, seeds, strict=True):
        verdicts = tried.verdicts(np.random.default_rng(own), base, treated, runs, progress)
        found.append(_scenario(name, one, besides, verdicts, readings))
    conversions = past.conversions
    return Simulation(
        experiment=definition.experiment,
        primary=primary.name,
        guardrails=plan.guardrails,
        arms=dict(zip(tried.arms, tried.shares, strict=True)),
        treatment=definition.treatments[0],
        judged="planned looks" if has_planned_looks(definition) else "always-valid, read weekly",
        readings=readings.marks,
        visitors=readings.visitors,
        weeks=readings.weeks,
        alpha=plan.alpha,
        power=plan.power,
        lift=effect,
        injected=_injected(primary),
        source=source,
        history_visitors=int(past.values.visitors.sum()),
        history_conversions=None
        if conversions is None
        else round(float(past.values.visitors @ past.values.values[:, conversions])),
        visitors_per_week=visitors_per_week,
        runs=runs,
        seed=seed,
        scenarios=tuple(found),
        notes=(*notes, *_notes(definition, past, readings)),
    )


def _effect(definition: Definition, lift: float | None) -> float:
    size = lift if lift is not None else definition.plan.minimum_detectable_effect
    if size is None:
        raise InputError("the plan has no minimum_detectable_effect", hint="Give the lift to be found with --lift.")
    return size if definition.metric(definition.plan.primary).desired_change == "increase" else -size


def _effect_words(primary: Metric, effect: float) -> str:
    return f"{label(primary.name)} {_signed(effect)}"


def _signed(change: float) -> str:
    return f"{'+' if change > 0 else '−'}{setting(abs(change))}"


def _injected(primary: Metric) -> str:
    if primary.kind in PROPORTIONS:
        return "so many more (or fewer) visitors convert, and do what those who convert do"
    what = "the sum above the line" if primary.denominator is not None else "the value"
    return f"{what} of every visitor is multiplied"


def _notes(definition: Definition, past: PastVisitors, readings: Readings) -> Iterator[str]:
    drawn, analysed = int(past.values.visitors.sum()), past.values.analysed
    if drawn < analysed:
        yield f"Of {count(analysed)} visitors of the history {count(drawn)} were read."
    if readings.visitors[-1] > drawn:
        yield (
            f"An experiment has up to {count(readings.visitors[-1])} visitors, the history {count(drawn)}: each of "
            "them is drawn again and again, and what is rarer than they are does not come."
        )
    missing = [name for name in definition.plan.guardrails if name not in past.columns]
    for name in missing:
        yield f"The guardrail {label(name)} has no history: here it always passes; its part of alpha is set aside."
    for name in definition.plan.guardrails:
        if definition.metric(name).non_inferiority_margin is None:
            yield f"The guardrail {label(name)} has no margin: it can never pass, and every gain is a review."
    if not readings.ends:
        yield f"The plan has no end; it is followed for {MOST_WEEKS} weeks."


def _scenario(name: str, effect: float, harm: Mapping[str, float], verdicts: Verdicts, readings: Readings) -> Scenario:
    actions = np.array([ACTIONS[finding] for finding in Finding])[verdicts.findings]
    shipped = verdicts.shipped >= 0
    right = shipped & (verdicts.shipped == 0) & (effect != 0)
    harmed = (actions == "stop_harm").any(axis=-1) & ~shipped
    review = (actions == "review").any(axis=-1) & ~shipped & ~harmed
    waiting = (actions == "collecting").any(axis=-1) & ~shipped & ~harmed & ~review
    ended = {
        "ship_right": right,
        "ship_wrong": shipped & ~right,
        "stop_harm": harmed,
        "stop_no_effect": ~(shipped | harmed | review | waiting),
        "review": review,
        "collecting": waiting,
    }
    called = shipped | harmed
    return Scenario(
        name,
        effect,
        harm,
        {outcome: Share.of(ended[outcome]) for outcome in OUTCOMES},
        Share.of(called),
        Share.of(called | (actions == "review").any(axis=-1)),
        _ending(verdicts, readings),
    )


def _ending(verdicts: Verdicts, readings: Readings) -> Ending:
    """A shipped arm ends an experiment, otherwise the last of its arms to have a verdict."""
    looks = len(readings.visitors)
    last = np.where((verdicts.look > 0).all(axis=-1), verdicts.look.max(axis=-1), looks + 1)
    own = np.take_along_axis(verdicts.look, np.maximum(verdicts.shipped, 0)[:, None], axis=-1)[:, 0]
    over = np.sort(np.where(verdicts.shipped >= 0, own, last))
    middle, most = (int(over[math.ceil(share * len(over)) - 1]) for share in (0.5, 0.9))

    def at(of: Sequence[float] | None, look: int) -> Any:
        return None if of is None or look > looks else of[look - 1]

    return Ending(
        at(readings.visitors, middle),
        at(readings.visitors, most),
        at(readings.weeks, middle),
        at(readings.weeks, most),
        tuple(float((over == look).mean()) for look in range(1, looks + 1)),
    )
