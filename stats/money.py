"""What a difference a visitor is worth, in money: a week, over a horizon, or of one campaign.

A difference becomes money by the number of visitors who are really eligible, and it stays an interval: the one that
decides, never the product of two estimates alone. An offer that goes on earns week by week; one that happened once has
a total and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from scipy.special import ndtri

from ..errors import InputError
from .fieller import check_alpha
from .results import Lift
from .showing import Shown

__all__ = ["Audience", "Money", "campaign_total", "customer_value", "money_per_week"]

WEEKS_A_YEAR = 365.25 / 7
TOTAL = "Read its total, or start from money_per_week."


class Ends(Protocol):
    """Anything with two ends, None where one does not exist."""

    @property
    def low(self) -> float | None: ...

    @property
    def high(self) -> float | None: ...


class Interval(Ends, Protocol):
    """The same with an estimate."""

    @property
    def estimate(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Audience(Shown):
    """Eligible visitors: of a week, or of a campaign that happened once.

    Attributes:
        visitors: how many are eligible: all to whom the offer would be shown if it were shipped.
        low, high: interval of that number; None where it is taken as known.
        once: whether they came to a one-off campaign.

    Example:
        >>> Audience(50_000.0).once
        False
    """

    visitors: float
    low: float | None = None
    high: float | None = None
    once: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.visitors < math.inf:
            raise InputError(f"the audience is {self.visitors!r} visitors; a finite number of at least 0 is needed")
        if (self.low is None) != (self.high is None):
            raise InputError(f"the audience has the ends {self.low!r} and {self.high!r}; both or neither is needed")
        if (
            self.low is not None
            and self.high is not None
            and not 0 <= self.low <= self.visitors <= self.high < math.inf
        ):
            raise InputError(
                f"an audience of {self.visitors!r} with the ends {self.low!r} and {self.high!r};"
                " ends on either side of it and at least 0 are needed"
            )

    @classmethod
    def weekly(cls, visitors: int, *, days: float, traffic: float = 1.0, alpha: float = 0.05) -> Audience:
        """The week's eligible visitors, from those that an experiment counted.

        Args:
            visitors: of all arms of the experiment.
            days: over how many days they came; whole weeks, or the weekend counts too much or too little.
            traffic: the share of eligible visitors who took part.
            alpha: of the interval, by the square root of the count (Poisson); it holds no season.

        Raises:
            InputError: a count below 0, no days, or a share outside (0, 1].

        Example:
            >>> Audience.weekly(20_000, days=14, traffic=0.5).visitors
            20000.0
        """
        if isinstance(visitors, bool) or visitors < 0 or not 0 < days < math.inf or not 0 < traffic <= 1:
            raise InputError(
                f"{visitors!r} visitors in {days!r} days at a traffic of {traffic!r}; a count of at least 0,"
                " days above 0 and a share above 0 and up to 1 are needed"
            )
        scale = 7 / (days * traffic)
        margin = -float(ndtri(check_alpha(alpha) / 2)) * math.sqrt(visitors)
        return cls(visitors * scale, max(visitors - margin, 0.0) * scale, (visitors + margin) * scale)


@dataclass(frozen=True, slots=True)
class Money(Shown):
    """An amount of money with its interval.

    Attributes:
        estimate, low, high: in the currency's major unit; None where an end does not exist.
        period: what it is for: `week` (every week while the offer goes on), `campaign` (once, in all) or `horizon`
            (over so many weeks, costs of the change taken off).
        weeks: how many weeks a horizon has; None otherwise.
        visitors: the eligible visitors that it counts; of a horizon, in all.
        measured_days: over how many days after the exposure the difference was measured; None where that was not said.
        switching_cost: what was taken off once.
        net_of: the costs that the difference is net of, such as `discount`, `shipping subsidy`, `refunds`; empty for
            plain revenue.

    Example:
        >>> week = money_per_week((0.10, 0.02, 0.18), Audience(10_000), net_of=("cost of goods", "discount"))
        >>> week.estimate, week.low, week.high
        (1000.0, 200.0, 1800.0)
        >>> week.over(26, switching_cost=5_000).low
        200.0
    """

    estimate: float | None
    low: float | None
    high: float | None
    period: Literal["week", "campaign", "horizon"]
    weeks: float | None
    visitors: float
    measured_days: float | None
    switching_cost: float
    net_of: tuple[str, ...]

    def per_week(self) -> Money:
        """The same a week.

        Raises:
            InputError: it is of a one-off campaign, or over a horizon with a cost in it.
        """
        if self.period == "week":
            return self
        raise InputError(self._why_not("weekly"), hint=TOTAL)

    def over(self, weeks: float, *, switching_cost: float = 0.0) -> Money:
        """The money of so many weeks less what the change costs once.

        Assumes that effect and audience stay as they were measured.

        Raises:
            InputError: it is of a one-off campaign, or over a horizon already; weeks not above 0; a cost below 0.
        """
        if self.period != "week":
            raise InputError(self._why_not(f"{weeks:g} weeks'"), hint=TOTAL)
        if not 0 < weeks < math.inf or not 0 <= switching_cost < math.inf:
            raise InputError(
                f"{weeks!r} weeks and a cost of {switching_cost!r}; weeks above 0 and a cost of at least 0 are needed"
            )
        estimate, low, high = (
            None if one is None else one * weeks - switching_cost for one in (self.estimate, self.low, self.high)
        )
        return Money(
            estimate,
            low,
            high,
            "horizon",
            float(weeks),
            self.visitors * weeks,
            self.measured_days,
            switching_cost,
            self.net_of,
        )

    def per_year(self) -> Money:
        """The money of a year, if effect and audience stay.

        Raises:
            InputError: as in `over`.
        """
        if self.period != "week":
            raise InputError(self._why_not("yearly"), hint=TOTAL)
        return self.over(WEEKS_A_YEAR)

    def _why_not(self, wanted: str) -> str:
        if self.period == "campaign":
            return (
                f"this is the total of a one-off campaign ({self.visitors:,.0f} visitors); it has no {wanted} numbers"
            )
        return f"this is the total of {self.weeks:g} weeks; it has no {wanted} numbers of its own"


def money_per_week(
    difference: Interval | tuple[float, float, float],
    audience: Audience | float,
    *,
    interval: Ends | None = None,
    measured_days: float | None = None,
    net_of: Sequence[str] = (),
) -> Money:
    """A difference a visitor as money a week, for the visitors who are really eligible.

    The interval's ends times the audience; where the audience has an interval, from the smallest to the largest product
    of the two (so that it leaves out 0 exactly where the difference does, and covers at least as often as a product of
    independent estimates should: Zou, Huang and Zhang 2009 would be shorter, and could contradict the verdict).

    Assumes that shipping gives the offer to the audience that the difference was measured on. Not for a difference
    among those who accepted or were shown the offer; not for a campaign (`campaign_total`), nor for a lift.

    Args:
        difference: of money a visitor: `Difference`, `StagewiseEstimate`, or the three numbers estimate, low and high.
        audience: of a week; a number is taken as known.
        interval: the one that decides, where that is not the difference's own: `RepeatedInterval` at a planned look,
            `Anytime` without a plan.
        measured_days: over how many days after the exposure it was measured.
        net_of: the costs that it is net of.

    Raises:
        InputError: a lift, ends that are not on either side of the estimate or are the inside of a gap, an audience of
            a campaign, or days not above 0.

    Example:
        >>> found = money_per_week((-0.02, -0.05, 0.01), Audience(10_000, 9_000, 11_000))
        >>> round(found.low), round(found.high)
        (-550, 110)
    """
    audience = audience if isinstance(audience, Audience) else Audience(float(audience))
    if audience.once:
        raise InputError(
            f"an audience of {audience.visitors:,.0f} visitors that came once has no weekly money",
            hint="Ask for campaign_total.",
        )
    return _product(_ends(difference, interval), audience, "week", measured_days, 0.0, net_of)


def customer_value(
    difference: Interval | tuple[float, float, float],
    audience: Audience | float,
    *,
    horizon_days: float,
    measured_days: float,
    interval: Ends | None = None,
    net_of: Sequence[str] = (),
) -> Money:
    """What a week's visitors are worth more until so many days after their exposure.

    The money of `money_per_week`, with a difference of the customer's value over a named horizon: everything that a
    visitor brought within it, repeat orders and refunds included. It says nothing of what comes later.

    Assumes that the difference was measured over the whole horizon, of visitors who are all that old. Not for a horizon
    longer than what was measured, which would be a guess.

    Args:
        difference, audience, interval, net_of: as in `money_per_week`.
        horizon_days: the horizon.
        measured_days: the metric's window after the exposure, in days: that of the horizon.

    Raises:
        InputError: as in `money_per_week`, and a horizon other than what was measured.

    Example:
        >>> customer_value((0.5, 0.2, 0.8), 1000, horizon_days=90, measured_days=90).measured_days
        90
    """
    if horizon_days != measured_days:
        raise InputError(
            f"a value over {horizon_days!r} days from a difference that was measured over {measured_days!r} days",
            hint="Measure it with a window of the horizon: nothing here extrapolates.",
        )
    return money_per_week(difference, audience, interval=interval, measured_days=measured_days, net_of=net_of)


def campaign_total(
    difference: Interval | tuple[float, float, float],
    audience: Audience | float,
    *,
    cost: float = 0.0,
    interval: Ends | None = None,
    measured_days: float | None = None,
    net_of: Sequence[str] = (),
) -> Money:
    """What a one-off campaign brought, or would have, to all of its audience; it has no weekly or yearly numbers.

    As `money_per_week`, once: ends times audience, less what the campaign itself cost. Assumes that the campaign is
    over. Not for an offer that goes on.

    Args:
        difference, interval, measured_days, net_of: as in `money_per_week`.
        audience: of the campaign; a number is taken as known.
        cost: what it cost whatever came of it, such as a mailing.

    Raises:
        InputError: as in `money_per_week`, and a cost below 0.

    Example:
        >>> sale = campaign_total((0.10, 0.02, 0.18), 40_000, cost=500)
        >>> round(sale.low), round(sale.high)
        (300, 6700)
        >>> sale.per_year()
        Traceback (most recent call last):
            ...
        offerlift.errors.InputError: this is the total of a one-off campaign (40,000 visitors); it has no yearly numbers
        Read its total, or start from money_per_week.
    """
    if not 0 <= cost < math.inf:
        raise InputError(f"the campaign's cost is {cost!r}; a finite number of at least 0 is needed")
    audience = audience if isinstance(audience, Audience) else Audience(float(audience), once=True)
    return _product(_ends(difference, interval), audience, "campaign", measured_days, float(cost), net_of)


def _product(
    ends: tuple[float | None, float | None, float | None],
    audience: Audience,
    period: Literal["week", "campaign"],
    measured_days: float | None,
    cost: float,
    net_of: Sequence[str],
) -> Money:
    estimate, low, high = ends
    if measured_days is not None and not 0 < measured_days < math.inf:
        raise InputError(f"measured over {measured_days!r} days; a finite number above 0 is needed")
    if isinstance(net_of, str):
        raise InputError(f"net_of is {net_of!r}; a list of costs is needed", hint=f"Write ({net_of!r},).")
    fewest = audience.visitors if audience.low is None else audience.low
    most = audience.visitors if audience.high is None else audience.high
    return Money(
        None if estimate is None else estimate * audience.visitors - cost,
        None if low is None else low * (fewest if low > 0 else most) - cost,
        None if high is None else high * (most if high > 0 else fewest) - cost,
        period,
        None,
        audience.visitors,
        measured_days,
        cost,
        tuple(net_of),
    )


def _ends(
    difference: Interval | tuple[float, float, float], interval: Ends | None
) -> tuple[float | None, float | None, float | None]:
    """Estimate, low and high.

    Raises:
        InputError: they are not a difference's.
    """
    if isinstance(difference, Lift):
        raise InputError(
            "a relative lift is not an amount of money", hint="Give the difference a visitor, with its interval."
        )
    if isinstance(difference, tuple):
        estimate, low, high = difference
    else:
        estimate, low, high = difference.estimate, difference.low, difference.high
    if interval is not None:
        low, high = interval.low, interval.high
    kind = getattr(difference if interval is None else interval, "kind", "bounded")
    if kind in ("complement", "undefined"):
        raise InputError(f"the set is {kind!r}, not an interval; there is no amount of money between its ends")
    # An estimate corrected for an early stop may lie outside of the interval that made it stop.
    ordered = [value for value in ((low, estimate, high) if interval is None else (low, high)) if value is not None]
    if not all(value is None or math.isfinite(value) for value in (estimate, low, high)) or ordered != sorted(ordered):
        raise InputError(
            f"the difference is {estimate!r} from {low!r} to {high!r};"
            " finite numbers and ends on either side of it are needed"
        )
    return estimate, low, high
