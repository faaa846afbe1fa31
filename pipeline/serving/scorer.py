"""Rows are judged and scored by a compiled model alone: NumPy, pandas, and nothing of the project.

A cell may be text, a number, a boolean, a date or null: it is taken as the text that a file would
hold. Rows are named by their place in the request, from 0. The file is also ``model.py`` of a
model of MLflow, which has the compiled model in it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

COMPILED = ""  # in model.py the compiled model, as JSON
PROBABILITY, DECISION, REASON = "probability", "decision", "reason"
BIAS = "bias"
BLOCK = 2**13  # rows whose attributes are held at once
FEW = 64  # rows that are faster read cell by cell
MAX_MESSAGE = 1900  # bytes, as JSON: what carries the message has an envelope
MAX_LINE = 400
N_SHOWN, N_ROWS = 3, 5  # values, and rows, that a message names
FARTHEST = 1e100  # deviations: with more a logit might overflow
BLANKS = " \t\r\n\v\f\u00a0\u2007\u202f\u3000\ufeff"
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
DAY = np.timedelta64(1, "D")
INFINITE = {"low": -np.inf, "high": np.inf}  # where there is no bound
REFUSED = -2  # the first of the codes that are rules
Array = np.ndarray[Any, np.dtype[Any]]
Cells = list[Any] | pd.Series  # of a column: a list where the rows are few


class Fault(NamedTuple):
    """A cell that breaks a rule; ``row`` is its place in the request, from 0."""

    row: int
    column: str
    value: str
    rule: str


class Broken(NamedTuple):
    """A rule that rows break, and their cells; no rows where the column itself is at fault."""

    column: str
    rule: str
    rows: tuple[int, ...] = ()
    values: tuple[str, ...] = ()

    def line(self, *, hide_values: bool) -> str:
        """Return the rule, the commonest values that break it, and the first rows, on one line."""
        text = f"column {_name(self.column)} {self.rule}"
        if not self.rows:
            return text
        if not hide_values:
            n = Counter(self.values).most_common(N_SHOWN + 1)
            shown = ", ".join(f"{_quoted(value)} ({k})" for value, k in n[:N_SHOWN])
            got = _quoted(n[0][0], 60) if len(n) == 1 else shown
            text += f"; got {got}{', …' * (len(n) > N_SHOWN)}"
        at = ", ".join(map(str, self.rows[:N_ROWS])) + ", …" * (len(self.rows) > N_ROWS)
        return f"{text} in {f'{len(self.rows):,} rows:' if len(self.rows) > 1 else 'row'} {at}"


@dataclass(frozen=True)
class Faults:
    """Every rule that rows of a request break, in the order of the contract."""

    broken: tuple[Broken, ...]

    def __iter__(self) -> Iterator[Fault]:
        for each in self.broken:
            for row, value in zip(each.rows, each.values, strict=True):
                yield Fault(row, each.column, value, each.rule)

    def __bool__(self) -> bool:
        return bool(self.broken)

    @property
    def of_columns(self) -> bool:
        """Whether columns are at fault, so that no row can be read."""
        return any(not each.rows for each in self.broken)

    @property
    def rows(self) -> list[int]:
        """The rows that break a rule, each once, in order."""
        return sorted({row for each in self.broken for row in each.rows})

    def message(self, *, hide_values: bool = False) -> str:
        """Return every fault in at most 2 kB, aggregated by column and rule."""
        return _bounded([each.line(hide_values=hide_values) for each in self.broken])

    def reasons(self, *, hide_values: bool = False) -> dict[int, str]:
        """Return why each bad row is one."""
        found: dict[int, list[str]] = {}
        for row, column, value, rule in self:
            got = "" if hide_values else f"; got {_quoted(value, 60)}"
            found.setdefault(row, []).append(f"column {_name(column)} {rule}{got}")
        return {row: "; and ".join(texts) for row, texts in found.items()}


class BadRowsError(ValueError):
    """Rows, or columns, of a request break the contract."""

    def __init__(self, faults: Faults, *, hide_values: bool = False) -> None:
        super().__init__(faults.message(hide_values=hide_values))
        self.faults = faults


class Scorer:
    """A compiled model that judges and scores rows."""

    def __init__(self, compiled: Mapping[str, Any], *, hide_values: bool = False) -> None:
        self._model = compiled
        self._readers = [
            READERS[column["kind"]](name, column, compiled)
            for name, column in compiled["columns"].items()
        ]
        self._terms = {term["name"]: TERMS[term["kind"]](term) for term in compiled["terms"]}
        self._known = frozenset(compiled["known"] or ())  # none where others may be there too
        self._hide_values = hide_values

    def check(self, frame: pd.DataFrame) -> Faults:
        """Return every fault of the rows."""
        return self._read(frame)

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
        p = np.empty(len(frame))

        def put(rows: slice, attributes: Mapping[str, Array]) -> None:
            z = np.full(rows.stop - rows.start, self._model["bias"])
            for term in self._terms.values():
                z += term(attributes)
            p[rows] = _sigmoid(z)

        faults = self._read(frame, put)
        if faults and (on_bad_row == "refuse" or faults.of_columns):
            raise BadRowsError(faults, hide_values=self._hide_values)
        decision = (p >= self._model["threshold"]).astype(np.int64)
        scored = pd.DataFrame({PROBABILITY: p, DECISION: decision}, frame.index)
        return scored if on_bad_row == "refuse" else self._with_reasons(scored, faults)

    def terms(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return what each attribute adds to the log-odds of each row, and the bias, last.

        BadRowsError if a row breaks the contract.
        """
        found = np.full((len(frame), len(self._terms) + 1), self._model["bias"])

        def put(rows: slice, attributes: Mapping[str, Array]) -> None:
            for i, term in enumerate(self._terms.values()):
                found[rows, i] = term(attributes)

        faults = self._read(frame, put)
        if faults:
            raise BadRowsError(faults, hide_values=self._hide_values)
        return pd.DataFrame(found, frame.index, [*self._terms, BIAS])

    def _read(
        self, frame: pd.DataFrame, put: Callable[[slice, Mapping[str, Array]], None] | None = None
    ) -> Faults:
        """Return the faults of the rows; ``put`` takes the attributes, some rows at a time.

        It is not asked where columns are at fault. Attributes of bad rows are of no use.
        """
        names = [*map(str, frame.columns)]
        of_columns = [*self._wrong_columns(names)]
        if of_columns:
            return Faults(tuple(of_columns))
        place = {name: i for i, name in enumerate(names)}
        places = [place[reader.name] for reader in self._readers]
        found: dict[tuple[int, str], list[Broken]] = {}
        for start in range(0, len(frame), BLOCK):
            rows = slice(start, min(start + BLOCK, len(frame)))
            attributes: dict[str, Array] = {}
            columns = zip(self._readers, _columns(frame, rows, places), strict=True)
            for i, (reader, cells) in enumerate(columns):
                for broken in reader.read(cells, start, attributes):
                    found.setdefault((i, broken.rule), []).append(broken)
            if put is not None:
                put(rows, attributes)
        return Faults(tuple(_joined(found[key]) for key in sorted(found, key=lambda key: key[0])))

    def _wrong_columns(self, names: list[str]) -> Iterator[Broken]:
        n = Counter(names)
        for reader in self._readers:
            if n[reader.name] != 1:
                yield Broken(reader.name, f"must be there{' once' if n[reader.name] else ''}")
        for name in n if self._known else ():
            if name not in self._known:
                yield Broken(name, "must be a column of the contract")

    def _with_reasons(self, scored: pd.DataFrame, faults: Faults) -> pd.DataFrame:
        reasons = faults.reasons(hide_values=self._hide_values)
        bad = np.zeros(len(scored), bool)
        bad[[*reasons]] = True
        scored[PROBABILITY] = scored[PROBABILITY].astype("Float64").mask(bad)  # null, not NaN
        scored[DECISION] = scored[DECISION].astype("Int64").mask(bad)
        scored[REASON] = pd.Series([*map(reasons.get, range(len(scored)))], scored.index, object)
        return scored


