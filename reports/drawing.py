"""Drawing: figures of matplotlib as inline SVG or PNG.

An SVG is deterministic, and its colours are CSS variables with the colour itself as the fallback, so that a page can
follow the reader's light or dark preference. It has no `style`, which the pages' content security policy would block.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from io import BytesIO, StringIO
from typing import TYPE_CHECKING

from ..stats.plotting import GAIN, GRID, INK, LOSS, MUTED, PAPER, TRUE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["to_png", "to_svg"]

_drawing = threading.Lock()
"""Held while matplotlib draws: its settings, and the filters of warnings, are those of the process."""

VARIABLES = {INK: "ink", MUTED: "muted", GRID: "rule", PAPER: "paper", GAIN: "gain", LOSS: "loss", TRUE: "true"}


def to_svg(figure: Figure, *, title: str, description: str, prefix: str) -> str:
    """The figure as an inline SVG element.

    Args:
        figure: what to draw.
        title, description: read out by screen readers.
        prefix: of every id in it, so that several figures share a page.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with _any_script(), mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": prefix}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata=metadata)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    # A style sheet in an inline SVG would reach the whole page.
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]*; ?", "", svg)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'xlink:href="#', f'href="#{prefix}-', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}-", svg)
    svg = re.sub(r"font: (?:(\d+|bold) )?(?:italic )?([\d.]+)px [^;\"]*", _font, svg)
    for colour, name in VARIABLES.items():
        svg = svg.replace(colour, f"var(--{name}, {colour})")
    svg = re.sub(r' style="([^"]*)"', _attributes, svg)
    view = re.search(r'viewBox="([^"]+)"', svg)
    box = view.group(1) if view else "0 0 720 200"
    look = 'stroke-linejoin="round" font-family="var(--font, sans-serif)"'
    head = (
        f'<svg class="chart" role="img" aria-labelledby="{prefix}-title {prefix}-desc" viewBox="{box}" width="100%" '
        f'{look}><title id="{prefix}-title">{escape(title)}</title>'
        f'<desc id="{prefix}-desc">{escape(description)}</desc>'
    )
    return head + svg[svg.index(">") + 1 :].strip()


def to_png(figure: Figure, *, dpi: int = 150) -> bytes:
    """The figure as a PNG image on white."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = BytesIO()
    with _any_script():
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


@contextmanager
def _any_script() -> Iterator[None]:
    """Names in scripts that matplotlib's own font lacks: the reader's browser has a font for them."""
    with _drawing, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield


def _font(found: re.Match[str]) -> str:
    weight = f"; font-weight: {found.group(1)}" if found.group(1) else ""
    return f"font-size: {found.group(2)}px{weight}"


def _attributes(found: re.Match[str]) -> str:
    """The declarations of a style as attributes of the same names, which SVG has for all that matplotlib writes."""
    pairs = (one.partition(":") for one in found.group(1).split(";") if one.strip())
    return "".join(f' {name.strip()}="{value.strip()}"' for name, _, value in pairs)
