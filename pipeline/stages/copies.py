"""Which rows are copies: equal in all that the neuron reads, and so perhaps one entity twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nn import Examples
from nn.arrays import Array

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Copies:
    """What the test rows (n,) have in common with train and with each other.

    ``seen``: train has a row of equal inputs. ``group``: rows of one number are one observation;
    None where every row, and every copy of a row, is an observation of its own.
    """

    seen: npt.NDArray[np.bool_]
    group: npt.NDArray[np.intp] | None = None


def find_copies(train: Examples, test: Examples, *, together: bool) -> Copies:
    """Return which test rows have inputs that train has, and with ``together`` their groups."""
    import pandas as pd

    of_train, of_test = (row_hashes(pd.DataFrame(part.X, copy=False)) for part in (train, test))
    group = np.unique(of_test, return_inverse=True)[1] if together else None
    return Copies(np.isin(of_test, of_train), group)


def row_hashes(frame: pd.DataFrame) -> npt.NDArray[Any]:
    """Return a hash (n,) of each row, of 64 bits: of a million rows, two meet once in 10^7."""
    import pandas as pd

    # + 0.0: a zero has two signs, and so two hashes.
    frame = frame.apply(lambda column: column + 0.0 if column.dtype.kind == "f" else column)
    return pd.util.hash_pandas_object(frame, index=False).to_numpy()


def per_observation(values: Array, count: Array, copies: Copies) -> tuple[Array, Array]:
    """Return the sum of ``values`` over the rows of each observation, and how often it occurs."""
    if copies.group is None:
        return values, count
    sums = np.bincount(copies.group, values * count).astype(np.float64)
    return sums, np.ones(len(sums))


def independent_counts(count: Array, copies: Copies) -> Array:
    """Return the counts (n,) scaled so that they sum to how many independent rows they are."""
    scaled: Array = count * (effective_size(np.ones(len(count)), count, copies) / count.sum())
    return scaled


def effective_size(values: Array, count: Array, copies: Copies) -> float:
    """Return how many equal observations would vary as much as these (Kish 1965, section 11.7).

    That is ``sum(values) ** 2 / sum(values ** 2)``, over observations: the number of rows where
    each is one of its own and ``values`` are 1.
    """
    sums, times = per_observation(values, count, copies)
    square = times @ sums**2
    return float((times @ sums) ** 2 / square) if square > 0 else 0.0
