"""`offerlift demo`: three experiments on a simulated shop."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .options import program

__all__ = ["demo"]


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("offerlift-demo"))
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of the simulated visitors."
)
def demo(folder: Path, seed: int) -> None:
    """Fill FOLDER (default: offerlift-demo) with three experiments on a simulated shop, and report on them."""
    from ..reports.demo import run_demo
    from ..reports.demo.shop import SHOPS

    total = sum(shop.visitors for shop in SHOPS)
    with click.progressbar(length=total, label="Simulating visitors", file=sys.stderr) as bar:
        result = run_demo(folder, seed=seed, progress=bar.update)
    for card in result.scorecards:
        click.echo(f"{card.experiment}: {card.decision.reason}")
    click.echo(f"\nOpen {result.report} in a browser.", err=True)
    store = f"sqlite:///{folder / 'shop.db'}"
    click.echo(f"Next: {program(store)} analyze {result.scorecards[0].experiment}", err=True)
