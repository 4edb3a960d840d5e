"""`offerlift audit`: whether what is stored is what the definitions give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from .options import database_option, experiment_argument, open_store
from .output import Output, prints

if TYPE_CHECKING:
    from ..storage.audit import Audit

__all__ = ["audit"]


@click.command(epilog="Example: offerlift audit free-shipping --limit 100")
@experiment_argument()
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Most mismatches to list.")
@database_option
@prints
def audit(experiment: str, limit: int, db: str) -> Output:
    """Compute every stored assignment of EXPERIMENT again.

    In the database. Lists those that do not match, and ends with exit code 1 where there is one.
    """
    with open_store(db, create=False) as store:
        found = store.audit(experiment, limit=limit)
    if found.mismatching > len(found.mismatches):
        click.echo(f"... and {found.mismatching - len(found.mismatches):,} more; --limit N lists more", err=True)
    return Output(
        text="\n".join(_lines(found)),
        document={**asdict(found), "mismatching": found.mismatching},
        rows=[{"experiment": found.experiment, **asdict(one)} for one in found.mismatches],
        findings=bool(found.mismatching),
    )


def _lines(found: Audit) -> Iterator[str]:
    yield f"{found.experiment}: {found.checked:,} assignments computed again, {found.mismatching:,} mismatches"
    if found.forgotten:
        yield f"  {found.forgotten:,} more are of forgotten visitors, whose assignment nobody can compute"
    for cause, count in found.causes.items():
        yield f"  {cause}: {count:,}"
    for one in found.mismatches:
        yield f"{one.visitor}\tphase {one.phase}\t{one.arm}\t{one.cause}: {one.detail}"
