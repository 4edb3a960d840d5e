"""`offerlift review`: the weekly meeting's page, and the only command that records looks."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import InputError
from .options import database_option, open_store

__all__ = ["review"]


@click.command()
@click.option(
    "--as-of", metavar="DATE", help="As it was at the end of that day, or at a time such as 2026-05-04T12:00Z."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    default=Path("review.html"),
    show_default=True,
    help="The HTML file.",
)
@click.option(
    "--reveal", metavar="KEY", multiple=True, help="Look at this experiment although no look is due, which spends."
)
@click.option("--dry-run", is_flag=True, help="Print what would be recorded; record nothing and write no file.")
@database_option
def review(as_of: str | None, output: Path, reveal: tuple[str, ...], dry_run: bool, db: str) -> None:
    """Review all experiments: record the looks that are due, and write one HTML page for the meeting.

    Prints what is to be done about each experiment, and what was recorded. Before its first planned look an
    experiment shows its health only.
    """
    from ..reports import render_review, render_review_html, review_store

    if not dry_run and not output.parent.is_dir():
        raise InputError(
            f"no folder {str(output.parent)!r} for the page, so nothing was recorded", hint="Make it, or name another."
        )
    with open_store(db, create=False) as store:
        found = review_store(store, as_of, reveal=reveal, dry_run=dry_run)
    if not dry_run:
        output.write_text(render_review_html(found), encoding="utf-8")
    click.echo(render_review(found))
    if not dry_run:
        click.echo(f"\nOpen {output} in a browser.", err=True)
