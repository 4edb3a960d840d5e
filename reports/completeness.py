"""Whether all data is there: outcomes that do not arrive, money without value, orphaned refunds, what was not taken."""

from __future__ import annotations

from ..storage.observations import Observations
from .counts import mature_counts
from .format import count, join, label, p_value, percent, quote
from .tree import HealthCheck

__all__ = [
    "LOWEST_RATE",
    "OUTCOMES_ALARM",
    "REJECTED_SHARE",
    "conflicts",
    "currencies",
    "outcomes",
    "refunds",
    "rows",
]

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

REJECTED_SHARE = 0.001
"""Records that were not taken beside those that count, from which on it is warned: one in a thousand."""


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


def conflicts(observations: Observations) -> HealthCheck:
    """How many records contradicted a stored one, or were refused.

    It warns from `REJECTED_SHARE` of all on, which are the visitors, their outcomes, and what was not taken.
    """
    seen = observations.rejections
    if observations.definition.source == "table":
        return HealthCheck("conflicts", "not_run", "A table: rows that contradict each other are among the refused.")
    if seen is None:
        return HealthCheck(
            "conflicts", "not_run", "Only a store counts what it did not take, and only since it learned to."
        )
    total = seen.conflicts + seen.refused
    first = observations.first_exposure
    is_partly_known = seen.since is not None and (first is None or first < seen.since)
    since = f" since {seen.since:%Y-%m-%d}, when the store began to count" if is_partly_known else ""
    if total == 0 and is_partly_known:
        return HealthCheck("conflicts", "not_run", f"Every record was taken{since}; of the days before nobody knows.")
    if total == 0:
        return HealthCheck("conflicts", "ok", "Every record was taken: none contradicted a stored one or was refused.")
    arms = [arm for stratum in observations.strata for arm in stratum.arms.values()]
    share = total / (total + sum(arm.visitors + sum(arm.outcomes.values()) for arm in arms))
    parts = [f"{count(seen.conflicts)} contradicted a stored one, which stays"] if seen.conflicts else []
    parts += [f"{count(seen.refused)} could not be stored"] if seen.refused else []
    said = f"{count(total)} {'record was' if total == 1 else 'records were'} not taken{since}: {join(parts)}"
    last = "" if seen.last is None else f", the latest of {seen.last:%Y-%m-%d}"
    if share < REJECTED_SHARE:
        return HealthCheck("conflicts", "ok", f"{said}{last}. That is less than one in a thousand.")
    return HealthCheck(
        "conflicts",
        "warn",
        f"{said}{last}. That is {percent(share, share / 2)} of all; if they are not spread evenly over the arms, they "
        f"bias the comparison. Who wrote them was told why: see the backend's log, or what an import refused. Those "
        f"that were mended and written again since are among them.",
    )


def _below(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"
