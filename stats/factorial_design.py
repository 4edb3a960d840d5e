"""Which effects a set of cells can tell apart: the grid of factors, the model's matrix, its aliases.

A term is a main effect or an interaction, written `price` or `price:timing`. Each has (levels - 1) columns a factor, in
sum-to-zero coding, so that a term's own columns hold its effect averaged over all other factors.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import combinations, product
from math import prod

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .showing import Row, Shown

__all__ = ["MEAN", "MOST_CELLS", "Aliases", "CellModel", "Grid", "factorial_aliases", "show_cell"]

Array = NDArray[np.float64]
Cell = tuple[Hashable, ...]
Term = tuple[str, ...]

MEAN = "the mean"
"""The name of the term without factors."""

MOST_CELLS = 256
"""Most combinations of levels: beyond, a table of all effects helps nobody."""


@dataclass(frozen=True, slots=True)
class Aliases(Shown):
    """What the cells of a design do not tell apart.

    Attributes:
        confounded: for every term that cannot be estimated, the terms that it is confounded with: an effect of one
            looks like an effect of the other. Terms that are not listed can be estimated.
        missing: combinations of levels that have no cell.

    Example:
        >>> half = [("a0", "b0", "c1"), ("a1", "b0", "c0"), ("a0", "b1", "c0"), ("a1", "b1", "c1")]
        >>> factors = {"A": ("a0", "a1"), "B": ("b0", "b1"), "C": ("c0", "c1")}
        >>> factorial_aliases(factors, half).confounded["A"]
        ('B:C',)
    """

    confounded: dict[str, tuple[str, ...]]
    missing: tuple[Cell, ...]

    def to_dicts(self) -> list[Row]:
        """One row a term that cannot be estimated."""
        return [{"term": term, "confounded_with": ", ".join(others)} for term, others in self.confounded.items()]


def factorial_aliases(
    factors: Mapping[str, Sequence[Hashable]], cells: Sequence[Cell], *, model: Sequence[str] | None = None
) -> Aliases:
    """Which main effects and interactions a set of cells confounds with one another, before any data.

    From the null space of the model's matrix: two terms are confounded where some smallest dependence among its columns
    has both (Box, Hunter and Hunter 2005, chapter 6, for fractions of two-level designs). Assumes that every term of
    the model may differ from 0. Not for judging how precise the other effects are: `compare_factorial` has standard
    errors and detectable effects.

    Args:
        factors: levels of each factor, the reference first.
        cells: the combinations of levels that are to have visitors, each in the order of the factors.
        model: terms such as `["A", "B", "A:B"]`; all where None.

    Raises:
        InputError: as `compare_factorial`.

    Example:
        >>> three_of_four = [("early", 10), ("early", 9), ("late", 10)]
        >>> print(factorial_aliases({"timing": ("early", "late"), "price": (10, 9)}, three_of_four))
        term          confounded_with
        the mean      timing, price, timing:price
        timing        the mean, price, timing:price
        price         the mean, timing, timing:price
        timing:price  the mean, timing, price
    """
    grid = Grid.of(factors)
    known = CellModel(grid, [grid.check(cell) for cell in cells], model)
    present = set(known.present)
    return Aliases(known.confounded(), tuple(cell for cell in grid.cells if cell not in present))


@dataclass(frozen=True)
class Grid:
    """All combinations of the factors' levels, the last factor fastest."""

    factors: dict[str, tuple[Hashable, ...]]
    cells: tuple[Cell, ...]

    @classmethod
    def of(cls, factors: Mapping[str, Sequence[Hashable]]) -> Grid:
        """The grid of some factors.

        Raises:
            InputError: no factors, one without two different levels, an impossible name, or too many combinations.
        """
        if not factors:
            raise InputError("there are no factors; at least one with two levels is needed")
        known = {}
        for name, levels in factors.items():
            if not isinstance(name, str) or not name or ":" in name:
                raise InputError(f"a factor is named {name!r}; a text without a colon is needed")
            if isinstance(levels, str) or len(set(levels)) != len(levels) or len(levels) < 2:
                raise InputError(f"factor {name!r} has the levels {levels!r}; two or more different ones are needed")
            known[name] = tuple(levels)
        count = prod(map(len, known.values()))
        if count > MOST_CELLS:
            raise InputError(
                f"{len(known)} factors have {count:,} combinations of levels; at most {MOST_CELLS:,} are analysed",
                hint="Leave out a factor, or name fewer levels.",
            )
        return cls(known, tuple(product(*known.values())))

    @property
    def terms(self) -> tuple[Term, ...]:
        """All main effects, then all two-way interactions, and so on."""
        names = list(self.factors)
        return tuple(term for size in range(1, len(names) + 1) for term in combinations(names, size))

    def term(self, name: str) -> Term:
        """The term that a name such as `price:timing` stands for, whatever the order of its factors."""
        parts = name.split(":") if isinstance(name, str) else []
        if not parts or len(set(parts)) != len(parts) or not set(parts) <= set(self.factors):
            raise InputError(
                f"there is no term {name!r}",
                hint=f"Terms are factors joined by colons: {', '.join(map(term_name, self.terms[:12]))}",
            )
        return tuple(factor for factor in self.factors if factor in parts)

    def check(self, cell: object) -> Cell:
        """A cell's key, if it is one of the grid."""
        key = cell if isinstance(cell, tuple) else (cell,)
        if len(key) != len(self.factors):
            raise InputError(f"cell {cell!r} has {len(key)} levels; the factors are {list(self.factors)}")
        for level, (name, levels) in zip(key, self.factors.items(), strict=True):
            if level not in levels:
                raise InputError(f"cell {cell!r} has {name} {level!r}; its levels are {list(levels)}")
        return key

    def columns(self, term: Term) -> Array:
        """The term's columns of the model's matrix, shape (cells, columns)."""
        return self._combined({name: _sum_to_zero(len(self.factors[name])) for name in term})

    def contrasts(self, term: Term, sizes: Array | None = None) -> tuple[list[str], Array]:
        """Names and coefficients, shape (contrasts, cells), of a term: every level against the first, and differences
        of these for interactions.

        Over the levels of the other factors it is averaged with equal weights, or by how many visitors each of their
        combinations has, of the cells' `sizes`.
        """
        differences = {name: _against_first(len(self.factors[name])) for name in term}
        rows = self._combined({name: block.T for name, block in differences.items()}).T
        if sizes is None:
            share = np.full(len(self.cells), prod(len(self.factors[name]) for name in term) / len(self.cells))
        else:
            share = self._share_of_others(term, sizes)
        steps = [[(name, level) for level in self.factors[name][1:]] for name in term]
        names = [
            " × ".join(f"{name}: {level} v {self.factors[name][0]}" for name, level in step) for step in product(*steps)
        ]
        return names, rows * share

    def _combined(self, blocks: Mapping[str, Array]) -> Array:
        """Kronecker product over the factors, with a column of ones for those that have no block."""
        parts = [blocks.get(name, np.ones((len(levels), 1))) for name, levels in self.factors.items()]
        return reduce(np.kron, parts).astype(np.float64)

    def _share_of_others(self, term: Term, sizes: Array) -> Array:
        """For every cell, the share of all visitors who have its levels of the factors outside the term."""
        others = [at for at, name in enumerate(self.factors) if name not in term]
        keys = [tuple(cell[at] for at in others) for cell in self.cells]
        count = dict.fromkeys(keys, 0.0)
        for key, size in zip(keys, sizes.tolist(), strict=True):
            count[key] += size
        total = sum(count.values())
        return np.array([count[key] / total for key in keys])


