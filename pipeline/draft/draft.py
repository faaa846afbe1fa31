"""A file and the name of its target become the draft of a contract that the file is known to keep.

What is drafted is read by the reader and checked by the rules of a run before it is written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from pipeline import files
from pipeline.config.contract import DataSettings
from pipeline.config.file_settings import MISSING_VALUES, FileSettings
from pipeline.config.strict import did_you_mean
from pipeline.draft.contract_text import contract_text, data_name
from pipeline.draft.kinds import Column, Guess, guess_column, ignored
from pipeline.draft.notation import guess_notation
from pipeline.draft.target import guess_target
from pipeline.errors import ConfigError
from pipeline.stages.read import Rows, read_rows
from pipeline.stages.read.duckdb_reader import parquet_excerpt, parquet_names
from pipeline.stages.read.numbers import parse_numbers
from pipeline.stages.read.sniff import Sniffed, sniff
from pipeline.stages.read.source import Source, open_source
from pipeline.stages.validate import validate
from pipeline.stages.validate.leak import Classes, find_leak
from pipeline.stages.validate.values import column_values
from pipeline.text import counted, cut, listed, quoted

MAX_BYTES = int(DataSettings.model_fields["max_bytes"].default)
N_NAMED = 12  # columns that a refusal names
N_LOOKED_AT = 200_000  # rows of parquet: more are hardly more evidence, and take minutes


@dataclass(frozen=True)
class Draft:
    """A contract as YAML, what it was unsure of, and what must be edited before it runs."""

    text: str
    n_rows: int
    kinds: dict[str, int]  # how many columns are of each
    unsure: tuple[str, ...]
    edits: tuple[str, ...]


def draft_contract(path: Path, target: str, positive: str = "", name: str = "") -> Draft:
    """Return the draft of a contract for the file; ``name`` is by default that of the file.

    Raises
    ------
    ConfigError
        If no column is the target, or it is no yes/no question.
    DataError
        If the file cannot be read.
    """
    source = open_source(path, MAX_BYTES)
    sniffed = _sniff(source, target)
    chosen = _require_target(sniffed, target, source)
    settings = {"name": name or data_name(path), "path": _path(path), **sniffed.settings}
    with TemporaryDirectory() as folder:
        excerpt = Path(folder) / "excerpt.parquet"
        n_rows = parquet_excerpt(source, N_LOOKED_AT, excerpt) if source.kind == "parquet" else 0
        if not excerpt.exists():
            return _drafted(sniffed, chosen, positive, settings, path)
        found = _drafted(sniffed, chosen, positive, settings, excerpt)
    return _of_excerpt(found, n_rows)


def _of_excerpt(draft: Draft, n_rows: int) -> Draft:
    """Return the draft of some of the rows as one that says so."""
    looked_at = f"{draft.n_rows:,} of {n_rows:,} rows"
    doubt = f"only {looked_at}, evenly spaced, were looked at: do ranges and words hold for all?"
    return replace(
        draft,
        text=draft.text.replace(counted(draft.n_rows, "row"), looked_at, 1),
        n_rows=n_rows,
        unsure=(doubt, *draft.unsure),
    )


def _drafted(
    sniffed: Sniffed, chosen: str, positive: str, named: dict[str, Any], path: Path
) -> Draft:
    """Return the draft by the rows at ``path``: the file that is ``named``, or an excerpt of it."""
    settings = {**named, "path": _path(path)}
    rows = read_rows(_provisional(settings, sniffed.names, chosen))
    columns = {column: _column(rows, column) for column in sniffed.names}
    answer = columns.pop(chosen)
    form, why = guess_notation(columns.values())
    goal = guess_target(answer, form, positive)
    guesses = {column: guess_column(values, form) for column, values in columns.items()}
    guesses = _without_shared_marks(guesses, columns, form)
    settings |= form.model_dump(exclude_defaults=True) | _marks(guesses) | _today(guesses)
    guesses, edits = _checked(settings, goal, guesses)
    evidence = {**sniffed.evidence, **why, "missing_values": _marked(guesses)}
    evidence["as_of"] = "the day of this draft: later dates are warned of"
    head = _head(Path(named["path"]), answer.n_rows, edits)
    return Draft(
        text=contract_text(head, {**settings, "path": named["path"]}, evidence, goal, guesses),
        n_rows=answer.n_rows,
        kinds=dict(Counter(guess.kind for guess in guesses.values()).most_common()),
        unsure=(*sniffed.unsure, *_questions(goal, guesses)),
        edits=edits,
    )


def _head(path: Path, n_rows: int, edits: tuple[str, ...]) -> str:
    """Return what stands above the draft."""
    drafted = f"Drafted by `make contract` from {path.name}, {counted(n_rows, 'row')}."
    asked = "Read it, and change what is not so:\na comment is the evidence, UNSURE a question."
    return "\n".join([f"{drafted} {asked}", *(f"MUST BE EDITED: {edit}" for edit in edits)])


def _today(guesses: dict[str, Guess]) -> dict[str, str]:
    """Return the day after which dates are suspicious, where a column may be one of dates."""
    has_dates = any(guess.also.startswith("kind: date") for guess in guesses.values())
    return {"as_of": f"{datetime.now(UTC):%Y-%m-%d}"} if has_dates else {}


def _marks(guesses: dict[str, Guess]) -> dict[str, list[str]]:
    """Return the setting of missing values, where columns of numbers hold some."""
    marks = sorted({mark for guess in guesses.values() for mark in guess.marks})
    return {"missing_values": marks} if marks else {}


def _path(path: Path) -> str:
    full = path.absolute()
    inside = full.is_relative_to(files.PROJECT)
    return str(full.relative_to(files.PROJECT) if inside else full)


def _sniff(source: Source, target: str) -> Sniffed:
    if source.kind != "parquet":
        return sniff(source, target, MAX_BYTES)
    return Sniffed(names=[*parquet_names(source, MAX_BYTES)])


def _require_target(sniffed: Sniffed, target: str, source: Source) -> str:
    """Return the column that TARGET names, or counts to in a file without a header."""
    names = sniffed.names
    if target in names:
        return target
    if not sniffed.has_header and target.isdecimal() and 0 < int(target) <= len(names):
        return names[int(target) - 1]
    shown = ", ".join(quoted(name, 40) for name in names[:N_NAMED])
    more = f", … ({len(names)} in all)" if len(names) > N_NAMED else ""
    rule = f"TARGET must be a column of {source.shown}: {shown}{more}"
    cure = "" if sniffed.has_header else f"; it has no header: a number from 1 to {len(names)}"
    near = did_you_mean(target, names) or did_you_mean(target.lower(), [n.lower() for n in names])
    raise ConfigError(f"{rule}; got {target!r}{near or cure}")


def _provisional(settings: dict[str, Any], names: list[str], target: str) -> DataSettings:
    """Return a contract by which every column is read as text."""
    columns = {name: {"kind": "categorical"} for name in names if name != target}
    tree = {**settings, "target": {"name": target, "positive": ["1"]}, "columns": columns}
    return DataSettings.parse(tree)


def _column(rows: Rows, name: str) -> Column:
    place, values = pd.factorize(rows.frame[name], sort=True)
    n = np.bincount(place, rows.count, len(values)).astype(np.int64)
    text = pd.Series(values, dtype="str")
    known = ~text.isin(MISSING_VALUES).to_numpy(bool)
    n_rows = int(rows.count.sum())
    n_missing = n_rows - int(n[known].sum())
    return Column(name, text[known].reset_index(drop=True), n[known], n_missing, n_rows)


def _without_shared_marks(
    guesses: dict[str, Guess], columns: dict[str, Column], form: FileSettings
) -> dict[str, Guess]:
    """Return the guesses without marks that are numbers which another column holds as such.

    A contract has one list of missing values, for every column.
    """

    def is_shared(mark: str, name: str) -> bool:
        return any(
            guesses[other].kind == "numeric"
            and mark not in guesses[other].marks
            and (parse_numbers(column.text, form) == float(mark)).any()
            for other, column in columns.items()
            if other != name
        )

    numbers = {m for g in guesses.values() for m in g.marks if re.fullmatch(r"-?\d+(\.0*)?", m)}
    return {
        name: replace(
            guess, marks=tuple(m for m in guess.marks if m not in numbers or not is_shared(m, name))
        )
        for name, guess in guesses.items()
    }


def _marked(guesses: dict[str, Guess]) -> str:
    """Return which columns of numbers hold the marks."""
    found = [
        f"{', '.join(quoted(mark, 20) for mark in guess.marks)} in {cut(name, 30)}"
        for name, guess in guesses.items()
        if guess.marks
    ]
    return "among numbers: " + "; ".join(found[:5])


def _checked(
    settings: dict[str, Any], goal: Guess, guesses: dict[str, Guess]
) -> tuple[dict[str, Guess], tuple[str, ...]]:
    """Return the guesses without columns that tell the target, and what must be edited by hand."""
    _require_input(guesses)
    data = DataSettings.parse(_tree(settings, goal, guesses))
    rows = read_rows(data)
    leaks = _leaks(rows, data)
    if any(guess.kind != "ignored" for name, guess in guesses.items() if name not in leaks):
        guesses = {**guesses, **leaks}
        data = DataSettings.parse(_tree(settings, goal, guesses))
        rows = read_rows(data) if leaks else rows
    found = validate(rows, data)
    return guesses, tuple(violation.message for violation in found.violations)


def _leaks(rows: Rows, data: DataSettings) -> dict[str, Guess]:
    """Return which columns tell the target alone: a draft leaves them out."""
    positive = rows.frame[data.target.name].isin(data.target.positive).to_numpy(bool)
    classes, values = Classes.of(rows.count, positive), column_values(rows.frame, data)
    found = {name: find_leak(values[name], classes) for name in data.features if name in values}
    return {
        name: ignored(f"tells the target nearly alone: {how}", "is it known before the target is?")
        for name, how in found.items()
        if how
    }


def _require_input(guesses: dict[str, Guess]) -> None:
    """Raise ConfigError where every column is ignored."""
    if all(guess.kind == "ignored" for guess in guesses.values()):
        why = [f"{cut(name, 30)} ({guess.evidence})" for name, guess in guesses.items()]
        raise ConfigError(f"INPUT must hold a column to learn from; got {', '.join(why[:5])}")


def _tree(settings: dict[str, Any], goal: Guess, guesses: dict[str, Guess]) -> dict[str, Any]:
    target = {key: value for key, value in goal.tree.items() if key != "kind"}
    return {**settings, "target": target, "columns": {n: dict(g.tree) for n, g in guesses.items()}}


def _questions(goal: Guess, guesses: dict[str, Guess]) -> Iterator[str]:
    if goal.question:
        yield f"target {goal.tree['name']}: {goal.question}"
    yield from (f"column {name}: {g.question}" for name, g in guesses.items() if g.question)
    codes = [name for name, guess in guesses.items() if guess.also == "kind: categorical"]
    if codes:
        yield f"few whole numbers, taken as quantities: are they codes in {listed(codes)}?"
