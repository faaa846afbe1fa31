"""Raw rows in, probabilities and decisions out, under the contract that the model learned with."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING

import numpy as np

from nn import predict_proba
from pipeline.disk import sync_folder
from pipeline.errors import ConfigError, DataError, bounded
from pipeline.model import Model, from_json
from pipeline.record import Record
from pipeline.stages.encode import count_unseen, encode
from pipeline.stages.read import Counts, read_in_order
from pipeline.stages.validate import Table, check_attributes, convert

if TYPE_CHECKING:
    import pandas as pd

    from nn.arrays import Array

PROBABILITY, DECISION = "probability", "decision"


@dataclass(frozen=True)
class Predicted:
    """What was scored: rows, rows decided positive, and rows with a category unknown to train."""

    n_rows: int
    n_positive: int
    unseen: dict[str, int]


def model_of(record: Record) -> Model:
    """The model of a run that is complete.

    Raises
    ------
    ConfigError
        If the run did not finish: its neuron was never evaluated.
    """
    if record.status != "FINISHED":
        raise ConfigError(
            f"RUN must name a run that is FINISHED; got {record.identity[:12]}, {record.status}"
        )
    return from_json(record.text("model.json"))


def predict_file(model: Model, source: Path, target: Path) -> Predicted:
    """Score every row of ``source`` and write it, with two columns more, to ``target`` as CSV.

    Every column of ``source`` is handed on as it is, the ignored ones and the target too.
    ``probability`` is that of class 1, written to the last bit; ``decision`` is 1 at the threshold
    of the run and above, else 0. Rows keep their order, and a row's probability depends on no
    other row. ``target`` appears complete or not at all.

    Raises
    ------
    DataError
        If any row breaks the contract, naming line, column and rule: then nothing is scored.
    ConfigError
        If ``target`` cannot be written.
    """
    target = _require_places(source, target)
    frame, lines = read_in_order(source, model.data)
    _require_free(frame.columns, model)
    p, decision, unseen = score(model, frame, lines, str(source))
    _write(frame, p, decision, target)
    return Predicted(len(p), int(decision.sum()), unseen)


def score(
    model: Model, frame: pd.DataFrame, lines: Counts, place: str
) -> tuple[Array, Counts, dict[str, int]]:
    """Probability and decision of each row of text, and rows with a category unknown to train.

    Raises
    ------
    DataError
        If any row breaks the contract.
    """
    count = np.ones(len(frame), dtype=np.int64)
    faults = check_attributes(frame, count, model.data, lines)
    if faults:
        raise DataError(bounded([fault.message for fault in faults]))
    table = Table(convert(frame, model.data), np.zeros(len(frame)), count)
    p = predict_proba(model.theta, encode(model.encoder, table, place).X)
    return p, (p >= model.threshold).astype(np.int64), count_unseen(model.encoder, table)


def _require_places(source: Path, target: Path) -> Path:
    """``target`` without links, if a file may be put there; asked before anything is read."""
    try:
        if not source.exists() and not source.is_symlink():
            raise DataError(f"INPUT must exist; got no such file: {source}")
        fault = _output_fault(source, target)
    except OSError as error:  # a name too long, a folder that may not be entered
        fault = f"INPUT and OUTPUT must be in reach; got {error.strerror}: {error.filename}"
    if fault:
        raise ConfigError(fault)
    return target.resolve()


def _output_fault(source: Path, target: Path) -> str:
    if target.suffix.lower() in (".gz", ".parquet", ".xlsx"):
        return f"OUTPUT must be a CSV file; got {target.name!r}"
    if not target.parent.is_dir():
        return f"folder of OUTPUT must exist; got {str(target.parent)!r}"
    if target.exists() and not target.is_file():
        return f"OUTPUT must be a file; got something else at {target}"
    if target.exists() and source.samefile(target):
        return f"OUTPUT must not be INPUT; got {str(target)!r} for both"
    return ""


def _require_free(names: Sequence[str] | pd.Index[str], model: Model) -> None:
    for name in (PROBABILITY, DECISION):
        if name in names:
            cure = (
                "rename it in the table and its contract, and train again"
                if name in model.data.attributes
                else "leave it out, it is not needed"
            )
            raise DataError(f"column {name!r} must not be in INPUT, the prediction adds it: {cure}")


def _write(frame: pd.DataFrame, p: Array, decision: np.ndarray, target: Path) -> None:
    """Put the rows in ``target`` in one step."""
    header = (*frame.columns, PROBABILITY, DECISION)
    columns = [frame[name].tolist() for name in frame.columns]
    rows = zip(*columns, p.tolist(), decision.tolist(), strict=True)
    partial = None
    try:
        with NamedTemporaryFile(
            "w", dir=target.parent, prefix=".oneuron.", encoding="utf-8", newline="", delete=False
        ) as file:
            partial = Path(file.name)
            _write_csv(file, header, rows, all_quoted=_holds_cr(frame))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise ConfigError(f"OUTPUT must be writable; got {error.strerror} at {target}") from None
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def _write_csv(
    file: IO[str], header: Sequence[str], rows: Iterable[tuple[object, ...]], *, all_quoted: bool
) -> None:
    writer = csv.writer(
        file, lineterminator="\n", quoting=csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL
    )
    writer.writerow(header)
    writer.writerows(rows)


def _holds_cr(frame: pd.DataFrame) -> bool:
    """Whether a cell or name holds a carriage return, which csv leaves bare where it may."""
    named = any("\r" in name for name in frame.columns)
    return named or any(frame[name].str.contains("\r", regex=False).any() for name in frame)
