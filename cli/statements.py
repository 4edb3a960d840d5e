"""`offerlift sql`: what an analysis asks the database, as text for a warehouse."""

from __future__ import annotations

import click

from .options import database_option, experiment_argument, open_store
from .output import Output, prints

__all__ = ["sql"]

_WHOSE = "Whose SQL: bigquery, snowflake, redshift, trino, spark, duckdb, mysql, postgres or sqlite."


@click.command(epilog="Example: offerlift sql free-shipping --dialect bigquery")
@experiment_argument()
@click.option("--dialect", metavar="NAME", default="postgres", show_default=True, help=_WHOSE)
@database_option
@prints
def sql(experiment: str, dialect: str, db: str) -> Output:
    """Print the statements of an analysis, for a warehouse.

    They are those that an analysis of EXPERIMENT sends; none of them is run. For a copy of the store's tables there: to
    read what is computed, to run it, or to schedule it.
    """
    with open_store(db, create=False) as store:
        statements = store.analysis_sql(experiment, dialect)
    numbered = list(enumerate(statements, 1))
    return Output(
        text="\n".join(f"-- {experiment}: {at} of {len(statements)}\n{statement};\n" for at, statement in numbered),
        document={"experiment": experiment, "dialect": dialect, "statements": statements},
        rows=[{"experiment": experiment, "dialect": dialect, "number": at, "sql": one} for at, one in numbered],
    )