class CellModel:
    """A linear model of the means of those cells that are present.

    Attributes:
        present: the cells that have data, in the grid's order.
        terms: those of the model; the others are taken as 0.
        rank: how many parameters the present cells determine.
    """

    def __init__(self, grid: Grid, present: Sequence[Cell], model: Sequence[str] | None):
        self.grid = grid
        chosen = set(present)
        if len(chosen) != len(present):
            raise InputError("a combination of levels is given twice", hint="Add the moments of its cells: a + b.")
        self.present = [cell for cell in grid.cells if cell in chosen]
        self.at = [at for at, cell in enumerate(grid.cells) if cell in chosen]
        self.terms = _hierarchical(grid, model)
        blocks = [np.ones((len(grid.cells), 1)), *(grid.columns(term) for term in self.terms)]
        self.matrix = np.hstack(blocks)
        names = [MEAN, *map(term_name, self.terms)]
        self.owner = [name for name, block in zip(names, blocks, strict=True) for _ in range(block.shape[1])]
        if self.is_full:
            self.null = np.zeros((0, len(self.owner)))
        else:
            self.null = _null_space(self.matrix[self.at])
        self.rank = len(self.owner) - len(self.null)
        self.components = _components(self.null)

    @property
    def is_full(self) -> bool:
        """Every cell is there and every term in the model: effects are plain contrasts of the cells."""
        return len(self.at) == len(self.grid.cells) == self.matrix.shape[1]

    @property
    def is_saturated(self) -> bool:
        """The model fits every cell exactly, so that the cells' weights do not matter."""
        return self.rank == len(self.at)

    def confounded(self) -> dict[str, tuple[str, ...]]:
        """For every term with a column that cannot be estimated, those in the same dependences."""
        found = {}
        for name in dict.fromkeys(self.owner):
            mine = {column for column, owner in enumerate(self.owner) if owner == name}
            linked = self._linked(mine)
            if linked is not None:
                found[name] = tuple(other for other in linked if other != name)
        return found

    def relies_on(self, term: Term) -> tuple[str, ...]:
        """Terms left out of the model that the present cells do not tell this one from."""
        if len(self.at) == len(self.grid.cells):
            return ()
        kept = {MEAN, *map(term_name, self.terms)}
        return tuple(other for other in self._everything.get(term_name(term), ()) if other not in kept)

    @cached_property
    def _everything(self) -> dict[str, tuple[str, ...]]:
        """What would be confounded if no term were left out."""
        return (self if self.terms == self.grid.terms else CellModel(self.grid, self.present, None)).confounded()

    def aliased_with(self, term: Term, contrast: Array) -> tuple[str, ...] | None:
        """Other terms that a term's contrast of all cells cannot be told from; None where it can be estimated."""
        if self.is_full:
            return None
        loading = contrast @ self.matrix
        if not len(self.null) or np.abs(self.null @ loading).max() <= 1e-9 * np.abs(loading).max():
            return None
        linked = self._linked({at for at, size in enumerate(loading.tolist()) if abs(size) > 1e-9}) or ()
        return tuple(other for other in linked if other != term_name(term))

    def coefficients(self, contrast: Array, variance: Array) -> Array:
        """What the estimate of a contrast takes of each present cell, by weighted least squares; shape (present,).

        β = (X'Σ⁻¹X)⁻¹X'Σ⁻¹m with Σ = diag(variance), none of which may be 0 unless the model is saturated.
        """
        if self.is_full:
            return contrast
        root = np.ones(len(self.at)) if self.is_saturated else np.sqrt(variance.min() / variance)
        weighted = self.matrix[self.at] * root[:, None]
        left, size, right = np.linalg.svd(weighted, full_matrices=False)
        loading = contrast @ self.matrix
        return ((loading @ right[: self.rank].T) / size[: self.rank]) @ left[:, : self.rank].T * root

    def lack_of_fit(self, mean: Array, variance: Array) -> float:
        """(m - Xβ)'Σ⁻¹(m - Xβ): what the model leaves between the cells, in units of their variances."""
        root = 1 / np.sqrt(variance)
        left = np.linalg.svd(self.matrix[self.at] * root[:, None], full_matrices=False)[0][:, : self.rank]
        standard = mean * root
        rest = standard - left @ (left.T @ standard)
        return float(rest @ rest)

    def _linked(self, columns: set[int]) -> tuple[str, ...] | None:
        together = [group for group in self.components if group & columns]
        if not together:
            return None
        owners = {self.owner[column] for group in together for column in group}
        return tuple(name for name in dict.fromkeys(self.owner) if name in owners)


