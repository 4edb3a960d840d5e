"""The scorecard as a page of the terminal: health, decision, arms, metrics; at most 100 columns."""

from __future__ import annotations

import textwrap

from . import format as fmt
from .course import Course
from .offers.text import funnel_text, offers_text
from .sentences import decides
from .terminal import WIDTH, printable, short, table, wrapped
from .tree import ComparisonRow, MetricRow, Scorecard

__all__ = ["render_course", "render_text"]

COLOURS = {
    "fail": "red",
    "warn": "yellow",
    "ok": "green",
    "do_not_read": "red",
    "stop_harm": "red",
    "ship": "green",
    "review": "yellow",
}


def render_text(card: Scorecard, *, color: bool = False) -> str:
    """The page, without a final newline.

    Args:
        card: the scorecard.
        color: colour statuses and the action with ANSI codes; off, so that NO_COLOR and pipes need no care.
    """
    parts: list[str | list[str]] = [_head(card), _health(card, color), _decision(card, color), _arms(card)]
    parts += funnel_text(card.offers.funnel)
    if card.withheld:
        parts.append("The effects are withheld until the first planned look is recorded.")
    elif card.healthy:
        parts += [_metric(card, metric) for metric in card.metrics]
        parts.append(_legend(card))
        parts += offers_text(card.offers, card.currency)
    else:
        parts.append("The effects are not shown while a health check fails; --json has them.")
    parts += [wrapped(note, "") for note in card.notes]
    return "\n\n".join("\n".join(part) if isinstance(part, list) else part for part in parts)


def render_course(days: Course) -> str:
    """The days as a page: visitors and the split, then each metric, one column an arm; without a final newline."""
    right = f"phase {days.phase}, by day until {fmt.moment(days.as_of)}"
    gap = " " * max(2, WIDTH - len(days.experiment) - len(right))
    parts = [[f"{days.experiment}{gap}{right}"]]
    if not days.days:
        return "\n".join([*parts[0], "", "Nobody was exposed yet."])
    arms = list(days.days[0].visitors)
    rows = [["VISITORS", *map(short, arms), "split p"]]
    rows += [[one.day, *map(fmt.count, one.visitors.values()), fmt.p_value(one.srm_p_value)] for one in days.days]
    parts.append(table(rows, left=(0,)))
    if days.withheld:
        parts.append(["The metrics are withheld until the first planned look is recorded."])
        return "\n\n".join("\n".join(part) for part in parts)
    for i, metric in enumerate(days.days[0].metrics):
        rows = [[fmt.label(metric.metric).upper(), *map(short, arms)]]
        for one in days.days:
            values = one.metrics[i].arms
            rows.append([one.day, *(fmt.level(value.value, metric.unit, value.standard_error) for value in values)])
        parts.append(table(rows, left=(0,)))
    parts.append(
        wrapped(
            "Everybody exposed by the end of a day, with what was known then: nobody waits for a window to pass, so "
            "values differ from the scorecard's until the last one has. The split's p-value is the smallest "
            "always-valid one so far.",
            "",
        )
    )
    return "\n\n".join("\n".join(part) for part in parts)


def _head(card: Scorecard) -> list[str]:
    right = f"{'read once' if card.source == 'table' else card.state}, {fmt.moment(card.as_of)}"
    gap = " " * max(2, WIDTH - len(card.experiment) - len(right))
    lines = [f"{card.experiment}{gap}{right}"]
    return lines + wrapped(card.definition.description, "")


def _health(card: Scorecard, color: bool) -> list[str]:
    lines = ["HEALTH"]
    quiet = [check for check in card.health if check.status in ("ok", "not_run")]
    for check in card.health:
        if check.status in ("fail", "warn"):
            lines += _status_line(check.status, f"{check.check}: {check.reason}", color)
    for status in ("ok", "not_run"):
        names = [check.check for check in quiet if check.status == status]
        if names:
            lines += _status_line(status, ", ".join(names), color)
    return lines


def _status_line(status: str, text: str, color: bool) -> list[str]:
    first, *rest = textwrap.wrap(printable(text), WIDTH - 11, break_on_hyphens=False)
    word = _style(f"{fmt.label(status):<7}", status, color)
    return [f"  {word}  {first}", *(" " * 11 + line for line in rest)]


