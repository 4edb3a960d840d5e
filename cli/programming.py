"""`offerlift programme`: all experiments together."""

from __future__ import annotations

import click

from .options import database_option, open_store, print_json

__all__ = ["programme"]


@click.command()
@click.option("--as-of", metavar="TIME", help="As it was at a time such as 2026-05-04T12:00Z, or at the end of a day.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@database_option
def programme(as_of: str | None, as_json: bool, db: str) -> None:
    """What all shipped offers bring together, losers counted, and which experiments touch each other.

    Reads only: it records no look, and leaves out what is withheld.
    """
    from ..reports.programme import programme as read_programme
    from ..reports.programme_text import render_programme
    from ..storage.times import as_of_time

    with open_store(db, create=False) as store:
        found = read_programme(store, None if as_of is None else as_of_time(as_of, 0))
    if as_json:
        print_json(found.to_dict())
    else:
        click.echo(render_programme(found))
