"""How rows are dealt by time: the past trains, what comes next validates, the latest tests."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.config.split_settings import TimeSplit
from pipeline.errors import DataError
from pipeline.stages.read.rows import Counts
from pipeline.stages.validate.convert import Table

Moments = npt.NDArray[np.datetime64]


def deal_by_time(table: Table, settings: TimeSplit) -> tuple[Counts, dict[str, np.datetime64]]:
    """Return the copies of each row in train, valid and test (3, n), and where these two begin.

    A cut is the moment given, or the one that comes nearest to the share. Rows of one moment are
    in one part.

    Raises
    ------
    DataError
        If a row has no date.
    """
    column = settings.column or next(iter(table.dates))
    moments = table.dates[column]
    undated = int(table.count[np.isnat(moments)].sum())
    if undated:
        raise DataError(
            f"column {column} must hold a date in every row for split=time; got {undated:,} rows "
            "without: choose split=stratified or another split.column"
        )
    times, place = np.unique(moments, return_inverse=True)
    before = np.append(0, np.cumsum(np.bincount(place, table.count)))  # rows before each, and all
    n = before[-1]
    test = _cut(settings.test_from, times, before, (1 - settings.test) * n)
    n_before_test = before[np.searchsorted(times, test)]
    valid = _cut(settings.valid_from, times, before, n_before_test - settings.valid * n)
    part = np.where(moments >= test, 2, moments >= valid)
    cuts = {"valid": valid, "test": test} if settings.has_valid else {"test": test}
    return np.where(part == np.arange(3)[:, None], table.count, 0), cuts


def time_folds(table: Table, column: str | None, k: int) -> Counts:
    """Return the copies of each row in each fold (k, n): blocks in time of about as many rows.

    Rows of one moment are in one block. Dealt at random, rows of nearly one moment would score
    each other, which those to come cannot (Bergmeir and Benitez 2012, Information Sciences 191).
    """
    _, place = np.unique(table.dates[column or next(iter(table.dates))], return_inverse=True)
    n = np.bincount(place, table.count)
    block = ((np.cumsum(n) - n / 2) / n.sum() * k).astype(np.intp)[place]
    return np.where(block == np.arange(k)[:, None], table.count, 0)


def _cut(given: str | None, times: Moments, before: Counts, wanted: float) -> np.datetime64:
    """Return the moment that is given, or the one with ``wanted`` rows before it, as near as is."""
    if given is not None:
        return np.datetime64(given)
    found: np.datetime64 = times[np.argmin(np.abs(before[:-1] - wanted))]
    return found


def format_moment(moment: np.datetime64) -> str:
    """Return the moment in ISO 8601, without the time of day where it is midnight."""
    day = moment.astype("datetime64[D]")
    return str(day if day == moment else moment.astype("datetime64[s]"))
