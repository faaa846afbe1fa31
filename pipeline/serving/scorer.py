"""Rows are judged and scored by a compiled model alone: NumPy, pandas, and nothing of the project.

MLflow runs this file, as ``model.py``, where a model is loaded; ``compiled.json`` is beside it.
A cell may be text, a number, a boolean, a date or null: it is taken as the text that a file would
hold. Rows are named by their place in the request, from 0.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

PROBABILITY, DECISION, REASON = "probability", "decision", "reason"
BIAS = "bias"
MAX_MESSAGE = 1900  # bytes, as JSON: what carries the message has an envelope
MAX_LINE = 400
N_SHOWN, N_ROWS = 3, 5  # values, and rows, that a message names
FARTHEST = 1e100  # deviations: with more a logit might overflow
BLANKS = " \t\r\n\v\f\u00a0\u2007\u202f\u3000\ufeff"
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
DAY = np.timedelta64(1, "D")
REFUSED = -2  # the first of the codes that are rules
Numbers = np.ndarray[Any, np.dtype[Any]]


class Fault(NamedTuple):
    """A cell that breaks a rule; ``row`` is its place in the request, from 0."""

    row: int
    column: str
    value: str
    rule: str


@dataclass(frozen=True)
class Broken:
    """A rule that rows (k,) break, and their cells; no rows where the column itself is at fault."""

    column: str
    rule: str
    rows: Numbers
    values: tuple[str, ...]

    def line(self, *, hide_values: bool) -> str:
        """Return the rule, the commonest values that break it, and the first rows, on one line."""
        text = f"column {_quoted(self.column) if not self.column.isidentifier() else self.column}"
        text += f" {self.rule}"
        if self.rows.size == 0:
            return text
        n = Counter(self.values)
        shown = [f"{_quoted(value)} ({k})" for value, k in n.most_common(N_SHOWN)]
        got = _quoted(self.values[0]) if len(n) == 1 else ", ".join(shown)
        more = ", …" if len(n) > N_SHOWN else ""
        at = ", ".join(map(str, self.rows[:N_ROWS])) + (", …" if self.rows.size > N_ROWS else "")
        word = "row" if self.rows.size == 1 else f"{self.rows.size:,} rows:"
        what = "" if hide_values else f"; got {got}{more}"
        return f"{text}{what} in {word} {at}"


@dataclass(frozen=True)
class Faults:
    """Every rule that rows of a request break, in the order of the contract."""

    broken: tuple[Broken, ...]

    def __iter__(self) -> Iterator[Fault]:
        for each in self.broken:
            for row, value in zip(each.rows.tolist(), each.values, strict=True):
                yield Fault(row, each.column, value, each.rule)

    def __bool__(self) -> bool:
        return bool(self.broken)

    @property
    def is_table(self) -> bool:
        """Whether the columns are those of the contract, so that good rows can be scored."""
        return all(each.rows.size for each in self.broken)

    @property
    def rows(self) -> Numbers:
        """The rows that break a rule, each once, in order."""
        return np.unique(np.concatenate([np.zeros(0, np.int64), *(b.rows for b in self.broken)]))

    def message(self, *, hide_values: bool = False) -> str:
        """Return every fault in at most 2 kB, aggregated by column and rule."""
        return _bounded([each.line(hide_values=hide_values) for each in self.broken])

    def reasons(self, *, hide_values: bool = False) -> dict[int, str]:
        """Return why each bad row is one."""
        found: dict[int, list[str]] = {}
        for row, column, value, rule in self:
            got = "" if hide_values else f"; got {_quoted(value, 60)}"
            found.setdefault(row, []).append(f"column {column} {rule}{got}")
        return {row: "; and ".join(texts) for row, texts in sorted(found.items())}


class BadRowsError(ValueError):
    """Rows, or columns, of a request break the contract."""

    def __init__(self, faults: Faults, *, hide_values: bool = False) -> None:
        super().__init__(faults.message(hide_values=hide_values))
        self.faults = faults


class Scorer:
    """A compiled model that judges and scores rows."""

    def __init__(self, compiled: Mapping[str, Any], *, hide_values: bool = False) -> None:
        self._model = compiled
        self._readers = {
            name: READERS[column["kind"]](name, column, compiled)
            for name, column in compiled["columns"].items()
        }
        self._terms = [(t["name"], TERMS[t["kind"]](t)) for t in compiled["terms"]]
        self._hide_values = hide_values

    def check(self, frame: pd.DataFrame) -> Faults:
        """Return every fault of the rows."""
        return self._read(frame)[1]

    def score(self, frame: pd.DataFrame, on_bad_row: str = "refuse") -> pd.DataFrame:
        """Return ``probability`` (float64) and ``decision`` (int64: 1 or 0) of each row.

        With ``on_bad_row="skip"`` bad rows have null in both, and why is in ``reason``.

        Raises
        ------
        BadRowsError
            If a row breaks the contract; with skip, if the columns do.
        """
        if on_bad_row not in ("refuse", "skip"):
            raise ValueError(f"on_bad_row must be refuse or skip; got {on_bad_row!r}")
        attributes, faults = self._read(frame)
        if faults and (on_bad_row == "refuse" or not faults.is_table):
            raise BadRowsError(faults, hide_values=self._hide_values)
        z = np.full(len(frame), self._model["bias"])
        for _, term in self._terms:
            z += term(attributes)
        p = _sigmoid(z)
        decision = (p >= self._model["threshold"]).astype(np.int64)
        columns = {PROBABILITY: p, DECISION: decision}
        if on_bad_row == "refuse":
            return pd.DataFrame(columns, frame.index)
        return self._with_reasons(pd.DataFrame(columns, frame.index), faults)

    def terms(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return what each attribute adds to the log-odds of each row, and the bias, last.

        BadRowsError if a row breaks the contract.
        """
        attributes, faults = self._read(frame)
        if faults:
            raise BadRowsError(faults, hide_values=self._hide_values)
        found = {name: term(attributes) for name, term in self._terms}
        found[BIAS] = np.full(len(frame), self._model["bias"])
        return pd.DataFrame(found, frame.index)

    def _with_reasons(self, scored: pd.DataFrame, faults: Faults) -> pd.DataFrame:
        bad = np.zeros(len(scored), bool)
        bad[faults.rows] = True
        reasons = faults.reasons(hide_values=self._hide_values)
        scored[PROBABILITY] = scored[PROBABILITY].mask(bad)
        scored[DECISION] = scored[DECISION].astype("Int64").mask(bad)
        scored[REASON] = pd.Series([*map(reasons.get, range(len(scored)))], scored.index, object)
        return scored

    def _read(self, frame: pd.DataFrame) -> tuple[dict[str, Numbers], Faults]:
        """Return the attributes of the rows, and their faults; none where a column is at fault."""
        names = [*map(str, frame.columns)]
        lacking = self._wrong_columns(names)
        if lacking:
            return {}, Faults(tuple(lacking))
        attributes: dict[str, Numbers] = {}
        broken: list[Broken] = []
        for name, reader in self._readers.items():
            broken += reader.read(frame.iloc[:, names.index(name)], attributes)
        return attributes, Faults(tuple(broken))

    def _wrong_columns(self, names: list[str]) -> list[Broken]:
        none = np.zeros(0, np.int64)
        known = self._model["known"]
        found = [(n, "must be there") for n in self._readers if n not in names]
        found += [(n, "must be there once") for n in self._readers if names.count(n) > 1]
        if known is not None:
            found += [
                (n, "must be of the contract") for n in dict.fromkeys(names) if n not in known
            ]
        return [Broken(name, rule, none, ()) for name, rule in found]


