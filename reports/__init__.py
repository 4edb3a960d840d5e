"""From observations to what people read: the scorecard with its decision, for JSON, the terminal and the page."""

from __future__ import annotations

from .changes import Change, change_log
from .course import Course, course
from .history import History, given_history, read_history, table_history
from .html import render_html
from .notebook import open_store
from .planning import Forecast, forecast
from .planning_text import render_forecast
from .recording import Reviewed, make_look, record_look
from .review import Review, ReviewRow, review_store
from .review_html import render_review_html
from .review_text import render_review
from .scorecard import scorecard
from .simulation import Simulation, simulate
from .simulation_text import render_simulation
from .text import render_course, render_text
from .tree import Scorecard
from .trial import PastVisitors, given_visitors, past_visitors

__all__ = [
    "Change",
    "Course",
    "Forecast",
    "History",
    "PastVisitors",
    "Review",
    "ReviewRow",
    "Reviewed",
    "Scorecard",
    "Simulation",
    "change_log",
    "course",
    "forecast",
    "given_history",
    "given_visitors",
    "make_look",
    "open_store",
    "past_visitors",
    "read_history",
    "record_look",
    "render_course",
    "render_forecast",
    "render_html",
    "render_review",
    "render_review_html",
    "render_simulation",
    "render_text",
    "review_store",
    "scorecard",
    "simulate",
    "table_history",
]
