"""The demo: three offer experiments on a simulated shop, by the same road as real ones: definitions, store, report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...experiments import Assigner, Snapshot
from ...experiments.files import load_definition
from ...experiments.publishing import publish, start
from ...experiments.records import Covariate, Exposure, Outcome
from ...storage import Store
from ..background import with_background
from ..details import Details
from ..html import render_html
from ..recording import record_look
from ..scorecard import Scorecard, scorecard
from .shop import SHOPS, Shop, Truth, Visitors

__all__ = ["Demo", "fill_store", "review_weekly", "run_demo", "true_effects", "write_definitions"]

Progress = Callable[[int], None]
PROGRESS_STEP = 5_000


@dataclass(frozen=True)
class Demo:
    """What the demo left behind: its folder, and the scorecard of each experiment."""

    folder: Path
    report: Path
    scorecards: tuple[Scorecard, ...]


def run_demo(folder: Path, *, seed: int = 1, share: float = 1.0, progress: Progress | None = None) -> Demo:
    """Write definitions, store, snapshot and report into a folder.

    The same seed gives the same folder; running it again in the same folder changes nothing.

    Args:
        folder: created where it does not exist.
        seed: of the simulated visitors.
        share: of the visitors that are simulated (1: all 260,000).
        progress: called with the number of visitors just finished.

    Raises:
        InputError: a definition in the folder was edited, or its store holds the demo of another seed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, seed, share)
    write_definitions(folder)
    with Store.open(f"sqlite:///{folder / 'shop.db'}") as store:
        fill_store(store, folder, seed=seed, share=share, progress=progress)
        Snapshot.of([store.published(key) for key in store.experiments()]).write(folder / "offers.json")
        for shop in SHOPS:
            review_weekly(store, shop)
        cards = tuple(_card(store, shop.experiment) for shop in SHOPS)
    report = folder / "report.html"
    report.write_text(render_html(cards, truth=true_effects(), title="offerlift demo"), encoding="utf-8")
    return Demo(folder, report, cards)


def _card(store: Store, key: str) -> Scorecard:
    observations = store.observations(key)
    card = scorecard(observations, store.looks(key), Details.of_store(store, observations))
    return with_background(store, observations, card)


def _claim(folder: Path, seed: int, share: float) -> None:
    """Refuse a folder whose store was filled by another simulation: the two would mix."""
    marker, mine = folder / "demo.json", json.dumps({"seed": seed, "share": share})
    if (folder / "shop.db").exists() and (not marker.exists() or marker.read_text(encoding="utf-8") != mine):
        raise InputError(
            f"{folder / 'shop.db'} was filled by something else than a demo of seed {seed}",
            hint="Name another folder: offerlift demo FOLDER.",
        )
    marker.write_text(mine, encoding="utf-8")


def true_effects() -> dict[str, Truth]:
    """The simulator's true effects, by experiment."""
    return {shop.experiment: shop.truth() for shop in SHOPS}


def write_definitions(folder: Path) -> None:
    """Write the three definitions, leaving alone what is there already."""
    for shop in SHOPS:
        name = f"{shop.experiment}.yaml"
        shipped = files("offerlift.reports.demo").joinpath(name).read_text(encoding="utf-8")
        target = folder / name
        if target.exists() and target.read_text(encoding="utf-8") != shipped:
            raise InputError(f"{target} was edited; the demo would overwrite it", hint="Give the demo another folder.")
        target.write_text(shipped, encoding="utf-8")


def fill_store(store: Store, folder: Path, *, seed: int, share: float = 1.0, progress: Progress | None = None) -> None:
    """Publish and start the folder's three definitions, and send simulated visitors through the assigner."""
    for number, shop in enumerate(SHOPS):
        rng = np.random.default_rng([seed, number])
        _start(store, folder, shop)
        assigner = Assigner(Snapshot.of([store.published(shop.experiment)]), strict=True)
        visitors = shop.arrivals(rng, round(shop.visitors * share))
        split = _expose(store, assigner, shop, visitors, progress)
        store.write_outcomes(_outcomes(rng, shop, visitors, split))


def review_weekly(store: Store, shop: Shop) -> None:
    """Review an experiment as its weekly meetings would have: once a week from when the first visitors are mature."""
    mature = shop.first_day + timedelta(days=shop.window + 1)
    for week in range(1, shop.days // 7 + 1):
        record_look(store, shop.experiment, mature + timedelta(weeks=week))


def _start(store: Store, folder: Path, shop: Shop) -> None:
    definition = load_definition(folder / f"{shop.experiment}.yaml")
    if store.find(definition.experiment) is None:
        draft = publish(definition, None, at=shop.first_day)
        store.publish(draft)
        store.publish(start(draft, at=shop.first_day))


def _expose(
    store: Store, assigner: Assigner, shop: Shop, visitors: Visitors, progress: Progress | None
) -> dict[str, list[int]]:
    """Assign every visitor, record the exposures, and return the positions of each arm's visitors."""
    split: dict[str, list[int]] = {arm: [] for arm in shop.arms}

    def exposures() -> Iterator[Exposure]:
        for at, (visitor, country, arrived) in enumerate(
            zip(visitors.ids, visitors.countries, visitors.arrived, strict=True)
        ):
            assignment = assigner.assign(shop.experiment, visitor, {"country": country}, at=arrived)
            if progress is not None and at % PROGRESS_STEP == PROGRESS_STEP - 1:
                progress(PROGRESS_STEP)
            if assignment.reason == "SPLIT":
                split[assignment.arm].append(at)
                yield Exposure(shop.experiment, visitor, assignment.arm, arrived, assignment.phase, assignment.hash)

    store.write_exposures(exposures())
    known = np.flatnonzero(~np.isnan(visitors.past_revenue)) if shop.knows_past_revenue else []
    store.write_covariates(
        Covariate(visitors.ids[at], "past_revenue", float(visitors.past_revenue[at]), visitors.arrived[at])
        for at in known
    )
    return split


def _outcomes(
    rng: np.random.Generator, shop: Shop, visitors: Visitors, split: dict[str, list[int]]
) -> Iterator[Outcome]:
    for arm, members in split.items():
        positions = np.array(members, dtype=int)
        for order in shop.orders(rng, arm, visitors.propensity[positions]):
            at = positions[order.visitor]
            yield Outcome(
                f"order-{visitors.ids[at]}",
                visitors.ids[at],
                "purchase",
                visitors.arrived[at] + timedelta(days=order.after),
                value=Decimal(order.value) / 100,
                cost=Decimal(order.cost) / 100,
            )
        for event, probability in shop.arms[arm].events.items():
            for at in positions[rng.random(len(positions)) < probability]:
                happened = visitors.arrived[at] + timedelta(days=float(rng.random()) * shop.window)
                yield Outcome(f"{event}-{visitors.ids[at]}", visitors.ids[at], event, happened)
