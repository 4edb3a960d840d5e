"""Results as they show themselves: text, HTML, rows, frames, charts."""

import builtins
import importlib
from dataclasses import dataclass, field, is_dataclass

import numpy as np
import offerlift.stats
import pytest
from offerlift.errors import InputError
from offerlift.stats import (
    Anytime,
    Comparison,
    Design,
    Difference,
    Histogram,
    Lift,
    Moments,
    PastExperiment,
    Rate,
    Shown,
    bayesian_bootstrap,
    choose_price,
    compare,
    compare_adjusted,
    compare_days,
    compare_quantiles,
    course_since_exposure,
    covariate_balance,
    decompose_revenue,
    demand_curve,
    dose_response,
    error_budget,
    follow_rule,
    incrementality,
    moments_by_arm,
    money_per_week,
    next_boundary,
    non_inferiority_proportions,
    normal_posteriors,
    order_histogram,
    permutation_test,
    planned_looks,
    programme_total,
    quantile_interval,
    repeated_interval,
    required_visitors,
    running_anytime,
    sequential_boundaries,
    shrink,
    stagewise_estimate,
    threshold_bunching,
    time_to_decide,
    value_of_waiting,
)
from offerlift.stats.plotting import GAIN, LOSS, MUTED

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")

RNG = np.random.default_rng(3)
VISITORS = {
    "arm": np.repeat(["control", "<b>late</b>", "worse"], 2000),
    "revenue": np.concatenate([RNG.gamma(1, 10, 2000), RNG.gamma(1, 13, 2000), RNG.gamma(1, 7, 2000)]),
    "past": RNG.gamma(1, 10, 6000),
}
ARMS = moments_by_arm(VISITORS, "arm", ["revenue", "past"])
RESULT = compare(ARMS, "revenue", control="control")


@pytest.fixture(autouse=True)
def no_windows():
    """Figures of this test, without a screen."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


def test_every_result_shows_itself():
    """Each public record but data and inputs is `Shown`."""
    records = {name for name in offerlift.stats.__all__ if is_dataclass(getattr(offerlift.stats, name))}
    shown = {name for name in records if issubclass(getattr(offerlift.stats, name), Shown)}
    data = {"Estimate", "Histogram", "Inputs", "LargestValues", "Moments", "Shared"}
    plan = {"Design", "Evidence", "Mean", "Rate", "Signal", "Spending"}
    assert records - shown <= data | plan
    assert {"Comparison", "AdjustedComparison", "ArmsPosterior", "ArmsComparison", "SampleRatio"} <= shown


def test_rows_frames_and_numbers_are_one():
    """Rows, pandas and Polars have the same columns and digits, None where there is no number."""
    rows = RESULT.to_dicts()
    assert rows[0]["p_value"] is None
    assert rows[1]["p_value"] == RESULT["<b>late</b>"].difference.p_value
    assert RESULT.to_pandas()["lift_low"].tolist()[1:] == [row["lift_low"] for row in rows[1:]]
    assert RESULT.to_polars().to_dicts() == rows


def test_a_record_inside_is_spread_with_its_name():
    """A comparison is one row: difference_low, lift_kind, adjustment_r_squared; its inputs are no columns."""
    row = compare_adjusted(ARMS["worse"], ARMS["control"], "revenue", ["past"]).to_dicts()[0]
    assert {"status", "difference_low", "lift_kind", "adjustment_r_squared"} <= set(row)
    assert not [name for name in row if "inputs" in name]
    assert row["adjustment_covariates"] == "past"


def test_tuples_are_rows():
    """Tuples of one length are rows beneath each other, the single values beside each; inputs are left out."""

    @dataclass(frozen=True)
    class Plan(Shown):
        alpha: float
        share: tuple[float, ...]
        anytime: tuple[Anytime, ...]
        data: tuple[float, ...] = field(default=(1.0,), repr=False)

    looks = tuple(Anytime(-1.0, k, 0.5, 3.0) for k in (1.0, 2.0))
    assert [(row["alpha"], row["share"], row["high"]) for row in Plan(0.05, (0.5, 1.0), looks).to_dicts()] == [
        (0.05, 0.5, 1.0),
        (0.05, 1.0, 2.0),
    ]


def test_html_is_escaped():
    """An arm's name that is markup is text in a notebook."""
    html = RESULT._repr_html_()
    assert "<b>late" not in html
    assert "&lt;b&gt;late&lt;/b&gt;" in html
    assert html.count("<tr>") == 4
    assert "&lt;b&gt;" in compare_days({name: [one] for name, one in ARMS.items()}, control="control")._repr_html_()


def test_text_for_readers():
    """The table names control, level, interval and chance; a single record is one line a number."""
    text = str(RESULT)
    assert text.startswith("revenue against control (95% intervals)\n")
    assert repr(RESULT) == text
    assert "P(better)" in text
    assert str(Difference(0.5, 0.1, float("inf"), 0.3, 0.7, 1e-6, "z")).splitlines()[:2] == [
        "Difference",
        "  estimate  0.5",
    ]


