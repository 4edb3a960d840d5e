"""What a decision is worth, and what it is worth to wait for more data.

The true difference a visitor is taken as normal around its estimate (flat prior, or a posterior from `normal_update`).
These numbers rank arms and price waiting; they never make a verdict: shipping whenever the expected gain is positive
ships half of all offers that do nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from ..errors import InputError
from .largest import expected_largest
from .showing import Shown

__all__ = [
    "Waiting",
    "expected_net_gain",
    "gain_of_waiting",
    "value_of_more_visitors",
    "value_of_perfect_information",
    "value_of_waiting",
]


@dataclass(frozen=True, slots=True)
class Waiting(Shown):
    """What one more week, or any other time of waiting, brings and costs.

    Attributes:
        now: the arm to choose if it had to be now: the highest expected gain.
        worth: what the decision gains by the data of that time (EVSI), for the visitors left afterwards.
        price: what is lost meanwhile by showing other arms than `now`.
        net: worth - price; below 0, waiting does not pay.

    Example:
        >>> Waiting("free shipping", 500.0, 420.0, 80.0).net
        80.0
    """

    now: str
    worth: float
    price: float
    net: float


def expected_net_gain(difference: float, future_visitors: float, *, switching_cost: float = 0.0) -> float:
    """What shipping is expected to bring: E[Δ] · N - cost.

    Raiffa and Schlaifer (1961). Assumes an effect that lasts until the horizon. Not for shipping: half of all tests
    without an effect have a gain above 0.

    Args:
        difference: estimate (or posterior mean) of the difference a visitor, in money net of discount, shipping and
            expected refunds.
        future_visitors: eligible visitors until the horizon.
        switching_cost: what it costs once to change over.

    Example:
        >>> expected_net_gain(0.05, 200_000, switching_cost=4_000)
        6000.0
    """
    _check(future_visitors, switching_cost)
    return difference * future_visitors - switching_cost


def value_of_perfect_information(
    difference: float, se: float, future_visitors: float = 1.0, *, switching_cost: float = 0.0
) -> float:
    """EVPI: what it would be worth to know the true difference before deciding.

    E[max(0, NΔ - cost)] - max(0, N E[Δ] - cost) = N s (φ(u) - u (1 - Φ(u))), u = |difference - cost/N| / s (Raiffa and
    Schlaifer 1961): the most that any further experimenting can be worth.

    Assumes a normal posterior. Not what more visitors are worth, which is less: `value_of_more_visitors`.

    Args:
        difference, future_visitors, switching_cost: as in `expected_net_gain`.
        se: standard deviation of the difference, at least 0.

    Example:
        >>> round(value_of_perfect_information(0.0, 0.02, 100_000), 2)
        797.88
    """
    _check(future_visitors, switching_cost)
    if not 0 <= se < math.inf:
        raise InputError(f"the standard error is {se!r}; a finite number of at least 0 is needed")
    if se == 0 or future_visitors == 0:
        return 0.0
    u = abs(difference - switching_cost / future_visitors) / se
    density = math.exp(-u * u / 2) / math.sqrt(2 * math.pi)
    # In the far tail the difference of the two terms is only rounding.
    return future_visitors * se * max(density - u * float(ndtr(-u)), 0.0)


def value_of_more_visitors(
    difference: float,
    variance: float,
    variance_after: float,
    future_visitors: float = 1.0,
    *,
    switching_cost: float = 0.0,
) -> float:
    """EVSI: what the data of more visitors is worth to the decision, before it is known what they say.

    More data moves the estimate with variance s̃² = V_now - V_after; the value is that of perfect information with s̃
    in place of s. n visitors an arm more take a variance from v (1/n_t + 1/n_c) to v (1/(n_t + n) + 1/(n_c + n)).

    N s̃ (φ(u) - u (1 - Φ(u))), u = |difference - cost/N| / s̃ (Raiffa and Schlaifer 1961). Assumes a normal estimate
    and that nothing is lost meanwhile. Not for how long to wait, which has a price: `gain_of_waiting`.

    Args:
        difference, future_visitors, switching_cost: as in `expected_net_gain`.
        variance: of the difference now.
        variance_after: of the difference with the additional visitors, at most `variance`.

    Example:
        >>> round(value_of_more_visitors(0.0, 0.0004, 0.0003, 100_000), 2)
        398.94
    """
    if not 0 <= variance_after <= variance:
        raise InputError(f"variances {variance!r} now and {variance_after!r} later; more data cannot have more of it")
    moved = math.sqrt(variance - variance_after)
    return value_of_perfect_information(difference, moved, future_visitors, switching_cost=switching_cost)


def gain_of_waiting(
    difference: float,
    variance: float,
    variance_after: float,
    future_visitors: float,
    *,
    in_treatment: float,
    in_control: float,
    switching_cost: float = 0.0,
) -> float:
    """What it brings to let the experiment run on for a while, say a week, instead of deciding now; below 0: decide.

    Afterwards fewer visitors are left to earn on, (N - n) E[max(0, Δ' - cost/(N - n))], and meanwhile those in the
    treatment are served as if it had been chosen already and those in the control as if not. For no switching cost it
    is (N - n) · EVSI less |E[Δ]| for each visitor who meanwhile is in the arm that would not be chosen now.

    EVSI less its price (Raiffa and Schlaifer 1961). Assumes a normal estimate and steady traffic. Not for shipping: it
    prices a week more and can support stopping without effect.

    Args:
        difference, variance, variance_after, switching_cost: as in `value_of_more_visitors`.
        future_visitors: eligible visitors until the horizon, those of the time of waiting included.
        in_treatment, in_control: visitors who meanwhile come to the two arms.

    Example:
        >>> round(gain_of_waiting(0.01, 0.0004, 0.0003, 200_000, in_treatment=5_000, in_control=5_000), 2)
        108.3
    """
    meanwhile = in_treatment + in_control
    if in_treatment < 0 or in_control < 0 or meanwhile > future_visitors:
        raise InputError(
            f"{in_treatment!r} and {in_control!r} visitors meanwhile, of {future_visitors!r} until the horizon;"
            " at least 0 each and no more than there are is needed"
        )
    later = future_visitors - meanwhile
    evsi = value_of_more_visitors(difference, variance, variance_after, later, switching_cost=switching_cost)
    now = max(expected_net_gain(difference, future_visitors, switching_cost=switching_cost), 0.0)
    then = max(expected_net_gain(difference, later, switching_cost=switching_cost), 0.0)
    return evsi + then + in_treatment * difference - now


def value_of_waiting(
    means: Mapping[str, tuple[float, float]],
    visitors: Mapping[str, float],
    meanwhile: Mapping[str, float],
    future_visitors: float,
    *,
    switching_cost: Mapping[str, float] | None = None,
) -> Waiting:
    """Whether to let an experiment of any number of arms run on for a week, against choosing the best arm now.

    More data moves each arm's mean with variance s̃² = V - V n/(n + m); what the choice gains by it is
    E[max (N' M_i - cost_i)] - max (N' m_i - cost_i), by quadrature over independent normals, with N' the visitors left
    (Raiffa and Schlaifer 1961). Meanwhile each visitor of another arm loses its distance to the arm that would be
    chosen now. For one treatment it is `gain_of_waiting`.

    Assumes normal means, flat prior, variances that shrink with 1/n, steady traffic, and outcomes that are known when
    the week is over: of a metric with a window, a week's visitors tell only after it. Not for shipping: it ranks and
    can support stopping without effect.

    Args:
        means: by arm, control included, the mean a visitor in money and the variance *of that mean*.
        visitors: how many of each arm it was computed from, above 0.
        meanwhile: how many come to each arm while waiting.
        future_visitors: eligible visitors until the horizon, those of the time of waiting included.
        switching_cost: what it costs once to choose an arm; 0 where it is not named.

    Raises:
        InputError: fewer than two arms, arms that are not the same everywhere, or impossible numbers.

    Example:
        >>> arms = {"control": (5.00, 0.0004), "ten": (5.03, 0.0004), "twenty": (5.01, 0.0004)}
        >>> n = dict.fromkeys(arms, 20_000)
        >>> found = value_of_waiting(arms, n, dict.fromkeys(arms, 5_000), 500_000)
        >>> found.now, round(found.worth), round(found.price)
        ('ten', 161, 250)
    """
    names = list(means)
    cost = {arm: (switching_cost or {}).get(arm, 0.0) for arm in names}
    _check_arms(means, visitors, meanwhile, future_visitors, switching_cost or {})
    later = future_visitors - math.fsum(meanwhile.values())
    gain = {arm: means[arm][0] * future_visitors - cost[arm] for arm in names}
    now = max(names, key=lambda arm: gain[arm])
    price = math.fsum(meanwhile[arm] * (means[now][0] - means[arm][0]) for arm in names)
    # From the arm that would be chosen now, so that a small worth keeps its digits beside large gains.
    ahead = [(means[arm][0] - means[now][0]) * later - cost[arm] + cost[now] for arm in names]
    moved = [later * math.sqrt(means[arm][1] * meanwhile[arm] / (visitors[arm] + meanwhile[arm])) for arm in names]
    worth = float(expected_largest(np.array([ahead]), np.array(moved))[0])
    # With fewer visitors left another arm can be the best one, by its switching cost; that is no news.
    worth = max(worth - max(ahead), 0.0)
    price -= max(ahead)
    return Waiting(now, worth, price, worth - price)


def _check_arms(
    means: Mapping[str, tuple[float, float]],
    visitors: Mapping[str, float],
    meanwhile: Mapping[str, float],
    future_visitors: float,
    switching_cost: Mapping[str, float],
) -> None:
    if len(means) < 2:
        raise InputError(f"there are {len(means)} arms; a choice needs two or more")
    for what, given in (("visitors", visitors), ("visitors meanwhile", meanwhile)):
        if set(given) != set(means):
            raise InputError(f"{what} are given of {sorted(given)}, but means of {sorted(means)}")
    if unknown := set(switching_cost) - set(means):
        raise InputError(f"a switching cost is given of {sorted(unknown)}; the arms are {sorted(means)}")
    for arm, (mean, variance) in means.items():
        numbers = mean, variance, visitors[arm], meanwhile[arm], switching_cost.get(arm, 0.0)
        possible = variance >= 0 and visitors[arm] > 0 and meanwhile[arm] >= 0 and numbers[4] >= 0
        if not possible or not all(map(math.isfinite, numbers)):
            raise InputError(
                f"arm {arm!r} has mean {mean!r}, variance {variance!r}, {visitors[arm]!r} visitors and"
                f" {meanwhile[arm]!r} meanwhile, at a switching cost of {numbers[4]!r};"
                " finite numbers, visitors above 0 and the others at least 0 are needed"
            )
    if not math.fsum(meanwhile.values()) <= future_visitors < math.inf:
        raise InputError(
            f"{math.fsum(meanwhile.values())!r} visitors meanwhile, of {future_visitors!r} until the horizon;"
            " no more than there are is needed"
        )


def _check(visitors: float, cost: float) -> None:
    if not 0 <= visitors < math.inf or not 0 <= cost < math.inf:
        raise InputError(f"{visitors!r} visitors and a cost of {cost!r}; finite numbers of at least 0 are needed")
