"""A column of text becomes its values: which are missing, and which number every other one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nn.arrays import Array
from pipeline.config.contract import Categorical, DataSettings, Numeric, Target
from pipeline.stages.read.rows import Counts

if TYPE_CHECKING:
    import pandas as pd

Bools = npt.NDArray[np.bool_]

NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"


@dataclass(frozen=True)
class ColumnValues:
    """The m values of a column of n rows.

    They are different ones, and ``place`` (n,) says which of them each row has. A numeric column
    has one for each row, and no ``place``: to find equal ones takes longer than to parse them all.
    ``number`` (m,) is NaN where the text is missing, or not that of a finite number.
    """

    text: pd.Series[str]
    place: npt.NDArray[np.intp] | None
    is_missing: Bools
    number: Array

    def sums(self, weights: Counts) -> Counts:
        """Return for each value the sum of its rows' weights; exact below 2^53."""
        if self.place is None:
            return weights
        return np.bincount(self.place, weights, len(self.text)).astype(np.int64)

    def of_rows(self, by_value: Bools) -> Bools:
        """Return for each row what ``by_value`` says of its value."""
        return by_value if self.place is None else by_value[self.place]


def column_values(frame: pd.DataFrame, data: DataSettings) -> dict[str, ColumnValues]:
    """Return the values of each attribute, and of the target where the frame has it."""
    columns = {**data.attributes, data.target.name: data.target}
    return {
        name: _values(frame[name], column, data)
        for name, column in columns.items()
        if name in frame
    }


def parse_numbers(text: pd.Series[str]) -> Array:
    """Return each text as float64, correctly rounded; NaN where it is no finite NUMBER."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # Arrow takes what NUMBER is, and names of inf and nan; a single other text is an error.
    cells: Any = pa.array(text, pa.large_string())
    try:
        found = pc.cast(cells, pa.float64())
    except pa.ArrowInvalid:
        is_number = pc.match_substring_regex(cells, rf"\A({NUMBER})\z")
        found = pc.cast(pc.if_else(is_number, cells, None), pa.float64())
    number = found.to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(number), number, np.nan)


def _values(
    cells: pd.Series[str], column: Categorical | Numeric | Target, data: DataSettings
) -> ColumnValues:
    import pandas as pd

    # A text that the contract lists is a value: NA may be a country.
    marks = {"", *data.missing_values}.difference(listed_values(column))
    if isinstance(column, Numeric):
        is_missing = cells.isin(marks).to_numpy(bool)
        number = np.where(is_missing, np.nan, parse_numbers(cells))
        return ColumnValues(cells.reset_index(drop=True), None, is_missing, number)
    place, values = pd.factorize(cells)
    text = pd.Series(values, dtype="str")
    return ColumnValues(text, place, text.isin(marks).to_numpy(bool), np.full(len(text), np.nan))


def listed_values(column: Categorical | Numeric | Target) -> tuple[str, ...]:
    """Return the values that the contract lists for a column; none where it leaves them open."""
    if isinstance(column, Target):
        return (*(column.negative or ()), *column.positive)
    return (column.categories or ()) if isinstance(column, Categorical) else ()
