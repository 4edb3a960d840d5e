"""The weekly review: every experiment of a store, what is to be done about each, and the looks that it records."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from ..errors import InputError, known_or_nearest
from ..experiments.metrics import DAY
from ..experiments.snapshot import Published
from ..storage import Store
from ..storage.observations import Observations
from ..storage.times import as_of_time
from . import format as fmt
from .background import with_background
from .counts import visitor_counts
from .history import recent_traffic
from .looks import ended
from .questions import window_days
from .recording import Reviewed, review_observations
from .sentences import SUBJECTS
from .tree import Action, ComparisonRow, Scorecard

__all__ = [
    "GROUPS",
    "Group",
    "Review",
    "ReviewRow",
    "Step",
    "check_known",
    "in_order",
    "review_experiment",
    "review_store",
    "weeks_in_words",
    "weeks_left",
]

Group = Literal["needs_decision", "unhealthy", "running", "concluded", "others"]

GROUPS: dict[Group, str] = {
    "needs_decision": "Needs a decision",
    "unhealthy": "Unhealthy",
    "running": "Running",
    "concluded": "Concluded this week",
    "others": "Not started, or concluded earlier",
}
"""Groups of the overview in their order, and their headings."""

URGENCY = ("stop_harm", "ship", "review", "stop_no_effect", "collecting", "do_not_read")
"""Actions in the order of what another week costs."""

LEAST_DAYS = 3
"""Days of traffic from which on it says how long an experiment will take."""

WEEK = timedelta(weeks=1)


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done about an experiment.

    Attributes:
        tone: the action whose sign and colour it has.
        action: the action in words.
        following: the next step in words; "" where the action says it all.
        command: that does it; "" where none does.
    """

    tone: Action
    action: str
    following: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One experiment in the review.

    Attributes:
        group: where it stands in the overview.
        reviewed: its scorecard, and which look was recorded.
        step: what is to be done.
        weeks_left: until its planned end, at the traffic of the latest weeks; None where there is no planned end, no
            traffic to tell by, or nothing left to wait for.
        ended_at: when it was stopped, or its table was imported; None while it runs.
        is_revealed: whether a look was asked for, due or not.
    """

    group: Group
    reviewed: Reviewed
    step: Step
    weeks_left: float | None
    ended_at: datetime | None
    is_revealed: bool = False

    @property
    def card(self) -> Scorecard:
        """Its scorecard, as it is shown."""
        return self.reviewed.scorecard

    @property
    def state(self) -> str:
        """Its state at the moment of the review, in which one that was stopped later was running."""
        if self.card.source == "table":
            return "table"
        return "running" if self.card.state == "stopped" and self.ended_at is None else self.card.state


@dataclass(frozen=True, slots=True)
class Review:
    """All experiments of a store at one moment.

    Attributes:
        at: the moment; where days end at several offsets, the latest of them.
        rows: in the order in which a meeting goes through them.
        dry_run: whether nothing was recorded.
    """

    at: datetime
    rows: tuple[ReviewRow, ...]
    dry_run: bool

    def count(self, group: Group) -> int:
        """How many experiments stand in a group."""
        return sum(row.group == group for row in self.rows)


def review_store(
    store: Store,
    as_of: datetime | str | None = None,
    *,
    reveal: Collection[str] = (),
    dry_run: bool = False,
    background: bool = False,
) -> Review:
    """Review all experiments of a store: record the looks that are due, and say what is to be done about each.

    Reviewing again at the same moment records nothing and gives the same numbers.

    Args:
        store: where the experiments are.
        as_of: the moment; as text a time or a date, which means the end of that day by each experiment's own offset;
            None: now.
        reveal: keys of experiments that are looked at although no look is due, which spends.
        dry_run: whether to record nothing, and say what would be.
        background: whether to read what only pages show besides.

    Raises:
        InputError: a moment in the future, or a key to reveal that the store does not have.
    """
    keys = store.experiments()
    check_known(reveal, keys)
    now = datetime.now(UTC)
    rows = [
        review_experiment(store, key, as_of or now, reveal=key in reveal, dry_run=dry_run, background=background)
        for key in keys
    ]
    return in_order(rows, now, dry_run=dry_run)


def review_experiment(
    store: Store,
    key: str,
    as_of: datetime | str | None = None,
    *,
    reveal: bool = False,
    dry_run: bool = False,
    background: bool = False,
) -> ReviewRow:
    """Review one experiment, as `review_store` does all of them.

    Raises:
        InputError: no experiment of that key, or a moment in the future.
    """
    published = store.published(key)
    if isinstance(as_of, str):
        as_of = as_of_time(as_of, published.definition.utc_offset_minutes)
    observations = store.observations(key, as_of=as_of or datetime.now(UTC))
    reviewed = review_observations(store, observations, reveal=reveal, dry_run=dry_run)
    if background:
        reviewed = replace(reviewed, scorecard=with_background(store, observations, reviewed.scorecard))
    return _row(published, observations, reviewed, is_revealed=reveal)


def in_order(rows: Iterable[ReviewRow], now: datetime, *, dry_run: bool = False) -> Review:
    """The review that these rows make, in the order in which a meeting goes through them; without any, as of `now`."""
    found = sorted(rows, key=_order)
    return Review(max((row.card.as_of for row in found), default=now), tuple(found), dry_run)


def check_known(reveal: Collection[str], keys: Sequence[str]) -> None:
    """Refuse to reveal what the store does not have, before anything is recorded.

    Raises:
        InputError: a key that is not among those of the store.
    """
    for key in reveal:
        if key not in keys:
            raise InputError(
                f"no experiment {key!r} in this store, so nothing was recorded", hint=known_or_nearest(key, keys)
            )


def weeks_left(observations: Observations, *, decided: bool = False) -> float | None:
    """Weeks until the planned sample is analysed or the longest duration has passed, whichever comes first.

    The sample comes at the traffic of the latest four weeks, and its last visitor is analysed when the primary's window
    has passed. An experiment that crosses its boundary is decided earlier.

    Args:
        observations: of now.
        decided: whether nothing is left to wait for.
    """
    definition, plan = observations.definition, observations.definition.plan
    if decided or observations.state != "running" or ended(observations):
        return None
    found = []
    if plan.longest_duration is not None and observations.first_exposure is not None:
        passed = (observations.as_of - observations.first_exposure) / timedelta(microseconds=1)
        found.append((plan.longest_duration - passed) / DAY / 7)
    per_week = _traffic(observations)
    if definition.planned_sample and per_week is not None:
        missing = definition.planned_sample - sum(visitor_counts(observations).values())
        window = window_days(definition, definition.metric(plan.primary))
        found.append(missing / per_week + window / 7)
    return max(min(found), 0.0) if found else None


def _traffic(observations: Observations) -> float | None:
    """Visitors a week, lately; None where nobody came for a week, or too few days are known."""
    last = observations.last_exposure
    if last is None or observations.as_of - last > WEEK or not observations.definition.traffic:
        return None
    per_week, days = recent_traffic(observations, observations.definition)
    return per_week if per_week and days >= LEAST_DAYS else None


def _row(published: Published, observations: Observations, reviewed: Reviewed, *, is_revealed: bool) -> ReviewRow:
    card = reviewed.scorecard
    # A review as of an earlier day sees an experiment that was stopped later as it was then.
    is_over = published.state == "stopped" or card.source == "table"
    ended_at = published.published_at if is_over and published.published_at <= card.as_of else None
    decided = card.decision.action != "collecting" or (card.progress is not None and card.progress.decided)
    weeks = weeks_left(observations, decided=decided)
    step = _step(card, published, is_over=ended_at is not None, weeks=weeks)
    return ReviewRow(_group(card, ended_at), reviewed, step, weeks, ended_at, is_revealed)


def _group(card: Scorecard, ended_at: datetime | None) -> Group:
    if ended_at is not None:
        return "concluded" if card.as_of - ended_at <= WEEK else "others"
    if card.state == "draft":
        return "others"
    if not card.healthy:
        return "unhealthy"
    return "running" if card.decision.action == "collecting" and not _harmed(card) else "needs_decision"


def _order(row: ReviewRow) -> tuple[int, int, float, str]:
    """Harm first and what is nearest to its end; of those that are over the latest first, after those not started."""
    group, key = list(GROUPS).index(row.group), row.card.experiment
    if row.ended_at is not None:
        return group, 1, -row.ended_at.timestamp(), key
    if row.card.state == "draft":
        return group, 0, 0.0, key
    urgency = 0 if _harmed(row.card) else URGENCY.index(row.card.decision.action)
    return group, urgency, float("inf") if row.weeks_left is None else row.weeks_left, key


def _harmed(card: Scorecard) -> list[str]:
    """Arms that do harm and still get visitors: those that are out are not among the arms."""
    return [arm.arm for arm in card.arms if arm.verdict == "stop_harm"]


def _does_harm(card: Scorecard) -> str:
    arms = [fmt.quote(arm) for arm in _harmed(card)]
    return f"{fmt.join(arms)} {'does' if len(arms) == 1 else 'do'} harm." if arms else ""


def _step(card: Scorecard, published: Published, *, is_over: bool, weeks: float | None) -> Step:
    """What is to be done, in the words of a meeting."""
    key, action = shlex.quote(card.experiment), card.decision.action
    arm = fmt.quote(card.decision.arm) if card.decision.arm else ""
    if is_over and card.source != "table":
        served = f"Everyone gets {fmt.quote(published.serve) if published.serve else 'the control'}"
        return Step("stop_no_effect", "Stopped", f"{served}, since {fmt.moment(published.published_at)}.")
    if card.state == "draft":
        return Step("collecting", "Not started", "It is a draft.", f"offerlift start {key}")
    if action == "do_not_read":
        failed = [SUBJECTS.get(one.check, fmt.label(one.check)) for one in card.health if one.status == "fail"]
        return Step(action, "Do not read", f"Find out why {fmt.join(list(dict.fromkeys(failed)))} failed, and mend it.")
    is_table, stop = card.source == "table", f"offerlift stop {key}"
    worth = "no effect worth having" if _is_excluded(card) else "no effect shown"
    if is_table and action in ("ship", "stop_harm", "stop_no_effect"):
        return Step(
            action, {"ship": f"Ship {arm}", "stop_harm": f"Do not ship {arm}, harm"}.get(action, worth.capitalize())
        )
    if action == "ship":
        # What a holdout found is no offer that could be served.
        serve = "" if card.definition.holdout else f"{stop} --serve {shlex.quote(card.decision.arm or '')}"
        return Step(action, f"Ship {arm}", _does_harm(card), serve)
    if action == "stop_harm":
        return Step(action, "Stop, harm", f"Roll back {arm}." if arm else "Roll back.", stop)
    if action == "stop_no_effect":
        return Step(action, f"Stop, {worth}", _does_harm(card), stop)
    if action == "review":
        together = f"Look at {arm or 'it'} together before anything is done."
        return Step(action, "Needs people", " ".join(filter(None, [together, _does_harm(card)])))
    return _collecting(card, weeks)


def _collecting(card: Scorecard, weeks: float | None) -> Step:
    if card.source == "table":
        return Step("collecting", "No decision", "A table gets no more data.")
    if _harmed(card):
        arms = fmt.join([fmt.quote(arm) for arm in _harmed(card)])
        return Step("stop_harm", "Stop, harm", f"Take {arms} out; the other arms go on.", "offerlift phase FILE")
    if card.state == "paused":
        return Step("collecting", "Paused", "Nobody new is let in.", f"offerlift resume {shlex.quote(card.experiment)}")
    action = "Collecting" if weeks is None else f"Collecting, {weeks_in_words(weeks)}"
    return Step("collecting", action, _next_look(card))


def _next_look(card: Scorecard) -> str:
    plan, progress = card.definition.plan, card.progress
    if progress is None:
        is_open = card.definition.planned_sample is None and plan.longest_duration is None
        return "No end is planned." if is_open else ""
    if progress.next_look is None:
        return ""
    which = "The next look" if progress.looks else "The first look"
    return f"{which} is at {fmt.setting(round(progress.next_look, 4))} of the planned sample."


def weeks_in_words(weeks: float) -> str:
    """How long until the planned end: "about 3 weeks left"."""
    if weeks < 1:
        return "less than a week left"
    return f"about {fmt.count(round(weeks))} week{'' if round(weeks) == 1 else 's'} left"


def _is_excluded(card: Scorecard) -> bool:
    """Whether the interval that decides leaves out every effect worth having, in each arm that does no harm."""
    smallest = card.definition.plan.minimum_detectable_effect
    arms = {arm.arm for arm in card.arms if arm.verdict == "stop_no_effect"}
    metric = card.metric(card.primary)
    value = metric.arm(card.control).value
    if smallest is None or value is None or not arms:
        return False
    return all(_is_within(one, smallest * abs(value)) for one in metric.comparisons if one.arm in arms)


def _is_within(comparison: ComparisonRow, bound: float) -> bool:
    row = comparison.sequential or comparison.anytime
    return row.low is not None and row.high is not None and -bound < row.low and row.high < bound
