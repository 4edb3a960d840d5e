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
    Difference,
    Lift,
    Shown,
    compare,
    compare_adjusted,
    compare_days,
    moments_by_arm,
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
    assert records - shown <= {"Estimate", "Histogram", "Inputs", "LargestValues", "Moments", "Shared", "Spending"}
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
