"""`offerlift review`: the weekly meeting's page, and the only command that records looks."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import InputError
from .confirming import confirm
from .options import database_option, open_store
from .output import Output, prints

__all__ = ["review"]


@click.command(epilog="Example: offerlift review --as-of 2026-05-04 -o review.html")
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
@click.option("--yes", is_flag=True, help="Do not ask before --reveal.")
@database_option
@prints
def review(as_of: str | None, output: Path, reveal: tuple[str, ...], dry_run: bool, yes: bool, db: str) -> Output:
    """Record the looks that are due, and write the meeting's page.

    It prints what is to be done about each experiment, and what was recorded. Before its first planned look an
    experiment shows its health only.
    """
    from ..reports import render_review, render_review_html, review_store
    from ..reports.markdown import review_markdown
    from ..reports.review import check_known
    from ..reports.rows import review_document, review_rows

    if not dry_run and not output.parent.is_dir():
        raise InputError(
            f"no folder {str(output.parent)!r} for the page, so nothing was recorded", hint="Make it, or name another."
        )
    with open_store(db, create=False) as store:
        if reveal and not dry_run:
            check_known(reveal, store.experiments())
            confirm(
                f"Look at {', '.join(reveal)} now, whether a look is due or not? It spends, and cannot be taken back.",
                yes=yes,
                refusal="a look that is not due spends and cannot be taken back, and nobody is there to be asked",
            )
        found = review_store(store, as_of, reveal=reveal, dry_run=dry_run, background=not dry_run)
    if not dry_run:
        output.write_text(render_review_html(found), encoding="utf-8")
        click.echo(f"Open {output} in a browser.", err=True)
    return Output(
        text=lambda: render_review(found),
        document=review_document(found),
        rows=lambda: review_rows(found),
        markdown=lambda: review_markdown(found),
    )
