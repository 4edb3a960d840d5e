"""`offerlift assign`: what a backend would show one visitor."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .options import database_option, experiment_argument, open_store
from .output import Output, prints

__all__ = ["assign"]


@click.command(epilog='Example: offerlift assign free-shipping visitor-17 --attributes \'{"country": "DE"}\' --explain')
@experiment_argument()
@click.argument("visitor")
@click.option("--attributes", metavar="JSON", default="{}", help="What is known of the visitor, as a JSON object.")
@click.option(
    "--snapshot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Read this snapshot; without it, what is published in the store.",
)
@click.option("--force", metavar="ARM", help="Answer as for staff whom the backend forces into this arm.")
@click.option("--explain", is_flag=True, help="Print each step in words, with its salt and bucket, instead of JSON.")
@database_option
@prints
def assign(
    experiment: str, visitor: str, attributes: str, snapshot: Path | None, force: str | None, explain: bool, db: str
) -> Output:
    """Print the arm of VISITOR in EXPERIMENT and why.

    As JSON, unless another format is asked for. Nothing is recorded.

    An offer with a frequency cap or a usage limit is shown as withheld: their counters are the backend's.
    """
    from ..experiments import Assigner, Snapshot
    from ..experiments.codec import encode

    try:
        known = json.loads(attributes)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="--attributes") from None
    if not isinstance(known, dict):
        raise click.BadParameter(
            f'a JSON object is needed, such as {{"country": "DE"}}; seen: {attributes}', param_hint="--attributes"
        )
    if snapshot is not None:
        published = Snapshot.load(snapshot)
    else:
        with open_store(db, create=False) as store:
            published = Snapshot.of([store.published(key) for key in store.experiments()])
    assigner = Assigner(published, forced=None if force is None else {experiment: {visitor: force}})
    # Of an experiment that is not there, an error rather than its control.
    assigner.compiled(experiment)
    assignment = assigner.assign(experiment, visitor, known)
    document = {name: encode(value) for name, value in assignment._asdict().items()}
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if explain:
        text = str(assigner.explain(experiment, visitor, known))
    row = {name: value for name, value in document.items() if name != "offer"}
    offer = assignment.offer
    return Output(text, document, [row | {"offer": None if offer is None else offer.name}])
