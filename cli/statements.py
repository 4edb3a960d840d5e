"""`offerlift sql`: what an analysis asks the database, as text for a warehouse."""

from __future__ import annotations

import click

from .options import database_option, open_store

__all__ = ["sql"]

_WHOSE = "Whose SQL: bigquery, snowflake, redshift, trino, spark, duckdb, mysql, postgres or sqlite."


@click.command()
@click.argument("experiment")
@click.option("--dialect", metavar="NAME", default="postgres", show_default=True, help=_WHOSE)
@database_option
def sql(experiment: str, dialect: str, db: str) -> None:
    """Print the statements that an analysis of EXPERIMENT sends, written for a warehouse; none of them is run.

    For a copy of the store's tables there: to read what is computed, to run it, or to schedule it.
    """
    with open_store(db, create=False) as store:
        statements = store.analysis_sql(experiment, dialect)
    for number, statement in enumerate(statements, 1):
        click.echo(f"-- {experiment}: {number} of {len(statements)}\n{statement};\n")
