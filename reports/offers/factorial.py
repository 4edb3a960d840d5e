"""Factors: what each does by itself and which work together, from the cells' moments."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import InputError
from ...experiments.definition import Definition
from ...stats import Contrast, FactorialEffect, compare_factorial
from ...stats import FactorialCell as Found
from .. import format as fmt
from ..estimates import metric_unit
from ..phases import strata_of, visitors_by_phase
from .seen import Seen
from .tree import Estimate, Factorial, FactorialCell, FactorialContrast, FactorialTerm, Status

__all__ = ["asks_for_factorial", "factorial_of"]


def asks_for_factorial(definition: Definition) -> bool:
    """Whether the arms are combinations of factors."""
    return bool(definition.factors)


def factorial_of(seen: Seen) -> Factorial | None:
    """Main effects and interactions of the primary metric; None without factors."""
    definition = seen.definition
    if not asks_for_factorial(definition):
        return None
    plan, metric = definition.plan, definition.metric(definition.plan.primary)
    arms = strata_of(seen.observations, metric)
    control = seen.metric(metric.name).arm(definition.control).value
    smallest = plan.minimum_detectable_effect
    levels: Mapping[str, Mapping[str, str]] = {arm.name: arm.levels for arm in definition.arms}
    empty = Factorial("ok", "", metric.name, metric_unit(metric, definition.currency), plan.scale)
    try:
        found = compare_factorial(
            arms,
            definition.factors,
            metric.numerator.name,
            per=None if metric.denominator is None else metric.denominator.name,
            levels=levels,
            scale=plan.scale,
            family=list(plan.family) or None,
            visitors=visitors_by_phase(arms),
            power=plan.power,
            direction=metric.desired_change,
            smallest_effect=abs(smallest * control) if smallest and control else None,
        )
    except InputError as error:
        return _without(empty, "undefined", error.message)
    names: dict[tuple, str] = {
        tuple(arm.levels[factor] for factor in definition.factors): arm.name for arm in definition.arms
    }
    cells = tuple(_cell(names, one, list(definition.factors)) for one in found.cells)
    best = found.best
    return Factorial(
        "ok" if found.status == "ok" else "undefined" if found.status == "undefined" else "insufficient",
        found.reason,
        metric.name,
        empty.unit,
        plan.scale,
        _in_words(plan.scale, list(definition.factors)),
        tuple(_term(one, plan.scale) for one in found.effects),
        cells,
        tuple(_aliases(found.effects)),
        None if best is None else names.get(best.levels),
        Estimate() if best is None else _around(best.mean, best.se),
        Estimate() if best is None else _around(best.shrunk, best.shrunk_se),
    )


def _without(empty: Factorial, status: Status, reason: str) -> Factorial:
    return Factorial(status, reason, empty.metric, empty.unit, empty.scale)


def _in_words(scale: str, factors: list[str]) -> str:
    unit = "relative changes (the log scale)" if scale == "log" else "differences in the metric's unit"
    first = "each level against the first"
    others = "" if len(factors) < 2 else ", averaged over the other factors' combinations with equal weights"
    return f"Effects are {unit}: {first}{others}; an interaction is a difference of such differences."


def _term(effect: FactorialEffect, scale: str) -> FactorialTerm:
    contrasts = tuple(_contrast(one, scale) for one in effect.contrasts)
    test, only = effect.test, contrasts[0] if len(contrasts) == 1 else None
    return FactorialTerm(
        effect.term,
        effect.order,
        _status(test.status),
        test.reason,
        Estimate() if only is None else only.effect,
        test.p_value,
        test.p_adjusted,
        None if only is None else only.detectable,
        effect.in_family,
        contrasts,
    )


def _contrast(one: Contrast, scale: str) -> FactorialContrast:
    effect = Estimate(one.estimate, one.low, one.high)
    if scale == "log" and one.lift is not None:
        effect = Estimate(one.lift.estimate, one.lift.low, one.lift.high)
    return FactorialContrast(one.name, _status(one.status), one.reason, effect, one.p_value, one.detectable)


def _cell(names: Mapping[tuple, str], one: Found, factors: list[str]) -> FactorialCell:
    levels = dict(zip(factors, map(str, one.levels), strict=True))
    return FactorialCell(names.get(one.levels, ""), levels, one.visitors, one.mean, one.shrunk, one.probability_best)


def _aliases(effects: tuple[FactorialEffect, ...]) -> list[str]:
    said = []
    for one in effects:
        if one.confounded_with:
            others = fmt.join([fmt.quote(other) for other in one.confounded_with])
            missing = "cannot be told from" if one.test.status == "aliased" else "is right only if nothing comes of"
            said.append(f"{fmt.quote(one.term)} {missing} {others}, as combinations are missing.")
    return said


def _around(mean: float | None, se: float | None) -> Estimate:
    if mean is None or se is None:
        return Estimate(mean)
    return Estimate(mean, mean - 1.959963984540054 * se, mean + 1.959963984540054 * se)


def _status(status: str) -> Status:
    return "ok" if status == "ok" else "undefined" if status in ("undefined", "aliased") else "insufficient"
