"""Commands on the life of an experiment: start, phase, pause, resume, stop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .definitions import snapshot_option, write_snapshot
from .options import database_option, open_store

if TYPE_CHECKING:
    from ..experiments.snapshot import Published
    from ..storage.store import Store

__all__ = ["pause", "phase", "resume", "start", "stop"]


@click.command()
@click.argument("experiment")
@snapshot_option
@database_option
def start(experiment: str, snapshot: Path, db: str) -> None:
    """Start EXPERIMENT: from now on visitors are split, and its plan is frozen."""
    from ..experiments.publishing import start as start_version

    _change(db, snapshot, experiment, lambda old, now, others: start_version(old, now, others=others))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--reshuffle", is_flag=True, help="Draw all visitors anew, with a new salt.")
@snapshot_option
@database_option
def phase(file: Path, reshuffle: bool, snapshot: Path, db: str) -> None:
    """Open the next phase of a running experiment, with the arms, weights and rules of the definition FILE.

    Its plan stays as it was frozen at the start, and so does the salt: visitors stay in their arms as far as the
    weights let them.
    """
    from ..experiments.files import load_definition
    from ..experiments.lifecycle import open_phase

    definition = load_definition(file)
    _change(
        db,
        snapshot,
        definition.experiment,
        lambda old, now, others: open_phase(definition, old, at=now, reshuffle=reshuffle, others=others),
    )


@click.command()
@click.argument("experiment")
@snapshot_option
@database_option
def pause(experiment: str, snapshot: Path, db: str) -> None:
    """Pause EXPERIMENT, the kill switch: everyone gets the control, nobody new is exposed."""
    from ..experiments.lifecycle import pause as pause_version

    _change(db, snapshot, experiment, lambda old, now, _: pause_version(old, now))


@click.command()
@click.argument("experiment")
@snapshot_option
@database_option
def resume(experiment: str, snapshot: Path, db: str) -> None:
    """Let a paused EXPERIMENT run on, in the same phase."""
    from ..experiments.lifecycle import resume as resume_version

    _change(db, snapshot, experiment, lambda old, now, _: resume_version(old, now))


@click.command()
@click.argument("experiment")
@click.option("--serve", metavar="ARM", help="Ship it: everyone eligible gets this arm's offer from now on.")
@snapshot_option
@database_option
def stop(experiment: str, serve: str | None, snapshot: Path, db: str) -> None:
    """Stop EXPERIMENT for good: everyone gets the control, or the arm to --serve."""
    from ..experiments.lifecycle import stop as stop_version

    _change(db, snapshot, experiment, lambda old, now, _: stop_version(old, now, serve=serve))


def _change(
    db: str,
    snapshot: Path,
    experiment: str,
    following: Callable[[Published, datetime, list[Published]], Published],
) -> None:
    """Store the version that follows the latest one, and write the snapshot, also where nothing changes."""
    with open_store(db, create=False) as store:
        latest = store.published(experiment)
        version = following(latest, datetime.now(UTC), _others(store, experiment))
        if version is not latest:
            store.publish(version)
        write_snapshot(store, snapshot)
    served = f", serves {version.serve}" if version.serve is not None else ""
    click.echo(f"{experiment} version {version.version} ({version.state}, phase {version.phase}{served})")


def _others(store: Store, experiment: str) -> list[Published]:
    return [store.published(key) for key in store.experiments() if key != experiment]