def test_plots_say_which_way_is_better():
    """Gains and losses have their colour and marker; where less is wanted they change places."""
    lines = {line.get_color() for line in RESULT.plot().get_lines()}
    assert {GAIN, LOSS} <= lines
    markers = {
        direction: {
            line.get_color(): line.get_marker()
            for line in compare(ARMS, "revenue", control="control", direction=direction).plot().get_lines()
            if line.get_marker() in "^v"
        }
        for direction in ("increase", "decrease")
    }
    assert markers == {"increase": {GAIN: "^", LOSS: "v"}, "decrease": {GAIN: "v", LOSS: "^"}}


def test_plots_take_the_readers_axes():
    """Every result draws on the axes it is given, and names its arms."""
    from matplotlib.figure import Figure

    days = compare_days({name: [one, one + one] for name, one in ARMS.items()}, control="control")
    for result in (RESULT, RESULT["worse"], RESULT["worse"].comparison, RESULT["worse"].lift, days):
        axes = Figure().add_subplot()
        assert result.plot(axes) is axes
        assert axes.has_data()
    assert [label.get_text() for label in RESULT.plot().get_yticklabels()] == ["<b>late</b>", "worse"]


def test_an_unbounded_lift_is_drawn_with_arrows():
    """A set without ends leaves the scale with arrows on both sides instead of failing."""
    axes = Lift("unbounded", 0.5, None, 0.8, "reason").plot()
    assert "<" in [line.get_marker() for line in axes.get_lines()]
    assert MUTED in {line.get_color() for line in axes.get_lines()}


def test_nothing_to_draw_is_said():
    """A comparison without numbers has no chart, in words."""
    with pytest.raises(InputError, match="no interval to draw"):
        Comparison.without("insufficient", "an arm has no visitors").plot()
    with pytest.raises(InputError, match="1 visitor"):
        compare({"a": [1.0, 2.0], "b": [1.5]}, control="a").plot()


