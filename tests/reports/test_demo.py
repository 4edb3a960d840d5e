"""The demo: the same seed gives the same folder, and its intervals cover the simulator's truth as often as they say."""

from __future__ import annotations

import math
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.reports.demo import fill_store, run_demo, true_effects, write_definitions
from offerlift.reports.demo.shop import SHOPS
from offerlift.reports.scorecard import scorecard
from offerlift.storage import Store
from scipy.special import bdtr, bdtrc

SEEDS = 200
SHARE = 0.02


@pytest.mark.parametrize("shop", SHOPS, ids=lambda shop: shop.experiment)
def test_the_truth_is_what_the_simulator_does(shop):
    """Conversion, revenue and margin of 400,000 visitors are within 4.5 standard errors of the closed form."""
    rng = np.random.default_rng(5)
    for name, arm in shop.arms.items():
        n = 400_000
        orders = shop.orders(rng, name, rng.standard_normal(n))
        values = np.zeros((3, n))
        for order in orders:
            values[:, order.visitor] = 1, order.value / 100, (order.value - order.cost) / 100
        error = (values.mean(axis=1) - [arm.conversion, arm.revenue, arm.margin]) / (values.std(axis=1) / math.sqrt(n))
        assert abs(error).max() < 4.5, (name, error)


def test_the_same_seed_gives_the_same_report(tmp_path):
    """Two folders of one seed hold the same report; a second run in the same folder changes nothing."""
    first = run_demo(tmp_path / "a", seed=3, share=0.02)
    second = run_demo(tmp_path / "b", seed=3, share=0.02)
    numbers = [[card.to_dict()["metrics"] for card in demo.scorecards] for demo in (first, second)]
    assert numbers[0] == numbers[1]
    again = run_demo(tmp_path / "a", seed=3, share=0.02)
    assert [card.to_dict()["metrics"] for card in again.scorecards] == numbers[0]
    assert sorted(path.name for path in first.folder.glob("*.yaml")) == sorted(f"{s.experiment}.yaml" for s in SHOPS)


def test_another_seed_or_an_edited_definition_is_refused(tmp_path):
    """The demo mixes no two simulations and overwrites no edits."""
    run_demo(tmp_path / "a", seed=3, share=0.01)
    with pytest.raises(InputError, match="seed 4"):
        run_demo(tmp_path / "a", seed=4, share=0.01)
    edited = tmp_path / "a" / "exit-downsell.yaml"
    edited.write_text(edited.read_text() + "# mine\n")
    with pytest.raises(InputError, match="edited"):
        run_demo(tmp_path / "a", seed=3, share=0.01)
    assert edited.read_text().endswith("# mine\n")


def covers(interval: dict, true: float) -> bool:
    """Whether an interval of the JSON contains a value; an end of None does not bound it."""
    low = -math.inf if interval["low"] is None else interval["low"]
    high = math.inf if interval["high"] is None else interval["high"]
    inside = low <= true <= high
    return not low < true < high if interval.get("kind") == "complement" else inside


def misses(folder: str, seeds: range) -> dict[tuple[str, str, str, str], int]:
    """How often the intervals of each comparison miss the truth, over some seeds of a small demo."""
    # The tracer of a coverage run comes along with the fork and would triple the time.
    sys.settrace(None)
    truth, missed = true_effects(), {}
    write_definitions(Path(folder))
    for seed in seeds:
        with Store.open("sqlite://") as store:
            fill_store(store, Path(folder), seed=seed, share=SHARE)
            for shop in SHOPS:
                card = scorecard(store.observations(shop.experiment), None).to_dict()
                for metric in card["metrics"]:
                    for comparison in metric["comparisons"]:
                        key = (shop.experiment, metric["metric"], comparison["arm"])
                        true_difference, true_lift = truth[shop.experiment][metric["metric"]][comparison["arm"]]
                        for row, intervals in (("", comparison), ("adjusted ", comparison["adjusted"])):
                            for scale, true in (("difference", true_difference), ("lift", true_lift)):
                                if intervals is not None:
                                    missed.setdefault((*key, row + scale), 0)
                                    missed[*key, row + scale] += not covers(intervals[scale], true)
    return missed


@pytest.mark.slow
def test_intervals_cover_the_truth_over_200_seeds(tmp_path):
    """Fixed-sample 95 % intervals miss the truth as often as a binomial allows, no more and no less.

    Each comparison's misses are within the binomial's .9999 range around 5 %; their mean over all comparisons is within
    4 % and 6 % (the comparisons share controls and visitors, so its standard error is near half a percent).
    """
    halves = [range(1, SEEDS // 2 + 1), range(SEEDS // 2 + 1, SEEDS + 1)]
    folders = [tmp_path / str(half.start) for half in halves]
    for folder in folders:
        folder.mkdir()
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        parts = list(pool.map(misses, map(str, folders), halves))
    missed = {key: sum(part[key] for part in parts) for key in parts[0]}
    unlikely = {k: m for k, m in missed.items() if bdtr(m, SEEDS, 0.05) < 5e-5 or bdtrc(m - 1, SEEDS, 0.05) < 5e-5}
    assert unlikely == {}
    assert sum(scale == "adjusted lift" for *_, scale in missed) == 4
    assert 0.04 < sum(missed.values()) / (SEEDS * len(missed)) < 0.06
