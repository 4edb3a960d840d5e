"""A programme as a page of the terminal."""

from __future__ import annotations

from . import format as fmt
from .offers.showing import estimate_in_words, money
from .programme import Interaction, Programme
from .terminal import short, table, wrapped

__all__ = ["render_programme"]

INTERACTING = 0.05
"""Adjusted p-value from which on two experiments are said to interact."""


def render_programme(found: Programme) -> str:
    """The page, without a final newline."""
    parts = [[f"PROGRAMME, as of {fmt.moment(found.as_of)}"], _total(found), _arms(found), _interactions(found)]
    if found.left_out:
        parts.append(["LEFT OUT", *(line for one in found.left_out for line in wrapped(one))])
    return "\n\n".join("\n".join(part) for part in parts if part)


def _total(found: Programme) -> list[str]:
    if found.raw is None:
        return wrapped(found.note, "")
    shrunk, ends = money(found.total, found.currency)
    raw, _ = money(type(found.total)(found.raw), found.currency)
    prior = "their own distribution" if found.prior == "experience" else "a sceptical prior"
    lines = wrapped(
        f"The shipped offers bring {shrunk} a week ({ends}), each effect shrunk by {prior}. Their raw estimates add up "
        f"to {raw}, which is too much: the lucky ones were shipped.",
        "",
    )
    return lines + (wrapped(f"{found.note[:1].upper()}{found.note[1:]}.", "") if found.note else [])


def _arms(found: Programme) -> list[str]:
    if not found.arms:
        return []
    rows = [["ARMS WITH A VERDICT", "arm", "verdict", "lift as seen", "to be expected", "a week"]]
    for one in found.arms:
        half = fmt.half_width(one.shrunk.low, one.shrunk.high)
        worth, _ = money(type(one.shrunk)((one.shrunk.estimate or 0.0) * one.money_per_week), found.currency)
        rows.append(
            [
                f"  {short(one.experiment)}",
                short(one.arm),
                one.verdict,
                estimate_in_words(one.lift, "lift"),
                "" if one.shrunk.estimate is None else fmt.lift(one.shrunk.estimate, half),
                worth if one.shipped else "not shipped",
            ]
        )
    return table(rows, left=(0, 1, 2))


def _interactions(found: Programme) -> list[str]:
    if not found.interactions:
        return ["No two experiments have visitors in both."]
    title = f"VISITORS IN TWO EXPERIMENTS ({found.metric}; p over all pairs)" if found.metric else "VISITORS IN TWO"
    rows = [["", "", "visitors", "p adjusted", "reading"]]
    for one in found.interactions:
        rows.append(
            [
                f"  {short(one.first)}",
                short(one.second),
                fmt.count(one.visitors),
                fmt.p_value(one.adjusted_p_value),
                _reading(one),
            ]
        )
    return [title, *table(rows, left=(0, 1, 4))]


def _reading(one: Interaction) -> str:
    if one.status != "ok":
        return f"{one.status}: {one.reason}"
    if one.adjusted_p_value is not None and one.adjusted_p_value <= INTERACTING:
        return "one changes what the other does: run them after each other"
    return "no interaction seen"
