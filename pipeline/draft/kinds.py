"""The values of a column become its kind in a contract, with the evidence for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from nn.arrays import Array
from pipeline.config.column_settings import BOOLEAN
from pipeline.config.contract import DataSettings
from pipeline.config.file_settings import FileSettings
from pipeline.draft.date_forms import date_form
from pipeline.stages.read import Counts
from pipeline.stages.read.numbers import parse_numbers
from pipeline.stages.validate.hints import MISSING_MARKS
from pipeline.stages.validate.suspicion import find_sentinels, number_word
from pipeline.stages.validate.values import BOOLEANS, Bools
from pipeline.text import counted, quoted

MAX_LISTED = 30  # categories that a draft lists
N_DATES = 2000  # values that are tried as dates: those of a column have one form
FEW_VALUES = 20  # of which none is an identifier
MAX_STRANGE = 3  # other words among numbers
MAX_CATEGORIES = int(DataSettings.model_fields["max_categories"].default)
MAX_CODES = 10  # whole numbers that may be codes
MOSTLY = 0.9  # share of values, above which the others are marks of missing ones
ID_NAME = re.compile(
    r"(?i)(.*[_ .-])?(id|ids|uuid|guid|key|index|idx|nr|no|row|rownum)|.*(ID|Id)|#|"
)
GROUP_NAME = re.compile(r"(?i).*(customer|patient|client|user|person|household|account|subject).*")
WEIGHT_NAME = re.compile(r"(?i)(.*[_ .-])?(w|weight|weights|wgt|fnlwgt|wt)")
COUNT_NAME = re.compile(r"(?i)(n|count|counts|freq|frequency|n_rows)")


@dataclass(frozen=True)
class Column:
    """The m different values of a column that are not missing, and how many rows have each."""

    name: str
    text: pd.Series[str]
    n: Counts
    n_missing: int
    n_rows: int

    @property
    def n_known(self) -> int:
        """How many rows have a value."""
        return self.n_rows - self.n_missing


@dataclass(frozen=True)
class Guess:
    """What a contract is to say of a column, why, and what is to be asked.

    ``marks``: texts that stand for a missing value of it.
    """

    tree: Mapping[str, Any]
    evidence: str
    question: str = ""
    marks: tuple[str, ...] = ()
    also: str = ""  # another kind that it may be, as YAML in a comment

    @property
    def kind(self) -> str:
        """The kind of the column."""
        return str(self.tree["kind"])


def guess_column(column: Column, form: FileSettings) -> Guess:
    """Return the kind of the column: the first rule that holds says it."""
    rules: tuple[Callable[[Column, FileSettings], Guess | None], ...] = (
        _empty, _constant, _boolean, _date, _identifier, _numeric, _too_many, _words,
    )  # fmt: skip
    return next(guess for rule in rules if (guess := rule(column, form)))


def ignored(evidence: str, question: str = "") -> Guess:
    """Return that a column is left out, and why."""
    return Guess({"kind": "ignored"}, evidence, question)


def _with_missing(
    column: Column, tree: dict[str, Any], evidence: str, question: str = "",
    marks: Sequence[str] = (), also: str = "",
) -> Guess:  # fmt: skip
    """Return the guess, with missing values as an input where the column has some."""
    n = column.n_missing + int(column.n[column.text.isin(marks)].sum())
    if n:
        tree = {**tree, "missing": "input"}
        evidence += f"; missing in {counted(n, 'row')} ({n / column.n_rows:.1%})"
    return Guess(tree, evidence, question, tuple(marks), also)


def _empty(column: Column, _: FileSettings) -> Guess | None:
    return None if len(column.text) else ignored("empty in every row")


def _constant(column: Column, _: FileSettings) -> Guess | None:
    if len(column.text) > 1:
        return None
    value = quoted(column.text[0], 30)
    if not column.n_missing:
        return ignored(f"constant: every row has {value}")
    tree = {"kind": "categorical", "missing": "input"}
    evidence = f"{value} in {counted(column.n_known, 'row')}, missing in every other row"
    return Guess(tree, evidence, f"is a missing {column.name} a no, and known beforehand?")


def _boolean(column: Column, _: FileSettings) -> Guess | None:
    if len(column.text) != 2:
        return None
    meanings = sorted(BOOLEANS.get(value.lower(), "") for value in column.text)
    return (
        _with_missing(column, {"kind": "boolean"}, _counts(column))
        if meanings == [*BOOLEAN]
        else None
    )


def _date(column: Column, _: FileSettings) -> Guess | None:
    found = date_form([*column.text[:: max(1, len(column.text) // N_DATES)]])
    if found is None:
        return None
    evidence = f"dates from {found.first} to {found.last}, as {quoted(column.text[0], 30)}"
    question = f"is it {found.form}, or {found.rival}?" if found.rival else ""
    if found.last > f"{datetime.now(UTC):%Y-%m-%d}":
        question = question or f"its last date, {found.last}, is in the future: what is it?"
    form = f'format: "{found.form}", ' if found.form else ""
    also = f"kind: date, {form}parts: [month, weekday{', hour' if found.has_time else ''}]"
    return Guess({"kind": "ignored"}, evidence, question, also=also)


def _identifier(column: Column, form: FileSettings) -> Guess | None:
    """Return that the column names its rows, or whom they are about."""
    n_values, numbers = len(column.text), parse_numbers(column.text, form)
    if n_values < FEW_VALUES:
        return None
    is_number, each_once = not np.isnan(numbers).any(), n_values == column.n_known
    if is_number and not _is_named_or_index(column, numbers):
        return None
    if each_once:
        return ignored(f"{_free_or_id(column)}: every row has another value")
    if n_values > MAX_LISTED and any(n.fullmatch(column.name) for n in (ID_NAME, GROUP_NAME)):
        evidence = f"an identifier, {n_values:,} values in {counted(column.n_known, 'row')}"
        asked = "are rows of one value about the same person or thing? Then kind: group"
        return Guess({"kind": "ignored"}, evidence, asked, also="kind: group")
    return None


def _is_named_or_index(column: Column, numbers: Array) -> bool:
    """Return whether whole numbers count the rows, or the name of the column says identifier."""
    if (numbers != np.round(numbers)).any():
        return False
    n = len(numbers)
    counts_up = n == column.n_known and numbers.max() - numbers.min() == n - 1
    return counts_up or (n > MAX_LISTED and bool(ID_NAME.fullmatch(column.name)))


def _free_or_id(column: Column) -> str:
    words = column.text[:1000].str.count(r"\s").mean()
    return "free text" if words >= 2 else "an identifier"


def _numeric(column: Column, form: FileSettings) -> Guess | None:
    """Return that the column holds numbers, and among them at most some marks of missing ones."""
    numbers = parse_numbers(column.text, form)
    known = ~np.isnan(numbers)
    marks = [*column.text[~known]]
    strange = [mark for mark in marks if mark.lower() not in MISSING_MARKS]
    has_codes = column.text[known].str.fullmatch(r"0\d+").any()  # 007 is no 7
    usual = int(column.n[~column.text.isin(strange).to_numpy(bool)].sum())
    mostly = known.sum() > 1 and usual >= MOSTLY * column.n_known
    if not mostly or has_codes or len(strange) > MAX_STRANGE:
        return None
    sentinels = find_sentinels(numbers[known])
    known &= ~np.isin(numbers, sentinels)
    marks = [*column.text[~known]]
    listed = ", ".join(quoted(mark, 20) for mark in strange)
    asked = f"it holds {listed} among numbers, taken as missing: what is it?" if strange else ""
    if known.sum() == 2:
        return _with_missing(column, _listed(column, known), _counts(column), asked, marks)
    evidence, also, question = _of_numbers(column.name, numbers[known])
    if sentinels:
        listed = " and ".join(number_word(number) for number in sentinels)
        question = f"is {listed}, far from the rest, a missing value?"
    return _with_missing(column, {"kind": "numeric"}, evidence, asked or question, marks, also)


def _of_numbers(name: str, numbers: Array) -> tuple[str, str, str]:
    """Return what the numbers are like, another kind that they may be, and the question of it."""
    low, high, n = numbers.min(), numbers.max(), len(numbers)
    whole = bool((numbers == np.round(numbers)).all())
    evidence = f"from {low:.6g} to {high:.6g}" + (", whole" if whole else "")
    if WEIGHT_NAME.fullmatch(name) and low >= 0:
        return evidence, "kind: weight", "is it a sample weight? Then kind: weight"
    if COUNT_NAME.fullmatch(name) and whole and low >= 1:
        return evidence, "kind: count", "is it how many rows a row stands for? Then kind: count"
    if whole and n <= MAX_CODES:
        return f"{evidence}, {n} values", "kind: categorical", ""
    return evidence, "", ""


def _too_many(column: Column, _: FileSettings) -> Guess | None:
    """Return that words are too many to be categories."""
    n_values = len(column.text)
    held = f"{n_values:,} values in {counted(column.n_known, 'row')}"
    if n_values > max(MAX_LISTED, column.n_known / 2):
        return ignored(f"{_free_or_id(column)}: {held}")
    if n_values > MAX_CATEGORIES:
        # As many as a contract allows have more rows each than the next one.
        least = max(20, int(np.sort(column.n)[-MAX_CATEGORIES]) + 1)
        asked = "may those of few rows share one input, infrequent?"
        also = f"kind: categorical, min_count: {least}"
        return Guess({"kind": "ignored"}, f"too many words: {held}", asked, also=also)
    return None


def _words(column: Column, form: FileSettings) -> Guess:
    n_values = len(column.text)
    n_numbers = int((~np.isnan(parse_numbers(column.text, form))).sum())
    question = ""
    if n_values / 2 < n_numbers < n_values and n_values > MAX_CODES:
        question = f"{n_numbers} of its {n_values} values are numbers: what are the others?"
    if n_values <= MAX_LISTED:
        return _with_missing(column, _listed(column), _counts(column), question)
    most = int(column.n.max())
    evidence = f"{n_values:,} words, learned from train; the commonest in {counted(most, 'row')}"
    return _with_missing(column, {"kind": "categorical"}, evidence, question)


def _listed(column: Column, known: Bools | None = None) -> dict[str, Any]:
    values = sorted(column.text if known is None else column.text[known], key=_natural)
    return {"kind": "categorical", "categories": values}


def _natural(value: str) -> tuple[float, str]:
    try:
        return float(value), value
    except ValueError:
        return np.inf, value


def _counts(column: Column) -> str:
    """Return the rows of the commonest values."""
    order = np.argsort(-column.n, kind="stable")[:4]
    shown = ", ".join(f"{quoted(column.text[i], 20)} {int(column.n[i]):,}" for i in order)
    return f"rows: {shown}" + (", …" if len(column.text) > 4 else "")
