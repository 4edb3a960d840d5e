"""`offerlift audit`: whether what is stored is what the definitions give."""

from __future__ import annotations

from dataclasses import asdict

import click

from .options import database_option, open_store, print_json

__all__ = ["audit"]


@click.command()
@click.argument("experiment")
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Most mismatches to list.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@database_option
@click.pass_context
def audit(context: click.Context, experiment: str, limit: int, as_json: bool, db: str) -> None:
    """Compute every stored assignment of EXPERIMENT again, in the database, and list those that do not match.

    Exit code 1 where there is one.
    """
    with open_store(db, create=False) as store:
        found = store.audit(experiment, limit=limit)
    if as_json:
        print_json({**asdict(found), "mismatching": found.mismatching})
    else:
        click.echo(
            f"{found.experiment}: {found.checked:,} assignments computed again, {found.mismatching:,} mismatches"
        )
        if found.forgotten:
            click.echo(f"  {found.forgotten:,} more are of forgotten visitors, whose assignment nobody can compute")
        for cause, count in found.causes.items():
            click.echo(f"  {cause}: {count:,}")
        for one in found.mismatches:
            click.echo(f"{one.visitor}\tphase {one.phase}\t{one.arm}\t{one.cause}: {one.detail}")
        if found.mismatching > len(found.mismatches):
            click.echo(f"... and {found.mismatching - len(found.mismatches):,} more; --limit N lists more", err=True)
    if found.mismatching:
        context.exit(1)
