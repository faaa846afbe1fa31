"""Tables of parquet for the tests of blocks: of several kinds of columns, in small row groups."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.schema import RunConfig
from pipeline.run import learn, prepare
from pipeline.stages.outcome import Finished, Prepared

COLUMNS: dict[str, dict[str, Any]] = {
    "x": {"kind": "numeric"},
    "gap": {"kind": "numeric", "missing": "input"},
    "whole": {"kind": "numeric", "minimum": 0},
    "word": {"kind": "categorical"},
    "flag": {"kind": "boolean"},
    "day": {"kind": "date", "parts": ["month", "days"]},
}
TRAIN = {"epochs": 50, "l2": 0.001}


def make_rows(n: int, seed: int = 0) -> dict[str, Any]:
    """Columns of n rows, and a target that depends on them."""
    rng = np.random.default_rng(seed)
    x, gap = 1000 + rng.normal(size=n), rng.gamma(2.0, size=n)
    word = rng.choice(np.array(["red", "green", "blue", "ünï"]), n, p=[0.5, 0.3, 0.15, 0.05])
    flag, whole = rng.random(n) < 0.3, rng.integers(0, 40, n)
    z = (x - 1000) + 0.5 * gap - 1.5 * flag + 0.05 * whole - 1 + (word == "blue")
    y = np.where(rng.random(n) < 1 / (1 + np.exp(-z)), "yes", "no")
    gap = np.where(rng.random(n) < 0.1, np.nan, gap)
    day = np.datetime64("2024-01-01") + rng.integers(0, 700, n).astype("timedelta64[D]")
    return {"x": x, "gap": gap, "whole": whole, "word": word, "flag": flag, "day": day, "y": y}


def write_parquet(path: Path, rows: dict[str, Any], group: int = 1000) -> str:
    """Write the columns in row groups of ``group`` rows; return the path."""
    pq.write_table(pa.table(rows), path, row_group_size=group)
    return str(path)


def part_of(rows: dict[str, Any], which: Any) -> dict[str, Any]:
    """Return some of the rows."""
    return {name: cells[which] for name, cells in rows.items()}


def config_of(path: str, *, columns: Any = None, **changes: Any) -> RunConfig:
    """The configuration of a run on a table; ``data``, ``split`` and so on add to it."""
    data = {
        "name": "t", "path": path, "target": {"name": "y", "positive": ["yes"], "negative": ["no"]},
        "columns": columns or COLUMNS, "max_distinct": 0,
    }  # fmt: skip
    tree: dict[str, Any] = {
        "seed": 0, "data": data, "split": {"name": "stratified"}, "encode": {},
        "optimiser": {"name": "newton"}, "train": TRAIN, "evaluate": {"bootstrap": None},
    }  # fmt: skip
    for name, more in changes.items():
        tree[name] = tree[name] | more if isinstance(more, dict) and name != "split" else more
    return RunConfig.parse(tree)


def finished(config: RunConfig) -> Finished:
    """Everything that a run finds out, which must come to its end."""
    prepared = prepare(config)
    assert isinstance(prepared, Prepared), prepared.failure
    outcome = learn(prepared, config)
    assert isinstance(outcome, Finished), outcome.failure.traceback
    return outcome
