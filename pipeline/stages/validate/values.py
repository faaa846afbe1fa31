"""A column of text becomes its values: which are missing, and which number every other one is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt

from nn.arrays import Array
from pipeline.config.column_settings import Boolean, Categorical, Count, Numeric, Used, Weight
from pipeline.config.contract import DataSettings, Target
from pipeline.config.date_settings import PARTS, Date, Part
from pipeline.config.file_settings import FileSettings
from pipeline.stages.read.numbers import parse_numbers
from pipeline.stages.read.rows import Counts
from pipeline.stages.validate.dates import Moments, parse_moments, part_of

if TYPE_CHECKING:
    import pandas as pd

Bools = npt.NDArray[np.bool_]

BOOLEANS = {  # in small letters
    **dict.fromkeys(("true", "t", "yes", "y", "1"), "true"),
    **dict.fromkeys(("false", "f", "no", "n", "0"), "false"),
}


@dataclass(frozen=True)
class ColumnValues:
    """The m values of a column of n rows.

    They are different ones, and ``place`` (n,) says which of them each row has. A numeric column
    has one for each row, and no ``place``: to find equal ones takes longer than to parse them all.
    ``number`` (m,) is NaN where the text is missing, or not that of a finite number. ``moment``
    (m,), of a column of dates, is NaT where the text is missing or no date.
    """

    text: pd.Series[str]
    place: npt.NDArray[np.intp] | None
    is_missing: Bools
    number: Array
    moment: Moments | None = None

    def sums(self, weights: Counts) -> Counts:
        """Return for each value the sum of its rows' weights; exact below 2^53."""
        if self.place is None:
            return weights
        return np.bincount(self.place, weights, len(self.text)).astype(np.int64)

    def of_rows(self, by_value: Bools) -> Bools:
        """Return for each row what ``by_value`` says of its value."""
        return by_value if self.place is None else by_value[self.place]

    def part(self, part: Part, column: Date) -> ColumnValues:
        """Return a part of a column of dates as the attribute that it is."""
        import pandas as pd

        number = part_of(part, cast(Moments, self.moment), column.reference)
        place = np.arange(len(number)) if self.place is None else self.place
        if part not in PARTS:  # a number for each row, as every numeric column has
            rows = self.text.iloc[place].reset_index(drop=True)
            return ColumnValues(rows, None, np.isnan(number)[place], number[place])
        words = np.array([*PARTS[part], ""])  # the last one where there is no date
        code, known = pd.factorize(np.nan_to_num(number, nan=len(words) - 1).astype(np.intp))
        text = pd.Series(words[known], dtype="str")
        is_missing = (text == "").to_numpy(bool)
        return ColumnValues(text, code[place], is_missing, np.full(len(text), np.nan))


def column_values(frame: pd.DataFrame, data: DataSettings) -> dict[str, ColumnValues]:
    """Return the values of the columns of the frame, and of each part of a date."""
    columns = {**data.used, data.target.name: data.target}  # a count is read already
    found = {
        name: _values(frame[name], column, data)
        for name, column in columns.items()
        if name in frame and not isinstance(column, Count)
    }
    for name, column in data.used.items():
        if isinstance(column, Date) and name in found:
            found |= {f"{name}.{part}": found[name].part(part, column) for part in column.parts}
    return found


def words_of(column: Used, values: ColumnValues) -> ColumnValues:
    """Return the values as attributes have them: of a boolean "false" and "true"."""
    if not isinstance(column, Boolean):
        return values
    import pandas as pd

    words = values.text.map(lambda text: BOOLEANS.get(text.lower(), text))
    place, text = pd.factorize(words)
    is_missing = np.zeros(len(text), bool)
    is_missing[place] = values.is_missing
    rows = place if values.place is None else place[values.place]
    return ColumnValues(pd.Series(text, dtype="str"), rows, is_missing, np.full(len(text), np.nan))


def _values(cells: pd.Series[str], column: Used | Target, data: DataSettings) -> ColumnValues:
    import pandas as pd

    if isinstance(column, Numeric | Weight):
        marks = _marks(column, data)
        number = parse_numbers(cells, data)
        is_missing = cells.isin(marks).to_numpy(bool) | np.isin(number, _numbers(marks, data))
        number = np.where(is_missing, np.nan, number)
        return ColumnValues(cells.reset_index(drop=True), None, is_missing, number)
    place, distinct = pd.factorize(cells)
    return values_of_text(pd.Series(distinct, dtype="str"), place, column, data)


def values_of_text(
    text: pd.Series[str], place: npt.NDArray[np.intp], column: Used | Target, data: DataSettings
) -> ColumnValues:
    """Return the values of a column of words, given the different ones and which each row has."""
    is_missing = text.isin(_marks(column, data)).to_numpy(bool)
    moment = None
    if isinstance(column, Date):
        moment = parse_moments(text.mask(is_missing, ""), column.format)
    return ColumnValues(text, place, is_missing, np.full(len(text), np.nan), moment)


def values_of_numbers(x: Array, column: Used, data: DataSettings) -> ColumnValues:
    """Return the values of a column of numbers (n,) that never were text; NaN is missing."""
    is_missing = np.isnan(x)
    for mark in _number_marks(frozenset(_marks(column, data)), data.decimal, data.thousands):
        is_missing |= x == mark
    is_number = np.isfinite(x)
    if is_missing.any():
        is_number &= ~is_missing
    number = x if is_number.all() else np.where(is_number, x, np.nan)
    return ColumnValues(_no_text(), None, is_missing, number)


@cache
def _no_text() -> pd.Series[str]:
    import pandas as pd

    return pd.Series(dtype="str")


@cache
def _number_marks(
    marks: frozenset[str], decimal: Literal[".", ","], thousands: Any
) -> tuple[float, ...]:
    return tuple(_numbers({*marks}, FileSettings(decimal=decimal, thousands=thousands)).tolist())


def _marks(column: Used | Target, data: DataSettings) -> set[str]:
    """Return the texts that stand for a missing value in this column."""
    # A text that the contract lists is a value: NA may be a country.
    return {*data.missing}.difference(listed_values(column))


def _numbers(marks: set[str], data: FileSettings) -> Array:
    """Return the marks that are numbers: -999 is -999.0, however it is written."""
    import pandas as pd

    numbers = parse_numbers(pd.Series(sorted(marks), dtype="str"), data)
    return numbers[~np.isnan(numbers)]


def listed_values(column: Used | Target) -> tuple[str, ...]:
    """Return the values that the contract lists for a column; none where it leaves them open."""
    if isinstance(column, Target):
        return (*(column.negative or ()), *column.positive)
    return (column.categories or ()) if isinstance(column, Categorical) else ()
