"""What a decision is worth, and what it is worth to wait for more data.

The true difference a visitor is taken as normal around its estimate (flat prior, or a posterior from `normal_update`).
These numbers rank arms and price waiting; they never make a verdict: shipping whenever the expected gain is positive
ships half of all offers that do nothing.
"""

from __future__ import annotations

import math

from scipy.special import ndtr

from ..errors import InputError

__all__ = [
    "expected_net_gain",
    "gain_of_waiting",
    "value_of_more_visitors",
    "value_of_perfect_information",
]


def expected_net_gain(difference: float, future_visitors: float, *, switching_cost: float = 0.0) -> float:
    """What shipping is expected to bring: E[Δ] · N - cost.

    Args:
        difference: estimate (or posterior mean) of the difference a visitor, in money net of discount, shipping and
            expected refunds.
        future_visitors: eligible visitors until the horizon.
        switching_cost: what it costs once to change over.

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

    Args:
        difference, future_visitors, switching_cost: as in `expected_net_gain`.
        se: standard deviation of the difference, at least 0.

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

    Args:
        difference, future_visitors, switching_cost: as in `expected_net_gain`.
        variance: of the difference now.
        variance_after: of the difference with the additional visitors, at most `variance`.

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

    Args:
        difference, variance, variance_after, switching_cost: as in `value_of_more_visitors`.
        future_visitors: eligible visitors until the horizon, those of the time of waiting included.
        in_treatment, in_control: visitors who meanwhile come to the two arms.

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


def _check(visitors: float, cost: float) -> None:
    if not 0 <= visitors < math.inf or not 0 <= cost < math.inf:
        raise InputError(f"{visitors!r} visitors and a cost of {cost!r}; finite numbers of at least 0 are needed")
