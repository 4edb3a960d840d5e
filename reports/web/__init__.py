"""The live dashboard: the pages of the weekly review over HTTP, read-only; needs `offerlift[serve]`."""

from __future__ import annotations

from .application import app

__all__ = ["app"]
