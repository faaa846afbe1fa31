"""Rules that rows break become violations: aggregated, bounded, on one line each."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.stages.read.rows import Counts
from pipeline.stages.validate.rules import Rule, Rules
from pipeline.stages.validate.values import Bools, ColumnValues
from pipeline.text import counted, quoted

if TYPE_CHECKING:
    import pandas as pd

N_EXAMPLES = 5
N_HINTED = 100  # values that a hint is found for


@dataclass(frozen=True)
class Violation:
    """A rule that rows break: how many of them (by count), their share, and where to look.

    Where ``column`` is "" the rule is about the table as a whole.
    """

    column: str
    rule: str
    n_rows: int
    share: float
    examples: tuple[tuple[str, int], ...]  # the commonest offending values with their counts
    lines: tuple[int, ...]  # the first line numbers in the file
    hint: str
    file: str = ""  # of a table that is held in several

    @property
    def message(self) -> str:
        """The violation on one line."""
        subject = f"column {self.column}" if self.column else "the table"
        subject = f"{self.file}: {subject}" if self.file else subject
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
        word = "line" if len(self.lines) == 1 else "lines"
        lines = f", {word} {', '.join(map(str, self.lines))}" if self.lines else ""
        return f"got {values}{more} in {counted(self.n_rows, 'row')} ({percent} %){lines}"


Broken = tuple[Violation, frozenset[str]]  # a violation, and every value that has it


def broken_rules(
    frame: pd.DataFrame, columns: dict[str, ColumnValues], count: Counts, rules: Rules
) -> list[Broken]:
    """Return the rules that text rows break, in the order of the contract, without their lines.

    pandera says which column breaks which rule. The offending values are counted here, by value,
    so that a million offending rows cost no more than a million values.
    """
    broken = _judge(frame[list(rules)].astype("str"), columns, rules)
    return [
        _violation(name, columns[name], rule, count)
        for name, of_column in rules.items()
        for rule in of_column
        if (name, rule.text) in broken
    ]


def whole_violation(name: str, rule: Rule, count: Counts) -> Violation:
    """Return that a column, or with "" the table, breaks a rule as a whole."""
    return Violation(name, rule.text, int(count.sum()), 1.0, (), (), rule.hint([]))


def _judge(
    text: pd.DataFrame, columns: dict[str, ColumnValues], rules: Rules
) -> set[tuple[str, str]]:
    """Return the columns and rules that pandera finds broken.

    Its schema never coerces: text is checked as text. One failing case of a rule is enough.
    """
    import pandas as pd

    with _without_spark():
        import pandera.pandas as pa
        from pandera.errors import SchemaErrors

    def check(values: ColumnValues, rule: Rule) -> Any:
        holds = rule.holds
        by_row = holds if isinstance(holds, bool) else pd.Series(values.of_rows(holds), text.index)
        return pa.Check(lambda _: by_row, name=rule.text, n_failure_cases=1)

    contract = {
        name: pa.Column(str, [check(columns[name], rule) for rule in of_column])
        for name, of_column in rules.items()
    }
    try:
        with _without_spark():  # its checks are imported here
            pa.DataFrameSchema(contract, strict=True, ordered=True).validate(text, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
    else:
        return set()
    broken = set(zip(cases["column"].astype(str), cases["check"].astype(str), strict=True))
    unknown = broken - {(name, rule.text) for name in rules for rule in rules[name]}
    if unknown:
        raise AssertionError(f"the schema must break by its rules only; got {sorted(unknown)[:5]}")
    return broken


@contextmanager
def _without_spark() -> Iterator[None]:
    """Keep pandera from importing Spark, where it is: a second, and a warning."""
    name = "pyspark.pandas" if "pyspark" in sys.modules else "pyspark"
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


def _violation(name: str, values: ColumnValues, rule: Rule, count: Counts) -> Broken:
    if isinstance(rule.holds, bool):
        return whole_violation(name, rule, count), frozenset()
    bad: Bools = ~rule.holds
    n_rows = values.sums(count)[bad]
    by_value = values.text[bad].to_frame("value").assign(n=n_rows).groupby("value", sort=False)
    worst = by_value["n"].sum().sort_values(ascending=False, kind="stable")
    examples = tuple((str(value)[:200], int(n)) for value, n in worst[:N_EXAMPLES].items())
    hint = rule.hint([str(value)[:200] for value in worst.index[:N_HINTED]])
    n, share = int(n_rows.sum()), float(n_rows.sum() / count.sum())
    return Violation(name, rule.text, n, share, examples, (), hint), frozenset(worst.index)
