"""Whether chance alone would make an effect or a series of wins: p-values.

Repeats are the seeds of the start or, where that does not vary, of the split. The noise of a repeat
may be shared by all runs that have its seed, so that many runs of few seeds are few observations.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from nn.arrays import Array
from pipeline.compare.comparison import Run
from pipeline.compare.groups import by_group
from pipeline.compare.unseen_errors import p_value
from pipeline.compare.validation_losses import (
    effective_weight,
    losses_of,
    mean_losses,
    other_losses_of,
    row_counts,
    row_groups,
)
from pipeline.compare.variance import FullGrid, effect_of


def effect_p_value(grid: FullGrid, effect: Sequence[str]) -> float:
    """Return the p-value of the effect of one or two parameters over repeats; NaN if unknown.

    An F test. The error is how this very effect differs from one repeat to the next. The errors of
    the levels may differ: the degrees of freedom are those of Box 1954 (Annals of Mathematical
    Statistics 25:484-498), learned as by Geisser and Greenhouse 1958 (29:885-891). From two repeats
    that cannot be learned.

    Without repeats the error is what three parameters or more do together, or of two parameters the
    pair, as for any factorial that is not repeated (Yates 1937).
    """
    from scipy.special import fdtrc

    axes = tuple(grid.names.index(name) for name in effect)
    table = grid.repeated
    found = _once(grid, axes) if table is None else _repeated(grid, table, axes)
    if found is None:
        return math.nan
    square, error, freedom, error_freedom = found
    return float(fdtrc(freedom, error_freedom, square / error)) if error > 0 else 0.0


def effect_p_value_over_rows(grid: FullGrid, effect: Sequence[str]) -> float:
    """Return the p-value of an effect over the validation rows; 0 where their losses are unknown.

    The F test of ``effect_p_value`` with rows for repeats: each row gives the effect once.
    """
    from scipy.special import fdtrc

    found = _losses_of_cells(grid.runs)
    if found is None:
        return 0.0
    losses, count = found
    n, axes = float(count.sum()), tuple(grid.names.index(name) for name in effect)
    table = effect_of(losses.reshape(*grid.shape, -1), (*axes, len(grid.shape)))
    apart = table.reshape(-1, losses.shape[1])  # of each row, less the mean over distinct rows,
    apart = apart - (apart @ count / n)[:, None]  # which is not that over all copies
    square = float(((effect_of((losses @ count / n).reshape(grid.shape), axes)) ** 2).sum())
    spread = apart * np.sqrt(count)
    # Of B @ B.T only the trace and the sum of squares are asked for: those of B.T @ B.
    products = spread @ spread.T if len(spread) <= len(count) else spread.T @ spread
    error = float(np.trace(products)) / (n * (n - 1))
    if not error > 0:
        return 0.0
    freedom = min(_freedom(grid, axes), _effective_freedom(products))
    return float(fdtrc(freedom, freedom * (n - 1), square / error))


def paired_p_value(pairs: Sequence[tuple[Run, Run]]) -> float:
    """Return the p-value of the mean loss of the first of pairs with the same seeds being lower.

    The larger one of a t-test of two sides over repeats and of the test over the validation rows
    that holds unseen errors. With one repeat nothing is known, and the p-value is 1.
    """
    from scipy.special import stdtr

    starts = len({a.seed[0] for a, _ in pairs}) > 1
    repeats: dict[object, list[float]] = {}
    for a, b in pairs:
        difference = a.validation_loss - b.validation_loss
        repeats.setdefault(a.seed[0] if starts else a.split, []).append(difference)
    means = [np.mean(differences) for differences in repeats.values()]
    s = len(means)
    if s < 2:
        return 1.0
    error, mean = float(np.std(means, ddof=1)) / math.sqrt(s), float(np.mean(means))
    by_seeds = 2 * stdtr(s - 1, -abs(mean) / error) if error else float(mean == 0)
    return max(float(by_seeds), _p_value_over_rows(pairs))


def _repeated(
    grid: FullGrid, table: Array, axes: Sequence[int]
) -> tuple[float, float, float, float]:
    """Return squares of the effect and of its differences between repeats, with their freedom."""
    s = table.shape[-1]
    differing = effect_of(table, (*axes, table.ndim - 1)).reshape(-1, s)
    products = differing.T @ differing
    freedom = _freedom(grid, axes)
    if s > 2 and products.any():
        freedom = min(freedom, _effective_freedom(products))
    square, error = (effect_of(table, axes) ** 2).sum(), np.trace(products) / (s * (s - 1))
    return float(square), float(error), freedom, freedom * (s - 1)


def _once(grid: FullGrid, axes: Sequence[int]) -> tuple[float, float, float, float] | None:
    """Return mean squares of the effect and of those taken for noise, with their freedom."""
    p = len(grid.names)
    order = 3 if p > 2 else 2  # the least number of parameters whose effect is taken for noise
    known = [c for size in range(1, order) for c in itertools.combinations(range(p), size)]
    left = math.prod(grid.shape) - 1 - sum(_freedom(grid, effect) for effect in known)
    if left < 1 or len(axes) >= order:
        return None
    squares = {effect: float((effect_of(grid.means, effect) ** 2).mean()) for effect in known}
    rest = max(float(grid.means.var()) - sum(squares.values()), 0.0)
    freedom = _freedom(grid, axes)
    return squares[tuple(axes)] / freedom, rest / left, freedom, left


def _freedom(grid: FullGrid, axes: Sequence[int]) -> float:
    return float(math.prod(grid.shape[axis] - 1 for axis in axes))


def _effective_freedom(products: Array) -> float:
    """Return the degrees of freedom of errors that differ between levels (Box 1954)."""
    return float(np.trace(products) ** 2 / (products**2).sum())


def _losses_of_cells(cells: Sequence[Sequence[Run]]) -> tuple[Array, Array] | None:
    """Return the mean losses of each cell (cells, n), and counts of independent rows (n,).

    None where the losses of some run are unknown, or where cells were measured on other splits.
    """
    losses = [mean_losses(cell) for cell in cells]
    known = [of_cell for of_cell in losses if of_cell is not None]
    splits = {frozenset(run.split for run in cell) for cell in cells}
    if len(known) < len(cells) or len(splits) != 1:
        return None
    runs = [run for cell in cells for run in cell]
    count, (of_groups,) = by_group(*_observations(runs), np.stack(known))
    return of_groups, count


def _p_value_over_rows(pairs: Sequence[tuple[Run, Run]]) -> float:
    """Return the p-value of two sides; 0 where the losses are unknown."""
    firsts, seconds = zip(*pairs, strict=True)
    means = [
        mean_losses(runs, of) for of in (losses_of, other_losses_of) for runs in (firsts, seconds)
    ]
    if any(mean is None for mean in means):
        return 0.0
    known = [mean for mean in means if mean is not None]
    count, (first, second, *others) = by_group(*_observations(firsts), *known)
    first_other, second_other = others
    return min(1.0, 2 * p_value(second - first, second_other - first_other, count))


def _observations(runs: Sequence[Run]) -> tuple[Array, Array | None]:
    """Return as how many independent rows each one counts (n,), and whom it is about."""
    return row_counts(runs) * effective_weight(runs), row_groups(runs)
