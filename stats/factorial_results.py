"""What the analysis of a factorial experiment returns."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import InputError
from .contrasts import Contrast, Scale, Status, WaldTest
from .factorial_design import Cell, show_cell
from .moments import Moments
from .showing import Row, Shown, html_table, paragraphs, text_table

__all__ = ["CellWeights", "FactorialCell", "FactorialComparison", "FactorialEffect", "LackOfFit"]

CellWeights = Literal["equal", "visitors"]
Strata = Sequence[Moments]


@dataclass(frozen=True, slots=True)
class FactorialCell(Shown):
    """One combination of levels.

    Attributes:
        levels: in the order of the factors.
        visitors: how many it has.
        status: `ok`; `empty` (no visitors, or one) or `undefined` (no mean on the scale asked for), with a `reason`.
        mean, se: in the metric's unit whatever the scale.
        shrunk, shrunk_se: the mean drawn towards that of all cells: what to expect of it, where `mean` is too large for
            a cell that was picked as the best. None where too little is known to say.
        probability_best: that no other tested cell is better, of the shrunk means.

    Example:
        >>> FactorialCell(("late", 9), 0, "empty", "no visitors").mean is None
        True
    """

    levels: Cell
    visitors: int
    status: Literal["ok", "empty", "undefined"]
    reason: str = ""
    mean: float | None = None
    se: float | None = None
    shrunk: float | None = None
    shrunk_se: float | None = None
    probability_best: float | None = None


@dataclass(frozen=True, slots=True)
class FactorialEffect(Shown):
    """A main effect or an interaction.

    Attributes:
        term: such as `price` or `timing:price`.
        order: 1 for a main effect, 2 for a two-way interaction, ...
        in_family: whether it was to be tested; the others are exploratory and have no adjusted p-values.
        test: that all of its contrasts are 0.
        contrasts: every level against the first; differences of these for interactions.
        confounded_with: terms that the cells do not tell it from. Where the model leaves these out, its numbers take
            them as 0; where not, it is `aliased` and has none.

    Example:
        >>> from offerlift.stats import Moments, compare_factorial
        >>> def cell(mean):
        ...     return Moments.from_arrays({"margin": [mean - 1, mean, mean + 1] * 50})
        >>> cells = {("no", "no"): cell(5), ("no", "yes"): cell(6), ("yes", "no"): cell(7), ("yes", "yes"): cell(9)}
        >>> found = compare_factorial(cells, {"discount": ("no", "yes"), "shipping": ("no", "yes")}, "margin")
        >>> found["discount:shipping"].contrasts[0].estimate
        1.0
    """

    term: str
    order: int
    in_family: bool
    test: WaldTest
    contrasts: tuple[Contrast, ...]
    confounded_with: tuple[str, ...] = ()

    def to_dicts(self) -> list[Row]:
        """One row a contrast."""
        return [
            {"term": self.term, "in_family": self.in_family, **row} for one in self.contrasts for row in one.to_dicts()
        ]


@dataclass(frozen=True, slots=True)
class LackOfFit(Shown):
    """Whether a reduced model leaves more between the cells than chance: χ² with cells - parameters degrees of freedom.

    Attributes:
        status: `ok`; `saturated` where the model fits every cell exactly and nothing is left to test it by.

    Example:
        >>> LackOfFit("saturated", "the model has as many parameters as there are cells").chi_squared is None
        True
    """

    status: Literal["ok", "saturated"]
    reason: str = ""
    chi_squared: float | None = None
    df: int | None = None
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class FactorialComparison(Shown):
    """A factorial experiment on one metric.

    Attributes:
        status: `ok`; `insufficient` or `undefined` with a `reason`, and then without effects.
        column, per: the metric, and of a ratio its denominator.
        factors: levels by factor, the reference first.
        scale: `additive`, in the metric's unit, or `log`, relative.
        weights: how a main effect averages over the other factors: `equal`, every combination alike, or `visitors`.
        model: terms of the model; the others are taken as 0.
        family: terms tested, among which p-values are adjusted.
        multiplicity: how.
        alpha, power: of the intervals and of the detectable effects.
        effects: by order of interaction.
        cells: all combinations of levels.
        best: the best of the tested cells by its shrunk mean, or by its raw one where there is no shrunk.
        lack_of_fit: of the model.
        inputs: the cells' moments.
        warning: on the log scale, where a cell's mean is known too badly for its logarithm; "" otherwise.

    Example:
        >>> from offerlift.stats import Moments, compare_factorial
        >>> def cell(mean):
        ...     return Moments.from_arrays({"margin": [mean - 1, mean, mean + 1] * 50})
        >>> cells = {("no", "no"): cell(5), ("no", "yes"): cell(6), ("yes", "no"): cell(7), ("yes", "yes"): cell(9)}
        >>> found = compare_factorial(cells, {"discount": ("no", "yes"), "shipping": ("no", "yes")}, "margin")
        >>> found.best.levels, found.weights
        (('yes', 'yes'), 'equal')
    """

    status: Status
    reason: str
    column: str
    per: str | None
    factors: dict[str, tuple[Hashable, ...]]
    scale: Scale
    weights: CellWeights
    model: tuple[str, ...]
    family: tuple[str, ...]
    multiplicity: str
    alpha: float
    power: float
    effects: tuple[FactorialEffect, ...]
    cells: tuple[FactorialCell, ...]
    best: FactorialCell | None
    lack_of_fit: LackOfFit | None
    inputs: Mapping[Cell, Strata]
    warning: str = ""

    def __getitem__(self, term: str) -> FactorialEffect:
        """The effect of a term.

        Raises:
            InputError: it is not in the model.
        """
        for one in self.effects:
            if one.term == term:
                return one
        raise InputError(f"there is no effect {term!r}; there are {[one.term for one in self.effects]}")

    def to_dicts(self) -> list[Row]:
        """One row a contrast, in the order of the effects."""
        return [row for one in self.effects for row in one.to_dicts()]

    def __str__(self) -> str:
        return "\n".join([*([text_table(self.to_dicts())] if self.effects else []), *self.notes()])

    def _repr_html_(self) -> str:
        return f"{html_table(self.to_dicts())}{paragraphs(self.notes())}"

    def notes(self) -> list[str]:
        """What the table does not say: scale, weights, family, lack of fit and the best cell, a sentence each."""
        lines = [said for said in (self.reason, self.warning) if said]
        averaged = "all combinations alike" if self.weights == "equal" else "combinations by their visitors"
        unit = "relative, on the log scale" if self.scale == "log" else "in the metric's unit"
        lines.append(f"Effects are {unit}, and average over the other factors' levels with {averaged}.")
        lines.append(f"Family tested: {', '.join(self.family)}. {self.multiplicity}.")
        for one in self.effects:
            if one.confounded_with and one.test.status == "ok":
                lines.append(f"{one.term} is right only where {', '.join(one.confounded_with)} make no difference.")
        fit = self.lack_of_fit
        if fit is not None and fit.p_value is not None:
            lines.append(f"Lack of fit: χ² {fit.chi_squared:.4g} on {fit.df} df, p = {fit.p_value:.3g}.")
        if self.best is not None:
            shrunk = "" if self.best.shrunk is None else f", shrunk {self.best.shrunk:.4g}"
            lines.append(f"Best cell tested: {show_cell(self.best.levels)}, mean {self.best.mean:.4g}{shrunk}.")
        return lines
