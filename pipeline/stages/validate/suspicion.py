"""The values of a table become what is suspicious about its columns, for a person to judge.

A suspicion refuses nothing. ``data.known`` names the columns whose suspicions a person has judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nn.arrays import Array
from pipeline.config.column_settings import Categorical, Feature, Numeric
from pipeline.config.contract import DataSettings
from pipeline.config.date_settings import Date
from pipeline.stages.read.numbers import parse_numbers
from pipeline.stages.read.rows import Counts
from pipeline.stages.validate.hints import known_cure, missing_cure
from pipeline.stages.validate.leak import FEW_OF_CLASS, Classes, find_leak
from pipeline.stages.validate.values import Bools, ColumnValues
from pipeline.text import column_setting, counted, quoted

Kind = Literal["leak", "identifier", "sentinel", "numbers", "class", "future"]

FEW_VALUES = 20  # of which none is an identifier
FEW_NUMBERS = 10  # different ones that may be codes
SENTINEL = re.compile(r"-?9{2,}|-1")


@dataclass(frozen=True)
class Suspicion:
    """What may be wrong with a column, in words that end with what to set."""

    column: str
    kind: Kind
    text: str


def find_suspicions(
    columns: dict[str, ColumnValues], count: Counts, positive: Bools, data: DataSettings
) -> Iterator[Suspicion]:
    """Yield what is suspicious about each column that ``data.known`` does not name."""
    classes = Classes.of(count, positive)
    if data.target.name not in data.known:
        yield from _rare_class(classes, data)
    for name, column in data.features.items():
        if name in columns and name not in data.known:
            for kind, what in _of_column(name, column, columns[name], classes, data):
                yield Suspicion(name, kind, f"column {name} {what}; {known_cure(name, data)}")


def _of_column(
    name: str, column: Feature, values: ColumnValues, classes: Classes, data: DataSettings
) -> Iterator[tuple[Kind, str]]:
    ignore = f"set {column_setting(name, 'kind', 'ignored')}"
    if how := find_leak(values, classes):
        asked = f"is it known before the target is? If not, {ignore}"
        yield "leak", f"tells the target nearly alone: {how}; {asked}"
    if isinstance(column, Numeric):
        yield from (("sentinel", what) for what in _sentinels(values, classes, data))
        if _is_index(values, classes):
            yield "identifier", f"numbers the rows, each number once: {ignore}"
    elif isinstance(column, Date):
        yield from (("future", what) for what in _future(column, values, classes, data))
    elif isinstance(column, Categorical) and column.categories is None:
        m, n = int((~values.is_missing).sum()), int(classes.n.sum())
        if m >= FEW_VALUES and m > n / 2:
            yield (
                "identifier",
                f"has {m:,} values in {n:,} rows: if it is an identifier, {ignore}",
            )
        elif m > FEW_NUMBERS and _holds_numbers(values, data):
            numeric = column_setting(name, "kind", "numeric")
            yield "numbers", f"holds {m:,} numbers as words: if they are quantities, set {numeric}"


def _rare_class(classes: Classes, data: DataSettings) -> Iterator[Suspicion]:
    name = data.target.name
    for n, label in zip(classes.n, ("negative", "positive"), strict=True):
        if 0 < n < FEW_OF_CLASS:
            what = (
                f"target {name}: only {counted(int(n), 'row')} are {label}: the test part holds "
                f"few of them, and its figures are uncertain; {known_cure(name, data)}"
            )
            yield Suspicion(name, "class", what)


# --- numbers and words that are something else ---------------------------------------------------


def find_sentinels(numbers: Array) -> list[float]:
    """Return the lowest and the highest number if they seem to stand for a missing value.

    That are -1, and numbers of nines that are further from the rest than the rest is wide.
    """
    if not len(numbers):
        return []
    ends = {float(numbers.min()), float(numbers.max())}
    return sorted(n for n in ends if SENTINEL.fullmatch(number_word(n)) and _is_far(n, numbers))


def number_word(number: float) -> str:
    """Return a number as it is most often written: a whole one without a point."""
    return f"{number:.0f}" if number == round(number) and abs(number) < 2**53 else repr(number)


def _sentinels(values: ColumnValues, classes: Classes, data: DataSettings) -> Iterator[str]:
    x = values.number
    found = find_sentinels(x[~np.isnan(x)])
    rest = x[~np.isnan(x) & ~np.isin(x, found)]
    for number in found:
        n, text = int(classes.count[x == number].sum()), number_word(number)
        held = f"{counted(n, 'row')}, and the rest from {rest.min():.6g} to {rest.max():.6g}"
        yield f"holds {text} in {held}: {missing_cure([text], data)}"


def _is_far(number: float, numbers: Array) -> bool:
    """Return whether the number is far from the others; -1 is if they are whole and from 0 up."""
    rest = numbers[numbers != number]
    if not len(rest):
        return False
    low, high = rest.min(), rest.max()
    if number == -1:
        return bool(low >= 0 and high > FEW_VALUES and (rest == np.floor(rest)).all())
    return bool(max(low - number, number - high) > high - low > 0)


def _future(
    column: Date, values: ColumnValues, classes: Classes, data: DataSettings
) -> Iterator[str]:
    """Yield that dates are later than the day that the contract names: the clock is not asked."""
    import pandas as pd

    known = values.text.mask(values.is_missing)
    form = column.format or "ISO8601"
    moments = pd.to_datetime(known, format=form, errors="coerce", utc=True)
    late = (moments >= pd.Timestamp(data.as_of, tz="UTC") + pd.Timedelta(days=1)).to_numpy(bool)
    if late.any():
        n = int(values.sums(classes.count)[late].sum())
        last = known[late].iloc[int(moments[late].argmax())]
        yield (
            f"holds {quoted(last, 30)} and {counted(n, 'row')} in all after data.as_of="
            f"{data.as_of}: mend them, or set data.as_of to a later day"
        )


def _is_index(values: ColumnValues, classes: Classes) -> bool:
    """Return whether the rows have whole numbers, each once, that follow each other."""
    x, n = values.number, len(classes.count)
    if n < FEW_VALUES or n < classes.n.sum() or values.is_missing.any():
        return False
    is_dense = x.max() == x.min() + (n - 1) and bool((x == np.floor(x)).all())
    return is_dense and len(np.unique(x)) == n


def _holds_numbers(values: ColumnValues, data: DataSettings) -> bool:
    numbers = parse_numbers(values.text[~values.is_missing], data)
    return bool(np.isnan(numbers).mean() < 0.1)
