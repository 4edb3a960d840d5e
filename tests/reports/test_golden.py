"""What the review says of the shelf, as text, JSON and HTML, against golden files: a changed number fails.

After a change that is meant, look at what it changes and write the files again:

    OFFERLIFT_REWRITE_GOLDEN=1 pytest tests/reports/test_golden.py && git diff tests/reports/golden
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from offerlift.reports import Review, render_review, render_review_html, render_text

GOLDEN = Path(__file__).parent / "golden"
REWRITE = "OFFERLIFT_REWRITE_GOLDEN"
CHOSEN = ("cart-free-shipping", "not-looked-at-yet", "app-banner")
"""A winner, one whose effects are withheld, and one that is blocked: of these there are whole pages."""

DIGITS = 9
"""Significant digits of JSON that are compared: the last ones are the machine's."""


@pytest.fixture(scope="module")
def fixed(reviewed) -> Review:
    """The review as if a fixed release had made it."""
    review, _ = reviewed
    rows = [
        replace(row, reviewed=replace(row.reviewed, scorecard=replace(row.card, generated_by="offerlift")))
        for row in review.rows
    ]
    return replace(review, rows=tuple(rows))


def few(review: Review) -> Review:
    """The review of the chosen experiments alone."""
    return replace(review, rows=tuple(row for row in review.rows if row.card.experiment in CHOSEN))


def rounded(value: Any) -> Any:
    """JSON with so many digits as are compared."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def plain(source: str) -> str:
    """The page without its style sheet and its hash, and of matplotlib's figures the title and description alone."""
    source = re.sub(r"<style>.*?</style>", "", source, flags=re.DOTALL)
    source = re.sub(r"sha256-[^']+", "sha256-", source)
    return re.sub(
        r'<svg class="chart"[^>]*>(<title[^>]*>.*?</title><desc[^>]*>.*?</desc>).*?</svg>',
        r"<svg>\1</svg>",
        source,
        flags=re.DOTALL,
    )


def check(name: str, text: str) -> None:
    """The text is the golden file's, or becomes it where that was asked for."""
    path = GOLDEN / name
    if os.environ.get(REWRITE):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path} differs; {REWRITE}=1 writes it again"


def test_the_overview_as_text(fixed):
    """Every experiment of the shelf, what is to be done, and its numbers."""
    check("review.txt", render_review(fixed) + "\n")


def test_the_scorecards_as_text(fixed):
    """Health, decision, arms and metrics of the chosen ones."""
    check("scorecards.txt", "\n\n\n".join(render_text(row.card) for row in few(fixed).rows) + "\n")


def test_the_scorecards_as_json(fixed):
    """Every digit that machines agree on."""
    cards = {row.card.experiment: rounded(row.card.to_dict()) for row in few(fixed).rows}
    check("scorecards.json", json.dumps(cards, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def test_the_page(fixed):
    """The whole HTML of the chosen ones: overview, pages, bars and panels."""
    check("review.html", plain(render_review_html(few(fixed))))
