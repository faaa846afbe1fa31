"""Which rows are copies: equal in all that the neuron reads, and so perhaps one entity twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from nn import Examples
from nn.arrays import Array

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.stages.validate.convert import Table


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """What is independent among the rows (n,) of a part.

    ``group``: rows of one number are one observation; None where every row, and every copy of a
    row, is an observation of its own. ``rows``: how many rows of the table each one is, where
    weights make its count another number; None where the count says it.
    """

    group: npt.NDArray[np.intp] | None = None
    rows: Array | None = None

    @classmethod
    def of(cls, part: Table) -> Self:
        """Return the sampling of a part of the table."""
        group = None
        if part.group is not None:
            known, places = np.unique(part.group, return_inverse=True)
            group = places if len(known) < part.count.sum() else None
        return cls(group=group, rows=None if part.weight is None else part.count.astype(np.float64))

    @property
    def is_simple(self) -> bool:
        """Whether all rows are independent and weigh the same."""
        return self.group is None and self.rows is None

    def rows_of(self, count: Array) -> Array:
        """Return how many rows of the table each row is, given its count (n,)."""
        return count if self.rows is None else self.rows

    def among(self, rows: npt.NDArray[Any]) -> Sampling:
        """Return the sampling of some of the rows, by their places or a mask."""
        group = None if self.group is None else np.unique(self.group[rows], return_inverse=True)[1]
        return Sampling(group=group, rows=None if self.rows is None else self.rows[rows])


INDEPENDENT = Sampling()


@dataclass(frozen=True)
class Copies(Sampling):
    """What the test rows (n,) have in common: ``seen`` are those of which train has the inputs."""

    seen: npt.NDArray[np.bool_]


def find_copies(train: Examples, test: Examples, sampling: Sampling) -> Copies:
    """Return which test rows have inputs that train has, and their ``sampling``."""
    import pandas as pd

    of_train, of_test = (row_hashes(pd.DataFrame(part.X, copy=False)) for part in (train, test))
    return Copies(np.isin(of_test, of_train), group=sampling.group, rows=sampling.rows)


def attribute_groups(frame: pd.DataFrame) -> npt.NDArray[np.intp]:
    """Return a number for each row (n,), the same for rows of equal attributes."""
    return np.unique(row_hashes(frame), return_inverse=True)[1]


def row_hashes(frame: pd.DataFrame) -> npt.NDArray[Any]:
    """Return a hash (n,) of each row, of 64 bits: of a million rows, two meet once in 10^7."""
    import pandas as pd

    # + 0.0: a zero has two signs, and so two hashes.
    frame = frame.apply(lambda column: column + 0.0 if column.dtype.kind == "f" else column)
    return pd.util.hash_pandas_object(frame, index=False).to_numpy()


def per_observation(values: Array, count: Array, sampling: Sampling) -> tuple[Array, Array]:
    """Return the weighted sum of ``values`` over the rows of each observation; how often it is."""
    if sampling.group is None:
        rows = sampling.rows
        return (values, count) if rows is None else (values * (count / rows), rows)
    sums = np.bincount(sampling.group, values * count).astype(np.float64)
    return sums, np.ones(len(sums))


def independent_counts(count: Array, sampling: Sampling) -> Array:
    """Return the counts (n,) scaled so that they sum to how many independent rows they are."""
    if sampling.is_simple:
        return count
    size = effective_size(np.ones(len(count)), count, sampling)
    scaled: Array = count * (size / count.sum())
    return scaled


def effective_size(values: Array, count: Array, sampling: Sampling) -> float:
    """Return how many equal observations would vary as much as these (Kish 1965, section 11.7).

    That is ``sum(values) ** 2 / sum(values ** 2)``, over observations: the number of rows where
    each is one of its own and ``values`` are 1.
    """
    sums, times = per_observation(values, count, sampling)
    square = times @ sums**2
    return float((times @ sums) ** 2 / square) if square > 0 else 0.0