class _Reader:
    """Reads a column: its attributes, and the rules that its cells break."""

    def __init__(self, name: str, column: Mapping[str, Any], model: Mapping[str, Any]) -> None:
        self.name, self.column = name, column
        self.strip, self.decimal = model["strip"], model["decimal"]

    def read(self, cells: pd.Series[Any], attributes: dict[str, Numbers]) -> list[Broken]:
        raise NotImplementedError

    def texts(self, cells: list[Any], known: Mapping[str, Any]) -> list[str]:
        """Return the texts that a file would hold."""
        texts = [
            c if type(c) is str else _text(c, known, self.decimal, self.column.get("format"))
            for c in cells
        ]
        return [text.strip(BLANKS) for text in texts] if self.strip else texts

    def broken(self, rule: str, is_bad: Numbers, text: Callable[[int], str]) -> list[Broken]:
        """Return the rule with the rows (n,) that break it; nothing where none does."""
        if not is_bad.any():
            return []
        rows = np.flatnonzero(is_bad)
        return [Broken(self.name, rule, rows, tuple(map(text, rows.tolist())))]


class _Words(_Reader):
    """A column of words: each becomes its position in its block."""

    def __init__(self, name: str, column: Mapping[str, Any], model: Mapping[str, Any]) -> None:
        super().__init__(name, column, model)
        rules = {v for v in (*column["exact"].values(), column["other"]) if isinstance(v, str)}
        self.rules = sorted(rules)
        self.exact = {text: self._code(v) for text, v in column["exact"].items()}
        self.other = self._code(column["other"])
        self.folded = column["folded"] or {}

    def _code(self, verdict: int | str) -> int:
        return verdict if isinstance(verdict, int) else REFUSED - self.rules.index(verdict)

    def read(self, cells: pd.Series[Any], attributes: dict[str, Numbers]) -> list[Broken]:
        values, place = _distinct(cells)
        texts = self.texts(values, self.exact)
        get, other = self.exact.get, self._other
        found = [get(text) for text in texts]
        code = np.array(
            [other(t) if c is None else c for t, c in zip(texts, found, strict=True)], np.int64
        )
        plain = self.column["plain"]
        is_control = np.array(
            [c is None and CONTROL.search(t) is not None for t, c in zip(texts, found, strict=True)]
            if plain
            else [],
            bool,
        )
        if place is not None:
            code, is_control = code[place], is_control[place] if plain else is_control
        attributes[self.name] = code
        if not is_control.any() and (not code.size or code.min() > REFUSED):
            return []

        def text(row: int) -> str:
            return texts[row if place is None else place[row]]

        broken = self.broken(plain, is_control, text) if plain else []
        for i, rule in enumerate(self.rules):
            broken += self.broken(rule, code == REFUSED - i, text)
        return broken

    def _other(self, text: str) -> int:
        return self.folded.get(text.lower(), self.other) if self.folded else self.other


