"""`offerlift log`: what happened to experiments, and what was decided."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from .options import database_option, experiment_argument, open_store
from .output import Output, prints, table

if TYPE_CHECKING:
    from ..reports.tree import Change

__all__ = ["log"]


@click.command(epilog="Example: offerlift log free-shipping --format csv")
@experiment_argument(required=False)
@database_option
@prints
def log(experiment: str | None, db: str) -> Output:
    """Print what happened to EXPERIMENT, or to all, the newest last.

    Versions published, starts, phases, pauses, traffic, looks (those that were not planned too) and decisions.
    """
    from ..reports.changes import change_log

    with open_store(db, create=False) as store:
        keys = store.experiments() if experiment is None else [experiment]
        found = [(key, change) for key in keys for change in change_log(store, key)]
    found.sort(key=lambda one: one[1].at)
    rows = [{"experiment": key, **asdict(change)} for key, change in found]
    return Output(lambda: _text(found), {"changes": rows}, rows, lambda: _markdown(found))


def _text(found: list[tuple[str, Change]]) -> str:
    if not found:
        return "Nothing has happened yet."
    rows = [(f"{one.at:%Y-%m-%d %H:%M} UTC", key, one.kind, _said(one)) for key, one in found]
    return table(rows)


def _said(change: Change) -> str:
    return f"{change.text} ({change.by})" if change.by else change.text


def _markdown(found: list[tuple[str, Change]]) -> str:
    from ..reports.markdown import code, escaped

    return "\n".join(f"- {one.at:%Y-%m-%d %H:%M} UTC, {code(key)}: {escaped(_said(one))}" for key, one in found)
