"""A programme of experiments: what the shipped offers bring together, and which experiments touch each other.

The winners alone look too good, since the lucky ones were shipped. So every arm that came to a verdict belongs to the
total, losers included, and each effect is shrunk before it is added up.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

from ..errors import InputError
from ..experiments.definition import Definition
from ..experiments.metrics import Metric
from ..stats import Contrast, Overlaps, PastExperiment, overlap_interactions, programme_total
from ..storage import Store
from ..storage.decisions import Decided
from ..storage.observations import Observations
from .details import Details
from .offers.money import audience_of
from .offers.seen import Seen, money_metric
from .offers.tree import Estimate
from .scorecard import scorecard
from .tree import Scorecard, plain

__all__ = ["Interaction", "PastArm", "Programme", "programme"]

FINAL = ("ship", "stop_harm", "stop_no_effect")
"""Verdicts after which nothing more is expected of an arm."""

SMALLEST_EFFECT = 0.05
"""Where no plan names its minimum detectable effect: the smallest lift worth having."""


@dataclass(frozen=True, slots=True)
class PastArm:
    """One arm that came to a verdict.

    Attributes:
        metric: of money, by which its lift is counted.
        shipped: whether it was decided to ship; where nothing was decided yet, whether the verdict recommends it.
        lift: as seen; its interval is the fixed-sample one.
        shrunk: what to expect of it.
        money_per_week: that a lift of 1 is worth: the control's money a visitor times the audience.
    """

    experiment: str
    arm: str
    metric: str
    verdict: str
    shipped: bool
    lift: Estimate
    shrunk: Estimate
    money_per_week: float


@dataclass(frozen=True, slots=True)
class Interaction:
    """Two experiments with visitors in both, and whether one changes what the other does.

    Attributes:
        status, reason: why it could not be tested.
        visitors: how many are in both.
        p_value, adjusted_p_value: of the test that neither changes the other's effects; over all pairs.
        largest: the contrast that is farthest from 0, in the metric's unit, as seen.
        detectable: what such a contrast could have found.
    """

    first: str
    second: str
    status: str
    reason: str
    visitors: int
    p_value: float | None = None
    adjusted_p_value: float | None = None
    largest: Estimate = field(default_factory=Estimate)
    detectable: float | None = None


@dataclass(frozen=True, slots=True)
class Programme:
    """All experiments of a store together.

    Attributes:
        currency: of the money.
        raw: sum of what was seen of the shipped, a week: too large.
        total: after shrinkage, with its interval; the headline.
        prior: what effects are shrunk by, `experience` or `sceptical`.
        note: a caution, or why there is no total.
        arms: all that came to a verdict.
        metric: by which interactions are tested.
        interactions: of every pair with visitors in both.
        left_out: a sentence on each experiment that is in neither.
    """

    as_of: datetime
    currency: str
    raw: float | None
    total: Estimate
    prior: str
    note: str
    arms: tuple[PastArm, ...]
    metric: str
    interactions: tuple[Interaction, ...]
    left_out: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """The JSON object."""
        return plain(self)


@dataclass(frozen=True, slots=True)
class _Read:
    """One experiment, as it was read."""

    observations: Observations
    card: Scorecard
    decided: tuple[Decided, ...] = ()

    @property
    def definition(self) -> Definition:
        return self.observations.definition

    def is_shipped(self, arm: str) -> bool:
        """Whether the arm was decided to ship; where nothing was decided yet, whether that is recommended."""
        final = [one for one in self.decided if one.action != "continue"]
        if final:
            return (final[-1].action, final[-1].arm) == ("ship", arm)
        return (self.card.decision.action, self.card.decision.arm) == ("ship", arm)


def programme(store: Store, as_of: datetime | None = None) -> Programme:
    """What the offers of a store bring together, and which experiments touch each other; nothing is recorded.

    Effects that are withheld, or that a failing health check makes unreadable, are in neither.

    Args:
        store: where the experiments are.
        as_of: the moment; None: now.

    Raises:
        InputError: a naive time, or one before what is kept of a pruned experiment.
    """
    at = as_of or datetime.now().astimezone()
    readable, left_out = [], []
    for key in store.experiments():
        observations = store.observations(key, as_of=at)
        if observations.definition.holdout:
            left_out.append(f"{key}: a holdout, which has all offers together on its own page.")
            continue
        card = scorecard(observations, store.looks(key), Details.of_store(store, observations))
        reason = _unreadable(card)
        if reason:
            left_out.append(f"{key}: {reason}.")
        else:
            decided = tuple(one for one in store.decisions(key) if one.at <= at)
            readable.append(_Read(observations, card, decided))
    arms, raw, total, prior, note = _total([one for read in readable for one in _past_arms(read)], readable)
    metric, interactions = _interactions(store, readable, at)
    return Programme(
        at, store.currency, raw, total, prior, note, tuple(arms), metric, tuple(interactions), tuple(left_out)
    )


def _unreadable(card: Scorecard) -> str:
    if not any(arm.visitors for arm in card.arms):
        return "nobody was exposed"
    if not card.healthy:
        return "a health check fails"
    return "withheld until its first look" if card.withheld else ""


def _past_arms(read: _Read) -> Iterator[tuple[PastArm, float]]:
    """Each arm with a verdict, and the standard error of its lift."""
    card, observations = read.card, read.observations
    seen = Seen(observations, card.metrics, Details(), card.progress is not None)
    metric, audience = money_metric(seen), audience_of(seen).per_week
    if metric is None or audience is None:
        return
    control = metric.arm(card.control).value
    for arm in card.arms:
        if arm.verdict not in FINAL or not control or control <= 0:
            continue
        lift = metric.comparison(arm.arm).lift
        if lift.kind != "bounded" or lift.estimate is None or lift.low is None or lift.high is None:
            continue
        error = (lift.high - lift.low) / (2 * 1.959963984540054)
        if error > 0:
            found = Estimate(lift.estimate, lift.low, lift.high)
            yield (
                PastArm(
                    card.experiment,
                    arm.arm,
                    metric.metric,
                    arm.verdict or "",
                    read.is_shipped(arm.arm),
                    found,
                    Estimate(),
                    control * audience,
                ),
                error,
            )


def _total(
    past: Sequence[tuple[PastArm, float]], readable: Sequence[_Read]
) -> tuple[list[PastArm], float | None, Estimate, str, str]:
    """The arms with their shrunk lifts, the raw and the shrunk total, the prior and a note."""
    if not past:
        return [], None, Estimate(), "", "No experiment with a metric of money and an audience came to a verdict yet."
    effects = [abs(one.definition.plan.minimum_detectable_effect or 0.0) for one in readable]
    smallest = statistics.median([one for one in effects if one] or [SMALLEST_EFFECT])
    found = programme_total(
        [
            PastExperiment(
                f"{one.experiment}: {one.arm}", one.lift.estimate or 0.0, error, one.shipped, one.money_per_week
            )
            for one, error in past
        ],
        smallest_effect=smallest,
    )
    arms = []
    for one, _ in past:
        shrunk = found.effects[_name(one)]
        half = 1.959963984540054 * shrunk.shrunk_se
        expected = Estimate(shrunk.shrunk, shrunk.shrunk - half, shrunk.shrunk + half)
        arms.append(replace(one, shrunk=expected))
    total = found.total
    return arms, found.raw, Estimate(total.estimate, total.low, total.high), found.prior, found.note


def _name(one: PastArm) -> str:
    return f"{one.experiment}: {one.arm}"


def _interactions(store: Store, readable: Sequence[_Read], at: datetime) -> tuple[str, list[Interaction]]:
    """Every pair that can have visitors in both, tested by one metric that all of them have."""
    pairs = [(one, other) for one, other in combinations(readable, 2) if _may_share(one, other)]
    column = _common_column([one for pair in pairs for one in pair])
    if not pairs:
        return "", []
    if column is None:
        reason = "the experiments have no metric of conversion, revenue or margin in common"
        return "", [
            Interaction(one.definition.experiment, other.definition.experiment, "unavailable", reason, 0)
            for one, other in pairs
        ]
    cells, found = {}, []
    for one, other in pairs:
        names = one.definition.experiment, other.definition.experiment
        try:
            overlap = store.overlap(*names, as_of=at)
        except InputError as error:
            found.append(Interaction(*names, "unavailable", error.message, 0))
            continue
        metric = next(m.name for m in _plain(one) if m.numerator.name == column)
        if sum(overlap.visitors.values()):
            cells[names] = overlap.moments[metric]
    arms = {one.definition.experiment: _control_first(one.definition) for one in readable}
    return column, found + _shown(overlap_interactions(cells, arms, column) if cells else None)


def _may_share(one: _Read, other: _Read) -> bool:
    """Whether a visitor can be in both: other layers or ranges that meet, and times that do."""
    mine, theirs = one.definition, other.definition
    if mine.source == "table" or theirs.source == "table":
        return False
    if mine.layer_name == theirs.layer_name:
        (low, high), (start, end) = mine.layer_range, theirs.layer_range
        if high <= start or end <= low:
            return False
    first, second = one.observations, other.observations
    ends = [(seen.first_exposure, seen.last_exposure) for seen in (first, second)]
    if any(begin is None or end is None for begin, end in ends):
        return False
    (a, b), (c, d) = ends
    assert a is not None
    assert b is not None
    assert c is not None
    assert d is not None
    # An exposure counts for longer than its instant: visitors of last month may be in this month's test too.
    return a <= d + timedelta(days=60) and c <= b + timedelta(days=60)


def _common_column(readable: Sequence[_Read]) -> str | None:
    """The column that all experiments have a metric of: margin before revenue before conversion."""
    for measure in ("margin", "value", "converted"):
        columns = [
            {
                m.numerator.name
                for m in one.definition.metrics
                if m.denominator is None and m.numerator.measure == measure
            }
            for one in readable
        ]
        common = set.intersection(*columns) if columns else set()
        if common:
            return min(common)
    return None


def _plain(read: _Read) -> list[Metric]:
    """The metrics that are no ratios."""
    return [metric for metric in read.definition.metrics if metric.denominator is None]


def _control_first(definition: Definition) -> list[str]:
    return [definition.control, *definition.treatments]


def _shown(found: Overlaps | None) -> list[Interaction]:
    if found is None:
        return []
    rows = []
    for one in found.pairs:
        known = [contrast for contrast in one.contrasts if contrast.estimate is not None]
        largest = max(known, key=_size, default=None)
        rows.append(
            Interaction(
                *one.experiments,
                one.test.status,
                one.test.reason,
                one.visitors,
                one.test.p_value,
                one.test.p_adjusted,
                Estimate() if largest is None else Estimate(largest.estimate, largest.low, largest.high),
                None if largest is None else largest.detectable,
            )
        )
    return rows


def _size(contrast: Contrast) -> float:
    return abs(contrast.estimate or 0.0)
