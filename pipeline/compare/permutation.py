"""Whether losses on other rows are higher than on the test rows by more than chance.

Where both are samples of one population, which row is in which of them is chance, and so a
permutation test is exact, however few the rows, skewed the losses or rare a class. Its statistic is
Welch's, which holds where only the means are equal too (Janssen 1997; Chung and Romano 2013).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from nn.arrays import Array
from pipeline.stages.evaluate import RowLosses

DRAWS = 1999
KINDS = 500  # of losses: within one, they are as good as equal
FEW = 5_000  # rows, of which draws are faster one by one than by kind
MOST = 10**8  # rows: NumPy draws from no more than ten times as many
SEEN = 1.645 + 0.842  # standard errors of a rise that is found in 4 of 5 files, at 5 %


Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rise:
    """By how much the mean loss is higher than on test, in nats per row.

    ``p_value`` is of one side; ``noticeable`` is the rise that so many rows would show four times
    in five.
    """

    rise: float
    p_value: float
    noticeable: float


def rise_of_loss(new: RowLosses, test: RowLosses) -> Rise | None:
    """Return the rise of the mean loss from ``test`` to ``new``; None of fewer than 2 rows.

    Their counts are those of independent rows. The generator has a seed of its own, so that equal
    losses give equal bits.
    """
    loss, place = np.unique(np.concatenate([new.loss, test.loss]), return_inverse=True)
    counts = [
        _whole(np.bincount(at, part.count, len(loss)).astype(np.float64))
        for at, part in zip(np.split(place, [len(new.loss)]), (new, test), strict=True)
    ]
    n, m = (int(count.sum()) for count in counts)
    if min(n, m) < 2:
        return None
    loss, here, total = _kinds(loss, counts[0], counts[0] + counts[1])
    method: Literal["count", "marginals"] = "count" if n + m < FEW else "marginals"
    draws = np.random.default_rng(0).multivariate_hypergeometric(total, n, DRAWS, method)
    rise, error = _welch(loss, np.vstack([here, draws]), total)
    size = np.divide(rise, error, out=np.where(rise > 0, np.inf, 0.0), where=error > 0)
    as_high = (size[1:] >= size[0] * (1 - 1e-9)).sum() if rise[0] > 0 else DRAWS
    means = (float(part.loss @ part.count / part.count.sum()) for part in (new, test))
    return Rise(next(means) - next(means), float(1 + as_high) / (DRAWS + 1), SEEN * float(error[0]))


def _whole(count: Array) -> Whole:
    """Return whole numbers that sum to the same at every place, but for a half."""
    reached = np.rint(np.cumsum(count * min(1.0, MOST / count.sum())))
    whole: Whole = np.diff(reached, prepend=0.0).astype(np.int64)
    return whole


def _kinds(loss: Array, here: Whole, total: Whole) -> tuple[Array, Whole, Whole]:
    """Return the mean loss and the counts of each kind; high losses, which weigh, are finer."""
    square = loss**2 @ total or 1.0
    reached = np.cumsum(total * (1 / total.sum() + loss**2 / square)) / 2
    kind = np.minimum((reached * KINDS).astype(np.int64), KINDS - 1)
    sums = [np.bincount(kind, values, KINDS) for values in (total, here, loss * total)]
    n, n_here, of_loss = (values[sums[0] > 0] for values in sums)
    return of_loss / n, n_here.astype(np.int64), n.astype(np.int64)


def _welch(loss: Array, here: Whole, total: Whole) -> tuple[Array, Array]:
    """Return the rise of the mean, and its standard error, of each row of ``here`` (draws, k)."""
    apart = loss - loss @ total / total.sum()
    powers = np.stack([np.ones(len(loss)), apart, apart**2], axis=1)
    in_file = here.astype(np.float64) @ powers
    means, variances = [], []
    for n, sums, squares in (in_file.T, (total @ powers - in_file).T):
        means.append(sums / n)
        variances.append(np.maximum(squares / n - means[-1] ** 2, 0.0) / (n - 1))
    return means[0] - means[1], np.sqrt(variances[0] + variances[1])
