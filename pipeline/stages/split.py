"""A table becomes train, valid and test, stratified and dealt by count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.config.schema import NoSplit, SplitSettings, StratifiedSplit
from pipeline.errors import DataError
from pipeline.stages.copies import row_hashes
from pipeline.stages.read.rows import Counts
from pipeline.stages.validate.validation import Table


@dataclass(frozen=True)
class Split:
    """The parts of a table. Where ``held_out`` is false, train and test are the same rows."""

    train: Table
    valid: Table | None
    test: Table
    held_out: bool

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Rows of train, valid and test, by count."""
        valid = int(self.valid.count.sum()) if self.valid else 0
        return int(self.train.count.sum()), valid, int(self.test.count.sum())


def split_table(table: Table, settings: SplitSettings) -> Split:
    """Return the table dealt into its parts, at random within each class.

    The copies of a row are dealt one by one, by multivariate hypergeometric draws: exactly what
    shuffling the long table does, at a cost that does not grow with its length. Sizes are exact:
    each class has ``round(share * n)`` rows in valid and in test, and the rest in train. With
    ``copies="together"`` rows of equal attributes are dealt as one, and sizes are as near as that
    allows.

    Raises
    ------
    DataError
        If a part would lack a class.
    """
    if isinstance(settings, NoSplit):
        return Split(table, None, table, held_out=False)
    rng = np.random.default_rng(settings.seed)
    dealt = (_deal_groups if settings.together else _deal_rows)(table, settings, rng)
    train, valid, test = (take(table, count) for count in dealt)
    parts = {"train": train, "valid": valid, "test": test}
    lacking = [
        f"{name} must hold both classes; got {int(part.count[part.y == label].sum())} rows of "
        f"class {label:.0f}, {'positive' if label else 'negative'}: "
        f"{'lower split.valid or split.test' if name == 'train' else f'raise split.{name}'}, "
        "or choose split=none"
        for name, part in parts.items()
        for label in (0.0, 1.0)
        if not (part.y == label).any() and not (name == "valid" and settings.valid == 0)
    ]
    if lacking:
        raise DataError("\n".join(lacking))
    return Split(train, valid if settings.valid > 0 else None, test, held_out=True)


def _deal_rows(table: Table, settings: StratifiedSplit, rng: np.random.Generator) -> Counts:
    """Return how many copies of each row go to train, valid and test: (3, n)."""
    dealt = np.zeros((3, len(table.y)), dtype=np.int64)
    for label in (0.0, 1.0):
        rows = np.flatnonzero(table.y == label)
        count = table.count[rows]
        n_valid, n_test = (round(share * count.sum()) for share in (settings.valid, settings.test))
        valid = rng.multivariate_hypergeometric(count, n_valid, method="marginals")
        test = rng.multivariate_hypergeometric(count - valid, n_test, method="marginals")
        dealt[:, rows] = count - valid - test, valid, test
    return dealt


def _deal_groups(table: Table, settings: StratifiedSplit, rng: np.random.Generator) -> Counts:
    """Return the same with rows of equal attributes in one part, by the class of most of them.

    In random order, a group goes where the middle of its rows falls.
    """
    _, group = np.unique(row_hashes(table.frame), return_inverse=True)
    n, positive = np.bincount(group, table.count), np.bincount(group, table.count * table.y)
    part = np.zeros(len(n), dtype=np.int64)
    for members in (np.flatnonzero(2 * positive < n), np.flatnonzero(2 * positive >= n)):
        shuffled = rng.permutation(members)
        end = np.cumsum(n[shuffled])
        middle = (end - n[shuffled] / 2) / max(end[-1:].sum(), 1)
        part[shuffled[middle < settings.test + settings.valid]] = 1
        part[shuffled[middle < settings.test]] = 2
    return np.where(part[group] == np.arange(3)[:, None], table.count, 0)


def take(table: Table, count: Counts) -> Table:
    """Return the rows of the table with other counts, without those that count 0."""
    rows = np.flatnonzero(count)
    return Table(
        table.frame.iloc[rows].reset_index(drop=True),
        table.y[rows],
        count[rows],
        None if table.weight is None else table.weight[rows],
        None if table.group is None else table.group[rows],
        {name: moments[rows] for name, moments in table.dates.items()},
    )
