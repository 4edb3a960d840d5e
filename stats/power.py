"""Before the experiment: how many visitors, what power, which lift can be seen, and how long that takes.

One pivot for all: with N visitors the statistic of an endpoint has drift √N · effect/sd, and its boundaries, in units
of what the estimate really varies, are those of the design times null_sd/sd. The power is the chance to cross on the
side of the effect (Jennison and Turnbull 2000, chapter 3); sample size and detectable lift are its inverses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from scipy.special import nctdtr, ndtri, stdtrit

from ..errors import InputError
from .anytime import mixture_boundary, mixture_lambda
from .endpoints import Endpoint
from .fieller import check_alpha
from .group_sequential import Boundaries, crossing_probabilities, sequential_boundaries
from .multiplicity import adjusted_alpha
from .roots import increasing_root

__all__ = [
    "HARM_BUDGET",
    "Design",
    "Duration",
    "SampleSize",
    "achieved_power",
    "control_share_for",
    "detectable_lift",
    "required_visitors",
    "time_to_decide",
]

HARM_BUDGET = 0.2
"""Share of alpha that the harm alarms of guardrails spend where there are guardrails; the primary keeps the rest."""

Direction = Literal["increase", "decrease"]


@dataclass(frozen=True, slots=True)
class Design:
    """How the primary metric will be judged.

    One look at the end by default; with `looks` by Lan and DeMets's O'Brien-Fleming boundaries; with `readings` by the
    always-valid boundary. Several treatments share alpha by Dunnett's critical value. With guardrails the primary has
    80 % of alpha, and everything that has to succeed together is powered at 1 - β/(G + 1).

    Attributes:
        alpha: two-sided error rate of the primary; a one-sided test at .025 has alpha .05.
        power: chance to see the effect, in each treatment, and with guardrails to see all of them pass too.
        shares: of the visitors in each arm, the control first; summing to 1.
        looks: planned shares of the visitors at which it is read, rising to 1.
        readings: of the always-valid boundary, how often it is looked at, evenly, until the planned end.
        tuned_at: visitors of a comparison at which the always-valid boundary is lowest, such as
            `VISITORS_WITHOUT_PLAN`; None: half of those planned.
        guardrails: how many metrics have to pass as well.
        dunnett: whether treatments share alpha; guardrails, which all have to pass, do not.

    Raises:
        InputError: any of these out of range, or both looks and readings.

    >>> round(Design(shares=(0.4, 0.3, 0.3), guardrails=1).level, 5)
    0.02105
    """

    alpha: float = 0.05
    power: float = 0.8
    shares: tuple[float, ...] = (0.5, 0.5)
    looks: tuple[float, ...] = ()
    readings: int | None = None
    tuned_at: float | None = None
    guardrails: int = 0
    dunnett: bool = True

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        if not self.alpha / 2 < self.power < 1:
            raise InputError(f"power is {self.power!r}; a number above alpha/2 and below 1 is needed, such as 0.8")
        if len(self.shares) < 2 or min(self.shares) <= 0 or abs(sum(self.shares) - 1) > 1e-9:
            raise InputError(f"shares are {self.shares!r}; two or more above 0 that sum to 1 are needed")
        if self.looks and (
            self.readings is not None
            or not self.looks[0] > 0
            or any(later <= earlier for earlier, later in zip(self.looks, self.looks[1:], strict=False))
            or self.looks[-1] != 1
        ):
            raise InputError(
                f"looks are {self.looks!r}, readings {self.readings!r}; rising shares up to 1, or readings, not both"
            )
        if self.readings is not None and self.readings < 1:
            raise InputError(f"{self.readings!r} readings; at least 1 is needed")
        if self.tuned_at is not None and not self.tuned_at > 0:
            raise InputError(f"the boundary is tuned at {self.tuned_at!r} visitors; a number above 0 is needed")
        if self.guardrails < 0:
            raise InputError(f"{self.guardrails!r} guardrails; 0 or more are needed")

    @property
    def target(self) -> float:
        """Power of each single test: 1 - β/(G + 1), so that by Bonferroni all succeed together with that of the design.

        Schultzberg, Ankargren and Frånberg (2024).
        """
        return 1 - (1 - self.power) / (self.guardrails + 1)

    @property
    def level(self) -> float:
        """Two-sided level of one comparison: alpha, less the guardrails' harm budget, shared among the treatments."""
        alpha = self.alpha * (1 - HARM_BUDGET) if self.guardrails else self.alpha
        control, *treatments = self.shares
        if len(treatments) == 1 or not self.dunnett:
            return alpha
        return adjusted_alpha([1 / share for share in treatments], 1 / control, alpha=alpha)

    def of_guardrail(self) -> Design:
        """How each guardrail of this design is judged: once, at the end, one-sided .025, without correction.

        To be used with the guardrail's margin as `null_lift`, with the opposite sign: 2 % worse is -0.02.
        """
        return Design(0.05, self.target, self.shares, dunnett=False)

    def boundaries(self, visitors: float) -> Boundaries:
        """Looks and boundaries on |z| with so many visitors of a comparison at the end."""
        level = self.level
        if self.readings is None:
            return sequential_boundaries(self.looks or (1.0,), alpha=level)
        clocks = tuple((k + 1) / self.readings for k in range(self.readings))
        slope = mixture_lambda(self.alpha) * (2.0 if self.tuned_at is None else visitors / self.tuned_at)
        z = tuple(mixture_boundary(slope * clock, level) for clock in clocks)
        # Of an always-valid boundary only this much is known of the error spent, at any reading.
        return Boundaries(clocks, (level,) * len(clocks), z)


