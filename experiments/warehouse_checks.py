"""Checks of the section `warehouse` against the rest of the definition: every metric must find its rows."""

from __future__ import annotations

from collections.abc import Iterator

from .problems import near
from .view import Check, Fault, View
from .warehouse_sections import CovariateOfFacts, FactSection, WarehouseSection

__all__ = ["WAREHOUSE_CHECKS"]


def _arms(view: View) -> Iterator[Fault]:
    warehouse = view.document.warehouse
    if warehouse is None or not view.arms:
        return
    names = [arm.name for arm in view.arms]
    taken: dict[str, str] = {}
    for arm, values in (warehouse.assignments.arms or {}).items():
        place = ("warehouse", "assignments", "arms", arm)
        if arm not in names:
            yield place, f"must be one of the arms: {', '.join(names)}", near(arm, names), arm
        for value in values:
            if taken.setdefault(value, arm) != arm:
                yield place, f"{value!r} already means the arm {taken[value]}", None, None


def _segments(view: View) -> Iterator[Fault]:
    warehouse = view.document.warehouse
    if warehouse is None:
        return
    known = [*(view.document.segments or []), *(view.document.exploratory_segments or [])]
    for name in warehouse.assignments.segments or {}:
        if name not in known:
            hint = near(name, known) or "Name it in the definition's `segments` or `exploratory_segments`."
            yield ("warehouse", "assignments", "segments", name), "is no segment of this definition", hint, name


def _facts(view: View) -> Iterator[Fault]:
    warehouse = view.document.warehouse
    if warehouse is None:
        return
    wanted = [(metric.name, column.event, column.measure) for metric in view.metrics for column in metric.columns]
    if view.document.shown_event is not None:
        wanted.append(("shown_event", view.document.shown_event, "count"))
    of_facts = [one for one in warehouse.covariates or () if isinstance(one, CovariateOfFacts)]
    wanted += [(one.name, one.event, one.measure) for one in of_facts]
    seen = set()
    for name, event, measure in wanted:
        sources = [one for one in warehouse.facts if _may_hold(one, event)]
        needed = {"value": ("value",), "margin": ("value", "cost")}.get(measure, ())
        lacking = [key for key in needed if not any(getattr(one, key) for one in sources)]
        if not sources:
            known = sorted({one.event for one in warehouse.facts if one.event is not None})
            message, hint = f"no table has the event {event!r}, which {name} needs", near(str(event), known)
        elif lacking:
            message, hint = f"no table of the event {event!r} has a `{lacking[0]}`, which {name} needs", None
        else:
            continue
        if message not in seen:
            seen.add(message)
            yield ("warehouse", "facts"), message, hint, ""


def _may_hold(fact: FactSection, event: str | None) -> bool:
    return event is None or fact.event is None or fact.event == event


def _covariates(view: View) -> Iterator[Fault]:
    warehouse = view.document.warehouse
    if warehouse is None:
        return
    names = [one.name for one in warehouse.covariates or ()]
    for metric in view.metrics:
        if metric.covariate is not None and metric.covariate.name not in names:
            message = f"has no {metric.covariate.name!r}, which {metric.name} is adjusted by"
            yield ("warehouse", "covariates"), message, near(metric.covariate.name, names), ""
    for index, name in enumerate(names):
        if name in names[:index]:
            yield ("warehouse", "covariates", index, "name"), "stands there twice", None, name


def _refunds(view: View) -> Iterator[Fault]:
    warehouse = view.document.warehouse
    if warehouse is None:
        return
    for index, fact in enumerate(warehouse.facts):
        if fact.refund_of is not None and not _has_ids(warehouse, fact):
            message = "no table of the same event has an `id` that it could point to"
            yield ("warehouse", "facts", index, "refund_of"), message, None, None


def _has_ids(warehouse: WarehouseSection, refund: FactSection) -> bool:
    return any(one.id is not None for one in warehouse.facts if refund.event is None or _may_hold(one, refund.event))


WAREHOUSE_CHECKS: tuple[tuple[Check, tuple[str, ...]], ...] = (
    (_arms, ("warehouse", "arms.*.name", "factors")),
    (_segments, ("warehouse", "segments", "exploratory_segments")),
    (_facts, ("warehouse", "metrics")),
    (_covariates, ("warehouse", "metrics")),
    (_refunds, ("warehouse",)),
)
"""Each check and the places that it relies on."""
