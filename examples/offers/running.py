"""Runs an example: simulated visitors through assigner and recorder into a store, reviewed and reported as real ones.

Each folder's run.py says how its visitors behave, and calls `main`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from offerlift.experiments import Definition, Recorder, Snapshot, load_definition, publish, start
from offerlift.experiments.testing import Behaviour, Habits, Population, SimulatedShop
from offerlift.reports import Scorecard, record_look, render_html, scorecard
from offerlift.reports.details import Details
from offerlift.storage import Store

__all__ = ["Visits", "main"]


@dataclass(frozen=True)
class Visits:
    """Who comes to an experiment, and how they behave; what an arm's offer does follows from it, unless it is named."""

    habits: Habits
    population: Population
    behaviours: Mapping[str, Behaviour]

    def shop(self, definition: Definition, share: float = 1.0) -> SimulatedShop:
        """The simulated shop of the experiment, with a share of its visitors."""
        population = replace(self.population, per_day=share * self.population.per_day)
        return SimulatedShop.of(definition, habits=self.habits, population=population, behaviours=self.behaviours)


def main(folder: Path, visits: Mapping[str, Visits]) -> None:
    """Simulate every definition of an example, and write store, snapshot and report.

    Args:
        folder: with the definitions.
        visits: name of a definition's file, without its end -> its visitors.
    """
    parser = argparse.ArgumentParser(description=f"Simulate the experiments in {folder}, and report them.")
    parser.add_argument("out", nargs="?", type=Path, default=Path.cwd(), help="where to write (default: here)")
    parser.add_argument("--share", type=float, default=1.0, help="of the visitors who are simulated (default: all)")
    options = parser.parse_args()
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{out / 'shop.db'}"
    cards, truths = [], {}
    with Store.open(url) as store:
        for seed, (file, visitors) in enumerate(visits.items(), start=1):
            definition = load_definition(folder / f"{file}.yaml")
            shop = visitors.shop(definition, options.share)
            cards.append(run(store, url, definition, shop, seed))
            truths[definition.experiment] = shop.truth.table(definition)
            tell(store, cards[-1], truths[definition.experiment])
        Snapshot.of([store.published(key) for key in store.experiments()]).write(out / "offers.json")
    title = f"{folder.name}: simulated visitors"
    (out / "report.html").write_text(render_html(cards, truth=truths, title=title), encoding="utf-8")
    print(f"\nThe report is in {out / 'report.html'}.")


def run(store: Store, url: str, definition: Definition, shop: SimulatedShop, seed: int) -> Scorecard:
    """One experiment from its start to its last review."""
    first_day = shop.population.first_day
    draft = publish(definition, None, at=first_day)
    store.publish(draft)
    store.publish(start(draft, at=first_day))
    simulation = shop.run(store.published(definition.experiment), seed=seed)
    # A shop's backend records while visitors come; here they have all come, and nothing may be dropped.
    with Recorder(url, when_full="block") as recorder:
        simulation.record(recorder)
        recorder.flush(timeout=120)
    store.write_covariates(simulation.covariates())
    ends = first_day + timedelta(days=shop.population.days)
    primary = definition.metric(definition.plan.primary)
    mature = timedelta(microseconds=(primary.window_end or 0) + primary.refund_window)
    for at in (ends + mature - timedelta(days=shop.population.days // 2), ends + mature):
        record_look(store, definition.experiment, at)
    observed = store.observations(definition.experiment, as_of=ends + timedelta(days=shop.habits.repeat_days[1] + 1))
    return scorecard(observed, store.looks(definition.experiment), Details.of_store(store, observed))


def tell(store: Store, card: Scorecard, truth: Mapping[str, Mapping[str, tuple[float, float]]]) -> None:
    """The decision, each arm's primary difference beside the truth, and how far its visitors came."""
    print(f"\n{card.experiment}: {card.decision.action}\n  {card.decision.reason}")
    funnel = store.funnel(card.experiment, as_of=card.as_of)
    for row in card.metric(card.primary).comparisons:
        true = truth.get(card.primary, {}).get(row.arm)
        known = "" if true is None else f", truly {true[0]:+.2f}"
        if (found := row.difference).estimate is not None:
            print(f"  {row.arm}: {card.primary} {found.estimate:+.2f} ({found.low:+.2f} to {found.high:+.2f}){known}")
    for arm, steps in funnel.arms.items():
        if steps.steps:
            print(f"  {arm}: {steps.visitors} visitors, " + ", ".join(f"{n} {step}" for step, n in steps.steps.items()))
