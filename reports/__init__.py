"""From observations to what people read: the scorecard with its decision, for JSON, the terminal and the page."""

from __future__ import annotations

from .course import Course, course
from .html import render_html
from .recording import Reviewed, make_look, record_look
from .scorecard import scorecard
from .text import render_course, render_text
from .tree import Scorecard

__all__ = [
    "Course",
    "Reviewed",
    "Scorecard",
    "course",
    "make_look",
    "record_look",
    "render_course",
    "render_html",
    "render_text",
    "scorecard",
]
