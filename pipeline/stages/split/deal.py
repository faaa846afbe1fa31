"""How rows are dealt at random: one by one within each class, in whole groups, or in folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nn.arrays import Array
from pipeline.config.split_settings import FoldsSplit
from pipeline.stages.read.rows import Counts
from pipeline.stages.validate.convert import Table

Places = npt.NDArray[np.intp]
DRAWS = 200  # of whole groups, of which the one nearest to the shares is taken
WORK = 2_000_000  # groups that are dealt in all draws together
TEST_SEED = 0  # of the test rows of folds: the same for every seed of the folds


def deal_rows(table: Table, shares: Sequence[float], rng: np.random.Generator) -> Counts:
    """Return how many copies of each row the rest has, and each share (1 + k, n)."""
    dealt = np.zeros((1 + len(shares), len(table.y)), dtype=np.int64)
    for label in (0.0, 1.0):
        rows = np.flatnonzero(table.y == label)
        n = table.count[rows].sum()
        sizes = [round(share * n) for share in shares]
        dealt[:, rows] = _drawn(table.count[rows], sizes, rng)
    return dealt


def _drawn(count: Counts, sizes: Sequence[int], rng: np.random.Generator) -> list[Counts]:
    """Return what is left of the copies of each row, and what was drawn for each size."""
    drawn: list[Counts] = []
    for size in sizes:
        drawn.append(rng.multivariate_hypergeometric(count, size, method="marginals"))
        count = count - drawn[-1]
    return [count, *drawn]


def deal_groups(
    table: Table, group: Places, shares: tuple[float, float], rng: np.random.Generator,
    draws: int = DRAWS,
) -> Counts:  # fmt: skip
    """Return the copies of each row in train, valid and test, each group in one of them.

    ``shares`` are of test and of valid.
    """
    part = place_groups(table, group, shares, rng, draws)
    return np.where(part == np.array([[2], [1], [0]]), table.count, 0)


def place_groups(
    table: Table, group: Places, shares: Sequence[float], rng: np.random.Generator,
    draws: int = DRAWS,
) -> Places:  # fmt: skip
    """Return which of the ``shares`` each row (n,) belongs to, the rest last; never two of a group.

    Of several random draws the one is taken whose parts are nearest to the shares of each class.
    """
    known, group = np.unique(group, return_inverse=True)
    n, positive = (
        np.bincount(group, rows).astype(np.float64) for rows in (table.count, table.count * table.y)
    )
    ends = np.cumsum(shares)
    of_class = np.stack([n - positive, positive])
    wanted = of_class.sum(axis=1)[:, None] * np.append(shares, 1 - ends[-1])
    best, least = np.zeros(0, np.intp), np.inf
    for _ in range(max(1, min(draws, WORK // len(known)))):
        part = _draw_groups(n, positive, ends, rng)
        found = np.stack([np.bincount(part, rows, len(ends) + 1) for rows in of_class])
        distance = float(((found - wanted) ** 2 / np.maximum(wanted, 1)).sum())
        if distance < least:
            best, least = part, distance
    return best[group]


def _draw_groups(n: Array, positive: Array, ends: Array, rng: np.random.Generator) -> Places:
    """Return the part of each group, dealt by the class of most of its rows.

    In random order, a group goes where the middle of its rows falls.
    """
    part = np.zeros(len(n), dtype=np.intp)
    for members in (np.flatnonzero(2 * positive < n), np.flatnonzero(2 * positive >= n)):
        shuffled = rng.permutation(members)
        end = np.cumsum(n[shuffled])
        middle = (end - n[shuffled] / 2) / max(end[-1:].sum(), 1)
        part[shuffled] = np.searchsorted(ends, middle, side="right")
    return part


def deal_fold(table: Table, settings: FoldsSplit) -> Counts:
    """Return the copies of each row in train, valid and test: of k folds one validates.

    The test rows depend on neither the fold nor the seed of the folds.
    """
    for_test = np.random.default_rng(TEST_SEED)
    if table.group is None:
        rest, test = deal_rows(table, [settings.test], for_test)
    else:
        is_test = place_groups(table, table.group, [settings.test], for_test) == 0
        rest, test = np.where([~is_test, is_test], table.count, 0)
    rows = np.flatnonzero(rest)
    group = None if table.group is None else table.group[rows]
    left = Table(table.frame.iloc[rows], table.y[rows], rest[rows], group=group)
    valid = np.zeros_like(rest)
    folds = deal_folds(left, settings.folds, np.random.default_rng(settings.seed))
    valid[rows] = folds[settings.fold]
    return np.stack([rest - valid, valid, test])


def deal_folds(table: Table, k: int, rng: np.random.Generator) -> Counts:
    """Return the copies of each row in each fold (k, n), at random.

    By group where the rows have groups, each in one fold; otherwise within each class.
    """
    if table.group is None:
        return _row_folds(table.y, table.count, k, rng)
    fold = place_groups(table, table.group, [1 / k] * (k - 1), rng)
    return np.where(fold == np.arange(k)[:, None], table.count, 0)


def _row_folds(y: Array, rest: Counts, k: int, rng: np.random.Generator) -> Counts:
    """Return the copies of each row in each fold (k, n), by class; sizes differ by 1 at most."""
    first, dealt = 0, np.zeros((k, len(rest)), rest.dtype)
    for label in (0.0, 1.0):
        rows = np.flatnonzero(y == label)
        n, more = divmod(int(rest[rows].sum()), k)
        sizes = [n + ((fold - first) % k < more) for fold in range(k)]
        first += more
        left, *folds = _drawn(rest[rows], sizes[1:], rng)
        dealt[:, rows] = [left, *folds]
    return dealt


def deal_files(table: Table) -> Counts:
    """Return the copies of each row in train, valid and test: each in the part of its file."""
    part = np.zeros(len(table.y), np.int8) if table.part is None else table.part
    return np.where(part == np.arange(3)[:, None], table.count, 0)
