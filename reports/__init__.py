"""From observations to what people read: the scorecard with its decision, for JSON, the terminal and the page."""

from __future__ import annotations

from .html import render_html
from .scorecard import scorecard
from .text import render_text
from .tree import Scorecard

__all__ = ["Scorecard", "render_html", "render_text", "scorecard"]