@dataclass(frozen=True, slots=True)
class SampleSize:
    """Visitors that a plan needs.

    Attributes:
        exact: in all arms, before rounding.
        by_arm: in each arm, rounded up, in the order of the shares.
    """

    exact: float
    by_arm: tuple[int, ...]

    @property
    def total(self) -> int:
        """In all arms."""
        return sum(self.by_arm)


def required_visitors(endpoint: Endpoint, lift: float, design: Design, *, null_lift: float = 0.0) -> SampleSize:
    """Visitors needed to see a lift with the power of the design.

    N = ((z_{1-α/2} null_sd + z_{1-β} sd)/effect)² for one look (Fleiss, Levin and Paik 2003; Lachin 1981), with the
    noncentral t distribution for means; with looks or readings the N at which the boundaries are crossed with that
    probability, the most visitors that may be needed (an early stop needs fewer). For several treatments the one with
    the smallest share counts: each treatment that has the lift is seen with that power.

    Args:
        endpoint: the metric as it is without the offer.
        lift: true relative change, 0.05 for 5 %; negative where a decrease is wanted.
        design: how it will be judged.
        null_lift: relative change that is to be ruled out; 0, or of a non-inferiority test minus the margin, with
            `lift` what is really expected, mostly 0 (Farrington and Manning 1990).

    Raises:
        InputError: a lift that equals `null_lift`, or one that a rate cannot have.

    >>> from offerlift.stats import Design, Rate, required_visitors
    >>> required_visitors(Rate(0.05), 0.05, Design()).by_arm
    (122124, 122124)
    >>> required_visitors(Rate(0.05), 0.0, Design(), null_lift=-0.1).total
    53778
    """
    share = min(design.shares[1:])
    if lift == null_lift:
        raise InputError(
            f"the lift and what is to be ruled out are both {lift!r}: no number of visitors tells them apart"
        )
    signal = endpoint.signal(lift, null_lift, share, design.shares[0])
    boundary = design.boundaries(1.0 if design.tuned_at is None else design.tuned_at).z[-1]
    root = (boundary * signal.null_sd + float(ndtri(design.target)) * signal.sd) / signal.effect
    least = math.sqrt(2 / min(share, design.shares[0]))
    found = increasing_root(
        lambda x: achieved_power(endpoint, lift, x * x, design, null_lift=null_lift) - design.target,
        max(root, least),
        0.3 * signal.effect / signal.sd,
        lower=least,
        tolerance=1e-10 * root,
    )
    exact = found * found
    # A share of a total may be a whole number but for rounding.
    return SampleSize(exact, tuple(math.ceil(exact * share * (1 - 1e-12)) for share in design.shares))


def achieved_power(
    endpoint: Endpoint, lift: float, visitors: float, design: Design, *, null_lift: float = 0.0
) -> float:
    """Chance to cross on the side of a true lift, with so many visitors in all arms at the end.

    For plans. The power at the lift that was seen says nothing that the p-value does not (Hoenig and Heisey 2001).

    Crossing on the wrong side is no success and is left out, as in R's power.prop.test and power.t.test. The power in
    `design` plays no part.

    Args:
        endpoint, lift, design, null_lift: as in `required_visitors`.
        visitors: in all arms together, at least two an arm.

    >>> from offerlift.stats import Design, Rate, achieved_power
    >>> round(achieved_power(Rate(0.5), 0.5, 100, Design()), 6)
    0.740166
    """
    share, control = min(design.shares[1:]), design.shares[0]
    if not visitors * min(share, control) >= 2 * (1 - 1e-12):
        raise InputError(f"{visitors!r} visitors; at least two in each arm are needed")
    signal = endpoint.signal(lift, null_lift, share, control)
    drift = math.sqrt(visitors) * signal.effect / signal.sd
    if not design.looks and design.readings is None:
        df = endpoint.degrees_of_freedom(null_lift, visitors * share, visitors * control)
        if df < 1e8:
            return 1 - float(nctdtr(df, drift, -stdtrit(df, design.level / 2)))
    bounds = design.boundaries(visitors * (share + control))
    wider = tuple(z * signal.null_sd / signal.sd for z in bounds.z)
    return sum(crossing_probabilities(replace(bounds, z=wider), drift)[0])


