"""The decision rule as a pure function: what was seen of each arm at a look, and what follows.

Everything works on arrays whose last axis is the treatment arms, so that one experiment and twenty thousand simulated
ones go through the same lines. Reports find the sentences; nothing here reads data or keeps state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ..errors import InputError
from .fieller import check_alpha
from .group_sequential import Boundary, next_boundary
from .multiplicity import adjusted_alpha
from .showing import Row, Shown

__all__ = [
    "ACTIONS",
    "HARM_SHARE",
    "NON_INFERIORITY",
    "Action",
    "ErrorBudget",
    "Evidence",
    "Finding",
    "PlannedLooks",
    "Verdicts",
    "error_budget",
    "follow_bounds",
    "follow_rule",
    "is_over",
    "judge",
    "planned_looks",
]

Action = Literal["do_not_read", "collecting", "ship", "stop_harm", "stop_no_effect", "review"]
Bools = NDArray[np.bool_] | bool
Floats = NDArray[np.float64]
Findings = NDArray[np.int64]

HARM_SHARE = 0.2
"""Share of the plan's alpha that the guardrails' harm alarms spend together; the primary keeps the rest."""

NON_INFERIORITY = 0.025
"""One-sided level at which a guardrail passes, or fails, against its margin."""


class Finding(IntEnum):
    """Why an arm has the verdict that it has.

    Example:
        >>> Finding.HARM.action, Finding.OPEN.is_final
        ('stop_harm', False)
    """

    UNHEALTHY = 0
    NOT_COMPUTABLE = 1
    TOO_EARLY = 2
    OPEN = 3
    ALARM = 4
    HARM_IN_DOUBT = 5
    HARM = 6
    GUARDRAIL_FAILED = 7
    GUARDRAIL_INCONCLUSIVE = 8
    GAIN_IN_DOUBT = 9
    GAIN = 10
    GUARDRAIL_FAILED_AT_END = 11
    NO_WORTHWHILE_EFFECT = 12
    ENDED = 13
    TOO_EARLY_AT_END = 14

    @property
    def action(self) -> Action:
        """What to do about the arm."""
        return ACTIONS[self]

    @property
    def is_final(self) -> bool:
        """Whether it stays whatever comes later: all but those that wait, and a failed health check."""
        return self >= FIRST_FINAL


FIRST_FINAL = Finding.ALARM

ACTIONS: Mapping[Finding, Action] = {
    Finding.UNHEALTHY: "do_not_read",
    Finding.NOT_COMPUTABLE: "collecting",
    Finding.TOO_EARLY: "collecting",
    Finding.OPEN: "collecting",
    Finding.ALARM: "stop_harm",
    Finding.HARM_IN_DOUBT: "review",
    Finding.HARM: "stop_harm",
    Finding.GUARDRAIL_FAILED: "stop_harm",
    Finding.GUARDRAIL_INCONCLUSIVE: "review",
    Finding.GAIN_IN_DOUBT: "review",
    Finding.GAIN: "ship",
    Finding.GUARDRAIL_FAILED_AT_END: "stop_harm",
    Finding.NO_WORTHWHILE_EFFECT: "stop_no_effect",
    Finding.ENDED: "stop_no_effect",
    Finding.TOO_EARLY_AT_END: "stop_no_effect",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one look sees of each arm; every field broadcasts to the shape of `crossed`, whose last axis is the arms.

    Attributes:
        crossed: 1 where the primary metric crossed its boundary in the desired direction, -1 against it, 0 neither.
        failed, passed: whether any guardrail is surely beyond its margin, and whether all are surely within.
        alarm: whether any guardrail's harm alarm is raised.
        no_effect: whether the interval lies inside ± the smallest effect worth having.
        doubted, gain_doubted: whether people have to look at any crossing (skewed values in unequal arms), or at gains.
        computable, too_early: whether there is a number, and whether it rests on too little.
        healthy: whether no blocking health check fails.
        ended: whether this is the planned end.

    Example:
        >>> import numpy as np
        >>> seen = Evidence(crossed=np.array([1, 0]), passed=np.array([True, False]))
        >>> [Finding(one).name for one in judge(seen)]
        ['GAIN', 'OPEN']
    """

    crossed: Findings
    failed: Bools = False
    passed: Bools = True
    alarm: Bools = False
    no_effect: Bools = False
    doubted: Bools = False
    gain_doubted: Bools = False
    computable: Bools = True
    too_early: Bools = False
    healthy: Bools = True
    ended: Bools = False


