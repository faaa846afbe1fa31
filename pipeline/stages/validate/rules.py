"""The data contract becomes rules: what each column must hold, and which of its values do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.config.contract import Categorical, DataSettings, Numeric, Target
from pipeline.stages.read.rows import Counts
from pipeline.stages.validate.hints import category_hint, number_hint
from pipeline.stages.validate.values import Bools, ColumnValues, listed_values
from pipeline.text import quoted

CONTROL = r"[\x00-\x1f\x7f]"
LARGEST = 1e100  # the squares of more, and their sums, overflow
N_LISTED = 12  # allowed values that a message lists


@dataclass(frozen=True)
class Rule:
    """What a column must satisfy, in words, and whether each of its values does.

    ``holds`` is a single bool where the rule is about the column, not about its values. ``hint``
    says what an offending value was probably meant to be.
    """

    text: str
    holds: Bools | bool
    hint: Callable[[str], str] = lambda _: ""


Rules = dict[str, list[Rule]]


def contract_rules(columns: dict[str, ColumnValues], data: DataSettings) -> Rules:
    """Return the rules of the attributes, and of the target where ``columns`` has it."""
    contract = {**data.attributes, data.target.name: data.target}
    return {name: [*_rules(name, contract[name], columns[name], data)] for name in columns}


def table_rules(
    target: ColumnValues, count: Counts, contradictory: float, data: DataSettings
) -> Iterator[Rule]:
    """Yield the rules of the table as a whole; a share of its rows is ``contradictory``."""
    n = int(count.sum())
    text = f"must hold at least {data.min_rows} rows (data.min_rows)"
    yield Rule(text, n >= data.min_rows, lambda _: f"got {n}")
    name, positive, negative = data.target.name, data.target.positive, data.target.negative
    is_positive = target.text.isin(positive).to_numpy(bool)
    is_negative = ~is_positive & ~target.is_missing
    if negative is not None:
        is_negative = target.text.isin(negative).to_numpy(bool)
    n_rows = target.sums(count)
    n_positive, n_negative = int(n_rows[is_positive].sum()), int(n_rows[is_negative].sum())
    values = ", ".join(quoted(value, 30) for value in positive[:5])
    got = f"got {n_positive} positive and {n_negative} negative rows of {name} (positive: {values})"
    yield Rule("must hold both classes", n_positive > 0 and n_negative > 0, lambda _: got)
    limit = data.max_contradictory
    text = (
        f"must hold at most {limit:.1%} rows that contradict a row with the same attributes "
        "(data.max_contradictory)"
    )
    yield Rule(text, contradictory <= limit, lambda _: f"got {contradictory:.1%}")


def _rules(
    name: str, column: Categorical | Numeric | Target, values: ColumnValues, data: DataSettings
) -> Iterator[Rule]:
    ignore = f"set data.columns.{name}.kind=ignored"
    is_refused = isinstance(column, Target) or column.missing == "refuse"
    if is_refused:
        cure = f"to take it as an input of its own, set data.columns.{name}.missing=input"
        hint = "" if isinstance(column, Target) else cure
        yield Rule("must not be missing", ~values.is_missing, lambda _: hint)
    if isinstance(column, Numeric):
        yield from _number_rules(column, values)
        if not is_refused:
            some = not values.is_missing.all()
            yield Rule("must not be missing in every row", some, lambda _: f"it is empty: {ignore}")
    elif _is_closed(column):
        yield _one_of(name, listed_values(column), values)
    else:
        is_plain = ~values.text.str.contains(CONTROL).to_numpy(bool)
        yield Rule("must hold no control characters", values.is_missing | is_plain)
        n, limit = len(values.text), data.max_categories
        if isinstance(column, Categorical):
            text = f"must have at most {limit} different values (data.max_categories)"
            cure = f"got {n}: is it an identifier? Then {ignore}"
            yield Rule(text, n <= limit, lambda _: cure)


def _is_closed(column: Categorical | Target) -> bool:
    return (column.negative if isinstance(column, Target) else column.categories) is not None


def _one_of(name: str, allowed: tuple[str, ...], values: ColumnValues) -> Rule:
    more = f", … ({len(allowed)} in all)" if len(allowed) > N_LISTED else ""
    return Rule(
        f"must be one of {', '.join(value[:30] for value in allowed[:N_LISTED])}{more}",
        values.is_missing | values.text.isin(allowed).to_numpy(bool),
        lambda value: category_hint(value, allowed, name),
    )


def _number_rules(column: Numeric, values: ColumnValues) -> Iterator[Rule]:
    """Bounds leave NaN, which is missing or no number, to the other rules."""
    number, low, high = values.number, column.minimum, column.maximum
    yield Rule("must be a number", values.is_missing | ~np.isnan(number), number_hint)
    is_moderate = ~(np.abs(number) > LARGEST)
    cure = "does it stand for a missing value? Then add it to data.missing_values"
    yield Rule(f"must be from {-LARGEST:g} to {LARGEST:g}", is_moderate, lambda _: cure)
    if low is not None:
        yield Rule(f"must be at least {low:g}", ~(number < low))
    if high is not None:
        yield Rule(f"must be at most {high:g}", ~(number > high))
