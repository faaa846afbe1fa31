"""Text rows become a table that cannot fail any more: checked by the contract, then converted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.config import DataSettings
from pipeline.stages.read import Counts, Rows

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """Rows that satisfy their contract.

    ``frame`` has one column per attribute: text for a categorical one (MISSING where a value is
    missing and allowed to be), float64 for a numeric one (NaN where missing and allowed to be).
    ``y`` (n,) holds labels 0.0 or 1.0, ``count`` (n,) how often each row occurs, > 0.
    """

    frame: pd.DataFrame
    y: npt.NDArray[np.float64]
    count: Counts


@dataclass(frozen=True)
class Fault:
    """A rule that rows break: how many of them (by count), their share, and where to look."""

    column: str
    rule: str
    n_rows: int
    share: float
    examples: tuple[tuple[str, int], ...]  # the commonest offending values with their counts
    lines: tuple[int, ...]  # the first line numbers in the file
    hint: str


@dataclass(frozen=True)
class Category:
    """A value of a column: how many rows have it, and which share of them is positive."""

    value: str
    n_rows: int
    positive_share: float


@dataclass(frozen=True)
class ColumnProfile:
    """What a column holds. ``categories`` for words, ``minimum`` to ``maximum`` for numbers."""

    name: str
    kind: str
    n_missing: int
    categories: tuple[Category, ...]
    minimum: float | None
    mean: float | None
    maximum: float | None


@dataclass(frozen=True)
class Validation:
    """What was found: faults refuse the table, warnings do not."""

    n_rows: int
    n_distinct: int
    n_positive: int
    faults: tuple[Fault, ...]
    warnings: tuple[str, ...]
    profile: tuple[ColumnProfile, ...]
    table: Table | None  # None where there are faults

    def require(self) -> Table:
        """The table, or DataError naming every fault."""
        raise NotImplementedError


MISSING = "missing"  # the category of a missing value where it is allowed


def validate(rows: Rows, data: DataSettings) -> Validation:
    """Check every row against the contract and convert it."""
    raise NotImplementedError
