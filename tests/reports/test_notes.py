"""Names of segments come from files: every report shows them, and none lets them become markup."""

from __future__ import annotations

from offerlift.reports import render_html, render_text, scorecard


def test_segments_that_cannot_be_read_are_there_with_the_reason(observed, sample, changed):
    """JSON, terminal and page name each declared segment; without a store they say that only a store has them."""
    arms = {"control": sample(20_000, 1_000), "b": sample(20_000, 1_300)}
    card = scorecard(changed(observed(arms), segments=("country", "<b>device")))
    found = card.to_dict()["offers"]["segments"]
    assert [(one["segment"], one["status"]) for one in found] == [
        ("country", "unavailable"),
        ("<b>device", "unavailable"),
    ]
    assert "BY COUNTRY" in render_text(card)
    page = render_html([card])
    assert "only a store has them" in page
    assert "By &lt;b&gt;device" in page
    assert "<b>device" not in page


def test_without_segments_there_is_nothing_to_say(observed, sample):
    """A definition that names none is not split, and no report says that it is not."""
    card = scorecard(observed({"control": sample(20_000, 1_000), "b": sample(20_000, 1_300)}))
    assert card.to_dict()["offers"]["segments"] == []
    assert "pre-declared" not in render_text(card)
    assert "pre-declared" not in render_html([card])
