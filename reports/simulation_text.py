"""A plan that was tried out as a page of the terminal: the plan, the history, how it ended, and plain sentences."""

from __future__ import annotations

from . import format as fmt
from .simulation import OUTCOMES, Scenario, Share, Simulation
from .terminal import table, wrapped

__all__ = ["render_simulation"]

HEADINGS = {
    "ship_right": "ship right",
    "ship_wrong": "ship wrong",
    "stop_harm": "stop harm",
    "stop_no_effect": "no effect",
    "review": "review",
    "collecting": "collecting",
}


def render_simulation(found: Simulation) -> str:
    """The page, without a final newline."""
    parts = [
        _plan(found),
        _history(found),
        _endings(found),
        _durations(found),
        [line for sentence in _sentences(found) for line in wrapped(sentence, "")],
        [line for note in found.notes for line in wrapped(note, "")],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _plan(found: Simulation) -> list[str]:
    judged: str = found.judged
    if found.judged == "planned looks":
        judged = f"planned looks at {fmt.join([fmt.percent(mark, 0.1) for mark in found.readings])}"
    arms = ", ".join(f"{arm} {fmt.percent(share, 0.01)}" for arm, share in found.arms.items())
    guardrails = fmt.join([fmt.label(name) for name in found.guardrails])
    return [
        *wrapped(f"PLAN  {found.experiment}: {fmt.label(found.primary)}, {judged}", ""),
        *wrapped(f"arms        {arms}"),
        *(wrapped(f"guardrails  {guardrails}") if guardrails else []),
        *wrapped(f"visitors    {fmt.count(found.visitors[-1])} analysed at the last reading"),
    ]


def _history(found: Simulation) -> list[str]:
    orders = "" if found.history_conversions is None else f", {fmt.count(found.history_conversions)} conversions"
    if not found.source:
        rate = (found.history_conversions or 0) / found.history_visitors
        orders = f"a rate of {fmt.setting(rate)}"
    lines = wrapped(
        f"HISTORY  as given: {orders}"
        if not found.source
        else f"HISTORY  {found.source}: {fmt.count(found.history_visitors)} visitors of the control{orders}, "
        "drawn with replacement",
        "",
    )
    if found.visitors_per_week is not None:
        lines += wrapped(f"traffic  {fmt.count(round(found.visitors_per_week))} visitors a week")
    return lines + wrapped(f"effect   in {found.treatment}: {found.injected}")


def _endings(found: Simulation) -> list[str]:
    shown = [one for one in OUTCOMES if one != "collecting" or any(s.outcomes[one].share for s in found.scenarios)]
    rows = [[f"{fmt.count(found.runs)} EXPERIMENTS EACH", *(HEADINGS[one] for one in shown)]]
    rows += [[f"  {one.name}", *(_share(one.outcomes[outcome]) for outcome in shown)] for one in found.scenarios]
    return table(rows, left=(0,))


def _durations(found: Simulation) -> list[str]:
    known = found.weeks
    timed = [] if known is None else ["half within", "9 in 10 within"]
    rows = [["UNTIL THE DECISION", *timed, "visitors, half", "9 in 10"]]
    for one in found.scenarios:
        end = one.ending
        weeks = [] if known is None else [_weeks(week, known) for week in (end.median_weeks, end.most_weeks)]
        counted = [_visitors(n, found) for n in (end.median_visitors, end.most_visitors)]
        rows.append([f"  {one.name}", *weeks, *counted])
    return table(rows, left=(0,))


def _sentences(found: Simulation) -> list[str]:
    nothing, effect = found.scenarios[:2]
    false = (
        f"Of 100 experiments without any effect, about {_of_hundred(nothing.called)} would have been called: shipped, "
        f"or stopped as harmful. The plan allows {fmt.setting(found.alpha)}."
    )
    if nothing.outcomes["review"].share > 0:
        false += (
            f" With those that people had to look at it is {fmt.percent(nothing.called_or_review.share, 0.01)} "
            f"(±{fmt.percent(nothing.called_or_review.error, 0.01)})."
        )
    return [false, *_inflated(nothing, found.alpha), _power(effect, found), *_harm(found)]


def _inflated(nothing: Scenario, alpha: float) -> list[str]:
    """Said where the error is above what was planned by more than chance explains."""
    seen = nothing.called_or_review
    if seen.share <= alpha + 3 * seen.error:
        return []
    return [
        "That is more than planned: in this history the primary metric is too skewed for this split and sample. Equal "
        "shares, a cap or a larger sample repair it."
    ]


def _power(effect: Scenario, found: Simulation) -> str:
    right = effect.outcomes["ship_right"]
    text = (
        f"Of 100 experiments with {effect.name} in {found.treatment}, about {_of_hundred(right)} would have shipped it "
        f"(the plan wants {fmt.setting(found.power)})"
    )
    end = effect.ending
    if end.median_weeks is not None:
        text += f"; half of them were over within {end.median_weeks:.3g} weeks"
    return text + "."


def _harm(found: Simulation) -> list[str]:
    return [
        f"Of 100 with {one.name}, about {_of_hundred(one.outcomes['ship_right'])} would have shipped it all the same, "
        f"{_of_hundred(one.outcomes['stop_harm'])} stopped it as harmful, {_of_hundred(one.outcomes['review'])} put it "
        "before people."
        for one in found.scenarios[2:]
    ]


def _of_hundred(share: Share) -> str:
    return f"{share.share * 100:.1f} (±{share.error * 100:.1f})"


def _share(share: Share) -> str:
    return f"{share.share * 100:.1f}% ±{share.error * 100:.1f}"


def _weeks(weeks: float | None, known: tuple[float, ...]) -> str:
    return f"> {known[-1]:.3g} weeks" if weeks is None else f"{weeks:.3g} weeks"


def _visitors(visitors: int | None, found: Simulation) -> str:
    return f"> {fmt.count(found.visitors[-1])}" if visitors is None else fmt.count(visitors)
