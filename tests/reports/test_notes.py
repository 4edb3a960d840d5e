"""What a definition asks for and no report shows yet is said, wherever a report is read."""

from __future__ import annotations

import pytest
from offerlift.reports import render_html, render_text, scorecard


@pytest.mark.parametrize("treated", [1_300, 500], ids=["healthy", "blocked"])
def test_segments_are_not_split_by_and_every_report_says_so(observed, sample, changed, treated):
    """JSON, terminal and page name the recorded segments, also while the effects are hidden."""
    arms = {"control": sample(20_000, 1_000), "b": sample(20_000 if treated == 1_300 else 15_000, treated)}
    card = scorecard(changed(observed(arms), segments=("country", "<b>device")))
    note = "Segments “country” and “<b>device”: recorded with the exposures; this report does not split by them yet."
    assert card.to_dict()["notes"] == [note]
    assert note in " ".join(render_text(card).split())
    page = render_html([card])
    assert note.replace("<", "&lt;").replace(">", "&gt;") in page
    assert "<b>device" not in page


def test_without_segments_there_is_nothing_to_say(observed, sample):
    """A definition that names none has no notes, and no report says that it does not split by one."""
    card = scorecard(observed({"control": sample(20_000, 1_000), "b": sample(20_000, 1_300)}))
    assert card.to_dict()["notes"] == []
    assert "split by" not in render_text(card)
    assert "split by" not in render_html([card])
