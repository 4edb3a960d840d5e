"""`offerlift decide`: what was decided about an experiment is kept, beside what was recommended."""

from __future__ import annotations

import getpass
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from .confirming import changes, confirm
from .definitions import snapshot_option
from .lifecycle import stop_experiment
from .options import database_option, experiment_argument, open_store, program
from .output import Output, printable, prints

__all__ = ["decide"]

USER_ENV = "OFFERLIFT_USER"


@click.command(epilog="Example: offerlift decide free-shipping ship free-from-39 --reason 'Margin holds' --by Ada")
@experiment_argument()
@click.argument("action", metavar="ship|stop_harm|stop_no_effect|continue")
@click.argument("arm", required=False)
@click.option("--reason", metavar="TEXT", default="", help="Why; needed where the report recommends something else.")
@click.option("--by", metavar="NAME", help=f"Who decides [env {USER_ENV}; default: the user of this system].")
@click.option("--stop", "does_stop", is_flag=True, help="Do it as well: stop the experiment, and serve ARM.")
@snapshot_option
@changes
@database_option
@prints
def decide(
    experiment: str,
    action: str,
    arm: str | None,
    reason: str,
    by: str | None,
    does_stop: bool,
    snapshot: Path,
    dry_run: bool,
    yes: bool,
    db: str,
) -> Output:
    """Record what was decided about EXPERIMENT, by whom and why.

    Beside it stand the recommendation of this moment and the hash of the report that it was made on. By `continue` the
    same plan goes on. It is a record: the experiment itself changes only with --stop.
    """
    from ..reports.changes import decided_in_words
    from ..reports.deciding import following_command, make_decision

    if does_stop and action == "continue":
        raise click.UsageError("--stop does not go with continue, by which the same plan goes on")
    with open_store(db, create=False) as store:
        author = by or os.environ.get(USER_ENV) or _system_user()
        made = make_decision(store, experiment, action, arm, author=author, reason=reason, at=datetime.now(UTC))
        published = store.published(experiment)
        if not dry_run:
            _ask(experiment, decided_in_words(made), author, does_stop, yes)
            made = store.record_decision(experiment, made)
    following = following_command(made, published)
    if dry_run:
        click.echo("Dry run: nothing was recorded.", err=True)
    if does_stop and following:
        served = made.arm if "--serve" in following else None
        done = stop_experiment(db, snapshot, experiment, served, dry_run=dry_run, yes=True)
        click.echo(str(done.text), err=True)
    elif following:
        click.echo(f"Next: {following.replace('offerlift', program(db), 1)}", err=True)
    number = "" if dry_run else f" {made.number}"
    row: dict[str, Any] = {
        "experiment": experiment,
        **asdict(made),
        "number": None if dry_run else made.number,
        "follows": made.follows,
        "next_step": following,
        "dry_run": dry_run,
    }
    return Output(
        text=printable(f"{experiment}, decision{number} by {author}: {decided_in_words(made)}"),
        document=row,
        rows=[row],
        markdown=lambda: _markdown(experiment, f"decision{number} by {author}", decided_in_words(made)),
    )


def _ask(experiment: str, said: str, author: str, does_stop: bool, yes: bool) -> None:
    refusal = f"stopping {experiment!r} cannot be taken back, and nobody is there to be asked" if does_stop else None
    question = "Record this, and stop the experiment for good?" if does_stop else "Record this?"
    confirm(question, [printable(f"{experiment}, by {author}: {said}")], yes=yes, refusal=refusal)


def _system_user() -> str:
    """The name by which the system knows who calls; "" where it does not, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def _markdown(experiment: str, which: str, said: str) -> str:
    from ..reports.markdown import code, escaped

    return f"**{code(experiment)}, {escaped(which)}:** {escaped(said)}"
