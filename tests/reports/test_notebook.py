"""A store's moments in a notebook: the numbers of the scorecard."""

from offerlift.reports import scorecard
from offerlift.stats import compare


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
