"""The validation losses of runs, row by row, the rows of several splits side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from nn.arrays import Array
from pipeline.compare.comparison import Run


def mean_losses(runs: Iterable[Run], of: Callable[[Array], Array] = np.asarray) -> Array | None:
    """Return the mean over runs of the loss on each row (n,); None where a run has no losses.

    ``of`` is applied to the losses of each run.
    """
    by_split: dict[int, list[Array]] = {}
    for run in runs:
        if run.losses is None:
            return None
        by_split.setdefault(run.seed[1], []).append(of(run.losses))
    return np.concatenate([np.mean(by_split[split], axis=0) for split in sorted(by_split)])


def losses_by_start(runs: Iterable[Run]) -> Array:
    """Return the losses of each seed of the start, in order (s, n), of runs that have them."""
    starts: dict[int, list[Run]] = {}
    for run in runs:
        starts.setdefault(run.seed[0], []).append(run)
    return np.array([mean_losses(starts[start]) for start in sorted(starts)], np.float64)


def row_counts(runs: Iterable[Run]) -> Array:
    """Return how often each row occurs in its split (n,)."""
    counts = {run.seed[1]: run.count for run in runs if run.count is not None}
    return np.concatenate([counts[split] for split in sorted(counts)])


def effective_weight(runs: Iterable[Run]) -> float:
    """Return how many independent rows a validation row counts as, of several splits side by side.

    Splits deal the same table anew. A row is held out by each of m splits with the probability v,
    its noise is the same each time, and so the variance of a mean over all of them is
    1 + (m - 1) v times that of as many rows that are all different.
    """
    splits = {run.seed[1]: run.settings.get("split.valid") for run in runs}
    shares = [v for v in splits.values() if isinstance(v, int | float) and 0 < v < 1]
    share = max(shares, default=1.0) if len(shares) == len(splits) else 1.0
    return 1 / (1 + max(len(splits) - 1, 0) * share)
