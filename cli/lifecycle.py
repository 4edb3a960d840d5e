"""Commands on the life of an experiment: start, phase, pause, resume, stop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .confirming import changes, confirm, dry_run_option
from .definitions import shown, snapshot_option, version_row, write_snapshot
from .options import database_option, experiment_argument, open_store
from .output import Output, prints

if TYPE_CHECKING:
    from ..experiments.snapshot import Published
    from ..storage.store import Store

__all__ = ["change", "pause", "phase", "resume", "start", "stop", "stop_experiment"]


@click.command(epilog="Example: offerlift start free-shipping")
@experiment_argument()
@snapshot_option
@changes
@database_option
@prints
def start(experiment: str, snapshot: Path, dry_run: bool, yes: bool, db: str) -> Output:
    """Start EXPERIMENT: from now on visitors are split.

    Its plan is frozen: metrics, guardrails, looks and sample size stay as they are now.
    """
    from ..experiments.publishing import start as start_version

    return change(
        db,
        snapshot,
        experiment,
        lambda old, now, others: start_version(old, now, others=others),
        question=f"Start {experiment}? Its plan is frozen from then on.",
        dry_run=dry_run,
        yes=yes,
    )


@click.command(epilog="Example: offerlift phase offers/free-shipping.yaml --dry-run")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--reshuffle", is_flag=True, help="Draw all visitors anew, with a new salt.")
@snapshot_option
@changes
@database_option
@prints
def phase(file: Path, reshuffle: bool, snapshot: Path, dry_run: bool, yes: bool, db: str) -> Output:
    """Open the next phase of a running experiment.

    It has the arms, weights and rules of the definition FILE. The plan stays as it was frozen at the start, and so does
    the salt: visitors stay in their arms as far as the weights let them.
    """
    from ..experiments.files import load_definition
    from ..experiments.lifecycle import open_phase

    definition = load_definition(file)
    return change(
        db,
        snapshot,
        definition.experiment,
        lambda old, now, others: open_phase(definition, old, at=now, reshuffle=reshuffle, others=others),
        question=f"Open the next phase of {definition.experiment}?",
        dry_run=dry_run,
        yes=yes,
    )


@click.command(epilog="Example: offerlift pause free-shipping")
@experiment_argument()
@snapshot_option
@dry_run_option
@database_option
@prints
def pause(experiment: str, snapshot: Path, dry_run: bool, db: str) -> Output:
    """Pause EXPERIMENT, the kill switch: everyone gets the control.

    Nobody new is exposed. It never asks; `offerlift resume` takes it back.
    """
    from ..experiments.lifecycle import pause as pause_version

    return change(
        db, snapshot, experiment, lambda old, now, _: pause_version(old, now), question=None, dry_run=dry_run, yes=True
    )


@click.command(epilog="Example: offerlift resume free-shipping")
@experiment_argument()
@snapshot_option
@changes
@database_option
@prints
def resume(experiment: str, snapshot: Path, dry_run: bool, yes: bool, db: str) -> Output:
    """Let a paused EXPERIMENT run on, in the same phase."""
    from ..experiments.lifecycle import resume as resume_version

    return change(
        db,
        snapshot,
        experiment,
        lambda old, now, _: resume_version(old, now),
        question=f"Let {experiment} run on?",
        dry_run=dry_run,
        yes=yes,
    )


@click.command(epilog="Example: offerlift stop free-shipping --serve free-from-39 --yes")
@experiment_argument()
@click.option("--serve", metavar="ARM", help="Ship it: everyone eligible gets this arm's offer from now on.")
@snapshot_option
@changes
@database_option
@prints
def stop(experiment: str, serve: str | None, snapshot: Path, dry_run: bool, yes: bool, db: str) -> Output:
    """Stop EXPERIMENT for good, or ship an arm.

    Everyone gets the control, or the arm to --serve. It cannot be started again.
    """
    return stop_experiment(db, snapshot, experiment, serve, dry_run=dry_run, yes=yes)


def stop_experiment(db: str, snapshot: Path, experiment: str, serve: str | None, *, dry_run: bool, yes: bool) -> Output:
    """What `stop` does."""
    from ..experiments.lifecycle import stop as stop_version

    served = f"everyone eligible gets {serve!r}" if serve is not None else "everyone gets the control"
    return change(
        db,
        snapshot,
        experiment,
        lambda old, now, _: stop_version(old, now, serve=serve),
        question=f"Stop {experiment} for good, so that {served}?",
        refusal=f"stopping {experiment!r} cannot be taken back, and nobody is there to be asked",
        dry_run=dry_run,
        yes=yes,
    )


def change(
    db: str,
    snapshot: Path,
    experiment: str,
    following: Callable[[Published, datetime, list[Published]], Published],
    *,
    question: str | None,
    refusal: str | None = None,
    dry_run: bool,
    yes: bool,
) -> Output:
    """Store the version that follows the latest one, and write the snapshot, also where nothing changes.

    Args:
        db: URL of the store.
        snapshot: path of the snapshot.
        experiment: its key.
        following: makes the version from the latest one, now, and the latest ones of the other experiments.
        question: that is asked at a terminal; None: none.
        refusal: as for `confirm`.
        dry_run: whether to change nothing.
        yes: whether not to ask.
    """
    with open_store(db, create=False) as store:
        latest = store.published(experiment)
        version = following(latest, datetime.now(UTC), _others(store, experiment))
        is_new = version is not latest
        if dry_run:
            click.echo("Dry run: nothing was changed.", err=True)
        else:
            if is_new and question is not None:
                confirm(question, [f"now:  {shown(latest)}", f"then: {shown(version)}"], yes=yes, refusal=refusal)
            if is_new:
                store.publish(version)
            write_snapshot(store, snapshot)
    row = version_row(version, changed=is_new, dry_run=dry_run)
    return Output(shown(version), row, [row])


def _others(store: Store, experiment: str) -> list[Published]:
    return [store.published(key) for key in store.experiments() if key != experiment]
