"""Rules that no visitor can ever meet together, such as at least 8 and at most 5."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import attrgetter

from .eligibility import Eligibility, describe
from .rules import Rule

__all__ = ["contradiction"]

_LOWER, _UPPER = ("gt", "gte"), ("lt", "lte")


def contradiction(rules: Iterable[Rule]) -> str:
    """What cannot hold together, such as "satisfaction ≥ 8 and satisfaction ≤ 5"; "" where somebody may meet all."""
    by_attribute: dict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        by_attribute[rule.attribute].append(rule)
    for own in by_attribute.values():
        if _impossible(own):
            return " and ".join(dict.fromkeys(map(describe, own)))
    return ""


def _impossible(rules: Sequence[Rule]) -> bool:
    if any(rule.op == "exists" and rule.value is False for rule in rules):
        return any(rule.op != "exists" or rule.value is not False for rule in rules)
    listed = [rule for rule in rules if rule.op in ("eq", "in")]
    if listed:
        # A list of what is allowed can be tried out, by the very rules that visitors meet.
        values = listed[0].value if isinstance(listed[0].value, tuple) else (listed[0].value,)
        check = Eligibility([rule for rule in rules if rule.op != "contains"])
        return all(check.refusal({rules[0].attribute: value}) for value in values)
    bounds = [rule for rule in rules if rule.op in _LOWER + _UPPER]
    if len({isinstance(rule.value, str) for rule in bounds}) > 1:
        return True
    # Numbers or texts, which are not compared with each other: of one kind, as seen above.
    value = attrgetter("value")
    lower = max(((value(rule), rule.op == "gt") for rule in bounds if rule.op in _LOWER), default=None)
    upper = min(((value(rule), rule.op != "lt") for rule in bounds if rule.op in _UPPER), default=None)
    if lower is None or upper is None:
        return False
    strict = lower[1] or not upper[1]
    return lower[0] > upper[0] or (strict and lower[0] == upper[0])
