"""Raw rows in, probabilities and decisions out, under the contract that the model learned with."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

import numpy as np

from nn import predict_proba
from pipeline.errors import ConfigError, DataError, bounded
from pipeline.model import Model
from pipeline.stages.encode import count_unseen, encode
from pipeline.stages.read import read_in_order
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


def predict_file(model: Model, source: Path, target: Path) -> Predicted:
    """Score every row of ``source`` and write it, with two columns more, to ``target`` as CSV.

    ``probability`` is that of class 1, written to the last bit; ``decision`` is 1 at the threshold
    of the run and above, else 0. Rows keep their order. ``target`` appears complete or not at all.

    Raises
    ------
    DataError
        If any row breaks the contract, naming line, column and rule: then nothing is scored.
    ConfigError
        If ``target`` cannot be written.
    """
    if source.exists() and target.exists() and source.samefile(target):
        raise ConfigError(f"OUTPUT must not be INPUT; got {str(target)!r} for both")
    if not target.parent.is_dir():
        raise ConfigError(f"folder of OUTPUT must exist; got {str(target.parent)!r}")
    frame, lines = read_in_order(source, model.data)
    reserved = [name for name in (PROBABILITY, DECISION) if name in frame.columns]
    if reserved:
        raise DataError(f"columns {reserved} must not be in the table: the prediction adds them")
    count = np.ones(len(frame), dtype=np.int64)
    faults = check_attributes(frame, count, model.data, lines)
    if faults:
        raise DataError(bounded([fault.message for fault in faults]))
    table = Table(convert(frame, model.data), np.zeros(len(frame)), count)
    p = predict_proba(model.theta, encode(model.encoder, table, str(source)).X)
    _write(frame, p, (p >= model.threshold).astype(int), target)
    return Predicted(len(p), int((p >= model.threshold).sum()), count_unseen(model.encoder, table))


def _write(frame: pd.DataFrame, p: Array, decision: np.ndarray, target: Path) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*frame.columns, PROBABILITY, DECISION])
    columns = [frame[name] for name in frame.columns]
    writer.writerows(zip(*columns, map(repr, p.tolist()), decision, strict=True))
    try:
        with NamedTemporaryFile(
            "w", dir=target.parent, prefix=".tmp.", encoding="utf-8", delete=False
        ) as file:
            file.write(text.getvalue())
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(target)
    except OSError as error:
        raise ConfigError(f"OUTPUT must be writable; got {error.strerror} at {target}") from None
