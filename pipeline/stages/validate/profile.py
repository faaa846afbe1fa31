"""The values of a table become what a person wants to know of it: a profile, and warnings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.config.column_settings import Categorical, Feature, Group, Numeric
from pipeline.config.contract import DataSettings, Target
from pipeline.config.date_settings import Date
from pipeline.config.file_settings import BLANKS
from pipeline.stages.copies import row_hashes
from pipeline.stages.read.rows import Counts
from pipeline.stages.validate.hints import (
    BLANK,
    MISSING_MARKS,
    is_blank,
    known_cure,
    look,
    missing_cure,
)
from pipeline.stages.validate.values import BOOLEANS, Bools, ColumnValues, listed_values, words_of
from pipeline.text import counted, quoted, setting, skeleton

if TYPE_CHECKING:
    import pandas as pd

MANY = 10_000  # values of a column, above which they are not compared with each other
N_SHOWN = 50  # categories of a column


@dataclass(frozen=True)
class Category:
    """A value of a column: how many rows have it, and which share of them is positive."""

    value: str
    n_rows: int
    positive_share: float


@dataclass(frozen=True)
class ColumnProfile:
    """What a column holds: ``categories`` of words, ``minimum`` to ``maximum`` of numbers."""

    name: str
    kind: str
    n_missing: int
    categories: tuple[Category, ...] = ()
    minimum: float | None = None
    mean: float | None = None
    maximum: float | None = None


def profile_columns(
    columns: dict[str, ColumnValues], count: Counts, positive: Bools, data: DataSettings
) -> tuple[ColumnProfile, ...]:
    """Return what each attribute holds, every row weighted by its count."""
    return tuple(
        _numeric(name, columns[name], count)
        if isinstance(column, Numeric)
        else profile_words(
            name,
            words_of(data.features.get(name, column), columns[name]),
            column,
            count,
            count * positive,
        )
        for name, column in data.attributes.items()
        if name in columns
    )


def count_contradictions(
    columns: dict[str, ColumnValues], count: Counts, positive: Bools, data: DataSettings
) -> tuple[int, int]:
    """Return how many rows share every attribute with one of the other class.

    And how many of them every model of these attributes gets wrong.
    """
    import pandas as pd

    kinds = data.attributes | data.features
    values = {n: words_of(kinds[n], columns[n]) for n in data.attributes if n in columns}
    codes = {n: v.number if v.place is None else v.place for n, v in values.items()}
    _, group = np.unique(row_hashes(pd.DataFrame(codes, copy=False)), return_inverse=True)
    n_positive = np.bincount(group, weights=count * positive)
    total = np.bincount(group, weights=count)
    minority = np.minimum(n_positive, total - n_positive)
    return int(total[minority > 0].sum()), int(minority.sum())


def find_warnings(
    columns: dict[str, ColumnValues], count: Counts, contradictory: int, wrong: int,
    data: DataSettings,
) -> Iterator[str]:  # fmt: skip
    """Yield what does not refuse a table but should be known about it."""
    n_rows, n_distinct = int(count.sum()), len(count)
    if contradictory:
        yield (
            f"{contradictory} rows ({100 * contradictory / n_rows:.3g} %) have the attributes of a "
            f"row of the other class: no model can exceed accuracy {1 - wrong / n_rows:.4f} here"
        )
    if n_distinct < n_rows:
        yield f"{n_rows - n_distinct} of {n_rows} rows repeat another row ({n_distinct} distinct)"
    for name, column in data.features.items():
        if name in data.known:
            continue
        for what in _column_warnings(name, words_of(column, columns[name]).text, column):
            yield f"{what}; {known_cure(name, data)}"
        yield from _mark_warnings(f"column {name}", columns[name], column, count, data)
    for name in [name for name in data.names_of(Group) if name not in data.known]:
        for what in _alike(name, columns[name].text):
            yield f"{what}; write each one way, or {known_cure(name, data)}"
    yield from _target_warnings(columns[data.target.name], count, data)


def _target_warnings(of_target: ColumnValues, count: Counts, data: DataSettings) -> Iterator[str]:
    target = data.target
    yield from _absent(f"target {target.name}", of_target.text, listed_values(target))
    if target.negative is None and target.name not in data.known:
        yield from _open_negative(of_target, count, target)
        yield from _mark_warnings(f"target {target.name}", of_target, target, count, data)


def _open_negative(values: ColumnValues, count: Counts, target: Target) -> Iterator[str]:
    """Yield which values are class 0 only because they are not listed as positive."""
    n_rows = values.sums(count)
    rows = [counted(int(n), "row") for n in n_rows]
    rest = ~values.is_missing & ~values.text.isin(target.positive).to_numpy(bool)
    order = [i for i in np.argsort(-n_rows, kind="stable") if rest[i]]
    if len(order) > 1:
        shown = ", ".join(f"{quoted(values.text[i], 30)} ({n_rows[i]})" for i in order[:10])
        more = f" and {len(order) - 10} more" if len(order) > 10 else ""
        listing = setting("data.target.negative", [values.text[i] for i in order[:10]])
        cure = "" if more else f"; if all are meant, set {listing}"
        yield (
            f"target {target.name}: {len(order)} values are class 0, as data.target.negative is "
            f"not set: {shown}{more}{cure}"
        )
    looks = {skeleton(value).casefold(): value for value in target.positive}
    for i in order:
        meant = looks.get(skeleton(values.text[i]).casefold())
        if meant is not None:
            listing = setting("data.target.positive", [*target.positive, values.text[i]])
            yield (
                f"target {target.name}: {quoted(values.text[i])} ({rows[i]}) is class 0, "
                f"but looks like the positive {quoted(meant)}: if it is, set {listing}"
            )


def _mark_warnings(
    subject: str, values: ColumnValues, column: Feature | Target, count: Counts, data: DataSettings
) -> Iterator[str]:
    """Yield the values that are no listed ones and often stand for a missing one."""
    if isinstance(column, Numeric | Date) or values.place is None or len(values.text) > MANY:
        return
    known = {*listed_values(column), *BOOLEANS}
    marks = values.text.str.strip(BLANKS).str.lower().isin([*MISSING_MARKS, ""])
    rows = [counted(int(n), "row") for n in values.sums(count)]
    for i in np.flatnonzero(marks.to_numpy(bool) & ~values.is_missing)[:5]:
        if (value := values.text[i]) not in known:
            cure = BLANK if is_blank(value, data) else missing_cure([value], data)
            yield f"{subject}: {quoted(value)} ({rows[i]}) is taken for a value; {cure}"


def _column_warnings(name: str, values: pd.Series[str], column: Feature) -> Iterator[str]:
    if (values == values[0]).all():
        yield f"column {name} is constant: every row has {quoted(values[0])}"
        return
    if isinstance(column, Categorical) and column.categories is not None:
        yield from _absent(f"column {name}", values, column.categories)
    if isinstance(column, Categorical):
        yield from _alike(name, values)


def _alike(name: str, values: pd.Series[str]) -> Iterator[str]:
    """Yield the values that differ only in how they are written."""
    alike: dict[str, list[str]] = {}
    for value in sorted(values) if len(values) <= MANY else ():
        alike.setdefault(look(value), []).append(value)
    for same in [same for same in alike.values() if len(same) > 1][:5]:
        yield f"column {name} holds values that look alike: {', '.join(map(quoted, same[:5]))}"


def _absent(subject: str, values: pd.Series[str], listed: tuple[str, ...]) -> Iterator[str]:
    known = set(values[values.isin(listed)])
    absent = [quoted(value) for value in listed if value not in known]
    if absent:
        yield f"{subject}: no row has {', '.join(absent[:10])}{', …' if len(absent) > 10 else ''}"


def _numeric(name: str, values: ColumnValues, count: Counts) -> ColumnProfile:
    n_rows = values.sums(count)
    n_missing = int(n_rows[values.is_missing].sum())
    known = ~np.isnan(values.number)
    if not known.any():
        return ColumnProfile(name, "numeric", n_missing)
    x, share = values.number[known], n_rows[known] / n_rows[known].sum()
    low, high = float(x.min()), float(x.max())
    with np.errstate(over="ignore"):  # near the largest number, which the rules refuse
        mean = min(max(float(share @ x), low), high)
    return ColumnProfile(name, "numeric", n_missing, (), low, mean, high)


def profile_words(
    name: str, values: ColumnValues, column: Categorical, count: Counts, positive: Counts
) -> ColumnProfile:
    """Return the profile with categories in the order of the contract, then the commonest first."""
    n_rows, n_positive = values.sums(count), values.sums(positive)
    listed = {value: i for i, value in enumerate(column.categories or ())}
    order = np.lexsort((-n_rows, values.text.map(listed).to_numpy(float)))  # NaN, not listed, last
    order = order[~values.is_missing[order]]
    shown, rest = order[:N_SHOWN], order[N_SHOWN:]
    parts = [(values.text[i][:200], np.array([i])) for i in shown]
    parts += [(f"… {len(rest)} more", rest)] if len(rest) else []
    categories = tuple(
        Category(value, n := int(n_rows[at].sum()), float(n_positive[at].sum() / n))
        for value, at in parts
    )
    n_missing = int(n_rows[values.is_missing].sum())
    return ColumnProfile(name, "categorical", n_missing, categories)
