"""What each parameter of a full grid explains: its exact share of the variance.

Conventions: a grid of p parameters with L_1 … L_p levels has one cell for each combination. The
response of a cell is its mean validation loss over seeds, and every cell weighs the same, so that
the effects are orthogonal and their sums of squares add up (Fisher 1925, Statistical Methods for
Research Workers, ch. VII). The effect of some parameters is the mean over all others, less the
effects of fewer.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nn.arrays import Array
from pipeline.compare.comparison import Candidate, Run, Shares, Value
from pipeline.compare.labels import short_names, short_value
from pipeline.text import counted

# Losses whose spread is smaller, as a share of the largest, differ by the rounding of sums.
ROUNDING = 1e-13

Level = tuple[bool, Value]  # True is not 1
Cells = dict[tuple[Level, ...], Candidate]
Repeat = int | tuple[int, int]  # the seed of the start, or the split
Cell = Mapping[Repeat, Sequence[float]]  # the responses of each repeat


@dataclass(frozen=True)
class FullGrid:
    """The losses of a full grid, shifted and scaled to -1 … 1, which changes no share."""

    names: tuple[str, ...]  # of the p parameters, each with two levels or more
    shape: tuple[int, ...]  # their numbers of levels
    cells: tuple[Cell, ...]  # in C order
    left_out: str  # the levels without which it is full, as name=value; "" where there are none
    runs: tuple[tuple[Run, ...], ...]  # of each cell

    @property
    def means(self) -> Array:
        """The response of each cell (L_1, …, L_p)."""
        return np.reshape([np.mean(_flat(cell)) for cell in self.cells], self.shape)

    @property
    def within(self) -> float:
        """The variance of the runs of a cell, its mean over cells."""
        return float(np.mean([np.var(_flat(cell)) for cell in self.cells]))

    @property
    def repeated(self) -> Array | None:
        """Responses (L_1, …, L_p, s) of the s repeats that all cells have; None below two."""
        common = sorted(set.intersection(*(set(cell) for cell in self.cells)), key=repr)
        values = [[np.mean(cell[repeat]) for repeat in common] for cell in self.cells]
        return np.reshape(values, (*self.shape, len(common))) if len(common) > 1 else None


def shares(candidates: Sequence[Candidate], varying: Sequence[str]) -> tuple[Shares | None, str]:
    """Return how the variance of the validation loss over all runs divides, and what is left out.

    Without shares the text is the reason. With them it is empty, or names the levels without which
    the grid is full. ``seeds`` is the mean variance inside a cell; the rest divides the variance
    between cells. With as many seeds in each cell this is the variance of the runs; otherwise
    cells weigh the same, not runs.
    """
    grid = full_grid(candidates, varying)
    if isinstance(grid, str):
        return None, grid
    squares, between, within = _mean_squares(grid), float(grid.means.var()), grid.within
    total = between + within
    rest = between - sum(squares.values()) if len(grid.names) > 2 else 0.0
    found = Shares(
        main={effect[0]: s / total for effect, s in squares.items() if len(effect) == 1},
        pairs={(effect[0], effect[1]): s / total for effect, s in squares.items() if effect[1:]},
        rest=max(rest, 0.0) / total,
        seeds=within / total,
    )
    return found, grid.left_out


def full_grid(candidates: Sequence[Candidate], varying: Sequence[str]) -> FullGrid | str:
    """Return the grid that the candidates are, or in plain words why they are none.

    Where combinations are missing, the levels of one parameter that lack some are left out, if that
    keeps more than half of the candidates.
    """
    finished = [candidate for candidate in candidates if candidate.runs]
    if not finished:
        return "no run finished"
    cells = {_levels_of(candidate, varying): candidate for candidate in finished}
    if len(cells) < len(finished):
        return "configurations differ in more than the parameters that vary"
    kept, left_out = _full(cells, varying)
    if kept is None:
        whole = math.prod(map(len, _levels(cells)))
        return f"the runs are no full grid: {len(cells)} of {whole} combinations finished"
    levels = _levels(kept)
    axes = [place for place, known in enumerate(levels) if len(known) > 1]
    if not axes:
        return "no parameter has two values that finished"
    runs = tuple(kept[cell].runs for cell in itertools.product(*levels))
    values = _scaled(runs)
    if isinstance(values, str):
        return values
    names = tuple(varying[place] for place in axes)
    shape = tuple(len(levels[place]) for place in axes)
    return FullGrid(names, shape, _repeats(runs, values), left_out, runs)


def effect_of(table: Array, axes: Sequence[int]) -> Array:
    """Return the effect of the axes: the mean over all others, centred along each of its own."""
    others = tuple(axis for axis in range(table.ndim) if axis not in axes)
    effect = np.asarray(table.mean(axis=others, keepdims=True))
    for axis in axes:
        effect = effect - effect.mean(axis=axis, keepdims=True)
    return effect


def _levels_of(candidate: Candidate, varying: Sequence[str]) -> tuple[Level, ...]:
    values = [candidate.params.get(name) for name in varying]
    return tuple((isinstance(value, bool), value) for value in values)


def _levels(cells: Cells) -> list[list[Level]]:
    return [list(dict.fromkeys(column)) for column in zip(*cells, strict=True)]


def _full(cells: Cells, varying: Sequence[str]) -> tuple[Cells | None, str]:
    """Return the cells of a full grid, and the levels that were left out for it."""
    levels = _levels(cells)
    whole = math.prod(map(len, levels))
    if whole == len(cells):
        return cells, ""
    best: Cells = {}
    left_out = ""
    for place, (name, known) in enumerate(zip(varying, levels, strict=True)):
        count = Counter(cell[place] for cell in cells)
        lacking = {level for level in known if count[level] * len(known) < whole}
        kept = {cell: c for cell, c in cells.items() if cell[place] not in lacking}
        if len(kept) > len(best):
            short = short_names(varying)[name]
            words = [f"{short}={short_value(level[1])}" for level in known if level in lacking]
            best, left_out = kept, ", ".join(words)
    return (best, left_out) if 2 * len(best) > len(cells) else (None, "")


def _scaled(runs: Sequence[Sequence[Run]]) -> list[Array] | str:
    """Return the losses of each cell, scaled to -1 … 1 around their mean; or why they cannot be."""
    values = [np.array([run.validation_loss for run in cell], float) for cell in runs]
    everything = np.concatenate(values)
    bad = everything[~np.isfinite(everything)]
    if len(bad):
        n = counted(len(bad), "run")
        return f"the validation loss of every run must be finite; got {bad[0]} of {n}"
    largest = float(np.abs(everything).max()) or 1.0
    mean = float((everything / largest).mean())
    spread = float(np.abs(everything / largest - mean).max())
    if spread <= ROUNDING:
        return "every run has the same validation loss"
    return [(of_cell / largest - mean) / spread for of_cell in values]


def _repeats(runs: Sequence[Sequence[Run]], values: Sequence[Array]) -> tuple[Cell, ...]:
    """Return the values of each cell by what repeats it: the seed of the start, or of the split."""
    starts = len({run.seed[0] for cell in runs for run in cell}) > 1
    found = []
    for cell, of_cell in zip(runs, values, strict=True):
        repeats: dict[Repeat, list[float]] = {}
        for run, value in zip(cell, of_cell, strict=True):
            repeats.setdefault(run.seed[0] if starts else run.split, []).append(float(value))
        found.append(repeats)
    return tuple(found)


def _flat(cell: Cell) -> list[float]:
    return [value for values in cell.values() for value in values]


def _mean_squares(grid: FullGrid) -> dict[tuple[str, ...], float]:
    """Return the mean square, over cells, of the effect of each parameter and pair."""
    means, axes = grid.means, range(len(grid.names))
    effects = [*itertools.combinations(axes, 1), *itertools.combinations(axes, 2)]
    return {
        tuple(grid.names[axis] for axis in axes): float((effect_of(means, axes) ** 2).mean())
        for axes in effects
    }
