"""The funnel of an experiment: how many visitors of each arm came how far with which offer, and why not further.

A diagnosis and never the metric: who accepts is chosen by the offer itself, so that these counts are not comparable
between arms. What an offer is worth is said by metrics of all exposed visitors.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Select, String, and_, case, cast, func, null, select

from ..experiments.definition import Definition
from ..experiments.snapshot import Published
from ..experiments.steps import STEPS
from .cohort import Cohort, ids_of, subjects
from .origins import store_origin
from .sources import Sources
from .tables import name, offer_step
from .times import from_micros

__all__ = ["NOT_IN_A_WAREHOUSE", "ArmFunnel", "Funnel", "StepCount", "funnel_statement", "read_funnel"]

NOTHING_RECORDED = "No step of an offer was recorded by then: `recorder.offer_step(...)` or `offerlift import steps`."

NOT_IN_A_WAREHOUSE = (
    "A warehouse has no steps of offers: only a store keeps them. Compare the arms by metrics, or record the steps "
    "into a store."
)


@dataclass(frozen=True, slots=True)
class StepCount:
    """Visitors who took a step with an offer; `reasons` counts those of whom one is known, the most frequent first."""

    visitors: int
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ArmFunnel:
    """How far the visitors of an arm came.

    Attributes:
        visitors: those who were first exposed in it, whatever they did.
        steps: step -> how many of them took it with any offer, in the order of a funnel; steps that nobody took are
            left out.
        offers: name of an offer -> step -> how many took it with this one, and why. A visitor who was shown several
            alternatives is counted with each.
    """

    visitors: int
    steps: Mapping[str, int] = field(default_factory=dict)
    offers: Mapping[str, Mapping[str, StepCount]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Funnel:
    """How far the visitors of an experiment came with its offers.

    Each visitor (one person, where ids are linked) is counted once, in the arm and phase that exposed them first; steps
    from before that exposure do not count.

    Attributes:
        experiment: its key.
        as_of: what had happened by then.
        arms: arm -> its funnel over all phases; the definition's arms in its order, then others that were recorded.
        phases: phase -> the same of those who were first exposed in it.
        note: why there is nothing to see, "" where there is.
    """

    experiment: str
    as_of: datetime
    arms: Mapping[str, ArmFunnel] = field(default_factory=dict)
    phases: Mapping[int, Mapping[str, ArmFunnel]] = field(default_factory=dict)
    note: str = ""


Row = tuple[int, int, str | None, str | None, str | None, int, int]
"""Phase, arm_id, step, offer, reason, visitors with the offer, visitors with no other offer before; without a step: all
visitors of the arm."""


def read_funnel(connection: Connection, published: Published, as_of: int) -> Funnel:
    """The funnel of a published version, as of a time in microseconds."""
    origin = store_origin(connection, published, as_of)
    statement = funnel_statement(origin.sources, origin.cohort)
    rows: list[Row] = [
        (int(phase), int(arm_id), step, offer, reason, int(visitors), int(first))
        for phase, arm_id, step, offer, reason, visitors, first in map(tuple, connection.execute(statement))
    ]
    by_phase: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_phase[row[0]].append(row)
    return Funnel(
        origin.definition.experiment,
        from_micros(as_of),
        dict(_arms(rows, origin.arms, origin.definition)),
        {phase: dict(_arms(own, origin.arms, origin.definition)) for phase, own in sorted(by_phase.items())},
        "" if any(step is not None for _, _, step, *_ in rows) else NOTHING_RECORDED,
    )


def funnel_statement(sources: Sources, cohort: Cohort) -> CompoundSelect:
    """One statement that gives every `Row`: by phase and arm all visitors, and those who took each step."""
    subject = subjects(sources, cohort)
    text = String(255)
    everybody = select(
        subject.c.phase,
        subject.c.arm_id,
        cast(null(), text).label("step"),
        cast(null(), text).label("offer"),
        cast(null(), text).label("reason"),
        func.count().label("visitors"),
        func.count().label("first"),
    ).group_by(subject.c.phase, subject.c.arm_id)
    return everybody.union_all(_steps(sources, cohort))


def _steps(sources: Sources, cohort: Cohort) -> Select:
    subject = subjects(sources, cohort)
    ids, visitor_id = ids_of(sources, subject)
    offer, reason = name.alias("of_offer"), name.alias("of_reason")
    taken = and_(
        offer_step.c.experiment_id == cohort.experiment_id,
        offer_step.c.visitor_id == visitor_id,
        offer_step.c.at >= subject.c.at,
        offer_step.c.at <= cohort.as_of,
    )
    # Of several ids of one person the earliest step counts, as of several records of one id: see .offer_steps.
    order = (offer_step.c.at, case((offer_step.c.reason_id.is_(None), 1), else_=0), reason.c.key)
    of_step = (subject.c.visitor_id, offer_step.c.step)
    rows = (
        select(
            subject.c.phase,
            subject.c.arm_id,
            offer_step.c.step,
            offer.c.key.label("offer"),
            reason.c.key.label("reason"),
            _place((*of_step, offer_step.c.offer_id), order).label("of_offer"),
            _place(of_step, (offer_step.c.offer_id, *order)).label("of_step"),
        )
        .select_from(
            ids.join(offer_step, taken)
            .join(offer, offer.c.id == offer_step.c.offer_id)
            .outerjoin(reason, reason.c.id == offer_step.c.reason_id)
        )
        .subquery("taken")
    )
    keys = [rows.c[key] for key in ("phase", "arm_id", "step", "offer", "reason")]
    first = func.sum(case((rows.c.of_step == 1, 1), else_=0))
    return select(*keys, func.count(), first).where(rows.c.of_offer == 1).group_by(*keys)


def _place(partition: Sequence[ColumnElement], order: Sequence[ColumnElement]) -> ColumnElement[int]:
    return func.row_number().over(partition_by=partition, order_by=order)


def _arms(rows: Sequence[Row], names: Mapping[int, str], definition: Definition) -> Iterator[tuple[str, ArmFunnel]]:
    by_arm: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_arm[names[row[1]]].append(row)
    known = [arm.name for arm in definition.arms]
    for arm in (*known, *sorted(by_arm.keys() - set(known))):
        yield arm, _funnel(by_arm[arm])


def _funnel(rows: Iterable[Row]) -> ArmFunnel:
    everybody, steps = 0, Counter[str]()
    visitors: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for _, _, step, offer, reason, with_offer, first in rows:
        if step is None or offer is None:
            everybody += with_offer
            continue
        steps[step] += first
        visitors[offer][step] += with_offer
        if reason is not None:
            reasons[offer, step][reason] += with_offer
    return ArmFunnel(
        everybody,
        _in_order(steps),
        {
            offer: {step: StepCount(count, _frequent(reasons[offer, step])) for step, count in _in_order(of).items()}
            for offer, of in sorted(visitors.items())
        },
    )


def _in_order(steps: Mapping[str, int]) -> dict[str, int]:
    return {step: steps[step] for step in STEPS if step in steps}


def _frequent(reasons: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(reasons.items(), key=lambda one: (-one[1], one[0])))