def term_name(term: Term) -> str:
    return ":".join(term)


def show_cell(cell: Cell) -> str:
    """A cell for readers: its levels, joined."""
    return " / ".join(map(str, cell))


def _hierarchical(grid: Grid, model: Sequence[str] | None) -> tuple[Term, ...]:
    if model is None:
        return grid.terms
    if isinstance(model, str):
        raise InputError(f"the model is {model!r}; a list of terms is needed, such as [{model!r}]")
    chosen = {grid.term(name) for name in model}
    for term in chosen:
        lower = [part for size in range(1, len(term)) for part in combinations(term, size) if part not in chosen]
        if lower:
            raise InputError(
                f"the model has {term_name(term)!r} without {term_name(lower[0])!r}",
                hint="An interaction is read beside the effects that it is made of: name these too.",
            )
    return tuple(term for term in grid.terms if term in chosen)


def _sum_to_zero(levels: int) -> Array:
    """Coding of a factor, shape (levels, levels - 1): columns that sum to 0, the first level -1 in each."""
    return np.vstack([-np.ones((1, levels - 1)), np.eye(levels - 1)])


def _against_first(levels: int) -> Array:
    """Every level but the first, less the first; shape (levels - 1, levels)."""
    return np.hstack([-np.ones((levels - 1, 1)), np.eye(levels - 1)])


def _null_space(matrix: Array) -> Array:
    """Dependences among columns, one a row: each later column that earlier ones make up, with what they make it of."""
    kept: list[int] = []
    made: list[int] = []
    basis = np.zeros((len(matrix), min(matrix.shape)))
    for at, column in enumerate(matrix.T):
        known = basis[:, : len(kept)]
        size = float(np.linalg.norm(column))
        # Twice, since one projection leaves rounding.
        rest = column - known @ (known.T @ column)
        rest = rest - known @ (known.T @ rest)
        length = float(np.linalg.norm(rest))
        if size > 0 and length > 1e-9 * size:
            basis[:, len(kept)] = rest / length
            kept.append(at)
        else:
            made.append(at)
    rows = np.zeros((len(made), matrix.shape[1]))
    rows[np.arange(len(made)), made] = 1.0
    if kept and made:
        parts = np.linalg.lstsq(matrix[:, kept], matrix[:, made], rcond=None)[0].T
        rows[:, kept] = np.where(np.abs(parts) > 1e-9, -parts, 0.0)
    return rows


def _components(null: Array) -> list[set[int]]:
    """Columns that share a smallest dependence: the connected components of the matroid that they span."""
    groups: list[set[int]] = []
    for row in null:
        group = set(np.flatnonzero(row).tolist())
        apart = []
        for other in groups:
            if group & other:
                group |= other
            else:
                apart.append(other)
        groups = [*apart, group]
    return groups
