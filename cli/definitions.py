"""Commands on definitions: write a first one, check them, publish them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import DefinitionError, InputError, SnapshotError, StoreError
from .confirming import changes, confirm
from .options import assigned_snapshot, database_option, open_store, program
from .output import Output, prints

if TYPE_CHECKING:
    from ..experiments.snapshot import Published
    from ..storage.store import Store

__all__ = [
    "init",
    "publish",
    "schema",
    "shown",
    "snapshot_option",
    "validate",
    "version_row",
    "write_snapshot",
]

snapshot_option = click.option(
    "--snapshot",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("offers.json"),
    show_default=True,
    envvar="OFFERLIFT_SNAPSHOT",
    help="Where the snapshot that backends read is written.",
)


@click.command(epilog="Example: offerlift init offers")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("offers"))
@changes
@prints
def init(folder: Path, dry_run: bool, yes: bool) -> Output:
    """Write a starter FOLDER (default: offers) with one commented definition."""
    target = folder / "free-shipping.yaml"
    content = files("offerlift.cli").joinpath("starter", target.name).read_text(encoding="utf-8")
    if target.exists() and target.read_text(encoding="utf-8") != content and not dry_run:
        confirm(
            f"{target} exists already. Replace it?",
            yes=yes,
            refusal=f"{target} exists already and was left as it is",
        )
    if dry_run:
        click.echo("Dry run: nothing was written.", err=True)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
        click.echo(
            f"Next: edit {target}, then {program()} validate {folder} and {program()} publish {folder}", err=True
        )
    row = {"file": str(target), "dry_run": dry_run}
    return Output(str(target), row, [row])


@click.command(epilog="Example: offerlift validate offers --json")
@click.argument("path", type=click.Path(path_type=Path))
@prints
def validate(path: Path) -> Output:
    """Check the definition PATH, or all *.yaml in a folder.

    Lists every finding with file, line, value and what is allowed. Exit code 1 where there is one.
    """
    from dataclasses import asdict

    from ..experiments.files import definition_files
    from ..experiments.files import validate as findings_in

    findings = findings_in(path)
    checked = len(definition_files(path))
    click.echo(f"{_count(checked, 'definition')} checked, {_count(len(findings), 'finding')}.", err=True)
    rows = [asdict(finding) for finding in findings]
    return Output("\n".join(map(str, findings)), rows, rows, findings=bool(findings))


@click.command(epilog="Example: offerlift schema > definition.schema.json")
def schema() -> None:
    """Print the JSON Schema of definitions, for editors and pipelines."""
    import json

    from ..experiments.documents import json_schema

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@click.command(epilog="Example: offerlift publish offers --dry-run")
@click.argument("path", type=click.Path(path_type=Path))
@snapshot_option
@changes
@database_option
@prints
def publish(path: Path, snapshot: Path, dry_run: bool, yes: bool, db: str) -> Output:
    """Write definitions as new versions to the store and the snapshot.

    PATH is a definition, or a folder with all its *.yaml. A new experiment is published as a draft, which shows
    everyone the control; `offerlift start` makes it run.
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
    if dry_run:
        stored = _stored(db)
        versions = publish_all(definitions, stored, at=now)
        click.echo("Dry run: nothing was changed.", err=True)
        return _published(versions, stored, dry_run=True)
    with open_store(db, currency=currencies[0]) as store:
        # All are checked before the first is written: a folder is published whole or not at all.
        stored = {key: store.published(key) for key in store.experiments()}
        versions = publish_all(definitions, stored, at=now)
        new = [version for version in versions if version is not stored.get(version.definition.experiment)]
        if new:
            confirm(f"Publish {_count(len(new), 'version')} to {store.url}?", map(shown, new), yes=yes)
        for version in new:
            store.publish(version)
        write_snapshot(store, snapshot)
    drafts = [version.definition.experiment for version in versions if version.state == "draft"]
    if drafts:
        click.echo(f"Next: {program(db)} start {drafts[0]}", err=True)
    return _published(versions, stored, dry_run=False)


def _stored(db: str) -> dict[str, Published]:
    """The latest version of each experiment; none where there is no store yet."""
    try:
        with open_store(db, create=False) as store:
            return {key: store.published(key) for key in store.experiments()}
    except StoreError as error:
        click.echo(f"Taken as a new store: {error.message}", err=True)
        return {}


def _published(versions: Sequence[Published], stored: Mapping[str, Published], *, dry_run: bool) -> Output:
    rows = [
        version_row(one, changed=one is not stored.get(one.definition.experiment), dry_run=dry_run) for one in versions
    ]
    text = "\n".join(f"{one.definition.experiment} version {one.version} ({one.state})" for one in versions)
    return Output(text, {"versions": rows}, rows)


def version_row(version: Published, *, changed: bool, dry_run: bool) -> dict[str, Any]:
    """A version as the commands that make one print it in JSON and CSV."""
    return {
        "experiment": version.definition.experiment,
        "version": version.version,
        "state": version.state,
        "phase": version.phase,
        "serve": version.serve,
        "published_at": version.published_at,
        "changed": changed,
        "dry_run": dry_run,
    }


def shown(version: Published) -> str:
    """A version in one line."""
    served = f", serves {version.serve}" if version.serve is not None else ""
    key = version.definition.experiment
    return f"{key} version {version.version} ({version.state}, phase {version.phase}{served})"


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