def _decision(card: Scorecard, color: bool) -> list[str]:
    arm = f" {short(card.decision.arm)}" if card.decision.arm else ""
    return [
        f"DECISION  {_style(card.decision.action + arm, card.decision.action, color)}",
        *wrapped(card.decision.reason),
    ]


def _arms(card: Scorecard) -> list[str]:
    rows = [["ARMS", "visitors", "share", "planned", "analysed", "waiting", "crossed", "verdict"]]
    for arm in card.arms:
        rows.append(
            [
                "  " + short(arm.arm),
                fmt.count(arm.visitors),
                fmt.percent(arm.share, 0.001),
                fmt.percent(arm.expected_share, 0.001),
                fmt.count(arm.mature),
                fmt.count(arm.waiting),
                fmt.count(arm.crossovers),
                arm.verdict or "(control)",
            ]
        )
    return table(rows, left=(0, 7))


def _metric(card: Scorecard, metric: MetricRow) -> list[str]:
    condition = f", {metric.condition}" if metric.condition else ""
    better = "" if metric.desired_change == "increase" else ", less is better"
    rows = [[f"{fmt.label(metric.metric).upper()} ({metric.role}{condition}{better})", *([""] * 4)]]
    band = "always-valid 95%" if card.progress is None else "sequential"
    rows.append(["", "value", "difference", band, "lift (fixed-sample 95%)"])
    for row in metric.arms:
        half = fmt.half_width(row.interval.low, row.interval.high)
        cells = ["  " + short(row.arm), fmt.level(row.value, metric.unit, half)]
        cells += ["", "", ""] if row.arm == card.control else _comparison_cells(metric, metric.comparison(row.arm))
        rows.append(cells)
    title, *body = rows
    lines = [title[0], *table(body, left=(0,))]
    for comparison in metric.comparisons:
        if comparison.status != "ok":
            lines += wrapped(f"{short(comparison.arm)}: {comparison.status}: {comparison.reason}", "  ")
        lines += _adjusted_lines(metric, comparison)
        lines += _randomisation_lines(comparison)
    return lines


def _comparison_cells(metric: MetricRow, comparison: ComparisonRow) -> list[str]:
    shown, lift = comparison.sequential or comparison.anytime, comparison.lift
    half = fmt.half_width(shown.low, shown.high)
    estimate = comparison.difference.estimate
    if comparison.judged_by == "adjusted" and comparison.adjusted is not None:
        estimate = comparison.adjusted.difference.estimate
    if comparison.sequential is not None:
        estimate = comparison.sequential.estimate
    band = fmt.ABSENT if shown.low is None else fmt.interval(shown.low, shown.high, metric.unit)
    return [
        fmt.change(estimate, metric.unit, half),
        band,
        fmt.lift_in_words(lift.kind, lift.estimate, lift.low, lift.high),
    ]


def _adjusted_lines(metric: MetricRow, comparison: ComparisonRow) -> list[str]:
    adjusted = comparison.adjusted
    if adjusted is None:
        return []
    difference = adjusted.difference
    half = fmt.half_width(difference.low, difference.high)
    role = "; the plan judges by this row" if comparison.judged_by == "adjusted" else ""
    return wrapped(
        f"{short(comparison.arm)}, CUPED-adjusted for {fmt.label(adjusted.covariate)}: "
        f"{fmt.change(difference.estimate, metric.unit, half)}, fixed-sample 95% "
        f"{fmt.interval(difference.low, difference.high, metric.unit)}{role}",
        "  ",
    )


def _randomisation_lines(comparison: ComparisonRow) -> list[str]:
    test = comparison.randomisation
    if test is None:
        return []
    return wrapped(
        f"{short(comparison.arm)}, randomisation test of the skewed values: p = {fmt.p_value(test.p_value)} by "
        f"{fmt.count(test.resamples)} resamples; it informs and does not decide",
        "  ",
    )


def _legend(card: Scorecard) -> str:
    return "\n".join(
        wrapped(
            f"Differences are against {fmt.quote(card.control)}. {decides(card)} The HTML report has the Bayesian "
            f"view.",
            "",
        )
    )


def _style(text: str, status: str, color: bool) -> str:
    if not color or status not in COLOURS:
        return text
    from click import style

    return style(text, fg=COLOURS[status], bold=True)
