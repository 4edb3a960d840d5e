"""Experiments that share visitors: does one change what the other does?

Visitors who are in two experiments at once were assigned to each at random, so that both effects stay unbiased. What
one effect *is*, though, may depend on the arm of the other experiment: an interaction, and a reason to run one after
the other next time, or to ship only one of the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import InputError
from .contrasts import Contrast, Scale, WaldTest, adjusted
from .factorial import compare_factorial
from .moments import Moments
from .showing import Row, Shown

__all__ = ["OverlapInteraction", "Overlaps", "overlap_interactions"]

Strata = Sequence[Moments]


@dataclass(frozen=True, slots=True)
class OverlapInteraction(Shown):
    """Two experiments with visitors in both.

    Attributes:
        experiments: their names.
        visitors: how many are in both.
        test: that no effect of one depends on the other's arm; `p_adjusted` among all pairs.
        contrasts: for each pair of treatments, (treatment of the first less its control) among those with the second's
            treatment, less the same among those with the second's control; `detectable` is what could have been found.

    Example:
        >>> OverlapInteraction(("price", "banner"), 0, WaldTest("aliased", "nobody is in both"), ()).test.status
        'aliased'
    """

    experiments: tuple[str, str]
    visitors: int
    test: WaldTest
    contrasts: tuple[Contrast, ...]

    def to_dicts(self) -> list[Row]:
        """One row a contrast; one with the reason where there are none."""
        first = {"first": self.experiments[0], "second": self.experiments[1], "visitors": self.visitors}
        if not self.contrasts:
            return [{**first, "status": self.test.status, "reason": self.test.reason}]
        return [{**first, **row} for one in self.contrasts for row in one.to_dicts()]


@dataclass(frozen=True, slots=True)
class Overlaps(Shown):
    """All pairs of experiments that share visitors.

    Attributes:
        pairs: in the order given.
        scale, alpha, power: as asked for.
        multiplicity: how p-values are adjusted.

    Example:
        >>> Overlaps((), "additive", 0.05, 0.8, "").interacting()
        ()
    """

    pairs: tuple[OverlapInteraction, ...]
    scale: Scale
    alpha: float
    power: float
    multiplicity: str

    def interacting(self) -> tuple[OverlapInteraction, ...]:
        """Pairs whose adjusted p-value is at most alpha."""
        return tuple(one for one in self.pairs if one.test.p_adjusted is not None and one.test.p_adjusted <= self.alpha)

    def to_dicts(self) -> list[Row]:
        """One row a contrast."""
        return [row for one in self.pairs for row in one.to_dicts()]


def overlap_interactions(
    pairs: Mapping[tuple[str, str], Mapping[tuple[str, str], Moments | Strata]],
    arms: Mapping[str, Sequence[str]],
    column: str,
    *,
    per: str | None = None,
    scale: Scale = "additive",
    alpha: float = 0.05,
    power: float = 0.8,
) -> Overlaps:
    """Whether the effects of experiments that share visitors depend on each other's arms, with what could be seen.

    For each pair the interaction of a factorial of their arms (`compare_factorial`): a difference of differences of the
    means of those in both, Wald's test for several at once. Over the pairs Benjamini and Hochberg (1995), over their
    tests and over their single contrasts: of the pairs that are listed as interacting at most a share of alpha is
    expected to be false. Its standard error is that of a difference between arms with a quarter of the visitors: where
    `detectable` is larger than any effect worth fearing, no finding says little.

    Assumes that both experiments assign independently of each other; not for experiments that exclude each other, whose
    visitors are never in both, nor for comparing which of two offers is better.

    Args:
        pairs: by the two experiments' names, the moments of the visitors in both by (arm of the first, arm of the
            second); over phases a sequence of moments each.
        arms: of every experiment its arms, the control first.
        column: the metric's column.
        per: of a ratio of sums the denominator's column.
        scale: `additive`, or `log` for effects that multiply: on it, two offers that both bring 5 % do not interact
            where they bring 10.25 % together.
        alpha: 1 minus the confidence level; and the false discoveries accepted.
        power: of the detectable effects, each at alpha over the number of contrasts of its pair.

    Returns:
        Status of a pair `aliased` where combinations of arms have no visitors, `insufficient` or `undefined` as in
        `compare_factorial`.

    Raises:
        InputError: an experiment without arms, an arm that is not one of them, or as `compare_factorial`.

    Example:
        >>> from offerlift.stats import Moments
        >>> def cell(mean):
        ...     return Moments.from_arrays({"margin": [mean - 1, mean, mean + 1] * 50})
        >>> both = {("old", "no"): cell(5), ("old", "yes"): cell(6), ("new", "no"): cell(6), ("new", "yes"): cell(6)}
        >>> arms = {"price": ("old", "new"), "banner": ("no", "yes")}
        >>> found = overlap_interactions({("price", "banner"): both}, arms, "margin")
        >>> found.pairs[0].contrasts[0].estimate, len(found.interacting())
        (-1.0, 1)
    """
    found = [_pair(names, cells, arms, column, per, scale, alpha, power) for names, cells in pairs.items()]
    tests = adjusted([one.test for one in found], "bh")
    contrasts = iter(adjusted([contrast for one in found for contrast in one.contrasts], "bh"))
    judged = tuple(
        replace(one, test=test, contrasts=tuple(next(contrasts) for _ in one.contrasts))
        for one, test in zip(found, tests, strict=True)
    )
    return Overlaps(judged, scale, alpha, power, "Benjamini and Hochberg (1995) over all pairs")


def _pair(
    names: tuple[str, str],
    cells: Mapping[tuple[str, str], Moments | Strata],
    arms: Mapping[str, Sequence[str]],
    column: str,
    per: str | None,
    scale: Scale,
    alpha: float,
    power: float,
) -> OverlapInteraction:
    if len(set(names)) != 2:
        raise InputError(f"a pair of experiments is {names!r}; two different names are needed")
    for name in names:
        if name not in arms:
            raise InputError(f"experiment {name!r} has no arms; there are those of {list(arms)}")
    term = ":".join(names)
    factors = {name: arms[name] for name in names}
    found = compare_factorial(cells, factors, column, per=per, scale=scale, family=[term], alpha=alpha, power=power)
    visitors = sum(cell.visitors for cell in found.cells)
    if found.status != "ok":
        return OverlapInteraction(names, visitors, WaldTest(found.status, found.reason), ())
    effect = found[term]
    test = effect.test
    if test.status == "aliased":
        empty = [" with ".join(map(str, cell.levels)) for cell in found.cells if cell.status == "empty"]
        test = replace(test, reason=f"nobody, or one visitor alone, had {' or '.join(empty)}")
    return OverlapInteraction(names, visitors, test, effect.contrasts)
