"""The terminal page: what it says, in which order, how wide."""

from __future__ import annotations

import re

from offerlift.reports import render_text, scorecard

GOLDEN = """\
exit-offer                                                          running, 2 March 2026, 09:00 UTC
An offer when a visitor leaves

HEALTH
  ok       srm, srm_sequential, srm_mature, crossovers, outcomes, currencies, refunds, outliers,
           unknown_arms
  not run  srm_by_day, srm_by_segment, covariates, phases, rows, conflicts

DECISION  ship b
  Ship “b”: revenue per visitor is €0.90 higher than in “control” (+30%; always-valid 95% interval
  +€0.38 to +€1.42).

ARMS       visitors   share  planned  analysed  waiting  crossed  verdict
  control    20,000  49.98%   50.00%    20,000        0        0  (control)
  b          20,020  50.02%   50.00%    20,000       20        3  ship

REVENUE PER VISITOR (primary)
           value  difference  always-valid 95%  lift (fixed-sample 95%)
  control  €3.00
  b        €3.90      +€0.90  +€0.38 to +€1.42       +30%, +18% to +43%
"""


def card_of(observed, sample):
    return scorecard(observed({"control": sample(20_000, 1_000), "b": sample(20_000, 1_300, waiting=20, crossovers=3)}))


def test_the_page(observed, sample):
    """Health, decision, arms, metrics, in this order and these words."""
    text = render_text(card_of(observed, sample))
    assert text.startswith(GOLDEN)
    assert text.index("CONVERSION (secondary)") > text.index("REVENUE PER VISITOR (primary)")
    assert "AVERAGE ORDER VALUE (secondary, conditional on buying)" in text
    assert "UNSUBSCRIBE RATE (secondary, less is better)" in text


def test_no_line_is_wider_than_100_columns(observed, sample):
    """Long names and reasons are cut or wrapped, and control characters in names do not reach the terminal."""
    arms = {"control": sample(20_000, 1_000), "x" * 90: sample(20_000, 1_010), "\x1b[31mred": sample(20_000, 990)}
    text = render_text(scorecard(observed(arms, unknown_arms={"old": 3}, covariate=True)))
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text


def test_effects_stay_away_while_health_fails(observed, sample):
    """A failing check hides every effect and says so."""
    text = render_text(scorecard(observed({"control": sample(20_000, 1_000), "b": sample(15_000, 1_300)})))
    assert "do_not_read" in text
    assert "difference" not in text
    assert "lift" not in text


def test_colour_only_when_asked(observed, sample):
    """Plain text has no escape codes; with color=True the same text has."""
    card = card_of(observed, sample)
    plain, coloured = render_text(card), render_text(card, color=True)
    assert "\x1b" not in plain
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[\d*(;\d+)*m", "", coloured) == plain


def test_a_lift_that_is_not_bounded_is_said(observed, sample):
    """An unbounded lift is words, not an interval."""
    text = render_text(scorecard(observed({"control": sample(60, 1), "b": sample(60, 8)}, source="table")))
    assert "unbounded" in text or "all but" in text


def test_the_legend_says_which_interval_decides_and_why(observed, sample):
    """Both intervals are 95 %: the legend says that the wider one decides, and why, also for a table."""
    seen = {"control": sample(2_000, 120), "b": sample(2_000, 130)}
    table, monitored = (
        " ".join(render_text(scorecard(observed(seen, source=source))).split()) for source in ("table", "assigner")
    )
    for text in (table, monitored):
        assert "The always-valid interval decides, the fixed-sample one does not: it is right only" in text
    assert "which a table cannot show" in table
    assert "The always-valid one may be looked at any day; it is wider for that reason." in monitored
