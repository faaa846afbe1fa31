"""What a survey found becomes a validation: the same rules and messages as of rows in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.config.column_settings import Numeric
from pipeline.config.contract import DataSettings
from pipeline.stages.blocks.broken import Bad
from pipeline.stages.blocks.source import BlockRows
from pipeline.stages.blocks.survey import Numbers, Survey, Words
from pipeline.stages.read.lines import lines_of
from pipeline.stages.read.rows import Counts, Rows
from pipeline.stages.validate.profile import ColumnProfile, profile_words
from pipeline.stages.validate.rules import Rules, contract_rules, table_rules
from pipeline.stages.validate.validation import Validation, validate
from pipeline.stages.validate.values import ColumnValues, column_values, words_of
from pipeline.stages.validate.violations import (
    Broken,
    Violation,
    broken_rules,
    whole_violation,
)

if TYPE_CHECKING:
    import pandas as pd


def check_blocks(rows: BlockRows, data: DataSettings) -> Validation:
    """Return every violation of the contract by any row.

    Numbers of rows, rules and profile are of all rows. Warnings are of the sample, which says what
    is suspicious as well as all rows do, and ``table`` is the sample's.
    """
    import pandas as pd

    found, sampled = rows.survey, rows.survey.sample
    part = sampled.part if data.test else None
    text = pd.DataFrame({name: _as_text(sampled.frame[name], data) for name in sampled.frame})
    sample = validate(Rows(text, sampled.count, rows.path, part), data)
    violations = [*_of_words(rows, found, data), *_of_values(rows, found, data)]
    order = [*data.used, data.target.name]
    violations.sort(key=lambda violation: order.index(violation.column))
    violations += _of_table(sample, found, data)
    n = int(sampled.count.sum())
    return Validation(
        n_rows=found.n,
        n_distinct=found.n_distinct,
        n_positive=found.n_positive,
        violations=tuple(violations),
        warnings=tuple(f"in a sample of {n:,} rows: {text}" for text in sample.warnings),
        profile=tuple(_profile(found, data)),
        table=None if violations else sample.table,
    )


def _as_text(cells: pd.Series[Any], data: DataSettings) -> pd.Series[str]:
    """Return cells as text: a number by the shortest that is read back as it was."""
    if cells.dtype.kind != "f":
        return cells.astype("str")
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pc.cast(pa.array(cells.to_numpy(np.float64), from_pandas=True), pa.string())
    if data.decimal != ".":
        text = pc.replace_substring(text, ".", data.decimal)
    return pd.Series(text.fill_null("").to_pylist(), dtype="str")


def _of_words(rows: BlockRows, found: Survey, data: DataSettings) -> Iterator[Violation]:
    """Yield the rules that columns of words break, all of which are counted."""
    for name, words in found.words.items():
        if name in data.used or name == data.target.name:
            frame, count, _ = _table_of(name, words)
            columns = column_values(frame, data)
            rules = contract_rules({name: columns[name]}, data, count)
            broken = broken_rules(frame, columns, count, rules)
            yield from _with_lines(rows, broken, data)


def _of_values(rows: BlockRows, found: Survey, data: DataSettings) -> Iterator[Violation]:
    """Yield the rules that the values of other columns break."""
    for name in data.used:
        bad = {rule: of for (column, rule), of in found.bad.items() if column == name}
        frame, count = _bad_table(name, bad, found)
        columns = column_values(frame, data)
        if name in columns and name not in found.words:
            rules = contract_rules({name: columns[name]}, data, count)
            wanted: Rules = {name: [r for r in rules[name] if r.text in bad or _is_whole(r.holds)]}
            for violation in _with_lines(rows, broken_rules(frame, columns, count, wanted), data):
                n = bad[violation.rule].n_rows if violation.rule in bad else found.n
                yield replace(violation, n_rows=n, share=n / found.n)


def _is_whole(holds: object) -> bool:
    return isinstance(holds, bool)


def _with_lines(rows: BlockRows, broken: list[Broken], data: DataSettings) -> Iterator[Violation]:
    if broken:
        places = lines_of(rows.path, data, [(v.column, bad) for v, bad in broken])
        for (violation, _), lines in zip(broken, places, strict=True):
            yield replace(violation, lines=lines)


def _of_table(sample: Validation, found: Survey, data: DataSettings) -> Iterator[Violation]:
    """Yield the rules that the table as a whole breaks."""
    frame, count, _ = _table_of(data.target.name, found.words[data.target.name])
    target = column_values(frame, data)[data.target.name]
    for rule in table_rules(target, count, 0.0, data):
        if not rule.holds:
            yield whole_violation("", rule, count)
    yield from (v for v in sample.violations if not v.column and "contradict" in v.rule)


def _table_of(name: str, words: Words) -> tuple[pd.DataFrame, Counts, Counts]:
    """Return the words of a column as a table of counted rows, and how many are positive."""
    import pandas as pd

    texts = sorted(words.n)
    n, n_positive = (
        np.array([rows[text] for text in texts], np.int64) for rows in (words.n, words.n_positive)
    )
    return pd.DataFrame({name: pd.Series(texts, dtype="str")}), n, n_positive


def _bad_table(name: str, bad: dict[str, Bad], found: Survey) -> tuple[pd.DataFrame, Counts]:
    """Return the values that break a rule as a table of counted rows; then one that breaks none.

    It stands for all others, so that a rule about the column as a whole sees them.
    """
    import pandas as pd

    texts: dict[str, int] = {}
    for of_rule in bad.values():
        texts |= of_rule.texts
    numbers = found.numbers.get(name, Numbers())
    if numbers.n:
        texts.setdefault(repr(numbers.maximum), found.n)
    elif not texts:
        texts[""] = found.n
    frame = pd.DataFrame({name: pd.Series([*texts], dtype="str")})
    return frame, np.array([*texts.values()], np.int64)


def _profile(found: Survey, data: DataSettings) -> Iterator[ColumnProfile]:
    """Yield what each attribute holds."""
    for name, column in data.attributes.items():
        if isinstance(column, Numeric):
            numbers = found.numbers[name]
            mean = numbers.total / numbers.n if numbers.n else None
            ends = (numbers.minimum, mean, numbers.maximum) if numbers.n else (None, None, None)
            yield ColumnProfile(name, "numeric", numbers.n_missing, (), *ends)
        else:
            frame, count, n_positive = _table_of(name, found.words[name])
            kind = data.features.get(name, column)
            values = column_values(frame, data).get(name) or _part(frame[name])
            yield profile_words(name, words_of(kind, values), column, count, n_positive)


def _part(text: pd.Series[str]) -> ColumnValues:
    """Return the values of a part of dates: "" where there is none."""
    is_missing = (text == "").to_numpy(bool)
    return ColumnValues(text, np.arange(len(text)), is_missing, np.full(len(text), np.nan))
