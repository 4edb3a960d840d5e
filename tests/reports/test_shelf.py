"""The shelf has every kind of experiment that a page has to show."""

from __future__ import annotations

from offerlift.reports import review_store
from offerlift.storage import Store

from ..shelf import END, fill_many


def test_every_kind_of_row_is_on_the_shelf(shelf):
    """A winner, a loser, a null past its end, a failed split, missing outcomes, and what has not been looked at."""
    rows = {row.card.experiment: row for row in review_store(shelf, END).rows}
    actions = {key: (row.group, row.card.decision.action) for key, row in rows.items()}
    assert actions["cart-free-shipping"] == ("needs_decision", "ship")
    assert actions["exit-ten-off"] == ("needs_decision", "stop_harm")
    assert actions["thank-you-upsell"] == ("needs_decision", "stop_no_effect")
    assert actions["inconclusive-guardrail"] == ("needs_decision", "review")
    assert actions["app-banner"] == ("unhealthy", "do_not_read")
    assert actions["no-outcomes"] == ("unhealthy", "do_not_read")
    assert actions["zero-conversions"] == ("running", "collecting")
    assert rows["not-looked-at-yet"].card.withheld
    assert len(rows["twelve-arms"].card.arms) == 12
    assert actions["stopped-this-week"][0] == "concluded"
    assert {actions[key][0] for key in ("stopped-long-ago", "a-draft")} == {"others"}


def test_many_experiments_are_made(tmp_path):
    """As many as asked for, each with its visitors."""
    with Store.open(tmp_path / "many.db") as store:
        fill_many(store, 5, visitors=20)
        assert len(store.experiments()) == 5
        assert store.observations("experiment-003", as_of=END).arms["b"].visitors == 20
