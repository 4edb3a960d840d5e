"""The parts on the terminal, a block each."""

from __future__ import annotations

from collections.abc import Iterator

from .. import format as fmt
from ..terminal import printable, short, table, wrapped
from .section import INTERVALS, dose_in_words, elasticity, number_seen, weeks
from .showing import amount, estimate_in_words, money, probability, set_in_words
from .tree import (
    AfterSale,
    ByExposures,
    Cluster,
    Estimate,
    Factorial,
    Funnel,
    Incremental,
    Money,
    Offers,
    Response,
    Segments,
    Waiting,
)

__all__ = ["funnel_text", "offers_text"]


def offers_text(offers: Offers, currency: str) -> Iterator[list[str]]:
    """The lines of each part that the experiment asks for, but the funnel.

    Args:
        offers: the scorecard's.
        currency: of its money.
    """
    if offers.clusters is not None:
        yield _clusters(offers.clusters)
    if offers.money is not None:
        yield _money(offers.money, currency)
    if offers.factorial is not None:
        yield _factorial(offers.factorial)
    if offers.response is not None:
        yield _response(offers.response, currency)
    if offers.incremental is not None:
        yield _incremental(offers.incremental, currency)
    if offers.after_sale is not None:
        yield _after_sale(offers.after_sale)
    for segment in offers.segments:
        if segment.label == "pre_declared":
            yield _segments(segment)
    if offers.waiting is not None:
        yield _waiting(offers.waiting, currency)
    explored = [one for one in offers.segments if one.label == "exploratory"]
    if explored:
        yield ["EXPLORATORY SEGMENTS (not planned)", *wrapped(explored[0].caution)]
        yield from map(_segments, explored)
    if offers.by_exposures is not None:
        yield _by_exposures(offers.by_exposures)


def funnel_text(part: Funnel | None) -> Iterator[list[str]]:
    """The funnel, which is no effect but for what was accepted or declined."""
    if part is None:
        return
    rows = [["FUNNEL (never the metric)", "visitors", "withheld", "undelivered", "delivered", "accepted", "declined"]]
    for row in part.arms:
        withheld = sum((row.withheld or {}).values())
        numbers = (row.visitors, withheld, row.undelivered, row.delivered, row.accepted, row.declined)
        rows.append([f"  {short(row.arm)}", *(fmt.ABSENT if n is None else fmt.count(n) for n in numbers)])
    yield [*table(rows), *wrapped("Accept rates are not comparable between arms.")]


def _clusters(part: Cluster) -> list[str]:
    title = f"CLUSTERS ({printable(fmt.label(part.cluster))}: the primary metric's intervals know of them)"
    if part.status != "ok":
        return [title, *wrapped(part.reason)]
    lines = [title]
    for row in part.arms:
        inflation = (
            "" if row.inflation is None else f", variance {row.inflation:.2g} times that of independent visitors"
        )
        caution = f"; {row.reason}" if row.reason else ""
        lines += wrapped(f"{short(row.arm)}: {row.clusters} clusters{inflation}{caution}")
    return lines


def _factorial(part: Factorial) -> list[str]:
    title = f"FACTORS ({fmt.label(part.metric)}, fixed-sample 95%, do not decide)"
    if part.status != "ok":
        return [title, *wrapped(part.reason)]
    unit = "lift" if part.scale == "log" else part.unit
    rows = [["", "effect", "p", "p in family"]]
    for term in part.terms:
        family = fmt.p_value(term.adjusted_p_value) if term.in_family else "not tested"
        for contrast in term.contrasts:
            shown = estimate_in_words(contrast.effect, unit) if contrast.status == "ok" else contrast.status
            rows.append([f"  {contrast.name}"[:44], shown, fmt.p_value(contrast.p_value), family])
    lines = [title, *table(rows)]
    for sentence in part.aliased:
        lines += wrapped(sentence)
    if part.best is not None:
        raw, shrunk = (fmt.level(one.estimate, part.unit) for one in (part.best_raw, part.best_shrunk))
        lines += wrapped(f"Best combination tested: {part.best}, {raw} as seen, {shrunk} to be expected (shrunk).")
    return lines


def _response(part: Response, currency: str) -> list[str]:
    title = {"price": "PRICES", "discount": "DEPTH OF THE DISCOUNT", "threshold": "FREE-SHIPPING THRESHOLD"}[part.dose]
    lines = [f"{title} (ranks the tested ones, does not decide)"]
    if part.status != "ok":
        lines += wrapped(part.reason)
    if part.points:
        rows = [["", "arm", fmt.label(part.demand_metric), fmt.label(part.profit_metric), "P(best)", "regret"]]
        for one in part.points:
            rows.append(
                [
                    f"  {dose_in_words(one.dose, part.unit)}",
                    short(one.arm),
                    fmt.level(one.demand.estimate, "share", fmt.half_width(one.demand.low, one.demand.high)),
                    fmt.level(one.profit.estimate, currency, fmt.half_width(one.profit.low, one.profit.high)),
                    probability(one.probability_best),
                    fmt.loss(one.regret, currency),
                ]
            )
        lines += table(rows, left=(0, 1))
    if part.elasticity.estimate is not None:
        lines += wrapped(f"Elasticity of demand {elasticity(part.elasticity)}.")
    if part.trend:
        lines += wrapped(part.trend)
    for one in part.bunching:
        if one.threshold is not None and one.excess.estimate is not None:
            lines += wrapped(
                f"{short(one.arm)}: orders just above {dose_in_words(one.threshold, part.unit)}, share against the "
                f"control {estimate_in_words(one.excess, 'share')}."
            )
    return lines


