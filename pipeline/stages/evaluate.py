"""A neuron and held-out examples become metrics with intervals, curves and a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nn import Examples, binary_cross_entropy, mean_loss, row_logits, sigmoid
from nn.arrays import Array
from nn.neuron import average
from pipeline.config.schema import EvaluateSettings
from pipeline.stages.intervals import newcombe_auc, wilson
from pipeline.stages.one_thread import on_one_thread

Decisions = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Evaluation:
    """Metrics on one part of the table, every row weighted by its count.

    ``metrics``: accuracy, balanced_accuracy, precision, recall, f1, roc_auc, pr_auc, log_loss,
    brier, expected_calibration_error; ``*_low`` and ``*_high`` bound accuracy (Wilson 1927) and
    roc_auc (Newcombe 2006, method 5) at 95 %. ``baseline``: the same names (as far as they make
    sense) for a model that always answers with the class, and the share, that train has most of.
    ``confusion``: rows are truth, columns decisions, class 0 first. ``roc``: columns false positive
    rate, true positive rate, threshold. ``pr``: columns recall, precision. ``calibration``: a row a
    bin that is not empty, columns mean probability, share positive, number of rows.
    """

    held_out: bool
    n_rows: int
    n_positive: int
    threshold: float
    metrics: dict[str, float]
    baseline: dict[str, float]
    confusion: tuple[tuple[int, int], tuple[int, int]]
    roc: Array
    pr: Array
    calibration: Array

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> Self:
        """Return the evaluation that was written as plain values; null is infinity."""
        curves = {name: np.array(tree[name], np.float64) for name in ("roc", "pr", "calibration")}
        (tn, fp), (fn, tp) = tree["confusion"]
        return cls(**{**tree, **curves, "confusion": ((tn, fp), (fn, tp))})


@dataclass(frozen=True)
class RowLosses:
    """The loss (n,) of each distinct row of a part, in nats, and how often the row occurs."""

    loss: Array
    count: Array


@on_one_thread
def row_losses(theta: Array, examples: Examples) -> RowLosses:
    """Return the binary cross-entropy of each row, for paired tests against another neuron."""
    X, y, count = examples
    return RowLosses(binary_cross_entropy(row_logits(theta, X), y), count)


@on_one_thread
def evaluate(
    theta: Array,
    test: Examples,
    train_share: float,
    settings: EvaluateSettings,
    *,
    held_out: bool,
) -> Evaluation:
    """Return the metrics of the neuron on ``test``, every row weighted by its count.

    ``train_share`` is the positive share of the training rows, all that the baseline knows. The log
    loss is ``nn.mean_loss``: it needs no clipping where a probability rounds to 1. Curves and areas
    rank by logits, which do not tie there either, rounded to 1e-9: equal ones differ by rounding.
    """
    X, y, count = test
    z = row_logits(theta, X)  # the bits that a prediction gives
    p = sigmoid(z)
    tn, fp, fn, tp = confusion(y, p >= settings.threshold, count)
    roc, pr = ranking_curves(y, np.round(z, 9), count)
    auc = float(np.trapezoid(roc[:, 1], roc[:, 0]))
    auc_low, auc_high = newcombe_auc(auc, tp + fn, tn + fp)
    calibration = calibration_table(p, test, settings.calibration_bins)
    metrics = {
        **decision_metrics(tn, fp, fn, tp),
        "roc_auc": auc,
        "roc_auc_low": auc_low,
        "roc_auc_high": auc_high,
        "pr_auc": float(-np.sum(np.diff(pr[:, 0]) * pr[:-1, 1])),
        "log_loss": mean_loss(z, y, count),
        "brier": average((p - y) ** 2, count),
        "expected_calibration_error": expected_calibration_error(calibration),
    }
    return Evaluation(
        held_out=held_out,
        n_rows=int(count.sum()),
        n_positive=tp + fn,
        threshold=settings.threshold,
        metrics=metrics,
        baseline=baseline(test, train_share),
        confusion=((tn, fp), (fn, tp)),
        roc=np.column_stack([roc[:, :2], sigmoid(roc[:, 2])]),
        pr=pr,
        calibration=calibration,
    )


def decision_metrics(tn: int, fp: int, fn: int, tp: int) -> dict[str, float]:
    """Return what the four counts of rows say; precision without a positive decision is 0."""
    n = tn + fp + fn + tp
    low, high = wilson((tn + tp) / n, n)
    return {
        "accuracy": (tn + tp) / n,
        "accuracy_low": low,
        "accuracy_high": high,
        "balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
        "precision": tp / (tp + fp) if tp else 0.0,
        "recall": tp / (tp + fn),
        "f1": 2 * tp / (2 * tp + fp + fn),
    }


def confusion(y: Array, decided: Decisions, count: Array) -> tuple[int, int, int, int]:
    """Return true negatives, false positives, false negatives and true positives, in rows."""
    place = 2 * y.astype(np.int64) + decided
    tn, fp, fn, tp = np.bincount(place, count, minlength=4).astype(np.int64).tolist()
    return tn, fp, fn, tp


def ranking_curves(y: Array, score: Array, count: Array) -> tuple[Array, Array]:
    """Return the ROC curve and the precision-recall curve of a score, a point per distinct value.

    ROC: columns false positive rate, true positive rate, threshold, from infinity down; points in
    the middle of a straight line are left out. Precision-recall: columns recall, precision, from
    the lowest threshold to the point (0, 1). Both are scikit-learn's.
    """
    order = np.argsort(score)[::-1]
    cut = score[order]
    last = np.append(np.flatnonzero(np.diff(cut)), len(cut) - 1)  # of each distinct value
    tp, fp = (np.cumsum((count * is_class)[order])[last] for is_class in (y, 1 - y))
    recall, precision = np.append(tp[::-1] / tp[-1], 0.0), np.append((tp / (tp + fp))[::-1], 1.0)
    bend = (np.diff(tp, 2) != 0) | (np.diff(fp, 2) != 0)
    kept = np.flatnonzero(np.concatenate([[True], bend, [True]])) if len(tp) > 2 else slice(None)
    points = np.column_stack([fp / fp[-1], tp / tp[-1], cut[last]])[kept]
    return np.vstack([[0.0, 0.0, np.inf], points]), np.column_stack([recall, precision])


def baseline(test: Examples, train_share: float) -> dict[str, float]:
    """Return the metrics of a model without inputs: train's commoner class, train's share."""
    _, y, count = test
    share = float(count @ y / count.sum())
    answer = float(train_share >= 0.5)
    logit = np.full(len(y), np.log(train_share) - np.log1p(-train_share))
    return {
        "accuracy": share if answer else 1 - share,
        "balanced_accuracy": 0.5,
        "precision": share * answer,
        "recall": answer,
        "f1": 2 * share / (1 + share) * answer,
        "roc_auc": 0.5,
        "pr_auc": share,
        "log_loss": mean_loss(logit, y, count),
        "brier": share * (1 - train_share) ** 2 + (1 - share) * train_share**2,
    }


def calibration_table(p: Array, test: Examples, bins: int) -> Array:
    """Return mean probability, share positive and number of rows of each equally wide bin."""
    _, y, count = test
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    n, sum_p, sum_y = (
        np.bincount(place, values, minlength=bins) for values in (count, count * p, count * y)
    )
    used = n > 0
    return np.column_stack([sum_p[used] / n[used], sum_y[used] / n[used], n[used]])


def expected_calibration_error(calibration: Array) -> float:
    """Return the mean distance from probability to share (Naeini et al. 2015, equal widths)."""
    probability, share, n = calibration.T
    return float(n @ np.abs(probability - share) / n.sum())