class _Number(_Reader):
    """A column of numbers, NaN where one is missing."""

    def __init__(self, name: str, column: Mapping[str, Any], model: Mapping[str, Any]) -> None:
        super().__init__(name, column, model)
        self.marks = frozenset(column["marks"])
        self.pattern = re.compile(column["form"]["pattern"])
        self.thousands = column["form"]["thousands"]

    def read(self, cells: pd.Series[Any], attributes: dict[str, Numbers]) -> list[Broken]:
        texts: list[str] = []
        if cells.dtype.kind in "iuf":
            number = cells.to_numpy(np.float64, na_value=np.nan)
            is_missing = np.isnan(number)
        else:
            texts = self.texts(cells.tolist(), {})
            number = self._numbers(texts)
            is_missing = np.array([text in self.marks for text in texts], bool)
        if self.column["numbers"]:
            is_missing |= np.isin(number, self.column["numbers"])
        is_none = ~(np.isfinite(number) | is_missing)
        number = np.where(is_missing | is_none, np.nan, number)
        attributes[self.name] = number

        def text(row: int) -> str:
            return texts[row] if texts else _text(cells.iloc[row], {}, self.decimal, None)

        rule = self.column["missing"]
        broken = self.broken(rule, is_missing, text) if rule else []
        broken += self.broken(self.column["number"], is_none, text)
        for bound in self.column["bounds"]:
            low, high = bound["low"], bound["high"]
            is_off = np.zeros(len(number), bool) if low is None else number < low
            broken += self.broken(
                bound["rule"], is_off if high is None else is_off | (number > high), text
            )
        return broken

    def _numbers(self, texts: list[str]) -> Numbers:
        """Return each text as a number, correctly rounded; NaN where it is no finite one."""
        return np.array([self._parsed(text) for text in texts], np.float64)

    def _parsed(self, text: str) -> float:
        if self.pattern.fullmatch(text) is None:
            return np.nan
        if self.thousands is not None:
            text = re.sub(self.thousands, "", text)
        number = float(text.replace(self.decimal, "."))
        return number if np.isfinite(number) else np.nan


