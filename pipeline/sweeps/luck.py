"""Whether luck alone would make an effect or a run of wins: probabilities under no effect at all.

Repeats are the seeds of the start or, where that does not vary, of the split. A repeat's luck may
be shared by all runs that have its seed, so that many runs of few seeds are few observations.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from nn.arrays import Array
from pipeline.sweeps.comparison import Run, worth
from pipeline.sweeps.shares import Grid, Response, effect_of


def luck_of_effect(grid: Grid, effect: Sequence[str]) -> float:
    """Probability that luck makes the effect of one or two parameters as large; NaN if unknown.

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


def luck_of_rows(grid: Grid, effect: Sequence[str]) -> float:
    """Probability that the choice of validation rows makes the effect as large; 0 without rows.

    The F test of ``luck_of_effect`` with rows for repeats: each row tells the effect once.
    """
    from scipy.special import fdtrc

    found = _by_row(grid.runs)
    if found is None:
        return 0.0
    losses, count = found
    n, axes = float(count.sum()), tuple(grid.names.index(name) for name in effect)
    table = effect_of(losses.reshape(*grid.shape, -1), (*axes, len(grid.shape)))
    apart = table.reshape(-1, losses.shape[1])  # of each row, less the mean over rows as they are
    mean = apart @ count / n  # which is not that over all copies
    apart = apart - mean[:, None]
    square = float(((effect_of((losses @ count / n).reshape(grid.shape), axes)) ** 2).sum())
    products = (apart * count) @ apart.T
    error = float(np.trace(products)) / (n * (n - 1))
    if not error > 0:
        return 0.0
    freedom = min(_freedom(grid, axes), float(np.trace(products) ** 2 / (products**2).sum()))
    return float(fdtrc(freedom, freedom * (n - 1), square / error))


def luck_of_pairs(pairs: Sequence[tuple[Run, Run]], response: Response) -> float:
    """Probability that luck makes the mean difference of the pairs as large; 1 with one repeat.

    A t-test of two sides. The luck of the repeats and that of the validation rows, which all pairs
    share, are added; the degrees of freedom are those of Welch and Satterthwaite.

    Parameters
    ----------
    pairs
        Of runs with the same seeds.
    response
        The figure that is compared.
    """
    from scipy.special import stdtr

    starts = len({a.seed[0] for a, _ in pairs}) > 1
    repeats: dict[int, list[float]] = {}
    for a, b in pairs:
        repeats.setdefault(a.seed[0 if starts else 1], []).append(response(a) - response(b))
    means = [np.mean(differences) for differences in repeats.values()]
    s = len(means)
    if s < 2:
        return 1.0
    by_seeds, (by_rows, n) = float(np.var(means, ddof=1)) / s, _row_variance(pairs)
    both = by_seeds + by_rows
    if both == 0:
        return float(not np.mean(means))
    freedom = both**2 / (by_seeds**2 / (s - 1) + by_rows**2 / max(n - 1, 1))
    return float(2 * stdtr(freedom, -abs(np.mean(means)) / math.sqrt(both)))


def _repeated(
    grid: Grid, table: Array, axes: Sequence[int]
) -> tuple[float, float, float, float] | None:
    """Squares of the effect and of its differences between repeats, with degrees of freedom."""
    s = table.shape[-1]
    differing = effect_of(table, (*axes, table.ndim - 1)).reshape(-1, s)
    products = differing.T @ differing
    freedom = _freedom(grid, axes)
    if s > 2 and products.any():
        freedom = min(freedom, float(np.trace(products) ** 2 / (products**2).sum()))
    square, error = (effect_of(table, axes) ** 2).sum(), np.trace(products) / (s * (s - 1))
    return float(square), float(error), freedom, freedom * (s - 1)


def _once(grid: Grid, axes: Sequence[int]) -> tuple[float, float, float, float] | None:
    """Mean squares of the effect and of those taken for luck, with degrees of freedom."""
    p = len(grid.names)
    order = 3 if p > 2 else 2  # the least number of parameters whose effect is taken for luck
    known = [c for size in range(1, order) for c in itertools.combinations(range(p), size)]
    left = math.prod(grid.shape) - 1 - sum(_freedom(grid, effect) for effect in known)
    if left < 1 or len(axes) >= order:
        return None
    squares = {effect: float((effect_of(grid.means, effect) ** 2).mean()) for effect in known}
    rest = max(float(grid.means.var()) - sum(squares.values()), 0.0)
    freedom = _freedom(grid, axes)
    return squares[tuple(axes)] / freedom, rest / left, freedom, left


def _freedom(grid: Grid, axes: Sequence[int]) -> float:
    return float(math.prod(grid.shape[axis] - 1 for axis in axes))


def _by_row(cells: Sequence[Sequence[Run]]) -> tuple[Array, Array] | None:
    """The losses of each cell by rows (cells, n), those of its splits side by side, and counts.

    A count is that of independent rows. None where the rows of some run are not known, or where
    the cells were not measured on the same splits.
    """
    every = [run for cell in cells for run in cell]
    splits = sorted({run.seed[1] for run in every})
    counts = {run.seed[1]: run.count for run in every}
    losses = []
    for cell in cells:
        parts = [[run.losses for run in cell if run.seed[1] == split] for split in splits]
        known = [[part for part in of_split if part is not None] for of_split in parts]
        if not all(known) or list(map(len, known)) != list(map(len, parts)):
            return None
        losses.append(np.concatenate([np.mean(of_split, axis=0) for of_split in known]))
    kept = [np.asarray(count) for split in splits if (count := counts[split]) is not None]
    if not losses or len(kept) < len(splits):
        return None
    return np.stack(losses), np.concatenate(kept) * worth(every)


def _row_variance(pairs: Sequence[tuple[Run, Run]]) -> tuple[float, float]:
    """What the choice of validation rows adds to the variance of the mean; how many rows."""
    splits: dict[int, list[Array]] = {}
    counts: dict[int, Array] = {}
    for a, b in pairs:
        if a.losses is None or b.losses is None or a.count is None:
            return 0.0, 1.0
        splits.setdefault(a.seed[1], []).append(a.losses - b.losses)
        counts[a.seed[1]] = a.count
    difference = np.concatenate([np.mean(rows, axis=0) for rows in splits.values()])
    count = np.concatenate([counts[split] for split in splits])
    mean = count @ difference / count.sum()
    count = count * worth(a for a, _ in pairs)
    n = float(count.sum())
    return float(count @ (difference - mean) ** 2) / (n * max(n - 1, 1)), n