def _joined(parts: list[Broken]) -> Broken:
    """Return a rule that rows of several blocks break."""
    rows = tuple(row for part in parts for row in part.rows)
    return parts[0]._replace(rows=rows, values=tuple(v for part in parts for v in part.values))


class _Reader:
    """Reads the cells of a column: its attributes, and the rules that are broken."""

    def __init__(self, name: str, column: Mapping[str, Any], model: Mapping[str, Any]) -> None:
        self.name, self.column = name, column
        self.strip, self.decimal = model["strip"], model["decimal"]
        self.form: str | None = column.get("format")
        self.known: Mapping[str, Any] = column.get("exact", {})
        self.marks = frozenset(column.get("marks", ()))

    def read(self, cells: Cells, start: int, attributes: dict[str, Array]) -> list[Broken]:
        """Put the attributes of the rows, of which the first is ``start``; return broken rules."""
        raise NotImplementedError

    def texts(self, cells: Iterable[Any]) -> list[str]:
        """Return the texts that a file would hold."""
        texts = [c if type(c) is str else self.text(c) for c in cells]
        return [text.strip(BLANKS) for text in texts] if self.strip else texts

    def text(self, cell: Any) -> str:
        """Return the text of a cell that is none: a known one, of several that a file may hold."""
        texts = [*_texts(cell, self.decimal, self.form)]
        return next((text for text in texts if text in self.known), texts[0])

    def broken(
        self, rules: Iterable[tuple[str, Array]], texts: Callable[[Array], list[str]], start: int
    ) -> list[Broken]:
        """Return each rule with the rows that break it; nothing where none does."""
        found = ((rule, np.flatnonzero(is_bad)) for rule, is_bad in rules)
        return [
            Broken(self.name, rule, tuple((at + start).tolist()), tuple(texts(at)))
            for rule, at in found
            if at.size
        ]


