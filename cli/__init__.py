"""The command line: parse, call, print. Everything it does can be called from Python as well."""

from __future__ import annotations

from .app import cli, main

__all__ = ["cli", "main"]
