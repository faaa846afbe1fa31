"""Contracts of every kind of column, models that are learned by them, and rows that may break them.

The oracle of the tests beside it is the pipeline: pandera, Arrow and the encoder.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.config.contract import DataSettings
from pipeline.config.schema import EncodeSettings
from pipeline.stages.bad_rows import _unknown
from pipeline.stages.encode import fit_encoder
from pipeline.stages.predict import Model, contract_for_new_rows, from_json, to_json
from pipeline.stages.validate import Table
from pipeline.stages.validate.convert import convert
from pipeline.stages.validate.validation import bad_rows
from pipeline.stages.validate.values import column_values

WORDS = ("red", "blue", "green", "rare", "NA", "1", "1.0", "a:b", "naïve", "x" * 300)
DATES = {
    None: ("2024-02-29", "1999-12-31T23:59", "2024-01-01T00:00:00+05:00", "0001-01-01"),
    "%d.%m.%Y": ("29.02.2024", "31.12.1999", "1.1.2030"),
    "%Y-%m-%d %H:%M": ("2024-02-29 13:45", "1999-12-31 00:00"),
}
ODD = (
    "", "?", "NA", "nan", "None", "null", " ", "\t", "\x00", "\x01red", "red ", "RED", "R\u0435d",
    "r\x7fed", "-999", "-999.0", "-9.99e2", "inf", "-inf", "Infinity", "1e400", "1e-400", "1_000",
    "\uff11\uff12", "0x10", " 1", "1 ", "+1", "-0", ".5", "5.", "1e5", "1E+5", "1,5", "1.234,5",
    "1,234.5", "1 234,5", "1'234", "1\u2019234.5", "12,34", "1.5.2", "--1", "e5", "true", "TRUE",
    "Yes", "oui", "0", "1", "1.0", "y ", "\ufb01", "2024-02-30", "30.02.2024", "2024-1-1",
    "20240229", "2024-02-29T25:00", "99999", "1e100", "-1e101", "1.0000000000000001e100", "5",
    "0.1", "\x00missing", "missing", "infrequent", "(infrequent)", "Mon", "below 1", "any number",
    "\u202e1", "''", "\"", "a,b", "\n", "2024-02-29\n", "1\n",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A contract by its columns, its form of numbers, and how it is encoded."""

    columns: dict[str, dict[str, Any]]
    encode: dict[str, Any]
    form: dict[str, Any]

    def data(self) -> DataSettings:
        target = {"name": "class", "positive": ["yes"]}
        tree = {"name": "t", "path": "t.csv", "target": target, "columns": self.columns}
        return DataSettings.parse(tree | self.form)


KINDS: dict[str, dict[str, Any]] = {
    "open": {"kind": "categorical"},
    "rare": {"kind": "categorical", "min_count": 20, "missing": "input"},
    "few": {"kind": "categorical", "categories": ["red", "NA", "1"], "missing": "input"},
    "listed": {"kind": "categorical", "categories": ["red", "blue", "1.0", "green"]},
    "flag": {"kind": "boolean"},
    "maybe": {"kind": "boolean", "missing": "input"},
    "x": {"kind": "numeric", "minimum": -2, "maximum": 5000},
    "y": {"kind": "numeric", "missing": "input"},
    "bins": {"kind": "numeric", "bins": 4, "missing": "input", "minimum": 0},
    "edges": {"kind": "numeric", "bins": [0, 1, 100]},
    "curve": {"kind": "numeric", "spline": 5, "missing": "input"},
    "same": {"kind": "numeric"},
    "day": {"kind": "date", "parts": ["year", "month", "weekday", "days"]},
    "when": {"kind": "date", "format": "%Y-%m-%d %H:%M", "parts": ["hour"], "missing": "input"},
    "german": {"kind": "date", "format": "%d.%m.%Y", "parts": ["month"], "reference": "2020-01-01"},
    "id": {"kind": "ignored"},
    "w": {"kind": "weight"},
    "who": {"kind": "group"},
}
CROSSES = [["open", "flag"], ["listed", "bins", "maybe"], ["when.hour", "few"]]
CASES = {
    "every kind": Case(KINDS, {"unseen": "refuse"}, {"missing_values": ["-999", "oui"]}),
    "zeros": Case(KINDS, {"unseen": "zeros", "crosses": CROSSES}, {"missing_values": ["0"]}),
    "bins": Case(KINDS, {"bins": 3, "min_count": 30, "unseen": "refuse"}, {"rest": "ignored"}),
    "splines": Case(KINDS, {"spline": 4, "unseen": "zeros"}, {"decimal": ",", "strip": True}),
    "points": Case(KINDS, {}, {"decimal": ",", "thousands": ".", "missing_values": ["5"]}),
    "apostrophes": Case(KINDS, {"unseen": "refuse"}, {"thousands": "'"}),
    "one category": Case(
        {"open": {"kind": "categorical"}, "x": {"kind": "numeric"}}, {"unseen": "refuse"}, {}
    ),
}