class _Words(_Reader):
    """A column of words: each becomes its position in its block."""

    def __init__(self, name: str, column: Mapping[str, Any], model: Mapping[str, Any]) -> None:
        super().__init__(name, column, model)
        verdicts = [*column["exact"].values(), column["other"], column["plain"]]
        self.rules = [rule for rule in dict.fromkeys(verdicts) if isinstance(rule, str)]
        self.code = {text: self._code(verdict) for text, verdict in column["exact"].items()}
        self.folded: Mapping[str, int] = column["folded"] or {}
        self.other, self.plain = self._code(column["other"]), column["plain"]

    def _code(self, verdict: int | str) -> int:
        return REFUSED - self.rules.index(verdict) if isinstance(verdict, str) else verdict

    def read(self, cells: Cells, start: int, attributes: dict[str, Array]) -> list[Broken]:
        distinct, place = _distinct(cells)
        texts = self.texts(distinct)
        found = [*map(self.code.get, texts)]
        code = np.array(
            [self._of_other(t) if c is None else c for t, c in zip(texts, found, strict=True)]
            if None in found else found,
            np.int64,
        )  # fmt: skip
        of_rows = code if place is None else code[place]
        attributes[self.name] = np.maximum(of_rows, -1)
        if not code.size or code.min() > REFUSED:
            return []
        rules = [(rule, of_rows == REFUSED - i) for i, rule in enumerate(self.rules)]
        if self.plain is not None and isinstance(self.column["other"], str):
            # A word with control characters is none of train's either.
            rules += [(self.column["other"], of_rows == self._code(self.plain))]
        return self.broken(rules, lambda at: _at(texts, at if place is None else place[at]), start)

    def _of_other(self, text: str) -> int:
        if self.plain is not None and CONTROL.search(text):
            return self._code(self.plain)
        return self.folded.get(text.lower(), self.other) if self.folded else self.other


