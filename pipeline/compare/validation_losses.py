"""The validation losses of runs, row by row, the rows of several splits side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from nn.arrays import Array
from pipeline.compare.comparison import Run, is_number
from pipeline.compare.unseen_errors import flipped

Losses = Callable[[Run], Array | None]


def losses_of(run: Run) -> Array | None:
    """Return the loss of the run on each row (n,)."""
    return run.losses


def other_losses_of(run: Run) -> Array | None:
    """Return the losses (n,) had the labels been the other ones."""
    return flipped(run.losses) if run.other is None and run.losses is not None else run.other


def mean_losses(runs: Iterable[Run], of: Losses = losses_of) -> Array | None:
    """Return the mean over runs of the loss on each row (n,); None where a run has no losses."""
    by_split: dict[tuple[int, int], list[Array]] = {}
    for run in runs:
        losses = of(run)
        if losses is None:
            return None
        by_split.setdefault(run.split, []).append(losses)
    return np.concatenate([np.mean(by_split[split], axis=0) for split in sorted(by_split)])


def losses_by_start(runs: Iterable[Run], of: Losses = losses_of) -> Array:
    """Return the losses of each seed of the start, in order (s, n), of runs that have them."""
    starts: dict[int, list[Run]] = {}
    for run in runs:
        starts.setdefault(run.seed[0], []).append(run)
    return np.array([mean_losses(starts[start], of) for start in sorted(starts)], np.float64)


def row_counts(runs: Iterable[Run]) -> Array:
    """Return how often each row occurs in its split (n,)."""
    counts = {run.split: run.count for run in runs if run.count is not None}
    return np.concatenate([counts[split] for split in sorted(counts)])


def row_groups(runs: Iterable[Run]) -> Array | None:
    """Return whom each row is about (n,); None where rows have no groups."""
    groups = {run.split: run.group for run in runs}
    known = [of for split in sorted(groups) if (of := groups[split]) is not None]
    return np.concatenate(known) if known and len(known) == len(groups) else None


def effective_weight(runs: Iterable[Run]) -> float:
    """Return how many independent rows a validation row counts as, of several splits side by side.

    Splits deal the same table anew. A row is held out by each of m splits with the probability v,
    its noise is the same each time, and so the variance of a mean over all of them is
    1 + (m - 1) v times that of as many rows that are all different. The folds of one seed hold no
    row twice, all of them together each row once: v is then the share of the folds that were run.
    Rows of a group are one observation wherever they are held out, and so each counts as it is.
    """
    runs = list(runs)
    if row_groups(runs) is not None:
        return 1.0
    of_seeds = {run.split[0]: run for run in runs}
    folds = len({run.split[1] for run in runs})
    shares = [_held_out(run, folds) for run in of_seeds.values()]
    return 1 / (1 + max(len(shares) - 1, 0) * max(shares, default=1.0))


def _held_out(run: Run, folds: int) -> float:
    """Return with what probability a row validates, in some of the ``folds`` that were run."""
    valid, test, k = (run.settings.get(f"split.{name}") for name in ("valid", "test", "folds"))
    if run.is_out_of_fold:
        return 1 - test if is_number(test) else 1.0
    if is_number(k):
        return min(folds / k, 1.0)
    return float(valid) if is_number(valid) and 0 < valid < 1 else 1.0
