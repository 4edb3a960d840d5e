"""Pages of one HTML file that need neither network nor JavaScript: the report of experiments."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from . import format as fmt
from .bars import axis
from .charts import Truth
from .overview import NARROWEST, lifts, overview_scale
from .section import CHECKS, ICONS, STATUS_ICONS, section
from .tree import Scorecard

__all__ = ["Truth", "render_html", "render_page", "style_hash"]


def render_html(
    scorecards: Sequence[Scorecard], *, truth: Mapping[str, Truth] | None = None, title: str | None = None
) -> str:
    """The page as a string.

    Args:
        scorecards: at least one; several get an overview on top.
        truth: experiment -> metric -> arm -> (true difference, true lift) where a simulator knows them; shown beside
            the estimates.
        title: of the page; the experiment's key where None.
    """
    truth = truth or {}
    sections = [section(at, card, truth.get(card.experiment)) for at, card in enumerate(scorecards, start=1)]
    scale = overview_scale(scorecards)
    names = fmt.join([card.experiment for card in scorecards])
    return render_page(
        "report.html.j2",
        title=title or f"{names}: experiment report",
        # One experiment has its key as the heading below; the page's must not say it again.
        heading=title or ("Experiment report" if len(scorecards) == 1 else f"{names}: experiment report"),
        sections=sections,
        overview=[{**shown, "lifts": lifts(shown["card"], scale)} for shown in sections] if len(sections) > 1 else None,
        lift_axis=axis(scale, lambda x: fmt.lift(x, 0.2) if x else "0%", most=4, narrowest=NARROWEST),
        simulated=any(shown["truth"] for shown in sections),
        generated_by=scorecards[0].generated_by if scorecards else "offerlift",
    )


def render_page(template: str, **shown: Any) -> str:
    """One of the templates, filled; every name in it is escaped."""
    return _environment().get_template(template).render(css=_resource("report.css"), style_hash=style_hash(), **shown)


@cache
def style_hash() -> str:
    """The style sheet of every page as a source of a content security policy, which then allows no other style."""
    sheet = f"\n{_resource('report.css')}\n"
    return f"sha256-{b64encode(sha256(sheet.encode()).digest()).decode()}"


@cache
def _resource(name: str) -> str:
    return files(__package__ or "offerlift.reports").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _environment() -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = _unbroken
    environment.globals.update(fmt=fmt, ICONS=ICONS, STATUS_ICONS=STATUS_ICONS, CHECKS=CHECKS)
    return environment


def _unbroken(text: str) -> Any:
    """The escaped text, with signed numbers and names in quotes kept on one line: browsers break after a plus sign."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"([+−]\S*\d\S*)", r'<span class="nb">\1</span>', str(escape(text))))