class _Number(_Reader):
    """A column of numbers, NaN where one is missing."""

    def __init__(self, name: str, column: Mapping[str, Any], model: Mapping[str, Any]) -> None:
        super().__init__(name, column, model)
        form = column["form"]
        self.pattern, self.thousands = re.compile(form["pattern"]), form["thousands"]
        # Of these alone, float() takes what the pattern does.
        self.plain = f"0123456789eE+-{self.decimal}\n".encode()
        self.numbers = column["numbers"]
        self.bounds = [
            (b["rule"], *(inf if b[k] is None else b[k] for k, inf in INFINITE.items()))
            for b in column["bounds"]
        ]
        self.low = max(low for _, low, _ in self.bounds)
        self.high = min(high for _, _, high in self.bounds)

    def read(self, cells: Cells, start: int, attributes: dict[str, Array]) -> list[Broken]:
        number, is_missing = self._numbers(cells)
        if self.numbers:
            is_missing |= np.isin(number, self.numbers)
        attributes[self.name] = number
        if not is_missing.any() and self.low <= number.min() and number.max() <= self.high:
            return []  # as nearly always, and not of NaN
        is_finite = np.isfinite(number)
        attributes[self.name] = number = np.where(is_finite & ~is_missing, number, np.nan)
        rules = self.rules(number, is_missing, is_finite | is_missing)
        return self.broken(rules, lambda at: self.texts(_at(cells, at)), start)

    def rules(
        self, number: Array, is_missing: Array, is_known: Array
    ) -> Iterator[tuple[str, Array]]:
        """Yield each rule and the numbers (n,) that break it; NaN is left to the others."""
        if self.column["missing"]:
            yield self.column["missing"], is_missing
        yield self.column["number"], ~is_known
        for rule, low, high in self.bounds:
            yield rule, (number < low) | (number > high)

    def _numbers(self, cells: Cells) -> tuple[Array, Array]:
        """Return the number of each cell, and where it is missing; not finite where it is none."""
        if isinstance(cells, pd.Series) and cells.dtype.kind in "iuf":
            number = cells.to_numpy(np.float64, na_value=np.nan)
            return number, np.isnan(number)
        cells = cells.tolist() if isinstance(cells, pd.Series) else cells
        kinds = {*map(type, cells)}
        if kinds <= {float, int, type(None)}:
            with suppress(OverflowError):
                number = np.array(cells, np.float64)
                return number, np.isnan(number)
        texts = cells if kinds == {str} and not self.strip else self.texts(cells)
        if self.marks.isdisjoint(texts):
            return self._parsed(texts), np.zeros(len(texts), bool)
        is_missing = [text in self.marks for text in texts]
        texts = ["0" if m else t for t, m in zip(texts, is_missing, strict=True)]
        return self._parsed(texts), np.array(is_missing, bool)

    def _parsed(self, texts: list[str]) -> Array:
        """Return each text as a number, correctly rounded; NaN where it is none."""
        whole = "\n".join(texts)
        if self.thousands is None and not whole.encode("utf-8", "replace").translate(
            None, self.plain
        ):
            with suppress(ValueError):
                numbers = [*map(float, whole.replace(self.decimal, ".").split("\n"))]
                if len(numbers) == len(texts):
                    return np.array(numbers)
        return np.array([self._parse(text) for text in texts])

    def _parse(self, text: str) -> float:
        if self.pattern.fullmatch(text) is None:
            return np.nan
        text = re.sub(self.thousands, "", text) if self.thousands else text
        return float(text.replace(self.decimal, "."))


class _Date(_Reader):
    """A column of dates, of which parts are attributes."""

    def read(self, cells: Cells, start: int, attributes: dict[str, Array]) -> list[Broken]:
        distinct, place = _distinct(cells)
        texts = self.texts(distinct)
        known = {t: None if t in self.marks else _moment(t, self.form) for t in {*texts}}
        moment = np.array([known[text] for text in texts], "datetime64[us]")
        is_missing = np.array([text in self.marks for text in texts], bool)
        if place is not None:
            moment, is_missing = moment[place], is_missing[place]
        for part, spec in self.column["parts"].items():
            attributes[f"{self.name}.{part}"] = _part(part, moment, spec)
        rules = [(self.column["missing"], is_missing)] if self.column["missing"] else []
        rules.append((self.column["date"], np.isnat(moment) & ~is_missing))
        return self.broken(rules, lambda at: _at(texts, at if place is None else place[at]), start)


READERS: dict[str, type[_Reader]] = {"words": _Words, "number": _Number, "date": _Date}


