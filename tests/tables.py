"""Small tables by hand, for the tests of the stages."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.config import DataSettings
from pipeline.stages.validate import Table


def make_table(
    columns: dict[str, Sequence[object]], y: Sequence[float], count: Sequence[int] | None = None
) -> Table:
    counts = np.ones(len(y), np.int64) if count is None else np.array(count, np.int64)
    return Table(pd.DataFrame(columns), np.array(y, np.float64), counts)


def make_data(columns: dict[str, dict[str, object]]) -> DataSettings:
    target = {"name": "class", "positive": ["yes"]}
    return DataSettings.parse({"name": "t", "path": "t.csv", "target": target, "columns": columns})


def repeated(table: Table) -> Table:
    """The table written out: every row as often as it counts."""
    rows = np.repeat(np.arange(len(table.y)), table.count)
    frame = table.frame.iloc[rows].reset_index(drop=True)
    return Table(frame, table.y[rows], np.ones(len(rows), np.int64))
