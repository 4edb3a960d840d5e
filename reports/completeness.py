"""Whether all data is there: outcomes that do not arrive, money without a value, orphaned refunds, lost rows."""

from __future__ import annotations

from ..storage.observations import Observations
from .counts import mature_counts
from .format import count, join, label, p_value, quote
from .tree import HealthCheck

__all__ = ["LOWEST_RATE", "OUTCOMES_ALARM", "currencies", "outcomes", "refunds", "rows"]

OUTCOMES_ALARM = 0.001
"""Missing outcomes fail where chance alone would have left none with less than this probability.

As it can only be reached once, namely before the first outcome, it is the false-alarm rate of all looks together.
"""

LOWEST_RATE = 0.001
"""Share of visitors with an outcome below which no shop is expected to be: one in a thousand."""

USUAL_RATE = 0.01
"""The same of a shop as most are, where it is worth a warning that nothing has come in."""

OUTCOMES_WARNING = 0.05
"""Without any outcome it is warned where the usual rate leaves this chance of none."""


def outcomes(observations: Observations, phases: int) -> HealthCheck:
    """Whether outcomes arrive: of the primary metric's event at all, and in every arm.

    Blocking has a stated false-alarm rate, `OUTCOMES_ALARM`, whatever the rate of conversions.
    """
    if observations.definition.source == "table":
        return HealthCheck("outcomes", "ok", "The outcome columns came with the table.")
    mature = mature_counts(observations)
    total = sum(mature.values())
    if total == 0:
        return HealthCheck("outcomes", "not_run", "No visitor's window has passed yet.")
    missing = _nothing_at_all(observations, total, phases)
    if missing is not None:
        return missing
    rows = {arm: sum(counts.outcomes.values()) for arm, counts in observations.arms.items()}
    buyers = _buyers(observations)
    for arm, n in mature.items():
        # With equal rates each of the buyers is in this arm with the arm's share of the visitors, or less likely not.
        p = min(len(mature) * phases * (1 - n / total) ** buyers, 1.0)
        if rows[arm] == 0 and p < OUTCOMES_ALARM:
            return HealthCheck(
                "outcomes",
                "fail",
                f"{quote(arm)} has no outcome at all, where the other arms have those of at least "
                f"{count(round(buyers))} visitors; by chance that happens with p {_below(p)}. Its outcomes are not "
                f"arriving, or nothing can be bought in it.",
                p,
            )
    seen = join([f"{count(n)} in {quote(arm)}" for arm, n in rows.items()])
    return HealthCheck("outcomes", "ok", f"Outcomes are arriving: {seen}.")


def _nothing_at_all(observations: Observations, mature: int, phases: int) -> HealthCheck | None:
    """The finding where the primary metric's event, or every event, is missing in all arms; None where it is not."""
    event = observations.definition.metric(observations.definition.plan.primary).numerator.event
    arms = observations.arms.values()
    if any(counts.outcomes.get(event or "*", 0) for counts in arms):
        return None
    anything = any(sum(counts.outcomes.values()) for counts in arms)
    if event is None and anything:
        return None
    what = f"No “{label(event)}”" if anything and event is not None else "No outcome"
    seen = f"{what} is recorded for any of the {count(mature)} visitors whose window has passed"
    usual, lowest = ((1 - rate) ** mature for rate in (USUAL_RATE, LOWEST_RATE))
    where = "they are probably not arriving, or under another event name or visitor id"
    if min(phases * lowest, 1.0) < OUTCOMES_ALARM:
        return HealthCheck(
            "outcomes",
            "fail",
            f"{seen}. Where only one in {count(1 / LOWEST_RATE)} did something, that had p {_below(lowest)}: {where}.",
            lowest,
        )
    if usual < OUTCOMES_WARNING:
        return HealthCheck(
            "outcomes",
            "warn",
            f"{seen}. Where one in {count(1 / USUAL_RATE)} does something, that has p {_below(usual)}: see whether "
            f"{where.removeprefix('they are probably ').replace('not arriving', 'they arrive')}.",
            usual,
        )
    return HealthCheck("outcomes", "not_run", f"{seen}; these are too few to say whether they arrive.")


def _buyers(observations: Observations) -> float:
    """A lower bound of how many mature visitors have an outcome: (Σx)² <= k Σx² where k of the x are not 0."""
    bounds = [0.0]
    for metric in observations.definition.metrics:
        for column in metric.columns:
            found = 0.0
            for moments in observations.moments.get(metric.name, {}).values():
                if moments.n == 0:
                    continue
                total, mean = moments.sum_of(column.name), moments.mean_of(column.name)
                squares = moments.variance_of(column.name) * (moments.n - 1) if moments.n > 1 else 0.0
                squares += mean * total
                found += total * total / squares if squares > 0 else 0.0
            bounds.append(found)
    return max(bounds)


def currencies(observations: Observations) -> HealthCheck:
    """Whether every amount has a value in the store's currency."""
    currency = observations.definition.currency
    if observations.definition.source == "table":
        return HealthCheck("currencies", "ok", f"A table has one currency, {currency}.")
    rows = observations.unreported_rows
    if rows == 0:
        return HealthCheck("currencies", "ok", f"Every amount is in {currency} or has its value in {currency}.")
    return HealthCheck(
        "currencies",
        "fail",
        f"{count(rows)} {'outcome is' if rows == 1 else 'outcomes are'} in another currency without a reporting value "
        f"in {currency}, and missing from every amount of money; what is left may be another mix of customers in each "
        f"arm.",
    )


def refunds(observations: Observations) -> HealthCheck:
    """Whether every refund names an order that is stored."""
    if observations.definition.source == "table":
        return HealthCheck("refunds", "not_run", "A table has no refunds of their own.")
    orphans = observations.orphaned_refunds
    if orphans == 0:
        return HealthCheck("refunds", "ok", "Every refund names an order that is stored.")
    return HealthCheck(
        "refunds",
        "warn",
        f"{count(orphans)} {'refund names an order that is' if orphans == 1 else 'refunds name orders that are'} not "
        f"stored, and nothing is taken away for them: orders are probably still arriving, or under another id.",
    )


def rows(observations: Observations) -> HealthCheck:
    """How many rows of a table could not be read."""
    if observations.definition.source != "table":
        return HealthCheck("rows", "not_run", "Not a table: the report of each import lists what it refused.")
    refused = observations.refused_rows
    if refused == 0:
        return HealthCheck("rows", "ok", "Every row of the table was read.")
    total = refused + sum(counts.visitors for counts in observations.arms.values())
    return HealthCheck(
        "rows",
        "warn",
        f"{count(refused)} of {count(total)} rows could not be read and are not in the numbers; if they are not spread "
        f"evenly over the arms, they bias the comparison.",
    )


def _below(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"