def _columns(frame: pd.DataFrame, rows: slice, places: list[int]) -> Sequence[Cells]:
    """Return the cells of the columns at ``places``: of few rows they are had at once."""
    if len(frame) >= FEW:
        return [frame.iloc[rows, i] for i in places]
    cells: list[list[Any]] = frame.to_numpy(object).T.tolist()
    return [cells[i] for i in places]


def _at(cells: Cells, at: Array) -> list[Any]:
    return cells.iloc[at].tolist() if isinstance(cells, pd.Series) else [cells[i] for i in at]


def _distinct(cells: Cells) -> tuple[list[Any], Array | None]:
    """Return the different cells and which of them each row has; of few, or of objects, all.

    Objects are not told apart by value: 1, 1.0 and True are equal, and other texts.
    """
    if not isinstance(cells, pd.Series):
        return cells, None
    if cells.dtype == object:
        return cells.tolist(), None
    place, values = pd.factorize(cells, use_na_sentinel=False)
    return values.tolist(), place


def _texts(cell: Any, decimal: str, form: str | None) -> Iterator[str]:
    """Yield the texts that a file may hold for a cell, the likeliest first."""
    match cell:
        case bool() | np.bool_():
            word = str(bool(cell))
            yield from (word.lower(), word, word.upper())
        case int() | np.integer():
            yield from (str(cell), f"{cell}{decimal}0")
        case float() | np.floating() if cell == cell:  # noqa: PLR0124 (NaN)
            number = float(cell)
            if number.is_integer() and abs(number) < 2**53:
                yield str(int(number))
            yield repr(number).replace(".", decimal)
        case date() if cell is not pd.NaT:
            yield _date_text(cell, form)
        case np.datetime64() if not np.isnat(cell):
            yield _date_text(pd.Timestamp(cell), form)
        case None | float() | np.floating() | np.datetime64():
            yield ""
        case _:
            yield "" if cell is pd.NA or cell is pd.NaT else str(cell)


def _date_text(day: date, form: str | None) -> str:
    """Return a date as the format says it, and as ISO 8601 does where the format says less."""
    iso = day.isoformat()
    text = day.strftime(form) if form else iso
    return text if form is None or _moment(text, form) == _moment(iso, None) else iso


def _moment(text: str, form: str | None) -> datetime | None:
    """Return the moment that the text is, in UTC and without a zone; None if it is none."""
    try:
        found = datetime.strptime(text, form) if form else datetime.fromisoformat(text)
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError):
        return None


def _part(part: str, moment: Array, spec: Mapping[str, Any]) -> Array:
    """Return a part of moments (n,): a number, or the position of its word."""
    absent = np.isnat(moment)
    moment = np.where(absent, np.datetime64(0, "us"), moment)
    if part == "days":
        start = np.datetime64(_moment(spec["reference"], None), "us")
        return np.where(absent, np.nan, (moment - start) / DAY)
    day, month, year = (moment.astype(f"datetime64[{unit}]") for unit in "DMY")
    if part == "year":
        return np.where(absent, np.nan, year.astype(np.float64) + 1970.0)
    at = {
        "month": month - year.astype("datetime64[M]"),
        "weekday": (day.astype(np.int64) + 3) % 7,  # 1970-01-01 was a Thursday
        "hour": (moment - day) // np.timedelta64(1, "h"),
    }[part].astype(np.int64)
    code: Array = np.where(absent, spec["missing"], np.array(spec["codes"], np.int64)[at])
    return code


Term = Callable[[Mapping[str, Array]], Array]


def _words_term(term: Mapping[str, Any]) -> Term:
    """Return what gives the weight of each row's category, 0 where there is none."""
    weights = np.array([*term["weights"], 0.0])  # UNKNOWN is -1, the last

    def add(attributes: Mapping[str, Array]) -> Array:
        codes = [_code(part, attributes) for part in term["parts"]]
        if len(codes) == 1:
            return weights[codes[0]]
        at = np.ravel_multi_index([np.maximum(c, 0) for c in codes], term["sizes"])
        return weights[np.where(np.min(codes, axis=0) < 0, -1, at)]

    return add