class _Date(_Reader):
    """A column of dates, of which parts are attributes."""

    def read(self, cells: pd.Series[Any], attributes: dict[str, Numbers]) -> list[Broken]:
        values, place = _distinct(cells)
        texts, column = self.texts(values, {}), self.column
        marks = {*column["marks"]}
        is_missing = np.array([text in marks for text in texts], bool)
        moment = np.array(
            [None if text in marks else _moment(text, column["format"]) for text in texts],
            "datetime64[us]",
        )
        if place is not None:
            is_missing, moment = is_missing[place], moment[place]
        for part, spec in column["parts"].items():
            attributes[f"{self.name}.{part}"] = _part(part, moment, spec)

        def text(row: int) -> str:
            return texts[row if place is None else place[row]]

        rule = column["missing"]
        broken = self.broken(rule, is_missing, text) if rule else []
        return broken + self.broken(column["date"], np.isnat(moment) & ~is_missing, text)


READERS: dict[str, type[_Reader]] = {"words": _Words, "number": _Number, "date": _Date}


def _distinct(cells: pd.Series[Any]) -> tuple[list[Any], Numbers | None]:
    """Return different cells and which of them each row has; all, and None, where that is slower.

    Objects stay: 1, 1.0 and True are equal, and other texts.
    """
    if len(cells) < 64 or cells.dtype == object:
        return cells.tolist(), None
    place, values = pd.factorize(cells, use_na_sentinel=False)
    return values.tolist(), place


def _text(cell: Any, known: Mapping[str, Any], decimal: str, form: str | None) -> str:
    """Return the text of a cell that is none: of several that a file might hold a known one."""
    if cell is None or cell is pd.NA or cell is pd.NaT or cell != cell:  # noqa: PLR0124 (NaN)
        return ""
    if isinstance(cell, bool | np.bool_):
        texts = ["true", "True", "TRUE"] if cell else ["false", "False", "FALSE"]
    elif isinstance(cell, int | np.integer):
        texts = [str(cell), f"{cell}.0"]
    elif isinstance(cell, float | np.floating):
        number = float(cell)
        whole = [str(int(number))] if number.is_integer() and abs(number) < 2**53 else []
        texts = [*whole, repr(number).replace(".", decimal)]
    elif isinstance(cell, date | np.datetime64):
        moment = pd.Timestamp(cell) if isinstance(cell, np.datetime64) else cell
        texts = [moment.strftime(form) if form else moment.isoformat()]
    else:
        texts = [str(cell)]
    return next((text for text in texts if text in known), texts[0])


def _moment(text: str, form: str | None) -> datetime | None:
    """Return the moment that the text is, in UTC and without a zone; None if it is none."""
    try:
        found = datetime.strptime(text, form) if form else datetime.fromisoformat(text)
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError):
        return None


