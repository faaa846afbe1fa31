"""Text rows become a table that cannot fail any more: checked by the contract, then converted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.config import Categorical, DataSettings, Numeric
from pipeline.errors import DataError, bounded
from pipeline.stages.contract import attribute_rules, missing_marks, numbers, target_rules
from pipeline.stages.faults import Broken, Fault, broken_rules, table_faults
from pipeline.stages.one_thread import on_one_thread
from pipeline.stages.profile import (
    Category,
    ColumnProfile,
    is_positive,
    profile_columns,
    remarks,
    tallies,
)
from pipeline.stages.read import Counts, Rows, lines_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MISSING",
    "Category",
    "ColumnProfile",
    "Fault",
    "Table",
    "Validation",
    "check_attributes",
    "convert",
    "validate",
]

MISSING = "missing"  # the category of a missing value where it is allowed
N_PREDICT_LINES = 20  # rows to predict are few, and whoever sent them wants to mend them all


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

    @property
    def share(self) -> float:
        """The share of rows that is positive."""
        return float(self.count @ self.y / self.count.sum())


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
        if self.table is None:
            raise DataError(bounded([fault.message for fault in self.faults]))
        return self.table


@on_one_thread
def validate(rows: Rows, data: DataSettings) -> Validation:
    """Every rule of the contract checked on every row, and the table if they all hold."""
    rules = attribute_rules(data) | target_rules(data)
    faults = _located(broken_rules(rows.frame, rows.count, rules), rows, data)
    faults += table_faults(rows, data)
    found = tallies(rows, data)
    positive = is_positive(rows, data)
    table = None
    if not faults:
        table = Table(convert(rows.frame, data), positive.astype(np.float64), rows.count)
    return Validation(
        n_rows=int(rows.count.sum()),
        n_distinct=len(rows.count),
        n_positive=int(rows.count[positive].sum()),
        faults=faults,
        warnings=remarks(rows, found, data),
        profile=profile_columns(found, data),
        table=table,
    )


def check_attributes(
    frame: pd.DataFrame, count: Counts, data: DataSettings, lines: Counts
) -> tuple[Fault, ...]:
    """The rules that the attributes of text rows break; ``lines`` holds the line of each row.

    For rows to predict: no target, and no rule about the table as a whole.
    """
    rules = {
        name: tuple(rule for rule in of_column if not rule.whole)
        for name, of_column in attribute_rules(data).items()
    }
    return tuple(
        replace(
            fault,
            lines=tuple(np.sort(lines[frame[fault.column].isin(bad)])[:N_PREDICT_LINES].tolist()),
        )
        for fault, bad in broken_rules(frame, count, rules)
    )


def convert(frame: pd.DataFrame, data: DataSettings) -> pd.DataFrame:
    """The attributes of text rows that break no rule, as a Table holds them."""
    import pandas as pd

    return pd.DataFrame(
        {name: _converted(frame[name], column, data) for name, column in data.attributes.items()}
    )


def _converted(
    cells: pd.Series[str], column: Categorical | Numeric, data: DataSettings
) -> pd.Series[str] | pd.Series[float]:
    import pandas as pd

    absent = missing_marks(column, data)
    if isinstance(column, Numeric):
        return pd.Series(numbers(cells, absent), index=cells.index)
    return cells.mask(cells.isin(absent), MISSING)


def _located(broken: Sequence[Broken], rows: Rows, data: DataSettings) -> tuple[Fault, ...]:
    """The faults with the first lines of the file that show them."""
    if not broken:
        return ()
    places = lines_of(rows.path, data, [(fault.column, bad) for fault, bad in broken])
    return tuple(
        replace(fault, lines=lines) for (fault, _), lines in zip(broken, places, strict=True)
    )
