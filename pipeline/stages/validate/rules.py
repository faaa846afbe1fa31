"""The data contract becomes rules: what each column must hold, and which of its values do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.config.column_settings import Boolean, Categorical, Group, Numeric, Used, Weight
from pipeline.config.contract import DataSettings, Target
from pipeline.config.date_settings import Date, parse_moment
from pipeline.stages.read.rows import Counts
from pipeline.stages.validate.hints import (
    SENTINEL,
    category_hint,
    date_hint,
    hint_of,
    labels_cure,
    missing_cure,
    number_hint,
)
from pipeline.stages.validate.values import BOOLEANS, Bools, ColumnValues, listed_values
from pipeline.text import column_setting, quoted

CONTROL = r"[\x00-\x1f\x7f]"
LARGEST = 1e100  # no measurement is larger; what is, stands for a missing value
N_PROBED = 20  # values that are tried as dates
N_CODES = 3  # values beyond that are measurements, not codes for missing ones
N_LISTED = 12  # allowed values that a message lists


@dataclass(frozen=True)
class Rule:
    """What a column must satisfy, in words, and whether each of its values does.

    ``holds`` is a single bool where the rule is about the column, not about its values. ``hint``
    says what the offending values, the commonest first, were probably meant to be.
    """

    text: str
    holds: Bools | bool
    hint: Callable[[list[str]], str] = lambda _: ""


Rules = dict[str, list[Rule]]


def contract_rules(columns: dict[str, ColumnValues], data: DataSettings, count: Counts) -> Rules:
    """Return the rules of the ``columns`` of the file, whose rows occur ``count`` (n,) times."""
    contract = {**data.used, data.target.name: data.target}
    return {
        name: [*_rules(name, column, columns[name], data, count)]
        for name, column in contract.items()
        if name in columns
    }


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
    name: str, column: Used | Target, values: ColumnValues, data: DataSettings, count: Counts
) -> Iterator[Rule]:
    is_optional = getattr(column, "missing", "refuse") == "input"
    if not is_optional:
        yield Rule("must not be missing", ~values.is_missing, lambda _: _missing_hint(name, column))
    match column:
        case Numeric():
            yield from _number_rules(name, column, values, data)
            if is_optional:
                some = not values.is_missing.all()
                cure = f"it is empty: {_ignore(name)}"
                yield Rule("must not be missing in every row", some, lambda _: cure)
        case Weight():
            yield from _weight_rules(name, values, data)
        case Boolean():
            is_word = values.text.str.lower().isin(BOOLEANS).to_numpy(bool)
            yield Rule(
                "must be true or false, yes or no, t or f, y or n, 1 or 0",
                values.is_missing | is_word,
                lambda bad: hint_of(bad, data, lambda _: ""),
            )
        case Date():
            yield _date_rule(name, column, values)
        case Categorical() | Target() if _is_closed(column):
            yield _one_of(name, column, values, data)
        case _:
            yield from _word_rules(name, column, values, data, count)


def _ignore(name: str) -> str:
    return f"set {column_setting(name, 'kind', 'ignored')}"


def _missing_hint(name: str, column: Used | Target) -> str:
    if isinstance(column, Target | Weight | Group):
        return "leave such rows out of the file"
    cure = column_setting(name, "missing", "input")
    return f"to take it as an input of its own, set {cure}"


def _word_rules(
    name: str, column: Used | Target, values: ColumnValues, data: DataSettings, count: Counts
) -> Iterator[Rule]:
    is_plain = ~values.text.str.contains(CONTROL).to_numpy(bool)
    yield Rule("must hold no control characters", values.is_missing | is_plain)
    if isinstance(column, Categorical):
        yield _few_categories(name, column, values, data, count)


def _few_categories(
    name: str, column: Categorical, values: ColumnValues, data: DataSettings, count: Counts
) -> Rule:
    """Return the rule that bounds the number of inputs: rare categories share one."""
    n, limit, n_rows = len(values.text), data.max_categories, np.sort(values.sums(count))
    if n > limit and column.min_count is not None:
        n = int(np.sum(n_rows >= column.min_count)) + 1
    dates = values.text[:N_PROBED].map(lambda value: parse_moment(value, None) is not None)
    cure = f"is it an identifier? Then {_ignore(name)}; or group the rare ones with " + (
        column_setting(name, "min_count", str(max(20, int(n_rows[-limit:][0]) + 1)))
    )
    if dates.all():
        cure = f"is it a date? Then set {column_setting(name, 'kind', 'date')}"
    text = f"must have at most {limit} different values (data.max_categories)"
    return Rule(text, n <= limit, lambda _: f"got {n}: {cure}")


def _date_rule(name: str, column: Date, values: ColumnValues) -> Rule:
    iso = "of ISO 8601, as 2024-12-31 or 2024-12-31T23:59"
    form = f"like {column.format}" if column.format else iso
    known = np.zeros(0, bool) if values.moment is None else ~np.isnat(values.moment)
    return Rule(f"must be a date {form}", values.is_missing | known, partial(date_hint, name))


def _is_closed(column: Categorical | Target) -> bool:
    return (column.negative if isinstance(column, Target) else column.categories) is not None


def _one_of(
    name: str, column: Categorical | Target, values: ColumnValues, data: DataSettings
) -> Rule:
    allowed = listed_values(column)
    is_allowed = values.text.isin(allowed).to_numpy(bool)
    others = values.text[~values.is_missing & ~is_allowed]
    labels = labels_cure(column, others) if isinstance(column, Target) else ""
    more = f", … ({len(allowed)} in all)" if len(allowed) > N_LISTED else ""
    return Rule(
        f"must be one of {', '.join(value[:30] for value in allowed[:N_LISTED])}{more}",
        values.is_missing | is_allowed,
        lambda bad: labels or hint_of(bad, data, lambda v: category_hint(v, allowed, name)),
    )


def _number_rules(
    name: str, column: Numeric, values: ColumnValues, data: DataSettings
) -> Iterator[Rule]:
    """Bounds leave NaN, which is missing or no number, to the other rules."""
    number, low, high = values.number, column.minimum, column.maximum
    yield _is_number("must be a number", name, values, data)
    is_moderate = ~(np.abs(number) > LARGEST)
    yield Rule(
        f"must be from {-LARGEST:g} to {LARGEST:g}",
        is_moderate,
        lambda bad: "write it in another unit" if len(bad) > N_CODES else missing_cure(bad, data),
    )

    def cure(bad: list[str]) -> str:
        sentinels = [value for value in bad if SENTINEL.fullmatch(value)]
        return missing_cure(sentinels, data) if sentinels else ""

    if low is not None:
        yield Rule(f"must be at least {low:g}", ~(number < low), cure)
    if high is not None:
        yield Rule(f"must be at most {high:g}", ~(number > high), cure)


def _weight_rules(name: str, values: ColumnValues, data: DataSettings) -> Iterator[Rule]:
    yield _is_number("must be a number (kind: weight)", name, values, data)
    yield Rule("must be at least 0 (kind: weight)", ~(values.number < 0))
    some = bool((values.number > 0).any()) or bool(np.isnan(values.number).all())
    yield Rule("must be above 0 in some row (kind: weight)", some)


def _is_number(text: str, name: str, values: ColumnValues, data: DataSettings) -> Rule:
    is_number = values.is_missing | ~np.isnan(values.number)
    return Rule(text, is_number, lambda bad: number_hint(bad, values, name, data))
