"""A text table becomes what a person wants to know of it: a profile, and what is odd about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.config import Categorical, DataSettings, Numeric
from pipeline.stages.contract import missing_marks, numbers
from pipeline.stages.hints import quoted, skeleton
from pipeline.stages.read import Counts, Rows

if TYPE_CHECKING:
    import pandas as pd

MANY = 10_000  # values of a column, above which they are not compared with each other
SHOWN = 50  # categories of a column, the commonest where the contract lists none


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
class Contradictions:
    """Rows that share every attribute with a row of the other class.

    ``best_accuracy`` is what no model of these attributes can exceed on this table.
    """

    n_rows: int
    best_accuracy: float


@dataclass(frozen=True)
class Tally:
    """The different values of a column, and how many rows, and positive rows, have each."""

    values: pd.Series[str]
    n_rows: Counts
    n_positive: Counts


def tallies(rows: Rows, data: DataSettings) -> dict[str, Tally]:
    """The tally of each column: all that a profile needs, however long the table is."""
    positive = rows.count * is_positive(rows, data)
    found = {}
    for name in rows.frame.columns:
        values, (n_rows, n_positive) = tally(rows.frame[name], [rows.count, positive])
        found[str(name)] = Tally(values, n_rows, n_positive)
    return found


def profile_columns(found: dict[str, Tally], data: DataSettings) -> tuple[ColumnProfile, ...]:
    """What each attribute holds, every row weighted by its count."""
    return tuple(
        _numeric(name, found[name], missing_marks(column, data))
        if isinstance(column, Numeric)
        else _categorical(name, found[name], column, missing_marks(column, data))
        for name, column in data.attributes.items()
    )


def is_positive(rows: Rows, data: DataSettings) -> npt.NDArray[np.bool_]:
    """Whether the target of each row is one of its positive values."""
    return rows.frame[data.target.name].isin(data.target.positive).to_numpy(bool)


def contradictions(rows: Rows, data: DataSettings) -> Contradictions:
    """How many rows contradict others. Rows are sorted, so such rows stand side by side."""
    n = len(rows.count)
    new = np.zeros(n, dtype=bool)
    for name in data.attributes:
        cells = rows.frame[name]
        new |= (cells != cells.shift()).to_numpy(bool)
    group = np.cumsum(new)
    positive = np.bincount(group, weights=rows.count * is_positive(rows, data))
    total = np.bincount(group, weights=rows.count)
    minority = np.minimum(positive, total - positive)
    n_rows = int(total[minority > 0].sum())
    return Contradictions(n_rows, 1 - float(minority.sum() / total.sum()))


def remarks(rows: Rows, found: dict[str, Tally], data: DataSettings) -> tuple[str, ...]:
    """What does not refuse a table but should be known about it, a line each."""
    listed = (*data.target.positive, *(data.target.negative or ()))
    lines = [*_row_remarks(rows, data)]
    for name, column in data.attributes.items():
        lines += _column_remarks(name, found[name].values, column)
    lines += _absent(f"target {data.target.name}", found[data.target.name].values, listed)
    return tuple(lines)


def tally(
    cells: pd.Series[str], weights: Sequence[npt.NDArray[np.int64]]
) -> tuple[pd.Series[str], list[Counts]]:
    """The different values of a column, and the sums of each value's weights; exact below 2^53."""
    import pandas as pd

    codes, values = pd.factorize(cells)
    sums = [np.bincount(codes, weights=each, minlength=len(values)) for each in weights]
    return pd.Series(values, dtype="str"), [each.astype(np.int64) for each in sums]


def _row_remarks(rows: Rows, data: DataSettings) -> Iterator[str]:
    found = contradictions(rows, data)
    n_rows, n_distinct = int(rows.count.sum()), len(rows.count)
    if found.n_rows:
        yield (
            f"{found.n_rows} rows ({100 * found.n_rows / n_rows:.3g} %) have the attributes of a "
            f"row of the other class: no model can exceed accuracy {found.best_accuracy:.4f} here"
        )
    if n_distinct < n_rows:
        yield (
            f"{n_rows - n_distinct} of {n_rows} rows repeat another row ({n_distinct} distinct): "
            "copies of a row may fall into both train and test"
        )


def _column_remarks(name: str, values: pd.Series[str], column: Categorical | Numeric) -> list[str]:
    if len(values) == 1:
        return [f"column {name} says nothing: every row has {quoted(values[0])}"]
    if isinstance(column, Numeric) or len(values) > MANY:
        return []
    if column.categories is not None:
        return _absent(f"column {name}", values, column.categories)
    alike: dict[str, list[str]] = {}
    for value in sorted(values):
        alike.setdefault(skeleton(value).casefold(), []).append(value)
    return [
        f"column {name} holds values that look alike: {', '.join(map(quoted, same[:5]))}"
        for same in alike.values()
        if len(same) > 1
    ][:5]


def _absent(subject: str, values: pd.Series[str], listed: tuple[str, ...]) -> list[str]:
    known = set(values[values.isin(listed)])
    absent = [value for value in listed if value not in known]
    shown = ", ".join(map(quoted, absent[:10])) + (", …" if len(absent) > 10 else "")
    return [f"{subject}: no row has {shown}"] if absent else []


def _numeric(name: str, found: Tally, absent: set[str]) -> ColumnProfile:
    x = numbers(found.values, absent)
    known = ~np.isnan(x)
    n_missing = int(found.n_rows[found.values.isin(absent)].sum())
    if not known.any():
        return ColumnProfile(name, "numeric", n_missing, (), None, None, None)
    share = found.n_rows[known] / found.n_rows[known].sum()
    low, mean, high = x[known].min(), share @ x[known], x[known].max()
    return ColumnProfile(name, "numeric", n_missing, (), float(low), float(mean), float(high))


def _categorical(name: str, found: Tally, column: Categorical, absent: set[str]) -> ColumnProfile:
    """Categories in the order of the contract, then by how common they are."""
    is_absent = found.values.isin(absent).to_numpy(bool)
    place = found.values.map({value: i for i, value in enumerate(column.categories or ())})
    order = np.lexsort((-found.n_rows, place.to_numpy(float)))  # NaN, what is not listed, last
    order = order[~is_absent[order]]
    shown, rest = order[:SHOWN], order[SHOWN:]
    categories = [
        Category(str(found.values[i])[:200], int(found.n_rows[i]), _share(found, [i]))
        for i in shown.tolist()
    ]
    if len(rest):
        n_rows = int(found.n_rows[rest].sum())
        categories.append(Category(f"… {len(rest)} more", n_rows, _share(found, rest)))
    n_missing = int(found.n_rows[is_absent].sum())
    return ColumnProfile(name, "categorical", n_missing, tuple(categories), None, None, None)


def _share(found: Tally, places: list[int] | npt.NDArray[np.intp]) -> float:
    return float(found.n_positive[places].sum() / found.n_rows[places].sum())
