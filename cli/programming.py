"""`offerlift programme`: all experiments together."""

from __future__ import annotations

import click

from .options import database_option, open_store
from .output import Output, prints

__all__ = ["programme"]


@click.command(epilog="Example: offerlift programme --as-of 2026-05-04")
@click.option("--as-of", metavar="TIME", help="As it was at a time such as 2026-05-04T12:00Z, or at the end of a day.")
@database_option
@prints
def programme(as_of: str | None, db: str) -> Output:
    """Add up what all shipped offers bring, losers counted.

    It also tests which experiments that share visitors change each other's effects. It records no look, and leaves out
    what is withheld. As CSV: the arms that came to a verdict.
    """
    from ..reports.programme import programme as read_programme
    from ..reports.programme_text import render_programme
    from ..storage.times import as_of_time

    with open_store(db, create=False) as store:
        found = read_programme(store, None if as_of is None else as_of_time(as_of, 0))
    document = found.to_dict()
    return Output(lambda: render_programme(found), document, lambda: [_row(arm) for arm in document["arms"]])


def _row(arm: dict[str, object]) -> dict[str, object]:
    """An arm with its estimates spread over columns."""
    flat: dict[str, object] = {}
    for name, value in arm.items():
        if isinstance(value, dict):
            flat |= {f"{name}_{part}": one for part, one in value.items()}
        else:
            flat[name] = value
    return flat