def _part(part: str, moment: Numbers, spec: Mapping[str, Any]) -> Numbers:
    """Return a part of moments (n,): a number, or the position of its word."""
    day, month = moment.astype("datetime64[D]"), moment.astype("datetime64[M]")
    absent = np.isnat(moment)
    if part == "days":
        start = np.datetime64(_moment(spec["reference"], None), "us")
        return np.where(absent, np.nan, (moment - start) / DAY)
    year = month.astype("datetime64[Y]")
    if part == "year":
        return np.where(absent, np.nan, year.astype(np.float64) + 1970)
    if part == "month":
        at = (month - year).astype(np.int64)
    elif part == "weekday":
        at = (day.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    else:
        at = (moment - day).astype("timedelta64[h]").astype(np.int64)
    codes = np.array([*spec["codes"], spec["missing"]], np.int64)
    return codes[np.where(absent, len(codes) - 1, at)]


def _words_term(term: Mapping[str, Any]) -> Callable[[Mapping[str, Numbers]], Numbers]:
    """Return what adds the weight of each row's category, 0 where there is none."""
    weights = np.array([*term["weights"], 0.0])
    parts, sizes = term["parts"], term["sizes"]

    def add(attributes: Mapping[str, Numbers]) -> Numbers:
        at = np.zeros(1, np.int64)
        known = np.ones(1, bool)
        for part, size in zip(parts, sizes, strict=True):
            code = attributes[part["attribute"]]
            if "edges" in part:
                x = code
                bins = np.searchsorted(np.array(part["edges"]), x, side="right")
                code = np.array(part["codes"])[np.where(np.isnan(x), len(part["edges"]) + 1, bins)]
            known = known & (code >= 0)
            at = at * size + code
        return weights[np.where(known, at, len(weights) - 1)]

    return add


def _line_term(term: Mapping[str, Any]) -> Callable[[Mapping[str, Numbers]], Numbers]:
    """Return what adds the weight of a number in deviations from the mean, or of a curve."""
    mean, rest, deviation = term["mean"], term["rest"], term["deviation"]
    weight, missing, name = term["weight"], term["missing"], term["attribute"]
    knots = np.array(term.get("knots", ()))
    pieces = np.array(term.get("pieces", ())).T

    def add(attributes: Mapping[str, Numbers]) -> Numbers:
        x = attributes[name]
        with np.errstate(over="ignore"):
            z = (x - mean - rest if rest else x - mean) / deviation if deviation else x * 0.0
        z = np.clip(z, -FARTHEST, FARTHEST)
        found = weight * z
        if knots.size:
            start, c0, c1, c2, c3 = pieces[:, np.searchsorted(knots, z, side="right")]
            t = z - start
            found = found + (c0 + t * (c1 + t * (c2 + t * c3)))
        return np.where(np.isnan(x), missing, found)

    return add


TERMS = {"words": _words_term, "line": _line_term, "curve": _line_term}


def _sigmoid(z: Numbers) -> Numbers:
    small = np.exp(-np.abs(z))
    p: Numbers = np.where(z >= 0, 1.0, small) / (1.0 + small)
    return p


def _quoted(value: str, length: int = 30) -> str:
    return repr(value[:length]) + ("…" if len(value) > length else "")


def _bounded(lines: list[str]) -> str:
    """Return the lines as a text of at most MAX_MESSAGE bytes that counts what it leaves out."""
    text = ""
    for i, line in enumerate(lines):
        short = line if len(line) <= MAX_LINE else line[: MAX_LINE - 1] + "…"
        more = f"… and {len(lines) - i} more"
        if len(json.dumps(text + short + more)) > MAX_MESSAGE:
            return text + more
        text += short + "\n"
    return text.rstrip("\n")


def load(path: Path) -> Scorer:
    """Return the scorer of a compiled model."""
    return Scorer(json.loads(path.read_text(encoding="utf-8")))
