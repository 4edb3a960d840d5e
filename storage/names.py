"""Names and ids that can be stored, under the same rules as visitor ids."""

from __future__ import annotations

import re

from ..errors import InputError
from ..experiments.hashing import canonical_visitor

__all__ = ["check_arm", "check_event", "check_id", "check_key", "check_name"]


def check_id(what: str, value: str | int) -> str:
    """The id as it is stored: text of 1 to 255 UTF-8 bytes without NUL or surrogates, an integer in decimal.

    Raises:
        InputError: it is none; `what` names it in the message.
    """
    try:
        return canonical_visitor(value)
    except InputError as error:
        raise InputError(error.message.replace("a visitor id", what)) from error


def check_name(what: str, text: str) -> str:
    """The name, if it is text that can be stored; rules and errors as `check_id`."""
    if not isinstance(text, str):
        raise InputError(f"the name of {what} is text, seen {text!r}")
    return check_id(f"the name of {what}", text)


def check_key(key: str) -> str:
    """The key of an experiment, under the rule that definitions have: it becomes a salt, a file name, a command's word.

    Raises:
        InputError: it is none.
    """
    # Written again, not imported: the definitions' own check loads pydantic. A test compares the two.
    if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", key):
        raise InputError(
            "the key of an experiment is 1 to 100 letters, digits, '.', '_' and '-', the first a letter or digit; "
            f"seen {key!r}"
        )
    return key


def check_event(name: str) -> str:
    """The name of an event, under the rule that definitions have: else no metric could ever name it.

    Raises:
        InputError: it is none.
    """
    if not isinstance(name, str) or not 1 <= len(name) <= 100 or name != name.strip() or not name.isprintable():
        raise InputError(
            f"the name of an event is 1 to 100 printable characters without spaces around it, seen {name!r}"
        )
    if ":" in name or name in ("*", "covariate"):
        raise InputError(f"the name of an event has no ':' and is neither '*' nor 'covariate', seen {name!r}")
    return name


def check_arm(name: str) -> str:
    """The name of an arm as it is stored; what a terminal would obey instead of showing is refused.

    Raises:
        InputError: it cannot be stored, or has characters that cannot be printed.
    """
    check_name("an arm", name)
    if not name.isprintable():
        raise InputError(f"the name of an arm has printable characters only, seen {name!r}")
    return name
