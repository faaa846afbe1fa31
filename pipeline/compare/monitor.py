"""A finished run and another labelled file become its figures there, beside those on test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nn import Examples, binary_cross_entropy, row_logits, sigmoid
from nn.neuron import average
from pipeline import files
from pipeline.compare.permutation import Rise, rise_of_loss
from pipeline.config.evaluate_settings import EvaluateSettings
from pipeline.errors import ConfigError, DataError
from pipeline.record import Record
from pipeline.record.contents import json_bytes
from pipeline.stages.copies import (
    Copies,
    Sampling,
    attribute_groups,
    find_copies,
    independent_counts,
)
from pipeline.stages.drift import Drift, find_drift
from pipeline.stages.encode import encode, find_unseen
from pipeline.stages.evaluate import CURVES, Evaluation, evaluate, independent_losses
from pipeline.stages.intervals import wilson
from pipeline.stages.read import Rows, read_rows
from pipeline.stages.split import with_weight
from pipeline.stages.threshold import Threshold
from pipeline.stages.validate import Table, validate

LEVEL = 0.05  # of the test of the mean loss, of one side


@dataclass(frozen=True)
class Calibration:
    """What the probabilities promise, and what happened.

    ``predicted`` is their mean; a ``share`` of rows is positive, from ``share_low`` to
    ``share_high`` at 95 %. ``expected_loss`` is the log loss if every probability were right: what
    is above it is miscalibration, not harder rows.
    """

    predicted: float
    share: float
    share_low: float
    share_high: float
    expected_loss: float


@dataclass(frozen=True)
class Monitored:
    """Figures of a run on another file, and on its test rows.

    ``rise`` is None where no rows were held out, or too few are independent.
    """

    run: str
    source: str
    is_training_table: bool
    figures: Evaluation
    test: Evaluation
    calibration: Calibration
    drift: tuple[Drift, ...]
    unseen: dict[str, dict[str, int]]  # categories that train lacks, and their rows
    rise: Rise | None

    @property
    def is_worse(self) -> bool:
        """Whether the mean loss is higher than on test by more than chance."""
        return self.rise is not None and self.rise.p_value <= LEVEL


def monitor(record: Record, path: Path, form: Mapping[str, Any] | None = None) -> Monitored:
    """Evaluate a FINISHED run on the labelled rows of a file, which must keep its contract.

    ``form`` holds the settings of the form of the file where it is not that of the table.
    Raise DataError, which names every violation, where it does not; ConfigError where the record is
    of a version that did not keep what this needs.
    """
    if record.test_losses is None or not record.distributions:
        got = f"{record.identity[:12]}, made by an earlier version"
        raise ConfigError(f"RUN must have its test losses on record; got {got}: train it again")
    rows, table = _read(record, path, form or {})
    model, together = record.model, record.config["split"].get("copies") == "together"
    if together and table.group is None:
        table = replace(table, group=attribute_groups(table.frame))
    examples = encode(model.encoder, table, path.name)
    none = Examples(examples.X[:0], examples.y[:0], examples.count[:0])
    copies = find_copies(none, examples, Sampling.of(table))  # train's rows are not on record
    count = independent_counts(examples.count, copies)
    losses = independent_losses(model.theta, examples, copies)
    is_held_out = record.evaluation.held_out
    return Monitored(
        run=record.identity,
        source=files.shown(path),
        is_training_table=rows.digest == record.head.lineage.data_digest,
        figures=_evaluate(record, examples, copies),
        test=record.evaluation,
        calibration=_calibration(record, examples, float(count.sum())),
        drift=find_drift(record.distributions, table, count),
        unseen=find_unseen(model.encoder, table),
        rise=rise_of_loss(losses, record.test_losses)
        if is_held_out else None,
    )  # fmt: skip


def to_json(found: Monitored) -> bytes:
    """Return every single figure, and every column's drift, as JSON."""
    tree = {"is_worse": found.is_worse, **asdict(found)}
    for name in ("figures", "test"):
        tree[name] = {key: value for key, value in tree[name].items() if key not in CURVES}
    return json_bytes(tree)


def _read(record: Record, path: Path, form: Mapping[str, Any]) -> tuple[Rows, Table]:
    """Return the rows of the file; of the contract, what only training asks for is left out."""
    changes = {
        "path": str(path.absolute()), "source": None, "valid": None, "test": None, "sha256": None,
        "min_rows": 1, "max_contradictory": 1.0,
    }  # fmt: skip
    data = record.model.data.in_form(form).model_copy(update=changes)
    rows = read_rows(data)
    table = with_weight(validate(rows, data, of_columns=False).require())
    if len({*table.y}) < 2:
        raise DataError(f"rows of a weight above 0 must hold both classes; got one in {path.name}")
    return rows, table


def _evaluate(record: Record, examples: Examples, copies: Copies) -> Evaluation:
    model, (negative, positive, _) = record.model, record.distributions[-1].count
    settings = EvaluateSettings.parse(record.config["evaluate"])
    share, threshold = positive / (negative + positive), Threshold(model.threshold)
    return evaluate(model.theta, examples, share, settings, copies, threshold, held_out=True)


def _calibration(record: Record, examples: Examples, n_effective: float) -> Calibration:
    X, y, count = examples
    z = row_logits(record.model.theta, X)
    p = sigmoid(z)
    share = average(y, count)
    if_positive, if_negative = (binary_cross_entropy(z, np.full(len(z), c)) for c in (1.0, 0.0))
    expected = average(p * if_positive + (1 - p) * if_negative, count)
    return Calibration(average(p, count), share, *wilson(share, n_effective), expected)