def good_cells(name: str, case: Case, n: int, rng: np.random.Generator) -> np.ndarray:
    """Cells that the contract takes."""
    column = case.columns[name]
    match column["kind"]:
        case "categorical":
            words = column.get("categories") or (WORDS[:1] if len(case.columns) == 2 else WORDS)
            cells = rng.choice([w for w in words if w != "NA" or "categories" in column], n)
        case "boolean":
            cells = rng.choice(["true", "no", "T", "F", "1", "0", "YES", "false"], n)
        case "numeric" if name == "same":
            cells = np.full(n, "7")
        case "numeric":
            decimal = case.form.get("decimal", ".")
            numbers = np.where(rng.random(n) < 0.2, rng.integers(0, 9, n), rng.gamma(1.5, 9, n))
            cells = np.array([repr(float(x)).replace(".", decimal) for x in numbers], object)
        case "date":
            cells = rng.choice(DATES[column.get("format")], n)
        case _:
            cells = rng.choice(["1", "2"], n)
    cells = cells.astype(object)
    if column.get("missing") == "input":
        cells[rng.random(n) < 0.15] = "" if "NA" in column.get("categories", ()) else "NA"
    return cells


def rows(case: Case, n: int, odd: float, seed: int = 0) -> pd.DataFrame:
    """Rows of text of which about a share ``odd`` of cells is no good one."""
    rng = np.random.default_rng(seed)
    frame = {}
    for name in case.data().features:
        cells = good_cells(name, case, n, rng)
        is_odd = rng.random(n) < odd
        cells[is_odd] = rng.choice(np.array(ODD, object), int(is_odd.sum()))
        frame[name] = cells
    return pd.DataFrame(frame, dtype="str")


def learned(case: Case) -> Model:
    """A model of the contract with weights by chance, as a run writes and reads it."""
    data, frame = case.data(), rows(case, 600, 0.0, seed=1)
    for name in case.columns:
        if name not in frame:
            frame[name] = "1"
    attributes = convert(frame, column_values(frame, data), data)
    y = np.random.default_rng(2).integers(0, 2, len(frame)).astype(float)
    encode = EncodeSettings.parse(case.encode)
    encoder = fit_encoder(Table(attributes, y, np.ones(len(y), np.int64)), encode, data)
    theta = np.random.default_rng(3).normal(size=len(encoder.inputs) + 1)
    model = Model(contract_for_new_rows(encode.completed(data), encoder), encoder, theta, 0.5)
    return from_json(to_json(model))


def verdicts(model: Model, frame: pd.DataFrame) -> set[tuple[int, str, str]]:
    """Row, column and rule of every fault, by the contract of the pipeline."""
    columns = column_values(frame, model.data)
    found = [
        (v.column, v.rule, bad)
        for v, bad in bad_rows(frame, columns, model.data, np.arange(len(frame)))
    ]
    found += [
        (c, rule, bad) for c, rule, _, bad in _unknown(frame, columns, model.data, model.encoder)
    ]
    return {(row, c, rule) for c, rule, bad in found for row in np.flatnonzero(bad).tolist()}
