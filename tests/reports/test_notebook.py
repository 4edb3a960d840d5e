"""A store in a notebook: its moments give the numbers of the scorecard, and `open_store` the scorecard itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from offerlift.errors import InputError, StoreError
from offerlift.experiments.definition import Arm, Definition, Plan
from offerlift.experiments.metrics import Column, Metric
from offerlift.experiments.publishing import publish, start
from offerlift.experiments.records import Exposure, Outcome
from offerlift.reports import open_store, review_store, scorecard
from offerlift.stats import compare
from offerlift.storage import Store

START = datetime(2026, 3, 2, tzinfo=UTC)


def test_a_notebook_has_the_scorecards_numbers(observed, sample):
    """`compare` of the observations' moments gives each metric's difference, lift and p-value of the scorecard."""
    observations = observed({"control": sample(5000, 300), "offer": sample(4000, 270, value=70.0)})
    card = scorecard(observations)
    definition = observations.definition
    for row in card.metrics:
        metric = row.definition
        per = metric.denominator.name if metric.denominator is not None else None
        result = compare(observations.moments[row.metric], control=definition.control, per=per)
        for comparison in row.comparisons:
            ours = result[comparison.arm]
            assert (ours.difference.estimate, ours.difference.p_value) == (
                comparison.difference.estimate,
                comparison.difference.p_value,
            ), row.metric
            assert (ours.lift.kind, ours.lift.low, ours.lift.high) == (
                comparison.lift.kind,
                comparison.lift.low,
                comparison.lift.high,
            )


@pytest.fixture
def filled(tmp_path):
    """URL of a store with 1,000 visitors, of two planned looks, neither of which is made."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    metric = Metric("conversion", "conversion", Column("purchase", "converted"), window_end=86_400_000_000)
    arms = (Arm("control", 5_000), Arm("b", 5_000))
    definition = Definition("exit", "control", arms, (metric,), Plan("conversion", looks=(0.5, 1), sample_size=1_000))
    draft = publish(definition, None, at=START)
    running = start(draft, START)
    with Store.open(url) as store:
        store.publish(draft)
        store.publish(running)
        shown = [("control" if i % 2 else "b", START + timedelta(minutes=i)) for i in range(1_000)]
        store.write_exposures(Exposure("exit", f"v{i}", arm, at, 1, "") for i, (arm, at) in enumerate(shown))
        bought = [(i, at) for i, (arm, at) in enumerate(shown) if i // 2 % 10 < (4 if arm == "b" else 2)]
        store.write_outcomes(Outcome(f"o{i}", f"v{i}", "purchase", at, value=Decimal(50)) for i, at in bought)
    return url


def test_an_experiment_of_the_store(filled):
    """After its look an experiment gives the numbers of the command line, its charts, rows, days and sums."""
    with open_store(filled) as store:
        experiment = store.experiment("exit")
        review_store(store.store, "2026-03-10")
        card = experiment.scorecard("2026-03-10")
        assert (card.decision.action, card.decision.arm) == ("ship", "b")
        assert experiment.rows("2026-03-10")[1]["lift"] == card.metric("conversion").comparison("b").lift.estimate
        assert list(experiment.charts("2026-03-10")) == ["lifts"]
        assert experiment.course("2026-03-10").days[-1].visitors == {"control": 500, "b": 500}
        result = compare(experiment.moments("conversion", "2026-03-10"), control="control")
        assert result["b"].lift.estimate == card.metric("conversion").comparison("b").lift.estimate
        assert [one.kind for one in experiment.changes()] == ["published", "started", "look"]
        assert (len(experiment.looks()), experiment.decisions()) == (1, ())
        assert experiment._repr_markdown_().startswith("**`exit`** (running")
        with pytest.raises(InputError, match=r"Did you mean 'conversion'\?"):
            experiment.moments("conversio")


def test_what_is_withheld_stays_withheld_in_a_notebook(filled):
    """Before the first look there are neither numbers nor charts nor sums, and reading records nothing."""
    with open_store(filled) as store:
        experiment = store.experiment("exit")
        card = experiment.scorecard("2026-03-10")
        assert card.withheld
        assert card.metric("conversion").comparison("b").lift.estimate is None
        assert experiment.charts("2026-03-10") == {}
        assert {row["value"] for row in experiment.rows("2026-03-10")} == {"withheld"}
        with pytest.raises(InputError, match="withheld until the first planned look"):
            experiment.moments("conversion", "2026-03-10")
        assert experiment.looks() == ()


def test_a_mistyped_store_or_experiment_is_an_error_at_once(filled, tmp_path):
    """The error comes where it is written, not at the first number."""
    with open_store(filled) as store, pytest.raises(InputError, match=r"Did you mean 'exit'\?"):
        store.experiment("exot")
    with pytest.raises(StoreError):
        open_store(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
