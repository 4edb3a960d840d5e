"""The nearest known name to one that somebody mistyped: "Did you mean ...?"."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["known_or_nearest", "nearest"]

LISTED = 20
"""Most names that a hint lists."""


def nearest(value: str, known: Iterable[str], *, cutoff: float = 0.5) -> str | None:
    """The known name that is most like `value`, upper and lower case apart; None where none is.

    Args:
        value: what was written.
        known: what may be written.
        cutoff: how alike it must be, from 0 to 1 (all the same), by difflib's ratio.
    """
    # Loaded by those who made a mistake alone.
    from difflib import get_close_matches

    names = {name.casefold(): name for name in known}
    found = get_close_matches(value.casefold(), names, n=1, cutoff=cutoff)
    return names[found[0]] if found else None


def known_or_nearest(
    value: str, known: Iterable[str], *, whose: str = "There are", none: str = "There is none."
) -> str:
    """A hint for an unknown name: the nearest one, else all that there are.

    Args:
        value: what was written.
        known: what may be written, in the order in which it is listed.
        whose: how the list begins, such as "Its arms".
        none: what is said where nothing is known.
    """
    names = list(known)
    near = nearest(value, names)
    if near is not None:
        return f"Did you mean {near!r}?"
    if not names:
        return none
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{whose}: {', '.join(names[:LISTED])}{more}."