def judge(evidence: Evidence, before: Findings | None = None) -> Findings:
    """The finding of each arm at a look: health first, then what was found before, then the rule from top to bottom.

    A final finding stays. Where an arm has been found to gain, the experiment is over and the others stay as they were.
    Only a failing health check suspends; it is not remembered.

    The one decision rule of the reports, on boundaries by Lan and DeMets (1983). Assumes evidence of planned looks. Not
    for a look between them, whose findings are those of the last.

    Args:
        evidence: of this look.
        before: the findings of the look before, of the same shape; None at the first.

    Example:
        >>> import numpy as np
        >>> found = judge(Evidence(crossed=np.array([-1, 1]), doubted=np.array([False, True])))
        >>> [Finding(one).action for one in found]
        ['stop_harm', 'review']
    """
    seen = evidence
    crossed = np.asarray(seen.crossed)
    if before is None:
        before = np.full(crossed.shape, Finding.OPEN, dtype=np.int64)
    stays = (before >= FIRST_FINAL) | (before == Finding.GAIN).any(axis=-1, keepdims=True)
    wanting = np.logical_or(np.logical_not(seen.computable), seen.too_early)
    gained, harmed, ended = crossed > 0, crossed < 0, np.asarray(seen.ended)
    rules: tuple[tuple[Any, Any], ...] = (
        (np.logical_not(seen.healthy), Finding.UNHEALTHY),
        (stays, before),
        (wanting & ended, Finding.TOO_EARLY_AT_END),
        (np.logical_not(seen.computable), Finding.NOT_COMPUTABLE),
        (seen.too_early, Finding.TOO_EARLY),
        (seen.alarm, Finding.ALARM),
        (harmed & seen.doubted, Finding.HARM_IN_DOUBT),
        (harmed, Finding.HARM),
        (gained & seen.failed, Finding.GUARDRAIL_FAILED),
        (gained & np.logical_not(seen.passed), Finding.GUARDRAIL_INCONCLUSIVE),
        (gained & np.logical_or(seen.doubted, seen.gain_doubted), Finding.GAIN_IN_DOUBT),
        (gained, Finding.GAIN),
        (ended & seen.failed, Finding.GUARDRAIL_FAILED_AT_END),
        (seen.no_effect, Finding.NO_WORTHWHILE_EFFECT),
        (ended, Finding.ENDED),
    )
    conditions = [np.broadcast_to(condition, crossed.shape) for condition, _ in rules]
    findings = [np.broadcast_to(np.asarray(found, dtype=np.int64), crossed.shape) for _, found in rules]
    return np.select(conditions, findings, default=np.int64(Finding.OPEN))


def is_over(findings: Findings) -> NDArray[np.bool_]:
    """Whether no look is left to make: an arm gains, or none is open; of the last axis.

    As `judge` leaves them. Assumes the findings of all arms. Not for whether a single arm is decided:
    `Finding.is_final`.

    Example:
        >>> import numpy as np
        >>> bool(is_over(np.array([Finding.HARM, Finding.OPEN]))), bool(is_over(np.array([Finding.GAIN, Finding.OPEN])))
        (False, True)
    """
    return (findings == Finding.GAIN).any(axis=-1) | (findings >= FIRST_FINAL).all(axis=-1)


