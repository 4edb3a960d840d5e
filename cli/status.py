"""`offerlift status`: all experiments, a line each."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from .options import database_option, open_store
from .output import Output, prints, table

if TYPE_CHECKING:
    from ..reports.status import Status

__all__ = ["status"]


@click.command(epilog="Example: offerlift status --format markdown")
@database_option
@prints
def status(db: str) -> Output:
    """List all experiments: state, visitors, what is to be done.

    In the order of the weekly review. It records nothing, and what is withheld stays withheld.
    """
    from ..reports.status import status_of

    with open_store(db, create=False) as store:
        found = status_of(store)
    rows = [asdict(one) for one in found]
    flat = [row | {"warnings": ", ".join(row["warnings"])} for row in rows]
    return Output(lambda: _text(found), {"experiments": rows}, flat, lambda: _markdown(found))


def _text(found: tuple[Status, ...]) -> str:
    if not found:
        return "The store has no experiments yet."
    heading = ("EXPERIMENT", "state", "phase", "since", "visitors", "action", "weeks left", "next step")
    rows = [
        (
            one.experiment,
            one.state,
            one.phase or "-",
            f"{one.since:%Y-%m-%d}",
            f"{one.visitors:,}",
            f"{one.action} {one.arm}" if one.arm else one.action,
            _weeks(one),
            (one.command or one.step) + _warnings(one),
        )
        for one in found
    ]
    return table([heading, *rows], right=(2, 4, 6))


def _weeks(one: Status) -> str:
    if one.weeks_left is None:
        return "-"
    return "< 1" if one.weeks_left < 1 else f"{round(one.weeks_left):,}"


def _warnings(one: Status) -> str:
    return f" (health warns: {', '.join(one.warnings)})" if one.warnings else ""


def _markdown(found: tuple[Status, ...]) -> str:
    from ..reports.markdown import code, escaped

    if not found:
        return "The store has no experiments yet."
    lines = []
    for one in found:
        phase = f", phase {one.phase}" if one.phase else ""
        said = f"- {code(one.experiment)} ({one.state}{phase}, {one.visitors:,} visitors): {escaped(one.step)}"
        following = f" Next: {code(one.command)}" if one.command else ""
        lines.append(said + following + escaped(_warnings(one)))
    return "\n".join(lines)