@pytest.mark.parametrize(
    ("package", "call"),
    [("pandas", RESULT.to_pandas), ("polars", RESULT.to_polars), ("matplotlib", RESULT.plot)],
)
def test_a_missing_package_is_named(package, call, monkeypatch):
    """Without pandas, Polars or matplotlib the error says what to install."""
    importing, module = builtins.__import__, importlib.import_module

    def absent(name, *arguments, **options):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return importing(name, *arguments, **options)

    def absent_module(name, *arguments):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return module(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", absent)
    monkeypatch.setattr(importlib, "import_module", absent_module)
    with pytest.raises(InputError, match=f"pip install {package}"):
        call()


def test_rows_are_plain_values():
    """Rows hold text, whole numbers, floats and None, no numpy scalars: they go into JSON as they are."""
    assert all(type(value) in (str, int, float, type(None)) for row in RESULT.to_dicts() for value in row.values())


def every_kind():
    """A result of each function whose record has no test of its own here, from realistic numbers."""
    control = Moments.from_arrays({"bought": [0] * 180 + [1] * 20, "orders": [0] * 180 + [1] * 15 + [2] * 5})
    treatment = Moments.from_arrays({"bought": [0] * 170 + [1] * 30, "orders": [0] * 170 + [1] * 20 + [2] * 10})
    revenue = {"control": [0] * 180 + [40, 50, 60, 70] * 5, "gift": [0] * 170 + [35, 45, 55] * 10}
    orders = Histogram.of(range(2000, 12_000, 50), scale=100)
    looks = sequential_boundaries([0.25, 0.5, 1.0])
    money = [
        Moments.from_arrays({"b": [min(v, 1) for v in values], "o": [min(v, 1) * 1.0 for v in values], "r": values})
        for values in (revenue["gift"], revenue["control"])
    ]
    past = [PastExperiment(f"e{i}", y, 0.01, y > 0.02) for i, y in enumerate([0.04, 0.01, -0.02, 0.03])]
    tested = {"low": control, "high": treatment}
    prices = {"low": 20.0, "high": 25.0}
    prices_chosen = choose_price(tested, prices, "bought", unit_cost=10.0)
    values = {"a": Histogram.of([4500, 5200] * 20, scale=100), "b": Histogram.of([4500, 5200, 5300] * 20, scale=100)}
    bunched = threshold_bunching(values["b"], values["a"], threshold=50, width=10)
    doses = dose_response(tested, {"low": 0.0, "high": 0.1}, "orders")
    bought = incrementality(treatment, control, orders="orders", margin="orders", cost="bought")
    course = course_since_exposure(treatment, control, {7: "bought", 28: "orders"})
    means = {"control": (5.0, 0.01), "gift": (5.1, 0.01)}
    hundred = dict.fromkeys(means, 100)
    budget = error_budget([1.0], 1.0, guardrails=1)
    return [
        looks,
        next_boundary(looks.clocks[:1], looks.z[:1], 0.5),
        repeated_interval(0.3, 0.1, boundary=2.5),
        stagewise_estimate(2, looks.clocks, looks.z, z=3.1, se=0.1),
        running_anytime([Anytime(-0.1, 0.5, 0.3, 3.2), Anytime(0.02, 0.55, 0.04, 3.1)]),
        non_inferiority_proportions(480, 10_000, 500, 10_000, margin=0.02),
        covariate_balance(treatment, control, ["orders"]),
        decompose_revenue(*money, converted="b", orders="o", revenue="r"),
        decompose_revenue(*money, converted="b", orders="o", revenue="r").total,
        required_visitors(Rate(0.05), 0.05, Design()),
        time_to_decide(244_247, 35_000, window_days=7),
        compare_quantiles(orders, orders),
        quantile_interval(orders, 0.5),
        permutation_test(revenue["gift"], revenue["control"], resamples=99),
        bayesian_bootstrap(revenue, "control", draws=1000),
        normal_posteriors({"control": (5.0, 0.01), "gift": (5.2, 0.01)}, "control"),
        budget,
        planned_looks([0.5, 1.0], budget),
        follow_rule(planned_looks([0.5, 1.0], budget), np.zeros((3, 2, 1)), guardrail_z=np.zeros((3, 2, 1, 1))),
        shrink([0.04, 0.01, -0.02, 0.03], [1e-4] * 4)[0],
        past[0],
        programme_total(past, smallest_effect=0.05),
        demand_curve(tested, prices, "bought"),
        prices_chosen,
        prices_chosen.tested[0],
        doses,
        doses.doses[0],
        bunched,
        bunched.above,
        order_histogram(values, width=5, threshold=50),
        bought,
        bought.cost,
        course,
        money_per_week((0.1, 0.0, 0.2), 1000, net_of=("refunds",)),
        value_of_waiting(means, hundred, hundred, 10_000),
    ]


@pytest.mark.parametrize("result", every_kind(), ids=lambda result: type(result).__name__)
def test_each_kind_of_result_shows_itself(result):
    """Text, HTML, rows of plain values, pandas and Polars of the same rows; a chart, or in words why there is none."""
    rows = result.to_dicts()
    assert {type(value) for row in rows for value in row.values()} <= {str, int, float, bool, type(None)}
    assert result.to_polars().to_dicts() == rows
    assert list(result.to_pandas().columns) == list(rows[0])
    assert all(name in str(result) and name in result._repr_html_() for name, value in rows[0].items() if value)
    assert "<table>" in result._repr_html_()
    has_interval = any(name in ("low", "lift_low", "difference_low", "clocks") for name in rows[0])
    if has_interval:
        assert result.plot().has_data()
    else:
        with pytest.raises(InputError, match="no interval to draw"):
            result.plot()


def test_rows_of_several_arms_are_named():
    """Posteriors and sample sizes are a row an arm, factors a row each, without numbers where the control has none."""
    kinds = {type(result).__name__: result.to_dicts() for result in every_kind()}
    assert [row["arm"] for row in kinds["BootstrapPosterior"]] == ["control", "gift"]
    assert kinds["BootstrapPosterior"][0]["lift_low"] is None
    assert kinds["ArmsPosterior"][0]["probability_better"] is None
    assert [row["arm"] for row in kinds["SampleSize"]] == ["control", "treatment 1"]
    assert [row["name"] for row in kinds["RevenueDecomposition"]][-1] == "revenue_per_visitor"
    assert len(kinds["Boundaries"]) == 3


def test_boundaries_are_drawn_on_their_sides():
    """Two-sided boundaries are drawn above and below, one-sided above only; what nobody reaches is cut off."""
    two, one = (sequential_boundaries([0.01, 0.5, 1.0], sides=sides) for sides in (2, 1))
    drawn = [np.asarray(line.get_ydata())[-1] for line in two.plot().get_lines() if line.get_marker() in "^v"]
    assert drawn == [two.z[-1], -two.z[-1]]
    axes = one.plot()
    assert [np.asarray(line.get_ydata())[-1] for line in axes.get_lines() if line.get_marker() in "^v"] == [one.z[-1]]
    assert axes.get_ylim()[1] < one.z[0]


def test_a_line_has_its_estimate_and_its_name():
    """The chart of an arm or a quantile marks the difference, and no line is called by its status."""
    for result in (RESULT["worse"], every_kind()[11]):
        axes = result.plot()
        assert [line for line in axes.get_lines() if line.get_marker() in ("^", "v", "o")]
        assert "ok" not in [label.get_text() for label in axes.get_yticklabels()]
