"""The data contract becomes a pandera schema over text: what each column may hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.config import Categorical, DataSettings, Numeric, Target
from pipeline.stages.hints import category_hint, number_hint

if TYPE_CHECKING:
    import pandas as pd
    from pandera.pandas import DataFrameSchema

Holds = npt.NDArray[np.bool_]

NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
CONTROL = r"[\x00-\x1f\x7f]"
LARGEST = 1e100  # the squares of more, and their sums, overflow
SHOWN = 12  # allowed values that a message lists


@dataclass(frozen=True)
class Rule:
    """What a column must satisfy: in words, and as a function that gives one bool a value.

    ``hint`` tells what an offending value was probably meant to be. ``whole``: the rule is about
    the column, not about single values, and then ``hint`` is given their number.
    """

    text: str
    holds: Callable[[pd.Series[str]], Holds]
    hint: Callable[[str], str] = lambda _: ""
    whole: bool = False


Rules = dict[str, tuple[Rule, ...]]


def attribute_rules(data: DataSettings) -> Rules:
    """The rules of each attribute of the contract."""
    return {name: _rules(name, column, data) for name, column in data.attributes.items()}


def target_rules(data: DataSettings) -> Rules:
    """The rules of the column to predict."""
    target = data.target
    absent = missing_marks(target, data)
    if target.negative is None:
        return {target.name: (_not_missing(absent, ""), _no_control(absent))}
    allowed = (*target.negative, *target.positive)
    return {target.name: (_not_missing(absent, ""), _one_of(target.name, allowed, absent))}


def schema(rules: Rules) -> DataFrameSchema:
    """The pandera schema that holds the rules. It never coerces: text is checked as text."""
    import pandera.pandas as pa

    columns: dict[str, Any] = {
        name: pa.Column(str, [_check(rule) for rule in rules_of])
        for name, rules_of in rules.items()
    }
    return pa.DataFrameSchema(columns, strict=True, ordered=True)


def missing_marks(column: Categorical | Numeric | Target, data: DataSettings) -> set[str]:
    """The texts that mean "missing" in this column: never one that the contract lists."""
    listed: set[str] = set()
    if isinstance(column, Categorical):
        listed.update(column.categories or ())
    if isinstance(column, Target):
        listed.update(column.positive, column.negative or ())
    return {"", *data.missing_values} - listed


def numbers(values: pd.Series[str], absent: set[str]) -> npt.NDArray[np.float64]:
    """Each text as float64, correctly rounded; NaN where it is not the text of a finite number.

    NaN as well where it is one of the texts in ``absent``, which mean "missing".
    """
    found = np.full(len(values), np.nan)
    is_number = (values.str.fullmatch(NUMBER) & ~values.isin(absent)).to_numpy(bool)
    found[is_number] = values[is_number].to_numpy(object).astype(np.float64)
    found[~np.isfinite(found)] = np.nan
    return found


def _check(rule: Rule) -> Any:
    """The rule as pandera's check: one failing case is enough, they are counted afterwards."""
    import pandas as pd
    import pandera.pandas as pa

    return pa.Check(
        lambda values: pd.Series(rule.holds(values), index=values.index),
        name=rule.text,
        n_failure_cases=1,
    )


def _rules(name: str, column: Categorical | Numeric, data: DataSettings) -> tuple[Rule, ...]:
    absent = missing_marks(column, data)
    allow = f"to take it as an input of its own, set data.columns.{name}.missing=input"
    refused = (_not_missing(absent, allow),) if column.missing == "refuse" else ()
    if isinstance(column, Numeric):
        some = _some_number(name, absent)
        rules = (*refused, _number(absent), _moderate(absent), *_bounds(column, absent))
        return rules if refused else (*rules, some)
    if column.categories is not None:
        return (*refused, _one_of(name, column.categories, absent))
    return (*refused, _no_control(absent), _few(name, data.max_categories))


def _not_missing(absent: set[str], hint: str) -> Rule:
    return Rule(
        "must not be missing", lambda values: ~values.isin(absent).to_numpy(bool), lambda _: hint
    )


def _one_of(name: str, allowed: tuple[str, ...], absent: set[str]) -> Rule:
    more = f", … ({len(allowed)} in all)" if len(allowed) > SHOWN else ""
    return Rule(
        f"must be one of {', '.join(value[:30] for value in allowed[:SHOWN])}{more}",
        lambda values: values.isin({*allowed, *absent}).to_numpy(bool),
        lambda value: category_hint(value, allowed, name),
    )


def _number(absent: set[str]) -> Rule:
    return Rule(
        "must be a number",
        lambda values: values.isin(absent).to_numpy(bool) | ~np.isnan(numbers(values, absent)),
        number_hint,
    )


def _moderate(absent: set[str]) -> Rule:
    return Rule(
        f"must be from {-LARGEST:g} to {LARGEST:g}",
        lambda values: ~(np.abs(numbers(values, absent)) > LARGEST),
        lambda _: "does it stand for a missing value? Then add it to data.missing_values",
    )


def _bounds(column: Numeric, absent: set[str]) -> list[Rule]:
    """Inclusive; NaN, which is no number or missing, is left to the other rules."""
    low, high = column.minimum, column.maximum
    found = []
    if low is not None:
        rule = f"must be at least {low:g}"
        found.append(Rule(rule, lambda values: ~(numbers(values, absent) < low)))
    if high is not None:
        rule = f"must be at most {high:g}"
        found.append(Rule(rule, lambda values: ~(numbers(values, absent) > high)))
    return found


def _some_number(name: str, absent: set[str]) -> Rule:
    return Rule(
        "must not be missing in every row",
        lambda values: np.full(len(values), not values.isin(absent).all()),
        lambda _: f"it says nothing: set data.columns.{name}.kind=ignored",
        whole=True,
    )


def _no_control(absent: set[str]) -> Rule:
    return Rule(
        "must hold no control characters",
        lambda values: (values.isin(absent) | ~values.str.contains(CONTROL)).to_numpy(bool),
    )


def _few(name: str, limit: int) -> Rule:
    return Rule(
        f"must have at most {limit} different values (data.max_categories)",
        lambda values: np.full(len(values), values.nunique() <= limit),
        lambda n: f"got {n}: is it an identifier? Then set data.columns.{name}.kind=ignored",
        whole=True,
    )
