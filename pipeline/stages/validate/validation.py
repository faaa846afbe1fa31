"""Text rows become a table that cannot fail any more: checked by the contract, then converted."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import files
from pipeline.config.contract import DataSettings
from pipeline.errors import DataError
from pipeline.stages.one_thread import on_one_thread
from pipeline.stages.read.lines import lines_of
from pipeline.stages.read.parts import file_of
from pipeline.stages.read.rows import Counts, Rows
from pipeline.stages.validate.convert import Table, convert, moments, row_group, sample_weight
from pipeline.stages.validate.profile import (
    ColumnProfile,
    count_contradictions,
    find_warnings,
    profile_columns,
)
from pipeline.stages.validate.rules import Rules, contract_rules, table_rules
from pipeline.stages.validate.suspicion import find_suspicions
from pipeline.stages.validate.values import Bools, ColumnValues, column_values
from pipeline.stages.validate.violations import Violation, broken_rules, whole_violation
from pipeline.text import bounded

if TYPE_CHECKING:
    import pandas as pd

N_PREDICT_LINES = 20  # rows to predict are few, and whoever sent them wants to mend them all


@dataclass(frozen=True)
class Validation:
    """What was found: violations refuse the table, warnings do not."""

    n_rows: int
    n_distinct: int
    n_positive: int
    violations: tuple[Violation, ...]
    warnings: tuple[str, ...]
    profile: tuple[ColumnProfile, ...]
    table: Table | None  # None where there are violations

    def require(self) -> Table:
        """Return the table, or raise DataError naming every violation."""
        if self.table is None:
            raise DataError(bounded(violation.message for violation in self.violations))
        return self.table

    def report(self) -> dict[str, Any]:
        """Return everything but the rows themselves as plain values."""
        tree = asdict(replace(self, table=None)) | {"accepted": not self.violations}
        del tree["table"]
        tree["violations"] = [asdict(v) | {"message": v.message} for v in self.violations]
        return tree


@on_one_thread
def validate(rows: Rows, data: DataSettings, *, of_columns: bool = True) -> Validation:
    """Return every violation of the contract by any row, or the table where there is none.

    Without ``of_columns`` no rule about a column as a whole is looked at: the model exists already.
    """
    frame, count = rows.frame, rows.count
    columns = column_values(frame, data)
    positive = frame[data.target.name].isin(data.target.positive).to_numpy(bool)
    contradictory, wrong = count_contradictions(columns, count, positive, data)
    n_rows = int(count.sum())
    of_table = table_rules(columns[data.target.name], count, contradictory / n_rows, data)
    violations = (
        *_of_files(rows, columns, data, of_columns),
        *(whole_violation("", rule, count) for rule in of_table if not rule.holds),
    )
    table = None
    if not violations:
        table = Table(
            convert(frame, columns, data), positive.astype(np.float64), count,
            sample_weight(columns, data), row_group(columns, data), moments(columns),
            part=rows.part,
        )  # fmt: skip
    return Validation(
        n_rows=n_rows,
        n_distinct=len(count),
        n_positive=int(count[positive].sum()),
        violations=violations,
        warnings=(
            *find_warnings(columns, count, contradictory, wrong, data),
            *(found.text for found in find_suspicions(columns, count, positive, data)),
        ),
        profile=profile_columns(columns, count, positive, data),
        table=table,
    )


def check_rows(
    frame: pd.DataFrame, columns: dict[str, ColumnValues], data: DataSettings, lines: Counts
) -> tuple[Violation, ...]:
    """Return the rules that text rows to predict break; ``lines`` (n,) holds the line of each.

    The target is not looked at, nor is a rule about a column or the table as a whole.
    """
    return tuple(violation for violation, _ in bad_rows(frame, columns, data, lines))


def bad_rows(
    frame: pd.DataFrame, columns: dict[str, ColumnValues], data: DataSettings, lines: Counts
) -> list[tuple[Violation, Bools]]:
    """Return the rules as ``check_rows``, and which rows (n,) break each."""
    count = np.ones(len(frame), np.int64)
    rules = contract_rules({name: columns[name] for name in data.features}, data, count)
    found = broken_rules(frame, columns, count, _of_values(rules))
    rows = [frame[violation.column].isin(bad).to_numpy(bool) for violation, bad in found]
    places = [tuple(np.sort(lines[is_bad])[:N_PREDICT_LINES].tolist()) for is_bad in rows]
    return [
        (replace(violation, lines=at), is_bad)
        for (violation, _), is_bad, at in zip(found, rows, places, strict=True)
    ]


def _of_values(rules: Rules) -> Rules:
    """Return the rules that are about values, not about a column as a whole."""
    return {name: [r for r in rules[name] if not isinstance(r.holds, bool)] for name in rules}


def _of_files(
    rows: Rows, columns: dict[str, ColumnValues], data: DataSettings, of_columns: bool
) -> list[Violation]:
    """Return the rules that the rows of each file break."""
    if rows.part is None:
        return _row_violations(rows, columns, data, of_columns)
    found = []
    for part in np.unique(rows.part).tolist():
        of_part, place = rows.part == part, file_of(data, part)
        frame = rows.frame[of_part].reset_index(drop=True)
        path = files.PROJECT / place.path if place.path else None
        one = Rows(frame, rows.count[of_part], path)
        own = _row_violations(one, column_values(frame, data), place, of_columns)
        found += [replace(violation, file=place.place) for violation in own]
    return found


def _row_violations(
    rows: Rows, columns: dict[str, ColumnValues], data: DataSettings, of_columns: bool
) -> list[Violation]:
    """Return the rules that rows break, with the first lines of the file that show it."""
    rules = contract_rules(columns, data, rows.count)
    found = broken_rules(
        rows.frame, columns, rows.count, rules if of_columns else _of_values(rules)
    )
    if not found:
        return []
    places = lines_of(rows.path, data, [(violation.column, bad) for violation, bad in found])
    return [replace(v, lines=lines) for (v, _), lines in zip(found, places, strict=True)]
