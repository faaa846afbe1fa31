"""Columns that satisfy their contract become the table that the neuron learns from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nn.arrays import Array
from pipeline.config.column_settings import Boolean, Feature, Group, Numeric, Weight
from pipeline.config.contract import DataSettings
from pipeline.config.date_settings import Date
from pipeline.stages.read.rows import Counts
from pipeline.stages.validate.dates import Moments
from pipeline.stages.validate.values import BOOLEANS, ColumnValues

if TYPE_CHECKING:
    import pandas as pd


MISSING = "\0missing"  # a missing value where it is allowed: no cell is so, a NUL is refused


@dataclass(frozen=True)
class Table:
    """Rows that satisfy their contract.

    ``frame`` has one column per attribute: text for a categorical one (MISSING where a value is
    missing and allowed to be), float64 for a numeric one (NaN where missing and allowed to be).
    ``y`` (n,) holds labels 0.0 or 1.0, ``count`` (n,) how often each row occurs, > 0. Where the
    contract has such a column, ``weight`` (n,) is the sample weight of each row, ``group`` (n,) a
    number for whom it is about, and ``dates`` its moments by the name of the column.
    """

    frame: pd.DataFrame
    y: npt.NDArray[np.float64]
    count: Counts
    weight: npt.NDArray[np.float64] | None = None
    group: npt.NDArray[np.int64] | None = None
    dates: Mapping[str, npt.NDArray[np.datetime64]] = field(default_factory=dict)
    part: npt.NDArray[np.int8] | None = None  # of split=files: 0 train, 1 valid, 2 test

    @property
    def weighted_count(self) -> npt.NDArray[np.float64]:
        """The count of each row (n,), times its weight, the largest of which is 1.

        Scaled so that the sum is the number of rows of equal weight whose mean is as precise (Kish
        1965, section 11.7).
        """
        count = self.count.astype(np.float64)
        if self.weight is None:
            return count
        weight = self.weight / self.weight.max()
        weighted = count * weight
        scaled: npt.NDArray[np.float64] = weighted * (weighted.sum() / (weighted @ weight))
        return scaled

    @property
    def share(self) -> float:
        """The share of rows that is positive."""
        count = self.weighted_count
        return float(count @ self.y / count.sum())


def convert(
    frame: pd.DataFrame, columns: dict[str, ColumnValues], data: DataSettings
) -> pd.DataFrame:
    """Return the attributes of text rows that break no rule, as a Table holds them."""
    import pandas as pd

    attributes = {
        name: each
        for column in data.features.items()
        for name, each in _attributes(*column, columns, frame)
    }
    return pd.DataFrame(attributes, copy=False)  # into one block, for nothing


def _attributes(
    name: str, column: Feature, columns: dict[str, ColumnValues], frame: pd.DataFrame
) -> Iterator[tuple[str, pd.Series[Any]]]:
    """Yield the attributes that a column is, each with a cell for each row."""
    import pandas as pd

    values = columns[name]
    if isinstance(column, Numeric):
        yield name, pd.Series(values.number, frame.index)
        return
    if isinstance(column, Date):
        for part in column.parts:
            yield f"{name}.{part}", _part(columns[f"{name}.{part}"], frame)
        return
    words = frame[name]
    if isinstance(column, Boolean):
        words = words.str.lower().map(BOOLEANS).fillna("").astype("str")
    yield name, words.mask(values.of_rows(values.is_missing), MISSING)


def _part(values: ColumnValues, frame: pd.DataFrame) -> pd.Series[Any]:
    import pandas as pd

    if values.place is None:
        return pd.Series(values.number, frame.index)
    return values.text.mask(values.is_missing, MISSING).iloc[values.place].set_axis(frame.index)


def moments(columns: dict[str, ColumnValues]) -> dict[str, Moments]:
    """Return the moment of each row, in UTC, by the name of the column of dates."""
    return {
        name: values.moment[values.place]
        for name, values in columns.items()
        if values.moment is not None
    }


def sample_weight(columns: dict[str, ColumnValues], data: DataSettings) -> Array | None:
    """Return the sample weight (n,) of each row; None where no column is that."""
    names = [name for name, column in data.used.items() if isinstance(column, Weight)]
    return columns[names[0]].number if names else None


def row_group(columns: dict[str, ColumnValues], data: DataSettings) -> Counts | None:
    """Return a number (n,) for whom each row is about, in the order of the sorted names."""
    names = [name for name, column in data.used.items() if isinstance(column, Group)]
    if not names:
        return None
    text = columns[names[0]].text.to_numpy(str)
    rank = np.argsort(np.argsort(text)).astype(np.int64)
    return rank[columns[names[0]].place]
