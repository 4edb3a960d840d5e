"""The reasons of decisions: what they say, and what they leave out."""

from __future__ import annotations

import pytest
from offerlift.reports import scorecard
from offerlift.reports.tree import Scorecard


def decided(card: Scorecard) -> tuple[str, str | None]:
    return card.decision.action, card.decision.arm


def test_the_two_intervals_do_not_contradict(observed, sample, control):
    """Where only the fixed-sample interval leaves zero out, the reason says which one decides and why it is wider."""
    seen = {"control": sample(2_000, 120), "b": sample(2_000, 150, value=70)}
    table = scorecard(observed(seen, source="table")).decision.reason
    assert (
        "The fixed-sample interval leaves no difference out (p = .0074), but it does not decide: it is right" in table
    )
    assert table.endswith("it is wider for that reason, and tuned to this one look.")
    monitored = scorecard(observed(seen)).decision.reason
    assert monitored.endswith("The always-valid one may be looked at any day; it is wider for that reason.")
    for reason in (table, monitored):
        assert "always-valid 95% interval −€" in reason
    assert "fixed-sample" not in scorecard(observed({"control": control, "b": control})).decision.reason


def test_metrics_that_do_not_vary_are_said_so_by_name(observed, sample):
    """Every control visitor spends 5, every treated one 6: no variance within either arm, and no column's name."""
    arms = {"control": sample(200, 200, value=5, spread=0), "b": sample(200, 200, value=6, spread=0)}
    reason = scorecard(observed(arms, source="table")).decision.reason
    assert "revenue per visitor does not vary within either arm." in reason
    assert "purchase:value" not in reason
    card = scorecard(observed({"control": sample(200, 0), "b": sample(200, 20)}, source="table"))
    comparison = card.metric("average_order_value").comparison("b")
    assert comparison.reason == "the number of “purchase” is not above 0 in the control"
    assert comparison.lift.reason == comparison.reason


def test_a_table_that_is_too_small_promises_nothing(observed, sample):
    """A table stays `collecting` in the action; its words do not wait for data that will not come."""
    small = scorecard(observed({"control": sample(60, 1), "b": sample(60, 8)}, source="table"))
    assert decided(small) == ("collecting", None)
    assert small.decision.reason == (
        "This table is too small to decide: 9 conversions in “b” and “control” together, where 100 are needed. "
        "A new experiment needs at least these, about 1,334 visitors at this rate."
    )
    one = scorecard(observed({"control": sample(200, 5), "b": sample(1, 0)}, source="table", weights=(200, 1)))
    assert one.decision.reason.startswith(
        "This table cannot decide: revenue per visitor in “b” cannot be compared: 1 v"
    )
    empty = scorecard(observed({"control": sample(0, 0), "b": sample(0, 0)}, source="table"))
    assert empty.decision.reason == "This table cannot decide: it has no visitors."
    for card in (small, one, empty):
        assert "yet" not in card.decision.reason


def test_nothing_against_a_hundred_is_an_effect(observed, sample):
    """In equal arms 0 against 100 conversions ships, without a lift, which a control of 0 does not have."""
    card = scorecard(observed({"control": sample(2_000, 0), "b": sample(2_000, 100)}, source="table"))
    assert decided(card) == ("ship", "b")
    assert "(too early for a lift; always-valid 95% interval" in card.decision.reason


@pytest.mark.parametrize(("orders", "early"), [(59, True), (60, False)])
def test_a_lift_wants_sixty_conversions_in_the_control(observed, sample, orders, early):
    """Below 60 conversions of the control the decision gives the difference alone."""
    reason = scorecard(observed({"control": sample(2_000, orders), "b": sample(2_000, 150)})).decision.reason
    assert ("too early for a lift" in reason) == early
    assert ("%; always-valid" in reason) != early