@dataclass(frozen=True, slots=True)
class ErrorBudget(Shown):
    """How the plan's alpha is shared out.

    Attributes:
        primary: two-sided, of all arms on the primary metric together.
        comparison: two-sided, of each arm on the primary metric (Dunnett).
        alarm: one-sided, of each guardrail in each arm; None without guardrails.

    Example:
        >>> print(error_budget([1.0], 1.0, guardrails=2))
        ErrorBudget
          primary     0.04
          comparison  0.04
          alarm       0.005
    """

    primary: float
    comparison: float
    alarm: float | None


def error_budget(
    variances: Sequence[float], control_variance: float, guardrails: int, *, alpha: float = 0.05
) -> ErrorBudget:
    """Share the error out over the primary metric's arms and the guardrails' harm alarms.

    With guardrails, the primary has 80 % of alpha and the alarms together 20 %, in equal parts (Bonferroni). The
    primary's arms share theirs by Dunnett's critical value c: 2 Φ(-c) each.

    Dunnett (1955). Assumes what `dunnett_critical` does. Not for the guardrails' own tests of non-inferiority, which
    need no correction: all have to pass.

    Args:
        variances: of each treatment's mean, or anything proportional to them.
        control_variance: the same of the control.
        guardrails: how many there are.
        alpha: two-sided error of the whole experiment.

    Example:
        >>> round(error_budget([1.0, 1.0], 1.0, guardrails=0).comparison, 4)
        0.027
    """
    alpha = check_alpha(alpha)
    primary = alpha * (1 - HARM_SHARE) if guardrails else alpha
    comparison = primary
    if len(variances) > 1:
        comparison = adjusted_alpha(variances, control_variance, alpha=primary)
    alarm = alpha * HARM_SHARE / (len(variances) * guardrails) if guardrails else None
    return ErrorBudget(primary, comparison, alarm)


@dataclass(frozen=True, slots=True)
class PlannedLooks(Shown):
    """The boundaries of all looks of a plan, computed once.

    Attributes:
        primary: of |z| of each arm on the primary metric, one a look.
        alarm: of z against the desired direction, of each guardrail in each arm; None without guardrails.

    Example:
        >>> print(planned_looks([0.5, 1.0], error_budget([1.0], 1.0, guardrails=1)))
        clock  primary  alarm
          0.5     3.09   3.46
            1    2.061   2.33
    """

    primary: tuple[Boundary, ...]
    alarm: tuple[Boundary, ...] | None

    def to_dicts(self) -> list[Row]:
        """One row a look: its clock, the primary metric's boundary and the alarms'."""
        return [
            {"clock": one.clock, "primary": one.z, "alarm": self.alarm[look].z if self.alarm else None}
            for look, one in enumerate(self.primary)
        ]


def planned_looks(clocks: Sequence[float], budget: ErrorBudget) -> PlannedLooks:
    """Boundaries of looks at these clocks, the last of which is the end and spends the rest.

    O'Brien-Fleming spending (Lan and DeMets 1983). Assumes and excludes what `next_boundary` does.

    Raises:
        InputError: no clocks, or one that is not above 0.

    Example:
        >>> looks = planned_looks([0.5, 1.0], error_budget([1.0], 1.0, guardrails=0))
        >>> [round(boundary.z, 3) for boundary in looks.primary]
        [2.963, 1.969]
    """
    if not clocks:
        raise InputError("no clocks; at least one look is needed")
    alarm = None if budget.alarm is None else _boundaries(clocks, budget.alarm, 1)
    return PlannedLooks(_boundaries(clocks, budget.comparison, 2), alarm)


