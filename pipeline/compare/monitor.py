"""A finished run and another labelled file become its figures there, beside those on test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nn import Examples, binary_cross_entropy, row_logits, sigmoid
from nn.arrays import Array
from nn.neuron import average
from pipeline import files
from pipeline.compare.permutation import Rise, rise_of_loss
from pipeline.config.contract import DataSettings
from pipeline.config.evaluate_settings import EvaluateSettings
from pipeline.errors import ConfigError, DataError
from pipeline.record import Record
from pipeline.record.contents import json_bytes
from pipeline.stages.blocks.checked import check_blocks
from pipeline.stages.blocks.clusters import sample_counts
from pipeline.stages.blocks.dealt import undealt
from pipeline.stages.blocks.judge import judge_part
from pipeline.stages.blocks.logits import loss_kinds
from pipeline.stages.blocks.open import read_table
from pipeline.stages.blocks.source import BlockRows
from pipeline.stages.copies import (
    Sampling,
    attribute_groups,
    find_copies,
    independent_counts,
)
from pipeline.stages.drift import Drift, find_drift
from pipeline.stages.encode import encode, find_unseen
from pipeline.stages.evaluate import CURVES, Evaluation, RowLosses, evaluate, independent_losses
from pipeline.stages.intervals import wilson
from pipeline.stages.penalty import OUT_OF_FOLD
from pipeline.stages.read import Rows
from pipeline.stages.split import with_weight
from pipeline.stages.threshold import Threshold
from pipeline.stages.validate import validate

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
    data, held_out = _contract(record, path, form or {}), record.evaluation.held_out
    rows = read_table(data)
    if isinstance(rows, BlockRows):
        found = _of_blocks(record, rows, data)
    else:
        found = _of_rows(record, rows, data)
    return Monitored(
        run=record.identity,
        source=files.shown(path),
        is_training_table=rows.digest == record.head.lineage.data_digest,
        figures=found.figures,
        test=record.evaluation,
        calibration=found.calibration,
        drift=found.drift,
        unseen=found.unseen,
        rise=rise_of_loss(found.losses, record.test_losses) if held_out else None,
    )


class Measured(NamedTuple):
    """What the rows of a file say of a run; see ``Monitored``."""

    figures: Evaluation
    losses: RowLosses
    calibration: Calibration
    drift: tuple[Drift, ...]
    unseen: dict[str, dict[str, int]]


def to_json(found: Monitored) -> bytes:
    """Return every single figure, and every column's drift, as JSON."""
    tree = {"is_worse": found.is_worse, **asdict(found)}
    for name in ("figures", "test"):
        tree[name] = {key: value for key, value in tree[name].items() if key not in CURVES}
    return json_bytes(tree)


def _contract(record: Record, path: Path, form: Mapping[str, Any]) -> DataSettings:
    """Return the contract of the file, without what only training asks for."""
    changes = {
        "path": str(path.absolute()), "source": None, "valid": None, "test": None, "sha256": None,
        "min_rows": 1, "max_contradictory": 1.0,
    }  # fmt: skip
    return record.model.data.in_form(form).model_copy(update=changes)


def _of_rows(record: Record, rows: Rows, data: DataSettings) -> Measured:
    model, name = record.model, Path(str(data.path)).name
    table = with_weight(validate(rows, data, of_columns=False).require())
    _require_classes(table.y, name)
    if record.config["split"].get("copies") == "together" and table.group is None:
        table = replace(table, group=attribute_groups(table.frame))
    examples = encode(model.encoder, table, name)
    none = Examples(examples.X[:0], examples.y[:0], examples.count[:0])
    copies = find_copies(none, examples, Sampling.of(table))  # train's rows are not on record
    count = independent_counts(examples.count, copies)
    share, settings, threshold = _judged_by(record)
    return Measured(
        evaluate(model.theta, examples, share, settings, copies, threshold, held_out=True),
        independent_losses(model.theta, examples, copies),
        _calibration(model.theta, examples, float(count.sum())),
        find_drift(record.distributions, table, count),
        find_unseen(model.encoder, table),
    )


def _of_blocks(record: Record, rows: BlockRows, data: DataSettings) -> Measured:
    """Return the same of a file that is read in blocks; the drift is that of a sample of it."""
    model, sample = record.model, check_blocks(rows, data).require()
    _require_classes(sample.y, Path(str(data.path)).name)
    dealt = undealt(rows, sample)
    part = dealt.part(0, model.encoder)
    found, figures = judge_part(model.theta, part, *_judged_by(record))
    n = figures.metrics.get("effective_rows", float(figures.n_rows))
    return Measured(
        replace(figures, held_out=True),
        loss_kinds(found.bins),
        _calibration(OUT_OF_FOLD, found.bins.rows()[0], n),
        find_drift(record.distributions, part.sample_table, sample_counts(part)),
        dealt.unseen(model.encoder),
    )


def _require_classes(y: Array, name: str) -> None:
    if len({*y}) < 2:
        raise DataError(f"rows of a weight above 0 must hold both classes; got one in {name}")


def _judged_by(record: Record) -> tuple[float, EvaluateSettings, Threshold]:
    """Return the share of train's rows that is positive, and what else figures depend on."""
    negative, positive, _ = record.distributions[-1].count
    settings = EvaluateSettings.parse(record.config["evaluate"])
    return positive / (negative + positive), settings, Threshold(record.model.threshold)


def _calibration(theta: Array, examples: Examples, n_effective: float) -> Calibration:
    X, y, count = examples
    z = row_logits(theta, X)
    p = sigmoid(z)
    share = average(y, count)
    if_positive, if_negative = (binary_cross_entropy(z, np.full(len(z), c)) for c in (1.0, 0.0))
    expected = average(p * if_positive + (1 - p) * if_negative, count)
    return Calibration(average(p, count), share, *wilson(share, n_effective), expected)
