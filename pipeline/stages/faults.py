"""Rules that rows break become faults: aggregated, bounded, and told on one line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.config import DataSettings
from pipeline.stages.contract import Rule, Rules, missing_marks, schema
from pipeline.stages.hints import quoted
from pipeline.stages.profile import contradictions, is_positive, tally
from pipeline.stages.read import Counts, Rows

if TYPE_CHECKING:
    import pandas as pd

N_EXAMPLES = 5


@dataclass(frozen=True)
class Fault:
    """A rule that rows break: how many of them (by count), their share, and where to look."""

    column: str
    rule: str
    n_rows: int
    share: float
    examples: tuple[tuple[str, int], ...]  # the commonest offending values with their counts
    lines: tuple[int, ...]  # the first line numbers in the file
    hint: str

    @property
    def message(self) -> str:
        """The fault on one line."""
        subject = f"column {self.column}" if self.column else "the table"
        parts = [f"{subject} {self.rule}", self._got, self.hint]
        return "; ".join(part for part in parts if part)

    @property
    def _got(self) -> str:
        if not self.examples:
            return ""
        shown = ", ".join(f"{quoted(value, 30)} ({n})" for value, n in self.examples[:3])
        values = quoted(self.examples[0][0]) if len(self.examples) == 1 else shown
        more = ", …" if len(self.examples) > 3 else ""
        percent = f"{100 * self.share:.1f}" if self.share >= 0.0005 else "< 0.1"
        rows = "row" if self.n_rows == 1 else "rows"
        line = "line" if len(self.lines) == 1 else "lines"
        lines = f", {line} {', '.join(map(str, self.lines))}" if self.lines else ""
        return f"got {values}{more} in {self.n_rows} {rows} ({percent} %){lines}"


Broken = tuple[Fault, frozenset[str]]  # a fault, and every value that has it


def broken_rules(frame: pd.DataFrame, count: Counts, rules: Rules) -> list[Broken]:
    """The rules that text rows break, in the order of the contract, not yet located in a file.

    pandera says which column breaks which rule; the offending values are counted here, by value,
    so that a million offending rows cost no more than a million values.
    """
    text = frame[list(rules)].astype("str")
    broken = _broken_names(text, rules)
    return [
        _fault(text[name], rule, count)
        for name, of_column in rules.items()
        for rule in of_column
        if (name, rule.text) in broken
    ]


def table_faults(rows: Rows, data: DataSettings) -> tuple[Fault, ...]:
    """What refuses the table as a whole: too few rows, one class, too many contradictions."""
    n_rows = int(rows.count.sum())
    faults = []
    if n_rows < data.min_rows:
        rule = f"must hold at least {data.min_rows} rows (data.min_rows)"
        faults.append(_of_table(rule, n_rows, f"got {n_rows}"))
    faults += _class_faults(rows, data)
    share = contradictions(rows, data).n_rows / n_rows
    if share > data.max_contradictory:
        rule = (
            f"must hold at most {data.max_contradictory:.1%} rows that contradict a row with the "
            "same attributes (data.max_contradictory)"
        )
        faults.append(_of_table(rule, n_rows, f"got {share:.1%}"))
    return tuple(faults)


def _class_faults(rows: Rows, data: DataSettings) -> list[Fault]:
    """Both classes must occur among the rows that have one."""
    target = data.target
    positive = is_positive(rows, data)
    cells = rows.frame[target.name]
    if target.negative is None:
        negative = ~positive & ~cells.isin(missing_marks(target, data)).to_numpy(bool)
    else:
        negative = cells.isin(target.negative).to_numpy(bool)
    n_negative, n_positive = (int(rows.count[rows_of].sum()) for rows_of in (negative, positive))
    if n_negative and n_positive:
        return []
    got = f"got {n_positive} positive and {n_negative} negative rows"
    values = ", ".join(quoted(value, 30) for value in target.positive[:5])
    hint = f"{got} of {target.name} (positive: {values})"
    return [_of_table("must hold both classes", int(rows.count.sum()), hint)]


def _of_table(rule: str, n_rows: int, hint: str) -> Fault:
    return Fault("", rule, n_rows, 1.0, (), (), hint)


def _broken_names(text: pd.DataFrame, rules: Rules) -> set[tuple[str, str]]:
    """The columns and rules that the schema finds broken."""
    from pandera.errors import SchemaError, SchemaErrors

    try:
        schema(rules).validate(text, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
        broken = set(zip(cases["column"].astype(str), cases["check"].astype(str), strict=True))
    except SchemaError as error:
        broken = {(str(error.schema.name), str(getattr(error.check, "name", error.check)))}
    else:
        return set()
    unknown = broken - {(name, rule.text) for name in rules for rule in rules[name]}
    if unknown:
        raise AssertionError(f"the schema must break by its rules only; got {sorted(unknown)[:5]}")
    return broken


def _fault(cells: pd.Series[str], rule: Rule, count: Counts) -> Broken:
    values, (n,) = tally(cells, [count])
    bad = ~rule.holds(values)
    name, n_rows = str(cells.name), int(n[bad].sum())
    share = n_rows / int(count.sum())
    if rule.whole:
        return Fault(
            name, rule.text, n_rows, share, (), (), rule.hint(str(len(values)))
        ), frozenset()
    offending, n_bad = values[bad].to_numpy(object), n[bad]
    worst = np.argsort(-n_bad, kind="stable")[:N_EXAMPLES]
    examples = tuple((str(offending[i])[:200], int(n_bad[i])) for i in worst)
    hint = _hint(rule, [value for value, _ in examples])
    return Fault(name, rule.text, n_rows, share, examples, (), hint), frozenset(offending)


def _hint(rule: Rule, values: list[str]) -> str:
    """The first hint for one of the values; it names the value where others differ."""
    hints = [rule.hint(value) for value in values]
    for value, hint in zip(values, hints, strict=True):
        if hint:
            return hint if len(set(hints)) == 1 else f"{quoted(value, 30)}: {hint}"
    return ""
