"""What each parameter of a full grid explains: its share of the variance, exactly.

The analysis of variance of a balanced grid (Fisher 1925): every cell counts alike, so the effects
are orthogonal and their shares add up to 1. A cell is a candidate, its value the mean over seeds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from nn.arrays import Array
from pipeline.sweeps.comparison import Candidate, Run, Shares, Value

K = TypeVar("K")
Levels = dict[str, list[Value]]
Cells = dict[tuple[Value, ...], list[float]]
NOTHING = 1e-13  # of the mean: a spread as small as that is rounding


def shares(
    candidates: Sequence[Candidate], varying: Sequence[str], response: Callable[[Run], float]
) -> tuple[Shares | None, str]:
    """How the variance of ``response`` over the runs divides; without a grid, why it cannot.

    A grid with holes, where runs diverged, is cut to a full one: the levels that lack most go
    first. Every cell weighs the same, however many seeds it has.

    Raises
    ------
    ValueError
        If a response is not finite.
    """
    cells = _cells(candidates, varying, response)
    levels = _full(varying, cells)
    if levels is None:
        return None, "the runs are no full grid: not every value was run with every other one"
    if not levels:
        return None, "no parameter has two values that finished"
    means, within = _tables(levels, varying, cells)
    between = float(means.var())
    total = between + within
    if math.sqrt(total) <= NOTHING * abs(float(means.mean())):
        return None, "every run has the same figure: there is no variance to explain"
    return _divided(list(levels), means, within, total), ""


def _cells(
    candidates: Sequence[Candidate], varying: Sequence[str], response: Callable[[Run], float]
) -> Cells:
    cells: Cells = {}
    for candidate in candidates:
        values = [float(response(run)) for run in candidate.runs]
        if not np.isfinite(values).all():
            raise ValueError(f"response must be finite; got {values} for {dict(candidate.params)}")
        cells.setdefault(tuple(candidate.params.get(name) for name in varying), []).extend(values)
    return cells


def _full(varying: Sequence[str], cells: Cells) -> Levels | None:
    """The levels of the parameters of a full grid in the cells; None where there is none."""
    levels = [list(dict.fromkeys(cell[place] for cell in cells)) for place in range(len(varying))]
    holes = bool(levels) and len(cells) < math.prod(map(len, levels))
    while math.prod(map(len, levels)) > len(_inside(cells, levels)):
        place, level = max(
            ((place, level) for place, known in enumerate(levels) for level in known),
            key=lambda item: _lacking(cells, levels, *item),
        )
        levels[place].remove(level)
        if not levels[place]:
            return None
    kept = {name: known for name, known in zip(varying, levels, strict=True) if len(known) > 1}
    return None if holes and not kept else kept


def _inside(cells: Cells, levels: Sequence[Sequence[Value]]) -> list[tuple[Value, ...]]:
    return [
        cell for cell in cells if all(v in known for v, known in zip(cell, levels, strict=True))
    ]


def _lacking(cells: Cells, levels: Sequence[list[Value]], place: int, level: Value) -> float:
    """The share of the cells of a level that is missing."""
    cut = [[level] if i == place else known for i, known in enumerate(levels)]
    return 1 - len(_inside(cells, cut)) / math.prod(map(len, cut))


def _tables(levels: Levels, varying: Sequence[str], cells: Cells) -> tuple[Array, float]:
    """The mean of each cell, an axis per parameter, and the mean variance inside a cell."""
    means = np.zeros([len(known) for known in levels.values()])
    places = [varying.index(name) for name in levels]
    # A parameter of one level has that level in every cell of the grid.
    single = _single(varying, levels, cells)
    inside = []
    for position in np.ndindex(means.shape):
        cell = list(single)
        for place, known, i in zip(places, levels.values(), position, strict=True):
            cell[place] = known[i]
        values = cells[tuple(cell)]
        means[position] = np.mean(values)
        inside.append(np.var(values))
    return means, float(np.mean(inside))


def _single(varying: Sequence[str], levels: Levels, cells: Cells) -> tuple[Value, ...]:
    """A cell of the grid."""
    return next(
        cell
        for cell in cells
        if all(
            name not in levels or value in levels[name]
            for name, value in zip(varying, cell, strict=True)
        )
        and _is_whole(varying, levels, cells, cell)
    )


def _is_whole(
    varying: Sequence[str], levels: Levels, cells: Cells, cell: tuple[Value, ...]
) -> bool:
    """Whether every cell that differs from this one in the levels of the grid is there."""
    choices = [levels.get(name, [value]) for name, value in zip(varying, cell, strict=True)]
    return all(other in cells for other in itertools.product(*choices))


def _divided(names: list[str], means: Array, within: float, total: float) -> Shares:
    mean = means.mean()
    main = {name: _effect(means, (axis,)) - mean for axis, name in enumerate(names)}
    pairs = {}
    for (a, first), (b, second) in itertools.combinations(enumerate(names), 2):
        pairs[first, second] = _effect(means, (a, b)) - main[first] - main[second] - mean
    of_main = {name: float(np.mean(effect**2)) for name, effect in main.items()}
    of_pairs = {pair: float(np.mean(effect**2)) for pair, effect in pairs.items()}
    rest = float(means.var()) - sum(of_main.values()) - sum(of_pairs.values())
    if len(names) <= 2:
        rest = 0.0  # there are no three parameters
    return Shares(
        _over(of_main, total), _over(of_pairs, total), max(rest, 0.0) / total, within / total
    )


def _effect(means: Array, axes: tuple[int, ...]) -> Array:
    """The mean over all other parameters, in a shape that goes with the whole table."""
    others = tuple(axis for axis in range(means.ndim) if axis not in axes)
    return np.asarray(means.mean(axis=others, keepdims=True))


def _over(parts: Mapping[K, float], total: float) -> dict[K, float]:
    return {key: part / total for key, part in parts.items()}