def _incremental(part: Incremental, currency: str) -> list[str]:
    title = "WHO WOULD HAVE BOUGHT ANYWAY (fixed-sample 95%, does not decide)"
    if part.status != "ok":
        return [title, *wrapped(part.reason)]
    lines = [title]
    for row in part.arms:
        if row.status != "ok":
            lines += wrapped(f"{short(row.arm)}: {row.status}: {row.reason}")
            continue
        anyway, cost = _level(row.cost_non_incremental, currency), _level(row.cost, currency)
        brought = " ".join(
            f"({end})" if at else end for at, end in enumerate(set_in_words(row.share_incremental, "share"))
        )
        lines += wrapped(
            f"{short(row.arm)}: {cost} given away for each visitor, {anyway} of it on orders that would have come "
            f"anyway; it brought {brought} of the orders, a lift of {set_in_words(row.observed_lift, 'lift')[0]}, and "
            f"breaks even at {set_in_words(row.break_even_lift, 'lift')[0]}."
        )
    return lines


def _level(found: Estimate, unit: str) -> str:
    return fmt.level(found.estimate, unit, fmt.half_width(found.low, found.high))


def _after_sale(part: AfterSale) -> list[str]:
    lines = ["AFTER THE SALE" + (f" ({fmt.label(part.metric)}, by days since the exposure)" if part.metric else "")]
    if part.holdout:
        lines += wrapped(part.holdout)
    if part.status != "ok":
        lines += wrapped(part.reason)
    for row in part.arms:
        lines += wrapped(f"{short(row.arm)}: {row.words or row.reason}") if row.words or row.reason else []
    for sentence in part.maturity:
        lines += wrapped(sentence)
    return lines


def _segments(part: Segments) -> list[str]:
    label = "pre-declared" if part.label == "pre_declared" else "exploratory"
    title = f"BY {printable(fmt.label(part.segment)).upper()} ({label}; informs, never decides)"
    if part.status != "ok":
        return [title, *wrapped(part.reason)]
    rows = [["", "arm", "visitors", "to be expected", "as seen", "p adjusted"]]
    for row in part.rows:
        seen = estimate_in_words(row.raw, part.unit) if row.status == "ok" else row.status
        shrunk = fmt.change(row.shrunk.estimate, part.unit, fmt.half_width(row.shrunk.low, row.shrunk.high))
        p = fmt.p_value(row.adjusted_p_value)
        rows.append([f"  {short(row.value)}", short(row.arm), fmt.count(row.n), shrunk, seen, p])
    lines = [title, *table(rows, left=(0, 1))]
    for test in part.tests:
        p = fmt.p_value(test.adjusted_p_value) if test.status == "ok" else test.reason
        lines += wrapped(f"{short(test.arm)}: do its effects differ between the values? p adjusted {p}.")
    return lines


def _by_exposures(part: ByExposures) -> list[str]:
    lines = ["BY NUMBER OF OFFERS SEEN (descriptive, not an effect)"]
    if part.status != "ok":
        return [*lines, *wrapped(part.label), *wrapped(part.reason)]
    rows = [["", "offers seen", "visitors", fmt.label(part.metric)]]
    for row in part.rows:
        seen, value = number_seen(row, part.most), fmt.level(row.value, part.unit)
        rows.append([f"  {short(row.arm)}", seen, fmt.count(row.n), value])
    return [*lines, *wrapped(part.label), *table(rows), *wrapped(part.counted)]


def _money(part: Money, currency: str) -> list[str]:
    if part.status != "ok":
        return ["MONEY", *wrapped(part.reason)]
    title = f"MONEY ({fmt.label(part.metric or '')}, {INTERVALS[part.interval]})"
    columns = ["a visitor"]
    if part.one_off:
        columns.append("this campaign")
    elif part.audience_per_week is not None:
        columns.append("a week")
        if part.horizon_weeks is not None:
            columns.append(f"in {weeks(part.horizon_weeks)}")
    rows = [["", *columns]]
    for row in part.arms:
        many = [row.over_horizon] if part.one_off else [row.per_week, row.over_horizon]
        cells = [_amounts(money(found, currency)) for found in many]
        rows.append([f"  {short(row.arm)}", estimate_in_words(row.per_visitor, currency), *cells][: len(columns) + 1])
    lines = [title, *table(rows)]
    for row in part.arms:
        if row.status != "ok":
            lines += wrapped(f"{short(row.arm)}: {row.status}: {row.reason}")
    for value in part.customer_value:
        worth = estimate_in_words(value.per_visitor, currency)
        lines += wrapped(f"{short(value.arm)}: customer value {worth} within {value.days:g} days of the exposure.")
    if part.audience:
        lines += wrapped(f"{part.netted} {part.audience[:1].upper()}{part.audience[1:].rstrip('.')}.")
    return lines


def _amounts(shown: tuple[str, str]) -> str:
    return f"{shown[0]} ({shown[1]})" if shown[1] else shown[0]


def _waiting(part: Waiting, currency: str) -> list[str]:
    title = "WORTH WAITING? (ranks, never ships)"
    if part.status != "ok":
        return [title, *wrapped(part.reason)]
    rows = [["", "rank", "expected gain", "loss if wrong"]]
    for row in part.arms:
        rank = fmt.ABSENT if row.rank is None else str(row.rank)
        loss = amount(row.expected_loss, currency).lstrip("+")
        rows.append([f"  {short(row.arm)}", rank, amount(row.expected_gain, currency), loss])
    lines = [title, *table(rows)]
    for row in part.arms:
        if row.reason:
            lines += wrapped(f"{short(row.arm)}: {row.reason}")
    return lines + wrapped(part.words)