def _code(part: Mapping[str, Any], attributes: Mapping[str, Array]) -> Array:
    found = attributes[part["attribute"]]
    if "edges" not in part:
        return found
    edges, codes = np.array(part["edges"]), np.array(part["codes"], np.int64)
    bins = np.searchsorted(edges, found, side="right")
    code: Array = codes[np.where(np.isnan(found), len(codes) - 1, bins)]
    return code


def _line_term(term: Mapping[str, Any]) -> Term:
    """Return what gives the weight of a number in deviations from the mean, or of a curve."""
    mean, rest, deviation = term["mean"], term["rest"], term["deviation"]
    knots, pieces = np.array(term.get("knots", ())), np.array(term.get("pieces", ())).T

    def add(attributes: Mapping[str, Array]) -> Array:
        x = attributes[term["attribute"]]
        with np.errstate(over="ignore"):
            z = (x - mean - rest if rest else x - mean) / deviation if deviation else x * 0.0
        z = np.clip(z, -FARTHEST, FARTHEST)
        found = term["weight"] * z
        if knots.size:
            start, c0, c1, c2, c3 = pieces[:, np.searchsorted(knots, z, side="right")]
            t = z - start
            found += c0 + t * (c1 + t * (c2 + t * c3))
        known: Array = np.where(np.isnan(x), term["missing"], found)
        return known

    return add


TERMS = {"words": _words_term, "line": _line_term, "curve": _line_term}


def _sigmoid(z: Array) -> Array:
    small = np.exp(-np.abs(z))
    p: Array = np.where(z >= 0, 1.0, small) / (1.0 + small)
    return p


def _quoted(value: str, length: int = 30) -> str:
    return repr(value[:length]) + "…" * (len(value) > length)


def _name(column: str) -> str:
    return column if column.isprintable() and len(column) <= 60 else _quoted(column, 60)


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


if COMPILED:
    from mlflow.exceptions import MlflowException
    from mlflow.models import set_model
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
    from mlflow.pyfunc.model import PythonModel
    from mlflow.types.schema import DataType, Schema

    class BadRequest(MlflowException):
        """A request that breaks the contract: status 400, and a message that stays as it is.

        MLflow's server writes the rows of the request before it, which may be secret.
        """

        def __init__(self, message: str) -> None:
            self._message = message
            super().__init__(message, INVALID_PARAMETER_VALUE)

        message = property(lambda self: self._message, lambda _, __: None)

    class OneNeuron(PythonModel):
        """One neuron behind MLflow's interface."""

        def load_context(self, context: Any) -> None:
            """Read the compiled model."""
            config = context.model_config or {}
            hide_values = bool(config.get("hide_values", False))
            self.scorer = Scorer(json.loads(COMPILED), hide_values=hide_values)

        def predict(  # type: ignore[override]
            self, model_input: pd.DataFrame, params: dict[str, Any] | None = None
        ) -> pd.DataFrame:
            """Return probability of class 1 and decision of each row.

            BadRequest if a row breaks the contract; with the parameter ``on_bad_row``, "skip", bad
            rows are answered by a reason.
            """
            try:
                frame = as_frame(model_input)
                return self.scorer.score(frame, (params or {}).get("on_bad_row", "refuse"))
            except ValueError as error:
                raise BadRequest(str(error)) from None

    def as_frame(rows: Any) -> pd.DataFrame:
        """Return the rows as a frame; MLflow takes lists of words for the cells of one row."""
        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
        is_row = frame.shape[0] == 1 and frame.shape[1] > 0 and isinstance(frame.iat[0, 0], list)
        if is_row and all(isinstance(cell, list) for cell in frame.iloc[0]):
            return pd.DataFrame({name: cells[0] for name, cells in frame.items()})
        return frame

    def pandas_types(schema: Schema) -> list[Any]:
        """Return the types by which MLflow reads CSV: text where a column may hold anything."""
        return [c.type.to_pandas() if isinstance(c.type, DataType) else object for c in schema]

    Schema.pandas_types = pandas_types  # type: ignore[method-assign,assignment]  # or it raises
    set_model(OneNeuron())
