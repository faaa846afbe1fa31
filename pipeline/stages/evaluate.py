"""A neuron and held-out examples become metrics with intervals, curves and a baseline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nn import Examples, binary_cross_entropy, mean_loss, row_logits, sigmoid
from nn.arrays import Array
from nn.neuron import average
from pipeline.config.evaluate_settings import EvaluateSettings
from pipeline.stages.calibration import (
    calibration_line,
    calibration_table,
    decompose,
    expected_calibration_error,
)
from pipeline.stages.copies import Copies, Sampling, effective_size, independent_counts
from pipeline.stages.decisions import confusion, decision_curve, decision_metrics
from pipeline.stages.one_thread import on_one_thread
from pipeline.stages.ranking import auc_interval, gain_curve, rank, ranking_curves
from pipeline.stages.threshold import Threshold, threshold_table

CURVES = ("roc", "pr", "calibration", "decision_curve", "gain", "thresholds")
UNSEEN = ("accuracy", "roc_auc", "log_loss")
MIN_UNSEEN, MIN_UNSEEN_OF_CLASS = 30, 5  # rows, for figures of their own


@dataclass(frozen=True)
class Evaluation:
    """Metrics on one part of the table, every row weighted by its count.

    A count is a number of rows, times the weight that the table gives them. ``n_rows``,
    ``n_positive``, ``n_seen`` and ``confusion`` are rows, whatever their weights; where rows have
    weights or groups, ``effective_rows`` says how many independent ones of equal weight they equal.
    ``metrics``: accuracy, balanced_accuracy, precision, recall, f1, roc_auc, pr_auc, log_loss,
    brier, expected_calibration_error, calibration_slope, calibration_intercept; ``*_low`` and
    ``*_high`` bound accuracy, precision, recall (Wilson 1927) and roc_auc (DeLong 1988) at 95 %;
    ``positive_rate`` is the share of rows decided positive; ``*_miscalibration``,
    ``*_discrimination``, ``*_uncertainty`` decompose log_loss and brier;
    ``expected_calibration_error_chance`` and ``…_chance_high`` are mean and 95 % point of that of a
    perfectly calibrated neuron; ``unseen_*`` are figures on the rows whose inputs train does not
    have. What is undefined has no key. ``baseline``: the same names (as far as they make sense) for
    a model that always answers with the class, and the share, that train has most of. ``n_seen``:
    rows whose inputs train has, None where they were not looked up. ``confusion``: rows are truth,
    columns decisions, class 0 first. ``roc``: columns false positive rate, true positive rate,
    threshold. ``pr``: columns recall, precision. ``calibration``: a row a bin that is not empty,
    columns mean probability, share positive, number of rows, low and high of the consistency bar.
    ``decision_curve``: columns threshold, net benefit of the neuron, and of deciding every row
    positive. ``gain``: columns share of rows, highest probability first, share of positive rows.
    ``threshold_reason`` says how it was chosen, "" if it is configured. ``thresholds``: what others
    would give, columns threshold, share of rows decided positive, precision, recall and, where
    costs are known, mean cost per row; for reading: a threshold that is chosen by it is no longer
    tested.
    """

    held_out: bool
    n_rows: int
    n_positive: int
    n_seen: int | None
    threshold: float
    metrics: dict[str, float]
    baseline: dict[str, float]
    confusion: tuple[tuple[int, int], tuple[int, int]]
    roc: Array
    pr: Array
    calibration: Array
    decision_curve: Array
    gain: Array
    thresholds: Array
    threshold_reason: str = ""

    @property
    def worse_than_baseline(self) -> bool:
        """Whether the held-out loss is no lower than that of the majority baseline."""
        return self.held_out and self.metrics["log_loss"] >= self.baseline["log_loss"]

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> Self:
        """Return the evaluation that was written as plain values; null is infinity."""
        curves = {name: np.array(tree.get(name, ()), np.float64) for name in CURVES}
        (tn, fp), (fn, tp) = tree["confusion"]
        return cls(**{**tree, **curves, "confusion": ((tn, fp), (fn, tp))})


@dataclass(frozen=True)
class RowLosses:
    """The loss (n,) of each distinct row of a part, in nats, and how often the row occurs.

    ``group`` (n,): whom the row is about, the same number in every part of the table. Of a table
    that is read in blocks each is the mean loss of a bucket of rows, which is a group of its own,
    and ``other`` (n,) what it were had one row of the bucket the other label.
    """

    loss: Array
    count: Array
    group: Array | None = None
    other: Array | None = None


@on_one_thread
def row_losses(
    theta: Array, examples: Examples, group: npt.NDArray[np.int64] | None = None
) -> RowLosses:
    """Return the binary cross-entropy of each row, for paired tests against another neuron."""
    X, y, count = examples
    loss = binary_cross_entropy(row_logits(theta, X), y)
    return RowLosses(loss, count, None if group is None else group.astype(np.float64))


def independent_losses(theta: Array, examples: Examples, copies: Copies) -> RowLosses:
    """Return the same for tests against other rows: counts are those of independent rows."""
    losses = row_losses(theta, examples)
    return replace(losses, count=independent_counts(losses.count, copies))


@on_one_thread
def evaluate(
    theta: Array,
    test: Examples,
    train_share: float,
    settings: EvaluateSettings,
    copies: Copies,
    threshold: Threshold,
    *,
    held_out: bool,
) -> Evaluation:
    """Return the metrics of the neuron on ``test``, every row weighted by its count.

    ``train_share`` is the positive share of the training rows, all that the baseline knows. The log
    loss is ``nn.mean_loss``: it needs no clipping where a probability rounds to 1. Curves and areas
    rank by logits, which do not tie there either, rounded to 1e-9: equal ones differ by rounding.
    """
    whole = evaluate_rows(theta, test, train_share, settings, copies, threshold)
    n_seen = int(copies.rows_of(test.count)[copies.seen].sum())
    whole = replace(whole, held_out=held_out, n_seen=n_seen)
    new = ~copies.seen
    unseen, of_table = Examples(*(array[new] for array in test)), copies.rows_of(test.count)[new]
    n, n_positive = of_table.sum(), of_table @ unseen.y
    too_few = n < MIN_UNSEEN or min(n_positive, n - n_positive) < MIN_UNSEEN_OF_CLASS
    if too_few or whole.n_seen == 0:
        return whole
    part = evaluate_rows(theta, unseen, train_share, settings, copies.among(new), threshold)
    metrics, of_baseline = (
        tree | {f"unseen_{name}": value for name, value in own.items() if name.startswith(UNSEEN)}
        for tree, own in ((whole.metrics, part.metrics), (whole.baseline, part.baseline))
    )
    return replace(whole, metrics=metrics | {"unseen_rows": float(n)}, baseline=of_baseline)


def evaluate_rows(
    theta: Array,
    rows: Examples,
    train_share: float,
    settings: EvaluateSettings,
    sampling: Sampling,
    threshold: Threshold,
) -> Evaluation:
    """Return the evaluation on these rows, whatever train has seen of them."""
    of_table = sampling.rows_of(rows.count)
    # Weighted rows add up to the rows of the table: their numbers are shown.
    rows = rows._replace(count=rows.count * (of_table.sum() / rows.count.sum()))
    X, y, count = rows
    z = row_logits(theta, X)  # the bits that a prediction gives
    p = sigmoid(z)
    decided = p >= threshold.value
    weighted = confusion(y, decided, count)
    (tn, fp), (fn, tp) = confusion(y, decided, of_table).astype(np.int64).tolist()
    n_effective, *of_class = (
        effective_size(np.where(part, 1.0, 0.0), count, sampling)
        for part in (np.ones(len(y), bool), y == 1, decided)
    )
    ranked = rank(np.round(z, 9), y, count)
    roc, pr = ranking_curves(ranked)
    auc_bounds = auc_interval(ranked, rows, sampling)
    calibration, chance = calibration_table(p, rows, settings.calibration_bins, sampling)
    line = calibration_line(z, y, count) or ()
    log_loss, brier = mean_loss(z, y, count), average((p - y) ** 2, count)
    metrics = {
        **decision_metrics(weighted, n_effective, *of_class),
        **({} if sampling.is_simple else {"effective_rows": n_effective}),
        "roc_auc": float(np.trapezoid(roc[:, 1], roc[:, 0])),
        **dict(zip(("roc_auc_low", "roc_auc_high"), auc_bounds or (), strict=False)),
        "pr_auc": float(-np.sum(np.diff(pr[:, 0]) * pr[:-1, 1])),
        "log_loss": log_loss,
        "brier": brier,
        **decompose(ranked, log_loss, brier),
        "expected_calibration_error": expected_calibration_error(calibration),
        "expected_calibration_error_chance": float(chance.mean()),
        "expected_calibration_error_chance_high": float(np.quantile(chance, 0.95)),
        **dict(zip(("calibration_slope", "calibration_intercept"), line, strict=False)),
    }
    return Evaluation(
        held_out=True,
        n_rows=tn + fp + fn + tp,
        n_positive=tp + fn,
        n_seen=0,
        threshold=threshold.value,
        threshold_reason=threshold.reason,
        metrics=metrics,
        baseline=baseline(rows, train_share),
        confusion=((tn, fp), (fn, tp)),
        roc=np.column_stack([roc[:, :2], sigmoid(roc[:, 2])]),
        pr=pr,
        calibration=calibration,
        decision_curve=decision_curve(p, rows),
        gain=gain_curve(roc, float(weighted[1].sum() / weighted.sum())),
        thresholds=threshold_table(p, rows, threshold),
    )


def baseline(test: Examples, train_share: float) -> dict[str, float]:
    """Return the metrics of a model without inputs: train's commoner class, train's share."""
    _, y, count = test
    share = float(count @ y / count.sum())
    answer = float(train_share >= 0.5)
    logit = np.full(len(y), np.log(train_share) - np.log1p(-train_share))
    precision = {"precision": share} if answer else {}
    return precision | {
        "accuracy": share if answer else 1 - share,
        "balanced_accuracy": 0.5,
        "recall": answer,
        "f1": 2 * share / (1 + share) * answer,
        "roc_auc": 0.5,
        "pr_auc": share,
        "log_loss": mean_loss(logit, y, count),
        "brier": share * (1 - train_share) ** 2 + (1 - share) * train_share**2,
    }