def _boundaries(clocks: Sequence[float], alpha: float, sides: Literal[1, 2]) -> tuple[Boundary, ...]:
    found: list[Boundary] = []
    for look, clock in enumerate(clocks, start=1):
        past = [one.clock for one in found], [one.z for one in found]
        found.append(next_boundary(*past, clock, alpha=alpha, sides=sides, last=look == len(clocks)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Verdicts(Shown):
    """What became of simulated experiments.

    Attributes:
        findings: (experiments, arms): the finding of each arm at the end.
        look: (experiments, arms): the look at which it became final, 1 for the first; 0 where it never did.
        shipped: (experiments,): the arm that ships, or -1.

    Example:
        >>> import numpy as np
        >>> looks = planned_looks([0.5, 1.0], error_budget([1.0], 1.0, guardrails=0))
        >>> ended = follow_rule(looks, np.array([[[3.4], [3.9]], [[0.2], [0.4]]]))
        >>> ended.share("ship"), ended.shipped.tolist()
        (0.5, [0, -1])
    """

    findings: Findings
    look: Findings
    shipped: Findings

    def to_dicts(self) -> list[Row]:
        """One row an action: the share of the experiments in which any arm has it."""
        return [{"action": action, "share": self.share(action)} for action in get_args(Action)]

    def share(self, *actions: Action) -> float:
        """Share of the experiments in which any arm has one of these verdicts."""
        codes = [finding for finding, action in ACTIONS.items() if action in actions]
        return float(np.isin(self.findings, codes).any(axis=-1).mean())


def follow_rule(
    looks: PlannedLooks,
    z: Floats,
    *,
    guardrail_z: Floats | None = None,
    margin_z: Floats | float = 0.0,
    smallest_z: Floats | float = 0.0,
    healthy: Bools = True,
    too_early: Bools = False,
    doubted: Bools = False,
    estimates: Floats | None = None,
) -> Verdicts:
    """Send experiments through all looks of a plan, as a review does.

    Every z counts the desired direction up. On the scale of z, a guardrail passes above -margin at one-sided .025 where
    z + margin_z > 1.96, and fails where z + margin_z < -1.96.

    `judge` at each look, with boundaries by Lan and DeMets (1983). Assumes z-values that were simulated as the looks
    see them, with their correlations. Not for one real experiment, whose looks a review records.

    Args:
        looks: the boundaries.
        z: (experiments, looks, arms): the primary metric's z-values.
        guardrail_z: (experiments, looks, arms, guardrails): those of the guardrails.
        margin_z: the margins over the standard errors, broadcast to `guardrail_z`.
        smallest_z: the smallest effect worth having over the standard error, broadcast to `z`; 0 for none.
        healthy, too_early: broadcast to `z`.
        doubted: whether people have to look at a crossing, broadcast to `z`.
        estimates: (experiments, looks, arms), in the desired direction: of several gains at one look the largest
            ships; z unless given.

    Raises:
        InputError: shapes that do not fit the looks, or guardrails without a budget for their alarms.

    Example:
        >>> import numpy as np
        >>> steps = np.random.default_rng(1).normal(size=(20_000, 2, 1))
        >>> z = steps.cumsum(axis=1) / np.sqrt([[1], [2]])
        >>> looks = planned_looks([0.5, 1.0], error_budget([1.0], 1.0, guardrails=0))
        >>> 0.02 < follow_rule(looks, z).share("ship") < 0.03
        True
    """
    z = np.asarray(z, dtype=np.float64)
    if z.ndim != 3 or z.shape[1] != len(looks.primary):
        raise InputError(f"z has shape {z.shape}; (experiments, {len(looks.primary)} looks, arms) is needed")
    if (guardrail_z is None) != (looks.alarm is None):
        raise InputError("guardrail z-values and a budget for harm alarms go together; one of them is missing")
    return follow_bounds(
        z,
        np.array([one.z for one in looks.primary])[:, None],
        guardrail_z=guardrail_z,
        alarm_bounds=np.array([one.z for one in looks.alarm or ()])[:, None, None],
        margin_z=margin_z,
        smallest_z=smallest_z,
        healthy=healthy,
        too_early=too_early,
        doubted=doubted,
        estimates=estimates,
    )


def follow_bounds(
    z: Floats,
    bounds: Floats,
    *,
    interval_bounds: Floats | None = None,
    guardrail_z: Floats | None = None,
    alarm_bounds: Floats | float = np.inf,
    margin_z: Floats | float = 0.0,
    smallest_z: Floats | float = 0.0,
    healthy: Bools = True,
    too_early: Bools = False,
    doubted: Bools = False,
    estimates: Floats | None = None,
    ends: bool = True,
) -> Verdicts:
    """`follow_rule` with boundaries of any origin, such as those of always-valid intervals.

    `judge` at each reading. Assumes what `follow_rule` does, and that the bounds keep their error over all readings
    (Robbins 1970). Not for a fixed 1.96 at every reading, which keeps none.

    Args:
        z, guardrail_z, margin_z, smallest_z, healthy, too_early, doubted, estimates: as in `follow_rule`.
        bounds: of |z|, broadcast to `z`.
        interval_bounds: half the width of the interval that is held against the smallest effect, in standard errors,
            broadcast to `z`; `bounds` unless given.
        alarm_bounds: of each guardrail's z against the desired direction, broadcast to `guardrail_z`.
        ends: whether the last reading is the planned end.

    Example:
        >>> import numpy as np
        >>> steps = np.random.default_rng(1).normal(size=(5_000, 20, 1))
        >>> z = steps.cumsum(axis=1) / np.sqrt(np.arange(1, 21))[:, None]
        >>> found = (follow_bounds(z, np.full((20, 1), bound)) for bound in (1.96, 3.03))
        >>> naive, valid = (one.share("ship", "stop_harm") for one in found)
        >>> naive > 0.2, valid < 0.05
        (True, True)
    """
    estimates = z if estimates is None else np.asarray(estimates, dtype=np.float64)
    bounds, smallest, well, early, doubt = (
        np.broadcast_to(one, z.shape) for one in (bounds, smallest_z, healthy, too_early, doubted)
    )
    widths = bounds if interval_bounds is None else np.broadcast_to(interval_bounds, z.shape)
    limit = float(ndtri(1 - NON_INFERIORITY))
    findings = np.full((z.shape[0], z.shape[2]), Finding.OPEN, dtype=np.int64)
    kept = findings
    when = np.zeros_like(findings)
    shipped = np.full(z.shape[0], -1, dtype=np.int64)
    for k in range(z.shape[1]):
        now = z[:, k]
        failed, passed, alarm = False, True, False
        if guardrail_z is not None:
            guarded = guardrail_z[:, k]
            against_margin = guarded + np.broadcast_to(margin_z, guardrail_z.shape)[:, k]
            failed = np.asarray((against_margin < -limit).any(axis=-1))
            passed = np.asarray((against_margin > limit).all(axis=-1))
            raised = -guarded >= np.broadcast_to(alarm_bounds, guardrail_z.shape)[:, k]
            alarm = np.asarray(raised.any(axis=-1))
        findings = judge(
            Evidence(
                crossed=np.where(np.abs(now) >= bounds[:, k], np.sign(now), 0).astype(np.int64),
                failed=failed,
                passed=passed,
                alarm=alarm,
                no_effect=np.abs(now) + widths[:, k] < smallest[:, k],
                doubted=doubt[:, k],
                too_early=early[:, k],
                healthy=well[:, k],
                ended=ends and k == z.shape[1] - 1,
            ),
            kept,
        )
        new = (findings >= FIRST_FINAL) & (kept < FIRST_FINAL)
        when[new] = k + 1
        gained = new & (findings == Finding.GAIN)
        largest = np.where(gained, estimates[:, k], -np.inf).argmax(axis=-1)
        shipped = np.where(gained.any(axis=-1), largest, shipped)
        kept = np.where(findings == Finding.UNHEALTHY, kept, findings)
    return Verdicts(findings, when, shipped)
