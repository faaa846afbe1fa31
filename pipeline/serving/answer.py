"""Rows of a request become its answer: all of them scored, or none and why, or some and why not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any

from pipeline.csv_text import csv_bytes
from pipeline.serving.rows import Block, Fault, RequestError
from pipeline.serving.scorer import DECISION, PROBABILITY, REASON, BadRowsError, Scorer
from pipeline.text import bounded, quoted

if TYPE_CHECKING:
    import pandas as pd

MEMORY = 2**20  # bytes of an answer beyond which it is in a temporary file
FROM_0 = "rows count from 0"
N_ROWS, N_VALUES = 5, 3  # that a message names of each fault
Row = tuple[float | None, int | None, str | None]  # probability, decision, reason


@dataclass
class FaultCounts:
    """The faults of all rows by column and rule: how many, the first rows and values."""

    found: dict[tuple[str, str], tuple[int, list[int], list[str]]] = field(default_factory=dict)

    def add(self, faults: Iterable[Fault]) -> None:
        """Count the faults; of each kind the first are kept."""
        for row, column, value, rule in faults:
            n, rows, values = self.found.get((column, rule), (0, [], []))
            if n < N_ROWS:
                rows.append(row)
            if value and len(values) <= N_VALUES and value not in values:
                values.append(value)
            self.found[column, rule] = n + 1, rows, values

    def refusal(self, *, hide_values: bool) -> RequestError:
        """Return the refusal that names every column and rule, with the first rows and values."""
        lines = []
        for (column, rule), (n, rows, values) in self.found.items():
            shown = ", ".join(quoted(value, 40) for value in values[:N_VALUES])
            is_shown = values and not hide_values
            got = f"got {shown}{', …' * (len(values) > N_VALUES)} " if is_shown else ""
            places = ", ".join(map(str, rows)) + ", …" * (n > N_ROWS)
            where = f"in row {places}" if n == 1 else f"in {n:,} rows: {places}"
            lines.append(f"{_subject(column)} {rule}; {got}{where}")
        return RequestError(bounded([*lines, FROM_0]), code="INVALID_PARAMETER_VALUE")


def answer(
    blocks: Iterable[Block], scorer: Scorer, *, skip: bool, hide_values: bool, as_csv: bool
) -> IO[bytes]:
    """Return the answer as a file in memory or on disk: nothing is sent before all is checked.

    Rows are scored block by block, so that memory is bounded. RequestError where a row breaks the
    contract, naming each fault of any; with ``skip`` its reason stands in its place.
    """
    with ExitStack() as stack:
        out = stack.enter_context(SpooledTemporaryFile(MEMORY))
        write = (_Csv if as_csv else _Json)(out, skip=skip)
        faults, n_rows = FaultCounts(), 0
        for block in blocks:
            n_rows += len(block.frame) + sum(not fault.column for fault in block.faults)
            if skip:
                write(_scored(block, scorer, hide_values=hide_values))
            else:
                write(_refused_or_scored(block, scorer, faults))
        if faults.found:
            raise faults.refusal(hide_values=hide_values)
        if not n_rows:
            raise RequestError("request must hold rows; got none")
        write.end()
        out.seek(0)
        stack.pop_all()
        return out


def _refused_or_scored(block: Block, scorer: Scorer, faults: FaultCounts) -> list[Row]:
    """Return the rows scored; nothing where any row so far is bad, and ``faults`` counts it."""
    if block.faults or faults.found:
        faults.add(_faults(block, scorer.check(block.frame)))
        return []
    try:
        return _rows(scorer.score(block.frame))
    except BadRowsError as error:
        faults.add(_faults(block, error.faults))
        return []


def _scored(block: Block, scorer: Scorer, *, hide_values: bool) -> list[Row]:
    """Return the rows scored, and for those that are bad the reason."""
    bad = FaultCounts()
    rows = _refused_or_scored(block, scorer, bad)
    if not bad.found:
        return rows
    reasons: dict[int, list[str]] = {}
    for fault in _faults(block, scorer.check(block.frame)):
        got = f"; got {quoted(fault.value)}" if fault.value and not hide_values else ""
        reasons.setdefault(fault.row, []).append(f"{_subject(fault.column)} {fault.rule}{got}")
    found: dict[int, Row] = {row: (None, None, "; and ".join(r)) for row, r in reasons.items()}
    good = block.frame[~block.frame.index.isin([*reasons])]
    found |= zip(good.index.tolist(), _rows(scorer.score(good)), strict=True)
    return [found[row] for row in sorted(found)]


def _faults(block: Block, of_contract: Iterable[Any]) -> list[Fault]:
    """Return every fault of the rows; a cell that is none has no other."""
    places = block.frame.index
    known = {(fault.row, fault.column) for fault in block.faults}
    found = (Fault(int(places[f.row]), f.column, f.value, f.rule) for f in of_contract)
    return [*block.faults, *(f for f in found if (f.row, f.column) not in known)]


def _rows(scored: pd.DataFrame) -> list[Row]:
    p, decision = scored[PROBABILITY].tolist(), scored[DECISION].tolist()
    return [(p, d, None) for p, d in zip(p, decision, strict=True)]


def _subject(column: str) -> str:
    return f"column {column}" if column else "row"


class _Json:
    """Writes rows as MLflow's scoring server does."""

    def __init__(self, out: IO[bytes], *, skip: bool) -> None:
        self.out, self.skip, self.sign = out, skip, '{"predictions": ['

    def __call__(self, rows: list[Row]) -> None:
        lines = [
            f'{{"probability": {p!r}, "decision": {d}}}' if not self.skip else json.dumps(
                {PROBABILITY: p, DECISION: d, REASON: reason}
            )
            for p, d, reason in rows
        ]  # fmt: skip
        if lines:
            self.out.write((self.sign + ", ".join(lines)).encode())
            self.sign = ", "

    def end(self) -> None:
        self.out.write(b"]}")


class _Csv:
    """Writes rows as CSV with a header."""

    def __init__(self, out: IO[bytes], *, skip: bool) -> None:
        self.out, self.skip = out, skip
        out.write(f"{PROBABILITY},{DECISION}{f',{REASON}' * skip}\n".encode())

    def __call__(self, rows: list[Row]) -> None:
        columns = zip((PROBABILITY, DECISION, REASON), zip(*rows, strict=True), strict=True)
        content = csv_bytes([*columns][: 3 if self.skip else 2]) if rows else b""
        self.out.write(content.partition(b"\n")[2])

    def end(self) -> None:
        """A file of CSV has no end mark."""
