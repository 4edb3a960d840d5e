"""`offerlift demo`: three experiments on a simulated shop."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .options import program
from .output import Output, prints

__all__ = ["demo"]


@click.command(epilog="Example: offerlift demo my-demo --seed 7")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("offerlift-demo"))
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of the simulated visitors."
)
@prints
def demo(folder: Path, seed: int) -> Output:
    """Fill FOLDER with three experiments on a simulated shop, and report.

    FOLDER is offerlift-demo if not given. A folder that holds anything else than this demo is refused and left alone:
    there is nothing to confirm.
    """
    from ..reports.demo import run_demo
    from ..reports.demo.shop import SHOPS

    total = sum(shop.visitors for shop in SHOPS)
    with click.progressbar(length=total, label="Simulating visitors", file=sys.stderr) as bar:
        result = run_demo(folder, seed=seed, progress=bar.update)
    click.echo(f"\nOpen {result.report} in a browser.", err=True)
    store = f"sqlite:///{folder / 'shop.db'}"
    click.echo(f"Next: {program(store)} analyze {result.scorecards[0].experiment}", err=True)
    rows = [
        {"experiment": card.experiment, "action": card.decision.action, "ship": card.decision.arm}
        | {"reason": card.decision.reason, "report": str(result.report)}
        for card in result.scorecards
    ]
    text = "\n".join(f"{card.experiment}: {card.decision.reason}" for card in result.scorecards)
    return Output(text, {"report": result.report, "experiments": rows}, rows)