def detectable_lift(
    endpoint: Endpoint,
    visitors: float,
    design: Design,
    *,
    null_lift: float = 0.0,
    direction: Direction = "increase",
) -> float | None:
    """The smallest lift that so many visitors show with the power of the design (MDE); None where a rate has no such.

    What can be seen, not what is to be expected: most offers have a smaller effect.

    Args:
        endpoint, design, null_lift: as in `required_visitors`.
        visitors: in all arms together, at least two an arm.
        direction: `decrease` for the smallest fall, which is negative.

    >>> from offerlift.stats import Design, Mean, detectable_lift
    >>> round(detectable_lift(Mean(0.05, 0.0475), 20_000, Design()), 6)
    0.17271
    """
    sign = 1.0 if direction == "increase" else -1.0
    share, control = min(design.shares[1:]), design.shares[0]
    at_null = endpoint.signal(null_lift, null_lift, share, control)
    low, high = endpoint.limits
    bound = abs((high if sign > 0 else low) / endpoint.mean - 1 - null_lift) * (1 - 1e-12)
    if math.isfinite(bound):
        farthest = achieved_power(endpoint, null_lift + sign * bound, visitors, design, null_lift=null_lift)
        if farthest < design.target:
            return None
    unit = at_null.sd / math.sqrt(visitors) / endpoint.mean
    z = design.boundaries(visitors * (share + control)).z[-1] + float(ndtri(design.target))
    found = increasing_root(
        lambda x: achieved_power(endpoint, null_lift + sign * x, visitors, design, null_lift=null_lift) - design.target,
        min(z * unit, bound),
        0.3 / unit,
        lower=0.0,
        upper=bound,
        tolerance=1e-10 * unit,
    )
    return null_lift + sign * found


@dataclass(frozen=True, slots=True)
class Duration:
    """How long an experiment takes: enrolment in whole weeks, then the window of the last visitor.

    A visitor's window is time in which nobody else is decided about but everybody has to wait.
    """

    enrolment_weeks: int
    window_days: float = 0.0

    @property
    def days(self) -> float:
        """From the first visitor to the day on which all are analysed."""
        return 7 * self.enrolment_weeks + self.window_days

    @property
    def weeks(self) -> int:
        """The same in weeks, begun ones counted whole."""
        return math.ceil(self.days / 7)


def time_to_decide(visitors: float, per_week: float, *, window_days: float = 0.0, least_weeks: int = 2) -> Duration:
    """How long it takes until so many visitors are analysed.

    Enrolment in whole weeks, since weekdays differ, and in at least two, since weeks do; then the metric's window.
    Assumes steady traffic: a season's peak does not last.

    Args:
        visitors: in all arms together.
        per_week: eligible visitors that enter the experiment in a week.
        window_days: of the metric, refunds included.
        least_weeks: of enrolment.

    >>> time_to_decide(244_247, 35_000, window_days=7)
    Duration(enrolment_weeks=7, window_days=7)
    """
    if not per_week > 0 or visitors < 0 or window_days < 0 or least_weeks < 1:
        raise InputError(
            f"{visitors!r} visitors at {per_week!r} a week, a window of {window_days!r} days, at least {least_weeks!r} "
            "weeks; traffic above 0 is needed, and nothing below 0"
        )
    return Duration(max(math.ceil(visitors / per_week * (1 - 1e-12)), least_weeks), window_days)


def control_share_for(treatments: int) -> float:
    """The control's share that makes comparisons with it the most precise: √k to 1 for k treatments (Dunnett 1955).

    >>> round(control_share_for(4), 4)
    0.3333
    """
    if treatments < 1:
        raise InputError(f"{treatments!r} treatments; at least 1 is needed")
    return math.sqrt(treatments) / (math.sqrt(treatments) + treatments)
