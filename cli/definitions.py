"""Commands on definitions: write a first one, check them, publish them."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import DefinitionError, InputError, SnapshotError
from .options import assigned_snapshot, database_option, open_store, print_json, program

if TYPE_CHECKING:
    from ..storage.store import Store

__all__ = ["init", "publish", "schema", "snapshot_option", "validate", "write_snapshot"]

snapshot_option = click.option(
    "--snapshot",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("offers.json"),
    show_default=True,
    envvar="OFFERLIFT_SNAPSHOT",
    help="Where the snapshot that backends read is written.",
)


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("offers"))
def init(folder: Path) -> None:
    """Write a starter FOLDER (default: offers) with one commented definition."""
    target = folder / "free-shipping.yaml"
    if target.exists():
        raise InputError(f"{target} exists already and was left as it is", hint="Name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(
        files("offerlift.cli").joinpath("starter", target.name).read_text(encoding="utf-8"), encoding="utf-8"
    )
    click.echo(str(target))
    click.echo(f"Next: edit {target}, then {program()} validate {folder} and {program()} publish {folder}", err=True)


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def validate(context: click.Context, path: Path, as_json: bool) -> None:
    """Check the definition PATH, or all *.yaml in a folder; list every finding and exit with 1 if there is one."""
    from dataclasses import asdict

    from ..experiments.files import definition_files
    from ..experiments.files import validate as findings_in

    findings = findings_in(path)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            click.echo(str(finding))
    checked = len(definition_files(path))
    click.echo(f"{_count(checked, 'definition')} checked, {_count(len(findings), 'finding')}.", err=True)
    if findings:
        context.exit(1)


@click.command()
def schema() -> None:
    """Print the JSON Schema of definitions, for editors and pipelines."""
    from ..experiments.documents import json_schema

    print_json(json_schema())


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@snapshot_option
@database_option
def publish(path: Path, snapshot: Path, db: str) -> None:
    """Write the definition PATH, or all *.yaml in a folder, as a new version to the store and the snapshot.

    A new experiment is published as a draft, which shows everyone the control; `offerlift start` makes it run.
    """
    from ..experiments.files import definition_files, load_definition
    from ..experiments.files import validate as findings_in
    from ..experiments.publishing import publish_all

    findings = findings_in(path)
    if findings:
        raise DefinitionError(f"{path} was not published: {_count(len(findings), 'finding')}", findings=findings)
    definitions = [load_definition(file) for file in definition_files(path)]
    currencies = sorted({definition.currency for definition in definitions})
    if len(currencies) > 1:
        raise InputError(
            f"{path} has definitions in {' and '.join(currencies)}",
            hint="One store has one currency: use a store each.",
        )
    now = datetime.now(UTC)
    with open_store(db, currency=currencies[0]) as store:
        # All are checked before the first is written: a folder is published whole or not at all.
        stored = {key: store.published(key) for key in store.experiments()}
        versions = publish_all(definitions, stored, at=now)
        for version in versions:
            if version is not stored.get(version.definition.experiment):
                store.publish(version)
        write_snapshot(store, snapshot)
    for version in versions:
        click.echo(f"{version.definition.experiment} version {version.version} ({version.state})")
    drafts = [version.definition.experiment for version in versions if version.state == "draft"]
    if drafts:
        click.echo(f"Next: {program(db)} start {drafts[0]}", err=True)


def write_snapshot(store: Store, path: Path) -> None:
    """Write the latest versions of all experiments that offerlift assigns to the snapshot."""
    try:
        assigned_snapshot(store).write(path)
    except SnapshotError as error:
        raise SnapshotError(
            f"the store is up to date, but backends do not see it yet: {error.message}",
            # Not the same command: `phase --reshuffle` would draw the visitors once more.
            hint="`offerlift publish FILE --snapshot PATH` with the same file writes it and changes nothing else.",
        ) from error
    click.echo(f"Snapshot: {path}", err=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
