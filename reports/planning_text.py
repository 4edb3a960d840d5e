"""A forecast as a page of the terminal: the plan, the history, the answer, what is seen when, what would shorten it."""

from __future__ import annotations

from datetime import datetime

from . import format as fmt
from .planning import Forecast, Need, Week
from .terminal import table, wrapped

__all__ = ["render_forecast"]


def render_forecast(found: Forecast) -> str:
    """The page, without a final newline."""
    parts = [
        _plan(found),
        _history(found),
        _answer(found),
        _needs(found),
        _weeks(found),
        _shortcuts(found),
        [line for note in found.notes for line in wrapped(note, "")],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _plan(found: Forecast) -> list[str]:
    arms = ", ".join(f"{arm} {fmt.percent(share, 0.01)}" for arm, share in found.shares.items())
    judged: str = found.judged
    if found.looks:
        judged = f"planned looks at {fmt.join([fmt.setting(look) for look in found.looks])}"
    adjusted = ", adjusted for its covariate" if found.adjusted else ""
    power = fmt.setting(found.planned_power)
    if found.power != found.planned_power:
        power += f" ({fmt.percent(found.power, 0.01)} each, so that all of them succeed together)"
    level = fmt.setting(found.alpha)
    if found.level != found.alpha:
        level += f" ({fmt.percent(found.level, 0.001)} for one comparison)"
    return [
        f"PLAN  {found.experiment}: {fmt.label(found.primary)}{adjusted}, {judged}",
        *wrapped(f"arms   {arms}"),
        *wrapped(f"alpha  {level}, two-sided"),
        *wrapped(f"power  {power}"),
    ]


def _history(found: Forecast) -> list[str]:
    head = "HISTORY  as given"
    if found.source:
        since, until = (datetime.fromisoformat(at) if at else None for at in (found.since, found.until))
        when = f", {since:%-d %B %Y} to {until:%-d %B %Y}" if since and until else ""
        visitors = fmt.count(found.history_visitors or 0)
        head = f"HISTORY  {found.source}: {visitors} analysed visitors of the control{when}"
    value = f"{fmt.label(found.primary)}  {fmt.level(found.mean, found.unit)}"
    if found.unit != "share":
        value += f", standard deviation {fmt.level(found.sd, found.unit)}"
    lines = [*wrapped(head, ""), *wrapped(value)]
    if found.visitors_per_week is not None:
        lines += wrapped(f"traffic  {fmt.count(round(found.visitors_per_week))} visitors a week")
    if found.r_squared is not None and found.covariate is not None:
        used = "" if found.adjusted else "; the plan does not use it"
        lines += wrapped(
            f"{fmt.label(found.covariate)}  explains {fmt.percent(found.r_squared, 0.1)} of the variance{used}"
        )
    return lines


def _answer(found: Forecast) -> list[str]:
    if found.minimum_detectable_effect is None or found.visitors_per_week is None:
        return []
    effect = fmt.lift(found.needs[0].lift, 0.01)
    longest, planned = found.longest_weeks, found.at_sample_size
    if found.weeks is None:
        text = f"ANSWER  More than five years, or never: at this traffic the plan does not decide on {effect}."
    else:
        window = f", the last {_days(found.window_days)} of it for the last visitors' window" * (found.window_days > 0)
        text = f"ANSWER  {_count(found.weeks, 'week')} to decide on a lift of {effect}{window}."
    lines = wrapped(text, "")
    if planned is not None and planned.power is not None:
        lines += wrapped(
            f"The planned sample of {fmt.count(planned.visitors)} visitors is analysed after "
            f"{_count(planned.week, 'week')} and shows {effect} with {fmt.percent(planned.power, 0.1)}."
        )
    if longest is None:
        return lines
    if found.decides_in_time:
        return lines + wrapped(f"That is within the longest duration, {_longest(longest)}.")
    lines += wrapped(f"It cannot be decided within the longest duration, {_longest(longest)}.")
    end = found.at_longest
    if end is not None and end.power is not None:
        seen = "no lift" if end.detectable_lift is None else f"a lift of {fmt.lift(end.detectable_lift, 0.01)}"
        lines += wrapped(
            f"By then {fmt.count(end.visitors)} visitors are analysed: {seen} would be seen with the power planned, "
            f"{effect} with {fmt.percent(end.power, 0.1)}."
        )
    return lines


def _needs(found: Forecast) -> list[str]:
    if len(found.needs) == 1 or found.minimum_detectable_effect is None:
        return []
    rows = [["NEEDS", "visitors", "weeks"]]
    for need in found.needs:
        rows.append([f"  {_question(need)}", _number(need.visitors), _number(need.weeks)])
    return table(rows, left=(0,))


def _question(need: Need) -> str:
    name = fmt.label(need.metric)
    if need.lift is None:
        return f"{name} ({need.role})"
    if need.role == "primary":
        return f"{name}, {fmt.lift(need.lift, 0.01)} (primary)"
    return f"{name}, not {fmt.setting(abs(need.lift))} {'less' if need.lift < 0 else 'more'} (guardrail)"


def _weeks(found: Forecast) -> list[str]:
    if not found.by_week:
        return []
    effect = found.minimum_detectable_effect
    rows = [["WEEKS", "analysed", "detectable lift", "" if effect is None else f"power for {fmt.setting(effect)}"]]
    for row in found.by_week:
        rows.append([f"{row.week:>5}", fmt.count(row.visitors), _detectable(row), _power(row)])
    return table(rows, left=())


def _detectable(row: Week) -> str:
    return "none" if row.detectable_lift is None else fmt.lift(row.detectable_lift, 0.01)


def _power(row: Week) -> str:
    return "" if row.power is None else fmt.percent(row.power, 0.1)


def _shortcuts(found: Forecast) -> list[str]:
    if not found.shortcuts:
        return []
    rows = [["WHAT WOULD SHORTEN IT", "weeks", "saved", ""]]
    for one in found.shortcuts:
        rows.append([f"  {one.change}", str(one.weeks), _number(one.saved), one.caveat])
    return table(rows, left=(0, 3))


def _number(n: int | None) -> str:
    return fmt.ABSENT if n is None else fmt.count(n)


def _count(n: int, what: str) -> str:
    return f"{fmt.count(n)} {what}{'' if n == 1 else 's'}"


def _days(days: float) -> str:
    return f"{days:.3g} {'day' if days == 1 else 'days'}"


def _longest(weeks: float) -> str:
    return _days(weeks * 7) if weeks != int(weeks) else _count(int(weeks), "week")
