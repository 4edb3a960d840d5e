"""Exact conditional test of two conversion rates, for a handful of conversions and for checks of uniformity."""

from __future__ import annotations

import numpy as np

from .proportions import wilson_interval

__all__ = ["conditional_mid_p"]


def conditional_mid_p(x_t: int, n_t: int, x_c: int, n_c: int) -> float:
    """Two-sided mid-p-value of no difference, given the total of conversions: min(1, 2 (P(X > x) + P(X = x)/2)).

    X is hypergeometric: how many of the conversions fall to the treatment when visitors are dealt out at random. Half
    of the observed count's probability makes the p-value of a discrete count as near to uniform as can be (Lancaster
    1961; Hirji 2006), where Fisher's test is conservative; the level is kept on average and not for every total. The
    smaller tail is doubled. Tails are added up from the far end: p-values of 1e-300 keep their digits.

    For the interval use `compare_proportions`, whose p-value agrees with it.

    Args:
        x_t, n_t, x_c, n_c: conversions and visitors.

    Raises:
        InputError: counts that are not whole, negative, x > n or n = 0.

    >>> round(conditional_mid_p(3, 10, 0, 10), 4)
    0.1053
    """
    for x, n in ((x_t, n_t), (x_c, n_c)):
        wilson_interval(x, n)  # refuses impossible counts
    x_t, n_t, x_c, n_c = int(x_t), int(n_t), int(x_c), int(n_c)
    total, visitors = x_t + x_c, n_t + n_c
    low, high = max(0, total - n_c), min(total, n_t)
    mean = total * n_t / visitors
    sd = np.sqrt(mean * (1 - total / visitors) * n_c / max(visitors - 1, 1))
    reach = int(40 * sd) + 50
    # What lies further away than the window of the mean and the observed count adds nothing.
    low, high = max(low, min(x_t, int(mean)) - reach), min(high, max(x_t, int(mean)) + reach)
    k = np.arange(low, high, dtype=np.float64)
    steps = np.log((total - k) * (n_t - k)) - np.log((k + 1) * (n_c - total + k + 1))
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    at = x_t - low
    # Relative to the largest term of each tail, so that neither underflows before it has been divided.
    largest = logs.max()
    everything = largest + np.log(np.exp(logs - largest).sum())
    tails = []
    for tail in (logs[at + 1 :], logs[:at]):
        peak = max(float(tail.max()), float(logs[at])) if len(tail) else float(logs[at])
        mass = np.exp(tail - peak).sum() + np.exp(logs[at] - peak) / 2
        tails.append(float(np.exp(peak + np.log(mass) - everything)))
    return min(2 * min(tails), 1.0)
