"""`offerlift check`: whether experiments can be trusted, for a monitor that runs it every day."""

from __future__ import annotations

from dataclasses import asdict

import click

from .options import database_option, experiment_argument, open_store
from .output import Output, prints, table

__all__ = ["check"]


@click.command(epilog="Example: offerlift check free-shipping || echo 'look at free-shipping'")
@experiment_argument("experiments", metavar="[EXPERIMENT]...", nargs=-1)
@database_option
@prints
def check(experiments: tuple[str, ...], db: str) -> Output:
    """Check the health of experiments; show no effects.

    Of those that run or are paused, unless some are named. Nothing is recorded. Exit code 1 where a check fails that
    blocks the verdict; warnings and checks that could not be run are listed and do not change it.
    """
    from ..reports.health_report import health_of, running_experiments

    with open_store(db, create=False) as store:
        keys = experiments or running_experiments(store)
        found = [(key, one) for key in keys for one in health_of(store, key)]
    if not keys:
        click.echo("No experiment runs.", err=True)
    rows = [{"experiment": key, **asdict(one)} for key, one in found]
    failed = [one for _, one in found if one.status == "fail"]
    return Output(
        text=lambda: table([(one.status.replace("_", " "), key, one.check, one.reason) for key, one in found]),
        document={"healthy": not failed, "checks": rows},
        rows=rows,
        markdown=lambda: _markdown(keys, rows),
        findings=bool(failed),
    )


def _markdown(keys: tuple[str, ...] | list[str], rows: list[dict[str, str]]) -> str:
    """A bullet an experiment, with what fails, warns or was not run."""
    from ..reports.markdown import code, escaped

    lines = []
    for key in keys:
        own = [row for row in rows if row["experiment"] == key and row["status"] != "ok"]
        said = [f"{row['status'].replace('_', ' ')}: {row['check']}. {row['reason']}" for row in own]
        lines.append(f"- {code(key)}: {escaped(' '.join(said)) or 'every check is ok'}")
    return "\n".join(lines)
